//! What the tests save, and what a disk may hold afterwards.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gatemill_train::checkpoint::{
    Keep, LoadError, RunFolder, SaveOutcome, Saver, Snapshot, Tensor, best_path, form, newest, read_file, step_path,
};
use gatemill_train::storage::{SimulatedDisk, Storage};
use serde_json::json;

/// A tensor filled with numbers that depend on `seed`.
pub(crate) fn tensor(name: &str, shape: &[usize], seed: u64) -> Tensor {
    let count: usize = shape.iter().product();
    let data = (0..count as u64).map(|i| ((i * 31 + seed * 17) % 251) as f32 / 64.0 - 2.0).collect();
    Tensor { name: name.to_owned(), shape: shape.to_vec(), data }
}

/// The checkpoint of a step: one tensor of several disk sectors, some small ones, awkward text.
pub(crate) fn snapshot(step: u64) -> Snapshot {
    let tensors = vec![
        tensor("rnn.weight_ih_l0", &[33, 41], step),
        tensor("rnn.bias_ih_l0", &[7], step + 1),
        tensor("head.weight", &[3, 1, 5], step + 2),
        tensor("state.h", &[1], step + 3),
    ];
    let meta = json!({"step": step, "lr": 0.002, "loss": 1.0 / 3.0, "vocabulary": "\0\u{1b}\"\\\u{7f}é한\u{10ffff}"});
    Snapshot { tensors, meta: meta.as_object().cloned() }
}

pub(crate) fn run() -> PathBuf {
    PathBuf::from("/disk/runs/one")
}

/// A disk with the one folder that runs may be created under, durably.
pub(crate) fn fresh_disk() -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    disk.create_folder(Path::new("/disk")).unwrap();
    disk.sync_folder(Path::new("/")).unwrap();
    disk
}

/// Something that happened once the log had `changes` entries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event {
    pub(crate) changes: usize,
    pub(crate) step: u64,
}

/// The life of a run as far as its checkpoints are concerned.
pub(crate) struct History {
    pub(crate) disk: SimulatedDisk,
    pub(crate) saver: Saver,
    pub(crate) folder: RunFolder,
    /// Attempts begun; their files may be there.
    pub(crate) begun: Vec<Event>,
    /// Checkpoints announced: they must be there.
    pub(crate) announced: Vec<Event>,
    pub(crate) best_begun: Vec<Event>,
    pub(crate) best_announced: Vec<Event>,
}

impl History {
    pub(crate) fn start(keep: Keep) -> Self {
        let disk = fresh_disk();
        let folder = RunFolder::open(&disk, &run()).unwrap();
        let saver = Saver::new(Arc::new(disk.clone()), &run(), keep);
        let none = Vec::new;
        Self { disk, saver, folder, begun: none(), announced: none(), best_begun: none(), best_announced: none() }
    }

    fn event(&self, step: u64) -> Event {
        Event { changes: self.disk.changes(), step }
    }

    /// Saves, announces, removes old ones, as a training run does.
    pub(crate) fn save(&mut self, step: u64) -> SaveOutcome {
        self.begun.push(self.event(step));
        let outcome = self.saver.save(step, &snapshot(step));
        if let SaveOutcome::Saved(saved) = &outcome {
            self.announced.push(self.event(step));
            self.saver.announced(saved);
        }
        outcome
    }

    pub(crate) fn save_best(&mut self, step: u64) -> SaveOutcome {
        self.best_begun.push(self.event(step));
        let outcome = self.saver.save_best(&snapshot(step));
        if let SaveOutcome::Saved(_) = &outcome {
            self.best_announced.push(self.event(step));
        }
        outcome
    }

    /// Checks a disk that a stop after `changes` changes left, and that a run can go on from it. Returns what is wrong.
    pub(crate) fn check(&self, disk: &SimulatedDisk, changes: usize) -> Result<(), String> {
        let until = |events: &[Event]| -> Vec<u64> {
            events.iter().filter(|event| event.changes <= changes).map(|event| event.step).collect()
        };
        let (begun, announced) = (until(&self.begun), until(&self.announced));
        check_newest(disk, &begun, &announced)?;

        let whole = begun.iter().filter(|&&step| holds(disk, &step_path(&run(), step), step)).count();
        if whole < announced.len().min(2) {
            return Err(format!("{whole} whole checkpoints are left of {} announced", announced.len()));
        }
        let best_announced = until(&self.best_announced);
        if let Some(&last) = best_announced.last()
            && !until(&self.best_begun).iter().any(|&step| step >= last && holds(disk, &best_path(&run()), step))
        {
            return Err(format!("the best model of step {last} was announced and is gone"));
        }
        go_on(disk)
    }
}

/// The loader gives an announced checkpoint or a later one, bit for bit; nothing only if nothing was announced.
pub(crate) fn check_newest(disk: &SimulatedDisk, begun: &[u64], announced: &[u64]) -> Result<(), String> {
    match (newest(disk, &run(), false), announced.iter().max()) {
        (Ok(loaded), last) => {
            let step = loaded.step.unwrap();
            if last.is_some_and(|&last| step < last) {
                return Err(format!("step {last:?} was announced, step {step} was loaded"));
            }
            if !begun.contains(&step) || bytes_of(&loaded.snapshot) != bytes_of(&snapshot(step)) {
                return Err(format!("step {step} was loaded with a content that was never saved"));
            }
            Ok(())
        }
        (Err(LoadError::None { .. } | LoadError::AllUnusable { .. } | LoadError::Io { .. }), None) => Ok(()),
        (Err(error), last) => Err(format!("step {last:?} was announced: {error}")),
    }
}

/// A new process can take over: no leftover stands in its way, and what it saves is what it finds.
fn go_on(disk: &SimulatedDisk) -> Result<(), String> {
    let _folder = RunFolder::open(disk, &run()).map_err(|error| format!("cannot start again: {error}"))?;
    if let Some(left) = temporaries(disk).first() {
        return Err(format!("{} is left after a start", left.display()));
    }
    let mut saver = Saver::new(Arc::new(disk.clone()), &run(), Keep::default());
    match saver.save(1000, &snapshot(1000)) {
        SaveOutcome::Saved(saved) => saver.announced(&saved),
        other => return Err(format!("cannot save after a restart: {other:?}")),
    };
    match newest(disk, &run(), true) {
        Ok(loaded) if loaded.step == Some(1000) => Ok(()),
        other => Err(format!("after a restart and a save: {:?}", other.map(|loaded| loaded.step))),
    }
}

pub(crate) fn holds(disk: &SimulatedDisk, path: &Path, step: u64) -> bool {
    read_file(disk, path).is_ok_and(|decoded| bytes_of(&decoded.snapshot) == bytes_of(&snapshot(step)))
}

pub(crate) fn bytes_of(snapshot: &Snapshot) -> Vec<u8> {
    form::encode(snapshot).unwrap()
}

pub(crate) fn temporaries(disk: &SimulatedDisk) -> Vec<PathBuf> {
    disk.files().into_iter().filter(|path| path.to_string_lossy().contains("gatemill-tmp")).collect()
}
