//! The training step of a task: examples -> lanes -> forward -> loss -> backward -> weight gradients -> update.
//!
//! The loss of a step is the mean over its counted targets. The gradients of all parts are one gradient to norm, clip and
//! learning rate: its norm is the root of the parts' squares added in their order. What a step depends on is in a
//! snapshot: weights, moments, counters; which examples come next is a function of seed and epoch.

use super::alphabet::Alphabet;
use super::config::{TaskConfig, TaskKind};
use super::evaluate::{TaskScore, counted, score, sums};
use super::example::{Example, check};
use super::lanes::shuffled;
use super::model::TaskModel;
use super::parts::{ByRole, Role, form};
use super::passes::{Drops, Machine, Passes};
use crate::clip::{self, Norm};
use crate::config::Config;
use crate::error::TrainError;
use crate::optim::Optimizer;
use crate::schedule::{Plateau, Standing, learning_rate};
use crate::trainer::{at_most, workers_for};
use gatemill_cell::WeightGrads;
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

mod snapshot; // a checkpoint's content

/// Where a run stands: all that a step depends on beside weights and moments.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Progress {
    /// Updates made.
    step: u64,
    /// Epochs ended.
    epochs: u64,
    /// Batches of the current epoch done.
    batch: u64,
    /// Examples learned from.
    examples: u64,
    /// Nats, targets and hits of the current epoch.
    epoch_nats: f64,
    epoch_targets: u64,
    epoch_hits: u64,
    /// What the scores have done to the learning rate.
    plateau: Plateau,
}

impl Progress {
    /// What the learning rate of a run of `total` steps goes by.
    fn standing(&self, total: u64) -> Standing<'_> {
        Standing { step: self.step, total, epochs: self.epochs, plateau: &self.plateau }
    }
}

/// What one step did.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskStep {
    /// Updates made, this one included.
    pub step: u64,
    /// The epoch that the step belongs to, from 1.
    pub epoch: u64,
    /// Examples learned from so far.
    pub examples: u64,
    /// Mean loss of the counted targets, nats each.
    pub nats: f64,
    /// The part of them that was the most likely.
    pub accuracy: f64,
    /// Targets that counted.
    pub targets: u64,
    /// Gradient norm before clipping.
    pub grad_norm: f64,
    /// The learning rate used.
    pub lr: f64,
    /// The epoch that ended with this step.
    pub epoch_end: Option<TaskEpoch>,
}

/// An epoch's end.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskEpoch {
    /// Which, from 1.
    pub epoch: u64,
    /// Mean loss over the epoch, as its steps met it.
    pub nats: f64,
    /// The part of the targets that was the most likely, likewise.
    pub accuracy: f64,
}

/// One part's gradient, moments and norm.
#[derive(Debug)]
struct Learning {
    grads: WeightGrads,
    optimizer: Optimizer,
    norm: Norm,
}

/// A model in training.
#[derive(Debug)]
pub struct TaskTrainer {
    model: TaskModel,
    passes: Passes,
    learning: ByRole<Learning>,
    examples: Vec<Example>,
    /// The examples in the order of an epoch, and of which one.
    order: Vec<u32>,
    order_of: Option<u64>,
    /// The crew, or a smaller one where a step is too small for all of it.
    crew: Arc<Crew>,
    kernels: Kernels,
    progress: Progress,
}

/// Symbols of an input and of an answer where there are no examples to go by: a guess.
const SYMBOLS: f64 = 32.0;

