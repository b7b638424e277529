//! A training step allocates nothing: forward, backward, weight gradients, norm, Adam, derived weights, state. Nor does a
//! batch of another form that the memory suffices for.
//!
//! A global allocator counts every call of every thread of the process, so nothing else may happen in it: this file is
//! one test, its crews live to the end (a worker that ends frees its memory when it pleases), and every worker has run a
//! task before anything is counted (its first one registers it with the pool). The first two steps are not counted. Workers
//! that followed another section leave it a moment later, and free what brought them there: what is counted meanwhile is
//! counted again, and what a step itself does is there each time. The
//! portable tier's GEMM takes a packing buffer from the allocator at each call, so that tier is asked for less: it gives
//! back all that it takes.
#![allow(unsafe_code, reason = "a counting allocator is an unsafe trait; it forwards every call unchanged")]

use gatemill_cell::{Batch, Chunk, Direction, Network, NetworkOptions, Params, StackShape};
use gatemill_crew::{Crew, Split};
use gatemill_kernels::{Cell, Dropout, Isa, Kernels};
use gatemill_suite::{CELLS, Learner, Model, crew, fma_tiers, tiers};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

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

/// A crew all of whose workers have run a task: each waits there for the others.
fn mustered(threads: usize) -> Crew {
    let crew = crew(threads);
    let (borders, all): (Vec<usize>, _) = ((0..=threads).collect(), Barrier::new(threads));
    crew.tiles(&mut vec![(); threads], &borders, |_, _| {
        all.wait();
    });
    crew
}

