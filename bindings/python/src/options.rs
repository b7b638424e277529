//! Keyword arguments as the options of a stack.

use gatemill::{Cell, Direction, RecurrentOptions, Variant};
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
