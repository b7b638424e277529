//! Gradients by distance between two steps of a run: few places, at most T symbols back, at a small part of an evaluation's cost.
//!
//! ```text
//! an evaluation reads E symbols, min(validation text, --eval-tokens): E passes forward
//! a place takes W + K passes to come to its states, then K forward again and K back: about 4.5 K with W = K
//! places = E / 12 / (4.5 K), at most 64
//! ```

use super::{Flow, FlowOptions, Machine, Norms};
use crate::error::TrainError;
use crate::model::CharModel;
use gatemill_corpus::{Corpus, Lanes, Split};

/// Part of an evaluation's passes.
const PART: f64 = 1.0 / 12.0;
/// Passes of a place for each symbol of its distance, in passes forward.
const PASSES: f64 = 4.5;
/// More places say nothing more.
const MOST: usize = 64;
/// Fewer say nothing.
const FEWEST: usize = 4;
/// Losses are followed back at most this far.
const FARTHEST: usize = 256;
/// Symbols of the validation text, from its start, that places are taken from.
const SYMBOLS: u64 = 1 << 18;

/// How much is looked at, where an evaluation reads so many symbols. None: too few for it.
fn options(symbols: u64, seq: usize) -> Option<FlowOptions> {
    let distance = seq.min(FARTHEST);
    let positions = (symbols as f64 * PART / (PASSES * distance as f64)) as usize;
    let enough = positions >= FEWEST && distance > 1;
    enough.then_some(FlowOptions { positions: positions.min(MOST), distance, warmup: distance })
}

/// The look.
pub(crate) fn flow(model: &CharModel, corpus: &Corpus, machine: Machine<'_>) -> Result<Option<Flow>, TrainError> {
    let (all, config) = (corpus.symbols(Split::Val), &model.config);
    let Some(options) = options(all.min(config.eval_tokens), config.seq) else { return Ok(None) };
    let steps = all.min(SYMBOLS) as usize - 1;
    let mut lanes = Lanes::for_evaluation(corpus, Split::Val, 1)?;
    let mut text = lanes.chunk(steps);
    lanes.fill(0, steps, &mut text)?;
    match Norms::of(model, machine, &text.inputs, &options) {
        Ok(norms) => Ok(Some(norms.flow())),
        // No place whose symbol the model knows.
        Err(TrainError::Symbols(_)) => Ok(None),
        Err(other) => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::trainer::Trainer;
    use gatemill_corpus::{OpenOptions, builtin};
    use gatemill_crew::Crew;
    use gatemill_kernels::Kernels;
    use std::sync::Arc;

    #[test]
    fn a_look_is_a_small_part_of_an_evaluation() {
        for symbols in [0, 500, 5_000, 50_000, 1_000_000, 1 << 40] {
            for seq in [1, 2, 35, 100, 1000] {
                let Some(o) = options(symbols, seq) else {
                    assert!(seq == 1 || symbols < 250 * seq.min(FARTHEST) as u64, "{symbols} {seq}");
                    continue;
                };
                let passes = o.positions as f64 * (o.warmup as f64 + 3.5 * o.distance as f64);
                assert!(
                    passes <= symbols as f64 / 12.0 && (FEWEST..=MOST).contains(&o.positions),
                    "{symbols} {seq}: {o:?}"
                );
            }
        }
    }

    #[test]
    fn looking_leaves_the_training_alone() {
        let config = Config { layers: 2, hidden: 17, batch: 4, seq: 12, shards: 2, dropout: 0.25, ..Config::default() };
        let options = OpenOptions { val_frac: 0.25, ..OpenOptions::default() };
        let corpus = Arc::new(Corpus::from_bytes("t", builtin::text(30_000, 1), &options).unwrap());
        let run = |look: bool| {
            let mut trainer =
                Trainer::new(&config, Arc::clone(&corpus), Arc::new(Crew::new(2).unwrap()), Kernels::best()).unwrap();
            for _ in 0..4 {
                trainer.step().unwrap();
                if look {
                    let flow = trainer.flow_in_brief().unwrap().expect("7500 symbols are enough");
                    assert_eq!((flow.distance, flow.positions), (12, 11));
                }
            }
            let state: Vec<_> = trainer.snapshot().held().tensors;
            (trainer.weights_sha256(), state)
        };
        assert!(run(true) == run(false));
    }
}
