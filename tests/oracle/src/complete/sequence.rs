//! One layer in one direction over one lane of its own length: outputs and the last state, and the way back.
//!
//! A lane of n steps is read 0, 1, .., n-1, or in reverse n-1, .., 1, 0. Its state after the last step that was read is
//! its final state; n = 0 leaves the first state as it is. Nothing outside the lane's n steps is read or written.

use super::{CellParams, CellShape, Step, step_backward, step_forward};
use crate::scalar::Scalar;

/// A lane's run.
#[derive(Clone, Debug, PartialEq)]
pub struct SequenceTrace<S> {
    /// In the order of time, whichever way they were read.
    pub steps: Vec<Step<S>>,
    /// `[P]` h after the step that was read last; the first state where there was none.
    pub h_last: Vec<S>,
    /// `[H]`, LSTM only, else empty.
    pub c_last: Vec<S>,
}

/// The times of a lane of `length` steps, in the order in which they are read.
fn order(length: usize, reverse: bool) -> Vec<usize> {
    if reverse { (0..length).rev().collect() } else { (0..length).collect() }
}

/// Runs one lane. Shapes: `x [n][I]`, `h0 [P]`, `c0 [H]` (LSTM only, else empty).
pub fn forward<S: Scalar>(
    shape: &CellShape,
    params: &CellParams<S>,
    reverse: bool,
    x: &[Vec<S>],
    (h0, c0): (&[S], &[S]),
) -> SequenceTrace<S> {
    let mut steps: Vec<Option<Step<S>>> = vec![None; x.len()];
    let (mut h, mut c) = (h0.to_vec(), c0.to_vec());
    for t in order(x.len(), reverse) {
        let step = step_forward(shape, params, &x[t], &h, &c);
        h.clone_from(&step.h);
        c.clone_from(&step.c);
        steps[t] = Some(step);
    }
    SequenceTrace { steps: steps.into_iter().flatten().collect(), h_last: h, c_last: c }
}

/// Gradients of what a lane's run started from.
#[derive(Clone, Debug, PartialEq)]
pub struct SequenceGrad {
    /// `[n][I]`
    pub d_x: Vec<Vec<f64>>,
    /// `[P]`
    pub d_h0: Vec<f64>,
    /// `[H]`, LSTM only, else empty.
    pub d_c0: Vec<f64>,
}

/// Backward through one lane. Shapes: `d_y [n][P]` the gradient of each output, `d_h_last [P]` and `d_c_last [H]` those
/// of the last state beside it; `grads` gets the parameters' gradients added.
pub fn backward(
    shape: &CellShape,
    params: &CellParams<f64>,
    reverse: bool,
    trace: &SequenceTrace<f64>,
    d_y: &[Vec<f64>],
    (d_h_last, d_c_last): (&[f64], &[f64]),
    grads: &mut CellParams<f64>,
) -> SequenceGrad {
    let length = trace.steps.len();
    let mut d_x = vec![Vec::new(); length];
    let (mut d_h, mut d_c) = (d_h_last.to_vec(), d_c_last.to_vec());
    for t in order(length, reverse).into_iter().rev() {
        for p in 0..shape.outputs() {
            d_h[p] += d_y[t][p];
        }
        let grad = step_backward(shape, params, &trace.steps[t], &d_h, &d_c, grads);
        d_x[t] = grad.d_x;
        d_h = grad.d_h_prev;
        d_c = grad.d_c_prev;
    }
    SequenceGrad { d_x, d_h0: d_h, d_c0: d_c }
}
