//! A model of plain f64 loops for tests: every part of every unit by its equation, and states that are overwritten.

use crate::model::CharModel;
use gatemill_cell::{Cell, Part};

/// A state that is overwritten as soon as it is computed: (layer, part, unit, value).
pub(crate) type Overwritten = (usize, Part, usize, f64);

/// Weights, and the state of one text.
pub(crate) struct Plain {
    cell: Cell,
    hidden: usize,
    vocab: usize,
    /// `[W_ih, W_hh, b_ih, b_hh]` by layer.
    layers: Vec<[Vec<f64>; 4]>,
    /// `[V, E]`, where there is one.
    embedding: Option<Vec<f64>>,
    head: [Vec<f64>; 2],
    pub(crate) h: Vec<Vec<f64>>,
    pub(crate) c: Vec<Vec<f64>>,
    /// Activated gates `[G*H]` of the last symbol, in PyTorch's order, by layer.
    pub(crate) gates: Vec<Vec<f64>>,
    overwritten: Vec<Overwritten>,
}

impl Plain {
    /// The model in the state of zeros, or of what is overwritten.
    pub(crate) fn new(model: &CharModel, overwritten: &[Overwritten]) -> Self {
        let tensor = |name: &str| -> Option<Vec<f64>> {
            let spec = model.params.specs().iter().find(|s| s.name == name)?;
            Some(model.params.get(spec).iter().map(|&x| f64::from(x)).collect())
        };
        let config = &model.config;
        let names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"];
        let layer = |l: usize| names.map(|name| tensor(&format!("rnn.{name}_l{l}")).expect(name));
        let zeros = vec![vec![0.0; config.hidden]; config.layers];
        let own = tensor("embedding.weight");
        let mut plain = Self {
            cell: config.cell.into(),
            hidden: config.hidden,
            vocab: model.vocab.len(),
            layers: (0..config.layers).map(layer).collect(),
            embedding: if config.tied { tensor("head.weight") } else { own },
            head: ["head.weight", "head.bias"].map(|name| tensor(name).expect(name)),
            h: zeros.clone(),
            c: zeros,
            gates: vec![Vec::new(); config.layers],
            overwritten: overwritten.to_vec(),
        };
        (0..config.layers).for_each(|l| plain.overwrite(l));
        plain
    }
    fn overwrite(&mut self, l: usize) {
        for &(layer, part, unit, value) in self.overwritten.iter().filter(|o| o.0 == l) {
            match part {
                Part::Hidden => self.h[layer][unit] = value,
                _ => self.c[layer][unit] = value,
            }
        }
    }
    /// Reads a symbol; the logits of the next.
    pub(crate) fn read(&mut self, symbol: usize) -> Vec<f64> {
        let hidden = self.hidden;
        for l in 0..self.layers.len() {
            let x: Vec<f64> = match (l, &self.embedding) {
                (0, None) => (0..self.vocab).map(|s| f64::from(u8::from(s == symbol))).collect(),
                (0, Some(e)) => {
                    let width = e.len() / self.vocab;
                    e[symbol * width..][..width].to_vec()
                }
                (l, _) => self.h[l - 1].clone(),
            };
            let [w_ih, w_hh, b_ih, b_hh] = &self.layers[l];
            let (a_x, a_h) = (affine(w_ih, b_ih, &x), affine(w_hh, b_hh, &self.h[l]));
            let a = |gate: usize, j: usize| a_x[gate * hidden + j] + a_h[gate * hidden + j];
            let mut gates = vec![0.0; self.cell.gates() * hidden];
            for j in 0..hidden {
                match self.cell {
                    Cell::Rnn => self.h[l][j] = libm::tanh(a(0, j)),
                    Cell::Lstm => {
                        let [i, f, g, o] = [sigmoid(a(0, j)), sigmoid(a(1, j)), libm::tanh(a(2, j)), sigmoid(a(3, j))];
                        self.c[l][j] = f * self.c[l][j] + i * g;
                        // A c that is overwritten is what h is made of.
                        for &(_, _, _, v) in self.overwritten.iter().filter(|x| (x.0, x.1, x.2) == (l, Part::Cell, j)) {
                            self.c[l][j] = v;
                        }
                        self.h[l][j] = o * libm::tanh(self.c[l][j]);
                        [i, f, g, o].iter().enumerate().for_each(|(k, &x)| gates[k * hidden + j] = x);
                    }
                    Cell::Gru => {
                        let (r, z) = (sigmoid(a(0, j)), sigmoid(a(1, j)));
                        let n = libm::tanh(a_x[2 * hidden + j] + r * a_h[2 * hidden + j]);
                        self.h[l][j] = (1.0 - z) * n + z * self.h[l][j];
                        [r, z, n].iter().enumerate().for_each(|(k, &x)| gates[k * hidden + j] = x);
                    }
                }
            }
            self.gates[l] = gates;
            self.overwrite(l);
        }
        affine(&self.head[0], &self.head[1], &self.h[self.layers.len() - 1])
    }
    /// A unit's part, once a symbol is read.
    pub(crate) fn unit(&self, layer: usize, part: Part, unit: usize) -> f64 {
        let gate = |gate: usize| self.gates[layer][gate * self.hidden + unit];
        match part {
            Part::Hidden => self.h[layer][unit],
            Part::Cell => self.c[layer][unit],
            Part::Input | Part::Reset => gate(0),
            Part::Forget | Part::Update => gate(1),
            Part::Gate | Part::New => gate(2),
            Part::Output => gate(3),
        }
    }
}

/// `w x + b`
fn affine(w: &[f64], b: &[f64], x: &[f64]) -> Vec<f64> {
    let rows = w.chunks_exact(x.len()).zip(b);
    rows.map(|(row, &b)| row.iter().zip(x).fold(b, |sum, (w, x)| sum + w * x)).collect()
}

fn sigmoid(a: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-a))
}

/// `-log softmax(logits)[target]`
pub(crate) fn nats(logits: &[f64], target: usize) -> f64 {
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    most + libm::log(logits.iter().fold(0.0, |sum, x| sum + libm::exp(x - most))) - logits[target]
}
