//! A run around the trainer: steps, evaluations, samples and saves in a fixed order, told as events.
//!
//! ```text
//! until done:   one step -> stop asked? save, leave -> evaluate -> save the best -> epoch's end -> sample -> save
//! ```
//!
//! What is due after a step is a function of the step and the settings. A run that leaves before doing it notes so in
//! its checkpoint, and does it first when it is resumed: a stop changes neither the weights nor the list of scores.
//! Evaluation, samples and saves leave the training state alone.
//!
//! Promises: the same bits through any number of stops, kills and resumes ([`resume`]); an announced checkpoint is
//! durable; the log never lacks a step that a checkpoint has.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use gatemill_corpus::{Corpus, Split};
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use serde::{Deserialize, Serialize};

use crate::checkpoint::{RunFolder, SaveOutcome, Saved, Saver, Snapshot};
use crate::config::Config;
use crate::error::ErrorKind;
use crate::events::{self, Event};
use crate::folder::{self, EventLog};
use crate::sample::SampleOptions;
use crate::storage::Storage;
use crate::trainer::{StepReport, Trainer};

mod error;
pub mod resume;
mod settings;

pub use error::RunError;
pub use settings::{Settings, Source};

/// Symbols of a sample taken during training.
const SAMPLE_LENGTH: u64 = 300;
/// Temperature of those samples: below 1, so that early ones are more than noise.
const SAMPLE_TEMPERATURE: f64 = 0.8;
/// Parts of the run after which a sample is taken where nothing else is asked for: each three times as far as the one
/// before, so that four of them show noise, letters, words and sentences.
const SAMPLE_AT: [u64; 4] = [27, 9, 3, 1];
/// Key of a run's own part of a checkpoint's record.
const RUN_KEY: &str = "run";

/// A signal that ends a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// SIGINT: exit code 130.
    Interrupt,
    /// SIGTERM: exit code 143.
    Terminate,
    /// SIGHUP, treated as SIGTERM.
    HangUp,
}

impl Stop {
    /// The signal's name.
    pub fn name(self) -> &'static str {
        match self {
            Stop::Interrupt => "SIGINT",
            Stop::Terminate => "SIGTERM",
            Stop::HangUp => "SIGHUP",
        }
    }
}

/// Who listens to a run.
pub trait Observer: Send {
    /// Is told every event, in order. Must not fail: a listener that is gone does not end a run.
    fn event(&mut self, event: &Event);
    /// Is asked after every step whether to save and leave.
    fn stop(&self) -> Option<Stop>;
}

/// How a run left off.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// At its end.
    Done(events::Done),
    /// By a signal, with a checkpoint of the last step.
    Stopped(Stop),
}

/// What a run needs to begin.
pub struct Setup {
    /// The effective configuration.
    pub config: Config,
    /// What it does beside training.
    pub settings: Settings,
    /// The text.
    pub corpus: Arc<Corpus>,
    /// The workers.
    pub crew: Arc<Crew>,
    /// The kernels.
    pub kernels: Kernels,
    /// The disk.
    pub storage: Arc<dyn Storage>,
}

/// Where a new run's folder is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// This folder, which has no run yet.
    Folder(PathBuf),
    /// `<root>/<corpus>-<cell>-<LxH>-<n>`.
    Under(PathBuf),
}

/// What is to be done after a step, before the next.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Due {
    evaluate: bool,
    /// The epoch that ended.
    epoch: Option<u64>,
    sample: bool,
    save: bool,
}

/// What a checkpoint keeps of the run, beside the trainer's part.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
struct State {
    /// Loss of the last chunk.
    chunk_nats: Option<f64>,
    /// Token mean of the last whole epoch.
    epoch_nats: Option<f64>,
    /// The last score.
    val_nats: Option<f64>,
    /// The lowest score, that of `best.safetensors`.
    best_nats: Option<f64>,
    /// Left undone by a stop.
    due: Option<Due>,
}

