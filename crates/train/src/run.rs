//! A run around a trainer: steps, evaluations, samples and saves in a fixed order, told as events. What is trained, and on
//! what, is the [`Course`]'s: a character model on a text, or a task's model on its examples.
//!
//! ```text
//! until done:   one step -> stop asked? save, leave -> evaluate -> save the best -> epoch's end -> sample -> save
//! at the end:   save -> score the test text with the best model
//! ```
//!
//! A run is done when its steps are made, its minutes are over, or the validation loss has not fallen for `patience`
//! evaluations. Minutes are counted out as steps before the first one ([`Run::start`]), so that the schedule can be laid
//! over them and the run be repeated: `--steps` with the number that was told gives the same weights.
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

use gatemill_corpus::Corpus;
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use serde::{Deserialize, Serialize};

use crate::checkpoint::{RunFolder, Saver};
use crate::config::Config;
use crate::events::{self, Event, Metrics};
use crate::folder::{self, EventLog};
use crate::storage::Storage;
use crate::trainer::StepReport;

mod after; // what is due after a step
mod course; // what is trained
mod error;
pub mod resume;
mod save; // checkpoints and the best model
mod settings;
pub mod task; // a task's model on its examples
mod text; // a character model on a text

pub use course::{Course, Facts, Flags, PartSymbols, Scored};
pub use error::RunError;
pub use settings::{Settings, Source};
pub use task::{TaskCourse, TaskData, TaskSetup};
pub use text::{TextCourse, sample_options};

const SECONDS_PER_MINUTE: f64 = 60.0;
/// Share of `--minutes` that goes into steps; the rest is for evaluation, samples and saves. A guess.
const STEPS_SHARE: f64 = 0.93;

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
    Done(Box<events::Done>),
    /// By a signal, with a checkpoint of the last step.
    Stopped(Stop),
}

/// What a run on a text needs to begin.
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

/// What every run needs beside its course.
pub struct Means {
    /// What it does beside training.
    pub settings: Settings,
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

/// What ends a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// All steps are made.
    Steps,
    /// `--minutes` are over.
    Minutes,
    /// `--patience`: no better score for so many evaluations.
    Patience,
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
    /// The step of that score.
    best_step: Option<u64>,
    /// What else was measured then.
    best: Metrics,
    /// Evaluations since then.
    stale: u64,
    /// Steps since gradients by distance were told, and those of them that were clipped.
    since_flow: u64,
    clipped: u64,
    /// Why the run ends before its steps are made.
    ended: Option<Ending>,
    /// Left undone by a stop.
    due: Option<Due>,
}

/// A run that can go.
pub struct Run<C: Course = TextCourse> {
    course: C,
    settings: Settings,
    state: State,
    folder: RunFolder,
    saver: Saver,
    log: EventLog,
    /// Log or samples cannot be written: said once.
    log_failed: bool,
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
    /// Seconds that a step will take, as a rehearsal found.
    step_seconds: f64,
    /// When this process began with the steps, and the seconds of earlier ones.
    begun: Instant,
    earlier_seconds: f64,
}

impl<C: Course> Run<C> {
    /// A new run: the course is made first, then the folder, so that a run that cannot be leaves nothing behind.
    ///
    /// Errors: those of `make`; no memory; a folder that is taken or cannot be written.
    pub fn begin(
        means: Means,
        place: &Place,
        make: impl FnOnce() -> Result<C, RunError> + Send,
    ) -> Result<Self, RunError> {
        let Means { settings, crew, storage, .. } = &means;
        let look = |run: &Path| match folder::is_run(storage.as_ref(), run) {
            Ok(false) => Ok(()),
            Ok(true) => Err(RunError::Occupied { run: run.to_owned() }),
            Err((path, source)) => Err(RunError::Io { doing: "look at", path, source }),
        };
        if let Place::Folder(run) = place {
            look(run)?;
        }
        let mut course = crew.steady(make)?;
        course.room_for_snapshot()?;
        let step_seconds = crew.steady(|| course.rehearse())?;
        let steps = course.config().base().steps;
        count_out(&mut course, steps, step_seconds, 0.0);
        let path = match place {
            Place::Folder(run) => run.clone(),
            Place::Under(root) => folder::claim(storage.as_ref(), root, &settings.source, course.config().base())
                .map_err(|(path, source)| RunError::Io { doing: "create the folder", path, source })?,
        };
        let folder = RunFolder::open(storage.as_ref(), &path)?;
        // Asked again under the lock: another process may have run here since.
        look(&path)?;
        // A start that was killed before its first checkpoint may have left a log.
        folder::cut_back(storage.as_ref(), &path, 0, true).map_err(|(path, source)| RunError::Io {
            doing: "cut back",
            path,
            source,
        })?;
        Self::assemble(means, (course, step_seconds), folder, State::default())
    }

