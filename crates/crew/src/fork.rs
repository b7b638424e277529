//! Forks: one piece of work for every worker at once, and workers that stand by awake between two of them.
//!
//! A training step of a small model takes a millisecond and forks five times; a worker that fell asleep in between needs
//! fifty microseconds to wake. So in a steady section ([`Crew::steady`]) the caller leads, and the other workers of the
//! pool follow: they spin for the next job, then yield their core between looks, then sleep until a bell rings. All
//! workers take part in every fork, so a job may hold a barrier. The order in which workers come changes no bit.
//!
//! **Why it is sound.** A job is borrowed from the leader's stack, and its lifetime is erased on the way to the followers.
//! They reach it only between `posted` rising and their own rise of `finished`, and the leader does not return from
//! [`Crew::fork`], by unwinding neither, before all of them have risen it.

use crate::Crew;
use crate::wait::{Line, Patience};
use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

/// What a fork runs: the number of the worker is its argument.
type Job<'a> = dyn Fn(usize) + Sync + 'a;

/// The meeting place of a crew's leader and its followers.
pub(crate) struct Yard {
    /// Jobs posted so far in this steady section.
    posted: Line<AtomicUsize>,
    /// Where the leader keeps its `&Job`; none: the section is over.
    job: UnsafeCell<Option<*const ()>>,
    /// Followers that are done with the current job.
    finished: Line<AtomicUsize>,
    /// Followers that sleep, or are about to.
    asleep: AtomicUsize,
    bed: Mutex<()>,
    bell: Condvar,
    /// What the first of the followers' panics carried.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `job` is written by the leader alone while no follower reads it, and read between `posted` and `finished`; the
// job behind it is `Sync`.
unsafe impl Sync for Yard {}
// SAFETY: the pointer of an idle yard is not followed.
unsafe impl Send for Yard {}

impl std::fmt::Debug for Yard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Yard").finish_non_exhaustive()
    }
}

/// What this thread is to a crew.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Stranger,
    /// Leads a steady section of the crew with this yard.
    Leader(*const Yard),
    /// Is at work in a fork.
    AtWork,
}

thread_local! {
    static ROLE: Cell<Role> = const { Cell::new(Role::Stranger) };
}

/// Sets this thread's role until it is dropped.
struct Acting(Role);

impl Acting {
    fn new(role: Role) -> Self {
        Self(ROLE.replace(role))
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        ROLE.set(self.0);
    }
}

impl Yard {
    pub(crate) fn new() -> Self {
        Self {
            posted: Line(AtomicUsize::new(0)),
            job: UnsafeCell::new(None),
            finished: Line(AtomicUsize::new(0)),
            asleep: AtomicUsize::new(0),
            bed: Mutex::new(()),
            bell: Condvar::new(),
            panic: Mutex::new(None),
        }
    }

    /// Leader: everyone who follows sees this job, or the end.
    fn post(&self, job: Option<&&Job<'_>>) {
        // SAFETY: no follower is between `posted` and `finished` now, so nobody reads the slot.
        unsafe { *self.job.get() = job.map(|job| std::ptr::from_ref(job).cast()) };
        self.finished.0.store(0, Ordering::Relaxed);
        // SeqCst with `asleep`: either the leader sees a sleeper, or the sleeper sees the job.
        self.posted.0.fetch_add(1, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst) > 0 {
            drop(self.bed.lock().unwrap_or_else(PoisonError::into_inner));
            self.bell.notify_all();
        }
    }

    /// Follower `number`: one job after the other, until the section is over.
    fn follow(&self, number: usize, mut seen: usize) {
        let _role = Acting::new(Role::AtWork);
        loop {
            self.await_post(seen);
            seen += 1;
            // SAFETY: `posted` rose, so the leader has written the slot and will not write it before this worker rises
            // `finished`; until then the job lives.
            let Some(job) = (unsafe { (*self.job.get()).map(|job| *job.cast::<&Job<'_>>()) }) else { return };
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| job(number))) {
                self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(payload);
            }
            self.finished.0.fetch_add(1, Ordering::Release);
        }
    }

    fn await_post(&self, seen: usize) {
        let came = || self.posted.0.load(Ordering::SeqCst) != seen;
        if Patience::LONG.wait(came) {
            return;
        }
        let mut bed = self.bed.lock().unwrap_or_else(PoisonError::into_inner);
        self.asleep.fetch_add(1, Ordering::SeqCst);
        while !came() {
            bed = self.bell.wait(bed).unwrap_or_else(PoisonError::into_inner);
        }
        self.asleep.fetch_sub(1, Ordering::SeqCst);
    }

    /// Leader: posts the job, does its own part, and returns when all `followers` are done.
    fn fork(&self, followers: usize, job: &Job<'_>) {
        self.post(Some(&job));
        let own = {
            let _role = Acting::new(Role::AtWork);
            catch_unwind(AssertUnwindSafe(|| job(0)))
        };
        Patience::ENDLESS.wait(|| self.finished.0.load(Ordering::Acquire) == followers);
        let theirs = self.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(payload) = own.err().or(theirs) {
            resume_unwind(payload);
        }
    }
}

impl Crew {
    /// Runs `f` on a worker of the crew, while the others stand by for its forks: a whole training run, one call.
    ///
    /// Inside, sharing work out allocates nothing and wakes nobody; rayon's own calls find no other worker. Called from
    /// inside, it is `f()`. Sections of several threads take turns.
    pub fn steady<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        match ROLE.get() {
            Role::AtWork => f(),
            Role::Leader(yard) if self.threads() == 1 || std::ptr::eq(yard, self.yard()) => f(),
            Role::Stranger if self.threads() == 1 => self.install(|| {
                let _role = Acting::new(Role::Leader(self.yard()));
                f()
            }),
            _ => match self.one_section() {
                Some(_turn) => self.section(f),
                // A worker of this pool that waited for its turn would be missed by the section that is on.
                None => {
                    let _role = Acting::new(Role::AtWork);
                    f()
                }
            },
        }
    }

