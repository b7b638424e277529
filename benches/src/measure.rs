//! How a kernel is measured: beside the rivals where it is a product, with the machine's peak in the same group.
//!
//! A group's members `peak before` and `peak after` are the tier's multiply-adds in registers, on the same thread: a rate
//! over the larger is the fraction of the peak. Elementwise kernels stand beside `read`, a sum over as many bytes.
//! `cargo xtask record-benches` makes the table.

use crate::product::{Product, RIVALS};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use gatemill_kernels::{Buffer, Kernels};
use std::time::Duration;

/// What is run and measured: a name and the work.
pub type Ours<'a, T> = (&'a str, fn(&mut T));

/// Criterion's settings for all benches: about a second each.
pub fn config() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(500))
        .sample_size(20)
        .without_plots()
}

/// The tier that `GATEMILL_ISA` names, or the best.
pub fn kernels() -> Kernels {
    Kernels::from_env().expect("a tier of this machine")
}

/// Multiply-adds in registers, as the member `peak before` or `peak after`.
pub fn peak(group: &mut BenchmarkGroup<'_, WallTime>, when: &str, flop_of: impl Fn(u64) -> f64) {
    const REPEATS: u64 = 1 << 12;
    group.throughput(Throughput::Elements(flop_of(REPEATS) as u64));
    group.bench_function(format!("peak {when}"), |b| b.iter(|| flop_of(REPEATS)));
}

/// Ours beside the rivals' bare product; elements are FLOP of the product. What is verified is the caller's for ours, and
/// done here for the rivals.
pub fn beside<T>(
    c: &mut Criterion,
    name: &str,
    kernels: Kernels,
    product: &Product,
    state: &mut T,
    ours: &[Ours<'_, T>],
) {
    product.hold_rivals();
    let mut group = c.benchmark_group(format!("{name} {}/{}", product.size(), kernels.name()));
    peak(&mut group, "before", |repeats| kernels.fma_chains(repeats));
    group.throughput(Throughput::Elements(product.flop()));
    for (name, work) in ours {
        group.bench_function(*name, |b| b.iter(|| work(state)));
    }
    let mut out = vec![0.0; product.truth().len()];
    for (name, rival) in RIVALS {
        group.bench_function(name, |b| b.iter(|| rival(product, &mut out)));
    }
    peak(&mut group, "after", |repeats| kernels.fma_chains(repeats));
    group.finish();
}

/// An elementwise kernel that reads and writes `bytes`, beside reading as many.
pub fn over_memory<T>(
    c: &mut Criterion,
    name: &str,
    kernels: Kernels,
    bytes: usize,
    state: &mut T,
    ours: &[Ours<'_, T>],
) {
    let mut group = c.benchmark_group(format!("{name}/{}", kernels.name()));
    let mut memory = Buffer::zeroed(bytes / size_of::<f32>()).expect("memory");
    // Written once: untouched pages would all be the one page of zeros.
    memory.fill(1.0);
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function("read", |b| b.iter(|| kernels.read(&memory)));
    for (name, work) in ours {
        group.bench_function(*name, |b| b.iter(|| work(state)));
    }
    group.finish();
}
