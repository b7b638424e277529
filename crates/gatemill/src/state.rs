//! The state of a stack between two steps, as a value: to save, to copy, to fork.

use crate::{Cell, Error, RecurrentOptions};
use gatemill_cell::LayerState;

/// h, and c for an LSTM, of every layer, direction and lane.
///
/// A state is plain numbers and belongs to no tape: a copy of it is a fork of the sequence.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// `[L*D, B, H]`, or P columns where h is projected.
    pub h: Vec<f32>,
    /// `[L*D, B, H]`, LSTM only.
    pub c: Option<Vec<f32>>,
}

/// Lengths of the parts of a state: (h, c) of one layer and direction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StateForm {
    /// L*D.
    pub(crate) layers: usize,
    pub(crate) h: usize,
    pub(crate) c: Option<usize>,
}

impl StateForm {
    /// The form of `lanes` lanes. None: its size is no usize.
    pub(crate) fn new(options: &RecurrentOptions, lanes: usize) -> Option<Self> {
        let layers = options.layers.checked_mul(options.directions())?;
        let h = options.state_width().checked_mul(lanes)?;
        let c = options.hidden.checked_mul(lanes)?;
        layers.checked_mul(h.max(c))?.checked_mul(4)?;
        Some(Self { layers, h, c: (options.cell == Cell::Lstm).then_some(c) })
    }
    pub(crate) fn zeros(&self) -> State {
        State { h: vec![0.0; self.layers * self.h], c: self.c.map(|c| vec![0.0; self.layers * c]) }
    }
}

/// A state in arrays of the caller's, to be read; forms as in [`State`].
#[derive(Debug, Clone, Copy)]
pub struct StateRef<'a> {
    /// As [`State::h`].
    pub h: &'a [f32],
    /// As [`State::c`].
    pub c: Option<&'a [f32]>,
}

/// A state in arrays of the caller's, to be written; forms as in [`State`].
#[derive(Debug)]
pub struct StateMut<'a> {
    /// As [`State::h`].
    pub h: &'a mut [f32],
    /// As [`State::c`].
    pub c: Option<&'a mut [f32]>,
}

impl State {
    /// Its arrays.
    pub fn as_ref(&self) -> StateRef<'_> {
        StateRef { h: &self.h, c: self.c.as_deref() }
    }
    /// Its arrays, to be written.
    pub fn as_mut(&mut self) -> StateMut<'_> {
        StateMut { h: &mut self.h, c: self.c.as_deref_mut() }
    }
}

impl<'a> StateRef<'a> {
    /// Errors: not of this form.
    pub(crate) fn check(&self, which: &'static str, form: &StateForm) -> Result<(), Error> {
        let (found, expected) = (self.h.len(), form.layers * form.h);
        if found != expected {
            return Err(Error::Length { which, found, expected, shape: "h is [layers * directions, lanes, hidden]" });
        }
        match (self.c, form.c) {
            (Some(c), Some(len)) if c.len() == form.layers * len => Ok(()),
            (None, None) => Ok(()),
            (Some(c), Some(len)) => {
                let (found, expected) = (c.len(), form.layers * len);
                Err(Error::Length { which, found, expected, shape: "c is [layers * directions, lanes, hidden]" })
            }
            (None, Some(_)) => Err(Error::State { which, what: "lacks the cell state of an LSTM" }),
            (Some(_), None) => Err(Error::State { which, what: "has a cell state, which an LSTM alone has" }),
        }
    }
    /// h and c of layer-and-direction `i`.
    pub(crate) fn part(&self, i: usize, form: &StateForm) -> (&'a [f32], Option<&'a [f32]>) {
        let c = self.c.zip(form.c).map(|(c, len)| &c[i * len..(i + 1) * len]);
        (&self.h[i * form.h..(i + 1) * form.h], c)
    }
}

impl StateMut<'_> {
    /// The same, to be read.
    pub fn as_ref(&self) -> StateRef<'_> {
        StateRef { h: self.h, c: self.c.as_deref() }
    }
    /// h and c of layer-and-direction `i`.
    pub(crate) fn part(&mut self, i: usize, form: &StateForm) -> (&mut [f32], Option<&mut [f32]>) {
        let c = self.c.as_deref_mut().zip(form.c).map(|(c, len)| &mut c[i * len..(i + 1) * len]);
        (&mut self.h[i * form.h..(i + 1) * form.h], c)
    }
}

/// A network's states as one value.
pub(crate) fn put(layers: &[LayerState], state: &mut State, form: &StateForm) {
    let mut state = state.as_mut();
    for (i, layer) in layers.iter().enumerate() {
        let (h, c) = state.part(i, form);
        h.copy_from_slice(&layer.h);
        if let (Some(to), Some(c)) = (c, &layer.c) {
            to.copy_from_slice(c);
        }
    }
}

/// A value as a network's states.
pub(crate) fn layers(state: &State, form: &StateForm) -> Vec<LayerState> {
    let state = state.as_ref();
    (0..form.layers)
        .map(|i| {
            let (h, c) = state.part(i, form);
            LayerState { h: h.to_vec(), c: c.map(<[f32]>::to_vec) }
        })
        .collect()
}
