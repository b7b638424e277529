//! The memory task: how many symbols later a cell still knows the first one, where a gradient alone must find out.
//!
//! ```text
//! symbols    a..h to be remembered, 0..7 that fill, ?            a sequence:  c 5 1 7 7 0 .. 3 ?  ->  c
//!            `-- one of 8                k fillers, drawn at random --'
//! distance   the largest k that is learned from nothing: at least 90 % of fresh sequences right (chance: 1 in 8)
//! ```
//!
//! Fillers are noise: they move the state, so that a symbol must be kept against them. Each k is a training of its own, from
//! the initial weights, with the one answer at the end as its only loss: what happened k + 1 steps earlier is learned through
//! k + 1 Jacobians or not at all. All cells get the same recipe: as many parameters, steps and sequences, the same Adam, a
//! forget bias where there is a forget gate.
//!
//! With k growing as it is learned, every cell comes far beyond what it learns from nothing, the RNN too: it first finds
//! states that stay where they are, for small k, and those last for any k (`doc/gradients.md`). That measures attractors, not
//! gradients.
//!
//! ```text
//! ladder     1 2 3 4 5 8 11 16 22 32 45 64 90 ..       bisected; then up from the best until two rungs in a row fail
//! ```
//!
//! Sequences are a function of (seed, step, lane, position): runs repeat, bit for bit.

use crate::gradflow::Machine;
use gatemill_corpus::Vocab;
use gatemill_kernels::{Purpose, uniform};
use gatemill_train::{CellKind, CharModel, Config, Learner, Reader, ScheduleKind, TrainError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Instant;

/// Symbols to be remembered, and those that fill.
const REMEMBERED: usize = 8;
const FILLERS: usize = 8;
/// A training ends early where the running mean of the loss is below this: 99 of 100 answers are right by then.
const LEARNED_NATS: f64 = 0.1;
/// Share of the newest step in that mean.
const NEWEST: f64 = 0.1;
/// Fresh sequences of a measurement.
const ASKED: usize = 512;
/// Their stream of numbers: no step of a training has it.
const FRESH: u32 = 1 << 31;
/// Accuracy that counts as remembering.
const REMEMBERS: f64 = 0.9;
/// Rungs that fail in a row before a climb ends.
const FAILURES: usize = 2;

/// How the task is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemoryOptions {
    /// Parameters that each cell's width is chosen for.
    pub parameters: usize,
    /// Most updates of a training.
    pub steps: usize,
    /// Sequences of an update.
    pub batch: usize,
    /// Largest k.
    pub most: usize,
    /// Learning rate of Adam.
    pub lr: f64,
    /// Largest gradient norm.
    pub clip_norm: f64,
    /// Of the LSTM at its start.
    pub forget_bias: f64,
    /// Runs of each cell, with seeds 1, 2, ..
    pub seeds: u64,
}

impl Default for MemoryOptions {
    /// Found by trials: with this rate a training succeeds or stays at chance, with little in between.
    fn default() -> Self {
        Self {
            parameters: 7000,
            steps: 600,
            batch: 64,
            most: 90,
            lr: 0.003,
            clip_norm: 1.0,
            forget_bias: 5.0,
            seeds: 3,
        }
    }
}

/// One cell's runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemoryScore {
    /// The cell.
    pub cell: CellKind,
    /// H.
    pub hidden: usize,
    /// Weights.
    pub parameters: usize,
    /// Median over the runs of the largest k that was learned; 0: none.
    pub distance: usize,
    /// The same of each run.
    pub distances: Vec<usize>,
    /// The distance is the largest k that was tried: it may be more.
    pub at_least: bool,
    /// k and the mean accuracy of the runs that tried it, ascending.
    pub accuracy: Vec<(usize, f64)>,
    /// Seconds of all runs.
    pub seconds: f64,
}

/// H with which a model of one layer over `vocab` symbols has about so many parameters.
pub fn hidden_for(cell: CellKind, vocab: usize, parameters: usize) -> usize {
    let count = |h: usize| {
        let gates = gatemill_kernels::Cell::from(cell).gates();
        gates * h * (h + vocab + 2) + vocab * (h + 1)
    };
    let over = (1..).find(|&h| count(h) >= parameters).unwrap_or(1);
    let under = over.saturating_sub(1).max(1);
    if parameters.abs_diff(count(under)) < parameters.abs_diff(count(over)) { under } else { over }
}

/// Values of k that are tried, each about the root of two times the one before.
fn ladder(most: usize) -> Vec<usize> {
    let power =
        |half: u32| (f64::from(1 << (half / 2)) * if half % 2 == 1 { std::f64::consts::SQRT_2 } else { 1.0 }) as usize;
    let mut all: Vec<usize> = [1, 2, 3].into_iter().chain((4..40).map(power)).take_while(|&k| k < most).collect();
    all.push(most);
    all.dedup();
    all
}

