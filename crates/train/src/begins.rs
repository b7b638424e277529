//! Where documents begin in a text that a model reads outside of training: there it forgets, as it did in training.

use crate::error::TrainError;
use crate::model::CharModel;
use gatemill_cell::Network;
use gatemill_corpus::document_begins;

/// The symbols of a text that begin a document, ascending; none for a model that was trained without a separator.
#[derive(Debug)]
pub(crate) struct Begins(Vec<usize>);

impl Begins {
    /// Those of `text`, read as one file. Errors: the separator of the model's configuration is none.
    pub(crate) fn of(model: &CharModel, text: &[u32]) -> Result<Self, TrainError> {
        let separator = model.config.document_separator.as_deref();
        let begins = separator.map(|separator| document_begins(separator, &model.vocab, text)).transpose()?;
        Ok(Self(begins.unwrap_or_default()))
    }
    /// Sets the resets of a pass in which lane b reads `steps` symbols from `first(b)` on.
    pub(crate) fn reset(&self, network: &mut Network, steps: usize, first: impl Fn(usize) -> usize) {
        if self.0.is_empty() {
            return;
        }
        network.clear_resets();
        for lane in 0..network.lanes() {
            let first = first(lane);
            let from = self.0.partition_point(|&at| at < first);
            for at in self.0[from..].iter().take_while(|&&at| at < first + steps) {
                network.reset(at - first, lane);
            }
        }
    }
}
