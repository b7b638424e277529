//! A disk in memory that can fail, be killed or lose its power at any operation.
//!
//! It keeps a log of the changes asked of it. A **kill** keeps every change up to a point: the page cache outlives the
//! process. A **power loss** keeps what a sync made durable and, of the rest, any subset: a write may be lost, whole or
//! torn at sectors, a creation, rename or removal seen or not, each on its own and in any order. This is weaker than
//! what any file system of today promises, so what survives here does not lean on one of them.
//!
//! A sync that fails marks what it should have covered: no later sync makes that durable, as on real kernels, where a
//! failed fsync drops the dirty pages and the next one succeeds.
//!
//! Promises: nothing here depends on time or chance; the same calls and seed give the same states.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a stand-in for tests: all sizes come from the test itself, and a slip should stop it"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::image::{Change, Fate, FileId, Image, mix};
use super::{LockAttempt, LockGuard, NewFile, OpenFile, PathKind, Storage, folder_of};

mod image;

/// A change in the log, with the place in the log of the sync that covers it.
struct Logged {
    change: Change,
    /// Index of the sync after which it is durable.
    durable_at: Option<usize>,
    /// A sync that should have covered it failed: it can never become durable.
    abandoned: bool,
}

/// An error to give at a chosen call.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// Index of the call, counted from 0 by [`SimulatedDisk::calls`]; every call of [`Storage`], [`NewFile`] counts,
    /// `free_bytes` excepted.
    pub at_call: u64,
    /// Whether all later calls fail as well.
    pub lasting: bool,
    /// The system's error number, such as 28 for a full disk.
    pub os_error: i32,
    /// Whether the call takes effect although it reports an error. If not, a write still leaves its first half.
    pub takes_effect: bool,
}

struct State {
    base: Image,
    live: Image,
    log: Vec<Logged>,
    next_file: FileId,
    locks: BTreeMap<PathBuf, String>,
    calls: u64,
    fault: Option<Fault>,
    free_bytes: Option<u64>,
}

/// The simulated disk. Clones share one disk.
#[derive(Clone)]
pub struct SimulatedDisk {
    state: Arc<Mutex<State>>,
}

impl Default for SimulatedDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl SimulatedDisk {
    /// An empty disk with the folders `/` and `.`.
    pub fn new() -> Self {
        let folders = [PathBuf::from("/"), PathBuf::from(".")].into_iter().collect();
        Self::from_image(Image { folders, entries: BTreeMap::new(), contents: BTreeMap::new() })
    }

