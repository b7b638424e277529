//! The flags of `gatemill completions` and `gatemill man`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

/// `gatemill completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell that will read it
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// `gatemill man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Write a page for each command into this folder, instead of one page with all of them to stdout
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}