/// Floating-point operations of a step: 6 for each weight that multiplies and each row that it multiplies.
fn flop_of_step(model: &TaskModel, examples: &[Example]) -> f64 {
    let mean = |of: &dyn Fn(&Example) -> usize| match examples.is_empty() {
        true => SYMBOLS,
        false => examples.iter().map(|e| of(e) as f64).fold(0.0, |a, b| a + b) / examples.len() as f64,
    };
    let kind = model.config.kind;
    let read = if kind == TaskKind::Map { 1.0 } else { mean(&|e| e.input.len()) };
    let written = mean(&|e| e.output.len() + usize::from(kind.decodes()));
    let rows = |role| match role {
        Role::Stack | Role::Attention => read,
        Role::Bridge => 1.0,
        Role::Decoder | Role::Combine | Role::Head => written,
    };
    let forms = Role::ALL.into_iter().filter_map(|role| Some((role, form(&model.config, &model.alphabet, role)?)));
    let each = forms.map(|(role, form)| 6.0 * form.multiplying() * rows(role)).fold(0.0, |a, b| a + b);
    let batch = model.config.base.batch;
    each * if examples.is_empty() { batch } else { examples.len().min(batch) } as f64
}

impl TaskTrainer {
    /// A new run over these examples; none, where the caller brings every batch ([`TaskTrainer::learn`]).
    ///
    /// Errors: an impossible configuration or alphabet; an example that this kind cannot learn from; no memory.
    pub fn new(
        config: &TaskConfig,
        alphabet: &Alphabet,
        examples: Vec<Example>,
        crew: Arc<Crew>,
        kernels: Kernels,
    ) -> Result<Self, TrainError> {
        let model = TaskModel::new(config, alphabet, &crew, &kernels)?;
        Self::assemble(model, Progress::default(), examples, crew, kernels)
    }

    fn assemble(
        mut model: TaskModel,
        progress: Progress,
        examples: Vec<Example>,
        crew: Arc<Crew>,
        kernels: Kernels,
    ) -> Result<Self, TrainError> {
        check(model.config.kind, &model.alphabet, &examples)?;
        let longest = examples.iter().map(|example| example.output.len()).max().unwrap_or(0);
        model.longest = model.longest.max(longest);
        let most = workers_for(flop_of_step(&model, &examples), model.config.base.hidden);
        let crew = at_most(most, &crew);
        let passes = Passes::new(&model, true)?;
        let learning = ByRole::try_new(|role| {
            let (Some(network), Some(params)) = (passes.networks.get(role), model.params.get(role)) else {
                return Ok::<_, TrainError>(None);
            };
            let len = params.layout().params();
            Ok(Some(Learning {
                grads: network.weight_grads(&crew, 1)?,
                optimizer: Optimizer::new(&model.config.base, len)?,
                norm: Norm::new(len),
            }))
        })?;
        Ok(Self { model, passes, learning, examples, order: Vec::new(), order_of: None, crew, kernels, progress })
    }

    /// One update from the next examples of the epoch. Errors: there are none; the loss or the gradient is not finite, and
    /// then nothing has moved; no memory.
    pub fn step(&mut self) -> Result<TaskStep, TrainError> {
        if self.examples.is_empty() {
            return Err(TrainError::Symbols("there are no examples to learn from".into()));
        }
        let epoch = self.progress.epochs;
        if self.order_of != Some(epoch) {
            self.order = shuffled(self.model.config.base.seed, epoch, self.examples.len());
            self.order_of = Some(epoch);
        }
        let batch = self.model.config.base.batch;
        let begin = (self.progress.batch as usize).saturating_mul(batch).min(self.order.len());
        let chosen = &self.order[begin..(begin + batch).min(self.order.len())];
        let examples = std::mem::take(&mut self.examples);
        let batch: Vec<&Example> = chosen.iter().map(|&i| &examples[i as usize]).collect();
        let total = total_steps(&self.model.config.base, examples.len());
        let done = self.update(&batch, total);
        self.examples = examples;
        let mut report = done?;
        self.progress.batch += 1;
        if self.progress.batch >= self.batches_per_epoch() {
            let Progress { epoch_nats, epoch_targets, epoch_hits, .. } = self.progress;
            let mean = |sum: f64| sum / epoch_targets.max(1) as f64;
            let (nats, accuracy) = (mean(epoch_nats), mean(epoch_hits as f64));
            report.epoch_end = Some(TaskEpoch { epoch: report.epoch, nats, accuracy });
            let (epochs, zero) = (report.epoch, 0.0);
            self.progress = Progress {
                epochs,
                batch: 0,
                epoch_nats: zero,
                epoch_targets: 0,
                epoch_hits: 0,
                ..self.progress.clone()
            };
        }
        Ok(report)
    }

