//! Forward, backward and weight gradients of a layer, T = 50, B = 32, with denormal input or gradients beside normal ones.
//!
//! Denormals come in as a dense input that is almost zero, and as gradients that have almost vanished. Nothing sets the
//! CPU's flush modes, so what they cost is the kernels' affair. Verified: an input below 2^-126 gives the output bits of
//! zeros, because its products vanish beside the biases, and every gradient is finite.

use criterion::{Criterion, criterion_group, criterion_main};
use gatemill_benches::layer::reals;
use gatemill_benches::measure::{config, kernels};
use gatemill_cell::{Cell, Chunk, Network, NetworkOptions, Params, WeightGrads};
use gatemill_crew::Crew;
use gatemill_kernels::{Input, Kernels, LayerShape, Layout};
use gatemill_oracle::SplitMix64;
use std::hint::black_box;
use std::sync::Arc;

const STEPS: usize = 50;
const LANES: usize = 32;
const INPUTS: usize = 64;
/// All of this size and below are denormal.
const DENORMAL: f64 = 1e-39;

struct Case {
    crew: Crew,
    kernels: Kernels,
    params: Params,
    network: Network,
    grads: WeightGrads,
    x: Vec<f32>,
    d_y: Vec<f32>,
    hidden: usize,
}

impl Case {
    fn new(kernels: Kernels, cell: Cell, hidden: usize, (x, d_y): (f64, f64)) -> Self {
        let random = &mut SplitMix64::new(hidden as u64);
        let crew = Crew::new(1).expect("a thread");
        let layout = Arc::new(Layout::new(&[LayerShape::new(cell, Input::Dense(INPUTS), hidden)], None));
        let mut params = Params::zeroed(layout.clone()).expect("memory");
        for spec in params.specs().to_vec() {
            params.set(&spec.name, &reals(random, spec.len(), 1.0 / (hidden as f64).sqrt())).expect("a tensor");
        }
        params.derive(&crew, &kernels);
        let options =
            NetworkOptions { steps: STEPS, lanes: LANES, backward: true, input_grad: true, ..Default::default() };
        let network = Network::new(&layout, options).expect("memory");
        let grads = network.weight_grads(&crew, 1).expect("memory");
        let (x, d_y) = (reals(random, STEPS * LANES * INPUTS, x), reals(random, STEPS * LANES * hidden, d_y));
        Self { crew, kernels, params, network, grads, x, d_y, hidden }
    }
    fn chunk() -> Chunk<'static> {
        Chunk { steps: STEPS, scale: 1.0, ..Default::default() }
    }
    fn step(&mut self) {
        for t in 0..STEPS {
            for lane in 0..LANES {
                let at = t * LANES + lane;
                self.network.input_mut(t, lane).copy_from_slice(&self.x[at * INPUTS..(at + 1) * INPUTS]);
                let d_y = &self.d_y[at * self.hidden..(at + 1) * self.hidden];
                self.network.output_grad_mut(t, lane).copy_from_slice(d_y);
            }
        }
        self.network.forward(&self.crew, &self.kernels, &self.params, &Self::chunk());
        self.network.backward(&self.crew, &self.kernels, &self.params, &Self::chunk());
        self.grads.compute(&self.crew, &self.kernels, &self.params, &self.network, &[]);
        self.grads.reduce(&self.crew, &self.kernels);
    }
    fn outputs(&self) -> Vec<u32> {
        (0..STEPS).flat_map(|t| self.network.output(t, LANES - 1).iter().map(|h| h.to_bits())).collect()
    }
}

fn denormal(c: &mut Criterion) {
    let kernels = kernels();
    for (cell, hidden) in [(Cell::Lstm, 128), (Cell::Lstm, 512), (Cell::Gru, 128), (Cell::Rnn, 128)] {
        let mut group = c.benchmark_group(format!("layer {} H={hidden}/{}", cell.name(), kernels.name()));
        for (name, x, d_y) in
            [("normal", 1.0, 1.0), ("denormal input", DENORMAL, 1.0), ("denormal gradients", 1.0, DENORMAL)]
        {
            let mut case = Case::new(kernels, cell, hidden, (x, d_y));
            case.step();
            verify(&mut case, x == DENORMAL);
            group.bench_function(name, |b| b.iter(|| black_box(&mut case).step()));
        }
        group.finish();
    }
}

fn verify(case: &mut Case, denormal_input: bool) {
    assert!(case.grads.sum().iter().all(|g| g.is_finite()), "a gradient is no number");
    if denormal_input {
        let with = case.outputs();
        let x = std::mem::take(&mut case.x);
        case.x = vec![0.0; x.len()];
        case.step();
        assert_eq!(with, case.outputs(), "denormal input changed the output");
        case.x = x;
    }
}

criterion_group! { name = benches; config = config(); targets = denormal }
criterion_main!(benches);
