//! The run folder beside its checkpoints: its name, `config.toml`, `events.jsonl`, `samples.txt`.
//!
//! ```text
//! runs/<corpus>-<cell>-<LxH>-<n>/config.toml    the flags of the run, for people and for the next run
//!                                events.jsonl   every event, one JSON object per line
//!                                samples.txt    what the model wrote, with step and loss
//! ```
//!
//! The log is written behind the run, at most a second late, and always before a checkpoint: so it never lacks a step
//! that a checkpoint has, and what a kill leaves behind (events after the checkpoint, a torn last line) is cut on resume.
//! A log that cannot be written costs a notice, never the run.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::checkpoint::{SaveError, best_path, checkpoints_folder, replace_file};
use crate::config::Config;
use crate::events::{Event, Sample};
use crate::run::{Flags, Settings, Source};
use crate::storage::{PathKind, Storage};

/// Lines wait no longer than this for their way to the file.
const FLUSH_AFTER: Duration = Duration::from_secs(1);
/// Names longer than this are cut: file systems stop at 255 bytes.
const NAME_MAX_CHARS: usize = 48;
/// The first words of every `config.toml` of ours.
const CONFIG_BEGINS: &str = "# Gatemill ";
/// Run numbers tried for a free one.
const NUMBERS: u64 = 1_000_000;

/// `RUN/config.toml`.
pub fn config_path(run: &Path) -> PathBuf {
    run.join("config.toml")
}

/// `RUN/events.jsonl`.
pub fn events_path(run: &Path) -> PathBuf {
    run.join("events.jsonl")
}

/// `RUN/samples.txt`.
pub fn samples_path(run: &Path) -> PathBuf {
    run.join("samples.txt")
}

/// The corpus part of a run's name: the first file's name without its ending, only letters, digits, `.`, `_`, `-`.
pub fn corpus_name(source: &Source) -> String {
    let name = match source {
        Source::Builtin { .. } => "builtin".into(),
        Source::Made { task, .. } => task.name().into(),
        Source::Files { paths } => {
            let first = paths.first().map(Path::new).and_then(Path::file_stem);
            first.map_or_else(|| "corpus".into(), |stem| stem.to_string_lossy())
        }
    };
    let plain = |c: char| if c.is_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = name.chars().map(plain).take(NAME_MAX_CHARS).collect();
    // A leading dot would hide the run, a leading dash make it a flag.
    let name = name.trim_start_matches(['.', '-']);
    if name.is_empty() { "corpus".to_owned() } else { name.to_owned() }
}

/// Creates `root/<corpus>-<cell>-<LxH>-<n>` with the first free n, alone: two runs started at once get two folders.
pub fn claim(
    storage: &dyn Storage,
    root: &Path,
    source: &Source,
    config: &Config,
) -> Result<PathBuf, (PathBuf, io::Error)> {
    match storage.create_folder(root) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err((root.to_owned(), error)),
        _ => {}
    }
    let cell = config.cell.name();
    let stem = format!("{}-{cell}-{}x{}", corpus_name(source), config.layers, config.hidden);
    for n in 1..=NUMBERS {
        let run = root.join(format!("{stem}-{n}"));
        match storage.create_folder(&run) {
            Ok(()) => return Ok(run),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err((run, error)),
        }
    }
    Err((root.join(stem), io::ErrorKind::AlreadyExists.into()))
}

