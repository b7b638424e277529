//! Units that a gradient does not get through: gates that are stuck, states at tanh's ends, units that stand still.
//!
//! ```text
//! open, closed    share of all (unit, symbol) at which a gate is above 0.9, below 0.1
//! stuck           units whose gate is so at 99 of 100 symbols
//! saturated       |h| above 0.9: of an RNN the slope 1 - h^2 is then below 0.19, and what passes back is cut to that
//! dead            units whose h has a standard deviation below 0.01: whatever is read, it says the same
//! ```
//!
//! A stuck gate need not be a fault: a forget gate that is always open is a unit that keeps, an update gate likewise.

use super::Machine;
use crate::error::TrainError;
use crate::model::CharModel;
use crate::trace::TracePlan;
use gatemill_cell::Part;
use gatemill_kernels::LANES;
use serde::{Deserialize, Serialize};

/// Above this a gate is open, |h| saturated; below one minus it a gate is closed.
const OPEN: f32 = 0.9;
const CLOSED: f32 = 0.1;
/// Share of the symbols at which a unit must be so to be called stuck.
const STUCK: f64 = 0.99;
/// Standard deviation of h below which a unit is called dead.
const STILL: f64 = 0.01;
/// Symbols that are looked at, from the text's start.
const SYMBOLS: usize = 1 << 16;

/// The units of one layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerUnits {
    /// H.
    pub units: usize,
    /// Its gates, in PyTorch's order; none of an RNN.
    pub gates: Vec<GateUnits>,
    /// Share of all (unit, symbol) at which |h| is above 0.9.
    pub saturated: f64,
    /// Units of which that holds at 99 of 100 symbols.
    pub saturated_units: usize,
    /// Units whose h hardly moves.
    pub dead_units: usize,
}

/// One gate of all units of a layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateUnits {
    /// Its letter: i, f, o; r, z.
    pub gate: String,
    /// Share of all (unit, symbol) at which it is above 0.9.
    pub open: f64,
    /// Share at which it is below 0.1.
    pub closed: f64,
    /// Units at which it is open at 99 of 100 symbols.
    pub stuck_open: usize,
    /// Units at which it is closed at 99 of 100 symbols.
    pub stuck_closed: usize,
}

/// What is counted of one part of one unit.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    open: u64,
    closed: u64,
    sum: f64,
    squares: f64,
}

/// Counts over the first 65,536 symbols of a text, by layer. Errors: no memory, an empty text.
pub fn units(model: &CharModel, machine: Machine<'_>, text: &[u32]) -> Result<Vec<LayerUnits>, TrainError> {
    let text = &text[..text.len().min(SYMBOLS)];
    if text.is_empty() {
        return Err(TrainError::Symbols("no symbols: units are counted over a text".to_owned()));
    }
    let (layers, hidden) = (model.config.layers, model.config.hidden);
    let parts: Vec<Part> = model.parts().iter().copied().filter(|part| *part == Part::Hidden || part.opens()).collect();
    let mut counts = vec![Count::default(); layers * parts.len() * hidden];
    model.trace(text, &TracePlan::whole(text.len()), machine, |trace| {
        for (l, of_layer) in counts.chunks_exact_mut(parts.len() * hidden).enumerate() {
            for (&part, of_part) in parts.iter().zip(of_layer.chunks_exact_mut(hidden)) {
                for (vector, of_units) in of_part.chunks_mut(LANES).enumerate() {
                    for &moment in trace.moments() {
                        for (count, &x) in of_units.iter_mut().zip(trace.units(l, part, vector, moment)) {
                            let size = if part == Part::Hidden { x.abs() } else { x };
                            count.open += u64::from(size > OPEN);
                            count.closed += u64::from(size < CLOSED);
                            count.sum += f64::from(x);
                            count.squares += f64::from(x) * f64::from(x);
                        }
                    }
                }
            }
        }
        Ok::<_, TrainError>(())
    })?;
    let symbols = text.len() as f64;
    let share = |counts: &[Count], of: fn(&Count) -> u64| {
        counts.iter().map(of).sum::<u64>() as f64 / (symbols * counts.len() as f64)
    };
    let stuck = |counts: &[Count], of: fn(&Count) -> u64| {
        counts.iter().filter(|count| of(count) as f64 >= STUCK * symbols).count()
    };
    let still = |count: &&Count| {
        let mean = count.sum / symbols;
        (count.squares / symbols - mean * mean).max(0.0).sqrt() < STILL
    };
    let layer = |of_layer: &[Count]| {
        let mut of_parts = parts.iter().zip(of_layer.chunks_exact(hidden));
        let h = of_parts.next().map_or(&[][..], |(_, counts)| counts);
        LayerUnits {
            units: hidden,
            saturated: share(h, |count| count.open),
            saturated_units: stuck(h, |count| count.open),
            dead_units: h.iter().filter(still).count(),
            gates: of_parts
                .map(|(part, counts)| GateUnits {
                    gate: part.letter().to_owned(),
                    open: share(counts, |count| count.open),
                    closed: share(counts, |count| count.closed),
                    stuck_open: stuck(counts, |count| count.open),
                    stuck_closed: stuck(counts, |count| count.closed),
                })
                .collect(),
        }
    };
    Ok(counts.chunks_exact(parts.len() * hidden).map(layer).collect())
}
