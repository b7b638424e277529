//! Where texts stand: all that the next draw depends on beside weights and options, and its file.
//!
//! ```text
//! state.h_l0 ..   [lanes, H]   h of each layer after the last symbol        state.c_l0 ..   the same for c (LSTM)
//! state.logits    [lanes, V]   what the next symbol is drawn from
//! state.recent    [lanes, n]   ids of the last symbols, oldest first, for the repetition window; absent where n = 0
//! record          kind "sampling", version, weights_sha256 of the model, position (draws made), seed, lanes, first_sample
//! ```
//!
//! Ids are whole numbers below 2^21, so f32 holds them exactly. The file is written and read as checkpoints are: by a
//! temporary and a rename, and with nothing taken on trust.

use std::path::Path;

use gatemill_cell::LayerState;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::checkpoint::{ReadError, SaveError, Snapshot, Tensor, read_file, replace_snapshot};
use crate::storage::Storage;

/// `kind` in the record.
const KIND: &str = "sampling";

/// Where the texts of a generator stand.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleState {
    /// Of the model that wrote them.
    pub weights_sha256: String,
    /// Symbols drawn so far in each.
    pub position: u64,
    /// Of the draws.
    pub seed: u64,
    /// Number of the first text: text i takes the random numbers of sample `first_sample + i`.
    pub first_sample: u32,
    /// Texts.
    pub lanes: usize,
    /// `[L]`: h and c, `[lanes, H]` each.
    pub(super) layers: Vec<LayerState>,
    /// `[lanes, V]`.
    pub(crate) logits: Vec<f32>,
    /// `[lanes]`: ids, oldest first, as many in each lane.
    pub(super) recent: Vec<Vec<u32>>,
}

/// Why a file is no state to go on from.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StateError {
    /// It cannot be read, or is damaged.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Some other file: a model or a checkpoint.
    #[error("it holds no sampling state")]
    NotAState,
    /// An entry of the record that is missing or cannot be.
    #[error("its record's `{entry}` {fault}")]
    Record {
        /// Its name.
        entry: &'static str,
        /// What is wrong with it.
        fault: String,
    },
    /// A tensor that is missing, unknown, or of another shape or content.
    #[error("tensor `{tensor}` {fault}")]
    Tensor {
        /// Its name.
        tensor: String,
        /// What is wrong with it.
        fault: String,
    },
    /// The state of another model.
    #[error("it is the state of another model: weights with sha256 {saved} wrote it, this model's are {given}")]
    OtherModel {
        /// As the state has it.
        saved: String,
        /// Of the model at hand.
        given: String,
    },
}

fn wrong(tensor: &str, fault: impl Into<String>) -> StateError {
    StateError::Tensor { tensor: tensor.to_owned(), fault: fault.into() }
}

fn entry<T: DeserializeOwned>(meta: &Map<String, Value>, name: &'static str) -> Result<T, StateError> {
    let wrong = |fault: String| StateError::Record { entry: name, fault };
    let value = meta.get(name).ok_or_else(|| wrong("is missing".to_owned()))?;
    serde_json::from_value(value.clone()).map_err(|error| wrong(format!("cannot be: {error}")))
}

impl SampleState {
    /// The state as a file's content.
    pub fn snapshot(&self) -> Snapshot {
        let tensor = |name: String, data: &[f32]| Tensor {
            name,
            shape: vec![self.lanes, data.len() / self.lanes.max(1)],
            data: data.to_vec(),
        };
        let mut tensors = Vec::new();
        for (l, layer) in self.layers.iter().enumerate() {
            tensors.push(tensor(format!("state.h_l{l}"), &layer.h));
            tensors.extend(layer.c.as_ref().map(|c| tensor(format!("state.c_l{l}"), c)));
        }
        tensors.push(tensor("state.logits".to_owned(), &self.logits));
        let recent: Vec<f32> = self.recent.iter().flatten().map(|&id| id as f32).collect();
        if !recent.is_empty() {
            tensors.push(tensor("state.recent".to_owned(), &recent));
        }
        let mut meta = Map::new();
        meta.insert("kind".to_owned(), KIND.into());
        meta.insert("version".to_owned(), env!("CARGO_PKG_VERSION").into());
        meta.insert("weights_sha256".to_owned(), self.weights_sha256.clone().into());
        meta.insert("position".to_owned(), self.position.into());
        meta.insert("seed".to_owned(), self.seed.into());
        meta.insert("lanes".to_owned(), self.lanes.into());
        meta.insert("first_sample".to_owned(), self.first_sample.into());
        Snapshot { tensors, meta: Some(meta) }
    }

