//! The Python package: its wheel is built, installed in clean environments with PyTorch and without, and tested there.
//!
//! PyTorch is Debian's CPU-only build, of the system's own Python; the wheel is of the stable ABI and loads in any.

use crate::python::{self, Environment};
use crate::shell::Count;
use crate::suite::Outcome;
use crate::workspace::Workspace;
use crate::{shell, system};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// The Python that has Debian's packages, whatever else is first on the PATH.
const INTERPRETER: &str = "/usr/bin/python3";
/// Pinned: another version is a change to look at, not a surprise.
const MATURIN: &str = "1.16.0";
const PYTEST: &str = "pytest==9.2.0";
const TESTS: &str = "bindings/python/tests";

/// Builds, installs, and runs pytest twice.
pub(crate) fn run(workspace: &Workspace) -> Result<Outcome> {
    if let Some(why) = python::need_venv(workspace, INTERPRETER)? {
        return Ok(Outcome::Skipped(why));
    }
    let imports = [INTERPRETER, "-c", "import numpy, torch"];
    if let Some(why) = system::need_package(workspace, &imports, "python3-torch")? {
        return Ok(Outcome::Skipped(why));
    }
    let maturin = match maturin(workspace) {
        Ok(path) => path,
        Err(error) => return Ok(Outcome::Skipped(format!("{error:#}"))),
    };
    let folder = workspace.target.join("python");
    let wheel = wheel(workspace, &maturin, "dev", INTERPRETER, &folder.join("wheels"))?;

    let environment = |name: &str, sees_system: bool, packages: &[&str]| {
        let folder = folder.join(name);
        Environment { folder, interpreter: INTERPRETER, sees_system, packages }.made(workspace)
    };
    let with_torch = environment("with-torch", true, &[PYTEST])?;
    let without_torch = environment("without-torch", false, &[PYTEST, "numpy"])?;
    let mut count = Count::default();
    for (python, own) in [(&with_torch, "with_torch"), (&without_torch, "without_torch")] {
        // What it depends on is there already: a wheel that asks for more fails to import.
        let args = ["--no-index", "--no-deps", "--force-reinstall"].map(PathBuf::from);
        python::install(workspace, python, args.iter().chain([&wheel]))?;
        count += tests(workspace, python, own)?;
    }
    Ok(Outcome::Passed(shell::ran_some(count)?.note()))
}

/// The program that builds wheels, installed once.
pub(crate) fn maturin(workspace: &Workspace) -> Result<PathBuf> {
    python::program(workspace, "maturin", MATURIN, "maturin")
        .with_context(|| format!("maturin {MATURIN} could not be installed"))
}

/// The wheel, from the workspace's own build folder, so that little is built anew. Errors: none or several.
pub(crate) fn wheel(
    workspace: &Workspace,
    maturin: &Path,
    profile: &str,
    interpreter: &str,
    folder: &Path,
) -> Result<PathBuf> {
    system::remove(folder)?;
    let mut build = workspace.command(maturin);
    build.args(["build", "--profile", profile, "--locked", "--compatibility", "linux"]);
    build.args(["--manifest-path", "bindings/python/Cargo.toml", "--interpreter", interpreter, "--out"]).arg(folder);
    shell::run(build.env("CARGO_TARGET_DIR", &workspace.target))?;
    let entries = std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut wheels: Vec<_> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    wheels.retain(|path| path.extension().is_some_and(|ending| ending == "whl"));
    match wheels.as_slice() {
        [wheel] if wheel.to_string_lossy().contains("-abi3-") => Ok(wheel.clone()),
        _ => bail!("maturin left {wheels:?} in {} instead of one wheel of the stable ABI", folder.display()),
    }
}

/// The NumPy part, and the part that is this environment's own. Errors: a test failed, or skipped itself.
fn tests(workspace: &Workspace, python: &Path, own: &str) -> Result<Count> {
    let mut pytest = workspace.command(python);
    // The system's packages may bring plugins along; -P: what is imported is installed, not what lies here.
    pytest.env("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1").env("PYTHONDONTWRITEBYTECODE", "1");
    pytest.args(["-P", "-m", "pytest", "-q", "-p", "no:cacheprovider"]);
    let count = shell::count(pytest.args([format!("{TESTS}/arrays"), format!("{TESTS}/{own}")]))?;
    if count.skipped > 0 {
        bail!("{} tests skipped themselves: what they need is to be installed here", count.skipped);
    }
    shell::ran_some(count)
}
