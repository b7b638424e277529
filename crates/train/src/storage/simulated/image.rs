//! The content of the simulated disk, and what each change does to it, wholly, in part or not at all.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a stand-in for tests: all sizes come from the test itself, and a slip should stop it"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use crate::storage::folder_of;

pub(super) type FileId = usize;

/// One change of the disk. A file is known by its number, so that its content does not depend on its name.
#[derive(Debug, Clone)]
pub(super) enum Change {
    CreateFolder { path: PathBuf },
    Create { file: FileId, path: PathBuf },
    Write { file: FileId, offset: usize, bytes: Arc<[u8]> },
    SyncFile { file: FileId },
    Rename { file: FileId, from: PathBuf, to: PathBuf },
    Remove { file: FileId, path: PathBuf },
    SyncFolder { path: PathBuf },
}

/// What happens to a change that no sync covered when the power goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate {
    Lost,
    Kept,
    /// Of a write, some sectors of this size are kept; other changes are kept whole.
    Torn {
        sector_bytes: usize,
        seed: u64,
    },
}

/// The whole content of a disk at one moment.
#[derive(Debug, Clone)]
pub(super) struct Image {
    pub(super) folders: BTreeSet<PathBuf>,
    pub(super) entries: BTreeMap<PathBuf, FileId>,
    pub(super) contents: BTreeMap<FileId, Vec<u8>>,
}

impl Change {
    pub(super) fn is_sync(&self) -> bool {
        matches!(self, Change::SyncFile { .. } | Change::SyncFolder { .. })
    }

    /// Whether a sync of this file or folder covers the change.
    pub(super) fn covered_by(&self, sync: &Change) -> bool {
        match (self, sync) {
            (Change::Write { file, .. }, Change::SyncFile { file: synced }) => file == synced,
            (
                Change::CreateFolder { path } | Change::Create { path, .. } | Change::Remove { path, .. },
                Change::SyncFolder { path: synced },
            ) => folder_of(path) == synced,
            (Change::Rename { to, .. }, Change::SyncFolder { path: synced }) => folder_of(to) == synced,
            _ => false,
        }
    }
}

impl Image {
    pub(super) fn write(&mut self, file: FileId, offset: usize, bytes: &[u8]) {
        let content = self.contents.entry(file).or_default();
        let end = offset + bytes.len();
        if content.len() < end {
            content.resize(end, 0);
        }
        content[offset..end].copy_from_slice(bytes);
    }

    pub(super) fn apply(&mut self, change: &Change, fate: Fate) {
        if matches!(fate, Fate::Lost) {
            return;
        }
        match change {
            Change::CreateFolder { path } => {
                self.folders.insert(path.clone());
            }
            Change::Create { file, path } => {
                self.contents.entry(*file).or_default();
                self.entries.insert(path.clone(), *file);
            }
            Change::Write { file, offset, bytes } => match fate {
                Fate::Torn { sector_bytes, seed } => self.write_torn(*file, *offset, bytes, sector_bytes, seed),
                _ => self.write(*file, *offset, bytes),
            },
            Change::Rename { file, from, to } => {
                if self.entries.get(from) == Some(file) {
                    self.entries.remove(from);
                }
                self.contents.entry(*file).or_default();
                self.entries.insert(to.clone(), *file);
            }
            Change::Remove { file, path } => {
                if self.entries.get(path) == Some(file) {
                    self.entries.remove(path);
                }
            }
            Change::SyncFile { .. } | Change::SyncFolder { .. } => {}
        }
    }

    /// Keeps some sectors of a write. The length may have grown all the same; then lost sectors read as zeros or, as on
    /// disks that hand out used blocks, as something else.
    fn write_torn(&mut self, file: FileId, offset: usize, bytes: &[u8], sector_bytes: usize, seed: u64) {
        if mix(seed, offset).is_multiple_of(2) {
            let fill = if mix(seed, offset + 1).is_multiple_of(2) { 0 } else { 0xA5 };
            let end = offset + bytes.len();
            let content = self.contents.entry(file).or_default();
            if content.len() < end {
                content.resize(end, fill);
            }
        }
        let mut start = 0;
        while start < bytes.len() {
            let sector = (offset + start) / sector_bytes;
            let end = bytes.len().min((sector + 1) * sector_bytes - offset);
            if mix(seed, sector) & 4 != 0 {
                self.write(file, offset + start, &bytes[start..end]);
            }
            start = end;
        }
    }

    /// Drops what lies in folders whose own creation was lost.
    pub(super) fn drop_unreachable(&mut self) {
        let reachable: BTreeSet<PathBuf> = self
            .folders
            .iter()
            .filter(|folder| {
                folder.ancestors().all(|above| above.as_os_str().is_empty() || self.folders.contains(above))
            })
            .cloned()
            .collect();
        self.folders = reachable;
        let folders = &self.folders;
        self.entries.retain(|path, _| folders.contains(folder_of(path)));
    }
}

/// Mixes a number into a seed (the finaliser of SplitMix64).
pub(super) fn mix(seed: u64, n: impl TryInto<u64>) -> u64 {
    let n = n.try_into().unwrap_or(u64::MAX);
    let mut z = seed.wrapping_add(n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
