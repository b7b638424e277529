//! A task's model: configuration, alphabet, and the weights of its parts; as a file, and back.
//!
//! On disk one safetensors file with PyTorch's names (`parts.rs` has the prefixes); the record's `task` holds the
//! configuration, `alphabet` the symbols and classes. A character model has `config` and `vocab` in their place, so that
//! neither is taken for the other.

use super::alphabet::Alphabet;
use super::config::TaskConfig;
use super::parts::{ByRole, Role, bounded, form, initial};
use crate::checkpoint::{Snapshot, Tensor};
use crate::error::TrainError;
use crate::export::{self, Export};
use crate::model::field;
use gatemill_cell::{Params, TensorSpec};
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use serde_json::Map;

/// A model of one of the kinds of RNN.
#[derive(Debug)]
pub struct TaskModel {
    /// What it was made with.
    pub config: TaskConfig,
    /// What its numbers stand for.
    pub alphabet: Alphabet,
    /// The longest answer that it has learned from, in symbols.
    pub longest: usize,
    pub(crate) params: ByRole<Params>,
}

impl TaskModel {
    /// A model with initial weights. Errors: an impossible configuration or alphabet, no memory.
    pub fn new(config: &TaskConfig, alphabet: &Alphabet, crew: &Crew, kernels: &Kernels) -> Result<Self, TrainError> {
        config.validate()?;
        alphabet.validate().map_err(TrainError::Symbols)?;
        bounded(config, alphabet)?;
        let params = initial(config, alphabet, crew)?;
        let mut model = Self { config: config.clone(), alphabet: alphabet.clone(), longest: 0, params };
        model.derive(crew, kernels);
        Ok(model)
    }
    /// What follows from the weights after each change of them.
    pub(crate) fn derive(&mut self, crew: &Crew, kernels: &Kernels) {
        self.params.iter_mut().for_each(|(_, params)| params.derive(crew, kernels));
    }
    /// The model of a file. Errors: no Gatemill record, one of a character model, tensors that are missing, extra or of
    /// another shape: all in one.
    pub fn load(snapshot: &Snapshot, crew: &Crew, kernels: &Kernels) -> Result<Self, TrainError> {
        let amiss = |what: &str| Err(TrainError::Model(what.into()));
        let Some(meta) = &snapshot.meta else {
            return amiss("it has no `gatemill` record with the configuration and the alphabet");
        };
        if meta.contains_key("vocab") && !meta.contains_key("task") {
            return amiss("it is a character model, not one of a task: use `gatemill sample` or `gatemill eval`");
        }
        let config: TaskConfig = field(meta, "task")?;
        config.validate()?;
        let alphabet: Alphabet = field(meta, "alphabet")?;
        alphabet.validate().map_err(TrainError::Model)?;
        bounded(&config, &alphabet)?;
        // Before any memory is asked for: what the record says need not be what the file has.
        let mut wanted = Vec::new();
        for role in Role::ALL {
            let Some(form) = form(&config, &alphabet, role) else { continue };
            let specs = TensorSpec::all(&form.layout());
            wanted.extend(specs.into_iter().map(|spec| (role.tensor(config.kind, &spec.name), spec.shape)));
        }
        export::check(snapshot, &wanted, &["optim."])?;
        let params = ByRole::try_new(|role| {
            let Some(form) = form(&config, &alphabet, role) else { return Ok(None) };
            let mut params = Params::zeroed(form.layout())?;
            for spec in params.specs().to_vec() {
                if let Some(t) = snapshot.tensor(&role.tensor(config.kind, &spec.name)) {
                    params.set(&spec.name, &t.data)?;
                }
            }
            Ok::<_, TrainError>(Some(params))
        })?;
        let mut model = Self { longest: field(meta, "longest")?, config, alphabet, params };
        model.derive(crew, kernels);
        Ok(model)
    }
    /// Weights, configuration and alphabet as a file's content.
    pub fn snapshot(&self) -> Snapshot<Export<'_>> {
        let mut meta = Map::new();
        meta.insert("version".into(), env!("CARGO_PKG_VERSION").into());
        meta.insert("task".into(), serde_json::to_value(&self.config).unwrap_or_default());
        meta.insert("alphabet".into(), serde_json::to_value(&self.alphabet).unwrap_or_default());
        meta.insert("longest".into(), self.longest.into());
        meta.insert("weights_sha256".into(), self.weights_sha256().into());
        Snapshot { tensors: self.weights().collect(), meta: Some(meta) }
    }
    fn weights(&self) -> impl Iterator<Item = Tensor<Export<'_>>> {
        self.params.iter().flat_map(|(role, params)| self.tensors(role, params, params.masters(), ""))
    }
    /// The tensors of `flat`, masters or a moment of a part, by their names in a file after `before`.
    pub(crate) fn tensors<'a>(
        &'a self,
        role: Role,
        params: &'a Params,
        flat: &'a [f32],
        before: &'a str,
    ) -> impl Iterator<Item = Tensor<Export<'a>>> {
        let kind = self.config.kind;
        export::tensors(params, flat, move |name| format!("{before}{}", role.tensor(kind, name)))
    }
    /// Parameters in PyTorch's count.
    pub fn parameters(&self) -> usize {
        self.params.iter().map(|(_, params)| params.count()).sum()
    }
    /// SHA-256 over the f32 little-endian bytes of each weight, in the order of the file, in hexadecimal.
    pub fn weights_sha256(&self) -> String {
        export::sha256(self.weights())
    }
    /// A tensor by its name in a file, in PyTorch's layout. None: there is no such one.
    pub fn tensor(&self, name: &str) -> Option<Vec<f32>> {
        self.params.iter().find_map(|(role, params)| {
            let is = |spec: &&TensorSpec| role.tensor(self.config.kind, &spec.name) == name;
            params.specs().iter().find(is).map(|spec| params.get(spec))
        })
    }
    /// Sets it. Errors: no such tensor, another number of elements.
    pub fn set_tensor(
        &mut self,
        name: &str,
        data: &[f32],
        (crew, kernels): (&Crew, &Kernels),
    ) -> Result<(), TrainError> {
        let kind = self.config.kind;
        for (role, params) in self.params.iter_mut() {
            let own = params.specs().iter().find(|spec| role.tensor(kind, &spec.name) == name);
            if let Some(own) = own.map(|spec| spec.name.clone()) {
                params.set(&own, data)?;
                params.derive(crew, kernels);
                return Ok(());
            }
        }
        Err(TrainError::Model(format!("there is no tensor `{name}`")))
    }
    /// Names and shapes of the tensors, in the order of the file.
    pub fn tensor_shapes(&self) -> Vec<(String, Vec<usize>)> {
        let of = |(role, params): (Role, &'_ Params)| {
            let named = |spec: &TensorSpec| (role.tensor(self.config.kind, &spec.name), spec.shape.clone());
            params.specs().iter().map(named).collect::<Vec<_>>()
        };
        self.params.iter().flat_map(of).collect()
    }
}
