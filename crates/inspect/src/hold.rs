//! Interventions: a unit is held at a value, and what that costs in bits and does to what is written.
//!
//! The model with the held unit is an edited copy (`gatemill_train::Hold`), exact, so that reading and writing are the
//! engine's own. Bits are of the next character, by how the text stands before it: inside the label, or outside.

use crate::label::{Kind, Label};
use crate::text::Text;
use gatemill_cell::Part;
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use gatemill_train::{CharModel, Generator, Hold, SampleOptions, TracePlan, TrainError};
use serde::Serialize;
use std::ops::Range;

/// Characters of a prime, and what is written behind it.
const PRIME: usize = 240;
const WRITTEN: u64 = 320;
/// Characters that a prime goes into a stretch of the label.
const INTO: usize = 12;
const TEMPERATURE: f64 = 0.7;

/// A part of a text by what it costs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bits {
    /// Bits per symbol.
    pub all: f64,
    /// Where the label is not 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inside: Option<f64>,
    /// Where it is 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outside: Option<f64>,
}

/// What is held, and why there.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// The unit and value.
    pub hold: Hold,
    /// `zero`, `as inside`, `as outside`, `as asked`.
    pub why: &'static str,
    /// The label by which bits are told apart: its place among the labels.
    pub label: Option<usize>,
}

/// What a hold has done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Intervention {
    /// From 0.
    pub layer: usize,
    /// From 0.
    pub unit: usize,
    /// The letter.
    pub part: &'static str,
    /// At what it was held.
    pub value: f64,
    /// Why there.
    pub why: &'static str,
    /// By which label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Untouched.
    pub before: Bits,
    /// Held.
    pub after: Bits,
    /// What both go on from.
    pub prime: String,
    /// What the untouched model writes.
    pub written_before: String,
    /// What the held one writes, with the same seed.
    pub written_after: String,
}

/// Reads `stretch` (characters) and writes with and without each hold.
pub fn interventions(
    model: &CharModel,
    text: &Text,
    labels: &[Label],
    (asks, stretch): (&[Ask], Range<usize>),
    seed: u64,
    (crew, kernels): (&Crew, &Kernels),
) -> Result<Vec<Intervention>, TrainError> {
    if asks.is_empty() || stretch.len() < 2 {
        return Ok(Vec::new());
    }
    let before = costs(model, text, stretch.clone(), (crew, kernels))?;
    let mut out = Vec::new();
    for ask in asks {
        let label = ask.label.map(|k| &labels[k]);
        let held = model.held(&[ask.hold], crew, kernels)?;
        let after = costs(&held, text, stretch.clone(), (crew, kernels))?;
        let prime = prime(text, label, stretch.clone());
        let prime = model.vocab.decode(&text.ids[text.symbols(prime.start, prime.end)]);
        let write = |model: &CharModel| -> Result<String, TrainError> {
            let prime = prime.clone();
            let options =
                SampleOptions { prime, length: WRITTEN, temperature: TEMPERATURE, seed, ..SampleOptions::default() };
            let texts = Generator::new(model, &options, crew, kernels)?.texts()?;
            Ok(String::from_utf8_lossy(&texts.concat()).into_owned())
        };
        out.push(Intervention {
            layer: ask.hold.layer,
            unit: ask.hold.unit,
            part: ask.hold.part.letter(),
            value: ask.hold.value,
            why: ask.why,
            label: label.map(|label| label.name.clone()),
            before: bits(&before, text, label),
            after: bits(&after, text, label),
            prime: String::from_utf8_lossy(&prime).into_owned(),
            written_before: write(model)?,
            written_after: write(&held)?,
        });
    }
    Ok(out)
}

