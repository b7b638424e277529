//! Going on from a checkpoint: what may change, what must not, and whether the text is still the same.
//!
//! | flag | on resume |
//! |---|---|
//! | `--threads --io --keep --eval-every --save-every --sample-every --patience --strict-corpus`, a moved FILE | free: no bit depends on them |
//! | what moves the weights to come: `--lr` and all that shapes it, the optimiser's numbers, clipping, `--dropout --output-dropout --no-carry --seed --epochs --steps --minutes --shards --eval-tokens`; the portable tier against another | only with `--override`, and recorded |
//! | `--cell --layers --hidden --embed --tied --batch --accumulate --seq --vocab --lossy --document-separator --optimizer --init --init-scale --forget-bias --val-frac --test-frac` | never: the weights, moments and lanes were made with them |
//!
//! `--epochs`, `--steps` and `--minutes` are free where the learning rate does not depend on the run's length (no cosine,
//! no warm-up). `--eval-every` is not where the learning rate depends on the scores (plateau).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Course, Flags, Means, RUN_KEY, Run, RunError, Settings, Setup, Source, State, TextCourse};
use crate::checkpoint::{Loaded, RunFolder, Snapshot, checkpoints_folder, newest};
use crate::config::{Config, ScheduleKind};
use crate::error::TrainError;
use crate::events::{self, Event};
use crate::folder;
use crate::model::field;
use crate::storage::Storage;
use crate::trainer::Trainer;

/// Flags that say how long a run is.
const LENGTH: [&str; 3] = ["epochs", "steps", "minutes"];

/// A flag whose value differs from the checkpoint's.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The flag, without dashes; `isa` for the tier.
    pub flag: String,
    /// The checkpoint's value.
    pub from: Value,
    /// The value asked for.
    pub to: Value,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plain = |value: &Value| match value {
            Value::String(text) => text.clone(),
            Value::Null => "not given".to_owned(),
            other => other.to_string(),
        };
        let dashes = if self.flag == "isa" { "" } else { "--" };
        write!(f, "{dashes}{} {} (was {})", self.flag, plain(&self.to), plain(&self.from))
    }
}

/// The flags in which two configurations differ, in the order of their names.
pub fn changes<F: Flags>(from: &F, to: &F) -> Vec<Change> {
    let (from, to) = (from.flags(), to.flags());
    let value = |fields: &Map<String, Value>, flag: &str| fields.get(flag).cloned().unwrap_or(Value::Null);
    let flags = from.keys().filter(|&flag| from.get(flag) != to.get(flag));
    flags.map(|flag| Change { flag: flag.clone(), from: value(&from, flag), to: value(&to, flag) }).collect()
}

/// What a record says of the run that made it: the text, its fingerprint, the intervals.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// What the run did beside training, and on what.
    pub settings: Settings,
    /// Fingerprint of the text.
    pub fingerprint: String,
}

impl Origin {
    /// Reads a snapshot's record, a checkpoint's or a best model's. Errors: no record, or none of a run.
    pub fn of(snapshot: &Snapshot) -> Result<Self, TrainError> {
        let meta = record(snapshot)?;
        let run: Map<String, Value> = field(meta, RUN_KEY)?;
        Ok(Self { settings: field(&run, "settings")?, fingerprint: field(meta, "corpus")? })
    }

    /// Checks that a text is the one that the run was started on. Errors: [`RunError::OtherCorpus`].
    pub fn check(&self, source: &Source, fingerprint: &str) -> Result<(), RunError> {
        if fingerprint == self.fingerprint {
            return Ok(());
        }
        Err(RunError::OtherCorpus {
            found: source.to_string(),
            expected: self.settings.source.to_string(),
            found_print: fingerprint.to_owned(),
            expected_print: self.fingerprint.clone(),
        })
    }
}

fn record(snapshot: &Snapshot) -> Result<&Map<String, Value>, TrainError> {
    snapshot.meta.as_ref().ok_or_else(|| TrainError::Model("it has no `gatemill` record".to_owned()))
}

/// A run folder that is ours, with its newest usable checkpoint, of whatever was trained there.
pub struct Found {
    loaded: Loaded,
    folder: RunFolder,
}

