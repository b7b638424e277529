//! Operations as data: which buffers a worker reads and writes at one time step of one layer.

use super::exchange::{ReadOp, WriteOp};
use crate::arrays::Arrays;
use crate::op::gates::Dropout;
use crate::pack::Weights;
use crate::view::BufId;
use std::ops::Range;

/// What all operations of a pass read.
#[derive(Clone, Copy)]
pub struct Pass<'a> {
    /// The model.
    pub weights: Weights<'a>,
    /// Symbols `[T, B]`; empty where the input is dense. An id of V or more is a symbol never seen: a zero one-hot row.
    pub ids: &'a [u32],
    /// Targets `[T, B]`; empty where there is no loss. An id of V or more is left out.
    pub targets: &'a [u32],
    /// What each counted token's gradient is multiplied with: 1 / counted targets for the mean.
    pub scale: f32,
    /// Dropout between layers.
    pub dropout: Option<Dropout>,
    /// Dropout between the top layer and the readout.
    pub output_dropout: Option<Dropout>,
    /// The caller's, for operations that copy rows.
    pub arrays: Arrays<'a>,
}

/// Forward of one layer at one step.
#[derive(Debug, Clone, Copy)]
pub struct GatesOp {
    /// Which layer.
    pub layer: usize,
    /// Which step.
    pub t: usize,
    /// Dense input `[rows, I]`, where the layer does not read symbols and its product was not taken ahead.
    pub x: Option<BufId>,
    /// [`Op::Input`] has taken the product with x.
    pub begun: bool,
    /// h `[rows, H]`, or P columns of a projection.
    pub h: BufId,
    /// c `[unit panel][rows][16]`, LSTM only.
    pub c: Option<BufId>,
    /// Kept gates `[panel][tokens][slots*16]`.
    pub gates: BufId,
    /// The dropped copy of h, where the pass drops.
    pub dropped: Option<BufId>,
    /// What the step's second product reads `[rows, H]`, where there is one: r * h_{t-1}, or o * tanh(c).
    pub inner: Option<BufId>,
}

/// The product of some steps of a plain layer's dense input with W_ih, ahead of their gates.
#[derive(Debug, Clone, Copy)]
pub struct InputOp {
    /// Which layer.
    pub layer: usize,
    /// The first step.
    pub t: usize,
    /// How many; those past the batch's end count for nothing.
    pub steps: usize,
    /// Dense input `[rows, I]`.
    pub x: BufId,
    /// Kept gates, whose place the product takes meanwhile.
    pub gates: BufId,
}

/// Logits of one step, and their loss and gradient where the pass has targets.
#[derive(Debug, Clone, Copy)]
pub struct ReadoutOp {
    /// Which step.
    pub t: usize,
    /// h of the top layer `[rows, H]`.
    pub h: BufId,
    /// Logits `[tokens, V]`, which become their gradient.
    pub logits: BufId,
    /// Loss of each token `[tokens]`.
    pub nats: BufId,
}

/// The readout's gradient to h at one step.
#[derive(Debug, Clone, Copy)]
pub struct HeadGradOp {
    /// Which step.
    pub t: usize,
    /// The logits' gradient `[tokens, V]`.
    pub d_logits: BufId,
    /// The gradient to h `[rows, H]`, written.
    pub d_y: BufId,
}

/// Gate gradients of one layer at one step.
#[derive(Debug, Clone, Copy)]
pub struct GateGradOp {
    /// Which layer.
    pub layer: usize,
    /// Which step.
    pub t: usize,
    /// Gradient to h from above `[rows, H]`.
    pub d_y: BufId,
    /// dh from t+1 `[lanes, H]`.
    pub d_h: BufId,
    /// dc from t+1 `[unit panel][lanes][16]`, LSTM only.
    pub d_c: Option<BufId>,
    /// As in the forward operation.
    pub h: BufId,
    /// As in the forward operation.
    pub c: Option<BufId>,
    /// Gates, which become their gradients.
    pub gates: BufId,
    /// Of a projection: the gradient to h `[tokens, P]`, and that to o * tanh(c) `[lanes, H]`.
    pub projection: Option<(BufId, BufId)>,
}

/// Gradients to h_{t-1} of one layer at one step, and to its input at this step and some that follow.
#[derive(Debug, Clone, Copy)]
pub struct InputGradOp {
    /// Which layer.
    pub layer: usize,
    /// Which step.
    pub t: usize,
    /// Steps of dx from there on; those past the batch's end count for nothing.
    pub steps: usize,
    /// Gate gradients.
    pub gates: BufId,
    /// dh `[lanes, H]`: read by a GRU, written. None: dx alone, behind the last dh.
    pub d_h: Option<BufId>,
    /// dx `[rows, I]`, written where it is wanted.
    pub d_x: Option<BufId>,
    /// What dx is added to: dx itself, which the other direction has written, or what goes past a residual layer.
    pub from: Option<BufId>,
    /// Another direction adds to dx after this: dropout waits for it.
    pub more: bool,
}

/// What a level gives at one step, where that is more than the h of a layer.
#[derive(Debug, Clone, Copy)]
pub struct LevelOp {
    /// The level's first layer.
    pub layer: usize,
    /// Which step.
    pub t: usize,
    /// What is added, in this order: h of one layer or of both, side by side or by themselves, and x of a residual one.
    /// The first is there. All of them, as y and its dropped copy, have the columns of `y`.
    pub parts: [Option<BufId>; 3],
    /// y, written.
    pub y: BufId,
    /// The dropped copy of y, where the pass drops.
    pub dropped: Option<BufId>,
}

/// One operation of one worker.
#[derive(Debug, Clone, Copy)]
pub enum Op {
    /// A layer's products with its input, ahead.
    Input(InputOp),
    /// Forward of a layer.
    Gates(GatesOp),
    /// Its second product, where there is one, behind it.
    Inner(GatesOp),
    /// What a level gives, behind its layers.
    Level(LevelOp),
    /// Logits, loss.
    Readout(ReadoutOp),
    /// Gradient of the readout to h.
    HeadGrad(HeadGradOp),
    /// A projection's gradient to h, before all else of its step.
    OutputGrad(GateGradOp),
    /// Back through the second product: before a projected LSTM's gate gradients, behind a GRU's.
    InnerGrad(GateGradOp),
    /// Gate gradients.
    GateGrad(GateGradOp),
    /// Gradients to h_{t-1} and x.
    InputGrad(InputGradOp),
    /// Rows of the caller's, in.
    Read(ReadOp),
    /// Rows for the caller, out.
    Write(WriteOp),
}

impl Op {
    /// The step that it works on, of several the first.
    pub fn t(&self) -> usize {
        match self {
            Op::Input(o) => o.t,
            Op::Gates(o) | Op::Inner(o) => o.t,
            Op::Level(o) => o.t,
            Op::Readout(o) => o.t,
            Op::HeadGrad(o) => o.t,
            Op::OutputGrad(o) | Op::InnerGrad(o) | Op::GateGrad(o) => o.t,
            Op::InputGrad(o) => o.t,
            Op::Read(o) => o.t,
            Op::Write(o) => o.t,
        }
    }
    /// The steps that it works on: most often one.
    pub fn steps(&self) -> Range<usize> {
        let count = match self {
            Op::Input(o) => o.steps,
            Op::InputGrad(o) => o.steps,
            _ => 1,
        };
        self.t()..self.t() + count
    }
}
