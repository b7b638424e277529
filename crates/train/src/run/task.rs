//! A task's model on its examples (lecture L2), as the course of a run.
//!
//! What counts as a token here is a symbol read or written; in the middle of an epoch their number is that of the examples
//! so far by the mean of an example, so that it is a function of the step.

use std::sync::Arc;
use std::time::Instant;

use gatemill_corpus::CorpusError;
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use serde_json::{Map, Value};

use super::course::PartSymbols;
use super::resume::Resumed;
use super::{Course, Facts, Flags, Means, Place, Run, RunError, Scored, Settings, Source};
use crate::checkpoint::Snapshot;
use crate::config::Config;
use crate::config_page::to_toml;
use crate::error::TrainError;
use crate::events::TaskFacts;
use crate::export::Export;
use crate::task::{Attention, Example, TaskConfig, TaskKind, TaskModel, TaskTrainer};
use crate::trainer::{EpochEnd, StepReport};

mod examples; // text to numbers
mod measure; // how good a model is
mod words; // numbers to text

pub use examples::{Limits, TaskData, Unseen, code_input, form_of};
pub use measure::{MOST_ANSWERED, measure};
pub use words::{answer_text, input_text};

/// Steps of a trial: the first warms up and does not count.
const TRIAL_STEPS: u32 = 3;
/// Examples of a sample.
const SAMPLE_EXAMPLES: usize = 8;
/// Flags of `Config` that mean nothing for a task.
pub const TEXT_FLAGS: [&str; 9] =
    ["seq", "accumulate", "no-carry", "tied", "vocab", "lossy", "document-separator", "eval-tokens", "shards"];

impl Flags for TaskConfig {
    const KEY: &'static str = "task";
    const FIXED: &'static [&'static str] = &[
        "task",
        "bidirectional",
        "pool",
        "attention",
        "bridge",
        "cell",
        "layers",
        "hidden",
        "embed",
        "batch",
        "optimizer",
        "init",
        "init-scale",
        "forget-bias",
        "seed",
        "val-frac",
        "test-frac",
    ];

    fn base(&self) -> &Config {
        &self.base
    }
    fn flags(&self) -> Map<String, Value> {
        let mut flags = self.base.flags();
        TEXT_FLAGS.iter().for_each(|flag| drop(flags.remove(*flag)));
        flags.extend(own_flags(self));
        flags
    }
    fn page(&self, settings: &Settings) -> String {
        let own = own_flags(self);
        let own: String = own.iter().map(|(flag, value)| format!("{flag} = {value}\n")).collect();
        match to_toml(&self.base, settings) {
            Ok(page) => {
                let text = |line: &&str| !TEXT_FLAGS.iter().any(|flag| line.starts_with(&format!("{flag} = ")));
                let rest: String = page.lines().filter(text).map(|line| format!("{line}\n")).collect();
                format!("{own}{rest}")
            }
            Err(error) => format!("# not written: {error}\n"),
        }
    }
}

/// The flags that a task has beside those of every run, by name.
fn own_flags(config: &TaskConfig) -> Map<String, Value> {
    let TaskConfig { kind, bidirectional, pool, attention, bridge, .. } = config;
    let mut flags = Map::new();
    flags.insert("task".to_owned(), kind.name().into());
    flags.insert("bidirectional".to_owned(), (*bidirectional).into());
    for (flag, value) in [
        ("pool", serde_json::to_value(pool)),
        ("attention", serde_json::to_value(attention)),
        ("bridge", serde_json::to_value(bridge)),
    ] {
        flags.insert(flag.to_owned(), value.unwrap_or_default());
    }
    flags
}

/// What a run on examples needs to begin.
pub struct TaskSetup {
    /// The effective configuration.
    pub config: TaskConfig,
    /// Its examples.
    pub data: TaskData,
    /// What every run needs.
    pub means: Means,
}

/// A task's trainer and its examples.
pub struct TaskCourse {
    trainer: TaskTrainer,
    /// A batch for trials, and to show where there is nothing to validate on.
    trial: Vec<Example>,
    val: Vec<Example>,
    test: Vec<Example>,
    examples: u64,
    symbols: PartSymbols,
    fingerprint: String,
    notes: Vec<String>,
    limits: Limits,
    crew: Arc<Crew>,
    kernels: Kernels,
}

