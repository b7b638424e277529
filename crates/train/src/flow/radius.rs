//! One step's Jacobian `J = ds_t / ds_{t-1}` of each layer: what its recurrence multiplies a small change by.
//!
//! The state of a layer is h, and c of an LSTM; what the layer reads from below is held. The stack's whole Jacobian has these
//! on its diagonal and zeros on one side of it, so their eigenvalues are all of its eigenvalues.
//!
//! ```text
//! spectral radius   power iteration on J^T, a place a lane: u <- J^T u / |J^T u|; the mean of log |J^T u| over the last half of
//!                   the iterations. Of a complex pair the lengths swing; their geometric mean does not.
//! singular value    J itself, a row for each lane that sends one unit's gradient back; then power iteration on J^T J in f64
//! ```
//!
//! Where it stays below 1 gradients tend to vanish; above 1 they can grow, along some directions, for a while. The
//! largest singular value bounds what one step can do to any direction.

use super::{FlowOptions, Machine, OneStep, READ_STEPS, Spread, Walker, squares, windows};
use crate::error::TrainError;
use crate::model::CharModel;
use gatemill_cell::LayerState;
use gatemill_kernels::{Purpose, uniform};
use serde::{Deserialize, Serialize};

/// Iterations, and those of them that count. A guess: with 32 the radius of a random matrix of 256 is found to 1 or 2 %.
const ITERATIONS: usize = 64;
const COUNTED: usize = 32;
/// Iterations for the singular value of a matrix that is at hand.
const SINGULAR_ITERATIONS: usize = 100;
/// Places whose Jacobian is written out, and the largest that is.
const SINGULAR_PLACES: usize = 4;
const SINGULAR_SIZE: usize = 1024;
/// Lanes of the rows of a Jacobian.
const ROW_LANES: usize = 256;
/// Where the first directions are drawn from: of no effect on the result but for its last digits.
const SEED: u64 = 0x9a7e;

/// What one step multiplies by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Radii {
    /// Where in the text the consecutive places of `along` begin: the symbol that the first step reads.
    pub start: usize,
    /// `[L]`
    pub layers: Vec<LayerRadii>,
}

/// What one step of one layer multiplies by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerRadii {
    /// Spectral radius over places spread over the text.
    pub radius: Spread,
    /// Spectral radius at consecutive symbols, from `start` on.
    pub along: Vec<f64>,
    /// Largest singular value over a few places. None: the state is too large to write the Jacobian out.
    pub singular: Option<Spread>,
}

impl Radii {
    /// Measures `places` places spread over a text, and as many consecutive ones in its middle. `warmup` as everywhere.
    ///
    /// Errors: the text is too short; no memory.
    pub fn of(
        model: &CharModel,
        machine: Machine<'_>,
        text: &[u32],
        (places, warmup): (usize, usize),
    ) -> Result<Self, TrainError> {
        machine.0.steady(|| Self::measure(model, machine, text, (places, warmup)))
    }

    fn measure(
        model: &CharModel,
        machine: Machine<'_>,
        text: &[u32],
        (places, warmup): (usize, usize),
    ) -> Result<Self, TrainError> {
        let spread = windows(model, text, &FlowOptions { positions: places, distance: 2, warmup })?;
        let count = places.min(text.len() - 1 - spread.warmup).max(1);
        let start = spread.warmup + (text.len() - spread.warmup - count) / 2;
        let starts: Vec<usize> = spread.starts.iter().copied().chain(start..start + count).collect();
        let lanes = starts.len();
        let mut walker = Walker::new(model, machine, text, (READ_STEPS.min(spread.warmup.max(1)), lanes))?;
        let states = walker.states_before(&starts, spread.warmup);
        let mut step = OneStep::new(model, machine, text, lanes)?;
        step.network.set_state(&states);
        step.read(&starts, 0);
        let mut rows = OneStep::new(model, machine, text, ROW_LANES)?;
        let layers = (0..states.len()).map(|l| {
            let radii = radii(&mut step, l, &states[l]);
            let (spread, along) = radii.split_at(lanes - count);
            let singular = (size(&states[l], lanes) <= SINGULAR_SIZE).then(|| {
                let some = (0..SINGULAR_PLACES.min(spread.len()))
                    .map(|i| i * spread.len() / SINGULAR_PLACES.min(spread.len()));
                let values: Vec<f64> = some
                    .map(|lane| {
                        let state: Vec<LayerState> = states.iter().map(|s| lane_of(s, lane, lanes)).collect();
                        let jacobian = jacobian(&mut rows, l, &state, text[starts[lane]]);
                        singular_value(&jacobian, size(&states[l], lanes))
                    })
                    .collect();
                Spread::of(&values)
            });
            LayerRadii { radius: Spread::of(spread), along: along.to_vec(), singular }
        });
        Ok(Self { start, layers: layers.collect() })
    }
}

/// Numbers of a layer's state in one lane.
fn size(state: &LayerState, lanes: usize) -> usize {
    (state.h.len() + state.c.as_ref().map_or(0, Vec::len)) / lanes
}

