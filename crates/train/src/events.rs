//! What a run tells: one JSON object per line, on stdout with `--json` and always in `events.jsonl`.
//!
//! Every event says in `event` what it is and carries the step at which it was made, so that a log can be cut back to a
//! checkpoint. Losses are nats per symbol in f64, written so that reading gives the same bits back. Times are seconds of
//! training steps; evaluation, samples and saves are not counted.

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::run::Ending;
use crate::task::{Attention, Bridge, Pool, TaskKind};

/// One line of `events.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// A run begins or goes on.
    Start(Box<Start>),
    /// A setting was changed on resuming, with leave.
    Override(Override),
    /// Something that should be known although the work goes on.
    Notice(Notice),
    /// One step was made.
    Step(Step),
    /// The validation text was scored.
    Eval(Eval),
    /// How far the model remembers, by the gradients.
    Flow(Flow),
    /// An epoch ended.
    Epoch(Epoch),
    /// The model wrote something.
    Sample(Sample),
    /// A checkpoint or the best model is durably on disk.
    Checkpoint(Checkpoint),
    /// A signal ended the run before its end, after a checkpoint.
    Stopped(Stopped),
    /// The run is at its end.
    Done(Done),
}

/// What a run is and what it will cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// Steps made before: 0 for a new run.
    pub step: u64,
    /// Run folder.
    pub run: String,
    /// Version of Gatemill.
    pub version: String,
    /// Tier of the kernels.
    pub isa: String,
    /// Worker threads.
    pub threads: usize,
    /// What is read.
    pub corpus: String,
    /// Symbols of the training text.
    pub train_symbols: u64,
    /// Symbols of the validation text.
    pub val_symbols: u64,
    /// Symbols of the test text.
    #[serde(default)]
    pub test_symbols: u64,
    /// Training symbols of an epoch that no chunk takes.
    pub dropped_symbols: u64,
    /// V.
    pub vocab: usize,
    /// Weights, by PyTorch's count.
    pub parameters: u64,
    /// Bytes of weights, moments, gradients and buffers.
    pub memory_bytes: u64,
    /// 6 x the weights that multiply.
    pub flops_per_token: f64,
    /// Steps of the whole run.
    pub steps: u64,
    /// Steps of an epoch.
    pub steps_per_epoch: u64,
    /// Seconds that the steps of an epoch will take, as a trial of a part of one step says.
    #[serde(default)]
    pub seconds_per_epoch: f64,
    /// Seconds that the steps to the end will take.
    #[serde(default)]
    pub seconds_in_all: f64,
    /// The effective configuration, by the names of the flags.
    pub config: Config,
    /// What the task is; nothing of a character model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskFacts>,
}

/// What a task is: its kind and flags, its examples, how good one can get.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskFacts {
    /// `--task`
    pub kind: TaskKind,
    /// `--bidirectional`
    pub bidirectional: bool,
    /// `--pool`
    pub pool: Pool,
    /// `--attention`
    pub attention: Attention,
    /// `--bridge`
    pub bridge: Bridge,
    /// Examples to learn from.
    pub train_examples: u64,
    /// Examples to validate on.
    pub val_examples: u64,
    /// Examples to test on.
    pub test_examples: u64,
    /// Classes, tags, or symbols of answers.
    pub outputs: usize,
    /// The best accuracy that there can be on the validation part, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_accuracy: Option<f64>,
    /// The least nats per symbol that there can be, where they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_nats: Option<f64>,
}

/// What is measured of a task beside its loss; nothing of a character model.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Metrics {
    /// Share of classes, tags or symbols of answers that are right, the symbols before being given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Share of answers that are right from end to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact: Option<f64>,
    /// Mean Levenshtein distance between the answer and the one wanted, in symbols.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit_distance: Option<f64>,
    /// The same, of each answer over the length of the longer of the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit_rate: Option<f64>,
    /// Examples that were answered for `exact` and `edit_distance`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<u64>,
    /// For each class how well it is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<ClassScore>>,
}

/// How well a class is told from the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassScore {
    /// Its name.
    pub class: String,
    /// Of those called so, the share that is.
    pub precision: f64,
    /// Of those that are, the share called so.
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
    /// How many are.
    pub support: u64,
}

/// A changed setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Override {
    /// The step from which it holds.
    pub step: u64,
    /// The flag, without dashes; `isa` for the tier.
    pub flag: String,
    /// The value so far.
    pub from: serde_json::Value,
    /// The value from here on.
    pub to: serde_json::Value,
}

/// A warning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// The step.
    pub step: u64,
    /// A sentence.
    pub text: String,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Updates made, this one included.
    pub step: u64,
    /// The epoch it belongs to, from 1.
    pub epoch: u64,
    /// Tokens trained on so far.
    pub tokens: u64,
    /// Mean loss of the chunk.
    pub train_nats: f64,
    /// Gradient norm before clipping.
    pub grad_norm: f64,
    /// Learning rate used.
    pub lr: f64,
    /// Tokens of this step by the seconds that it took.
    pub tokens_per_s: f64,
    /// Of a task: the share of the batch's classes, tags or symbols that were right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
}

/// A score on the validation text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Eval {
    /// The step.
    pub step: u64,
    /// Mean loss, nats.
    pub val_nats: f64,
    /// The same in bits per symbol.
    pub val_bits: f64,
    /// Symbols scored.
    pub tokens: u64,
    /// Targets outside the vocabulary: left out.
    pub unseen: u64,
    /// Of a task: what else was measured.
    #[serde(flatten)]
    pub metrics: Metrics,
}

