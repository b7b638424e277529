//! A job answered by a `Network`: set up once, then forward, backward and weight gradients under a setting.

use crate::{Embedding, Job, Named};
use gatemill_cell::{Chunk, LayerState, Network, NetworkOptions, Params, WeightGrads};
use gatemill_crew::{Crew, Split};
use gatemill_kernels::{Cell, Input, Kernels, LayerShape, Layout};
use gatemill_oracle::narrow;
use std::sync::Arc;

/// How a job is carried out.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// The tier.
    pub kernels: Kernels,
    /// The workers.
    pub crew: &'a Crew,
    /// How the work is shared out; None: what suits.
    pub split: Option<Split>,
    /// S.
    pub shards: usize,
}

impl std::fmt::Debug for Setting<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (tier, threads) = (self.kernels.name(), self.crew.threads());
        write!(f, "{tier}, {threads} threads, split {:?}, {} shards", self.split, self.shards)
    }
}

impl<'a> Setting<'a> {
    /// One shard, the split that suits.
    pub fn new(kernels: Kernels, crew: &'a Crew) -> Self {
        Self { kernels, crew, split: None, shards: 1 }
    }
}

/// A network with a job's weights and inputs in it.
#[derive(Debug)]
pub struct Rig {
    /// Masters and what is derived from them.
    pub params: Params,
    /// Buffers of one chunk.
    pub network: Network,
    /// The gradient's tiles.
    pub grads: WeightGrads,
    /// `[T, B]`.
    pub ids: Vec<u32>,
    /// `[T, B]`.
    pub targets: Vec<u32>,
}

/// The layout of a job's model.
fn layout(job: &Job) -> Layout {
    let s = job.shape;
    let first = match job.embedding {
        Embedding::None if job.symbols() => Input::Symbols(s.inputs),
        Embedding::None => Input::Dense(s.inputs),
        Embedding::Own(_) => Input::Embedded { vocab: s.inputs, width: job.stack().inputs },
        Embedding::Tied => Input::Tied(s.inputs),
    };
    let input = |l: usize| if l == 0 { first } else { Input::Dense(s.hidden) };
    let shapes: Vec<LayerShape> = (0..s.layers).map(|l| LayerShape::new(s.cell, input(l), s.hidden)).collect();
    Layout::new(&shapes, s.vocab)
}

fn ids(ids: &[usize]) -> Vec<u32> {
    ids.iter().map(|&id| u32::try_from(id).expect("ids are small")).collect()
}

/// `[L, B, H]` cut into layers.
fn states(job: &Job, h: &[f64], c: &[f64]) -> Vec<LayerState> {
    let len = job.shape.lanes * job.shape.hidden;
    let layer = |all: &[f64], l: usize| narrow(&all[l * len..(l + 1) * len]);
    (0..job.shape.layers)
        .map(|l| LayerState { h: layer(h, l), c: (job.shape.cell == Cell::Lstm).then(|| layer(c, l)) })
        .collect()
}

impl Rig {
    /// A network with the job's weights and data.
    pub fn of(job: &Job, setting: Setting<'_>) -> Self {
        let layout = Arc::new(layout(job));
        let mut params = Params::zeroed(layout.clone()).expect("memory for the weights");
        for (name, tensor) in job.params.tensors() {
            params.set(&format!("rnn.{name}"), &narrow(tensor)).expect("names and shapes are PyTorch's");
        }
        if let Embedding::Own(table) = &job.embedding {
            params.set("embedding.weight", &narrow(table)).expect("embedding.weight");
        }
        if let Some(head) = &job.head {
            params.set("head.weight", &narrow(&head.weight)).expect("head.weight");
            params.set("head.bias", &narrow(&head.bias)).expect("head.bias");
        }
        params.derive(setting.crew, &setting.kernels);
        let options = NetworkOptions {
            steps: job.shape.steps,
            lanes: job.shape.lanes,
            backward: true,
            dropout: job.dropout.is_some(),
            output_dropout: job.output_dropout.is_some(),
            input_grad: !job.symbols(),
            split: setting.split,
            workers: setting.crew.threads(),
        };
        let network = Network::new(&layout, options).expect("memory for the network");
        let grads = network.weight_grads(setting.crew, setting.shards).expect("memory for the gradients");
        let mut rig = Self { params, network, grads, ids: ids(&job.ids), targets: ids(&job.targets) };
        rig.network.set_state(&states(job, &job.h0, &job.c0));
        rig.fill(job);
        rig
    }

