//! The commit that this command is built from, for `gatemill bench --save`; none outside of its own repository.
//!
//! It is asked for when HEAD moves: what is changed and not committed is not seen.

use std::path::Path;
use std::process::Command;

fn git(words: &[&str]) -> Option<String> {
    let output = Command::new("git").args(words).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned())
}

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Sources may lie inside a repository of something else.
    let root = git(&["rev-parse", "--show-toplevel"]).and_then(|root| Path::new(&root).canonicalize().ok());
    if root.is_none() || root != Path::new("../..").canonicalize().ok() {
        return;
    }
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", file]).filter(|path| Path::new(path).exists()) {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    if let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) {
        println!("cargo:rustc-env=GATEMILL_COMMIT={commit}");
    }
}
