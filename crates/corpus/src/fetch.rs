//! The next chunks, fetched while this one is computed.
//!
//! A thread of its own fills chunks ahead of the caller, as many as two at least and a megabyte allow. It sleeps until half of
//! them are used: to wake it for each would cost a small model's step more than the filling.
//!
//! ```text
//! fetcher:  fill A B C D |             wait      | fill A B      | wait ...
//! caller:                use A | use B | use C   | use D | use A ...
//! ```
//!
//! Chunks come in order, epoch after epoch without a gap. What comes does not depend on when it is asked for. An error
//! comes in place of the chunk that it belongs to; asking again tries that chunk again.
//!
//! Promises: after construction neither side allocates (a mutex and conditions, no channel). Dropping it ends the thread.
//! Where no thread is to be had, chunks are filled when they are asked for.

use crate::error::CorpusError;
use crate::lanes::{Chunk, Lanes};
use std::collections::VecDeque;
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
    /// For the thread: buffers are free again, an error was taken, the caller is gone.
    wanted: Condvar,
    /// For the caller: something is ready, or nothing ever will be.
    filled: Condvar,
    /// Buffers in all.
    buffers: usize,
    /// The thread's for as long as it lives; else the caller's.
    filler: Mutex<Filler>,
}

#[derive(Debug)]
struct State {
    /// Buffers to be filled; room for all.
    free: Vec<Chunk>,
    /// What comes next, in order; room for all. An error is the last: nothing is fetched behind one before it is taken.
    ready: VecDeque<Result<Chunk, CorpusError>>,
    /// The caller is gone.
    stop: bool,
    /// The thread is gone.
    ended: bool,
}

impl State {
    /// What the thread wakes for: half of the buffers are free, or the caller has nothing.
    fn is_wanting(&self, buffers: usize) -> bool {
        let failed = self.ready.back().is_some_and(Result::is_err);
        self.stop
            || !failed && !self.free.is_empty() && (self.free.len() >= buffers.div_ceil(2) || self.ready.is_empty())
    }
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
        let first = lanes.chunk(steps);
        let buffers = buffers(&first);
        let mut free = vec![first];
        free.resize_with(buffers, || lanes.chunk(steps));
        let state = State { free, ready: VecDeque::with_capacity(buffers), stop: false, ended: false };
        let filler = Filler { lanes, steps, chunks, next: start.checked_rem(chunks).unwrap_or(0) };
        let (wanted, filled) = (Condvar::new(), Condvar::new());
        let shared = Arc::new(Shared { state: Mutex::new(state), wanted, filled, buffers, filler: Mutex::new(filler) });
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
        state.free.extend(self.current.take());
        let fetched = match &self.thread {
            None => self.shared.fill_one(state),
            Some(_) => loop {
                let ready = state.ready.pop_front();
                if state.is_wanting(self.shared.buffers) {
                    self.shared.wanted.notify_one();
                }
                if let Some(ready) = ready {
                    break ready;
                }
                assert!(!state.ended, "the thread that fetches chunks ended by a panic of its own");
                state = wait(&self.shared.filled, state);
            },
        };
        Ok(self.current.insert(fetched?))
    }
}

/// Chunks that a fetcher holds: two at least, no more than a megabyte of them, and sixteen are enough.
fn buffers(chunk: &Chunk) -> usize {
    let bytes = size_of_val(&*chunk.inputs)
        .saturating_add(size_of_val(&*chunk.targets))
        .saturating_add(chunk.begins.capacity().saturating_mul(size_of::<(u32, u32)>()));
    (1_usize << 20).checked_div(bytes).map_or(16, |chunks| chunks.clamp(2, 16))
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        lock(&self.shared.state).stop = true;
        self.shared.wanted.notify_one();
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
        loop {
            while !state.is_wanting(self.buffers) {
                state = wait(&self.wanted, state);
            }
            // All that are free, as it is awake.
            while let (false, Some(mut chunk)) = (state.stop, state.free.pop()) {
                drop(state);
                let filled = filler.fill(&mut chunk);
                state = lock(&self.state);
                let fetched = match filled {
                    Ok(()) => Ok(chunk),
                    Err(e) => {
                        state.free.push(chunk);
                        Err(e)
                    }
                };
                let failed = fetched.is_err();
                state.ready.push_back(fetched);
                self.filled.notify_one();
                if failed {
                    break;
                }
            }
            if state.stop {
                return;
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
        self.0.filled.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait<'a, T>(on: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    on.wait(guard).unwrap_or_else(PoisonError::into_inner)
}