    fn assemble(
        means: Means,
        (course, step_seconds): (C, f64),
        folder: RunFolder,
        state: State,
    ) -> Result<Self, RunError> {
        let Means { settings, crew, kernels, storage } = means;
        folder::write_page(storage.as_ref(), folder.path(), &course.config().page(&settings))?;
        let saver = Saver::new(Arc::clone(&storage), folder.path(), settings.keep);
        let log = EventLog::new(Arc::clone(&storage), folder.path());
        let mut run = Self {
            course,
            settings,
            state,
            folder,
            saver,
            log,
            log_failed: false,
            crew,
            kernels,
            storage,
            opening: Vec::new(),
            saved_step: None,
            seconds: 0.0,
            epoch_seconds: 0.0,
            step_seconds,
            begun: Instant::now(),
            earlier_seconds: 0.0,
        };
        run.opening.push(Event::Start(Box::new(run.facts())));
        let notices = run.folder.notices().iter().map(ToString::to_string);
        let texts: Vec<String> = notices.chain(run.course.notes()).collect();
        for text in texts {
            run.opening.push(run.notice(text));
        }
        Ok(run)
    }

    /// The run folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What is trained, and on what.
    pub fn course(&self) -> &C {
        &self.course
    }

    /// What the run is and what it will cost: the event with which it begins.
    pub fn facts(&self) -> events::Start {
        let (course, step) = (&self.course, self.course.step_count());
        let Facts { symbols, dropped_symbols, vocab, parameters, memory_bytes, flops_per_token, task } = course.facts();
        events::Start {
            step,
            run: self.path().display().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            isa: self.kernels.name().to_owned(),
            threads: self.crew.threads(),
            corpus: self.settings.source.to_string(),
            train_symbols: symbols.train,
            val_symbols: symbols.val,
            test_symbols: symbols.test,
            dropped_symbols,
            vocab,
            parameters,
            memory_bytes,
            flops_per_token,
            steps: course.total_steps(),
            steps_per_epoch: course.steps_per_epoch(),
            seconds_per_epoch: self.step_seconds * course.steps_per_epoch() as f64,
            seconds_in_all: self.step_seconds * course.total_steps().saturating_sub(step) as f64,
            config: course.config().base().clone(),
            task,
        }
    }

    /// Goes to the end, or until the observer asks for a stop. The whole of it runs on the crew's workers.
    ///
    /// Errors: the corpus fails (a checkpoint of the last step is saved first), training diverges, three saves in a row
    /// fail.
    pub fn go(&mut self, observer: &mut dyn Observer) -> Result<Outcome, RunError> {
        let crew = Arc::clone(&self.crew);
        let result = crew.steady(|| self.steps(observer));
        if let Err(error) = &result {
            // The caller is told by the result, the log by this.
            let event = self.notice(error.to_string());
            let _ = self.log.add(&event);
        }
        self.flush(observer);
        result
    }

