//! The lecture's walk-through, number by number (rows L3 and L4): one small network learns one short text.
//!
//! ```text
//! text -> vocabulary -> one-hot vectors -> h_t -> logits -> softmax -> loss -> gradients -> update     once, in full
//! -> the same until each next letter is right -> the model's own letters fed back to it
//! ```
//!
//! Weights, states, logits, losses, gradients and updates are the engine's own ([`gatemill_train::CharModel`], `Learner`,
//! `Reader`). What it keeps in registers (sums before an activation, gates) and what follows from its numbers in one line
//! (softmax, the gradient of the logits) is worked out from them in f64. A test holds all of it against the f64 oracle,
//! to the digits that are printed.

mod pass; // one pass over the text, everything in view
mod show; // as a page
mod tell; // as a text
mod train; // until each next letter is right

pub use pass::{Part, Step};
pub use show::page;
pub use tell::text;
pub use train::{Fed, Stage};

use gatemill_corpus::{Vocab, VocabKind};
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use gatemill_train::checkpoint::{Elements, Tensor};
use gatemill_train::{CellKind, CharModel, Config, Learner, OptimizerKind, ScheduleKind, TrainError};
use serde::Serialize;

/// Characters of the longest text: a step each is told, and more are not read.
pub const MOST_CHARACTERS: usize = 24;
/// The most hidden units, for the same reason.
pub const MOST_HIDDEN: usize = 32;
/// Updates after which training gives up, unless told otherwise.
const MOST_UPDATES: u64 = 3000;

/// What to walk through.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// 2 to [`MOST_CHARACTERS`] characters.
    pub text: String,
    /// The cell.
    pub cell: CellKind,
    /// H, 1 to [`MOST_HIDDEN`].
    pub hidden: usize,
    /// Of the initial weights.
    pub seed: u64,
    /// The learning rate.
    pub lr: f64,
    /// Updates to make; none: until each next letter is right and sure.
    pub updates: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self { text: "hello".to_owned(), cell: CellKind::Rnn, hidden: 3, seed: 1, lr: 0.1, updates: None }
    }
}

/// A walk-through that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum HelloError {
    /// Too few characters.
    #[error("the text has {0} of the 2 characters that it takes: one to read, one to predict")]
    Short(usize),
    /// Too many.
    #[error(
        "the text has {0} characters; every step is told number by number, so {MOST_CHARACTERS} are the most: `gatemill train` learns from longer ones"
    )]
    Long(usize),
    /// No hidden unit, or too many.
    #[error("{0} hidden units; 1 to {MOST_HIDDEN} can be told number by number")]
    Hidden(usize),
    /// The engine's.
    #[error(transparent)]
    Train(#[from] TrainError),
}

/// A tensor under the lecture's name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Matrix {
    /// W_xh, W_hh, b_xh, b_hh, W_hy, b_y.
    pub name: &'static str,
    /// In a model file.
    pub tensor: String,
    /// Rows.
    pub rows: usize,
    /// Columns; of a bias 1.
    pub columns: usize,
    /// `[rows, columns]`
    pub values: Vec<f32>,
}

impl Matrix {
    /// The value at a place. Panics outside.
    pub fn at(&self, row: usize, column: usize) -> f64 {
        f64::from(self.values[row * self.columns + column])
    }
}

/// Everything that is told.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hello {
    /// The text.
    pub text: String,
    /// The cell.
    pub cell: CellKind,
    /// H.
    pub hidden: usize,
    /// Of the initial weights.
    pub seed: u64,
    /// The learning rate.
    pub lr: f64,
    /// Of the updates after the first.
    pub momentum: f64,
    /// The characters of the text, sorted: their places are their ids.
    pub vocabulary: Vec<char>,
    /// Weights in PyTorch's count.
    pub parameters: usize,
    /// The weights at the start.
    pub before: Vec<Matrix>,
    /// The first pass over the text.
    pub steps: Vec<Step>,
    /// Mean loss of the first pass, nats: the engine's.
    pub nats: f64,
    /// The gradient of that loss.
    pub gradient: Vec<Matrix>,
    /// The weights after the first update.
    pub after: Vec<Matrix>,
    /// Where training stood after 0, 1, 2, 5, 10, ... updates and at the end.
    pub training: Vec<Stage>,
    /// The loss before each update, and at the end.
    pub losses: Vec<f64>,
    /// Updates made.
    pub updates: u64,
    /// Updates after which each next letter was the most likely for the first time.
    pub right_after: Option<u64>,
    /// The model's letters, each fed back.
    pub inference: Vec<Fed>,
}

