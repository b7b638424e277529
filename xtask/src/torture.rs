//! The long forms, for a night rather than a commit: 2^32 activation sweeps, random kills, more fuzzing.
//!
//! A long form is a test with `#[ignore = "long form: cargo xtask torture"]`; this runs all of them in release mode, the
//! numeric ones on every tier, then each fuzz target for minutes.

use crate::report::{self, Row};
use crate::shell;
use crate::suite::Outcome;
use crate::tiers::{NUMERIC, TIERS, Tests, has_tier};
use crate::workspace::Workspace;
use anyhow::bail;
use std::time::Instant;

/// Ignored tests that are no long forms: second processes of other tests, and the writer of a committed file.
const NO_LONG_FORMS: [&str; 4] = ["--skip", "child_", "--skip", "write_the_sample"];

/// Runs the long forms whose name contains `filter` (all without one), then fuzzes. True if nothing failed.
pub(crate) fn run(workspace: &Workspace, fuzz_seconds: u64, kills: u32, filter: Option<&str>) -> bool {
    let start = Instant::now();
    let harness: Vec<&str> = ["--ignored", "--nocapture"].into_iter().chain(NO_LONG_FORMS).chain(filter).collect();
    // A filter may leave nothing to a row; without one a row that ran nothing has not passed.
    let told = |count| {
        let count = if filter.is_none() { shell::ran_some(count)? } else { count };
        Ok(Outcome::Passed(count.note()))
    };
    let mut rows = Vec::new();
    let tests = Tests::built(workspace, &["--release"]);
    for tier in TIERS.into_iter().filter(|tier| has_tier(tier)) {
        rows.push(Row::of(tier, || match &tests {
            Ok(tests) => tests.forced(workspace, tier, &harness).and_then(told),
            Err(error) => bail!("{error:#}"),
        }));
    }
    rows.push(Row::of("others", || {
        let mut command = workspace.cargo_test(["--release", "--no-fail-fast"]);
        for package in NUMERIC {
            command.args(["--exclude", package]);
        }
        command.args(["--tests", "--"]).args(&harness).env("GATEMILL_KILLS", kills.to_string());
        shell::count(&mut command).and_then(told)
    }));
    if filter.is_none() {
        rows.push(Row::of("proptest", || {
            let mut command = workspace.cargo_test(["--release", "--no-fail-fast"]);
            let count = shell::ran_some(shell::count(command.env("PROPTEST_CASES", "10000"))?)?;
            Ok(Outcome::Passed(count.note()))
        }));
        rows.push(Row::of("fuzz", || crate::fuzz::each_target(workspace, fuzz_seconds)));
    }
    report::print(&rows, start.elapsed())
}
