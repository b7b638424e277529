//! Complete layers answered by a `Network`: the tensors of `layers_reference`, from weights and data of the same case.
//!
//! The network takes lanes by falling length; here lanes lie as the case has them, and a lane without a step is left out:
//! its states are what they were. Past a lane's length outputs and gradients are zero.

use crate::{Named, Setting};
use gatemill_cell::{Chunk, LayerState, Network, NetworkOptions, Params};
use gatemill_kernels::{Activation, Activations, Batch, Cell, Direction, Dropout, LANES, Layout, StackShape, Variant};
use gatemill_oracle::complete::case::LayersCase;
use gatemill_oracle::complete::layers::{self as oracle, LayersShape, tensors};
use gatemill_oracle::complete::variant::{self, Function, Functions};
use gatemill_oracle::narrow;
use std::sync::Arc;

/// The kernels' word for a function of the oracle's.
fn activation(function: Function) -> Activation {
    let f = |x: f64| x as f32;
    match function {
        Function::Sigmoid => Activation::Sigmoid,
        Function::Tanh => Activation::Tanh,
        Function::Relu => Activation::Relu,
        Function::Affine { alpha, beta } => Activation::Affine { alpha: f(alpha), beta: f(beta) },
        Function::LeakyRelu { alpha } => Activation::LeakyRelu { alpha: f(alpha) },
        Function::ThresholdedRelu { alpha } => Activation::ThresholdedRelu { alpha: f(alpha) },
        Function::ScaledTanh { alpha, beta } => Activation::ScaledTanh { alpha: f(alpha), beta: f(beta) },
        Function::HardSigmoid { alpha, beta } => Activation::HardSigmoid { alpha: f(alpha), beta: f(beta) },
        Function::Elu { alpha } => Activation::Elu { alpha: f(alpha) },
        Function::Softsign => Activation::Softsign,
        Function::Softplus => Activation::Softplus,
    }
}

fn variant_of(v: &variant::Variant) -> Variant {
    let Functions { gates, cell, hidden } = v.activations;
    Variant {
        bias: v.bias,
        reset_before: v.reset_before,
        peepholes: v.peepholes,
        coupled: v.coupled,
        clip: v.clip.map(|bound| bound as f32),
        cell_clip: v.cell_clip.map(|bound| bound as f32),
        projection: v.projection,
        activations: Activations { gates: activation(gates), cell: activation(cell), hidden: activation(hidden) },
    }
}

/// The kernels' word for a shape of the oracle's.
pub fn stack_shape(shape: &LayersShape) -> StackShape {
    StackShape {
        cell: match shape.cell {
            gatemill_oracle::Cell::Rnn => Cell::Rnn,
            gatemill_oracle::Cell::Lstm => Cell::Lstm,
            gatemill_oracle::Cell::Gru => Cell::Gru,
        },
        variant: variant_of(&shape.variant),
        inputs: shape.inputs,
        symbols: None,
        hidden: shape.hidden,
        layers: shape.layers,
        direction: match shape.direction {
            oracle::Direction::Forward => Direction::Forward,
            oracle::Direction::Reverse => Direction::Reverse,
            oracle::Direction::Concat => Direction::Concat,
            oracle::Direction::Sum => Direction::Sum,
        },
        residual: shape.residual,
    }
}

/// A network with a case's weights in it, ready for any batch.
#[derive(Debug)]
pub struct LayersRig {
    params: Params,
    network: Network,
}

/// Which lane of the case the network's lanes are, and how many there are at each step.
struct Order {
    lanes: Vec<usize>,
    batch_sizes: Vec<usize>,
}

impl Order {
    fn of(shape: &LayersShape) -> Self {
        let mut lanes: Vec<usize> = (0..shape.lanes()).filter(|&b| shape.lengths[b] > 0).collect();
        lanes.sort_by_key(|&b| std::cmp::Reverse(shape.lengths[b]));
        let longest = shape.lengths.iter().copied().max().unwrap_or(0);
        let batch_sizes = (0..longest).map(|t| shape.lengths.iter().filter(|&&n| n > t).count()).collect();
        Self { lanes, batch_sizes }
    }

