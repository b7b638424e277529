//! Forks: one piece of work for every worker at once, and workers that stand by awake between two of them.
//!
//! A training step of a small model takes a millisecond and forks five times; a worker that fell asleep in between needs
//! fifty microseconds to wake. So in a section ([`Crew::lead`]) the thread that calls leads, and the other workers follow:
//! they spin for the next job, then yield their core between looks, then sleep until a bell rings. Between two sections
//! they linger for a moment in the same way, so that a caller whose calls come one after the other wakes nobody; then they
//! go. All workers take part in every fork, so a job may hold a barrier. The order in which workers come changes no bit.
//!
//! **Why it is sound.** A job is borrowed from the leader's stack, and its lifetime is erased on the way to the followers.
//! They reach it only between `posted` rising and their own rise of `finished`, and the leader does not return from
//! [`Crew::fork`], by unwinding neither, before all of them have risen it.

use crate::wait::{Line, Patience};
use crate::{Crew, Host};
use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// What a fork runs: the number of the worker is its argument.
type Job<'a> = dyn Fn(usize) + Sync + 'a;

/// The meeting place of a leader and its followers, from their coming to their going.
pub(crate) struct Yard {
    /// The thread of the pool that is no follower here.
    without: usize,
    /// Between two sections, in one, or given up: [`IDLE`], [`LED`], [`LEFT`].
    state: AtomicU8,
    /// Jobs posted so far.
    posted: Line<AtomicUsize>,
    /// Where the leader keeps its `&Job`.
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

/// No section: a follower whose patience ends gives the yard up.
const IDLE: u8 = 0;
/// A section lasts: followers stay.
const LED: u8 = 1;
/// A follower has gone: nobody leads here again, and the others go as well.
const LEFT: u8 = 2;

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
    /// Leads a section of this crew, in this yard: both live as long as the role.
    Leader(*const Crew, *const Yard),
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

/// The end of a section, when it is dropped.
struct Led<'a>(&'a Yard);

impl Drop for Led<'_> {
    fn drop(&mut self) {
        // SeqCst as in `post`.
        self.0.state.store(IDLE, Ordering::SeqCst);
        self.0.ring();
    }
}

impl Yard {
    /// In a section.
    fn new(without: usize) -> Self {
        Self {
            without,
            state: AtomicU8::new(LED),
            posted: Line(AtomicUsize::new(0)),
            job: UnsafeCell::new(None),
            finished: Line(AtomicUsize::new(0)),
            asleep: AtomicUsize::new(0),
            bed: Mutex::new(()),
            bell: Condvar::new(),
            panic: Mutex::new(None),
        }
    }

