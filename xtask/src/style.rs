//! Form: rustfmt, clippy and rustdoc, each with every warning an error.

use crate::shell;
use crate::suite::Outcome;
use crate::workspace::Workspace;
use anyhow::Result;

/// Workspaces of their own, which `--all` does not reach.
const APART: [&str; 3] = ["fuzz/Cargo.toml", "benches/peers/candle/Cargo.toml", "benches/peers/burn/Cargo.toml"];

/// rustfmt, in the workspace and in those apart. It reads the sources alone: no peer is fetched or built.
pub(crate) fn fmt(workspace: &Workspace) -> Result<Outcome> {
    shell::run(&mut workspace.cargo(["fmt", "--all", "--", "--check"]))?;
    for manifest in APART {
        shell::run(&mut workspace.cargo(["fmt", "--manifest-path", manifest, "--", "--check"]))?;
    }
    Ok(Outcome::Passed(String::new()))
}

/// Clippy on every target of the workspace. fuzz/ is built by its own suite.
pub(crate) fn clippy(workspace: &Workspace) -> Result<Outcome> {
    let args = ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
    shell::run(&mut workspace.cargo(args))?;
    Ok(Outcome::Passed(String::new()))
}

/// rustdoc. The command and the library are both called gatemill, so their pages would collide: one after the other.
pub(crate) fn docs(workspace: &Workspace) -> Result<Outcome> {
    for packages in [&["--package", "gatemill-cli"][..], &["--workspace", "--exclude", "gatemill-cli"]] {
        let mut command = workspace.cargo(["doc", "--locked", "--no-deps"]);
        shell::run(command.args(packages).env("RUSTDOCFLAGS", "-D warnings"))?;
    }
    Ok(Outcome::Passed(String::new()))
}
