//! What can end a run, and which exit code that is.

use crate::config::ConfigError;
use crate::sample::StateError;
use gatemill_cell::{OutOfMemory, ParamsError};
use gatemill_corpus::CorpusError;
use gatemill_corpus::examples::ExampleError;

/// Why training, evaluation or sampling stopped.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A value that cannot be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The corpus: unreadable, too short, changed.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// Memory is not to be had.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    /// Loss or gradient is no finite number; the weights are those of the step before.
    #[error(
        "training diverged in step {step}: {what} is not finite; the weights were left as they were before it. Try a smaller --lr or --clip-norm"
    )]
    Diverged {
        /// The step, from 1.
        step: u64,
        /// `the loss`, or the tensor whose gradient it is.
        what: String,
        /// Whether the weights before the step still give a finite loss: else an earlier step has ruined them.
        usable: bool,
    },
    /// A model's logits are such that no symbol can be drawn: its weights are damaged or far too large.
    #[error("nothing can be drawn for symbol {position} of sample {sample}: {what}")]
    Logits {
        /// Which text, from 0.
        sample: u32,
        /// Which draw, from 0.
        position: u64,
        /// What is wrong with them.
        what: String,
    },
    /// A sampling state that cannot be continued.
    #[error(transparent)]
    State(#[from] StateError),
    /// Symbols of the caller's that do not fit the batch.
    #[error("{0}")]
    Symbols(String),
    /// Examples: unreadable, or none where they should be.
    #[error(transparent)]
    Examples(#[from] ExampleError),
    /// A checkpoint or model that does not hold what it should.
    #[error("this file does not hold a usable model: {0}")]
    Model(String),
}

/// The classes of errors; the command line maps them to exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// 2
    Usage,
    /// 3
    BadData,
    /// 4
    Io,
    /// 5
    Diverged,
    /// 6
    Resources,
}

impl TrainError {
    /// The class of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            TrainError::Config(_) | TrainError::Symbols(_) => ErrorKind::Usage,
            TrainError::Corpus(e) => e.kind().into(),
            TrainError::Examples(e) => e.kind().into(),
            TrainError::State(StateError::Read(e)) => match e.exit_code() {
                4 => ErrorKind::Io,
                6 => ErrorKind::Resources,
                _ => ErrorKind::BadData,
            },
            TrainError::Model(_) | TrainError::Logits { .. } | TrainError::State(_) => ErrorKind::BadData,
            TrainError::OutOfMemory(_) => ErrorKind::Resources,
            TrainError::Diverged { .. } => ErrorKind::Diverged,
        }
    }
}

impl From<gatemill_corpus::ErrorKind> for ErrorKind {
    fn from(kind: gatemill_corpus::ErrorKind) -> Self {
        match kind {
            gatemill_corpus::ErrorKind::Usage => ErrorKind::Usage,
            gatemill_corpus::ErrorKind::BadData => ErrorKind::BadData,
            gatemill_corpus::ErrorKind::Io => ErrorKind::Io,
            gatemill_corpus::ErrorKind::Resources => ErrorKind::Resources,
        }
    }
}

impl From<ParamsError> for TrainError {
    fn from(e: ParamsError) -> Self {
        TrainError::Model(e.to_string())
    }
}