/// A batch: symbols and answers `[k + 2, B]`; only the last step's answer counts.
fn batch(ids: &mut Vec<u32>, targets: &mut Vec<u32>, (seed, stream): (u64, u32), k: usize, lanes: usize) {
    let draw = |t: usize, lane: usize, of: usize| {
        let place = (t as u64) << 32 | lane as u64;
        (uniform(seed, Purpose::Sample, stream, place) * of as f64) as u32
    };
    ids.clear();
    targets.clear();
    // Ids are in the symbols' own order: digits, the question, letters.
    ids.extend((0..lanes).map(|lane| FILLERS as u32 + 1 + draw(0, lane, REMEMBERED)));
    for t in 1..=k {
        ids.extend((0..lanes).map(|lane| draw(t, lane, FILLERS)));
    }
    ids.extend((0..lanes).map(|_| FILLERS as u32));
    targets.resize((k + 1) * lanes, u32::MAX);
    targets.extend(ids[..lanes].iter());
}

/// The task's symbols.
fn vocab() -> Result<Vocab, TrainError> {
    let from = |first: char, count: usize| (0..count as u32).map(move |i| first as u32 + i);
    let symbols: Vec<u32> = from('0', FILLERS).chain(from('?', 1)).chain(from('a', REMEMBERED)).collect();
    Vocab::from_symbols(&symbols).map_err(|e| TrainError::Model(e.to_string()))
}

/// Trains and measures one cell; `told(seed, k, accuracy)` hears of every training.
pub fn score(
    cell: CellKind,
    options: &MemoryOptions,
    machine: Machine<'_>,
    mut told: impl FnMut(u64, usize, f64) + Send,
) -> Result<MemoryScore, TrainError> {
    let vocab = vocab()?;
    let (hidden, begun) = (hidden_for(cell, vocab.len(), options.parameters), Instant::now());
    let rungs = ladder(options.most);
    let (mut distances, mut tried, mut parameters) = (Vec::new(), BTreeMap::<usize, Vec<f64>>::new(), 0);
    for seed in 1..=options.seeds {
        let mut found = BTreeMap::new();
        let mut learned = |rung: usize| -> Result<bool, TrainError> {
            if let Some(&accuracy) = found.get(&rung) {
                return Ok(accuracy >= REMEMBERS);
            }
            let k = rungs[rung];
            let config = config(cell, hidden, seed, k, options);
            let (accuracy, count) = machine.0.steady(|| learn(&config, &vocab, k, options.steps, machine))?;
            (parameters, _) = (count, found.insert(rung, accuracy));
            tried.entry(k).or_default().push(accuracy);
            told(seed, k, accuracy);
            Ok(accuracy >= REMEMBERS)
        };
        // Rungs below `low` count as learned, from `high` on as not.
        let (mut low, mut high) = (0, rungs.len());
        while low < high {
            let middle = (low + high) / 2;
            if learned(middle)? { low = middle + 1 } else { high = middle }
        }
        let (mut failures, mut rung) = (0, low);
        while failures < FAILURES && rung < rungs.len() {
            failures = if learned(rung)? { 0 } else { failures + 1 };
            rung += 1;
        }
        let best = found.iter().filter(|(_, accuracy)| **accuracy >= REMEMBERS).map(|(rung, _)| rungs[*rung]).max();
        distances.push(best.unwrap_or(0));
    }
    let mut sorted = distances.clone();
    sorted.sort_unstable();
    let distance = sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0);
    let mean = |(k, all): (usize, Vec<f64>)| (k, all.iter().fold(0.0, |a, b| a + b) / all.len() as f64);
    Ok(MemoryScore {
        cell,
        hidden,
        parameters,
        distance,
        distances,
        at_least: distance == options.most,
        accuracy: tried.into_iter().map(mean).collect(),
        seconds: begun.elapsed().as_secs_f64(),
    })
}

fn config(cell: CellKind, hidden: usize, seed: u64, k: usize, options: &MemoryOptions) -> Config {
    Config {
        cell,
        layers: 1,
        hidden,
        batch: options.batch,
        seq: k + 2,
        no_carry: true,
        lr: options.lr,
        clip_norm: options.clip_norm,
        forget_bias: options.forget_bias,
        schedule: ScheduleKind::Constant,
        val_frac: 0.0,
        seed,
        ..Config::default()
    }
}

