//! A step's second product: `W_hn (r * h_{t-1})` of a GRU that resets before, `W_hr (o * tanh c)` of a projected LSTM.
//!
//! ```text
//! GRU   n = k(clip(n_x + W_hn (r h_{t-1})))    h = n + z (h_{t-1} - n)
//!       d_rh = d_a_n W_hn                      d_a_r = d_rh h_{t-1} s'(r)      d_h_{t-1} += d_rh r
//! LSTM  h = W_hr m                             d_h = d_y + d_h carried         d_m = d_h W_hr
//! ```
//!
//! The product runs over all units, so it is an operation of its own: a team that shares units meets before it. Of a GRU
//! it reads every unit's slot 0 and writes its own units' slot 1.

use super::super::gate_grad::Backward;
use super::super::gates::{Forward, Lanes, put_h};
use super::super::input_grad::{Run, product};
use super::{keep, units};
use crate::pack::{Cell, LANES, LayerLayout, Weights};
use crate::tile::{ACC_STRIDE, Acc, MAX_ROWS, RowsCall, Tier, tiles};
use crate::tokens::Tokens;
use crate::vector::{Pointwise, Vector};
use crate::view::At;
use std::ops::Range;

/// # Safety
/// - as [`super::super::gates::forward`], and `f.inner` is there.
#[inline(always)]
pub(crate) unsafe fn forward<T: Tier>(f: &Forward<'_>) {
    let l = f.layout;
    let (panels, k) = (l.shape.inner_panels(), l.shape.k_inner());
    let w = f.weights.params[l.inner.clone()].as_ptr();
    let zeros = [0.0f32; 4 * LANES];
    let mut acc = Acc::new();
    let acc_at: *mut f32 = acc.0.as_mut_ptr().cast();
    for p in f.panels.clone() {
        let n = panels.width(p);
        for (first, m) in tiles(f.lanes.len(), T::ROWS[n - 1]) {
            let lane = f.lanes.start + first;
            let token = f.tokens.token(f.t, lane);
            // SAFETY: rows and panels are in range by the caller's promise.
            unsafe {
                let at = Lanes::of(f, lane, m);
                let inner = f.inner.unwrap_unchecked();
                let mut call = RowsCall::new(zeros.as_ptr(), acc_at, k);
                let mut rows = [std::ptr::null::<f32>(); MAX_ROWS];
                for (i, row) in rows.iter_mut().enumerate().take(m) {
                    *row = inner.panel(0, f.tokens.row(token + i));
                    if l.shape.cell == Cell::Gru {
                        call.init[i] = f.gates.panel(p, token + i);
                    }
                }
                T::strided_rows(n, m, &rows, w.add(panels.offset(p, k)), &mut call);
                if l.shape.cell == Cell::Gru {
                    new_state::<T::V>(f, &at, acc_at, p);
                } else {
                    for vector in panels.first(p)..panels.first(p) + n {
                        let h_at = f.h.column(vector);
                        for i in 0..m {
                            let h = T::V::load(acc_at.add(i * ACC_STRIDE + (vector - panels.first(p)) * LANES));
                            put_h(f, &at, i, (h_at, vector), h);
                        }
                    }
                }
            }
        }
    }
}

/// n and h of 16 units, from the pre-activation of n.
#[inline(always)]
unsafe fn new_state<V: Vector>(f: &Forward<'_>, at: &Lanes, acc: *const f32, p: usize) {
    let shape = &f.layout.shape;
    let entering = shape.entering();
    // SAFETY: acc holds m rows of a vector; rows and panel are in range.
    unsafe {
        let (h_at, gates_at, units) = (f.h.column(p), f.gates.column(p), units::<V>(shape, p));
        for i in 0..at.m {
            let gates = gates_at.row(at.token + i);
            let new = entering.value(V::load(acc.add(i * ACC_STRIDE)));
            new.store(gates);
            let (update, h_prev) = (V::load(gates.add(2 * LANES)), V::load(h_at.row(at.prev[i])));
            put_h(f, at, i, (h_at, p), keep(units, update.mul_add(h_prev.sub(new), new)));
        }
    }
}

