//! The OpenMP team of the host as a crew's workers.
//!
//! After every operation PyTorch's OpenMP workers spin for some milliseconds, each on a core of its own. Workers of
//! Gatemill's beside them would share those cores; as a parallel region of the same team, a pass finds them awake.

use gatemill::Host;
use std::ffi::{c_int, c_uint, c_void};
use std::sync::atomic::{AtomicBool, Ordering};

/// What a compiler calls for `#pragma omp parallel`: the ABI of GCC's libgomp, which LLVM's and Intel's runtimes have too.
type Parallel = unsafe extern "C" fn(unsafe extern "C" fn(*mut c_void), *mut c_void, c_uint, c_uint);
type Number = unsafe extern "C" fn() -> c_int;

/// Functions of an OpenMP runtime that the process has loaded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenMp {
    /// `GOMP_parallel(function, data, threads, flags)`.
    parallel: Parallel,
    /// `omp_get_thread_num()`.
    thread: Number,
    /// `omp_get_num_threads()`.
    threads: Number,
}

/// One parallel region.
struct Region<'a> {
    of: &'a OpenMp,
    job: &'a (dyn Fn(usize) + Sync),
    wanted: usize,
    is_short: AtomicBool,
}

impl OpenMp {
    /// From the addresses of `GOMP_parallel`, `omp_get_thread_num` and `omp_get_num_threads`; none where one is null.
    ///
    /// # Safety
    /// They are those functions, of one runtime, which stays loaded.
    #[expect(clippy::disallowed_methods, reason = "an address becomes a function by no other way")]
    pub(crate) unsafe fn of(parallel: usize, thread: usize, threads: usize) -> Option<Self> {
        // SAFETY: an `Option` of a function pointer is a pointer that may be null; what it points at is the caller's promise.
        unsafe {
            Some(Self {
                parallel: std::mem::transmute::<usize, Option<Parallel>>(parallel)?,
                thread: std::mem::transmute::<usize, Option<Number>>(thread)?,
                threads: std::mem::transmute::<usize, Option<Number>>(threads)?,
            })
        }
    }
}

/// What each member of a region's team runs.
unsafe extern "C" fn enter(region: *mut c_void) {
    // SAFETY: `run` waits for the region, which it owns, to end.
    let region = unsafe { &*region.cast::<Region<'_>>() };
    // SAFETY: both only read what the runtime keeps of this thread.
    let (worker, threads) = unsafe { ((region.of.thread)(), (region.of.threads)()) };
    // Inside another region, or by a limit of the user's, a team is smaller than it was to be.
    if usize::try_from(threads) == Ok(region.wanted) {
        (region.job)(usize::try_from(worker).unwrap_or_default());
    } else {
        region.is_short.store(true, Ordering::Relaxed);
    }
}

// SAFETY: a team of that size runs `enter` once on each of its threads, which are numbered from 0 and run at the same time;
// `GOMP_parallel` returns when all have ended. All see one size, so that a smaller team calls the job on none.
unsafe impl Host for OpenMp {
    fn run(&self, threads: usize, job: &(dyn Fn(usize) + Sync)) -> bool {
        let Ok(count) = c_uint::try_from(threads) else { return false };
        let mut region = Region { of: self, job, wanted: threads, is_short: AtomicBool::new(false) };
        // SAFETY: the region outlives the call, and the job does not unwind.
        unsafe { (self.parallel)(enter, (&raw mut region).cast(), count, 0) };
        !region.is_short.into_inner()
    }
}
