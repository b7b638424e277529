//! The training step: bytes -> tokens -> lanes -> forward -> loss -> backward -> weight gradients -> update -> checkpoint.
//!
//! [`Trainer::step`] is the nine stages for one chunk. All memory is made in [`Trainer::new`]; a step allocates nothing.
//! A checkpoint holds all that a step depends on, so that a resumed run has the same bits (design section 2).

use crate::checkpoint::{Snapshot, Tensor};
use crate::clip::{self, Norm};
use crate::config::Config;
use crate::error::TrainError;
use crate::eval::{self, Evaluation};
use crate::loss;
use crate::model::{CharModel, field, layout};
use crate::optim::Optimizer;
use crate::sample::{self, SampleOptions};
use crate::schedule::learning_rate;
use gatemill_cell::{Chunk, LayerState, Network, NetworkOptions, WeightGrads};
use gatemill_corpus::{Corpus, Fetcher, Lanes, Split};
use gatemill_crew::Crew;
use gatemill_kernels::{Dropout, Kernels};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Where a run stands: all that a step depends on beside weights, moments and states.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Progress {
    /// Updates made.
    pub(crate) step: u64,
    /// Epochs ended.
    pub(crate) epochs: u64,
    /// Chunks of the current epoch done.
    pub(crate) chunk: u64,
    /// Tokens trained on.
    pub(crate) tokens: u64,
    /// Nats and counted tokens of the current epoch.
    pub(crate) epoch_nats: f64,
    pub(crate) epoch_tokens: u64,
}

/// What one step did.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// Updates made, this one included.
    pub step: u64,
    /// The epoch that the step belongs to, from 1.
    pub epoch: u64,
    /// Tokens trained on so far.
    pub tokens: u64,
    /// Mean loss of the chunk, nats per symbol.
    pub train_nats: f64,
    /// Gradient norm before clipping.
    pub grad_norm: f64,
    /// The learning rate used.
    pub lr: f64,
    /// The epoch that ended with this step.
    pub epoch_end: Option<EpochEnd>,
}

/// An epoch's end.
#[derive(Debug, Clone, PartialEq)]
pub struct EpochEnd {
    /// Which, from 1.
    pub epoch: u64,
    /// Token mean of the loss over the epoch, nats per symbol.
    pub train_nats: f64,
}

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

/// A model in training.
#[derive(Debug)]
pub struct Trainer {
    model: CharModel,
    network: Network,
    grads: WeightGrads,
    optimizer: Optimizer,
    norm: Norm,
    corpus: Arc<Corpus>,
    fetcher: Fetcher,
    crew: Arc<Crew>,
    kernels: Kernels,
    progress: Progress,
    chunks_per_epoch: u64,
    /// `[B]`: losses of the chunk by lane.
    lane_nats: Vec<f64>,
    /// `[S]`: losses of the chunk by shard.
    shard_nats: Vec<f64>,
}

impl Trainer {
    /// A new run. Errors: impossible configuration, corpus too short for B lanes of T, no memory.
    pub fn new(config: &Config, corpus: Arc<Corpus>, crew: Arc<Crew>, kernels: Kernels) -> Result<Self, TrainError> {
        config.validate()?;
        let model = CharModel::new(config, corpus.vocab(), &crew, &kernels)?;
        let start = Progress { step: 0, epochs: 0, chunk: 0, tokens: 0, epoch_nats: 0.0, epoch_tokens: 0 };
        Self::assemble(model, start, corpus, crew, kernels)
    }

    /// A run as its checkpoint left it, with the same bits from here on. `config` is the effective configuration; shapes
    /// are the checkpoint's. Errors: as `new`, and a checkpoint without optimiser or state.
    pub fn resume(
        config: &Config,
        snapshot: &Snapshot,
        corpus: Arc<Corpus>,
        crew: Arc<Crew>,
        kernels: Kernels,
    ) -> Result<Self, TrainError> {
        config.validate()?;
        let mut model = CharModel::load(snapshot, &crew, &kernels)?;
        model.config = config.clone();
        let progress: Progress = match &snapshot.meta {
            Some(meta) => field(meta, "progress")?,
            None => return Err(TrainError::Model("a model without training state cannot be resumed".into())),
        };
        let mut trainer = Self::assemble(model, progress, corpus, crew, kernels)?;
        trainer.restore(snapshot)?;
        Ok(trainer)
    }

