//! Plain f64 loops: the arbiter of every kernel and cell. No dependencies.
//!
//! Each operation of Gatemill stands here once more, written for being obviously right: index loops, one equation per
//! line, nothing fused, nothing fast. The forward pass runs on any [`Scalar`]: in `f64` it is the reference of the f32
//! kernels, in [`Dual`] it yields exact derivatives. The backward pass is written by hand in f64, formula for formula as
//! in `doc/rnn.md`, `doc/lstm.md`, `doc/gru.md` and `doc/embedding.md`, and held against the dual numbers element by element.
//!
//! | file | computes |
//! |---|---|
//! | [`scalar`] | numbers: `f64`, and dual numbers `re + du*e` with `e*e = 0` |
//! | [`activation`] | tanh and sigmoid, or their linear stand-ins, and both derivatives from the value |
//! | [`dot`] | dot products, matrix products, sums |
//! | [`cell`] | one step of one lane: RNN, LSTM, GRU, forward and backward |
//! | [`stack`] | L layers x T steps x B lanes, forward, and backward through time |
//! | [`complete`] | the same with everything that others' layers have: variants, directions, lengths |
//! | [`embedding`] | a trained row per symbol, and its gradient |
//! | [`loss`] | readout, softmax, mean cross-entropy, and their gradients |
//! | [`char_model`] | ids -> stack -> readout -> loss, with every gradient |
//! | [`attention`], [`pool`] | queries over the rows of a memory; rows of a sequence to one |
//! | [`task`] | the kinds of RNN, example by example, from weights by name to the loss |
//! | [`optim`] | global norm, clipping, weight decay, Adam, RMSprop, Adagrad, SGD |
//! | [`random`], [`case`] | test data from integers alone: the same on every machine |
//! | [`difference`], [`compare`], [`ulp`] | central differences; the worst element; distance in units in the last place |
//!
//! Letters: T time steps, B lanes, I inputs, H hidden units, G gates (1 RNN, 4 LSTM, 3 GRU), L layers, V symbols.
//! Every tensor is a row-major `Vec`, its last named dimension contiguous. A shape that does not fit is a broken
//! contract and panics with the name of the tensor; numbers never do: NaN and infinities travel as IEEE has it.
#![forbid(unsafe_code)]
#![allow(clippy::needless_range_loop, reason = "index loops keep each equation as it stands on paper")]
#![allow(clippy::disallowed_methods, reason = "the reference needs no equal bits between machines: std's functions do")]

pub mod scalar;

pub mod activation;
pub mod dot;

pub mod cell;

pub mod stack;

pub mod complete;

pub mod embedding;

pub mod loss;

pub mod char_model;

pub mod attention;
pub mod pool;

pub mod task;

pub mod optim;

pub mod case;
pub mod random;

pub mod compare;
pub mod difference;
pub mod ulp;

pub use activation::Activation;
pub use case::{CaseOptions, StackCase};
pub use cell::{Cell, LayerParams, LayerShape};
pub use char_model::{CharChunk, CharModel};
pub use loss::Head;
pub use random::SplitMix64;
pub use scalar::{Dual, Scalar};
pub use stack::{StackGrads, StackInput, StackOutputGrad, StackParams, StackShape, StackTrace};

/// f32 values as f64, exactly.
pub fn widen(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| f64::from(x)).collect()
}

/// f64 values rounded to the nearest f32: exact for all data made by [`SplitMix64`].
pub fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&x| x as f32).collect()
}

/// Values as constants of the scalar `S` (for dual numbers: derivative 0).
pub fn lift<S: Scalar>(values: &[f64]) -> Vec<S> {
    values.iter().map(|&x| S::constant(x)).collect()
}

/// The broken-contract check of every entry point: `tensor` has `want` elements.
pub(crate) fn expect_len(name: &str, found: usize, want: usize) {
    assert!(found == want, "{name}: {found} elements, but its shape has {want}");
}
