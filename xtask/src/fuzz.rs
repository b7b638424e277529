//! Every fuzz target of fuzz/ for some seconds, from the committed seeds. What it finds becomes a test.
//!
//! Memory limits are part of the check: a reader that allocates what a header claims fails here.

use crate::suite::Outcome;
use crate::workspace::Workspace;
use crate::{shell, system};
use anyhow::{Context, Result, bail};

/// Pinned, built once into `target/tools`.
const CARGO_FUZZ: &str = "0.13.2";

/// Ten seconds of each target.
pub(crate) fn run(workspace: &Workspace) -> Result<Outcome> {
    each_target(workspace, 10)
}

/// `seconds` of each target.
pub(crate) fn each_target(workspace: &Workspace, seconds: u64) -> Result<Outcome> {
    // libFuzzer itself is C++.
    if let Some(why) = system::need_package(workspace, &["c++", "--version"], "g++")? {
        return Ok(Outcome::Skipped(why));
    }
    if let Some(why) = system::need_nightly(workspace)? {
        return Ok(Outcome::Skipped(why));
    }
    if let Err(error) = system::need_cargo_tool(workspace, "cargo-fuzz", CARGO_FUZZ) {
        return Ok(Outcome::Skipped(format!("cargo-fuzz {CARGO_FUZZ} could not be installed: {error:#}")));
    }
    let targets = targets(workspace)?;
    let built = workspace.target.join("fuzz");
    shell::run(workspace.nightly_cargo(["fuzz", "build", "--target-dir"]).arg(&built))?;
    // Targets that need files put them here, and are ended without a chance to clear them away.
    let scratch = workspace.target.join("fuzz-scratch");
    for target in &targets {
        system::remove(&scratch)?;
        std::fs::create_dir_all(&scratch).with_context(|| format!("making {}", scratch.display()))?;
        // New inputs go to the first folder, which git does not see; the seeds are only read.
        let found = workspace.target.join("fuzz-corpus").join(target);
        std::fs::create_dir_all(&found).with_context(|| format!("making {}", found.display()))?;
        let mut command = workspace.nightly_cargo(["fuzz", "run", "--target-dir"]);
        command.arg(&built).arg(target).arg(found).env("TMPDIR", &scratch);
        let seeds = workspace.root.join("fuzz/seeds").join(target);
        if seeds.is_dir() {
            command.arg(seeds);
        }
        let limits =
            ["-rss_limit_mb=1024", "-malloc_limit_mb=64", "-timeout=10", "-verbosity=0", "-print_final_stats=1"];
        command.arg("--").arg(format!("-max_total_time={seconds}")).args(limits);
        shell::run(&mut command).with_context(|| format!("fuzz target {target}"))?;
    }
    Ok(Outcome::Passed(format!("{} targets, {seconds} s each", targets.len())))
}

/// The names of the binaries of fuzz/Cargo.toml.
fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let path = workspace.root.join("fuzz/Cargo.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let manifest: toml::Table = text.parse().with_context(|| format!("reading {}", path.display()))?;
    let bins = manifest.get("bin").and_then(|bins| bins.as_array()).into_iter().flatten();
    let names: Vec<_> = bins.filter_map(|bin| Some(bin.get("name")?.as_str()?.to_owned())).collect();
    if names.is_empty() {
        bail!("{} names no target", path.display());
    }
    Ok(names)
}
