//! What can be wrong with examples: which file, which line, what, and what to do.

use std::io;
use std::path::{Path, PathBuf};

use super::read::LINE_MOST_BYTES;
use crate::error::ErrorKind;

/// Why examples cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExampleError {
    /// The operating system refused.
    #[error("reading {path:?}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Its answer.
        source: io::Error,
    },
    /// A line that is no example.
    #[error("{path:?}, line {line}: {problem}")]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// What is wrong with it.
        problem: Problem,
    },
    /// Nothing to learn from.
    #[error("no examples in {}", .paths.iter().map(|path| format!("{path:?}")).collect::<Vec<_>>().join(", "))]
    Empty {
        /// The files.
        paths: Vec<PathBuf>,
    },
    /// More than can be numbered.
    #[error("{path:?}, line {line}: there are more than {most} examples", most = u32::MAX)]
    TooMany {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: u64,
    },
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// TSV without a tab.
    #[error("there is no tab; an example is INPUT, a tab, OUTPUT")]
    NoTab,
    /// TSV with more than one tab.
    #[error("there are {tabs} tabs; an example has one, between input and output")]
    Tabs {
        /// How many.
        tabs: usize,
    },
    /// A side with nothing in it.
    #[error("the {side} is empty")]
    EmptySide {
        /// `input`, `output`.
        side: &'static str,
    },
    /// Bytes that are no text.
    #[error("it is not valid UTF-8 at its byte {offset}")]
    InvalidUtf8 {
        /// From 0, in the line.
        offset: usize,
    },
    /// Another encoding.
    #[error("the file begins with the byte-order mark of {encoding}; examples are UTF-8")]
    OtherEncoding {
        /// `UTF-16` or `UTF-32`, as iconv names it.
        encoding: &'static str,
    },
    /// A line beyond all measure.
    #[error("it is longer than {most} bytes", most = LINE_MOST_BYTES)]
    TooLong,
    /// As many tags as symbols are wanted.
    #[error("{tags} tags for {symbols} symbols; there must be one for each")]
    Tags {
        /// How many there are.
        tags: usize,
        /// How many there should be.
        symbols: usize,
    },
    /// Something else in place of a number.
    #[error("{found:?} is no finite number; the input is numbers with spaces between them")]
    NotANumber {
        /// What stands there.
        found: String,
    },
    /// Another count of numbers than in the first example.
    #[error("{found} numbers, and the first example has {expected}")]
    OtherWidth {
        /// How many stand here.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// Broken JSON.
    #[error("no JSON object: {what}")]
    NotJson {
        /// What the parser says.
        what: String,
    },
    /// A key that is missing or of another kind.
    #[error("{key:?} is {found}; it must be {wanted}")]
    Key {
        /// `input`, `output`, `tags`.
        key: &'static str,
        /// What it is.
        found: String,
        /// What it should be.
        wanted: &'static str,
    },
}

impl ExampleError {
    pub(super) fn line(path: &Path, line: u64, problem: Problem) -> Self {
        ExampleError::Line { path: path.to_owned(), line, problem }
    }
    /// Its class.
    pub fn kind(&self) -> ErrorKind {
        match self {
            ExampleError::Io { .. } => ErrorKind::Io,
            _ => ErrorKind::BadData,
        }
    }
    /// What to do.
    pub fn help(&self) -> &'static str {
        match self {
            ExampleError::Io { .. } => "check the path: it must be a file with examples that can be read",
            ExampleError::Empty { .. } => "give a file with examples; without a FILE they are made from a seed",
            ExampleError::TooMany { .. } => "give fewer of them",
            ExampleError::Line { problem, .. } => match problem {
                Problem::NoTab => "`doc/tasks.md` shows the forms; a file of JSON objects has one to a line",
                Problem::Tabs { .. } => "`cut -f1,2 FILE` keeps the first two columns; a tab inside a text needs JSONL",
                Problem::EmptySide { .. } => "leave the line out: `awk -F'\\t' '$1 != \"\" && $2 != \"\"' FILE`",
                Problem::InvalidUtf8 { .. } => "convert the file: `iconv -f LATIN1 -t UTF-8 FILE`",
                Problem::OtherEncoding { .. } => "convert the file: `iconv -t UTF-8 FILE`",
                Problem::TooLong => "an example is one line, its input and its output together",
                Problem::Tags { .. } => {
                    "TSV has one character of the output for each of the input; JSONL takes longer names: \
                     {\"input\": \"ab\", \"tags\": [\"first\", \"second\"]}"
                }
                Problem::NotANumber { .. } | Problem::OtherWidth { .. } => {
                    "such as `0.5 1 -2`, a tab and the class; as many numbers in every line"
                }
                Problem::NotJson { .. } | Problem::Key { .. } => {
                    "such as {\"input\": \"...\", \"output\": \"...\"}; `doc/tasks.md` has the form for each task"
                }
            },
        }
    }
}
