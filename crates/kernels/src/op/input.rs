//! Forward, GEMM: `start + x_t W_ih^T` of some steps at once, into the gates' place, from where each step's tile goes on.
//!
//! Together with its step, as [`super::gates`] has it, the product costs no memory. Ahead of it, a panel of W_ih serves the
//! tokens of many steps: worth it where a step has few lanes, or where a layer's weights come from beyond L3
//! (`doc/performance.md`). The accumulator is the same one, put aside in between, so the bits are too.

use crate::pack::{Cell, LANES, LayerLayout, Weights};
use crate::tile::{ACC_STRIDE, Acc, MAX_ROWS, RowsCall, Tier, tiles};
use crate::tokens::Tokens;
use crate::vector::Vector;
use crate::view::At;
use std::ops::Range;

/// The resolved operation.
pub(crate) struct InputProduct<'a> {
    pub(crate) layout: &'a LayerLayout,
    pub(crate) weights: Weights<'a>,
    /// By row.
    pub(crate) x: At,
    /// By token, written.
    pub(crate) gates: At,
    pub(crate) tokens: &'a Tokens,
    pub(crate) steps: Range<usize>,
    pub(crate) lanes: Range<usize>,
    pub(crate) panels: Range<usize>,
}

/// # Safety
/// - as [`super::gates::forward`], for all of these steps.
#[inline(always)]
pub(crate) unsafe fn input<T: Tier>(f: &InputProduct<'_>) {
    let shape = &f.layout.shape;
    let (panels, slots, k) = (shape.panels(), shape.slots(), shape.k_x());
    let start = f.weights.start[f.layout.start.clone()].as_ptr();
    let w = f.weights.params[f.layout.w_ih.clone()].as_ptr();
    let mut acc = Acc::new();
    let acc_at: *mut f32 = acc.0.as_mut_ptr().cast();
    for p in f.panels.clone() {
        let (n, width) = (panels.width(p), slots.width(p) * LANES);
        for stretch in f.tokens.stretches(f.steps.clone(), &f.lanes, true) {
            for (first, m) in tiles(stretch.count, T::ROWS[n - 1]) {
                let token = stretch.token + first;
                // SAFETY: rows and panels are in range by the caller's promise; a dense layer has one start row.
                unsafe {
                    let mut call = RowsCall::new(start.add(slots.offset(p, 1)), acc_at, k);
                    let mut rows = [std::ptr::null::<f32>(); MAX_ROWS];
                    for (i, row) in rows.iter_mut().enumerate().take(m) {
                        *row = f.x.panel(0, f.tokens.row(token + i));
                        if shape.cell == Cell::Gru {
                            // The product feeds three of the four slots.
                            std::ptr::copy_nonoverlapping(call.init[i], acc_at.add(i * ACC_STRIDE), width);
                            call.init[i] = acc_at.add(i * ACC_STRIDE);
                        }
                    }
                    T::strided_rows(n, m, &rows, w.add(panels.offset(p, k)), &mut call);
                    for i in 0..m {
                        let gates = f.gates.panel(p, token + i);
                        for at in (0..width).step_by(LANES) {
                            T::V::load(acc_at.add(i * ACC_STRIDE + at)).store(gates.add(at));
                        }
                    }
                }
            }
        }
    }
}
