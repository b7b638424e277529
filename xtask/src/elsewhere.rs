//! What a plain 2-core Linux machine can't run at all, and why: printed, never counted as passed, never a failure.

use crate::tiers::{TIERS, has_tier};

/// Each entry: what would run, and why it doesn't run here.
const ALWAYS: [(&str, &str); 6] = [
    ("Miri", "its component is not in every nightly; `cargo +nightly miri test -p gatemill-kernels` where it is"),
    ("ThreadSanitizer", "needs a standard library built with it (-Zbuild-std, rust-src)"),
    ("Intel SDE", "not redistributable; it would run the AVX-512 tier on CPUs without it"),
    ("other architectures", "no aarch64 or big-endian machine, and no emulator here"),
    ("advisory databases", "`cargo deny check advisories` needs a fresh copy of the database"),
    (
        "power cut on a real disk",
        "needs a device that drops unsynced writes; the simulated disk stands in for it in `tests`",
    ),
];

/// The whole list: `ALWAYS`, and the tiers that this CPU lacks.
pub(crate) fn list() -> Vec<(String, String)> {
    let mut all: Vec<_> = ALWAYS.iter().map(|(what, why)| ((*what).to_owned(), (*why).to_owned())).collect();
    for tier in TIERS.iter().filter(|tier| !has_tier(tier)) {
        all.push((
            format!("tier {tier}"),
            "this CPU lacks it; the committed hashes still bind the tiers it has".into(),
        ));
    }
    all
}
