//! The trainer: model, loss, optimiser, the step, storage, checkpoints, sampling.

#![forbid(unsafe_code)]

pub mod checkpoint;
pub mod storage;
