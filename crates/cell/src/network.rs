//! A network over a batch of tokens: forward and backward. All memory is its own, and kept from batch to batch where it
//! suffices.

use crate::exchange::Woven;
use crate::params::Params;
use crate::unroll;
use crate::weight_grad::WeightGrads;
use crate::workspace::{Bufs, Form, Needs, allocate};
use gatemill_crew::{Crew, Split};
use gatemill_kernels::{
    Arrays, Batch, BatchError, Direction, Dropout, Kernels, LayerLayout, Layout, Op, Order, OutOfMemory, Pass,
    StackShape, Tokens, Workspace,
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
    /// Workers that it will be run by, as far as that is known: what each of them keeps lies apart from the others'. By any
    /// other number the bits are the same. 0 is as 1.
    pub workers: usize,
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

/// Buffers and lists of operations of a network.
#[derive(Debug)]
pub struct Network {
    pub(crate) layout: Arc<Layout>,
    pub(crate) ws: Workspace,
    pub(crate) bufs: Bufs,
    pub(crate) forward: Vec<Op>,
    pub(crate) plain: Vec<Op>,
    pub(crate) backward: Vec<Op>,
    /// The same with the copies of the caller's rows.
    pub(crate) woven: Woven,
    /// Operations of a forward list before its first readout.
    layers_end: usize,
    splits: Splits,
    /// The last forward dropped.
    pub(crate) dropped: bool,
    /// Steps of the last backward: later gate gradients are of an older chunk.
    backward_steps: usize,
    /// `set_final_grad` was called since the last backward.
    pub(crate) final_grad: bool,
}

impl Network {
    /// Allocates a network's buffers. Errors: the memory is not to be had.
    pub fn new(layout: &Arc<Layout>, options: NetworkOptions) -> Result<Self, OutOfMemory> {
        Self::of(layout, Form::default(), options)
    }
    /// The same for a stack, whose layout is that of [`Layout::stack`]. Panics where it is another's (a broken contract of
    /// the caller). Errors: the memory is not to be had.
    pub fn stack(layout: &Arc<Layout>, shape: &StackShape, options: NetworkOptions) -> Result<Self, OutOfMemory> {
        let orders = shape.direction.orders();
        let want = (0..shape.layers).flat_map(|l| orders.iter().map(move |&order| (shape.layer(l), order)));
        let fits = layout.layers().iter().map(|l| (l.shape, l.order)).eq(want);
        assert!(fits && layout.directions() == orders.len(), "the layout is not that of {shape:?}");
        let form = Form { concat: shape.direction == Direction::Concat, residual: shape.residual };
        Self::of(layout, form, options)
    }
    fn of(layout: &Arc<Layout>, form: Form, options: NetworkOptions) -> Result<Self, OutOfMemory> {
        let needs = Needs {
            backward: options.backward,
            dropout: options.dropout,
            output_dropout: options.output_dropout,
            d_x: options.input_grad,
        };
        let splits = Splits { given: options.split, workers: options.workers.max(1) };
        let tokens = Tokens::in_blocks(options.steps, options.lanes, splits.blocks(layout, options.lanes));
        let (ws, bufs) = allocate(layout, form, tokens, needs)?;
        let mut network = Self {
            layout: layout.clone(),
            ws,
            bufs,
            forward: Vec::new(),
            plain: Vec::new(),
            backward: Vec::new(),
            woven: Woven::default(),
            layers_end: 0,
            splits,
            dropped: false,
            backward_steps: 0,
            final_grad: false,
        };
        network.unroll();
        Ok(network)
    }
    /// The lists of operations for the steps at hand.
    fn unroll(&mut self) {
        let steps = (self.steps(), self.lanes());
        self.woven.clear();
        unroll::forward(&mut self.forward, &self.layout, &self.bufs, steps, true);
        unroll::forward(&mut self.plain, &self.layout, &self.bufs, steps, false);
        unroll::backward(&mut self.backward, &self.layout, &self.bufs, steps);
        let readout = self.plain.iter().position(|op| matches!(op, Op::Readout(_)));
        self.layers_end = readout.unwrap_or(self.plain.len());
    }
    /// Takes a batch of another form from here on: other steps, other lanes, lanes of different lengths. States carried in
    /// are zero, there are no resets, and inputs and outputs are of no meaning until they are written. Allocates only
    /// where the batch needs more memory than any before.
    ///
    /// Errors: a form that is none, the memory is not to be had; the batch is then the one that was, from zero states.
    pub fn set_batch(&mut self, batch: Batch<'_>) -> Result<(), BatchError> {
        self.set_batch_for(batch, self.splits.workers)
    }
    /// The same for another number of workers than it was made for ([`NetworkOptions::workers`]).
    pub fn set_batch_for(&mut self, batch: Batch<'_>, workers: usize) -> Result<(), BatchError> {
        self.splits.workers = workers.max(1);
        let steps = self.steps();
        let placed = self.ws.set_batch(batch, self.splits.blocks(&self.layout, batch.lanes()));
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
    pub(crate) fn dropped(&self) -> bool {
        self.dropped
    }
    pub(crate) fn backward_steps(&self) -> usize {
        self.backward_steps
    }
    pub(crate) fn workspace(&self) -> &Workspace {
        &self.ws
    }
    pub(crate) fn split(&self, crew: &Crew) -> Split {
        Splits { workers: crew.threads(), ..self.splits }.backward(&self.layout, self.lanes())
    }
    pub(crate) fn forward_split(&self, crew: &Crew) -> Split {
        Splits { workers: crew.threads(), ..self.splits }.forward(&self.layout, self.lanes())
    }
    pub(crate) fn pass<'a>(params: &'a Params, chunk: &Chunk<'a>, arrays: Arrays<'a>) -> Pass<'a> {
        let Chunk { ids, targets, scale, dropout, output_dropout, .. } = *chunk;
        Pass { weights: params.weights(), ids, targets, scale, dropout, output_dropout, arrays }
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
    pub(crate) fn fits(&self, chunk: &Chunk<'_>) {
        let steps = self.steps();
        assert!(chunk.steps <= steps, "a chunk of {} steps in a network of {steps}", chunk.steps);
        // A lane's last token is where a reversed layer begins.
        let reversed = self.layout.layers().iter().any(|l| l.order == Order::Descending);
        assert!(!reversed || chunk.steps == steps, "{} steps of {steps}, but a layer is reversed", chunk.steps);
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
        let split = self.forward_split(crew);
        self.dropped = chunk.dropout.is_some() || chunk.output_dropout.is_some();
        let ops = if self.dropped { &self.forward } else { &self.plain };
        let ops = &ops[from..to.min(ops.len())];
        crew.run(kernels, ops, chunk.steps, &Self::pass(params, chunk, Arrays::default()), &mut self.ws, split);
    }
    /// Backward over the chunk that `forward` ran: gate gradients in the gates' place, gradients to h_0, c_0 and x.
    ///
    /// The gradient that comes from after the chunk is zero unless [`Network::set_final_grad`] set it for this call.
    /// Panics where the chunk is longer than T.
    pub fn backward(&mut self, crew: &Crew, kernels: &Kernels, params: &Params, chunk: &Chunk<'_>) {
        self.fits(chunk);
        self.begin_backward(chunk);
        let split = self.split(crew);
        crew.run(
            kernels,
            &self.backward,
            chunk.steps,
            &Self::pass(params, chunk, Arrays::default()),
            &mut self.ws,
            split,
        );
    }
    pub(crate) fn begin_backward(&mut self, chunk: &Chunk<'_>) {
        if !std::mem::take(&mut self.final_grad) {
            self.clear_final_grad();
        }
        self.backward_steps = chunk.steps;
    }
    /// A new document begins at (`t`, `lane`): in the next passes the state before it is zero, and for a reversed layer
    /// that before the token ahead of it.
    pub fn reset(&mut self, t: usize, lane: usize) {
        self.ws.tokens_mut().reset(t, lane);
    }
    /// Takes all resets back.
    pub fn clear_resets(&mut self) {
        self.ws.tokens_mut().clear_resets();
    }
}

/// How the work of a pass is shared out among so many workers.
#[derive(Debug, Clone, Copy)]
struct Splits {
    given: Option<Split>,
    workers: usize,
}

impl Splits {
    fn backward(&self, layout: &Layout, lanes: usize) -> Split {
        self.given.unwrap_or_else(|| Split::suited(lanes, self.workers, 4 * layout.params()))
    }
    /// Blocks of lanes. Where a team shares out the units of all of them, there is nothing to be kept apart.
    fn blocks(&self, layout: &Layout, lanes: usize) -> usize {
        let by_lanes = [self.backward(layout, lanes), self.forward(layout, lanes)] == [Split::Lanes; 2];
        if by_lanes { self.workers } else { 1 }
    }
    fn forward(&self, layout: &Layout, lanes: usize) -> Split {
        let streamed = layout.layers().iter().any(LayerLayout::is_streamed);
        self.given.unwrap_or_else(|| Split::of_forward(self.backward(layout, lanes), self.workers, streamed))
    }
}