/// A run that can go.
pub struct Run {
    trainer: Trainer,
    config: Config,
    settings: Settings,
    state: State,
    folder: RunFolder,
    saver: Saver,
    log: EventLog,
    /// Log or samples cannot be written: said once.
    log_failed: bool,
    corpus: Arc<Corpus>,
    crew: Arc<Crew>,
    kernels: Kernels,
    storage: Arc<dyn Storage>,
    /// To be told before the first step.
    opening: Vec<Event>,
    /// The step of the newest checkpoint that has this state.
    saved_step: Option<u64>,
    /// Seconds of all steps, and of those of the current epoch.
    seconds: f64,
    epoch_seconds: f64,
}

impl Run {
    /// A new run: the model is made first, then the folder, so that a run that cannot be leaves nothing behind.
    ///
    /// Errors: impossible configuration, corpus too short, no memory; a folder that is taken or cannot be written.
    pub fn start(setup: Setup, place: &Place) -> Result<Self, RunError> {
        let Setup { config, settings, corpus, crew, kernels, storage } = setup;
        if let Place::Folder(run) = place
            && folder::is_run(storage.as_ref(), run)
        {
            return Err(RunError::Occupied { run: run.clone() });
        }
        let trainer = crew.install(|| Trainer::new(&config, Arc::clone(&corpus), Arc::clone(&crew), kernels))?;
        let path = match place {
            Place::Folder(run) => run.clone(),
            Place::Under(root) => folder::claim(storage.as_ref(), root, &settings.source, &config)
                .map_err(|(path, source)| RunError::Io { doing: "create the folder", path, source })?,
        };
        let folder = RunFolder::open(storage.as_ref(), &path)?;
        let setup = Setup { config, settings, corpus, crew, kernels, storage };
        Self::assemble(setup, trainer, folder, State::default())
    }

    fn assemble(setup: Setup, trainer: Trainer, folder: RunFolder, state: State) -> Result<Self, RunError> {
        let Setup { config, settings, corpus, crew, kernels, storage } = setup;
        folder::write_config(storage.as_ref(), folder.path(), &config, &settings)?;
        let saver = Saver::new(Arc::clone(&storage), folder.path(), settings.keep);
        let log = EventLog::new(Arc::clone(&storage), folder.path());
        let mut run = Self {
            trainer,
            config,
            settings,
            state,
            folder,
            saver,
            log,
            log_failed: false,
            corpus,
            crew,
            kernels,
            storage,
            opening: Vec::new(),
            saved_step: None,
            seconds: 0.0,
            epoch_seconds: 0.0,
        };
        run.opening.push(Event::Start(Box::new(run.facts())));
        let notices = run.folder.notices().iter().map(ToString::to_string);
        let notes = run.corpus.notes().iter().map(ToString::to_string);
        let texts: Vec<String> = notices.chain(notes).collect();
        for text in texts {
            run.opening.push(run.notice(text));
        }
        Ok(run)
    }

    /// The run folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The trainer.
    pub fn trainer(&self) -> &Trainer {
        &self.trainer
    }

    /// What the run is and what it will cost: the event with which it begins.
    pub fn facts(&self) -> events::Start {
        let cost = self.trainer.cost();
        events::Start {
            step: self.trainer.step_count(),
            run: self.path().display().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            isa: self.kernels.name().to_owned(),
            threads: self.crew.threads(),
            corpus: self.settings.source.to_string(),
            train_symbols: self.corpus.symbols(Split::Train),
            val_symbols: self.corpus.symbols(Split::Val),
            dropped_symbols: cost.dropped_symbols,
            vocab: self.trainer.model().vocab.len(),
            parameters: cost.parameters,
            memory_bytes: cost.memory_bytes,
            flops_per_token: cost.flops_per_token,
            steps: self.trainer.total_steps(),
            steps_per_epoch: self.trainer.steps_per_epoch(),
            config: self.config.clone(),
        }
    }

    /// Goes to the end, or until the observer asks for a stop. The whole of it runs on the crew's workers.
    ///
    /// Errors: the corpus fails (a checkpoint of the last step is saved first), training diverges, three saves in a row
    /// fail.
    pub fn go(&mut self, observer: &mut dyn Observer) -> Result<Outcome, RunError> {
        let crew = Arc::clone(&self.crew);
        let result = crew.install(|| self.steps(observer));
        if let Err(error) = &result {
            // The caller is told by the result, the log by this.
            let event = self.notice(error.to_string());
            let _ = self.log.add(&event);
        }
        self.flush(observer);
        result
    }

