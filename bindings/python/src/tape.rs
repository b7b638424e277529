//! Tapes that are used again from call to call: as many as were alive at once, each with the batch it was last for.

use gatemill::{Mode, Recurrent, Tape};
use pyo3::prelude::*;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a tape is laid out for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) mode: Mode,
    pub(crate) steps: usize,
    pub(crate) lanes: usize,
}

/// The tapes that nobody uses now.
#[derive(Debug, Default)]
pub(crate) struct Pool(Mutex<Vec<(Form, Box<Tape>)>>);

impl Pool {
    fn idle(&self) -> MutexGuard<'_, Vec<(Form, Box<Tape>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// A tape for passes of this form: one that had it, else one with as many lanes, else any of this mode, else a new one.
    pub(crate) fn take(&self, stack: &Recurrent, form: Form) -> Box<Tape> {
        let mut idle = self.idle();
        let last = |like: &dyn Fn(&Form) -> bool| idle.iter().rposition(|(of, _)| of.mode == form.mode && like(of));
        let found = last(&|of| *of == form)
            .or_else(|| last(&|of| of.lanes == form.lanes && of.steps > form.steps))
            .or_else(|| last(&|of| of.lanes == form.lanes))
            .or_else(|| last(&|_| true));
        match found {
            Some(at) => idle.remove(at).1,
            None => Box::new(stack.tape(form.mode)),
        }
    }
    pub(crate) fn put(&self, form: Form, tape: Box<Tape>) {
        self.idle().push((form, tape));
    }
    pub(crate) fn len(&self) -> usize {
        self.idle().len()
    }
    /// Forgets all of them, and gives their memory back.
    pub(crate) fn clear(&self) {
        self.idle().clear();
    }
}

/// A tape in use: what a forward kept for its backward. It goes back to its stack when it is dropped.
#[pyclass(frozen, module = "gatemill._core")]
pub(crate) struct Lease {
    form: Form,
    tape: Mutex<Option<Box<Tape>>>,
    pool: Arc<Pool>,
}

// Python lays its objects out for 16 bytes; a tape's own memory is aligned for vectors, so it stands in a box.
const _: () = assert!(align_of::<Lease>() <= 16);

impl Lease {
    pub(crate) fn new(form: Form, tape: Box<Tape>, pool: Arc<Pool>) -> Self {
        Self { form, tape: Mutex::new(Some(tape)), pool }
    }
    pub(crate) fn form(&self) -> Form {
        self.form
    }
    /// The tape, if it has not gone back yet.
    pub(crate) fn tape(&self) -> MutexGuard<'_, Option<Box<Tape>>> {
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(tape) = self.tape().take() {
            self.pool.put(self.form, tape);
        }
    }
}
