//! SIMD kernels of recurrent networks: numbers in slices, numbers out.
//!
//! | operation | equation | where |
//! |---|---|---|
//! | gates (forward) | `gates, c_t, h_t = cell(start[s] + x W_ih^T + h W_hh^T, c_{t-1})` | `op/gates.rs` |
//! | variants | no bias, activations, reset-before, peepholes, bounds, projection: other epilogues, a second product | `op/variant/` |
//! | level | `y_t = h_t [+ h_reverse_t] [+ x_t]` | `op/level.rs` |
//! | readout | `softmax(h W^T + b)`, cross-entropy, gradient in place | `op/readout.rs` |
//! | attention | `sum over s of softmax(q . k_s) v_s`, and the way back | `op/attend.rs` |
//! | gate gradients | `dA = cell'(dh_t, dc_t, gates)`, in place | `op/gate_grad.rs` |
//! | input gradient | `[dx_t, dh_{t-1}] = dA [W_ih, W_hh]` | `op/input_grad.rs` |
//! | weight gradients | `dW = sum over tokens a^T dA`, symbol rows, biases | `op/weight_grad.rs` |
//! | embedding | `dE = D W_ih`, `dW_ih = sum over symbols E^T D` from symbol rows D | `op/embedding.rs` |
//! | norms, shards | fixed blocks, fixed tree | `op/sum.rs` |
//! | update | Adam, AdamW, RMSprop, Adagrad, SGD; start rows and transposed weights after it | `op/update.rs`, `op/derive.rs` |
//! | yardsticks | `x = x a + b` in registers, a sum over memory | `op/peak.rs` |
//! | tanh, sigmoid, exp | bounds in `doc/numerics.md` | `math/` |
//!
//! Letters: T time steps, B lanes, I inputs, H hidden units, G gates, L layers, V vocabulary, S shards.
//! Single-threaded; `crew` shares the work out. The only crate that names an instruction set, under `arch/`.

mod isa; // which tiers this machine has
mod vector; // sixteen lanes on every tier

mod arrays; // the caller's arrays as they lie
mod buffer; // owned, aligned memory
mod pack; // where every weight lies
mod stack; // levels of layers, directions
mod tokens; // where every token lies
mod variant; // what a cell may be beside the plain one
mod view; // where every buffer lies, and who may touch it

mod math; // tanh, sigmoid, exp
mod random; // numbers as a function of where they are used
mod tile; // the two k loops

mod op; // the operations, in the order of the data flow

mod arch; // one file per tier
mod run; // operations on a claim: shapes checked, addresses resolved
mod table; // entry points per tier, safe methods

#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bf16; // whether bf16 fits the packing: for the benches alone

pub use arch::host::FloatMode;
pub use arrays::{Arrays, Rows, RowsError, RowsMut};
pub use buffer::{Buffer, OutOfMemory};
pub use isa::{Isa, IsaError};
pub use op::attend::{Memory, MemoryGrad};
pub use op::gates::Dropout;
pub use op::sum::NORM_BLOCK;
pub use op::update::{Adam, Gradient, Momentum, RootSquare};
pub use pack::{
    Cell, Embedding, EmbeddingLayout, HeadLayout, Input, LANES, LayerLayout, LayerShape, Layout, Panels, Weights,
};
pub use random::{Purpose, philox, uniform};
pub use run::{
    GateGradOp, GatesOp, HeadGradOp, InputGradOp, InputOp, LevelOp, Op, Pass, ReadOp, ReadoutOp, Sums, WeightTile,
    WriteOp,
};
pub use stack::{Direction, StackError, StackShape};
pub use table::{Kernels, TileRows};
pub use tokens::{Batch, BatchError, Order, Part, Tokens};
pub use variant::{Activation, Activations, Variant, VariantError};
pub use view::{BufId, Columns, Share, Space, TokensMut, Workspace};
