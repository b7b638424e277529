//! The flags of `gatemill runs`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `gatemill runs`.
#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    /// One run folder to look into, several to compare, or a folder with runs in it [default: runs]
    #[arg(value_name = "RUN|DIR")]
    pub(crate) paths: Vec<PathBuf>,
    /// Show only what the models wrote while they learned, and at which loss
    #[arg(long)]
    pub(crate) samples: bool,
    /// Show how writing got better: what the models wrote at each stage, at which loss, and how many words are real
    #[arg(long, conflicts_with = "samples")]
    pub(crate) stages: bool,
    /// Write the stages as a page, one HTML file, in place of the text
    #[arg(long, short, value_name = "FILE", requires = "stages")]
    pub(crate) out: Option<PathBuf>,
    /// Order of several runs: the newest last, the lowest validation loss first, the shortest first, or by name
    /// [default: newest]
    #[arg(long, value_name = "BY")]
    pub(crate) sort: Option<Sort>,
    /// Write one JSON object per run to stdout
    #[arg(long)]
    pub(crate) json: bool,
}

/// An order of runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// By the time of the last line in the log
    Newest,
    /// By the best validation loss
    Val,
    /// By the seconds of training
    Time,
    /// By name
    Name,
}
