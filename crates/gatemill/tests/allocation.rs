//! A step into the caller's arrays allocates nothing, once a tape has stepped as many lanes.
//!
//! A global allocator counts every call of the process, so this file is one test.
#![allow(unsafe_code, reason = "a counting allocator is an unsafe trait; it forwards every call unchanged")]

use gatemill::{Cell, Direction, Isa, Kernels, Mode, Recurrent, RecurrentOptions};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

/// The system's allocator, counted.
struct Counting;

static CALLS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator with the same arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the caller's obligations.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        CALLS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the caller's obligations.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_step_allocates_nothing() {
    // The portable tier's product takes a packing buffer at each call.
    for kernels in Kernels::available().filter(|kernels| kernels.isa() != Isa::Portable) {
        for cell in [Cell::Rnn, Cell::Lstm, Cell::Gru] {
            for (direction, lanes) in [(Direction::Forward, 1), (Direction::Concat, 3)] {
                let options = RecurrentOptions { layers: 2, direction, ..RecurrentOptions::new(cell, 5, 64) };
                let stack = Recurrent::with_kernels(&options, kernels).expect("a stack");
                let (mut tape, mut state) = (stack.tape(Mode::Inference), stack.state(lanes).expect("a state"));
                let (x, mut y) = (vec![0.5; 5 * lanes], vec![0.0; options.outputs() * lanes]);
                stack.step(&mut tape, &x, &mut state, &mut y).expect("a step");
                let before = CALLS.load(Ordering::SeqCst);
                for _ in 0..10 {
                    stack.step(&mut tape, &x, &mut state, &mut y).expect("a step");
                }
                let calls = CALLS.load(Ordering::SeqCst) - before;
                assert_eq!(calls, 0, "{cell:?} {direction:?} on {kernels:?}");
            }
        }
    }
}
