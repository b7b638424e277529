//! h = (1-z)*n + z*h_prev, the reset after the product with W_hn or before it; and the way back.
//!
//! ```text
//! after   n = t(clip(W_in x + b_in + r*(W_hn h_prev + b_hn)))
//! before  n = t(clip(W_in x + b_in + W_hn (r*h_prev) + b_hn))
//! ```
//! These are two functions, and no choice of weights turns one into the other. Blocks of rows: r, z, n.

use super::variant::{Function, bounded, bounded_slope};
use super::{CellParams, CellShape, Step, StepGrad, add_outer, affine};
use crate::dot::matvec_transposed;
use crate::scalar::Scalar;

/// Shapes: `x [I]`, `h_prev [H]`.
pub fn forward<S: Scalar>(shape: &CellShape, params: &CellParams<S>, x: &[S], h_prev: &[S]) -> Step<S> {
    let (variant, hidden) = (shape.variant, shape.hidden);
    let functions = variant.activations;
    let one = S::constant(1.0);
    let a_x = affine(&params.weight_ih, x, &params.bias_ih, 3 * hidden);
    let a_h = affine(&params.weight_hh, h_prev, &params.bias_hh, 3 * hidden);
    let mut a: Vec<S> = a_x.iter().zip(&a_h).map(|(&x, &h)| x + h).collect();
    let mut gates: Vec<S> = a[..2 * hidden].iter().map(|&a| functions.gates.at(bounded(a, variant.clip))).collect();
    let reset: Vec<S> = (0..hidden).map(|u| gates[u] * h_prev[u]).collect();
    let (_, w_hn) = params.weight_hh.split_at(2 * hidden * hidden);
    let b_hn = if variant.bias { &params.bias_hh[2 * hidden..] } else { &[] };
    let before = affine(w_hn, &reset, b_hn, hidden);
    let (mut n_h, mut h) = (Vec::new(), Vec::new());
    for u in 0..hidden {
        let (r, z) = (gates[u], gates[hidden + u]);
        if variant.reset_before {
            a[2 * hidden + u] = a_x[2 * hidden + u] + before[u];
        } else {
            n_h.push(a_h[2 * hidden + u]);
            a[2 * hidden + u] = a_x[2 * hidden + u] + r * n_h[u];
        }
        let n = functions.cell.at(bounded(a[2 * hidden + u], variant.clip));
        gates.push(n);
        h.push((one - z) * n + z * h_prev[u]);
    }
    Step {
        x: x.to_vec(),
        h_prev: h_prev.to_vec(),
        c_prev: Vec::new(),
        a,
        gates,
        n_h,
        c_free: Vec::new(),
        c: Vec::new(),
        m: h.clone(),
        h,
    }
}

/// Shape: `d_h [H]`.
pub fn backward(
    shape: &CellShape,
    params: &CellParams<f64>,
    step: &Step<f64>,
    d_h: &[f64],
    grads: &mut CellParams<f64>,
) -> StepGrad {
    let (variant, hidden) = (shape.variant, shape.hidden);
    let functions = variant.activations;
    let slope = |function: Function, a: f64| function.slope(bounded(a, variant.clip)) * bounded_slope(a, variant.clip);
    let (w_hrz, w_hn) = params.weight_hh.split_at(2 * hidden * hidden);
    let mut d_a = vec![0.0; 3 * hidden]; // of what goes into the activations: also of W_ih x + b_ih
    let mut d_h_prev = vec![0.0; hidden];
    let mut d_r = vec![0.0; hidden];
    for u in 0..hidden {
        let (z, n, h_prev) = (step.gates[hidden + u], step.gates[2 * hidden + u], step.h_prev[u]);
        d_a[2 * hidden + u] = d_h[u] * (1.0 - z) * slope(functions.cell, step.a[2 * hidden + u]);
        d_a[hidden + u] = d_h[u] * (h_prev - n) * slope(functions.gates, step.a[hidden + u]);
        d_h_prev[u] = d_h[u] * z;
    }
    // Of W_hn's product, and what that product was taken with.
    let (d_n_h, beside_w_hn): (Vec<f64>, Vec<f64>) = if variant.reset_before {
        let d_n_h = d_a[2 * hidden..].to_vec();
        let d_reset = matvec_transposed(w_hn, &d_n_h, hidden);
        for u in 0..hidden {
            d_r[u] = d_reset[u] * step.h_prev[u];
            d_h_prev[u] += d_reset[u] * step.gates[u];
        }
        (d_n_h, (0..hidden).map(|u| step.gates[u] * step.h_prev[u]).collect())
    } else {
        let d_n_h: Vec<f64> = (0..hidden).map(|u| d_a[2 * hidden + u] * step.gates[u]).collect();
        let through = matvec_transposed(w_hn, &d_n_h, hidden);
        for u in 0..hidden {
            d_r[u] = d_a[2 * hidden + u] * step.n_h[u];
            d_h_prev[u] += through[u];
        }
        (d_n_h, step.h_prev.clone())
    };
    for u in 0..hidden {
        d_a[u] = d_r[u] * slope(functions.gates, step.a[u]);
    }
    let through = matvec_transposed(w_hrz, &d_a[..2 * hidden], hidden);
    for u in 0..hidden {
        d_h_prev[u] += through[u];
    }
    add_outer(&mut grads.weight_ih, &mut grads.bias_ih, &d_a, &step.x);
    let (d_w_hrz, d_w_hn) = grads.weight_hh.split_at_mut(2 * hidden * hidden);
    let (d_b_hrz, d_b_hn) = grads.bias_hh.split_at_mut(if variant.bias { 2 * hidden } else { 0 });
    add_outer(d_w_hrz, d_b_hrz, &d_a[..2 * hidden], &step.h_prev);
    add_outer(d_w_hn, d_b_hn, &d_n_h, &beside_w_hn);
    StepGrad { d_x: matvec_transposed(&params.weight_ih, &d_a, shape.inputs), d_h_prev, d_c_prev: Vec::new() }
}