    /// One update from examples of the caller's. Errors: none, or more than 2^19; one that this kind cannot learn from;
    /// and as [`TaskTrainer::step`].
    pub fn learn(&mut self, examples: &[Example]) -> Result<TaskStep, TrainError> {
        if !(1..=super::config::MAX_BATCH).contains(&examples.len()) {
            let what = format!("a step learns from 1 to {} examples, not {}", super::config::MAX_BATCH, examples.len());
            return Err(TrainError::Symbols(what));
        }
        check(self.model.config.kind, &self.model.alphabet, examples)?;
        let longest = examples.iter().map(|example| example.output.len()).max().unwrap_or(0);
        self.model.longest = self.model.longest.max(longest);
        self.update(&examples.iter().collect::<Vec<_>>(), self.total_steps())
    }

    fn update(&mut self, examples: &[&Example], total: u64) -> Result<TaskStep, TrainError> {
        let crew = Arc::clone(&self.crew);
        crew.steady(|| self.all_stages(examples, total))
    }

    /// `total`: steps of the whole run, by which the learning rate goes.
    fn all_stages(&mut self, examples: &[&Example], total: u64) -> Result<TaskStep, TrainError> {
        let Self { model, passes, learning, crew, kernels, progress, .. } = self;
        let machine: Machine<'_> = (crew, kernels);
        let base = &model.config.base;

        // Forward and loss.
        let counted = counted(model, examples);
        let scale = (1.0 / counted.max(1) as f64) as f32;
        let drops = Drops::of_step(&model.config, progress.step);
        passes.forward(model, machine, examples, (Some(scale), drops))?;
        let sums = sums(passes, scale, |_, _| {});

        // Backward, then the weight gradients of every part.
        passes.backward(model, machine);
        for (role, part) in learning.iter_mut() {
            let network = passes.networks.at(role);
            part.grads.compute(crew, kernels, model.params.at(role), network, passes.ids(role));
        }

        // Norm, and the check that nothing is amiss before anything moves.
        let usable = sums.nats.is_finite();
        let step = progress.step + 1;
        let diverged = |what| TrainError::Diverged { step, what, usable };
        let mut squares = 0.0;
        for (role, part) in learning.iter_mut() {
            let of_part = part.norm.squared(crew, kernels, part.grads.sum());
            squares += of_part.map_err(|at| {
                let name = model.params.at(role).tensor_at(at);
                diverged(role.tensor(model.config.kind, &name))
            })?;
        }
        if !usable {
            return Err(diverged("the loss".into()));
        }
        let grad_norm = squares.sqrt();

        // Update; what is derived from the weights.
        let lr = learning_rate(base, &progress.standing(total));
        let clip = clip::factor(base.clip_norm, grad_norm);
        for (role, part) in learning.iter_mut() {
            part.optimizer.update(machine, model.params.at_mut(role), part.grads.sum(), (step, lr, clip));
        }
        model.derive(crew, kernels);

        progress.step = step;
        progress.examples += examples.len() as u64;
        progress.epoch_nats += sums.nats;
        progress.epoch_targets += sums.targets;
        progress.epoch_hits += sums.hits;
        let of_targets = |sum: f64| sum / sums.targets.max(1) as f64;
        Ok(TaskStep {
            step,
            epoch: progress.epochs + 1,
            examples: progress.examples,
            nats: of_targets(sums.nats),
            accuracy: of_targets(sums.hits as f64),
            targets: sums.targets,
            grad_norm,
            lr,
            epoch_end: None,
        })
    }

