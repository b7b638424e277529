//! The optimiser: moments in the weights' own layout, one flat pass per step.

use crate::config::{Config, OptimizerKind};
use gatemill_cell::{OutOfMemory, Params};
use gatemill_crew::Crew;
use gatemill_kernels::{Adam, Buffer, Kernels, LANES};

/// Floats of a worker's piece: 64 KiB of each of the four arrays.
const LEAF: usize = 1 << 14;

/// Moments and the number of updates made.
#[derive(Debug)]
pub(crate) struct Optimizer {
    kind: OptimizerKind,
    beta1: f64,
    beta2: f64,
    eps: f64,
    /// First and second moment, packed; empty for SGD.
    pub(crate) m: Buffer,
    pub(crate) v: Buffer,
}

impl Optimizer {
    /// Zero moments. Errors: the memory is not to be had.
    pub(crate) fn new(config: &Config, len: usize) -> Result<Self, OutOfMemory> {
        let len = if config.optimizer == OptimizerKind::Adam { len } else { 0 };
        Ok(Self {
            kind: config.optimizer,
            beta1: config.beta1,
            beta2: config.beta2,
            eps: config.eps,
            m: Buffer::zeroed(len)?,
            v: Buffer::zeroed(len)?,
        })
    }
    /// The names of the moments in a checkpoint, with their memory.
    pub(crate) fn moments(&mut self) -> [(&'static str, &mut Buffer); 2] {
        [("optim.m", &mut self.m), ("optim.v", &mut self.v)]
    }
    /// Bytes of the moments.
    pub(crate) fn size_bytes(&self) -> usize {
        4 * (self.m.len() + self.v.len())
    }
    /// Update number `step` (from 1): weights move, moments with them.
    pub(crate) fn update(
        &mut self,
        (crew, kernels): (&Crew, &Kernels),
        params: &mut Params,
        grad: &[f32],
        (step, lr, clip): (u64, f64, f32),
    ) {
        match self.kind {
            OptimizerKind::Adam => {
                let step = step as f64;
                let adam = Adam {
                    clip,
                    one_minus_beta1: (1.0 - self.beta1) as f32,
                    beta2: self.beta2 as f32,
                    one_minus_beta2: (1.0 - self.beta2) as f32,
                    step_size: (lr / (1.0 - libm::pow(self.beta1, step))) as f32,
                    inv_sqrt_bias2: (1.0 / (1.0 - libm::pow(self.beta2, step)).sqrt()) as f32,
                    eps: self.eps as f32,
                };
                crew.pieces([params.masters_mut(), &mut self.m, &mut self.v], LANES, LEAF, |first, [w, m, v]| {
                    kernels.adam(&adam, w, &grad[first..first + w.len()], m, v);
                });
            }
            OptimizerKind::Sgd => crew.pieces([params.masters_mut()], LANES, LEAF, |first, [w]| {
                kernels.sgd(clip, lr as f32, w, &grad[first..first + w.len()]);
            }),
            _ => todo!(),
        }
    }
}
