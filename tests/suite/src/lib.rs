//! Suites that look at Gatemill from outside: what they share is a random job, its answer in f64, and a run of it.
//!
//! A [`Job`] is a stack with everything that can happen to it: symbols, one-hot or embedded, or dense inputs, a readout, carried states,
//! resets, dropout, gradients from behind. [`reference()`] answers it with the oracle, [`run()`] with a `Network` under some
//! [`Setting`]. Both give the same list of named tensors, so a suite is a loop over jobs, settings and names.
//!
//! `GATEMILL_ISA` restricts [`tiers`] to one tier; an unknown or absent one fails every test.
#![forbid(unsafe_code)]

mod job; // what is to be computed

mod reference; // by the oracle

mod run; // by the kernels

mod learner; // the pieces of a training step, put together by hand

mod goldens; // tensors of the files that other systems made

mod onnx; // nodes of ONNX as layers

mod layers; // complete layers by the oracle, and as PyTorch has them

mod layers_run; // and by the kernels

pub use goldens::{Golden, Tensor, golden_path};
pub use job::{Embedding, Features, Job, Shape};
pub use layers::{layers_of_torch, layers_reference};
pub use layers_run::{LayersRig, layers_dropped, layers_run, stack_shape};
pub use learner::{Learner, Model};
pub use onnx::OnnxCase;
pub use reference::reference;
pub use run::{Rig, Setting, run};

use gatemill_crew::Crew;
use gatemill_kernels::{Cell, Kernels};

/// The three cells.
pub const CELLS: [Cell; 3] = [Cell::Rnn, Cell::Lstm, Cell::Gru];

/// The tiers to test: all of this machine, or the one that `GATEMILL_ISA` names.
///
/// Panics where the variable names no tier of this machine: nothing passes by being left out.
pub fn tiers() -> Vec<Kernels> {
    match std::env::var_os("GATEMILL_ISA") {
        None => Kernels::available().collect(),
        Some(_) => vec![Kernels::from_env().unwrap_or_else(|e| panic!("{e}"))],
    }
}

/// The tiers of [`tiers`] that share one promise of bits: AVX-512 and AVX2 with FMA.
pub fn fma_tiers() -> Vec<Kernels> {
    tiers().into_iter().filter(|k| k.name() != "portable").collect()
}

/// A crew of `threads` workers.
pub fn crew(threads: usize) -> Crew {
    Crew::new(threads).unwrap_or_else(|e| panic!("{e}"))
}

/// A named tensor.
pub type Named<T> = (String, Vec<T>);

/// The first element whose bits differ, as a message; NaN equals NaN.
pub fn first_difference(a: &[Named<f32>], b: &[Named<f32>]) -> Option<String> {
    if a.len() != b.len() {
        return Some(format!("{} tensors against {}", a.len(), b.len()));
    }
    for ((name, x), (other, y)) in a.iter().zip(b) {
        if name != other || x.len() != y.len() {
            return Some(format!("{name} [{}] against {other} [{}]", x.len(), y.len()));
        }
        let same = |a: f32, b: f32| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
        if let Some(i) = (0..x.len()).find(|&i| !same(x[i], y[i])) {
            return Some(format!(
                "{name}[{i}]: {:e} ({:08x}) against {:e} ({:08x})",
                x[i],
                x[i].to_bits(),
                y[i],
                y[i].to_bits()
            ));
        }
    }
    None
}