/// Whether a run has been here before: it must be resumed, not written over.
///
/// A start that was killed before its first checkpoint is none, so that what it left does not block the folder: no
/// checkpoint, no best model, no step in the log, and no `config.toml` but one of ours. Errors: looking at one of these.
pub fn is_run(storage: &dyn Storage, run: &Path) -> Result<bool, (PathBuf, io::Error)> {
    let folder = checkpoints_folder(run);
    let saved = match storage.list(&folder) {
        Ok(names) => names.iter().any(|name| !name.as_encoded_bytes().starts_with(b".")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err((folder, error)),
    };
    let file_says = |path: PathBuf, says: fn(&[u8]) -> bool| match content(storage, &path) {
        Ok(bytes) => Ok(bytes.is_some_and(|bytes| says(&bytes))),
        Err(error) => Err((path, error)),
    };
    Ok(saved
        || storage.kind(&best_path(run)).is_ok()
        || file_says(events_path(run), |log| cut_events(log, 0, false).later > 0)?
        || file_says(config_path(run), |page| !page.starts_with(CONFIG_BEGINS.as_bytes()))?)
}

/// All of a file; None if there is none at that path.
fn content(storage: &dyn Storage, path: &Path) -> io::Result<Option<Vec<u8>>> {
    match storage.kind(path) {
        Ok(PathKind::File) => {}
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => return Ok(None),
    }
    let mut bytes = Vec::new();
    storage.open(path)?.content.read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Writes `config.toml`: every flag with its value, the corpus, and how to go on.
pub fn write_config(storage: &dyn Storage, run: &Path, config: &Config, settings: &Settings) -> Result<(), SaveError> {
    write_page(storage, run, &config.page(settings))
}

/// Writes `config.toml` with a page that is made already.
pub(crate) fn write_page(storage: &dyn Storage, run: &Path, page: &str) -> Result<(), SaveError> {
    let head = format!(
        "{CONFIG_BEGINS}{}. What this run was asked to do; a checkpoint carries its own copy.\n# To go on: gatemill train --resume {}\n\n",
        env!("CARGO_PKG_VERSION"),
        run.display().to_string().escape_debug()
    );
    replace_file(storage, &config_path(run), format!("{head}{page}").as_bytes())
}

/// One entry of `samples.txt`.
pub fn sample_entry(sample: &Sample) -> String {
    let Sample { step, train_nats, text } = sample;
    let bits = train_nats / std::f64::consts::LN_2;
    format!("=== step {step}: loss {train_nats:.4} nats, {bits:.3} bits per character ===\n{text}\n\n")
}

/// A file that grows by lines, written at intervals.
pub(crate) struct EventLog {
    storage: Arc<dyn Storage>,
    path: PathBuf,
    waiting: Vec<u8>,
    since: Instant,
}

impl EventLog {
    pub(crate) fn new(storage: Arc<dyn Storage>, run: &Path) -> Self {
        Self { storage, path: events_path(run), waiting: Vec::new(), since: Instant::now() }
    }

    /// Takes a line. Errors: see [`EventLog::flush`].
    pub(crate) fn add(&mut self, event: &Event) -> io::Result<()> {
        event.write_line(&mut self.waiting);
        if self.since.elapsed() < FLUSH_AFTER { Ok(()) } else { self.flush() }
    }

    /// Writes what waits. On an error the lines are given up: a full disk must not fill the memory too.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.since = Instant::now();
        if self.waiting.is_empty() {
            return Ok(());
        }
        let result = self.storage.append(&self.path, &self.waiting);
        self.waiting.clear();
        result
    }
}

/// What is left of a log after it was cut back to a step.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CutLog {
    /// The events that stay.
    pub events: Vec<Event>,
    /// The bytes that stay.
    pub kept: Vec<u8>,
    /// Lines that were no events, a torn last one included.
    pub unreadable: u64,
    /// Events after the step.
    pub later: u64,
}

/// Cuts a log back to `step`: later events go, and so do lines that are none, such as a torn last one.
///
/// An end goes as well: the resumed run tells its own. With `undone`, what comes after a step (evaluation, epoch's end,
/// sample) goes for this step too: it will be done again.
pub fn cut_events(log: &[u8], step: u64, undone: bool) -> CutLog {
    let mut cut = CutLog::default();
    for line in log.split_inclusive(|&byte| byte == b'\n') {
        let event = if line.ends_with(b"\n") { serde_json::from_slice::<Event>(line).ok() } else { None };
        match event {
            None => cut.unreadable = cut.unreadable.saturating_add(1),
            Some(event) if later(&event, step, undone) => {
                cut.later = cut.later.saturating_add(1);
            }
            Some(event) => {
                cut.kept.extend_from_slice(line);
                cut.events.push(event);
            }
        }
    }
    cut
}

fn later(event: &Event, step: u64, undone: bool) -> bool {
    match event {
        Event::Done(_) => true,
        Event::Eval(_) | Event::Flow(_) | Event::Epoch(_) | Event::Sample(_) if undone => event.step() >= step,
        _ => event.step() > step,
    }
}