/// Gradients by distance in brief, on places of the validation text (`doc/gradients.md`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// The step.
    pub step: u64,
    /// Places.
    pub positions: usize,
    /// Characters that losses were followed back: at most T.
    pub distance: usize,
    /// The first distance from which on the mean gradient to the state stays below 1 % of that at distance 1. None: not within
    /// `distance`.
    pub memory_ends: Option<usize>,
    /// Half of the sum of the mean gradients lies within this distance.
    pub half: usize,
    /// 95 % of it.
    pub most: usize,
    /// What the median gradient is multiplied by with each further character, over the second half of `distance`.
    pub factor: f64,
    /// Steps since the last of these events.
    pub steps: u64,
    /// Those of them whose gradient was cut to the norm; None: not clipped by norm.
    pub clipped: Option<u64>,
}

/// An epoch's end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// The step.
    pub step: u64,
    /// Which, from 1.
    pub epoch: u64,
    /// Token mean of the loss over the epoch.
    pub train_nats: f64,
    /// Loss on the validation text, where this epoch's end was a time to evaluate.
    pub val_nats: Option<f64>,
    /// Seconds of its steps.
    pub seconds: f64,
}

/// A text by the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The step.
    pub step: u64,
    /// Loss of the chunk before it.
    pub train_nats: f64,
    /// What it wrote; bytes that are no UTF-8 as U+FFFD.
    pub text: String,
}

/// A saved file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The step.
    pub step: u64,
    /// Where it is.
    pub path: String,
    /// Its length.
    pub size_bytes: u64,
    /// Whether it is the best model so far, not a checkpoint.
    pub best: bool,
}

/// A run that a signal ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stopped {
    /// The step.
    pub step: u64,
    /// The signal's name.
    pub signal: String,
}

/// The end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// Steps made in all.
    pub steps: u64,
    /// Tokens trained on in all.
    pub tokens: u64,
    /// Seconds of the steps.
    pub seconds: f64,
    /// Token mean of the last whole epoch; before its end, the last chunk's mean.
    pub train_nats: Option<f64>,
    /// The last score on the validation text.
    pub val_nats: Option<f64>,
    /// The best score on the validation text: that of `best.safetensors`.
    #[serde(default)]
    pub best_nats: Option<f64>,
    /// The step of that score.
    #[serde(default)]
    pub best_step: Option<u64>,
    /// The score on the test text, of the best model.
    #[serde(default)]
    pub test_nats: Option<f64>,
    /// Why it ended here.
    #[serde(default = "all_steps")]
    pub ended: Ending,
    /// SHA-256 of the weights (design section 5).
    pub weights_sha256: String,
    /// Of a task: what was measured with the best score.
    #[serde(flatten)]
    pub best: Metrics,
    /// Of a task: what was measured on the test part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Metrics>,
}

fn all_steps() -> Ending {
    Ending::Steps
}

impl Event {
    /// The step at which it was made.
    pub fn step(&self) -> u64 {
        match self {
            Event::Start(start) => start.step,
            Event::Override(Override { step, .. })
            | Event::Notice(Notice { step, .. })
            | Event::Step(Step { step, .. })
            | Event::Eval(Eval { step, .. })
            | Event::Flow(Flow { step, .. })
            | Event::Epoch(Epoch { step, .. })
            | Event::Sample(Sample { step, .. })
            | Event::Checkpoint(Checkpoint { step, .. })
            | Event::Stopped(Stopped { step, .. })
            | Event::Done(Done { steps: step, .. }) => *step,
        }
    }

    /// Adds the event to `out` as one line. The buffer apart, nothing is allocated for a step.
    pub fn write_line(&self, out: &mut Vec<u8>) {
        let before = out.len();
        match serde_json::to_writer(&mut *out, self) {
            Ok(()) => out.push(b'\n'),
            // Plain fields cannot fail; if one does, no half line is left.
            Err(_) => out.truncate(before),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_back_with_the_same_bits() {
        let step = |x: f64| {
            Event::Step(Step {
                step: 7,
                epoch: 1,
                tokens: 9,
                train_nats: x,
                grad_norm: 0.1,
                lr: 1e-3,
                tokens_per_s: 2e5,
                accuracy: None,
            })
        };
        for x in [0.1 + 0.2, 1.0 / 3.0, f64::MIN_POSITIVE, 4.174_387_269_895_637] {
            let mut line = Vec::new();
            step(x).write_line(&mut line);
            assert_eq!(line.last(), Some(&b'\n'));
            assert_eq!(line.iter().filter(|&&b| b == b'\n').count(), 1);
            let back: Event = serde_json::from_slice(&line).expect("a line is JSON");
            assert_eq!(back, step(x));
        }
    }

    #[test]
    fn names_are_those_of_the_command_line_page() {
        let mut line = Vec::new();
        let done = Done {
            steps: 3,
            tokens: 4,
            seconds: 0.5,
            train_nats: Some(1.5),
            val_nats: None,
            best_nats: Some(2.5),
            best_step: Some(2),
            test_nats: None,
            ended: Ending::Patience,
            weights_sha256: "ab".to_owned(),
            best: Metrics::default(),
            test: None,
        };
        Event::Done(done).write_line(&mut line);
        assert_eq!(
            String::from_utf8_lossy(&line),
            "{\"event\":\"done\",\"steps\":3,\"tokens\":4,\"seconds\":0.5,\"train_nats\":1.5,\"val_nats\":null,\
             \"best_nats\":2.5,\"best_step\":2,\"test_nats\":null,\"ended\":\"patience\",\"weights_sha256\":\"ab\"}\n"
        );
    }
}
