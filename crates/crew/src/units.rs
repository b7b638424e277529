//! The unit split: a team shares the panels of every operation and meets at a barrier between any two.
//!
//! A fork has all workers at once, which a barrier needs; bits do not depend on their number.

use crate::Crew;
use crate::lanes::alone;
use crate::wait::{Line, Patience};
use gatemill_kernels::{Kernels, Op, Pass, Share, Workspace};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

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
    /// Fewest lanes per worker at which lane blocks serve better: a core then computes as long as its weights take to come
    /// from L3.
    const LANES_PER_WORKER: usize = 8;
    /// Weights that one worker's own cache gives fast enough. Above, two of them give their halves in half the time (and from
    /// 1 MB on one worker would wait for L3 at every step), which outweighs a barrier an operation.
    const OWN_BYTES: usize = 1 << 19;

    /// The split that serves `lanes` lanes on `workers` workers, with weights of `weight_bytes`.
    pub fn suited(lanes: usize, workers: usize, weight_bytes: usize) -> Self {
        let few = lanes < workers * Self::LANES_PER_WORKER;
        if workers > 1 && few && weight_bytes > Self::OWN_BYTES { Split::Units } else { Split::Lanes }
    }
    /// The split of a forward pass, where backward has `backward`; `streamed`: the weights of a layer come from L3.
    ///
    /// A member of a team streams its part of the weights alone and uses it for all lanes. Backward gains nothing by it:
    /// there every member reads the gate gradients of all units.
    pub fn of_forward(backward: Self, workers: usize, streamed: bool) -> Self {
        if backward == Split::Lanes && streamed && workers > 1 { Split::Units } else { backward }
    }
}

/// The barrier of a team.
struct Barrier {
    members: usize,
    arrived: Line<AtomicUsize>,
    round: Line<AtomicUsize>,
    /// A member panicked: nobody waits any longer.
    broken: AtomicBool,
}

/// Breaks the barrier if its member unwinds.
struct Alive<'a>(&'a Barrier);

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.broken.store(true, Ordering::Release);
        }
    }
}

impl Barrier {
    fn new(members: usize) -> Self {
        let (arrived, round) = (Line(AtomicUsize::new(0)), Line(AtomicUsize::new(0)));
        Self { members, arrived, round, broken: AtomicBool::new(false) }
    }
    /// Returns when all members have called it.
    fn meet(&self) {
        let round = self.round.0.load(Ordering::Acquire);
        if self.arrived.0.fetch_add(1, Ordering::AcqRel) + 1 == self.members {
            self.arrived.0.store(0, Ordering::Release);
            self.round.0.store(round + 1, Ordering::Release);
        } else {
            Patience::ENDLESS.wait(|| {
                assert!(!self.broken.load(Ordering::Acquire), "another worker of the team panicked");
                self.round.0.load(Ordering::Acquire) != round
            });
        }
    }
}

impl Crew {
    fn by_units(&self, kernels: &Kernels, program: &[Op], steps: usize, pass: &Pass<'_>, mut claim: Share<'_>) {
        let barrier = Barrier::new(self.threads());
        let together = self.fork_together(&|worker| {
            let _alive = Alive(&barrier);
            // SAFETY: each worker has another number; every one runs the same list with a barrier between any two;
            // the claim itself waits for the fork to end.
            let mut share = unsafe { claim.member(worker, barrier.members) };
            let mut ops = program.iter().filter(|op| op.t() < steps).peekable();
            while let Some(op) = ops.next() {
                kernels.run(op, pass, &mut share);
                // Behind the last one the fork's end is a meeting.
                if ops.peek().is_some() {
                    barrier.meet();
                }
            }
        });
        if !together {
            alone(kernels, program, steps, pass, &mut claim);
        }
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
        match split {
            Split::Lanes => self.by_lanes(kernels, program, steps, pass, ws.share()),
            Split::Units => self.by_units(kernels, program, steps, pass, ws.share()),
            Split::Alone => alone(kernels, program, steps, pass, &mut ws.share()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_split_where_lanes_are_few_and_weights_many() {
        let many = 12 << 20;
        assert_eq!(Split::suited(1, 2, many), Split::Units);
        assert_eq!(Split::suited(15, 2, many), Split::Units);
        assert_eq!(Split::suited(16, 2, many), Split::Lanes);
        assert_eq!(Split::suited(1, 1, many), Split::Lanes);
        assert_eq!(Split::suited(1, 2, 1 << 18), Split::Lanes);
    }

    #[test]
    fn a_forward_pass_is_split_by_units_where_a_layer_is_streamed() {
        assert_eq!(Split::of_forward(Split::Lanes, 2, true), Split::Units);
        assert_eq!(Split::of_forward(Split::Lanes, 2, false), Split::Lanes);
        assert_eq!(Split::of_forward(Split::Lanes, 1, true), Split::Lanes);
        assert_eq!(Split::of_forward(Split::Alone, 2, true), Split::Alone);
    }

    #[test]
    fn all_meet_at_every_barrier() {
        for threads in [1, 2, 3, 7] {
            let crew = Crew::new(threads).unwrap();
            for _ in 0..20 {
                let barrier = Barrier::new(threads);
                let counter = AtomicUsize::new(0);
                crew.fork(&|_| {
                    for round in 0..20 {
                        counter.fetch_add(1, Ordering::SeqCst);
                        barrier.meet();
                        assert!(counter.load(Ordering::SeqCst) >= (round + 1) * threads);
                        barrier.meet();
                    }
                });
                assert_eq!(counter.load(Ordering::SeqCst), 20 * threads);
            }
        }
    }

    #[test]
    #[should_panic(expected = "worker 0 fails")]
    fn a_member_that_panics_leaves_nobody_waiting() {
        let crew = Crew::new(2).unwrap();
        let barrier = Barrier::new(2);
        crew.fork(&|worker| {
            let _alive = Alive(&barrier);
            if worker == 0 {
                panic!("worker 0 fails");
            }
            barrier.meet();
        });
    }
}
