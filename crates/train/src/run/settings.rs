//! What a run reads and what it does beside training: none of it reaches the weights' bits, but for the text itself.

use serde::{Deserialize, Serialize};

use crate::checkpoint::Keep;
use crate::task::TaskKind;

/// Files that are all named; of more, the first and the last.
const NAMED: usize = 4;

/// What is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Source {
    /// The built-in text.
    Builtin {
        /// Its length.
        bytes: u64,
        /// Of its generator.
        seed: u64,
    },
    /// Examples made for a task.
    Made {
        /// Which.
        task: TaskKind,
        /// How many.
        examples: u64,
        /// Of their generator.
        seed: u64,
    },
    /// Files, in this order.
    Files {
        /// Absolute paths.
        paths: Vec<String>,
    },
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Builtin { bytes, seed } => write!(f, "the built-in text, {bytes} bytes, seed {seed}"),
            Source::Made { task, examples, seed } => {
                write!(f, "{examples} examples made for {}, seed {seed}", task.name())
            }
            Source::Files { paths } if paths.len() <= NAMED => f.write_str(&paths.join(", ")),
            Source::Files { paths } => {
                let (first, last) = (paths.first().map_or("", String::as_str), paths.last().map_or("", String::as_str));
                write!(f, "{} files, {first} to {last}", paths.len())
            }
        }
    }
}

/// What a run does beside training. All of it may be changed at any resume: no bit of the weights depends on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Settings {
    /// `--eval-every`: steps between evaluations; none: at each epoch's end.
    pub eval_every: Option<u64>,
    /// `--save-every`: steps between checkpoints; none: at each epoch's end.
    pub save_every: Option<u64>,
    /// `--sample-every`: steps between samples; none: after 1/27, 1/9, 1/3 and all of the run.
    pub sample_every: Option<u64>,
    /// `--keep`: how many checkpoints stay.
    #[serde(with = "keep_text")]
    pub keep: Keep,
    /// `--strict-corpus`: a text that changes while it is in use ends the run, after a checkpoint.
    #[serde(default)]
    pub strict_corpus: bool,
    /// `--flow`: after each evaluation the gradients by distance are looked at, in brief.
    #[serde(default = "on")]
    pub flow: bool,
    /// What is read.
    #[serde(rename = "corpus")]
    pub source: Source,
    /// `--val FILE`: of a task, the examples to validate on, in place of a part of the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val: Option<Source>,
}

impl Settings {
    /// The defaults for a source.
    pub fn new(source: Source) -> Self {
        Self {
            eval_every: None,
            save_every: None,
            sample_every: None,
            keep: Keep::default(),
            strict_corpus: false,
            flow: on(),
            source,
            val: None,
        }
    }
}

fn on() -> bool {
    true
}

/// `Keep` as its text.
mod keep_text {
    use crate::checkpoint::Keep;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(keep: &Keep, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(keep)
    }
    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Keep, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}
