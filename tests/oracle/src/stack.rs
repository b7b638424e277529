//! L layers through T steps of B lanes: outputs, final states, every gate; and backward through time.
//!
//! ```text
//! for each layer l, each t ascending, each lane b:
//!     (h_prev, c_prev) = the lane's state, or zeros where resets[t, b]
//!     gates, c, h      = step(x[t, b], h_prev, c_prev)
//!     x of layer l+1   = h, times dropout[l, t, b] where there is dropout
//! ```
//!
//! Backward is the same walk in reverse; what flows into a state that was reset stops there. The weight gradients are
//! one sum over all tokens after the walk, t ascending and lanes ascending within it, as in the kernels.
//! Tensors are time-major: `[T, B, ...]`; states are `[L, B, H]`.

use crate::activation::Activation;
use crate::cell::{Cell, LayerParams, LayerShape, StepInput, StepKept, step_backward, step_forward};
use crate::dot::{column_sums, weight_gradient};
use crate::expect_len;
use crate::lift;
use crate::random::SplitMix64;
use crate::scalar::Scalar;

/// Sizes of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StackShape {
    /// Which cell, the same in every layer.
    pub cell: Cell,
    /// L
    pub layers: usize,
    /// I: inputs of layer 0; V for one-hot symbols.
    pub inputs: usize,
    /// H
    pub hidden: usize,
    /// T
    pub steps: usize,
    /// B
    pub lanes: usize,
    /// tanh and sigmoid, or their linear stand-ins.
    pub activation: Activation,
}

impl StackShape {
    /// Sizes of layer `l`: I inputs at the bottom, H above.
    pub fn layer(&self, l: usize) -> LayerShape {
        let inputs = if l == 0 { self.inputs } else { self.hidden };
        LayerShape { cell: self.cell, inputs, hidden: self.hidden, activation: self.activation }
    }

    /// L*B*H: elements of `h0`.
    pub fn state_len(&self) -> usize {
        self.layers * self.lanes * self.hidden
    }

    /// Elements of `c0`: L*B*H for the LSTM, else 0.
    pub fn c_len(&self) -> usize {
        if self.cell.has_c() { self.state_len() } else { 0 }
    }

    /// T*B: tokens of a chunk.
    pub fn tokens(&self) -> usize {
        self.steps * self.lanes
    }
}

/// Parameters of all layers, or their gradients.
#[derive(Clone, Debug, PartialEq)]
pub struct StackParams<S> {
    /// Layer 0 first.
    pub layers: Vec<LayerParams<S>>,
}

impl StackParams<f64> {
    /// Uniform in `-bound..bound`, each value exactly an f32.
    pub fn random(shape: &StackShape, bound: f64, random: &mut SplitMix64) -> Self {
        StackParams { layers: (0..shape.layers).map(|l| LayerParams::random(&shape.layer(l), bound, random)).collect() }
    }

    /// The same numbers as constants of another scalar.
    pub fn lift<S: Scalar>(&self) -> StackParams<S> {
        StackParams { layers: self.layers.iter().map(LayerParams::lift).collect() }
    }
}

impl<S> StackParams<S> {
    /// Every tensor with its PyTorch name (`weight_ih_l0`, ...), in the order of files and of `weights_sha256`.
    pub fn tensors(&self) -> Vec<(String, &Vec<S>)> {
        let mut all = Vec::new();
        for (l, layer) in self.layers.iter().enumerate() {
            for (name, tensor) in layer.tensors() {
                all.push((format!("{name}_l{l}"), tensor));
            }
        }
        all
    }

    /// The same, to be written.
    pub fn tensors_mut(&mut self) -> Vec<(String, &mut Vec<S>)> {
        let mut all = Vec::new();
        for (l, layer) in self.layers.iter_mut().enumerate() {
            for (name, tensor) in layer.tensors_mut() {
                all.push((format!("{name}_l{l}"), tensor));
            }
        }
        all
    }
}

/// What a run starts from, besides the parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct StackInput<S> {
    /// `[T, B, I]`; for symbols see [`one_hot`].
    pub x: Vec<S>,
    /// `[L, B, H]`
    pub h0: Vec<S>,
    /// `[L, B, H]`, LSTM only, else empty.
    pub c0: Vec<S>,
    /// `[T, B]`: where true, the lane's state before step t is zero in every layer.
    pub resets: Option<Vec<bool>>,
    /// `[L-1, T, B, H]`: multipliers (0 or 1/(1-p)) on each layer's output on its way to the layer above. The top
    /// layer's output is never dropped, as in PyTorch.
    pub dropout: Option<Vec<f64>>,
}

