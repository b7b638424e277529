//! Looking back: attention of each decoder lane over the rows that the encoder gave for its sequence (`doc/attention.md`).
//!
//! The encoder's rows lie lane by lane here, so that a lane's memory is one stretch; padding to whole vectors is zero. Who
//! is free takes the next lane of the decoder: its weights and contexts, and on the way back its gradients, are one
//! stretch with one owner, so the bits do not depend on threads. Several lanes may look at one memory (beam search), but
//! not on the way back.

use super::lanes::Packed;
use gatemill_cell::Network;
use gatemill_crew::Crew;
use gatemill_kernels::{Kernels, LANES, Memory, MemoryGrad};
use std::ops::Range;

/// A decoder lane: what it asks, and of which memory.
#[derive(Debug, Clone, Copy)]
struct Span {
    /// The encoder lane, and its rows.
    memory: usize,
    rows: usize,
    /// The first of its queries among all, and how many.
    query: usize,
    queries: usize,
}

/// Rows, weights, contexts and their gradients.
#[derive(Debug)]
pub(crate) struct Look {
    /// Floats of a key and query, and of a value: whole vectors.
    key_width: usize,
    value_width: usize,
    /// Values are the keys.
    dot: bool,
    /// `[encoder lane]`: its first row.
    first: Vec<usize>,
    lengths: Vec<usize>,
    /// `[tokens by lane, E]`, `[tokens by lane, H]`
    values: Vec<f32>,
    keys: Vec<f32>,
    spans: Vec<Span>,
    /// `[queries by lane, H]`, `[queries by lane, E]`
    queries: Vec<f32>,
    d_contexts: Vec<f32>,
    /// By decoder lane: weights, then contexts.
    seen: Vec<f32>,
    seen_borders: Vec<usize>,
    /// By decoder lane: d_q, d_keys, d_values, room.
    grads: Vec<f32>,
    grad_borders: Vec<usize>,
}

/// `n` floats, zero where they are new.
fn resize(v: &mut Vec<f32>, n: usize) {
    v.clear();
    v.resize(n, 0.0);
}

