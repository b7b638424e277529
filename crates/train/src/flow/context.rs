//! What a context is worth: the loss where the model is given the last k symbols and nothing before, for every k at once.
//!
//! ```text
//! window        x_1 .. x_K y       from zeros: the loss of x_{k+1} (y for k = K) knows k symbols
//!                                  from W more symbols: the same loss, with W + k of them
//! worth of k    mean over windows of the difference; both losses are of the same symbols
//! ```
//!
//! A pass over a window gives all k. What is measured is behaviour, not a gradient: it holds whether the model's memory is
//! smooth or a switch. Training carries states, so a state of zeros is rare there; a part of the difference at small k is
//! that of a model which has to come into a state first.

use super::{FlowOptions, Machine, Spread, Walker, below, lanes_at_once, windows};
use crate::error::TrainError;
use crate::model::CharModel;
use serde::{Deserialize, Serialize};

/// Steps of a chunk.
const STEPS: usize = 32;
/// A context is long enough where at most this part of what one symbol alone lacks is missing.
const MISSING: f64 = 0.01;
/// Neighbours in k that are averaged before a level is looked for: so many to each side for each 8 of k.
const SMOOTHED: usize = 8;

/// The loss by length of the context.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Context {
    /// Windows.
    pub positions: usize,
    /// W: symbols that a whole context has before the window.
    pub warmup: usize,
    /// `[K]`: k from 1.
    pub by_k: Vec<ContextAt>,
    /// The first k from which on at most 1 % is missing of what k = 1 lacks. None: not within K.
    pub enough: Option<usize>,
    /// The first k from which on at most 5 % is missing.
    pub most: Option<usize>,
    /// The first k from which on at most half is missing.
    pub half: Option<usize>,
}

/// The loss with k symbols.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ContextAt {
    /// Bits per character with the last k symbols.
    pub bits: f64,
    /// The same symbols with the whole context.
    pub whole_bits: f64,
    /// How much more, bits.
    pub missing_bits: f64,
    /// Standard error of that, over the windows.
    pub error_bits: f64,
}

impl Context {
    /// Measures a text. Ids of V and more are symbols never seen; their losses count as 0 in both.
    ///
    /// Errors: the text is too short; no memory.
    pub fn of(
        model: &CharModel,
        machine: Machine<'_>,
        text: &[u32],
        options: &FlowOptions,
    ) -> Result<Self, TrainError> {
        machine.0.steady(|| Self::measure(model, machine, text, options))
    }

    fn measure(
        model: &CharModel,
        machine: Machine<'_>,
        text: &[u32],
        options: &FlowOptions,
    ) -> Result<Self, TrainError> {
        let windows = windows(model, text, options)?;
        let (steps, positions) = (windows.steps, windows.starts.len());
        // No state is kept.
        let lanes = lanes_at_once(model, 1, positions);
        let mut walker = Walker::new(model, machine, text, (STEPS.min(steps), lanes))?;
        let (mut alone, mut whole) = (vec![0.0; steps * positions], vec![0.0; steps * positions]);
        let mut first = 0;
        for (starts, count) in windows.groups(lanes) {
            let keep = |to: &mut [f64], i: usize, nats: &[f32]| {
                let to = &mut to[i * positions + first..][..count];
                to.iter_mut().zip(nats).for_each(|(to, &x)| *to = f64::from(x));
            };
            walker.network.clear_state();
            walker.read(&starts, 0, steps, |i, nats| keep(&mut alone, i, nats));
            let state = walker.states_before(&starts, windows.warmup);
            walker.network.set_state(&state);
            walker.read(&starts, 0, steps, |i, nats| keep(&mut whole, i, nats));
            first += count;
        }
        let by_k = alone.chunks_exact(positions).zip(whole.chunks_exact(positions)).map(|(alone, whole)| {
            let bits = |nats: &[f64]| Spread::of(nats).mean / std::f64::consts::LN_2;
            let missing: Vec<f64> = alone.iter().zip(whole).map(|(a, w)| (a - w) / std::f64::consts::LN_2).collect();
            let mean = Spread::of(&missing).mean;
            let square = missing.iter().fold(0.0, |sum, x| sum + (x - mean) * (x - mean));
            let error_bits = (square / (positions * positions) as f64).sqrt();
            ContextAt { bits: bits(alone), whole_bits: bits(whole), missing_bits: mean, error_bits }
        });
        let by_k: Vec<ContextAt> = by_k.collect();
        let smooth = smoothed(&by_k);
        let lacks = by_k.first().map_or(0.0, |at| at.missing_bits);
        let within = |part: f64| below(smooth.iter().copied(), part * lacks).map(|k| k + 1);
        let (enough, most, half) = (within(MISSING), within(0.05), within(0.5));
        Ok(Self { positions, warmup: windows.warmup, by_k, enough, most, half })
    }
}

/// Means over neighbours, more of them where k is large: there the curve is flat and the noise is as large as it.
fn smoothed(by_k: &[ContextAt]) -> Vec<f64> {
    let mean = |i: usize| {
        let beside = ((i + 1) / SMOOTHED).min(by_k.len() - 1 - i);
        let part = &by_k[i - beside..=i + beside];
        part.iter().fold(0.0, |sum, at| sum + at.missing_bits) / part.len() as f64
    };
    (0..by_k.len()).map(mean).collect()
}
