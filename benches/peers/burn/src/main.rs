//! Training in burn on its `flex` backend: one-hot input, LSTM or GRU layers, readout, cross-entropy, backward, clip by norm 5,
//! Adam at 0.002, the loss read at each step, the state carried and detached. Started by `cargo xtask compare`; the rules of
//! warm-up and the line that it prints are those of ../measure.py.
//!
//! burn's own clipping takes the norm of each tensor apart, so the norm over all gradients is taken here.
//!
//!     gatemill-peer-burn CELL LAYERS HIDDEN SEQ BATCH SECONDS
#![forbid(unsafe_code)]

use burn::module::{ModuleVisitor, Param};
use burn::nn::gru::{Gru, GruConfig};
use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::nn::{Linear, LinearConfig, Lstm, LstmConfig, LstmState};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::{Int, TensorData};
use std::time::Instant;

const VOCAB: usize = 65;
const CHUNKS: usize = 8;
const CLIP: f32 = 5.0;
const WARM_UP_S: f64 = 0.5;
const WARM_UP_TIMES: usize = 2;
const LEAST_TIMES: usize = 5;

/// One of the two lists is empty.
#[derive(Module, Debug)]
struct Model {
    lstm: Vec<Lstm>,
    gru: Vec<Gru>,
    readout: Linear,
}

/// What the layers carry from chunk to chunk, without its history.
#[derive(Default)]
struct Carried {
    lstm: Vec<Option<LstmState<2>>>,
    gru: Vec<Option<Tensor<2>>>,
}

impl Model {
    fn new(cell: &str, layers: usize, hidden: usize, device: &Device) -> Self {
        let below = |at: usize| if at == 0 { VOCAB } else { hidden };
        let count = |name: &str| if cell == name { 0..layers } else { 0..0 };
        Model {
            lstm: count("lstm").map(|at| LstmConfig::new(below(at), hidden, true).init(device)).collect(),
            gru: count("gru").map(|at| GruConfig::new(below(at), hidden, true).init(device)).collect(),
            readout: LinearConfig::new(hidden, VOCAB).init(device),
        }
    }

    /// `x [B, T, V] -> logits [B*T, V]`
    fn forward(&self, mut x: Tensor<3>, carried: &mut Carried) -> Tensor<2> {
        for (layer, state) in self.lstm.iter().zip(&mut carried.lstm) {
            let (out, last) = layer.forward(x, state.take());
            *state = Some(LstmState::new(last.cell.detach(), last.hidden.detach()));
            x = out;
        }
        for (layer, state) in self.gru.iter().zip(&mut carried.gru) {
            let out = layer.forward(x, state.take());
            let [lanes, steps, hidden] = out.dims();
            let last = out.clone().slice([0..lanes, steps - 1..steps, 0..hidden]);
            *state = Some(last.reshape([lanes, hidden]).detach());
            x = out;
        }
        self.readout.forward(x.flatten(0, 1))
    }
}

/// The sum of squares over all gradients, or their scaling.
struct OverAll<'a> {
    gradients: &'a mut GradientsParams,
    squares: Option<Tensor<1>>,
    scale: Option<f32>,
}

impl ModuleVisitor for OverAll<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.get::<D>(param.id) else { return };
        if let Some(scale) = self.scale {
            self.gradients.register(param.id, gradient.mul_scalar(scale));
        } else {
            let squares = gradient.square().sum();
            self.squares = Some(match self.squares.take() {
                None => squares,
                Some(sum) => sum + squares,
            });
        }
    }
}

fn clip(model: &Model, gradients: &mut GradientsParams) {
    let mut over_all = OverAll { gradients, squares: None, scale: None };
    model.visit(&mut over_all);
    let norm = over_all.squares.take().map_or(0.0, |squares| squares.into_scalar::<f32>().sqrt());
    if norm > CLIP {
        over_all.scale = Some(CLIP / norm);
        model.visit(&mut over_all);
    }
}

fn chunk(at: usize, steps: usize, lanes: usize, device: &Device) -> Tensor<2, Int> {
    let ids: Vec<i64> = (0..steps * lanes).map(|i| symbol(at * steps * lanes + i)).collect();
    Tensor::from_data(TensorData::new(ids, [lanes, steps]), device)
}

/// The `i`th of a fixed sequence of random symbols: SplitMix64 at `i`.
fn symbol(i: usize) -> i64 {
    let mut z = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) % VOCAB as u64) as i64
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [cell, layers, hidden, steps, lanes, seconds] = args.as_slice() else {
        return Err("usage: gatemill-peer-burn lstm|gru LAYERS HIDDEN SEQ BATCH SECONDS".into());
    };
    let (layers, hidden) = (layers.parse::<usize>()?, hidden.parse::<usize>()?);
    let (steps, lanes, seconds) = (steps.parse::<usize>()?, lanes.parse::<usize>()?, seconds.parse::<f64>()?);
    let tokens = (steps * lanes) as f64;

    let device = Device::flex().autodiff();
    let mut model = Model::new(cell, layers, hidden, &device);
    let parameters = model.num_params();
    let mut adam = AdamConfig::new().init();
    let cross_entropy: CrossEntropyLoss = CrossEntropyLossConfig::new().init(&device);
    let mut carried =
        Carried { lstm: model.lstm.iter().map(|_| None).collect(), gru: model.gru.iter().map(|_| None).collect() };
    let chunks: Vec<_> = (0..CHUNKS).map(|at| chunk(at, steps, lanes, &device)).collect();
    // Rows of the identity, which are not learned: the one-hot input.
    let identity: Tensor<2> = Tensor::eye(VOCAB, &device);
    let mut at = 0;
    let mut step = || {
        let (x, y) = (chunks[at % CHUNKS].clone(), chunks[(at + 1) % CHUNKS].clone());
        at += 1;
        let rows = identity.clone().select(0, x.flatten::<1>(0, 1)).reshape([lanes, steps, VOCAB]);
        let loss = cross_entropy.forward(model.forward(rows, &mut carried), y.flatten(0, 1));
        let nats = loss.clone().into_scalar::<f32>();
        let mut gradients = GradientsParams::from_grads(loss.backward(), &model);
        clip(&model, &mut gradients);
        model = adam.step(2e-3, model.clone(), gradients);
        nats
    };

    let begun = Instant::now();
    let first = step();
    let mut times = 1;
    while times < WARM_UP_TIMES || begun.elapsed().as_secs_f64() < WARM_UP_S {
        step();
        times += 1;
    }
    let (mut rates, begun) = (Vec::new(), Instant::now());
    while rates.len() < LEAST_TIMES || begun.elapsed().as_secs_f64() < seconds {
        let start = Instant::now();
        step();
        rates.push((tokens / start.elapsed().as_secs_f64()).round());
    }
    println!(r#"{{"rates":{rates:?},"first_loss":{first},"parameters":{parameters}}}"#);
    Ok(())
}
