//! The pool: rayon's threads, as many as the caller asks or as the affinity mask and the cgroup quota allow.

use rayon::{ThreadPool, ThreadPoolBuilder};

/// Workers that share passes and tiles out among themselves.
#[derive(Debug)]
pub struct Crew {
    pool: ThreadPool,
}

/// The threads are not to be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot start {threads} worker threads: {reason}; try a smaller --threads")]
pub struct CrewError {
    /// What was asked for.
    pub threads: usize,
    /// What the system said.
    pub reason: String,
}

impl Crew {
    /// A crew of `threads` workers, at least one. Errors: the system refuses the threads.
    pub fn new(threads: usize) -> Result<Self, CrewError> {
        let threads = threads.max(1);
        ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("gatemill-{i}"))
            .build()
            .map(|pool| Self { pool })
            .map_err(|e| CrewError { threads, reason: e.to_string() })
    }
    /// Workers that this process may use: affinity mask and cgroup quota.
    pub fn available() -> usize {
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
    }
    /// Workers of this crew.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }
    /// Runs `f` on a worker. Inside, sharing work out allocates nothing: do a whole training run in one call.
    pub fn install<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        self.pool.install(f)
    }
    /// Runs `f` once on every worker, all at the same time.
    pub(crate) fn broadcast<R: Send>(&self, f: impl Fn() -> R + Sync) -> Vec<R> {
        self.pool.broadcast(|_| f())
    }
}
