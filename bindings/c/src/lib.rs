//! Gatemill behind a C ABI: what `include/gatemill.h` says.
//!
//! Every entry goes through `fault::entry`: the host's floating-point mode is read, a panic stops there, an error becomes
//! a status and a message. Objects are numbers in a table (`handle.rs`), so that a handle which was freed or never was is
//! an error and not a crash; arrays of the caller's become slices in one place (`memory.rs`), after all that can be seen
//! of them has been checked.

mod fault; // status, message, the border

mod handle; // objects by number
mod memory; // arrays and structs of the caller's

mod crew; // workers
mod machine; // version, tier, floating-point mode

mod options; // what a stack is made of
mod recurrent; // a stack, and what is made for its passes
mod tensor; // its tensors, in and out

mod pass; // forward, backward, step

mod char_lm; // the character model
mod text; // a text that is being written

pub use char_lm::*;
pub use crew::*;
pub use fault::*;
pub use machine::*;
pub use options::*;
pub use pass::*;
pub use recurrent::*;
pub use tensor::*;
pub use text::*;
