//! A task's trainer as a checkpoint, and back.
//!
//! ```text
//! NAME                            weights
//! optim.m.NAME  optim.v.NAME      moments, of the weight's shape; those that the rule has
//! ```
//!
//! There are no states: every example begins from zeros, or from its bridge. The record has the counters and a fingerprint
//! of the examples, so that a run does not go on with others.

use super::{Progress, TaskTrainer};
use crate::checkpoint::Snapshot;
use crate::error::TrainError;
use crate::export::Export;
use crate::model::field;
use crate::task::config::TaskConfig;
use crate::task::example::{Example, Input};
use crate::task::model::TaskModel;
use crate::task::parts::{Role, form};
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// SHA-256 over the examples' numbers, in hexadecimal.
fn fingerprint(examples: &[Example]) -> String {
    let mut hash = Sha256::new();
    let mut numbers = |tag: u8, numbers: &mut dyn Iterator<Item = u32>| {
        let bytes: Vec<u8> = numbers.flat_map(u32::to_le_bytes).collect();
        hash.update([tag]);
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    for example in examples {
        match &example.input {
            Input::Symbols(symbols) => numbers(0, &mut symbols.iter().copied()),
            Input::Dense(row) => numbers(1, &mut row.iter().map(|x| x.to_bits())),
        }
        numbers(2, &mut example.output.iter().copied());
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

impl TaskTrainer {
    /// A checkpoint: model, moments (`optim.*`), counters, fingerprint of the examples, tier.
    pub fn snapshot(&self) -> Snapshot<Export<'_>> {
        let mut snapshot = self.model.snapshot();
        for (at, before) in ["optim.m.", "optim.v."].into_iter().enumerate() {
            for (role, part) in self.learning.iter() {
                let (_, moment) = part.optimizer.moments()[at];
                if let Some(params) = self.model.params.get(role).filter(|_| !moment.is_empty()) {
                    snapshot.tensors.extend(self.model.tensors(role, params, moment, before));
                }
            }
        }
        if let Some(meta) = &mut snapshot.meta {
            meta.insert("progress".into(), serde_json::to_value(&self.progress).unwrap_or_default());
            meta.insert("step".into(), self.progress.step.into());
            meta.insert("examples_sha256".into(), fingerprint(&self.examples).into());
            meta.insert("isa".into(), self.kernels.name().into());
        }
        snapshot
    }

    /// A run as its checkpoint left it, with the same bits from here on. `config` is the effective configuration; shapes
    /// and alphabet are the checkpoint's.
    ///
    /// Errors: as `new`; a model without training state; other examples than those that it has learned from.
    pub fn resume(
        config: &TaskConfig,
        snapshot: &Snapshot,
        examples: Vec<Example>,
        crew: Arc<Crew>,
        kernels: Kernels,
    ) -> Result<Self, TrainError> {
        config.validate()?;
        let mut model = TaskModel::load(snapshot, &crew, &kernels)?;
        let amiss = |what: &str| Err(TrainError::Model(what.into()));
        let meta = match &snapshot.meta {
            Some(meta) if meta.contains_key("progress") => meta,
            _ => return amiss("a model without training state cannot be resumed"),
        };
        let progress: Progress = field(meta, "progress")?;
        let learned: String = field(meta, "examples_sha256")?;
        if learned != fingerprint(&examples) {
            return amiss(
                "it was learning from other examples: give the file that it began with, and the same parts of it",
            );
        }
        let forms = |config| Role::ALL.map(|role| form(config, &model.alphabet, role));
        if config.kind != model.config.kind || forms(config) != forms(&model.config) {
            return amiss("its parts have other sizes than the configuration asks for");
        }
        model.config = config.clone();
        let mut trainer = Self::assemble(model, progress, examples, crew, kernels)?;
        trainer.restore(snapshot)?;
        Ok(trainer)
    }

    /// Takes over the moments. Errors: one is missing or of another size.
    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), TrainError> {
        let kind = self.model.config.kind;
        for (role, part) in self.learning.iter_mut() {
            let params = self.model.params.at(role);
            for (before, moment) in part.optimizer.moments_mut() {
                let used = !moment.is_empty();
                for spec in params.specs().iter().filter(|_| used) {
                    let name = format!("{before}.{}", role.tensor(kind, &spec.name));
                    match snapshot.tensor(&name) {
                        Some(t) => params.import(spec, &t.data, moment)?,
                        None => return Err(TrainError::Model(format!("`{name}` is missing: this is no checkpoint"))),
                    }
                }
            }
        }
        Ok(())
    }
}
