//! What a run goes through: a trainer and what it reads, as far as the loop of a run has to know them.

use gatemill_corpus::CorpusError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::Settings;
use crate::checkpoint::Snapshot;
use crate::config::Config;
use crate::config_page::to_toml;
use crate::error::TrainError;
use crate::eval::Evaluation;
use crate::events::{Metrics, TaskFacts};
use crate::export::Export;
use crate::flow::Flow;
use crate::trainer::StepReport;

/// A configuration: the flags of a run.
pub trait Flags: Clone + Serialize + DeserializeOwned + Send {
    /// Its key in a checkpoint's record.
    const KEY: &'static str;
    /// Flags that weights, moments or the order of what is read were made with: no resume changes them.
    const FIXED: &'static [&'static str];
    /// What all configurations have.
    fn base(&self) -> &Config;
    /// Every flag with its value, by its name.
    fn flags(&self) -> Map<String, Value>;
    /// The page `config.toml`, without its head.
    fn page(&self, settings: &Settings) -> String;
}

impl Flags for Config {
    const KEY: &'static str = "config";
    const FIXED: &'static [&'static str] = &[
        "cell",
        "layers",
        "hidden",
        "embed",
        "tied",
        "batch",
        "accumulate",
        "seq",
        "vocab",
        "lossy",
        "document-separator",
        "optimizer",
        "init",
        "init-scale",
        "forget-bias",
        "val-frac",
        "test-frac",
    ];

    fn base(&self) -> &Config {
        self
    }
    fn flags(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        }
    }
    fn page(&self, settings: &Settings) -> String {
        to_toml(self, settings).unwrap_or_else(|error| format!("# not written: {error}\n"))
    }
}

/// Symbols of each part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PartSymbols {
    /// To learn from.
    pub train: u64,
    /// To validate on.
    pub val: u64,
    /// To test on.
    pub test: u64,
}

/// What a course is, and what a step of it costs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Facts {
    /// Symbols of each part.
    pub symbols: PartSymbols,
    /// Training symbols of an epoch that no step takes.
    pub dropped_symbols: u64,
    /// Distinct symbols.
    pub vocab: usize,
    /// Weights, by PyTorch's count.
    pub parameters: u64,
    /// Bytes of weights, moments, gradients and buffers.
    pub memory_bytes: u64,
    /// 6 x the weights that multiply.
    pub flops_per_token: f64,
    /// What a task is.
    pub task: Option<TaskFacts>,
}

/// How good a model is on a part.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// Its loss there.
    pub evaluation: Evaluation,
    /// What else was measured.
    pub metrics: Metrics,
}

/// What a run goes through.
pub trait Course: Send {
    /// Its flags.
    type Config: Flags;

    /// The effective configuration.
    fn config(&self) -> &Self::Config;
    /// What it is and what a step costs.
    fn facts(&self) -> Facts;
    /// What should be known about what it reads, in sentences.
    fn notes(&self) -> Vec<String>;
    /// What the thing that it reads is known by.
    fn fingerprint(&self) -> String;
    /// Errors: what it reads is not what it was.
    fn check_unchanged(&self) -> Result<(), CorpusError>;

    /// One step.
    fn step(&mut self) -> Result<StepReport, TrainError>;
    /// Steps made.
    fn step_count(&self) -> u64;
    /// Symbols learned from so far.
    fn tokens(&self) -> u64;
    /// Steps of the whole run.
    fn total_steps(&self) -> u64;
    /// Steps of an epoch.
    fn steps_per_epoch(&self) -> u64;
    /// Whether all steps are made.
    fn is_done(&self) -> bool {
        self.step_count() >= self.total_steps()
    }
    /// Settles how many steps the run has.
    fn set_steps(&mut self, steps: u64);
    /// Seconds that a step will take, by a trial that changes nothing.
    fn rehearse(&mut self) -> Result<f64, TrainError>;

    /// The score on the validation part; or why there is none, if that should be said.
    fn evaluate(&mut self) -> Result<Result<Scored, Option<String>>, TrainError>;
    /// The score on the test part, with the best model, else with the model as it stands; or why there is none.
    fn test(&mut self, best: Option<&Snapshot>) -> Result<Result<Scored, Option<String>>, TrainError>;
    /// Takes a score in, for a schedule that goes by it. Some: the learning rate after a cut.
    fn observe_score(&mut self, nats: f64) -> Option<f64>;
    /// Gradients by distance in brief on the validation part. None: it has none, or too little text for them.
    fn flow(&self) -> Result<Option<Flow>, TrainError> {
        Ok(None)
    }
    /// What the model writes, to be looked at.
    fn sample(&mut self) -> Result<String, TrainError>;

    /// Whether every weight and moment is a finite number.
    fn is_finite(&self) -> bool;
    /// SHA-256 of the weights.
    fn weights_sha256(&self) -> String;
    /// Whether there is room to write a checkpoint now.
    fn room_for_snapshot(&self) -> Result<(), TrainError>;
    /// A checkpoint: all that is needed to go on.
    fn checkpoint(&self) -> Snapshot<Export<'_>>;
    /// The model alone.
    fn model(&self) -> Snapshot<Export<'_>>;
}
