//! A network over a batch of tokens: forward, backward, state in and out. All memory is its own, and kept from batch to
//! batch where it suffices.

use crate::params::Params;
use crate::unroll;
use crate::weight_grad::WeightGrads;
use crate::workspace::{BackBufs, Bufs, Needs, allocate};
use gatemill_crew::{Crew, Split};
use gatemill_kernels::{
    Batch, BatchError, Cell, Dropout, Kernels, LANES, Layout, Op, OutOfMemory, Pass, Tokens, Workspace,
};
use std::sync::Arc;

/// What a network is made for.
#[derive(Debug, Clone, Copy, Default)]
pub struct NetworkOptions {
    /// T: most steps of a chunk, until [`Network::set_batch`] says otherwise.
    pub steps: usize,
    /// B, likewise.
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
    /// Symbols `[T, B]`, in the order of the tokens; empty for a dense input. V or more: a symbol never seen.
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
        let mut network = Self {
            layout: layout.clone(),
            ws,
            bufs,
            forward: Vec::new(),
            plain: Vec::new(),
            backward: Vec::new(),
            layers_end: 0,
            split: options.split,
            backward_steps: 0,
            final_grad: false,
        };
        network.unroll();
        Ok(network)
    }
    /// The lists of operations for the steps at hand.
    fn unroll(&mut self) {
        let steps = self.steps();
        unroll::forward(&mut self.forward, &self.bufs, steps, true);
        unroll::forward(&mut self.plain, &self.bufs, steps, false);
        unroll::backward(&mut self.backward, &self.bufs, steps);
        let readout = self.plain.iter().position(|op| matches!(op, Op::Readout(_)));
        self.layers_end = readout.unwrap_or(self.plain.len());
    }
    /// Takes a batch of another form from here on: other steps, other lanes, lanes of different lengths. States carried in
    /// are zero, there are no resets, and inputs and outputs are of no meaning until they are written. Allocates only
    /// where the batch needs more memory than any before.
    ///
    /// Errors: a form that is none, the memory is not to be had; the batch is then the one that was, from zero states.
    pub fn set_batch(&mut self, batch: Batch<'_>) -> Result<(), BatchError> {
        let steps = self.steps();
        let placed = self.ws.set_batch(batch);
        (self.backward_steps, self.final_grad) = (0, false);
        if self.steps() != steps {
            self.unroll();
        }
        placed
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
        self.ws.tokens().steps()
    }
    /// Where the batch's tokens lie.
    pub fn tokens(&self) -> &Tokens {
        self.ws.tokens()
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
    fn fits(&self, chunk: &Chunk<'_>) {
        assert!(chunk.steps <= self.steps(), "a chunk of {} steps in a network of {}", chunk.steps, self.steps());
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
        self.fits(chunk);
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
        self.fits(chunk);
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
            let to = self.ws.tokens().carried_row(lane);
            for (layer, b) in self.layout.layers().iter().zip(&self.bufs.layers) {
                let from = self.ws.tokens().last_row(steps, lane, layer.order);
                self.ws.copy_row(b.h, from, to);
                if let Some(c) = b.c {
                    self.ws.copy_row(c, from, to);
                }
            }
        }
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
    /// The carried state of each layer.
    pub fn state(&self) -> Vec<LayerState> {
        self.states(Self::state_of)
    }
    /// The carried state of each layer into memory of the caller's, as [`Network::state`] gives it. Allocates nothing.
    /// Panics where it has another shape.
    pub fn state_into(&self, out: &mut [LayerState]) {
        assert_eq!(out.len(), self.bufs.layers.len(), "states for {} layers", out.len());
        for (l, state) in out.iter_mut().enumerate() {
            self.state_of(l, &mut state.h, state.c.as_deref_mut());
        }
    }
    /// The carried state of layer `l` into h `[B, H]` and c `[B, H]`, LSTM only. Panics where one has another shape.
    pub fn state_of(&self, l: usize, h: &mut [f32], c: Option<&mut [f32]>) {
        self.rows_of(l, |lane| self.ws.tokens().carried_row(lane), h, c);
    }
    /// The state after `steps` steps of each layer: of each lane that after its last token among them.
    pub fn final_state(&self, steps: usize) -> Vec<LayerState> {
        self.states(|network, l, h, c| network.final_state_of(steps, l, h, c))
    }
    /// The state after `steps` steps of layer `l`, as [`Network::state_of`].
    pub fn final_state_of(&self, steps: usize, l: usize, h: &mut [f32], c: Option<&mut [f32]>) {
        let order = self.layout.layers()[l].order;
        self.rows_of(l, |lane| self.ws.tokens().last_row(steps, lane, order), h, c);
    }
    fn states(&self, of: impl Fn(&Self, usize, &mut [f32], Option<&mut [f32]>)) -> Vec<LayerState> {
        let states = self.layout.layers().iter().enumerate().map(|(l, layer)| {
            let shape = &layer.shape;
            let c = (shape.cell == Cell::Lstm).then(|| vec![0.0; self.lanes() * shape.hidden]);
            let mut state = LayerState { h: vec![0.0; self.lanes() * shape.outputs()], c };
            of(self, l, &mut state.h, state.c.as_deref_mut());
            state
        });
        states.collect()
    }
    /// Rows of h and c of layer `l`, one for each lane.
    fn rows_of(&self, l: usize, row: impl Fn(usize) -> usize, h: &mut [f32], c: Option<&mut [f32]>) {
        let (shape, b) = (&self.layout.layers()[l].shape, &self.bufs.layers[l]);
        self.of_shape(l, h.len(), c.as_ref().map(|c| c.len()));
        for (lane, h) in h.chunks_exact_mut(shape.outputs()).enumerate() {
            h.copy_from_slice(self.ws.row(b.h, row(lane), h.len()));
        }
        if let (Some(id), Some(c)) = (b.c, c) {
            for (lane, c) in c.chunks_exact_mut(shape.hidden).enumerate() {
                get_units(&self.ws, id, row(lane), c);
            }
        }
    }
    /// Panics where h and c of a state, or of its gradient, are not of this layer and batch.
    fn of_shape(&self, l: usize, h: usize, c: Option<usize>) {
        let shape = &self.layout.layers()[l].shape;
        assert_eq!(h, self.lanes() * shape.outputs(), "layer {l}: h has another shape");
        let want = (shape.cell == Cell::Lstm).then_some(self.lanes() * shape.hidden);
        assert_eq!(c, want, "layer {l}: c has another shape");
    }
    /// Sets the carried states. A c that is None is zero. Panics where a state has another shape.
    pub fn set_state(&mut self, state: &[LayerState]) {
        assert_eq!(state.len(), self.bufs.layers.len(), "states for {} layers", state.len());
        for (l, s) in state.iter().enumerate() {
            self.set_state_of(l, &s.h, s.c.as_deref());
        }
    }
    /// Sets the carried state of layer `l`: h `[B, H]`, c `[B, H]`; an LSTM's c that is None is zero. Panics where one has
    /// another shape.
    pub fn set_state_of(&mut self, l: usize, h: &[f32], c: Option<&[f32]>) {
        let (shape, b) = (self.layout.layers()[l].shape, self.bufs.layers[l]);
        let zero = b.c.filter(|_| c.is_none());
        self.of_shape(l, h.len(), c.map(<[f32]>::len).or(zero.map(|_| self.lanes() * shape.hidden)));
        for (lane, h) in h.chunks_exact(shape.outputs()).enumerate() {
            let row = self.ws.tokens().carried_row(lane);
            // Padding too: what a pass left there may be no number.
            self.ws.copy_row(b.h, ZEROS, row);
            self.ws.row_mut(b.h, row, h.len()).copy_from_slice(h);
            if let Some(id) = b.c {
                self.ws.copy_row(id, ZEROS, row);
                let c = c.map_or(&[][..], |c| &c[lane * shape.hidden..][..shape.hidden]);
                put_units(&mut self.ws, id, row, c);
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
        let hidden = self.layout.layers()[self.bufs.layers.len() - 1].shape.outputs();
        let (id, row) = (self.bufs.d_y.expect("no backward was asked for"), self.token_row(t, lane));
        let d_y = self.ws.row_mut(id, row, hidden.next_multiple_of(LANES));
        let (d_y, padding) = d_y.split_at_mut(hidden);
        // What a pass left there may be no number.
        padding.fill(0.0);
        d_y
    }
    /// Logits at (`t`, `lane`), where the chunk had no targets; their gradient where it had. Panics without a readout.
    pub fn logits(&self, t: usize, lane: usize) -> &[f32] {
        let vocab = self.layout.head().expect("no readout").vocab;
        let token = self.ws.tokens().token(t, lane);
        self.ws.row(self.bufs.logits.expect("no readout"), token, vocab)
    }
    /// Loss of each token of the first steps, `[steps, B]` in the order of the tokens, in nats; 0 where the target was left out.
    pub fn nats(&self, steps: usize) -> &[f32] {
        let id = self.bufs.nats.expect("no readout");
        &self.ws.buf(id)[..self.ws.tokens().count_of(steps)]
    }
    /// Sets, for the next backward, the gradient that comes from after the chunk to each layer's h and c, `[B, H]` each.
    /// A c that is None is zero. Panics where a gradient has another shape or backward was not asked for.
    pub fn set_final_grad(&mut self, grads: &[LayerState]) {
        assert_eq!(grads.len(), self.bufs.layers.len(), "gradients for {} layers", grads.len());
        for (l, g) in grads.iter().enumerate() {
            self.set_final_grad_of(l, &g.h, g.c.as_deref());
        }
    }
    /// The same for layer `l` alone; layers that none is set for have zero. Panics likewise.
    pub fn set_final_grad_of(&mut self, l: usize, h: &[f32], c: Option<&[f32]>) {
        if !self.final_grad {
            self.clear_final_grad();
        }
        let (shape, back) = (self.layout.layers()[l].shape, self.back(l));
        let zero = back.d_c.filter(|_| c.is_none());
        self.of_shape(l, h.len(), c.map(<[f32]>::len).or(zero.map(|_| self.lanes() * shape.hidden)));
        for (lane, h) in h.chunks_exact(shape.outputs()).enumerate() {
            self.ws.row_mut(back.d_h, lane, h.len()).copy_from_slice(h);
            if let Some(id) = back.d_c {
                (0..shape.hidden_vectors()).for_each(|v| self.ws.vector_mut(id, v, lane).fill(0.0));
                let c = c.map_or(&[][..], |c| &c[lane * shape.hidden..][..shape.hidden]);
                put_units(&mut self.ws, id, lane, c);
            }
        }
        self.final_grad = true;
    }
    /// Gradients to each layer's h_0 and c_0, after `backward`.
    pub fn initial_grad(&self) -> Vec<LayerState> {
        self.states(Self::initial_grad_of)
    }
    /// The same of layer `l` into h `[B, H]` and c `[B, H]`, LSTM only. Panics where one has another shape or backward was
    /// not asked for.
    pub fn initial_grad_of(&self, l: usize, h: &mut [f32], c: Option<&mut [f32]>) {
        let (shape, back) = (&self.layout.layers()[l].shape, self.back(l));
        self.of_shape(l, h.len(), c.as_ref().map(|c| c.len()));
        for (lane, h) in h.chunks_exact_mut(shape.outputs()).enumerate() {
            h.copy_from_slice(self.ws.row(back.d_h, lane, h.len()));
        }
        if let (Some(id), Some(c)) = (back.d_c, c) {
            for (lane, c) in c.chunks_exact_mut(shape.hidden).enumerate() {
                get_units(&self.ws, id, lane, c);
            }
        }
    }
    fn back(&self, l: usize) -> BackBufs {
        self.bufs.layers[l].back.expect("no backward was asked for")
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

fn get_units(ws: &Workspace, id: gatemill_kernels::BufId, row: usize, units: &mut [f32]) {
    for (v, part) in units.chunks_mut(LANES).enumerate() {
        part.copy_from_slice(&ws.vector(id, v, row)[..part.len()]);
    }
}
