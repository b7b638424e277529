//! The flags of `gatemill sample`.

use std::path::PathBuf;

use clap::Args;

/// `gatemill sample`.
#[derive(Debug, Args)]
pub(crate) struct SampleArgs {
    /// A .safetensors file, or a run folder: its best model, else its newest checkpoint
    pub(crate) model: PathBuf,
    /// What the text begins with; characters that the model never saw are read as nothing
    #[arg(long, value_name = "TEXT", default_value = "", allow_hyphen_values = true)]
    pub(crate) prime: String,
    /// Characters to write after it
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub(crate) length: u64,
    /// Below 1 safer, above 1 bolder; 0 is --greedy
    #[arg(long, value_name = "X", default_value_t = 0.8, allow_negative_numbers = true)]
    pub(crate) temperature: f64,
    /// Always take the most likely character
    #[arg(long, conflicts_with = "temperature")]
    pub(crate) greedy: bool,
    /// Another number, another text; the same number, the same text
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Write one JSON object to stdout
    #[arg(long)]
    pub(crate) json: bool,
}
