//! Errors of the engine as Python's exceptions; a panic is a RuntimeError too, never a PanicException.

use gatemill::{Error, FloatMode};
use pyo3::exceptions::{PyMemoryError, PyOSError, PyRuntimeError, PyRuntimeWarning, PyValueError};
use pyo3::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

/// The exception of an error: ValueError for arguments, RuntimeError for an order of calls that cannot be.
pub(crate) fn exception(error: &Error) -> PyErr {
    let text = error.to_string();
    match error {
        Error::OutOfMemory(_) => PyMemoryError::new_err(text),
        Error::Load(_) | Error::Model { .. } | Error::Save(_) => PyOSError::new_err(text),
        Error::Foreign { .. }
        | Error::Inference
        | Error::NoForward
        | Error::WeightsChanged
        | Error::NoBackward
        | Error::Isa(_)
        | Error::Crew(_) => PyRuntimeError::new_err(text),
        _ => PyValueError::new_err(text),
    }
}

/// Tells the host, once, that its floating-point mode takes the promise about bits away. Errors: the warning is one.
pub(crate) fn tell_mode(py: Python<'_>) -> PyResult<()> {
    static TOLD: AtomicBool = AtomicBool::new(false);
    let mode = FloatMode::read();
    if mode.is_plain() || TOLD.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let text = format!(
        "this thread's floating-point mode was changed ({mode}): Gatemill's results are right, but not bit for bit those of \
         the usual mode; torch.set_flush_denormal(False) sets it back"
    );
    let text = std::ffi::CString::new(text).unwrap_or_default();
    PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), &text, 1)
}

/// Runs `f` with the GIL released. Errors: its own; a panic, told as what it is.
pub(crate) fn released<R: Send>(py: Python<'_>, f: impl FnOnce() -> Result<R, Error> + Send) -> PyResult<R> {
    let outcome = py.detach(|| catch_unwind(AssertUnwindSafe(f)));
    match outcome {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(error)) => Err(exception(&error)),
        Err(payload) => {
            let said = payload
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| payload.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            Err(PyRuntimeError::new_err(format!(
                "a fault inside Gatemill: {said}; please report it with the options and shapes of this call"
            )))
        }
    }
}