impl Look {
    /// No memory yet. `dot`: rows of the encoder are keys as they are.
    pub(crate) fn new(hidden: usize, values: usize, dot: bool) -> Self {
        let (key_width, value_width) = (hidden.next_multiple_of(LANES), values.next_multiple_of(LANES));
        let v = Vec::new;
        Self {
            key_width,
            value_width,
            dot,
            first: Vec::new(),
            lengths: Vec::new(),
            values: v(),
            keys: v(),
            spans: Vec::new(),
            queries: v(),
            d_contexts: v(),
            seen: v(),
            seen_borders: Vec::new(),
            grads: v(),
            grad_borders: Vec::new(),
        }
    }
    /// Bytes of all that is kept.
    pub(crate) fn size_bytes(&self) -> usize {
        let all = [&self.values, &self.keys, &self.queries, &self.d_contexts, &self.seen, &self.grads];
        4 * all.iter().map(|v| v.len()).sum::<usize>()
    }
    /// Takes the encoder's rows in; `keys` gives the key of each token, in the order of the tokens, where they are others.
    pub(crate) fn remember(&mut self, encoder: &Network, packed: &Packed, keys: Option<&Network>) {
        self.first.clear();
        self.lengths.clone_from(&packed.lengths);
        let mut rows = 0;
        for &length in &packed.lengths {
            self.first.push(rows);
            rows += length;
        }
        resize(&mut self.values, rows * self.value_width);
        resize(&mut self.keys, if keys.is_some() { rows * self.key_width } else { 0 });
        let columns = encoder.parts() * encoder.output_part(0, 0, 0).len();
        for (n, &(t, lane)) in packed.tokens.iter().enumerate() {
            let row = self.first[lane] + t;
            encoder.copy_output(t, lane, &mut self.values[row * self.value_width..][..columns]);
            if let Some(keys) = keys {
                let key = keys.logits(0, n);
                self.keys[row * self.key_width..][..key.len()].copy_from_slice(key);
            }
        }
    }
    /// The decoder's lanes: for each the encoder lane whose memory it looks at, and how many queries it has.
    pub(crate) fn ask(&mut self, lanes: impl Iterator<Item = (usize, usize)>) {
        self.spans.clear();
        self.seen_borders.clear();
        self.seen_borders.push(0);
        let (mut query, mut seen) = (0, 0);
        for (memory, queries) in lanes {
            let rows = self.lengths[memory];
            self.spans.push(Span { memory, rows, query, queries });
            query += queries;
            seen += queries * (rows.next_multiple_of(LANES) + self.value_width);
            self.seen_borders.push(seen);
        }
        resize(&mut self.queries, query * self.key_width);
        resize(&mut self.seen, seen);
    }
    /// Query `t` of a lane, to be written: H numbers.
    pub(crate) fn query_mut(&mut self, lane: usize, t: usize) -> &mut [f32] {
        &mut self.queries[(self.spans[lane].query + t) * self.key_width..][..self.key_width]
    }
    fn rows(&self, span: Span, width: usize) -> Range<usize> {
        let first = self.first[span.memory] * width;
        first..first + span.rows * width
    }
    fn memory(&self, lane: usize) -> Memory<'_> {
        let span = self.spans[lane];
        let keys = if self.dot { &self.values } else { &self.keys };
        Memory {
            queries: span.queries,
            rows: span.rows,
            q: &self.queries[span.query * self.key_width..][..span.queries * self.key_width],
            keys: &keys[self.rows(span, self.key_width)],
            values: &self.values[self.rows(span, self.value_width)],
        }
    }
    /// All weights and contexts.
    pub(crate) fn forward(&mut self, crew: &Crew, kernels: &Kernels) {
        let mut seen = std::mem::take(&mut self.seen);
        crew.tiles(&mut seen, &self.seen_borders, |lane, out| {
            let memory = self.memory(lane);
            let (weights, contexts) = out.split_at_mut(memory.queries * memory.rows.next_multiple_of(LANES));
            kernels.attend(&memory, weights, contexts);
        });
        self.seen = seen;
    }
    /// The weights and the contexts of a lane.
    fn seen(&self, lane: usize) -> (&[f32], &[f32]) {
        let span = self.spans[lane];
        let seen = &self.seen[self.seen_borders[lane]..self.seen_borders[lane + 1]];
        seen.split_at(span.queries * span.rows.next_multiple_of(LANES))
    }
    /// The context of query `t` of a lane: E numbers and padding.
    pub(crate) fn context(&self, lane: usize, t: usize) -> &[f32] {
        &self.seen(lane).1[t * self.value_width..][..self.value_width]
    }
    /// Its weights: one for each row of the memory.
    pub(crate) fn weights(&self, lane: usize, t: usize) -> &[f32] {
        let rows = self.spans[lane].rows;
        &self.seen(lane).0[t * rows.next_multiple_of(LANES)..][..rows]
    }
    /// Before [`Look::backward`]: every gradient to a context is zero until it is written.
    pub(crate) fn clear_grad(&mut self) {
        let queries = self.spans.iter().map(|span| span.queries).sum::<usize>();
        resize(&mut self.d_contexts, queries * self.value_width);
    }
    /// The gradient to the context of query `t` of a lane, to be written: E numbers.
    pub(crate) fn context_grad_mut(&mut self, lane: usize, t: usize) -> &mut [f32] {
        &mut self.d_contexts[(self.spans[lane].query + t) * self.value_width..][..self.value_width]
    }
    /// All gradients. Each memory is looked at by one lane.
    pub(crate) fn backward(&mut self, crew: &Crew, kernels: &Kernels) {
        self.grad_borders.clear();
        self.grad_borders.push(0);
        let mut end = 0;
        for span in &self.spans {
            end += span.queries * (self.key_width + span.rows.next_multiple_of(LANES));
            end += span.rows * (self.key_width + self.value_width);
            self.grad_borders.push(end);
        }
        let mut grads = std::mem::take(&mut self.grads);
        resize(&mut grads, end);
        crew.tiles(&mut grads, &self.grad_borders, |lane, out| {
            let (memory, span) = (self.memory(lane), self.spans[lane]);
            let (d_q, out) = out.split_at_mut(memory.q.len());
            let (d_keys, out) = out.split_at_mut(memory.keys.len());
            let (d_values, room) = out.split_at_mut(memory.values.len());
            let d_contexts = &self.d_contexts[span.query * self.value_width..][..span.queries * self.value_width];
            let mut out = MemoryGrad { d_q, d_keys, d_values, room };
            kernels.attend_grad(&memory, self.seen(lane).0, d_contexts, &mut out);
        });
        self.grads = grads;
    }
    /// The gradient to query `t` of a lane.
    pub(crate) fn query_grad(&self, lane: usize, t: usize) -> &[f32] {
        &self.grads[self.grad_borders[lane] + t * self.key_width..][..self.key_width]
    }
    /// The gradients to the key and to the value of row `s` of the memory of a decoder's lane.
    pub(crate) fn memory_grad(&self, lane: usize, s: usize) -> (&[f32], &[f32]) {
        let span = self.spans[lane];
        let keys = self.grad_borders[lane] + span.queries * self.key_width;
        let values = keys + span.rows * self.key_width;
        let row = |first: usize, width: usize| &self.grads[first + s * width..][..width];
        (row(keys, self.key_width), row(values, self.value_width))
    }
}