impl Found {
    /// Takes the folder's lock and reads its newest checkpoint; with `strict` no older one.
    ///
    /// Errors: no run there, or another process in it; no usable checkpoint. Never a fresh start.
    pub fn open(storage: &dyn Storage, run: &Path, strict: bool) -> Result<Self, RunError> {
        // A folder without checkpoints is refused before anything is created in it.
        if storage.kind(&checkpoints_folder(run)).is_err() {
            newest(storage, run, strict)?;
        }
        let folder = RunFolder::open(storage, run)?;
        Ok(Self { loaded: newest(storage, run, strict)?, folder })
    }

    /// Whether it was made with these flags.
    pub fn is<F: Flags>(&self) -> bool {
        is_of::<F>(&self.loaded.snapshot)
    }
}

/// Whether a snapshot, a checkpoint or a model, was made with these flags.
pub fn is_of<F: Flags>(snapshot: &Snapshot) -> bool {
    snapshot.meta.as_ref().is_some_and(|meta| meta.contains_key(F::KEY))
}

/// A checkpoint of a run with these flags.
pub struct Resumed<F: Flags = Config> {
    /// The configuration that the checkpoint was made with.
    pub config: F,
    /// Its run.
    pub origin: Origin,
    loaded: Loaded,
    folder: RunFolder,
    state: State,
    isa: String,
}

impl<F: Flags> Resumed<F> {
    /// Takes the folder's lock and reads its newest checkpoint; with `strict` no older one.
    ///
    /// Errors: those of [`Found::open`] and [`Resumed::of`].
    pub fn open(storage: &dyn Storage, run: &Path, strict: bool) -> Result<Self, RunError> {
        Self::of(Found::open(storage, run, strict)?)
    }

    /// Errors: a record that lacks something, or one of other flags.
    pub fn of(Found { loaded, folder }: Found) -> Result<Self, RunError> {
        let meta = record(&loaded.snapshot)?;
        let of_run: Map<String, Value> = field(meta, RUN_KEY)?;
        Ok(Self {
            config: field(meta, F::KEY)?,
            origin: Origin::of(&loaded.snapshot)?,
            state: field(&of_run, "state")?,
            isa: field(meta, "isa")?,
            loaded,
            folder,
        })
    }

    /// The checkpoint's file.
    pub fn path(&self) -> &PathBuf {
        &self.loaded.path
    }

    /// The checkpoint.
    pub fn snapshot(&self) -> &Snapshot {
        &self.loaded.snapshot
    }

    /// The changes that `config` and `settings` on the tier `isa` mean, all of which an override allows.
    ///
    /// Errors: [`RunError::Fixed`] for flags that cannot change, [`RunError::NeedsOverride`] without `allowed`.
    pub fn changes(&self, config: &F, settings: &Settings, isa: &str, allowed: bool) -> Result<Vec<Change>, RunError> {
        let mut all = changes(&self.config, config);
        let change = |flag: &str, from: Value, to: Value| Change { flag: flag.to_owned(), from, to };
        if self.isa != isa && (self.isa == "portable" || isa == "portable") {
            all.push(change("isa", self.isa.clone().into(), isa.into()));
        }
        let (was, is) = (self.origin.settings.eval_every, settings.eval_every);
        if config.base().schedule == ScheduleKind::Plateau && was != is {
            all.push(change("eval-every", was.into(), is.into()));
        }
        let (fixed, rest): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|change| F::FIXED.contains(&change.flag.as_str()));
        if !fixed.is_empty() {
            return Err(RunError::Fixed { changes: fixed });
        }
        let any_length = |c: &Config| c.schedule != ScheduleKind::Cosine && c.warmup.unwrap_or(0) == 0;
        let any_length = any_length(config.base()) && any_length(self.config.base());
        let free = |change: &Change| change.flag == "patience" || any_length && LENGTH.contains(&change.flag.as_str());
        let heavy: Vec<_> = rest.iter().filter(|change| !free(change)).cloned().collect();
        if !heavy.is_empty() && !allowed {
            return Err(RunError::NeedsOverride { changes: heavy });
        }
        Ok(rest)
    }
}

impl Run {
    /// Goes on where a checkpoint of a run on a text left off.
    ///
    /// `setup` has the effective configuration and the text opened with the model's vocabulary. Errors: those of
    /// [`Run::go_on`].
    pub fn resume(resumed: Resumed, setup: Setup, allow_override: bool) -> Result<Self, RunError> {
        let Setup { config, settings, corpus, crew, kernels, storage } = setup;
        let parts = (Arc::clone(&corpus), Arc::clone(&crew), kernels);
        let means = Means { settings, crew, kernels, storage };
        let fingerprint = corpus.fingerprint().to_string();
        Self::go_on(resumed, means, (&config, &fingerprint), allow_override, |snapshot| {
            let trainer = Trainer::resume(&config, snapshot, corpus, Arc::clone(&parts.1), kernels)?;
            Ok(TextCourse::new(trainer, parts))
        })
    }
}

