//! The training step: bytes -> tokens -> lanes -> forward -> loss -> backward -> weight gradients -> update -> checkpoint.
//!
//! [`Trainer::step`] is the nine stages for one chunk. All memory is made in [`Trainer::new`]; a step allocates nothing.
//! A checkpoint holds all that a step depends on, so that a resumed run has the same bits (design section 2).

use crate::checkpoint::{Snapshot, Tensor};
use crate::clip::{self, Norm};
use crate::config::{Config, ScheduleKind};
use crate::error::TrainError;
use crate::eval::{self, Evaluation};
use crate::groups::Groups;
use crate::loss;
use crate::model::{CharModel, field, layout, multiplying};
use crate::optim::Optimizer;
use crate::phases::{PhaseClock, Phases};
use crate::sample::{self, SampleOptions};
use crate::schedule::{Plateau, Standing, learning_rate};
use gatemill_cell::{Chunk, LayerState, Network, NetworkOptions, OutOfMemory, WeightGrads};
use gatemill_corpus::{Corpus, Fetcher, Lanes, Split};
use gatemill_crew::Crew;
use gatemill_kernels::{Dropout, Kernels};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;

/// Floating-point operations of a step that make up for one more worker: with fewer the workers pass their data around
/// for longer than they save (doc/performance.md).
const FLOP_PER_WORKER: f64 = 1e7;
/// Below so many hidden units the data passed around grow beside the operations.
const FEW_UNITS: usize = 64;

/// Workers that a step of this configuration can use.
fn most_workers(config: &Config, vocab: usize) -> usize {
    let flop = 6.0 * multiplying(config, vocab) * config.tokens_per_step() as f64;
    let thin = (FEW_UNITS as f64 / config.hidden as f64).max(1.0);
    (flop / (FLOP_PER_WORKER * thin * thin * thin)).max(1.0) as usize
}

/// A rehearsal runs this part of a chunk's steps.
const REHEARSED_PART: usize = 8;

/// A symbol on its way into a record: a JSON value, and its digits in three copies. Generous, as is the next.
const SYMBOL_TEXT_BYTES: usize = 64;
/// The rest of a record, and names and shapes.
const RECORD_BYTES: usize = 1 << 20;

/// Where a run stands: all that a step depends on beside weights, moments and states.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
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
    /// What the scores have done to the learning rate.
    #[serde(default)]
    pub(crate) plateau: Plateau,
}

impl Progress {
    /// What the learning rate of a run of `total` steps goes by.
    fn standing(&self, total: u64) -> Standing<'_> {
        Standing { step: self.step, total, epochs: self.epochs, plateau: &self.plateau }
    }
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
    groups: Groups,
    corpus: Arc<Corpus>,
    fetcher: Fetcher,
    crew: Arc<Crew>,
    /// The crew, or a smaller one where a step is too small for all of it.
    workers: Arc<Crew>,
    kernels: Kernels,
    progress: Progress,
    chunks_per_epoch: u64,
    /// `[N*B]`: losses of the chunk by lane.
    lane_nats: Vec<f64>,
    /// `[N*S]`: losses of the chunk by shard.
    shard_nats: Vec<f64>,
    /// Seconds of the last step.
    phases: Phases,
}