impl<S: Scalar> StackInput<S> {
    /// Inputs `x [T, B, I]` from a zero state, without resets or dropout.
    pub fn from_zero_state(shape: &StackShape, x: Vec<S>) -> Self {
        let zero = S::constant(0.0);
        StackInput { x, h0: vec![zero; shape.state_len()], c0: vec![zero; shape.c_len()], resets: None, dropout: None }
    }
}

impl StackInput<f64> {
    /// The same numbers as constants of another scalar.
    pub fn lift<S: Scalar>(&self) -> StackInput<S> {
        StackInput {
            x: lift(&self.x),
            h0: lift(&self.h0),
            c0: lift(&self.c0),
            resets: self.resets.clone(),
            dropout: self.dropout.clone(),
        }
    }
}

/// Symbol ids as one-hot rows: `[N]` ids in `0..=V` to `[N, V]`; the id V ("unseen") is a row of zeros.
pub fn one_hot<S: Scalar>(ids: &[usize], symbols: usize) -> Vec<S> {
    let mut rows = vec![S::constant(0.0); ids.len() * symbols];
    for (n, &id) in ids.iter().enumerate() {
        assert!(id <= symbols, "id {id} at position {n}: symbols are 0..{symbols}, and {symbols} itself is unseen");
        if id < symbols {
            rows[n * symbols + id] = S::constant(1.0);
        }
    }
    rows
}

/// Everything that one layer computed. All of it is `[T, B, ...]`.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerTrace<S> {
    /// `[T, B, I]` this layer's inputs, after dropout.
    pub x: Vec<S>,
    /// `[T, B, H]` the state each step started from, after resets.
    pub h_prev: Vec<S>,
    /// `[T, B, H]`, LSTM only, else empty.
    pub c_prev: Vec<S>,
    /// `[T, B, G*H]` activated gates: RNN h; LSTM i, f, g, o; GRU r, z, n.
    pub gates: Vec<S>,
    /// `[T, B, H]` `W_hn h_prev + b_hn`, GRU only, else empty.
    pub n_h: Vec<S>,
    /// `[T, B, H]`, LSTM only, else empty.
    pub c: Vec<S>,
    /// `[T, B, H]`
    pub h: Vec<S>,
}

/// A finished run.
#[derive(Clone, Debug, PartialEq)]
pub struct StackTrace<S> {
    /// Layer 0 first.
    pub layers: Vec<LayerTrace<S>>,
    /// `[L, B, H]` the state after the last step; `h0` where T = 0.
    pub h_last: Vec<S>,
    /// `[L, B, H]`, LSTM only, else empty.
    pub c_last: Vec<S>,
}

impl<S> StackTrace<S> {
    /// `[T, B, H]` outputs of the top layer.
    pub fn outputs(&self) -> &[S] {
        &self.layers.last().expect("a stack has at least one layer").h
    }
}

