//! Losses and hits of a pass, and the score of a model on examples.
//!
//! Sums run over the rows of the head in their order, which is that of the tokens, and over batches in turn, in f64.

use super::example::{Example, check};
use super::model::TaskModel;
use super::parts::Role;
use super::passes::{Drops, Machine, Passes};
use crate::error::TrainError;
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;

/// How well a model does on examples.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskScore {
    /// Mean loss of the targets, nats each; a decoder reads what is right so far.
    pub nats: f64,
    /// The part of the targets that is the most likely at its place.
    pub accuracy: f64,
    /// The part of the examples whose whole output is the most likely one at each place: what a decoder that takes the
    /// most likely symbol, one after the other, would write without a fault. A target that is left out does not count.
    pub exact: f64,
    /// Targets that counted.
    pub targets: u64,
    /// Examples.
    pub examples: u64,
}

/// Losses and hits of a pass.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    pub(super) nats: f64,
    pub(super) targets: u64,
    pub(super) hits: u64,
}

impl TaskModel {
    /// Scores the model on these examples, as [`TaskTrainer::evaluate`](super::TaskTrainer::evaluate) does: the same bits.
    ///
    /// Errors: an example that this kind cannot read; no memory.
    pub fn evaluate(&self, examples: &[Example], crew: &Crew, kernels: &Kernels) -> Result<TaskScore, TrainError> {
        let mut passes = Passes::new(self, false)?;
        crew.steady(|| score(self, &mut passes, (crew, kernels), examples))
    }
}

/// Targets that count among these examples.
pub(super) fn counted(model: &TaskModel, examples: &[&Example]) -> usize {
    let (classes, marks) = (model.alphabet.output.len(), usize::from(model.config.kind.decodes()));
    examples.iter().map(|e| marks + e.output.iter().filter(|&&s| (s as usize) < classes).count()).sum()
}

/// Losses and hits of the last forward's rows, in their order; `each(row, hit)` is called for every counted one.
///
/// A row holds `scale` times the gradient of its loss, softmax - onehot: the target was the most likely where its
/// probability is that of no other below.
pub(super) fn sums(passes: &Passes, scale: f32, mut each: impl FnMut(usize, bool)) -> Sums {
    let head = passes.networks.at(Role::Head);
    let mut sums = Sums::default();
    for (n, (&nats, &target)) in head.nats(1).iter().zip(&passes.targets).enumerate() {
        let row = head.logits(0, n);
        let Some(&of_target) = row.get(target as usize) else { continue };
        let p = of_target + scale;
        let hit = row.iter().enumerate().all(|(i, &x)| i == target as usize || x < p);
        sums.nats += f64::from(nats);
        sums.targets += 1;
        sums.hits += u64::from(hit);
        each(n, hit);
    }
    sums
}

/// The score of a model on examples, `batch` of them at a time.
pub(super) fn score(
    model: &TaskModel,
    passes: &mut Passes,
    machine: Machine<'_>,
    examples: &[Example],
) -> Result<TaskScore, TrainError> {
    check(model.config.kind, &model.alphabet, examples)?;
    let (mut all, mut exact) = (Sums::default(), 0u64);
    for examples in examples.chunks(model.config.base.batch) {
        let batch: Vec<&Example> = examples.iter().collect();
        passes.forward(model, machine, &batch, (Some(1.0), Drops::default()))?;
        let mut right = vec![true; batch.len()];
        let sums = sums(passes, 1.0, |n, hit| right[passes.places[n].example] &= hit);
        all.nats += sums.nats;
        all.targets += sums.targets;
        all.hits += sums.hits;
        exact += right.iter().filter(|right| **right).count() as u64;
    }
    let of_targets = |sum: f64| sum / all.targets.max(1) as f64;
    Ok(TaskScore {
        nats: of_targets(all.nats),
        accuracy: of_targets(all.hits as f64),
        exact: exact as f64 / examples.len().max(1) as f64,
        targets: all.targets,
        examples: examples.len() as u64,
    })
}
