//! The character model as a library: a file or a run folder in; logits, text, training steps, a file out.

use crate::generate::Generate;
use crate::state::{StateForm, layers, put};
use crate::{Error, RecurrentOptions, State};
use gatemill_cell::OutOfMemory;
use gatemill_corpus::{Vocab, VocabKind};
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use gatemill_train::checkpoint::{load_model, replace_snapshot};
use gatemill_train::storage::RealStorage;
use gatemill_train::{CharModel, Config, LearnReport, Learner, Reader, SampleOptions, SampleState, VocabChoice};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// A character model and the workers that it runs on.
///
/// ```
/// use gatemill::{CharLm, Config, Crew, SampleOptions};
/// use std::sync::Arc;
///
/// # fn main() -> Result<(), gatemill::Error> {
/// let config = Config { layers: 1, hidden: 16, batch: 1, seq: 5, lr: 0.05, ..Config::default() };
/// let mut model = CharLm::new(&config, "helo", Arc::new(Crew::new(2)?))?;
/// let ids = model.encode("hellohello")?;
/// for _ in 0..60 {
///     model.train_step(&ids[..5], &ids[1..6])?;
/// }
/// let options = SampleOptions { prime: b"hel".to_vec(), length: 2, temperature: 0.0, ..Default::default() };
/// let text: String = model.generate(&options)?.map(|symbol| symbol.map(|s| s.to_string())).collect::<Result<_, _>>()?;
/// assert_eq!(text, "lo");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct CharLm {
    pub(crate) model: CharModel,
    pub(crate) crew: Arc<Crew>,
    pub(crate) kernels: Kernels,
    lr: f64,
    learner: Option<Box<Learner>>,
    /// Buffers of earlier calls of `logits`, for the next.
    readers: Mutex<Vec<Reader>>,
    notices: Vec<String>,
}

/// Buffers kept for further calls of `logits`.
const KEPT_READERS: usize = 8;