impl<C: Course> Run<C> {
    /// Goes on where a checkpoint left off, with the same bits from there as a run that never stopped.
    ///
    /// The configuration is the effective one, the fingerprint that of what is read now; `make` makes the course of the
    /// checkpoint. The log and the samples are cut back to it. Errors: see [`Resumed::changes`] and [`Origin::check`].
    pub fn go_on(
        resumed: Resumed<C::Config>,
        means: Means,
        (config, fingerprint): (&C::Config, &str),
        allow_override: bool,
        make: impl FnOnce(&Snapshot) -> Result<C, RunError> + Send,
    ) -> Result<Self, RunError> {
        let changes = resumed.changes(config, &means.settings, means.kernels.name(), allow_override)?;
        resumed.origin.check(&means.settings.source, fingerprint)?;
        let Resumed { loaded, folder, mut state, isa: _, config: _, origin: _ } = resumed;
        let mut course = means.crew.steady(|| make(&loaded.snapshot))?;
        let step = course.step_count();
        let cut = folder::cut_back(means.storage.as_ref(), folder.path(), step, state.due.is_some())
            .map_err(|(path, source)| RunError::Io { doing: "cut back", path, source })?;

        let step_seconds = means.crew.steady(|| course.rehearse())?;
        let (seconds, epoch_seconds) = seconds_so_far(&cut.events);
        // A run that had come to its end goes on where another end was asked for.
        let asks = |flags: &[&str]| changes.iter().any(|change| flags.contains(&change.flag.as_str()));
        if asks(&LENGTH) || asks(&["patience"]) {
            (state.ended, state.stale) = (None, 0);
        }
        if asks(&["minutes"]) {
            // The steps so far were counted out for other minutes, unless they were asked for now.
            let steps = course.config().base().steps.filter(|_| asks(&["steps"]));
            super::count_out(&mut course, steps, step_seconds, seconds);
        }
        let mut run = Run::assemble(means, (course, step_seconds), folder, state)?;
        run.saved_step = Some(step);
        (run.seconds, run.epoch_seconds, run.earlier_seconds) = (seconds, epoch_seconds, seconds);
        for notice in &loaded.notices {
            run.opening.push(run.notice(notice.to_string()));
        }
        if cut.unreadable > 0 {
            let text = format!("{} torn or unreadable lines were cut from events.jsonl", cut.unreadable);
            run.opening.push(run.notice(text));
        }
        for Change { flag, from, to } in changes {
            run.opening.push(Event::Override(events::Override { step, flag, from, to }));
        }
        Ok(run)
    }
}

/// Seconds of the steps in a log: all of them, and those of the epoch that has not been told yet.
fn seconds_so_far(log: &[Event]) -> (f64, f64) {
    let mut told = log.iter().filter_map(|event| match event {
        Event::Epoch(epoch) => Some(epoch.step),
        _ => None,
    });
    let last_told = told.next_back().unwrap_or(0);
    let (mut all, mut epoch, mut tokens) = (0.0, 0.0, 0);
    for event in log {
        let Event::Step(step) = event else { continue };
        let seconds = step.tokens.saturating_sub(tokens) as f64 / step.tokens_per_s.max(f64::MIN_POSITIVE);
        tokens = step.tokens;
        if step.tokens_per_s > 0.0 {
            all += seconds;
            epoch += if step.step > last_told { seconds } else { 0.0 };
        }
    }
    (all, epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_found_by_flag() {
        let from = Config::default();
        let to = Config { lr: 0.001, hidden: 17, steps: Some(5), ..from.clone() };
        let found: Vec<String> = changes(&from, &to).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["--hidden 17 (was 256)", "--lr 0.001 (was 0.002)", "--steps 5 (was not given)"]);
        assert_eq!(changes(&from, &from), []);
    }

    #[test]
    fn every_fixed_flag_is_a_flag() {
        let config = serde_json::to_value(Config::default()).expect("plain");
        for flag in Config::FIXED {
            assert!(config.get(*flag).is_some(), "{flag}");
        }
    }
}
