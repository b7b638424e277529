//! A random job: sizes, weights, inputs and everything that can happen to a stack, all from one seed.
//!
//! Every real number is exactly an f32, so kernels and oracle start from the same data.

use gatemill_kernels::{Cell, Dropout};
use gatemill_oracle::{Activation, Head, SplitMix64, StackParams, StackShape};
use std::ops::Range;

/// Sizes of a job.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// The cell of every layer.
    pub cell: Cell,
    /// L.
    pub layers: usize,
    /// I, or V of the input where it is symbols.
    pub inputs: usize,
    /// H.
    pub hidden: usize,
    /// T.
    pub steps: usize,
    /// B.
    pub lanes: usize,
    /// V of the readout; None: the gradient comes in at the top layer's output.
    pub vocab: Option<usize>,
}

impl Shape {
    /// T * B.
    pub fn tokens(&self) -> usize {
        self.steps * self.lanes
    }
    /// The oracle's form of it.
    pub fn stack(&self) -> StackShape {
        let cell = match self.cell {
            Cell::Rnn => gatemill_oracle::Cell::Rnn,
            Cell::Lstm => gatemill_oracle::Cell::Lstm,
            Cell::Gru => gatemill_oracle::Cell::Gru,
        };
        let Shape { layers, inputs, hidden, steps, lanes, .. } = *self;
        StackShape { cell, layers, inputs, hidden, steps, lanes, activation: Activation::Standard }
    }
}

/// What a job contains beside its sizes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Features {
    /// Symbol ids, some of them unseen, in place of dense rows.
    pub symbols: bool,
    /// States carried in, and gradients to the last states.
    pub carried: bool,
    /// Documents that begin at step 0 and in mid-chunk.
    pub resets: bool,
    /// Dropout with P = 1/4 between layers.
    pub dropout: bool,
    /// Dropout with P = 1/2 before the readout.
    pub output_dropout: bool,
}

/// What stands between the symbols of a job and its first layer.
#[derive(Debug, Clone, PartialEq)]
pub enum Embedding {
    /// Nothing: symbols are one-hot, or the input is dense.
    None,
    /// A matrix of its own, `[V, E]`.
    Own(Vec<f64>),
    /// The readout's.
    Tied,
}

/// A job with its data.
#[derive(Debug, Clone)]
pub struct Job {
    /// Sizes.
    pub shape: Shape,
    /// Weights and biases, PyTorch's shapes.
    pub params: StackParams<f64>,
    /// The readout's.
    pub head: Option<Head<f64>>,
    /// Before the first layer, where the input is symbols.
    pub embedding: Embedding,
    /// `[T, B, I]`; empty for symbols.
    pub x: Vec<f64>,
    /// `[T, B]` in 0..=V, V unseen; empty for dense inputs.
    pub ids: Vec<usize>,
    /// `[T, B]` in 0..=V, V unseen; empty without a readout.
    pub targets: Vec<usize>,
    /// `[L, B, H]`.
    pub h0: Vec<f64>,
    /// `[L, B, H]`, LSTM only, else empty.
    pub c0: Vec<f64>,
    /// `[T, B]`.
    pub resets: Vec<bool>,
    /// Multipliers between the layers.
    pub dropout: Option<Dropout>,
    /// Multipliers between the top layer and the readout.
    pub output_dropout: Option<Dropout>,
    /// `[T, B, H]` gradient to the top layer's output; empty with a readout.
    pub d_y: Vec<f64>,
    /// `[L, B, H]` gradient to the last h.
    pub d_h_last: Vec<f64>,
    /// `[L, B, H]` gradient to the last c, LSTM only, else empty.
    pub d_c_last: Vec<f64>,
    /// Factor on each counted token's gradient: 1 / counted targets; 0 where none counts.
    pub scale: f32,
}

