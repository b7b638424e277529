//! One pass of examples through the parts of a model: forward to the loss, and back to every part's gradient.
//!
//! ```text
//! classify    stack over the symbols | pool               | head: a row for each example
//! tag         stack over the symbols                      | head: a row for each symbol
//! map         stack of one step over the numbers          | head: a row for each example
//! translate   encoder over the symbols | bridge | decoder over [mark, answer] | attention, where there is any
//!                                                         | head: a row for each symbol of [answer, mark]
//! describe    the condition's row | bridge | decoder      | head: as translate
//! ```
//!
//! Rows of the head are in the order of the tokens, or of the lanes. The parts are networks of their own: rows are copied
//! between them, each part shares its work out, and a step's order of sums is that of the tokens.

use super::bridge;
use super::config::{Attention, TaskConfig, TaskKind};
use super::example::{Example, Input};
use super::lanes::Packed;
use super::look::Look;
use super::model::TaskModel;
use super::parts::{ByRole, Role, form};
use super::pool::Pooled;
use crate::error::TrainError;
use gatemill_cell::{Batch, BatchError, Cell, Chunk, LayerState, Network, NetworkOptions};
use gatemill_crew::Crew;
use gatemill_kernels::{Dropout, Kernels, LANES};

mod back; // from the logits' gradients to every part's

/// The workers and the kernels' tier.
pub(crate) type Machine<'a> = (&'a Crew, &'a Kernels);

/// The dropout of a step: between layers, and before the head.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Drops {
    stack: Option<Dropout>,
    decoder: Option<Dropout>,
    head: Option<Dropout>,
}

/// Steps of time that the counter of the masks gives each training step.
const STEP_POSITIONS: u64 = 1 << 20;
/// Lanes of the decoder among the counter's: behind those of the encoder.
const DECODER_LANES: u64 = super::config::MAX_BATCH as u64;
/// The layer that the head's masks are of.
const HEAD_LAYER: usize = (1 << 12) - 1;

impl Drops {
    /// Those of a step of this run.
    pub(crate) fn of_step(config: &TaskConfig, step: u64) -> Self {
        let base = &config.base;
        let drop =
            |p: f64, lane| (p > 0.0).then(|| Dropout::new(p, base.seed, step.wrapping_mul(STEP_POSITIONS), lane));
        let stack = drop(base.dropout, 0);
        Self { stack, decoder: drop(base.dropout, DECODER_LANES), head: drop(base.output_dropout, 0) }
    }
}

/// What comes out at a row of the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Which example of the pass.
    pub(crate) example: usize,
    /// Which place of its output.
    pub(crate) t: usize,
    /// Which lane of the part below.
    lane: usize,
}

/// Networks and rows of a model's passes.
#[derive(Debug)]
pub(crate) struct Passes {
    pub(crate) networks: ByRole<Network>,
    inputs: Packed,
    outputs: Packed,
    /// The encoder lane of each example.
    input_lanes: Vec<usize>,
    /// Symbols that stack and decoder read, in the order of their tokens.
    ids: Vec<u32>,
    answers: Vec<u32>,
    /// What each row of the head is of, and its target.
    pub(crate) places: Vec<Place>,
    pub(crate) targets: Vec<u32>,
    pooled: Pooled,
    pub(crate) look: Option<Look>,
    /// `[rows, H]`: tanh(W_c [context, h]).
    attended: Vec<f32>,
    row: Vec<f32>,
    lengths: Vec<usize>,
    drops: Drops,
}

