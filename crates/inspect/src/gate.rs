//! How often each gate is open, closed, or between: by layer, and unit by unit as in the 2015 paper's scatter.
//!
//! Open is above 0.9, closed below 0.1. Of a tanh (h, g, n) the ends are above 0.9 and below -0.9: saturated. Counted over
//! the characters that the probes compare.

use crate::probe::{Column, Columns, Tally};
use serde::Serialize;

/// One part of all units of a layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerUse {
    /// From 0.
    pub layer: usize,
    /// Its letter.
    pub part: &'static str,
    /// A sigmoid: it opens and closes. Otherwise a tanh, whose ends are of either sign.
    pub opens: bool,
    /// Share of the time, mean over units.
    pub open: f64,
    /// Likewise.
    pub closed: f64,
    /// What is left.
    pub between: f64,
    /// `[closed, open]` of each unit, to four decimals.
    pub units: Vec<[f64; 2]>,
}

/// Every part that has ends, by layer.
pub fn layers(tally: &Tally, columns: Columns) -> Vec<LayerUse> {
    let mut all = Vec::new();
    for layer in 0..columns.layers {
        for &part in columns.parts {
            let of = |unit: usize| tally.gate_use(Column { layer, part, unit });
            let units: Vec<_> = (0..columns.hidden).filter_map(of).collect();
            if units.is_empty() {
                continue;
            }
            let mean = |of: fn(&crate::probe::GateUse) -> f64| units.iter().map(of).sum::<f64>() / units.len() as f64;
            let (open, closed) = (mean(|u| u.open), mean(|u| u.closed));
            let short = |x: f64| (x * 1e4).round() / 1e4;
            all.push(LayerUse {
                layer,
                part: part.letter(),
                opens: part.opens(),
                open,
                closed,
                between: (1.0 - open - closed).max(0.0),
                units: units.iter().map(|u| [short(u.closed), short(u.open)]).collect(),
            });
        }
    }
    all
}
