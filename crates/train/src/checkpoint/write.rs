//! Saving a file so that at every moment the old one or the new one is whole.
//!
//! Create a temporary in the same folder, which must not exist; write all; sync it; rename it onto its name; sync the
//! folder. Only then is the file saved. Any error in between ends the attempt: the temporary is removed, nothing is
//! retried (a second fsync would succeed although the data is gone), and the next attempt starts with a new file.
//! Three failed attempts in a row are the end: a run that cannot save is lost time.
//!
//! A snapshot's tensors are fetched one at a time, twice: for the checksums in the head, and for the file.
//!
//! Promises: an error leaves every file that was saved before untouched; saves never overlap (`&mut self`); no two tensors
//! are fetched at once.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use super::form::{encode_head, value_bytes};
use super::keep::{Keep, Keeper, is_temporary, temporary_path};
use super::{Elements, FormError, Notice, Snapshot, best_path, checkpoints_folder, step_path};
use crate::storage::{NewFile, Storage, folder_of};

/// Failed attempts in a row after which a run gives up.
pub const MAX_FAILURES: u32 = 3;
/// Names tried for a temporary where an earlier one could not be removed.
const NAME_ATTEMPTS: u64 = 16;

/// The step of the protocol that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SaveStep {
    /// Creating the temporary.
    Create,
    /// Writing it.
    Write,
    /// Syncing it.
    Sync,
    /// Renaming it onto its name. The rename may have happened all the same.
    Rename,
    /// Syncing the folder. The file is in place, but may be gone after a power loss.
    SyncFolder,
}

impl std::fmt::Display for SaveStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            SaveStep::Create => "creating a temporary file",
            SaveStep::Write => "writing the temporary file",
            SaveStep::Sync => "syncing the temporary file",
            SaveStep::Rename => "renaming the temporary file",
            SaveStep::SyncFolder => "syncing the folder",
        })
    }
}

/// Why a file was not saved. What was saved before is untouched.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SaveError {
    /// The snapshot cannot be written at all.
    #[error("cannot save {}: {source}", .path.display())]
    Form {
        /// The file that was to be.
        path: PathBuf,
        /// What is wrong with the snapshot.
        source: FormError,
    },
    /// The system refused.
    #[error("cannot save {}: {step} failed: {source}; {needed_bytes} bytes are needed{}; what was saved before is untouched",
        .path.display(), free_words(.free_bytes))]
    Io {
        /// The file that was to be.
        path: PathBuf,
        /// Where in the protocol.
        step: SaveStep,
        /// Length of the whole file in bytes.
        needed_bytes: u64,
        /// What the disk has left, where that is known.
        free_bytes: Option<u64>,
        /// The system's error.
        source: io::Error,
    },
}

impl SaveError {
    /// Whether the file may be in its place although it was not saved.
    fn in_doubt(&self) -> bool {
        matches!(self, SaveError::Io { step, .. } if *step >= SaveStep::Rename)
    }
}

fn free_words(free_bytes: &Option<u64>) -> String {
    free_bytes.map_or_else(String::new, |free| format!(", {free} are free"))
}

/// A file that is durably in its place and may be announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// Where it is.
    pub path: PathBuf,
    /// Its length.
    pub size_bytes: u64,
    /// Its step; `None` for the best model.
    pub step: Option<u64>,
}

/// The outcome of one attempt to save.
#[derive(Debug)]
pub enum SaveOutcome {
    /// Durable: announce it, then call [`Saver::announced`].
    Saved(Saved),
    /// Not saved: warn and go on, the next interval tries again with a new file.
    Skipped {
        /// Why.
        error: SaveError,
        /// Failures in a row, this one included; less than [`MAX_FAILURES`].
        failures: u32,
    },
    /// The third failure in a row: stop with exit code 4.
    GiveUp(SaveError),
}

/// Saves the checkpoints and the best model of one run folder, which [`super::RunFolder::open`] has prepared.
pub struct Saver {
    storage: Arc<dyn Storage>,
    run: PathBuf,
    keeper: Keeper,
    next_temporary: u64,
    checkpoint_failures: u32,
    best_failures: u32,
}

impl Saver {
    /// A saver for the run folder `run`.
    pub fn new(storage: Arc<dyn Storage>, run: &Path, keep: Keep) -> Self {
        Self {
            storage,
            run: run.to_owned(),
            keeper: Keeper::new(keep),
            next_temporary: 0,
            checkpoint_failures: 0,
            best_failures: 0,
        }
    }

    /// Saves the checkpoint of `step`. It needs a record: [`Snapshot::meta`] must not be `None`.
    pub fn save<E: Elements>(&mut self, step: u64, snapshot: &Snapshot<E>) -> SaveOutcome {
        let path = step_path(&self.run, step);
        // From here until it is saved anew, a file of this name counts for nothing when old ones are removed.
        self.keeper.doubt(step);
        let result = self.write(&path, snapshot);
        match &result {
            Ok(_) => self.keeper.trust(step),
            Err(error) if error.in_doubt() => {}
            Err(_) => self.keeper.forget(step),
        }
        self.outcome(path, Some(step), result)
    }

    /// Saves the best model so far, `RUN/best.safetensors`, over the one before it.
    pub fn save_best<E: Elements>(&mut self, snapshot: &Snapshot<E>) -> SaveOutcome {
        let path = best_path(&self.run);
        let result = self.write(&path, snapshot);
        self.outcome(path, None, result)
    }