/// Runs the stack. Shapes as in the types' fields; the result keeps everything.
pub fn stack_forward<S: Scalar>(shape: &StackShape, params: &StackParams<S>, input: &StackInput<S>) -> StackTrace<S> {
    check_input(shape, params.layers.len(), input);
    let StackShape { steps, lanes, hidden, .. } = *shape;
    let zero = S::constant(0.0);
    let mut layers = Vec::new();
    let mut h_last = Vec::new();
    let mut c_last = Vec::new();
    let mut x = input.x.clone();
    for l in 0..shape.layers {
        let layer_shape = shape.layer(l);
        let state_of = |all: &[S], b: usize| -> Vec<S> { row(all, l * lanes + b, hidden).to_vec() };
        let mut h: Vec<Vec<S>> = (0..lanes).map(|b| state_of(&input.h0, b)).collect();
        let mut c: Vec<Vec<S>> =
            (0..lanes).map(|b| if shape.cell.has_c() { state_of(&input.c0, b) } else { Vec::new() }).collect();
        let mut trace = LayerTrace {
            x: x.clone(),
            h_prev: Vec::new(),
            c_prev: Vec::new(),
            gates: Vec::new(),
            n_h: Vec::new(),
            c: Vec::new(),
            h: Vec::new(),
        };
        for t in 0..steps {
            for b in 0..lanes {
                if is_reset(&input.resets, t * lanes + b) {
                    h[b].fill(zero);
                    c[b].fill(zero);
                }
                let x_t = row(&x, t * lanes + b, layer_shape.inputs);
                let step = StepInput { x: x_t, h_prev: &h[b], c_prev: &c[b] };
                let out = step_forward(&layer_shape, &params.layers[l], step);
                trace.h_prev.extend_from_slice(&h[b]);
                trace.c_prev.extend_from_slice(&c[b]);
                trace.gates.extend_from_slice(&out.gates);
                trace.n_h.extend_from_slice(&out.n_h);
                trace.c.extend_from_slice(&out.c);
                trace.h.extend_from_slice(&out.h);
                h[b] = out.h;
                c[b] = out.c;
            }
        }
        x = trace.h.clone();
        if let Some(masks) = &input.dropout
            && l + 1 < shape.layers
        {
            let mask = row(masks, l, shape.tokens() * hidden);
            for (x, &m) in x.iter_mut().zip(mask) {
                *x = *x * S::constant(m);
            }
        }
        layers.push(trace);
        h_last.extend(h.concat());
        c_last.extend(c.concat());
    }
    StackTrace { layers, h_last, c_last }
}

/// Gradients that come back into the stack from above and from behind.
#[derive(Clone, Debug, PartialEq)]
pub struct StackOutputGrad {
    /// `[T, B, H]` gradient of the top layer's outputs.
    pub d_y: Vec<f64>,
    /// `[L, B, H]` gradient of `h_last` in addition to what `d_y` says; None is zero.
    pub d_h_last: Option<Vec<f64>>,
    /// `[L, B, H]` gradient of `c_last`, LSTM only; None is zero.
    pub d_c_last: Option<Vec<f64>>,
}

/// Gradients of the pre-activations of one layer, as kept for the weight gradients.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerGateGrads {
    /// `[T, B, G*H]` gradient of `W_ih x + b_ih`.
    pub d_gates_x: Vec<f64>,
    /// `[T, B, G*H]` gradient of `W_hh h_prev + b_hh`.
    pub d_gates_h: Vec<f64>,
    /// `[T, B, I]` gradient of this layer's inputs, after dropout.
    pub d_x: Vec<f64>,
}

/// Gradients of everything the run started from.
#[derive(Clone, Debug, PartialEq)]
pub struct StackGrads {
    /// `[T, B, I]`; for one-hot inputs, the gradient of each entry of the row.
    pub d_x: Vec<f64>,
    /// `[L, B, H]`
    pub d_h0: Vec<f64>,
    /// `[L, B, H]`, LSTM only, else empty.
    pub d_c0: Vec<f64>,
    /// Every weight and both biases.
    pub params: StackParams<f64>,
    /// What stands between, layer 0 first.
    pub layers: Vec<LayerGateGrads>,
}