impl Passes {
    /// Networks for any batch. Errors: no memory.
    pub(crate) fn new(model: &TaskModel, backward: bool) -> Result<Self, TrainError> {
        let (config, alphabet) = (&model.config, &model.alphabet);
        let networks = ByRole::try_new(|role| {
            let (Some(form), Some(params)) = (form(config, alphabet, role), model.params.get(role)) else {
                return Ok(None);
            };
            let input_grad = match role {
                Role::Stack | Role::Decoder => false,
                // A condition is given, not computed.
                Role::Bridge => config.kind == TaskKind::Translate,
                Role::Attention | Role::Combine | Role::Head => true,
            };
            let options = NetworkOptions {
                steps: 1,
                lanes: 1,
                backward,
                dropout: backward && config.base.dropout > 0.0,
                input_grad,
                ..NetworkOptions::default()
            };
            form.network(params, options).map(Some)
        })?;
        let look = (config.attention != Attention::None)
            .then(|| Look::new(config.base.hidden, config.width(), config.attention == Attention::Dot));
        let (inputs, outputs, pooled) = Default::default();
        Ok(Self {
            networks,
            inputs,
            outputs,
            input_lanes: Vec::new(),
            ids: Vec::new(),
            answers: Vec::new(),
            places: Vec::new(),
            targets: Vec::new(),
            pooled,
            look,
            attended: Vec::new(),
            row: Vec::new(),
            lengths: Vec::new(),
            drops: Drops::default(),
        })
    }
    /// Bytes of all networks and rows.
    pub(crate) fn size_bytes(&self) -> usize {
        let networks: usize = self.networks.iter().map(|(_, network)| network.size_bytes()).sum();
        networks + 4 * self.attended.len() + self.look.as_ref().map_or(0, Look::size_bytes)
    }
    /// The symbols that the part in this role read last.
    pub(crate) fn ids(&self, role: Role) -> &[u32] {
        match role {
            Role::Stack => &self.ids,
            Role::Decoder => &self.answers,
            _ => &[],
        }
    }

    /// The stack that reads, over these inputs; with general attention the keys too.
    pub(crate) fn read(
        &mut self,
        model: &TaskModel,
        (crew, kernels): Machine<'_>,
        inputs: &[&Input],
        drops: Drops,
    ) -> Result<(), TrainError> {
        self.drops = drops;
        let Some(stack) = self.networks.get_mut(Role::Stack) else { return Ok(()) };
        self.lengths.clear();
        let dense = model.config.kind == TaskKind::Map;
        self.lengths.extend(inputs.iter().map(|input| if dense { 1 } else { input.len() }));
        self.inputs.place(&self.lengths);
        self.inputs.lanes(&mut self.input_lanes);
        stack.set_batch(self.inputs.batch()).map_err(memory)?;
        self.ids.clear();
        if dense {
            for (lane, &i) in self.inputs.order.iter().enumerate() {
                inputs[i].row(stack.input_mut(0, lane));
            }
        } else {
            self.inputs.fill(&mut self.ids, |i, t| inputs[i].symbols()[t]);
        }
        let chunk = Chunk { steps: stack.steps(), ids: &self.ids, dropout: drops.stack, ..Chunk::default() };
        stack.forward(crew, kernels, model.params.at(Role::Stack), &chunk);
        let Some(look) = &mut self.look else { return Ok(()) };
        if let Some(params) = model.params.get(Role::Attention) {
            let (attention, stack) = self.networks.beside(Role::Attention, Role::Stack);
            linear_batch(attention, self.inputs.tokens.len())?;
            for (n, &(t, lane)) in self.inputs.tokens.iter().enumerate() {
                stack.copy_output(t, lane, attention.input_mut(0, n));
            }
            attention.forward(crew, kernels, params, &ROWS);
            look.remember(stack, &self.inputs, Some(attention));
        } else {
            look.remember(self.networks.at(Role::Stack), &self.inputs, None);
        }
        Ok(())
    }

    /// The decoder's states at the start, one lane for each of these examples, in their order: by the bridge, from what
    /// [`Passes::read`] left or from the condition.
    pub(crate) fn start(
        &mut self,
        model: &TaskModel,
        (crew, kernels): Machine<'_>,
        inputs: &[&Input],
        order: &[usize],
    ) -> Result<Vec<LayerState>, TrainError> {
        let base = &model.config.base;
        let hidden = base.hidden;
        let c = Cell::from(base.cell) == Cell::Lstm;
        let zero = || vec![0.0; order.len() * hidden];
        let mut states = vec![LayerState { h: zero(), c: c.then(zero) }; base.layers];
        let of_encoder = match self.networks.get(Role::Stack) {
            Some(stack) => stack.final_state(stack.steps()),
            None => Vec::new(),
        };
        let Some(bridge) = self.networks.get_mut(Role::Bridge) else {
            let lanes = order.iter().enumerate().map(|(lane, &i)| (self.input_lanes[i], lane));
            bridge::copy(&of_encoder, &mut states, model.config.directions(), hidden, lanes);
            return Ok(states);
        };
        linear_batch(bridge, order.len())?;
        for (lane, &i) in order.iter().enumerate() {
            let row = bridge.input_mut(0, lane);
            match of_encoder.is_empty() {
                true => inputs[i].row(row),
                false => bridge::row_of(&of_encoder, (self.input_lanes[i], hidden), row),
            }
        }
        bridge.forward(crew, kernels, model.params.at(Role::Bridge), &ROWS);
        for lane in 0..order.len() {
            bridge::set_row(&mut states, (lane, hidden), bridge.logits(0, lane));
        }
        Ok(states)
    }

