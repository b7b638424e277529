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
    /// Cuts the claim into `parts` blocks of lanes, as even as they go.
    pub(crate) fn by_lanes(
        kernels: &Kernels,
        program: &[Op],
        steps: usize,
        pass: &Pass<'_>,
        mut share: Share<'_>,
        parts: usize,
    ) {
        let lanes = share.lanes();
        let parts = parts.min(lanes.len());
        if parts <= 1 {
            return alone(kernels, program, steps, pass, &mut share);
        }
        let low = parts / 2;
        let (a, b) = share.split_at(lanes.start + lanes.len() * low / parts);
        rayon::join(
            || Self::by_lanes(kernels, program, steps, pass, a, low),
            || Self::by_lanes(kernels, program, steps, pass, b, parts - low),
        );
    }
}
