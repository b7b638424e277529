//! Waiting for another worker: first by spinning, then by yielding the core between looks.

use std::time::{Duration, Instant};

/// Its own pair of cache lines, so that waiting for one word does not slow another down.
#[repr(align(128))]
pub(crate) struct Line<T>(pub(crate) T);

/// How long a wait goes on.
pub(crate) struct Patience {
    /// In all; none: until it comes.
    limit: Option<Duration>,
}

impl Patience {
    /// Looks before a waiting worker yields its core: some twenty microseconds. The other virtual CPU may not be running,
    /// and the host may want this one.
    const SPINS: u32 = 1000;

    /// For something that is on its way.
    pub(crate) const ENDLESS: Self = Self { limit: None };
    /// Between two forks: longer than what a step does in between, shorter than what anyone would notice.
    pub(crate) const LONG: Self = Self { limit: Some(Duration::from_millis(2)) };

    /// Waits until `done`, or until patience ends: then false.
    pub(crate) fn wait(self, mut done: impl FnMut() -> bool) -> bool {
        for _ in 0..Self::SPINS {
            if done() {
                return true;
            }
            std::hint::spin_loop();
        }
        let begun = Instant::now();
        while !done() {
            if self.limit.is_some_and(|limit| begun.elapsed() > limit) {
                return false;
            }
            std::thread::yield_now();
        }
        true
    }
}
