//! Python environments under target/: made once for what they hold, whole or not there, and gone with `cargo clean`.

use crate::workspace::Workspace;
use crate::{shell, system};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// What an environment is made of.
pub(crate) struct Environment<'a> {
    /// Where it lies; a marker beside it says what it holds.
    pub(crate) folder: PathBuf,
    /// The interpreter that makes it.
    pub(crate) interpreter: &'a str,
    /// It sees the packages of the interpreter's own system too.
    pub(crate) sees_system: bool,
    /// As pip takes them.
    pub(crate) packages: &'a [&'a str],
}

/// Whether environments can be made; as `system::need_package`.
pub(crate) fn need_venv(workspace: &Workspace, interpreter: &str) -> Result<Option<String>> {
    system::need_package(workspace, &[interpreter, "-c", "import venv, ensurepip"], "python3-venv")
}

impl Environment<'_> {
    /// The environment's interpreter. Errors: it could not be made, or its packages could not be installed.
    pub(crate) fn made(&self, workspace: &Workspace) -> Result<PathBuf> {
        let python = self.folder.join("bin/python");
        let marker = self.folder.with_added_extension("installed");
        let content = self.packages.join(" ") + "\n";
        if python.is_file() && std::fs::read_to_string(&marker).is_ok_and(|text| text == content) {
            return Ok(python);
        }
        system::remove(&self.folder)?;
        let mut venv = workspace.command(self.interpreter);
        venv.args(["-m", "venv"]).args(self.sees_system.then_some("--system-site-packages"));
        shell::run(venv.arg(&self.folder))?;
        if !self.packages.is_empty() {
            install(workspace, &python, self.packages.iter())?;
        }
        std::fs::write(&marker, content).with_context(|| format!("writing {}", marker.display()))?;
        Ok(python)
    }
}

/// Installs into an environment, by its interpreter. Errors: pip's.
pub(crate) fn install<S: AsRef<std::ffi::OsStr>>(
    workspace: &Workspace,
    python: &Path,
    what: impl Iterator<Item = S>,
) -> Result<()> {
    shell::run(workspace.command(python).args(["-m", "pip", "install", "--quiet"]).args(what))
}

/// A program from a Python package, under `target/tools`; made once per version.
pub(crate) fn program(workspace: &Workspace, package: &str, version: &str, program: &str) -> Result<PathBuf> {
    let folder = workspace.tools().join(format!("{package}-{version}"));
    let wanted = format!("{package}=={version}");
    let made =
        Environment { folder, interpreter: "python3", sees_system: false, packages: &[&wanted] }.made(workspace)?;
    Ok(made.with_file_name(program))
}