    fn assemble(
        model: CharModel,
        progress: Progress,
        corpus: Arc<Corpus>,
        crew: Arc<Crew>,
        kernels: Kernels,
    ) -> Result<Self, TrainError> {
        let config = &model.config;
        let (steps, lanes) = (config.seq, config.batch);
        let reader = Lanes::new(&corpus, Split::Train, lanes, steps)?;
        let chunks_per_epoch = reader.chunks(steps);
        let fetcher = Fetcher::new(reader, steps, progress.chunk);
        let options = NetworkOptions {
            steps,
            lanes,
            backward: true,
            dropout: config.dropout > 0.0,
            input_grad: false,
            split: None,
        };
        let network = Network::new(model.params.layout(), options)?;
        let len = model.params.layout().params();
        Ok(Self {
            grads: network.weight_grads(config.shards)?,
            optimizer: Optimizer::new(config, len)?,
            norm: Norm::new(len),
            lane_nats: vec![0.0; lanes],
            shard_nats: vec![0.0; config.shards],
            network,
            corpus,
            fetcher,
            crew,
            kernels,
            progress,
            chunks_per_epoch,
            model,
        })
    }

    /// One chunk through the nine stages. Errors: the corpus failed or changed; the loss or gradient is not finite, and
    /// then nothing has moved.
    pub fn step(&mut self) -> Result<StepReport, TrainError> {
        let Self { model, network, grads, optimizer, norm, crew, kernels, progress, .. } = self;
        let config = &model.config;

        // Bytes -> tokens -> lanes: fetched while the chunk before was computed.
        let symbols = self.fetcher.next()?;
        let counted = symbols.targets.iter().filter(|&&t| (t as usize) < model.vocab.len()).count();
        let dropout = (config.dropout > 0.0)
            .then(|| Dropout::new(config.dropout, config.seed, progress.step * config.seq as u64, 0));
        let chunk = Chunk {
            steps: config.seq,
            ids: &symbols.inputs,
            targets: &symbols.targets,
            scale: (1.0 / counted.max(1) as f64) as f32,
            dropout,
        };

        // Forward, readout and loss.
        network.forward(crew, kernels, &model.params, &chunk);
        self.lane_nats.fill(0.0);
        loss::by_lane(network.nats(config.seq), &mut self.lane_nats);
        for (s, sum) in self.shard_nats.iter_mut().enumerate() {
            *sum = self.lane_nats[grads.lanes_of(s)].iter().fold(0.0, |a, b| a + b);
        }
        let nats = loss::tree(&mut self.shard_nats);

        // Backward, then weight gradients over all tokens.
        network.backward(crew, kernels, &model.params, &chunk);
        grads.compute(crew, kernels, &model.params, network, chunk.ids);

        // Norm, and the check that nothing is amiss before anything moves.
        let diverged = |what| TrainError::Diverged { step: progress.step + 1, what };
        let grad_norm = norm.of(crew, kernels, grads.sum()).map_err(|at| diverged(model.params.tensor_at(at)))?;
        if !nats.is_finite() {
            return Err(diverged("the loss".into()));
        }

        // Update; what is derived from the weights; the state moves on.
        let lr = learning_rate(config, progress.step, total_steps(config, self.chunks_per_epoch));
        let clip = clip::factor(config.clip_norm, grad_norm);
        optimizer.update((crew, kernels), &mut model.params, grads.sum(), (progress.step + 1, lr, clip));
        model.params.derive(crew, kernels);
        network.carry(config.seq);

        progress.step += 1;
        progress.chunk += 1;
        progress.tokens += (config.seq * config.batch) as u64;
        progress.epoch_nats += nats;
        progress.epoch_tokens += counted as u64;
        let mut report = StepReport {
            step: progress.step,
            epoch: progress.epochs + 1,
            tokens: progress.tokens,
            train_nats: nats / counted.max(1) as f64,
            grad_norm,
            lr,
            epoch_end: None,
        };
        if progress.chunk == self.chunks_per_epoch {
            let train_nats = progress.epoch_nats / progress.epoch_tokens.max(1) as f64;
            report.epoch_end = Some(EpochEnd { epoch: report.epoch, train_nats });
            *progress =
                Progress { epochs: report.epoch, chunk: 0, epoch_nats: 0.0, epoch_tokens: 0, ..progress.clone() };
            network.clear_state();
        }
        Ok(report)
    }

    /// Whether all steps are made.
    pub fn is_done(&self) -> bool {
        self.progress.step >= self.total_steps()
    }
    /// Steps of the whole run.
    pub fn total_steps(&self) -> u64 {
        total_steps(&self.model.config, self.chunks_per_epoch)
    }
    /// Chunks of an epoch.
    pub fn steps_per_epoch(&self) -> u64 {
        self.chunks_per_epoch
    }
    /// Updates made.
    pub fn step_count(&self) -> u64 {
        self.progress.step
    }
    /// The model as it stands.
    pub fn model(&self) -> &CharModel {
        &self.model
    }
    /// The kernels' tier.
    pub fn kernels(&self) -> &Kernels {
        &self.kernels
    }
    /// See [`CharModel::weights_sha256`].
    pub fn weights_sha256(&self) -> String {
        self.model.weights_sha256()
    }

