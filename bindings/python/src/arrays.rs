//! NumPy arrays of f32 as the engine's rows and slices, borrowed while in use: nobody else of Gatemill writes meanwhile.
//!
//! Nothing is copied. What does not lie as it must is an error that says so; the package's Python makes the documented copies.

use gatemill::{Rows, RowsMut};
use numpy::{
    PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyReadwriteArrayDyn, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

/// An array to be read.
pub(crate) struct In<'py> {
    name: &'static str,
    array: PyReadonlyArrayDyn<'py, f32>,
}

/// An array to be written.
pub(crate) struct Out<'py> {
    name: &'static str,
    array: PyReadwriteArrayDyn<'py, f32>,
}

/// Where rows lie: the strides of steps and lanes, in floats, and how many floats they reach over.
#[derive(Clone, Copy)]
struct Lie {
    step: usize,
    lane: usize,
    floats: usize,
}

/// Errors: no array, another type, not aligned.
fn array<'a, 'py>(name: &str, any: &'a Bound<'py, PyAny>) -> PyResult<&'a Bound<'py, PyArrayDyn<f32>>> {
    if let Ok(array) = any.cast::<PyArrayDyn<f32>>() {
        if (array.data() as usize).is_multiple_of(align_of::<f32>()) {
            return Ok(array);
        }
        return Err(PyValueError::new_err(format!("`{name}` is not aligned for float32: pass {name}.copy()")));
    }
    Err(match any.cast::<PyUntypedArray>() {
        Ok(array) => PyTypeError::new_err(format!(
            "`{name}` is an array of {}; Gatemill computes in float32: pass {name}.astype(numpy.float32)",
            array.dtype()
        )),
        Err(_) => PyTypeError::new_err(format!(
            "`{name}` must be a numpy.ndarray of float32, but is {}",
            any.get_type().qualname()?
        )),
    })
}

fn rows_lie(name: &str, array: &Bound<'_, PyArrayDyn<f32>>, batch_first: bool) -> PyResult<Lie> {
    let wrong = |what: String| Err(PyValueError::new_err(format!("`{name}` {what}")));
    let (shape, strides) = (array.shape(), array.strides());
    // A dimension of one element has any stride.
    let stride = |i: usize| match strides[i] {
        _ if shape[i] == 1 => Some(0),
        bytes => {
            usize::try_from(bytes).ok().filter(|b| b.is_multiple_of(size_of::<f32>())).map(|b| b / size_of::<f32>())
        }
    };
    let strides: Option<Vec<usize>> = (0..shape.len()).map(stride).collect();
    let Some(strides) = strides else {
        return wrong(format!("has strides {:?} (bytes), which cannot be read as it lies", array.strides()));
    };
    let (outer, inner, columns) = match shape.len() {
        2 => (0, 0, 1),
        3 => (0, 1, 2),
        n => return wrong(format!("must have 3 dimensions, or 2 where it is packed, but has {n}")),
    };
    if shape.contains(&0) {
        return wrong(format!("is empty: its shape is {shape:?}"));
    }
    if shape[columns] > 1 && strides[columns] != 1 {
        return wrong("has rows whose numbers do not lie beside each other".to_owned());
    }
    let reach = (0..columns).map(|i| (shape[i] - 1) * strides[i]).sum::<usize>() + shape[columns];
    let (step, lane) = if batch_first { (inner, outer) } else { (outer, inner) };
    Ok(Lie { step: strides[step], lane: strides[lane], floats: reach })
}

impl<'py> In<'py> {
    /// Errors: not an array of f32; it is being written.
    pub(crate) fn new(name: &'static str, any: &Bound<'py, PyAny>) -> PyResult<Self> {
        let array = array(name, any)?.try_readonly().map_err(|_| busy(name))?;
        Ok(Self { name, array })
    }
    pub(crate) fn shape(&self) -> &[usize] {
        self.array.shape()
    }
    /// All its numbers in C order. Errors: they do not lie so.
    pub(crate) fn slice(&self) -> PyResult<&[f32]> {
        self.array.as_slice().map_err(|_| contiguous(self.name))
    }
    /// `[T, B, C]`, `[B, T, C]`, or packed `[N, C]` where it has two dimensions. Errors: it lies otherwise.
    pub(crate) fn rows(&self, batch_first: bool) -> PyResult<Rows<'_>> {
        let lie = rows_lie(self.name, &self.array, batch_first)?;
        // SAFETY: strides are not negative, so the array's elements lie between its first and its last, `floats` floats of
        // one buffer, which the borrow keeps alive and unwritten by safe code.
        let data = unsafe { std::slice::from_raw_parts(self.array.data(), lie.floats) };
        Ok(if self.shape().len() == 2 { Rows::packed(data, lie.step) } else { Rows::strided(data, lie.step, lie.lane) })
    }
}

impl<'py> Out<'py> {
    /// Errors: not an array of f32; read-only; in use; not contiguous.
    pub(crate) fn new(name: &'static str, any: &Bound<'py, PyAny>) -> PyResult<Self> {
        let array = array(name, any)?;
        if !array.is_c_contiguous() {
            return Err(contiguous(name));
        }
        let array = array.try_readwrite().map_err(|error| match error {
            numpy::BorrowError::NotWriteable => PyValueError::new_err(format!("`{name}` is read-only")),
            _ => busy(name),
        })?;
        Ok(Self { name, array })
    }
    pub(crate) fn shape(&self) -> &[usize] {
        self.array.shape()
    }
    /// All its numbers in C order.
    pub(crate) fn slice_mut(&mut self) -> PyResult<&mut [f32]> {
        let name = self.name;
        self.array.as_slice_mut().map_err(|_| contiguous(name))
    }
    /// As [`In::rows`].
    pub(crate) fn rows_mut(&mut self, batch_first: bool) -> PyResult<RowsMut<'_>> {
        let lie = rows_lie(self.name, &self.array, batch_first)?;
        let is_packed = self.shape().len() == 2;
        let data = self.slice_mut()?;
        Ok(if is_packed { RowsMut::packed(data, lie.step) } else { RowsMut::strided(data, lie.step, lie.lane) })
    }
}

fn contiguous(name: &str) -> PyErr {
    PyValueError::new_err(format!("`{name}` is not C-contiguous: pass numpy.ascontiguousarray({name})"))
}

fn busy(name: &str) -> PyErr {
    PyValueError::new_err(format!(
        "`{name}` is in use by another call of Gatemill, or is both an input and an output of this one: pass a copy"
    ))
}
