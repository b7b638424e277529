//! One opened file: its length, fixed at open, and copies of its bytes.
//!
//! Mapped, read by position, or in memory: the same bytes. One `fstat` before a copy, or before the many small copies of
//! a chunk, finds a file that became shorter, so that the map is rarely touched beyond its end; where it is, `map.rs` turns
//! that into an error. One more behind them: in a file that was cut meanwhile, the rest of its last page reads as zeros
//! without any signal.
//! A file may stand for another: the text unpacked from it lies in the cache folder, messages name what was given. Of many
//! files only some are open at a time (`pool.rs`).
//! Only ordinary files are opened: the kind is looked at before opening and again on the descriptor, and the
//! open does not block, so neither a pipe nor a device can hold the process up.

use crate::error::CorpusError;
use crate::map::Map;
use crate::pool::Pool;
use std::fs::{self, File, FileType, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// How files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Io {
    /// Through a memory map.
    #[default]
    Map,
    /// By positioned reads: for network file systems and for hosts that have their own SIGBUS handler.
    Read,
}

/// Added to the number of a file in a pool: the text that was repaired from it.
const REPAIRED: usize = usize::MAX / 2;

/// An opened file.
#[derive(Debug)]
pub(crate) struct Source {
    /// As it was given.
    path: PathBuf,
    /// Where its text lies, if elsewhere.
    kept: Option<Kept>,
    size_bytes: u64,
    backing: Backing,
}

/// A text made from a file.
#[derive(Debug)]
struct Kept {
    path: PathBuf,
    /// The file as it was when its text was found or made.
    given: Identity,
}

/// What tells a file from another one, and from what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    size_bytes: u64,
    modified: Option<SystemTime>,
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        let modified = metadata.modified().ok();
        Self { device: metadata.dev(), inode: metadata.ino(), size_bytes: metadata.len(), modified }
    }
    fn same_file(&self, other: &Metadata) -> bool {
        (self.device, self.inode) == (other.dev(), other.ino())
    }
}

#[derive(Debug)]
enum Backing {
    Memory(Vec<u8>),
    Read(File),
    Map(File, Map),
    /// One of many: opened when it is read.
    Pooled {
        pool: Arc<Pool>,
        number: usize,
        is: Identity,
    },
}

/// How a source is opened, beside its path.
#[derive(Debug, Clone, Default)]
pub(crate) struct How {
    pub(crate) io: Io,
    /// The text made from the file, which is read in its place.
    pub(crate) kept: Option<PathBuf>,
    /// Of many files: where their descriptors are, and its number among them.
    pub(crate) pool: Option<(Arc<Pool>, usize)>,
}

