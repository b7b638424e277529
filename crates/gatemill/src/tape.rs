//! What one pass keeps: activations for backward, final states, gradients to the initial ones.

use crate::state::StateForm;
use crate::{Batch, Error, RecurrentOptions, State, StateMut};
use gatemill_cell::{Network, NetworkOptions, OutOfMemory};
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

/// What a forward leaves to the backward after it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Forward {
    /// The weights that it read.
    pub(crate) weights: u64,
    /// What it dropped.
    pub(crate) dropout: Option<Dropout>,
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
    /// The network has a batch, by which the last pass went.
    laid_out: bool,
    /// That batch, where it is even, and for how many workers: the next of the same form needs no laying out.
    even: Option<(Batch<'static>, usize)>,
    /// The last forward, where backward may follow it.
    pub(crate) forward: Option<Forward>,
    /// The last pass was a backward.
    pub(crate) has_gradient: bool,
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
            laid_out: false,
            even: None,
            forward: None,
            has_gradient: false,
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
        self.final_state_into(state.as_mut())
    }
    /// The same into arrays of the caller's.
    pub fn final_state_into(&self, mut state: StateMut<'_>) -> Result<(), Error> {
        let (network, form) = self.passed(Error::NoForward)?;
        state.as_ref().check("state", &form)?;
        for i in 0..form.layers {
            let (h, c) = state.part(i, &form);
            network.final_state_of(network.steps(), i, h, c);
        }
        Ok(())
    }
    /// After a backward: the gradient to the initial state. Errors: no backward yet; a state of another form.
    pub fn initial_grad(&self, state: &mut State) -> Result<(), Error> {
        self.initial_grad_into(state.as_mut())
    }
    /// The same into arrays of the caller's.
    pub fn initial_grad_into(&self, mut state: StateMut<'_>) -> Result<(), Error> {
        let (network, form) = self.passed(Error::NoBackward)?;
        if !self.has_gradient {
            return Err(Error::NoBackward);
        }
        state.as_ref().check("state", &form)?;
        for i in 0..form.layers {
            let (h, c) = state.part(i, &form);
            network.initial_grad_of(i, h, c);
        }
        Ok(())
    }
    /// Lanes of the last pass, where there was one.
    pub fn lanes(&self) -> Option<usize> {
        self.network.as_ref().filter(|_| self.laid_out).map(Network::lanes)
    }
    fn passed(&self, or: Error) -> Result<(&Network, StateForm), Error> {
        match &self.network {
            Some(network) if self.laid_out => {
                let form = StateForm::new(&self.options, network.lanes());
                Ok((network, form.ok_or(OutOfMemory { bytes: usize::MAX })?))
            }
            _ => Err(or),
        }
    }

    /// The network laid out for a batch that so many workers share out; what the last pass left is gone. Errors: the memory
    /// is not to be had.
    pub(crate) fn lay_out(&mut self, batch: Batch<'_>, workers: usize) -> Result<&mut Network, Error> {
        (self.forward, self.has_gradient) = (None, false);
        // Until it is: an error on the way leaves nothing to read.
        let same = std::mem::take(&mut self.laid_out) && self.even == Some((batch, workers));
        if self.network.is_none() {
            self.network = Some(self.blank()?);
        }
        let network = self.network.as_mut().ok_or(Error::NoForward)?;
        if !same {
            network.set_batch_for(batch, workers)?;
        }
        (self.laid_out, self.even) = (true, even(batch).map(|batch| (batch, workers)));
        Ok(network)
    }
    fn blank(&self) -> Result<Network, Error> {
        let training = self.mode == Mode::Training;
        let options = NetworkOptions {
            steps: 0,
            lanes: 0,
            backward: training,
            dropout: training && self.options.dropout > 0.0 && self.options.layers > 1,
            input_grad: training,
            ..NetworkOptions::default()
        };
        Ok(Network::stack(&self.layout, &self.options.shape(), options)?)
    }
}

/// A batch as a value, where it is even.
fn even(batch: Batch<'_>) -> Option<Batch<'static>> {
    match batch {
        Batch::Even { steps, lanes } => Some(Batch::Even { steps, lanes }),
        Batch::Packed { .. } => None,
    }
}
