//! The character model: symbols | embedding, where there is one | stack of recurrent layers | readout. Weights,
//! vocabulary, configuration.
//!
//! On disk: one safetensors file with PyTorch's names, `torch.nn.LSTM.load_state_dict` takes the `rnn.` part as it is;
//! configuration and vocabulary stand in the `gatemill` record. Where embedding and readout are one matrix, the file has
//! it once, as `head.weight`, and the record says so: `"tied": {"embedding.weight": "head.weight"}`.

use crate::checkpoint::{Snapshot, Tensor};
use crate::config::{Config, ConfigError, VocabChoice};
use crate::error::TrainError;
use crate::export::{self, Export};
use crate::init::initialise;
use gatemill_cell::{Params, TensorSpec};
use gatemill_corpus::Vocab;
use gatemill_crew::Crew;
use gatemill_kernels::{Kernels, Layout};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// A character model.
#[derive(Debug)]
pub struct CharModel {
    /// The configuration that it was made with.
    pub config: Config,
    /// What its symbols are.
    pub vocab: Vocab,
    pub(crate) params: Params,
}

/// The packed layout of a configuration's model over `vocab` symbols.
pub(crate) fn layout(config: &Config, vocab: usize) -> Layout {
    let Config { layers, hidden, embed, tied, .. } = *config;
    Layout::character_model(config.cell.into(), layers, hidden, vocab, embed, tied)
}

/// Largest H and E: no size of a layout overflows below it.
const MAX_DIMENSION: usize = 1 << 28;
/// Most layers: what the counter of the dropout masks tells apart.
const MAX_LAYERS: usize = 1 << 12;
/// Most weights: 4 TiB of them.
const MAX_WEIGHTS: u128 = 1 << 40;

/// Checks that a model over `vocab` symbols has a layout at all. Errors: a size beyond any machine.
pub(crate) fn bounded(config: &Config, vocab: usize) -> Result<(), ConfigError> {
    let Config { layers, hidden, embed, .. } = *config;
    let check = |holds: bool, flag, value: usize, reason| {
        if holds { Ok(()) } else { Err(ConfigError { flag, value: value.to_string(), reason }) }
    };
    check(hidden <= MAX_DIMENSION, "hidden", hidden, "must be at most 2^28")?;
    check(embed <= MAX_DIMENSION, "embed", embed, "must be at most 2^28")?;
    check(layers <= MAX_LAYERS, "layers", layers, "must be at most 4096")?;
    let (h, e, v, l) = (hidden as u128, embed as u128, vocab as u128, layers as u128);
    let weights = 4 * h * (l * (2 * h + 2) + v + e) + v * (h + e + 1);
    check(weights <= MAX_WEIGHTS, "hidden", hidden, "makes more than 2^40 weights with these layers and symbols")
}

/// Weights that multiply for each token: no one-hot symbol does (design section 8). Training takes 6 FLOP for each.
pub(crate) fn multiplying(config: &Config, vocab: usize) -> f64 {
    let (h, v) = (config.hidden as f64, vocab as f64);
    let gates = gatemill_kernels::Cell::from(config.cell).gates() as f64;
    gates * h * h * (2 * config.layers - 1) as f64 + h * v
}

impl CharModel {
    /// A model with initial weights. Errors: an impossible configuration, no memory.
    pub fn new(config: &Config, vocab: &Vocab, crew: &Crew, kernels: &Kernels) -> Result<Self, TrainError> {
        config.validate()?;
        bounded(config, vocab.len())?;
        let mut params = Params::zeroed(Arc::new(layout(config, vocab.len())))?;
        initialise(config, &mut params, crew)?;
        params.derive(crew, kernels);
        Ok(Self { config: config.clone(), vocab: vocab.clone(), params })
    }
    /// The model of a file. Errors: no Gatemill record, tensors that are missing, extra or of another shape: all in one.
    pub fn load(snapshot: &Snapshot, crew: &Crew, kernels: &Kernels) -> Result<Self, TrainError> {
        let meta = snapshot.meta.as_ref().ok_or_else(|| {
            TrainError::Model("it has no `gatemill` record with the configuration and the vocabulary".into())
        })?;
        if let Some(task) = meta.get("task") {
            let kind = task.get("kind").and_then(Value::as_str).unwrap_or("task");
            let what = format!("it is a model of the kind `{kind}`, not a character model: use `gatemill predict`");
            return Err(TrainError::Model(what));
        }
        let config: Config = field(meta, "config")?;
        config.validate()?;
        let symbols: Vec<u32> = field(meta, "vocab")?;
        let vocab = match config.vocab {
            VocabChoice::Bytes => Vocab::bytes(),
            VocabChoice::Chars => Vocab::from_symbols(&symbols).map_err(|e| TrainError::Model(e.to_string()))?,
        };
        bounded(&config, vocab.len())?;
        let layout = Arc::new(layout(&config, vocab.len()));
        // Before any memory is asked for: what the record says need not be what the file has.
        let specs = TensorSpec::all(&layout);
        let wanted: Vec<_> = specs.iter().map(|spec| (spec.name.clone(), spec.shape.clone())).collect();
        export::check(snapshot, &wanted, &["optim.", "state."])?;
        let mut params = Params::zeroed(layout)?;
        for t in specs.iter().filter_map(|spec| snapshot.tensor(&spec.name)) {
            params.set(&t.name, &t.data)?;
        }
        params.derive(crew, kernels);
        Ok(Self { config, vocab, params })
    }
    /// Weights, configuration and vocabulary as a file's content.
    pub fn snapshot(&self) -> Snapshot<Export<'_>> {
        let mut meta = Map::new();
        meta.insert("version".into(), env!("CARGO_PKG_VERSION").into());
        meta.insert("config".into(), serde_json::to_value(&self.config).unwrap_or(Value::Null));
        meta.insert("vocab".into(), self.vocab.symbols().into());
        if self.config.tied {
            meta.insert("tied".into(), json!({"embedding.weight": "head.weight"}));
        }
        meta.insert("weights_sha256".into(), self.weights_sha256().into());
        Snapshot { tensors: self.weights().collect(), meta: Some(meta) }
    }
    fn weights(&self) -> impl Iterator<Item = Tensor<Export<'_>>> {
        export::tensors(&self.params, self.params.masters(), str::to_owned)
    }
    /// Parameters in PyTorch's count.
    pub fn parameters(&self) -> usize {
        self.params.count()
    }
    /// SHA-256 over the f32 little-endian bytes of each weight in the order of design section 5, in hexadecimal.
    pub fn weights_sha256(&self) -> String {
        export::sha256(self.weights())
    }
}

/// A field of the record. Errors: missing, or of another form.
pub(crate) fn field<T: serde::de::DeserializeOwned>(meta: &Map<String, Value>, name: &str) -> Result<T, TrainError> {
    let value = meta.get(name).ok_or_else(|| TrainError::Model(format!("its record lacks `{name}`")))?;
    serde_json::from_value(value.clone()).map_err(|e| TrainError::Model(format!("its record's `{name}`: {e}")))
}
