//! Backward, elementwise: from dh_t, dc_t and the kept gates to the gate gradients, in the gates' place.
//!
//! dh_t = d_y\[t\] + d_h (what came back from t+1). Derivatives from outputs: s' = s (1 - s), tanh' = 1 - tanh^2; tanh(c)
//! is computed again, never a gate. Sources: `doc/rnn.md`, `doc/lstm.md`, `doc/gru.md`.

use crate::math::tanh;
use crate::pack::{Cell, LANES, LayerShape};
use crate::tile::Tier;
use crate::vector::Vector;
use crate::view::{At, Tokens};
use std::ops::Range;

/// The resolved operation.
pub(crate) struct Backward<'a> {
    pub(crate) shape: LayerShape,
    /// By row: the gradient from above.
    pub(crate) d_y: At,
    /// By lane: dh_t from t+1. A GRU leaves z * dh_t here, where the input gradient adds its part.
    pub(crate) d_h: At,
    /// By lane, LSTM only: dc_t from t+1, replaced by dc_{t-1}.
    pub(crate) d_c: Option<At>,
    pub(crate) h: At,
    pub(crate) c: Option<At>,
    pub(crate) gates: At,
    pub(crate) tokens: &'a Tokens,
    pub(crate) t: usize,
    pub(crate) lanes: Range<usize>,
    pub(crate) panels: Range<usize>,
}

/// # Safety
/// - as [`super::gates::forward`].
#[inline(always)]
pub(crate) unsafe fn backward<T: Tier>(b: &Backward<'_>) {
    let panels = b.shape.slots();
    for p in b.panels.clone() {
        for lane in b.lanes.clone() {
            let token = b.tokens.token(b.t, lane);
            // SAFETY: rows and panels are in range by the caller's promise.
            unsafe {
                if p + 1 < b.panels.end {
                    ahead::<T>(b, p + 1, token);
                }
                match b.shape.cell {
                    Cell::Rnn => rnn::<T::V>(b, panels.first(p), panels.width(p), lane, token),
                    Cell::Lstm => lstm::<T::V>(b, p, lane, token),
                    Cell::Gru => gru::<T::V>(b, p, lane, token),
                }
            }
        }
    }
}

/// Asks for what panel `p` of this token will be computed from: rows lie too far apart for the hardware to see them
/// coming.
#[inline(always)]
unsafe fn ahead<T: Tier>(b: &Backward<'_>, p: usize, token: usize) {
    let panels = b.shape.slots();
    let width = panels.width(p);
    let units = if b.shape.cell == Cell::Rnn { panels.first(p)..panels.first(p) + width } else { p..p + 1 };
    // SAFETY: the panel is in range by the caller's promise.
    unsafe {
        for unit in units {
            let row = b.tokens.row(token);
            T::prefetch(b.d_y.panel(unit, row));
            match &b.c {
                Some(c) => T::prefetch(c.panel(unit, b.tokens.prev_rows()[token] as usize)),
                None => T::prefetch(b.h.panel(unit, row)),
            }
        }
    }
}

/// d_y + d_h of 16 units.
#[inline(always)]
unsafe fn d_h_of<V: Vector>(b: &Backward<'_>, vector: usize, lane: usize, token: usize) -> V {
    // SAFETY: the caller's.
    unsafe { V::load(b.d_y.panel(vector, b.tokens.row(token))).add(V::load(b.d_h.panel(vector, lane))).flush() }
}

/// d_pre = dh * (1 - h^2).
#[inline(always)]
unsafe fn rnn<V: Vector>(b: &Backward<'_>, first: usize, n: usize, lane: usize, token: usize) {
    // SAFETY: the caller's.
    unsafe {
        let one = V::splat(1.0);
        let gates = b.gates.panel(first / b.shape.panels().per_panel(), token);
        for j in 0..n {
            let d_h: V = d_h_of(b, first + j, lane, token);
            let h = V::load(b.h.panel(first + j, b.tokens.row(token)));
            d_h.mul(h.neg_mul_add(h, one)).flush().store(gates.add(j * LANES));
        }
    }
}

/// dc += dh * o * (1 - tanh(c)^2); d_i, d_f, d_g, d_o; dc_{t-1} = dc * f.
#[inline(always)]
unsafe fn lstm<V: Vector>(b: &Backward<'_>, p: usize, lane: usize, token: usize) {
    // SAFETY: the caller's.
    unsafe {
        let one = V::splat(1.0);
        let gates = b.gates.panel(p, token);
        let (input, forget) = (V::load(gates), V::load(gates.add(LANES)));
        let (cell, output) = (V::load(gates.add(2 * LANES)), V::load(gates.add(3 * LANES)));
        let (c_at, d_c_at) = (b.c.unwrap_unchecked(), b.d_c.unwrap_unchecked().panel(p, lane));
        let c_prev = V::load(c_at.panel(p, b.tokens.prev_rows()[token] as usize));
        let tanh_c = tanh(V::load(c_at.panel(p, b.tokens.row(token))));
        let d_h: V = d_h_of(b, p, lane, token);
        let d_c = d_h.mul(output).mul_add(tanh_c.neg_mul_add(tanh_c, one), V::load(d_c_at)).flush();
        let through = |d: V, s: V| d.mul(s.mul(one.sub(s))).flush();
        through(d_c.mul(cell), input).store(gates);
        through(d_c.mul(c_prev), forget).store(gates.add(LANES));
        d_c.mul(input).mul(cell.neg_mul_add(cell, one)).flush().store(gates.add(2 * LANES));
        through(d_h.mul(tanh_c), output).store(gates.add(3 * LANES));
        // Before a reset there is nothing to carry: the state was not this token's c_{t-1}.
        let carried = if b.tokens.prev_rows()[token] == 0 { V::splat(0.0) } else { d_c.mul(forget).flush() };
        carried.store(d_c_at);
    }
}

/// d_n = dh (1 - z) (1 - n^2); d_z = dh (h_{t-1} - n) z (1 - z); d_r = d_n n_h r (1 - r); d_nh = d_n r.
#[inline(always)]
unsafe fn gru<V: Vector>(b: &Backward<'_>, p: usize, lane: usize, token: usize) {
    // SAFETY: the caller's.
    unsafe {
        let one = V::splat(1.0);
        let gates = b.gates.panel(p, token);
        let (new, reset) = (V::load(gates), V::load(gates.add(LANES)));
        let (update, n_h) = (V::load(gates.add(2 * LANES)), V::load(gates.add(3 * LANES)));
        let h_prev = V::load(b.h.panel(p, b.tokens.prev_rows()[token] as usize));
        let d_h: V = d_h_of(b, p, lane, token);
        let d_new = d_h.mul(one.sub(update)).mul(new.neg_mul_add(new, one)).flush();
        d_new.store(gates);
        d_new.mul(n_h).mul(reset.mul(one.sub(reset))).flush().store(gates.add(LANES));
        d_h.mul(h_prev.sub(new)).mul(update.mul(one.sub(update))).flush().store(gates.add(2 * LANES));
        d_new.mul(reset).flush().store(gates.add(3 * LANES));
        d_h.mul(update).flush().store(b.d_h.panel(p, lane));
    }
}
