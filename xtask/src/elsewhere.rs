//! What a plain 2-core Linux machine can't run at all, and why: printed, never counted as passed, never a failure.

use crate::tiers::{TIERS, has_tier};
use std::process::Command;

/// Each entry: what would run, and why it doesn't run here.
const ALWAYS: [(&str, &str); 7] = [
    ("Miri", "its component is not in every nightly; `cargo +nightly miri test -p gatemill-kernels` where it is"),
    ("ThreadSanitizer", "needs a standard library built with it (-Zbuild-std, rust-src)"),
    ("Intel SDE", "not redistributable; it would run the AVX-512 tier on CPUs without it"),
    ("other architectures", "no aarch64 or big-endian machine, and no emulator here"),
    (
        "torch.compile, torch.export, torch.func",
        "Debian's PyTorch has none of them; `pytest bindings/python/tests/with_torch` where the current one is",
    ),
    ("advisory databases", "`cargo deny check advisories` needs a fresh copy of the database"),
    (
        "power cut on a real disk",
        "needs a device that drops unsynced writes; the simulated disk stands in for it in `tests`",
    ),
];

/// The whole list: `ALWAYS`, the tiers that this CPU lacks, and tracing where it is forbidden.
pub(crate) fn list() -> Vec<(String, String)> {
    let mut all: Vec<_> = ALWAYS.iter().map(|(what, why)| ((*what).to_owned(), (*why).to_owned())).collect();
    for tier in TIERS.iter().filter(|tier| !has_tier(tier)) {
        all.push((
            format!("tier {tier}"),
            "this CPU lacks it; the committed hashes still bind the tiers it has".into(),
        ));
    }
    if forbids_tracing() {
        let why =
            "this system does not let strace trace (ptrace is forbidden): the simulated disk and random kills stand in";
        all.push(("kills and errors at each system call".into(), why.into()));
    }
    all
}

/// There is strace, and it may not do its work, as in a container without the right to. One that is missing is another
/// matter: it can be installed.
fn forbids_tracing() -> bool {
    let ends_well = |args: &[&str]| Command::new("strace").args(args).output().map(|out| out.status.success());
    ends_well(&["--version"]).unwrap_or(false) && !ends_well(&["-qq", "-o", "/dev/null", "true"]).unwrap_or(false)
}
