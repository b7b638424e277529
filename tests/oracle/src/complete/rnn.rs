//! `h = f(clip(W_ih x + b_ih + W_hh h_prev + b_hh))`, and its way back.

use super::variant::{bounded, bounded_slope};
use super::{CellParams, CellShape, Step, StepGrad, add_outer, affine};
use crate::dot::matvec_transposed;
use crate::scalar::Scalar;

/// Shapes: `x [I]`, `h_prev [H]`.
pub fn forward<S: Scalar>(shape: &CellShape, params: &CellParams<S>, x: &[S], h_prev: &[S]) -> Step<S> {
    let (variant, hidden) = (shape.variant, shape.hidden);
    let a_x = affine(&params.weight_ih, x, &params.bias_ih, hidden);
    let a_h = affine(&params.weight_hh, h_prev, &params.bias_hh, hidden);
    let mut a = Vec::new();
    let mut h = Vec::new();
    for u in 0..hidden {
        a.push(a_x[u] + a_h[u]);
        h.push(variant.activations.cell.at(bounded(a[u], variant.clip)));
    }
    Step {
        x: x.to_vec(),
        h_prev: h_prev.to_vec(),
        c_prev: Vec::new(),
        a,
        gates: h.clone(),
        n_h: Vec::new(),
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
    let variant = shape.variant;
    let mut d_a = vec![0.0; shape.hidden];
    for u in 0..shape.hidden {
        let a = step.a[u];
        let slope = variant.activations.cell.slope(bounded(a, variant.clip)) * bounded_slope(a, variant.clip);
        d_a[u] = d_h[u] * slope;
    }
    add_outer(&mut grads.weight_ih, &mut grads.bias_ih, &d_a, &step.x);
    add_outer(&mut grads.weight_hh, &mut grads.bias_hh, &d_a, &step.h_prev);
    StepGrad {
        d_x: matvec_transposed(&params.weight_ih, &d_a, shape.inputs),
        d_h_prev: matvec_transposed(&params.weight_hh, &d_a, shape.hidden),
        d_c_prev: Vec::new(),
    }
}
