//! How fast training, scoring and writing go, beside the machine's peak, and whether what is timed is right.
//!
//! ```text
//! random symbols -> model from the seed -> what warms up -> verified (verify.rs) -> peak -> laps, timed -> peak
//! ```
//!
//! A lap is what its users wait for: [`Trainer::step`] itself, an evaluation of one chunk as `gatemill eval` makes it, or
//! 64 characters of each of some texts from a [`Generator`]. The median lap counts. The peak is measured with the same
//! workers and kernels just before the laps and just after them; the larger of the two is what a rate is a fraction of.
//! Nothing is reported of work that is wrong.

use crate::config::{CellKind, Config, ScheduleKind};
use crate::error::TrainError;
use crate::eval;
use crate::model::{CharModel, multiplying};
use crate::phases::Phases;
use crate::sample::{Generator, SampleOptions};
use crate::trainer::Trainer;
use gatemill_cell::Network;
use gatemill_corpus::Split;
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;

mod points; // the grid, with what its weights must become
mod text; // random symbols
mod truth; // the model in plain f64
mod verify; // whether what is timed is right

pub use points::{Point, VOCAB};
pub use verify::Wrong;

use verify::Expected;

/// Steps that warm up, after which the weights of the grid are compared: part of the committed hashes.
pub const WARM_UP: usize = 3;
/// Laps that are timed at least.
const LEAST_LAPS: usize = 5;
/// Symbols of each text in a lap of writing: beside so many a meeting of the workers is nothing.
const WRITTEN: usize = 64;
/// The only precision there is.
const PRECISION: &str = "f32";

/// What is timed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Steps of training.
    #[default]
    Train,
    /// Losses of a text, forward only.
    Score,
    /// Writing: forward by one symbol and drawing the next, in each of B texts.
    Generate,
}

impl Kind {
    /// FLOP for each weight that multiplies and each token.
    fn flops(self) -> f64 {
        match self {
            Kind::Train => 6.0,
            Kind::Score | Kind::Generate => 2.0,
        }
    }
    /// For files: what is not said is training.
    fn is_train(&self) -> bool {
        *self == Kind::Train
    }
}

/// The sizes of a model and of its chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// The cell of every layer.
    pub cell: CellKind,
    /// L
    pub layers: usize,
    /// H
    pub hidden: usize,
    /// T; 1 where texts are written.
    pub seq: usize,
    /// B: lanes, or texts that are written side by side.
    pub batch: usize,
    /// V
    pub vocab: usize,
}

impl Sizes {
    /// The training run that is timed: design section 6's defaults, the learning rate constant, no validation text.
    pub fn config(&self) -> Config {
        let Self { cell, layers, hidden, seq, batch, .. } = *self;
        let steps = Some(u64::from(u32::MAX));
        let schedule = ScheduleKind::Constant;
        Config { cell, layers, hidden, seq, batch, steps, schedule, val_frac: 0.0, ..Config::default() }
    }
}

impl std::fmt::Display for Sizes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cell, layers, hidden, seq, batch, vocab } = self;
        write!(f, "{} {layers}x{hidden}, T={seq}, B={batch}, V={vocab}", cell.name())
    }
}

/// A measurement to make.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// What is timed.
    pub kind: Kind,
    /// Of what size.
    pub sizes: Sizes,
    /// For how long at least, verification and warm-up not counted.
    pub seconds: f64,
}

/// Rates of the slowest lap, the median one and the fastest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Of the slowest lap.
    pub min: f64,
    /// Of the median lap.
    pub median: f64,
    /// Of the fastest lap.
    pub max: f64,
}