    /// Puts dense inputs, resets and the outputs' gradient of a job of the same shape into the network.
    fn fill(&mut self, job: &Job) {
        let (inputs, hidden, lanes) = (job.shape.inputs, job.shape.hidden, job.shape.lanes);
        for n in 0..job.shape.tokens() {
            let (t, lane) = (n / lanes, n % lanes);
            if !job.symbols() {
                self.network.input_mut(t, lane).copy_from_slice(&narrow(&job.x[n * inputs..(n + 1) * inputs]));
            }
            if job.resets[n] {
                self.network.reset(t, lane);
            }
            if job.head.is_none() {
                let d_y = narrow(&job.d_y[n * hidden..(n + 1) * hidden]);
                self.network.output_grad_mut(t, lane).copy_from_slice(&d_y);
            }
        }
    }

    /// Forward over all steps; `loss`: with the targets.
    pub fn forward(&mut self, job: &Job, setting: Setting<'_>, loss: bool) {
        let targets: &[u32] = if loss { &self.targets } else { &[] };
        let Job { scale, dropout, output_dropout, .. } = *job;
        let chunk = Chunk { steps: job.shape.steps, ids: &self.ids, targets, scale, dropout, output_dropout };
        self.network.forward(setting.crew, &setting.kernels, &self.params, &chunk);
    }

    /// Backward from the job's gradients to the last states, then the weight gradients.
    pub fn backward(&mut self, job: &Job, setting: Setting<'_>) {
        self.network.set_final_grad(&states(job, &job.d_h_last, &job.d_c_last));
        self.backward_truncated(job, setting);
    }

    /// Backward with nothing from behind, then the weight gradients.
    pub fn backward_truncated(&mut self, job: &Job, setting: Setting<'_>) {
        let Job { scale, dropout, output_dropout, .. } = *job;
        let (ids, targets) = (&self.ids, &self.targets);
        let chunk = Chunk { steps: job.shape.steps, ids, targets, scale, dropout, output_dropout };
        self.network.backward(setting.crew, &setting.kernels, &self.params, &chunk);
        self.grads.compute(setting.crew, &setting.kernels, &self.params, &self.network, &self.ids);
    }

    /// The gradients of the weights, by name.
    pub fn weight_grads(&self) -> Vec<Named<f32>> {
        let specs = self.params.specs().iter();
        specs.map(|spec| (spec.name.clone(), self.params.export(spec, self.grads.sum()))).collect()
    }

    /// The value of `f` at every (t, lane), one after the other.
    pub fn per_token<'a>(&'a self, f: impl Fn(&'a Network, usize, usize) -> &'a [f32]) -> Vec<f32> {
        let (steps, lanes) = (self.network.steps(), self.network.lanes());
        (0..steps * lanes).flat_map(|n| f(&self.network, n / lanes, n % lanes).to_vec()).collect()
    }
}

/// Adds h and c of all layers under the names given.
fn push_states(out: &mut Vec<Named<f32>>, (h, c): (&str, &str), states: &[LayerState]) {
    out.push((h.into(), states.iter().flat_map(|s| s.h.clone()).collect()));
    if states.iter().any(|s| s.c.is_some()) {
        out.push((c.into(), states.iter().flat_map(|s| s.c.clone().unwrap_or_default()).collect()));
    }
}

/// A job under a setting: the tensors of [`crate::reference`], under the same names and in the same order.
pub fn run(job: &Job, setting: Setting<'_>) -> Vec<Named<f32>> {
    let mut rig = Rig::of(job, setting);
    let mut out = rig.forward_tensors(job, setting);
    rig.backward(job, setting);
    push_states(&mut out, ("d_h0", "d_c0"), &rig.network.initial_grad());
    if !job.symbols() {
        out.push(("d_x".into(), rig.per_token(Network::input_grad)));
    }
    out.extend(rig.weight_grads());
    out
}

impl Rig {
    /// Forward, with and without the loss: outputs, last states, logits, losses, the logits' gradient.
    pub fn forward_tensors(&mut self, job: &Job, setting: Setting<'_>) -> Vec<Named<f32>> {
        let mut out = Vec::new();
        self.forward(job, setting, false);
        out.push(("output".to_string(), self.per_token(Network::output)));
        push_states(&mut out, ("h_n", "c_n"), &self.network.final_state(job.shape.steps));
        if job.head.is_some() {
            out.push(("logits".into(), self.per_token(Network::logits)));
            self.forward(job, setting, true);
            out.push(("nats".into(), self.network.nats(job.shape.steps).to_vec()));
            out.push(("d_logits".into(), self.per_token(Network::logits)));
        }
        out
    }
}
