//! What a text is before anything learns from it: its encoding, its symbols with their counts, and what it costs to
//! guess them without a network.
//!
//! ```text
//! files --blocks, in parallel--> counts of symbols and pairs, faults, line ends --in order--> the survey
//! the last tenth of the symbols, once more --> pairs of the tail; pairs of the head = all - tail --> bigram yardstick
//! ```
//!
//! Unlike a corpus that is opened to learn from, a survey goes on where text is not UTF-8: each fault is one U+FFFD, as
//! `--lossy` reads it. The numbers are a function of the bytes alone, not of threads or blocks. Memory: two tables for each
//! worker, the pairs that there are, and 8 bytes for each MiB of text.

use crate::cache::default_cache_dir;
use crate::corpus::{byte_order_mark, opened};
use crate::error::CorpusError;
use crate::prepared::Shelf;
use crate::source::{Io, Source};
use crate::vocab::VocabKind;
use std::path::{Path, PathBuf};

// One block: where it begins and ends, what is in it.
mod block;

// How often each symbol and each pair of neighbours occurs.
mod counts;

// What guessing costs.
mod yardstick;

// All blocks, in parallel, added up in order.
mod pass;

#[cfg(test)]
mod tests;

pub use pass::Lines;
pub use yardstick::{Bigram, Yardsticks};

/// How a text is surveyed.
#[derive(Debug, Clone, Copy, Default)]
pub struct SurveyOptions {
    /// What a symbol is.
    pub vocab: VocabKind,
    /// How files are read; the result is the same.
    pub io: Io,
}

/// What a text is.
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    /// What a symbol is.
    pub vocab: VocabKind,
    /// The files, in the order given.
    pub files: Vec<FileSurvey>,
    /// Symbols of all files.
    pub symbols: u64,
    /// How often each symbol that occurs does: code point or byte, and count; the most frequent first, then by code.
    pub counts: Vec<(u32, u64)>,
    /// V: symbols of a model's vocabulary.
    pub vocab_len: u64,
    /// What guessing costs.
    pub yardsticks: Yardsticks,
    /// What a person should know about how the files were read.
    pub notes: Vec<String>,
}

/// What one file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSurvey {
    /// The file.
    pub path: PathBuf,
    /// Its length.
    pub size_bytes: u64,
    /// The encoding whose byte-order mark it begins with. That of UTF-8 is no part of the text where characters are symbols.
    pub byte_order_mark: Option<&'static str>,
    /// Characters; each fault is one.
    pub characters: u64,
    /// NULs among them.
    pub nuls: u64,
    /// Sequences of bytes that are not UTF-8, each as long as it can be.
    pub faults: u64,
    /// The byte offsets of the first of them, at most ten.
    pub fault_offsets: Vec<u64>,
    /// Whether the text between the faults is in Unicode normalisation form C.
    pub nfc: bool,
    /// Line ends and the longest line.
    pub lines: Lines,
}

impl Survey {
    /// Bytes of all files.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size_bytes))
    }
    /// Characters of all files.
    pub fn characters(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.characters))
    }
    /// Faults of all files.
    pub fn faults(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.faults))
    }
}

/// Surveys files; end to end, in this order, they are the text. Reads them in parallel on the rayon pool that this is called
/// in, and calls `progress(bytes done, bytes in all)` from there.
///
/// Errors: a path that is no readable ordinary file; a file that changes meanwhile; nothing in any file.
pub fn survey(
    paths: &[PathBuf],
    options: &SurveyOptions,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Survey, CorpusError> {
    let mut notes = Vec::new();
    let mut shelf = Shelf::new(default_cache_dir());
    let sources = opened(paths, options.io, &mut shelf, &mut notes)?;
    let mut survey = pass::over(&sources, options.vocab, pass::Sizes::default(), progress)?;
    survey.notes = notes;
    Ok(survey)
}

/// Surveys bytes that are in memory; `name` stands for a path. Errors: no bytes.
pub fn survey_bytes(name: &str, bytes: Vec<u8>, vocab: VocabKind) -> Result<Survey, CorpusError> {
    pass::over(&[Source::from_bytes(Path::new(name), bytes)], vocab, pass::Sizes::default(), &|_, _| {})
}

/// Where a file's text begins, and the encoding of its byte-order mark.
fn text_start(source: &Source, vocab: VocabKind) -> Result<(u64, Option<&'static str>), CorpusError> {
    Ok(match (byte_order_mark(source)?, vocab) {
        (None, _) => (0, None),
        (Some((encoding @ "UTF-8", bytes)), VocabKind::Chars) => (bytes, Some(encoding)),
        (Some((encoding, _)), _) => (0, Some(encoding)),
    })
}
