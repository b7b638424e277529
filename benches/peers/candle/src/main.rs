//! Training in candle: one-hot input, LSTM or GRU layers, readout, cross-entropy, backward, clip by norm 5, Adam at 0.002,
//! the loss read at each step, the state carried and detached. Started by `cargo xtask compare`; the rules of warm-up and
//! the line that it prints are those of ../measure.py.
//!
//! candle clips no gradients, so the norm over all of them is taken here. AdamW without weight decay is Adam.
//!
//!     gatemill-peer-candle CELL LAYERS HIDDEN SEQ BATCH SECONDS
#![forbid(unsafe_code)]

use candle_core::{DType, Device, Result, Tensor, backprop::GradStore};
use candle_nn::rnn::{GRUState, LSTMState};
use candle_nn::{AdamW, Embedding, GRU, LSTM, Linear, Module, Optimizer, ParamsAdamW, RNN, VarBuilder, VarMap};
use std::time::Instant;

const VOCAB: usize = 65;
const CHUNKS: usize = 8;
const CLIP: f64 = 5.0;
const WARM_UP_S: f64 = 0.5;
const WARM_UP_TIMES: usize = 2;
const LEAST_TIMES: usize = 5;

/// A layer and the state that it carries from chunk to chunk.
enum Layer {
    Lstm(LSTM, LSTMState),
    Gru(GRU, GRUState),
}

impl Layer {
    /// `x [B, T, in] -> [B, T, H]`; the state goes on, without its history.
    fn forward(&mut self, x: &Tensor, hidden: usize) -> Result<Tensor> {
        let (lanes, steps, _) = x.dims3()?;
        match self {
            Layer::Lstm(layer, state) => {
                let states = layer.seq_init(x, state)?;
                if let Some(last) = states.last() {
                    *state = LSTMState::new(last.h().detach(), last.c().detach());
                }
                layer.states_to_tensor(&states)
            }
            Layer::Gru(layer, state) => {
                let states = layer.seq_init(x, state)?;
                if let Some(last) = states.last() {
                    *state = GRUState { h: last.h().detach() };
                }
                layer.states_to_tensor(&states)?.reshape((lanes, steps, hidden))
            }
        }
    }
}

struct Work {
    vars: VarMap,
    rows: Embedding,
    layers: Vec<Layer>,
    readout: Linear,
    adam: AdamW,
    chunks: Vec<Tensor>,
    hidden: usize,
    step: usize,
}

impl Work {
    fn new(cell: &str, [layers, hidden, steps, lanes]: [usize; 4]) -> Result<Self> {
        let device = Device::Cpu;
        let vars = VarMap::new();
        let names = VarBuilder::from_varmap(&vars, DType::F32, &device);
        // Rows of the identity, which are not learned: the one-hot input.
        let rows = Embedding::new(Tensor::eye(VOCAB, DType::F32, &device)?, VOCAB);
        let mut stack = Vec::new();
        for at in 0..layers {
            let (below, names) = (if at == 0 { VOCAB } else { hidden }, names.pp(format!("layer{at}")));
            stack.push(if cell == "lstm" {
                let layer = candle_nn::lstm(below, hidden, Default::default(), names)?;
                let state = layer.zero_state(lanes)?;
                Layer::Lstm(layer, state)
            } else {
                let layer = candle_nn::gru(below, hidden, Default::default(), names)?;
                let state = layer.zero_state(lanes)?;
                Layer::Gru(layer, state)
            });
        }
        let readout = candle_nn::linear(hidden, VOCAB, names.pp("readout"))?;
        let adam = ParamsAdamW { lr: 2e-3, weight_decay: 0.0, ..Default::default() };
        let adam = AdamW::new(vars.all_vars(), adam)?;
        let chunks = (0..CHUNKS).map(|chunk| {
            let ids = (0..steps * lanes).map(|i| symbol(chunk * steps * lanes + i)).collect();
            Tensor::from_vec(ids, (lanes, steps), &device)
        });
        let chunks = chunks.collect::<Result<_>>()?;
        Ok(Work { vars, rows, layers: stack, readout, adam, chunks, hidden, step: 0 })
    }

    fn step(&mut self) -> Result<f32> {
        let (x, y) = (&self.chunks[self.step % CHUNKS], &self.chunks[(self.step + 1) % CHUNKS]);
        self.step += 1;
        let mut out = self.rows.forward(x)?;
        for layer in &mut self.layers {
            out = layer.forward(&out, self.hidden)?;
        }
        let logits = self.readout.forward(&out.flatten(0, 1)?)?;
        let loss = candle_nn::loss::cross_entropy(&logits, &y.flatten_all()?)?;
        let mut gradients = loss.backward()?;
        self.clip(&mut gradients)?;
        self.adam.step(&gradients)?;
        loss.to_scalar()
    }

    fn clip(&self, gradients: &mut GradStore) -> Result<()> {
        let vars = self.vars.all_vars();
        let mut squares = 0.0;
        for gradient in vars.iter().filter_map(|var| gradients.get(var)) {
            squares += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
        }
        let norm = squares.sqrt();
        if norm > CLIP {
            for var in &vars {
                if let Some(gradient) = gradients.get(var) {
                    let clipped = (gradient * (CLIP / norm))?;
                    gradients.insert(var, clipped);
                }
            }
        }
        Ok(())
    }
}

/// The `i`th of a fixed sequence of random symbols: SplitMix64 at `i`.
fn symbol(i: usize) -> u32 {
    let mut z = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) % VOCAB as u64) as u32
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [cell, layers, hidden, steps, lanes, seconds] = args.as_slice() else {
        return Err("usage: gatemill-peer-candle lstm|gru LAYERS HIDDEN SEQ BATCH SECONDS".into());
    };
    let sizes @ [_, _, steps, lanes] = [layers.parse()?, hidden.parse()?, steps.parse()?, lanes.parse()?];
    let (tokens, seconds) = ((steps * lanes) as f64, seconds.parse::<f64>()?);
    let mut work = Work::new(cell, sizes)?;
    let parameters: usize = work.vars.all_vars().iter().map(|var| var.elem_count()).sum();

    let begun = Instant::now();
    let first = work.step()?;
    let mut times = 1;
    while times < WARM_UP_TIMES || begun.elapsed().as_secs_f64() < WARM_UP_S {
        work.step()?;
        times += 1;
    }
    let (mut rates, begun) = (Vec::new(), Instant::now());
    while rates.len() < LEAST_TIMES || begun.elapsed().as_secs_f64() < seconds {
        let start = Instant::now();
        work.step()?;
        rates.push((tokens / start.elapsed().as_secs_f64()).round());
    }
    println!(r#"{{"rates":{rates:?},"first_loss":{first},"parameters":{parameters}}}"#);
    Ok(())
}
