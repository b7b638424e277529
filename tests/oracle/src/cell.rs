//! One step of one lane: gates, new state, and the way back.
//!
//! Parameters lie as PyTorch's: the G blocks of H rows below each other, x and h in two matrices, two biases. The step
//! of each cell stands in its own file, forward and backward side by side:
//! [`rnn`] (`doc/rnn.md`), [`lstm`] (`doc/lstm.md`), [`gru`] (`doc/gru.md`).

pub mod rnn;

pub mod lstm;

pub mod gru;

use crate::activation::Activation;
use crate::dot::{matvec, matvec_transposed};
use crate::expect_len;
use crate::lift;
use crate::random::SplitMix64;
use crate::scalar::Scalar;

/// The three recurrent cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// `h = tanh(W_ih x + b_ih + W_hh h_prev + b_hh)` (lecture L1).
    Rnn,
    /// Gates in the order i, f, g, o (lecture L9).
    Lstm,
    /// Gates in the order r, z, n; reset after the product, `b_hn` inside `r * (...)` (lecture L11).
    Gru,
}

impl Cell {
    /// All of them, for loops over cells.
    pub const ALL: [Cell; 3] = [Cell::Rnn, Cell::Lstm, Cell::Gru];

    /// G: blocks of H rows in each matrix.
    pub fn gates(self) -> usize {
        match self {
            Cell::Rnn => 1,
            Cell::Lstm => 4,
            Cell::Gru => 3,
        }
    }

    /// Whether the state has a `c` beside its `h`: the LSTM's.
    pub fn has_c(self) -> bool {
        self == Cell::Lstm
    }

    /// Whether the product `n_h = W_hn h_prev + b_hn` is kept beside the gates: the GRU's.
    pub fn has_n_h(self) -> bool {
        self == Cell::Gru
    }
}

/// Sizes of one layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerShape {
    /// Which cell.
    pub cell: Cell,
    /// I: inputs of this layer (for a layer above another, that one's H).
    pub inputs: usize,
    /// H: hidden units.
    pub hidden: usize,
    /// tanh and sigmoid, or their linear stand-ins.
    pub activation: Activation,
}

impl LayerShape {
    /// G*H: rows of both matrices.
    pub fn rows(&self) -> usize {
        self.cell.gates() * self.hidden
    }
}

/// Weights and biases of one layer, or their gradients: PyTorch's four tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerParams<S> {
    /// `[G*H, I]`
    pub weight_ih: Vec<S>,
    /// `[G*H, H]`
    pub weight_hh: Vec<S>,
    /// `[G*H]`
    pub bias_ih: Vec<S>,
    /// `[G*H]`
    pub bias_hh: Vec<S>,
}

impl LayerParams<f64> {
    /// Parameters uniform in `-bound..bound`, each exactly an f32. Both biases are random and differ.
    pub fn random(shape: &LayerShape, bound: f64, random: &mut SplitMix64) -> Self {
        LayerParams {
            weight_ih: random.symmetric(shape.rows() * shape.inputs, bound),
            weight_hh: random.symmetric(shape.rows() * shape.hidden, bound),
            bias_ih: random.symmetric(shape.rows(), bound),
            bias_hh: random.symmetric(shape.rows(), bound),
        }
    }

    /// The same numbers as constants of another scalar.
    pub fn lift<S: Scalar>(&self) -> LayerParams<S> {
        LayerParams {
            weight_ih: lift(&self.weight_ih),
            weight_hh: lift(&self.weight_hh),
            bias_ih: lift(&self.bias_ih),
            bias_hh: lift(&self.bias_hh),
        }
    }
}

impl<S> LayerParams<S> {
    /// The four tensors with their names, in the order of files and of `weights_sha256`.
    pub fn tensors(&self) -> [(&'static str, &Vec<S>); 4] {
        [
            ("weight_ih", &self.weight_ih),
            ("weight_hh", &self.weight_hh),
            ("bias_ih", &self.bias_ih),
            ("bias_hh", &self.bias_hh),
        ]
    }

    /// The same, to be written.
    pub fn tensors_mut(&mut self) -> [(&'static str, &mut Vec<S>); 4] {
        [
            ("weight_ih", &mut self.weight_ih),
            ("weight_hh", &mut self.weight_hh),
            ("bias_ih", &mut self.bias_ih),
            ("bias_hh", &mut self.bias_hh),
        ]
    }

    fn check(&self, shape: &LayerShape) {
        expect_len("weight_ih [G*H, I]", self.weight_ih.len(), shape.rows() * shape.inputs);
        expect_len("weight_hh [G*H, H]", self.weight_hh.len(), shape.rows() * shape.hidden);
        expect_len("bias_ih [G*H]", self.bias_ih.len(), shape.rows());
        expect_len("bias_hh [G*H]", self.bias_hh.len(), shape.rows());
    }
}

/// What a step starts from.
#[derive(Clone, Copy, Debug)]
pub struct StepInput<'a, S> {
    /// `[I]`
    pub x: &'a [S],
    /// `[H]`
    pub h_prev: &'a [S],
    /// `[H]`, LSTM only, else empty.
    pub c_prev: &'a [S],
}

/// What a step yields.
#[derive(Clone, Debug, PartialEq)]
pub struct StepOutput<S> {
    /// `[G*H]` activated gates in PyTorch's order: RNN h; LSTM i, f, g, o; GRU r, z, n.
    pub gates: Vec<S>,
    /// `[H]` `W_hn h_prev + b_hn`, GRU only, else empty.
    pub n_h: Vec<S>,
    /// `[H]` the new cell state, LSTM only, else empty.
    pub c: Vec<S>,
    /// `[H]` the new hidden state.
    pub h: Vec<S>,
}

/// What the way back needs of a step.
#[derive(Clone, Copy, Debug)]
pub struct StepKept<'a> {
    /// `[G*H]`, as in [`StepOutput`].
    pub gates: &'a [f64],
    /// `[H]`, GRU only, else empty.
    pub n_h: &'a [f64],
    /// `[H]`, LSTM only, else empty.
    pub c: &'a [f64],
    /// `[H]`
    pub h_prev: &'a [f64],
    /// `[H]`, LSTM only, else empty.
    pub c_prev: &'a [f64],
}

