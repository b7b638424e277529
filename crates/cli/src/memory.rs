//! Whether a run can fit into this machine's memory, asked before anything of its size is allocated.
//!
//! A lower bound: weights, gradients and two moments, and what the backward pass keeps of a chunk. Systems promise more
//! memory than they have, so an allocation that succeeds proves nothing. Where the machine's memory cannot be found out,
//! nothing is refused here.

use gatemill_kernels::Cell;
use gatemill_train::{Config, weight_bytes};

use crate::exit::{Failure, RESOURCES};

/// Copies of the weights that training holds at least: themselves, the gradient, two moments.
const COPIES: f64 = 4.0;
const BYTES_PER_MB: f64 = 1e6;
/// Where a container's memory limit stands, in control groups of version 2 and 1.
const CGROUP_LIMITS: [&str; 2] = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/// Refuses a run that needs more than the machine has.
pub(crate) fn check(config: &Config, vocab: usize) -> Result<(), Failure> {
    match total_bytes() {
        Some(total) => compare(need_bytes(config, vocab), total),
        None => Ok(()),
    }
}

fn need_bytes(config: &Config, vocab: usize) -> f64 {
    let weights = weight_bytes(config, vocab) as f64 * COPIES;
    // Per token, layer and unit the gates and h are kept.
    let kept = (Cell::from(config.cell).gates() as f64 + 1.0) * config.hidden as f64 * config.layers as f64;
    weights + 4.0 * kept * config.batch as f64 * config.seq as f64
}

fn compare(need: f64, total: f64) -> Result<(), Failure> {
    if need <= total {
        return Ok(());
    }
    let mb = |bytes: f64| (bytes / BYTES_PER_MB).ceil();
    let message = format!("training needs at least {} MB of memory, this machine has {} MB", mb(need), mb(total));
    Err(Failure::new(RESOURCES, message).help("make --hidden, --layers, --batch or --seq smaller"))
}

/// The memory that there is: the machine's, as Linux tells it, or the part of it that a container may use.
fn total_bytes() -> Option<f64> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| machine_bytes(&text));
    let limits = CGROUP_LIMITS.iter().filter_map(|path| limit_bytes(&read(path)?));
    machine.into_iter().chain(limits).reduce(f64::min)
}

/// The total of `/proc/meminfo`.
fn machine_bytes(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0)
}

/// A limit in bytes; `max` is none.
fn limit_bytes(text: &str) -> Option<f64> {
    text.trim().parse::<u64>().ok().map(|bytes| bytes as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_counts_weights_four_times_and_what_is_kept() {
        let config = Config { layers: 1, hidden: 16, batch: 2, seq: 3, ..Config::default() };
        let weights = weight_bytes(&config, 10) as f64;
        assert_eq!(need_bytes(&config, 10), 4.0 * weights + 4.0 * 5.0 * 16.0 * 6.0);
        assert!(compare(10.0, 10.0).is_ok());
        assert_eq!(compare(11.0, 10.0).unwrap_err().code, RESOURCES);
    }

    #[test]
    fn the_machine_and_its_container_are_read() {
        assert_eq!(machine_bytes("MemTotal:       16384 kB\nMemFree: 1 kB\n"), Some(16384.0 * 1024.0));
        assert_eq!((machine_bytes("MemFree: 1 kB\n"), machine_bytes("")), (None, None));
        assert_eq!(limit_bytes("536870912\n"), Some(536_870_912.0));
        assert_eq!((limit_bytes("max\n"), limit_bytes("")), (None, None));
    }
}
