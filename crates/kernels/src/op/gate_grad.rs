//! Backward, elementwise: from dh_t, dc_t and the kept gates to the gate gradients, in the gates' place.
//!
//! dh_t = d_y\[t\] + d_h (what came back from t+1). Derivatives from outputs: s' = s (1 - s), tanh' = 1 - tanh^2; tanh(c)
//! is computed again, never a gate. Sources: `doc/rnn.md`, `doc/lstm.md`, `doc/gru.md`.

use crate::math::tanh;
use crate::pack::{Cell, LANES, LayerShape};
use crate::tile::Tier;
use crate::tokens::Tokens;
use crate::vector::Vector;
use crate::view::{At, Column};
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
    /// A projected LSTM: by token d_y + d_h, and by lane that times W_hr, which stands for d_y + d_h here.
    pub(crate) d_p: Option<At>,
    pub(crate) d_m: Option<At>,
    /// p_i, p_f, p_o `[panel][3][16]`, or none.
    pub(crate) peepholes: &'a [f32],
    pub(crate) tokens: &'a Tokens,
    /// Row of the state before each token, in the layer's order.
    pub(crate) prev_rows: &'a [u32],
    pub(crate) t: usize,
    pub(crate) lanes: Range<usize>,
    pub(crate) panels: Range<usize>,
}

/// What the lanes of a panel's units are computed from and written to.
pub(super) struct Units<'a> {
    d_y: Column,
    pub(super) d_h: Column,
    d_c: Option<Column>,
    pub(super) h: Column,
    c: Option<Column>,
    pub(super) gates: Column,
    tokens: &'a Tokens,
    prev_rows: &'a [u32],
}

/// # Safety
/// - as [`super::gates::forward`].
#[inline(always)]
pub(crate) unsafe fn backward<T: Tier>(b: &Backward<'_>) {
    let panels = b.shape.slots();
    let first = b.tokens.token(b.t, b.lanes.start);
    for p in b.panels.clone() {
        // An RNN's panel is up to four vectors of units, the others' is one.
        let vectors = if b.shape.cell == Cell::Rnn { panels.width(p) } else { 1 };
        let vector = if b.shape.cell == Cell::Rnn { panels.first(p) } else { p };
        for j in 0..vectors {
            // SAFETY: rows and panels are in range by the caller's promise.
            unsafe {
                let units = Units::of(b, vector + j, p);
                // Rows lie too far apart for the hardware to see the next vector's coming.
                let coming = (vector + j + 1 < b.shape.hidden_vectors()).then(|| {
                    let other = b.c.map_or_else(|| b.h.column(vector + j + 1), |c| c.column(vector + j + 1));
                    (b.d_y.column(vector + j + 1), other)
                });
                for (lane, token) in b.lanes.clone().zip(first..) {
                    if let Some((d_y, other)) = &coming {
                        T::prefetch(d_y.row(b.tokens.row(token)));
                        T::prefetch(other.row(b.tokens.row(token)));
                    }
                    match b.shape.cell {
                        Cell::Rnn => rnn::<T::V>(&units, j, lane, token),
                        Cell::Lstm => lstm::<T::V>(&units, lane, token),
                        Cell::Gru => gru::<T::V>(&units, lane, token),
                    }
                }
            }
        }
    }
}

impl<'a> Units<'a> {
    /// The 16 units of `vector`, whose gates are in panel `p`.
    ///
    /// # Safety
    /// - both are in range.
    #[inline(always)]
    pub(super) unsafe fn of(b: &Backward<'a>, vector: usize, p: usize) -> Self {
        // SAFETY: the caller's.
        unsafe {
            Self {
                d_y: b.d_y.column(vector),
                d_h: b.d_h.column(vector),
                d_c: b.d_c.map(|d_c| d_c.column(vector)),
                h: b.h.column(vector),
                c: b.c.map(|c| c.column(vector)),
                gates: b.gates.column(p),
                tokens: b.tokens,
                prev_rows: b.prev_rows,
            }
        }
    }
    /// d_y + d_h of 16 units.
    #[inline(always)]
    pub(super) unsafe fn d_h<V: Vector>(&self, lane: usize, token: usize) -> V {
        // SAFETY: the caller's.
        unsafe { V::load(self.d_y.row(self.tokens.row(token))).add(V::load(self.d_h.row(lane))).flush() }
    }
    #[inline(always)]
    pub(super) fn prev_row(&self, token: usize) -> usize {
        self.prev_rows[token] as usize
    }
}

