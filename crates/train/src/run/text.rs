//! A character model on a text, as the course of a run.

use std::sync::Arc;

use gatemill_corpus::{Corpus, CorpusError, Split};
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;

use super::course::PartSymbols;
use super::{Course, Facts, Means, Place, Run, RunError, Scored, Setup};
use crate::checkpoint::Snapshot;
use crate::config::Config;
use crate::error::TrainError;
use crate::eval::Evaluation;
use crate::events::Metrics;
use crate::export::Export;
use crate::flow::Flow;
use crate::model::CharModel;
use crate::sample::SampleOptions;
use crate::trainer::{StepReport, Trainer};

/// Symbols of a sample taken during training.
const SAMPLE_LENGTH: u64 = 300;
/// Temperature of those samples: below 1, so that early ones are more than noise.
const SAMPLE_TEMPERATURE: f64 = 0.8;

/// How every sample of a run is drawn: the same seed, the same (empty) prime, so that two of them differ by the weights
/// alone.
pub fn sample_options(config: &Config) -> SampleOptions {
    SampleOptions {
        length: SAMPLE_LENGTH,
        temperature: SAMPLE_TEMPERATURE,
        seed: config.seed,
        ..SampleOptions::default()
    }
}

/// A character model's trainer and its text.
pub struct TextCourse {
    pub(super) trainer: Trainer,
    corpus: Arc<Corpus>,
    crew: Arc<Crew>,
    kernels: Kernels,
}

impl TextCourse {
    pub(super) fn new(trainer: Trainer, setup: (Arc<Corpus>, Arc<Crew>, Kernels)) -> Self {
        let (corpus, crew, kernels) = setup;
        Self { trainer, corpus, crew, kernels }
    }

    fn too_short(&self, part: &str, split: Split, what: &str) -> String {
        let (symbols, lanes) = (self.corpus.symbols(split), self.config().batch);
        format!("the {part} text ({symbols} symbols) is too short for {lanes} lanes: {what}")
    }
}

impl Run {
    /// A new run on a text.
    ///
    /// Errors: impossible configuration, corpus too short, no memory; a folder that is taken or cannot be written.
    pub fn start(setup: Setup, place: &Place) -> Result<Self, RunError> {
        let Setup { config, settings, corpus, crew, kernels, storage } = setup;
        let parts = (corpus, Arc::clone(&crew), kernels);
        let means = Means { settings, crew, kernels, storage };
        Self::begin(means, place, move || {
            let trainer = Trainer::new(&config, Arc::clone(&parts.0), Arc::clone(&parts.1), kernels)?;
            Ok(TextCourse::new(trainer, parts))
        })
    }

    /// The trainer.
    pub fn trainer(&self) -> &Trainer {
        &self.course.trainer
    }
}

impl Course for TextCourse {
    type Config = Config;

    fn config(&self) -> &Config {
        &self.trainer.model().config
    }
    fn facts(&self) -> Facts {
        let cost = self.trainer.cost();
        let symbols = |split| self.corpus.symbols(split);
        Facts {
            symbols: PartSymbols { train: symbols(Split::Train), val: symbols(Split::Val), test: symbols(Split::Test) },
            dropped_symbols: cost.dropped_symbols,
            vocab: self.trainer.model().vocab.len(),
            parameters: cost.parameters,
            memory_bytes: cost.memory_bytes,
            flops_per_token: cost.flops_per_token,
            task: None,
        }
    }
    fn notes(&self) -> Vec<String> {
        self.corpus.notes().iter().map(ToString::to_string).collect()
    }
    fn fingerprint(&self) -> String {
        self.corpus.fingerprint().to_string()
    }
    fn check_unchanged(&self) -> Result<(), CorpusError> {
        self.corpus.check_unchanged()
    }

    fn step(&mut self) -> Result<StepReport, TrainError> {
        self.trainer.step()
    }
    fn step_count(&self) -> u64 {
        self.trainer.step_count()
    }
    fn tokens(&self) -> u64 {
        self.trainer.step_count().saturating_mul(self.config().tokens_per_step())
    }
    fn total_steps(&self) -> u64 {
        self.trainer.total_steps()
    }
    fn steps_per_epoch(&self) -> u64 {
        self.trainer.steps_per_epoch()
    }
    fn set_steps(&mut self, steps: u64) {
        self.trainer.set_steps(steps);
    }
    fn rehearse(&mut self) -> Result<f64, TrainError> {
        self.trainer.rehearse()
    }

    fn evaluate(&mut self) -> Result<Result<Scored, Option<String>>, TrainError> {
        let wanted = self.config().val_frac > 0.0;
        Ok(match self.trainer.evaluate()? {
            Some(evaluation) => Ok(Scored { evaluation, metrics: Metrics::default() }),
            None => Err(wanted.then(|| self.too_short("validation", Split::Val, "not evaluated"))),
        })
    }
    fn test(&mut self, best: Option<&Snapshot>) -> Result<Result<Scored, Option<String>>, TrainError> {
        if self.config().test_frac == 0.0 {
            return Ok(Err(None));
        }
        let best = best.map(|best| CharModel::load(best, &self.crew, &self.kernels)).transpose()?;
        let model = best.as_ref().unwrap_or(self.trainer.model());
        let limit = (self.config().batch, self.config().eval_tokens);
        let score: Option<Evaluation> =
            model.evaluate_split(&self.corpus, Split::Test, limit, &self.crew, &self.kernels)?;
        Ok(match score {
            Some(evaluation) => Ok(Scored { evaluation, metrics: Metrics::default() }),
            None => Err(Some(self.too_short("test", Split::Test, "not scored"))),
        })
    }
    fn observe_score(&mut self, nats: f64) -> Option<f64> {
        self.trainer.observe_score(nats)
    }
    fn flow(&self) -> Result<Option<Flow>, TrainError> {
        self.trainer.flow_in_brief()
    }
    fn sample(&mut self) -> Result<String, TrainError> {
        let text = self.trainer.sample(&sample_options(self.config()))?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    fn is_finite(&self) -> bool {
        self.trainer.is_finite()
    }
    fn weights_sha256(&self) -> String {
        self.trainer.weights_sha256()
    }
    fn room_for_snapshot(&self) -> Result<(), TrainError> {
        self.trainer.room_for_snapshot()
    }
    fn checkpoint(&self) -> Snapshot<Export<'_>> {
        self.trainer.snapshot()
    }
    fn model(&self) -> Snapshot<Export<'_>> {
        self.trainer.model().snapshot()
    }
}