    /// Loss over the validation text, lanes cut and carried as in training, at most `eval_tokens` symbols of it. None
    /// where the validation text is too short for B lanes. The training state is untouched.
    pub fn evaluate(&mut self) -> Result<Option<Evaluation>, TrainError> {
        let state = self.network.state();
        let limit = self.model.config.eval_tokens;
        let result =
            eval::lanes(&self.model, &mut self.network, &self.corpus, Split::Val, limit, (&self.crew, &self.kernels));
        self.network.set_state(&state);
        result
    }
    /// A text by the model as it stands.
    pub fn sample(&self, options: &SampleOptions) -> Result<Vec<u8>, TrainError> {
        sample::text(&self.model, options, &self.crew, &self.kernels)
    }

    /// What the run costs.
    pub fn cost(&self) -> Cost {
        let config = &self.model.config;
        let memory = self.model.params.size_bytes()
            + self.network.size_bytes()
            + self.grads.size_bytes()
            + self.optimizer.size_bytes();
        let (h, v) = (config.hidden as f64, self.model.vocab.len() as f64);
        let gates = gatemill_kernels::Cell::from(config.cell).gates() as f64;
        let multiplying = gates * h * h * (2 * config.layers - 1) as f64 + h * v;
        let used = self.chunks_per_epoch * (config.seq * config.batch) as u64;
        Cost {
            parameters: self.model.parameters() as u64,
            memory_bytes: memory as u64,
            dropped_symbols: self.corpus.symbols(Split::Train).saturating_sub(used),
            flops_per_token: 6.0 * multiplying,
        }
    }

    /// The model alone, for `best.safetensors`.
    pub fn model_snapshot(&self) -> Snapshot {
        self.model.snapshot()
    }

    /// A checkpoint: model, moments (`optim.*`), carried states (`state.*`), counters, corpus fingerprint, tier.
    pub fn snapshot(&mut self) -> Snapshot {
        let mut snapshot = self.model.snapshot();
        let params = &self.model.params;
        for (name, moment) in self.optimizer.moments() {
            for spec in params.specs().iter().filter(|_| !moment.is_empty()) {
                let data = params.export(spec, moment);
                snapshot.tensors.push(Tensor {
                    name: format!("{name}.{}", spec.name),
                    shape: spec.shape.clone(),
                    data,
                });
            }
        }
        let shape = vec![self.model.config.batch, self.model.config.hidden];
        for (l, state) in self.network.state().into_iter().enumerate() {
            let tensor = |name: &str, data| Tensor { name: format!("state.{name}_l{l}"), shape: shape.clone(), data };
            snapshot.tensors.push(tensor("h", state.h));
            snapshot.tensors.extend(state.c.map(|c| tensor("c", c)));
        }
        if let Some(meta) = &mut snapshot.meta {
            meta.insert("progress".into(), serde_json::to_value(&self.progress).unwrap_or_default());
            meta.insert("step".into(), self.progress.step.into());
            meta.insert("corpus".into(), self.corpus.fingerprint().to_string().into());
            meta.insert("isa".into(), self.kernels.name().into());
        }
        snapshot
    }

    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), TrainError> {
        let tensor = |name: String, len: usize| match snapshot.tensor(&name) {
            Some(t) if t.data.len() == len => Ok(&t.data),
            Some(_) => Err(TrainError::Model(format!("`{name}` has another size"))),
            None => Err(TrainError::Model(format!("`{name}` is missing: this is a model, not a checkpoint"))),
        };
        let params = &self.model.params;
        for (name, moment) in self.optimizer.moments() {
            let used = !moment.is_empty();
            for spec in params.specs().iter().filter(|_| used) {
                params.import(spec, tensor(format!("{name}.{}", spec.name), spec.len())?, moment)?;
            }
        }
        let len = self.model.config.batch * self.model.config.hidden;
        let mut states = Vec::new();
        for (l, now) in self.network.state().iter().enumerate() {
            let c = if now.c.is_some() { Some(tensor(format!("state.c_l{l}"), len)?.clone()) } else { None };
            states.push(LayerState { h: tensor(format!("state.h_l{l}"), len)?.clone(), c });
        }
        self.network.set_state(&states);
        Ok(())
    }
}

fn total_steps(config: &Config, chunks_per_epoch: u64) -> u64 {
    config.steps.unwrap_or(config.epochs.saturating_mul(chunks_per_epoch))
}

/// Bytes that a model of this configuration over `vocab` symbols needs for its weights alone; for checks before
/// anything is allocated.
pub fn weight_bytes(config: &Config, vocab: usize) -> u64 {
    4 * layout(config, vocab).params() as u64
}
