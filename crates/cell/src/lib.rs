//! RNN, LSTM, GRU: layers and stacks through time, forward and backward, hand-derived.
//!
//! Letters: T time steps, B lanes, I inputs, H hidden units, G gates, L layers, V vocabulary, S shards. Gate order is
//! PyTorch's: LSTM i, f, g, o; GRU r, z, n, reset-after. Derivations: `doc/rnn.md`, `doc/lstm.md`, `doc/gru.md`,
//! `doc/embedding.md`; the pointwise formulas and GEMMs are operations of `gatemill-kernels`, the sharing out is `gatemill-crew`'s. What is here
//! is the order of things: which operation at which step, which tile of which gradient.
#![forbid(unsafe_code)]

mod params; // weights: flat masters, what is derived from them

mod tensor; // PyTorch's names and shapes

mod places; // where each element of a tensor lies

mod workspace; // what a pass keeps

mod unroll; // the one time loop, forward and backward

mod network; // forward and backward over a batch

mod rows; // inputs, outputs, losses and gradients by token

mod state; // states in and out

mod trace; // a look inside

mod exchange; // passes on the caller's arrays

mod weight_grad; // the list of tiles; no threads

mod embedding_grad; // what the gradients of and below an embedding are made of

pub use gatemill_kernels::{
    Batch, BatchError, Cell, Direction, OutOfMemory, Rows, RowsError, RowsMut, StackError, StackShape,
};
pub use network::{Chunk, Network, NetworkOptions};
pub use params::{Params, ParamsError};
pub use state::LayerState;
pub use tensor::TensorSpec;
pub use trace::Part;
pub use weight_grad::WeightGrads;
