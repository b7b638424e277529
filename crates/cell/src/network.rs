//! A network over a chunk of T steps of B lanes: forward, backward, state in and out. All memory is its own, made once.

use crate::params::Params;
use crate::unroll;
use crate::weight_grad::WeightGrads;
use crate::workspace::{Bufs, Needs, allocate};
use gatemill_crew::{Crew, Split};
use gatemill_kernels::{Dropout, Kernels, LANES, Layout, Op, OutOfMemory, Pass, Tokens, Workspace};
use std::sync::Arc;

/// What a network is made for.
#[derive(Debug, Clone, Copy, Default)]
pub struct NetworkOptions {
    /// T: most steps of a chunk.
    pub steps: usize,
    /// B.
    pub lanes: usize,
    /// Backward will be asked for.
    pub backward: bool,
    /// Dropout between layers will be asked for.
    pub dropout: bool,
    /// Dropout before the readout will be asked for.
    pub output_dropout: bool,
    /// The gradient to a dense input will be asked for.
    pub input_grad: bool,
    /// How the work is shared out; the bits are the same. None: what suits lanes and workers.
    pub split: Option<Split>,
}

/// The symbols of a chunk and what goes with them.
#[derive(Clone, Copy, Default)]
pub struct Chunk<'a> {
    /// Steps of this chunk, at most T.
    pub steps: usize,
    /// Symbols `[T, B]`; empty for a dense input. V or more: a symbol never seen.
    pub ids: &'a [u32],
    /// Targets `[T, B]`; empty where no loss is wanted. V or more: left out.
    pub targets: &'a [u32],
    /// Factor on each counted token's gradient.
    pub scale: f32,
    /// Dropout between layers; needs `NetworkOptions::dropout`.
    pub dropout: Option<Dropout>,
    /// Dropout before the readout; needs `NetworkOptions::output_dropout`.
    pub output_dropout: Option<Dropout>,
}

/// The carried state of one layer: h, and c for an LSTM.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerState {
    /// `[B, H]`, or `[B, P]` of a projection.
    pub h: Vec<f32>,
    /// `[B, H]`, LSTM only.
    pub c: Option<Vec<f32>>,
}

/// The row of zeros (`gatemill_kernels::Tokens`).
const ZEROS: usize = 0;

/// Buffers and lists of operations of a network.
#[derive(Debug)]
pub struct Network {
    layout: Arc<Layout>,
    ws: Workspace,
    bufs: Bufs,
    forward: Vec<Op>,
    plain: Vec<Op>,
    backward: Vec<Op>,
    /// Operations of a forward list before its first readout.
    layers_end: usize,
    split: Option<Split>,
    steps: usize,
    /// Steps of the last backward: later gate gradients are of an older chunk.
    backward_steps: usize,
    /// `set_final_grad` was called since the last backward.
    final_grad: bool,
}

impl Network {
    /// Allocates a network's buffers. Errors: the memory is not to be had.
    pub fn new(layout: &Arc<Layout>, options: NetworkOptions) -> Result<Self, OutOfMemory> {
        let needs = Needs {
            backward: options.backward,
            dropout: options.dropout,
            output_dropout: options.output_dropout,
            d_x: options.input_grad,
        };
        let tokens = Tokens::rectangular(options.steps, options.lanes);
        let (ws, bufs) = allocate(layout, tokens, needs)?;
        let forward = unroll::forward(&bufs, options.steps, true);
        let plain = unroll::forward(&bufs, options.steps, false);
        let backward = unroll::backward(&bufs, options.steps);
        let layers_end = plain.iter().position(|op| matches!(op, Op::Readout(_))).unwrap_or(plain.len());
        let NetworkOptions { split, steps, .. } = options;
        let (layout, backward_steps, final_grad) = (layout.clone(), 0, false);
        Ok(Self { layout, ws, bufs, forward, plain, backward, layers_end, split, steps, backward_steps, final_grad })
    }
    /// The tiles and memory of this network's weight gradients, cut for this crew (any other gets the same bits).
    /// Errors: the memory is not to be had.
    pub fn weight_grads(&self, crew: &Crew, shards: usize) -> Result<WeightGrads, OutOfMemory> {
        self.grouped_weight_grads(crew, shards, 1)
    }
    /// The same for `groups` batches of this network's lanes, one pass each, with `shards` shards each.
    pub fn grouped_weight_grads(&self, crew: &Crew, shards: usize, groups: usize) -> Result<WeightGrads, OutOfMemory> {
        WeightGrads::new(&self.layout, &self.bufs, self.lanes(), (shards, groups), crew.threads())
    }
    /// T.
    pub fn steps(&self) -> usize {
        self.steps
    }
    /// B.
    pub fn lanes(&self) -> usize {
        self.ws.tokens().lanes()
    }
    /// Bytes of all buffers.
    pub fn size_bytes(&self) -> usize {
        self.ws.size_bytes()
    }
    pub(crate) fn backward_steps(&self) -> usize {
        self.backward_steps
    }
    pub(crate) fn workspace(&self) -> &Workspace {
        &self.ws
    }
    fn split(&self, crew: &Crew) -> Split {
        self.split.unwrap_or_else(|| Split::suited(self.lanes(), crew.threads(), 4 * self.layout.params()))
    }
    fn pass<'a>(params: &'a Params, chunk: &Chunk<'a>) -> Pass<'a> {
        let Chunk { ids, targets, scale, dropout, output_dropout, .. } = *chunk;
        Pass { weights: params.weights(), ids, targets, scale, dropout, output_dropout }
    }