    /// `[L*D, B, width]` of the case, as the network's lanes: one run's part.
    fn gather(&self, all: &[f64], run: usize, lanes: usize, width: usize) -> Vec<f32> {
        let row = |&b: &usize| narrow(&all[(run * lanes + b) * width..][..width]);
        self.lanes.iter().flat_map(row).collect()
    }

    fn states(&self, shape: &LayersShape, h: &[f64], c: &[f64]) -> Vec<LayerState> {
        let (outputs, c_width) = (shape.layer(0).outputs(), shape.layer(0).c_width());
        let state = |run| LayerState {
            h: self.gather(h, run, shape.lanes(), outputs),
            c: (c_width > 0).then(|| self.gather(c, run, shape.lanes(), c_width)),
        };
        (0..shape.layers * shape.dirs()).map(state).collect()
    }

    /// The network's states in the places of the case's lanes; those of lanes without a step stay as given.
    fn scatter(&self, shape: &LayersShape, states: &[LayerState], mut h: Vec<f32>, mut c: Vec<f32>) -> [Vec<f32>; 2] {
        let (outputs, c_width) = (shape.layer(0).outputs(), shape.layer(0).c_width());
        for (run, state) in states.iter().enumerate() {
            for (n, &b) in self.lanes.iter().enumerate() {
                let to = run * shape.lanes() + b;
                h[to * outputs..][..outputs].copy_from_slice(&state.h[n * outputs..][..outputs]);
                if let Some(from) = &state.c {
                    c[to * c_width..][..c_width].copy_from_slice(&from[n * c_width..][..c_width]);
                }
            }
        }
        [h, c]
    }
}

impl LayersRig {
    /// A network of this form with the case's weights.
    pub fn new(case: &LayersCase, dropout: bool, setting: Setting<'_>) -> Self {
        let form = stack_shape(&case.shape);
        let layout = Arc::new(Layout::stack(&form));
        let mut params = Params::zeroed(layout.clone()).expect("memory for the weights");
        let given = tensors(&case.shape, &case.params);
        assert_eq!(params.specs().len(), given.len(), "the engine has other tensors: {:?}", params.specs());
        for (name, tensor) in given {
            params.set(&format!("rnn.{name}"), &narrow(tensor)).expect("names and shapes are PyTorch's");
        }
        params.derive(setting.crew, &setting.kernels);
        let options = NetworkOptions {
            steps: 1,
            lanes: 1,
            backward: true,
            dropout,
            input_grad: true,
            split: setting.split,
            ..NetworkOptions::default()
        };
        Self { params, network: Network::stack(&layout, &form, options).expect("memory for the network") }
    }

