//! Cells beside the plain ones: the same products, other pointwise functions between them.
//!
//! `forward` runs the k loops of `op/gates.rs` with the epilogue of this folder; `backward` walks panels and lanes as
//! `op/gate_grad.rs` does. Which of the two an operation takes is chosen once, by its layer's [`Variant`]. What is common
//! to the variants of a cell is in its file; a second product of a step (`W_hn (r * h)`, `W_hr (o * tanh c)`) in
//! `inner.rs`, the peepholes' gradient in `peephole.rs`. Derived in `doc/rnn.md`, `doc/lstm.md`, `doc/gru.md`.
//!
//! Where f(0) is not 0 the padding units of a last panel would have values of their own; states are therefore stored
//! through a mask, and padding stays zero.
//!
//! [`Variant`]: crate::variant::Variant

mod activation; // functions and their derivatives from values

mod gru;
mod lstm;
mod rnn;

pub(crate) mod inner; // a step's second product, forward and backward

pub(crate) mod peephole; // the gradient of the peepholes

use super::gate_grad::Backward;
use super::gates::{Forward, Lanes, forward_of};
use crate::pack::{Cell, LANES, LayerShape};
use crate::tile::Tier;
use crate::vector::Vector;
use activation::Gate;

/// # Safety
/// - as [`super::gates::forward`].
#[inline(always)]
pub(crate) unsafe fn forward<T: Tier>(f: &Forward<'_>) {
    // SAFETY: the same obligations.
    unsafe { forward_of::<T, true>(f) }
}

/// The epilogue of one tile: panel `p`, of `n` vectors.
///
/// # Safety
/// - as [`super::gates::forward`]; acc holds the tile's pre-activations.
#[inline(always)]
pub(super) unsafe fn cell<V: Vector>(f: &Forward<'_>, at: &Lanes, acc: *mut f32, p: usize, n: usize) {
    // SAFETY: the same obligations.
    unsafe {
        match f.layout.shape.cell {
            Cell::Rnn => rnn::forward::<V>(f, at, acc, p, n),
            Cell::Lstm => lstm::forward::<V>(f, at, acc, p),
            Cell::Gru => gru::forward::<V>(f, at, acc, p),
        }
    }
}

/// # Safety
/// - as [`super::gates::forward`].
#[inline(always)]
pub(crate) unsafe fn backward<T: Tier>(b: &Backward<'_>) {
    // SAFETY: the same obligations.
    unsafe {
        match b.shape.cell {
            Cell::Rnn => rnn::backward::<T::V>(b),
            Cell::Lstm => lstm::backward::<T::V>(b),
            Cell::Gru => gru::backward::<T::V>(b),
        }
    }
}

impl LayerShape {
    /// The activation of the gates proper, bounded.
    fn gate(&self) -> Gate {
        Gate { activation: self.variant.activations.gates, clip: self.variant.clip }
    }
    /// The activation of what enters the state, bounded.
    fn entering(&self) -> Gate {
        Gate { activation: self.variant.activations.cell, clip: self.variant.clip }
    }
    /// The activation of what leaves an LSTM's c: never bounded.
    fn leaving(&self) -> Gate {
        Gate { activation: self.variant.activations.hidden, clip: None }
    }
}

/// Ones, then zeros: sixteen of them from `16 - n` on are n ones.
static ONES: [f32; 2 * LANES] = {
    let mut all = [0.0; 2 * LANES];
    let mut i = 0;
    while i < LANES {
        all[i] = 1.0;
        i += 1;
    }
    all
};

/// Which of the 16 units of `vector` are units, and not padding.
///
/// # Safety
/// - the tier is available, and the vector has a unit.
#[inline(always)]
unsafe fn units<V: Vector>(shape: &LayerShape, vector: usize) -> V::Mask {
    let units = LANES.min(shape.hidden - vector * LANES);
    // SAFETY: at most 16 floats are skipped.
    unsafe { V::splat(0.0).lt(V::load(ONES.as_ptr().add(LANES - units))) }
}

/// `x` where there are units, else 0.
///
/// # Safety
/// - the tier is available.
#[inline(always)]
unsafe fn keep<V: Vector>(units: V::Mask, x: V) -> V {
    // SAFETY: the caller's.
    V::select(units, x, unsafe { V::splat(0.0) })
}
