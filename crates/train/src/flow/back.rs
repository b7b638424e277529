//! `dL_t / ds_{t-k}` for many t at once: forward through the window with its states kept, then back a step at a time.
//!
//! ```text
//! for each group of places, a lane each:
//!     s_{t-K}            W symbols after zeros
//!     s_{t-K+1} .. s_t   forward, kept
//!     d s_t = 0, the loss of step t alone counts
//!     for k = 1..=K:     states s_{t-k}, forward over symbol t-k+1, gradient d s_{t-k+1} from behind, backward: d s_{t-k}
//! ```
//!
//! The way back is linear in d s, so a lane whose gradient becomes very small or large is multiplied by a power of two, which
//! is exact, and the power is remembered: a curve falls to 1e-300 without touching f32's end.

use super::{FlowOptions, Machine, OneStep, READ_STEPS, Spread, Walker, below, lanes_at_once, squares, windows};
use crate::error::TrainError;
use crate::model::CharModel;
use gatemill_cell::LayerState;
use serde::{Deserialize, Serialize};

/// A lane is scaled where its norm leaves 2^-20 .. 2^20.
const SCALED_FROM: f64 = 1_048_576.0;
/// Memory ends where the mean norm has fallen below this part of that at k = 1.
pub(crate) const FAINT: f64 = 0.01;

/// Norms by distance, place by place.
#[derive(Debug, Clone, PartialEq)]
pub struct Norms {
    /// K.
    pub distance: usize,
    /// L.
    pub layers: usize,
    /// P.
    pub positions: usize,
    /// W, as far as the text went.
    pub warmup: usize,
    /// `[K, L, P]`: || dL_t / dh_{t-k} ||, nats; k from 1.
    pub h: Vec<f64>,
    /// `[K, L, P]`: || dL_t / dc_{t-k} ||; empty but for an LSTM.
    pub c: Vec<f64>,
    /// `[P]`: L_t, nats.
    pub nats: Vec<f64>,
}

/// The gradients of one distance, of the places that are taken at a time: what the visitor of [`Norms::visit`] sees.
#[derive(Debug, Clone, Copy)]
pub struct Gradients<'a> {
    /// From 1.
    pub k: usize,
    /// `[B]`: where in the text each lane's window begins; t is K - 1 further.
    pub starts: &'a [usize],
    /// Lanes that count: the others repeat the last of them.
    pub count: usize,
    /// `[L]`: dL_t / dh_{t-k} and dL_t / dc_{t-k}, `[B, H]` each, over the scale of the lane.
    pub grads: &'a [LayerState],
    /// `[B]`: powers of two that the gradients are to be multiplied by.
    pub scales: &'a [f64],
}

impl Norms {
    /// Measures a text. Ids of V and more are symbols never seen.
    ///
    /// Errors: the text is too short; no memory.
    pub fn of(
        model: &CharModel,
        machine: Machine<'_>,
        text: &[u32],
        options: &FlowOptions,
    ) -> Result<Self, TrainError> {
        Self::visit(model, machine, text, options, |_| {})
    }