    /// The state in a file's content. Errors: no state, or one that contradicts itself.
    pub fn from_snapshot(snapshot: &Snapshot) -> Result<Self, StateError> {
        let is_state = |meta: &&Map<String, Value>| meta.get("kind").and_then(Value::as_str) == Some(KIND);
        let meta = snapshot.meta.as_ref().filter(is_state).ok_or(StateError::NotAState)?;
        let lanes: usize = entry(meta, "lanes")?;
        if lanes == 0 {
            return Err(StateError::Record { entry: "lanes", fault: "is 0".to_owned() });
        }
        let mut used = 0;
        let mut of = |name: &str| -> Result<Option<&Tensor>, StateError> {
            let Some(tensor) = snapshot.tensor(name) else { return Ok(None) };
            used += 1;
            if tensor.shape.len() != 2 || tensor.shape[0] != lanes {
                return Err(wrong(name, format!("is {:?}, not [{lanes}, ..]", tensor.shape)));
            }
            if tensor.data.iter().any(|x| !x.is_finite()) {
                return Err(wrong(name, "has NaN or infinite values"));
            }
            Ok(Some(tensor))
        };
        let mut layers = Vec::new();
        while let Some(h) = of(&format!("state.h_l{}", layers.len()))? {
            let name = format!("state.c_l{}", layers.len());
            let c = of(&name)?;
            if c.is_some_and(|c| c.shape != h.shape) {
                return Err(wrong(&name, format!("has another shape than h, {:?}", h.shape)));
            }
            layers.push(LayerState { h: h.data.clone(), c: c.map(|c| c.data.clone()) });
        }
        let logits = of("state.logits")?.ok_or_else(|| wrong("state.logits", "is missing"))?;
        let vocab = logits.shape[1];
        let mut recent = vec![Vec::new(); lanes];
        if let Some(ids) = of("state.recent")? {
            if ids.data.iter().any(|&x| x != x.trunc() || x < 0.0 || x >= vocab as f32) {
                return Err(wrong("state.recent", format!("has numbers that are no ids below {vocab}")));
            }
            for (recent, ids) in recent.iter_mut().zip(ids.data.chunks(ids.shape[1])) {
                *recent = ids.iter().map(|&id| id as u32).collect();
            }
        }
        if used != snapshot.tensors.len() {
            let known = |name: &str| {
                let layer = name.strip_prefix("state.h_l").or_else(|| name.strip_prefix("state.c_l"));
                let listed = layer.and_then(|l| l.parse().ok()).is_some_and(|l: usize| l < layers.len());
                listed || name == "state.logits" || name == "state.recent"
            };
            let name = snapshot.tensors.iter().map(|t| t.name.as_str()).find(|name| !known(name));
            return Err(wrong(name.unwrap_or("state"), "is not part of a state"));
        }
        Ok(Self {
            weights_sha256: entry(meta, "weights_sha256")?,
            position: entry(meta, "position")?,
            seed: entry(meta, "seed")?,
            first_sample: entry(meta, "first_sample")?,
            lanes,
            layers,
            logits: logits.data.clone(),
            recent,
        })
    }

    /// Saves it at `path`, in the place of an older one: at every moment the old file or the new one is whole.
    pub fn save(&self, storage: &dyn Storage, path: &Path) -> Result<(), SaveError> {
        replace_snapshot(storage, path, &self.snapshot())
    }

    /// Reads and checks the state at `path`. Whether it is this model's is asked where it is used.
    pub fn load(storage: &dyn Storage, path: &Path) -> Result<Self, StateError> {
        Self::from_snapshot(&read_file(storage, path)?.snapshot)
    }

