//! One pass over the text with everything in view: for each letter the sums, gates, states, logits, softmax and loss.
//!
//! h, c and the logits are what the engine's `Reader` gives, one step at a time (the same bits as a whole pass). The parts
//! before them are worked out here in f64 from the engine's weights and its state before the step.

use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use gatemill_train::{CellKind, CharModel, Reader, TrainError};
use serde::Serialize;

use super::{Hello, Matrix, best, softmax};

/// A vector on the way to the state.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// With the step's number: `i_1`.
    pub name: String,
    /// How it comes about.
    pub equation: &'static str,
    /// `[H]`
    pub values: Vec<f64>,
}

/// A step of the pass.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// From 1.
    pub t: usize,
    /// The letter that is read.
    pub read: char,
    /// Its id.
    pub id: usize,
    /// The letter after it.
    pub target: char,
    /// Its id.
    pub target_id: usize,
    /// What comes before the state.
    pub parts: Vec<Part>,
    /// `[H]` the cell state, of an LSTM: the engine's.
    pub c: Option<Vec<f32>>,
    /// `[H]` the hidden state: the engine's.
    pub h: Vec<f32>,
    /// `[V]` the engine's.
    pub logits: Vec<f32>,
    /// `[V]` softmax of the logits.
    pub p: Vec<f64>,
    /// The most likely letter.
    pub predicted: char,
    /// -ln p of the target.
    pub nats: f64,
    /// `[V]` the gradient of the mean loss to the logits: (p - one-hot of the target) / T.
    pub d_logits: Vec<f64>,
}

/// The steps of a pass from h_0 = 0.
pub(super) fn steps(
    model: &CharModel,
    (weights, vocabulary): (&[Matrix], &[char]),
    inputs: &[u32],
    targets: &[u32],
    (crew, kernels): (&Crew, &Kernels),
) -> Result<Vec<Step>, TrainError> {
    let mut reader = Reader::new(model, 1, 1)?;
    let letter = |id: usize| vocabulary.get(id).copied().unwrap_or('\u{fffd}');
    let mut steps = Vec::with_capacity(inputs.len());
    for (t, (&id, &target)) in (1..).zip(inputs.iter().zip(targets)) {
        let (id, target_id) = (id as usize, target as usize);
        let before = reader.state();
        let mut logits = vec![0.0; vocabulary.len()];
        reader.read(model, (crew, kernels), &[id as u32], &mut logits)?;
        let after = reader.state();
        let h_before: Vec<f64> = before.first().map_or(&[][..], |layer| &layer.h).iter().map(|&h| h.into()).collect();
        let (h, c) = after.into_iter().next().map_or((Vec::new(), None), |layer| (layer.h, layer.c));
        let p = softmax(&logits);
        let scale = inputs.len() as f64;
        let d_logits = (0..p.len()).map(|k| (p[k] - if k == target_id { 1.0 } else { 0.0 }) / scale).collect();
        steps.push(Step {
            t,
            read: letter(id),
            id,
            target: letter(target_id),
            target_id,
            parts: parts(model.config.cell, weights, id, &h_before, t),
            c,
            h,
            predicted: letter(best(&p)),
            nats: -libm::log(p[target_id]),
            logits,
            p,
            d_logits,
        });
    }
    Ok(steps)
}

fn sigmoid(a: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-a))
}

/// The vectors before the state, in the order in which they come about.
fn parts(cell: CellKind, weights: &[Matrix], id: usize, h: &[f64], t: usize) -> Vec<Part> {
    let matrix = |name| Hello::matrix(weights, name);
    let (Some(w_xh), Some(w_hh), Some(b_xh), Some(b_hh)) =
        (matrix("W_xh"), matrix("W_hh"), matrix("b_xh"), matrix("b_hh"))
    else {
        return Vec::new();
    };
    let hidden = h.len();
    let from_h = |row: usize| (0..hidden).fold(0.0, |sum, k| sum + w_hh.at(row, k) * h[k]);
    let block = |gate: usize| gate * hidden..(gate + 1) * hidden;
    let sum = |row: usize| w_xh.at(row, id) + b_xh.at(row, 0) + from_h(row) + b_hh.at(row, 0);
    let part = |name: &str, equation, values: Vec<f64>| Part { name: format!("{name}_{t}"), equation, values };
    let gate = |gate: usize, name, equation, activation: fn(f64) -> f64| {
        part(name, equation, block(gate).map(|row| activation(sum(row))).collect())
    };
    match cell {
        CellKind::Rnn => vec![
            Part {
                name: format!("W_xh x_{t}"),
                equation: "the column of W_xh that the letter picks",
                values: block(0).map(|row| w_xh.at(row, id)).collect(),
            },
            Part {
                name: format!("W_hh h_{}", t - 1),
                equation: "what the state before brings",
                values: block(0).map(from_h).collect(),
            },
            part("a", "W_xh x_t + W_hh h_{t-1} + b_xh + b_hh", block(0).map(sum).collect()),
        ],
        CellKind::Lstm => vec![
            gate(0, "i", "sigmoid(W_xi x_t + W_hi h_{t-1} + b_i): how much is written", sigmoid),
            gate(1, "f", "sigmoid(W_xf x_t + W_hf h_{t-1} + b_f): how much is kept", sigmoid),
            gate(2, "g", "tanh(W_xg x_t + W_hg h_{t-1} + b_g): what is written", libm::tanh),
            gate(3, "o", "sigmoid(W_xo x_t + W_ho h_{t-1} + b_o): how much is shown", sigmoid),
        ],
        CellKind::Gru => {
            let r = gate(0, "r", "sigmoid(W_xr x_t + W_hr h_{t-1} + b_r): how much of the past is heard", sigmoid);
            let z = gate(1, "z", "sigmoid(W_xz x_t + W_hz h_{t-1} + b_z): how much is kept", sigmoid);
            let new = block(2)
                .zip(&r.values)
                .map(|(row, r)| libm::tanh(w_xh.at(row, id) + b_xh.at(row, 0) + r * (from_h(row) + b_hh.at(row, 0))));
            let n = part("n", "tanh(W_xn x_t + b_xn + r_t * (W_hn h_{t-1} + b_hn)): what is new", new.collect());
            vec![r, z, n]
        }
    }
}
