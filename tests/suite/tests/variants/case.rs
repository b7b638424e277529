//! A random run of a variant, answered by the oracle in f64 and by a `Network` under a setting: the same named tensors.

use gatemill_cell::{Chunk, LayerState, Network, NetworkOptions, Params};
use gatemill_kernels::{Activation, Cell, Input, LayerShape, Layout, Variant};
use gatemill_oracle::complete::case::LayersCase;
use gatemill_oracle::complete::layers::{Direction, LayersShape, tensors};
use gatemill_oracle::complete::variant as oracle;
use gatemill_oracle::narrow;
use gatemill_suite::{Named, Setting};
use std::sync::Arc;

/// T, B, I, H, P and L of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) steps: usize,
    pub(crate) lanes: usize,
    pub(crate) inputs: usize,
    pub(crate) hidden: usize,
    pub(crate) layers: usize,
}

/// A function in the oracle's words.
fn function(f: Activation) -> oracle::Function {
    use oracle::Function as F;
    let w = f64::from;
    match f {
        Activation::Sigmoid => F::Sigmoid,
        Activation::Tanh => F::Tanh,
        Activation::Relu => F::Relu,
        Activation::Affine { alpha, beta } => F::Affine { alpha: w(alpha), beta: w(beta) },
        Activation::LeakyRelu { alpha } => F::LeakyRelu { alpha: w(alpha) },
        Activation::ThresholdedRelu { alpha } => F::ThresholdedRelu { alpha: w(alpha) },
        Activation::ScaledTanh { alpha, beta } => F::ScaledTanh { alpha: w(alpha), beta: w(beta) },
        Activation::HardSigmoid { alpha, beta } => F::HardSigmoid { alpha: w(alpha), beta: w(beta) },
        Activation::Elu { alpha } => F::Elu { alpha: w(alpha) },
        Activation::Softsign => F::Softsign,
        Activation::Softplus => F::Softplus,
    }
}

fn in_the_oracles_words(v: &Variant) -> oracle::Variant {
    oracle::Variant {
        bias: v.bias,
        reset_before: v.reset_before,
        peepholes: v.peepholes,
        coupled: v.coupled,
        clip: v.clip.map(f64::from),
        cell_clip: v.cell_clip.map(f64::from),
        projection: v.projection,
        activations: oracle::Functions {
            gates: function(v.activations.gates),
            cell: function(v.activations.cell),
            hidden: function(v.activations.hidden),
        },
    }
}

/// A run with its data and its form.
pub(crate) struct Case {
    pub(crate) cell: Cell,
    pub(crate) variant: Variant,
    pub(crate) sizes: Sizes,
    data: LayersCase,
}

impl Case {
    pub(crate) fn random(cell: Cell, variant: Variant, sizes: Sizes, seed: u64) -> Self {
        let shape = LayersShape {
            cell: match cell {
                Cell::Rnn => gatemill_oracle::Cell::Rnn,
                Cell::Lstm => gatemill_oracle::Cell::Lstm,
                Cell::Gru => gatemill_oracle::Cell::Gru,
            },
            variant: in_the_oracles_words(&variant),
            inputs: sizes.inputs,
            hidden: sizes.hidden,
            layers: sizes.layers,
            direction: Direction::Forward,
            residual: false,
            steps: sizes.steps,
            lengths: vec![sizes.steps; sizes.lanes],
        };
        let bound = 1.4 / (sizes.hidden as f64).sqrt();
        Self { cell, variant, sizes, data: LayersCase::random(shape, bound.min(0.9), seed) }
    }

    fn outputs(&self) -> usize {
        self.variant.projection.unwrap_or(self.sizes.hidden)
    }

    /// Outputs, last states, and the gradient of everything, by the oracle.
    pub(crate) fn reference(&self) -> Vec<Named<f64>> {
        let trace = self.data.forward();
        let grads = self.data.backward(&trace);
        let mut out: Vec<Named<f64>> = vec![("output".into(), trace.outputs), ("h_n".into(), trace.h_last)];
        if self.cell == Cell::Lstm {
            out.push(("c_n".into(), trace.c_last));
        }
        out.push(("d_h0".into(), grads.d_h0));
        if self.cell == Cell::Lstm {
            out.push(("d_c0".into(), grads.d_c0));
        }
        out.push(("d_x".into(), grads.d_x));
        let shape = &self.data.shape;
        out.extend(tensors(shape, &grads.params).into_iter().map(|(name, t)| (format!("rnn.{name}"), t.clone())));
        out
    }