    /// Forward over the chunk, from the carried states. Panics where the chunk is longer than T.
    pub fn forward(&mut self, crew: &Crew, kernels: &Kernels, params: &Params, chunk: &Chunk<'_>) {
        self.run_forward((crew, kernels), params, chunk, 0, usize::MAX);
    }
    /// The first part of `forward`: the recurrent layers, up to the first readout. Panics as `forward`.
    pub fn forward_layers(&mut self, crew: &Crew, kernels: &Kernels, params: &Params, chunk: &Chunk<'_>) {
        self.run_forward((crew, kernels), params, chunk, 0, self.layers_end);
    }
    /// The rest of `forward`, behind `forward_layers` of the same chunk: readout and loss. Panics as `forward`.
    pub fn forward_readout(&mut self, crew: &Crew, kernels: &Kernels, params: &Params, chunk: &Chunk<'_>) {
        self.run_forward((crew, kernels), params, chunk, self.layers_end, usize::MAX);
    }
    /// Operations `from..to` of forward, as far as there are any.
    fn run_forward(
        &mut self,
        (crew, kernels): (&Crew, &Kernels),
        params: &Params,
        chunk: &Chunk<'_>,
        from: usize,
        to: usize,
    ) {
        assert!(chunk.steps <= self.steps, "a chunk of {} steps in a network of {}", chunk.steps, self.steps);
        let split = self.split(crew);
        let ops = if chunk.dropout.is_some() || chunk.output_dropout.is_some() { &self.forward } else { &self.plain };
        let ops = &ops[from..to.min(ops.len())];
        crew.run(kernels, ops, chunk.steps, &Self::pass(params, chunk), &mut self.ws, split);
    }
    /// Backward over the chunk that `forward` ran: gate gradients in the gates' place, gradients to h_0, c_0 and x.
    ///
    /// The gradient that comes from after the chunk is zero unless [`Network::set_final_grad`] set it for this call.
    /// Panics where the chunk is longer than T.
    pub fn backward(&mut self, crew: &Crew, kernels: &Kernels, params: &Params, chunk: &Chunk<'_>) {
        assert!(chunk.steps <= self.steps, "a chunk of {} steps in a network of {}", chunk.steps, self.steps);
        if !std::mem::take(&mut self.final_grad) {
            self.clear_final_grad();
        }
        self.backward_steps = chunk.steps;
        let split = self.split(crew);
        crew.run(kernels, &self.backward, chunk.steps, &Self::pass(params, chunk), &mut self.ws, split);
    }
    /// Takes `set_final_grad` back: no gradient comes from after the chunk, truncated backpropagation through time.
    pub fn clear_final_grad(&mut self) {
        self.final_grad = false;
        for back in self.bufs.layers.iter().filter_map(|l| l.back) {
            self.ws.buf_mut(back.d_h).fill(0.0);
            if let Some(d_c) = back.d_c {
                self.ws.buf_mut(d_c).fill(0.0);
            }
        }
    }
    /// The state after `steps` steps becomes the carried state of the next chunk.
    pub fn carry(&mut self, steps: usize) {
        for lane in 0..self.lanes() {
            let from = self.last_row(steps, lane);
            let to = self.ws.tokens().carried_row(lane);
            for b in &self.bufs.layers {
                self.ws.copy_row(b.h, from, to);
                if let Some(c) = b.c {
                    self.ws.copy_row(c, from, to);
                }
            }
        }
    }
    fn last_row(&self, steps: usize, lane: usize) -> usize {
        let tokens = self.ws.tokens();
        if steps == 0 { tokens.carried_row(lane) } else { tokens.row(tokens.token(steps - 1, lane)) }
    }
    /// All carried states become zero: the begin of an epoch. Allocates nothing.
    pub fn clear_state(&mut self) {
        for lane in 0..self.lanes() {
            let row = self.ws.tokens().carried_row(lane);
            for b in &self.bufs.layers {
                self.ws.copy_row(b.h, ZEROS, row);
                if let Some(c) = b.c {
                    self.ws.copy_row(c, ZEROS, row);
                }
            }
        }
    }
    fn set_lane(&mut self, layer: usize, lane: usize, h: &[f32], c: &[f32]) {
        let (b, row) = (self.bufs.layers[layer], self.ws.tokens().carried_row(lane));
        self.ws.row_mut(b.h, row, h.len()).copy_from_slice(h);
        if let Some(id) = b.c {
            put_units(&mut self.ws, id, row, c);
        }
    }
    /// The carried state of each layer.
    pub fn state(&self) -> Vec<LayerState> {
        self.state_at(|ws, lane| ws.tokens().carried_row(lane))
    }
    /// The carried state of each layer into memory of the caller's, as [`Network::state`] gives it. Allocates nothing.
    /// Panics where it has another shape.
    pub fn state_into(&self, out: &mut [LayerState]) {
        assert_eq!(out.len(), self.bufs.layers.len(), "states for {} layers", out.len());
        for ((layer, b), state) in self.layout.layers().iter().zip(&self.bufs.layers).zip(out) {
            let (outputs, hidden) = (layer.shape.outputs(), layer.shape.hidden);
            assert_eq!(state.h.len(), self.lanes() * outputs, "h has another shape");
            assert_eq!(state.c.as_ref().map(Vec::len), b.c.map(|_| self.lanes() * hidden), "c has another shape");
            for lane in 0..self.lanes() {
                let (row, part) = (self.ws.tokens().carried_row(lane), lane * hidden..(lane + 1) * hidden);
                state.h[lane * outputs..][..outputs].copy_from_slice(self.ws.row(b.h, row, outputs));
                if let (Some(id), Some(c)) = (b.c, &mut state.c) {
                    for (v, units) in c[part].chunks_mut(LANES).enumerate() {
                        units.copy_from_slice(&self.ws.vector(id, v, row)[..units.len()]);
                    }
                }
            }
        }
    }
    /// The state after `steps` steps of each layer.
    pub fn final_state(&self, steps: usize) -> Vec<LayerState> {
        self.state_at(|_, lane| self.last_row(steps, lane))
    }
    fn state_at(&self, row: impl Fn(&Workspace, usize) -> usize) -> Vec<LayerState> {
        let layers = self.layout.layers().iter().zip(&self.bufs.layers);
        layers
            .map(|(l, b)| {
                let (outputs, hidden) = (l.shape.outputs(), l.shape.hidden);
                let rows = || (0..self.lanes()).map(|lane| row(&self.ws, lane));
                LayerState {
                    h: rows().flat_map(|r| self.ws.row(b.h, r, outputs).to_vec()).collect(),
                    c: b.c.map(|id| rows().flat_map(|r| get_units(&self.ws, id, r, hidden)).collect()),
                }
            })
            .collect()
    }
    /// Sets the carried states. Panics where a state has another shape.
    pub fn set_state(&mut self, state: &[LayerState]) {
        assert_eq!(state.len(), self.bufs.layers.len(), "states for {} layers", state.len());
        for (l, s) in state.iter().enumerate() {
            let (outputs, hidden) = (self.layout.layers()[l].shape.outputs(), self.layout.layers()[l].shape.hidden);
            assert_eq!(s.h.len(), self.lanes() * outputs, "layer {l}: h has another shape");
            let c = s.c.as_ref().filter(|_| self.bufs.layers[l].c.is_some());
            assert!(c.is_none_or(|c| c.len() == self.lanes() * hidden), "layer {l}: c has another shape");
            assert_eq!(c.is_some(), self.bufs.layers[l].c.is_some(), "layer {l}: a c is missing");
            for lane in 0..self.lanes() {
                let c = c.map_or(&[][..], |c| &c[lane * hidden..(lane + 1) * hidden]);
                self.set_lane(l, lane, &s.h[lane * outputs..(lane + 1) * outputs], c);
            }
        }
    }
    /// The state before (`t`, `lane`) is zero in the next passes: a new document begins there.
    pub fn reset(&mut self, t: usize, lane: usize) {
        self.ws.tokens_mut().reset(t, lane);
    }
    /// Takes all resets back.
    pub fn clear_resets(&mut self) {
        self.ws.tokens_mut().clear_resets();
    }

