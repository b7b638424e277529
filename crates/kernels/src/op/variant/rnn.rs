//! h_t = f(clip(pre)), and d_pre = dh * f' taken from h_t.

use super::super::gate_grad::{Backward, Units};
use super::super::gates::{Forward, Lanes, put_h};
use super::{keep, units};
use crate::pack::LANES;
use crate::tile::ACC_STRIDE;
use crate::vector::Vector;

/// # Safety
/// - as [`super::cell`].
#[inline(always)]
pub(super) unsafe fn forward<V: Vector>(f: &Forward<'_>, at: &Lanes, acc: *const f32, p: usize, n: usize) {
    let shape = &f.layout.shape;
    let (entering, first) = (shape.entering(), shape.panels().first(p));
    for vector in first..first + n {
        // SAFETY: acc holds m rows of n vectors, and h as many columns.
        unsafe {
            let (h_at, units) = (f.h.column(vector), units::<V>(shape, vector));
            for i in 0..at.m {
                let pre = V::load(acc.add(i * ACC_STRIDE + (vector - first) * LANES));
                put_h(f, at, i, (h_at, vector), keep(units, entering.value(pre)));
            }
        }
    }
}

/// # Safety
/// - as [`super::backward`].
#[inline(always)]
pub(super) unsafe fn backward<V: Vector>(b: &Backward<'_>) {
    let panels = b.shape.panels();
    let first = b.tokens.token(b.t, b.lanes.start);
    for p in b.panels.clone() {
        for j in 0..panels.width(p) {
            // SAFETY: rows and panels are in range by the caller's promise.
            unsafe {
                let u = Units::of(b, panels.first(p) + j, p);
                let slope = b.shape.entering().back::<V>();
                for (lane, token) in b.lanes.clone().zip(first..) {
                    let d_h: V = u.d_h(lane, token);
                    let h = V::load(u.h.row(b.tokens.row(token)));
                    d_h.mul(slope.at(h)).flush().store(u.gates.row(token).add(j * LANES));
                }
            }
        }
    }
}
