//! Why a run cannot begin or go on.

use std::io;
use std::path::PathBuf;

use super::resume::Change;
use crate::checkpoint::{LoadError, SaveError, StartError};
use crate::error::{ErrorKind, TrainError};

/// Why a run cannot begin or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The training itself.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The run folder.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Reading a checkpoint.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Writing a checkpoint or the configuration.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// Another file of the run folder.
    #[error("cannot {doing} {}: {source}", .path.display())]
    Io {
        /// Such as "create".
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The folder named for a new run has a run in it.
    #[error("{} holds a run already", .run.display())]
    Occupied {
        /// The folder.
        run: PathBuf,
    },
    /// Flags that a checkpoint settled for good.
    #[error("a resumed run keeps what its weights were made with: {}", words(.changes))]
    Fixed {
        /// The flags that differ.
        changes: Vec<Change>,
    },
    /// Flags that would change the bits to come.
    #[error("this would change the run from here on: {}", words(.changes))]
    NeedsOverride {
        /// The flags that differ.
        changes: Vec<Change>,
    },
    /// The text is not the one that the run was started on.
    #[error(
        "{found} is not the corpus of this run ({expected}): fingerprint {found_print} instead of {expected_print}"
    )]
    OtherCorpus {
        /// What was opened.
        found: String,
        /// What the run was started on.
        expected: String,
        /// Fingerprint of what was opened.
        found_print: String,
        /// Fingerprint in the checkpoint.
        expected_print: String,
    },
}

fn words(changes: &[Change]) -> String {
    changes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl RunError {
    /// The class of the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            RunError::Train(error) => error.kind(),
            RunError::Start(_) | RunError::Save(_) | RunError::Io { .. } => ErrorKind::Io,
            RunError::Load(error) => match error.exit_code() {
                4 => ErrorKind::Io,
                6 => ErrorKind::Resources,
                _ => ErrorKind::BadData,
            },
            RunError::Occupied { .. } | RunError::Fixed { .. } | RunError::NeedsOverride { .. } => ErrorKind::Usage,
            RunError::OtherCorpus { .. } => ErrorKind::BadData,
        }
    }
}