/// Backward through time. Shapes as in the types' fields; `trace` is the run of the same `input`.
pub fn stack_backward(
    shape: &StackShape,
    params: &StackParams<f64>,
    input: &StackInput<f64>,
    trace: &StackTrace<f64>,
    output: &StackOutputGrad,
) -> StackGrads {
    check_input(shape, params.layers.len(), input);
    let StackShape { steps, lanes, hidden, .. } = *shape;
    expect_len("d_y [T, B, H]", output.d_y.len(), shape.tokens() * hidden);
    let state_grad = |name: &str, given: &Option<Vec<f64>>, len: usize| {
        let d = given.clone().unwrap_or_else(|| vec![0.0; len]);
        expect_len(name, d.len(), len);
        d
    };
    // On entry the gradients of the last states, on exit those of the first: each step moves them one step back.
    let mut d_h_carried = state_grad("d_h_last [L, B, H]", &output.d_h_last, shape.state_len());
    let mut d_c_carried = state_grad("d_c_last [L, B, H]", &output.d_c_last, shape.c_len());
    let mut layers = Vec::new();
    let mut layer_params = Vec::new();
    let mut d_above = output.d_y.clone();
    for l in (0..shape.layers).rev() {
        let layer_shape = shape.layer(l);
        let (rows, inputs) = (layer_shape.rows(), layer_shape.inputs);
        let kept = &trace.layers[l];
        let mut d_gates_x = vec![0.0; shape.tokens() * rows];
        let mut d_gates_h = vec![0.0; shape.tokens() * rows];
        let mut d_x = vec![0.0; shape.tokens() * inputs];
        for t in (0..steps).rev() {
            for b in 0..lanes {
                let n = t * lanes + b;
                let carried = (l * lanes + b) * hidden..(l * lanes + b + 1) * hidden;
                let c_carried = if shape.cell.has_c() { carried.clone() } else { 0..0 };
                let mut d_h = d_h_carried[carried.clone()].to_vec();
                for u in 0..hidden {
                    d_h[u] += d_above[n * hidden + u];
                }
                let step = StepKept {
                    gates: row(&kept.gates, n, rows),
                    n_h: if shape.cell.has_n_h() { row(&kept.n_h, n, hidden) } else { &[] },
                    c: if shape.cell.has_c() { row(&kept.c, n, hidden) } else { &[] },
                    h_prev: row(&kept.h_prev, n, hidden),
                    c_prev: if shape.cell.has_c() { row(&kept.c_prev, n, hidden) } else { &[] },
                };
                let d_c = &d_c_carried[c_carried.clone()];
                let mut grad = step_backward(&layer_shape, &params.layers[l], step, &d_h, d_c);
                d_gates_x[n * rows..][..rows].copy_from_slice(&grad.gates.d_gates_x);
                d_gates_h[n * rows..][..rows].copy_from_slice(&grad.gates.d_gates_h);
                d_x[n * inputs..][..inputs].copy_from_slice(&grad.d_x);
                if is_reset(&input.resets, n) {
                    grad.d_h_prev.fill(0.0);
                    grad.gates.d_c_prev.fill(0.0);
                }
                d_h_carried[carried].copy_from_slice(&grad.d_h_prev);
                d_c_carried[c_carried].copy_from_slice(&grad.gates.d_c_prev);
            }
        }
        layer_params.push(LayerParams {
            weight_ih: weight_gradient(&d_gates_x, &kept.x, rows, inputs),
            weight_hh: weight_gradient(&d_gates_h, &kept.h_prev, rows, hidden),
            bias_ih: column_sums(&d_gates_x, rows),
            bias_hh: column_sums(&d_gates_h, rows),
        });
        d_above = d_x.clone();
        if let Some(masks) = &input.dropout
            && l > 0
        {
            let mask = row(masks, l - 1, shape.tokens() * hidden);
            for (d, &m) in d_above.iter_mut().zip(mask) {
                *d *= m;
            }
        }
        layers.push(LayerGateGrads { d_gates_x, d_gates_h, d_x });
    }
    layers.reverse();
    layer_params.reverse();
    StackGrads {
        d_x: d_above,
        d_h0: d_h_carried,
        d_c0: d_c_carried,
        params: StackParams { layers: layer_params },
        layers,
    }
}

/// Row `n` of a row-major `[N, width]`.
fn row<S>(values: &[S], n: usize, width: usize) -> &[S] {
    &values[n * width..(n + 1) * width]
}

fn is_reset(resets: &Option<Vec<bool>>, n: usize) -> bool {
    resets.as_ref().is_some_and(|r| r[n])
}

fn check_input<S>(shape: &StackShape, layers: usize, input: &StackInput<S>) {
    assert!(shape.layers > 0, "a stack has at least one layer");
    assert!(layers == shape.layers, "parameters of {layers} layers for a stack of {}", shape.layers);
    expect_len("x [T, B, I]", input.x.len(), shape.tokens() * shape.inputs);
    expect_len("h0 [L, B, H]", input.h0.len(), shape.state_len());
    expect_len("c0 [L, B, H], LSTM only", input.c0.len(), shape.c_len());
    if let Some(resets) = &input.resets {
        expect_len("resets [T, B]", resets.len(), shape.tokens());
    }
    if let Some(masks) = &input.dropout {
        expect_len("dropout [L-1, T, B, H]", masks.len(), (shape.layers - 1) * shape.tokens() * shape.hidden);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unseen_ids_are_rows_of_zeros() {
        assert_eq!(one_hot::<f64>(&[2, 3, 0], 3), [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    #[should_panic(expected = "id 4 at position 1")]
    fn ids_beyond_unseen_are_refused() {
        one_hot::<f64>(&[3, 4], 3);
    }
}
