//! The state of layers between two steps, as a value: to read, write, copy, fork, save.

use crate::arrays::In;
use gatemill::State as Numbers;
use numpy::{PyArray1, PyArray3, PyArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// h of every layer, direction and lane, and c for an LSTM. Made by the `state` of a layer; a copy is a fork of the sequence.
#[pyclass(frozen, module = "gatemill")]
pub(crate) struct State {
    /// [L*D, B, H], or P columns where h is projected.
    h_shape: [usize; 3],
    /// [L*D, B, H], LSTM only.
    c_shape: Option<[usize; 3]>,
    numbers: Mutex<Numbers>,
}

type Arrays<'py> = (Bound<'py, PyArray3<f32>>, Option<Bound<'py, PyArray3<f32>>>);

impl State {
    pub(crate) fn of(numbers: Numbers, layers: usize, lanes: usize) -> Self {
        let shape = |data: &Vec<f32>| [layers, lanes, data.len() / (layers * lanes).max(1)];
        let (h_shape, c_shape) = (shape(&numbers.h), numbers.c.as_ref().map(shape));
        Self { h_shape, c_shape, numbers: Mutex::new(numbers) }
    }
    pub(crate) fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
    pub(crate) fn lanes(&self) -> usize {
        self.h_shape[1]
    }
}

fn array<'py>(py: Python<'py>, data: &[f32], shape: [usize; 3]) -> PyResult<Bound<'py, PyArray3<f32>>> {
    PyArray1::from_slice(py, data).reshape(shape)
}

/// Errors: another shape.
fn write(name: &'static str, data: &mut [f32], shape: [usize; 3], from: &Bound<'_, PyAny>) -> PyResult<()> {
    let from = In::new(name, from)?;
    if from.shape() != shape {
        return Err(PyValueError::new_err(format!("`{name}` has shape {:?} instead of {shape:?}", from.shape())));
    }
    data.copy_from_slice(from.slice()?);
    Ok(())
}

#[pymethods]
impl State {
    /// A state of these numbers: h [L*D, B, H], and c [L*D, B, H] of an LSTM.
    #[new]
    #[pyo3(signature = (h, c=None))]
    fn new(h: &Bound<'_, PyAny>, c: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let shape = |name: &str, array: &In<'_>| {
            <[usize; 3]>::try_from(array.shape())
                .map_err(|_| PyValueError::new_err(format!("`{name}` must be [layers * directions, batch, hidden]")))
        };
        let h = In::new("h", h)?;
        let c = c.map(|c| In::new("c", c)).transpose()?;
        let (h_shape, c_shape) = (shape("h", &h)?, c.as_ref().map(|c| shape("c", c)).transpose()?);
        if c_shape.is_some_and(|c| c[..2] != h_shape[..2]) {
            return Err(PyValueError::new_err("h and c are of different layers or batches"));
        }
        let c = c.as_ref().map(|c| c.slice().map(<[f32]>::to_vec)).transpose()?;
        Ok(Self { h_shape, c_shape, numbers: Mutex::new(Numbers { h: h.slice()?.to_vec(), c }) })
    }
    /// A copy of h, [L*D, B, H]; assigning writes it.
    #[getter]
    fn get_h<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray3<f32>>> {
        array(py, &self.numbers().h, self.h_shape)
    }
    #[setter]
    fn set_h(&self, h: &Bound<'_, PyAny>) -> PyResult<()> {
        write("h", &mut self.numbers().h, self.h_shape, h)
    }
    /// A copy of c, [L*D, B, H], or None where the cell has none; assigning writes it.
    #[getter]
    fn get_c<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyArray3<f32>>>> {
        match (&self.numbers().c, self.c_shape) {
            (Some(c), Some(shape)) => array(py, c, shape).map(Some),
            _ => Ok(None),
        }
    }
    #[setter]
    fn set_c(&self, c: &Bound<'_, PyAny>) -> PyResult<()> {
        match (&mut self.numbers().c, self.c_shape) {
            (Some(data), Some(shape)) => write("c", data, shape, c),
            _ => Err(PyTypeError::new_err("this state has no c: an LSTM alone has one")),
        }
    }
    /// Sequences that it is of.
    #[getter]
    fn batch(&self) -> usize {
        self.lanes()
    }
    /// A fork: the same numbers, on their own from here on.
    fn copy(&self) -> Self {
        Self { h_shape: self.h_shape, c_shape: self.c_shape, numbers: Mutex::new(self.numbers().clone()) }
    }
    fn __copy__(&self) -> Self {
        self.copy()
    }
    fn __deepcopy__(&self, _memo: &Bound<'_, PyAny>) -> Self {
        self.copy()
    }
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Arrays<'py>)> {
        Ok((py.get_type::<Self>().into_any(), (self.get_h(py)?, self.get_c(py)?)))
    }
    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        let Ok(other) = other.cast::<Self>() else { return false };
        let other = other.get();
        std::ptr::eq(self, other)
            || (self.h_shape == other.h_shape && self.c_shape == other.c_shape && {
                let ours = self.numbers().clone();
                ours == *other.numbers()
            })
    }
    fn __repr__(&self) -> String {
        match self.c_shape {
            Some(c) => format!("State(h {:?}, c {c:?})", self.h_shape),
            None => format!("State(h {:?})", self.h_shape),
        }
    }
}
