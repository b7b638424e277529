//! The GRU with bounds and other activations, and the first half of the one that resets before its product.
//!
//! Reset-after, slots (n, r, z, n_h): `n = k(clip(n_x + r n_h))`, as `op/gates.rs` has it with tanh and sigmoid.
//! Reset-before, slots (n, r, z): here r, z and `r * h_{t-1}`, for the second product; slot 0 keeps `W_in x + b_in + b_hn`
//! until `inner.rs` makes n of it. Backward begins with d_a_n and d_a_z; d_a_r needs a product in between (`inner.rs`).

use super::super::gate_grad::{Backward, Units};
use super::super::gates::{Forward, Lanes, put_h};
use super::{keep, units};
use crate::pack::LANES;
use crate::tile::ACC_STRIDE;
use crate::vector::Vector;

/// # Safety
/// - as [`super::cell`].
#[inline(always)]
pub(super) unsafe fn forward<V: Vector>(f: &Forward<'_>, at: &Lanes, acc: *const f32, p: usize) {
    let shape = &f.layout.shape;
    let (gate, entering) = (shape.gate(), shape.entering());
    // SAFETY: acc holds m rows of 4 vectors; rows and panel are in range.
    unsafe {
        let (h_at, gates_at, units) = (f.h.column(p), f.gates.column(p), units::<V>(shape, p));
        for i in 0..at.m {
            let pre = acc.add(i * ACC_STRIDE);
            let gates = gates_at.row(at.token + i);
            let n_x = V::load(pre);
            let (reset, update) = (gate.value(V::load(pre.add(LANES))), gate.value(V::load(pre.add(2 * LANES))));
            reset.store(gates.add(LANES));
            update.store(gates.add(2 * LANES));
            let h_prev = V::load(h_at.row(at.prev[i]));
            if let Some(inner) = f.inner {
                n_x.store(gates);
                reset.mul(h_prev).flush().store(inner.panel(p, f.tokens.row(at.token + i)));
                continue;
            }
            let n_h = V::load(pre.add(3 * LANES));
            let new = entering.value(reset.mul_add(n_h, n_x));
            new.store(gates);
            n_h.store(gates.add(3 * LANES));
            put_h(f, at, i, (h_at, p), keep(units, update.mul_add(h_prev.sub(new), new)));
        }
    }
}

/// # Safety
/// - as [`super::backward`].
#[inline(always)]
pub(super) unsafe fn backward<V: Vector>(b: &Backward<'_>) {
    let first = b.tokens.token(b.t, b.lanes.start);
    for p in b.panels.clone() {
        // SAFETY: rows and panels are in range by the caller's promise.
        unsafe {
            let u = Units::of(b, p, p);
            let (gate, entering) = (b.shape.gate().back::<V>(), b.shape.entering().back::<V>());
            let one = V::splat(1.0);
            for (lane, token) in b.lanes.clone().zip(first..) {
                let gates = u.gates.row(token);
                let (new, reset) = (V::load(gates), V::load(gates.add(LANES)));
                let update = V::load(gates.add(2 * LANES));
                let h_prev = V::load(u.h.row(u.prev_row(token)));
                let d_h: V = u.d_h(lane, token);
                let d_new = d_h.mul(one.sub(update)).mul(entering.at(new)).flush();
                d_new.store(gates);
                d_h.mul(h_prev.sub(new)).mul(gate.at(update)).flush().store(gates.add(2 * LANES));
                d_h.mul(update).flush().store(u.d_h.row(lane));
                if !b.shape.variant.reset_before {
                    let n_h = V::load(gates.add(3 * LANES));
                    d_new.mul(n_h).mul(gate.at(reset)).flush().store(gates.add(LANES));
                    d_new.mul(reset).flush().store(gates.add(3 * LANES));
                }
            }
        }
    }
}
