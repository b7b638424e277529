//! The LSTM with peepholes, coupled gates, bounds, a projection, other activations.
//!
//! ```text
//! i = s(clip(a_i + p_i c_{t-1}))      f = s(clip(a_f + p_f c_{t-1}))   or, coupled, 1 - i      g = k(clip(a_g))
//! c = cell_clip(f c_{t-1} + i g)      o = s(clip(a_o + p_o c))         m = o l(c)              h = m, or W_hr m
//!
//! d_a_o = d_m l(c) s'(o)              d_c = [abs(c) < cell_clip] (d_c + d_m o l'(c) + d_a_o p_o)
//! d_a_i = d_c g s'(i)                 d_a_f = d_c c_{t-1} s'(f)        d_a_g = d_c i k'(g)
//! coupled: d_a_i = d_c (g - c_{t-1}) s'(i), d_a_f = 0
//! d_c_{t-1} = d_c f + d_a_i p_i + d_a_f p_f
//! ```

use super::super::gate_grad::Backward;
use super::super::gates::{Forward, Lanes, put_h};
use super::activation::bounded;
use super::{keep, units};
use crate::pack::{LANES, LayerLayout};
use crate::tile::ACC_STRIDE;
use crate::vector::Vector;

/// p_i, p_f, p_o of a panel's units.
///
/// # Safety
/// - the tier is available; `peepholes` is empty or has the panel.
#[inline(always)]
unsafe fn peepholes<V: Vector>(peepholes: &[f32], p: usize) -> Option<[V; 3]> {
    if peepholes.is_empty() {
        return None;
    }
    let at = &peepholes[p * 3 * LANES..][..3 * LANES];
    // SAFETY: three vectors.
    unsafe { Some([V::load(at.as_ptr()), V::load(at[LANES..].as_ptr()), V::load(at[2 * LANES..].as_ptr())]) }
}

/// # Safety
/// - as [`super::cell`].
#[inline(always)]
pub(super) unsafe fn forward<V: Vector>(f: &Forward<'_>, at: &Lanes, acc: *mut f32, p: usize) {
    let l: &LayerLayout = f.layout;
    let variant = &l.shape.variant;
    let (gate, entering, leaving) = (l.shape.gate(), l.shape.entering(), l.shape.leaving());
    // SAFETY: acc holds m rows of 4 vectors; rows and panel are in range.
    unsafe {
        let (c_at, gates_at) = (f.c.unwrap_unchecked().column(p), f.gates.column(p));
        let units = units::<V>(&l.shape, p);
        let through = peepholes::<V>(&f.weights.params[l.peepholes.clone()], p);
        let one = V::splat(1.0);
        for i in 0..at.m {
            let pre = acc.add(i * ACC_STRIDE);
            let c_prev = V::load(c_at.row(at.prev[i]));
            let (mut a_i, mut a_f) = (V::load(pre), V::load(pre.add(LANES)));
            if let Some([p_i, p_f, _]) = through {
                (a_i, a_f) = (p_i.mul_add(c_prev, a_i), p_f.mul_add(c_prev, a_f));
            }
            let input = gate.value(a_i);
            let forget = if variant.coupled { one.sub(input) } else { gate.value(a_f) };
            let cell = entering.value(V::load(pre.add(2 * LANES)));
            let mut c = forget.mul_add(c_prev, input.mul(cell));
            if let Some(bound) = variant.cell_clip {
                c = bounded(c, bound);
            }
            let c = keep(units, c).flush();
            let gates = gates_at.row(at.token + i);
            input.store(gates);
            forget.store(gates.add(LANES));
            cell.store(gates.add(2 * LANES));
            c.store(c_at.row(f.tokens.row(at.token + i)));
            c.store(pre);
        }
        // A projection reads what would be h.
        let h_at = f.inner.unwrap_or(f.h).column(p);
        for i in 0..at.m {
            let pre = acc.add(i * ACC_STRIDE);
            let (c, mut a_o) = (V::load(pre), V::load(pre.add(3 * LANES)));
            if let Some([_, _, p_o]) = through {
                a_o = p_o.mul_add(c, a_o);
            }
            let output = gate.value(a_o);
            output.store(gates_at.row(at.token + i).add(3 * LANES));
            let h = keep(units, output.mul(leaving.value(c)));
            if f.inner.is_some() {
                h.flush().store(h_at.row(f.tokens.row(at.token + i)));
            } else {
                put_h(f, at, i, (h_at, p), h);
            }
        }
    }
}

/// # Safety
/// - as [`super::backward`].
#[inline(always)]
pub(super) unsafe fn backward<V: Vector>(b: &Backward<'_>) {
    let (shape, variant) = (&b.shape, &b.shape.variant);
    let leaving = shape.leaving();
    let first = b.tokens.token(b.t, b.lanes.start);
    for p in b.panels.clone() {
        // SAFETY: rows and panels are in range by the caller's promise.
        unsafe {
            let gates_at = b.gates.column(p);
            let (c_at, d_c_at) = (b.c.unwrap_unchecked().column(p), b.d_c.unwrap_unchecked().column(p));
            let through = peepholes::<V>(b.peepholes, p);
            let (gate, entering) = (shape.gate().back::<V>(), shape.entering().back::<V>());
            let leaving_back = leaving.back::<V>();
            let zero = V::splat(0.0);
            // As it was stored: a bound may be too small to be kept as it is.
            let bound = variant.cell_clip.map(|bound| V::splat(bound).flush());
            for (lane, token) in b.lanes.clone().zip(first..) {
                let gates = gates_at.row(token);
                let (input, forget) = (V::load(gates), V::load(gates.add(LANES)));
                let (cell, output) = (V::load(gates.add(2 * LANES)), V::load(gates.add(3 * LANES)));
                let (previous, row) = (b.prev_rows[token] as usize, b.tokens.row(token));
                let (c_prev, c) = (V::load(c_at.row(previous)), V::load(c_at.row(row)));
                let left = leaving.value(c);
                let d_m = match &b.d_m {
                    Some(d_m) => V::load(d_m.panel(p, lane)),
                    None => V::load(b.d_y.panel(p, row)).add(V::load(b.d_h.panel(p, lane))).flush(),
                };
                let d_o = d_m.mul(left).mul(gate.at(output)).flush();
                let mut d_c = d_m.mul(output).mul_add(leaving_back.at(left), V::load(d_c_at.row(lane)));
                if let Some([_, _, p_o]) = through {
                    d_c = p_o.mul_add(d_o, d_c);
                }
                if let Some(bound) = bound {
                    let low = zero.sub(bound);
                    d_c = V::select(low.lt(c), V::select(c.lt(bound), d_c, zero), zero);
                }
                let d_c = d_c.flush();
                let d_i = if variant.coupled { d_c.mul(cell.sub(c_prev)) } else { d_c.mul(cell) };
                let d_i = d_i.mul(gate.at(input)).flush();
                let d_f = if variant.coupled { zero } else { d_c.mul(c_prev).mul(gate.at(forget)).flush() };
                d_i.store(gates);
                d_f.store(gates.add(LANES));
                d_c.mul(input).mul(entering.at(cell)).flush().store(gates.add(2 * LANES));
                d_o.store(gates.add(3 * LANES));
                let mut carried = d_c.mul(forget);
                if let Some([p_i, p_f, _]) = through {
                    carried = p_f.mul_add(d_f, p_i.mul_add(d_i, carried));
                }
                // Before a reset there is nothing to carry: the state was not this token's c_{t-1}.
                let carried = if previous == 0 { zero } else { carried.flush() };
                carried.store(d_c_at.row(lane));
            }
        }
    }
}
