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
