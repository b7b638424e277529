//! The recurrent layers that others have, complete: every variant of a cell, directions, lengths, residual stacks.
//!
//! [`cell`](crate::cell) and [`stack`](crate::stack) are the plain cells in one direction, as the character model uses
//! them. Here is the wider text beside them, which gives the same bits where nothing of it is asked for:
//!
//! | file | computes |
//! |---|---|
//! | [`variant`] | what a cell may be; the functions and their derivatives |
//! | [`rnn`], [`lstm`], [`gru`] | one step of one lane, forward and backward |
//! | [`sequence`] | one layer in one direction over one lane of its own length |
//! | [`layers`] | L layers, forward, reverse or both, concatenated or summed, with residual connections and dropout |
//! | [`case`] | a random run, from one seed |

pub mod variant;

pub mod rnn;

pub mod lstm;

pub mod gru;

pub mod sequence;

pub mod layers;

pub mod case;

use crate::cell::Cell;
use crate::dot::matvec;
use crate::random::SplitMix64;
use crate::scalar::Scalar;
use crate::{expect_len, lift};
use variant::Variant;

/// Sizes and form of one layer in one direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CellShape {
    /// Which cell.
    pub cell: Cell,
    /// How it differs from the plain one.
    pub variant: Variant,
    /// I
    pub inputs: usize,
    /// H
    pub hidden: usize,
}

impl CellShape {
    /// G*H: rows of both matrices.
    pub fn rows(&self) -> usize {
        self.cell.gates() * self.hidden
    }

    /// P, or H without a projection: the width of h.
    pub fn outputs(&self) -> usize {
        self.variant.projection.unwrap_or(self.hidden)
    }

    /// H for the LSTM, else 0: the width of c.
    pub fn c_width(&self) -> usize {
        if self.cell.has_c() { self.hidden } else { 0 }
    }
}

/// Weights of one layer in one direction, or their gradients. What a variant lacks is empty.
#[derive(Clone, Debug, PartialEq)]
pub struct CellParams<S> {
    /// `[G*H, I]`
    pub weight_ih: Vec<S>,
    /// `[G*H, P]`
    pub weight_hh: Vec<S>,
    /// `[G*H]`
    pub bias_ih: Vec<S>,
    /// `[G*H]`
    pub bias_hh: Vec<S>,
    /// `[3, H]`: i, f, o
    pub weight_peephole: Vec<S>,
    /// `[P, H]`
    pub weight_hr: Vec<S>,
}

/// The names of [`CellParams::tensors`], in PyTorch's order, the peepholes last.
const NAMES: [&str; 6] = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr", "weight_peephole"];

impl CellParams<f64> {
    /// Zeros.
    pub fn zeros(shape: &CellShape) -> Self {
        let variant = shape.variant;
        let bias = if variant.bias { shape.rows() } else { 0 };
        CellParams {
            weight_ih: vec![0.0; shape.rows() * shape.inputs],
            weight_hh: vec![0.0; shape.rows() * shape.outputs()],
            bias_ih: vec![0.0; bias],
            bias_hh: vec![0.0; bias],
            weight_peephole: vec![0.0; if variant.peepholes { 3 * shape.hidden } else { 0 }],
            weight_hr: vec![0.0; variant.projection.map_or(0, |p| p * shape.hidden)],
        }
    }

    /// Uniform in `-bound..bound`, each exactly an f32.
    pub fn random(shape: &CellShape, bound: f64, random: &mut SplitMix64) -> Self {
        let mut params = Self::zeros(shape);
        for (_, tensor) in params.tensors_mut() {
            *tensor = random.symmetric(tensor.len(), bound);
        }
        params
    }

    /// The same numbers as constants of another scalar.
    pub fn lift<S: Scalar>(&self) -> CellParams<S> {
        CellParams {
            weight_ih: lift(&self.weight_ih),
            weight_hh: lift(&self.weight_hh),
            bias_ih: lift(&self.bias_ih),
            bias_hh: lift(&self.bias_hh),
            weight_peephole: lift(&self.weight_peephole),
            weight_hr: lift(&self.weight_hr),
        }
    }
}

