//! Opening a run folder: created durably, ours alone, free of leftovers, and shown to be writable.
//!
//! In this order: each missing folder is created and made durable in its parent; the lock on `.lock` is taken; what a killed process
//! left unfinished is removed; one small file goes through create, write, sync, rename, sync of the folder and removal
//! in each of the two folders that saves go to. A folder that cannot be saved to is found now, not after an hour.
//!
//! The lock is the kernel's and goes with its owner, so a killed process blocks nobody; `.lock` itself always stays.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::keep::{remove_stale_temporaries, temporary_path};
use super::{Notice, checkpoints_folder};
use crate::storage::{LockAttempt, LockGuard, PathKind, Storage, folder_of};

/// Why a run folder cannot be used. Exit code 4 either way.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// Another process runs here.
    #[error("{} is in use by {}: stop it, or choose another folder with --out", .run.display(), owner_words(.owner))]
    InUse {
        /// The run folder.
        run: PathBuf,
        /// Process number that the other one wrote, perhaps empty.
        owner: String,
    },
    /// The system refused.
    #[error("{doing} {} failed: {source}; checkpoints could not be saved to this folder", .path.display())]
    Io {
        /// What was being done, such as "creating the folder".
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

fn owner_words(owner: &str) -> String {
    match owner.parse::<u32>() {
        Ok(pid) => format!("pid {pid}"),
        Err(_) => "another process".to_owned(),
    }
}

/// A run folder that this process alone may write to, as long as this value lives.
pub struct RunFolder {
    path: PathBuf,
    notices: Vec<Notice>,
    _lock: Box<dyn LockGuard>,
}

impl RunFolder {
    /// Prepares `run`, existing or not.
    pub fn open(storage: &dyn Storage, run: &Path) -> Result<Self, StartError> {
        create_durably(storage, run)?;
        let lock_path = run.join(".lock");
        let lock = match storage.try_lock(&lock_path, &format!("{}\n", std::process::id())) {
            Ok(LockAttempt::Held(lock)) => lock,
            Ok(LockAttempt::InUse { owner }) => return Err(StartError::InUse { run: run.to_owned(), owner }),
            Err(source) => return Err(StartError::Io { doing: "locking", path: lock_path, source }),
        };
        let checkpoints = checkpoints_folder(run);
        create_durably(storage, &checkpoints)?;
        let mut notices = Vec::new();
        for folder in [run, &checkpoints] {
            let doing = "listing the folder";
            let removed = remove_stale_temporaries(storage, folder).map_err(|source| StartError::Io {
                doing,
                path: folder.to_owned(),
                source,
            })?;
            notices.extend(removed);
            probe(storage, folder)?;
        }
        Ok(Self { path: run.to_owned(), notices, _lock: lock })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was cleared away, to be told once.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }
}

/// Creates `folder` and what is missing above it, each made durable in its parent.
///
/// The parent is synced even where the folder was there already: a process killed between the two calls left it so.
fn create_durably(storage: &dyn Storage, folder: &Path) -> Result<(), StartError> {
    let failed = |doing, source| StartError::Io { doing, path: folder.to_owned(), source };
    let parent = folder_of(folder);
    let mut existed = false;
    match storage.kind(folder) {
        Ok(PathKind::Folder) => existed = true,
        Ok(_) => return Err(failed("creating the folder", io::ErrorKind::NotADirectory.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if parent != folder && folder.parent().is_some() {
                create_durably(storage, parent)?;
            }
            match storage.create_folder(folder) {
                // Another process may have been faster; the lock will tell.
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(failed("creating the folder", error));
                }
                _ => {}
            }
        }
        Err(error) => return Err(failed("looking at", error)),
    }
    match storage.sync_folder(parent) {
        // A parent that may be passed through but not opened: where it is so, the folder is not new.
        Err(error) if existed && error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(source) => Err(StartError::Io { doing: "syncing the folder", path: parent.to_owned(), source }),
        Ok(()) => Ok(()),
    }
}

/// Takes one small file through every operation that a save needs.
fn probe(storage: &dyn Storage, folder: &Path) -> Result<(), StartError> {
    let (first, second) = (temporary_path(&folder.join("probe"), 0), temporary_path(&folder.join("probe"), 1));
    let run = || -> Result<(), (&'static str, io::Error)> {
        let mut file = storage.create_new(&first).map_err(|e| ("creating a file in", e))?;
        file.write_all(b"gatemill\n").map_err(|e| ("writing to a file in", e))?;
        file.sync().map_err(|e| ("syncing a file in", e))?;
        drop(file);
        storage.rename(&first, &second).map_err(|e| ("renaming a file in", e))?;
        storage.sync_folder(folder).map_err(|e| ("syncing the folder", e))?;
        storage.remove(&second).map_err(|e| ("removing a file from", e))
    };
    run().map_err(|(doing, source)| {
        // Whichever of the two is there; if neither can be removed, the next start tries again.
        let _ = storage.remove(&first);
        let _ = storage.remove(&second);
        StartError::Io { doing, path: folder.to_owned(), source }
    })
}
