//! What is due after a step: evaluation, the best model, epoch's end, gradients by distance, sample; and the test text at the
//! end.

use super::{Course, Due, Ending, Flags, Observer, Run, RunError, Scored};
use crate::checkpoint::{best_path, load_model};
use crate::events::{self, Event};
use crate::folder;

impl<C: Course> Run<C> {
    /// What is due after a step: evaluation, best model, epoch's end, sample, checkpoint.
    pub(super) fn after_step(&mut self, due: Due, observer: &mut dyn Observer) -> Result<(), RunError> {
        let step = self.course.step_count();
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

    /// Scores the validation part: the schedule may cut its rate, the best model is kept, patience may run out.
    fn evaluate(&mut self, observer: &mut dyn Observer) -> Result<Option<f64>, RunError> {
        let step = self.course.step_count();
        let Scored { evaluation: score, metrics } = match self.course.evaluate()? {
            Ok(scored) => scored,
            Err(why) => {
                if let Some(text) = why {
                    let event = self.notice(text);
                    self.tell(event, observer);
                }
                return Ok(None);
            }
        };
        let (nats, tokens, unseen) = (score.nats, score.tokens, score.unseen);
        self.state.val_nats = Some(nats);
        let (val_bits, of_this) = (score.bits, metrics.clone());
        self.tell(
            Event::Eval(events::Eval { step, val_nats: nats, val_bits, tokens, unseen, metrics: of_this }),
            observer,
        );
        if let Some(lr) = self.course.observe_score(nats) {
            let event = self.notice(format!("no better score: the learning rate is {lr} from here on"));
            self.tell(event, observer);
        }
        if self.state.best_nats.is_some_and(|best| nats >= best) || nats.is_nan() {
            self.state.stale = self.state.stale.saturating_add(1);
            let patience = self.course.config().base().patience;
            if patience.is_some_and(|patience| self.state.stale >= patience) && !self.course.is_done() {
                self.state.ended = Some(Ending::Patience);
            }
        } else {
            (self.state.best_nats, self.state.best_step, self.state.stale) = (Some(nats), Some(step), 0);
            self.state.best = metrics;
            self.save_best(observer)?;
        }
        Ok(Some(nats))
    }

    /// Looks at gradients by distance on the validation part, for a small part of what its evaluation took, and tells how often
    /// clipping acted. Where a course has none, or its text is too short, nothing is told.
    fn flow(&mut self, observer: &mut dyn Observer) -> Result<(), RunError> {
        let Some(flow) = self.course.flow()? else { return Ok(()) };
        let (steps, clipped) = (std::mem::take(&mut self.state.since_flow), std::mem::take(&mut self.state.clipped));
        let flow = events::Flow {
            step: self.course.step_count(),
            positions: flow.positions,
            distance: flow.distance,
            memory_ends: flow.reach.faint,
            half: flow.reach.half,
            most: flow.reach.most,
            factor: flow.reach.factor,
            steps,
            clipped: (self.course.config().base().clip_norm > 0.0).then_some(clipped),
        };
        self.tell(Event::Flow(flow), observer);
        Ok(())
    }

    /// Scores the test part, if there is one, with the best model; without a best one with the model as it stands.
    pub(super) fn test(&mut self, observer: &mut dyn Observer) -> Result<Option<Scored>, RunError> {
        if self.course.config().base().test_frac == 0.0 {
            return Ok(None);
        }
        let mut best = None;
        if self.state.best_nats.is_some() {
            match load_model(self.storage.as_ref(), &best_path(self.path()), false) {
                Ok(loaded) => best = Some(loaded.snapshot),
                Err(error) => self.say_scored_with_the_last(&RunError::from(error), observer),
            }
        }
        let mut scored = self.course.test(best.as_ref());
        if let (Err(error), true) = (&scored, best.is_some()) {
            let error = error.to_string();
            self.say_scored_with_the_last(&error, observer);
            scored = self.course.test(None);
        }
        match scored? {
            Ok(scored) => Ok(Some(scored)),
            Err(why) => {
                if let Some(text) = why {
                    let event = self.notice(text);
                    self.tell(event, observer);
                }
                Ok(None)
            }
        }
    }

    fn say_scored_with_the_last(&mut self, why: &dyn std::fmt::Display, observer: &mut dyn Observer) {
        let event = self.notice(format!("the test part is scored with the last model: {why}"));
        self.tell(event, observer);
    }

    fn sample(&mut self, observer: &mut dyn Observer) -> Result<(), RunError> {
        let sample = events::Sample {
            step: self.course.step_count(),
            train_nats: self.state.chunk_nats.unwrap_or_default(),
            text: self.course.sample()?,
        };
        let entry = folder::sample_entry(&sample);
        if let Err(error) = self.storage.append(&folder::samples_path(self.path()), entry.as_bytes()) {
            self.log_failure("samples.txt", &error, observer);
        }
        self.tell(Event::Sample(sample), observer);
        Ok(())
    }
}