impl<S> CellParams<S> {
    /// The tensors with their names; those that the variant lacks are empty.
    pub fn tensors(&self) -> [(&'static str, &Vec<S>); 6] {
        let tensors =
            [&self.weight_ih, &self.weight_hh, &self.bias_ih, &self.bias_hh, &self.weight_hr, &self.weight_peephole];
        let mut names = NAMES.into_iter();
        tensors.map(|tensor| (names.next().unwrap_or_default(), tensor))
    }

    /// The same, to be written.
    pub fn tensors_mut(&mut self) -> [(&'static str, &mut Vec<S>); 6] {
        let tensors = [
            &mut self.weight_ih,
            &mut self.weight_hh,
            &mut self.bias_ih,
            &mut self.bias_hh,
            &mut self.weight_hr,
            &mut self.weight_peephole,
        ];
        let mut names = NAMES.into_iter();
        tensors.map(|tensor| (names.next().unwrap_or_default(), tensor))
    }

    fn check(&self, shape: &CellShape) {
        shape.variant.check(shape.cell);
        for ((name, tensor), (_, zeros)) in self.tensors().into_iter().zip(CellParams::zeros(shape).tensors()) {
            expect_len(name, tensor.len(), zeros.len());
        }
    }
}

/// What one step of one lane started from and computed. What a cell lacks is empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Step<S> {
    /// `[I]`
    pub x: Vec<S>,
    /// `[P]`
    pub h_prev: Vec<S>,
    /// `[H]`
    pub c_prev: Vec<S>,
    /// `[G*H]` what goes into the activations, biases and peepholes in it, before the clip.
    pub a: Vec<S>,
    /// `[G*H]` RNN h; LSTM i, f, g, o; GRU r, z, n.
    pub gates: Vec<S>,
    /// `[H]` GRU, reset after: `W_hn h_prev + b_hn`.
    pub n_h: Vec<S>,
    /// `[H]` c before its own clip.
    pub c_free: Vec<S>,
    /// `[H]` c.
    pub c: Vec<S>,
    /// `[H]` the output before the projection: h itself where there is none.
    pub m: Vec<S>,
    /// `[P]` h.
    pub h: Vec<S>,
}

/// Gradients of what a step started from; those of its parameters are added up.
#[derive(Clone, Debug, PartialEq)]
pub struct StepGrad {
    /// `[I]`
    pub d_x: Vec<f64>,
    /// `[P]`
    pub d_h_prev: Vec<f64>,
    /// `[H]`, LSTM only, else empty.
    pub d_c_prev: Vec<f64>,
}

/// One step of one lane. Shapes: `x [I]`, `h_prev [P]`, `c_prev [H]` (LSTM only, else empty).
pub fn step_forward<S: Scalar>(
    shape: &CellShape,
    params: &CellParams<S>,
    x: &[S],
    h_prev: &[S],
    c_prev: &[S],
) -> Step<S> {
    params.check(shape);
    expect_len("x [I]", x.len(), shape.inputs);
    expect_len("h_prev [P]", h_prev.len(), shape.outputs());
    expect_len("c_prev [H]", c_prev.len(), shape.c_width());
    match shape.cell {
        Cell::Rnn => rnn::forward(shape, params, x, h_prev),
        Cell::Lstm => lstm::forward(shape, params, x, h_prev, c_prev),
        Cell::Gru => gru::forward(shape, params, x, h_prev),
    }
}

/// One step of one lane backward. Shapes: `d_h [P]` the whole gradient of its h, `d_c [H]` that of its c from the next
/// step (LSTM only, else empty); `grads` gets the parameters' gradients added.
pub fn step_backward(
    shape: &CellShape,
    params: &CellParams<f64>,
    step: &Step<f64>,
    d_h: &[f64],
    d_c: &[f64],
    grads: &mut CellParams<f64>,
) -> StepGrad {
    expect_len("d_h [P]", d_h.len(), shape.outputs());
    expect_len("d_c [H]", d_c.len(), shape.c_width());
    match shape.cell {
        Cell::Rnn => rnn::backward(shape, params, step, d_h, grads),
        Cell::Lstm => lstm::backward(shape, params, step, d_h, d_c, grads),
        Cell::Gru => gru::backward(shape, params, step, d_h, grads),
    }
}

/// `W x + b`, or `W x` where there is no bias. Shapes: `w [R, K]`, `x [K]`, `b [R]` or empty.
fn affine<S: Scalar>(w: &[S], x: &[S], b: &[S], rows: usize) -> Vec<S> {
    let product = matvec(w, x, rows);
    if b.is_empty() { product } else { product.iter().zip(b).map(|(&y, &b)| y + b).collect() }
}

/// `dW[r, k] += d[r] * x[k]`, and `db[r] += d[r]` where there is a bias.
fn add_outer(d_w: &mut [f64], d_b: &mut [f64], d: &[f64], x: &[f64]) {
    for r in 0..d.len() {
        for k in 0..x.len() {
            d_w[r * x.len() + k] += d[r] * x[k];
        }
        if !d_b.is_empty() {
            d_b[r] += d[r];
        }
    }
}