    fn from_image(image: Image) -> Self {
        let next_file = image.contents.keys().next_back().map_or(0, |last| last + 1);
        let state = State {
            base: image.clone(),
            live: image,
            log: Vec::new(),
            next_file,
            locks: BTreeMap::new(),
            calls: 0,
            fault: None,
            free_bytes: None,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls made so far: the index of the next one.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Changes logged so far: the length of the longest prefix.
    pub fn changes(&self) -> usize {
        self.state().log.len()
    }

    /// Sets the fault to come, or none.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    /// Sets what [`Storage::free_bytes`] says.
    pub fn set_free_bytes(&self, free_bytes: Option<u64>) {
        self.state().free_bytes = free_bytes;
    }

    /// The content of a file as a running process sees it.
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        state.live.entries.get(path).and_then(|file| state.live.contents.get(file)).cloned()
    }

    /// Replaces the content of a file behind everyone's back, durably: rot, or someone else's hand.
    pub fn corrupt(&self, path: &Path, content: Vec<u8>) {
        let mut state = self.state();
        let Some(file) = state.live.entries.get(path).copied() else { return };
        state.live.contents.insert(file, content);
        // The log no longer tells how this content came about, so it starts again here.
        state.base = state.live.clone();
        state.log.clear();
    }

    /// All files, by path.
    pub fn files(&self) -> Vec<PathBuf> {
        self.state().live.entries.keys().cloned().collect()
    }

    /// The disk after the first `changes` changes and then a kill: the process is gone, the page cache is not.
    ///
    /// With `halfway`, the last of these changes, if it is a write, was cut in the middle.
    pub fn after_kill(&self, changes: usize, halfway: bool) -> SimulatedDisk {
        let state = self.state();
        let mut image = state.base.clone();
        for (index, logged) in state.log.iter().take(changes).enumerate() {
            match &logged.change {
                Change::Write { file, offset, bytes } if halfway && index + 1 == changes => {
                    image.write(*file, *offset, &bytes[..bytes.len() / 2]);
                }
                change => image.apply(change, Fate::Kept),
            }
        }
        Self::from_image(image)
    }

    /// Shows `visit` disks that a power loss after the first `changes` changes could leave, each with a description.
    ///
    /// Of the changes not yet durable: none; all; all torn at 512 and at 4096 bytes; each alone, whole and torn; all
    /// but each; and `random` subsets, each change lost, kept or torn by itself.
    pub fn after_power_loss(
        &self,
        changes: usize,
        random: usize,
        seed: u64,
        visit: &mut dyn FnMut(&str, &SimulatedDisk),
    ) {
        let state = self.state();
        let log = &state.log[..changes.min(state.log.len())];
        let pending: Vec<usize> = (0..log.len())
            .filter(|&i| !log[i].change.is_sync() && log[i].durable_at.is_none_or(|at| at >= log.len()))
            .collect();
        let mut show = |what: &str, fates: &dyn Fn(usize) -> Fate| {
            let mut image = state.base.clone();
            let mut next = pending.iter().copied().enumerate().peekable();
            for (index, logged) in log.iter().enumerate() {
                let fate = match next.next_if(|&(_, i)| i == index) {
                    Some((nth, _)) => fates(nth),
                    None => Fate::Kept,
                };
                image.apply(&logged.change, fate);
            }
            image.drop_unreachable();
            visit(&format!("power lost after change {changes}: {what}"), &Self::from_image(image));
        };

        show("nothing pending kept", &|_| Fate::Lost);
        if pending.is_empty() {
            return;
        }
        show("all pending kept", &|_| Fate::Kept);
        for sector_bytes in [512, 4096] {
            show(&format!("all torn at {sector_bytes}"), &|nth| Fate::Torn { sector_bytes, seed: mix(seed, nth) });
        }
        for one in 0..pending.len() {
            show(&format!("only pending {one} kept"), &|nth| if nth == one { Fate::Kept } else { Fate::Lost });
            show(&format!("only pending {one} lost"), &|nth| if nth == one { Fate::Lost } else { Fate::Kept });
            if matches!(log[pending[one]].change, Change::Write { .. }) {
                for sector_bytes in [512, 4096] {
                    let torn = Fate::Torn { sector_bytes, seed: mix(seed, one) };
                    let what = format!("pending {one} torn at {sector_bytes}");
                    show(&format!("{what}, rest lost"), &|nth| if nth == one { torn } else { Fate::Lost });
                    show(&format!("{what}, rest kept"), &|nth| if nth == one { torn } else { Fate::Kept });
                }
            }
        }
        for draw in 0..random {
            let draw_seed = mix(mix(seed, changes), draw);
            show(&format!("random subset {draw}"), &|nth| match mix(draw_seed, nth) % 5 {
                0 | 1 => Fate::Lost,
                2 | 3 => Fate::Kept,
                _ => Fate::Torn { sector_bytes: 512 << (3 * (mix(draw_seed, nth) >> 32 & 1)), seed: draw_seed },
            });
        }
    }

    /// Counts a call. `Err` is its error if it fails without effect; `Ok(Some)` if it fails after its effect.
    fn call(state: &mut State) -> Result<Option<io::Error>, io::Error> {
        let index = state.calls;
        state.calls += 1;
        match state.fault {
            Some(fault) if index == fault.at_call || (fault.lasting && index > fault.at_call) => {
                let error = io::Error::from_raw_os_error(fault.os_error);
                if fault.takes_effect { Ok(Some(error)) } else { Err(error) }
            }
            _ => Ok(None),
        }
    }
}

impl State {
    /// Logs a change and lets the running process see it.
    fn change(&mut self, change: Change) {
        self.live.apply(&change, Fate::Kept);
        self.log.push(Logged { change, durable_at: None, abandoned: false });
    }

    /// Logs a sync: what it covers is durable from here, or, if it failed, never.
    fn sync(&mut self, sync: Change, failed: bool) {
        let at = self.log.len();
        for logged in &mut self.log {
            if logged.durable_at.is_none() && !logged.abandoned && logged.change.covered_by(&sync) {
                if failed {
                    logged.abandoned = true;
                } else {
                    logged.durable_at = Some(at);
                }
            }
        }
        self.log.push(Logged { change: sync, durable_at: None, abandoned: false });
    }

    fn new_file(&mut self, path: &Path) -> FileId {
        let file = self.next_file;
        self.next_file += 1;
        self.change(Change::Create { file, path: path.to_owned() });
        file
    }

