//! The way back of a pass: from the logits' gradients through head, attention, decoder and bridge to the stack that reads.
//!
//! Each part's own gradients are left in its network; what goes from part to part is copied as the rows were on the way
//! there. The gradient to a final state comes over the bridge, that to an encoder's rows from attention (`doc/attention.md`).

use super::{Machine, Passes, Place, ROWS, drop_row};
use crate::task::bridge;
use crate::task::config::TaskKind;
use crate::task::model::TaskModel;
use crate::task::parts::Role;
use gatemill_cell::{Chunk, Network};
use gatemill_kernels::Dropout;

impl Passes {
    /// Back from the logits' gradients, which [`Passes::forward`] left, through every part.
    pub(crate) fn backward(&mut self, model: &TaskModel, machine: Machine<'_>) {
        let (crew, kernels) = machine;
        let kind = model.config.kind;
        let mut head = self.networks.take(Role::Head);
        head.backward(crew, kernels, model.params.at(Role::Head), &ROWS);
        if kind.decodes() {
            self.write_grad(model, machine, &head);
        } else {
            let stack = self.networks.at_mut(Role::Stack);
            if kind == TaskKind::Classify {
                stack.clear_output_grad();
            }
            for (n, place) in self.places.iter().enumerate() {
                head_grad(&mut self.row, (&head, n), self.drops.head, place);
                match kind {
                    TaskKind::Classify => {
                        self.pooled.backward((stack, &self.inputs, model.config.pool), place.lane, &self.row);
                    }
                    _ => stack.set_output_grad(place.t, place.lane, &self.row),
                }
            }
        }
        self.networks.put(Role::Head, head);
        let Some(stack) = self.networks.get_mut(Role::Stack) else { return };
        let chunk = Chunk { steps: stack.steps(), ids: &self.ids, dropout: self.drops.stack, ..Chunk::default() };
        stack.backward(crew, kernels, model.params.at(Role::Stack), &chunk);
    }

    /// Back through attention, decoder and bridge: the gradients to the encoder's rows and final states are set.
    fn write_grad(&mut self, model: &TaskModel, machine: Machine<'_>, head: &Network) {
        let (crew, kernels) = machine;
        let hidden = model.config.base.hidden;
        if self.look.is_some() {
            self.attend_grad(model, machine, head);
        } else {
            let decoder = self.networks.at_mut(Role::Decoder);
            for (n, place) in self.places.iter().enumerate() {
                head_grad(&mut self.row, (head, n), self.drops.head, place);
                decoder.set_output_grad(place.t, place.lane, &self.row);
            }
            if let Some(stack) = self.networks.get_mut(Role::Stack) {
                stack.clear_output_grad();
            }
        }
        let decoder = self.networks.at_mut(Role::Decoder);
        let (steps, dropout) = (decoder.steps(), self.drops.decoder);
        let chunk = Chunk { steps, ids: &self.answers, dropout, ..Chunk::default() };
        decoder.backward(crew, kernels, model.params.at(Role::Decoder), &chunk);
        let d_start = decoder.initial_grad();
        let lanes =
            self.outputs.order.iter().enumerate().map(|(lane, &i)| (*self.input_lanes.get(i).unwrap_or(&0), lane));
        let directions = model.config.directions();
        let layers = model.config.base.layers * directions;
        let mut d_final = bridge::zeros(&d_start, layers, self.outputs.order.len(), hidden);
        if let Some(bridge) = self.networks.get_mut(Role::Bridge) {
            for lane in 0..self.outputs.order.len() {
                bridge::row_of(&d_start, (lane, hidden), bridge.logits_grad_mut(0, lane));
            }
            bridge.backward(crew, kernels, model.params.at(Role::Bridge), &ROWS);
            if model.config.kind == TaskKind::Translate {
                for (of_encoder, lane) in lanes {
                    bridge::set_row(&mut d_final, (of_encoder, hidden), bridge.input_grad(0, lane));
                }
            }
        } else {
            bridge::copy_grad(&mut d_final, &d_start, directions, hidden, lanes);
        }
        if let Some(stack) = self.networks.get_mut(Role::Stack) {
            stack.set_final_grad(&d_final);
        }
    }

    /// Back through `tanh(W_c [context, h])` and attention: sets the gradients to the decoder's and the encoder's rows.
    fn attend_grad(&mut self, model: &TaskModel, (crew, kernels): Machine<'_>, head: &Network) {
        let (hidden, width) = (model.config.base.hidden, model.config.width());
        let mut combine = self.networks.take(Role::Combine);
        let Some(look) = &mut self.look else { return };
        for (n, place) in self.places.iter().enumerate() {
            head_grad(&mut self.row, (head, n), self.drops.head, place);
            let attended = &self.attended[n * hidden..][..hidden];
            for ((to, &d), &a) in combine.logits_grad_mut(0, n).iter_mut().zip(&self.row).zip(attended) {
                *to = d * (1.0 - a * a);
            }
        }
        combine.backward(crew, kernels, model.params.at(Role::Combine), &ROWS);
        look.clear_grad();
        for (n, place) in self.places.iter().enumerate() {
            look.context_grad_mut(place.lane, place.t)[..width].copy_from_slice(&combine.input_grad(0, n)[..width]);
        }
        look.backward(crew, kernels);
        let decoder = self.networks.at_mut(Role::Decoder);
        for (n, place) in self.places.iter().enumerate() {
            self.row.clear();
            self.row.extend_from_slice(&combine.input_grad(0, n)[width..]);
            let d_q = look.query_grad(place.lane, place.t);
            self.row.iter_mut().zip(d_q).for_each(|(d, &d_q)| *d += d_q);
            decoder.set_output_grad(place.t, place.lane, &self.row);
        }
        self.networks.put(Role::Combine, combine);

        // The decoder lane that looks at each encoder lane.
        let mut lookers = vec![0; self.outputs.order.len()];
        for (lane, &i) in self.outputs.order.iter().enumerate() {
            lookers[self.input_lanes[i]] = lane;
        }
        let tokens = &self.inputs.tokens;
        if let (Some(attention), Some(params)) =
            (self.networks.get_mut(Role::Attention), model.params.get(Role::Attention))
        {
            for (n, &(t, lane)) in tokens.iter().enumerate() {
                let to = attention.logits_grad_mut(0, n);
                let count = to.len();
                to.copy_from_slice(&look.memory_grad(lookers[lane], t).0[..count]);
            }
            attention.backward(crew, kernels, params, &ROWS);
        }
        let mut stack = self.networks.take(Role::Stack);
        let attention = self.networks.get(Role::Attention);
        for (n, &(t, lane)) in tokens.iter().enumerate() {
            let (d_key, d_value) = look.memory_grad(lookers[lane], t);
            self.row.clear();
            self.row.extend_from_slice(&d_value[..width]);
            let d_key = attention.map_or(d_key, |attention| attention.input_grad(0, n));
            self.row.iter_mut().zip(d_key).for_each(|(d, &d_key)| *d += d_key);
            stack.set_output_grad(t, lane, &self.row);
        }
        self.networks.put(Role::Stack, stack);
    }
}

/// The gradient to row `n` of the head, whose place that is, as it comes from below the dropout.
fn head_grad(row: &mut Vec<f32>, (head, n): (&Network, usize), dropout: Option<Dropout>, place: &Place) {
    row.clear();
    row.extend_from_slice(head.input_grad(0, n));
    drop_row(dropout, place, row);
}
