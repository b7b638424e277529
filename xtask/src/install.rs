//! `cargo install` of the command, as its users type it, and the installed program started from another folder.

use crate::suite::Outcome;
use crate::workspace::Workspace;
use crate::{shell, system};
use anyhow::{Context, Result, bail};
use std::path::Path;

/// What `--help` names.
const COMMANDS: [&str; 3] = ["train", "sample", "eval"];

/// Installs into a folder under target/, from the workspace's own build folder, so that little is built anew. What is, for
/// its features are those of this package alone, is not optimised: it is asked for its version and its help.
pub(crate) fn run(workspace: &Workspace) -> Result<Outcome> {
    let root = workspace.target.join("install");
    system::remove(&root)?;
    let mut command =
        workspace.cargo(["install", "--path", "crates/cli", "--locked", "--debug", "--no-track", "--root"]);
    // Cargo installs beside the workspace where a folder for builds is named, as well as where none is.
    command.arg(&root).env("CARGO_TARGET_DIR", &workspace.target).env("CARGO_PROFILE_DEV_OPT_LEVEL", "0");
    shell::run(&mut command)?;

    let program = root.join("bin/gatemill");
    let manifest = workspace.metadata("Cargo.toml")?;
    let packages = manifest["packages"].as_array().into_iter().flatten();
    let version = packages.filter(|package| package["name"] == "gatemill-cli").find_map(|p| p["version"].as_str());
    let version = version.context("cargo metadata names no gatemill-cli")?;
    let answer = said(workspace, &program, &root, "--version")?;
    if answer.trim() != format!("gatemill {version}") {
        bail!("`gatemill --version` says {answer:?} instead of \"gatemill {version}\"");
    }
    let help = said(workspace, &program, &root, "--help")?;
    for command in COMMANDS {
        // The list of commands has one at the start of each line.
        if !help.lines().any(|line| line.split_whitespace().next() == Some(command)) {
            bail!("`gatemill --help` does not name {command:?}:\n{help}");
        }
    }
    Ok(Outcome::Passed(format!("gatemill {version}")))
}

/// What the installed program writes to stdout, started in a folder that is not the workspace. Errors: it fails.
fn said(workspace: &Workspace, program: &Path, folder: &Path, flag: &str) -> Result<String> {
    let mut command = workspace.command(program);
    let shown = shell::shown(command.arg(flag).current_dir(folder));
    println!("$ {shown}");
    let out = command.output().with_context(|| format!("can't start {}", program.display()))?;
    if !out.status.success() {
        bail!("{}: {shown}\n{}", out.status, String::from_utf8_lossy(&out.stderr));
    }
    String::from_utf8(out.stdout).with_context(|| format!("the output of {shown} is not UTF-8"))
}
