//! A stack of recurrent layers on NumPy arrays: what `gatemill.LSTM` and `gatemill.torch.LSTM` both stand on.

use crate::arrays::{In, Out};
use crate::faults::{exception, released, tell_mode};
use crate::options::Asked;
use crate::state::State;
use crate::tape::{Form, Lease, Pool};
use crate::threads;
use gatemill::{Batch, Error, Gradients, Mode, Recurrent, State as Numbers};
use numpy::{PyArray1, PyArrayDyn, PyArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Weights, packed for the kernels, and the tapes of past passes.
#[pyclass(frozen, module = "gatemill._core")]
pub(crate) struct Stack {
    layers: RwLock<Recurrent>,
    tapes: Arc<Pool>,
    gradients: Mutex<Option<Gradients>>,
    /// L*D.
    parts: usize,
    inputs: usize,
    outputs: usize,
}

// As of a `Lease`.
const _: () = assert!(align_of::<Stack>() <= 16);

/// h and c.
type Pair<'py> = (Bound<'py, PyAny>, Option<Bound<'py, PyAny>>);
/// y, h_n, c_n.
type Outputs<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>, Option<Bound<'py, PyAny>>);
/// Tensors by name.
type Named<'py> = Vec<(String, Bound<'py, PyAny>)>;

/// `[T, B, C]` or `[B, T, C]`, or packed `[N, C]` with the lanes of each step.
struct Shape {
    sizes: Option<Vec<usize>>,
    steps: usize,
    lanes: usize,
}

impl Shape {
    /// Errors: x is no such thing, or has other columns.
    fn of(x: &In<'_>, inputs: usize, batch_first: bool, sizes: Option<Vec<usize>>) -> PyResult<Self> {
        let shape = x.shape();
        let wrong =
            |expected: String| Err(PyValueError::new_err(format!("`x` has shape {shape:?} instead of {expected}")));
        let (steps, lanes) = match (&sizes, shape) {
            (None, &[a, b, columns]) if columns == inputs => {
                if batch_first {
                    (b, a)
                } else {
                    (a, b)
                }
            }
            (None, _) if batch_first => return wrong(format!("[batch, steps, {inputs}]")),
            (None, _) => return wrong(format!("[steps, batch, {inputs}]")),
            (Some(sizes), &[rows, columns]) if columns == inputs && sizes.iter().sum::<usize>() == rows => {
                (sizes.len(), sizes.first().copied().unwrap_or(0))
            }
            (Some(sizes), _) => return wrong(format!("[{}, {inputs}]", sizes.iter().sum::<usize>())),
        };
        Ok(Self { sizes, steps, lanes })
    }
    fn batch(&self) -> Batch<'_> {
        match &self.sizes {
            Some(batch_sizes) => Batch::Packed { batch_sizes },
            None => Batch::Even { steps: self.steps, lanes: self.lanes },
        }
    }
}

/// The numbers of h and c. Errors: not as they must lie.
fn numbers(pair: Option<&Pair<'_>>, names: (&'static str, &'static str)) -> PyResult<Option<Numbers>> {
    let Some((h, c)) = pair else { return Ok(None) };
    let c = c.as_ref().map(|c| In::new(names.1, c)).transpose()?;
    Ok(Some(Numbers {
        h: In::new(names.0, h)?.slice()?.to_vec(),
        c: c.as_ref().map(|c| c.slice().map(<[f32]>::to_vec)).transpose()?,
    }))
}

/// Errors: another number of elements.
fn write(name: &'static str, out: &Bound<'_, PyAny>, numbers: &[f32]) -> PyResult<()> {
    let mut out = Out::new(name, out)?;
    let slice = out.slice_mut()?;
    if slice.len() != numbers.len() {
        let (found, expected) = (slice.len(), numbers.len());
        return Err(PyValueError::new_err(format!("`{name}` has {found} elements instead of {expected}")));
    }
    slice.copy_from_slice(numbers);
    Ok(())
}

/// Errors: a c where there is none, or none where there is one; other sizes.
fn write_pair(names: (&'static str, &'static str), to: &Pair<'_>, from: &Numbers) -> PyResult<()> {
    write(names.0, &to.0, &from.h)?;
    match (&to.1, &from.c) {
        (Some(to), Some(c)) => write(names.1, to, c),
        (None, None) => Ok(()),
        _ => Err(PyValueError::new_err(format!("`{}` is for an LSTM, and for that alone", names.1))),
    }
}

