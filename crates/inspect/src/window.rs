//! What the page shows: a part of the text, and over it the values of some units, a byte each.
//!
//! All values of all units over a text are more than a page can hold (a 3x512 LSTM: nine thousand numbers a character). So
//! the page has a stretch of the held-out half, and as many units as fit [`MOST_BYTES`]: those that were asked for,
//! those with a name, the best of each label, then the others in their order.

use crate::label::Label;
use crate::probe::{Columns, Probe};
use crate::text::Text;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gatemill_cell::Part;
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use gatemill_train::{CharModel, TracePlan, TrainError};
use serde::Serialize;
use std::ops::Range;

/// Values that a page holds.
pub const MOST_BYTES: usize = 12_000_000;
/// Steps of a value's byte: an even number, so that the middle is exact.
const STEPS: f32 = 254.0;

/// A label over the window.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Marks {
    /// Its name.
    pub name: String,
    /// A byte a character, base64.
    pub values: String,
}

/// A unit over the window.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Kept {
    /// From 0.
    pub layer: usize,
    /// From 0.
    pub unit: usize,
    /// What byte 0 and byte 254 stand for, by part; in between linear.
    pub scales: Vec<[f32; 2]>,
    /// `[part][character]`, a byte each, base64.
    pub values: String,
}

/// A part of the text with values over it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Window {
    /// The first character's place in the text.
    pub from: usize,
    /// The characters.
    pub text: String,
    /// Letters of a unit's parts.
    pub parts: Vec<&'static str>,
    /// The labels.
    pub marks: Vec<Marks>,
    /// The units, in the order in which they were chosen.
    pub units: Vec<Kept>,
}

/// Which units a window of `chars` characters has.
pub fn choose(probe: &Probe, columns: Columns, asked: &[(usize, usize)], chars: usize) -> Vec<(usize, usize)> {
    let most = (MOST_BYTES / (columns.parts.len() * chars.max(1))).max(1);
    let mut seen = vec![false; columns.layers * columns.hidden];
    let ranked = (0..).map_while(|rank| {
        let of_rank: Vec<_> = probe.labels.iter().filter_map(|l| l.best.get(rank)).map(|c| (c.layer, c.unit)).collect();
        (!of_rank.is_empty()).then_some(of_rank)
    });
    let named = probe.names.iter().map(|c| (c.layer, c.unit));
    let all = (0..columns.layers).flat_map(|layer| (0..columns.hidden).map(move |unit| (layer, unit)));
    let wanted = asked.iter().copied().chain(named).chain(ranked.flatten()).chain(all);
    wanted
        .filter(|&(layer, unit)| !std::mem::replace(&mut seen[layer * columns.hidden + unit], true))
        .take(most)
        .collect()
}

/// Reads the window's characters and keeps the values of `units` over them.
pub fn window(
    model: &CharModel,
    text: &Text,
    labels: &[Label],
    (units, chars): (&[(usize, usize)], Range<usize>),
    (crew, kernels): (&Crew, &Kernels),
) -> Result<Window, TrainError> {
    let columns = Columns::of(model);
    let (parts, count) = (columns.parts, chars.len());
    let mut values = vec![0.0f32; units.len() * parts.len() * count];
    let per_unit = parts.len() * count;
    let borders: Vec<usize> = (0..=units.len()).map(|i| i * per_unit).collect();
    // One lane: a window is short, and its first characters are as exact as its last.
    let plan = TracePlan::part(text.symbols(chars.start, chars.end));
    model.trace(&text.ids, &plan, (crew, kernels), |trace| {
        crew.tiles(&mut values, &borders, |i, out| {
            let (layer, unit) = units[i];
            for (&part, out) in parts.iter().zip(out.chunks_exact_mut(count.max(1))) {
                for &moment in trace.moments() {
                    if let Some(at) = text.char_of(moment.at) {
                        out[at - chars.start] = trace.unit(layer, part, unit, moment);
                    }
                }
            }
        });
        Ok::<(), TrainError>(())
    })?;
    let kept = |(i, &(layer, unit)): (usize, &(usize, usize))| {
        let mut bytes = Vec::with_capacity(per_unit);
        let values = values[i * per_unit..][..per_unit].chunks_exact(count.max(1));
        let scales = parts.iter().zip(values).map(|(&part, values)| quantised(part, values, &mut bytes)).collect();
        Kept { layer, unit, scales, values: STANDARD.encode(&bytes) }
    };
    let marks =
        |label: &Label| Marks { name: label.name.clone(), values: STANDARD.encode(&label.values[chars.clone()]) };
    Ok(Window {
        from: chars.start,
        text: text.chars[chars.clone()].iter().collect(),
        parts: parts.iter().map(|part| part.letter()).collect(),
        marks: labels.iter().map(marks).collect(),
        units: units.iter().enumerate().map(kept).collect(),
    })
}

/// Values as bytes, and what the ends stand for: 0 and 1 of a gate, else the largest size with either sign.
fn quantised(part: Part, values: &[f32], bytes: &mut Vec<u8>) -> [f32; 2] {
    let largest = values.iter().filter(|v| v.is_finite()).fold(0.0f32, |most, v| most.max(v.abs()));
    let (least, most) = if part.opens() { (0.0, 1.0) } else { (-largest.max(1e-6), largest.max(1e-6)) };
    bytes.extend(values.iter().map(|v| ((v - least) / (most - least) * STEPS).round().clamp(0.0, STEPS) as u8));
    [least, most]
}
