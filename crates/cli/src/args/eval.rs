//! The flags of `gatemill eval`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use gatemill_corpus::Split;

use super::size;

/// `gatemill eval`.
#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// A .safetensors file, or a run folder: its best model, else its newest checkpoint
    pub(crate) model: PathBuf,
    /// The text to score: files and folders read as one, from its start, as `train` reads them; of a task's model
    /// examples, one a line; beside --split where the run's text is now
    #[arg(value_name = "FILE", required_unless_present = "split")]
    pub(crate) files: Vec<PathBuf>,
    /// Score a part of the run's own text in place of a text: val as training does, or test, which training never reads
    #[arg(long, value_name = "PART", value_parser = split())]
    pub(crate) split: Option<Split>,
    /// Parts of the text read side by side [default: the run's]
    #[arg(long, value_name = "B", value_parser = size(), requires = "split")]
    pub(crate) batch: Option<usize>,
    /// Write one JSON object to stdout
    #[arg(long)]
    pub(crate) json: bool,
}

fn split() -> impl TypedValueParser<Value = Split> {
    PossibleValuesParser::new(["val", "test"]).map(|part| if part == "test" { Split::Test } else { Split::Val })
}
