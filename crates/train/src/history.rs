//! A run folder read back: what was asked, where it stands, its losses, its samples, its checkpoints.
//!
//! Nothing is written and nothing is locked, so a run that goes on is not disturbed. Whatever can be missing may be: a
//! log without its end, a torn last line, no `config.toml`; what is there is told. The log is read in one pass and in
//! memory that does not grow with it: of long lists (evaluations, samples) an even choice is kept, first and last included.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::checkpoint::{self, best_path, checkpoints_folder, holder, step_path};
use crate::config::Config;
use crate::events::{Done, Notice, Override, Sample, Start};
use crate::folder::{config_path, events_path};
use crate::run::Settings;
use crate::storage::{PathKind, RealStorage, Storage};

mod log;
mod thinned;

use log::{End, Log};

/// Larger than any `config.toml`: beyond this it is not read.
const CONFIG_MAX_BYTES: u64 = 1 << 20;

/// How a run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// A process has it in hand.
    Running {
        /// Its number, where the system tells it.
        pid: Option<u32>,
    },
    /// It went to its end.
    Done,
    /// A signal ended it, after a checkpoint.
    Stopped {
        /// The signal's name.
        signal: String,
    },
    /// Its loss or gradient was no finite number any more.
    Diverged,
    /// None of these: an error ended it, or it was killed. It can be resumed.
    Interrupted,
}

impl State {
    /// In one word.
    pub fn name(&self) -> &'static str {
        match self {
            State::Running { .. } => "running",
            State::Done => "done",
            State::Stopped { .. } => "stopped",
            State::Diverged => "diverged",
            State::Interrupted => "interrupted",
        }
    }
}

/// Losses at one moment: an evaluation or an epoch's end.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The step.
    pub step: u64,
    /// The epoch that ended there, where one did.
    pub epoch_end: Option<u64>,
    /// Mean loss of the steps since the point before, nats.
    pub train_nats: Option<f64>,
    /// Loss on the validation text, nats.
    pub val_nats: Option<f64>,
    /// Learning rate of the step.
    pub lr: Option<f64>,
    /// Seconds of all steps so far.
    pub seconds: f64,
}

/// A saved file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedFile {
    /// Its step; unknown for a best model that the log does not name.
    pub step: Option<u64>,
    /// Where it is.
    pub path: PathBuf,
    /// Its length.
    pub size_bytes: u64,
    /// Whether it is the best model, not a checkpoint.
    pub best: bool,
}

/// A run as its folder tells it.
#[derive(Debug, Clone)]
pub struct History {
    /// The folder.
    pub path: PathBuf,
    /// Its name.
    pub name: String,
    /// How it stands.
    pub state: State,
    /// The configuration, as the log has it last, else as `config.toml` has it.
    pub config: Option<Config>,
    /// What it does beside training, by `config.toml`.
    pub settings: Option<Settings>,
    /// How it began the last time.
    pub start: Option<Start>,
    /// Steps made.
    pub step: u64,
    /// Tokens trained on.
    pub tokens: u64,
    /// Seconds of the steps.
    pub seconds: f64,
    /// Tokens by the seconds of their steps.
    pub tokens_per_s: Option<f64>,
    /// The newest training loss: of the end, else of the steps since the last point.
    pub train_nats: Option<f64>,
    /// The newest validation loss.
    pub val_nats: Option<f64>,
    /// The lowest validation loss, and its step.
    pub best: Option<(f64, u64)>,
    /// The end, where it has come.
    pub done: Option<Done>,
    /// Evaluations and epochs' ends, an even choice of at most [`History::MOST_POINTS`].
    pub curve: Vec<Point>,
    /// Samples, an even choice of at most [`History::MOST_SAMPLES`].
    pub samples: Vec<Sample>,
    /// The last few notices.
    pub notices: Vec<Notice>,
    /// The last few settings that were changed on resuming.
    pub overrides: Vec<Override>,
    /// Checkpoints, oldest first, and the best model.
    pub saved: Vec<SavedFile>,
    /// Lines of the log that are no events of this version.
    pub unreadable: u64,
    /// The last line has no end: it is being written, or its writer was killed.
    pub torn: bool,
    /// What could not be read, in words.
    pub problems: Vec<String>,
    /// When the log was last written.
    pub written: Option<SystemTime>,
}