    fn steps(&mut self, observer: &mut dyn Observer) -> Result<Outcome, RunError> {
        for event in std::mem::take(&mut self.opening) {
            self.tell(event, observer);
        }
        if self.saved_step.is_none() {
            // A run can be resumed from its first moment, and a disk that is too small is found now.
            self.save(observer)?;
        }
        loop {
            if let Some(stop) = observer.stop() {
                self.save_surely(observer)?;
                let step = self.trainer.step_count();
                self.tell(Event::Stopped(events::Stopped { step, signal: stop.name().to_owned() }), observer);
                return Ok(Outcome::Stopped(stop));
            }
            if let Some(due) = self.state.due {
                let done = self.after_step(due, observer);
                self.or_save(done, observer)?;
            }
            if self.trainer.is_done() {
                break;
            }
            // A stop that came during an evaluation is not kept waiting for another step.
            if observer.stop().is_some() {
                continue;
            }
            let begun = Instant::now();
            let report = self.trainer.step().map_err(RunError::from);
            let report = self.or_save(report, observer)?;
            self.note(&report, begun.elapsed().as_secs_f64(), observer);
        }
        self.save_surely(observer)?;
        let done = events::Done {
            steps: self.trainer.step_count(),
            tokens: self.tokens(),
            seconds: self.seconds,
            train_nats: self.state.epoch_nats.or(self.state.chunk_nats),
            val_nats: self.state.val_nats,
            weights_sha256: self.trainer.weights_sha256(),
        };
        self.tell(Event::Done(done.clone()), observer);
        Ok(Outcome::Done(done))
    }

    /// Tells a step and settles what is due after it.
    fn note(&mut self, report: &StepReport, seconds: f64, observer: &mut dyn Observer) {
        self.seconds += seconds;
        self.epoch_seconds += seconds;
        self.state.chunk_nats = Some(report.train_nats);
        let epoch = report.epoch_end.as_ref().map(|end| end.epoch);
        if let Some(end) = &report.epoch_end {
            self.state.epoch_nats = Some(end.train_nats);
        }
        let tokens = self.config.batch.saturating_mul(self.config.seq) as f64;
        let event = events::Step {
            step: report.step,
            epoch: report.epoch,
            tokens: report.tokens,
            train_nats: report.train_nats,
            grad_norm: report.grad_norm,
            lr: report.lr,
            tokens_per_s: tokens / seconds.max(f64::MIN_POSITIVE),
        };
        self.tell(Event::Step(event), observer);

        let last = self.trainer.is_done();
        let at = |every: Option<u64>| every.map_or(epoch.is_some(), |n| report.step.is_multiple_of(n.max(1)));
        let total = self.trainer.total_steps();
        let due = Due {
            evaluate: last || at(self.settings.eval_every),
            epoch,
            sample: match self.settings.sample_every {
                Some(n) => report.step.is_multiple_of(n.max(1)),
                None => SAMPLE_AT.iter().any(|&part| report.step == total.div_ceil(part)),
            },
            save: at(self.settings.save_every),
        };
        self.state.due = (due != Due::default()).then_some(due);
    }

