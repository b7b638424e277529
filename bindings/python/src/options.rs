//! Keyword arguments as the options of a stack.

use gatemill::{Activation, Activations, Cell, Direction, RecurrentOptions, Variant};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// What `Stack(...)` takes, by name; the names are `RecurrentOptions`'.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Asked {
    cell: String,
    inputs: usize,
    hidden: usize,
    layers: usize,
    bias: bool,
    direction: String,
    residual: bool,
    dropout: f64,
    seed: u64,
    projection: Option<usize>,
    nonlinearity: String,
    reset_before: bool,
    peepholes: bool,
    coupled: bool,
    clip: Option<f32>,
    cell_clip: Option<f32>,
}

fn unknown(what: &str, found: &str, known: &str) -> PyErr {
    PyValueError::new_err(format!("{what} is {found:?}, but must be one of {known}"))
}

impl Asked {
    pub(crate) fn options(&self) -> PyResult<RecurrentOptions> {
        let cell = match self.cell.as_str() {
            "lstm" => Cell::Lstm,
            "gru" => Cell::Gru,
            "rnn" => Cell::Rnn,
            found => return Err(unknown("cell", found, "'lstm', 'gru', 'rnn'")),
        };
        let direction = match self.direction.as_str() {
            "forward" => Direction::Forward,
            "reverse" => Direction::Reverse,
            "concat" => Direction::Concat,
            "sum" => Direction::Sum,
            found => return Err(unknown("direction", found, "'forward', 'reverse', 'concat', 'sum'")),
        };
        let activations = match self.nonlinearity.as_str() {
            "tanh" => Activations::default(),
            "relu" => Activations { cell: Activation::Relu, ..Activations::default() },
            found => return Err(unknown("nonlinearity", found, "'tanh', 'relu'")),
        };
        let variant = Variant {
            bias: self.bias,
            reset_before: self.reset_before,
            peepholes: self.peepholes,
            coupled: self.coupled,
            clip: self.clip,
            cell_clip: self.cell_clip,
            projection: self.projection,
            activations,
        };
        let Asked { inputs, hidden, layers, residual, dropout, seed, .. } = *self;
        Ok(RecurrentOptions { cell, variant, inputs, hidden, layers, direction, residual, dropout, seed })
    }
}
