//! n = tanh(n_x + r*n_h), h = (1-z)*n + z*h_prev, and the way back.
//!
//! The reset-after form: `n_x = W_in x + b_in`, `n_h = W_hn h_prev + b_hn`, so `b_hn` stands inside `r * (...)` and the
//! two biases of block n have different gradients. Equations and their derivation: `doc/gru.md`. Source: lecture L11.
//! Blocks of rows: r, z, n.

use super::{GateGrad, LayerShape, StepKept, StepOutput};
use crate::scalar::Scalar;

/// Shapes: `a_x [3*H]`, `a_h [3*H]`, `h_prev [H]`.
pub fn forward<S: Scalar>(shape: &LayerShape, a_x: &[S], a_h: &[S], h_prev: &[S]) -> StepOutput<S> {
    let act = shape.activation;
    let hidden = shape.hidden;
    let one = S::constant(1.0);
    let mut gates = vec![S::constant(0.0); 3 * hidden];
    let mut n_hs = Vec::new();
    let mut h = Vec::new();
    for u in 0..hidden {
        let r = act.sigmoid(a_x[u] + a_h[u]);
        let z = act.sigmoid(a_x[hidden + u] + a_h[hidden + u]);
        let n_x = a_x[2 * hidden + u];
        let n_h = a_h[2 * hidden + u];
        let n = act.tanh(n_x + r * n_h);
        let h_u = (one - z) * n + z * h_prev[u];
        gates[u] = r;
        gates[hidden + u] = z;
        gates[2 * hidden + u] = n;
        n_hs.push(n_h);
        h.push(h_u);
    }
    StepOutput { gates, n_h: n_hs, c: Vec::new(), h }
}

/// Shape: `d_h [H]`.
pub fn backward(shape: &LayerShape, kept: StepKept<'_>, d_h: &[f64]) -> GateGrad {
    let act = shape.activation;
    let hidden = shape.hidden;
    let mut d_gates_x = vec![0.0; 3 * hidden];
    let mut d_gates_h = vec![0.0; 3 * hidden];
    let mut d_h_direct = vec![0.0; hidden];
    for u in 0..hidden {
        let r = kept.gates[u];
        let z = kept.gates[hidden + u];
        let n = kept.gates[2 * hidden + u];

        let d_n = d_h[u] * (1.0 - z);
        let d_z = d_h[u] * (kept.h_prev[u] - n);
        d_h_direct[u] = d_h[u] * z;

        let d_n_x = d_n * act.d_tanh(n);
        let d_n_h = d_n_x * r;
        let d_r = d_n_x * kept.n_h[u];
        let d_a_r = d_r * act.d_sigmoid(r);
        let d_a_z = d_z * act.d_sigmoid(z);

        d_gates_x[u] = d_a_r;
        d_gates_x[hidden + u] = d_a_z;
        d_gates_x[2 * hidden + u] = d_n_x;
        d_gates_h[u] = d_a_r;
        d_gates_h[hidden + u] = d_a_z;
        d_gates_h[2 * hidden + u] = d_n_h;
    }
    GateGrad { d_gates_x, d_gates_h, d_h_direct, d_c_prev: Vec::new() }
}