    fn steps(&mut self, observer: &mut dyn Observer) -> Result<Outcome, RunError> {
        self.begun = Instant::now();
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
                let step = self.course.step_count();
                self.tell(Event::Stopped(events::Stopped { step, signal: stop.name().to_owned() }), observer);
                return Ok(Outcome::Stopped(stop));
            }
            if let Some(due) = self.state.due {
                let done = self.after_step(due, observer);
                self.or_save(done, observer)?;
            }
            if self.ending().is_some() {
                break;
            }
            // A stop that came during an evaluation is not kept waiting for another step.
            if observer.stop().is_some() {
                continue;
            }
            let (begun, tokens) = (Instant::now(), self.course.tokens());
            let report = self.course.step().map_err(RunError::from);
            let report = self.or_save(report, observer)?;
            let tokens = report.tokens.saturating_sub(tokens);
            self.note(&report, (tokens, begun.elapsed().as_secs_f64()), observer);
        }
        self.save_surely(observer)?;
        let test = self.test(observer)?;
        let done = events::Done {
            steps: self.course.step_count(),
            tokens: self.course.tokens(),
            seconds: self.seconds,
            train_nats: self.state.epoch_nats.or(self.state.chunk_nats),
            val_nats: self.state.val_nats,
            best_nats: self.state.best_nats,
            best_step: self.state.best_step,
            test_nats: test.as_ref().map(|test| test.evaluation.nats),
            ended: self.ending().unwrap_or(Ending::Steps),
            weights_sha256: self.course.weights_sha256(),
            best: self.state.best.clone(),
            test: test.map(|test| test.metrics).filter(|metrics| *metrics != Metrics::default()),
        };
        self.tell(Event::Done(done.clone()), observer);
        Ok(Outcome::Done(Box::new(done)))
    }

    /// Tells a step of so many tokens and seconds, and settles what is due after it.
    fn note(&mut self, report: &StepReport, (tokens, seconds): (u64, f64), observer: &mut dyn Observer) {
        self.seconds += seconds;
        self.epoch_seconds += seconds;
        self.state.chunk_nats = Some(report.train_nats);
        self.state.since_flow = self.state.since_flow.saturating_add(1);
        let most = self.course.config().base().clip_norm;
        if most > 0.0 && report.grad_norm > most {
            self.state.clipped = self.state.clipped.saturating_add(1);
        }
        let epoch = report.epoch_end.as_ref().map(|end| end.epoch);
        if let Some(end) = &report.epoch_end {
            self.state.epoch_nats = Some(end.train_nats);
        }
        let event = events::Step {
            step: report.step,
            epoch: report.epoch,
            tokens: report.tokens,
            train_nats: report.train_nats,
            grad_norm: report.grad_norm,
            lr: report.lr,
            tokens_per_s: tokens as f64 / seconds.max(f64::MIN_POSITIVE),
            accuracy: report.accuracy,
        };
        self.tell(Event::Step(event), observer);

        if let Some(minutes) = self.course.config().base().minutes
            && self.clock() >= minutes * SECONDS_PER_MINUTE
            && !self.course.is_done()
        {
            self.state.ended = Some(Ending::Minutes);
        }
        let last = self.ending().is_some();
        let at = |every: Option<u64>| every.map_or(epoch.is_some(), |n| report.step.is_multiple_of(n.max(1)));
        let total = self.course.total_steps();
        let due = Due {
            evaluate: last || at(self.settings.eval_every),
            epoch,
            sample: match self.settings.sample_every {
                Some(n) => report.step.is_multiple_of(n.max(1)),
                None => last || SAMPLE_AT.iter().any(|&part| report.step == total.div_ceil(part)),
            },
            save: at(self.settings.save_every),
        };
        self.state.due = (due != Due::default()).then_some(due);
    }

    /// Why the run is over, if it is.
    fn ending(&self) -> Option<Ending> {
        self.state.ended.or(self.course.is_done().then_some(Ending::Steps))
    }

    /// Seconds of the run: those of this process, and the steps of earlier ones.
    fn clock(&self) -> f64 {
        self.earlier_seconds + self.begun.elapsed().as_secs_f64()
    }

    fn notice(&self, text: String) -> Event {
        Event::Notice(events::Notice { step: self.course.step_count(), text })
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

/// Settles how many steps a run of so many minutes has, from what a step takes and the seconds that are gone already;
/// where `steps` are given the smaller number. Without minutes nothing changes.
fn count_out<C: Course>(course: &mut C, steps: Option<u64>, step_seconds: f64, gone: f64) {
    let Some(minutes) = course.config().base().minutes else { return };
    let left = (minutes * SECONDS_PER_MINUTE - gone).max(0.0) * STEPS_SHARE;
    let fit = course.step_count().saturating_add((left / step_seconds.max(f64::MIN_POSITIVE)) as u64).max(1);
    course.set_steps(steps.map_or(fit, |steps| steps.min(fit)));
}
