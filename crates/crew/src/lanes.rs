//! Lane blocks: each worker takes its lanes through the whole list of operations, with no meeting point in between.

use crate::Crew;
use gatemill_kernels::{Kernels, Op, Pass, Share};

/// The operations of the first `steps` steps, on one claim.
pub(crate) fn alone(kernels: &Kernels, program: &[Op], steps: usize, pass: &Pass<'_>, share: &mut Share<'_>) {
    for op in program.iter().filter(|op| op.t() < steps) {
        kernels.run(op, pass, share);
    }
}

impl Crew {
    /// Each worker takes lanes with about as many tokens as another's.
    pub(crate) fn by_lanes(
        &self,
        kernels: &Kernels,
        program: &[Op],
        steps: usize,
        pass: &Pass<'_>,
        mut claim: Share<'_>,
    ) {
        let workers = self.threads();
        if workers == 1 || claim.lanes().len() <= 1 {
            return alone(kernels, program, steps, pass, &mut claim);
        }
        self.fork(&|worker| {
            let part = claim.tokens().piece(steps, worker, workers);
            if !part.is_empty() {
                // SAFETY: the parts of different workers do not overlap; the claim itself waits for the fork to end.
                let mut share = unsafe { claim.block(part) };
                alone(kernels, program, steps, pass, &mut share);
            }
        });
    }
}