    fn file(&self, path: &Path) -> io::Result<FileId> {
        self.live.entries.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn parent_exists(&self, path: &Path) -> io::Result<()> {
        if self.live.folders.contains(folder_of(path)) { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn length(&self, file: FileId) -> usize {
        self.live.contents.get(&file).map_or(0, Vec::len)
    }

    /// One write call: whole, or its first half if it fails without effect.
    fn write(&mut self, file: FileId, offset: usize, bytes: &[u8]) -> (usize, io::Result<()>) {
        let (kept, result) = match SimulatedDisk::call(self) {
            Ok(None) => (bytes, Ok(())),
            Ok(Some(error)) => (bytes, Err(error)),
            Err(error) => (&bytes[..bytes.len() / 2], Err(error)),
        };
        if !kept.is_empty() {
            self.change(Change::Write { file, offset, bytes: kept.into() });
        }
        (offset + kept.len(), result)
    }
}

/// A file of the simulated disk open for writing.
struct SimulatedFile {
    disk: SimulatedDisk,
    file: FileId,
    offset: usize,
}

impl NewFile for SimulatedFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (offset, result) = self.disk.state().write(self.file, self.offset, bytes);
        self.offset = offset;
        result
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.state();
        let failure = SimulatedDisk::call(&mut state).unwrap_or_else(Some);
        state.sync(Change::SyncFile { file: self.file }, failure.is_some());
        failure.map_or(Ok(()), Err)
    }
}

/// Releases the lock when dropped.
struct SimulatedLock {
    disk: SimulatedDisk,
    path: PathBuf,
}

impl LockGuard for SimulatedLock {}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        self.disk.state().locks.remove(&self.path);
    }
}

impl Storage for SimulatedDisk {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn NewFile>> {
        let mut state = self.state();
        let late = Self::call(&mut state)?;
        state.parent_exists(path)?;
        if state.live.entries.contains_key(path) || state.live.folders.contains(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = state.new_file(path);
        match late {
            Some(error) => Err(error),
            None => Ok(Box::new(SimulatedFile { disk: self.clone(), file, offset: 0 })),
        }
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.parent_exists(path)?;
        let file = match state.file(path) {
            Ok(file) => file,
            Err(_) => state.new_file(path),
        };
        let offset = state.length(file);
        state.write(file, offset, bytes).1
    }

    fn open(&self, path: &Path) -> io::Result<OpenFile> {
        let mut state = self.state();
        if let Some(error) = Self::call(&mut state)? {
            return Err(error);
        }
        let file = state.file(path)?;
        let content = state.live.contents.get(&file).cloned().unwrap_or_default();
        Ok(OpenFile { size_bytes: content.len() as u64, content: Box::new(Cursor::new(content)) })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let late = Self::call(&mut state)?;
        let file = state.file(from)?;
        state.parent_exists(to)?;
        state.change(Change::Rename { file, from: from.to_owned(), to: to.to_owned() });
        late.map_or(Ok(()), Err)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let late = Self::call(&mut state)?;
        let file = state.file(path)?;
        state.change(Change::Remove { file, path: path.to_owned() });
        late.map_or(Ok(()), Err)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state();
        let failure = Self::call(&mut state).unwrap_or_else(Some);
        if !state.live.folders.contains(folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.sync(Change::SyncFolder { path: folder.to_owned() }, failure.is_some());
        failure.map_or(Ok(()), Err)
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state();
        let late = Self::call(&mut state)?;
        state.parent_exists(folder)?;
        if state.live.entries.contains_key(folder) || state.live.folders.contains(folder) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.change(Change::CreateFolder { path: folder.to_owned() });
        late.map_or(Ok(()), Err)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let mut state = self.state();
        if let Some(error) = Self::call(&mut state)? {
            return Err(error);
        }
        if !state.live.folders.contains(folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let within = |path: &&PathBuf| path.as_path() != folder && folder_of(path) == folder;
        let files = state.live.entries.keys().filter(within);
        let folders = state.live.folders.iter().filter(within);
        let names: BTreeSet<OsString> =
            files.chain(folders).filter_map(|path| path.file_name()).map(OsString::from).collect();
        Ok(names.into_iter().collect())
    }

    fn kind(&self, path: &Path) -> io::Result<PathKind> {
        let mut state = self.state();
        if let Some(error) = Self::call(&mut state)? {
            return Err(error);
        }
        if state.live.folders.contains(path) {
            return Ok(PathKind::Folder);
        }
        state.file(path).map(|_| PathKind::File)
    }

    fn free_bytes(&self, _path: &Path) -> Option<u64> {
        self.state().free_bytes
    }

    fn try_lock(&self, path: &Path, owner: &str) -> io::Result<LockAttempt> {
        let mut state = self.state();
        let late = Self::call(&mut state)?;
        state.parent_exists(path)?;
        if let Some(holder) = state.locks.get(path) {
            return Ok(LockAttempt::InUse { owner: holder.trim().to_owned() });
        }
        if !state.live.entries.contains_key(path) {
            state.new_file(path);
        }
        if let Some(error) = late {
            return Err(error);
        }
        state.locks.insert(path.to_owned(), owner.to_owned());
        drop(state);
        Ok(LockAttempt::Held(Box::new(SimulatedLock { disk: self.clone(), path: path.to_owned() })))
    }
}
