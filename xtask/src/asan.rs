//! The tests of the crates with unsafe code under AddressSanitizer: no read or write beside a buffer, no use after free.

use crate::suite::Outcome;
use crate::workspace::Workspace;
use crate::{shell, system};
use anyhow::Result;

/// Where unsafe code may stand (`borders.rs` sees to it).
const UNSAFE: [&str; 4] = ["gatemill-kernels", "gatemill-crew", "gatemill-corpus", "gatemill-c"];

/// `cargo test` with `-Zsanitizer=address`. The target is named so that build scripts and macros stay uninstrumented, and
/// the build goes to a folder of its own, because its flags differ.
pub(crate) fn run(workspace: &Workspace) -> Result<Outcome> {
    if let Some(why) = system::need_nightly(workspace)? {
        return Ok(Outcome::Skipped(why));
    }
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut command = workspace.nightly_cargo(["test", "--locked", "--no-fail-fast", "--tests", "--target"]);
    // Without `capi` the C programs are left out: their own test runs them under the C compiler's sanitizer.
    command.arg(target).arg("--no-default-features");
    for package in UNSAFE {
        command.args(["--package", package]);
    }
    command.env("RUSTFLAGS", "-Zsanitizer=address").env("CARGO_TARGET_DIR", workspace.target.join("asan"));
    // SIGBUS belongs to the corpus, whose tests also let one through to see the system's own end. Memory that is not to be
    // had is an error of ours, as without the sanitizer.
    command.env("ASAN_OPTIONS", "handle_sigbus=0:allocator_may_return_null=1");
    let count = shell::ran_some(shell::count(&mut command)?)?;
    Ok(Outcome::Passed(count.note()))
}
