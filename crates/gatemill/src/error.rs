//! What can go wrong, with the place, what was found, what was expected and what to do.

use gatemill_cell::{BatchError, OutOfMemory, ParamsError, RowsError};
use gatemill_crew::CrewError;
use gatemill_kernels::{IsaError, StackError};
use gatemill_train::checkpoint::{LoadError, SaveError};
use gatemill_train::{ErrorKind, TrainError};
use std::path::PathBuf;

/// Why a call did nothing. The arguments are as they were, but for outputs that a failed pass may have begun to fill.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option that cannot be.
    #[error("option `{option}` is {value}, but {reason}")]
    Option {
        /// Its name.
        option: &'static str,
        /// What was asked for.
        value: String,
        /// Why it cannot be.
        reason: &'static str,
    },
    /// A size that no stack has, a form or a number that the cell does not have.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// A tensor that does not fit.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// A batch that cannot be.
    #[error(transparent)]
    Batch(BatchError),
    /// An array that does not hold the batch's rows.
    #[error("`{which}`: {source}")]
    Rows {
        /// The argument.
        which: &'static str,
        /// What is wrong with it.
        source: RowsError,
    },
    /// A slice of another length.
    #[error("`{which}` has {found} floats where {expected} are expected: {shape}")]
    Length {
        /// The argument.
        which: &'static str,
        /// Floats given.
        found: usize,
        /// Floats expected.
        expected: usize,
        /// What the lengths stand for.
        shape: &'static str,
    },
    /// A cell state where the cell has none, or none where it has one.
    #[error("`{which}` {what}; make it with `Recurrent::state`")]
    State {
        /// The argument.
        which: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The tape or the gradients of a stack of another form.
    #[error("this {what} was made by a stack with other options; make one with `Recurrent::{what}` of this one")]
    Foreign {
        /// `tape` or `gradients`.
        what: &'static str,
    },
    /// Backward on a tape that keeps nothing for it.
    #[error("this tape is for inference and keeps nothing for backward; make it with `Mode::Training`")]
    Inference,
    /// Backward without a forward before it.
    #[error("nothing to go backward from: each `forward` on a tape serves one `backward`; call `forward` first")]
    NoForward,
    /// Backward with other weights than forward.
    #[error("the weights changed after this tape's `forward`; call `backward` before `set_tensor`")]
    WeightsChanged,
    /// Something that needs a `backward` before it.
    #[error("no gradient to read: call `backward` on this first")]
    NoBackward,
    /// Memory is not to be had.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    /// `GATEMILL_ISA` names a tier that this machine lacks.
    #[error(transparent)]
    Isa(#[from] IsaError),
    /// Threads are not to be had.
    #[error(transparent)]
    Crew(#[from] CrewError),
    /// A model's file that cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A file that holds no usable model.
    #[error("{path}: {source}")]
    Model {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: TrainError,
    },
    /// A file that cannot be written.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// The character model: its configuration, its text, its training.
    #[error(transparent)]
    Train(#[from] TrainError),
}

impl Error {
    /// The class of this error: what the command line's exit codes and the C library's status codes tell apart.
    pub fn kind(&self) -> ErrorKind {
        let of_exit_code = |code| match code {
            4 => ErrorKind::Io,
            6 => ErrorKind::Resources,
            _ => ErrorKind::BadData,
        };
        match self {
            Error::OutOfMemory(_) | Error::Crew(_) => ErrorKind::Resources,
            Error::Load(error) => of_exit_code(error.exit_code()),
            Error::Save(SaveError::Form { .. }) => ErrorKind::BadData,
            Error::Save(_) => ErrorKind::Io,
            Error::Model { source, .. } | Error::Train(source) => source.kind(),
            _ => ErrorKind::Usage,
        }
    }
}

/// A tensor that does not fit the stack.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// There is none of this name.
    #[error("there is no tensor `{name}`; the tensors are {known}")]
    Unknown {
        /// As asked for.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// The data has another number of elements.
    #[error("tensor `{name}`: {found} elements where shape {shape:?} has {expected}")]
    Size {
        /// Which.
        name: String,
        /// Elements given.
        found: usize,
        /// Its shape.
        shape: Vec<usize>,
        /// Elements of the shape.
        expected: usize,
    },
}

impl From<ParamsError> for Error {
    fn from(error: ParamsError) -> Self {
        Error::Train(error.into())
    }
}
