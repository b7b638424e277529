//! c = f*c_prev + i*g, h = o*tanh(c), and the way back.
//!
//! Equations and their derivation: `doc/lstm.md`. Source: lecture L9. Blocks of rows: i, f, g, o.

use super::{GateGrad, LayerShape, StepKept, StepOutput};
use crate::scalar::Scalar;

/// Shapes: `a_x [4*H]`, `a_h [4*H]`, `c_prev [H]`.
pub fn forward<S: Scalar>(shape: &LayerShape, a_x: &[S], a_h: &[S], c_prev: &[S]) -> StepOutput<S> {
    let act = shape.activation;
    let hidden = shape.hidden;
    let mut gates = vec![S::constant(0.0); 4 * hidden];
    let mut c = Vec::new();
    let mut h = Vec::new();
    for u in 0..hidden {
        let i = act.sigmoid(a_x[u] + a_h[u]);
        let f = act.sigmoid(a_x[hidden + u] + a_h[hidden + u]);
        let g = act.tanh(a_x[2 * hidden + u] + a_h[2 * hidden + u]);
        let o = act.sigmoid(a_x[3 * hidden + u] + a_h[3 * hidden + u]);
        let c_u = f * c_prev[u] + i * g;
        let h_u = o * act.tanh(c_u);
        gates[u] = i;
        gates[hidden + u] = f;
        gates[2 * hidden + u] = g;
        gates[3 * hidden + u] = o;
        c.push(c_u);
        h.push(h_u);
    }
    StepOutput { gates, n_h: Vec::new(), c, h }
}

/// Shapes: `d_h [H]`, and `d_c [H]` from the next step.
pub fn backward(shape: &LayerShape, kept: StepKept<'_>, d_h: &[f64], d_c: &[f64]) -> GateGrad {
    let act = shape.activation;
    let hidden = shape.hidden;
    let mut d_gates = vec![0.0; 4 * hidden];
    let mut d_c_prev = vec![0.0; hidden];
    for u in 0..hidden {
        let i = kept.gates[u];
        let f = kept.gates[hidden + u];
        let g = kept.gates[2 * hidden + u];
        let o = kept.gates[3 * hidden + u];
        let tanh_c = act.tanh(kept.c[u]);

        let d_o = d_h[u] * tanh_c;
        let d_c_u = d_c[u] + d_h[u] * o * act.d_tanh(tanh_c);
        let d_i = d_c_u * g;
        let d_f = d_c_u * kept.c_prev[u];
        let d_g = d_c_u * i;
        d_c_prev[u] = d_c_u * f;

        d_gates[u] = d_i * act.d_sigmoid(i);
        d_gates[hidden + u] = d_f * act.d_sigmoid(f);
        d_gates[2 * hidden + u] = d_g * act.d_tanh(g);
        d_gates[3 * hidden + u] = d_o * act.d_sigmoid(o);
    }
    GateGrad { d_gates_x: d_gates.clone(), d_gates_h: d_gates, d_h_direct: vec![0.0; hidden], d_c_prev }
}