/// Bound of uniform weights at which signals neither die nor grow over time: 1/sqrt(H), PyTorch's start, at most 0.6.
fn weight_bound(hidden: usize) -> f64 {
    (1.0 / (hidden as f64).sqrt()).min(0.6)
}

impl Job {
    /// The job of this seed: the same on every machine.
    pub fn random(shape: Shape, features: Features, seed: u64) -> Self {
        let random = &mut SplitMix64::new(seed);
        let stack = shape.stack();
        let bound = weight_bound(shape.hidden);
        let params = StackParams::random(&stack, bound, random);
        let head = shape.vocab.map(|v| Head::random(v, shape.hidden, 0.6, random));
        let ids = if features.symbols { symbols(shape.tokens(), shape.inputs, random) } else { Vec::new() };
        let x = if features.symbols { Vec::new() } else { random.symmetric(shape.tokens() * shape.inputs, 1.0) };
        let targets = shape.vocab.map_or_else(Vec::new, |v| symbols(shape.tokens(), v, random));
        let d_y = if shape.vocab.is_some() { Vec::new() } else { random.symmetric(shape.tokens() * shape.hidden, 1.0) };
        let mut state = |len: usize, bound: f64| {
            if features.carried { random.symmetric(len, bound) } else { vec![0.0; len] }
        };
        let (h0, c0) = (state(stack.state_len(), 0.9), state(stack.c_len(), 1.5));
        let (d_h_last, d_c_last) = (state(stack.state_len(), 1.0), state(stack.c_len(), 1.0));
        let mut resets = vec![false; shape.tokens()];
        if features.resets {
            resets.iter_mut().for_each(|r| *r = random.one_in(7));
            resets[0] = true;
            resets[(shape.steps / 2) * shape.lanes + shape.lanes - 1] = true;
        }
        let dropout_of = |p: f64| Dropout::new(p, seed ^ 0xd409, 1000 * seed, 3);
        let dropout = features.dropout.then(|| dropout_of(0.25));
        let output_dropout = features.output_dropout.then(|| dropout_of(0.5));
        let counted = targets.iter().filter(|&&t| t < shape.vocab.unwrap_or(0)).count();
        let scale = if counted == 0 { 0.0 } else { 1.0 / counted as f32 };
        let embedding = Embedding::None;
        Job {
            shape,
            params,
            head,
            embedding,
            x,
            ids,
            targets,
            h0,
            c0,
            resets,
            dropout,
            output_dropout,
            d_y,
            d_h_last,
            d_c_last,
            scale,
        }
    }

    /// The same job with an embedding of `width` columns below its first layer. Panics where its input is dense.
    pub fn embedded(mut self, width: usize, seed: u64) -> Self {
        assert!(self.symbols(), "a dense input has no embedding");
        let random = &mut SplitMix64::new(seed);
        self.embedding = Embedding::Own(random.symmetric(self.shape.inputs * width, 1.0));
        self.with_first_layer_of(width, random)
    }

    /// The same job, whose readout is its embedding too. Panics where they are of different symbols.
    pub fn tied(mut self, seed: u64) -> Self {
        assert!(self.symbols() && self.shape.vocab == Some(self.shape.inputs), "one matrix of one vocabulary");
        self.embedding = Embedding::Tied;
        let width = self.shape.hidden;
        self.with_first_layer_of(width, &mut SplitMix64::new(seed))
    }

    fn with_first_layer_of(mut self, width: usize, random: &mut SplitMix64) -> Self {
        let rows = self.shape.cell.gates() * self.shape.hidden;
        self.params.layers[0].weight_ih = random.symmetric(rows * width, weight_bound(self.shape.hidden));
        self
    }

    /// The embedding's matrix `[V, E]`, where there is one.
    pub fn table(&self) -> Option<&[f64]> {
        match (&self.embedding, &self.head) {
            (Embedding::None, _) | (Embedding::Tied, None) => None,
            (Embedding::Own(table), _) => Some(table),
            (Embedding::Tied, Some(head)) => Some(&head.weight),
        }
    }

