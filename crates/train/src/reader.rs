//! Logits of symbols that the caller brings, from a state of the caller's and back into it.

use crate::error::TrainError;
use crate::model::CharModel;
use gatemill_cell::{Chunk, LayerState, Network, NetworkOptions};
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;

/// Tokens of a chunk: a guess, beyond which nothing is gained.
const CHUNK_TOKENS: usize = 256;

/// The buffers of reading `lanes` texts side by side.
#[derive(Debug)]
pub struct Reader {
    network: Network,
}

impl Reader {
    /// Buffers for `lanes` lanes of a model, at most `steps` of which are read at once. Errors: no memory.
    pub fn new(model: &CharModel, steps: usize, lanes: usize) -> Result<Self, TrainError> {
        let steps = steps.clamp(1, (CHUNK_TOKENS / lanes.max(1)).max(1));
        let options = NetworkOptions { steps, lanes: lanes.max(1), ..NetworkOptions::default() };
        Ok(Self { network: Network::new(model.params.layout(), options)? })
    }
    /// B.
    pub fn lanes(&self) -> usize {
        self.network.lanes()
    }
    /// The state of each layer, zero at first.
    pub fn state(&self) -> Vec<LayerState> {
        self.network.state()
    }
    /// Sets it. Panics where it has another shape.
    pub fn set_state(&mut self, state: &[LayerState]) {
        self.network.set_state(state);
    }
    /// Reads `ids [T, B]`; `logits [T, B, V]` are those of the symbol after each. V or more is a symbol never seen.
    ///
    /// Errors: arrays of another length.
    pub fn read(
        &mut self,
        model: &CharModel,
        (crew, kernels): (&Crew, &Kernels),
        ids: &[u32],
        logits: &mut [f32],
    ) -> Result<(), TrainError> {
        let (lanes, vocab, most) = (self.network.lanes(), model.vocab.len(), self.network.steps());
        if !ids.len().is_multiple_of(lanes) || Some(logits.len()) != ids.len().checked_mul(vocab) {
            let (ids, logits) = (ids.len(), logits.len());
            let what = format!("{ids} ids of {lanes} lanes with {logits} logits: give {vocab} logits for each id");
            return Err(TrainError::Symbols(what));
        }
        for (ids, logits) in ids.chunks(most * lanes).zip(logits.chunks_mut(most * lanes * vocab)) {
            let steps = ids.len() / lanes;
            // The network asks for the symbols of all its steps.
            let mut padded = Vec::new();
            let ids = if steps == most {
                ids
            } else {
                padded.extend_from_slice(ids);
                padded.resize(most * lanes, 0);
                &padded
            };
            self.network.forward(crew, kernels, &model.params, &Chunk { steps, ids, ..Chunk::default() });
            for (n, out) in logits.chunks_mut(vocab).enumerate() {
                out.copy_from_slice(self.network.logits(n / lanes, n % lanes));
            }
            self.network.carry(steps);
        }
        Ok(())
    }
}
