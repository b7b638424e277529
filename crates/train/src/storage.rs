//! What saving asks of a disk: create, write, sync, rename, sync the folder, remove, list, lock.
//!
//! One trait, two disks: [`RealStorage`] is `std::fs`; [`SimulatedDisk`] keeps a log of every operation, fails any one
//! of them on request and builds the disks that a kill or a power loss could leave. Nothing else in this crate writes
//! to a file system, so what holds on the simulated disk is what the real one is asked to do.
//!
//! Promises: an error is the operating system's own (`raw_os_error` kept); nothing is retried here except interrupted
//! calls; `sync` and `sync_folder` return only when the data is said to be on the medium. Local file systems only.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::Path;

mod real;
pub mod simulated;

pub use real::RealStorage;
pub use simulated::SimulatedDisk;

/// A file being written. Dropping it closes it; only [`NewFile::sync`] makes it durable.
pub trait NewFile: Send {
    /// Appends all of `bytes`. On an error an unknown part of them may have been written.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Waits until everything written so far, and the length, is on the medium.
    ///
    /// After an error the file must never be trusted again: the kernel may have dropped the pages, and a second sync
    /// would then succeed although the data is gone.
    fn sync(&mut self) -> io::Result<()>;
}

/// A file opened for one reading from front to back.
pub struct OpenFile {
    /// Length in bytes when it was opened, taken from the open descriptor.
    pub size_bytes: u64,
    /// The content; may end early or late if another process changes the file.
    pub content: Box<dyn Read + Send>,
}

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A device, pipe or socket: never read, never written.
    Other,
}

/// The outcome of [`Storage::try_lock`].
pub enum LockAttempt {
    /// Ours, until the guard is dropped or the process dies.
    Held(Box<dyn LockGuard>),
    /// Another open holder has it; `owner` is what that one wrote, trimmed, perhaps empty.
    InUse {
        /// The text that the holder gave, by convention its process number.
        owner: String,
    },
}

/// Holds a lock while it lives.
pub trait LockGuard: Send + Sync {}

/// The operations that the checkpoint protocol needs of a disk. All calls take `&self`: a storage is shared.
pub trait Storage: Send + Sync {
    /// Creates a file that must not exist yet (`O_CREAT | O_EXCL`).
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn NewFile>>;

    /// Adds `bytes` at the end of the file, creating it if need be. Not synced: for logs, not for checkpoints.
    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Opens a regular file for reading; anything else is `InvalidInput`. Never hangs on a pipe.
    fn open(&self, path: &Path) -> io::Result<OpenFile>;

    /// Renames a file within one folder, replacing the target in one step.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes all creations, renames and removals in `folder` durable.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Creates one folder; its parent must exist.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    /// The names in `folder`, sorted by their bytes.
    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>>;

    /// What `path` is, links followed; `NotFound` if it is nothing.
    fn kind(&self, path: &Path) -> io::Result<PathKind>;

    /// Bytes that this user may still write beside `path`, where the system can say so.
    fn free_bytes(&self, path: &Path) -> Option<u64>;

    /// Takes the lock on `path` (created if need be) without waiting and writes `owner` into it.
    ///
    /// The lock belongs to the open file: it goes when the guard is dropped and when the process dies, however it dies.
    fn try_lock(&self, path: &Path, owner: &str) -> io::Result<LockAttempt>;
}

/// The folder that holds `path`, `.` where the path names none.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
