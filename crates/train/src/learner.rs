//! A training step on symbols that the caller brings: forward, loss, backward, weight gradients, update, state.
//!
//! The stages of [`crate::Trainer::step`] from the third on, with the same bits for the same symbols; where they come from,
//! which learning rate is next and what is saved is the caller's. One shard structure, one batch: no groups.

use crate::checkpoint::Tensor;
use crate::clip::{self, Norm};
use crate::config::ConfigError;
use crate::error::TrainError;
use crate::export::{self, Export};
use crate::loss;
use crate::model::CharModel;
use crate::optim::Optimizer;
use gatemill_cell::{Chunk, LayerState, Network, NetworkOptions, WeightGrads};
use gatemill_crew::Crew;
use gatemill_kernels::{Dropout, Kernels};

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LearnReport {
    /// Updates made, this one included.
    pub step: u64,
    /// Mean loss of the counted targets, nats per symbol.
    pub nats: f64,
    /// Targets that the vocabulary has.
    pub counted: u64,
    /// Gradient norm before clipping.
    pub grad_norm: f64,
}

/// Moments, buffers and carried states of a model that learns: `config.seq` steps of `config.batch` lanes a step.
#[derive(Debug)]
pub struct Learner {
    network: Network,
    grads: WeightGrads,
    optimizer: Optimizer,
    norm: Norm,
    /// `[B]`
    lane_nats: Vec<f64>,
    /// `[S]`
    shard_nats: Vec<f64>,
    step: u64,
}

impl Learner {
    /// A learner at its first step, states zero. Errors: an impossible configuration, `accumulate` over 1; no memory.
    pub fn new(model: &CharModel, crew: &Crew) -> Result<Self, TrainError> {
        let config = &model.config;
        config.validate()?;
        if config.accumulate != 1 {
            let reason = "must be 1 where the caller brings the symbols: bring all lanes at once";
            return Err(ConfigError { flag: "accumulate", value: config.accumulate.to_string(), reason }.into());
        }
        if config.seq.saturating_add(1).saturating_mul(config.batch) >= u32::MAX as usize {
            let reason = "times --batch makes more tokens than 32 bits tell apart";
            return Err(ConfigError { flag: "seq", value: config.seq.to_string(), reason }.into());
        }
        let options = NetworkOptions {
            steps: config.seq,
            lanes: config.batch,
            backward: true,
            dropout: config.dropout > 0.0,
            output_dropout: config.output_dropout > 0.0,
            ..NetworkOptions::default()
        };
        let network = Network::new(model.params.layout(), options)?;
        let len = model.params.layout().params();
        Ok(Self {
            grads: network.weight_grads(crew, config.shards)?,
            optimizer: Optimizer::new(config, len)?,
            norm: Norm::new(len),
            lane_nats: vec![0.0; config.batch],
            shard_nats: vec![0.0; config.shards],
            network,
            step: 0,
        })
    }
    /// Updates made.
    pub fn step_count(&self) -> u64 {
        self.step
    }
    /// The state that the next step begins from.
    pub fn state(&self) -> Vec<LayerState> {
        self.network.state()
    }
    /// Sets that state. Panics where it has another shape.
    pub fn set_state(&mut self, state: &[LayerState]) {
        self.network.set_state(state);
    }
    /// The next step begins from zeros.
    pub fn clear_state(&mut self) {
        self.network.clear_state();
    }
    /// The gradient of the last step's mean loss before any clipping, by PyTorch's names and shapes; zeros before the
    /// first step. `model` is the one that this was made for.
    pub fn gradients<'a>(&'a self, model: &'a CharModel) -> impl Iterator<Item = Tensor<Export<'a>>> {
        export::tensors(&model.params, self.grads.sum(), str::to_owned)
    }