impl TaskCourse {
    /// `make` makes the trainer of the training part.
    fn new(
        config: &TaskConfig,
        data: TaskData,
        (crew, kernels): (Arc<Crew>, Kernels),
        make: impl FnOnce(&TaskData, Vec<Example>) -> Result<TaskTrainer, TrainError>,
    ) -> Result<Self, TrainError> {
        let mut data = data;
        let train = std::mem::take(&mut data.train);
        let trial = train.iter().take(config.base.batch).cloned().collect();
        let (examples, symbols) = (train.len() as u64, data.symbols);
        let trainer = make(&data, train)?;
        let TaskData { val, test, fingerprint, notes, limits, .. } = data;
        Ok(Self { trainer, trial, val, test, examples, symbols, fingerprint, notes, limits, crew, kernels })
    }

    /// The trainer.
    pub fn trainer(&self) -> &TaskTrainer {
        &self.trainer
    }

    /// Examples learned from so far.
    fn seen(&self) -> u64 {
        let (epochs, batch) = (self.trainer.epochs(), self.config().base.batch as u64);
        let batches = self.step_count().saturating_sub(epochs.saturating_mul(self.steps_per_epoch()));
        let of_this = batches.saturating_mul(batch).min(self.examples);
        epochs.saturating_mul(self.examples).saturating_add(of_this)
    }
}

impl Run<TaskCourse> {
    /// A new run on examples.
    ///
    /// Errors: impossible configuration, examples that cannot be learned from, no memory; a folder that is taken or cannot
    /// be written.
    pub fn start_task(setup: TaskSetup, place: &Place) -> Result<Self, RunError> {
        let TaskSetup { config, data, means } = setup;
        let (crew, kernels) = (Arc::clone(&means.crew), means.kernels);
        Self::begin(means, place, move || {
            Ok(TaskCourse::new(&config, data, (Arc::clone(&crew), kernels), |data, train| {
                TaskTrainer::new(&config, &data.alphabet, train, crew, kernels)
            })?)
        })
    }

    /// Goes on where a checkpoint of a run on examples left off. Errors: those of [`Run::go_on`].
    pub fn resume_task(resumed: Resumed<TaskConfig>, setup: TaskSetup, allow_override: bool) -> Result<Self, RunError> {
        let TaskSetup { config, data, means } = setup;
        let (crew, kernels) = (Arc::clone(&means.crew), means.kernels);
        let fingerprint = data.fingerprint.clone();
        Self::go_on(resumed, means, (&config, &fingerprint), allow_override, |snapshot| {
            Ok(TaskCourse::new(&config, data, (Arc::clone(&crew), kernels), |_, train| {
                TaskTrainer::resume(&config, snapshot, train, crew, kernels)
            })?)
        })
    }
}

impl Course for TaskCourse {
    type Config = TaskConfig;

