//! What one pass keeps: activations for backward, final states, gradients to the initial ones.

use crate::rows::Tokens;
use crate::state::{StateForm, put};
use crate::{Batch, Error, RecurrentOptions, State};
use gatemill_cell::{Network, NetworkOptions};
use gatemill_crew::Crew;
use gatemill_kernels::{Dropout, Layout};
use std::sync::Arc;

/// What a tape is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Forward alone: no dropout, and nothing is kept for backward.
    Inference,
    /// Forward with dropout, then backward.
    Training,
}

/// The activations of one pass of a stack, to be used again from call to call; many may be alive at once.
///
/// Made by [`crate::Recurrent::tape`]; its memory is allocated by the first pass and kept while it suffices.
#[derive(Debug)]
pub struct Tape {
    pub(crate) options: RecurrentOptions,
    pub(crate) mode: Mode,
    layout: Arc<Layout>,
    pub(crate) network: Option<Network>,
    /// Steps of the last pass.
    pub(crate) steps: usize,
    /// Lanes of the last pass; 0 before the first.
    pub(crate) lanes: usize,
    /// The weights that the last forward read, where backward may follow it.
    pub(crate) forward: Option<u64>,
    /// The last pass was a backward.
    pub(crate) has_gradient: bool,
    /// What the last forward dropped, for backward.
    pub(crate) dropped: Option<Dropout>,
    /// Dropout: the absolute position of the next pass's first step.
    pub(crate) position: u64,
    /// For `step`, which shares nothing out.
    pub(crate) alone: Crew,
}

impl Tape {
    pub(crate) fn new(options: &RecurrentOptions, layout: &Arc<Layout>, mode: Mode) -> Self {
        Self {
            options: *options,
            mode,
            layout: layout.clone(),
            network: None,
            steps: 0,
            lanes: 0,
            forward: None,
            has_gradient: false,
            dropped: None,
            position: 0,
            alone: Crew::alone(),
        }
    }
    /// What it is for.
    pub fn mode(&self) -> Mode {
        self.mode
    }
    /// Bytes that it keeps.
    pub fn size_bytes(&self) -> usize {
        self.network.as_ref().map_or(0, Network::size_bytes)
    }
    /// Dropout's masks are a function of (seed, layer, lane, position, unit), and each pass in training moves the position
    /// on by its steps. Passes from the same position have the same masks.
    pub fn set_position(&mut self, position: u64) {
        self.position = position;
    }
    /// Where the next pass's masks begin; see [`Tape::set_position`].
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The state after the last valid step of each lane. Errors: no forward yet; a state of another form.
    pub fn final_state(&self, state: &mut State) -> Result<(), Error> {
        let (network, form) = self.passed(Error::NoForward)?;
        state.check("state", &form)?;
        put(&network.final_state(self.steps), state, &form);
        Ok(())
    }
    /// After a backward: the gradient to the initial state. Errors: no backward yet; a state of another form.
    pub fn initial_grad(&self, state: &mut State) -> Result<(), Error> {
        let (network, form) = self.passed(Error::NoBackward)?;
        if !self.has_gradient {
            return Err(Error::NoBackward);
        }
        state.check("state", &form)?;
        put(&network.initial_grad(), state, &form);
        Ok(())
    }
    fn passed(&self, or: Error) -> Result<(&Network, StateForm), Error> {
        match (&self.network, StateForm::new(&self.options, self.lanes)) {
            (Some(network), Some(form)) if self.lanes > 0 => Ok((network, form)),
            _ => Err(or),
        }
    }

    /// The network laid out for a batch; what the last pass left is gone. Errors: the memory is not to be had.
    pub(crate) fn lay_out(&mut self, batch: &Tokens<'_>) -> Result<&mut Network, Error> {
        (self.forward, self.has_gradient) = (None, false);
        let Batch::Even { steps, lanes } = batch.batch() else {
            return Err(Error::Unsupported { option: "a packed batch" });
        };
        let fits = |network: &Network| network.lanes() == lanes && network.steps() >= steps;
        if !self.network.as_ref().is_some_and(fits) {
            self.network = None;
            self.lanes = 0;
            let training = self.mode == Mode::Training;
            let dropout = training && self.options.dropout > 0.0 && self.options.layers > 1;
            let options = NetworkOptions {
                steps,
                lanes,
                backward: training,
                dropout,
                input_grad: training,
                ..NetworkOptions::default()
            };
            self.network = Some(Network::new(&self.layout, options)?);
        }
        (self.steps, self.lanes) = (steps, lanes);
        self.network.as_mut().ok_or(Error::NoForward)
    }
}
