//! What the comparison installs and builds, all under `target/peers`: a Python environment, candle's and burn's programs.

use crate::python::{self, Environment};
use crate::shell;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Python packages, by name: PyTorch as its users get it.
const PACKAGES: [&str; 4] = ["torch", "numpy", "onnxruntime", "onnx"];

/// Programs that are there; None where the plan needs none.
pub(crate) struct Built {
    pub(crate) gatemill: PathBuf,
    /// By `--binary`.
    pub(crate) is_given: bool,
    pub(crate) python: Option<PathBuf>,
    pub(crate) candle: Option<PathBuf>,
    pub(crate) burn: Option<PathBuf>,
}

/// Everything of the comparison; gone with `cargo clean`.
pub(crate) fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("peers")
}

/// The command to measure: the one that is given, or a release build.
pub(crate) fn gatemill(workspace: &Workspace, binary: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = binary {
        return std::path::absolute(path)
            .ok()
            .filter(|path| path.is_file())
            .with_context(|| format!("--binary {} is no file", path.display()));
    }
    shell::run(&mut workspace.cargo(["build", "--release", "--locked", "--package", "gatemill-cli"]))?;
    Ok(workspace.target.join("release/gatemill"))
}

/// The interpreter of the virtual environment, which is made once.
pub(crate) fn python(workspace: &Workspace) -> Result<PathBuf> {
    let environment = Environment {
        folder: folder(workspace).join("venv"),
        interpreter: "python3",
        sees_system: false,
        packages: &PACKAGES,
    };
    println!("{} in {}: PyTorch takes gigabytes and minutes, once", PACKAGES.join(" "), environment.folder.display());
    if let Some(why) = python::need_venv(workspace, environment.interpreter)? {
        bail!("no Python environment can be made: {why}");
    }
    environment
        .made(workspace)
        .context("the peers' Python packages could not be installed; --peers candle,burn needs none of them")
}

/// A peer in Rust, from its own workspace under benches/peers, built for this very CPU: its kernels are chosen by the compiler.
pub(crate) fn rust_peer(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let target = folder(workspace).join(name);
    let manifest = format!("benches/peers/{name}/Cargo.toml");
    let mut build = workspace.cargo(["build", "--release", "--locked", "--manifest-path", &manifest, "--target-dir"]);
    shell::run(build.arg(&target).env("RUSTFLAGS", "-C target-cpu=native"))?;
    Ok(target.join(format!("release/gatemill-peer-{name}")))
}

/// What was measured, by name: Gatemill with its commit, the Python packages that are installed, the locked crates.
pub(crate) fn versions(workspace: &Workspace, built: &Built) -> Result<BTreeMap<String, String>> {
    let said = |program: &Path, args: &[&str]| -> Result<String> {
        let out = workspace.command(program).args(args).output();
        let out = out.with_context(|| format!("can't start {}", program.display()))?;
        if !out.status.success() {
            bail!("{} {}: {}", program.display(), args.join(" "), out.status);
        }
        Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
    };
    let mut versions = BTreeMap::new();
    let mut version = said(&built.gatemill, &["--version"])?;
    // A binary that is given may be of any commit.
    if !built.is_given
        && let Ok(commit) = said(Path::new("git"), &["describe", "--always", "--dirty", "--exclude", "*"])
    {
        version += &format!(" ({commit})");
    }
    versions.insert("gatemill".to_owned(), version.trim_start_matches("gatemill ").to_owned());
    if let Some(python) = &built.python {
        let ask = "import sys, platform, importlib.metadata as m\n\
                   print('python', platform.python_version())\n\
                   for name in sys.argv[1:]: print(name, m.version(name))";
        let told = said(python, &[&["-c", ask], &PACKAGES[..]].concat())?;
        let pairs = told.lines().filter_map(|line| line.split_once(' '));
        versions.extend(pairs.map(|(name, version)| (name.to_owned(), version.to_owned())));
    }
    for (peer, program, package) in [("candle", &built.candle, "candle-nn"), ("burn", &built.burn, "burn")] {
        if program.is_some() {
            let path = workspace.root.join(format!("benches/peers/{peer}/Cargo.lock"));
            let lock = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            let version = locked(&lock, package).with_context(|| format!("{} lacks {package}", path.display()))?;
            versions.insert(package.to_owned(), version);
        }
    }
    Ok(versions)
}

/// The version of a package in a Cargo.lock.
fn locked(lock: &str, package: &str) -> Option<String> {
    let lock: toml::Table = lock.parse().ok()?;
    let mut packages = lock.get("package")?.as_array()?.iter();
    let found = packages.find(|entry| entry.get("name").and_then(toml::Value::as_str) == Some(package))?;
    Some(found.get("version")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::locked;
    use crate::workspace::Workspace;

    /// Their builds ask for `--locked`.
    #[test]
    fn the_peers_in_rust_have_committed_locks() {
        let root = Workspace::find().unwrap().root;
        for (peer, package) in [("candle", "candle-nn"), ("burn", "burn")] {
            let lock = std::fs::read_to_string(root.join(format!("benches/peers/{peer}/Cargo.lock"))).unwrap();
            assert!(locked(&lock, package).is_some(), "{peer}");
            assert_eq!(locked(&lock, "no-such-package"), None);
        }
    }
}
