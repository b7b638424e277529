//! L layers over B lanes of their own lengths: forward, reverse, or both, concatenated or summed; with residuals.
//!
//! ```text
//! x_0 = x
//! for each layer l:
//!     y_l = forward(x_l)  |  reverse(x_l)  |  [forward(x_l), reverse(x_l)]  |  forward(x_l) + reverse(x_l)
//!     u_l = y_l + x_l where the stack is residual, l > 0 and the widths agree; else y_l
//!     x_(l+1) = u_l times dropout[l]
//! outputs = u_(L-1)
//! ```
//!
//! Tensors are padded and time-major, `[T, B, ...]`; where `t >= lengths[b]`, nothing is read, outputs and gradients are
//! zero. States are `[L*D, B, ...]` in PyTorch's order: layer 0 forward, layer 0 reverse, layer 1 forward, ...

use super::sequence::{self, SequenceTrace};
use super::variant::Variant;
use super::{CellParams, CellShape};
use crate::cell::Cell;
use crate::scalar::Scalar;
use crate::{expect_len, lift};

/// Which way a layer reads, and how two ways are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the first step to the last.
    Forward,
    /// From a lane's last step to its first.
    Reverse,
    /// Both: the forward output, and the reverse one behind it.
    Concat,
    /// Both: the two outputs added.
    Sum,
}

impl Direction {
    /// All of them.
    pub const ALL: [Direction; 4] = [Direction::Forward, Direction::Reverse, Direction::Concat, Direction::Sum];

    /// D: whether each run of a layer reads in reverse, in PyTorch's order.
    pub fn runs(self) -> &'static [bool] {
        match self {
            Direction::Forward => &[false],
            Direction::Reverse => &[true],
            Direction::Concat | Direction::Sum => &[false, true],
        }
    }

    /// How many times an output is as wide as h.
    fn widths(self) -> usize {
        if self == Direction::Concat { 2 } else { 1 }
    }
}

/// Sizes and form of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct LayersShape {
    /// Which cell, the same in every layer.
    pub cell: Cell,
    /// How it differs from the plain one.
    pub variant: Variant,
    /// I of layer 0.
    pub inputs: usize,
    /// H
    pub hidden: usize,
    /// L
    pub layers: usize,
    /// Which way.
    pub direction: Direction,
    /// What a layer above the first read is added to what it says.
    pub residual: bool,
    /// T: the padded length.
    pub steps: usize,
    /// `[B]`: each lane's own length, at most T.
    pub lengths: Vec<usize>,
}

impl LayersShape {
    /// B
    pub fn lanes(&self) -> usize {
        self.lengths.len()
    }

    /// D: runs of each layer.
    pub fn dirs(&self) -> usize {
        self.direction.runs().len()
    }

    /// The width of an output: P or H, twice that where two directions are concatenated.
    pub fn width(&self) -> usize {
        self.direction.widths() * self.layer(0).outputs()
    }

    /// One run of layer `l`.
    pub fn layer(&self, l: usize) -> CellShape {
        let bottom = CellShape { cell: self.cell, variant: self.variant, inputs: self.inputs, hidden: self.hidden };
        if l == 0 { bottom } else { CellShape { inputs: self.direction.widths() * bottom.outputs(), ..bottom } }
    }

    /// T*B
    pub fn tokens(&self) -> usize {
        self.steps * self.lanes()
    }

    /// Elements of `h0`: `[L*D, B, P]`.
    pub fn h_len(&self) -> usize {
        self.layers * self.dirs() * self.lanes() * self.layer(0).outputs()
    }

    /// Elements of `c0`: `[L*D, B, H]` for the LSTM, else none.
    pub fn c_len(&self) -> usize {
        self.layers * self.dirs() * self.lanes() * self.layer(0).c_width()
    }

    /// Whether what layer `l` read is added to what it says.
    fn adds_its_input(&self, l: usize) -> bool {
        self.residual && l > 0 && self.layer(l).inputs == self.width()
    }

    /// What stands behind a tensor's name: `_l0`, `_l0_reverse`, `_l1`, ... A layer that reads in reverse alone has
    /// the name of a forward one.
    pub fn suffix(&self, l: usize, d: usize) -> String {
        format!("_l{l}{}", if d == 1 { "_reverse" } else { "" })
    }

    fn check<S>(&self, params: &[CellParams<S>], input: &LayersInput<S>) {
        assert!(self.layers > 0 && params.len() == self.layers * self.dirs(), "{} runs: {self:?}", params.len());
        assert!(self.lengths.iter().all(|&n| n <= self.steps), "a lane is longer than T: {self:?}");
        expect_len("x [T, B, I]", input.x.len(), self.tokens() * self.inputs);
        expect_len("h0 [L*D, B, P]", input.h0.len(), self.h_len());
        expect_len("c0 [L*D, B, H], LSTM only", input.c0.len(), self.c_len());
        if let Some(masks) = &input.dropout {
            expect_len("dropout [L-1, T, B, width]", masks.len(), (self.layers - 1) * self.tokens() * self.width());
        }
    }
}

