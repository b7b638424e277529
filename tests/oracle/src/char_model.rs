//! The character model: symbol ids -> one-hot rows -> stack -> readout -> mean cross-entropy, with every gradient.
//!
//! Parameters in the order of model files and of `weights_sha256`: per layer `rnn.weight_ih_l0`, `rnn.weight_hh_l0`,
//! `rnn.bias_ih_l0`, `rnn.bias_hh_l0`, then `head.weight`, `head.bias`.

use crate::loss::{Head, Loss, cross_entropy, cross_entropy_backward, head_backward, head_forward};
use crate::random::SplitMix64;
use crate::scalar::Scalar;
use crate::stack::{
    StackGrads, StackInput, StackOutputGrad, StackParams, StackShape, StackTrace, one_hot, stack_backward,
    stack_forward,
};

/// All parameters of a character model, or their gradients.
#[derive(Clone, Debug, PartialEq)]
pub struct CharModel<S> {
    /// The recurrent layers; layer 0 has I = V inputs.
    pub stack: StackParams<S>,
    /// The readout.
    pub head: Head<S>,
}

/// One chunk of every lane, with the state carried into it.
#[derive(Clone, Debug, PartialEq)]
pub struct CharChunk {
    /// `[T, B]` inputs in `0..=V`; V is unseen: a zero row.
    pub ids: Vec<usize>,
    /// `[T, B]` next symbols in `0..=V`; V is unseen: not counted.
    pub targets: Vec<usize>,
    /// `[L, B, H]`
    pub h0: Vec<f64>,
    /// `[L, B, H]`, LSTM only, else empty.
    pub c0: Vec<f64>,
    /// `[T, B]`, as in [`StackInput`].
    pub resets: Option<Vec<bool>>,
    /// `[L-1, T, B, H]`, as in [`StackInput`].
    pub dropout: Option<Vec<f64>>,
}

impl CharChunk {
    /// A chunk from a zero state, without resets or dropout. Shapes: `ids [T, B]`, `targets [T, B]`.
    pub fn from_zero_state(shape: &StackShape, ids: Vec<usize>, targets: Vec<usize>) -> Self {
        CharChunk {
            ids,
            targets,
            h0: vec![0.0; shape.state_len()],
            c0: vec![0.0; shape.c_len()],
            resets: None,
            dropout: None,
        }
    }

    /// The stack's input: ids as one-hot rows.
    pub fn stack_input(&self, symbols: usize) -> StackInput<f64> {
        StackInput {
            x: one_hot(&self.ids, symbols),
            h0: self.h0.clone(),
            c0: self.c0.clone(),
            resets: self.resets.clone(),
            dropout: self.dropout.clone(),
        }
    }
}

/// A forward pass to the loss.
#[derive(Clone, Debug, PartialEq)]
pub struct CharForward<S> {
    /// Mean nats over the counted targets.
    pub loss: Loss<S>,
    /// `[T, B, V]`
    pub logits: Vec<S>,
    /// All gates and states.
    pub trace: StackTrace<S>,
}

/// A forward pass and every gradient.
#[derive(Clone, Debug, PartialEq)]
pub struct CharValueAndGrad {
    /// The forward pass.
    pub forward: CharForward<f64>,
    /// Gradients of all parameters.
    pub grads: CharModel<f64>,
    /// `[T, B, V]`
    pub d_logits: Vec<f64>,
    /// Gradients inside the stack, and of `h0` and `c0`. No gradient comes in from behind: truncated BPTT.
    pub stack: StackGrads,
}

impl CharModel<f64> {
    /// Uniform in `-bound..bound`, each value exactly an f32. V is `shape.inputs`.
    pub fn random(shape: &StackShape, bound: f64, random: &mut SplitMix64) -> Self {
        CharModel {
            stack: StackParams::random(shape, bound, random),
            head: Head::random(shape.inputs, shape.hidden, bound, random),
        }
    }

    /// The same numbers as constants of another scalar.
    pub fn lift<S: Scalar>(&self) -> CharModel<S> {
        CharModel { stack: self.stack.lift(), head: self.head.lift() }
    }

    /// The loss and its gradient by every parameter and initial state.
    pub fn value_and_grad(&self, shape: &StackShape, chunk: &CharChunk) -> CharValueAndGrad {
        let forward = self.forward(shape, chunk);
        let d_logits = cross_entropy_backward(&forward.logits, &chunk.targets, shape.inputs);
        let head = head_backward(&self.head, forward.trace.outputs(), &d_logits);
        let input = chunk.stack_input(shape.inputs);
        let output = StackOutputGrad { d_y: head.d_h, d_h_last: None, d_c_last: None };
        let stack = stack_backward(shape, &self.stack, &input, &forward.trace, &output);
        CharValueAndGrad { forward, grads: CharModel { stack: stack.params.clone(), head: head.head }, d_logits, stack }
    }
}

impl<S: Scalar> CharModel<S> {
    /// The loss, with everything on the way to it.
    pub fn forward(&self, shape: &StackShape, chunk: &CharChunk) -> CharForward<S> {
        let input = chunk.stack_input(shape.inputs).lift();
        let trace = stack_forward(shape, &self.stack, &input);
        let logits = head_forward(&self.head, trace.outputs());
        let loss = cross_entropy(&logits, &chunk.targets, shape.inputs);
        CharForward { loss, logits, trace }
    }
}

impl<S> CharModel<S> {
    /// Every tensor with its name in a model file, in file order.
    pub fn tensors(&self) -> Vec<(String, &Vec<S>)> {
        let mut all: Vec<_> = self.stack.tensors().into_iter().map(|(name, t)| (format!("rnn.{name}"), t)).collect();
        all.push(("head.weight".to_string(), &self.head.weight));
        all.push(("head.bias".to_string(), &self.head.bias));
        all
    }

    /// The same, to be written.
    pub fn tensors_mut(&mut self) -> Vec<(String, &mut Vec<S>)> {
        let mut all: Vec<_> =
            self.stack.tensors_mut().into_iter().map(|(name, t)| (format!("rnn.{name}"), t)).collect();
        all.push(("head.weight".to_string(), &mut self.head.weight));
        all.push(("head.bias".to_string(), &mut self.head.bias));
        all
    }
}
