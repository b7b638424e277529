//! What can go wrong between a path and a token: which file, where in it, what to do.
//!
//! Each error belongs to one [`ErrorKind`], which the command line maps to its exit code.

use std::io;
use std::path::{Path, PathBuf};

/// The class of an error; the number is the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// 2: a value that cannot be.
    Usage,
    /// 3: the input is not what it should be.
    BadData,
    /// 4: the operating system says no.
    Io,
    /// 6: there is not enough memory.
    Resources,
}

/// Why a corpus cannot be opened or read on. Offsets and sizes are in bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CorpusError {
    /// All files together hold nothing to learn from.
    #[error("corpus is empty ({size_bytes} bytes{})", if *.size_bytes > 0 { ", all of them byte-order marks" } else { "" })]
    Empty {
        /// Bytes of all files: more than 0 only for byte-order marks.
        size_bytes: u64,
    },
    /// The lanes do not fill one chunk.
    #[error("{}", too_short(*.symbols, *.batch, *.seq, *.largest_batch, *.largest_seq))]
    TooShort {
        /// Symbols that there are.
        symbols: u64,
        /// Lanes asked for.
        batch: u64,
        /// Time steps asked for.
        seq: u64,
        /// The most lanes for this `seq`; 0 where there is none.
        largest_batch: u64,
        /// The most time steps for this `batch`; 0 where there is none.
        largest_seq: u64,
    },
    /// A fraction that is none.
    #[error("the validation fraction is {found}; it must be at least 0 and less than 1")]
    ValFrac {
        /// What was given.
        found: f64,
    },
    /// A fraction that is none.
    #[error("the test fraction is {found}; it must be at least 0 and less than 1")]
    TestFrac {
        /// What was given.
        found: f64,
    },
    /// All text is kept from training.
    #[error(
        "the validation fraction {val} and the test fraction {test} leave nothing to learn from; their sum must be below 1"
    )]
    NothingToLearn {
        /// The validation fraction.
        val: f64,
        /// The test fraction.
        test: f64,
    },
    /// A separator of no symbols.
    #[error("the document separator is empty; give the text that stands between two documents")]
    EmptySeparator,
    /// Text that is not UTF-8.
    #[error(
        "{path:?} is not valid UTF-8 at byte offset {offset}{of}; convert it (`iconv -f LATIN1 -t UTF-8`), or read it as it is \
         with --vocab bytes"
    )]
    InvalidUtf8 {
        /// The file.
        path: PathBuf,
        /// Where the first wrong sequence starts.
        offset: u64,
        /// Of what, where that is not the file: ` of its unpacked text`.
        of: &'static str,
    },
    /// A byte-order mark of another encoding.
    #[error(
        "{path:?} begins with the byte-order mark of {encoding}; convert it first: `iconv -f {encoding} -t UTF-8`, or read \
         it as it is with --vocab bytes"
    )]
    Utf16 {
        /// The file.
        path: PathBuf,
        /// `UTF-16` or `UTF-32`, as iconv names it.
        encoding: &'static str,
    },
    /// The operating system refused.
    #[error("{doing} {path:?}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried: `opening`, `reading`.
        doing: &'static str,
        /// Its answer.
        source: io::Error,
    },
    /// A directory where a file is wanted.
    #[error("{path:?} is a directory; give the files in it (`{}`)", .path.join("*").display())]
    Directory {
        /// The directory.
        path: PathBuf,
    },
    /// A pipe, socket or device: it has no length and no positions.
    #[error("{path:?} is {what}, not seekable; write its content to a file first, or pass it on as standard input")]
    NotSeekable {
        /// The path.
        path: PathBuf,
        /// `a pipe`, `a socket`, `a device`.
        what: &'static str,
    },
    /// A folder with nothing to read.
    #[error("the folder {path:?} has no files{}", passed_over(*.hidden))]
    EmptyFolder {
        /// The folder.
        path: PathBuf,
        /// Names beginning with a dot, which are passed over.
        hidden: u64,
    },
    /// A list of files that does not end as it should.
    #[error("{path:?} is a list of files that is cut; name the folder again")]
    CutList {
        /// The list.
        path: PathBuf,
    },
    /// Standard input, more than once.
    #[error("standard input (-) is given more than once, but can be read only once")]
    StandardInputTwice,
    /// A name that promises compressed data, and something else behind it.
    #[error(
        "{path:?} ends in .{ending}, but does not begin like a {format} file: it begins with {found}; give it another name if \
         it is plain text"
    )]
    NotPacked {
        /// The file.
        path: PathBuf,
        /// `gzip`, `Zstandard`.
        format: &'static str,
        /// Without the dot.
        ending: &'static str,
        /// Its first bytes, as hexadecimal digits.
        found: String,
    },
    /// Compressed data where text is expected.
    #[error("{path:?} is not text but a {format} file; give it a name that ends in .{ending}, and it is unpacked")]
    Packed {
        /// The file.
        path: PathBuf,
        /// `gzip`, `Zstandard`.
        format: &'static str,
        /// Without the dot.
        ending: &'static str,
    },
    /// Compressed data that is cut or damaged.
    #[error(
        "{path:?} cannot be unpacked: its {format} data is cut or damaged behind {bytes} bytes of text ({problem})"
    )]
    Unpack {
        /// The file.
        path: PathBuf,
        /// `gzip`, `Zstandard`.
        format: &'static str,
        /// What the decoder says.
        problem: String,
        /// Bytes that were unpacked before.
        bytes: u64,
    },
    /// The cache folder does not take a text.
    #[error("the text of {of:?} cannot be kept in {dir:?}: {source}")]
    Keep {
        /// What the text is made of.
        of: PathBuf,
        /// The cache folder.
        dir: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// There is no cache folder.
    #[error("there is no folder to keep the text of {of:?} in: neither XDG_CACHE_HOME nor HOME is an absolute path")]
    NoCache {
        /// What the text is made of.
        of: PathBuf,
    },
    /// A file without a length that has content, as in /proc.
    #[error("{path:?} gives its size as 0 bytes and yet has content; copy it to an ordinary file first")]
    NoLength {
        /// The file.
        path: PathBuf,
    },
    /// The file became shorter while it was in use.
    #[error("the corpus {path:?} shrank from {from} to {to} bytes while it was in use")]
    Shrank {
        /// The file.
        path: PathBuf,
        /// Its length when it was opened.
        from: u64,
        /// Its length now.
        to: u64,
    },
    /// A page of the file could not be read, though the file is as long as before: a failing disk.
    #[error("read error in {path:?} at byte offset {offset}: the disk or the network did not deliver; check it")]
    ReadFault {
        /// The file.
        path: PathBuf,
        /// The first byte that did not come.
        offset: u64,
    },
    /// The file is not what it was when it was opened.
    #[error("the corpus {path:?} changed while it was in use: {what}")]
    Changed {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: String,
    },
    /// A token outside the vocabulary, in a token cache or a file that changed.
    #[error("{path:?} holds token {id} at byte offset {offset}, but ids end below {limit}; it was damaged: delete it")]
    TokenOutOfRange {
        /// The token cache.
        path: PathBuf,
        /// Where the token lies.
        offset: u64,
        /// Its id.
        id: u32,
        /// The first id that is none.
        limit: u32,
    },
    /// A range that the file never had: a mistake of the caller.
    #[error("bytes {offset}..{offset}+{len} are outside {path:?}, which has {size_bytes}")]
    OutOfRange {
        /// The file.
        path: PathBuf,
        /// First byte asked for.
        offset: u64,
        /// Bytes asked for.
        len: u64,
        /// Its length when it was opened.
        size_bytes: u64,
    },
    /// Memory for tokens is not to be had.
    #[error("the tokens of {path:?} need {bytes} bytes, which are not to be had; make the cache folder writable")]
    OutOfMemory {
        /// The file.
        path: PathBuf,
        /// Bytes asked for.
        bytes: u64,
    },
}

