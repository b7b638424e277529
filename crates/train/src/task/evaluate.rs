//! The score of a model that is not in training.

use super::example::Example;
use super::model::TaskModel;
use super::passes::Passes;
use super::trainer::{TaskScore, score};
use crate::error::TrainError;
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;

impl TaskModel {
    /// Scores the model on these examples, as [`TaskTrainer::evaluate`](super::TaskTrainer::evaluate) does: the same bits.
    ///
    /// Errors: an example that this kind cannot read; no memory.
    pub fn evaluate(&self, examples: &[Example], crew: &Crew, kernels: &Kernels) -> Result<TaskScore, TrainError> {
        let mut passes = Passes::new(self, true)?;
        crew.steady(|| score(self, &mut passes, (crew, kernels), examples))
    }
}
