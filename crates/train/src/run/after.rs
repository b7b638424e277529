//! What is due after a step: evaluation, the best model, epoch's end, gradients by distance, sample; and the test text at the
//! end.

use std::sync::Arc;

use gatemill_corpus::Split;

use super::{Due, Ending, Observer, Run, RunError};
use crate::checkpoint::{best_path, load_model};
use crate::events::{self, Event};
use crate::folder;
use crate::model::CharModel;
use crate::sample::SampleOptions;

/// Symbols of a sample taken during training.
const SAMPLE_LENGTH: u64 = 300;
/// Temperature of those samples: below 1, so that early ones are more than noise.
const SAMPLE_TEMPERATURE: f64 = 0.8;

impl Run {
    /// What is due after a step: evaluation, best model, epoch's end, sample, checkpoint.
    pub(super) fn after_step(&mut self, due: Due, observer: &mut dyn Observer) -> Result<(), RunError> {
        let step = self.trainer.step_count();
        let val_nats = if due.evaluate { self.evaluate(observer)? } else { None };
        if let Some(epoch) = due.epoch {
            let train_nats = self.state.epoch_nats.unwrap_or_default();
            let seconds = std::mem::take(&mut self.epoch_seconds);
            self.tell(Event::Epoch(events::Epoch { step, epoch, train_nats, val_nats, seconds }), observer);
        }
        if val_nats.is_some() && self.settings.flow {
            self.flow(observer)?;
        }
        // Where this evaluation was the last one, what the end brings is due as well.
        if due.sample || self.state.ended == Some(Ending::Patience) {
            self.sample(observer)?;
        }
        self.state.due = None;
        // A checkpoint of this step that a stop left has these things still to be done.
        self.saved_step = None;
        if due.save { self.save(observer) } else { Ok(()) }
    }

    /// Scores the validation text: the schedule may cut its rate, the best model is kept, patience may run out.
    fn evaluate(&mut self, observer: &mut dyn Observer) -> Result<Option<f64>, RunError> {
        let step = self.trainer.step_count();
        let Some(score) = self.trainer.evaluate()? else {
            if self.config.val_frac > 0.0 {
                let (symbols, lanes) = (self.corpus.symbols(Split::Val), self.config.batch);
                let text =
                    format!("the validation text ({symbols} symbols) is too short for {lanes} lanes: not evaluated");
                let event = self.notice(text);
                self.tell(event, observer);
            }
            return Ok(None);
        };
        let (nats, tokens, unseen) = (score.nats, score.tokens, score.unseen);
        self.state.val_nats = Some(nats);
        self.tell(Event::Eval(events::Eval { step, val_nats: nats, val_bits: score.bits, tokens, unseen }), observer);
        if let Some(lr) = self.trainer.observe_score(nats) {
            let event = self.notice(format!("no better score: the learning rate is {lr} from here on"));
            self.tell(event, observer);
        }
        if self.state.best_nats.is_some_and(|best| nats >= best) || nats.is_nan() {
            self.state.stale = self.state.stale.saturating_add(1);
            if self.config.patience.is_some_and(|patience| self.state.stale >= patience) && !self.trainer.is_done() {
                self.state.ended = Some(Ending::Patience);
            }
        } else {
            (self.state.best_nats, self.state.best_step, self.state.stale) = (Some(nats), Some(step), 0);
            self.save_best(observer)?;
        }
        Ok(Some(nats))
    }

    /// Looks at gradients by distance on the validation text, for a small part of what its evaluation took, and tells how often
    /// clipping acted. Where the text is too short for that, nothing is told.
    fn flow(&mut self, observer: &mut dyn Observer) -> Result<(), RunError> {
        let Some(flow) = self.trainer.flow_in_brief()? else { return Ok(()) };
        let (steps, clipped) = (std::mem::take(&mut self.state.since_flow), std::mem::take(&mut self.state.clipped));
        let flow = events::Flow {
            step: self.trainer.step_count(),
            positions: flow.positions,
            distance: flow.distance,
            memory_ends: flow.reach.faint,
            half: flow.reach.half,
            most: flow.reach.most,
            factor: flow.reach.factor,
            steps,
            clipped: (self.config.clip_norm > 0.0).then_some(clipped),
        };
        self.tell(Event::Flow(flow), observer);
        Ok(())
    }

    /// Scores the test text, if there is one, with the best model; without a best one with the model as it stands.
    pub(super) fn test(&mut self, observer: &mut dyn Observer) -> Result<Option<f64>, RunError> {
        if self.config.test_frac == 0.0 {
            return Ok(None);
        }
        let (crew, kernels) = (Arc::clone(&self.crew), self.kernels);
        let mut best = None;
        if self.state.best_nats.is_some() {
            let loaded = load_model(self.storage.as_ref(), &best_path(self.path()), false);
            let loaded = loaded.map_err(RunError::from);
            match loaded.and_then(|loaded| Ok(CharModel::load(&loaded.snapshot, &crew, &kernels)?)) {
                Ok(model) => best = Some(model),
                Err(error) => {
                    let event = self.notice(format!("the test text is scored with the last model: {error}"));
                    self.tell(event, observer);
                }
            }
        }
        let model = best.as_ref().unwrap_or(self.trainer.model());
        let limit = (self.config.batch, self.config.eval_tokens);
        let score = model.evaluate_split(&self.corpus, Split::Test, limit, &crew, &kernels)?;
        if score.is_none() {
            let (symbols, lanes) = (self.corpus.symbols(Split::Test), self.config.batch);
            let event =
                self.notice(format!("the test text ({symbols} symbols) is too short for {lanes} lanes: not scored"));
            self.tell(event, observer);
        }
        Ok(score.map(|score| score.nats))
    }

    fn sample(&mut self, observer: &mut dyn Observer) -> Result<(), RunError> {
        let options = SampleOptions {
            length: SAMPLE_LENGTH,
            temperature: SAMPLE_TEMPERATURE,
            seed: self.config.seed,
            ..SampleOptions::default()
        };
        let text = self.trainer.sample(&options)?;
        let sample = events::Sample {
            step: self.trainer.step_count(),
            train_nats: self.state.chunk_nats.unwrap_or_default(),
            text: String::from_utf8_lossy(&text).into_owned(),
        };
        let entry = folder::sample_entry(&sample);
        if let Err(error) = self.storage.append(&folder::samples_path(self.path()), entry.as_bytes()) {
            self.log_failure("samples.txt", &error, observer);
        }
        self.tell(Event::Sample(sample), observer);
        Ok(())
    }
}
