//! The flags of `gatemill hello`.

use std::path::PathBuf;

use clap::Args;
use gatemill_train::CellKind;

use super::{named, whole, whole_or_zero};

/// `gatemill hello`.
#[derive(Debug, Args)]
pub(crate) struct HelloArgs {
    /// The text to learn: 2 to 24 characters of any script
    #[arg(default_value = "hello")]
    pub(crate) text: String,
    /// The recurrent cell
    #[arg(long, value_name = "CELL", default_value = "rnn", value_parser = named::<CellKind>(&["rnn", "lstm", "gru"]))]
    pub(crate) cell: CellKind,
    /// Hidden units, 1 to 32
    #[arg(long, value_name = "H", default_value_t = 3)]
    pub(crate) hidden: usize,
    /// Of the initial weights
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole_or_zero())]
    pub(crate) seed: u64,
    /// Updates to make [default: until each next character is right and has at least 0.9]
    #[arg(long, value_name = "N", value_parser = whole())]
    pub(crate) steps: Option<u64>,
    /// Learning rate
    #[arg(long, value_name = "X", default_value_t = 0.1)]
    pub(crate) lr: f64,
    /// Write the walk-through as a page, one HTML file, in place of the text
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Write one JSON object with every number to stdout
    #[arg(long)]
    pub(crate) json: bool,
}