/// A measurement: the line of `gatemill bench --json` (design section 6).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What was timed; not written where it is training.
    #[serde(default, skip_serializing_if = "Kind::is_train")]
    pub kind: Kind,
    /// Of what size.
    #[serde(flatten)]
    pub sizes: Sizes,
    /// `f32`
    pub precision: String,
    /// Workers.
    pub threads: usize,
    /// The kernels' tier.
    pub isa: String,
    /// Tokens, of all lanes, by seconds.
    pub tokens_per_s: Rates,
    /// FLOP of the median lap by its seconds.
    pub gflops: f64,
    /// The larger peak of before and after.
    pub peak_gflops: f64,
    /// The one by the other.
    pub fraction_of_peak: f64,
    /// Seconds of a step of training, each the median over the steps.
    pub phases: Option<Phases>,
    /// Most memory that the process had, in 10^6 bytes; None: not known. For whoever runs the process to fill in.
    pub peak_rss_mb: Option<f64>,
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// What was to be timed fails.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// It computes something else than it should.
    #[error(transparent)]
    Wrong(#[from] Wrong),
}

/// Makes a measurement: verifies, warms up, times. Errors: impossible sizes, no memory; results that are wrong.
pub fn measure(task: &Task, crew: &Arc<Crew>, kernels: Kernels) -> Result<Record, BenchError> {
    match task.kind {
        Kind::Train => train(task, crew, kernels),
        Kind::Score => score(task, crew, &kernels),
        Kind::Generate => generate(task, crew, &kernels),
    }
}

/// `weights_sha256` after the three steps that warm up: what is committed for the grid.
pub fn weights_after_warm_up(sizes: &Sizes, crew: &Arc<Crew>, kernels: Kernels) -> Result<String, TrainError> {
    let mut trainer = trainer(sizes, crew, kernels)?;
    crew.steady(|| (0..WARM_UP).try_for_each(|_| trainer.step().map(|_| ())))?;
    Ok(trainer.weights_sha256())
}

fn trainer(sizes: &Sizes, crew: &Arc<Crew>, kernels: Kernels) -> Result<Trainer, TrainError> {
    crew.steady(|| Trainer::new(&sizes.config(), Arc::new(text::corpus(sizes)?), Arc::clone(crew), kernels))
}

fn train(task: &Task, crew: &Arc<Crew>, kernels: Kernels) -> Result<Record, BenchError> {
    let Task { kind, sizes, seconds } = *task;
    // Before the trainer is there: the memory that it takes is given back.
    let expected = crew.steady(|| Expected::of(&sizes, crew, &kernels))?;
    let mut trainer = trainer(&sizes, crew, kernels)?;
    crew.steady(|| expected.warm_up(&sizes, &mut trainer))?;
    let (before, laps, after) = between_peaks(crew, &kernels, || {
        laps(seconds, || {
            trainer.step()?;
            Ok(trainer.phases())
        })
    })?;
    let tokens = (sizes.seq * sizes.batch) as f64;
    let mut record = record(kind, sizes, (crew, &kernels), tokens, &laps, before.max(after));
    let phases: Vec<[f64; 6]> = laps.iter().map(|lap| lap.1.named().map(|phase| phase.1)).collect();
    let of_phase = |i: usize| median(&mut phases.iter().map(|phases| phases[i]).collect::<Vec<_>>());
    record.phases = Some(Phases::from_seconds(std::array::from_fn(of_phase)));
    Ok(record)
}

fn score(task: &Task, crew: &Arc<Crew>, kernels: &Kernels) -> Result<Record, BenchError> {
    let Task { kind, sizes, seconds } = *task;
    let corpus = crew.steady(|| text::corpus(&sizes))?;
    let model = crew.steady(|| CharModel::new(&sizes.config(), corpus.vocab(), crew, kernels))?;
    let expected = crew.steady(|| Expected::losses(&model, &sizes))?;
    let mut network = model.network(sizes.seq, sizes.batch)?;
    let tokens = (sizes.seq * sizes.batch) as u64;
    let chunk = |network: &mut Network| {
        eval::lanes(&model, network, &corpus, Split::Train, tokens, (crew, kernels)).map(|_| ())
    };
    crew.steady(|| (0..WARM_UP).try_for_each(|_| chunk(&mut network)))?;
    expected.check(&sizes, network.nats(sizes.seq), (crew, kernels))?;
    let (before, laps, after) = between_peaks(crew, kernels, || laps(seconds, || chunk(&mut network)))?;
    Ok(record(kind, sizes, (crew, kernels), tokens as f64, &laps, before.max(after)))
}

