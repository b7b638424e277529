//! The trainer: model, loss, optimiser, the step, storage, checkpoints, sampling.
//!
//! The nine stages, in the order of [`Trainer::step`]: bytes -> tokens -> lanes -> forward -> loss -> backward ->
//! weight gradients -> update -> checkpoint.
#![forbid(unsafe_code)]

mod config; // what a run is made of
mod error; // what can end it

pub mod config_page; // a file of flags
pub mod preset; // other tools' settings

mod init; // initial weights
mod model; // symbols | stack | readout

mod export; // tensors out of packed memory

mod loss; // nats in a fixed order

mod clip; // the norm, and what it limits
mod optim; // moments and the update
mod schedule; // the learning rate of a step

mod groups; // more lanes than the network holds
mod phases; // where the seconds of a step go
mod trainer; // the nine stages in one function

mod learner; // a step on the caller's symbols
mod reader; // logits of the caller's symbols

pub mod task; // the other kinds of RNN: sequences to classes, to sequences

mod begins; // documents of a text at hand
mod eval; // the loss of a text
pub mod flow; // gradients by distance
mod sample; // a text by the model

mod trace; // every unit over a text

mod edit; // units held at a value

#[cfg(test)]
mod plain; // the model as plain f64 loops

pub mod checkpoint; // snapshots as files
pub mod storage; // the disk, real or simulated

pub mod events; // what a run tells
pub mod folder; // where it tells it
pub mod history; // a run folder read back
pub mod run; // the loop around the trainer

pub mod bench; // how fast it goes, and whether it is right

pub use config::{CellKind, Config, ConfigError, InitKind, OptimizerKind, ScheduleKind, VocabChoice};
pub use edit::Hold;
pub use error::{ErrorKind, TrainError};
pub use eval::Evaluation;
pub use export::Export;
pub use gatemill_cell::Part;
pub use learner::{LearnReport, Learner};
pub use model::CharModel;
pub use phases::Phases;
pub use preset::Preset;
pub use reader::Reader;
pub use sample::{Generator, SampleOptions, SampleState, StateError};
pub use trace::{Moment, Trace, TracePlan};
pub use trainer::{Cost, EpochEnd, StepReport, Trainer, weight_bytes};
