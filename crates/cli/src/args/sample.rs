//! The flags of `gatemill sample`.
//!
//! Numbers that cannot be are refused by [`gatemill_train::SampleOptions::validate`], with what comes nearest.

use std::path::PathBuf;

use clap::Args;
use clap::builder::RangedU64ValueParser;

use super::size;

/// More texts at once help no worker.
const MOST_SAMPLES: u64 = 4096;

/// `gatemill sample`.
#[derive(Debug, Args)]
pub(crate) struct SampleArgs {
    /// A .safetensors file, or a run folder: its best model, else its newest checkpoint
    pub(crate) model: PathBuf,
    /// What the text begins with; characters that the model never saw are read as nothing
    #[arg(long, value_name = "TEXT", default_value = "", allow_hyphen_values = true)]
    pub(crate) prime: String,
    /// A file with what the text begins with, taken as it is; - reads it from stdin
    #[arg(long, value_name = "F", conflicts_with = "prime")]
    pub(crate) prime_file: Option<PathBuf>,
    /// Characters to write after it; 0 only reads
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub(crate) length: u64,
    /// Below 1 safer, above 1 bolder; 0 is --greedy
    #[arg(long, value_name = "X", default_value_t = 0.8, allow_negative_numbers = true)]
    pub(crate) temperature: f64,
    /// Always take the most likely character
    #[arg(long, conflicts_with = "temperature")]
    pub(crate) greedy: bool,
    /// Choose among the N most likely characters only; 0: among all
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) top_k: usize,
    /// Choose among the fewest characters that have this probability together; 1: among all
    #[arg(long, value_name = "X", default_value_t = 1.0, allow_negative_numbers = true)]
    pub(crate) top_p: f64,
    /// Leave out characters less likely than this part of the most likely one; 0: none
    #[arg(long, value_name = "X", default_value_t = 0.0, allow_negative_numbers = true)]
    pub(crate) min_p: f64,
    /// Above 1 makes characters that came lately less likely; 1: off
    #[arg(long, value_name = "X", default_value_t = 1.0, allow_negative_numbers = true)]
    pub(crate) repetition_penalty: f64,
    /// How many of the last characters --repetition-penalty looks at
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) repetition_window: usize,
    /// Another number, another text; the same number, the same text [default: 1, or that of --state-in]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Texts to write, one after the other [default: 1, or as many as --state-in has]
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=MOST_SAMPLES))]
    pub(crate) samples: Option<usize>,
    /// Worker threads, each with some of the samples; the text is the same [default: as many as help]
    #[arg(long, value_name = "N", value_parser = size())]
    pub(crate) threads: Option<usize>,
    /// Go on from where --state-out left off; --prime is read after it
    #[arg(long, value_name = "F")]
    pub(crate) state_in: Option<PathBuf>,
    /// Save where the text ends, so that --state-in can go on from there
    #[arg(long, value_name = "F")]
    pub(crate) state_out: Option<PathBuf>,
    /// Write one JSON object per sample to stdout
    #[arg(long)]
    pub(crate) json: bool,
}
