//! The character model forward, in plain f64 loops: what the kernels are held to where no hash is committed.
//!
//! ```text
//! a_x = W_ih x + b_ih        a_h = W_hh h + b_hh        x of layer 0: a column of W_ih; a symbol never seen: zeros
//! rnn   h = tanh(a_x + a_h)
//! lstm  i, f, o = sigmoid(a_x + a_h), g = tanh(a_x + a_h); c = f c + i g; h = o tanh(c)
//! gru   r, z = sigmoid(a_x + a_h); n = tanh(a_x + r a_h); h = (1 - z) n + z h
//! logits = W h + b
//! ```
//!
//! One step of one lane at a time, from tensors in PyTorch's names, shapes and gate order. It shares nothing with the
//! kernels but the weights; a test holds it to `tests/oracle`.

use crate::config::CellKind;
use crate::model::CharModel;

/// The weights.
#[derive(Debug)]
pub(super) struct Truth {
    cell: CellKind,
    layers: Vec<Layer>,
    /// `[V, H]`, `[V]`
    head_weight: Vec<f32>,
    head_bias: Vec<f32>,
}

#[derive(Debug)]
struct Layer {
    /// `[G*H, I]`, `[G*H, H]`
    weight_ih: Vec<f32>,
    weight_hh: Vec<f32>,
    /// `[G*H]`
    bias_ih: Vec<f32>,
    bias_hh: Vec<f32>,
}

/// Where one lane stands: h and c of each layer; c of an LSTM alone.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    h: Vec<Vec<f64>>,
    c: Vec<Vec<f64>>,
}

impl Truth {
    /// The weights of a model as they are.
    pub(super) fn of(model: &CharModel) -> Self {
        let tensor = |name: &str| {
            let spec = model.params.specs().iter().find(|spec| spec.name == name);
            spec.map_or(Vec::new(), |spec| model.params.get(spec))
        };
        Self::new(model.config.cell, model.config.layers, tensor)
    }
    /// Weights by name.
    pub(super) fn new(cell: CellKind, layers: usize, tensor: impl Fn(&str) -> Vec<f32>) -> Self {
        let layer = |l: usize| Layer {
            weight_ih: tensor(&format!("rnn.weight_ih_l{l}")),
            weight_hh: tensor(&format!("rnn.weight_hh_l{l}")),
            bias_ih: tensor(&format!("rnn.bias_ih_l{l}")),
            bias_hh: tensor(&format!("rnn.bias_hh_l{l}")),
        };
        let layers = (0..layers).map(layer).collect();
        Self { cell, layers, head_weight: tensor("head.weight"), head_bias: tensor("head.bias") }
    }
    fn hidden(&self) -> usize {
        self.head_weight.len() / self.head_bias.len().max(1)
    }
    /// A lane in the state of zeros.
    pub(super) fn lane(&self) -> Lane {
        let zeros = vec![vec![0.0; self.hidden()]; self.layers.len()];
        Lane { c: zeros.clone(), h: zeros }
    }
    /// The lane reads a symbol: the logits of the next.
    pub(super) fn read(&self, lane: &mut Lane, symbol: usize) -> Vec<f64> {
        let hidden = self.hidden();
        for (l, layer) in self.layers.iter().enumerate() {
            let mut a_x: Vec<f64> = layer.bias_ih.iter().map(|&b| f64::from(b)).collect();
            if l > 0 {
                add_product(&mut a_x, &layer.weight_ih, &lane.h[l - 1]);
            } else if symbol < self.head_bias.len() {
                let columns = layer.weight_ih.iter().skip(symbol).step_by(self.head_bias.len());
                a_x.iter_mut().zip(columns).for_each(|(a, &w)| *a += f64::from(w));
            }
            let mut a_h: Vec<f64> = layer.bias_hh.iter().map(|&b| f64::from(b)).collect();
            add_product(&mut a_h, &layer.weight_hh, &lane.h[l]);
            for j in 0..hidden {
                let (x, h) = (|gate: usize| a_x[gate * hidden + j], |gate: usize| a_h[gate * hidden + j]);
                let a = |gate: usize| x(gate) + h(gate);
                lane.h[l][j] = match self.cell {
                    CellKind::Rnn => libm::tanh(a(0)),
                    CellKind::Lstm => {
                        let (i, f, g, o) = (sigmoid(a(0)), sigmoid(a(1)), libm::tanh(a(2)), sigmoid(a(3)));
                        lane.c[l][j] = f * lane.c[l][j] + i * g;
                        o * libm::tanh(lane.c[l][j])
                    }
                    CellKind::Gru => {
                        let (r, z) = (sigmoid(a(0)), sigmoid(a(1)));
                        let n = libm::tanh(x(2) + r * h(2));
                        (1.0 - z) * n + z * lane.h[l][j]
                    }
                };
            }
        }
        let mut logits: Vec<f64> = self.head_bias.iter().map(|&b| f64::from(b)).collect();
        if let Some(h) = lane.h.last() {
            add_product(&mut logits, &self.head_weight, h);
        }
        logits
    }
}

/// `out[r] += sum over k of w[r, k] x[k]`
fn add_product(out: &mut [f64], w: &[f32], x: &[f64]) {
    for (out, row) in out.iter_mut().zip(w.chunks_exact(x.len())) {
        *out += row.iter().zip(x).fold(0.0, |sum, (&w, x)| sum + f64::from(w) * x);
    }
}

fn sigmoid(a: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-a))
}

/// Loss of a target, `-log softmax(logits)[target]`, in nats.
pub(super) fn nats(logits: &[f64], target: usize) -> f64 {
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum = logits.iter().fold(0.0, |sum, x| sum + libm::exp(x - most));
    most + libm::log(sum) - logits[target]
}