/// The weights of all runs, or their gradients, `[L*D]` in PyTorch's order.
pub type LayersParams<S> = Vec<CellParams<S>>;

/// All tensors that there are, with PyTorch's names.
pub fn tensors<'a, S>(shape: &LayersShape, params: &'a [CellParams<S>]) -> Vec<(String, &'a Vec<S>)> {
    let mut all = Vec::new();
    for (k, run) in params.iter().enumerate() {
        let suffix = shape.suffix(k / shape.dirs(), k % shape.dirs());
        let there = run.tensors().into_iter().filter(|(_, tensor)| !tensor.is_empty());
        all.extend(there.map(|(name, tensor)| (format!("{name}{suffix}"), tensor)));
    }
    all
}

/// The same, to be written.
pub fn tensors_mut<'a, S>(shape: &LayersShape, params: &'a mut [CellParams<S>]) -> Vec<(String, &'a mut Vec<S>)> {
    let mut all = Vec::new();
    for (k, run) in params.iter_mut().enumerate() {
        let suffix = shape.suffix(k / shape.dirs(), k % shape.dirs());
        let there = run.tensors_mut().into_iter().filter(|(_, tensor)| !tensor.is_empty());
        all.extend(there.map(|(name, tensor)| (format!("{name}{suffix}"), tensor)));
    }
    all
}

/// What a run starts from, besides the weights.
#[derive(Clone, Debug, PartialEq)]
pub struct LayersInput<S> {
    /// `[T, B, I]`; past a lane's length it is never read.
    pub x: Vec<S>,
    /// `[L*D, B, P]`
    pub h0: Vec<S>,
    /// `[L*D, B, H]`, LSTM only, else empty.
    pub c0: Vec<S>,
    /// `[L-1, T, B, width]`: multipliers on what goes up from each layer but the top one.
    pub dropout: Option<Vec<f64>>,
}

impl LayersInput<f64> {
    /// The same numbers as constants of another scalar.
    pub fn lift<S: Scalar>(&self) -> LayersInput<S> {
        LayersInput { x: lift(&self.x), h0: lift(&self.h0), c0: lift(&self.c0), dropout: self.dropout.clone() }
    }
}

/// A finished run.
#[derive(Clone, Debug, PartialEq)]
pub struct LayersTrace<S> {
    /// `[L*D][B]`: each run's lanes.
    pub runs: Vec<Vec<SequenceTrace<S>>>,
    /// `[T, B, width]`, zero past a lane's length.
    pub outputs: Vec<S>,
    /// `[L*D, B, P]`: after each run's last step.
    pub h_last: Vec<S>,
    /// `[L*D, B, H]`, LSTM only, else empty.
    pub c_last: Vec<S>,
}

/// Runs all layers. Shapes as in the types' fields.
pub fn layers_forward<S: Scalar>(
    shape: &LayersShape,
    params: &[CellParams<S>],
    input: &LayersInput<S>,
) -> LayersTrace<S> {
    shape.check(params, input);
    let (lanes, width, zero) = (shape.lanes(), shape.width(), S::constant(0.0));
    let (outputs, c_width) = (shape.layer(0).outputs(), shape.layer(0).c_width());
    let mut x = input.x.clone();
    let (mut runs, mut h_last, mut c_last) = (Vec::new(), Vec::new(), Vec::new());
    for l in 0..shape.layers {
        let layer = shape.layer(l);
        let mut up = vec![zero; shape.tokens() * width];
        for (d, &reverse) in shape.direction.runs().iter().enumerate() {
            let k = l * shape.dirs() + d;
            let column = if shape.direction == Direction::Concat { d * outputs } else { 0 };
            let mut of_lanes = Vec::new();
            for b in 0..lanes {
                let x_b = lane(&x, b, lanes, layer.inputs, shape.lengths[b]);
                let state = (row(&input.h0, k * lanes + b, outputs), row(&input.c0, k * lanes + b, c_width));
                let run = sequence::forward(&layer, &params[k], reverse, &x_b, state);
                for t in 0..shape.lengths[b] {
                    for p in 0..outputs {
                        let at = (t * lanes + b) * width + column + p;
                        up[at] = up[at] + run.steps[t].h[p];
                    }
                }
                h_last.extend_from_slice(&run.h_last);
                c_last.extend_from_slice(&run.c_last);
                of_lanes.push(run);
            }
            runs.push(of_lanes);
        }
        if shape.adds_its_input(l) {
            for b in 0..lanes {
                for t in 0..shape.lengths[b] {
                    for w in 0..width {
                        let at = (t * lanes + b) * width + w;
                        up[at] = up[at] + x[at];
                    }
                }
            }
        }
        x = match &input.dropout {
            Some(masks) if l + 1 < shape.layers => {
                up.iter().zip(row(masks, l, shape.tokens() * width)).map(|(&u, &m)| u * S::constant(m)).collect()
            }
            _ => up,
        };
    }
    LayersTrace { runs, outputs: x, h_last, c_last }
}