/// Gradients of the pre-activations, and of the old state as far as it does not pass through `W_hh`.
#[derive(Clone, Debug, PartialEq)]
pub struct GateGrad {
    /// `[G*H]` gradient of `W_ih x + b_ih`.
    pub d_gates_x: Vec<f64>,
    /// `[G*H]` gradient of `W_hh h_prev + b_hh`: equal to `d_gates_x` except in the GRU's block n.
    pub d_gates_h: Vec<f64>,
    /// `[H]` what reaches `h_prev` past the gates: zero but for the GRU's `d_h * z`.
    pub d_h_direct: Vec<f64>,
    /// `[H]` gradient of `c_prev`, LSTM only, else empty.
    pub d_c_prev: Vec<f64>,
}

/// Gradients of everything a step started from, except its parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct StepGrad {
    /// Gradients of the pre-activations: with x and h_prev they give the parameters' gradients.
    pub gates: GateGrad,
    /// `[I]` `W_ih^T d_gates_x`.
    pub d_x: Vec<f64>,
    /// `[H]` `W_hh^T d_gates_h + d_h_direct`.
    pub d_h_prev: Vec<f64>,
}

/// One step of one lane forward.
///
/// `a_x = W_ih x + b_ih`, `a_h = W_hh h_prev + b_hh`, then the cell's pointwise function of both.
pub fn step_forward<S: Scalar>(shape: &LayerShape, params: &LayerParams<S>, input: StepInput<'_, S>) -> StepOutput<S> {
    params.check(shape);
    expect_len("x [I]", input.x.len(), shape.inputs);
    expect_len("h_prev [H]", input.h_prev.len(), shape.hidden);
    expect_len("c_prev [H]", input.c_prev.len(), if shape.cell.has_c() { shape.hidden } else { 0 });
    let a_x = add(&matvec(&params.weight_ih, input.x, shape.rows()), &params.bias_ih);
    let a_h = add(&matvec(&params.weight_hh, input.h_prev, shape.rows()), &params.bias_hh);
    match shape.cell {
        Cell::Rnn => rnn::forward(shape, &a_x, &a_h),
        Cell::Lstm => lstm::forward(shape, &a_x, &a_h, input.c_prev),
        Cell::Gru => gru::forward(shape, &a_x, &a_h, input.h_prev),
    }
}

/// One step of one lane backward.
///
/// Shapes: `d_h [H]` the whole gradient of the step's h (from above and from the next step), `d_c [H]` that of its c
/// from the next step (LSTM only, else empty).
pub fn step_backward(
    shape: &LayerShape,
    params: &LayerParams<f64>,
    kept: StepKept<'_>,
    d_h: &[f64],
    d_c: &[f64],
) -> StepGrad {
    params.check(shape);
    expect_len("gates [G*H]", kept.gates.len(), shape.rows());
    expect_len("d_h [H]", d_h.len(), shape.hidden);
    expect_len("d_c [H]", d_c.len(), if shape.cell.has_c() { shape.hidden } else { 0 });
    let gates = match shape.cell {
        Cell::Rnn => rnn::backward(shape, kept, d_h),
        Cell::Lstm => lstm::backward(shape, kept, d_h, d_c),
        Cell::Gru => gru::backward(shape, kept, d_h),
    };
    let d_x = matvec_transposed(&params.weight_ih, &gates.d_gates_x, shape.inputs);
    let through = matvec_transposed(&params.weight_hh, &gates.d_gates_h, shape.hidden);
    let d_h_prev = add(&through, &gates.d_h_direct);
    StepGrad { gates, d_x, d_h_prev }
}

fn add<S: Scalar>(a: &[S], b: &[S]) -> Vec<S> {
    a.iter().zip(b).map(|(&x, &y)| x + y).collect()
}