impl Source {
    /// Opens an ordinary file. Where it cannot be mapped it is read, and a note says so.
    pub(crate) fn open(path: &Path, io: Io, notes: &mut Vec<String>) -> Result<Self, CorpusError> {
        Self::open_how(path, How { io, ..How::default() }, notes)
    }
    /// Opens an ordinary file, or the text that was made from it.
    pub(crate) fn open_how(path: &Path, how: How, notes: &mut Vec<String>) -> Result<Self, CorpusError> {
        let kept = match how.kept {
            None => None,
            Some(kept) => {
                let given = fs::metadata(path).map_err(|e| CorpusError::io(path, "opening", e))?;
                Some(Kept { path: kept, given: Identity::of(&given) })
            }
        };
        let file_path = kept.as_ref().map_or(path, |kept| &kept.path);
        let (file, metadata) = open_ordinary(file_path)?;
        let size_bytes = metadata.len();
        let backing = match (how.io, how.pool) {
            _ if size_bytes == 0 => {
                let has_content = file.read_at(&mut [0], 0).map_err(|e| CorpusError::io(file_path, "reading", e))? > 0;
                let now = file.metadata().map_err(|e| CorpusError::io(file_path, "opening", e))?;
                // It may have been written to between both looks.
                if has_content && now.len() == 0 {
                    return Err(CorpusError::NoLength { path: path.to_owned() });
                }
                Backing::Memory(Vec::new())
            }
            (_, Some((pool, number))) => {
                let file = pool.file(number, || Ok::<_, CorpusError>(file))?;
                drop(file);
                Backing::Pooled { pool, number, is: Identity::of(&metadata) }
            }
            (Io::Read, None) => Backing::Read(file),
            (Io::Map, None) => match Map::new(&file, size_bytes) {
                Ok(Some(map)) => Backing::Map(file, map),
                Ok(None) => Backing::Read(file),
                Err(e) => {
                    notes.push(format!(
                        "{file_path:?} cannot be mapped ({e}); it is read by position, with the same result"
                    ));
                    Backing::Read(file)
                }
            },
        };
        Ok(Self { path: path.to_owned(), kept, size_bytes, backing })
    }
    /// Bytes that are in memory already.
    pub(crate) fn from_bytes(name: &Path, bytes: Vec<u8>) -> Self {
        Self { path: name.to_owned(), kept: None, size_bytes: bytes.len() as u64, backing: Backing::Memory(bytes) }
    }
    /// As it was given.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
    /// Where its bytes lie.
    fn file_path(&self) -> &Path {
        self.kept.as_ref().map_or(&self.path, |kept| &kept.path)
    }
    /// Of what an offset is, where that is not the file that was given.
    pub(crate) fn offsets_of(&self) -> &'static str {
        if self.kept.is_some() { " of its unpacked text" } else { "" }
    }
    /// Its length when it was opened.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
    /// The pool that it is in, and a number there for the text that is repaired from it.
    pub(crate) fn pool(&self) -> Option<(Arc<Pool>, usize)> {
        match &self.backing {
            Backing::Pooled { pool, number, .. } => Some((Arc::clone(pool), number.wrapping_add(REPAIRED))),
            _ => None,
        }
    }
    /// Whether it is no file.
    pub(crate) fn in_memory(&self) -> bool {
        matches!(self.backing, Backing::Memory(_))
    }
    /// Copies `out.len()` bytes from `offset` on. Errors: a range outside the file, a file that shrank, a read error.
    pub(crate) fn copy(&self, offset: u64, out: &mut [u8]) -> Result<(), CorpusError> {
        self.check_length()?;
        self.copy_range(offset, out)?;
        self.check_length()
    }
    /// Looks whether the file is as long as when it was opened, or longer.
    pub(crate) fn check_length(&self) -> Result<(), CorpusError> {
        match self.stat()? {
            Some(now) if now.len() < self.size_bytes => {
                let (path, from) = (self.file_path().to_owned(), self.size_bytes);
                Err(CorpusError::Shrank { path, from, to: now.len() })
            }
            _ => Ok(()),
        }
    }
    /// As `copy`, for callers that look at the length before and after many of these.
    pub(crate) fn copy_range(&self, offset: u64, out: &mut [u8]) -> Result<(), CorpusError> {
        let outside = || CorpusError::OutOfRange {
            path: self.file_path().to_owned(),
            offset,
            len: out.len() as u64,
            size_bytes: self.size_bytes,
        };
        let end = offset.checked_add(out.len() as u64).filter(|&end| end <= self.size_bytes);
        let end = end.and_then(|end| usize::try_from(end).ok());
        match &self.backing {
            Backing::Memory(bytes) => {
                let start = usize::try_from(offset).ok();
                let from = start.zip(end).and_then(|(start, end)| bytes.get(start..end)).ok_or_else(outside)?;
                out.copy_from_slice(from);
                Ok(())
            }
            Backing::Read(file) => {
                end.ok_or_else(outside)?;
                file.read_exact_at(out, offset).map_err(|e| self.read_failed(offset, e))
            }
            Backing::Pooled { pool, number, is } => {
                end.ok_or_else(outside)?;
                let file = self.pooled(pool, *number, is)?;
                file.read_exact_at(out, offset).map_err(|e| self.read_failed(offset, e))
            }
            Backing::Map(_, map) => {
                end.ok_or_else(outside)?;
                let start = usize::try_from(offset).map_err(|_| outside())?;
                map.copy(start, out).map_err(|fault| self.faulted(fault.offset))
            }
        }
    }
    /// Whether the file, and the path that led to it, are as they were: same length, same file. Content is the
    /// fingerprint's business.
    pub(crate) fn check_same_file(&self) -> Result<(), CorpusError> {
        let changed = |path: &Path, what: String| Err(CorpusError::Changed { path: path.to_owned(), what });
        let Some(ours) = self.stat()? else { return Ok(()) };
        if ours.len() != self.size_bytes {
            let what = format!("it had {} bytes when it was opened and has {} now", self.size_bytes, ours.len());
            return changed(self.file_path(), what);
        }
        let nowhere =
            |path, e| changed(path, format!("its path leads nowhere ({e}); the file that was opened is read on"));
        if let Some(kept) = &self.kept {
            match fs::metadata(&self.path) {
                Ok(now) if Identity::of(&now) == kept.given => {}
                Ok(_) => {
                    let what = "it was rewritten; the text that was unpacked from it is read on";
                    return changed(&self.path, what.into());
                }
                Err(e) => return nowhere(&self.path, e),
            }
        }
        match fs::metadata(self.file_path()) {
            Ok(now) if Identity::of(&ours).same_file(&now) => Ok(()),
            Ok(_) => {
                let what = "another file stands at its path; the one that was opened is read on";
                changed(self.file_path(), what.into())
            }
            Err(e) => nowhere(self.file_path(), e),
        }
    }
    /// The file as it is now; None for what is no file.
    fn stat(&self) -> Result<Option<Metadata>, CorpusError> {
        let asked = match &self.backing {
            Backing::Memory(_) => return Ok(None),
            Backing::Read(file) | Backing::Map(file, _) => file.metadata(),
            Backing::Pooled { pool, number, is } => self.pooled(pool, *number, is)?.metadata(),
        };
        asked.map(Some).map_err(|e| CorpusError::io(self.file_path(), "asking for the length of", e))
    }
    /// The descriptor of one of many. Errors: opening it; another file is there by now.
    fn pooled(&self, pool: &Pool, number: usize, is: &Identity) -> Result<Arc<File>, CorpusError> {
        let open = || {
            let (file, now) = open_ordinary(self.file_path()).or_else(|e| match e {
                // Other parts of the process have them: the pool can do with fewer.
                CorpusError::Io { source, .. } if source.raw_os_error() == Some(libc::EMFILE) => {
                    pool.clear();
                    open_ordinary(self.file_path())
                }
                e => Err(e),
            })?;
            if is.same_file(&now) {
                return Ok(file);
            }
            let what = "another file stands at its path".into();
            Err(CorpusError::Changed { path: self.path.clone(), what })
        };
        pool.file(number, open)
    }
    fn read_failed(&self, offset: u64, e: io::Error) -> CorpusError {
        match self.check_length() {
            Err(shrank) => shrank,
            Ok(()) if e.kind() == io::ErrorKind::UnexpectedEof => self.faulted(offset),
            Ok(()) => CorpusError::io(self.file_path(), "reading", e),
        }
    }
    /// A page did not come: is the file shorter, or the disk failing?
    fn faulted(&self, offset: u64) -> CorpusError {
        match self.check_length() {
            Err(shrank) => shrank,
            Ok(()) => CorpusError::ReadFault { path: self.file_path().to_owned(), offset },
        }
    }
}

