//! Seconds of a training step by phase: data, forward, readout, backward, weight gradients, update.
//!
//! The step itself takes the time at the end of each phase, on the thread that called it. Every moment of a step belongs
//! to one phase, so that the phases add up to the step. Nothing is allocated; a reading of the clock costs tens of
//! nanoseconds.

use serde::{Deserialize, Serialize};
use std::time::Instant;

/// Seconds of a step, by phase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Phases {
    /// The recurrent layers through time.
    pub forward: f64,
    /// Readout, softmax, cross-entropy, and the loss summed.
    pub readout: f64,
    /// Backward through time, the readout's gradient to h included.
    pub backward: f64,
    /// The gradient of every matrix and bias, shards added up.
    pub weight_gradients: f64,
    /// Norm, clip, optimiser, and what is derived from the weights.
    pub update: f64,
    /// The wait for the next chunk, its symbols put in place, the states carried on.
    pub data: f64,
}

impl Phases {
    /// Their names and seconds, in the order of this struct.
    pub fn named(&self) -> [(&'static str, f64); 6] {
        let Self { forward, readout, backward, weight_gradients, update, data } = *self;
        [
            ("forward", forward),
            ("readout", readout),
            ("backward", backward),
            ("weight gradients", weight_gradients),
            ("update", update),
            ("data", data),
        ]
    }
    /// Seconds in this order.
    pub(crate) fn from_seconds(seconds: [f64; 6]) -> Self {
        let [forward, readout, backward, weight_gradients, update, data] = seconds;
        Self { forward, readout, backward, weight_gradients, update, data }
    }
}

/// Gives each moment since its start to a phase.
#[derive(Debug)]
pub(crate) struct PhaseClock {
    last: Instant,
    phases: Phases,
}

impl PhaseClock {
    /// All phases at zero, from now on.
    pub(crate) fn start() -> Self {
        Self { last: Instant::now(), phases: Phases::default() }
    }
    /// The time since the last call was this phase's.
    pub(crate) fn lap(&mut self, phase: impl FnOnce(&mut Phases) -> &mut f64) {
        let now = Instant::now();
        *phase(&mut self.phases) += now.duration_since(self.last).as_secs_f64();
        self.last = now;
    }
    /// The seconds so far.
    pub(crate) fn phases(&self) -> Phases {
        self.phases
    }
}
