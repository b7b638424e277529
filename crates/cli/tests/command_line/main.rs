//! The command as its users meet it: the built program, real files, real signals.
//!
//! Texts are small and made here, models have a few units, so that the whole takes seconds. Tests that carry an id of the
//! fault catalogue are named after it.

#![allow(non_snake_case, reason = "fault tests carry the ids of the fault catalogue")]

mod place; // a folder to run in, and what came of it

mod bits; // the same weights on every way
mod kill;
mod presets; // other tools' settings and flags, pages
mod session; // train, sample, evaluate // signals, sudden ends

mod fault_checkpoint; // K rows
mod fault_corpus; // C rows
mod fault_usage; // N, U, H rows
