//! Forward, backward and step of a stack: the caller's arrays in, the caller's arrays out.

use crate::tape::{Forward, Mode, Tape};
use crate::{Batch, Error, Gradients, Recurrent, Rows, RowsMut, State, StateMut, StateRef};
use gatemill_cell::{BatchError, Chunk, RowsError};
use gatemill_crew::Crew;
use gatemill_kernels::Dropout;

/// Names the array of a [`RowsError`].
fn of(which: &'static str) -> impl FnOnce(RowsError) -> Error {
    move |source| Error::Rows { which, source }
}

impl Recurrent {
    /// Forward over a batch from the initial states (zeros where there are none): `y` takes the top layer's outputs
    /// `[D*H]`. On a tape in training the layers drop, and [`Recurrent::backward`] may follow.
    ///
    /// Errors: a batch that cannot be, rows or a state of another form, the tape of another stack; no memory.
    pub fn forward(
        &self,
        crew: &Crew,
        tape: &mut Tape,
        batch: Batch<'_>,
        x: Rows<'_>,
        initial: Option<&State>,
        y: RowsMut<'_>,
    ) -> Result<(), Error> {
        self.forward_from(crew, tape, batch, x, initial.map(State::as_ref), y)
    }
    /// The same from states in arrays of the caller's.
    pub fn forward_from(
        &self,
        crew: &Crew,
        tape: &mut Tape,
        batch: Batch<'_>,
        x: Rows<'_>,
        initial: Option<StateRef<'_>>,
        y: RowsMut<'_>,
    ) -> Result<(), Error> {
        self.owns(tape)?;
        let tokens = batch.tokens()?;
        x.check(&batch, tokens, self.options.inputs).map_err(of("x"))?;
        y.check(&batch, tokens, self.options.outputs()).map_err(of("y"))?;
        let form = self.state_form(batch.lanes())?;
        if let Some(initial) = initial {
            initial.check("initial", &form)?;
        }
        let (steps, dropout) = (batch.steps(), self.dropout(tape));
        let network = tape.lay_out(batch, crew.threads())?;
        match initial {
            Some(initial) => {
                for i in 0..form.layers {
                    let (h, c) = initial.part(i, &form);
                    network.set_state_of(i, h, c);
                }
            }
            None => network.clear_state(),
        }
        let params = self.weights.packed(&self.kernels);
        network.forward_rows((crew, &self.kernels), params, &Chunk { steps, dropout, ..Chunk::default() }, x, &y);
        if tape.mode == Mode::Training {
            tape.forward = Some(Forward { weights: self.weights.stamp(), dropout });
            tape.position = tape.position.wrapping_add(steps as u64);
        }
        Ok(())
    }

    /// Backward over the batch of the last [`Recurrent::forward`] of this tape, once: from the gradients to the outputs
    /// and, where given, to the final states, to those of the inputs (where `d_x` is there to take them), the weights and
    /// (on the tape) the initial states. `grads` are written, not added to; without them, as where the weights are frozen, a
    /// third of the work is not done.
    ///
    /// Errors: no forward before it, or with other weights; rows or a state of another form; no memory.
    pub fn backward(
        &self,
        crew: &Crew,
        tape: &mut Tape,
        d_y: Rows<'_>,
        d_last: Option<&State>,
        d_x: Option<RowsMut<'_>>,
        grads: Option<&mut Gradients>,
    ) -> Result<(), Error> {
        self.backward_from(crew, tape, d_y, d_last.map(State::as_ref), d_x, grads)
    }
    /// The same from gradients in arrays of the caller's.
    pub fn backward_from(
        &self,
        crew: &Crew,
        tape: &mut Tape,
        d_y: Rows<'_>,
        d_last: Option<StateRef<'_>>,
        d_x: Option<RowsMut<'_>>,
        grads: Option<&mut Gradients>,
    ) -> Result<(), Error> {
        self.owns(tape)?;
        if grads.as_ref().is_some_and(|grads| grads.options != self.options) {
            return Err(Error::Foreign { what: "gradients" });
        }
        if tape.mode == Mode::Inference {
            return Err(Error::Inference);
        }
        let dropout = match tape.forward {
            None => return Err(Error::NoForward),
            Some(Forward { weights, .. }) if weights != self.weights.stamp() => return Err(Error::WeightsChanged),
            Some(Forward { dropout, .. }) => dropout,
        };
        let Some(network) = tape.network.as_mut() else { return Err(Error::NoForward) };
        let (steps, lanes, tokens) = (network.steps(), network.lanes(), network.tokens().count());
        // Rows are found by strides in packed batches too.
        let batch = Batch::Even { steps, lanes };
        d_y.check(&batch, tokens, self.options.outputs()).map_err(of("d_y"))?;
        if let Some(d_x) = &d_x {
            d_x.check(&batch, tokens, self.options.inputs).map_err(of("d_x"))?;
        }
        let form = self.state_form(lanes)?;
        if let Some(d_last) = d_last {
            d_last.check("d_last", &form)?;
        }
        let grads = grads.map(|grads| grads.begin(network, crew)).transpose()?;
        tape.forward = None;
        if let Some(d_last) = d_last {
            for i in 0..form.layers {
                let (h, c) = d_last.part(i, &form);
                network.set_final_grad_of(i, h, c);
            }
        }
        let params = self.weights.packed(&self.kernels);
        let chunk = Chunk { steps, dropout, ..Chunk::default() };
        // Several forks: between two of them the other workers stand by awake.
        crew.lead(|| {
            network.backward_rows((crew, &self.kernels), params, &chunk, d_y, d_x.as_ref());
            if let Some((weight_grads, filled)) = grads {
                weight_grads.compute(crew, &self.kernels, params, network, &[]);
                *filled = true;
            }
        });
        tape.has_gradient = true;
        Ok(())
    }

