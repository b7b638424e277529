//! The unit split: a team shares the panels of every operation and meets at a barrier after each.
//!
//! A barrier needs all members at once, which rayon does not promise. So the team is whoever shows up: the leader opens
//! a roll, waits a moment for the others, closes it, and the panels are cut by the number of names on it. A latecomer
//! finds the roll closed and leaves. Bits do not depend on the cut, so they do not depend on who came.

use crate::Crew;
use crate::lanes::alone;
use gatemill_kernels::{Kernels, Op, Pass, Share, Workspace};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How a pass is shared out. The bits are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// Blocks of lanes; no meeting point.
    Lanes,
    /// Panels of hidden units; a barrier per operation.
    Units,
    /// None: the worker that asks does all. For networks of which each worker has its own.
    Alone,
}

impl Split {
    /// Fewest lanes per worker at which lane blocks serve better: a guess from the prototype (doc/performance.md).
    const LANES_PER_WORKER: usize = 8;

    /// The split that serves `lanes` lanes on `workers` workers.
    pub fn suited(lanes: usize, workers: usize) -> Self {
        if workers == 1 || lanes >= workers * Self::LANES_PER_WORKER { Split::Lanes } else { Split::Units }
    }
}

/// Its own pair of cache lines, so that waiting for one word does not slow another down.
#[repr(align(128))]
struct Line<T>(T);

/// Set in the roll once it is closed.
const CLOSED: usize = 1 << 32;
/// How long the leader waits for the team: waking a sleeping worker takes tens of microseconds.
const ROLL_CALL: Duration = Duration::from_micros(500);
/// Turns of the spin loop before a waiting member yields its core: about two microseconds.
const SPINS: u32 = 400;

/// A team: its roll, and a barrier for those on it.
struct Team {
    roll: Line<AtomicUsize>,
    arrived: Line<AtomicUsize>,
    round: Line<AtomicUsize>,
    /// A member panicked: nobody waits any longer.
    broken: AtomicBool,
}

/// Marks the team broken if its member unwinds.
struct Alive<'a>(&'a Team);

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.broken.store(true, Ordering::Release);
        }
    }
}

impl Team {
    fn new() -> Self {
        Self {
            roll: Line(AtomicUsize::new(0)),
            arrived: Line(AtomicUsize::new(0)),
            round: Line(AtomicUsize::new(0)),
            broken: AtomicBool::new(false),
        }
    }
    /// Spins, then yields, until `done`.
    fn wait(&self, mut done: impl FnMut() -> bool) {
        let mut turns = 0;
        while !done() {
            assert!(!self.broken.load(Ordering::Acquire), "another worker of the team panicked");
            if turns < SPINS {
                turns += 1;
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }
    /// This worker's number, or None where the roll is closed.
    fn sign(&self) -> Option<usize> {
        let sign = |n| if n & CLOSED == 0 { Some(n + 1) } else { None };
        self.roll.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, sign).ok()
    }
    /// Leader: waits a moment for `wanted` names, then closes the roll. The team's size.
    fn close(&self, wanted: usize) -> usize {
        let begun = Instant::now();
        while self.roll.0.load(Ordering::Acquire) < wanted && begun.elapsed() < ROLL_CALL {
            std::hint::spin_loop();
        }
        self.roll.0.fetch_or(CLOSED, Ordering::AcqRel)
    }
    /// The team's size, once the leader has closed the roll.
    fn size(&self) -> usize {
        let mut roll = 0;
        self.wait(|| {
            roll = self.roll.0.load(Ordering::Acquire);
            roll & CLOSED != 0
        });
        roll & !CLOSED
    }
    /// Returns when all `size` members have called it.
    fn meet(&self, size: usize) {
        let round = self.round.0.load(Ordering::Acquire);
        if self.arrived.0.fetch_add(1, Ordering::AcqRel) + 1 == size {
            self.arrived.0.store(0, Ordering::Release);
            self.round.0.store(round + 1, Ordering::Release);
        } else {
            self.wait(|| self.round.0.load(Ordering::Acquire) != round);
        }
    }
}

/// What the members of a team share.
struct Work<'a> {
    team: Team,
    kernels: &'a Kernels,
    program: &'a [Op],
    steps: usize,
    pass: &'a Pass<'a>,
    claim: Share<'a>,
}

impl Work<'_> {
    fn member(&self, number: usize, size: usize) {
        let _alive = Alive(&self.team);
        // SAFETY: `sign` gives each member another number, all below the size at closing; every member runs the same
        // list with a barrier after each operation; the claim itself is not used, and `by_units` outlives them all.
        let mut share = unsafe { self.claim.member(number, size) };
        for op in self.program.iter().filter(|op| op.t() < self.steps) {
            self.kernels.run(op, self.pass, &mut share);
            self.team.meet(size);
        }
    }
    fn leader(&self, wanted: usize) {
        let Some(number) = self.team.sign() else { return };
        let size = self.team.close(wanted);
        self.member(number, size);
    }
    fn follower(&self) {
        if let Some(number) = self.team.sign() {
            self.member(number, self.team.size());
        }
    }
    /// Offers `n` places to the pool.
    fn followers(&self, n: usize) {
        match n {
            0 => {}
            1 => self.follower(),
            n => {
                rayon::join(|| self.follower(), || self.followers(n - 1));
            }
        }
    }
}

impl Crew {
    fn by_units(kernels: &Kernels, program: &[Op], steps: usize, pass: &Pass<'_>, mut claim: Share<'_>, wanted: usize) {
        if wanted <= 1 {
            return alone(kernels, program, steps, pass, &mut claim);
        }
        let work = Work { team: Team::new(), kernels, program, steps, pass, claim };
        rayon::join(|| work.leader(wanted), || work.followers(wanted - 1));
    }

    /// Carries out the operations of the first `steps` steps of `program` on the whole workspace.
    pub fn run(
        &self,
        kernels: &Kernels,
        program: &[Op],
        steps: usize,
        pass: &Pass<'_>,
        ws: &mut Workspace,
        split: Split,
    ) {
        let workers = self.threads();
        self.install(|| match split {
            Split::Lanes => Self::by_lanes(kernels, program, steps, pass, ws.share(), workers),
            Split::Units => Self::by_units(kernels, program, steps, pass, ws.share(), workers),
            Split::Alone => alone(kernels, program, steps, pass, &mut ws.share()),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_meets_at_every_barrier() {
        for threads in [1, 2, 3, 7] {
            let crew = Crew::new(threads).unwrap();
            for _ in 0..50 {
                let team = Team::new();
                let counter = AtomicUsize::new(0);
                let member = |number: usize, size: usize| {
                    assert!(number < size);
                    for round in 0..20 {
                        counter.fetch_add(1, Ordering::SeqCst);
                        team.meet(size);
                        assert!(counter.load(Ordering::SeqCst) >= (round + 1) * size);
                        team.meet(size);
                    }
                    size
                };
                fn followers(n: usize, f: &(impl Fn() + Sync)) {
                    if n > 0 {
                        rayon::join(f, || followers(n - 1, f));
                    }
                }
                let (size, ()) = crew.install(|| {
                    rayon::join(
                        || {
                            let number = team.sign().unwrap();
                            let size = team.close(threads);
                            member(number, size)
                        },
                        || {
                            followers(threads - 1, &|| {
                                if let Some(number) = team.sign() {
                                    member(number, team.size());
                                }
                            });
                        },
                    )
                });
                assert!((1..=threads).contains(&size));
                assert_eq!(counter.load(Ordering::SeqCst), 20 * size);
            }
        }
    }
}