    fn section<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        let yard = self.yard();
        let seen = yard.posted.0.load(Ordering::SeqCst);
        let f = Mutex::new(Some(f));
        let mut results = self.broadcast_once(|number| {
            if number > 0 {
                yard.follow(number, seen);
                return None;
            }
            let f = f.lock().unwrap_or_else(PoisonError::into_inner).take()?;
            let _role = Acting::new(Role::Leader(yard));
            let result = catch_unwind(AssertUnwindSafe(f));
            yard.post(None);
            Some(result)
        });
        match results.swap_remove(0) {
            Some(Ok(result)) => result,
            Some(Err(payload)) => resume_unwind(payload),
            None => unreachable!("worker 0 leads"),
        }
    }

    /// Runs `job(worker)` once for every worker, all at the same time, and returns when all are done. A panic of any of
    /// them is the caller's. Where the workers are not to be had, the parts run here, one after the other.
    pub(crate) fn fork(&self, job: &Job<'_>) {
        if !self.fork_together(job) {
            let _role = Acting::new(Role::AtWork);
            (0..self.threads()).for_each(job);
        }
    }

    /// The same with all workers at once, so that the job may hold a barrier; false, and nothing was run, where they are
    /// not to be had: from inside a job.
    ///
    /// Outside a steady section it opens one for this job alone.
    pub(crate) fn fork_together(&self, job: &Job<'_>) -> bool {
        match ROLE.get() {
            _ if self.threads() == 1 => job(0),
            Role::AtWork => return false,
            Role::Leader(yard) if std::ptr::eq(yard, self.yard()) => self.yard().fork(self.threads() - 1, job),
            _ => match self.one_section() {
                Some(_turn) => self.section(|| self.yard().fork(self.threads() - 1, job)),
                None => return false,
            },
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;
    use std::time::Duration;

    #[test]
    fn every_worker_takes_part_in_every_fork() {
        for threads in [1, 2, 3, 7] {
            let crew = Crew::new(threads).unwrap();
            let seen = AtomicU64::new(0);
            let forks = 200;
            crew.steady(|| {
                for i in 0..forks {
                    crew.fork(&|worker| {
                        seen.fetch_add(1 << (8 * worker), Ordering::Relaxed);
                    });
                    if i == 100 {
                        // Long enough for the followers to fall asleep.
                        std::thread::sleep(Duration::from_millis(30));
                    }
                }
            });
            assert_eq!(seen.load(Ordering::Relaxed), (0..threads).map(|w| forks << (8 * w)).sum::<u64>());
        }
    }

    #[test]
    fn forks_outside_a_steady_section_and_inside_a_job_run_every_part_too() {
        let crew = Crew::new(3).unwrap();
        let count = AtomicUsize::new(0);
        crew.fork(&|_| {
            crew.fork(&|_| {
                count.fetch_add(1, Ordering::Relaxed);
            });
            assert!(!crew.fork_together(&|_| unreachable!("the workers are not to be had")));
        });
        assert_eq!(count.load(Ordering::Relaxed), 9);
    }

    #[test]
    fn a_panic_of_any_worker_is_the_callers_and_the_crew_serves_on() {
        let crew = Crew::new(3).unwrap();
        for bad in 0..3 {
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                crew.steady(|| crew.fork(&|worker| assert!(worker != bad, "worker {bad} fails")));
            }));
            let payload = outcome.expect_err("the panic is the caller's");
            assert_eq!(payload.downcast_ref::<String>().unwrap(), &format!("worker {bad} fails"));
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| crew.steady(|| panic!("the section fails"))));
        assert!(outcome.is_err());
        assert_eq!(crew.steady(|| 3), 3);
    }

    #[test]
    fn sections_of_two_threads_take_turns() {
        let crew = Crew::new(2).unwrap();
        let count = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    crew.steady(|| {
                        for _ in 0..50 {
                            crew.fork(&|_| {
                                count.fetch_add(1, Ordering::Relaxed);
                            });
                        }
                    });
                });
            }
        });
        assert_eq!(count.load(Ordering::Relaxed), 4 * 50 * 2);
    }

    #[test]
    fn workers_of_the_pool_that_all_ask_for_a_fork_get_it() {
        let crew = Crew::new(3).unwrap();
        let count = AtomicUsize::new(0);
        crew.install(|| {
            rayon::scope(|scope| {
                for _ in 0..30 {
                    scope.spawn(|_| {
                        crew.fork(&|_| {
                            count.fetch_add(1, Ordering::Relaxed);
                        });
                    });
                }
            });
        });
        assert_eq!(count.load(Ordering::Relaxed), 90);
    }

    #[test]
    fn a_section_gives_its_result_and_nests() {
        let crew = Crew::new(2).unwrap();
        assert_eq!(crew.steady(|| crew.steady(|| crew.threads() + 5)), 7);
    }
}