    /// Checks that it is a state of the model with this hash and, layer by layer, of this shape for one lane.
    pub(super) fn check(&self, weights_sha256: &str, one: &[LayerState], vocab: usize) -> Result<(), StateError> {
        if self.weights_sha256 != weights_sha256 {
            let (saved, given) = (self.weights_sha256.clone(), weights_sha256.to_owned());
            return Err(StateError::OtherModel { saved, given });
        }
        if self.layers.len() != one.len() {
            let fault = format!("is missing, or there are more: the model has {} layers", one.len());
            return Err(wrong(&format!("state.h_l{}", one.len().min(self.layers.len())), fault));
        }
        for (l, (layer, one)) in self.layers.iter().zip(one).enumerate() {
            let len = |c: &Option<Vec<f32>>| c.as_ref().map_or(0, Vec::len);
            if layer.h.len() != self.lanes * one.h.len() || len(&layer.c) != self.lanes * len(&one.c) {
                return Err(wrong(&format!("state.h_l{l}"), "or its c has another shape than in the model"));
            }
        }
        if self.logits.len() != self.lanes * vocab {
            return Err(wrong("state.logits", format!("has another shape: the model has {vocab} symbols")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::form;

    fn state() -> SampleState {
        let layer = |x: f32| LayerState { h: vec![x, -x, 0.5, x / 3.0], c: Some(vec![3.0 * x, 0.0, 1e-30, -9.0]) };
        SampleState {
            weights_sha256: "ab".repeat(32),
            position: u64::MAX - 1,
            seed: u64::MAX,
            first_sample: u32::MAX,
            lanes: 2,
            layers: vec![layer(0.25), layer(-0.125)],
            logits: vec![1.0, 2.0, 3.0, -1.0, -2.0, -3.0],
            recent: vec![vec![0, 2, 2, 1], vec![1, 1, 0, 2]],
        }
    }

    fn through_bytes(snapshot: &Snapshot) -> Result<SampleState, StateError> {
        let bytes = form::encode(snapshot).expect("encoded");
        SampleState::from_snapshot(&form::decode(&bytes).expect("decoded").snapshot)
    }

    #[test]
    fn a_state_survives_its_file() {
        let gru = |layer: LayerState| LayerState { c: None, ..layer };
        let full = state();
        let layers = full.layers.iter().cloned().map(gru).collect();
        let bare = SampleState { layers, recent: vec![Vec::new(); 2], ..full.clone() };
        for state in [full, bare] {
            assert_eq!(through_bytes(&state.snapshot()).expect("a state"), state);
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        type Change = fn(&mut Snapshot);
        let changes: [(&str, Change); 12] = [
            ("no sampling state", |s| s.meta = None),
            ("no sampling state", |s| drop(s.meta.as_mut().unwrap().remove("kind"))),
            ("`lanes` is 0", |s| drop(s.meta.as_mut().unwrap().insert("lanes".into(), 0.into()))),
            ("`position` cannot be", |s| drop(s.meta.as_mut().unwrap().insert("position".into(), (-1).into()))),
            ("`seed` is missing", |s| drop(s.meta.as_mut().unwrap().remove("seed"))),
            ("state.h_l0` is [2, 2], not [3, ..]", |s| {
                drop(s.meta.as_mut().unwrap().insert("lanes".into(), 3.into()));
            }),
            ("state.c_l1` has another shape", |s| {
                let c = s.tensors.iter_mut().find(|t| t.name == "state.c_l1").unwrap();
                (c.shape, c.data) = (vec![2, 1], vec![0.0; 2]);
            }),
            ("state.logits` is missing", |s| s.tensors.retain(|t| t.name != "state.logits")),
            ("state.logits` has NaN", |s| {
                s.tensors.iter_mut().find(|t| t.name == "state.logits").unwrap().data[4] = f32::NAN;
            }),
            ("state.recent` has numbers", |s| s.tensors.last_mut().unwrap().data[1] = 3.0),
            ("state.recent` has numbers", |s| s.tensors.last_mut().unwrap().data[1] = 0.5),
            ("`head.bias` is not part", |s| {
                s.tensors.push(Tensor { name: "head.bias".into(), shape: vec![1], data: vec![0.0] });
            }),
        ];
        for (words, change) in changes {
            let mut snapshot = state().snapshot();
            change(&mut snapshot);
            let error = through_bytes(&snapshot).expect_err(words).to_string();
            assert!(error.contains(words), "{words}: {error}");
        }
    }

    #[test]
    fn a_state_of_another_model_or_shape_is_refused() {
        let state = state();
        let hash = state.weights_sha256.clone();
        let one = |units: usize, c: bool| LayerState { h: vec![0.0; units], c: c.then(|| vec![0.0; units]) };
        let check =
            |hash: &str, layers: &[LayerState], vocab| state.check(hash, layers, vocab).map_err(|e| e.to_string());
        assert_eq!(check(&hash, &[one(2, true), one(2, true)], 3), Ok(()));
        let error = check("cd", &[one(2, true), one(2, true)], 3).expect_err("another model");
        assert!(error.contains(&hash) && error.contains("cd"), "{error}");
        for (layers, vocab) in [
            (vec![one(2, true)], 3),
            (vec![one(2, true), one(2, true), one(2, true)], 3),
            (vec![one(2, true), one(4, true)], 3),
            (vec![one(2, true), one(2, false)], 3),
            (vec![one(2, true), one(2, true)], 4),
        ] {
            assert!(check(&hash, &layers, vocab).is_err(), "{layers:?} {vocab}");
        }
    }
}