/// One lane of a state.
pub(super) fn lane_of(state: &LayerState, lane: usize, lanes: usize) -> LayerState {
    let row = |x: &[f32]| x[lane * (x.len() / lanes)..][..x.len() / lanes].to_vec();
    LayerState { h: row(&state.h), c: state.c.as_deref().map(row) }
}

/// Spectral radius of layer `l` in each lane, at the states and symbols that `step` has.
pub(super) fn radii(step: &mut OneStep<'_>, l: usize, like: &LayerState) -> Vec<f64> {
    let lanes = step.lanes();
    let mut u = like.clone();
    let draw = |x: &mut [f32], stream: u32| {
        x.iter_mut().zip(0..).for_each(|(x, i)| *x = (uniform(SEED, Purpose::Sample, stream, i) - 0.5) as f32);
    };
    draw(&mut u.h, 0);
    u.c.iter_mut().for_each(|c| draw(c, 1));
    let mut growth = vec![0.0; lanes];
    for i in 0..ITERATIONS {
        for (lane, growth) in growth.iter_mut().enumerate() {
            let (h, c) = (u.h.len() / lanes, u.c.as_ref().map_or(0, |c| c.len() / lanes));
            let row = &mut u.h[lane * h..][..h];
            let all = squares(row) + u.c.as_ref().map_or(0.0, |x| squares(&x[lane * c..][..c]));
            let length = all.sqrt();
            // What came back from a direction of length 1.
            if i > ITERATIONS - COUNTED {
                *growth += libm::log(length);
            }
            let shorten = |x: &mut f32| *x = if length > 0.0 { (f64::from(*x) / length) as f32 } else { 0.0 };
            row.iter_mut().for_each(shorten);
            if let Some(x) = &mut u.c {
                x[lane * c..][..c].iter_mut().for_each(shorten);
            }
        }
        step.forward();
        step.network.set_final_grad_of(l, &u.h, u.c.as_deref());
        step.backward();
        step.network.initial_grad_of(l, &mut u.h, u.c.as_deref_mut());
    }
    for (lane, growth) in growth.iter_mut().enumerate() {
        let (h, c) = (u.h.len() / lanes, u.c.as_ref().map_or(0, |c| c.len() / lanes));
        let all = squares(&u.h[lane * h..][..h]) + u.c.as_ref().map_or(0.0, |x| squares(&x[lane * c..][..c]));
        *growth = libm::exp((*growth + libm::log(all.sqrt())) / COUNTED as f64);
    }
    growth
}

/// J of layer `l` at one place: row i is the gradient of unit i of the new state (h, then c) to the old one.
pub(super) fn jacobian(step: &mut OneStep<'_>, l: usize, state: &[LayerState], symbol: u32) -> Vec<f64> {
    let lanes = step.lanes();
    let many: Vec<LayerState> =
        state.iter().map(|s| LayerState { h: s.h.repeat(lanes), c: s.c.as_ref().map(|c| c.repeat(lanes)) }).collect();
    step.network.set_state(&many);
    step.ids.fill(symbol);
    let (h, c) = (state[l].h.len(), state[l].c.as_ref().map_or(0, Vec::len));
    let mut out = Vec::with_capacity((h + c) * (h + c));
    let mut u = many[l].clone();
    for first in (0..h + c).step_by(lanes) {
        let units = first..(first + lanes).min(h + c);
        u.h.fill(0.0);
        u.c.iter_mut().for_each(|c| c.fill(0.0));
        for (lane, unit) in units.clone().enumerate() {
            match &mut u.c {
                Some(x) if unit >= h => x[lane * c + unit - h] = 1.0,
                _ => u.h[lane * h + unit] = 1.0,
            }
        }
        step.forward();
        step.network.set_final_grad_of(l, &u.h, u.c.as_deref());
        step.backward();
        step.network.initial_grad_of(l, &mut u.h, u.c.as_deref_mut());
        for lane in 0..units.len() {
            out.extend(u.h[lane * h..][..h].iter().map(|&x| f64::from(x)));
            out.extend(u.c.iter().flat_map(|x| &x[lane * c..][..c]).map(|&x| f64::from(x)));
        }
    }
    out
}

/// The largest singular value of a square matrix of `size`, by power iteration on its transpose times itself.
pub(super) fn singular_value(matrix: &[f64], size: usize) -> f64 {
    let mut v: Vec<f64> = (0..size as u64).map(|i| uniform(SEED, Purpose::Sample, 2, i) - 0.5).collect();
    let mut value = 0.0;
    for _ in 0..SINGULAR_ITERATIONS {
        let length = v.iter().fold(0.0, |sum, x| sum + x * x).sqrt();
        if length == 0.0 {
            return 0.0;
        }
        v.iter_mut().for_each(|x| *x /= length);
        let image: Vec<f64> =
            matrix.chunks_exact(size).map(|row| row.iter().zip(&v).fold(0.0, |sum, (a, b)| sum + a * b)).collect();
        value = image.iter().fold(0.0, |sum, x| sum + x * x).sqrt();
        v.fill(0.0);
        for (row, y) in matrix.chunks_exact(size).zip(&image) {
            v.iter_mut().zip(row).for_each(|(x, a)| *x += a * y);
        }
    }
    value
}