/// `(symbol, nats of the next)` over some characters, in order.
fn costs(
    model: &CharModel,
    text: &Text,
    stretch: Range<usize>,
    (crew, kernels): (&Crew, &Kernels),
) -> Result<Vec<(usize, f32)>, TrainError> {
    let mut all = Vec::with_capacity(stretch.len());
    let plan = TracePlan::part(text.symbols(stretch.start, stretch.end));
    model.trace(&text.ids, &plan, (crew, kernels), |trace| {
        let known = |at: usize| text.ids.get(at + 1).is_some_and(|&id| (id as usize) < model.vocab.len());
        let counted = trace.moments().iter().filter(|moment| known(moment.at));
        all.extend(counted.map(|&moment| (moment.at, trace.nats(moment))));
        Ok::<(), TrainError>(())
    })?;
    all.sort_unstable_by_key(|&(at, _)| at);
    Ok(all)
}

fn bits(costs: &[(usize, f32)], text: &Text, label: Option<&Label>) -> Bits {
    let mean = |chosen: &dyn Fn(usize) -> bool| -> Option<f64> {
        let costs = costs.iter().filter(|&&(at, _)| chosen(at));
        let (sum, count) = costs.fold((0.0, 0u64), |(sum, n), &(_, nats)| (sum + f64::from(nats), n + 1));
        (count > 0).then(|| sum / count as f64 / std::f64::consts::LN_2)
    };
    let stands = |at: usize, inside: bool| -> bool {
        let values = label.map(|label| &label.values);
        values.zip(text.char_of(at)).is_some_and(|(values, i)| (values[i] > 0) == inside)
    };
    let by = |inside: bool| label.and_then(|_| mean(&|at| stands(at, inside)));
    Bits { all: mean(&|_| true).unwrap_or(0.0), inside: by(true), outside: by(false) }
}

/// Characters up to a little behind the first begin of the label in the stretch, or simply the first of it.
fn prime(text: &Text, label: Option<&Label>, stretch: Range<usize>) -> Range<usize> {
    let from = (stretch.start + PRIME).min(stretch.end);
    let binary = label.filter(|label| label.kind == Kind::Binary);
    let begins = |values: &[u8], i: usize| {
        let stays = values[i..].iter().take(INTO + 1).filter(|v| **v > 0).count() > INTO;
        i > 0 && values[i - 1] == 0 && stays
    };
    let end = binary.and_then(|label| (from..stretch.end).find(|&i| begins(&label.values, i)).map(|i| i + INTO));
    let end = end.unwrap_or(from).min(text.len());
    end.saturating_sub(PRIME)..end
}

/// Reads `[h:|c:]LAYER:UNIT=VALUE`; without a letter it is an LSTM's c, else h.
pub fn parse_hold(text: &str, lstm: bool) -> Result<Hold, String> {
    let wrong = || format!("`{text}` is no hold: give LAYER:UNIT=VALUE, as in 1:34=0, or h:1:34=0.5");
    let (place, value) = text.split_once('=').ok_or_else(wrong)?;
    let value: f64 = value.trim().parse().map_err(|_| wrong())?;
    let fields: Vec<&str> = place.split(':').map(str::trim).collect();
    let (part, layer, unit) = match fields[..] {
        [layer, unit] => (if lstm { Part::Cell } else { Part::Hidden }, layer, unit),
        ["h", layer, unit] => (Part::Hidden, layer, unit),
        ["c", layer, unit] => (Part::Cell, layer, unit),
        _ => return Err(wrong()),
    };
    let number = |text: &str| text.parse().map_err(|_| wrong());
    Ok(Hold { layer: number(layer)?, unit: number(unit)?, part, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_are_read() {
        let hold = |part, layer, unit, value| Ok(Hold { layer, unit, part, value });
        assert_eq!(parse_hold("1:34=0", true), hold(Part::Cell, 1, 34, 0.0));
        assert_eq!(parse_hold("1:34=-2.5", false), hold(Part::Hidden, 1, 34, -2.5));
        assert_eq!(parse_hold("h:0:7=1e-1", true), hold(Part::Hidden, 0, 7, 0.1));
        for wrong in ["", "1:2", "1=3", "1:2=x", "o:1:2=3", "1:2:3:4=5", "-1:2=3"] {
            assert!(parse_hold(wrong, true).is_err_and(|e| e.contains("LAYER:UNIT=VALUE")), "{wrong}");
        }
    }
}
