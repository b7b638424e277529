//! h = tanh(a_x + a_h), and its way back.
//!
//! Equations and their derivation: `doc/rnn.md`. Source: lecture L1.

use super::{GateGrad, LayerShape, StepKept, StepOutput};
use crate::scalar::Scalar;

/// Shapes: `a_x [H]`, `a_h [H]`. The one gate is h itself.
pub fn forward<S: Scalar>(shape: &LayerShape, a_x: &[S], a_h: &[S]) -> StepOutput<S> {
    let act = shape.activation;
    let mut h = Vec::new();
    for u in 0..shape.hidden {
        h.push(act.tanh(a_x[u] + a_h[u]));
    }
    StepOutput { gates: h.clone(), n_h: Vec::new(), c: Vec::new(), h }
}

/// `d_a = d_h * (1 - h^2)`. Shape: `d_h [H]`.
pub fn backward(shape: &LayerShape, kept: StepKept<'_>, d_h: &[f64]) -> GateGrad {
    let act = shape.activation;
    let mut d_a = vec![0.0; shape.hidden];
    for u in 0..shape.hidden {
        let h = kept.gates[u];
        d_a[u] = d_h[u] * act.d_tanh(h);
    }
    GateGrad { d_gates_x: d_a.clone(), d_gates_h: d_a, d_h_direct: vec![0.0; shape.hidden], d_c_prev: Vec::new() }
}