    /// One update from `ids` and `targets`, `[T, B]` each, with learning rate `lr`. A symbol of V or more is one never
    /// seen: no input, and no target that counts. `model` is the one that this was made for.
    ///
    /// Errors: arrays of another length; the loss or the gradient is not finite, and then nothing has moved.
    pub fn step(
        &mut self,
        model: &mut CharModel,
        (crew, kernels): (&Crew, &Kernels),
        ids: &[u32],
        targets: &[u32],
        lr: f64,
    ) -> Result<LearnReport, TrainError> {
        let Self { network, grads, optimizer, norm, lane_nats, shard_nats, step } = self;
        let config = &model.config;
        let tokens = config.seq * config.batch;
        for (name, symbols) in [("ids", ids), ("targets", targets)] {
            if symbols.len() != tokens {
                let (found, seq, batch) = (symbols.len(), config.seq, config.batch);
                let what = format!("{found} {name}, but a step takes {seq} steps of {batch} lanes: {tokens}");
                return Err(TrainError::Symbols(what));
            }
        }
        crew.lead(|| {
            let counted = targets.iter().filter(|&&t| (t as usize) < model.vocab.len()).count();
            let scale = (1.0 / counted.max(1) as f64) as f32;
            let position = step.wrapping_mul(config.seq as u64);
            let dropout = |p: f64| (p > 0.0).then(|| Dropout::new(p, config.seed, position, 0));
            let (dropout, output_dropout) = (dropout(config.dropout), dropout(config.output_dropout));
            if config.no_carry {
                network.clear_state();
            }
            let chunk = Chunk { steps: config.seq, ids, targets, scale, dropout, output_dropout };
            network.forward(crew, kernels, &model.params, &chunk);
            lane_nats.fill(0.0);
            loss::by_lane(network.nats(config.seq), lane_nats);
            network.backward(crew, kernels, &model.params, &chunk);
            grads.compute(crew, kernels, &model.params, network, ids);
            for (s, sum) in shard_nats.iter_mut().enumerate() {
                *sum = lane_nats[grads.lanes_of(s)].iter().fold(0.0, |a, b| a + b);
            }
            let nats = loss::tree(shard_nats);

            let usable = nats.is_finite();
            let diverged = |what| TrainError::Diverged { step: *step + 1, what, usable };
            let grad_norm = norm.of(crew, kernels, grads.sum()).map_err(|at| diverged(model.params.tensor_at(at)))?;
            if !usable {
                return Err(diverged("the loss".into()));
            }
            let clip = clip::factor(config.clip_norm, grad_norm);
            optimizer.update((crew, kernels), &mut model.params, grads.sum(), (*step + 1, lr, clip));
            model.params.derive(crew, kernels);
            network.carry(config.seq);
            *step += 1;
            let counted = counted as u64;
            Ok(LearnReport { step: *step, nats: nats / counted.max(1) as f64, counted, grad_norm })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, ScheduleKind};
    use crate::trainer::Trainer;
    use gatemill_corpus::{Corpus, Lanes, OpenOptions, Split};
    use std::sync::Arc;

    /// A trainer reads the corpus, a learner is handed the same symbols.
    #[test]
    fn a_learner_has_the_trainers_bits() {
        let text = "it turns and it turns, and then it turns ".repeat(40);
        let (crew, kernels) = (Arc::new(Crew::new(2).unwrap()), Kernels::best());
        for (shards, dropout, no_carry) in [(1, 0.0, false), (3, 0.25, false), (2, 0.0, true)] {
            let config = Config {
                layers: 2,
                hidden: 17,
                batch: 3,
                seq: 9,
                shards,
                dropout,
                output_dropout: dropout / 2.0,
                no_carry,
                schedule: ScheduleKind::Constant,
                ..Config::default()
            };
            let corpus = Corpus::from_bytes("text", text.as_bytes().to_vec(), &OpenOptions::default()).unwrap();
            let corpus = Arc::new(corpus);
            let mut trainer = Trainer::new(&config, corpus.clone(), crew.clone(), kernels).unwrap();
            let mut model = CharModel::new(&config, corpus.vocab(), &crew, &kernels).unwrap();
            let mut learner = Learner::new(&model, &crew).unwrap();
            let mut lanes = Lanes::new(&corpus, Split::Train, 3, 9).unwrap();
            let mut symbols = lanes.chunk(9);
            for step in 0..5 {
                let report = trainer.step().unwrap();
                lanes.fill(9 * step, 9, &mut symbols).unwrap();
                let (ids, targets) = (&symbols.inputs, &symbols.targets);
                let learned = learner.step(&mut model, (&crew, &kernels), ids, targets, config.lr).unwrap();
                assert_eq!((learned.step, learned.counted), (report.step, 27));
                assert_eq!((learned.nats, learned.grad_norm), (report.train_nats, report.grad_norm));
            }
            assert_eq!(model.weights_sha256(), trainer.weights_sha256(), "{config:?}");
        }
    }
}
