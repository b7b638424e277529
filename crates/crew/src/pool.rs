//! The pool: rayon's threads, as many as the caller asks or as the affinity mask and the cgroup quota allow.

use crate::Host;
use crate::fork::Yard;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

/// Workers that share passes and tiles out among themselves.
#[derive(Debug)]
pub struct Crew {
    threads: Threads,
    /// Held while a section lasts, with the yard of the last one.
    pub(crate) section: Mutex<Option<Arc<Yard>>>,
}

#[derive(Debug)]
enum Threads {
    /// The caller's thread does all.
    Callers,
    Pool(ThreadPool),
    /// So many of the host's.
    Host(Arc<dyn Host>, usize),
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
            .map(|pool| Self::with(Threads::Pool(pool)))
            .map_err(|e| CrewError { threads, reason: e.to_string() })
    }
    /// A crew of `threads` workers, at least one, that are threads of the host; nothing is started. Where they are not to be
    /// had for a piece of work, the caller's thread does it.
    pub fn of_host(host: Arc<dyn Host>, threads: usize) -> Self {
        Self::with(Threads::Host(host, threads.max(1)))
    }
    /// No worker but the thread that calls; nothing is started. For one short step at a time.
    pub fn alone() -> Self {
        Self::with(Threads::Callers)
    }
    fn with(threads: Threads) -> Self {
        Self { threads, section: Mutex::new(None) }
    }
    /// Workers that this process may use: affinity mask and cgroup quota.
    pub fn available() -> usize {
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
    }
    /// Workers of this crew.
    pub fn threads(&self) -> usize {
        match &self.threads {
            Threads::Callers => 1,
            Threads::Pool(pool) => pool.current_num_threads(),
            Threads::Host(_, threads) => *threads,
        }
    }
    /// Runs `f` on a worker of the pool, where rayon's parallel calls use it, and where there is none, here. For passes and
    /// tiles see [`Crew::lead`] and [`Crew::steady`].
    pub fn install<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        match self.pool() {
            Some(pool) => pool.install(f),
            None => f(),
        }
    }
    fn pool(&self) -> Option<&ThreadPool> {
        if let Threads::Pool(pool) = &self.threads { Some(pool) } else { None }
    }
    /// The host's threads, where the workers are those.
    pub(crate) fn host(&self) -> Option<&dyn Host> {
        if let Threads::Host(host, _) = &self.threads { Some(host.as_ref()) } else { None }
    }
    /// Has `f(thread)` run on every thread of the pool, each when it is free; does not wait for it.
    pub(crate) fn on_every_thread(&self, f: impl Fn(usize) + Send + Sync + 'static) {
        if let Some(pool) = self.pool() {
            pool.spawn_broadcast(move |thread| f(thread.index()));
        }
    }
    /// The number of this thread, where it is one of the pool's.
    pub(crate) fn index(&self) -> Option<usize> {
        self.pool().and_then(ThreadPool::current_thread_index)
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
