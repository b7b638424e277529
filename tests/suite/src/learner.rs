//! The pieces of a training step put together by hand: forward, backward, weight gradients, norm, clip, Adam, derive,
//! carry. What a trainer does beside that (corpus, files, schedule) is left out, so a test of it tests the pieces.

use crate::Named;
use gatemill_cell::{Chunk, Network, NetworkOptions, Params, WeightGrads};
use gatemill_crew::{Crew, Split};
use gatemill_kernels::{Adam, Buffer, Cell, Dropout, Gradient, Kernels, LANES, Layout, NORM_BLOCK};
use std::sync::Arc;

/// A character model and how it is trained.
#[derive(Debug, Clone, Copy)]
pub struct Model {
    /// The cell of every layer.
    pub cell: Cell,
    /// L.
    pub layers: usize,
    /// H.
    pub hidden: usize,
    /// V.
    pub vocab: usize,
    /// E of an embedding; 0: symbols are one-hot.
    pub embed: usize,
    /// Embedding and readout are one matrix.
    pub tied: bool,
    /// T.
    pub steps: usize,
    /// B.
    pub lanes: usize,
    /// How the work is shared out.
    pub split: Option<Split>,
    /// S.
    pub shards: usize,
    /// P of the dropout between layers.
    pub dropout: f64,
}

/// Weights, moments and buffers of a model in training.
#[derive(Debug)]
pub struct Learner {
    /// The weights.
    pub params: Params,
    /// The buffers.
    pub network: Network,
    grads: WeightGrads,
    m: Buffer,
    v: Buffer,
    blocks: Vec<f64>,
    step: u32,
    dropout: f64,
}

/// Mixes 64 bits (the finaliser of splitmix64).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Learner {
    /// The model at the start that `goldens/README.md` defines, uniform in `-bound..bound`.
    pub fn new(model: Model, bound: f32, crew: &Crew, kernels: &Kernels) -> Self {
        let Model { cell, layers, hidden, vocab, embed, tied, steps, lanes, .. } = model;
        let layout = Arc::new(Layout::character_model(cell, layers, hidden, vocab, embed, tied));
        let mut params = Params::zeroed(layout.clone()).expect("memory for the weights");
        let specs = params.specs().to_vec();
        for (j, spec) in (1_u64..).zip(&specs) {
            let value = |e: u64| {
                let z = mix(((j << 32) + e).wrapping_mul(0x9e37_79b9_7f4a_7c15));
                ((z >> 40) as f32 / (1 << 23) as f32 - 1.0) * bound
            };
            let data: Vec<f32> = (0..spec.len() as u64).map(value).collect();
            params.set(&spec.name, &data).expect("names and shapes are the model's own");
        }
        params.derive(crew, kernels);
        let options = NetworkOptions {
            steps,
            lanes,
            backward: true,
            dropout: model.dropout > 0.0,
            split: model.split,
            ..NetworkOptions::default()
        };
        let network = Network::new(&layout, options).expect("memory for the network");
        let zeros = || Buffer::zeroed(layout.params()).expect("memory for the moments");
        Self {
            grads: network.weight_grads(crew, model.shards).expect("memory for the gradients"),
            params,
            network,
            m: zeros(),
            v: zeros(),
            blocks: vec![0.0; layout.params().div_ceil(NORM_BLOCK)],
            step: 0,
            dropout: model.dropout,
        }
    }

    /// One step on a chunk `[T, B]`: the mean loss before it and the gradient's norm before clipping.
    ///
    /// Nothing is allocated on the caller's thread.
    pub fn step(
        &mut self,
        (crew, kernels): (&Crew, &Kernels),
        ids: &[u32],
        targets: &[u32],
        (lr, clip): (f64, f64),
    ) -> (f64, f64) {
        let steps = self.network.steps();
        let position = u64::from(self.step) * steps as u64;
        let dropout = (self.dropout > 0.0).then(|| Dropout::new(self.dropout, 1, position, 0));
        let chunk =
            Chunk { steps, ids, targets, scale: (1.0 / targets.len() as f64) as f32, dropout, ..Chunk::default() };
        self.network.forward(crew, kernels, &self.params, &chunk);
        let nats = self.network.nats(steps).iter().map(|&x| f64::from(x)).sum::<f64>() / targets.len() as f64;
        self.network.backward(crew, kernels, &self.params, &chunk);
        self.grads.compute(crew, kernels, &self.params, &self.network, ids);
        let grad = self.grads.sum();
        for (sum, block) in self.blocks.iter_mut().zip(grad.chunks(NORM_BLOCK)) {
            *sum = kernels.sum_squares(block);
        }
        let norm = self.blocks.iter().sum::<f64>().sqrt();
        self.step += 1;
        let gradient = Gradient::scaled((clip / norm).min(1.0) as f32);
        let adam = Adam::new(u64::from(self.step), lr, [0.9, 0.999], 1e-8);
        crew.pieces([self.params.masters_mut(), &mut self.m, &mut self.v], LANES, 1 << 14, |first, [w, m, v]| {
            kernels.adam(&gradient, &adam, w, &grad[first..first + w.len()], m, v);
        });
        self.params.derive(crew, kernels);
        self.network.carry(steps);
        (nats, norm)
    }

    /// All weights by name, in the order of `weights_sha256`.
    pub fn weights(&self) -> Vec<Named<f32>> {
        self.params.specs().iter().map(|spec| (spec.name.clone(), self.params.get(spec))).collect()
    }
}