impl CharLm {
    /// A model with initial weights over the characters of a text, each once. `config.vocab` may ask for bytes instead.
    ///
    /// Errors: an impossible configuration; a text without a character; no memory.
    pub fn new(config: &Config, characters: &str, crew: Arc<Crew>) -> Result<Self, Error> {
        let kind = match config.vocab {
            VocabChoice::Chars => VocabKind::Chars,
            VocabChoice::Bytes => VocabKind::Bytes,
        };
        let vocab = Vocab::of(kind, characters.as_bytes()).map_err(gatemill_train::TrainError::from)?;
        let kernels = Kernels::from_env()?;
        let model = CharModel::new(config, &vocab, &crew, &kernels)?;
        Ok(Self::of(model, crew, kernels, Vec::new()))
    }
    /// The model of a `.safetensors` file, or of a run folder: its best, else its newest checkpoint.
    ///
    /// Errors: nothing usable there, by name and reason; weights that are not finite.
    pub fn load(path: impl AsRef<Path>, crew: Arc<Crew>) -> Result<Self, Error> {
        let kernels = Kernels::from_env()?;
        let loaded = load_model(&RealStorage, path.as_ref(), false)?;
        let model = CharModel::load(&loaded.snapshot, &crew, &kernels)
            .map_err(|source| Error::Model { path: loaded.path.clone(), source: Box::new(source) })?;
        Ok(Self::of(model, crew, kernels, loaded.notices.iter().map(ToString::to_string).collect()))
    }
    fn of(model: CharModel, crew: Arc<Crew>, kernels: Kernels, notices: Vec<String>) -> Self {
        let lr = model.config.lr;
        Self { model, crew, kernels, lr, learner: None, readers: Mutex::default(), notices }
    }
    /// Saves the model at `path` in the place of an older one: at every moment the old file or the new one is whole.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        Ok(replace_snapshot(&RealStorage, path.as_ref(), &self.model.snapshot())?)
    }
    /// What should be known about the file that was loaded, a sentence each.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }
    /// The configuration that it was made with.
    pub fn config(&self) -> &Config {
        &self.model.config
    }
    /// What its symbols are.
    pub fn vocab(&self) -> &Vocab {
        &self.model.vocab
    }
    /// The model itself.
    pub fn model(&self) -> &CharModel {
        &self.model
    }
    /// The ids of a text; a character that the model never saw has id V. Errors: none that a `str` can cause.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        Ok(self.model.vocab.encode(text.as_bytes()).map_err(gatemill_train::TrainError::from)?)
    }

    fn state_form(&self, lanes: usize) -> Result<StateForm, Error> {
        let Config { cell, layers, hidden, .. } = self.model.config;
        let options = RecurrentOptions { layers, ..RecurrentOptions::new(cell.into(), 1, hidden) };
        StateForm::new(&options, lanes).ok_or_else(|| OutOfMemory { bytes: usize::MAX }.into())
    }
    /// The zero state of so many texts beside each other. Errors: its size is beyond memory.
    pub fn state(&self, lanes: usize) -> Result<State, Error> {
        Ok(self.state_form(lanes)?.zeros())
    }
    /// Reads `ids [T, B]` from `state`, which becomes the state after them: `logits [T, B, V]` are those of the symbol
    /// after each. B is the state's. Any number of threads may ask at once.
    ///
    /// Errors: lengths that do not fit each other; no memory.
    pub fn logits(&self, ids: &[u32], state: &mut State, logits: &mut [f32]) -> Result<(), Error> {
        let one = self.state_form(1)?;
        let lanes = state.h.len() / (one.layers * one.h).max(1);
        let form = self.state_form(lanes.max(1))?;
        state.as_ref().check("state", &form)?;
        let found = |readers: &mut Vec<Reader>| {
            let at = readers.iter().position(|reader| reader.lanes() == lanes)?;
            Some(readers.swap_remove(at))
        };
        let kept = found(&mut self.readers.lock().unwrap_or_else(PoisonError::into_inner));
        let mut reader = match kept {
            Some(reader) => reader,
            None => Reader::new(&self.model, usize::MAX, lanes)?,
        };
        reader.set_state(&layers(state, &form));
        let read = reader.read(&self.model, (&self.crew, &self.kernels), ids, logits);
        if read.is_ok() {
            put(&reader.state(), state, &form);
        }
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < KEPT_READERS {
            readers.push(reader);
        }
        Ok(read?)
    }

    /// A text, symbol by symbol; `options.samples` must be 1 ([`crate::Generator`] writes several).
    ///
    /// Errors: options that cannot be; a prime that is no UTF-8; no memory.
    pub fn generate(&self, options: &SampleOptions) -> Result<Generate<'_>, Error> {
        Generate::new(self, options, None)
    }
    /// Goes on from where a text stands. A copy of a state, continued with another `first_sample` or `seed`, is a fork.
    ///
    /// Errors: as [`CharLm::generate`]; a state of another model.
    pub fn resume(&self, options: &SampleOptions, state: &SampleState) -> Result<Generate<'_>, Error> {
        Generate::new(self, options, Some(state))
    }

    /// The learning rate of the next steps; at first the configuration's. No schedule moves it.
    pub fn set_lr(&mut self, lr: f64) -> Result<(), Error> {
        let known = lr > 0.0 && lr.is_finite();
        if !known {
            return Err(Error::Option { option: "lr", value: lr.to_string(), reason: "must be a positive number" });
        }
        self.lr = lr;
        Ok(())
    }
    /// One update from `ids` and `targets`, `[T, B]` each with the configuration's `seq` and `batch`; the state is carried
    /// from step to step. Moments begin with the first step and are not saved with the model.
    ///
    /// Errors: another number of symbols; the loss or the gradient is not finite, and then nothing has moved.
    pub fn train_step(&mut self, ids: &[u32], targets: &[u32]) -> Result<LearnReport, Error> {
        let Self { model, crew, kernels, lr, learner, .. } = self;
        let mut made = match learner.take() {
            Some(made) => made,
            None => Box::new(Learner::new(model, crew)?),
        };
        let report = made.step(model, (crew, kernels), ids, targets, *lr);
        *learner = Some(made);
        Ok(report?)
    }
    /// The next training step begins from zeros: another text.
    pub fn clear_train_state(&mut self) {
        if let Some(learner) = &mut self.learner {
            learner.clear_state();
        }
    }
}
