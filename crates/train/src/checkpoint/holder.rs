//! Who has a run folder in hand, asked without taking its lock.
//!
//! The lock belongs to an open file, and the holder has written its process number into it. On Linux a run is in hand if
//! a process of that number has that very file open (`/proc/PID/fd`): a number that was given to another process since
//! deceives nobody. Where another user's process may not be looked into, its being there has to do. A holder in another
//! container, with numbers of its own, is not seen. Where there is no `/proc`, the lock is tried in shared mode and given
//! back at once.

use std::fs::{File, TryLockError};
use std::io::Read;
use std::path::Path;

/// More than any process number.
const PID_MAX_BYTES: u64 = 16;

/// The process that has the run in hand: its number, where the system tells it. None: nobody has.
pub(crate) fn of(run: &Path) -> Option<Option<u32>> {
    let path = run.join(".lock");
    // What is no regular file is no lock; opening a pipe would wait.
    if !std::fs::metadata(&path).ok()?.is_file() {
        return None;
    }
    let mut lock = File::open(path).ok()?;
    if Path::new("/proc/self/fd").exists() {
        return of_proc(&mut lock).map(Some);
    }
    match lock.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(pid_in(&mut lock)),
        _ => None,
    }
}

fn pid_in(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.take(PID_MAX_BYTES).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(unix)]
fn of_proc(lock: &mut File) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;

    let pid = pid_in(lock)?;
    let process = Path::new("/proc").join(pid.to_string());
    let Ok(open_files) = std::fs::read_dir(process.join("fd")) else {
        return process.exists().then_some(pid);
    };
    let id = |file: &std::fs::Metadata| (file.dev(), file.ino());
    let mine = std::fs::File::metadata(lock).ok()?;
    let has = |path: &Path| std::fs::metadata(path).is_ok_and(|file| id(&file) == id(&mine));
    // This process has it open too, once, for this question.
    let needed = if pid == std::process::id() { 2 } else { 1 };
    let count = open_files.flatten().filter(|entry| has(&entry.path())).take(needed).count();
    (count >= needed).then_some(pid)
}

#[cfg(not(unix))]
fn of_proc(_: &mut File) -> Option<u32> {
    None
}
