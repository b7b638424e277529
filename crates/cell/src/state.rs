//! States of a network in and out: carried, after the last token of each lane, and their gradients.
//!
//! A layer's state is h `[B, H]` (P columns of a projection) and, of an LSTM, c `[B, H]`. Layers are numbered as in the
//! layout: of two directions the reversed layer follows the other.

use crate::network::Network;
use crate::workspace::BackBufs;
use gatemill_kernels::{BufId, Cell, LANES, Workspace};

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

impl Network {
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
            let row = self.ws.tokens().lane_row(lane);
            self.ws.row_mut(back.d_h, row, h.len()).copy_from_slice(h);
            if let Some(id) = back.d_c {
                (0..shape.hidden_vectors()).for_each(|v| self.ws.vector_mut(id, v, row).fill(0.0));
                let c = c.map_or(&[][..], |c| &c[lane * shape.hidden..][..shape.hidden]);
                put_units(&mut self.ws, id, row, c);
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
            h.copy_from_slice(self.ws.row(back.d_h, self.ws.tokens().lane_row(lane), h.len()));
        }
        if let (Some(id), Some(c)) = (back.d_c, c) {
            for (lane, c) in c.chunks_exact_mut(shape.hidden).enumerate() {
                get_units(&self.ws, id, self.ws.tokens().lane_row(lane), c);
            }
        }
    }
    fn back(&self, l: usize) -> BackBufs {
        self.bufs.layers[l].back.expect("no backward was asked for")
    }
}

fn put_units(ws: &mut Workspace, id: BufId, row: usize, units: &[f32]) {
    for (v, part) in units.chunks(LANES).enumerate() {
        ws.vector_mut(id, v, row)[..part.len()].copy_from_slice(part);
    }
}

fn get_units(ws: &Workspace, id: BufId, row: usize, units: &mut [f32]) {
    for (v, part) in units.chunks_mut(LANES).enumerate() {
        part.copy_from_slice(&ws.vector(id, v, row)[..part.len()]);
    }
}