/// Cuts `events.jsonl` and `samples.txt` back to a checkpoint's step. A log that is missing counts as empty.
pub(crate) fn cut_back(
    storage: &dyn Storage,
    run: &Path,
    step: u64,
    undone: bool,
) -> Result<CutLog, (PathBuf, io::Error)> {
    let path = events_path(run);
    let Some(log) = content(storage, &path).map_err(|error| (path.clone(), error))? else {
        return Ok(CutLog::default());
    };
    let cut = cut_events(&log, step, undone);
    if cut.kept.len() < log.len() {
        replace_file(storage, &path, &cut.kept).map_err(|error| (path.clone(), io::Error::other(error)))?;
    }
    let entries = cut.events.iter().filter_map(|event| match event {
        Event::Sample(sample) => Some(sample_entry(sample)),
        _ => None,
    });
    let samples: String = entries.collect();
    let path = samples_path(run);
    replace_file(storage, &path, samples.as_bytes()).map_err(|error| (path, io::Error::other(error)))?;
    Ok(cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Notice, Stopped};
    use crate::storage::SimulatedDisk;

    fn notice(step: u64) -> Event {
        Event::Notice(Notice { step, text: format!("line\n{step}") })
    }

    #[test]
    fn a_log_is_cut_at_the_step_and_at_every_torn_byte() {
        let mut log = Vec::new();
        let events =
            [notice(1), notice(2), Event::Stopped(Stopped { step: 2, signal: "SIGINT".to_owned() }), notice(3)];
        let mut ends = vec![0];
        for event in &events {
            event.write_line(&mut log);
            ends.push(log.len());
        }
        assert_eq!(cut_events(&log, 2, false).events, events[..3]);
        assert_eq!(cut_events(&log, 2, false).later, 1);
        for len in 0..=log.len() {
            let whole = ends.iter().filter(|&&end| end <= len).count() - 1;
            let cut = cut_events(&log[..len], 3, false);
            assert_eq!(cut.events, events[..whole], "cut at byte {len}");
            assert_eq!(cut.kept, log[..ends[whole]]);
            assert_eq!(cut.unreadable, u64::from(len > ends[whole]));
        }
    }

    #[test]
    fn what_will_be_done_again_is_cut_too() {
        let mut log = Vec::new();
        notice(2).write_line(&mut log);
        for step in [1, 2] {
            let sample = Sample { step, train_nats: 1.0, text: String::new() };
            Event::Sample(sample).write_line(&mut log);
        }
        assert_eq!(cut_events(&log, 2, false).events.len(), 3);
        let steps: Vec<u64> = cut_events(&log, 2, true).events.iter().map(Event::step).collect();
        assert_eq!(steps, [2, 1], "the notice of step 2 and the sample of step 1");
    }

    #[test]
    fn two_runs_never_share_a_folder() {
        let disk = SimulatedDisk::new();
        let source = Source::Builtin { bytes: 10, seed: 1 };
        let claim = || claim(&disk, Path::new("runs"), &source, &Config::default()).expect("a folder");
        assert_eq!(claim(), Path::new("runs/builtin-lstm-2x256-1"));
        assert_eq!(claim(), Path::new("runs/builtin-lstm-2x256-2"));
    }

    #[test]
    fn what_a_killed_start_left_is_no_run_and_anything_more_is() {
        let (disk, run) = (SimulatedDisk::new(), Path::new("r"));
        let is = || is_run(&disk, run).expect("looked at");
        assert!(!is());
        disk.create_folder(run).expect("a folder");
        disk.create_folder(&checkpoints_folder(run)).expect("a folder");
        drop(disk.create_new(&run.join("checkpoints/.gatemill-tmp-0-step-000000000.safetensors")).expect("created"));
        let settings = Settings::new(Source::Builtin { bytes: 10, seed: 1 });
        write_config(&disk, run, &Config::default(), &settings).expect("written");
        let mut line = Vec::new();
        notice(0).write_line(&mut line);
        disk.append(&events_path(run), &line).expect("written");
        disk.append(&events_path(run), b"{\"event\":\"st").expect("written");
        assert!(!is());
        let with = |path: &Path, bytes: &[u8]| {
            let before = disk.content(path);
            disk.append(path, bytes).expect("written");
            assert!(is(), "{}", path.display());
            match before {
                Some(bytes) => disk.corrupt(path, bytes),
                None => disk.remove(path).expect("removed"),
            }
            assert!(!is(), "{}", path.display());
        };
        with(&best_path(run), b"x");
        with(&checkpoints_folder(run).join("step-000000000.safetensors"), b"x");
        disk.corrupt(&events_path(run), line.clone());
        line.clear();
        notice(1).write_line(&mut line);
        with(&events_path(run), &line);
        disk.remove(&config_path(run)).expect("removed");
        with(&config_path(run), b"hidden = 3\n");
    }

    #[test]
    fn names_are_plain() {
        let name = |path: &str| corpus_name(&Source::Files { paths: vec![path.to_owned()] });
        assert_eq!(name("/a/b/war peace.txt"), "war_peace");
        assert_eq!(name("-rf.txt"), "rf");
        assert_eq!(name("/a/.."), "corpus");
        assert_eq!(name("x\u{1b}[31m.txt"), "x__31m");
        assert_eq!(name(&"k".repeat(300)).len(), NAME_MAX_CHARS);
        assert_eq!(name("소설.txt"), "소설");
    }

    #[test]
    fn the_configuration_names_every_flag() {
        let disk = SimulatedDisk::new();
        disk.create_folder(Path::new("r")).expect("a folder");
        let settings = Settings::new(Source::Files { paths: vec!["/x/\"y\".txt".to_owned()] });
        write_config(&disk, Path::new("r"), &Config::default(), &settings).expect("written");
        let text = String::from_utf8(disk.content(Path::new("r/config.toml")).expect("there")).expect("UTF-8");
        let table: toml::Table = text.parse().expect("TOML");
        assert_eq!(table["hidden"].as_integer(), Some(256));
        assert_eq!(table["clip-norm"].as_float(), Some(5.0));
        assert_eq!(table["keep"].as_str(), Some("2"));
        assert_eq!(table["corpus"]["paths"][0].as_str(), Some("/x/\"y\".txt"));
    }
}