    /// The stack above the embedding, in the oracle's form: E in place of V.
    pub fn stack(&self) -> StackShape {
        let inputs = self.table().map_or(self.shape.inputs, |table| table.len() / self.shape.inputs);
        StackShape { inputs, ..self.shape.stack() }
    }

    /// Steps `steps` of lanes `lanes` alone: the same weights, and the same scale of the loss.
    ///
    /// States and their gradients are those at the ends of the whole job.
    pub fn part(&self, steps: Range<usize>, lanes: Range<usize>) -> Self {
        let Shape { layers, inputs, hidden, lanes: b, .. } = self.shape;
        let shape = Shape { steps: steps.len(), lanes: lanes.len(), ..self.shape };
        let tokens = || steps.clone().flat_map(|t| lanes.clone().map(move |lane| t * b + lane));
        let states = || (0..layers).flat_map(|l| lanes.clone().map(move |lane| l * b + lane));
        let (mut dropout, mut output_dropout) = (self.dropout, self.output_dropout);
        for d in dropout.iter_mut().chain(&mut output_dropout) {
            d.position += steps.start as u64;
            d.first_lane += lanes.start as u64;
        }
        Job {
            shape,
            params: self.params.clone(),
            head: self.head.clone(),
            embedding: self.embedding.clone(),
            x: rows(&self.x, inputs, tokens()),
            ids: rows(&self.ids, 1, tokens()),
            targets: rows(&self.targets, 1, tokens()),
            h0: rows(&self.h0, hidden, states()),
            c0: rows(&self.c0, hidden, states()),
            resets: rows(&self.resets, 1, tokens()),
            dropout,
            output_dropout,
            d_y: rows(&self.d_y, hidden, tokens()),
            d_h_last: rows(&self.d_h_last, hidden, states()),
            d_c_last: rows(&self.d_c_last, hidden, states()),
            scale: self.scale,
        }
    }

    /// The input is symbols.
    pub fn symbols(&self) -> bool {
        !self.ids.is_empty()
    }

    /// `[L-1, T, B, H]`: the multipliers as the oracle takes them.
    pub fn dropout_multipliers(&self) -> Option<Vec<f64>> {
        Some(self.multipliers(self.dropout?, 0..self.shape.layers - 1))
    }

    /// `[T, B, H]`: the multipliers between the top layer and the readout.
    pub fn output_multipliers(&self) -> Option<Vec<f64>> {
        let layers = self.shape.layers;
        Some(self.multipliers(self.output_dropout?, layers - 1..layers))
    }

    fn multipliers(&self, dropout: Dropout, above: Range<usize>) -> Vec<f64> {
        let Shape { hidden, steps, lanes, .. } = self.shape;
        let mut all = Vec::new();
        for layer in above {
            for t in 0..steps {
                for lane in 0..lanes {
                    let units = (0..hidden.div_ceil(16)).flat_map(|v| dropout.mask(layer, t, lane, v));
                    all.extend(units.take(hidden).map(f64::from));
                }
            }
        }
        all
    }
}

/// The rows named, each of `width` elements; nothing where there is nothing.
fn rows<T: Clone>(all: &[T], width: usize, which: impl Iterator<Item = usize>) -> Vec<T> {
    if all.is_empty() { Vec::new() } else { which.flat_map(|n| all[n * width..(n + 1) * width].to_vec()).collect() }
}

/// `n` ids in 0..=v: one in six unseen, and every one of them somewhere where there is room.
fn symbols(n: usize, v: usize, random: &mut SplitMix64) -> Vec<usize> {
    let mut ids = random.ids(n, v);
    for id in &mut ids {
        if random.one_in(6) {
            *id = v;
        }
    }
    if n > v {
        for (symbol, id) in ids.iter_mut().take(v + 1).enumerate() {
            *id = symbol;
        }
        random.shuffle(&mut ids);
    }
    ids
}
