//! A training step allocates nothing: forward, backward, weight gradients, norm, Adam, derived weights, state.
//!
//! A global allocator counts every call of every thread. The first step may allocate (a thread's first task); later ones
//! may not, for both splits, several threads and shards. The portable tier's GEMM takes a packing buffer from the
//! allocator at each call, so that tier is asked for less: it gives back all that it takes.
#![allow(unsafe_code, reason = "a counting allocator is an unsafe trait; it forwards every call unchanged")]

use gatemill_crew::{Crew, Split};
use gatemill_kernels::{Cell, Kernels};
use gatemill_suite::{CELLS, Learner, Model, crew, fma_tiers, tiers};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// The system's allocator, counted.
struct Counting;

static CALLS: AtomicU64 = AtomicU64::new(0);
static LIVE_BYTES: AtomicI64 = AtomicI64::new(0);

// SAFETY: every call goes to the system's allocator with the same arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::SeqCst);
        LIVE_BYTES.fetch_add(layout.size() as i64, Ordering::SeqCst);
        // SAFETY: the caller's obligations.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        CALLS.fetch_add(1, Ordering::SeqCst);
        LIVE_BYTES.fetch_sub(layout.size() as i64, Ordering::SeqCst);
        // SAFETY: the caller's obligations.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Tests of this file run one at a time: the counters are the process's.
static ALONE: Mutex<()> = Mutex::new(());

/// Calls of the allocator, and bytes more than before, in each of three steps after the first two.
fn calls_per_step(model: Model, crew: &Crew, kernels: &Kernels) -> [(u64, i64); 3] {
    let mut learner = Learner::new(model, 0.1, crew, kernels);
    let n = model.steps * model.lanes;
    let ids: Vec<u32> = (0..n).map(|i| (i * 7 % model.vocab) as u32).collect();
    let targets: Vec<u32> = (0..n).map(|i| (i * 5 % model.vocab) as u32).collect();
    crew.install(|| {
        let mut step = || learner.step((crew, kernels), &ids, &targets, (0.01, 0.1));
        step();
        let (first, _) = step();
        let counts = [0, 1, 2].map(|_| {
            let before = (CALLS.load(Ordering::SeqCst), LIVE_BYTES.load(Ordering::SeqCst));
            step();
            (CALLS.load(Ordering::SeqCst) - before.0, LIVE_BYTES.load(Ordering::SeqCst) - before.1)
        });
        let last = step().0;
        assert!(last.is_finite() && last != first, "the steps that were counted changed nothing");
        counts
    })
}

fn model(cell: Cell, split: Split, shards: usize) -> Model {
    let (layers, hidden, vocab, steps, lanes) = (2, 70, 31, 6, 9);
    Model { cell, layers, hidden, vocab, steps, lanes, split: Some(split), shards, dropout: 0.25 }
}

#[test]
fn a_step_allocates_nothing() {
    let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    for threads in [1, 2, 3] {
        let crew = crew(threads);
        for kernels in fma_tiers() {
            for cell in CELLS {
                for (split, shards) in [(Split::Lanes, 1), (Split::Units, 1), (Split::Lanes, 3)] {
                    let counts = calls_per_step(model(cell, split, shards), &crew, &kernels);
                    assert_eq!(counts, [(0, 0); 3], "{kernels:?} {cell:?} {threads} threads {split:?} {shards} shards");
                }
            }
        }
    }
}

#[test]
fn a_portable_step_keeps_nothing() {
    let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let crew = crew(2);
    for kernels in tiers() {
        for split in [Split::Lanes, Split::Units] {
            let counts = calls_per_step(model(Cell::Lstm, split, 1), &crew, &kernels);
            assert!(
                counts.iter().all(|&(_, bytes)| bytes == 0),
                "{kernels:?} {split:?}: {counts:?} (calls, bytes kept)"
            );
        }
    }
}

/// The counter counts: an allocation on another thread is seen.
#[test]
fn an_allocation_on_a_worker_is_counted() {
    let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let crew = crew(1);
    let before = CALLS.load(Ordering::SeqCst);
    let kept = crew.install(|| std::hint::black_box(vec![1_u8; 100]));
    assert!(CALLS.load(Ordering::SeqCst) > before && kept.len() == 100);
}
