//! The borders of the map: where instruction sets, unsafe code and dependencies may stand (ARCHITECTURE.md).
//!
//! What rustc can hold is left to it (`forbid(unsafe_code)`); here it is only seen to that the line stands there.

use crate::suite::Outcome;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// The only folder that names an instruction set.
const ARCH: &str = "crates/kernels/src/arch/";

/// Crate roots that must forbid unsafe code.
const SAFE: [&str; 6] = [
    "crates/cell/src/lib.rs",
    "crates/train/src/lib.rs",
    "crates/gatemill/src/lib.rs",
    "crates/inspect/src/lib.rs",
    "crates/cli/src/main.rs",
    "xtask/src/main.rs",
];

/// The one place of a crate where its unsafe code stands.
const UNSAFE_ONLY_IN: [(&str, &str); 1] = [("crates/corpus/", "crates/corpus/src/map")];

/// The arrows: a package may depend on those below it (further to the left), never upwards.
const LAYERS: [&str; 10] = [
    "gatemill-kernels",
    "gatemill-crew",
    "gatemill-corpus",
    "gatemill-cell",
    "gatemill-train",
    "gatemill",
    "gatemill-inspect",
    "gatemill-c",
    "gatemill-python",
    "gatemill-cli",
];

/// Pairs that the order of `LAYERS` would allow and the map does not: the corpus stands beside the numeric crates, the bindings beside
/// the command.
const NOT_EVEN_DOWNWARDS: [(&str, &str); 9] = [
    ("gatemill-corpus", "gatemill-kernels"),
    ("gatemill-corpus", "gatemill-crew"),
    ("gatemill-cell", "gatemill-corpus"),
    ("gatemill-crew", "gatemill-corpus"),
    ("gatemill-c", "gatemill-inspect"),
    ("gatemill-python", "gatemill-inspect"),
    ("gatemill-cli", "gatemill-python"),
    ("gatemill-cli", "gatemill-c"),
    ("gatemill-python", "gatemill-c"),
];

/// All borders at once; the error lists every place.
pub(crate) fn run(workspace: &Workspace) -> Result<Outcome> {
    let mut places = Vec::new();
    let mut files = Vec::new();
    for folder in ["crates", "bindings", "tests", "benches", "fuzz", "xtask/src"] {
        rust_files(&workspace.root.join(folder), &mut files)?;
    }
    for path in &files {
        let name = path.strip_prefix(&workspace.root).unwrap_or(path).to_string_lossy().into_owned();
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {name}"))?;
        places.extend(in_text(&name, &text));
    }
    for root in SAFE {
        let text = std::fs::read_to_string(workspace.root.join(root)).with_context(|| format!("reading {root}"))?;
        if !text.contains("#![forbid(unsafe_code)]") {
            places.push(format!("{root}: lacks #![forbid(unsafe_code)]"));
        }
    }
    places.extend(upward_arrows(&workspace.metadata("Cargo.toml")?));
    if !places.is_empty() {
        bail!("{} places cross a border\n  {}", places.len(), places.join("\n  "));
    }
    Ok(Outcome::Passed(format!("{} files", files.len())))
}

/// The Rust files under a folder, but not those of build folders.
fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("reading {}", folder.display()))?.path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            rust_files(&path, found)?;
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found.sort();
    Ok(())
}

/// What a file has that belongs elsewhere, as `path:line: what`.
fn in_text(name: &str, text: &str) -> Vec<String> {
    let mut places = Vec::new();
    let fenced = UNSAFE_ONLY_IN.iter().any(|(inside, only)| name.starts_with(inside) && !name.starts_with(only));
    for (at, line) in text.lines().enumerate() {
        let mut place = |what: &str| places.push(format!("{name}:{}: {what}", at + 1));
        // Comments count too: `rg 'std::arch|core::arch' crates` is to hit that folder only.
        if name.starts_with("crates/")
            && !name.starts_with(ARCH)
            && (line.contains("std::arch") || line.contains("core::arch"))
        {
            place("names an instruction set outside crates/kernels/src/arch");
        }
        let code = line.split("//").next().unwrap_or_default();
        if fenced && ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"].iter().any(|form| code.contains(form)) {
            place("unsafe code outside the one file that may have it");
        }
        if code.trim() == concat!("#[", "ignore]") {
            place("an ignored test without a reason");
        }
    }
    places
}

/// Normal and build dependencies of the packages of `LAYERS` that point upwards.
fn upward_arrows(metadata: &serde_json::Value) -> Vec<String> {
    let layer = |name: &str| LAYERS.iter().position(|other| *other == name);
    let mut places = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let Some((from, at)) = package["name"].as_str().and_then(|name| Some((name, layer(name)?))) else { continue };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let to = dependency["name"].as_str().unwrap_or_default();
            let is_dev = dependency["kind"].as_str() == Some("dev");
            let upward = layer(to).is_some_and(|below| below >= at) || NOT_EVEN_DOWNWARDS.contains(&(from, to));
            if !is_dev && (upward || to == "gatemill-oracle") {
                places.push(format!("{from} depends on {to}: the arrows go down only, and the oracle serves tests"));
            }
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::{in_text, upward_arrows};

    #[test]
    fn instruction_sets_are_named_under_arch_only() {
        let line = concat!("use std::", "arch::x86_64::*;\n");
        assert_eq!(in_text("crates/kernels/src/arch/avx2.rs", line), [""; 0]);
        let found = in_text("crates/kernels/src/table.rs", line);
        assert!(found.len() == 1 && found[0].starts_with("crates/kernels/src/table.rs:1:"), "{found:?}");
    }

    #[test]
    fn unsafe_of_the_corpus_stands_in_map() {
        let line = "let x = unsafe { read(p) }; // SAFETY: ...\n";
        assert_eq!(in_text("crates/corpus/src/map.rs", line), [""; 0]);
        assert_eq!(in_text("crates/corpus/src/vocab.rs", line).len(), 1);
        assert_eq!(in_text("crates/corpus/src/vocab.rs", "// no unsafe { } here\n"), [""; 0]);
    }

    #[test]
    fn an_ignored_test_needs_a_reason() {
        assert_eq!(in_text("tests/suite/tests/a.rs", concat!("    #[", "ignore]\n")).len(), 1);
        assert_eq!(in_text("tests/suite/tests/a.rs", "    #[ignore = \"long form: cargo xtask torture\"]\n"), [""; 0]);
    }

    #[test]
    fn arrows_go_down_only() {
        let package = |name: &str, to: &str, kind: Option<&str>| serde_json::json!({"packages": [{"name": name, "dependencies": [{"name": to, "kind": kind}]}]});
        assert_eq!(upward_arrows(&package("gatemill-cell", "gatemill-kernels", None)), [""; 0]);
        assert_eq!(upward_arrows(&package("gatemill-cell", "gatemill-oracle", Some("dev"))), [""; 0]);
        assert_eq!(upward_arrows(&package("gatemill-cell", "gatemill-oracle", None)).len(), 1);
        assert_eq!(upward_arrows(&package("gatemill-cell", "gatemill-train", None)).len(), 1);
        assert_eq!(upward_arrows(&package("gatemill-cell", "gatemill-corpus", None)).len(), 1);
    }
}