    /// What is due after a step: evaluation, best model, epoch's end, sample, checkpoint.
    fn after_step(&mut self, due: Due, observer: &mut dyn Observer) -> Result<(), RunError> {
        let step = self.trainer.step_count();
        let mut val_nats = None;
        if due.evaluate {
            match self.trainer.evaluate()? {
                Some(score) => {
                    val_nats = Some(score.nats);
                    self.state.val_nats = val_nats;
                    let (tokens, unseen) = (score.tokens, score.unseen);
                    let event = events::Eval { step, val_nats: score.nats, val_bits: score.bits, tokens, unseen };
                    self.tell(Event::Eval(event), observer);
                }
                None if self.config.val_frac > 0.0 => {
                    let text = format!(
                        "the validation text ({} symbols) is too short for {} lanes: not evaluated",
                        self.corpus.symbols(Split::Val),
                        self.config.batch
                    );
                    let event = self.notice(text);
                    self.tell(event, observer);
                }
                None => {}
            }
        }
        if let Some(nats) = val_nats
            && self.state.best_nats.is_none_or(|best| nats < best)
        {
            self.state.best_nats = val_nats;
            let mut snapshot = self.trainer.model_snapshot();
            self.annotate(&mut snapshot);
            let outcome = self.saver.save_best(&snapshot);
            self.settle(outcome, observer)?;
        }
        if let Some(epoch) = due.epoch {
            let train_nats = self.state.epoch_nats.unwrap_or_default();
            let seconds = std::mem::take(&mut self.epoch_seconds);
            self.tell(Event::Epoch(events::Epoch { step, epoch, train_nats, val_nats, seconds }), observer);
        }
        if due.sample {
            self.sample(observer)?;
        }
        self.state.due = None;
        // A checkpoint of this step that a stop left has these things still to be done.
        self.saved_step = None;
        if due.save { self.save(observer) } else { Ok(()) }
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

    /// Saves a checkpoint. A failure is a notice; the third in a row an error.
    fn save(&mut self, observer: &mut dyn Observer) -> Result<(), RunError> {
        if let Err(error) = self.corpus.check_unchanged() {
            let event = self.notice(format!("the corpus changed while it is in use: {error}"));
            self.tell(event, observer);
        }
        // Before the checkpoint, so that the log has every step that the checkpoint has.
        self.flush(observer);
        let step = self.trainer.step_count();
        let mut snapshot = self.trainer.snapshot();
        self.annotate(&mut snapshot);
        let outcome = self.saver.save(step, &snapshot);
        if matches!(outcome, SaveOutcome::Saved(_)) {
            self.saved_step = Some(step);
        }
        self.settle(outcome, observer)
    }

    /// Saves where there is no later chance: until it works, or has failed three times in a row.
    fn save_surely(&mut self, observer: &mut dyn Observer) -> Result<(), RunError> {
        while self.saved_step != Some(self.trainer.step_count()) {
            self.save(observer)?;
        }
        Ok(())
    }

    /// Passes a result on; an error of the corpus or of memory only after the last good state is saved.
    fn or_save<T>(&mut self, result: Result<T, RunError>, observer: &mut dyn Observer) -> Result<T, RunError> {
        if let Err(RunError::Train(error)) = &result
            && error.kind() != ErrorKind::Diverged
        {
            self.save_surely(observer)?;
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
        let step = self.trainer.step_count();
        let path = saved.path.display().to_string();
        let event = events::Checkpoint { step, path, size_bytes: saved.size_bytes, best: saved.step.is_none() };
        self.tell(Event::Checkpoint(event), observer);
    }

    /// Adds the run's own part to a snapshot's record.
    fn annotate(&self, snapshot: &mut Snapshot) {
        if let Some(meta) = &mut snapshot.meta {
            let run = serde_json::json!({ "settings": self.settings, "state": self.state });
            meta.insert(RUN_KEY.to_owned(), run);
            meta.insert("corpus".to_owned(), self.corpus.fingerprint().to_string().into());
            meta.insert("step".to_owned(), self.trainer.step_count().into());
        }
    }

    fn tokens(&self) -> u64 {
        let chunk = self.config.batch.saturating_mul(self.config.seq) as u64;
        self.trainer.step_count().saturating_mul(chunk)
    }

    fn notice(&self, text: String) -> Event {
        Event::Notice(events::Notice { step: self.trainer.step_count(), text })
    }

    fn tell(&mut self, event: Event, observer: &mut dyn Observer) {
        observer.event(&event);
        if let Err(error) = self.log.add(&event) {
            self.log_failure("events.jsonl", &error, observer);
        }
    }

    fn flush(&mut self, observer: &mut dyn Observer) {
        if let Err(error) = self.log.flush() {
            self.log_failure("events.jsonl", &error, observer);
        }
    }

    fn log_failure(&mut self, name: &str, error: &io::Error, observer: &mut dyn Observer) {
        if !std::mem::replace(&mut self.log_failed, true) {
            let text = format!("cannot write {}: {error}; training goes on", self.path().join(name).display());
            observer.event(&self.notice(text));
        }
    }
}