    fn states(&self, h: &[f64], c: &[f64]) -> Vec<LayerState> {
        let (h_len, c_len) = (self.sizes.lanes * self.outputs(), self.sizes.lanes * self.sizes.hidden);
        (0..self.sizes.layers)
            .map(|l| LayerState {
                h: narrow(&h[l * h_len..(l + 1) * h_len]),
                c: (self.cell == Cell::Lstm).then(|| narrow(&c[l * c_len..(l + 1) * c_len])),
            })
            .collect()
    }

    /// The layout, with every layer in this form.
    pub(crate) fn layout(&self) -> Layout {
        let input = |l: usize| Input::Dense(if l == 0 { self.sizes.inputs } else { self.outputs() });
        let shape = |l| LayerShape { variant: self.variant, ..LayerShape::new(self.cell, input(l), self.sizes.hidden) };
        Layout::new(&(0..self.sizes.layers).map(shape).collect::<Vec<_>>(), None)
    }

    /// The same by a network.
    pub(crate) fn run(&self, setting: Setting<'_>) -> Vec<Named<f32>> {
        let Sizes { steps, lanes, inputs, .. } = self.sizes;
        let (crew, kernels) = (setting.crew, &setting.kernels);
        let layout = Arc::new(self.layout());
        let mut params = Params::zeroed(layout.clone()).expect("memory for the weights");
        for (name, tensor) in tensors(&self.data.shape, &self.data.params) {
            params.set(&format!("rnn.{name}"), &narrow(tensor)).expect("names and shapes are PyTorch's");
        }
        params.derive(crew, kernels);
        let split = setting.split;
        let options = NetworkOptions { steps, lanes, backward: true, input_grad: true, split, ..Default::default() };
        let mut network = Network::new(&layout, options).expect("memory for the network");
        network.set_state(&self.states(&self.data.input.h0, &self.data.input.c0));
        let places: Vec<(usize, usize)> = (0..steps * lanes).map(|n| (n / lanes, n % lanes)).collect();
        for (&(t, lane), x) in places.iter().zip(self.data.input.x.chunks(inputs)) {
            network.input_mut(t, lane).copy_from_slice(&narrow(x));
        }
        let chunk = Chunk { steps, ..Default::default() };
        network.forward(crew, kernels, &params, &chunk);
        let all = |network: &Network, f: fn(&Network, usize, usize) -> &[f32]| -> Vec<f32> {
            places.iter().flat_map(|&(t, lane)| f(network, t, lane).to_vec()).collect()
        };
        let mut out: Vec<Named<f32>> = vec![("output".into(), all(&network, Network::output))];
        let mut push = |(h, c): (&str, &str), states: Vec<LayerState>| {
            out.push((h.into(), states.iter().flat_map(|s| s.h.clone()).collect()));
            if self.cell == Cell::Lstm {
                out.push((c.into(), states.into_iter().flat_map(|s| s.c.expect("an LSTM has a c")).collect()));
            }
        };
        push(("h_n", "c_n"), network.final_state(steps));
        let grad = &self.data.output_grad;
        for (&(t, lane), d_y) in places.iter().zip(grad.d_y.chunks(self.outputs())) {
            network.output_grad_mut(t, lane).copy_from_slice(&narrow(d_y));
        }
        network.set_final_grad(&self.states(&grad.d_h_last, &grad.d_c_last));
        network.backward(crew, kernels, &params, &chunk);
        let mut grads = network.weight_grads(crew, setting.shards).expect("memory for the gradients");
        grads.compute(crew, kernels, &params, &network, &[]);
        push(("d_h0", "d_c0"), network.initial_grad());
        out.push(("d_x".into(), all(&network, Network::input_grad)));
        out.extend(params.specs().iter().map(|s| (s.name.clone(), params.export(s, grads.sum()))));
        assert_padding_is_zero(&params, grads.sum());
        out
    }
}

/// Padding of the gradient is zero, or the update would make weights of it.
fn assert_padding_is_zero(params: &Params, flat: &[f32]) {
    let mut rest = flat.to_vec();
    for spec in params.specs() {
        params.import(spec, &vec![0.0; spec.len()], &mut rest).expect("the spec's own length");
    }
    let at = rest.iter().position(|&x| x != 0.0);
    assert!(at.is_none(), "padding has a gradient: {:?}", at.map(|at| (at, rest[at])));
}