    /// The same, with every gradient shown on the way: for each group of places k = 1..=K.
    pub fn visit(
        model: &CharModel,
        machine: Machine<'_>,
        text: &[u32],
        options: &FlowOptions,
        mut see: impl FnMut(&Gradients<'_>) + Send,
    ) -> Result<Self, TrainError> {
        machine.0.steady(|| Self::measure(model, machine, text, options, &mut see))
    }

    fn measure(
        model: &CharModel,
        machine: Machine<'_>,
        text: &[u32],
        options: &FlowOptions,
        see: &mut (dyn FnMut(&Gradients<'_>) + Send),
    ) -> Result<Self, TrainError> {
        let windows = windows(model, text, options)?;
        let (steps, positions) = (windows.steps, windows.starts.len());
        let lanes = lanes_at_once(model, steps, positions);
        let mut walker = Walker::new(model, machine, text, (READ_STEPS.min(windows.warmup.max(1)), lanes))?;
        let mut step = OneStep::new(model, machine, text, lanes)?;
        let layers = model.params.layout().layers().len();
        let size = steps * layers * positions;
        let has_c = walker.network.state().iter().any(|state| state.c.is_some());
        let mut norms = Self {
            distance: steps,
            layers,
            positions,
            warmup: windows.warmup,
            h: vec![0.0; size],
            c: vec![0.0; if has_c { size } else { 0 }],
            nats: vec![0.0; positions],
        };
        let mut first = 0;
        for (starts, count) in windows.groups(lanes) {
            // s_{t-K} .. s_{t-1}: where each of the K steps begins.
            let mut states = vec![walker.states_before(&starts, windows.warmup)];
            step.without_loss();
            for i in 0..steps - 1 {
                step.network.set_state(&states[i]);
                step.read(&starts, i);
                step.forward();
                states.push(step.network.final_state(1));
            }
            let mut grads: Vec<LayerState> = Vec::new();
            let mut scales = vec![1.0; lanes];
            for k in 1..=steps {
                step.network.set_state(&states[steps - k]);
                step.read(&starts, steps - k);
                if k == 1 {
                    let symbols = starts.iter().map(|start| text[start + steps]);
                    step.targets.iter_mut().zip(symbols).for_each(|(target, symbol)| *target = symbol);
                }
                step.forward();
                if k == 1 {
                    let nats = step.network.nats(1)[..count].iter().map(|&x| f64::from(x));
                    norms.nats[first..first + count].iter_mut().zip(nats).for_each(|(to, x)| *to = x);
                } else {
                    step.network.set_final_grad(&grads);
                }
                step.backward();
                step.without_loss();
                grads = step.network.initial_grad();
                see(&Gradients { k, starts: &starts, count, grads: &grads, scales: &scales });
                norms.keep((k, first, count), &mut grads, &mut scales);
            }
            first += count;
        }
        Ok(norms)
    }

    /// Takes the norms of one distance in, and scales the lanes that need it.
    fn keep(&mut self, (k, first, count): (usize, usize, usize), grads: &mut [LayerState], scales: &mut [f64]) {
        let lanes = scales.len();
        let row = |x: &[f32], lane: usize| {
            let width = x.len() / lanes;
            squares(&x[lane * width..][..width])
        };
        for (lane, scale) in scales.iter_mut().enumerate() {
            let mut all = 0.0;
            for (l, grad) in grads.iter().enumerate() {
                let at = ((k - 1) * self.layers + l) * self.positions + first + lane;
                let (h, c) = (row(&grad.h, lane), grad.c.as_ref().map(|c| row(c, lane)));
                all += h + c.unwrap_or(0.0);
                if lane < count {
                    self.h[at] = h.sqrt() * *scale;
                    if let Some(c) = c {
                        self.c[at] = c.sqrt() * *scale;
                    }
                }
            }
            let norm = all.sqrt();
            if norm > 0.0 && norm.is_finite() && !(1.0 / SCALED_FROM..=SCALED_FROM).contains(&norm) {
                let factor = libm::scalbn(1.0, -libm::ilogb(norm));
                *scale /= factor;
                for grad in grads.iter_mut() {
                    for x in [Some(&mut grad.h), grad.c.as_mut()].into_iter().flatten() {
                        let width = x.len() / lanes;
                        x[lane * width..][..width].iter_mut().for_each(|x| *x *= factor as f32);
                    }
                }
            }
        }
    }

    /// Norms of distance `k` (from 1) over h and c of the layers `layers`, place by place.
    fn together(&self, k: usize, layers: std::ops::Range<usize>, parts: [&[f64]; 2]) -> Vec<f64> {
        let place = |p: usize| {
            let at = |l: usize| ((k - 1) * self.layers + l) * self.positions + p;
            let norms = || layers.clone().flat_map(|l| parts.map(|part| part.get(at(l)).copied().unwrap_or(0.0)));
            // By the largest of them: the square of 1e-200 is no number of f64.
            let most = norms().fold(0.0, f64::max);
            if most > 0.0 { most * norms().fold(0.0, |sum, x| sum + (x / most) * (x / most)).sqrt() } else { 0.0 }
        };
        (0..self.positions).map(place).collect()
    }

    /// Norms over all layers, h and c, at distance `k` from 1: `[P]`.
    pub fn all(&self, k: usize) -> Vec<f64> {
        self.together(k, 0..self.layers, [&self.h, &self.c])
    }

    /// How they are spread over the places, by distance.
    pub fn flow(&self) -> Flow {
        let curve = |layers: std::ops::Range<usize>, parts: [&[f64]; 2]| -> Vec<Spread> {
            (1..=self.distance).map(|k| Spread::of(&self.together(k, layers.clone(), parts))).collect()
        };
        let layers = (0..self.layers).map(|l| LayerFlow {
            h: curve(l..l + 1, [&self.h, &[]]),
            c: if self.c.is_empty() { None } else { Some(curve(l..l + 1, [&[], &self.c])) },
            both: curve(l..l + 1, [&self.h, &self.c]),
        });
        let all = curve(0..self.layers, [&self.h, &self.c]);
        Flow {
            positions: self.positions,
            distance: self.distance,
            warmup: self.warmup,
            nats: Spread::of(&self.nats),
            reach: Reach::of(&all),
            layers: layers.collect(),
            all,
        }
    }
}

/// Gradients by distance, over the places of a text. Curves are indexed by k - 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// P.
    pub positions: usize,
    /// K.
    pub distance: usize,
    /// W, as far as the text went.
    pub warmup: usize,
    /// L_t.
    pub nats: Spread,
    /// `[K]`: over h and c of all layers.
    pub all: Vec<Spread>,
    /// `[L]`
    pub layers: Vec<LayerFlow>,
    /// How far the mean over all layers reaches.
    pub reach: Reach,
}

/// Gradients by distance to one layer's state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerFlow {
    /// `[K]`: || dL_t / dh_{t-k} ||.
    pub h: Vec<Spread>,
    /// `[K]`: || dL_t / dc_{t-k} ||, LSTM only.
    pub c: Option<Vec<Spread>>,
    /// `[K]`: both together.
    pub both: Vec<Spread>,
}

/// How far a curve of gradients reaches.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reach {
    /// Where memory ends: the first k from which on the mean norm stays below 1 % of that at k = 1. None: not within K.
    pub faint: Option<usize>,
    /// Half of the sum of the mean norms over k = 1..=K lies within this k.
    pub half: usize,
    /// 95 % of it.
    pub most: usize,
    /// What the median norm is multiplied by with each further symbol, over the second half of 1..=K.
    pub factor: f64,
}

impl Reach {
    /// Of a curve by k - 1.
    pub fn of(curve: &[Spread]) -> Self {
        let mean = || curve.iter().map(|s| s.mean);
        let sum = mean().fold(0.0, |a, b| a + b);
        let within = |part: f64| {
            let mut so_far = 0.0;
            let place = mean().position(|x| {
                so_far += x;
                so_far >= part * sum
            });
            place.map_or(curve.len(), |k| k + 1)
        };
        let (end, middle) = (curve.len(), curve.len().div_ceil(2));
        let median = |k: usize| curve.get(k.wrapping_sub(1)).map_or(0.0, |s| s.median);
        let ratio = median(end) / median(middle);
        let factor =
            if ratio > 0.0 && end > middle { libm::exp(libm::log(ratio) / (end - middle) as f64) } else { 0.0 };
        let faint = FAINT * curve.first().map_or(0.0, |s| s.mean);
        Self { faint: below(mean(), faint).map(|k| k + 1), half: within(0.5), most: within(0.95), factor }
    }
}