    fn config(&self) -> &TaskConfig {
        &self.trainer.model().config
    }
    fn facts(&self) -> Facts {
        let (model, config) = (self.trainer.model(), self.config());
        Facts {
            symbols: self.symbols,
            dropped_symbols: 0,
            vocab: model.alphabet.input.len(),
            parameters: model.parameters() as u64,
            memory_bytes: self.trainer.size_bytes() as u64,
            // What multiplies differs from symbol to symbol: it is not counted.
            flops_per_token: 0.0,
            task: Some(TaskFacts {
                kind: config.kind,
                bidirectional: config.bidirectional,
                pool: config.pool,
                attention: config.attention,
                bridge: config.bridge,
                train_examples: self.examples,
                val_examples: self.val.len() as u64,
                test_examples: self.test.len() as u64,
                outputs: model.alphabet.output.len(),
                best_accuracy: self.limits.accuracy,
                best_nats: self.limits.nats,
            }),
        }
    }
    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }
    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }
    fn check_unchanged(&self) -> Result<(), CorpusError> {
        // Examples were read once, in whole.
        Ok(())
    }

    fn step(&mut self) -> Result<StepReport, TrainError> {
        let step = self.trainer.step()?;
        Ok(StepReport {
            step: step.step,
            epoch: step.epoch,
            tokens: self.tokens(),
            train_nats: step.nats,
            grad_norm: step.grad_norm,
            lr: step.lr,
            epoch_end: step.epoch_end.map(|end| EpochEnd { epoch: end.epoch, train_nats: end.nats }),
            accuracy: Some(step.accuracy),
        })
    }
    fn step_count(&self) -> u64 {
        self.trainer.step_count()
    }
    fn tokens(&self) -> u64 {
        let tokens = u128::from(self.seen()) * u128::from(self.symbols.train) / u128::from(self.examples.max(1));
        u64::try_from(tokens).unwrap_or(u64::MAX)
    }
    fn total_steps(&self) -> u64 {
        self.trainer.total_steps()
    }
    fn steps_per_epoch(&self) -> u64 {
        self.trainer.batches_per_epoch()
    }
    fn set_steps(&mut self, steps: u64) {
        self.trainer.set_steps(steps);
    }
    fn rehearse(&mut self) -> Result<f64, TrainError> {
        // Real steps, by a trainer that is thrown away.
        let model = self.trainer.model();
        let (crew, none) = (Arc::clone(&self.crew), Vec::new());
        let mut other = TaskTrainer::new(&model.config, &model.alphabet, none, crew, self.kernels)?;
        other.learn(&self.trial)?;
        let begun = Instant::now();
        for _ in 1..TRIAL_STEPS {
            other.learn(&self.trial)?;
        }
        Ok(begun.elapsed().as_secs_f64() / f64::from(TRIAL_STEPS - 1))
    }

    fn evaluate(&mut self) -> Result<Result<Scored, Option<String>>, TrainError> {
        if self.val.is_empty() {
            let wanted = self.config().base.val_frac > 0.0;
            return Ok(Err(
                wanted.then(|| "too few examples to set some aside for validation: not evaluated".to_owned())
            ));
        }
        let score = self.trainer.evaluate(&self.val)?;
        measure(self.trainer.model(), score, &self.val, MOST_ANSWERED, (&self.crew, &self.kernels)).map(Ok)
    }
    fn test(&mut self, best: Option<&Snapshot>) -> Result<Result<Scored, Option<String>>, TrainError> {
        if self.test.is_empty() {
            return Ok(Err(Some("too few examples to set some aside for a test: not scored".to_owned())));
        }
        let best = best.map(|best| TaskModel::load(best, &self.crew, &self.kernels)).transpose()?;
        let model = best.as_ref().unwrap_or(self.trainer.model());
        let score = model.evaluate(&self.test, &self.crew, &self.kernels)?;
        measure(model, score, &self.test, usize::MAX, (&self.crew, &self.kernels)).map(Ok)
    }
    fn observe_score(&mut self, nats: f64) -> Option<f64> {
        self.trainer.observe_score(nats)
    }
    fn sample(&mut self) -> Result<String, TrainError> {
        let of = if self.val.is_empty() { &self.trial } else { &self.val };
        let some: Vec<Example> = of.iter().take(SAMPLE_EXAMPLES).cloned().collect();
        words::sample_text(self.trainer.model(), &some, (&self.crew, &self.kernels))
    }

    fn is_finite(&self) -> bool {
        self.trainer.is_finite()
    }
    fn weights_sha256(&self) -> String {
        self.trainer.weights_sha256()
    }
    fn room_for_snapshot(&self) -> Result<(), TrainError> {
        let bytes = self.trainer.size_bytes();
        Vec::<u8>::new().try_reserve_exact(bytes).map_err(|_| gatemill_cell::OutOfMemory { bytes }.into())
    }
    fn checkpoint(&self) -> Snapshot<Export<'_>> {
        self.trainer.snapshot()
    }
    fn model(&self) -> Snapshot<Export<'_>> {
        self.trainer.model().snapshot()
    }
}

/// The configuration of a task where nothing else is asked for: it learns the examples made for it in a minute or so on two
/// cores. Found by trials on these.
pub fn task_defaults(kind: TaskKind) -> TaskConfig {
    let base = Config { layers: 1, batch: 32, val_frac: 0.1, ..Config::default() };
    let mut config = TaskConfig::new(kind);
    config.base = match kind {
        TaskKind::Classify => Config { hidden: 64, embed: 16, epochs: 6, lr: 0.005, ..base },
        TaskKind::Tag => Config { hidden: 48, epochs: 8, lr: 0.01, ..base },
        TaskKind::Translate => Config { hidden: 96, embed: 24, batch: 64, epochs: 5, lr: 0.004, ..base },
        TaskKind::Describe => Config { hidden: 96, embed: 16, epochs: 8, lr: 0.004, ..base },
        TaskKind::Map => Config { hidden: 32, epochs: 30, lr: 0.02, ..base },
    };
    if kind == TaskKind::Translate {
        config.attention = Attention::Dot;
    }
    config
}

/// What a run on examples reads where no file is given: made ones.
pub fn made_source(kind: TaskKind) -> Source {
    Source::Made { task: kind, examples: u64::from(made_count(kind)), seed: 1 }
}

/// How many are made: enough to learn the task in a minute.
pub fn made_count(kind: TaskKind) -> u32 {
    match kind {
        TaskKind::Classify => 8_000,
        TaskKind::Tag => 4_000,
        TaskKind::Translate => 20_000,
        TaskKind::Describe => 8_000,
        TaskKind::Map => 4_000,
    }
}
