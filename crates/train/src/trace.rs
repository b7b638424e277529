//! A model reads a text, and every unit's h, c and gates are open to view at every symbol of it (lecture L7, L9).
//!
//! ```text
//! the text, cut into spans:   |----span----|----span----|----span----| ...      one lane each, 64 side by side
//! what a lane reads:      |warm|----span----|
//! ```
//!
//! One lane from the text's start is what a reader of the whole text has, and too slow for a long one: each step would read
//! all weights for one symbol. So a long text is cut into spans that are read side by side, each after a warm-up of the
//! [`TracePlan::WARM_UP`] symbols before it, from zero state. That is an approximation: what happened earlier is forgotten.
//! [`TracePlan::exact`] is without it.
//!
//! Memory: the network's, whatever the text's length. The values of a symbol do not depend on the other lanes.

use crate::begins::Begins;
use crate::error::TrainError;
use crate::model::{CharModel, multiplying};
use gatemill_cell::{Chunk, Network, Part};
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use std::ops::Range;

/// Spans that are read side by side.
const LANES: usize = 64;
/// Steps of a chunk: with 64 lanes 50 MB of gates for a 3x512 LSTM.
const STEPS: usize = 32;

/// Multiplications of weights that [`TracePlan::bounded`] spends at most: some five seconds of two cores.
const MOST_PRODUCTS: f64 = 1.5e12;

/// Which symbols of a text are looked at, and how much is read before each span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracePlan {
    spans: Vec<Range<usize>>,
    warm_up: usize,
}

impl TracePlan {
    /// Symbols that are read before a span. What a state holds of symbols further back is lost: doc/scope.md has what that does.
    pub const WARM_UP: usize = 512;

    /// Symbols that a [`Trace`] has at most, unless a model without carried state was trained on longer chunks.
    pub const CHUNK: usize = LANES * STEPS;

    /// All of a text, in spans side by side.
    pub fn whole(symbols: usize) -> Self {
        Self::part(0..symbols)
    }
    /// All of a text, or where that would keep `model` busy for long even parts of it: the begin of each of the spans.
    pub fn bounded(model: &CharModel, symbols: usize) -> Self {
        let each = multiplying(&model.config, model.vocab.len()).max(1.0);
        Self::thinned(symbols, (MOST_PRODUCTS / each) as usize)
    }
    /// Spans of `most` symbols together, at least as long as their warm-ups.
    fn thinned(symbols: usize, most: usize) -> Self {
        let mut plan = Self::whole(symbols);
        let len = (most / plan.spans.len()).max(plan.warm_up);
        plan.spans.iter_mut().for_each(|span| span.end = span.end.min(span.start + len));
        plan
    }
    /// A part of a text, in so many spans that the warm-up is at most an eighth of what is read.
    pub fn part(range: Range<usize>) -> Self {
        let symbols = range.len();
        let lanes = (symbols / (8 * Self::WARM_UP)).clamp(1, LANES);
        let border = |b: usize| range.start + symbols * b / lanes;
        Self { spans: (0..lanes).map(|b| border(b)..border(b + 1)).collect(), warm_up: Self::WARM_UP }
    }
    /// All of a text as one lane from zero state.
    pub fn exact(symbols: usize) -> Self {
        Self { spans: std::iter::once(0..symbols).collect(), warm_up: 0 }
    }
    /// These spans alone.
    pub fn spans(spans: Vec<Range<usize>>) -> Self {
        Self { spans, warm_up: Self::WARM_UP }
    }
    /// The same behind another warm-up.
    pub fn warmed_up(self, warm_up: usize) -> Self {
        Self { warm_up, ..self }
    }
    /// The spans.
    pub fn ranges(&self) -> &[Range<usize>] {
        &self.spans
    }
    /// Symbols that are looked at.
    pub fn looked_at(&self) -> usize {
        self.spans.iter().map(ExactSizeIterator::len).sum()
    }
    /// Symbols that are read, the warm-ups among them.
    pub fn symbols(&self) -> usize {
        self.spans.iter().map(|s| s.end - s.start + self.warm_up.min(s.start)).sum()
    }
}

/// A symbol of the text in a [`Trace`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Which symbol of the text.
    pub at: usize,
    t: usize,
    lane: usize,
}

