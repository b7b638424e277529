//! The pages in a real browser: the built command writes them, headless Chromium opens them from their files, and tests go
//! by clicks, keys and pixels (`tests/pages`).
//!
//! Chromium and its driver are Debian's, of one version; Selenium speaks to the driver, Pillow reads the pictures.

use crate::python::{self, Environment};
use crate::suite::Outcome;
use crate::workspace::Workspace;
use crate::{shell, system};
use anyhow::{Result, bail};

/// The Python that makes the environment.
const INTERPRETER: &str = "/usr/bin/python3";
/// Pinned: another version is a change to look at, not a surprise.
const PACKAGES: [&str; 3] = ["pytest==9.2.0", "selenium==4.51.0", "pillow==13.0.0"];
const TESTS: &str = "tests/pages";

/// Builds the command, installs the browser, runs pytest.
pub(crate) fn run(workspace: &Workspace) -> Result<Outcome> {
    if let Some(why) = python::need_venv(workspace, INTERPRETER)? {
        return Ok(Outcome::Skipped(why));
    }
    for (program, package) in [("/usr/bin/chromium", "chromium"), ("/usr/bin/chromedriver", "chromium-driver")] {
        if let Some(why) = system::need_package(workspace, &[program, "--version"], package)? {
            return Ok(Outcome::Skipped(why));
        }
    }
    let folder = workspace.target.join("pages");
    let environment =
        Environment { folder, interpreter: INTERPRETER, sees_system: false, packages: &PACKAGES }.made(workspace);
    let python = match environment {
        Ok(python) => python,
        Err(error) => {
            return Ok(Outcome::Skipped(format!("{} could not be installed: {error:#}", PACKAGES.join(", "))));
        }
    };
    // The command as its own tests build it.
    shell::run(&mut workspace.cargo_test(["--test", "command_line", "--no-run"]))?;
    let mut pytest = workspace.command(python);
    pytest.env("GATEMILL_COMMAND", workspace.target.join("debug/gatemill"));
    pytest.env("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1").env("PYTHONDONTWRITEBYTECODE", "1");
    pytest.args(["-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=3", TESTS]);
    let count = shell::ran_some(shell::count(&mut pytest)?)?;
    if count.skipped > 0 {
        bail!("{} tests skipped themselves: what they need is to be installed here", count.skipped);
    }
    Ok(Outcome::Passed(count.note()))
}
