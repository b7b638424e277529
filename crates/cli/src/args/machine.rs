//! The flags of `gatemill machine`.

use clap::Args;

/// `gatemill machine`.
#[derive(Debug, Args)]
pub(crate) struct MachineArgs {
    /// Leave out the measurements, which take two or three seconds
    #[arg(long)]
    pub(crate) no_measure: bool,
    /// Write one JSON object to stdout
    #[arg(long)]
    pub(crate) json: bool,
}
