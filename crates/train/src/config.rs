//! What a training run is made of: the effective configuration, by the names of the command line.

use gatemill_kernels::Cell;
use serde::{Deserialize, Serialize};

/// The recurrent cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CellKind {
    /// tanh RNN (lecture L1).
    Rnn,
    /// LSTM (lecture L9).
    Lstm,
    /// GRU, reset-after as in PyTorch (lecture L11).
    Gru,
}

impl From<CellKind> for Cell {
    fn from(kind: CellKind) -> Cell {
        match kind {
            CellKind::Rnn => Cell::Rnn,
            CellKind::Lstm => Cell::Lstm,
            CellKind::Gru => Cell::Gru,
        }
    }
}

/// What the symbols are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VocabChoice {
    /// The Unicode scalars of the corpus, sorted.
    Chars,
    /// All 256 bytes.
    Bytes,
}

/// The optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Adam (Kingma and Ba 2015), PyTorch's formulas.
    Adam,
    /// Plain stochastic gradient descent.
    Sgd,
}

/// How the learning rate moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleKind {
    /// `lr` after the warm-up.
    Constant,
    /// From `lr` to `min_lr` by half a cosine over the run.
    Cosine,
}

/// Where initial weights come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InitKind {
    /// U(-1/sqrt(H), 1/sqrt(H)) for every tensor, as torch.nn.LSTM and torch.nn.Linear.
    Pytorch,
}

/// The effective configuration of a run; field names are the flags' (design section 6).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// `--cell`
    pub cell: CellKind,
    /// `--layers`: L
    pub layers: usize,
    /// `--hidden`: H
    pub hidden: usize,
    /// `--dropout`: P between layers, in [0, 1)
    pub dropout: f64,
    /// `--batch`: B, lanes
    pub batch: usize,
    /// `--seq`: T, steps of a chunk
    pub seq: usize,
    /// `--epochs`: ends after so many epochs, unless `steps` is given
    pub epochs: u64,
    /// `--steps`: ends after so many steps
    pub steps: Option<u64>,
    /// `--vocab`
    pub vocab: VocabChoice,
    /// `--optimizer`
    pub optimizer: OptimizerKind,
    /// `--lr`
    pub lr: f64,
    /// `--beta1`
    pub beta1: f64,
    /// `--beta2`
    pub beta2: f64,
    /// `--eps`
    pub eps: f64,
    /// `--schedule`
    pub schedule: ScheduleKind,
    /// `--warmup`: steps of linear warm-up; not given: 100 with cosine, none with constant
    pub warmup: Option<u64>,
    /// `--min-lr`: where the cosine ends
    pub min_lr: f64,
    /// `--clip-norm`: largest gradient norm; 0 switches clipping off
    pub clip_norm: f64,
    /// `--init`
    pub init: InitKind,
    /// `--forget-bias`: added to the LSTM's forget bias at the start
    pub forget_bias: f64,
    /// `--val-frac`: the last part of each file, kept for validation
    pub val_frac: f64,
    /// `--eval-tokens`: an evaluation reads at most so many symbols
    pub eval_tokens: u64,
    /// `--shards`: S, top level of every sum over lanes
    pub shards: usize,
    /// `--seed`
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cell: CellKind::Lstm,
            layers: 2,
            hidden: 256,
            dropout: 0.0,
            batch: 64,
            seq: 100,
            epochs: 10,
            steps: None,
            vocab: VocabChoice::Chars,
            optimizer: OptimizerKind::Adam,
            lr: 0.002,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            schedule: ScheduleKind::Cosine,
            warmup: None,
            min_lr: 0.0,
            clip_norm: 5.0,
            init: InitKind::Pytorch,
            forget_bias: 1.0,
            val_frac: 0.05,
            eval_tokens: 1_000_000,
            shards: 1,
            seed: 1,
        }
    }
}

/// A configuration that cannot be: which flag, what was given, what is allowed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("--{flag} {value}: {reason}")]
pub struct ConfigError {
    /// The flag, without dashes.
    pub flag: &'static str,
    /// What was given.
    pub value: String,
    /// What is allowed.
    pub reason: &'static str,
}

impl Config {
    /// Checks every value by itself. Errors: the first flag whose value cannot be.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let fail = |flag, value: String, reason| Err(ConfigError { flag, value, reason });
        for (flag, n) in [
            ("layers", self.layers),
            ("hidden", self.hidden),
            ("batch", self.batch),
            ("seq", self.seq),
            ("shards", self.shards),
        ] {
            if n == 0 {
                return fail(flag, n.to_string(), "must be at least 1");
            }
        }
        if self.shards > self.batch {
            return fail("shards", self.shards.to_string(), "cannot exceed --batch: a shard has at least one lane");
        }
        if self.epochs == 0 && self.steps.is_none() {
            return fail("epochs", self.epochs.to_string(), "must be at least 1");
        }
        if self.steps == Some(0) {
            return fail("steps", "0".into(), "must be at least 1");
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return fail("dropout", self.dropout.to_string(), "must be at least 0 and below 1");
        }
        if !(self.lr > 0.0 && self.lr.is_finite()) {
            return fail("lr", self.lr.to_string(), "must be a positive number");
        }
        if !(self.min_lr >= 0.0 && self.min_lr <= self.lr) {
            return fail("min-lr", self.min_lr.to_string(), "must be between 0 and --lr");
        }
        for (flag, x) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&x) {
                return fail(flag, x.to_string(), "must be at least 0 and below 1");
            }
        }
        if !(self.eps > 0.0 && self.eps.is_finite()) {
            return fail("eps", self.eps.to_string(), "must be a positive number");
        }
        if !(self.clip_norm >= 0.0 && self.clip_norm.is_finite()) {
            return fail("clip-norm", self.clip_norm.to_string(), "must be a positive number, or 0 for no clipping");
        }
        if !self.forget_bias.is_finite() {
            return fail("forget-bias", self.forget_bias.to_string(), "must be a finite number");
        }
        if !(0.0..1.0).contains(&self.val_frac) {
            return fail("val-frac", self.val_frac.to_string(), "must be at least 0 and below 1");
        }
        Ok(())
    }
}
