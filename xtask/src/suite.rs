//! The list of suites, in the order in which they run: what is quick to fail comes first.

use crate::report::{self, Row};
use crate::workspace::Workspace;
use crate::{asan, benches, borders, fuzz, header, install, pages, spelling, style, supply, tiers, wheel};
use anyhow::{Result, bail};
use std::time::Instant;

/// How a suite ended, unless it failed (which is an error).
pub(crate) enum Outcome {
    /// It ran, and all of it held; the note stands in the closing table.
    Passed(String),
    /// This machine lacks something that could be installed, and it couldn't be installed here.
    Skipped(String),
}

/// A named part of `cargo xtask test`.
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    pub(crate) checks: &'static str,
    pub(crate) run: fn(&Workspace) -> Result<Outcome>,
}

/// Every suite.
pub(crate) const SUITES: [Suite; 15] = [
    Suite { name: "fmt", checks: "rustfmt leaves every file as it is", run: style::fmt },
    Suite {
        name: "borders",
        checks: "instruction sets, unsafe and dependencies stay where they belong",
        run: borders::run,
    },
    Suite { name: "supply", checks: "licences and sources of every dependency (deny.toml)", run: supply::run },
    Suite { name: "spelling", checks: "typos in code and prose (typos.toml)", run: spelling::run },
    Suite { name: "header", checks: "the C header is what cbindgen makes of bindings/c", run: header::run },
    Suite { name: "clippy", checks: "no lint, in any target", run: style::clippy },
    Suite { name: "docs", checks: "rustdoc without a warning", run: style::docs },
    Suite { name: "tests", checks: "every test and doctest, on this CPU's best tier", run: tiers::best },
    Suite { name: "tiers", checks: "numeric tests with each other tier forced", run: tiers::others },
    Suite {
        name: "install",
        checks: "cargo install, and the installed command from another folder",
        run: install::run,
    },
    Suite { name: "python", checks: "the wheel, installed with PyTorch and without, and its tests", run: wheel::run },
    Suite { name: "pages", checks: "the HTML pages in headless Chromium, by clicks, keys and pixels", run: pages::run },
    Suite { name: "benches", checks: "every bench once, verified by the oracle", run: benches::run },
    Suite { name: "asan", checks: "crates with unsafe code under AddressSanitizer (nightly)", run: asan::run },
    Suite { name: "fuzz", checks: "10 seconds of each fuzz target (nightly)", run: fuzz::run },
];

/// Prints the suites and what can only run elsewhere.
pub(crate) fn list() {
    for suite in &SUITES {
        println!("{:<9} {}", suite.name, suite.checks);
    }
    report::print_elsewhere();
}

/// The suites with these names, or all. Errors: a name that isn't one.
pub(crate) fn choose(names: &[String]) -> Result<Vec<&'static Suite>> {
    if let Some(unknown) = names.iter().find(|name| !SUITES.iter().any(|suite| suite.name == **name)) {
        let known: Vec<_> = SUITES.iter().map(|suite| suite.name).collect();
        bail!("no suite is called {unknown:?}; the suites are {}", known.join(", "));
    }
    Ok(SUITES.iter().filter(|suite| names.is_empty() || names.iter().any(|name| name == suite.name)).collect())
}

/// Runs suites one after the other, all of them even if one fails, and prints the table. True if nothing failed.
pub(crate) fn run_all(workspace: &Workspace, suites: &[&Suite]) -> bool {
    let start = Instant::now();
    let mut rows = Vec::new();
    for (at, suite) in suites.iter().enumerate() {
        println!("\n=== {} ({} of {}): {}", suite.name, at + 1, suites.len(), suite.checks);
        rows.push(Row::of(suite.name, || (suite.run)(workspace)));
    }
    report::print(&rows, start.elapsed())
}

#[cfg(test)]
mod tests {
    use super::{SUITES, choose};

    #[test]
    fn names_choose_suites_and_a_wrong_name_lists_them() {
        assert_eq!(choose(&[]).unwrap().len(), SUITES.len());
        let chosen = choose(&["tests".into(), "fmt".into()]).unwrap();
        assert_eq!(chosen.iter().map(|suite| suite.name).collect::<Vec<_>>(), ["fmt", "tests"]);
        let error = choose(&["test".into()]).err().unwrap().to_string();
        assert!(error.contains("\"test\"") && error.contains("tiers"), "{error}");
    }
}
