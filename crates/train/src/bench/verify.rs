//! Whether what is timed is right, before it counts.
//!
//! The grid: the hash of the weights after three steps, committed in `points.rs`, on the tiers that share their bits.
//! Everything else: the first step's losses of two lanes, or the logits of two texts after some symbols, against plain f64.

use super::text;
use super::truth::{Lane, Truth, nats};
use super::{Point, Sizes, WARM_UP};
use crate::error::TrainError;
use crate::model::{CharModel, multiplying};
use crate::sample::Generator;
use crate::trainer::Trainer;
use gatemill_corpus::{Lanes, Split};
use gatemill_crew::Crew;
use gatemill_kernels::{Isa, Kernels};

/// How far a loss or logit in f32 may be from f64, relative to it or to 1. Kernels that are right stay below a tenth of it.
pub(super) const TOLERANCE: f64 = 1e-5;
/// Multiply-adds that the f64 loops may take: about a second and a half. Where a chunk has more, its first steps are held.
const PLAIN_PRODUCTS: f64 = (1_u64 << 30) as f64;
/// Symbols of a text that are written before its logits are held.
const WRITTEN: usize = 16;

/// What is timed computes something else than it should.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{sizes} on {threads} threads with {isa} kernels is wrong: {what}; its figures are not reported")]
pub struct Wrong {
    /// Of which sizes.
    pub sizes: Sizes,
    /// Workers.
    pub threads: usize,
    /// The kernels' tier.
    pub isa: &'static str,
    /// What was found and what was expected.
    pub what: String,
}

impl Wrong {
    fn new(sizes: &Sizes, (crew, kernels): (&Crew, &Kernels), what: String) -> Self {
        Self { sizes: *sizes, threads: crew.threads(), isa: kernels.name(), what }
    }
}

/// What training must come to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expected {
    /// These weights after [`WARM_UP`] steps.
    Weights(String),
    /// These losses of the first step.
    Losses(Losses),
}

/// Losses of some lanes of a chunk, in nats.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Losses(pub(super) Vec<(usize, Vec<f64>)>);

impl Expected {
    /// The committed hash where there is one that binds these kernels, else losses in f64. To be called on a worker.
    pub(super) fn of(sizes: &Sizes, crew: &Crew, kernels: &Kernels) -> Result<Self, TrainError> {
        if let Some(hash) = Point::committed(sizes).filter(|_| kernels.name() != Isa::Portable.name()) {
            return Ok(Self::Weights(hash.to_owned()));
        }
        let vocab = text::vocab(sizes.vocab)?;
        let model = CharModel::new(&sizes.config(), &vocab, crew, kernels)?;
        Self::losses(&model, sizes).map(Self::Losses)
    }
    /// Losses of the first chunk from the state of zeros, of its first and last lane.
    pub(super) fn losses(model: &CharModel, sizes: &Sizes) -> Result<Losses, TrainError> {
        let corpus = text::corpus(sizes)?;
        let steps = (PLAIN_PRODUCTS / (2.0 * multiplying(&sizes.config(), sizes.vocab))).max(2.0);
        let steps = sizes.seq.min(steps as usize);
        let mut lanes = Lanes::new(&corpus, Split::Train, sizes.batch, sizes.seq)?;
        let mut chunk = lanes.chunk(steps);
        lanes.fill(0, steps, &mut chunk)?;
        let truth = Truth::of(model);
        let of_lane = |b: usize| {
            let mut lane = truth.lane();
            let symbols = (0..steps).map(|t| t * sizes.batch + b);
            let symbols = symbols.map(|i| (chunk.inputs[i] as usize, chunk.targets[i] as usize));
            symbols.map(|(input, target)| nats(&truth.read(&mut lane, input), target)).collect()
        };
        Ok(Losses(two(sizes.batch).into_iter().map(|b| (b, of_lane(b))).collect()))
    }
    /// Makes the steps that warm up, and compares.
    pub(super) fn warm_up(&self, sizes: &Sizes, trainer: &mut Trainer) -> Result<(), super::BenchError> {
        trainer.step()?;
        if let Self::Losses(losses) = self {
            losses.check(sizes, trainer.nats(), trainer.machine())?;
        }
        for _ in 1..WARM_UP {
            trainer.step()?;
        }
        if let Self::Weights(hash) = self {
            let found = trainer.weights_sha256();
            if found != *hash {
                let what = format!("after {WARM_UP} steps its weights have SHA-256 {found} instead of {hash}");
                return Err(Wrong::new(sizes, trainer.machine(), what).into());
            }
        }
        Ok(())
    }
}

impl Losses {
    /// Compares losses `[T, B]` with these.
    pub(super) fn check(&self, sizes: &Sizes, nats: &[f32], machine: (&Crew, &Kernels)) -> Result<(), Wrong> {
        for (b, losses) in &self.0 {
            for (t, &truth) in losses.iter().enumerate() {
                let found = f64::from(nats[t * sizes.batch + b]);
                if !near(found, truth) {
                    let what = format!("the loss of step {t} in lane {b} is {found} where f64 has {truth}");
                    return Err(Wrong::new(sizes, machine, what));
                }
            }
        }
        Ok(())
    }
}

/// Lets a new generator write, and compares the logits of its first and last text.
pub(super) fn written(
    model: &CharModel,
    sizes: &Sizes,
    generator: &mut Generator<'_>,
    machine: (&Crew, &Kernels),
) -> Result<(), super::BenchError> {
    generator.advance(WRITTEN)?;
    let logits = generator.state().logits;
    let truth = Truth::of(model);
    for text in two(sizes.batch) {
        let mut lane: Lane = truth.lane();
        // It begins as after a line's end, which is no symbol here.
        let mut expected = truth.read(&mut lane, model.vocab.len());
        for &symbol in generator.drawn(text) {
            expected = truth.read(&mut lane, symbol as usize);
        }
        let found = &logits[text * sizes.vocab..][..sizes.vocab];
        for (symbol, (&found, truth)) in found.iter().zip(expected).enumerate() {
            if !near(f64::from(found), truth) {
                let what =
                    format!("after {WRITTEN} symbols of text {text} logit {symbol} is {found} where f64 has {truth}");
                return Err(Wrong::new(sizes, machine, what).into());
            }
        }
    }
    Ok(())
}

/// The first and the last of so many.
fn two(count: usize) -> Vec<usize> {
    if count > 1 { vec![0, count - 1] } else { vec![0] }
}

/// NaN is near nothing.
fn near(found: f64, truth: f64) -> bool {
    (found - truth).abs() <= TOLERANCE * truth.abs().max(1.0)
}