impl CorpusError {
    /// Its class.
    pub fn kind(&self) -> ErrorKind {
        use CorpusError as E;
        match self {
            E::ValFrac { .. }
            | E::TestFrac { .. }
            | E::NothingToLearn { .. }
            | E::EmptySeparator
            | E::StandardInputTwice => ErrorKind::Usage,
            E::Io { .. }
            | E::Directory { .. }
            | E::Keep { .. }
            | E::NoCache { .. }
            | E::Shrank { .. }
            | E::ReadFault { .. } => ErrorKind::Io,
            E::OutOfMemory { .. } => ErrorKind::Resources,
            E::Empty { .. }
            | E::TooShort { .. }
            | E::InvalidUtf8 { .. }
            | E::Utf16 { .. }
            | E::EmptyFolder { .. }
            | E::CutList { .. }
            | E::NotPacked { .. }
            | E::Packed { .. }
            | E::Unpack { .. }
            | E::NotSeekable { .. }
            | E::NoLength { .. }
            | E::Changed { .. }
            | E::TokenOutOfRange { .. }
            | E::OutOfRange { .. } => ErrorKind::BadData,
        }
    }
    /// Whether it is the operating system's or the disk's: exit code 4.
    pub fn is_io(&self) -> bool {
        self.kind() == ErrorKind::Io
    }
    pub(crate) fn io(path: &Path, doing: &'static str, source: io::Error) -> Self {
        CorpusError::Io { path: path.to_owned(), doing, source }
    }
}

fn passed_over(hidden: u64) -> String {
    match hidden {
        0 => String::new(),
        n => format!(" ({n} names that begin with a dot were passed over)"),
    }
}

fn too_short(symbols: u64, batch: u64, seq: u64, largest_batch: u64, largest_seq: u64) -> String {
    let need = u128::from(batch).saturating_mul(u128::from(seq)).saturating_add(1);
    let mut text = format!(
        "too short: {symbols} symbols, but --batch {batch} lanes of --seq {seq} steps need {need} (batch x seq + 1)"
    );
    match (largest_batch, largest_seq) {
        (0, 0) => text.push_str("; no batch or seq fits alone: make both smaller, or give more text"),
        (0, s) => text.push_str(&format!("; with this batch --seq {s} is the largest that fits")),
        (b, 0) => text.push_str(&format!("; with this seq --batch {b} is the largest that fits")),
        (b, s) => {
            text.push_str(&format!("; --batch {b} with this seq or --seq {s} with this batch is the largest that fits"))
        }
    }
    text
}
