//! Spelling of code and prose, by typos with the exceptions of typos.toml.

use crate::suite::Outcome;
use crate::workspace::Workspace;
use crate::{python, shell};
use anyhow::Result;

/// Pinned: a new word list is a change to look at, not a surprise.
const VERSION: &str = "1.52.0";

/// Runs typos over the checkout, from the prebuilt program in its Python package.
pub(crate) fn run(workspace: &Workspace) -> Result<Outcome> {
    if let Some(why) = python::need_venv(workspace, "python3")? {
        return Ok(Outcome::Skipped(why));
    }
    let typos = match python::program(workspace, "typos", VERSION, "typos") {
        Ok(path) => path,
        Err(error) => return Ok(Outcome::Skipped(format!("typos {VERSION} could not be installed: {error:#}"))),
    };
    shell::run(workspace.command(typos).args(["--config", "typos.toml"]))?;
    Ok(Outcome::Passed(String::new()))
}