/// d_pre = dh * (1 - h^2).
#[inline(always)]
unsafe fn rnn<V: Vector>(u: &Units<'_>, j: usize, lane: usize, token: usize) {
    // SAFETY: the caller's.
    unsafe {
        let one = V::splat(1.0);
        let d_h: V = u.d_h(lane, token);
        let h = V::load(u.h.row(u.tokens.row(token)));
        d_h.mul(h.neg_mul_add(h, one)).flush().store(u.gates.row(token).add(j * LANES));
    }
}

/// dc += dh * o * (1 - tanh(c)^2); d_i, d_f, d_g, d_o; dc_{t-1} = dc * f.
#[inline(always)]
unsafe fn lstm<V: Vector>(u: &Units<'_>, lane: usize, token: usize) {
    // SAFETY: the caller's.
    unsafe {
        let one = V::splat(1.0);
        let gates = u.gates.row(token);
        let (input, forget) = (V::load(gates), V::load(gates.add(LANES)));
        let (cell, output) = (V::load(gates.add(2 * LANES)), V::load(gates.add(3 * LANES)));
        let (c_at, d_c_at) = (u.c.unwrap_unchecked(), u.d_c.unwrap_unchecked().row(lane));
        let previous = u.prev_row(token);
        let c_prev = V::load(c_at.row(previous));
        let tanh_c = tanh(V::load(c_at.row(u.tokens.row(token))));
        let d_h: V = u.d_h(lane, token);
        let d_c = d_h.mul(output).mul_add(tanh_c.neg_mul_add(tanh_c, one), V::load(d_c_at)).flush();
        let through = |d: V, s: V| d.mul(s.mul(one.sub(s))).flush();
        through(d_c.mul(cell), input).store(gates);
        through(d_c.mul(c_prev), forget).store(gates.add(LANES));
        d_c.mul(input).mul(cell.neg_mul_add(cell, one)).flush().store(gates.add(2 * LANES));
        through(d_h.mul(tanh_c), output).store(gates.add(3 * LANES));
        // Before a reset there is nothing to carry: the state was not this token's c_{t-1}.
        let carried = if previous == 0 { V::splat(0.0) } else { d_c.mul(forget).flush() };
        carried.store(d_c_at);
    }
}

/// d_n = dh (1 - z) (1 - n^2); d_z = dh (h_{t-1} - n) z (1 - z); d_r = d_n n_h r (1 - r); d_nh = d_n r.
#[inline(always)]
unsafe fn gru<V: Vector>(u: &Units<'_>, lane: usize, token: usize) {
    // SAFETY: the caller's.
    unsafe {
        let one = V::splat(1.0);
        let gates = u.gates.row(token);
        let (new, reset) = (V::load(gates), V::load(gates.add(LANES)));
        let (update, n_h) = (V::load(gates.add(2 * LANES)), V::load(gates.add(3 * LANES)));
        let h_prev = V::load(u.h.row(u.prev_row(token)));
        let d_h: V = u.d_h(lane, token);
        let d_new = d_h.mul(one.sub(update)).mul(new.neg_mul_add(new, one)).flush();
        d_new.store(gates);
        d_new.mul(n_h).mul(reset.mul(one.sub(reset))).flush().store(gates.add(LANES));
        d_h.mul(h_prev.sub(new)).mul(update.mul(one.sub(update))).flush().store(gates.add(2 * LANES));
        d_new.mul(reset).flush().store(gates.add(3 * LANES));
        d_h.mul(update).flush().store(u.d_h.row(lane));
    }
}
