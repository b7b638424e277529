//! Interventions: a copy of a model in which units are held at a value, exactly, through its weights.
//!
//! ```text
//! h_j held at v:   column j of whatever reads h (W_hh of its layer, W_ih of the next, the readout) goes into that one's
//!                  bias as v times the column, and becomes 0
//! c_j held at v:   rows j of i, f, g become 0, with biases such that i = 1, f = 0, g = v at every step: c_t = v
//! ```
//!
//! What reads it sees the value from the first step on, as if the state began with it. Nothing else of the engine knows: the
//! copy is evaluated, sampled and traced like any model, at the same speed.
//!
//! g = tanh(bias) comes near 1 at most, so c is held at v within [-0.75, 0.75] and beyond that at +-0.75, with the column of
//! everything that reads h_j stretched by tanh(v) / tanh(0.75): h = o tanh(c) is all that c is read for.
//!
//! Exactness: at 0 the bits are those of a state that is overwritten with 0 (a product of 0 adds nothing); elsewhere as near
//! as f32 rounds.

use crate::checkpoint::{Snapshot, Tensor};
use crate::config::{CellKind, ConfigError};
use crate::error::TrainError;
use crate::model::CharModel;
use gatemill_cell::Part;
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use serde_json::Value;

/// A unit that is held.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hold {
    /// From 0, as in the tensors' names.
    pub layer: usize,
    /// From 0.
    pub unit: usize,
    /// h, or an LSTM's c.
    pub part: Part,
    /// At what.
    pub value: f64,
}

/// Where c itself is held, at most: tanh(0.97) is 0.75, and f32 is still fine there.
const MOST_C: f64 = 0.75;
/// A bias that shuts or opens a gate: sigmoid(200) is 1 and sigmoid(-200) less than 2^-126.
const SHUT: f64 = 200.0;

impl CharModel {
    /// A copy of the model in which these units are held. Errors: a unit or part that it has not, a value that is no number,
    /// no memory.
    pub fn held(&self, holds: &[Hold], crew: &Crew, kernels: &Kernels) -> Result<Self, TrainError> {
        let mut copy = self.snapshot().held();
        if self.config.tied && holds.iter().any(|hold| hold.layer + 1 == self.config.layers) {
            untie(&mut copy);
        }
        for hold in holds {
            self.check(hold)?;
            match hold.part {
                Part::Cell => self.hold_cell(&mut copy, hold)?,
                _ => self.each_reader(&mut copy, hold, |weight, bias| {
                    *bias = (f64::from(*bias) + hold.value * f64::from(*weight)) as f32;
                    *weight = 0.0;
                })?,
            }
        }
        Self::load(&copy, crew, kernels)
    }

    fn check(&self, hold: &Hold) -> Result<(), ConfigError> {
        let name = format!("{}:{}:{}={}", hold.part.letter(), hold.layer, hold.unit, hold.value);
        let check = |holds: bool, reason| {
            if holds { Ok(()) } else { Err(ConfigError { flag: "hold", value: name.clone(), reason }) }
        };
        check(hold.layer < self.config.layers, "names a layer that the model has not: they count from 0")?;
        check(hold.unit < self.config.hidden, "names a unit that the model has not: they count from 0")?;
        let held = hold.part == Part::Hidden || hold.part == Part::Cell && self.config.cell == CellKind::Lstm;
        check(held, "names what cannot be held: h can, and an LSTM's c")?;
        check(hold.value.is_finite() && hold.value.abs() < 1e6, "must be held at a number")
    }

    /// Calls `f(weight, bias)` for every row that reads h of the unit.
    fn each_reader(
        &self,
        copy: &mut Snapshot,
        hold: &Hold,
        mut f: impl FnMut(&mut f32, &mut f32),
    ) -> Result<(), TrainError> {
        let (l, next) = (hold.layer, hold.layer + 1);
        let above = if next < self.config.layers {
            (format!("rnn.weight_ih_l{next}"), format!("rnn.bias_ih_l{next}"))
        } else {
            ("head.weight".to_owned(), "head.bias".to_owned())
        };
        for (weight, bias) in [(format!("rnn.weight_hh_l{l}"), format!("rnn.bias_hh_l{l}")), above] {
            let mut biases = std::mem::take(tensor(copy, &bias)?);
            let weights = tensor(copy, &weight)?.chunks_exact_mut(self.config.hidden);
            weights.zip(&mut biases).for_each(|(row, bias)| f(&mut row[hold.unit], bias));
            *tensor(copy, &bias)? = biases;
        }
        Ok(())
    }

    fn hold_cell(&self, copy: &mut Snapshot, hold: &Hold) -> Result<(), TrainError> {
        let (l, hidden) = (hold.layer, self.config.hidden);
        let within = hold.value.clamp(-MOST_C, MOST_C);
        // Rows of i, f, g in PyTorch's order.
        for (gate, at) in [SHUT, -SHUT, libm::atanh(within)].into_iter().enumerate() {
            let row = gate * hidden + hold.unit;
            for name in ["weight_ih", "weight_hh"] {
                let weights = tensor(copy, &format!("rnn.{name}_l{l}"))?;
                let columns = weights.len() / (4 * hidden);
                weights[row * columns..][..columns].fill(0.0);
            }
            tensor(copy, &format!("rnn.bias_ih_l{l}"))?[row] = at as f32;
            tensor(copy, &format!("rnn.bias_hh_l{l}"))?[row] = 0.0;
        }
        if within != hold.value {
            let stretch = libm::tanh(hold.value) / libm::tanh(within);
            self.each_reader(copy, hold, |weight, _| *weight = (f64::from(*weight) * stretch) as f32)?;
        }
        Ok(())
    }
}

/// The readout's matrix is edited, and the embedding must stay: from here on they are two.
fn untie(copy: &mut Snapshot) {
    if let Some(head) = copy.tensor("head.weight").cloned() {
        copy.tensors.insert(0, Tensor { name: "embedding.weight".to_owned(), ..head });
    }
    if let Some(meta) = &mut copy.meta {
        meta.remove("tied");
        if let Some(Value::Object(config)) = meta.get_mut("config") {
            config.insert("tied".to_owned(), false.into());
        }
    }
}

fn tensor<'a>(copy: &'a mut Snapshot, name: &str) -> Result<&'a mut Vec<f32>, TrainError> {
    let found = copy.tensors.iter_mut().find(|tensor| tensor.name == name);
    Ok(&mut found.ok_or_else(|| TrainError::Model(format!("`{name}` is missing")))?.data)
}

#[cfg(test)]
mod tests;