impl Hello {
    /// Characters that are read, one a step.
    pub fn read(&self) -> Vec<char> {
        self.steps.iter().map(|step| step.read).collect()
    }
    /// What inference wrote, its first letter included.
    pub fn written(&self) -> String {
        let first = self.steps.first().map(|step| step.read);
        first.into_iter().chain(self.inference.iter().map(|fed| fed.says)).collect()
    }
    /// The matrix of a name, in one of the lists.
    pub(crate) fn matrix<'a>(list: &'a [Matrix], name: &str) -> Option<&'a Matrix> {
        list.iter().find(|matrix| matrix.name == name)
    }
}

/// The lecture's name of a tensor of the model file.
fn lecture_name(tensor: &str) -> &'static str {
    match tensor {
        "rnn.weight_ih_l0" => "W_xh",
        "rnn.weight_hh_l0" => "W_hh",
        "rnn.bias_ih_l0" => "b_xh",
        "rnn.bias_hh_l0" => "b_hh",
        "head.weight" => "W_hy",
        "head.bias" => "b_y",
        _ => "?",
    }
}

fn matrices<E: Elements>(tensors: impl Iterator<Item = Tensor<E>>) -> Vec<Matrix> {
    let mut room = Vec::new();
    let of = |tensor: Tensor<E>| Matrix {
        name: lecture_name(&tensor.name),
        rows: tensor.shape.first().copied().unwrap_or(0),
        columns: tensor.shape.get(1).copied().unwrap_or(1),
        values: tensor.data.fetch(&mut room).to_vec(),
        tensor: tensor.name,
    };
    tensors.map(of).collect()
}

/// Walks through a text.
///
/// Errors: a text or a size that cannot be told; the engine's, such as training that diverges at a large learning rate.
pub fn walk(options: &Options, crew: &Crew, kernels: &Kernels) -> Result<Hello, HelloError> {
    let characters = options.text.chars().count();
    match characters {
        0 | 1 => return Err(HelloError::Short(characters)),
        n if n > MOST_CHARACTERS => return Err(HelloError::Long(n)),
        _ => {}
    }
    if !(1..=MOST_HIDDEN).contains(&options.hidden) {
        return Err(HelloError::Hidden(options.hidden));
    }
    let config = Config {
        cell: options.cell,
        layers: 1,
        hidden: options.hidden,
        batch: 1,
        seq: characters - 1,
        // Each pass begins at the text's begin, from h_0 = 0.
        no_carry: true,
        optimizer: OptimizerKind::Sgd,
        lr: options.lr,
        schedule: ScheduleKind::Constant,
        clip_norm: 0.0,
        steps: Some(options.updates.unwrap_or(MOST_UPDATES)),
        seed: options.seed,
        ..Config::default()
    };
    let vocab = Vocab::of(VocabKind::Chars, options.text.as_bytes()).map_err(TrainError::from)?;
    let ids = vocab.encode(options.text.as_bytes()).map_err(TrainError::from)?;
    let (inputs, targets) = (&ids[..characters - 1], &ids[1..]);
    let mut model = CharModel::new(&config, &vocab, crew, kernels)?;
    let mut learner = Learner::new(&model, crew)?;

    let before = matrices(model.snapshot().tensors.into_iter());
    let vocabulary: Vec<char> = vocab.symbols().iter().filter_map(|&symbol| char::from_u32(symbol)).collect();
    let steps = pass::steps(&model, (&before, &vocabulary), inputs, targets, (crew, kernels))?;
    let mut training = train::Training::new(&vocabulary, inputs, targets);
    training.look(&model, (crew, kernels), 0)?;
    let report = learner.step(&mut model, (crew, kernels), inputs, targets, options.lr)?;
    let gradient = matrices(learner.gradients(&model));
    let after = matrices(model.snapshot().tensors.into_iter());
    training.loss(report.nats);
    training.go(&mut model, &mut learner, (crew, kernels), (options.lr, options.updates, MOST_UPDATES))?;
    let inference = train::feed_back(&model, &vocabulary, inputs, (crew, kernels))?;

    let train::Training { stages, losses, updates, right_after, .. } = training;
    Ok(Hello {
        text: options.text.clone(),
        cell: options.cell,
        hidden: options.hidden,
        seed: options.seed,
        lr: options.lr,
        momentum: config.momentum,
        vocabulary,
        parameters: model.parameters(),
        before,
        steps,
        nats: report.nats,
        gradient,
        after,
        training: stages,
        losses,
        updates,
        right_after,
        inference,
    })
}

/// softmax of logits, in f64.
fn softmax(logits: &[f32]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|&y| libm::exp(f64::from(y) - f64::from(most))).collect();
    let sum = powers.iter().fold(0.0, |a, b| a + b);
    powers.into_iter().map(|power| power / sum).collect()
}

/// The most likely place, the first of equals.
fn best(p: &[f64]) -> usize {
    (1..p.len()).fold(0, |best, k| if p[k] > p[best] { k } else { best })
}
