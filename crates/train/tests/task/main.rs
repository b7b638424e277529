//! The kinds of RNN: they learn, keep the bits promise, go on where they stopped, and their files are not taken for others.

mod data;

mod learning;