impl Stack {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, Recurrent> {
        self.layers.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Stack {
    /// A stack with PyTorch's initial weights, drawn by Gatemill from the seed.
    #[new]
    #[pyo3(signature = (**options))]
    fn new(py: Python<'_>, options: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let options = options.ok_or_else(|| PyValueError::new_err("options are given by name"))?;
        let options = options.extract::<Asked>()?.options()?;
        let layers = released(py, || Recurrent::new(&options))?;
        Ok(Self {
            layers: RwLock::new(layers),
            tapes: Arc::default(),
            gradients: Mutex::default(),
            parts: options.layers * options.directions(),
            inputs: options.inputs,
            outputs: options.outputs(),
        })
    }

    /// Name and shape of every tensor, in PyTorch's order.
    #[getter]
    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        self.read().tensors().map(|tensor| (tensor.name.to_owned(), tensor.shape.to_vec())).collect()
    }
    /// Columns of y.
    #[getter]
    fn outputs(&self) -> usize {
        self.outputs
    }
    /// A copy of a tensor.
    fn tensor<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
        let layers = self.read();
        let shape = layers.tensors().find(|tensor| tensor.name == name).map(|tensor| tensor.shape.to_vec());
        let data = layers.tensor(name).map_err(|error| exception(&error))?;
        PyArray1::from_vec(py, data).reshape(shape.unwrap_or_default())
    }
    /// Sets tensors, all or none.
    fn set_tensors(&self, py: Python<'_>, tensors: Named<'_>) -> PyResult<()> {
        let crew = threads::crew(py)?;
        let arrays: Vec<(&str, In<'_>)> = tensors
            .iter()
            .map(|(name, array)| Ok((name.as_str(), In::new("weights", array)?)))
            .collect::<PyResult<_>>()?;
        let slices: Vec<(&str, &[f32])> =
            arrays.iter().map(|(name, array)| Ok((*name, array.slice()?))).collect::<PyResult<_>>()?;
        released(py, || {
            let mut layers = self.layers.write().unwrap_or_else(PoisonError::into_inner);
            layers.set_tensors(&crew, &slices)
        })
    }

    /// Forward over a batch: writes y, h_n and c_n. With a `position` it trains: dropout takes its numbers from there, and
    /// what it returns is what `backward` needs.
    ///
    /// Shapes: x `[T, B, I]`, `[B, T, I]` where `batch_first`, or `[N, I]` with the lanes of each step in `batch_sizes`;
    /// initial: h `[L*D, B, H or P]`, c `[L*D, B, H]`; y as x with D*H columns.
    #[pyo3(signature = (x, initial, out, *, batch_first, batch_sizes=None, position=None))]
    #[expect(clippy::too_many_arguments, reason = "each is an argument of Python's, by its name")]
    fn forward(
        &self,
        py: Python<'_>,
        x: &Bound<'_, PyAny>,
        initial: Option<Pair<'_>>,
        out: Outputs<'_>,
        batch_first: bool,
        batch_sizes: Option<Vec<usize>>,
        position: Option<u64>,
    ) -> PyResult<Option<Lease>> {
        tell_mode(py)?;
        let crew = threads::crew(py)?;
        let (x, (y, h_n, c_n)) = (In::new("x", x)?, out);
        let shape = Shape::of(&x, self.inputs, batch_first, batch_sizes)?;
        let initial = numbers(initial.as_ref(), ("h_0", "c_0"))?;
        let mut y = Out::new("y", &y)?;
        let mut wanted = x.shape().to_vec();
        if let Some(columns) = wanted.last_mut() {
            *columns = self.outputs;
        }
        if y.shape() != wanted {
            return Err(PyValueError::new_err(format!("`y` has shape {:?} instead of {wanted:?}", y.shape())));
        }
        let mode = if position.is_some() { Mode::Training } else { Mode::Inference };
        let form = Form { mode, steps: shape.steps, lanes: shape.lanes };
        let (rows, y_rows) = (x.rows(batch_first)?, y.rows_mut(batch_first)?);
        let (tape, last) = released(py, || {
            let layers = self.read();
            let mut last = layers.state(shape.lanes)?;
            let mut tape = self.tapes.take(&layers, form);
            tape.set_position(position.unwrap_or_default());
            let outcome = layers.forward(&crew, &mut tape, shape.batch(), rows, initial.as_ref(), y_rows);
            if let Err(error) = outcome.and_then(|()| tape.final_state(&mut last)) {
                self.tapes.put(form, tape);
                return Err(error);
            }
            Ok((tape, last))
        })?;
        let lease = Lease::new(form, tape, self.tapes.clone());
        write_pair(("h_n", "c_n"), &(h_n, c_n), &last)?;
        Ok((mode == Mode::Training).then_some(lease))
    }

    /// Backward over the batch of a forward, once: writes d_x and the gradients of the initial states where they are asked
    /// for, and those of the tensors that are named.
    ///
    /// Shapes as `forward`'s. A d_last that is None is zero.
    #[pyo3(signature = (lease, d_y, d_last, *, d_x, d_initial, tensors, batch_first, batch_sizes=None))]
    #[expect(clippy::too_many_arguments, reason = "each is an argument of Python's, by its name")]
    fn backward(
        &self,
        py: Python<'_>,
        lease: &Bound<'_, Lease>,
        d_y: &Bound<'_, PyAny>,
        d_last: Option<Pair<'_>>,
        d_x: Option<Bound<'_, PyAny>>,
        d_initial: Option<Pair<'_>>,
        tensors: Named<'_>,
        batch_first: bool,
        batch_sizes: Option<Vec<usize>>,
    ) -> PyResult<()> {
        tell_mode(py)?;
        let crew = threads::crew(py)?;
        let lease = lease.get();
        let d_y = In::new("d_y", d_y)?;
        let Shape { lanes, steps, .. } = Shape::of(&d_y, self.outputs, batch_first, batch_sizes)?;
        let Form { mode: _, steps: of_steps, lanes: of_lanes } = lease.form();
        if (steps, lanes) != (of_steps, of_lanes) {
            let what = format!("`d_y` is of {steps} steps of {lanes}, forward was of {of_steps} steps of {of_lanes}");
            return Err(PyValueError::new_err(what));
        }
        let d_last = numbers(d_last.as_ref(), ("d_h_n", "d_c_n"))?;
        let mut d_x = d_x.map(|d_x| Out::new("d_x", &d_x)).transpose()?;
        let mut outs = Vec::with_capacity(tensors.len());
        for (name, out) in &tensors {
            outs.push((name.as_str(), Out::new("a weight's gradient", out)?));
        }
        let mut slices = Vec::with_capacity(outs.len());
        for (name, out) in &mut outs {
            slices.push((*name, out.slice_mut()?));
        }
        let d_x = d_x.as_mut().map(|d_x| d_x.rows_mut(batch_first)).transpose()?;
        let d_y = d_y.rows(batch_first)?;
        let wants_initial = d_initial.is_some();
        let first = released(py, || {
            let layers = self.read();
            let mut tape = lease.tape();
            let Some(tape) = tape.as_mut() else { return Err(Error::NoForward) };
            if slices.is_empty() {
                layers.backward(&crew, tape, d_y, d_last.as_ref(), d_x, None)?;
            } else {
                let kept = self.gradients.lock().unwrap_or_else(PoisonError::into_inner).take();
                let mut gradients = kept.unwrap_or_else(|| layers.gradients());
                layers.backward(&crew, tape, d_y, d_last.as_ref(), d_x, Some(&mut gradients))?;
                gradients.copy_tensors(&crew, &mut slices)?;
                *self.gradients.lock().unwrap_or_else(PoisonError::into_inner) = Some(gradients);
            }
            if !wants_initial {
                return Ok(None);
            }
            let mut first = layers.state(lanes)?;
            tape.initial_grad(&mut first)?;
            Ok(Some(first))
        })?;
        match (d_initial, first) {
            (Some(to), Some(first)) => write_pair(("d_h_0", "d_c_0"), &to, &first),
            _ => Ok(()),
        }
    }

    /// The zero state of a batch.
    fn state(&self, lanes: usize) -> PyResult<State> {
        if lanes == 0 {
            return Err(PyValueError::new_err("a batch has at least one sequence"));
        }
        let numbers = self.read().state(lanes).map_err(|error| exception(&error))?;
        Ok(State::of(numbers, self.parts, lanes))
    }
    /// One step without dropout: x `[B, I]` and the state before it give y `[B, D*H]` and the state after it, in place.
    fn step(
        &self,
        py: Python<'_>,
        x: &Bound<'_, PyAny>,
        state: &Bound<'_, State>,
        y: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        tell_mode(py)?;
        let (x, mut y, state) = (In::new("x", x)?, Out::new("y", y)?, state.get());
        if x.shape().last() != Some(&self.inputs) || y.shape().last() != Some(&self.outputs) {
            let what = format!("x is {:?} and y {:?}, but their last dimensions must be", x.shape(), y.shape());
            return Err(PyValueError::new_err(format!("{what} {} and {}", self.inputs, self.outputs)));
        }
        let (x, y) = (x.slice()?, y.slice_mut()?);
        let form = Form { mode: Mode::Inference, steps: 1, lanes: state.lanes() };
        released(py, || {
            let layers = self.read();
            let mut tape = self.tapes.take(&layers, form);
            let outcome = layers.step(&mut tape, x, &mut state.numbers(), y);
            self.tapes.put(form, tape);
            outcome
        })
    }
    /// Tapes that wait for the next passes.
    #[getter]
    fn idle_tapes(&self) -> usize {
        self.tapes.len()
    }
    /// Gives the memory of past passes back.
    fn release_memory(&self) {
        self.tapes.clear();
        *self.gradients.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
