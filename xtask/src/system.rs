//! What a bare machine may lack, and how a suite gets it: Debian packages (as root), a nightly toolchain, cargo's tools.
//!
//! Each function gives `Ok(None)` if the thing is there now, `Ok(Some(why))` if it can't be had here.

use crate::shell;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::{Command, Stdio};

/// Whether a command runs and succeeds, in silence.
fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Makes sure that `check` succeeds, by installing a Debian package if it doesn't.
pub(crate) fn need_package(workspace: &Workspace, check: &[&str], package: &str) -> Result<Option<String>> {
    let present = || {
        let (program, args) = check.split_first().unwrap_or((&"false", &[]));
        succeeds(workspace.command(*program).args(args))
    };
    if present() {
        return Ok(None);
    }
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout.trim_ascii() == b"0");
    if !is_root || !succeeds(workspace.command("apt-get").arg("--version")) {
        return Ok(Some(format!("`{}` fails; install the Debian package {package} or its like", check.join(" "))));
    }
    shell::run(workspace.command("apt-get").args(["update", "--quiet"]))?;
    let install = ["install", "--quiet", "--yes", "--no-install-recommends", package];
    shell::run(workspace.command("apt-get").args(install).env("DEBIAN_FRONTEND", "noninteractive"))?;
    Ok(if present() { None } else { Some(format!("`{}` fails even with {package} installed", check.join(" "))) })
}

/// Makes sure that there is a nightly toolchain, by installing one through rustup if there is none.
pub(crate) fn need_nightly(workspace: &Workspace) -> Result<Option<String>> {
    let present = || succeeds(&mut workspace.nightly_cargo(["--version"]));
    if present() {
        return Ok(None);
    }
    if !succeeds(workspace.command("rustup").arg("--version")) {
        return Ok(Some("no rustup, so no nightly toolchain".into()));
    }
    let install = ["toolchain", "install", "nightly", "--profile", "minimal", "--no-self-update"];
    match shell::run(workspace.command("rustup").args(install)) {
        Ok(()) if present() => Ok(None),
        Ok(()) => Ok(Some("the nightly toolchain does not start".into())),
        Err(error) => Ok(Some(format!("no nightly toolchain, and it could not be installed: {error:#}"))),
    }
}

/// Removes a folder, if it is there.
pub(crate) fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// A cargo subcommand under `target/tools`, built once per version, and not optimised: that takes longer than it runs.
pub(crate) fn need_cargo_tool(workspace: &Workspace, package: &str, version: &str) -> Result<()> {
    let stamp = workspace.tools().join(format!("{package}-{version}.installed"));
    if stamp.is_file() && workspace.tools().join("bin").join(package).is_file() {
        return Ok(());
    }
    let mut install =
        workspace.cargo(["install", package, "--locked", "--debug", "--force", "--version", version, "--root"]);
    shell::run(install.arg(workspace.tools()))?;
    std::fs::write(&stamp, "").with_context(|| format!("writing {}", stamp.display()))
}
