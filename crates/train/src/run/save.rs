//! Saving: checkpoints at their times and before every end, the best model, what is said of it.

use super::{Course, Observer, RUN_KEY, Run, RunError};
use crate::checkpoint::{SaveOutcome, Saved, Snapshot};
use crate::error::TrainError;
use crate::events::{self, Event};
use crate::export::Export;

impl<C: Course> Run<C> {
    /// Saves a checkpoint. A failure is a notice; the third in a row an error.
    pub(super) fn save(&mut self, observer: &mut dyn Observer) -> Result<(), RunError> {
        let unchanged = self.course.check_unchanged();
        if let Err(error) = &unchanged {
            let event = self.notice(format!("the corpus changed while it is in use: {error}"));
            self.tell(event, observer);
        }
        // Before the checkpoint, so that the log has every step that the checkpoint has.
        self.flush(observer);
        let step = self.course.step_count();
        self.course.room_for_snapshot()?;
        let mut snapshot = self.course.checkpoint();
        self.annotate(&mut snapshot);
        let outcome = self.saver.save(step, &snapshot);
        if matches!(outcome, SaveOutcome::Saved(_)) {
            self.saved_step = Some(step);
        }
        self.settle(outcome, observer)?;
        match unchanged {
            Err(error) if self.settings.strict_corpus => Err(TrainError::from(error).into()),
            _ => Ok(()),
        }
    }

    /// Saves the model as the best one so far.
    pub(super) fn save_best(&mut self, observer: &mut dyn Observer) -> Result<(), RunError> {
        self.course.room_for_snapshot()?;
        let mut snapshot = self.course.model();
        self.annotate(&mut snapshot);
        let outcome = self.saver.save_best(&snapshot);
        self.settle(outcome, observer)
    }

    /// Saves where there is no later chance: until it works, or has failed three times in a row.
    pub(super) fn save_surely(&mut self, observer: &mut dyn Observer) -> Result<(), RunError> {
        while self.saved_step != Some(self.course.step_count()) {
            self.save(observer)?;
        }
        Ok(())
    }

    /// Passes a result on; an error only after the last good state is saved. Where training diverged that is the state
    /// before the step, if its weights still give a finite loss; else the last checkpoint has to do.
    pub(super) fn or_save<T>(
        &mut self,
        result: Result<T, RunError>,
        observer: &mut dyn Observer,
    ) -> Result<T, RunError> {
        let Err(RunError::Train(error)) = &result else { return result };
        if !matches!(error, TrainError::Diverged { usable: false, .. }) && self.course.is_finite() {
            self.save_surely(observer)?;
        } else {
            let step = self.course.step_count();
            let text = format!("the weights after step {step} give no finite loss: they are not saved");
            let event = self.notice(text);
            self.tell(event, observer);
        }
        result
    }

    fn settle(&mut self, outcome: SaveOutcome, observer: &mut dyn Observer) -> Result<(), RunError> {
        match outcome {
            SaveOutcome::Saved(saved) => {
                self.announce(&saved, observer);
                for notice in self.saver.announced(&saved) {
                    let event = self.notice(notice.to_string());
                    self.tell(event, observer);
                }
                Ok(())
            }
            SaveOutcome::Skipped { error, .. } => {
                let event = self.notice(format!("{error}; training goes on"));
                self.tell(event, observer);
                Ok(())
            }
            SaveOutcome::GiveUp(error) => Err(error.into()),
        }
    }

    fn announce(&mut self, saved: &Saved, observer: &mut dyn Observer) {
        let step = self.course.step_count();
        let path = saved.path.display().to_string();
        let event = events::Checkpoint { step, path, size_bytes: saved.size_bytes, best: saved.step.is_none() };
        self.tell(Event::Checkpoint(event), observer);
    }

    /// Adds the run's own part to a snapshot's record.
    fn annotate(&self, snapshot: &mut Snapshot<Export<'_>>) {
        if let Some(meta) = &mut snapshot.meta {
            let run = serde_json::json!({ "settings": self.settings, "state": self.state });
            meta.insert(RUN_KEY.to_owned(), run);
            meta.insert("corpus".to_owned(), self.course.fingerprint().into());
            meta.insert("step".to_owned(), self.course.step_count().into());
        }
    }
}