fn generate(task: &Task, crew: &Arc<Crew>, kernels: &Kernels) -> Result<Record, BenchError> {
    let Task { kind, sizes, seconds } = *task;
    let model = crew.steady(|| CharModel::new(&sizes.config(), &text::vocab(sizes.vocab)?, crew, kernels))?;
    let options = SampleOptions { samples: sizes.batch, length: u64::MAX, ..SampleOptions::default() };
    let mut generator = crew.steady(|| Generator::new(&model, &options, crew, kernels))?;
    crew.steady(|| verify::written(&model, &sizes, &mut generator, (crew, kernels)))?;
    let mut write = || generator.advance(WRITTEN).map(|_| ());
    crew.steady(|| (0..WARM_UP).try_for_each(|_| write()))?;
    let (before, laps, after) = between_peaks(crew, kernels, || laps(seconds, write))?;
    let tokens = (WRITTEN * sizes.batch) as f64;
    Ok(record(kind, sizes, (crew, kernels), tokens, &laps, before.max(after)))
}

/// The peak, `work` on a worker, the peak again.
fn between_peaks<R: Send>(
    crew: &Crew,
    kernels: &Kernels,
    work: impl FnOnce() -> Result<R, TrainError> + Send,
) -> Result<(f64, R, f64), TrainError> {
    let before = crew.peak_flops_per_s(kernels);
    let result = crew.steady(work)?;
    Ok((before, result, crew.peak_flops_per_s(kernels)))
}

/// Seconds of each lap and what it gave, for so long, and at least [`LEAST_LAPS`] of them.
fn laps<R>(seconds: f64, mut lap: impl FnMut() -> Result<R, TrainError>) -> Result<Vec<(f64, R)>, TrainError> {
    let mut laps = Vec::with_capacity(LEAST_LAPS);
    let begun = Instant::now();
    while laps.len() < LEAST_LAPS || begun.elapsed().as_secs_f64() < seconds {
        let start = Instant::now();
        let result = lap()?;
        laps.push((start.elapsed().as_secs_f64(), result));
    }
    Ok(laps)
}

fn record<R>(
    kind: Kind,
    sizes: Sizes,
    (crew, kernels): (&Crew, &Kernels),
    tokens: f64,
    laps: &[(f64, R)],
    peak_flops: f64,
) -> Record {
    let mut seconds: Vec<f64> = laps.iter().map(|lap| lap.0.max(f64::MIN_POSITIVE)).collect();
    let tokens_per_s = rates(tokens, &mut seconds);
    let flops = tokens_per_s.median * kind.flops() * multiplying(&sizes.config(), sizes.vocab);
    Record {
        kind,
        sizes,
        precision: PRECISION.to_owned(),
        threads: crew.threads(),
        isa: kernels.name().to_owned(),
        tokens_per_s,
        gflops: flops / 1e9,
        peak_gflops: peak_flops / 1e9,
        fraction_of_peak: flops / peak_flops,
        phases: None,
        peak_rss_mb: None,
    }
}

/// Rates of laps of so many tokens. Panics without a lap.
fn rates(tokens: f64, seconds: &mut [f64]) -> Rates {
    let median = median(seconds);
    Rates { min: tokens / seconds[seconds.len() - 1], median: tokens / median, max: tokens / seconds[0] }
}

/// Sorts, and gives the middle one, or the mean of the two in the middle. Panics where there is none.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { values[half] } else { 0.5 * (values[half - 1] + values[half]) }
}

#[cfg(test)]
mod tests;