    /// Removes old checkpoints, now that `saved` has been announced. At least two that are known to be good stay.
    pub fn announced(&mut self, saved: &Saved) -> Vec<Notice> {
        match saved.step {
            Some(_) => self.keeper.prune(self.storage.as_ref(), &checkpoints_folder(&self.run)),
            None => Vec::new(),
        }
    }

    fn write<E: Elements>(&mut self, path: &Path, snapshot: &Snapshot<E>) -> Result<u64, SaveError> {
        if snapshot.meta.is_none() {
            return Err(SaveError::Form { path: path.to_owned(), source: FormError::NoRecord });
        }
        write_snapshot(self.storage.as_ref(), path, snapshot, &mut self.next_temporary)
    }

    fn outcome(&mut self, path: PathBuf, step: Option<u64>, result: Result<u64, SaveError>) -> SaveOutcome {
        self.next_temporary = self.next_temporary.wrapping_add(1);
        let failures = match step {
            Some(_) => &mut self.checkpoint_failures,
            None => &mut self.best_failures,
        };
        match result {
            Ok(size_bytes) => {
                *failures = 0;
                SaveOutcome::Saved(Saved { path, size_bytes, step })
            }
            Err(error) => {
                *failures = failures.saturating_add(1);
                if *failures >= MAX_FAILURES {
                    SaveOutcome::GiveUp(error)
                } else {
                    SaveOutcome::Skipped { error, failures: *failures }
                }
            }
        }
    }
}

/// Writes any other file of a run, such as its configuration, by the same protocol.
pub fn replace_file(storage: &dyn Storage, path: &Path, content: &[u8]) -> Result<(), SaveError> {
    replace(storage, path, content.len() as u64, &mut 0, |file| file.write_all(content))
}

/// Writes a snapshot that is no checkpoint of a run, such as a model of the caller's, by the same protocol.
pub fn replace_snapshot<E: Elements>(
    storage: &dyn Storage,
    path: &Path,
    snapshot: &Snapshot<E>,
) -> Result<(), SaveError> {
    write_snapshot(storage, path, snapshot, &mut 0).map(|_| ())
}

/// Writes the bytes that [`super::form::encode`] gives. Returns how many.
fn write_snapshot<E: Elements>(
    storage: &dyn Storage,
    path: &Path,
    snapshot: &Snapshot<E>,
    temporary: &mut u64,
) -> Result<u64, SaveError> {
    let mut room = Vec::new();
    let form = |source| SaveError::Form { path: path.to_owned(), source };
    let head = encode_head(snapshot, &mut room).map_err(form)?;
    // In memory before, on the disk after: no overflow.
    let values: usize = snapshot.tensors.iter().map(|tensor| tensor.data.count()).sum();
    let size_bytes = head.len() as u64 + (size_of::<f32>() * values) as u64;
    replace(storage, path, size_bytes, temporary, |file| {
        file.write_all(&head)?;
        for tensor in &snapshot.tensors {
            file.write_all(&value_bytes(tensor.data.fetch(&mut room)))?;
        }
        Ok(())
    })?;
    Ok(size_bytes)
}

/// The protocol around `write`, which gives the file its `needed_bytes`. `number` is the first that the temporary may
/// have, and then the one that it had.
fn replace(
    storage: &dyn Storage,
    path: &Path,
    needed_bytes: u64,
    number: &mut u64,
    write: impl FnOnce(&mut dyn NewFile) -> io::Result<()>,
) -> Result<(), SaveError> {
    let folder = folder_of(path);
    // The room that is left is asked after the temporary is gone: it is what the next attempt will find.
    let failed = |step: SaveStep, temporary: Option<&Path>, source: io::Error| {
        if let Some(temporary) = temporary {
            // If this fails too, the next start removes it.
            let _ = storage.remove(temporary);
        }
        let free_bytes = storage.free_bytes(path);
        SaveError::Io { path: path.to_owned(), step, needed_bytes, free_bytes, source }
    };

    // A temporary that could not be removed keeps its name; its successor takes the next one.
    let first = *number;
    let (temporary, mut file) = loop {
        let temporary = temporary_path(path, *number);
        match storage.create_new(&temporary) {
            Ok(file) => break (temporary, file),
            Err(error)
                if error.kind() == io::ErrorKind::AlreadyExists && number.wrapping_sub(first) < NAME_ATTEMPTS =>
            {
                *number = number.wrapping_add(1);
            }
            // A creation may fail after it has happened, so the name is cleared all the same.
            Err(error) => return Err(failed(SaveStep::Create, Some(&temporary), error)),
        }
    };
    debug_assert!(temporary.file_name().is_some_and(is_temporary), "a start must know it for a temporary");

    if let Err(error) = write(file.as_mut()) {
        drop(file);
        return Err(failed(SaveStep::Write, Some(&temporary), error));
    }
    if let Err(error) = file.sync() {
        drop(file);
        return Err(failed(SaveStep::Sync, Some(&temporary), error));
    }
    drop(file);
    if let Err(error) = storage.rename(&temporary, path) {
        return Err(failed(SaveStep::Rename, Some(&temporary), error));
    }
    if let Err(error) = storage.sync_folder(folder) {
        return Err(failed(SaveStep::SyncFolder, None, error));
    }
    Ok(())
}
