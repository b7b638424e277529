//! Answers symbol by symbol: what was written is read next, the state carried on (lecture L4).
//!
//! All answers of a batch are written side by side; one that has ended leaves, and the rest move up.

use super::example::Input;
use super::model::TaskModel;
use super::parts::Role;
use super::passes::{Drops, Machine, Passes};
use super::predict::{PredictOptions, Prediction, nats_of, softmax};
use crate::error::TrainError;
use crate::sample::choose::{Chooser, Recent};
use gatemill_cell::LayerState;
use gatemill_kernels::{Purpose, uniform};

/// Most symbols of an answer.
pub(super) fn most(model: &TaskModel, options: &PredictOptions) -> usize {
    options.most.unwrap_or(2 * model.longest + 16)
}

/// The states of these lanes, in this order.
pub(super) fn gather(states: &[LayerState], lanes: &[usize], hidden: usize) -> Vec<LayerState> {
    let rows = |from: &[f32]| lanes.iter().flat_map(|&lane| &from[lane * hidden..][..hidden]).copied().collect();
    states.iter().map(|s| LayerState { h: rows(&s.h), c: s.c.as_deref().map(rows) }).collect()
}

/// The row of weights by which lane `lane` of the last step looked back, where it did.
pub(super) fn looked(passes: &Passes, lane: usize) -> Option<Vec<f32>> {
    passes.look.as_ref().map(|look| look.weights(lane, 0).to_vec())
}

/// The answers to these inputs, the first of which has number `first`: the most likely symbol at each step, or draws.
pub(super) fn answers(
    model: &TaskModel,
    passes: &mut Passes,
    machine: Machine<'_>,
    inputs: &[&Input],
    (options, first): (&PredictOptions, usize),
) -> Result<Vec<Prediction>, TrainError> {
    let (mark, hidden) = (model.alphabet.output.len() as u32, model.config.base.hidden);
    passes.read(model, machine, inputs, Drops::default())?;
    let mut alive: Vec<usize> = (0..inputs.len()).collect();
    let mut states = passes.start(model, machine, inputs, &alive)?;
    let mut ids = vec![mark; inputs.len()];
    let mut all = vec![Prediction::default(); inputs.len()];
    let (mut chooser, none) = (Chooser::new((&options.draws()).into(), mark as usize + 1), Recent::new(0, 0));
    let mut p = Vec::new();
    for t in 0..=most(model, options) {
        let after = passes.write_step(model, machine, &alive, (&ids, &states))?;
        let (mut going, mut next) = (Vec::new(), Vec::new());
        for (lane, &i) in alive.iter().enumerate() {
            let logits = passes.networks.at(Role::Head).logits(0, lane);
            let place = (first + i, t);
            softmax(machine.1, logits, &mut p, place)?;
            let draw = || uniform(options.seed, Purpose::Sample, place.0 as u32, t as u64);
            let failed = |_| {
                let what = "every symbol has probability 0".into();
                TrainError::Logits { sample: place.0 as u32, position: t as u64, what }
            };
            let chosen = chooser.choose(logits, &none, draw).map_err(failed)?;
            let answer = &mut all[i];
            if chosen == mark {
                answer.nats += nats_of(p[mark as usize]);
                answer.ended = true;
            } else if t < most(model, options) {
                answer.nats += nats_of(p[chosen as usize]);
                answer.output.push(chosen);
                answer.probabilities.push(p[chosen as usize]);
                answer.attention.extend(looked(passes, lane));
                going.push(lane);
                next.push(chosen);
            }
        }
        if going.is_empty() {
            break;
        }
        states = gather(&after, &going, hidden);
        alive = going.iter().map(|&lane| alive[lane]).collect();
        ids = next;
    }
    Ok(all)
}
