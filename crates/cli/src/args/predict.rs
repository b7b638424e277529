//! The flags of `gatemill predict`.

use std::path::PathBuf;

use clap::Args;

use super::size;
use super::train::LARGEST_THREADS;

/// `gatemill predict`.
#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    /// A .safetensors file, or a run folder: its best model, else its newest checkpoint
    pub(crate) model: PathBuf,
    /// What to ask: each a text, a name, or numbers with spaces between them; - and none: standard input, line by line
    #[arg(value_name = "INPUT", allow_negative_numbers = true)]
    pub(crate) inputs: Vec<String>,
    /// Ask for every line of a file: plain inputs, TSV, whose first column is taken, or JSON objects with an "input"
    #[arg(long, value_name = "F", conflicts_with = "inputs")]
    pub(crate) file: Option<PathBuf>,
    /// The N most likely classes, each with its probability; of tags for each symbol, with --json
    #[arg(long, value_name = "N", value_parser = size())]
    pub(crate) top: Option<usize>,
    /// An answer ends after so many symbols, if not before [default: twice the longest that was learned from]
    #[arg(long, value_name = "N", value_parser = size())]
    pub(crate) longest: Option<usize>,
    /// Answers that are followed at a time, the best of which is given
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = size())]
    pub(crate) beam: usize,
    /// Draw the symbols of an answer, below 1 safer, above 1 bolder; 0: always the most likely
    #[arg(long, value_name = "X", default_value_t = 0.0, allow_negative_numbers = true)]
    pub(crate) temperature: f64,
    /// Draw among the N most likely symbols only; 0: among all
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) top_k: usize,
    /// Draw among the fewest symbols that have this probability together; 1: among all
    #[arg(long, value_name = "X", default_value_t = 1.0, allow_negative_numbers = true)]
    pub(crate) top_p: f64,
    /// So many answers for each input
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = size())]
    pub(crate) samples: usize,
    /// Where draws take their chance from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Worker threads; the result does not depend on them [default: all that help]
    #[arg(long, value_name = "N", value_parser = super::between::<usize>(1, LARGEST_THREADS))]
    pub(crate) threads: Option<usize>,
    /// Write one JSON object per input and line: probabilities, attention
    #[arg(long)]
    pub(crate) json: bool,
}
