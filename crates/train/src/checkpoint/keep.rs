//! Which checkpoints stay: the newest N that are known to be good, N >= 2, and what a stop left unfinished goes.
//!
//! A checkpoint is known to be good once this process has saved it to the end or has read it and found every checksum
//! right. Others are read once, when removing older ones would depend on them. So a rotten file, or one whose save
//! failed half-way, never takes the place of a good one.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;

use super::read::read_checkpoint;
use super::{Notice, step_name, steps_in};
use crate::storage::Storage;

/// How every temporary's name begins.
const TEMPORARY_PREFIX: &str = ".gatemill-tmp-";

/// How many checkpoints stay, as `--keep` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// All of them.
    All,
    /// The newest so many; less than 2 counts as 2.
    Last(usize),
}

impl Default for Keep {
    fn default() -> Self {
        Keep::Last(2)
    }
}

/// A text that is no [`Keep`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("keep is \"all\" or a whole number from 2, not {found:?}: the newest may turn out damaged, so two must stay")]
pub struct KeepError {
    /// The text.
    pub found: String,
}

impl FromStr for Keep {
    type Err = KeepError;

    fn from_str(text: &str) -> Result<Self, KeepError> {
        match (text, text.parse()) {
            ("all", _) => Ok(Keep::All),
            (_, Ok(count)) if count >= 2 => Ok(Keep::Last(count)),
            _ => Err(KeepError { found: text.to_owned() }),
        }
    }
}

impl std::fmt::Display for Keep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Keep::All => f.write_str("all"),
            Keep::Last(count) => write!(f, "{count}"),
        }
    }
}

/// Remembers which checkpoints can be relied on, and removes those that are no longer needed.
pub(super) struct Keeper {
    keep: Keep,
    /// Saved to the end, or read and verified, by this process.
    good: BTreeSet<u64>,
    /// In their place, perhaps, but their save failed: the page cache would vouch for them, the medium may not.
    doubtful: BTreeSet<u64>,
}

impl Keeper {
    pub(super) fn new(keep: Keep) -> Self {
        Self { keep, good: BTreeSet::new(), doubtful: BTreeSet::new() }
    }

    pub(super) fn trust(&mut self, step: u64) {
        self.doubtful.remove(&step);
        self.good.insert(step);
    }

    pub(super) fn doubt(&mut self, step: u64) {
        self.good.remove(&step);
        self.doubtful.insert(step);
    }

    pub(super) fn forget(&mut self, step: u64) {
        self.good.remove(&step);
        self.doubtful.remove(&step);
    }

    /// Removes what is older than the newest good ones. Never fails: what cannot be removed or read stays.
    pub(super) fn prune(&mut self, storage: &dyn Storage, folder: &Path) -> Vec<Notice> {
        let Keep::Last(count) = self.keep else { return Vec::new() };
        let names = match storage.list(folder) {
            Ok(names) => names,
            Err(error) => {
                return vec![Notice::NotRemoved {
                    path: folder.to_owned(),
                    reason: format!("cannot list it: {error}"),
                }];
            }
        };
        let mut still_needed = count.max(2);
        let mut notices = Vec::new();
        for step in steps_in(&names).into_iter().rev() {
            let path = folder.join(step_name(step));
            if still_needed == 0 {
                match storage.remove(&path) {
                    Ok(()) => self.forget(step),
                    Err(error) => notices.push(Notice::NotRemoved { path, reason: error.to_string() }),
                }
            } else if self.is_good(storage, step, &path) {
                still_needed = still_needed.saturating_sub(1);
            }
        }
        notices
    }

    fn is_good(&mut self, storage: &dyn Storage, step: u64, path: &Path) -> bool {
        if self.doubtful.contains(&step) {
            return false;
        }
        if !self.good.contains(&step) && read_checkpoint(storage, path).is_ok() {
            self.good.insert(step);
        }
        self.good.contains(&step)
    }
}

/// The temporary of `path`, in the same folder. The number tells apart those that could not be removed.
pub(super) fn temporary_path(path: &Path, number: u64) -> PathBuf {
    let name = path.file_name().unwrap_or(OsStr::new("file")).to_string_lossy();
    path.with_file_name(format!("{TEMPORARY_PREFIX}{number}-{name}"))
}

pub(super) fn is_temporary(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(TEMPORARY_PREFIX.as_bytes())
}

/// Removes the temporaries that a killed process left in `folder`. The lock must be held: they could be another's.
pub(super) fn remove_stale_temporaries(storage: &dyn Storage, folder: &Path) -> std::io::Result<Vec<Notice>> {
    let names = storage.list(folder)?;
    let stale = names.iter().filter(|name| is_temporary(name)).map(|name| folder.join(name));
    Ok(stale
        .map(|path| match storage.remove(&path) {
            Ok(()) => Notice::RemovedUnfinished { path },
            Err(error) => Notice::NotRemoved { path, reason: error.to_string() },
        })
        .collect())
}
