//! Benches in test mode: each runs once and is verified by the oracle; nothing is timed.

use crate::shell;
use crate::suite::Outcome;
use crate::workspace::Workspace;
use anyhow::Result;

/// `cargo test --bench`: criterion runs each bench once.
pub(crate) fn run(workspace: &Workspace) -> Result<Outcome> {
    let mut command = workspace.cargo_test(["--no-fail-fast", "--bench", "*"]);
    let count = shell::ran_some(shell::count(&mut command)?)?;
    Ok(Outcome::Passed(count.note()))
}
