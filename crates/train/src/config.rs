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

impl CellKind {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            CellKind::Rnn => "rnn",
            CellKind::Lstm => "lstm",
            CellKind::Gru => "gru",
        }
    }
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
    /// Adam whose weight decay does not pass through the moments (Loshchilov and Hutter 2019).
    Adamw,
    /// The gradient over the root of its mean square (Hinton's lecture 6e), as torch.optim.RMSprop.
    Rmsprop,
    /// Stochastic gradient descent with momentum, as torch.optim.SGD.
    Sgd,
    /// The gradient over the root of its sum of squares (Duchi, Hazan, Singer 2011), as torch.optim.Adagrad.
    Adagrad,
}

/// How the learning rate moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleKind {
    /// `lr` after the warm-up.
    Constant,
    /// From `lr` to `min_lr` by half a cosine over the run.
    Cosine,
    /// Times `lr_decay` at the end of each epoch, from epoch `lr_decay_after` on.
    Exponential,
    /// Times `lr_decay` after every `lr_decay_every` epochs.
    Step,
    /// Times `lr_decay` where the validation loss has not fallen for `lr_patience` evaluations.
    Plateau,
}

/// Where initial weights come from; the table of every tensor is in `init.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InitKind {
    /// U(-1/sqrt(H), 1/sqrt(H)) for every tensor, as torch.nn.LSTM and torch.nn.Linear; an embedding N(0, 1).
    Pytorch,
    /// U(-s, s) for every tensor, biases too, s = `init_scale` or 0.08, as char-rnn.
    Uniform,
    /// N(0, s) for weights, s = `init_scale` or 1/sqrt(inputs + hidden) of the layer as torch-rnn; biases 0. Without a
    /// scale the readout is torch.nn.Linear's and an embedding N(0, 1).
    Normal,
    /// Each gate's W_hh orthogonal (Saxe et al. 2014), Glorot-uniform W_ih and readout, biases 0, as Keras; an embedding
    /// N(0, 1).
    Orthogonal,
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
    /// `--embed`: E, columns of a trained embedding below the first layer; 0: one-hot symbols
    pub embed: usize,
    /// `--tied`: embedding and readout are one matrix, so E = H
    pub tied: bool,
    /// `--dropout`: P between layers, in [0, 1)
    pub dropout: f64,
    /// `--output-dropout`: P before the readout, in [0, 1)
    pub output_dropout: f64,
    /// `--no-carry`: the state is zero at the start of each chunk
    pub no_carry: bool,
    /// `--batch`: B, lanes
    pub batch: usize,
    /// `--seq`: T, steps of a chunk
    pub seq: usize,
    /// `--accumulate`: N, batches whose gradients make one step; lanes in all: N*B
    pub accumulate: usize,
    /// `--epochs`: ends after so many epochs, unless `steps` is given
    pub epochs: u64,
    /// `--steps`: ends after so many steps
    pub steps: Option<u64>,
    /// `--minutes`: ends after so many minutes; the steps that fit are counted out before the first
    pub minutes: Option<f64>,
    /// `--patience`: ends after so many evaluations in a row without a better one
    pub patience: Option<u64>,
    /// `--vocab`
    pub vocab: VocabChoice,
    /// `--lossy`: what is not UTF-8 is read as U+FFFD
    pub lossy: bool,
    /// `--document-separator`: the state is zero after this text, and where a file begins
    pub document_separator: Option<String>,
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
    /// `--weight-decay`: L2 on the gradient; with adamw lr times it off the weights
    pub weight_decay: f64,
    /// `--momentum` of sgd
    pub momentum: f64,
    /// `--decay-rate`: rmsprop's, of the mean square
    pub decay_rate: f64,
    /// `--schedule`
    pub schedule: ScheduleKind,
    /// `--warmup`: steps of linear warm-up; not given: 100 with cosine, else none
    pub warmup: Option<u64>,
    /// `--min-lr`: no schedule goes below it; where the cosine ends
    pub min_lr: f64,
    /// `--lr-decay`: the factor; not given: 0.97 with exponential, else 0.5
    pub lr_decay: Option<f64>,
    /// `--lr-decay-every`: epochs between two of step's
    pub lr_decay_every: u64,
    /// `--lr-decay-after`: epochs at the full rate before the first of exponential's
    pub lr_decay_after: u64,
    /// `--lr-patience`: evaluations without a better one before plateau's
    pub lr_patience: u64,
    /// `--clip-norm`: largest gradient norm; 0: not clipped by norm
    pub clip_norm: f64,
    /// `--clip-value`: largest size of each element of the gradient; 0: not clipped by value
    pub clip_value: f64,
    /// `--init`
    pub init: InitKind,
    /// `--init-scale`: of uniform and normal
    pub init_scale: Option<f64>,
    /// `--forget-bias`: of the LSTM at the start; added to b_ih with pytorch, in its place with the other starts
    pub forget_bias: f64,
    /// `--val-frac`: the part of each file kept for validation, at its end but for the test part
    pub val_frac: f64,
    /// `--test-frac`: the last part of each file, scored once, at the end, with the best model
    pub test_frac: f64,
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
            embed: 0,
            tied: false,
            dropout: 0.0,
            output_dropout: 0.0,
            no_carry: false,
            batch: 64,
            seq: 100,
            accumulate: 1,
            epochs: 10,
            steps: None,
            minutes: None,
            patience: None,
            vocab: VocabChoice::Chars,
            lossy: false,
            document_separator: None,
            optimizer: OptimizerKind::Adam,
            lr: 0.002,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.0,
            momentum: 0.9,
            decay_rate: 0.95,
            schedule: ScheduleKind::Cosine,
            warmup: None,
            min_lr: 0.0,
            lr_decay: None,
            lr_decay_every: 5,
            lr_decay_after: 1,
            lr_patience: 2,
            clip_norm: 5.0,
            clip_value: 0.0,
            init: InitKind::Pytorch,
            init_scale: None,
            forget_bias: 1.0,
            val_frac: 0.05,
            test_frac: 0.0,
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