/// Counts until nothing was there to count, or often enough that no worker's leaving can be the cause.
fn counted<T>(mut count: impl FnMut() -> T, is_none: impl Fn(&T) -> bool) -> T {
    for _ in 0..50 {
        let found = count();
        if is_none(&found) {
            return found;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    count()
}

/// Calls of the allocator, and bytes more than before, in each of three steps after the first two.
fn calls_per_step(model: Model, crew: &Crew, kernels: &Kernels) -> [(u64, i64); 3] {
    let mut learner = Learner::new(model, 0.1, crew, kernels);
    let n = model.steps * model.lanes;
    let ids: Vec<u32> = (0..n).map(|i| (i * 7 % model.vocab) as u32).collect();
    let targets: Vec<u32> = (0..n).map(|i| (i * 5 % model.vocab) as u32).collect();
    crew.steady(|| {
        let mut step = || learner.step((crew, kernels), &ids, &targets, (0.01, 0.1));
        step();
        let (first, _) = step();
        let three_steps = || {
            [0, 1, 2].map(|_| {
                let before = (CALLS.load(Ordering::SeqCst), LIVE_BYTES.load(Ordering::SeqCst));
                step();
                (CALLS.load(Ordering::SeqCst) - before.0, LIVE_BYTES.load(Ordering::SeqCst) - before.1)
            })
        };
        let is_none = |counts: &[(u64, i64); 3]| match kernels.isa() {
            Isa::Portable => counts.iter().all(|&(_, bytes)| bytes == 0),
            _ => *counts == [(0, 0); 3],
        };
        let counts = counted(three_steps, is_none);
        let last = step().0;
        assert!(last.is_finite() && last != first, "the steps that were counted changed nothing");
        counts
    })
}

/// Calls of the allocator while a stack of both directions takes batch after batch, none larger than the first.
fn calls_of_batches(crew: &Crew, kernels: &Kernels, (cell, direction): (Cell, Direction), split: Split) -> u64 {
    let shape = StackShape { direction, residual: true, ..StackShape::new(cell, 5, 21, 2) };
    let layout = Arc::new(gatemill_kernels::Layout::stack(&shape));
    let mut params = Params::zeroed(Arc::clone(&layout)).expect("memory");
    params.masters_mut().fill(0.01);
    params.derive(crew, kernels);
    let options = NetworkOptions {
        steps: 7,
        lanes: 9,
        backward: true,
        dropout: true,
        input_grad: true,
        split: Some(split),
        ..NetworkOptions::default()
    };
    let mut network = Network::stack(&layout, &shape, options).expect("memory");
    let mut grads = network.weight_grads(crew, 1).expect("memory");
    let (h, c) = (vec![0.1; 9 * 21], vec![0.1; 9 * 21]);
    crew.steady(|| {
        let mut batch = |batch: Batch<'_>| {
            network.set_batch(batch).expect("memory that suffices");
            let (steps, lanes) = (network.steps(), network.lanes());
            let c = |n: usize| (cell == Cell::Lstm).then(|| &c[..n]);
            for layer in 0..layout.layers().len() {
                network.set_state_of(layer, &h[..lanes * 21], c(lanes * 21));
                network.set_final_grad_of(layer, &h[..lanes * 21], c(lanes * 21));
            }
            let chunk = Chunk { steps, dropout: Some(Dropout::new(0.25, 1, 2, 3)), ..Chunk::default() };
            network.forward(crew, kernels, &params, &chunk);
            network.backward(crew, kernels, &params, &chunk);
            grads.compute(crew, kernels, &params, &network, &[]);
        };
        batch(Batch::Even { steps: 7, lanes: 9 });
        let other_batches = || {
            let before = CALLS.load(Ordering::SeqCst);
            batch(Batch::Packed { batch_sizes: &[9, 5, 5, 1] });
            batch(Batch::Even { steps: 1, lanes: 9 });
            batch(Batch::Packed { batch_sizes: &[3, 3, 3, 2, 2, 2, 1] });
            batch(Batch::Even { steps: 7, lanes: 9 });
            CALLS.load(Ordering::SeqCst) - before
        };
        counted(other_batches, |&calls| calls == 0)
    })
}

/// E and whether it is tied: one-hot, an embedding of its own, the readout's.
const EMBEDDINGS: [(usize, bool); 3] = [(0, false), (21, false), (HIDDEN, true)];
const HIDDEN: usize = 70;

fn model(cell: Cell, (embed, tied): (usize, bool), split: Split, shards: usize) -> Model {
    let (layers, hidden, vocab, steps, lanes) = (2, HIDDEN, 31, 6, 9);
    Model { cell, layers, hidden, vocab, embed, tied, steps, lanes, split: Some(split), shards, dropout: 0.25 }
}

#[test]
fn a_step_allocates_nothing() {
    let crews = [mustered(1), mustered(2), mustered(3)];
    // The counter counts: an allocation on another thread is seen.
    let before = CALLS.load(Ordering::SeqCst);
    let kept = crews[0].install(|| std::hint::black_box(vec![1_u8; 100]));
    assert!(CALLS.load(Ordering::SeqCst) > before && kept.len() == 100);

    for crew in &crews {
        for kernels in fma_tiers() {
            for cell in CELLS {
                for embedding in EMBEDDINGS {
                    for (split, shards) in [(Split::Lanes, 1), (Split::Units, 1), (Split::Lanes, 3)] {
                        let model = model(cell, embedding, split, shards);
                        let counts = calls_per_step(model, crew, &kernels);
                        assert_eq!(counts, [(0, 0); 3], "{kernels:?} {} threads {model:?}", crew.threads());
                    }
                }
            }
        }
    }
    for (i, crew) in crews.iter().enumerate() {
        for kernels in fma_tiers() {
            for cell in CELLS {
                for direction in [Direction::Reverse, Direction::Concat, Direction::Sum] {
                    let split = [Split::Lanes, Split::Units][i % 2];
                    let calls = calls_of_batches(crew, &kernels, (cell, direction), split);
                    assert_eq!(calls, 0, "{kernels:?} {} threads {cell:?} {direction:?}", crew.threads());
                }
            }
        }
    }
    for kernels in tiers() {
        for (split, embedding) in [Split::Lanes, Split::Units].into_iter().zip(EMBEDDINGS.into_iter().cycle().skip(1)) {
            for embedding in [EMBEDDINGS[0], embedding] {
                let model = model(Cell::Lstm, embedding, split, 1);
                let counts = calls_per_step(model, &crews[1], &kernels);
                let kept = counts.iter().any(|&(_, bytes)| bytes != 0);
                assert!(!kept, "{kernels:?} {model:?}: {counts:?} (calls, bytes kept)");
            }
        }
    }
}
