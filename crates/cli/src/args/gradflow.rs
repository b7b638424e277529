//! The flags of `gatemill gradflow`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::RangedI64ValueParser;

use super::between;

/// Farther than any memory that was ever measured.
const LARGEST_DISTANCE: i64 = 10_000;
/// Places beyond which nothing is gained.
const LARGEST_POSITIONS: i64 = 100_000;

const TOY: &str = "The lecture's toy";

/// `gatemill gradflow`.
#[derive(Debug, Args)]
pub(crate) struct GradflowArgs {
    /// A .safetensors file or a run folder, then the text: files and folders read as one; none: the part of the run's own text
    /// that training did not see. With --compare the text to learn from; none: the built-in one
    #[arg(value_name = "MODEL|FILE", required_unless_present_any = ["toy", "compare"], conflicts_with = "toy")]
    pub(crate) paths: Vec<PathBuf>,
    /// Work out the lecture's chain of three steps, expanded, with its gradients factor by factor
    #[arg(long, conflicts_with = "compare")]
    pub(crate) toy: bool,
    /// Train RNN, LSTM and GRU of one size on one text and on a memory task, and lay them side by side
    #[arg(long)]
    pub(crate) compare: bool,
    /// Characters that a loss is followed back [default: 200]
    #[arg(long, value_name = "K", value_parser = distance(), conflicts_with = "toy")]
    pub(crate) distance: Option<usize>,
    /// Places of the text whose losses are followed back [default: 256]
    #[arg(long, value_name = "P", value_parser = between::<usize>(1, LARGEST_POSITIONS), conflicts_with = "toy")]
    pub(crate) positions: Option<usize>,
    /// Measure less of everything, in seconds
    #[arg(long, conflicts_with = "toy")]
    pub(crate) quick: bool,
    /// Write a page with the curves: one file, which opens without a network
    #[arg(short, long = "out", value_name = "FILE", conflicts_with = "toy")]
    pub(crate) out: Option<PathBuf>,
    /// Write one JSON object to stdout
    #[arg(long)]
    pub(crate) json: bool,

    /// The inputs x_1, x_2, ..
    #[arg(long, value_name = "X,X,..", value_delimiter = ',', num_args = 1, default_values_t = [1.0, 1.0, 1.0], allow_negative_numbers = true, requires = "toy", help_heading = TOY)]
    pub(crate) x: Vec<f64>,
    /// The state before the first input
    #[arg(long, value_name = "H", default_value_t = 0.0, allow_negative_numbers = true, requires = "toy", help_heading = TOY)]
    pub(crate) h0: f64,
    /// What the state is multiplied by in each step
    #[arg(long, value_name = "W", default_value_t = 3.0, allow_negative_numbers = true, requires = "toy", help_heading = TOY)]
    pub(crate) w_hh: f64,
    /// What an input is multiplied by
    #[arg(long, value_name = "W", default_value_t = 2.0, allow_negative_numbers = true, requires = "toy", help_heading = TOY)]
    pub(crate) w_xh: f64,
    /// What is added in each step
    #[arg(long, value_name = "B", default_value_t = 1.0, allow_negative_numbers = true, requires = "toy", help_heading = TOY)]
    pub(crate) b: f64,
    /// The w_hh to lay beside it
    #[arg(long, value_name = "W", default_value_t = 0.5, allow_negative_numbers = true, requires = "toy", help_heading = TOY)]
    pub(crate) beside: f64,
    /// Only with tanh around each step, as the slide writes it
    #[arg(long, requires = "toy", conflicts_with = "linear", help_heading = TOY)]
    pub(crate) tanh: bool,
    /// Only without tanh: all numbers exact
    #[arg(long, requires = "toy", help_heading = TOY)]
    pub(crate) linear: bool,
}

fn distance() -> RangedI64ValueParser<usize> {
    between(2, LARGEST_DISTANCE)
}
