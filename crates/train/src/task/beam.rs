//! Beam search: of each input the `beam` least unlikely unfinished answers are followed side by side.
//!
//! ```text
//! at each step, for each input: every followed answer with every next symbol is a candidate, by its nats so far;
//!     of the best 2K candidates those that end here are kept as whole, the best K of the others are followed
//!     until K are whole, or the answers are as long as they may be
//! given: the whole answer with the fewest nats a symbol, its mark counted; where none is whole the best that was followed
//! ```
//!
//! Ties go to the answer that was better before, then to the lower symbol. Source: Sutskever, Vinyals, Le 2014; the mean
//! over symbols is the length normalisation of Wu et al. 2016 with exponent 1.

use super::example::Input;
use super::model::TaskModel;
use super::parts::Role;
use super::passes::{Drops, Machine, Passes};
use super::predict::{PredictOptions, Prediction, nats_of, softmax};
use super::write::{gather, looked, most};
use crate::error::TrainError;

/// The answers to one input.
#[derive(Debug, Default)]
struct Search {
    /// The best first.
    followed: Vec<Prediction>,
    whole: Vec<Prediction>,
}

/// A followed answer with one more symbol.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    nats: f64,
    from: usize,
    symbol: u32,
    p: f32,
}

/// Nats a symbol, the mark counted.
fn mean(answer: &Prediction) -> f64 {
    answer.nats / (answer.output.len() + 1) as f64
}

/// The answers to these inputs, the first of which has number `first`.
pub(super) fn answers(
    model: &TaskModel,
    passes: &mut Passes,
    machine: Machine<'_>,
    inputs: &[&Input],
    (options, first): (&PredictOptions, usize),
) -> Result<Vec<Prediction>, TrainError> {
    let (mark, hidden, beam) = (model.alphabet.output.len() as u32, model.config.base.hidden, options.beam);
    passes.read(model, machine, inputs, Drops::default())?;
    let begun = || Search { followed: vec![Prediction::default()], whole: Vec::new() };
    let mut all: Vec<Search> = inputs.iter().map(|_| begun()).collect();
    // Lanes of the decoder: the followed answers of the first input, then of the second, ...
    let mut alive: Vec<usize> = (0..inputs.len()).collect();
    let mut states = passes.start(model, machine, inputs, &alive)?;
    let mut ids = vec![mark; inputs.len()];
    let mut p = Vec::new();
    for t in 0..=most(model, options) {
        let after = passes.write_step(model, machine, &alive, (&ids, &states))?;
        let last = t == most(model, options);
        let (mut from_lanes, mut of, mut next) = (Vec::new(), Vec::new(), Vec::new());
        let mut lane = 0;
        for (i, search) in all.iter_mut().enumerate() {
            let first_lane = lane;
            let mut candidates = Vec::new();
            for (from, answer) in search.followed.iter().enumerate() {
                softmax(machine.1, passes.networks.at(Role::Head).logits(0, lane), &mut p, (first + i, t))?;
                let of_symbol =
                    |(symbol, &p): (u32, &f32)| Candidate { nats: answer.nats + nats_of(p), from, symbol, p };
                candidates.extend((0..).zip(&p).map(of_symbol));
                lane += 1;
            }
            candidates.sort_by(|a, b| a.nats.total_cmp(&b.nats).then((a.from, a.symbol).cmp(&(b.from, b.symbol))));
            let mut going = Vec::new();
            for c in candidates.iter().take(2 * beam) {
                let mut answer = search.followed[c.from].clone();
                if c.symbol == mark {
                    (answer.nats, answer.ended) = (c.nats, true);
                    search.whole.push(answer);
                } else if going.len() < beam && !last {
                    answer.nats = c.nats;
                    answer.output.push(c.symbol);
                    answer.probabilities.push(c.p);
                    answer.attention.extend(looked(passes, first_lane + c.from));
                    going.push((answer, first_lane + c.from, c.symbol));
                }
            }
            if last || search.whole.len() >= beam {
                // What was followed stays, for where nothing is whole.
                if search.whole.is_empty() {
                    search.whole.extend(search.followed.first().cloned());
                }
                search.followed.clear();
                continue;
            }
            search.followed.clear();
            for (answer, lane, symbol) in going {
                search.followed.push(answer);
                from_lanes.push(lane);
                of.push(i);
                next.push(symbol);
            }
        }
        if of.is_empty() {
            break;
        }
        states = gather(&after, &from_lanes, hidden);
        (alive, ids) = (of, next);
    }
    let best = |search: Search| {
        let better = |a: Prediction, b: Prediction| if mean(&b) < mean(&a) { b } else { a };
        search.whole.into_iter().reduce(better).unwrap_or_default()
    };
    Ok(all.into_iter().map(best).collect())
}