/// Reads as "must be at least 0 and below 1".
const BELOW_ONE: &str = "must be at least 0 and below 1";
const POSITIVE: &str = "must be a positive number";
const AT_LEAST_ONE: &str = "must be at least 1";

impl Config {
    /// N*B: lanes in all.
    pub fn lanes(&self) -> usize {
        self.batch.saturating_mul(self.accumulate)
    }
    /// Symbols that a step learns from: T*N*B.
    pub fn tokens_per_step(&self) -> u64 {
        self.lanes().saturating_mul(self.seq) as u64
    }
    /// Checks every value by itself, and those that go together. Errors: the first flag whose value cannot be.
    pub fn validate(&self) -> Result<(), ConfigError> {
        fn check(ok: bool, flag: &'static str, value: impl ToString, reason: &'static str) -> Result<(), ConfigError> {
            if ok { Ok(()) } else { Err(ConfigError { flag, value: value.to_string(), reason }) }
        }
        let positive = |x: f64| x > 0.0 && x.is_finite();
        let from_zero = |x: f64| x >= 0.0 && x.is_finite();
        let fraction = |x: f64| (0.0..1.0).contains(&x);

        for (flag, n) in [
            ("layers", self.layers),
            ("hidden", self.hidden),
            ("batch", self.batch),
            ("seq", self.seq),
            ("accumulate", self.accumulate),
            ("shards", self.shards),
        ] {
            check(n > 0, flag, n, AT_LEAST_ONE)?;
        }
        let shared = "cannot exceed --batch: a shard has at least one lane";
        check(self.shards <= self.batch, "shards", self.shards, shared)?;
        let one_matrix = "--tied makes embedding and readout one matrix: give --embed the number of --hidden";
        check(!self.tied || self.embed == self.hidden, "embed", self.embed, one_matrix)?;
        check(fraction(self.dropout), "dropout", self.dropout, BELOW_ONE)?;
        check(fraction(self.output_dropout), "output-dropout", self.output_dropout, BELOW_ONE)?;

        check(self.epochs > 0 || self.steps.is_some(), "epochs", self.epochs, AT_LEAST_ONE)?;
        for (flag, n) in [
            ("steps", self.steps),
            ("patience", self.patience),
            ("lr-decay-every", Some(self.lr_decay_every)),
            ("lr-decay-after", Some(self.lr_decay_after)),
            ("lr-patience", Some(self.lr_patience)),
        ] {
            check(n != Some(0), flag, 0, AT_LEAST_ONE)?;
        }
        let minutes = self.minutes.unwrap_or(1.0);
        check(positive(minutes), "minutes", minutes, POSITIVE)?;
        let separator = self.document_separator.as_deref().unwrap_or("-");
        check(
            !separator.is_empty(),
            "document-separator",
            "\"\"",
            "must be the text that stands between two documents",
        )?;

        check(positive(self.lr), "lr", self.lr, POSITIVE)?;
        check(from_zero(self.min_lr) && self.min_lr <= self.lr, "min-lr", self.min_lr, "must be between 0 and --lr")?;
        for (flag, x) in
            [("beta1", self.beta1), ("beta2", self.beta2), ("momentum", self.momentum), ("decay-rate", self.decay_rate)]
        {
            check(fraction(x), flag, x, BELOW_ONE)?;
        }
        check(positive(self.eps), "eps", self.eps, POSITIVE)?;
        check(
            from_zero(self.weight_decay),
            "weight-decay",
            self.weight_decay,
            "must be a positive number, or 0 for none",
        )?;
        let lr_decay = self.lr_decay.unwrap_or(1.0);
        check(lr_decay > 0.0 && lr_decay <= 1.0, "lr-decay", lr_decay, "must be above 0 and at most 1")?;
        let clip = "must be a positive number, or 0 for no clipping";
        check(from_zero(self.clip_norm), "clip-norm", self.clip_norm, clip)?;
        check(from_zero(self.clip_value), "clip-value", self.clip_value, clip)?;
        let both = "gradients are clipped by norm or by value, not both: set the other one to 0";
        check(self.clip_norm == 0.0 || self.clip_value == 0.0, "clip-value", self.clip_value, both)?;
        let scale = self.init_scale.unwrap_or(1.0);
        check(positive(scale), "init-scale", scale, POSITIVE)?;
        check(self.forget_bias.is_finite(), "forget-bias", self.forget_bias, "must be a finite number")?;

        check(fraction(self.val_frac), "val-frac", self.val_frac, BELOW_ONE)?;
        check(fraction(self.test_frac), "test-frac", self.test_frac, BELOW_ONE)?;
        let rest = "leaves nothing to learn from: --val-frac and --test-frac together must be below 1";
        check(self.val_frac + self.test_frac < 1.0, "test-frac", self.test_frac, rest)?;
        let judged = "goes by the validation loss, and --val-frac is 0";
        let has_val = self.val_frac > 0.0;
        check(has_val || self.patience.is_none(), "patience", self.patience.unwrap_or(0), judged)?;
        check(has_val || self.schedule != ScheduleKind::Plateau, "schedule", "plateau", judged)
    }
}