    /// From idle to another state; false where it was not idle.
    fn turn(&self, to: u8) -> bool {
        self.state.compare_exchange(IDLE, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Leader: everyone who follows sees this job.
    fn post(&self, job: &&Job<'_>) {
        // SAFETY: no follower is between `posted` and `finished` now, so nobody reads the slot.
        unsafe { *self.job.get() = Some(std::ptr::from_ref(job).cast()) };
        self.finished.0.store(0, Ordering::Relaxed);
        // SeqCst with `asleep`: either the leader sees a sleeper, or the sleeper sees the job.
        self.posted.0.fetch_add(1, Ordering::SeqCst);
        self.ring();
    }
    /// Leader: those who sleep look again.
    fn ring(&self) {
        if self.asleep.load(Ordering::SeqCst) > 0 {
            drop(self.bed.lock().unwrap_or_else(PoisonError::into_inner));
            self.bell.notify_all();
        }
    }

    /// Follower `number`: one job after the other, until no section has come for a while.
    fn follow(&self, number: usize) {
        let _role = Acting::new(Role::AtWork);
        for seen in 0.. {
            if !self.await_post(seen) {
                return;
            }
            // SAFETY: `posted` rose, so the leader has written the slot and will not write it before this worker rises
            // `finished`; until then the job lives.
            let Some(job) = (unsafe { (*self.job.get()).map(|job| *job.cast::<&Job<'_>>()) }) else { return };
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| job(number))) {
                self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(payload);
            }
            self.finished.0.fetch_add(1, Ordering::Release);
        }
    }

    /// Waits for the job after `seen` of them; false: the yard is given up.
    fn await_post(&self, seen: usize) -> bool {
        let came = || self.posted.0.load(Ordering::SeqCst) != seen;
        let left = || self.state.load(Ordering::SeqCst) == LEFT;
        loop {
            // No job comes to a yard that is left.
            if Patience::LONG.wait(|| came() || left()) {
                return came();
            }
            // A leader that comes now finds it so.
            if self.turn(LEFT) || left() {
                return false;
            }
            let mut bed = self.bed.lock().unwrap_or_else(PoisonError::into_inner);
            self.asleep.fetch_add(1, Ordering::SeqCst);
            while !came() && self.state.load(Ordering::SeqCst) == LED {
                bed = self.bell.wait(bed).unwrap_or_else(PoisonError::into_inner);
            }
            self.asleep.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Leader: posts the job, does its own part, and returns when all `followers` are done.
    fn fork(&self, followers: usize, job: &Job<'_>) {
        self.post(&job);
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
    /// As [`Crew::lead`]; rayon's own calls inside find no other worker.
    pub fn steady<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        match ROLE.get() {
            Role::Stranger => self.install(|| self.lead(f)),
            _ => self.lead(f),
        }
    }

    /// Runs `f` on this thread, which leads the crew meanwhile: the others stand by for its forks, and for a moment
    /// longer, for those of the next call.
    ///
    /// Inside, sharing work out allocates nothing and wakes nobody. Called from inside, it is `f()`. Sections of several
    /// threads take turns.
    pub fn lead<R>(&self, f: impl FnOnce() -> R) -> R {
        match ROLE.get() {
            // A host's threads stand by as it has them do.
            _ if self.threads() == 1 || self.host().is_some() => return f(),
            Role::AtWork => return f(),
            Role::Leader(crew, _) if std::ptr::eq(crew, self) => return f(),
            _ => {}
        }
        let Some(mut turn) = self.one_section() else {
            // A worker of this pool that waited for its turn would be missed by the section that is on.
            let _role = Acting::new(Role::AtWork);
            return f();
        };
        let yard = self.staffed(&mut turn);
        let _led = Led(&yard);
        let _role = Acting::new(Role::Leader(self, Arc::as_ptr(&yard)));
        f()
    }

    /// A fork of the host's threads.
    fn fork_on(&self, host: &dyn Host, job: &Job<'_>) -> bool {
        let panic = Mutex::new(None);
        let ran = host.run(self.threads(), &|worker| {
            let _role = Acting::new(Role::AtWork);
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| job(worker))) {
                panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(payload);
            }
        });
        if let Some(payload) = panic.into_inner().unwrap_or_else(PoisonError::into_inner) {
            resume_unwind(payload);
        }
        ran
    }

    /// A yard with followers, in a section: that of the last one, where nobody has gone from there.
    fn staffed(&self, last: &mut Option<Arc<Yard>>) -> Arc<Yard> {
        // One thread of the pool leads, or stands by for rayon's calls of a leader from elsewhere.
        let without = self.index().unwrap_or(self.threads() - 1);
        if let Some(yard) = last {
            if yard.without == without && yard.turn(LED) {
                return yard.clone();
            }
            // Whoever is there still is wanted elsewhere.
            yard.turn(LEFT);
        }
        let yard = Arc::new(Yard::new(without));
        let of_followers = yard.clone();
        self.on_every_thread(move |i| {
            if i != without {
                of_followers.follow(if i < without { i + 1 } else { i });
            }
        });
        last.insert(yard).clone()
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
    /// Outside a section it opens one for this job alone.
    pub(crate) fn fork_together(&self, job: &Job<'_>) -> bool {
        match ROLE.get() {
            _ if self.threads() == 1 => job(0),
            Role::AtWork => return false,
            _ if let Some(host) = self.host() => return self.fork_on(host, job),
            Role::Leader(crew, yard) if std::ptr::eq(crew, self) => {
                // SAFETY: `lead` holds the yard as long as this thread has the role.
                unsafe { &*yard }.fork(self.threads() - 1, job);
            }
            // Inside it leads, or is at work.
            _ => return self.lead(|| self.fork_together(job)),
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
            let work = || {
                for i in 0..forks {
                    crew.fork(&|worker| {
                        seen.fetch_add(1 << (8 * worker), Ordering::Relaxed);
                    });
                    if i == 100 {
                        // Long enough for the followers to fall asleep.
                        std::thread::sleep(Duration::from_millis(30));
                    }
                }
            };
            crew.steady(work);
            crew.lead(work);
            assert_eq!(seen.load(Ordering::Relaxed), (0..threads).map(|w| (2 * forks) << (8 * w)).sum::<u64>());
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

    /// A host that has up to so many threads.
    #[derive(Debug)]
    struct Lends(usize);

    // SAFETY: one new thread for each worker, and the scope ends when all have.
    unsafe impl Host for Lends {
        fn run(&self, threads: usize, job: &(dyn Fn(usize) + Sync)) -> bool {
            if threads > self.0 {
                return false;
            }
            std::thread::scope(|scope| {
                for worker in 0..threads {
                    scope.spawn(move || job(worker));
                }
            });
            true
        }
    }

    #[test]
    fn a_hosts_threads_take_part_in_every_fork_and_where_they_are_too_few_the_caller_does_it_all() {
        let here = std::thread::current().id();
        for (has, is_together) in [(3, true), (2, false)] {
            let crew = Crew::of_host(Arc::new(Lends(has)), 3);
            let seen = Mutex::new(Vec::new());
            let note = |worker| {
                assert!(!crew.fork_together(&|_| unreachable!("inside a job there are no workers")));
                seen.lock().unwrap().push((worker, std::thread::current().id() == here));
            };
            crew.steady(|| crew.fork(&note));
            let mut seen = seen.into_inner().unwrap();
            seen.sort_unstable();
            assert_eq!(seen, [0, 1, 2].map(|worker| (worker, !is_together)));
            assert_eq!(crew.fork_together(&|_| ()), is_together);
        }
    }

    #[test]
    fn a_panic_of_any_worker_is_the_callers_and_the_crew_serves_on() {
        for crew in [Crew::new(3).unwrap(), Crew::of_host(Arc::new(Lends(3)), 3)] {
            panics_are_the_callers(&crew);
        }
    }

    fn panics_are_the_callers(crew: &Crew) {
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
        assert_eq!(crew.steady(|| crew.lead(|| crew.steady(|| crew.threads() + 5))), 7);
    }

    #[test]
    fn the_thread_that_calls_leads_and_followers_linger_for_the_next_call() {
        let crew = Crew::new(3).unwrap();
        let yard = || crew.section.lock().unwrap().clone().expect("a section has been");
        let workers = || {
            let ids = Mutex::new([None; 3]);
            crew.fork(&|worker| ids.lock().unwrap()[worker] = Some(std::thread::current().id()));
            ids.into_inner().unwrap()
        };
        let first = crew.lead(workers);
        assert_eq!(first[0], Some(std::thread::current().id()));
        let of_first = yard();
        let (mut same, mut gone) = (0, 0);
        for _ in 0..50 {
            let before = yard();
            // Where this thread did not run for longer than followers linger, they have gone.
            let was_left = before.state.load(Ordering::SeqCst) == LEFT;
            let now = workers();
            let is_same = Arc::ptr_eq(&before, &yard());
            assert!(!(was_left && is_same), "a yard that was left has no followers");
            assert_eq!(now[0], first[0]);
            same += usize::from(is_same);
        }
        assert!(same > 0, "of fifty calls in a row not one found its followers there");
        while yard().state.load(Ordering::SeqCst) != LEFT {
            std::thread::sleep(Duration::from_millis(1));
            gone += 1;
            assert!(gone < 10_000, "followers stay for ever");
        }
        // The next call gets new ones.
        assert!(workers().iter().all(Option::is_some));
        assert!(!Arc::ptr_eq(&of_first, &yard()));
    }

    #[test]
    fn leaders_in_the_pool_and_outside_of_it_follow_one_another() {
        let crew = Crew::new(3).unwrap();
        let count = AtomicUsize::new(0);
        let fork = || {
            crew.fork(&|_| {
                count.fetch_add(1, Ordering::Relaxed);
            });
        };
        for _ in 0..100 {
            fork();
            crew.steady(|| (0..3).for_each(|_| fork()));
            // Threads that follow still come to rayon's work in the end.
            crew.install(|| rayon::scope(|scope| (0..3).for_each(|_| scope.spawn(|_| fork()))));
        }
        assert_eq!(count.load(Ordering::Relaxed), 100 * 7 * 3);
    }
}
