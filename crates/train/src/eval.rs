//! Evaluation: the mean loss of a text, state carried, nothing learned.
//!
//! Lanes are cut as in training, and their last short chunk counts; the state is zero where a document begins. Sums run by lane in time order and then over lanes
//! in order, so that the result does not depend on T, on threads, or on how often it is asked for.

use crate::error::TrainError;
use crate::loss;
use crate::model::CharModel;
use gatemill_cell::{Chunk, Network, NetworkOptions};
use gatemill_corpus::{Corpus, Lanes, Split};
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;

/// Steps of a chunk where a file is scored as one lane.
const FILE_STEPS: usize = 256;

/// A text's loss.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Mean loss, nats per symbol.
    pub nats: f64,
    /// The same in bits.
    pub bits: f64,
    /// exp(nats).
    pub perplexity: f64,
    /// Symbols scored.
    pub tokens: u64,
    /// Targets that the vocabulary lacks: left out.
    pub unseen: u64,
}

impl CharModel {
    /// Scores one part of `corpus` as the run does its validation text: `batch` lanes, at most `limit` symbols. None where
    /// it is too short for that many lanes.
    pub fn evaluate_split(
        &self,
        corpus: &Corpus,
        split: Split,
        (batch, limit): (usize, u64),
        crew: &Crew,
        kernels: &Kernels,
    ) -> Result<Option<Evaluation>, TrainError> {
        let mut network = self.network(self.config.seq, batch)?;
        lanes(self, &mut network, corpus, split, limit, (crew, kernels))
    }
    /// Scores a whole corpus as one lane from zero state. None where it has under two symbols.
    pub fn evaluate_file(
        &self,
        corpus: &Corpus,
        crew: &Crew,
        kernels: &Kernels,
    ) -> Result<Option<Evaluation>, TrainError> {
        // Where no state is carried a chunk is what the model was trained on.
        let steps = if self.config.no_carry { self.config.seq } else { FILE_STEPS };
        let mut network = self.network(steps, 1)?;
        lanes(self, &mut network, corpus, Split::Train, u64::MAX, (crew, kernels))
    }
    /// A forward-only network of this model.
    pub(crate) fn network(&self, steps: usize, lanes: usize) -> Result<Network, TrainError> {
        let options = NetworkOptions { steps, lanes, ..NetworkOptions::default() };
        Ok(Network::new(self.params.layout(), options)?)
    }
}

/// Scores one split in the network's lanes, from zero state; leaves the network's state changed, and without resets.
pub(crate) fn lanes(
    model: &CharModel,
    network: &mut Network,
    corpus: &Corpus,
    split: Split,
    limit: u64,
    (crew, kernels): (&Crew, &Kernels),
) -> Result<Option<Evaluation>, TrainError> {
    let batch = network.lanes();
    if corpus.symbols(split) < batch as u64 + 1 {
        return Ok(None);
    }
    let mut reader = Lanes::for_evaluation(corpus, split, batch)?;
    let end = reader.len().min((limit / batch as u64).max(1));
    let most = network.steps();
    let mut symbols = reader.chunk(most);
    let mut lane_nats = vec![0.0; batch];
    let (mut at, mut tokens, mut unseen) = (0u64, 0u64, 0u64);
    network.clear_state();
    while at < end {
        let steps = most.min((end - at) as usize);
        let used = steps * batch;
        reader.fill(at, steps, &mut symbols)?;
        if model.config.no_carry {
            network.clear_state();
        }
        if reader.has_documents() {
            network.clear_resets();
            symbols.begins.iter().for_each(|&(t, lane)| network.reset(t as usize, lane as usize));
        }
        // The buffers are whole chunks; only the first steps of them are read.
        let chunk = Chunk { steps, ids: &symbols.inputs, targets: &symbols.targets, scale: 0.0, ..Chunk::default() };
        network.forward(crew, kernels, &model.params, &chunk);
        loss::by_lane(network.nats(steps), &mut lane_nats);
        network.carry(steps);
        let missing = symbols.targets[..used].iter().filter(|&&t| t as usize >= model.vocab.len()).count();
        unseen += missing as u64;
        tokens += (used - missing) as u64;
        at += steps as u64;
    }
    if reader.has_documents() {
        network.clear_resets();
    }
    let nats = lane_nats.iter().fold(0.0, |a, b| a + b) / tokens.max(1) as f64;
    Ok(Some(Evaluation { nats, bits: nats / std::f64::consts::LN_2, perplexity: libm::exp(nats), tokens, unseen }))
}