/// Opens an ordinary file; the open waits for nothing. Errors: no file there, or none of that kind.
pub(crate) fn open_ordinary(path: &Path) -> Result<(File, Metadata), CorpusError> {
    let failed = |e| CorpusError::io(path, "opening", e);
    check_kind(path, fs::metadata(path).map_err(failed)?.file_type())?;
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    check_kind(path, metadata.file_type())?;
    Ok((file, metadata))
}

/// Refuses what is no ordinary file.
pub(crate) fn check_kind(path: &Path, kind: FileType) -> Result<(), CorpusError> {
    let what = match kind {
        k if k.is_file() => return Ok(()),
        k if k.is_dir() => return Err(CorpusError::Directory { path: path.to_owned() }),
        k if k.is_fifo() => "a pipe",
        k if k.is_socket() => "a socket",
        _ => "a device",
    };
    Err(CorpusError::NotSeekable { path: path.to_owned(), what })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn opened(bytes: &[u8], io: Io) -> (tempfile::NamedTempFile, Source) {
        let mut named = tempfile::NamedTempFile::new().unwrap();
        named.write_all(bytes).unwrap();
        let source = Source::open(named.path(), io, &mut Vec::new()).unwrap();
        (named, source)
    }

    #[test]
    fn both_ways_give_the_same_bytes_and_refuse_the_same_ranges() {
        let bytes: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        let (_a, map) = opened(&bytes, Io::Map);
        let (_b, read) = opened(&bytes, Io::Read);
        let memory = Source::from_bytes(Path::new("memory"), bytes.clone());
        assert!(matches!((&map.backing, &read.backing), (Backing::Map(..), Backing::Read(_))));
        for source in [&map, &read, &memory] {
            for (offset, len) in [(0, 10_000), (1, 9_999), (4095, 2), (4096, 4096), (9_999, 1), (10_000, 0)] {
                let mut out = vec![0; len];
                source.copy(offset, &mut out).unwrap();
                assert_eq!(out, bytes[offset as usize..][..len]);
            }
            for (offset, len) in [(0, 10_001), (10_000, 1), (u64::MAX, 1), (u64::MAX, 0)] {
                let refused = source.copy(offset, &mut vec![0; len]);
                assert!(matches!(refused, Err(CorpusError::OutOfRange { .. })), "{offset} {len}");
            }
        }
    }

    #[test]
    fn fault_c09_found_before_the_map_is_touched() {
        for io in [Io::Map, Io::Read] {
            let (named, source) = opened(&[1; 9000], io);
            named.as_file().set_len(100).unwrap();
            let error = source.copy(0, &mut [0; 10]).unwrap_err();
            assert!(matches!(error, CorpusError::Shrank { from: 9000, to: 100, .. }), "{error}");
            assert!(error.is_io() && error.to_string().contains("shrank from 9000 to 100 bytes"));
        }
    }

    #[test]
    fn fault_c09_found_by_the_signal() {
        let (named, source) = opened(&[1; 90_000], Io::Map);
        named.as_file().set_len(100).unwrap();
        // As if the file had been cut between the look at its length and the copy.
        let error = source.copy_range(0, &mut [0; 90_000]).unwrap_err();
        assert!(matches!(error, CorpusError::Shrank { from: 90_000, to: 100, .. }), "{error}");
        // As long as ever, and yet a page did not come: what a failing disk looks like.
        named.as_file().set_len(90_000).unwrap();
        let error = source.copy(0, &mut [0; 10]).unwrap_err();
        // The page with byte 100 is still there; what follows it is what was missed.
        assert!(matches!(error, CorpusError::ReadFault { offset, .. } if (101..=65_536).contains(&offset)), "{error}");
        assert!(error.is_io());
    }

    #[test]
    fn fault_c09_found_by_the_read() {
        let (named, source) = opened(&[1; 90_000], Io::Read);
        named.as_file().set_len(100).unwrap();
        let error = source.copy_range(0, &mut [0; 90_000]).unwrap_err();
        assert!(matches!(error, CorpusError::Shrank { from: 90_000, to: 100, .. }), "{error}");
    }

    #[test]
    fn fault_c09_a_file_cut_again_and_again_is_survived() {
        let (named, source) = opened(&[1; 1 << 20], Io::Map);
        std::thread::scope(|scope| {
            let cutter = scope.spawn(|| {
                for _ in 0..300 {
                    named.as_file().set_len(10).unwrap();
                    named.as_file().set_len(1 << 20).unwrap();
                }
            });
            let mut out = vec![0; 1 << 20];
            while !cutter.is_finished() {
                match source.copy(0, &mut out) {
                    Ok(()) | Err(CorpusError::Shrank { .. } | CorpusError::ReadFault { .. }) => {}
                    Err(e) => panic!("{e}"),
                }
            }
        });
    }
}
