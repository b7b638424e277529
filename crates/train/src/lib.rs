//! The trainer: model, loss, optimiser, the step, storage, checkpoints, sampling.