/// What some symbols of the text have left behind, one chunk of every lane.
#[derive(Debug)]
pub struct Trace<'a> {
    network: &'a Network,
    moments: &'a [Moment],
}

impl Trace<'_> {
    /// The symbols, lane by lane, in the text's order in each.
    pub fn moments(&self) -> &[Moment] {
        self.moments
    }
    /// Units `vector * 16 ..` of a part once the symbol is read: 16 numbers, those beyond the last unit of no meaning.
    /// Panics where the model has no such part or units.
    pub fn units(&self, layer: usize, part: Part, vector: usize, moment: Moment) -> &[f32] {
        self.network.traced(layer, part, vector, moment.t, moment.lane)
    }
    /// One unit's value. Panics likewise.
    pub fn unit(&self, layer: usize, part: Part, unit: usize, moment: Moment) -> f32 {
        self.units(layer, part, unit / gatemill_kernels::LANES, moment)[unit % gatemill_kernels::LANES]
    }
    /// What the next symbol costs once this one is read, in nats; 0 where the text ends or the model never saw it.
    pub fn nats(&self, moment: Moment) -> f32 {
        let lanes = self.network.lanes();
        self.network.nats(moment.t + 1)[moment.t * lanes + moment.lane]
    }
}

impl CharModel {
    /// The parts that its units have.
    pub fn parts(&self) -> &'static [Part] {
        Part::of(self.config.cell.into())
    }
    /// Reads the spans of `ids` and calls `visit` with every stretch of them. A model reads as it was trained: without carried
    /// state from zeros at each multiple of its `seq`, and with a document separator from zeros behind each.
    ///
    /// Errors: a span beyond the text; no memory; the first of `visit`.
    pub fn trace<E: From<TrainError>>(
        &self,
        ids: &[u32],
        plan: &TracePlan,
        (crew, kernels): (&Crew, &Kernels),
        mut visit: impl FnMut(&Trace<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Some(span) = plan.spans.iter().find(|s| s.end > ids.len() || s.start > s.end) {
            let what = format!("a span of symbols {} to {} in a text of {}", span.start, span.end, ids.len());
            return Err(TrainError::Symbols(what).into());
        }
        let begins = Begins::of(self, ids)?;
        let no_carry = self.config.no_carry;
        let steps = if no_carry { self.config.seq } else { STEPS };
        let side_by_side = if no_carry { (TracePlan::CHUNK / steps).clamp(1, LANES) } else { LANES };
        for spans in plan.spans.chunks(side_by_side) {
            let begin = |span: &Range<usize>| match no_carry {
                true => span.start - span.start % steps,
                false => span.start.saturating_sub(plan.warm_up),
            };
            let mut lanes: Vec<Lane> = spans.iter().map(|s| Lane { next: begin(s), span: s.clone() }).collect();
            let mut network = self.network(steps, lanes.len())?;
            let unseen = self.vocab.unseen();
            let (mut read, mut targets) = (vec![unseen; steps * lanes.len()], vec![unseen; steps * lanes.len()]);
            let mut moments = Vec::with_capacity(read.len());
            while lanes.iter().any(|lane| lane.next < lane.span.end) {
                moments.clear();
                for (b, lane) in lanes.iter().enumerate() {
                    for t in 0..steps {
                        let (at, cell) = (lane.next + t, t * lanes.len() + b);
                        let inside = at < lane.span.end;
                        read[cell] = if inside { ids[at] } else { unseen };
                        targets[cell] = if inside { ids.get(at + 1).copied().unwrap_or(unseen) } else { unseen };
                        if inside && at >= lane.span.start {
                            moments.push(Moment { at, t, lane: b });
                        }
                    }
                }
                if no_carry {
                    network.clear_state();
                }
                begins.reset(&mut network, steps, |b| lanes[b].next);
                let chunk = Chunk { steps, ids: &read, targets: &targets, scale: 0.0, ..Chunk::default() };
                network.forward(crew, kernels, &self.params, &chunk);
                if !moments.is_empty() {
                    visit(&Trace { network: &network, moments: &moments })?;
                }
                network.carry(steps);
                lanes.iter_mut().for_each(|lane| lane.next += steps);
            }
        }
        Ok(())
    }
}

/// A span at work.
struct Lane {
    span: Range<usize>,
    /// The first symbol of the next chunk.
    next: usize,
}

#[cfg(test)]
mod tests;
