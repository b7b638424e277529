//! What a recurrent network does: its units and gates over a text, what they tell, how far its gradients reach, and pages
//! that show it.
//!
//! Everything here reads: no model is changed on disk, and numbers come before pages, so that a test can hold them. A page
//! is one file without network: HTML with its data, style and script inside.
#![forbid(unsafe_code)]

pub mod gradflow; // gradients by distance: the toy, a model, three cells side by side
pub mod hello; // the lecture's walk-through, number by number

pub mod stages; // what a run wrote while it learned

pub mod page; // one self-contained HTML document, charts, colours

// The microscope: `gatemill inspect`.
pub mod text; // symbols and characters

pub mod label; // what can be asked of a text

pub mod probe; // which unit tells it

pub mod gate; // how often a gate is open

pub mod hold; // what happens without a unit

pub mod window; // values of some units over a part of the text

pub mod scope; // all of it, and its page
