//! How good a task's model is on examples: loss and accuracy, a table of classes, or whole answers.
//!
//! Loss and accuracy are the engine's, the symbols before each target being given. Answers are written by the model itself,
//! greedily, symbol after symbol.

use gatemill_crew::Crew;
use gatemill_kernels::Kernels;

use crate::error::TrainError;
use crate::eval::Evaluation;
use crate::events::{ClassScore, Metrics};
use crate::run::Scored;
use crate::task::{Example, Input, PredictOptions, TaskModel, TaskScore};

/// Examples that are answered at an evaluation while training: writing answers costs more than reading them.
pub const MOST_ANSWERED: usize = 500;
/// Examples that are predicted together.
const TOGETHER: usize = 256;

/// What there is to say about a model on examples, of which at most so many are answered.
pub fn measure(
    model: &TaskModel,
    score: TaskScore,
    examples: &[Example],
    most_answered: usize,
    machine: (&Crew, &Kernels),
) -> Result<Scored, TrainError> {
    let unseen = examples.iter().flat_map(|example| &example.output);
    let unseen = unseen.filter(|&&number| number as usize >= model.alphabet.output.len()).count() as u64;
    let evaluation = Evaluation {
        nats: score.nats,
        bits: score.nats / std::f64::consts::LN_2,
        perplexity: libm::exp(score.nats),
        tokens: score.targets,
        unseen,
    };
    // A class that was never seen counts as wrong, in the share of all as it does in the table.
    let of_all = score.targets as f64 / (score.targets + unseen).max(1) as f64;
    let accuracy = score.accuracy * if model.config.kind.decodes() { 1.0 } else { of_all };
    let mut metrics = Metrics { accuracy: Some(accuracy), ..Metrics::default() };
    if model.config.kind.decodes() {
        answers(model, examples.get(..most_answered).unwrap_or(examples), machine, &mut metrics)?;
    } else {
        metrics.classes = Some(classes(model, examples, machine)?);
    }
    Ok(Scored { evaluation, metrics })
}

fn answers(
    model: &TaskModel,
    examples: &[Example],
    (crew, kernels): (&Crew, &Kernels),
    metrics: &mut Metrics,
) -> Result<(), TrainError> {
    let options = PredictOptions { batch: TOGETHER, ..PredictOptions::default() };
    let (mut exact, mut distance, mut rate) = (0_u64, 0.0, 0.0);
    for examples in examples.chunks(TOGETHER) {
        let inputs: Vec<Input> = examples.iter().map(|example| example.input.clone()).collect();
        for (answer, example) in model.predict(&inputs, &options, crew, kernels)?.iter().zip(examples) {
            let wanted = &example.output;
            let edits = strsim::generic_levenshtein(&answer.output, wanted) as f64;
            exact += u64::from(answer.output == *wanted);
            distance += edits;
            rate += edits / answer.output.len().max(wanted.len()).max(1) as f64;
        }
    }
    let count = examples.len().max(1) as f64;
    metrics.answered = Some(examples.len() as u64);
    metrics.exact = Some(exact as f64 / count);
    metrics.edit_distance = Some(distance / count);
    metrics.edit_rate = Some(rate / count);
    Ok(())
}

/// For each class: of those called so, and of those that are.
fn classes(
    model: &TaskModel,
    examples: &[Example],
    (crew, kernels): (&Crew, &Kernels),
) -> Result<Vec<ClassScore>, TrainError> {
    let names = &model.alphabet.output;
    let mut counts = vec![Counts::default(); names.len()];
    let options = PredictOptions { batch: TOGETHER, ..PredictOptions::default() };
    for examples in examples.chunks(TOGETHER) {
        let inputs: Vec<Input> = examples.iter().map(|example| example.input.clone()).collect();
        for (predicted, example) in model.predict(&inputs, &options, crew, kernels)?.iter().zip(examples) {
            tally(&predicted.output, &example.output, &mut counts);
        }
    }
    let score = |(number, counts): (u32, &Counts)| counts.score(names.name(number));
    Ok((0..).zip(&counts).map(score).collect())
}

/// Of a class.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    right: u64,
    called: u64,
    is: u64,
}

/// A class beyond the list was never seen: it is none of these.
fn tally(called: &[u32], is: &[u32], counts: &mut [Counts]) {
    for (&called, &is) in called.iter().zip(is) {
        if let Some(counts) = counts.get_mut(called as usize) {
            counts.called += 1;
            counts.right += u64::from(called == is);
        }
        if let Some(counts) = counts.get_mut(is as usize) {
            counts.is += 1;
        }
    }
}

impl Counts {
    /// A ratio of nothing to nothing is 0.
    fn score(&self, class: String) -> ClassScore {
        let ratio = |a: u64, b: u64| if b == 0 { 0.0 } else { a as f64 / b as f64 };
        let Self { right, called, is } = *self;
        ClassScore {
            class,
            precision: ratio(right, called),
            recall: ratio(right, is),
            f1: ratio(2 * right, called + is),
            support: is,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: of three that are 0 two are called 0 and one 1; the 1 is called 1; class 2 never comes; 3 is unknown.
    #[test]
    fn the_table_counts_what_is_and_what_is_called() {
        let mut counts = vec![Counts::default(); 3];
        tally(&[0, 0, 1, 1, 0], &[0, 0, 0, 1, 3], &mut counts);
        let scores: Vec<ClassScore> = counts.iter().map(|counts| counts.score("x".into())).collect();
        let row = |s: &ClassScore| (s.precision, s.recall, s.f1, s.support);
        assert_eq!(row(&scores[0]), (2.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0, 3));
        assert_eq!(row(&scores[1]), (0.5, 1.0, 2.0 / 3.0, 1));
        assert_eq!(row(&scores[2]), (0.0, 0.0, 0.0, 0));
    }
}