    /// A dense input's row at (`t`, `lane`), to be written before `forward`. Panics where the network reads symbols.
    pub fn input_mut(&mut self, t: usize, lane: usize) -> &mut [f32] {
        let inputs = self.layout.layers()[0].shape.inputs();
        let (id, row) = (self.bufs.x.expect("this network reads symbols"), self.token_row(t, lane));
        self.ws.row_mut(id, row, inputs)
    }
    /// The gradient to a dense input at (`t`, `lane`), after `backward`. Panics where it was not asked for.
    pub fn input_grad(&self, t: usize, lane: usize) -> &[f32] {
        let inputs = self.layout.layers()[0].shape.inputs();
        self.ws.row(self.bufs.d_x.expect("no input gradient was asked for"), self.token_row(t, lane), inputs)
    }
    /// h of the top layer at (`t`, `lane`).
    pub fn output(&self, t: usize, lane: usize) -> &[f32] {
        let top = self.bufs.layers.len() - 1;
        self.ws.row(self.bufs.layers[top].h, self.token_row(t, lane), self.layout.layers()[top].shape.outputs())
    }
    /// The gradient to the top layer's output at (`t`, `lane`), to be written before `backward` without a readout.
    ///
    /// Panics where backward was not asked for.
    pub fn output_grad_mut(&mut self, t: usize, lane: usize) -> &mut [f32] {
        let top = self.bufs.layers.len() - 1;
        let (id, row) = (self.bufs.d_y.expect("no backward was asked for"), self.token_row(t, lane));
        self.ws.row_mut(id, row, self.layout.layers()[top].shape.outputs())
    }
    /// Logits at (`t`, `lane`), where the chunk had no targets; their gradient where it had. Panics without a readout.
    pub fn logits(&self, t: usize, lane: usize) -> &[f32] {
        let vocab = self.layout.head().expect("no readout").vocab;
        let token = self.ws.tokens().token(t, lane);
        self.ws.row(self.bufs.logits.expect("no readout"), token, vocab)
    }
    /// Loss of each token of the first steps, `[steps, B]`, in nats; 0 where the target was left out.
    pub fn nats(&self, steps: usize) -> &[f32] {
        let id = self.bufs.nats.expect("no readout");
        &self.ws.buf(id)[..steps * self.lanes()]
    }
    /// Sets, for the next backward, the gradient that comes from after the chunk to each layer's h and c, `[B, H]` each.
    /// A c that is None is zero. Panics where a gradient has another shape or backward was not asked for.
    pub fn set_final_grad(&mut self, grads: &[LayerState]) {
        assert_eq!(grads.len(), self.bufs.layers.len(), "gradients for {} layers", grads.len());
        for (l, g) in grads.iter().enumerate() {
            let (outputs, hidden) = (self.layout.layers()[l].shape.outputs(), self.layout.layers()[l].shape.hidden);
            let back = self.bufs.layers[l].back.expect("no backward was asked for");
            assert_eq!(g.h.len(), self.lanes() * outputs, "layer {l}: the gradient to h has another shape");
            let zeros = vec![0.0; if back.d_c.is_some() { self.lanes() * hidden } else { 0 }];
            let c = g.c.as_ref().unwrap_or(&zeros);
            assert!(back.d_c.is_none() || c.len() == zeros.len(), "layer {l}: the gradient to c has another shape");
            for lane in 0..self.lanes() {
                self.ws.row_mut(back.d_h, lane, outputs).copy_from_slice(&g.h[lane * outputs..(lane + 1) * outputs]);
                if let Some(id) = back.d_c {
                    put_units(&mut self.ws, id, lane, &c[lane * hidden..(lane + 1) * hidden]);
                }
            }
        }
        self.final_grad = true;
    }
    /// Gradients to each layer's h_0 and c_0, after `backward`.
    pub fn initial_grad(&self) -> Vec<LayerState> {
        let layers = self.layout.layers().iter().zip(&self.bufs.layers);
        layers
            .map(|(l, b)| {
                let (outputs, hidden, back) =
                    (l.shape.outputs(), l.shape.hidden, b.back.expect("no backward was asked for"));
                let lanes = || 0..self.lanes();
                LayerState {
                    h: lanes().flat_map(|lane| self.ws.row(back.d_h, lane, outputs).to_vec()).collect(),
                    c: back.d_c.map(|id| lanes().flat_map(|lane| get_units(&self.ws, id, lane, hidden)).collect()),
                }
            })
            .collect()
    }
    fn token_row(&self, t: usize, lane: usize) -> usize {
        let tokens = self.ws.tokens();
        tokens.row(tokens.token(t, lane))
    }
}

fn put_units(ws: &mut Workspace, id: gatemill_kernels::BufId, row: usize, units: &[f32]) {
    for (v, part) in units.chunks(LANES).enumerate() {
        ws.vector_mut(id, v, row)[..part.len()].copy_from_slice(part);
    }
}

fn get_units(ws: &Workspace, id: gatemill_kernels::BufId, row: usize, units: usize) -> Vec<f32> {
    let vectors = units.div_ceil(LANES);
    let mut out: Vec<f32> = (0..vectors).flat_map(|v| ws.vector(id, v, row).to_vec()).collect();
    out.truncate(units);
    out
}
