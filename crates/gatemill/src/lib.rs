//! Gatemill: recurrent networks (tanh RNN, LSTM, GRU) on CPUs, as fast as they go and with the same bits everywhere.
//!
//! This crate is the face of the workspace: what a program needs to train, evaluate and sample character models, and to
//! run stacks of recurrent layers of its own. Each name is documented where it is defined.
//!
//! ```
//! use gatemill::{Config, Corpus, Crew, Kernels, OpenOptions, SampleOptions, Trainer};
//! use std::sync::Arc;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let text = b"hello hello hello hello ".repeat(40);
//! let corpus = Arc::new(Corpus::from_bytes("hello", text, &OpenOptions::default())?);
//! let config = Config { layers: 1, hidden: 16, batch: 4, seq: 12, steps: Some(60), lr: 0.02, ..Config::default() };
//! let crew = Arc::new(Crew::new(2)?);
//! let mut trainer = Trainer::new(&config, corpus, crew, Kernels::from_env()?)?;
//! let first = trainer.step()?.train_nats;
//! let mut last = first;
//! while !trainer.is_done() {
//!     last = trainer.step()?.train_nats;
//! }
//! assert!(last < first / 2.0, "{first} -> {last}");
//! let options = SampleOptions { prime: b"hel".to_vec(), length: 2, temperature: 0.0, ..Default::default() };
//! assert_eq!(trainer.sample(&options)?, b"lo");
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod error; // what can go wrong

mod options; // what a stack is made of
mod recurrent; // a stack of layers
mod weights; // masters, packed after a change

mod state; // between two steps

mod gradients; // to the weights
mod pass; // forward, backward, step
mod tape; // what a pass keeps

mod char_lm; // the character model
mod generate; // a text as an iterator

pub use char_lm::CharLm;
pub use error::{Error, TensorError};
pub use generate::{Generate, Symbol};
pub use gradients::Gradients;
pub use options::RecurrentOptions;
pub use recurrent::{Recurrent, TensorInfo};
pub use state::{State, StateMut, StateRef};
pub use tape::{Mode, Tape};

pub use gatemill_cell::{
    Batch, BatchError, Cell, Chunk, Direction, LayerState, Network, NetworkOptions, OutOfMemory, Params, ParamsError,
    StackError, StackShape, TensorSpec,
};
pub use gatemill_corpus::{
    Chunk as CorpusChunk, Corpus, CorpusError, Fetcher, Io, Lanes, OpenOptions, Vocab, VocabKind,
};
pub use gatemill_crew::{Crew, CrewError, Host};
pub use gatemill_kernels::{
    Activation, Activations, Input, Isa, IsaError, Kernels, LayerShape, Layout, Rows, RowsError, RowsMut, Variant,
    VariantError,
};
pub use gatemill_train::{
    CellKind, CharModel, Config, ConfigError, Cost, EpochEnd, ErrorKind, Evaluation, Generator, InitKind, LearnReport,
    Learner, OptimizerKind, Phases, SampleOptions, SampleState, ScheduleKind, StateError, StepReport, TrainError,
    Trainer, VocabChoice, checkpoint, storage,
};

/// The mode of the host's threads, in which bits are promised or not.
pub use gatemill_kernels::FloatMode;

/// The text that the corpus crate makes from a seed, with its exact entropy rate.
pub use gatemill_corpus as corpus;

/// The training loop around a trainer: events, run folders, resume.
pub use gatemill_train as train;
