//! The training step: bytes -> tokens -> lanes -> forward -> loss -> backward -> weight gradients -> update -> checkpoint.
//!
//! [`Trainer::step`] is the nine stages for one chunk. All memory is made in [`Trainer::new`]; a step allocates nothing.
//! A checkpoint holds all that a step depends on, so that a resumed run has the same bits (design section 2).

use crate::checkpoint::Snapshot;
use crate::clip::{self, Norm};
use crate::config::Config;
use crate::error::TrainError;
use crate::eval::{self, Evaluation};
use crate::flow::{Flow, brief};
use crate::groups::Groups;
use crate::loss;
use crate::model::{CharModel, field};
use crate::optim::Optimizer;
use crate::phases::{PhaseClock, Phases};
use crate::sample::{self, SampleOptions};
use crate::schedule::{Plateau, Standing, learning_rate};
use gatemill_cell::{Chunk, Network, NetworkOptions, WeightGrads};
use gatemill_corpus::{Corpus, Fetcher, Lanes, Split};
use gatemill_crew::Crew;
use gatemill_kernels::{Dropout, Kernels};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

mod cost; // what a step will take
mod snapshot; // a checkpoint's content

pub use cost::{Cost, weight_bytes};
pub(crate) use cost::{at_most, workers_for};

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
    /// Of a task: the share of the batch's classes, tags or symbols that were right.
    pub accuracy: Option<f64>,
}

/// An epoch's end.
#[derive(Debug, Clone, PartialEq)]
pub struct EpochEnd {
    /// Which, from 1.
    pub epoch: u64,
    /// Token mean of the loss over the epoch, nats per symbol.
    pub train_nats: f64,
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
        let most = cost::most_workers(config, model.vocab.len());
        let workers = at_most(most, &crew);
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
            workers: workers.threads(),
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
            accuracy: None,
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

    /// Takes a score of the validation text in, for a schedule that goes by it. Some: the learning rate after a cut.
    pub(crate) fn observe_score(&mut self, nats: f64) -> Option<f64> {
        let (config, total, progress) = (&self.model.config, self.total_steps(), &mut self.progress);
        progress.plateau.score(config, nats).then(|| learning_rate(config, &progress.standing(total)))
    }
    /// Settles how many steps the run has. For a run that is measured in minutes.
    pub(crate) fn set_steps(&mut self, steps: u64) {
        self.model.config.steps = Some(steps);
    }
    /// Whether every weight and moment is a finite number, as a checkpoint must be.
    pub fn is_finite(&self) -> bool {
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
    /// Gradients by distance on places of the validation text, up to T symbols back, for about a twelfth of an evaluation's
    /// passes. None: the text is too short for a handful of places. The training state is untouched.
    pub fn flow_in_brief(&self) -> Result<Option<Flow>, TrainError> {
        brief::flow(&self.model, &self.corpus, (&self.crew, &self.kernels))
    }
    /// A text by the model as it stands.
    pub fn sample(&self, options: &SampleOptions) -> Result<Vec<u8>, TrainError> {
        sample::text(&self.model, options, &self.crew, &self.kernels)
    }
}

fn total_steps(config: &Config, chunks_per_epoch: u64) -> u64 {
    config.steps.unwrap_or(config.epochs.saturating_mul(chunks_per_epoch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatemill_corpus::OpenOptions;
    use std::time::Instant;

    pub(super) fn trainer(config: &Config, text: &str) -> Trainer {
        let corpus = Corpus::from_bytes("text", text.as_bytes().to_vec(), &OpenOptions::default()).unwrap();
        Trainer::new(config, Arc::new(corpus), Arc::new(Crew::new(2).unwrap()), Kernels::best()).unwrap()
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
        let state = trainer.snapshot().held();
        assert!(state.tensor("state.h_l0").unwrap().data.iter().all(|&h| h == 0.0), "the state has not moved");
    }
}
