//! A trainer as a checkpoint, and back.
//!
//! ```text
//! NAME                                      weights
//! optim.m.NAME  optim.v.NAME                moments, of the weight's shape; those that the rule has
//! state.h_l0 ..  state.c_l0 ..  [N*B, H]    carried states of each layer; c of an LSTM
//! ```
//!
//! Weights and moments stay where they are until they are written: a save costs no more memory than the largest of them
//! and the states.

use super::Trainer;
use crate::checkpoint::{Snapshot, Tensor};
use crate::error::TrainError;
use crate::export::{self, Export};
use gatemill_cell::{LayerState, OutOfMemory, TensorSpec};

/// A symbol on its way into a record: a JSON value, and its digits in three copies. Generous, as is the next.
const SYMBOL_TEXT_BYTES: usize = 64;
/// The rest of a record, and names and shapes.
const RECORD_BYTES: usize = 1 << 20;

impl Trainer {
    /// Whether there is room to write a checkpoint now: its largest tensor, the states, names, the vocabulary's text.
    ///
    /// Errors: no memory. An allocation that fails in the middle of a save would end the program instead.
    pub(crate) fn room_for_snapshot(&self) -> Result<(), TrainError> {
        let config = &self.model.config;
        let largest = 4 * self.model.params.specs().iter().map(TensorSpec::len).max().unwrap_or(0);
        let states = 4 * 2 * config.layers * config.lanes() * config.hidden;
        let bytes = largest + states + SYMBOL_TEXT_BYTES * self.model.vocab.len() + RECORD_BYTES;
        Vec::<u8>::new().try_reserve_exact(bytes).map_err(|_| OutOfMemory { bytes }.into())
    }

    /// A checkpoint: model, moments (`optim.*`), carried states (`state.*`), counters, corpus fingerprint, tier.
    pub fn snapshot(&self) -> Snapshot<Export<'_>> {
        let mut snapshot = self.model.snapshot();
        for (name, moment) in self.optimizer.moments().into_iter().filter(|(_, moment)| !moment.is_empty()) {
            snapshot
                .tensors
                .extend(export::tensors(&self.model.params, moment, move |tensor| format!("{name}.{tensor}")));
        }
        let shape = [self.model.config.lanes(), self.model.config.hidden];
        for (l, state) in self.groups.all(&self.network).into_iter().enumerate() {
            let tensor = |name: &str, rows| Tensor {
                name: format!("state.{name}_l{l}"),
                shape: shape.to_vec(),
                data: Export::Rows(rows),
            };
            snapshot.tensors.push(tensor("h", state.h));
            snapshot.tensors.extend(state.c.map(|c| tensor("c", c)));
        }
        if let Some(meta) = &mut snapshot.meta {
            meta.insert("progress".into(), serde_json::to_value(&self.progress).unwrap_or_default());
            meta.insert("step".into(), self.progress.step.into());
            meta.insert("corpus".into(), self.corpus.fingerprint().to_string().into());
            meta.insert("isa".into(), self.kernels.name().into());
        }
        snapshot
    }

    /// Takes over moments and states. Errors: one is missing or of another size.
    pub(super) fn restore(&mut self, snapshot: &Snapshot) -> Result<(), TrainError> {
        let tensor = |name: String, len: usize| match snapshot.tensor(&name) {
            Some(t) if t.data.len() == len => Ok(&t.data),
            Some(_) => Err(TrainError::Model(format!("`{name}` has another size"))),
            None => Err(TrainError::Model(format!("`{name}` is missing: this is a model, not a checkpoint"))),
        };
        let params = &self.model.params;
        for (name, moment) in self.optimizer.moments_mut() {
            let used = !moment.is_empty();
            for spec in params.specs().iter().filter(|_| used) {
                params.import(spec, tensor(format!("{name}.{}", spec.name), spec.len())?, moment)?;
            }
        }
        let len = self.model.config.lanes() * self.model.config.hidden;
        let mut states = Vec::new();
        for (l, now) in self.network.state().iter().enumerate() {
            let c = if now.c.is_some() { Some(tensor(format!("state.c_l{l}"), len)?.clone()) } else { None };
            states.push(LayerState { h: tensor(format!("state.h_l{l}"), len)?.clone(), c });
        }
        self.groups.set_all(&states, &mut self.network);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::trainer;
    use crate::checkpoint::Elements;
    use crate::config::Config;

    /// What a save takes is one room, of the largest tensor's size, whatever the order of the tensors.
    #[test]
    fn weights_and_moments_are_fetched_into_the_room_of_the_largest() {
        let config = Config { layers: 2, hidden: 17, batch: 3, seq: 9, accumulate: 2, ..Config::default() };
        let mut trainer = trainer(&config, &"it turns and it turns ".repeat(40));
        trainer.step().unwrap();
        let snapshot = trainer.snapshot();
        let mut room = Vec::new();
        for tensor in &snapshot.tensors {
            let elements = tensor.data.fetch(&mut room);
            assert_eq!(elements.len(), tensor.shape.iter().product::<usize>(), "{}", tensor.name);
            assert_eq!(elements.len(), tensor.data.count(), "{}", tensor.name);
            assert!(elements.iter().any(|&x| x != 0.0), "{}", tensor.name);
        }
        assert_eq!(room.capacity(), 4 * 17 * 17, "W_hh is the largest");

        let params = &trainer.model().params;
        let [(_, m), (_, v)] = trainer.optimizer.moments();
        for spec in params.specs() {
            for (prefix, flat) in [("", params.masters()), ("optim.m.", m), ("optim.v.", v)] {
                let tensor = snapshot.tensor(&format!("{prefix}{}", spec.name)).unwrap();
                assert_eq!(tensor.data.fetch(&mut room), params.export(spec, flat), "{}", tensor.name);
            }
        }
    }
}
