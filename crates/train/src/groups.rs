//! Gradient accumulation: N*B lanes through a network of B lanes, one group of B after the other.
//!
//! Group g holds lanes g*B .. (g+1)*B. Each has carried states of its own; they move on together, once the step is sure,
//! so that a step that fails leaves them as they were. With one group the states are the network's and nothing is copied.
//! N groups of B lanes with S shards give the bits of one batch of N*B lanes with N*S shards. Nothing here allocates
//! after [`Groups::new`].

use gatemill_cell::{LayerState, Network};
use gatemill_corpus::Chunk;

/// The groups of a run.
#[derive(Debug)]
pub(crate) struct Groups {
    /// N.
    count: usize,
    /// B.
    lanes: usize,
    /// `[T, B]` of the group at work; empty where there is one group.
    ids: Vec<u32>,
    targets: Vec<u32>,
    /// Carried states by group, and those after the step at work; empty where there is one group.
    states: Vec<Vec<LayerState>>,
    next: Vec<Vec<LayerState>>,
}

impl Groups {
    /// `count` groups of the network's lanes.
    pub(crate) fn new(count: usize, network: &Network) -> Self {
        let lanes = network.lanes();
        let (symbols, sets) = if count == 1 { (0, 0) } else { (network.steps() * lanes, count) };
        let states: Vec<_> = (0..sets).map(|_| network.state()).collect();
        Self { count, lanes, ids: vec![0; symbols], targets: vec![0; symbols], next: states.clone(), states }
    }
    /// The groups by number.
    pub(crate) fn each(&self) -> std::ops::Range<usize> {
        0..self.count
    }
    /// Lanes of group `g` among all.
    pub(crate) fn lanes_of(&self, g: usize) -> std::ops::Range<usize> {
        g * self.lanes..(g + 1) * self.lanes
    }
    /// Bytes of the states.
    pub(crate) fn size_bytes(&self) -> usize {
        let floats = |s: &LayerState| s.h.len() + s.c.as_ref().map_or(0, Vec::len);
        4 * self.states.iter().chain(&self.next).flatten().map(floats).sum::<usize>()
    }
    /// Symbols and targets `[T, B]` of group `g` of a chunk `[T, N*B]`.
    pub(crate) fn symbols<'a>(&'a mut self, g: usize, chunk: &'a Chunk) -> (&'a [u32], &'a [u32]) {
        if self.count == 1 {
            return (&chunk.inputs, &chunk.targets);
        }
        let (all, lanes) = (self.count * self.lanes, self.lanes_of(g));
        for (from, to) in [(&chunk.inputs, &mut self.ids), (&chunk.targets, &mut self.targets)] {
            for (from, to) in from.chunks_exact(all).zip(to.chunks_exact_mut(self.lanes)) {
                to.copy_from_slice(&from[lanes.clone()]);
            }
        }
        (&self.ids, &self.targets)
    }
    /// Puts the carried states of group `g` into the network.
    pub(crate) fn enter(&self, g: usize, network: &mut Network) {
        if let Some(state) = self.states.get(g) {
            network.set_state(state);
        }
    }
    /// Keeps the states after `steps` steps of group `g`.
    pub(crate) fn leave(&mut self, g: usize, network: &mut Network, steps: usize) {
        if let Some(next) = self.next.get_mut(g) {
            network.carry(steps);
            network.state_into(next);
        }
    }
    /// The step is sure: the states after its `steps` become the carried ones.
    pub(crate) fn carry(&mut self, network: &mut Network, steps: usize) {
        if self.count == 1 {
            network.carry(steps);
        } else {
            std::mem::swap(&mut self.states, &mut self.next);
        }
    }
    /// All states become zero: the begin of an epoch.
    pub(crate) fn clear(&mut self, network: &mut Network) {
        network.clear_state();
        for state in self.states.iter_mut().flatten() {
            state.h.fill(0.0);
            state.c.iter_mut().for_each(|c| c.fill(0.0));
        }
    }
    /// The carried states of all lanes, `[N*B, H]` by layer.
    pub(crate) fn all(&self, network: &Network) -> Vec<LayerState> {
        let mut groups = self.states.iter().cloned();
        let Some(mut all) = groups.next() else { return network.state() };
        for group in groups {
            for (all, one) in all.iter_mut().zip(group) {
                all.h.extend(one.h);
                all.c.iter_mut().zip(one.c).for_each(|(all, one)| all.extend(one));
            }
        }
        all
    }
    /// Sets the carried states of all lanes. Panics where they have another shape.
    pub(crate) fn set_all(&mut self, all: &[LayerState], network: &mut Network) {
        if self.count == 1 {
            return network.set_state(all);
        }
        let part = |all: &[f32], g: usize| all[g * all.len() / self.count..(g + 1) * all.len() / self.count].to_vec();
        for (g, group) in self.states.iter_mut().enumerate() {
            for (one, all) in group.iter_mut().zip(all) {
                *one = LayerState { h: part(&all.h, g), c: all.c.as_ref().map(|c| part(c, g)) };
            }
        }
    }
}
