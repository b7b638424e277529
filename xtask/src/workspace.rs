//! Where things lie, and commands that start clean: the same suite for everyone, whatever their shell has set.

use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Variables of the caller that would change what a suite does, by prefix: a forced tier, and what `cargo run` sets for
/// this program and would hand on to other builds.
const DROPPED: [&str; 5] = ["GATEMILL_", "PROPTEST_", "CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"];

/// The folders of the checkout.
pub(crate) struct Workspace {
    /// The folder of the root Cargo.toml.
    pub(crate) root: PathBuf,
    /// Where builds go; `CARGO_TARGET_DIR` or `target/`.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// The workspace that this program was built in. Errors: it has moved since.
    pub(crate) fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in a folder of the workspace")?;
        if !root.join("Cargo.toml").is_file() {
            bail!("{} is no longer the workspace: run `cargo xtask` inside a checkout", root.display());
        }
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => root.join(folder),
            None => root.join("target"),
        };
        Ok(Workspace { root: root.to_path_buf(), target })
    }

    /// Tools that a suite installs for itself: kept between runs, gone with `cargo clean`.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// A command in the root folder, with nothing on its standard input and without the variables of `DROPPED`.
    pub(crate) fn command(&self, program: impl Into<OsString>) -> Command {
        let mut command = Command::new(program.into());
        command.current_dir(&self.root).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if DROPPED.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command
    }

    /// The pinned toolchain's cargo.
    pub(crate) fn cargo<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = self.command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(args);
        command
    }

    /// `cargo test` with the whole workspace. Every suite that builds its crates goes by it, so that they are built once: of some
    /// packages alone cargo would make them anew, because what they depend on has the features that the selected ones ask for.
    pub(crate) fn cargo_test<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = self.cargo(["test", "--locked", "--workspace"]);
        command.args(args);
        command
    }

    /// The nightly toolchain's cargo (see `system::need_nightly`), with the tools of `tools()` as its subcommands.
    pub(crate) fn nightly_cargo<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = self.command("rustup");
        command.args(["run", "nightly", "cargo"]).args(args).env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
        let mut path = OsString::from(self.tools().join("bin"));
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        command.env("PATH", path);
        command
    }

    /// `cargo metadata` of a manifest, whose Cargo.lock must be up to date.
    pub(crate) fn metadata(&self, manifest: &str) -> Result<serde_json::Value> {
        let args = ["metadata", "--format-version", "1", "--locked", "--manifest-path", manifest];
        let out = self.cargo(args).stderr(Stdio::inherit()).output().context("cargo metadata")?;
        if !out.status.success() {
            bail!("cargo metadata --locked failed for {manifest}: is its Cargo.lock committed and up to date?");
        }
        serde_json::from_slice(&out.stdout).context("the output of cargo metadata")
    }
}
