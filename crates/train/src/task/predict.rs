//! What a model says of an input: a class, a class of each symbol, or a sequence; with probabilities.
//!
//! Inputs are taken `batch` at a time; what comes out does not depend on it, nor on threads: a lane's bits are its own.

use super::beam;
use super::config::TaskKind;
use super::example::{Input, check_input};
use super::model::TaskModel;
use super::parts::Role;
use super::passes::{Machine, Passes};
use super::write;
use crate::config::ConfigError;
use crate::error::TrainError;
use crate::sample::SampleOptions;
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;

/// How predictions are made.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictOptions {
    /// Inputs that are taken at a time.
    pub batch: usize,
    /// translate, describe: an answer has at most so many symbols. None: twice the longest that was learned from, and 16.
    pub most: Option<usize>,
    /// translate, describe: answers that are followed at a time, the best of which is given; 1: the most likely symbol,
    /// one after the other.
    pub beam: usize,
    /// translate, describe: symbols are drawn, as `gatemill sample` draws them; 0: the most likely is taken.
    pub temperature: f64,
    /// Draw from this many of the most likely symbols; 0: from all.
    pub top_k: usize,
    /// Draw from the fewest of the most likely symbols that have this probability together; 1: from all.
    pub top_p: f64,
    /// Of the draws. Input i of a call draws the same whatever stands beside it.
    pub seed: u64,
    /// The number of a call's first input, so that several calls draw as one would.
    pub first: usize,
}

impl Default for PredictOptions {
    fn default() -> Self {
        Self { batch: 64, most: None, beam: 1, temperature: 0.0, top_k: 0, top_p: 1.0, seed: 1, first: 0 }
    }
}

impl PredictOptions {
    /// As the options of a draw.
    pub(super) fn draws(&self) -> SampleOptions {
        let Self { temperature, top_k, top_p, seed, .. } = *self;
        SampleOptions { temperature, top_k, top_p, seed, ..SampleOptions::default() }
    }
    /// Checks every value, and those that go together. Errors: the first that cannot be.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.draws().validate()?;
        let check = |ok: bool, flag: &'static str, value: usize, reason: &'static str| {
            if ok { Ok(()) } else { Err(ConfigError { flag, value: value.to_string(), reason }) }
        };
        check(self.batch > 0, "batch", self.batch, "must be at least 1")?;
        check((1..=1024).contains(&self.beam), "beam", self.beam, "must be from 1 to 1024")?;
        let drawn = "follows the most likely answers: it goes with --temperature 0";
        check(self.beam == 1 || self.temperature == 0.0, "beam", self.beam, drawn)
    }
}

/// What a model says of one input.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prediction {
    /// classify, map: one class; tag: one for each symbol; translate, describe: the answer's symbols, without its mark.
    pub output: Vec<u32>,
    /// The probability of each of them, at its place.
    pub probabilities: Vec<f32>,
    /// classify, map, tag: at each place the probability of every class.
    pub distributions: Vec<Vec<f32>>,
    /// translate with attention: for each symbol of the answer, how much of it was looked at in each symbol of the input.
    pub attention: Vec<Vec<f32>>,
    /// The output's loss, in nats: what all of it, a mark of its end included, is unlikely by.
    pub nats: f64,
    /// translate, describe: the model has ended the answer; false: it was cut where it was too long. Others: true.
    pub ended: bool,
}

/// `out = softmax(logits)`, sums in order in f64. Errors: a logit that is no number, for `place`.
pub(super) fn softmax(
    kernels: &Kernels,
    logits: &[f32],
    out: &mut Vec<f32>,
    (sample, position): (usize, usize),
) -> Result<(), TrainError> {
    if let Some(at) = logits.iter().position(|x| x.is_nan() || *x == f32::INFINITY) {
        let (sample, position) = (sample as u32, position as u64);
        return Err(TrainError::Logits { sample, position, what: format!("the logit of class {at} is not finite") });
    }
    let max = logits.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    let shifted: Vec<f32> = logits.iter().map(|x| x - max).collect();
    out.clear();
    out.resize(logits.len(), 0.0);
    kernels.exp(&shifted, out);
    let sum = out.iter().fold(0.0, |sum, &e| sum + f64::from(e));
    out.iter_mut().for_each(|e| *e = (f64::from(*e) / sum) as f32);
    Ok(())
}

/// The largest, of equal ones the first.
pub(super) fn largest(p: &[f32]) -> usize {
    p.iter().enumerate().fold(0, |best, (i, &x)| if x > p[best] { i } else { best })
}

/// Nats of a probability; of one that is too small to be a number those of the smallest that is one.
pub(super) fn nats_of(p: f32) -> f64 {
    -libm::log(f64::from(p).max(f64::from(f32::MIN_POSITIVE)))
}

impl TaskModel {
    /// What the model says of each input. Errors: options that cannot be; an input that it cannot read; logits that are no
    /// numbers; no memory.
    pub fn predict(
        &self,
        inputs: &[Input],
        options: &PredictOptions,
        crew: &Crew,
        kernels: &Kernels,
    ) -> Result<Vec<Prediction>, TrainError> {
        options.validate()?;
        for (i, input) in inputs.iter().enumerate() {
            let amiss = |what| TrainError::Symbols(format!("input {}: {what}", i + 1));
            check_input(self.config.kind, &self.alphabet, input).map_err(amiss)?;
        }
        let mut passes = Passes::new(self, false)?;
        crew.steady(|| {
            let mut all = Vec::with_capacity(inputs.len());
            let lanes = (options.batch / options.beam).max(1);
            for (first, inputs) in (options.first..).step_by(lanes).zip(inputs.chunks(lanes)) {
                let inputs: Vec<&Input> = inputs.iter().collect();
                let machine = (crew, kernels);
                let of_batch = match self.config.kind {
                    TaskKind::Translate | TaskKind::Describe if options.beam > 1 => {
                        beam::answers(self, &mut passes, machine, &inputs, (options, first))?
                    }
                    TaskKind::Translate | TaskKind::Describe => {
                        write::answers(self, &mut passes, machine, &inputs, (options, first))?
                    }
                    _ => classes(self, &mut passes, machine, &inputs, first)?,
                };
                all.extend(of_batch);
            }
            Ok(all)
        })
    }
}

/// A class at each place of these inputs, the first of which has this number.
fn classes(
    model: &TaskModel,
    passes: &mut Passes,
    machine: Machine<'_>,
    inputs: &[&Input],
    first: usize,
) -> Result<Vec<Prediction>, TrainError> {
    passes.answer(model, machine, inputs)?;
    let head = passes.networks.at(Role::Head);
    let mut all = vec![Prediction { ended: true, ..Prediction::default() }; inputs.len()];
    // The places of an input come in the order of its symbols.
    for (n, place) in passes.places.iter().enumerate() {
        let mut p = Vec::new();
        softmax(machine.1, head.logits(0, n), &mut p, (first + place.example, place.t))?;
        let (to, best) = (&mut all[place.example], largest(&p));
        to.output.push(best as u32);
        to.probabilities.push(p[best]);
        to.nats += nats_of(p[best]);
        to.distributions.push(p);
    }
    Ok(all)
}
