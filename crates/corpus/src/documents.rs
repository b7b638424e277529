//! Where documents begin, so that the state before them can be zero.
//!
//! Of the symbols of a file, symbol p begins a document where p = 0, and where the separator's L symbols are p-L .. p-1:
//! the separator belongs to the document that it ends. Every such p counts, also where occurrences overlap: after
//! `a----b` with the separator `---` a document begins at the fourth hyphen and one at `b`.
//!
//! A split sees its own part of a file alone. So no separator lies across the border of two files or two splits, and where
//! a part begins inside a file nothing begins there: what was read before is the end of another file.
//!
//! Promise: whether a symbol begins a document depends on its place in the stream of its split, not on chunks or lanes.

use crate::error::CorpusError;
use crate::split::Stretch;
use crate::vocab::Vocab;

/// How the documents of a corpus are told apart.
#[derive(Debug)]
pub(crate) struct Documents {
    /// `[L]`; none where it cannot occur: then only files are documents.
    separator: Vec<u32>,
}

impl Documents {
    /// Documents that end with `separator`. A note says so where the vocabulary lacks one of its symbols. Errors: no
    /// separator at all.
    pub(crate) fn new(separator: &str, vocab: &Vocab, notes: &mut Vec<String>) -> Result<Self, CorpusError> {
        if separator.is_empty() {
            return Err(CorpusError::EmptySeparator);
        }
        let mut ids = vocab.encode(separator.as_bytes())?;
        if ids.contains(&vocab.unseen()) {
            notes.push(format!("the document separator {separator:?} does not occur: only a file begins a document"));
            ids.clear();
        }
        Ok(Self { separator: ids })
    }
    /// L: how many symbols before one say whether it begins a document.
    pub(crate) fn look_back(&self) -> usize {
        self.separator.len()
    }
    /// Calls `found(t)` for each symbol t of some stretches, end to end, that begins a document.
    ///
    /// `ids` are the `before` symbols of the stream in front of the first stretch, L of them or all there are, and then
    /// those of the stretches.
    pub(crate) fn begins(
        &self,
        stretches: impl Iterator<Item = Stretch>,
        (before, ids): (usize, &[u32]),
        mut found: impl FnMut(usize),
    ) {
        let symbols = stretches.flat_map(|s| (0..s.len).zip(s.first..).zip(s.before..));
        for (t, ((_, symbol), in_part)) in symbols.enumerate() {
            let read = ids.get(..before.saturating_add(t)).unwrap_or_default();
            let ends = !self.separator.is_empty() && read.ends_with(&self.separator);
            // All of the separator must lie in the symbol's own part.
            if symbol == 0 || (ends && in_part >= self.separator.len() as u64) {
                found(t);
            }
        }
    }
}

/// The symbols of a text that begin a document, in order: its first, and each behind a separator. For a text that is read
/// as one file. Errors: no separator at all.
pub fn document_begins(separator: &str, vocab: &Vocab, ids: &[u32]) -> Result<Vec<usize>, CorpusError> {
    let documents = Documents::new(separator, vocab, &mut Vec::new())?;
    let mut begins = Vec::new();
    documents.begins(std::iter::once(Stretch::whole(ids.len())), (0, ids), |t| begins.push(t));
    Ok(begins)
}
