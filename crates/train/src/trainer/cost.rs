//! What a step will cost: workers that it can use, memory, operations, and seconds by a rehearsal.

use super::Trainer;
use crate::config::Config;
use crate::error::TrainError;
use crate::model::{layout, multiplying};
use gatemill_cell::Chunk;
use gatemill_corpus::{Lanes, Split};
use gatemill_crew::Crew;
use std::sync::Arc;
use std::time::Instant;

/// Floating-point operations of a step that make up for one more worker: with fewer the workers pass their data around
/// for longer than they save (doc/performance.md).
const FLOP_PER_WORKER: f64 = 1e7;
/// Below so many hidden units the data passed around grow beside the operations.
const FEW_UNITS: usize = 64;

/// Workers that a step of this configuration can use.
pub(super) fn most_workers(config: &Config, vocab: usize) -> usize {
    workers_for(6.0 * multiplying(config, vocab) * config.tokens_per_step() as f64, config.hidden)
}

/// Workers that a step of so many operations on layers of `hidden` units can use.
pub(crate) fn workers_for(flop: f64, hidden: usize) -> usize {
    let thin = (FEW_UNITS as f64 / hidden as f64).max(1.0);
    (flop / (FLOP_PER_WORKER * thin * thin * thin)).max(1.0) as usize
}

/// The crew, or a smaller one where it has more than `most` workers. Bits do not depend on it. Where the system refuses the
/// threads, all of the crew's will do.
pub(crate) fn at_most(most: usize, crew: &Arc<Crew>) -> Arc<Crew> {
    let fewer = (most < crew.threads()).then(|| Crew::new(most).ok()).flatten();
    fewer.map_or_else(|| Arc::clone(crew), Arc::new)
}

/// A rehearsal runs this part of a chunk's steps.
const REHEARSED_PART: usize = 8;

/// What a run will cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    /// Parameters, PyTorch's count.
    pub parameters: u64,
    /// Bytes of weights, gradients, moments and buffers.
    pub memory_bytes: u64,
    /// Training symbols of an epoch that no chunk takes: the tail of each lane.
    pub dropped_symbols: u64,
    /// Multiply-adds of a training step per token times two: 6 x the weights that multiply.
    pub flops_per_token: f64,
}

/// Bytes that a model of this configuration over `vocab` symbols needs for its weights alone; for checks before
/// anything is allocated.
pub fn weight_bytes(config: &Config, vocab: usize) -> u64 {
    4 * layout(config, vocab).params() as u64
}

impl Trainer {
    /// What the run costs.
    pub fn cost(&self) -> Cost {
        let config = &self.model.config;
        let memory = self.model.params.size_bytes()
            + self.network.size_bytes()
            + self.grads.size_bytes()
            + self.groups.size_bytes()
            + self.optimizer.size_bytes();
        let used = self.chunks_per_epoch * config.tokens_per_step();
        Cost {
            parameters: self.model.parameters() as u64,
            memory_bytes: memory as u64,
            dropped_symbols: self.corpus.symbols(Split::Train).saturating_sub(used),
            flops_per_token: 6.0 * multiplying(config, self.model.vocab.len()),
        }
    }
    /// Seconds that a step will take, by a trial of a part of one; nothing that a step depends on is touched.
    ///
    /// Errors: the corpus fails.
    pub fn rehearse(&mut self) -> Result<f64, TrainError> {
        let Self { model, network, grads, norm, corpus, workers: crew, kernels, .. } = self;
        let config = &model.config;
        let (batch, most) = (config.batch, config.seq);
        let part = most.div_ceil(REHEARSED_PART);
        let mut reader = Lanes::new(corpus, Split::Train, batch, part)?;
        let mut symbols = reader.chunk(most);
        reader.fill(0, part, &mut symbols)?;
        let (ids, targets) = (&symbols.inputs, &symbols.targets);
        let state = network.state();
        let mut chunk = |steps: usize| {
            let begun = Instant::now();
            let chunk = Chunk { steps, ids, targets, scale: 0.0, ..Chunk::default() };
            network.forward(crew, kernels, &model.params, &chunk);
            network.backward(crew, kernels, &model.params, &chunk);
            grads.compute(crew, kernels, &model.params, network, ids);
            begun.elapsed().as_secs_f64()
        };
        // The first touch of weights and code is nothing to go by. Then what one step of time costs, and what each more
        // does: some of the work is the same however long the chunk.
        chunk(part);
        let mut least = |steps| chunk(steps).min(chunk(steps)).min(chunk(steps));
        let (one, some) = (least(1), least(part));
        let each = (some - one).max(0.0) / part.saturating_sub(1).max(1) as f64;
        let seconds = (one + each * (most - 1) as f64) * config.accumulate as f64;
        let mut rest = || {
            let begun = Instant::now();
            let _ = norm.of(crew, kernels, grads.sum());
            model.params.derive(crew, kernels);
            begun.elapsed().as_secs_f64()
        };
        let seconds = seconds + rest().min(rest()).min(rest());
        network.set_state(&state);
        Ok(seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::trainer;
    use super::*;

    #[test]
    fn a_step_has_as_many_workers_as_it_can_use() {
        let workers = |hidden, batch, seq| {
            let config = Config { layers: 1, hidden, batch, seq, ..Config::default() };
            most_workers(&config, 65)
        };
        assert_eq!(workers(32, 1, 32), 1);
        assert_eq!(workers(128, 1, 4), 1);
        assert!(workers(128, 50, 50) > 100);
        assert!(workers(64, 32, 32) > 2);
    }

    #[test]
    fn a_rehearsal_leaves_no_trace() {
        let config = Config { layers: 2, hidden: 17, batch: 3, seq: 9, accumulate: 2, ..Config::default() };
        let text = "it turns and it turns ".repeat(40);
        let hash_after = |rehearsed: &[u64]| {
            let mut trainer = trainer(&config, &text);
            for step in 0..6 {
                if rehearsed.contains(&step) {
                    assert!(trainer.rehearse().unwrap() > 0.0);
                }
                trainer.step().unwrap();
            }
            trainer.weights_sha256()
        };
        assert_eq!(hash_after(&[0, 3, 4]), hash_after(&[]));
    }
}