impl Trainer {
    /// A new run. Errors: impossible configuration, corpus too short for B lanes of T, no memory.
    pub fn new(config: &Config, corpus: Arc<Corpus>, crew: Arc<Crew>, kernels: Kernels) -> Result<Self, TrainError> {
        config.validate()?;
        let model = CharModel::new(config, corpus.vocab(), &crew, &kernels)?;
        Self::assemble(model, Progress::default(), corpus, crew, kernels)
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
        let most = most_workers(config, model.vocab.len());
        // Bits do not depend on it. Where the system refuses the threads, all of the crew's will do.
        let fewer = (most < crew.threads()).then(|| Crew::new(most).ok()).flatten();
        let workers = fewer.map_or_else(|| Arc::clone(&crew), Arc::new);
        let reader = Lanes::new(&corpus, Split::Train, config.lanes(), steps)?;
        let chunks_per_epoch = reader.chunks(steps);
        let fetcher = Fetcher::new(reader, steps, progress.chunk);
        let options = NetworkOptions {
            steps,
            lanes,
            backward: true,
            dropout: config.dropout > 0.0,
            output_dropout: config.output_dropout > 0.0,
            input_grad: false,
            split: None,
        };
        let network = Network::new(model.params.layout(), options)?;
        let len = model.params.layout().params();
        Ok(Self {
            grads: network.grouped_weight_grads(&workers, config.shards, config.accumulate)?,
            optimizer: Optimizer::new(config, len)?,
            norm: Norm::new(len),
            groups: Groups::new(config.accumulate, &network),
            lane_nats: vec![0.0; config.lanes()],
            shard_nats: vec![0.0; config.accumulate * config.shards],
            network,
            corpus,
            fetcher,
            crew,
            workers,
            kernels,
            progress,
            chunks_per_epoch,
            phases: Phases::default(),
            model,
        })
    }

    /// One chunk through the nine stages. Errors: the corpus failed or changed; the loss or gradient is not finite, and
    /// then nothing has moved.
    pub fn step(&mut self) -> Result<StepReport, TrainError> {
        let workers = Arc::clone(&self.workers);
        workers.steady(|| self.nine_stages())
    }