    /// Forward and backward over the case's batch: the tensors of `layers_reference`, and in their order.
    pub fn run(&mut self, case: &LayersCase, dropout: Option<Dropout>, setting: Setting<'_>) -> Vec<Named<f32>> {
        let (shape, order) = (&case.shape, Order::of(&case.shape));
        let (lanes, width) = (shape.lanes(), shape.width());
        let (crew, kernels, network) = (setting.crew, &setting.kernels, &mut self.network);
        let steps = order.batch_sizes.len();
        let even = order.batch_sizes.last() == Some(&order.lanes.len());
        let batch = match even {
            true => Batch::Even { steps, lanes: order.lanes.len() },
            false => Batch::Packed { batch_sizes: &order.batch_sizes },
        };
        network.set_batch(batch).expect("the batch");
        network.set_state(&order.states(shape, &case.input.h0, &case.input.c0));
        // Token (t, n) of the network, and where it lies in the case.
        let tokens: Vec<(usize, usize, usize)> = (0..steps)
            .flat_map(|t| (0..order.batch_sizes[t]).map(move |n| (t, n)))
            .map(|(t, n)| (t, n, t * lanes + order.lanes[n]))
            .collect();
        for &(t, n, at) in &tokens {
            let x = narrow(&case.input.x[at * shape.inputs..][..shape.inputs]);
            network.input_mut(t, n).copy_from_slice(&x);
        }
        let chunk = Chunk { steps, dropout, ..Chunk::default() };
        network.forward(crew, kernels, &self.params, &chunk);
        let padded = |width: usize, row: &dyn Fn(usize, usize, &mut [f32])| {
            let mut all = vec![0.0; shape.tokens() * width];
            for &(t, n, at) in &tokens {
                row(t, n, &mut all[at * width..][..width]);
            }
            all
        };
        let y = padded(width, &|t, n, to| network.copy_output(t, n, to));
        let mut out = vec![("y".to_string(), y)];
        let (h0, c0) = (narrow(&case.input.h0), narrow(&case.input.c0));
        push_states(&mut out, ["h_n", "c_n"], order.scatter(shape, &network.final_state(steps), h0, c0));
        for &(t, n, at) in &tokens {
            let d_y = narrow(&case.output_grad.d_y[at * width..][..width]);
            network.set_output_grad(t, n, &d_y);
        }
        let behind = &case.output_grad;
        network.set_final_grad(&order.states(shape, &behind.d_h_last, &behind.d_c_last));
        network.backward(crew, kernels, &self.params, &chunk);
        let mut grads = network.weight_grads(crew, setting.shards).expect("memory for the gradients");
        grads.compute(crew, kernels, &self.params, network, &[]);
        out.push(("d_x".into(), padded(shape.inputs, &|t, n, to| to.copy_from_slice(network.input_grad(t, n)))));
        let (d_h, d_c) = (narrow(&behind.d_h_last), narrow(&behind.d_c_last));
        push_states(&mut out, ["d_h0", "d_c0"], order.scatter(shape, &network.initial_grad(), d_h, d_c));
        let weights = tensors(shape, &case.params).into_iter();
        out.extend(weights.map(|(name, _)| {
            let name = format!("rnn.{name}");
            let spec = self.params.specs().iter().find(|spec| spec.name == name);
            (name, self.params.export(spec.expect("a tensor of the engine"), grads.sum()))
        }));
        out
    }
}

/// Adds h, and c where there is one.
fn push_states(out: &mut Vec<Named<f32>>, names: [&str; 2], states: [Vec<f32>; 2]) {
    let there = names.into_iter().zip(states).filter(|(_, state)| !state.is_empty());
    out.extend(there.map(|(name, state)| (name.to_string(), state)));
}

/// A case under a setting, once.
pub fn layers_run(case: &LayersCase, setting: Setting<'_>) -> Vec<Named<f32>> {
    LayersRig::new(case, false, setting).run(case, None, setting)
}

/// The same case with this dropout between its layers: the multipliers that the kernels make, for the oracle.
///
/// A mask belongs to a layer (two a level where there are two directions), a step, a lane as the network has it, a unit;
/// where directions are summed, what goes up has the mask of the first.
pub fn layers_dropped(mut case: LayersCase, dropout: Dropout) -> LayersCase {
    let (shape, order) = (&case.shape, Order::of(&case.shape));
    let (lanes, width, outputs, dirs) = (shape.lanes(), shape.width(), shape.layer(0).outputs(), shape.dirs());
    let mut all = vec![1.0; (shape.layers - 1) * shape.tokens() * width];
    for (k, row) in all.chunks_exact_mut(width).enumerate() {
        let (l, t, b) = (k / shape.tokens(), k % shape.tokens() / lanes, k % lanes);
        let Some(lane) = order.lanes.iter().position(|&other| other == b) else { continue };
        for (column, multiplier) in row.iter_mut().enumerate() {
            let (d, unit) = (column / outputs, column % outputs);
            *multiplier = f64::from(dropout.mask(l * dirs + d, t, lane, unit / LANES)[unit % LANES]);
        }
    }
    case.input.dropout = Some(all);
    case
}
