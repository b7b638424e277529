//! Gradients by distance, shown: the lecture's toy, a model over a text, three cells side by side (lecture L8, L10, L11).
//!
//! What is measured is `gatemill_train::flow`'s; definitions and how to read them are in `doc/gradients.md`.

pub mod compare; // three cells side by side
pub mod memory; // how many symbols later the first one is known
pub mod page; // a report as a page
pub mod report; // what is found about a model on a text
pub mod toy; // the lecture's chain
pub mod words; // a report in the terminal

pub use gatemill_train::flow::Machine;
