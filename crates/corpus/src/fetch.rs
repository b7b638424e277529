//! The next chunk, fetched while this one is computed.
//!
//! A thread of its own fills one buffer while the caller reads the other:
//!
//! ```text
//! fetcher:  fill A | fill B | wait | fill A     | wait | fill B ...
//! caller:            use A         | use B             | use A ...
//! ```
//!
//! Chunks come in order, epoch after epoch without a gap. What comes does not depend on when it is asked for. An error
//! comes in place of the chunk that it belongs to; asking again tries that chunk again.
//!
//! Promises: after construction neither side allocates (a mutex and a condition, no channel). Dropping it ends the thread.
//! Where no thread is to be had, chunks are filled when they are asked for.

use crate::error::CorpusError;
use crate::lanes::{Chunk, Lanes};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Fetches the chunks of some lanes in order.
#[derive(Debug)]
pub struct Fetcher {
    /// Chunks of an epoch.
    chunks: u64,
    /// What the caller reads.
    current: Option<Chunk>,
    shared: Arc<Shared>,
    /// None where there was none to be had.
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// The thread's for as long as it lives; else the caller's.
    filler: Mutex<Filler>,
}

#[derive(Debug)]
struct State {
    /// Buffers to be filled; room for both.
    free: Vec<Chunk>,
    ready: Option<Result<Chunk, CorpusError>>,
    /// The caller is gone.
    stop: bool,
    /// The thread is gone.
    ended: bool,
}

/// Fills one chunk after the other.
#[derive(Debug)]
struct Filler {
    lanes: Lanes,
    steps: usize,
    chunks: u64,
    next: u64,
}

impl Fetcher {
    /// Fetches chunks of `steps` time steps, from chunk `start` of the endless row of epochs on (a resumed run: the
    /// chunks of its epoch that are done). Panics where not one chunk of `steps` fits.
    pub fn new(lanes: Lanes, steps: usize, start: u64) -> Self {
        let chunks = lanes.chunks(steps);
        assert!(chunks > 0, "lanes of {} have no chunk of {steps} steps", lanes.len());
        let state =
            State { free: vec![lanes.chunk(steps), lanes.chunk(steps)], ready: None, stop: false, ended: false };
        let filler = Filler { lanes, steps, chunks, next: start.checked_rem(chunks).unwrap_or(0) };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), filler: Mutex::new(filler) });
        let theirs = shared.clone();
        let thread = std::thread::Builder::new().name("gatemill-fetch".into()).spawn(move || theirs.run()).ok();
        Self { chunks, current: None, shared, thread }
    }
    /// Chunks of an epoch.
    pub fn chunks(&self) -> u64 {
        self.chunks
    }
    /// The next chunk; after the last of an epoch comes the first again. Errors: the reading of that very chunk.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend its buffer")]
    pub fn next(&mut self) -> Result<&Chunk, CorpusError> {
        let mut state = lock(&self.shared.state);
        if let Some(read) = self.current.take() {
            state.free.push(read);
            self.shared.changed.notify_all();
        }
        let fetched = match &self.thread {
            None => self.shared.fill_one(state),
            Some(_) => loop {
                if let Some(ready) = state.ready.take() {
                    drop(state);
                    // There is room for another.
                    self.shared.changed.notify_all();
                    break ready;
                }
                assert!(!state.ended, "the thread that fetches chunks ended by a panic of its own");
                state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            },
        };
        Ok(self.current.insert(fetched?))
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        lock(&self.shared.state).stop = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic of its own has been reported when it happened.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// The thread: fills whatever is free, hands it over, until it is told to stop.
    fn run(&self) {
        // Even if filling panics the caller must not wait for ever.
        let _ended = Ended(self);
        let mut filler = lock(&self.filler);
        let mut state = lock(&self.state);
        while !state.stop {
            if let Some(mut chunk) = state.free.pop() {
                drop(state);
                let filled = filler.fill(&mut chunk);
                state = lock(&self.state);
                while state.ready.is_some() && !state.stop {
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                state.ready = Some(match filled {
                    Ok(()) => Ok(chunk),
                    Err(e) => {
                        state.free.push(chunk);
                        Err(e)
                    }
                });
                self.changed.notify_all();
            } else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
    /// Without a thread: one chunk, now.
    fn fill_one(&self, mut state: MutexGuard<'_, State>) -> Result<Chunk, CorpusError> {
        let chunk = state.free.pop();
        drop(state);
        let mut chunk = chunk.unwrap_or_default();
        let filled = lock(&self.filler).fill(&mut chunk);
        match filled {
            Ok(()) => Ok(chunk),
            Err(e) => {
                lock(&self.state).free.push(chunk);
                Err(e)
            }
        }
    }
}

impl Filler {
    /// Fills the next chunk. Errors: it stays the next.
    fn fill(&mut self, chunk: &mut Chunk) -> Result<(), CorpusError> {
        let start = self.next.saturating_mul(self.steps as u64);
        self.lanes.fill(start, self.steps, chunk)?;
        chunk.index = self.next;
        self.next = self.next.saturating_add(1).checked_rem(self.chunks).unwrap_or(0);
        Ok(())
    }
}

/// Says that the thread is gone, however it went.
struct Ended<'a>(&'a Shared);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).ended = true;
        self.0.changed.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
