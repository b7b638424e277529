//! The pool: rayon's threads, as many as the caller asks or as the affinity mask and the cgroup quota allow.

use crate::fork::Yard;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

/// Workers that share passes and tiles out among themselves.
#[derive(Debug)]
pub struct Crew {
    /// None: the caller's thread does all.
    pool: Option<ThreadPool>,
    /// Held while a section lasts, with the yard of the last one.
    pub(crate) section: Mutex<Option<Arc<Yard>>>,
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
            .map(|pool| Self { pool: Some(pool), ..Self::alone() })
            .map_err(|e| CrewError { threads, reason: e.to_string() })
    }
    /// No worker but the thread that calls; nothing is started. For one short step at a time.
    pub fn alone() -> Self {
        Self { pool: None, section: Mutex::new(None) }
    }
    /// Workers that this process may use: affinity mask and cgroup quota.
    pub fn available() -> usize {
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
    }
    /// Workers of this crew.
    pub fn threads(&self) -> usize {
        self.pool.as_ref().map_or(1, ThreadPool::current_num_threads)
    }
    /// Runs `f` on a worker, where rayon's parallel calls use this pool. For passes and tiles see [`Crew::lead`] and
    /// [`Crew::steady`].
    pub fn install<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        match &self.pool {
            Some(pool) => pool.install(f),
            None => f(),
        }
    }
    /// Has `f(thread)` run on every thread of the pool, each when it is free; does not wait for it.
    pub(crate) fn on_every_thread(&self, f: impl Fn(usize) + Send + Sync + 'static) {
        if let Some(pool) = &self.pool {
            pool.spawn_broadcast(move |thread| f(thread.index()));
        }
    }
    /// The number of this thread, where it is one of the pool's.
    pub(crate) fn index(&self) -> Option<usize> {
        self.pool.as_ref().and_then(ThreadPool::current_thread_index)
    }
    /// This thread's turn to open a section; none where it is a worker of the pool and another has its turn.
    pub(crate) fn one_section(&self) -> Option<MutexGuard<'_, Option<Arc<Yard>>>> {
        if self.index().is_none() {
            return Some(self.section.lock().unwrap_or_else(PoisonError::into_inner));
        }
        match self.section.try_lock() {
            Ok(turn) => Some(turn),
            Err(TryLockError::Poisoned(turn)) => Some(turn.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}