impl History {
    /// The most evaluations that are kept.
    pub const MOST_POINTS: usize = 1024;
    /// The most samples that are kept.
    pub const MOST_SAMPLES: usize = 64;

    /// Whether there is a run in `folder`, be it one that has only begun.
    pub fn is_there(folder: &Path) -> bool {
        let places = [config_path(folder), events_path(folder), checkpoints_folder(folder)];
        places.iter().any(|path| RealStorage.kind(path).is_ok())
    }

    /// The runs directly inside `folder`, by name. Errors: the folder cannot be listed.
    pub fn runs_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
        let names = RealStorage.list(folder)?;
        Ok(names.iter().map(|name| folder.join(name)).filter(|path| Self::is_there(path)).collect())
    }

    /// Reads a run's folder. What cannot be read is told in `problems`.
    pub fn read(run: &Path) -> Self {
        let mut problems = Vec::new();
        // The process first: one that ends meanwhile has written its end before the log is read.
        let mut running = holder::of(run);
        let log = or_nothing(&events_path(run), &mut problems, |content, _| Log::read(content));
        if running.is_none() && matches!(log.end, End::None) {
            running = holder::of(run);
        }
        let (written_config, settings) = or_nothing(&config_path(run), &mut problems, |content, size_bytes| {
            let mut text = String::new();
            if size_bytes > CONFIG_MAX_BYTES {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "far longer than any configuration"));
            }
            content.take(CONFIG_MAX_BYTES).read_to_string(&mut text)?;
            Ok(configuration(&text))
        });
        let state = match log.end {
            End::Done => State::Done,
            _ if running.is_some() => State::Running { pid: running.flatten() },
            End::Stopped { signal } => State::Stopped { signal },
            End::Diverged => State::Diverged,
            End::None => State::Interrupted,
        };
        let saved = saved(run, log.best_saved, &mut problems);
        let newest = saved.iter().filter(|file| !file.best).filter_map(|file| file.step).max();
        let absolute = std::path::absolute(run).unwrap_or_else(|_| run.to_owned());
        let name = absolute.file_name().unwrap_or(absolute.as_os_str()).to_string_lossy().into_owned();
        let written = std::fs::metadata(events_path(run)).or_else(|_| std::fs::metadata(config_path(run)));
        Self {
            path: run.to_owned(),
            name,
            state,
            config: log.start.as_ref().map(|start| start.config.clone()).or(written_config),
            settings,
            start: log.start,
            step: log.step.max(newest.filter(|_| log.step == 0).unwrap_or(0)),
            tokens: log.tokens,
            seconds: log.done.as_ref().map_or(log.seconds, |done| done.seconds),
            tokens_per_s: (log.seconds > 0.0).then(|| log.measured_tokens / log.seconds),
            train_nats: log.train_nats,
            val_nats: log.val_nats,
            best: log.best,
            done: log.done,
            curve: log.curve.into_vec(),
            samples: log.samples.into_vec(),
            notices: log.notices.into(),
            overrides: log.overrides.into(),
            saved,
            unreadable: log.unreadable,
            torn: log.torn,
            problems,
            written: written.and_then(|file| file.modified()).ok(),
        }
    }

    /// Epochs made, a part of one included.
    pub fn epochs(&self) -> Option<f64> {
        self.epochs_at(self.step)
    }

    /// Epochs made after a step.
    pub fn epochs_at(&self, step: u64) -> Option<f64> {
        let per_epoch = self.start.as_ref().map(|start| start.steps_per_epoch).filter(|&steps| steps > 0)?;
        Some(step as f64 / per_epoch as f64)
    }
}

/// Opens and reads a file; one that is missing is empty, one that fails a problem.
fn or_nothing<T: Default>(
    path: &Path,
    problems: &mut Vec<String>,
    read: impl FnOnce(Box<dyn Read + Send>, u64) -> io::Result<T>,
) -> T {
    match RealStorage.open(path).and_then(|file| read(file.content, file.size_bytes)) {
        Ok(value) => value,
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                problems.push(format!("{}: {error}", path.display()));
            }
            T::default()
        }
    }
}

