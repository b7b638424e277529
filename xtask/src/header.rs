//! The C header: made by cbindgen from bindings/c, committed, and held against what cbindgen makes now.

use crate::suite::Outcome;
use crate::workspace::Workspace;
use crate::{shell, system};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;

/// Pinned: another version is a change of the header to look at.
const CBINDGEN: &str = "0.29.4";
const HEADER: &str = "bindings/c/include/gatemill.h";

/// Compares. Errors: the committed header is another one.
pub(crate) fn run(workspace: &Workspace) -> Result<Outcome> {
    if let Err(error) = system::need_cargo_tool(workspace, "cbindgen", CBINDGEN) {
        return Ok(Outcome::Skipped(format!("cbindgen {CBINDGEN} could not be installed: {error:#}")));
    }
    let made = workspace.target.join("gatemill.h");
    generate(workspace, &made)?;
    let read = |path: &PathBuf| std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()));
    let (committed, made) = (read(&workspace.root.join(HEADER))?, read(&made)?);
    if let Some(line) = first_difference(&committed, &made) {
        bail!(
            "{HEADER}:{line} is not what cbindgen makes of bindings/c/src: run `cargo xtask header` and look at the change"
        );
    }
    Ok(Outcome::Passed(format!("{} lines", made.lines().count())))
}

/// Makes the committed header anew.
pub(crate) fn renew(workspace: &Workspace) -> Result<()> {
    system::need_cargo_tool(workspace, "cbindgen", CBINDGEN)?;
    generate(workspace, &workspace.root.join(HEADER))
}

fn generate(workspace: &Workspace, to: &PathBuf) -> Result<()> {
    let mut command = workspace.command(workspace.tools().join("bin/cbindgen"));
    command.args(["--quiet", "--config", "bindings/c/cbindgen.toml", "--output"]).arg(to).arg("bindings/c");
    shell::run(&mut command)
}

/// The first line, from 1, in which two texts differ.
fn first_difference(a: &str, b: &str) -> Option<usize> {
    let (mut a, mut b) = (a.lines(), b.lines());
    (1..).find_map(|line| match (a.next(), b.next()) {
        (None, None) => Some(None),
        (a, b) if a == b => None,
        _ => Some(Some(line)),
    })?
}

#[cfg(test)]
mod tests {
    use super::first_difference;

    #[test]
    fn the_first_line_that_differs_is_named() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some(2));
        assert_eq!(first_difference("a\n", "a\nb\n"), Some(2));
        assert_eq!(first_difference("", ""), None);
    }
}
