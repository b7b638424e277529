//! The file system of this machine through `std::fs`.
//!
//! Files are synced with `fsync` (`sync_all`: data and length), folders by opening them and calling the same. The lock
//! is `File::try_lock`, an advisory lock that the kernel drops with its owner.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use super::{LockAttempt, LockGuard, NewFile, OpenFile, PathKind, Storage, folder_of};

/// At most this much of a lock file is read to name its owner.
const OWNER_MAX_BYTES: u64 = 64;

/// The disk of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealStorage;

impl NewFile for File {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        Write::write_all(self, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

/// The open file is the lock: it is released when the descriptor is closed.
struct HeldLock {
    _file: File,
}

impl LockGuard for HeldLock {}

impl Storage for RealStorage {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn NewFile>> {
        Ok(Box::new(OpenOptions::new().write(true).create_new(true).open(path)?))
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        Write::write_all(&mut file, bytes)
    }

    fn open(&self, path: &Path) -> io::Result<OpenFile> {
        // Asked before opening, because opening a pipe without a writer waits for ever; asked again of the descriptor,
        // because the path may have been changed in between.
        regular(&fs::metadata(path)?)?;
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        regular(&metadata)?;
        Ok(OpenFile { size_bytes: metadata.len(), content: Box::new(file) })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir(folder)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let mut names = fs::read_dir(folder)?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<io::Result<Vec<OsString>>>()?;
        names.sort();
        Ok(names)
    }

    fn kind(&self, path: &Path) -> io::Result<PathKind> {
        let metadata = fs::metadata(path)?;
        Ok(if metadata.is_file() {
            PathKind::File
        } else if metadata.is_dir() {
            PathKind::Folder
        } else {
            PathKind::Other
        })
    }

    #[cfg(unix)]
    fn free_bytes(&self, path: &Path) -> Option<u64> {
        let disk = rustix::fs::statvfs(folder_of(path)).ok()?;
        disk.f_bavail.checked_mul(disk.f_frsize)
    }

    #[cfg(not(unix))]
    fn free_bytes(&self, path: &Path) -> Option<u64> {
        let _ = folder_of(path);
        None
    }

    fn try_lock(&self, path: &Path, owner: &str) -> io::Result<LockAttempt> {
        // Not truncated on opening: the text may be another owner's.
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0)?;
                file.rewind()?;
                Write::write_all(&mut file, owner.as_bytes())?;
                Ok(LockAttempt::Held(Box::new(HeldLock { _file: file })))
            }
            Err(TryLockError::WouldBlock) => {
                let mut bytes = Vec::new();
                file.take(OWNER_MAX_BYTES).read_to_end(&mut bytes)?;
                Ok(LockAttempt::InUse { owner: String::from_utf8_lossy(&bytes).trim().to_owned() })
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Refuses what is not a regular file, in words.
fn regular(metadata: &fs::Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    let what = if metadata.is_dir() { "is a folder" } else { "is a device, pipe or socket" };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{what}, not a regular file")))
}
