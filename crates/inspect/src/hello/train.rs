//! Training on the one text until each next letter is right, and the model's own letters fed back to it.

use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use gatemill_train::{CharModel, Learner, Reader, TrainError};
use serde::Serialize;

use super::{best, softmax};

/// Training ends when each next letter has at least this probability.
const SURE: f64 = 0.9;

/// Where training stood.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stage {
    /// Updates made before it.
    pub updates: u64,
    /// Mean loss over the text, nats.
    pub nats: f64,
    /// The most likely letter after each that is read.
    pub predicted: Vec<char>,
    /// Of those, how many are right.
    pub right: usize,
    /// `[T, V]`
    pub p: Vec<Vec<f64>>,
}

/// A letter of the inference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fed {
    /// What was fed in: the first letter of the text, then what the model said.
    pub reads: char,
    /// The most likely letter after it.
    pub says: char,
    /// Its probability.
    pub probability: f64,
    /// `[V]`
    pub p: Vec<f64>,
}

/// A training in progress.
pub(super) struct Training<'a> {
    vocabulary: &'a [char],
    inputs: &'a [u32],
    targets: &'a [u32],
    pub(super) stages: Vec<Stage>,
    pub(super) losses: Vec<f64>,
    pub(super) updates: u64,
    pub(super) right_after: Option<u64>,
}

impl<'a> Training<'a> {
    pub(super) fn new(vocabulary: &'a [char], inputs: &'a [u32], targets: &'a [u32]) -> Self {
        Self { vocabulary, inputs, targets, stages: Vec::new(), losses: Vec::new(), updates: 0, right_after: None }
    }
    /// Notes the loss before an update.
    pub(super) fn loss(&mut self, nats: f64) {
        self.losses.push(nats);
        self.updates += 1;
    }
    /// Notes where the model stands. True: each next letter is right and sure.
    pub(super) fn look(
        &mut self,
        model: &CharModel,
        (crew, kernels): (&Crew, &Kernels),
        updates: u64,
    ) -> Result<bool, TrainError> {
        let (symbols, steps) = (self.vocabulary.len(), self.inputs.len());
        let mut logits = vec![0.0; steps * symbols];
        Reader::new(model, steps, 1)?.read(model, (crew, kernels), self.inputs, &mut logits)?;
        let p: Vec<Vec<f64>> = logits.chunks(symbols).map(softmax).collect();
        let targets = || self.targets.iter().map(|&target| target as usize);
        let nats = p.iter().zip(targets()).fold(0.0, |sum, (p, target)| sum - libm::log(p[target])) / steps as f64;
        let right = p.iter().zip(targets()).filter(|(p, target)| best(p) == *target).count();
        let sure = p.iter().zip(targets()).all(|(p, target)| p[target] >= SURE);
        if right == steps && self.right_after.is_none() {
            self.right_after = Some(updates);
        }
        let predicted = p.iter().map(|p| self.vocabulary[best(p)]).collect();
        let stage = Stage { updates, nats, predicted, right, p };
        // The last one is replaced unless it is to stay: after 0, 1, 2, 5, 10, 20, 50 ... updates, and where all were right.
        if self.stages.last().is_some_and(|last| !round(last.updates) && self.right_after != Some(last.updates)) {
            self.stages.pop();
        }
        self.stages.push(stage);
        Ok(sure)
    }
    /// Updates until each next letter is right and sure, or as many as are asked for.
    pub(super) fn go(
        &mut self,
        model: &mut CharModel,
        learner: &mut Learner,
        (crew, kernels): (&Crew, &Kernels),
        (lr, asked, most): (f64, Option<u64>, u64),
    ) -> Result<(), TrainError> {
        loop {
            let sure = self.look(model, (crew, kernels), self.updates)?;
            if asked.map_or(sure || self.updates >= most, |asked| self.updates >= asked) {
                break;
            }
            let report = learner.step(model, (crew, kernels), self.inputs, self.targets, lr)?;
            self.loss(report.nats);
        }
        self.losses.extend(self.stages.last().map(|stage| stage.nats));
        Ok(())
    }
}

/// Whether a number of updates is 0, or 1, 2 or 5 times a power of ten.
fn round(updates: u64) -> bool {
    let mut lead = updates;
    while lead >= 10 && lead.is_multiple_of(10) {
        lead /= 10;
    }
    matches!(lead, 0 | 1 | 2 | 5)
}

/// Gives the first letter, then each letter that the model says, as many as the text has.
pub(super) fn feed_back(
    model: &CharModel,
    vocabulary: &[char],
    inputs: &[u32],
    (crew, kernels): (&Crew, &Kernels),
) -> Result<Vec<Fed>, TrainError> {
    let mut reader = Reader::new(model, 1, 1)?;
    let mut id = inputs.first().map_or(0, |&id| id as usize);
    let mut fed = Vec::with_capacity(inputs.len());
    for _ in inputs {
        let mut logits = vec![0.0; vocabulary.len()];
        reader.read(model, (crew, kernels), &[id as u32], &mut logits)?;
        let p = softmax(&logits);
        let next = best(&p);
        fed.push(Fed { reads: vocabulary[id], says: vocabulary[next], probability: p[next], p });
        id = next;
    }
    Ok(fed)
}

#[cfg(test)]
mod tests {
    use super::round;

    #[test]
    fn round_numbers_lead_with_1_2_or_5() {
        let found: Vec<u64> = (0..=1000).filter(|&n| round(n)).collect();
        assert_eq!(found, [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]);
    }
}