/// Both halves of `config.toml`, each by itself: flags that this version does not know are passed over.
fn configuration(text: &str) -> (Option<Config>, Option<Settings>) {
    let Ok(mut page) = text.parse::<toml::Table>() else { return (None, None) };
    let settings = toml::Value::Table(page.clone()).try_into().ok();
    let known = serde_json::to_value(Config::default()).unwrap_or_default();
    page.retain(|flag, _| known.get(flag).is_some());
    let config = if page.is_empty() { None } else { toml::Value::Table(page).try_into().ok() };
    (config, settings)
}

/// The checkpoints that are there, oldest first, and the best model.
fn saved(run: &Path, best_step: Option<u64>, problems: &mut Vec<String>) -> Vec<SavedFile> {
    let names = match RealStorage.list(&checkpoints_folder(run)) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            problems.push(format!("{}: {error}", checkpoints_folder(run).display()));
            Vec::new()
        }
    };
    let file = |step, path: PathBuf, best| {
        // One that was pruned meanwhile is not there any more.
        let is_file = matches!(RealStorage.kind(&path), Ok(PathKind::File));
        let size_bytes = is_file.then(|| std::fs::metadata(&path).ok()).flatten()?.len();
        Some(SavedFile { step, path, size_bytes, best })
    };
    let steps = checkpoint::steps_in(&names);
    let mut files: Vec<SavedFile> =
        steps.into_iter().filter_map(|step| file(Some(step), step_path(run, step), false)).collect();
    files.extend(file(best_step, best_path(run), true));
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Event;
    use crate::run::Source;

    #[test]
    fn a_configuration_with_unknown_flags_is_read_as_far_as_it_goes() {
        let text = "hidden = 17\nlr = 0.5\nflag-of-tomorrow = 3\nkeep = \"all\"\n[corpus]\nkind = \"files\"\npaths = [\"/x\"]\n";
        let (config, settings) = configuration(text);
        assert_eq!(config, Some(Config { hidden: 17, lr: 0.5, ..Config::default() }));
        assert_eq!(settings.expect("settings").source, Source::Files { paths: vec!["/x".to_owned()] });
        assert_eq!(configuration("hidden = 1\nhidden = 2"), (None, None));
        assert_eq!(configuration(""), (None, None));
    }

    #[test]
    fn a_folder_with_nothing_but_a_name_is_interrupted_and_empty() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let run = folder.path().join("r");
        std::fs::create_dir(&run).expect("made");
        assert!(!History::is_there(&run));
        std::fs::write(events_path(&run), b"").expect("written");
        assert!(History::is_there(&run));
        assert_eq!(History::runs_in(folder.path()).expect("listed"), std::slice::from_ref(&run));
        let history = History::read(&run);
        assert_eq!((history.state, history.step, history.name.as_str()), (State::Interrupted, 0, "r"));
        assert_eq!(history.problems, [""; 0]);
    }

    #[test]
    fn a_log_that_is_a_folder_is_a_problem_and_no_end() {
        let folder = tempfile::TempDir::new().expect("a folder");
        std::fs::create_dir(events_path(folder.path())).expect("made");
        std::fs::create_dir(checkpoints_folder(folder.path())).expect("made");
        std::fs::write(step_path(folder.path(), 7), b"12345").expect("written");
        let history = History::read(folder.path());
        assert!(history.problems[0].contains("events.jsonl"), "{:?}", history.problems);
        assert_eq!((history.step, history.saved[0].size_bytes), (7, 5));
    }

    #[test]
    fn a_held_lock_says_that_it_runs_and_whose_it_is() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let run = folder.path().join("r");
        let held = checkpoint::RunFolder::open(&RealStorage, &run).expect("opened");
        let mut log = Vec::new();
        Event::Notice(Notice { step: 3, text: "x".to_owned() }).write_line(&mut log);
        log.extend_from_slice(b"{\"event\":\"sam");
        std::fs::write(events_path(&run), &log).expect("written");
        let history = History::read(&run);
        assert_eq!(history.state, State::Running { pid: Some(std::process::id()) });
        assert!(history.torn && history.unreadable == 0);
        drop(held);
        assert_eq!(History::read(&run).state, State::Interrupted);
        // The number of a process that lives and has nothing to do with it.
        std::fs::write(run.join(".lock"), "1\n").expect("written");
        assert_eq!(History::read(&run).state, State::Interrupted);
        // Looking took nothing: the lock is to be had.
        checkpoint::RunFolder::open(&RealStorage, &run).expect("free");
    }
}
