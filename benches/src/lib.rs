//! Criterion benches, each verified by the oracle: what they share.
//!
//! `cargo bench -p gatemill-benches` measures; `cargo test -p gatemill-benches --benches` runs each once and checks it.
//! Records with machine, date and command stand in `benches/record/`.
#![deny(unsafe_code)]

pub mod measure; // settings of criterion, the peak, the rivals beside ours

pub mod layer; // a layer whose operations are run one at a time
pub mod product; // a matrix product in f64 and by the rivals

use gatemill_cell::{Cell, Chunk, Network, NetworkOptions, Params, WeightGrads};
use gatemill_crew::Crew;
use gatemill_kernels::{Kernels, Layout};
use gatemill_oracle::char_model::{CharChunk, CharModel};
use gatemill_oracle::{Activation, SplitMix64, StackShape};
use std::sync::Arc;

/// A configuration of the grid (design section 8).
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// The cell.
    pub cell: Cell,
    /// L
    pub layers: usize,
    /// H
    pub hidden: usize,
    /// T
    pub steps: usize,
    /// B
    pub lanes: usize,
    /// V
    pub vocab: usize,
}

impl Point {
    /// FLOP of a whole training step: 6 x tokens x weights that multiply.
    pub fn flop(&self) -> f64 {
        let gates = self.cell.gates() as f64;
        let (h, v) = (self.hidden as f64, self.vocab as f64);
        let weights = gates * h * h * (2 * self.layers - 1) as f64 + h * v;
        6.0 * (self.steps * self.lanes) as f64 * weights
    }
}

/// A character model with random weights and symbols, ready to run.
#[derive(Debug)]
pub struct Bench {
    /// The weights.
    pub params: Params,
    /// Buffers and operations.
    pub network: Network,
    /// Tiles of the gradient.
    pub grads: WeightGrads,
    /// `[T, B]`
    pub ids: Vec<u32>,
    /// `[T, B]`
    pub targets: Vec<u32>,
}

impl Bench {
    /// Makes it, and holds its losses against the f64 oracle: two lanes, every step. Panics where they differ.
    pub fn verified(point: Point, crew: &Crew, kernels: &Kernels) -> Self {
        let Point { cell, layers, hidden, steps, lanes, vocab } = point;
        let oracle_cell = match cell {
            Cell::Rnn => gatemill_oracle::Cell::Rnn,
            Cell::Lstm => gatemill_oracle::Cell::Lstm,
            Cell::Gru => gatemill_oracle::Cell::Gru,
        };
        let activation = Activation::Standard;
        let shape = StackShape { cell: oracle_cell, layers, inputs: vocab, hidden, steps, lanes: 2, activation };
        let mut random = SplitMix64::new(1);
        let model = CharModel::random(&shape, 1.0 / (hidden as f64).sqrt(), &mut random);

        let layout = Arc::new(Layout::character_model(cell, layers, hidden, vocab, 0, false));
        let mut params = Params::zeroed(layout.clone()).expect("memory");
        for (name, tensor) in model.tensors() {
            let data: Vec<f32> = tensor.iter().map(|&x| x as f32).collect();
            params.set(&name, &data).expect("a tensor of the model");
        }
        params.derive(crew, kernels);
        let options = NetworkOptions { steps, lanes, backward: true, ..NetworkOptions::default() };
        let network = Network::new(&layout, options).expect("memory");
        let symbol = |_| (random.next_u64() % vocab as u64) as u32;
        let mut symbols: Vec<u32> = (0..2 * steps * lanes).map(symbol).collect();
        let targets = symbols.split_off(steps * lanes);
        let mut bench =
            Self { grads: network.weight_grads(crew, 1).expect("memory"), params, network, ids: symbols, targets };
        bench.forward(crew, kernels);

        let two = |all: &[u32]| -> Vec<usize> {
            (0..steps).flat_map(|t| [all[t * lanes] as usize, all[t * lanes + 1] as usize]).collect()
        };
        let chunk = CharChunk::from_zero_state(&shape, two(&bench.ids), two(&bench.targets));
        let truth = model.forward(&shape, &chunk).loss.mean_nats;
        let nats = bench.network.nats(steps);
        let sum: f64 = (0..steps).map(|t| f64::from(nats[t * lanes]) + f64::from(nats[t * lanes + 1])).sum();
        let found = sum / (2 * steps) as f64;
        assert!((found - truth).abs() < 1e-5 * truth, "{point:?}: {found} nats where the oracle has {truth}");
        bench.network.clear_state();
        bench
    }
    /// Forward, readout, loss.
    pub fn forward(&mut self, crew: &Crew, kernels: &Kernels) {
        let Self { network, params, ids, targets, .. } = self;
        let scale = 1.0 / ids.len() as f32;
        let chunk = Chunk { steps: network.steps(), ids, targets, scale, ..Chunk::default() };
        network.forward(crew, kernels, params, &chunk);
    }
    /// Backward through time, then weight gradients.
    pub fn backward(&mut self, crew: &Crew, kernels: &Kernels) {
        let Self { network, params, grads, ids, targets } = self;
        let chunk = Chunk { steps: network.steps(), ids, targets, scale: 1.0, ..Chunk::default() };
        network.backward(crew, kernels, params, &chunk);
        grads.compute(crew, kernels, params, network, ids);
    }
}
