//! The crew that all calls of this process share, made when first needed: of the host's threads where it has given them,
//! else of its own. After a fork, the child makes its own.
//!
//! All that is static here is touched with the GIL held alone, so that no fork finds it in the hands of another thread.

use crate::faults;
use crate::openmp::OpenMp;
use gatemill::{Crew, Kernels};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most threads that may be asked for.
const MOST: usize = 1024;

struct Shared {
    /// As asked for by `set_num_threads`.
    asked: Option<usize>,
    /// As many as the host computes with.
    hosts: Option<usize>,
    crew: Option<Arc<Crew>>,
    /// The host's threads.
    openmp: Option<OpenMp>,
}

static SHARED: Mutex<Shared> = Mutex::new(Shared { asked: None, hosts: None, crew: None, openmp: None });

impl Shared {
    /// Threads: as asked for, else the host's number, else all that this process may use.
    fn threads(&self) -> usize {
        self.asked.or(self.hosts).unwrap_or_else(Crew::available)
    }
}

fn shared(_held: Python<'_>) -> MutexGuard<'static, Shared> {
    SHARED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The crew of this process.
pub(crate) fn crew(py: Python<'_>) -> PyResult<Arc<Crew>> {
    let mut shared = shared(py);
    if let Some(crew) = &shared.crew {
        return Ok(crew.clone());
    }
    let threads = shared.threads();
    let crew = match shared.openmp {
        Some(openmp) => Crew::of_host(Arc::new(openmp), threads),
        None => Crew::new(threads).map_err(|error| faults::exception(&error.into()))?,
    };
    let crew = Arc::new(crew);
    shared.crew = Some(crew.clone());
    Ok(crew)
}

/// Has the calls that follow run on the threads of an OpenMP runtime that this process has loaded: the addresses of its
/// `GOMP_parallel`, `omp_get_thread_num` and `omp_get_num_threads`. Calling it with anything else is undefined behaviour.
#[pyfunction]
pub(crate) fn adopt_openmp(py: Python<'_>, parallel: usize, thread: usize, threads: usize) {
    // SAFETY: the caller, the package's own Python, passes just these.
    let openmp = unsafe { OpenMp::of(parallel, thread, threads) };
    let mut shared = shared(py);
    shared.openmp = openmp;
    let old = shared.crew.take();
    drop(shared);
    py.detach(|| drop(old));
}

/// Sets how many threads the calls that follow share their work out to. The result is the same bit for bit.
#[pyfunction]
pub(crate) fn set_num_threads(py: Python<'_>, threads: usize) -> PyResult<()> {
    count(py, threads, |shared| &mut shared.asked)
}

/// As many threads as the host computes with, for the calls that follow, unless `set_num_threads` asked for a number.
#[pyfunction]
pub(crate) fn follow_num_threads(py: Python<'_>, threads: usize) -> PyResult<()> {
    count(py, threads.clamp(1, MOST), |shared| &mut shared.hosts)
}

fn count(py: Python<'_>, threads: usize, of: impl FnOnce(&mut Shared) -> &mut Option<usize>) -> PyResult<()> {
    if !(1..=MOST).contains(&threads) {
        return Err(PyValueError::new_err(format!("threads is {threads}, but must be from 1 to {MOST}")));
    }
    let mut shared = shared(py);
    *of(&mut shared) = Some(threads);
    let threads = shared.threads();
    let old = shared.crew.take_if(|crew| crew.threads() != threads);
    drop(shared);
    // The last owner waits for its workers to end.
    py.detach(|| drop(old));
    Ok(())
}

/// Threads that calls share their work out to.
#[pyfunction]
pub(crate) fn get_num_threads(py: Python<'_>) -> usize {
    shared(py).threads()
}

/// In a child process: the parent's workers are not here, so the next call starts its own. An OpenMP runtime that had
/// threads cannot start any in a child.
#[pyfunction]
pub(crate) fn after_fork(py: Python<'_>) {
    let mut shared = shared(py);
    shared.openmp = None;
    // Dropping the pool would wait for workers that do not exist.
    std::mem::forget(shared.crew.take());
}

/// The instruction set that the kernels use: `avx512`, `avx2` or `portable`.
#[pyfunction]
pub(crate) fn isa() -> PyResult<String> {
    let kernels = Kernels::from_env().map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
    Ok(kernels.name().to_owned())
}
