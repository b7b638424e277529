//! The character model: a file in; logits, text and training steps out.

use crate::arrays::Out;
use crate::faults::{exception, released, tell_mode};
use crate::state::State;
use crate::threads;
use gatemill::{CharLm as Model, Config, Generate, SampleOptions, Symbol, VocabKind};
use numpy::PyReadonlyArray2;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A model, and the process whose workers it runs on.
#[pyclass(frozen, module = "gatemill._core")]
pub(crate) struct CharLm {
    model: Mutex<Arc<Model>>,
    process: u32,
}

/// A text that is being written.
#[pyclass(frozen, module = "gatemill._core")]
pub(crate) struct Text(Mutex<Writing>);

/// The model stands behind what borrows it, and is dropped after it: fields drop in their order.
struct Writing {
    symbols: Generate<'static>,
    _model: Arc<Model>,
    process: u32,
}

// As of a `Lease`.
const _: () = assert!(align_of::<CharLm>() <= 16 && align_of::<Text>() <= 16);

/// Errors: this is a child of the process that made it, whose workers are not here.
fn same_process(process: u32) -> PyResult<()> {
    if process == std::process::id() {
        return Ok(());
    }
    Err(PyRuntimeError::new_err(
        "this model was loaded before a fork, in the parent process: load it again in this one",
    ))
}

impl CharLm {
    fn of(model: Model) -> Self {
        Self { model: Mutex::new(Arc::new(model)), process: std::process::id() }
    }
    fn held(&self) -> MutexGuard<'_, Arc<Model>> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn shared(&self, py: Python<'_>) -> PyResult<Arc<Model>> {
        tell_mode(py)?;
        same_process(self.process)?;
        Ok(self.held().clone())
    }
}

type Ids<'py> = PyReadonlyArray2<'py, u32>;

fn ids<'a>(name: &str, ids: &'a Ids<'_>) -> PyResult<&'a [u32]> {
    ids.as_slice().map_err(|_| PyValueError::new_err(format!("`{name}` is not C-contiguous")))
}

#[pymethods]
impl CharLm {
    /// The model of a file or a run folder.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let crew = threads::crew(py)?;
        released(py, || Model::load(&path, crew)).map(Self::of)
    }
    /// A model with initial weights over the characters of a text; the configuration is JSON.
    #[staticmethod]
    fn new(py: Python<'_>, characters: &str, config: &str) -> PyResult<Self> {
        let crew = threads::crew(py)?;
        let config: Config = serde_json::from_str(config).map_err(|error| PyValueError::new_err(error.to_string()))?;
        released(py, || Model::new(&config, characters, crew)).map(Self::of)
    }
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        let model = self.shared(py)?;
        released(py, || model.save(&path))
    }
    /// The configuration as JSON.
    #[getter]
    fn config(&self) -> PyResult<String> {
        serde_json::to_string(self.held().config()).map_err(|error| PyRuntimeError::new_err(error.to_string()))
    }
    /// Code points, or bytes.
    #[getter]
    fn symbols(&self) -> Vec<u32> {
        self.held().vocab().symbols().to_vec()
    }
    /// The symbols are bytes.
    #[getter]
    fn reads_bytes(&self) -> bool {
        matches!(self.held().vocab().kind(), VocabKind::Bytes)
    }
    #[getter]
    fn notices(&self) -> Vec<String> {
        self.held().notices().to_vec()
    }
    fn encode(&self, text: &str) -> PyResult<Vec<u32>> {
        self.held().encode(text).map_err(|error| exception(&error))
    }
    fn state(&self, lanes: usize) -> PyResult<State> {
        if lanes == 0 {
            return Err(PyValueError::new_err("a batch has at least one text"));
        }
        let model = self.held();
        let numbers = model.state(lanes).map_err(|error| exception(&error))?;
        Ok(State::of(numbers, model.config().layers, lanes))
    }
    /// Reads ids `[T, B]` from the state, which becomes that after them: logits `[T, B, V]`.
    fn logits(&self, py: Python<'_>, ids: Ids<'_>, state: &Bound<'_, State>, out: &Bound<'_, PyAny>) -> PyResult<()> {
        let (model, state) = (self.shared(py)?, state.get());
        let mut out = Out::new("logits", out)?;
        let (ids, out) = (self::ids("ids", &ids)?, out.slice_mut()?);
        released(py, || model.logits(ids, &mut state.numbers(), out))
    }
    /// One update from ids and targets `[T, B]`: the loss in nats.
    fn train_step(&self, py: Python<'_>, ids: Ids<'_>, targets: Ids<'_>) -> PyResult<f64> {
        same_process(self.process)?;
        let (ids, targets) = (self::ids("ids", &ids)?, self::ids("targets", &targets)?);
        // None: somebody reads it.
        let nats = released(py, || {
            let mut model = self.held();
            Arc::get_mut(&mut model).map(|model| Ok(model.train_step(ids, targets)?.nats)).transpose()
        })?;
        nats.ok_or_else(|| {
            PyRuntimeError::new_err("the model is in use by a text that is being written: finish or delete it first")
        })
    }
    fn set_lr(&self, lr: f64) -> PyResult<()> {
        let mut model = self.held();
        match Arc::get_mut(&mut model) {
            Some(model) => model.set_lr(lr).map_err(|error| exception(&error)),
            None => Err(PyRuntimeError::new_err("the model is in use: finish or delete its texts first")),
        }
    }
    /// A text; the numbers are `SampleOptions`'.
    #[pyo3(signature = (prime, *, length, temperature, top_k, top_p, min_p, repetition_penalty, repetition_window, seed, sample))]
    #[expect(clippy::too_many_arguments, reason = "each is an option by its name")]
    fn generate(
        &self,
        py: Python<'_>,
        prime: &str,
        length: u64,
        temperature: f64,
        top_k: usize,
        top_p: f64,
        min_p: f64,
        repetition_penalty: f64,
        repetition_window: usize,
        seed: u64,
        sample: u32,
    ) -> PyResult<Text> {
        let model = self.shared(py)?;
        let options = SampleOptions {
            prime: prime.into(),
            length,
            temperature,
            top_k,
            top_p,
            min_p,
            repetition_penalty,
            repetition_window,
            samples: 1,
            first_sample: sample,
            seed,
        };
        // SAFETY: the model lies in the Arc's own memory, which `Writing` keeps alive for as long as it borrows from it;
        // it is not written meanwhile, since `train_step` and `set_lr` ask for the only owner.
        let lasting: &'static Model = unsafe { &*Arc::as_ptr(&model) };
        let symbols = released(py, || lasting.generate(&options))?;
        Ok(Text(Mutex::new(Writing { symbols, _model: model, process: self.process })))
    }
}

#[pymethods]
impl Text {
    /// The next symbol in UTF-8, or as the byte that it is; nothing after the last.
    fn next<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let symbol = released(py, || {
            let mut writing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if writing.process != std::process::id() {
                return Ok(None);
            }
            writing.symbols.next().transpose()
        })?;
        let bytes = |symbol: Symbol| {
            let mut text = Vec::with_capacity(4);
            symbol.push_to(&mut text);
            PyBytes::new(py, &text)
        };
        if symbol.is_none() {
            same_process(self.0.lock().unwrap_or_else(PoisonError::into_inner).process)?;
        }
        Ok(symbol.map(bytes))
    }
    /// Symbols of the prime that the model never saw.
    #[getter]
    fn unseen(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).symbols.unseen()
    }
}