    /// One step of B lanes, without dropout: `x [B, I]` and the state before it give `y [B, D*H]` and the state after it.
    /// B is what `x` holds. Once a tape has stepped B lanes, further steps of as many allocate nothing; nothing is shared
    /// out.
    ///
    /// Errors: lengths that do not fit each other, the tape of another stack; no memory.
    pub fn step(&self, tape: &mut Tape, x: &[f32], state: &mut State, y: &mut [f32]) -> Result<(), Error> {
        self.step_from(tape, x, state.as_mut(), y)
    }
    /// The same on a state in arrays of the caller's.
    pub fn step_from(&self, tape: &mut Tape, x: &[f32], mut state: StateMut<'_>, y: &mut [f32]) -> Result<(), Error> {
        self.owns(tape)?;
        let (inputs, outputs) = (self.options.inputs, self.options.outputs());
        let lanes = x.len() / inputs;
        if lanes == 0 || !x.len().is_multiple_of(inputs) {
            let (found, expected) = (x.len(), lanes.max(1) * inputs);
            return Err(Error::Length { which: "x", found, expected, shape: "x is [lanes, inputs]" });
        }
        let (found, expected) = (y.len(), lanes.saturating_mul(outputs));
        if found != expected {
            return Err(Error::Length { which: "y", found, expected, shape: "y is [lanes, outputs]" });
        }
        let form = self.state_form(lanes)?;
        state.as_ref().check("state", &form)?;
        tape.lay_out(Batch::Even { steps: 1, lanes }, 1)?;
        let Tape { network: Some(network), alone, .. } = tape else { return Err(Error::NoForward) };
        let params = self.weights.packed(&self.kernels);
        for i in 0..form.layers {
            let (h, c) = state.as_ref().part(i, &form);
            network.set_state_of(i, h, c);
        }
        let (x, y) = (Rows::time_major(x, lanes, inputs), RowsMut::time_major(y, lanes, outputs));
        network.forward_rows((alone, &self.kernels), params, &Chunk { steps: 1, ..Chunk::default() }, x, &y);
        for i in 0..form.layers {
            let (h, c) = state.part(i, &form);
            network.final_state_of(1, i, h, c);
        }
        Ok(())
    }

    fn owns(&self, tape: &Tape) -> Result<(), Error> {
        if tape.options == self.options { Ok(()) } else { Err(Error::Foreign { what: "tape" }) }
    }
    /// The dropout of the tape's next pass.
    fn dropout(&self, tape: &Tape) -> Option<Dropout> {
        let drops = tape.mode == Mode::Training && self.options.dropout > 0.0 && self.options.layers > 1;
        drops.then(|| Dropout::new(self.options.dropout, self.options.seed, tape.position, 0))
    }
}

impl From<BatchError> for Error {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Memory(error) => error.into(),
            error => Error::Batch(error),
        }
    }
}
