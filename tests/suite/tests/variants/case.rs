//! A random run of a variant, answered by the oracle in f64 and by a `Network` under a setting: the same named tensors.

use gatemill_cell::{Chunk, LayerState, Network, NetworkOptions, Params};
use gatemill_kernels::{Activation, Batch, Cell, Dropout, Input, LANES, LayerShape, Layout, Variant};
use gatemill_oracle::SplitMix64;
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

/// What the bottom layer reads.
enum Reads {
    Dense,
    /// One-hot, `[T, B]`; V is I.
    Symbols(Vec<u32>),
    /// Rows of a table `[V, I]`.
    Embedded {
        ids: Vec<u32>,
        table: Vec<f64>,
    },
}

/// Symbols of an embedding.
const VOCAB: usize = 11;

/// A run with its data and its form.
pub(crate) struct Case {
    pub(crate) cell: Cell,
    pub(crate) variant: Variant,
    pub(crate) sizes: Sizes,
    reads: Reads,
    dropout: Option<Dropout>,
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
        let data = LayersCase::random(shape, bound.min(0.9), seed);
        Self { cell, variant, sizes, reads: Reads::Dense, dropout: None, data }
    }

    /// The same run over symbols: one-hot, or with an embedding of I columns. One symbol more than there are was never
    /// seen.
    pub(crate) fn of_symbols(mut self, embedded: bool, seed: u64) -> Self {
        let (random, inputs) = (&mut SplitMix64::new(seed), self.sizes.inputs);
        let vocab = if embedded { VOCAB } else { inputs };
        let ids = random.ids(self.sizes.steps * self.sizes.lanes, vocab + 1);
        let one_hot = |s: usize| (0..inputs).map(move |i| f64::from(u8::from(i == s))).collect::<Vec<_>>();
        let table = random.symmetric(VOCAB * inputs, 1.0);
        let row = |s: usize| match embedded {
            true if s < vocab => table[s * inputs..(s + 1) * inputs].to_vec(),
            true => vec![0.0; inputs],
            false => one_hot(s),
        };
        self.data.input.x = ids.iter().flat_map(|&s| row(s)).collect();
        let ids = ids.into_iter().map(|s| u32::try_from(s).expect("few symbols")).collect();
        self.reads = if embedded { Reads::Embedded { ids, table } } else { Reads::Symbols(ids) };
        self
    }

    /// The same run with dropout between its layers.
    pub(crate) fn dropped(mut self) -> Self {
        let Sizes { steps, lanes, layers, .. } = self.sizes;
        let (dropout, outputs) = (Dropout::new(0.3, 5, 77, 2), self.outputs());
        let mut masks = Vec::new();
        for n in 0..(layers - 1) * steps * lanes {
            let (l, t, lane) = (n / lanes / steps, n / lanes % steps, n % lanes);
            let mask = |column: usize| dropout.mask(l, t, lane, column / LANES)[column % LANES];
            masks.extend((0..outputs).map(|column| f64::from(mask(column))));
        }
        self.data.input.dropout = Some(masks);
        self.dropout = Some(dropout);
        self
    }

    /// The same run over lanes of falling lengths.
    pub(crate) fn ragged(mut self) -> Self {
        let Sizes { steps, lanes, .. } = self.sizes;
        self.data.shape.lengths = (0..lanes).map(|b| steps - b * steps / (lanes + 1)).collect();
        self
    }

    fn alive(&self, t: usize, lane: usize) -> bool {
        t < self.data.shape.lengths[lane]
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
        match &self.reads {
            Reads::Dense => out.push(("d_x".into(), grads.d_x)),
            Reads::Symbols(_) => {}
            Reads::Embedded { ids, .. } => {
                let mut d_table = vec![0.0; VOCAB * self.sizes.inputs];
                for (&s, d_x) in ids.iter().zip(grads.d_x.chunks(self.sizes.inputs)) {
                    let row = d_table.chunks_mut(self.sizes.inputs).nth(s as usize).unwrap_or_default();
                    row.iter_mut().zip(d_x).for_each(|(d, &x)| *d += x);
                }
                out.push(("embedding.weight".into(), d_table));
            }
        }
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
        let input = |l: usize| match &self.reads {
            _ if l > 0 => Input::Dense(self.outputs()),
            Reads::Dense => Input::Dense(self.sizes.inputs),
            Reads::Symbols(_) => Input::Symbols(self.sizes.inputs),
            Reads::Embedded { .. } => Input::Embedded { vocab: VOCAB, width: self.sizes.inputs },
        };
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
        if let Reads::Embedded { table, .. } = &self.reads {
            params.set("embedding.weight", &narrow(table)).expect("embedding.weight");
        }
        params.derive(crew, kernels);
        let options = NetworkOptions {
            steps,
            lanes,
            backward: true,
            dropout: self.dropout.is_some(),
            input_grad: matches!(self.reads, Reads::Dense),
            split: setting.split,
            ..Default::default()
        };
        let mut network = Network::new(&layout, options).expect("memory for the network");
        let batch_sizes: Vec<usize> =
            (0..steps).map(|t| (0..lanes).filter(|&lane| self.alive(t, lane)).count()).collect();
        if batch_sizes.iter().any(|&b| b < lanes) {
            network.set_batch(Batch::Packed { batch_sizes: &batch_sizes }).expect("memory for less than was asked");
        }
        network.set_state(&self.states(&self.data.input.h0, &self.data.input.c0));
        let places: Vec<(usize, usize)> = (0..steps * lanes).map(|n| (n / lanes, n % lanes)).collect();
        let alive = |&(t, lane): &(usize, usize)| self.alive(t, lane);
        let ids: Vec<u32> = match &self.reads {
            Reads::Dense => Vec::new(),
            Reads::Symbols(ids) | Reads::Embedded { ids, .. } => {
                places.iter().zip(ids).filter(|(place, _)| alive(place)).map(|(_, &id)| id).collect()
            }
        };
        if matches!(self.reads, Reads::Dense) {
            for (&(t, lane), x) in places.iter().zip(self.data.input.x.chunks(inputs)).filter(|(p, _)| alive(p)) {
                network.input_mut(t, lane).copy_from_slice(&narrow(x));
            }
        }
        let chunk = Chunk { steps, ids: &ids, dropout: self.dropout, ..Default::default() };
        network.forward(crew, kernels, &params, &chunk);
        // Past a lane's length the oracle says zero.
        let all = |network: &Network, width: usize, f: fn(&Network, usize, usize) -> &[f32]| -> Vec<f32> {
            let row = |place: &(usize, usize)| match alive(place) {
                true => f(network, place.0, place.1).to_vec(),
                false => vec![0.0; width],
            };
            places.iter().flat_map(row).collect()
        };
        let mut out: Vec<Named<f32>> = vec![("output".into(), all(&network, self.outputs(), Network::output))];
        let mut push = |(h, c): (&str, &str), states: Vec<LayerState>| {
            out.push((h.into(), states.iter().flat_map(|s| s.h.clone()).collect()));
            if self.cell == Cell::Lstm {
                out.push((c.into(), states.into_iter().flat_map(|s| s.c.expect("an LSTM has a c")).collect()));
            }
        };
        push(("h_n", "c_n"), network.final_state(steps));
        let grad = &self.data.output_grad;
        for (&(t, lane), d_y) in places.iter().zip(grad.d_y.chunks(self.outputs())).filter(|(p, _)| alive(p)) {
            network.output_grad_mut(t, lane).copy_from_slice(&narrow(d_y));
        }
        network.set_final_grad(&self.states(&grad.d_h_last, &grad.d_c_last));
        network.backward(crew, kernels, &params, &chunk);
        let mut grads = network.weight_grads(crew, setting.shards).expect("memory for the gradients");
        grads.compute(crew, kernels, &params, &network, &ids);
        push(("d_h0", "d_c0"), network.initial_grad());
        if matches!(self.reads, Reads::Dense) {
            out.push(("d_x".into(), all(&network, inputs, Network::input_grad)));
        }
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
