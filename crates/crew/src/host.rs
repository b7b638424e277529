//! A host's threads as the workers of a crew.

use std::fmt::Debug;

/// Threads of the host that a crew works with in place of its own: an OpenMP team, say, whose members spin for the next
/// piece of work. Another pool beside them would share their cores.
///
/// ```
/// use gatemill_crew::{Crew, Host};
/// use std::sync::Arc;
///
/// /// New threads for each piece of work.
/// #[derive(Debug)]
/// struct Scoped;
///
/// // SAFETY: each worker has a thread, all run at once, and the scope ends when all have ended.
/// unsafe impl Host for Scoped {
///     fn run(&self, threads: usize, job: &(dyn Fn(usize) + Sync)) -> bool {
///         std::thread::scope(|scope| {
///             for worker in 0..threads {
///                 scope.spawn(move || job(worker));
///             }
///         });
///         true
///     }
/// }
///
/// let crew = Crew::of_host(Arc::new(Scoped), 2);
/// let mut squares = [0; 5];
/// crew.tiles(&mut squares, &[0, 1, 2, 3, 4, 5], |i, square| square[0] = i * i);
/// assert_eq!(squares, [0, 1, 4, 9, 16]);
/// ```
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