/// Trains at one k, from nothing; the accuracy on fresh sequences, and the weights' number.
fn learn(
    config: &Config,
    vocab: &Vocab,
    k: usize,
    steps: usize,
    machine: Machine<'_>,
) -> Result<(f64, usize), TrainError> {
    let mut model = CharModel::new(config, vocab, machine.0, machine.1)?;
    let mut learner = Learner::new(&model, machine.0)?;
    let (mut ids, mut targets) = (Vec::new(), Vec::new());
    let mut mean = libm::log(REMEMBERED as f64);
    for step in 0..steps {
        batch(&mut ids, &mut targets, (config.seed, step as u32), k, config.batch);
        let report = learner.step(&mut model, machine, &ids, &targets, config.lr)?;
        mean += NEWEST * (report.nats - mean);
        if mean < LEARNED_NATS {
            break;
        }
    }
    Ok((accuracy(&model, k, machine)?, model.parameters()))
}

/// Right answers on sequences that no training has seen.
fn accuracy(model: &CharModel, k: usize, machine: Machine<'_>) -> Result<f64, TrainError> {
    let (mut ids, mut targets) = (Vec::new(), Vec::new());
    batch(&mut ids, &mut targets, (model.config.seed, FRESH), k, ASKED);
    let mut reader = Reader::new(model, 1, ASKED)?;
    let mut logits = vec![0.0; ASKED * model.vocab.len()];
    for step in ids.chunks_exact(ASKED) {
        reader.read(model, machine, step, &mut logits)?;
    }
    let answer = |row: &[f32]| row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|best| best.0 as u32);
    let answers = logits.chunks_exact(model.vocab.len()).map(answer);
    let right = answers.zip(&ids).filter(|(answer, first)| *answer == Some(**first)).count();
    Ok(right as f64 / ASKED as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatemill_crew::Crew;
    use gatemill_kernels::Kernels;

    #[test]
    fn a_sequence_is_a_symbol_then_fillers_then_the_question() {
        let vocab = vocab().unwrap();
        let (mut ids, mut targets) = (Vec::new(), Vec::new());
        batch(&mut ids, &mut targets, (3, 9), 5, 40);
        assert_eq!((ids.len(), targets.len()), (7 * 40, 7 * 40));
        let text: Vec<char> = vocab.decode(&ids).iter().map(|&b| b as char).collect();
        for lane in 0..40 {
            let of: Vec<char> = (0..7).map(|t| text[t * 40 + lane]).collect();
            assert!(
                ('a'..='h').contains(&of[0]) && of[6] == '?' && of[1..6].iter().all(|c| ('0'..='7').contains(c)),
                "{of:?}"
            );
            assert!((0..6).all(|t| targets[t * 40 + lane] as usize >= vocab.len()), "only the last answer counts");
            assert_eq!(targets[6 * 40 + lane], ids[lane]);
        }
        let different: std::collections::BTreeSet<&[u32]> = ids.chunks_exact(40).collect();
        assert_eq!(different.len(), 7, "steps draw apart");
        let mut again = Vec::new();
        batch(&mut again, &mut targets, (3, 9), 5, 40);
        assert_eq!(ids, again);
        batch(&mut again, &mut targets, (3, 10), 5, 40);
        assert_ne!(ids, again);
    }

    #[test]
    fn the_ladder_grows_by_the_root_of_two_and_ends_where_it_is_told() {
        assert_eq!(ladder(90), [1, 2, 3, 4, 5, 8, 11, 16, 22, 32, 45, 64, 90]);
        assert_eq!(ladder(12), [1, 2, 3, 4, 5, 8, 11, 12]);
        assert_eq!((ladder(1), ladder(4)), (vec![1], vec![1, 2, 3, 4]));
    }

    #[test]
    fn a_short_memory_is_learned_and_an_untrained_model_guesses() {
        let (crew, kernels) = (Crew::new(2).unwrap(), Kernels::best());
        let options =
            MemoryOptions { parameters: 3000, steps: 400, most: 2, lr: 0.01, seeds: 1, ..MemoryOptions::default() };
        let mut told = Vec::new();
        let learned =
            score(CellKind::Gru, &options, (&crew, &kernels), |seed, k, right| told.push((seed, k, right))).unwrap();
        assert_eq!((learned.distance, learned.at_least, &learned.distances[..]), (2, true, &[2][..]), "{told:?}");
        assert_eq!(learned.accuracy.iter().map(|at| at.0).collect::<Vec<_>>(), [2]);
        let untrained =
            score(CellKind::Gru, &MemoryOptions { steps: 0, ..options }, (&crew, &kernels), |_, _, _| {}).unwrap();
        assert_eq!(untrained.distance, 0);
        assert!(untrained.accuracy.iter().all(|&(_, right)| right < 0.3), "{untrained:?}");
    }
}
