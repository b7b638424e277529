//! Forward, backward and step of a stack: the caller's arrays in, the caller's arrays out.

use crate::rows::Tokens;
use crate::state::layers;
use crate::tape::{Mode, Tape};
use crate::{Batch, Error, Gradients, Recurrent, Rows, RowsMut, State};
use gatemill_cell::Chunk;
use gatemill_crew::Crew;
use gatemill_kernels::Dropout;

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
        mut y: RowsMut<'_>,
    ) -> Result<(), Error> {
        self.owns(tape)?;
        let tokens = Tokens::new(batch)?;
        let (inputs, outputs) = (self.options.inputs, self.options.outputs());
        x.check("x", &tokens, inputs)?;
        y.check("y", &tokens, outputs)?;
        let form = self.state_form(tokens.lanes())?;
        if let Some(initial) = initial {
            initial.check("initial", &form)?;
        }
        let dropout = self.dropout(tape);
        let steps = tokens.steps();
        let network = tape.lay_out(&tokens)?;
        for token in tokens.each() {
            network.input_mut(token.t, token.lane).copy_from_slice(x.row(token, inputs));
        }
        match initial {
            Some(initial) => network.set_state(&layers(initial, &form)),
            None => network.clear_state(),
        }
        let params = self.weights.packed(crew, &self.kernels);
        network.forward(crew, &self.kernels, params, &Chunk { steps, dropout, ..Chunk::default() });
        for token in tokens.each() {
            y.row_mut(token, outputs).copy_from_slice(network.output(token.t, token.lane));
        }
        if tape.mode == Mode::Training {
            tape.forward = Some(self.weights.stamp());
            tape.dropped = dropout;
            tape.position = tape.position.wrapping_add(steps as u64);
        }
        Ok(())
    }

    /// Backward over the batch of the last [`Recurrent::forward`] of this tape, once: from the gradients to the outputs
    /// and, where given, to the final states, to those of the inputs, the weights and (on the tape) the initial states.
    /// `grads` are written, not added to.
    ///
    /// Errors: no forward before it, or with other weights; rows or a state of another form; no memory.
    pub fn backward(
        &self,
        crew: &Crew,
        tape: &mut Tape,
        d_y: Rows<'_>,
        d_last: Option<&State>,
        d_x: Option<RowsMut<'_>>,
        grads: &mut Gradients,
    ) -> Result<(), Error> {
        self.owns(tape)?;
        if grads.options != self.options {
            return Err(Error::Foreign { what: "gradients" });
        }
        if tape.mode == Mode::Inference {
            return Err(Error::Inference);
        }
        match tape.forward {
            None => return Err(Error::NoForward),
            Some(stamp) if stamp != self.weights.stamp() => return Err(Error::WeightsChanged),
            Some(_) => {}
        }
        let (steps, lanes) = (tape.steps, tape.lanes);
        let tokens = Tokens::new(Batch::Even { steps, lanes })?;
        let (inputs, outputs) = (self.options.inputs, self.options.outputs());
        d_y.check("d_y", &tokens, outputs)?;
        if let Some(d_x) = &d_x {
            d_x.check("d_x", &tokens, inputs)?;
        }
        let form = self.state_form(lanes)?;
        if let Some(d_last) = d_last {
            d_last.check("d_last", &form)?;
        }
        let dropout = tape.dropped;
        let Some(network) = tape.network.as_mut() else { return Err(Error::NoForward) };
        grads.filled = false;
        if grads.grads.as_ref().is_none_or(|(of, _)| *of != lanes) {
            grads.grads = Some((lanes, network.weight_grads(crew, 1)?));
        }
        tape.forward = None;
        for token in tokens.each() {
            network.output_grad_mut(token.t, token.lane).copy_from_slice(d_y.row(token, outputs));
        }
        if let Some(d_last) = d_last {
            network.set_final_grad(&layers(d_last, &form));
        }
        let params = self.weights.packed(crew, &self.kernels);
        let chunk = Chunk { steps, dropout, ..Chunk::default() };
        network.backward(crew, &self.kernels, params, &chunk);
        if let Some((_, weight_grads)) = &mut grads.grads {
            weight_grads.compute(crew, &self.kernels, params, network, &[]);
            grads.filled = true;
        }
        if let Some(mut d_x) = d_x {
            for token in tokens.each() {
                d_x.row_mut(token, inputs).copy_from_slice(network.input_grad(token.t, token.lane));
            }
        }
        tape.has_gradient = true;
        Ok(())
    }

    /// One step of B lanes, without dropout: `x [B, I]` and the state before it give `y [B, D*H]` and the state after it.
    /// B is what `x` holds. Once a tape has stepped B lanes, further steps of as many allocate nothing; nothing is shared
    /// out.
    ///
    /// Errors: lengths that do not fit each other, the tape of another stack; no memory.
    pub fn step(&self, tape: &mut Tape, x: &[f32], state: &mut State, y: &mut [f32]) -> Result<(), Error> {
        self.owns(tape)?;
        let (inputs, outputs) = (self.options.inputs, self.options.outputs());
        let lanes = x.len() / inputs;
        if lanes == 0 || x.len() % inputs != 0 {
            let (found, expected) = (x.len(), lanes.max(1) * inputs);
            return Err(Error::Length { which: "x", found, expected, shape: "x is [lanes, inputs]" });
        }
        let (found, expected) = (y.len(), lanes.saturating_mul(outputs));
        if found != expected {
            return Err(Error::Length { which: "y", found, expected, shape: "y is [lanes, outputs]" });
        }
        let form = self.state_form(lanes)?;
        state.check("state", &form)?;
        let tokens = Tokens::new(Batch::Even { steps: 1, lanes })?;
        tape.lay_out(&tokens)?;
        let Tape { network: Some(network), alone, .. } = tape else { return Err(Error::NoForward) };
        for (lane, x) in x.chunks_exact(inputs).enumerate() {
            network.input_mut(0, lane).copy_from_slice(x);
        }
        network.set_state(&layers(state, &form));
        let params = self.weights.packed(alone, &self.kernels);
        network.forward(alone, &self.kernels, params, &Chunk { steps: 1, ..Chunk::default() });
        for (lane, y) in y.chunks_exact_mut(outputs).enumerate() {
            y.copy_from_slice(network.output(0, lane));
        }
        tape.final_state(state)
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