    /// Forward over these examples, to logits where `scale` is None, else to each row's loss and `scale` times the
    /// gradient of its logits.
    pub(crate) fn forward(
        &mut self,
        model: &TaskModel,
        machine: Machine<'_>,
        examples: &[&Example],
        (scale, drops): (Option<f32>, Drops),
    ) -> Result<(), TrainError> {
        let inputs: Vec<&Input> = examples.iter().map(|example| &example.input).collect();
        self.read(model, machine, &inputs, drops)?;
        if model.config.kind.decodes() {
            self.write(model, machine, &inputs, examples)?;
        }
        self.place(model.config.kind);
        let mark = model.alphabet.output.len() as u32;
        let target = |place: &Place| *examples[place.example].output.get(place.t).unwrap_or(&mark);
        self.targets.clear();
        self.targets.extend(self.places.iter().map(target));
        if model.config.kind.decodes() {
            // A symbol never seen must not stand for the mark, which has the alphabet's size as its number.
            let unseen = |place: &Place| examples[place.example].output.get(place.t).is_some_and(|&s| s >= mark);
            for (target, _) in self.targets.iter_mut().zip(&self.places).filter(|(_, place)| unseen(place)) {
                *target = u32::MAX;
            }
        }
        self.head(model, machine, scale)
    }

    /// Forward over inputs alone, to the logits of each place. For kinds that do not decode.
    pub(crate) fn answer(
        &mut self,
        model: &TaskModel,
        machine: Machine<'_>,
        inputs: &[&Input],
    ) -> Result<(), TrainError> {
        self.read(model, machine, inputs, Drops::default())?;
        self.place(model.config.kind);
        self.head(model, machine, None)
    }

    /// One step of the decoder, to logits: lane i goes on with `ids[i]` from these states, in the answer to example
    /// `examples[i]` of those that [`Passes::read`] took. The states after it.
    pub(crate) fn write_step(
        &mut self,
        model: &TaskModel,
        (crew, kernels): Machine<'_>,
        examples: &[usize],
        (ids, states): (&[u32], &[LayerState]),
    ) -> Result<Vec<LayerState>, TrainError> {
        let decoder = self.networks.at_mut(Role::Decoder);
        linear_batch(decoder, examples.len())?;
        decoder.set_state(states);
        let chunk = Chunk { ids, ..ROWS };
        decoder.forward(crew, kernels, model.params.at(Role::Decoder), &chunk);
        let after = decoder.final_state(1);
        if let Some(look) = &mut self.look {
            look.ask(examples.iter().map(|&i| (self.input_lanes[i], 1)));
        }
        self.places.clear();
        self.places.extend(examples.iter().enumerate().map(|(lane, &example)| Place { example, t: 0, lane }));
        self.head(model, (crew, kernels), None)?;
        Ok(after)
    }

    /// The decoder over [mark, answer].
    fn write(
        &mut self,
        model: &TaskModel,
        (crew, kernels): Machine<'_>,
        inputs: &[&Input],
        examples: &[&Example],
    ) -> Result<(), TrainError> {
        self.lengths.clear();
        self.lengths.extend(examples.iter().map(|example| example.output.len() + 1));
        self.outputs.place(&self.lengths);
        let order = std::mem::take(&mut self.outputs.order);
        let states = self.start(model, (crew, kernels), inputs, &order);
        self.outputs.order = order;
        let states = states?;
        let mark = model.alphabet.output.len() as u32;
        // The mark is a symbol of the decoder's input; one never seen is none of them.
        self.outputs.fill(&mut self.answers, |i, t| match t.checked_sub(1) {
            None => mark,
            Some(t) if examples[i].output[t] < mark => examples[i].output[t],
            Some(_) => u32::MAX,
        });
        let decoder = self.networks.at_mut(Role::Decoder);
        decoder.set_batch(self.outputs.batch()).map_err(memory)?;
        decoder.set_state(&states);
        let dropout = self.drops.decoder;
        let chunk = Chunk { steps: decoder.steps(), ids: &self.answers, dropout, ..Chunk::default() };
        decoder.forward(crew, kernels, model.params.at(Role::Decoder), &chunk);
        if let Some(look) = &mut self.look {
            let lanes = self.outputs.order.iter().zip(&self.outputs.lengths);
            look.ask(lanes.map(|(&i, &queries)| (self.input_lanes[i], queries)));
        }
        Ok(())
    }

