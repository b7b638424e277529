//! The command as its users meet it: the built program, real files, real signals.
//!
//! Texts are small and made here, models have a few units, so that the whole takes seconds. Tests that carry an id of the
//! fault catalogue are named after it.

#![allow(non_snake_case, reason = "fault tests carry the ids of the fault catalogue")]

mod place; // a folder to run in, and what came of it

mod bench; // measure, save, compare
mod bits; // the same weights on every way
mod corpus; // look at a text, write the built-in one
mod ends; // steps, minutes, patience
mod flags; // every flag of `train`
mod gradflow; // gradients by distance
mod hello; // the walk-through
mod inspect; // look into a model
mod intake; // folders, compressed text, standard input
mod kill; // signals, sudden ends
mod machine; // what runs here; completions, manual
mod presets; // other tools' settings and flags, pages
mod runs; // look at what was trained
mod sample; // every flag of `sample`
mod session; // train, sample, evaluate
mod tasks; // learn from examples, ask, score
mod tasks_bits; // the same weights on every way, signals
mod tasks_faults; // flags, lines and models that cannot be

mod fault_checkpoint; // K rows
mod fault_corpus; // C rows
mod fault_machine; // H rows
mod fault_usage; // N, U rows
mod syscalls; // K01, K03, K04 by strace
