//! c = f*c_prev + i*g, m = o*tanh(c), h = W_hr m, with peepholes, coupled gates and bounds; and the way back.
//!
//! ```text
//! i = s(clip(a_i + p_i*c_prev))    f = s(clip(a_f + p_f*c_prev)), or 1 - i    g = t(clip(a_g))
//! c = cell_clip(f*c_prev + i*g)
//! o = s(clip(a_o + p_o*c))         m = t(c)*o                                 h = W_hr m, or m
//! ```
//! `a = W_ih x + b_ih + W_hh h_prev + b_hh`. Blocks of rows: i, f, g, o; of peepholes: i, f, o.

use super::variant::{Function, bounded, bounded_slope};
use super::{CellParams, CellShape, Step, StepGrad, add_outer, affine};
use crate::dot::{matvec, matvec_transposed};
use crate::scalar::Scalar;

/// Shapes: `x [I]`, `h_prev [P]`, `c_prev [H]`.
pub fn forward<S: Scalar>(shape: &CellShape, params: &CellParams<S>, x: &[S], h_prev: &[S], c_prev: &[S]) -> Step<S> {
    let (variant, hidden) = (shape.variant, shape.hidden);
    let functions = variant.activations;
    let a_x = affine(&params.weight_ih, x, &params.bias_ih, shape.rows());
    let a_h = affine(&params.weight_hh, h_prev, &params.bias_hh, shape.rows());
    let mut a: Vec<S> = a_x.iter().zip(&a_h).map(|(&x, &h)| x + h).collect();
    let mut gates = vec![S::constant(0.0); 4 * hidden];
    let (mut c_free, mut c, mut m) = (Vec::new(), Vec::new(), Vec::new());
    for u in 0..hidden {
        let [i_at, f_at, g_at, o_at] = [u, hidden + u, 2 * hidden + u, 3 * hidden + u];
        if variant.peepholes {
            a[i_at] = a[i_at] + params.weight_peephole[u] * c_prev[u];
            a[f_at] = a[f_at] + params.weight_peephole[hidden + u] * c_prev[u];
        }
        let i = functions.gates.at(bounded(a[i_at], variant.clip));
        let f = if variant.coupled { S::constant(1.0) - i } else { functions.gates.at(bounded(a[f_at], variant.clip)) };
        let g = functions.cell.at(bounded(a[g_at], variant.clip));
        let free = f * c_prev[u] + i * g;
        let c_u = bounded(free, variant.cell_clip);
        if variant.peepholes {
            a[o_at] = a[o_at] + params.weight_peephole[2 * hidden + u] * c_u;
        }
        let o = functions.gates.at(bounded(a[o_at], variant.clip));
        gates[i_at] = i;
        gates[f_at] = f;
        gates[g_at] = g;
        gates[o_at] = o;
        c_free.push(free);
        c.push(c_u);
        m.push(o * functions.hidden.at(c_u));
    }
    let h = match variant.projection {
        Some(outputs) => matvec(&params.weight_hr, &m, outputs),
        None => m.clone(),
    };
    Step { x: x.to_vec(), h_prev: h_prev.to_vec(), c_prev: c_prev.to_vec(), a, gates, n_h: Vec::new(), c_free, c, m, h }
}

/// Shapes: `d_h [P]`, and `d_c [H]` from the next step.
pub fn backward(
    shape: &CellShape,
    params: &CellParams<f64>,
    step: &Step<f64>,
    d_h: &[f64],
    d_c: &[f64],
    grads: &mut CellParams<f64>,
) -> StepGrad {
    let (variant, hidden) = (shape.variant, shape.hidden);
    let functions = variant.activations;
    let slope = |function: Function, a: f64| function.slope(bounded(a, variant.clip)) * bounded_slope(a, variant.clip);
    let d_m = match variant.projection {
        Some(_) => {
            add_outer(&mut grads.weight_hr, &mut [], d_h, &step.m);
            matvec_transposed(&params.weight_hr, d_h, hidden)
        }
        None => d_h.to_vec(),
    };
    let mut d_a = vec![0.0; 4 * hidden];
    let mut d_c_prev = vec![0.0; hidden];
    for u in 0..hidden {
        let [i_at, f_at, g_at, o_at] = [u, hidden + u, 2 * hidden + u, 3 * hidden + u];
        let (i, f, g, o) = (step.gates[i_at], step.gates[f_at], step.gates[g_at], step.gates[o_at]);
        let (c, c_prev) = (step.c[u], step.c_prev[u]);

        let d_o = d_m[u] * functions.hidden.at(c);
        d_a[o_at] = d_o * slope(functions.gates, step.a[o_at]);

        let mut d_c_u = d_c[u] + d_m[u] * o * functions.hidden.slope(c);
        if variant.peepholes {
            d_c_u += d_a[o_at] * params.weight_peephole[2 * hidden + u];
        }
        let d_free = d_c_u * bounded_slope(step.c_free[u], variant.cell_clip);

        let d_f = d_free * c_prev;
        let d_i = if variant.coupled { d_free * g - d_f } else { d_free * g };
        let d_g = d_free * i;
        d_a[i_at] = d_i * slope(functions.gates, step.a[i_at]);
        d_a[f_at] = if variant.coupled { 0.0 } else { d_f * slope(functions.gates, step.a[f_at]) };
        d_a[g_at] = d_g * slope(functions.cell, step.a[g_at]);

        d_c_prev[u] = d_free * f;
        if variant.peepholes {
            d_c_prev[u] += d_a[i_at] * params.weight_peephole[u];
            d_c_prev[u] += d_a[f_at] * params.weight_peephole[hidden + u];
            grads.weight_peephole[u] += d_a[i_at] * c_prev;
            grads.weight_peephole[hidden + u] += d_a[f_at] * c_prev;
            grads.weight_peephole[2 * hidden + u] += d_a[o_at] * c;
        }
    }
    add_outer(&mut grads.weight_ih, &mut grads.bias_ih, &d_a, &step.x);
    add_outer(&mut grads.weight_hh, &mut grads.bias_hh, &d_a, &step.h_prev);
    StepGrad {
        d_x: matvec_transposed(&params.weight_ih, &d_a, shape.inputs),
        d_h_prev: matvec_transposed(&params.weight_hh, &d_a, shape.outputs()),
        d_c_prev,
    }
}
