//! The kinds of RNN: their gradients, what they learn, the bits promise, going on where they stopped, predictions, files.

mod data;

mod gradients;

mod bits;

mod learning;

mod predictions;

mod files;