    fn nine_stages(&mut self) -> Result<StepReport, TrainError> {
        let Self { model, network, grads, optimizer, norm, groups, workers: crew, kernels, progress, .. } = self;
        let config = &model.config;
        let mut clock = PhaseClock::start();

        // Bytes -> tokens -> lanes: fetched while the chunk before was computed.
        let symbols = self.fetcher.next()?;
        let counted = symbols.targets.iter().filter(|&&t| (t as usize) < model.vocab.len()).count();
        let scale = (1.0 / counted.max(1) as f64) as f32;
        self.lane_nats.fill(0.0);
        for g in groups.each() {
            let lanes = groups.lanes_of(g);
            let position = progress.step * config.seq as u64;
            let dropout = |p: f64| (p > 0.0).then(|| Dropout::new(p, config.seed, position, lanes.start as u64));
            let (dropout, output_dropout) = (dropout(config.dropout), dropout(config.output_dropout));
            groups.enter(g, network);
            if config.no_carry {
                network.clear_state();
            }
            if self.corpus.has_documents() {
                network.clear_resets();
                for &(t, lane) in symbols.begins.iter().filter(|(_, lane)| lanes.contains(&(*lane as usize))) {
                    network.reset(t as usize, lane as usize - lanes.start);
                }
            }
            let (ids, targets) = groups.symbols(g, symbols);
            let chunk = Chunk { steps: config.seq, ids, targets, scale, dropout, output_dropout };
            clock.lap(|phases| &mut phases.data);

            // Forward, readout and loss.
            network.forward_layers(crew, kernels, &model.params, &chunk);
            clock.lap(|phases| &mut phases.forward);
            network.forward_readout(crew, kernels, &model.params, &chunk);
            loss::by_lane(network.nats(config.seq), &mut self.lane_nats[lanes]);
            clock.lap(|phases| &mut phases.readout);

            // Backward, then weight gradients over all tokens.
            network.backward(crew, kernels, &model.params, &chunk);
            clock.lap(|phases| &mut phases.backward);
            grads.compute_group(crew, kernels, (&model.params, network), ids, g);
            clock.lap(|phases| &mut phases.weight_gradients);
            groups.leave(g, network, config.seq);
            clock.lap(|phases| &mut phases.data);
        }
        grads.reduce(crew, kernels);
        clock.lap(|phases| &mut phases.weight_gradients);
        for (s, sum) in self.shard_nats.iter_mut().enumerate() {
            let (group, shard) = (groups.lanes_of(s / config.shards), grads.lanes_of(s % config.shards));
            *sum = self.lane_nats[group][shard].iter().fold(0.0, |a, b| a + b);
        }
        let nats = loss::tree(&mut self.shard_nats);

        // Norm, and the check that nothing is amiss before anything moves.
        let usable = nats.is_finite();
        let diverged = |what| TrainError::Diverged { step: progress.step + 1, what, usable };
        let grad_norm = norm.of(crew, kernels, grads.sum()).map_err(|at| diverged(model.params.tensor_at(at)))?;
        if !usable {
            return Err(diverged("the loss".into()));
        }

        // Update; what is derived from the weights; the state moves on.
        let total = total_steps(config, self.chunks_per_epoch);
        let lr = learning_rate(config, &progress.standing(total));
        let clip = clip::factor(config.clip_norm, grad_norm);
        optimizer.update((crew, kernels), &mut model.params, grads.sum(), (progress.step + 1, lr, clip));
        model.params.derive(crew, kernels);
        clock.lap(|phases| &mut phases.update);
        groups.carry(network, config.seq);

        progress.step += 1;
        progress.chunk += 1;
        progress.tokens += config.tokens_per_step();
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
            groups.clear(network);
        }
        clock.lap(|phases| &mut phases.data);
        self.phases = clock.phases();
        Ok(report)
    }

    /// Seconds of the last step, by phase.
    pub fn phases(&self) -> Phases {
        self.phases
    }
    /// Losses of the last step's chunk, `[T, B]`, in nats.
    pub(crate) fn nats(&self) -> &[f32] {
        self.network.nats(self.model.config.seq)
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
    /// Takes a score of the validation text in, for a schedule that goes by it. Some: the learning rate after a cut.
    pub(crate) fn observe_score(&mut self, nats: f64) -> Option<f64> {
        let (config, total, progress) = (&self.model.config, self.total_steps(), &mut self.progress);
        if config.schedule != ScheduleKind::Plateau {
            return None;
        }
        let cuts = progress.plateau.cuts;
        progress.plateau.observe(config.lr_patience, nats);
        (progress.plateau.cuts > cuts).then(|| learning_rate(config, &progress.standing(total)))
    }
    /// Settles how many steps the run has. For a run that is measured in minutes.
    pub(crate) fn set_steps(&mut self, steps: u64) {
        self.model.config.steps = Some(steps);
    }
    /// Whether every weight and moment is a finite number, as a checkpoint must be.
    pub fn is_finite(&mut self) -> bool {
        let finite = |x: &[f32]| x.iter().all(|x| x.is_finite());
        let weights = self.model.params.specs().iter().all(|spec| finite(&self.model.params.get(spec)));
        weights && self.optimizer.moments().iter().all(|(_, moment)| finite(moment))
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
    /// The workers, and the kernels' tier.
    pub(crate) fn machine(&self) -> (&Crew, &Kernels) {
        (&self.crew, &self.kernels)
    }
    /// Moves some of a tensor a little, as a fault would. For tests of what finds it.
    #[cfg(test)]
    pub(crate) fn spoil(&mut self, name: &str) {
        let params = &mut self.model.params;
        let spec = params.specs().iter().find(|spec| spec.name == name).expect("a tensor of the model").clone();
        let mut data = params.get(&spec);
        data.iter_mut().step_by(3).for_each(|x| *x += 0.01);
        params.set(name, &data).expect("its own size");
        params.derive(&self.crew, &self.kernels);
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

    /// Whether a checkpoint could be copied out of the trainer now: its tensors, their names, the vocabulary's text.
    ///
    /// Errors: no memory. An allocation that fails in the middle of the copy would end the program instead.
    pub(crate) fn room_for_snapshot(&self) -> Result<(), TrainError> {
        let config = &self.model.config;
        let tensors = 4 * self.model.params.layout().params() + self.optimizer.size_bytes();
        let states = 4 * 2 * config.layers * config.lanes() * config.hidden;
        let bytes = tensors + states + SYMBOL_TEXT_BYTES * self.model.vocab.len() + RECORD_BYTES;
        Vec::<u8>::new().try_reserve_exact(bytes).map_err(|_| OutOfMemory { bytes }.into())
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
        let shape = vec![self.model.config.lanes(), self.model.config.hidden];
        for (l, state) in self.groups.all(&self.network).into_iter().enumerate() {
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
        let len = self.model.config.lanes() * self.model.config.hidden;
        let mut states = Vec::new();
        for (l, now) in self.network.state().iter().enumerate() {
            let c = if now.c.is_some() { Some(tensor(format!("state.c_l{l}"), len)?.clone()) } else { None };
            states.push(LayerState { h: tensor(format!("state.h_l{l}"), len)?.clone(), c });
        }
        self.groups.set_all(&states, &mut self.network);
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

#[cfg(test)]
mod tests {
    use super::*;
    use gatemill_corpus::OpenOptions;

    fn trainer(config: &Config, text: &str) -> Trainer {
        let corpus = Corpus::from_bytes("text", text.as_bytes().to_vec(), &OpenOptions::default()).unwrap();
        Trainer::new(config, Arc::new(corpus), Arc::new(Crew::new(2).unwrap()), Kernels::best()).unwrap()
    }

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

    #[test]
    fn the_phases_of_a_step_are_all_of_it() {
        for accumulate in [1, 2] {
            let config = Config { layers: 2, hidden: 17, batch: 3, seq: 9, accumulate, ..Config::default() };
            let mut trainer = trainer(&config, &"it turns and it turns ".repeat(40));
            assert_eq!(trainer.phases(), crate::Phases::default());
            let begun = Instant::now();
            trainer.step().unwrap();
            let seconds = begun.elapsed().as_secs_f64();
            let phases = trainer.phases().named();
            assert!(phases.iter().all(|&(_, seconds)| seconds > 0.0), "{phases:?}");
            assert!(phases.iter().map(|phase| phase.1).sum::<f64>() <= seconds, "{phases:?} of {seconds}");
        }
    }

    /// N01: the loss is finite, the gradient is not. Nothing has moved, so this state is worth saving.
    #[test]
    fn fault_n01_a_gradient_that_overflows_leaves_all_as_it_was() {
        let config =
            Config { cell: crate::CellKind::Rnn, layers: 1, hidden: 16, batch: 1, seq: 1, ..Config::default() };
        let mut trainer = trainer(&config, &"ab".repeat(40));
        let params = &mut trainer.model.params;
        for (name, value) in [("rnn.weight_ih_l0", 1e-3), ("rnn.weight_hh_l0", 1e-3)] {
            let len = params.specs().iter().find(|spec| spec.name == name).unwrap().len();
            params.set(name, &vec![value; len]).unwrap();
        }
        // `a` is certain where `b` comes: the readout's gradient to h is -6e38.
        params.set("head.weight", &[[3e38; 16], [-3e38; 16]].concat()).unwrap();
        params.set("rnn.bias_ih_l0", &[1e-3; 16]).unwrap();
        params.set("rnn.bias_hh_l0", &[0.0; 16]).unwrap();
        params.derive(&trainer.crew, &trainer.kernels);
        let before = trainer.weights_sha256();
        match trainer.step() {
            Err(TrainError::Diverged { step: 1, what, usable: true }) => assert!(what.starts_with("rnn."), "{what}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(trainer.weights_sha256(), before);
        assert!(trainer.is_finite() && trainer.step_count() == 0);
        let state = trainer.snapshot();
        assert!(state.tensor("state.h_l0").unwrap().data.iter().all(|&h| h == 0.0), "the state has not moved");
    }
}
