//! Every test of the workspace on the CPU's best tier, then the numeric ones again with each other tier forced.
//!
//! A forced tier that the CPU lacks is an error of Gatemill's, so a tier that this program finds is forced **and required**:
//! if the kernels don't see it, their tests fail. The detection here is its own, not theirs.

use crate::shell::{self, Count};
use crate::suite::Outcome;
use crate::system;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// The values of `GATEMILL_ISA`, best first.
pub(crate) const TIERS: [&str; 3] = ["avx512", "avx2", "portable"];

/// The packages whose results depend on the tier.
pub(crate) const NUMERIC: [&str; 3] = ["gatemill-kernels", "gatemill-cell", "gatemill-suite"];

/// Whether this machine has a tier of `TIERS`.
pub(crate) fn has_tier(tier: &str) -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        use std::is_x86_feature_detected as has;
        let avx2 = has!("avx2") && has!("fma");
        match tier {
            "avx512" => avx2 && has!("avx512f") && has!("avx512dq") && has!("avx512bw") && has!("avx512vl"),
            "avx2" => avx2,
            _ => true,
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        tier == "portable"
    }
}

/// The tier that is taken where none is forced.
fn best_tier() -> &'static str {
    TIERS.into_iter().find(|tier| has_tier(tier)).unwrap_or("portable")
}

/// `cargo test --workspace`: unit tests, integration tests, examples and doctests.
pub(crate) fn best(workspace: &Workspace) -> Result<Outcome> {
    // The tests that kill a run at each system call. Without strace they say so, and under CI they fail.
    let strace = system::need_package(workspace, &["strace", "--version"], "strace");
    let strace = strace.unwrap_or_else(|error| Some(format!("strace could not be installed: {error:#}")));
    let without = strace.map_or_else(String::new, |why| format!("; without kills at system calls: {why}"));
    let mut command = workspace.cargo_test(["--no-fail-fast"]);
    let count = shell::ran_some(shell::count(&mut command)?)?;
    Ok(Outcome::Passed(format!("{}, {}{without}", best_tier(), count.note())))
}

/// The tests of `NUMERIC` with each tier but the best, which `best` has run.
pub(crate) fn others(workspace: &Workspace) -> Result<Outcome> {
    let tests = Tests::built(workspace, &[])?;
    let (mut notes, mut faults) = (Vec::new(), Vec::new());
    for tier in TIERS.into_iter().filter(|tier| has_tier(tier) && *tier != best_tier()) {
        match tests.forced(workspace, tier, &[]).and_then(shell::ran_some) {
            Ok(count) => notes.push(format!("{tier}, {}", count.note())),
            Err(error) => faults.push(format!("{tier}: {error:#}")),
        }
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("; "));
    }
    if notes.is_empty() {
        notes.push(format!("this CPU has no tier but {}", best_tier()));
    }
    Ok(Outcome::Passed(notes.join("; ")))
}

/// The unit and integration tests of `NUMERIC`, built.
pub(crate) struct Tests {
    /// Each binary, and the folder of its package, in which cargo starts it.
    binaries: Vec<(PathBuf, PathBuf)>,
}

impl Tests {
    /// Builds them, with more arguments to cargo.
    pub(crate) fn built(workspace: &Workspace, args: &[&str]) -> Result<Self> {
        let mut build = workspace.cargo_test(["--tests", "--no-run"]);
        build.args(args).args(["--message-format", "json-render-diagnostics"]);
        let metadata = workspace.metadata("Cargo.toml")?;
        let packages = metadata["packages"].as_array().into_iter().flatten();
        let numeric: Vec<_> = packages.filter(|package| NUMERIC.iter().any(|name| package["name"] == *name)).collect();
        let mut binaries = Vec::new();
        for line in shell::lines(&mut build)? {
            let message: serde_json::Value = serde_json::from_str(&line).context("a message of cargo")?;
            let Some(package) = numeric.iter().find(|package| package["id"] == message["package_id"]) else { continue };
            let folder = package["manifest_path"].as_str().map(Path::new).and_then(Path::parent);
            if let (Some(binary), Some(folder), Some(true)) =
                (message["executable"].as_str(), folder, message["profile"]["test"].as_bool())
            {
                binaries.push((binary.into(), folder.to_owned()));
            }
        }
        if binaries.is_empty() {
            bail!("cargo built no test of {}", NUMERIC.join(", "));
        }
        Ok(Self { binaries })
    }

    /// Runs all of them with one tier forced, with arguments to the harness. Errors: some failed.
    pub(crate) fn forced(&self, workspace: &Workspace, tier: &str, harness: &[&str]) -> Result<Count> {
        let (mut count, mut failed) = (Count::default(), Vec::new());
        for (binary, package) in &self.binaries {
            let mut command = workspace.command(binary);
            command.current_dir(package).args(harness).env("GATEMILL_ISA", tier).env("CARGO_MANIFEST_DIR", package);
            match shell::count(&mut command) {
                Ok(of) => count += of,
                Err(error) => failed.push(format!("{error:#}")),
            }
        }
        if failed.is_empty() { Ok(count) } else { bail!("{}", failed.join("; ")) }
    }
}
