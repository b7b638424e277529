//! A file of the cache folder that is whole or not there: temporary, sync, rename, sync of the folder.
//!
//! Readable by its owner alone, as the text that it is made of may be. A draft that is given up removes itself; what a
//! killed process left behind goes as stale at a later start.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Temporary files of writers that did not live to rename them go after this long without a write.
const STALE: Duration = Duration::from_secs(3600);
/// What our temporary files have in their names; they end in `.tmp`.
const OURS: [&str; 3] = [".tokens.", ".text.", ".files."];

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct Draft {
    dir: PathBuf,
    temporary: PathBuf,
    pub(crate) file: File,
    kept: bool,
}

impl Draft {
    /// A new file in `dir`, which is made where it is missing. `name` is one of `*.tokens`, `*.text`, `*.files`.
    pub(crate) fn create(dir: &Path, name: &str) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        fs::create_dir_all(dir)?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let temporary = dir.join(format!("{name}.{}.{count}.tmp", std::process::id()));
        let file = fs::OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&temporary)?;
        Ok(Self { dir: dir.to_owned(), temporary, file, kept: false })
    }
    /// Makes it last under its name, in place of what has that name. Errors: nothing of it is left.
    pub(crate) fn keep(mut self, name: impl AsRef<Path>) -> io::Result<PathBuf> {
        let path = self.dir.join(name);
        self.file.sync_all()?;
        fs::rename(&self.temporary, &path)?;
        self.kept = true;
        File::open(&self.dir)?.sync_all()?;
        Ok(path)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed goes as stale one day.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Removes temporary files that nobody writes to any more.
pub(crate) fn remove_stale(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let of_us = |name: &str| name.ends_with(".tmp") && OURS.iter().any(|part| name.contains(part));
        let age = entry.metadata().and_then(|m| m.modified()).ok().and_then(|at| at.elapsed().ok());
        if entry.file_name().to_str().is_some_and(of_us) && age.is_some_and(|age| age > STALE) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
