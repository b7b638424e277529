//! A host's threads as the workers of a crew.

use std::fmt::Debug;

/// Threads of the host that a crew works with in place of its own: an OpenMP team, say, whose members spin for the next
/// piece of work. Another pool beside them would share their cores.
///
/// # Safety
///
/// [`Host::run`] keeps what it promises: crews share memory out by the numbers of workers, and work may hold a barrier.
pub unsafe trait Host: Debug + Send + Sync {
    /// Calls `job(worker)` for each worker from 0 to `threads`, each once and on a thread of its own, all at the same time,
    /// and returns when all are done. False, and nothing was called: so many threads are not to be had now.
    ///
    /// The job does not unwind.
    fn run(&self, threads: usize, job: &(dyn Fn(usize) + Sync)) -> bool;
}