    /// What the rows of the head are of.
    fn place(&mut self, kind: TaskKind) {
        self.places.clear();
        let packed = if kind.decodes() { &self.outputs } else { &self.inputs };
        let place = |&(t, lane): &(usize, usize)| Place { example: packed.order[lane], t, lane };
        match kind {
            TaskKind::Classify | TaskKind::Map => {
                self.places.extend((0..packed.order.len()).map(|lane| place(&(0, lane))));
            }
            _ => self.places.extend(packed.tokens.iter().map(place)),
        }
    }

    /// The rows of decoder steps that the head reads, by attention: `tanh(W_c [context, h])` of each place.
    pub(crate) fn attend(
        &mut self,
        model: &TaskModel,
        (crew, kernels): Machine<'_>,
        places: &[Place],
    ) -> Result<(), TrainError> {
        let (hidden, width) = (model.config.base.hidden, model.config.width());
        let Some(look) = &mut self.look else { return Ok(()) };
        let (combine, decoder) = self.networks.beside(Role::Combine, Role::Decoder);
        for place in places {
            let query = &mut look.query_mut(place.lane, place.t)[..hidden];
            query.copy_from_slice(decoder.output(place.t, place.lane));
        }
        look.forward(crew, kernels);
        linear_batch(combine, places.len())?;
        for (n, place) in places.iter().enumerate() {
            let (context, h) = combine.input_mut(0, n).split_at_mut(width);
            context.copy_from_slice(&look.context(place.lane, place.t)[..width]);
            h.copy_from_slice(decoder.output(place.t, place.lane));
        }
        combine.forward(crew, kernels, model.params.at(Role::Combine), &ROWS);
        self.attended.resize(places.len() * hidden, 0.0);
        for (n, out) in self.attended.chunks_exact_mut(hidden).enumerate() {
            kernels.tanh(combine.logits(0, n), out);
        }
        Ok(())
    }

    /// The head over the rows of all places.
    fn head(&mut self, model: &TaskModel, machine: Machine<'_>, scale: Option<f32>) -> Result<(), TrainError> {
        if self.look.is_some() {
            let places = std::mem::take(&mut self.places);
            let attended = self.attend(model, machine, &places);
            self.places = places;
            attended?;
        }
        let TaskConfig { kind, pool, base, .. } = &model.config;
        let below = if kind.decodes() { Role::Decoder } else { Role::Stack };
        let (head, below) = self.networks.beside(Role::Head, below);
        linear_batch(head, self.places.len())?;
        for (n, place) in self.places.iter().enumerate() {
            let row = head.input_mut(0, n);
            match kind {
                TaskKind::Classify => self.pooled.forward((below, &self.inputs, *pool), place.lane, row),
                _ if self.look.is_some() => row.copy_from_slice(&self.attended[n * base.hidden..][..base.hidden]),
                _ => below.copy_output(place.t, place.lane, row),
            }
            drop_row(self.drops.head, place, row);
        }
        let targets = if scale.is_some() { &self.targets[..] } else { &[] };
        let chunk = Chunk { targets, scale: scale.unwrap_or(0.0), ..ROWS };
        head.forward(machine.0, machine.1, model.params.at(Role::Head), &chunk);
        Ok(())
    }
}

/// A pass over plain rows.
pub(crate) const ROWS: Chunk<'static> =
    Chunk { steps: 1, ids: &[], targets: &[], scale: 0.0, dropout: None, output_dropout: None };

/// So many rows of one step.
pub(crate) fn linear_batch(network: &mut Network, rows: usize) -> Result<(), TrainError> {
    network.set_batch(Batch::Even { steps: 1, lanes: rows }).map_err(memory)
}

/// A batch is a form by construction; what can be amiss is its memory.
fn memory(error: BatchError) -> TrainError {
    match error {
        BatchError::Memory(e) => TrainError::OutOfMemory(e),
        other => TrainError::Symbols(other.to_string()),
    }
}

/// A row that the head reads, or its gradient, times the mask of its place.
fn drop_row(dropout: Option<Dropout>, place: &Place, row: &mut [f32]) {
    let Some(dropout) = dropout else { return };
    for (vector, part) in row.chunks_mut(LANES).enumerate() {
        let mask = dropout.mask(HEAD_LAYER, place.t, place.lane, vector);
        part.iter_mut().zip(mask).for_each(|(x, m)| *x *= m);
    }
}
