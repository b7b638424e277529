//! The flags of `gatemill inspect`.

use std::path::PathBuf;

use clap::Args;

use super::corpus::size_bytes;
use super::{size, whole_or_zero};

/// `gatemill inspect`.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// A .safetensors file, or a run folder: its best model, else its newest checkpoint
    pub(crate) model: PathBuf,
    /// The text that the model reads: a file, a folder, or - for standard input
    #[arg(value_name = "TEXT", required_unless_present = "builtin")]
    pub(crate) text: Option<PathBuf>,
    /// The page to write: one file, opened by a browser, without network
    #[arg(long, short, value_name = "FILE", required_unless_present = "json")]
    pub(crate) out: Option<PathBuf>,
    /// Write the findings to stdout as one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    /// Read the text that `gatemill train` learns from where it is given none
    #[arg(long, conflicts_with = "text")]
    pub(crate) builtin: bool,
    /// How much of the text is read: 5000, 64KiB, 10MB [default: 1MB]
    #[arg(long, value_name = "N", value_parser = size_bytes)]
    pub(crate) bytes: Option<u64>,
    /// Which built-in text: another seed, another text; not the one of training, which is 1 [default: 2]
    #[arg(long, value_name = "N", requires = "builtin", value_parser = whole_or_zero())]
    pub(crate) seed: Option<u64>,

    /// A question of your own: inside a match of PATTERN, as in year=[0-9]{4}; may be given again
    #[arg(long, value_name = "NAME=PATTERN")]
    pub(crate) regex: Vec<String>,
    /// A unit that the page must have, as in 1:34, both from 0; may be given again
    #[arg(long, value_name = "LAYER:UNIT")]
    pub(crate) unit: Vec<String>,
    /// Hold a unit at a value, as in 1:34=0 (an LSTM's c, else h) or h:1:34=0.5, and see what it costs and what is written then; may be given again [default: the best cells with a name]
    #[arg(long, value_name = "[PART:]LAYER:UNIT=VALUE")]
    pub(crate) hold: Vec<String>,
    /// Characters that the page shows [default: 12000]
    #[arg(long, value_name = "N", value_parser = size())]
    pub(crate) show: Option<usize>,
    /// Read the text in one go from its start, and not in up to 64 spans side by side, each behind 512 characters that only warm up the state: slow for a large model
    #[arg(long)]
    pub(crate) exact: bool,
    /// Worker threads; the findings are the same [default: as many as help]
    #[arg(long, value_name = "N", value_parser = size())]
    pub(crate) threads: Option<usize>,
}