/// Gradients that come back from above and from behind.
#[derive(Clone, Debug, PartialEq)]
pub struct LayersOutputGrad {
    /// `[T, B, width]`; past a lane's length it is never read.
    pub d_y: Vec<f64>,
    /// `[L*D, B, P]`
    pub d_h_last: Vec<f64>,
    /// `[L*D, B, H]`, LSTM only, else empty.
    pub d_c_last: Vec<f64>,
}

/// Gradients of everything that the run started from.
#[derive(Clone, Debug, PartialEq)]
pub struct LayersGrads {
    /// `[T, B, I]`, zero past a lane's length.
    pub d_x: Vec<f64>,
    /// `[L*D, B, P]`
    pub d_h0: Vec<f64>,
    /// `[L*D, B, H]`, LSTM only, else empty.
    pub d_c0: Vec<f64>,
    /// Of every tensor.
    pub params: LayersParams<f64>,
}

/// Backward through all layers. `trace` is the run of the same `input`.
pub fn layers_backward(
    shape: &LayersShape,
    params: &[CellParams<f64>],
    input: &LayersInput<f64>,
    trace: &LayersTrace<f64>,
    output: &LayersOutputGrad,
) -> LayersGrads {
    shape.check(params, input);
    let (lanes, width) = (shape.lanes(), shape.width());
    let (outputs, c_width) = (shape.layer(0).outputs(), shape.layer(0).c_width());
    expect_len("d_y [T, B, width]", output.d_y.len(), shape.tokens() * width);
    expect_len("d_h_last [L*D, B, P]", output.d_h_last.len(), shape.h_len());
    expect_len("d_c_last [L*D, B, H], LSTM only", output.d_c_last.len(), shape.c_len());
    let mut grads: LayersParams<f64> =
        (0..params.len()).map(|k| CellParams::zeros(&shape.layer(k / shape.dirs()))).collect();
    let (mut d_h0, mut d_c0) = (vec![0.0; shape.h_len()], vec![0.0; shape.c_len()]);
    let mut d_up = output.d_y.clone();
    for l in (0..shape.layers).rev() {
        let layer = shape.layer(l);
        let mut d_x = vec![0.0; shape.tokens() * layer.inputs];
        for (d, &reverse) in shape.direction.runs().iter().enumerate() {
            let k = l * shape.dirs() + d;
            let column = if shape.direction == Direction::Concat { d * outputs } else { 0 };
            for b in 0..lanes {
                let d_y = lane(&d_up, b, lanes, width, shape.lengths[b]);
                let d_y: Vec<Vec<f64>> = d_y.iter().map(|row| row[column..column + outputs].to_vec()).collect();
                let n = k * lanes + b;
                let behind = (row(&output.d_h_last, n, outputs), row(&output.d_c_last, n, c_width));
                let run = &trace.runs[k][b];
                let grad = sequence::backward(&layer, &params[k], reverse, run, &d_y, behind, &mut grads[k]);
                for t in 0..shape.lengths[b] {
                    for i in 0..layer.inputs {
                        d_x[(t * lanes + b) * layer.inputs + i] += grad.d_x[t][i];
                    }
                }
                d_h0[n * outputs..][..outputs].copy_from_slice(&grad.d_h0);
                d_c0[n * c_width..][..c_width].copy_from_slice(&grad.d_c0);
            }
        }
        if shape.adds_its_input(l) {
            for b in 0..lanes {
                for t in 0..shape.lengths[b] {
                    for w in 0..width {
                        d_x[(t * lanes + b) * width + w] += d_up[(t * lanes + b) * width + w];
                    }
                }
            }
        }
        d_up = match &input.dropout {
            Some(masks) if l > 0 => {
                d_x.iter().zip(row(masks, l - 1, shape.tokens() * width)).map(|(d, m)| d * m).collect()
            }
            _ => d_x,
        };
    }
    LayersGrads { d_x: d_up, d_h0, d_c0, params: grads }
}

/// Row `n` of a row-major `[N, width]`.
fn row<S>(values: &[S], n: usize, width: usize) -> &[S] {
    &values[n * width..(n + 1) * width]
}

/// Lane `b` of a time-major `[T, B, width]`: its first `length` steps.
fn lane<S: Copy>(values: &[S], b: usize, lanes: usize, width: usize, length: usize) -> Vec<Vec<S>> {
    (0..length).map(|t| row(values, t * lanes + b, width).to_vec()).collect()
}