    /// Scores the model as it stands on these examples; nothing is learned, and the training state is untouched.
    ///
    /// Errors: an example that this kind cannot read; no memory.
    pub fn evaluate(&mut self, examples: &[Example]) -> Result<TaskScore, TrainError> {
        let Self { model, passes, crew, kernels, .. } = self;
        crew.steady(|| score(model, passes, (crew, kernels), examples))
    }
    /// Steps of an epoch.
    pub fn batches_per_epoch(&self) -> u64 {
        batches(self.examples.len(), self.model.config.base.batch)
    }
    /// Steps of the whole run.
    pub fn total_steps(&self) -> u64 {
        total_steps(&self.model.config.base, self.examples.len())
    }
    /// Whether all steps are made.
    pub fn is_done(&self) -> bool {
        self.progress.step >= self.total_steps()
    }
    /// Updates made.
    pub fn step_count(&self) -> u64 {
        self.progress.step
    }
    /// Epochs ended.
    pub fn epochs(&self) -> u64 {
        self.progress.epochs
    }
    /// Settles how many steps the run has.
    pub fn set_steps(&mut self, steps: u64) {
        self.model.config.base.steps = Some(steps);
    }
    /// Takes a score of the validation examples in, for a schedule that goes by it.
    /// Some: the learning rate after a cut.
    pub fn observe_score(&mut self, nats: f64) -> Option<f64> {
        let (total, base, progress) = (self.total_steps(), &self.model.config.base, &mut self.progress);
        progress.plateau.score(base, nats).then(|| learning_rate(base, &progress.standing(total)))
    }
    /// The model as it stands.
    pub fn model(&self) -> &TaskModel {
        &self.model
    }
    /// The same, to be changed before the first step: another start.
    pub fn model_mut(&mut self) -> &mut TaskModel {
        &mut self.model
    }
    /// See [`TaskModel::weights_sha256`].
    pub fn weights_sha256(&self) -> String {
        self.model.weights_sha256()
    }
    /// Whether every weight and moment is a finite number, as a checkpoint must be.
    pub fn is_finite(&self) -> bool {
        let finite = |x: &[f32]| x.iter().all(|x| x.is_finite());
        self.model.params.iter().all(|(_, params)| finite(params.masters()))
            && self.learning.iter().all(|(_, part)| part.optimizer.moments().iter().all(|(_, moment)| finite(moment)))
    }
    /// Workers that share a step: fewer than the crew has where it is too small for all of them. Bits do not depend on it.
    pub fn workers(&self) -> usize {
        self.crew.threads()
    }
    /// Bytes of weights, gradients, moments and of the buffers of the largest batch so far.
    pub fn size_bytes(&self) -> usize {
        let parts = self.learning.iter().map(|(_, part)| part.grads.size_bytes() + part.optimizer.size_bytes());
        let weights = self.model.params.iter().map(|(_, params)| params.size_bytes());
        self.passes.size_bytes() + parts.sum::<usize>() + weights.sum::<usize>()
    }
    /// The gradient of the last step, of a tensor by its name in a file, in PyTorch's layout. None: there is no such one.
    pub fn gradient(&self, name: &str) -> Option<Vec<f32>> {
        self.model.params.iter().find_map(|(role, params)| {
            let is = |spec: &&gatemill_cell::TensorSpec| role.tensor(self.model.config.kind, &spec.name) == name;
            let spec = params.specs().iter().find(is)?;
            Some(params.export(spec, self.learning.get(role)?.grads.sum()))
        })
    }
}

/// Steps of a run over so many examples.
fn total_steps(base: &Config, examples: usize) -> u64 {
    base.steps.unwrap_or(base.epochs.saturating_mul(batches(examples, base.batch)))
}

/// Batches of an epoch of `n` examples; the last may be smaller.
fn batches(n: usize, batch: usize) -> u64 {
    n.div_ceil(batch) as u64
}