/// A projection's whole gradient to h, before its product: `d_p = d_y + d_h`, of the panels of h.
///
/// # Safety
/// - as [`super::super::gates::forward`]; `b.d_p` is there.
#[inline(always)]
pub(crate) unsafe fn output_grad<T: Tier>(b: &Backward<'_>) {
    let panels = b.shape.d_h_panels();
    let first = b.tokens.token(b.t, b.lanes.start);
    for p in b.panels.clone() {
        for vector in panels.first(p)..panels.first(p) + panels.width(p) {
            // SAFETY: rows and panels are in range by the caller's promise.
            unsafe {
                let (d_y, d_h) = (b.d_y.column(vector), b.d_h.column(vector));
                let d_p = b.d_p.unwrap_unchecked().column(vector);
                for (lane, token) in b.lanes.clone().zip(first..) {
                    let d = T::V::load(d_y.row(b.tokens.row(token))).add(T::V::load(d_h.row(lane)));
                    d.flush().store(d_p.row(token));
                }
            }
        }
    }
}

/// The resolved way back through the second product.
pub(crate) struct InnerGrad<'a> {
    pub(crate) layout: &'a LayerLayout,
    pub(crate) weights: Weights<'a>,
    /// By row: h_{t-1}.
    pub(crate) h: At,
    pub(crate) gates: At,
    /// By lane: a GRU's d_h, to which its part is added.
    pub(crate) d_h: At,
    /// By token: a projection's gradient to h; and by lane what becomes of it.
    pub(crate) projection: Option<(At, At)>,
    pub(crate) tokens: &'a Tokens,
    /// Row of the state before each token, in the layer's order.
    pub(crate) prev_rows: &'a [u32],
    pub(crate) t: usize,
    pub(crate) lanes: Range<usize>,
    /// Of the units.
    pub(crate) panels: Range<usize>,
}

/// # Safety
/// - as [`super::super::gates::forward`].
#[inline(always)]
pub(crate) unsafe fn grad<T: Tier>(g: &InnerGrad<'_>) {
    let shape = &g.layout.shape;
    let k = shape.inner_panels().vectors() * LANES;
    let panels = shape.unit_panels();
    let w = g.weights.transposed[g.layout.t_inner.clone()].as_ptr();
    let zeros = [0.0f32; 4 * LANES];
    let mut acc = Acc::new();
    let acc_at: *mut f32 = acc.0.as_mut_ptr().cast();
    for q in g.panels.clone() {
        let n = panels.width(q);
        for (first, m) in tiles(g.lanes.len(), T::ROWS[n - 1]) {
            let lane = g.lanes.start + first;
            let token = g.tokens.token(g.t, lane);
            // SAFETY: rows and panels are in range by the caller's promise.
            unsafe {
                let mut call = RowsCall::new(zeros.as_ptr(), acc_at, k);
                let b = w.add(panels.offset(q, k));
                let Some((d_p, d_m)) = &g.projection else {
                    let run = Run { packed: shape.inner_panels(), slot: 0, k: 0..k };
                    product::<T>(&g.gates, run, n, (token, m), b, &mut call);
                    for vector in panels.first(q)..panels.first(q) + n {
                        reset_grad::<T::V>(g, (lane, token, m), acc_at.add((vector - panels.first(q)) * LANES), vector);
                    }
                    continue;
                };
                let mut rows = [std::ptr::null::<f32>(); MAX_ROWS];
                for (i, row) in rows.iter_mut().enumerate().take(m) {
                    *row = d_p.panel(0, token + i);
                }
                T::strided_rows(n, m, &rows, b, &mut call);
                for j in 0..n {
                    let d_m = d_m.column(panels.first(q) + j);
                    for i in 0..m {
                        T::V::load(acc_at.add(i * ACC_STRIDE + j * LANES)).flush().store(d_m.row(lane + i));
                    }
                }
            }
        }
    }
}

/// d_a_r, and r's part of d_h_{t-1}, of the 16 units of `vector`.
#[inline(always)]
unsafe fn reset_grad<V: Vector>(
    g: &InnerGrad<'_>,
    (lane, token, m): (usize, usize, usize),
    acc: *const f32,
    vector: usize,
) {
    // SAFETY: acc holds m rows; rows and panel are in range.
    unsafe {
        let slope = g.layout.shape.gate().back::<V>();
        let (h_at, gates_at, d_h_at) = (g.h.column(vector), g.gates.column(vector), g.d_h.column(vector));
        for i in 0..m {
            let d_rh = V::load(acc.add(i * ACC_STRIDE));
            let reset_at = gates_at.row(token + i).add(LANES);
            let reset = V::load(reset_at);
            let h_prev = V::load(h_at.row(g.prev_rows[token + i] as usize));
            d_rh.mul(h_prev).mul(slope.at(reset)).flush().store(reset_at);
            let d_h_at = d_h_at.row(lane + i);
            d_rh.mul_add(reset, V::load(d_h_at)).flush().store(d_h_at);
        }
    }
}
