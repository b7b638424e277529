//! The token cache: the ids of a multi-byte text as numbers of one width, made once, mapped afterwards.
//!
//! ```text
//! 0   magic       "GMTOKENS"
//! 8   version     u32   1
//! 12  width       u32   bytes of an id: 1, 2 or 4
//! 16  count       u64   ids
//! 24  body_crc    u32   CRC-32 of all bytes from 96 on
//! 28  header_crc  u32   CRC-32 of bytes 0..96 with this field 0
//! 32  content     [32]  the source's, as `scan.rs` computes it from every byte
//! 64  vocabulary  [32]  SHA-256 of the vocabulary
//! 96  ids, to the end of the file
//! ```
//!
//! Numbers are little-endian. The name is made of content and vocabulary, so a file or vocabulary that changes finds no
//! cache; one that is damaged, cut or of another version is made anew. It is written to a temporary file in the same
//! folder, synced, renamed, and the folder synced: a cache is whole or not there. Where none can be written the ids stay
//! in memory and a note says so.

use crate::error::CorpusError;
use crate::scan::{BlockScan, Scan, block_text, each_block, read_block};
use crate::source::{Io, Source};
use crate::tokens::{Tokens, Width, limit};
use crate::vocab::Vocab;
use bytemuck::{Pod, Zeroable};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const MAGIC: [u8; 8] = *b"GMTOKENS";
const VERSION: u32 = 1;
const HEADER_BYTES: u64 = size_of::<Header>() as u64;
/// Blocks that are encoded at once. A guess: enough for the cores, and at most 64 MiB of ids.
const GROUP: u64 = 16;
/// Temporary files of writers that did not live to rename them go after this long without a write.
const STALE: Duration = Duration::from_secs(3600);

/// The first 96 bytes, as they lie in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    version: [u8; 4],
    width: [u8; 4],
    count: [u8; 8],
    body_crc: [u8; 4],
    header_crc: [u8; 4],
    content: [u8; 32],
    vocabulary: [u8; 32],
}

impl Header {
    fn new(scan: &Scan, vocab: &Vocab, width: Width, body_crc: u32) -> Self {
        let mut header = Self {
            magic: MAGIC,
            version: VERSION.to_le_bytes(),
            width: (width.bytes() as u32).to_le_bytes(),
            count: scan.symbols.to_le_bytes(),
            body_crc: body_crc.to_le_bytes(),
            header_crc: [0; 4],
            content: scan.content,
            vocabulary: vocab.sha256(),
        };
        header.header_crc = crc32fast::hash(bytemuck::bytes_of(&header)).to_le_bytes();
        header
    }
    /// The name of its file.
    fn file_name(&self) -> String {
        let hex = |bytes: &[u8; 32]| bytes.iter().take(12).map(|b| format!("{b:02x}")).collect::<String>();
        format!("{}-{}.tokens", hex(&self.content), hex(&self.vocabulary))
    }
}

/// Where token caches go and how they are read.
#[derive(Debug, Clone)]
pub(crate) struct CacheOptions {
    /// None: ids stay in memory.
    pub(crate) dir: Option<PathBuf>,
    pub(crate) io: Io,
    /// Whether symbols may be missing from the vocabulary.
    pub(crate) may_be_unseen: bool,
}

/// `$XDG_CACHE_HOME/gatemill`, else `~/.cache/gatemill`; None where neither is known.
pub fn default_cache_dir() -> Option<PathBuf> {
    cache_dir_of(std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from), std::env::var_os("HOME").map(PathBuf::from))
}

fn cache_dir_of(xdg: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    // The XDG specification has relative paths ignored.
    let absolute = |path: &PathBuf| path.is_absolute();
    let base = xdg.filter(absolute).or_else(|| home.filter(absolute).map(|home| home.join(".cache")));
    base.map(|base| base.join("gatemill"))
}

/// The ids of a scanned multi-byte file: from its cache, or made now. Errors: the source fails or changes; no memory.
pub(crate) fn tokens(
    source: &Source,
    scan: &Scan,
    vocab: &Vocab,
    options: &CacheOptions,
    notes: &mut Vec<String>,
) -> Result<Tokens, CorpusError> {
    let limit = limit(vocab, options.may_be_unseen);
    let width = Width::for_limit(limit);
    let encoder = Encoder { source, scan, vocab, width };
    if let Some(dir) = &options.dir {
        let path = dir.join(Header::new(scan, vocab, width, 0).file_name());
        if let Some(cache) = open_cache(&path, &encoder, options.io, notes, true) {
            return Ok(Tokens::cached(cache, HEADER_BYTES, scan.symbols, width, limit));
        }
        match write_cache(dir, &path, &encoder) {
            Ok(()) => {
                if let Some(cache) = open_cache(&path, &encoder, options.io, notes, false) {
                    return Ok(Tokens::cached(cache, HEADER_BYTES, scan.symbols, width, limit));
                }
            }
            Err(WriteError::Source(e)) => return Err(e),
            Err(WriteError::Cache(e)) => notes.push(format!(
                "no token cache can be written to {dir:?} ({e}); the tokens of {:?} stay in memory",
                source.path()
            )),
        }
    }
    let ids = encoder.in_memory()?;
    Ok(Tokens::cached(Source::from_bytes(source.path(), ids), 0, scan.symbols, width, limit))
}

/// The cache at `path` if it is whole and of this text; `verify` reads all of it. Whatever is wrong with it, it can be made anew.
fn open_cache(path: &Path, encoder: &Encoder<'_>, io: Io, notes: &mut Vec<String>, verify: bool) -> Option<Source> {
    let cache = Source::open(path, io, notes).ok()?;
    let mut header = Header::zeroed();
    cache.copy(0, bytemuck::bytes_of_mut(&mut header)).ok()?;
    let body_crc = u32::from_le_bytes(header.body_crc);
    let body_bytes = encoder.scan.symbols.checked_mul(encoder.width.bytes() as u64)?;
    let fits = header == Header::new(encoder.scan, encoder.vocab, encoder.width, body_crc)
        && Some(cache.size_bytes()) == HEADER_BYTES.checked_add(body_bytes);
    if !fits || verify && body_crc_of(&cache)? != body_crc {
        return None;
    }
    Some(cache)
}

fn body_crc_of(cache: &Source) -> Option<u32> {
    let (mut hash, mut buffer) = (crc32fast::Hasher::new(), vec![0; crate::scan::BLOCK_BYTES]);
    let mut at = HEADER_BYTES;
    while at < cache.size_bytes() {
        let left = usize::try_from(cache.size_bytes().checked_sub(at)?).unwrap_or(usize::MAX);
        let take = left.min(buffer.len());
        let part = buffer.get_mut(..take)?;
        cache.copy(at, part).ok()?;
        hash.update(part);
        at = at.checked_add(take as u64)?;
    }
    Some(hash.finalize())
}

/// Why a cache was not written: the text cannot be read, or the cache not be stored.
enum WriteError {
    Source(CorpusError),
    Cache(io::Error),
}

impl From<io::Error> for WriteError {
    fn from(e: io::Error) -> Self {
        WriteError::Cache(e)
    }
}

fn write_cache(dir: &Path, path: &Path, encoder: &Encoder<'_>) -> Result<(), WriteError> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    fs::create_dir_all(dir)?;
    remove_stale(dir);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap_or_default().display();
    let temporary = dir.join(format!("{name}.{}.{count}.tmp", std::process::id()));
    let written = write_temporary(&temporary, encoder)
        .and_then(|()| Ok(fs::rename(&temporary, path)?))
        .and_then(|()| Ok(File::open(dir)?.sync_all()?));
    if written.is_err() {
        // What cannot be removed goes as stale one day.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn write_temporary(path: &Path, encoder: &Encoder<'_>) -> Result<(), WriteError> {
    // Readable by its owner alone, as the text may be.
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(&[0; HEADER_BYTES as usize])?;
    let mut crc = crc32fast::Hasher::new();
    encoder.each_group(|ids| {
        crc.update(ids);
        Ok(file.write_all(ids)?)
    })?;
    let header = Header::new(encoder.scan, encoder.vocab, encoder.width, crc.finalize());
    file.write_all_at(bytemuck::bytes_of(&header), 0)?;
    Ok(file.sync_all()?)
}

/// Removes temporary files that nobody writes to any more.
fn remove_stale(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_str().is_some_and(|name| name.contains(".tokens.") && name.ends_with(".tmp"));
        let age = entry.metadata().and_then(|m| m.modified()).ok().and_then(|at| at.elapsed().ok());
        if ours && age.is_some_and(|age| age > STALE) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Text to ids, block by block as it was scanned.
struct Encoder<'a> {
    source: &'a Source,
    scan: &'a Scan,
    vocab: &'a Vocab,
    width: Width,
}

impl Encoder<'_> {
    /// Hands the ids of all blocks to `sink` in order. Errors: the source fails, or is no longer what was scanned.
    fn each_group(&self, mut sink: impl FnMut(&[u8]) -> Result<(), WriteError>) -> Result<(), WriteError> {
        let mut index = 0u64;
        for blocks in self.scan.blocks.chunks(GROUP as usize) {
            let end = index.saturating_add(blocks.len() as u64);
            let encode = |i: u64, buffer: &mut Vec<u8>| {
                let place = usize::try_from(i.saturating_sub(index)).ok();
                self.encode(i, place.and_then(|p| blocks.get(p)), buffer)
            };
            for ids in each_block(index..end, encode) {
                sink(&ids.map_err(WriteError::Source)?)?;
            }
            index = end;
        }
        Ok(())
    }
    fn encode(&self, index: u64, scanned: Option<&BlockScan>, buffer: &mut Vec<u8>) -> Result<Vec<u8>, CorpusError> {
        let len = read_block(self.source, (self.scan.start, self.scan.block_bytes), index, buffer)?;
        let changed = || CorpusError::Changed {
            path: self.source.path().to_owned(),
            what: "it was rewritten between counting its symbols and encoding them".into(),
        };
        let text = block_text(buffer, len, index == 0).map_err(|_| changed())?;
        let symbols = scanned.filter(|s| s.skipped == text.skipped).map(|s| s.symbols).ok_or_else(changed)?;
        let ids = text.text.chars().chain(text.last.chars()).map(|c| self.vocab.id(u32::from(c)));
        let bytes = symbols.saturating_mul(self.width.bytes());
        let mut out = Vec::with_capacity(bytes);
        match self.width {
            Width::One => out.extend(ids.map(|id| id as u8)),
            Width::Two => ids.for_each(|id| out.extend_from_slice(&(id as u16).to_le_bytes())),
            Width::Four => ids.for_each(|id| out.extend_from_slice(&id.to_le_bytes())),
        }
        if out.len() == bytes { Ok(out) } else { Err(changed()) }
    }
    /// All ids at once.
    fn in_memory(&self) -> Result<Vec<u8>, CorpusError> {
        let bytes = self.scan.symbols.saturating_mul(self.width.bytes() as u64);
        let none = || CorpusError::OutOfMemory { path: self.source.path().to_owned(), bytes };
        let mut all = Vec::new();
        all.try_reserve_exact(usize::try_from(bytes).map_err(|_| none())?).map_err(|_| none())?;
        let pushed = self.each_group(|ids| {
            all.extend_from_slice(ids);
            Ok(())
        });
        match pushed {
            Ok(()) => Ok(all),
            Err(WriteError::Source(e)) => Err(e),
            Err(WriteError::Cache(e)) => Err(CorpusError::io(self.source.path(), "encoding", e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::{Seen, scan};

    #[test]
    fn the_folder_is_the_xdg_one_else_the_home_one() {
        let path = |p: &str| Some(PathBuf::from(p));
        assert_eq!(cache_dir_of(path("/c"), path("/h")), path("/c/gatemill"));
        assert_eq!(cache_dir_of(None, path("/h")), path("/h/.cache/gatemill"));
        assert_eq!(cache_dir_of(path("c"), path("/h")), path("/h/.cache/gatemill"));
        assert_eq!(cache_dir_of(path(""), path("h")), None);
        assert_eq!(cache_dir_of(None, None), None);
    }

    #[test]
    fn fault_c10_a_text_rewritten_between_counting_and_encoding_is_an_error() {
        let source = |text: &str| Source::from_bytes(Path::new("text"), text.as_bytes().to_vec());
        let seen = Seen::new();
        let before = source("a\u{e9}b\u{e9}cd");
        // Small blocks: the second begins inside a character.
        let scan = scan(&before, 0, 2, &seen).unwrap();
        let vocab = Vocab::from_symbols(&seen.symbols()).unwrap();
        let encode = |source: &Source| Encoder { source, scan: &scan, vocab: &vocab, width: Width::Two }.in_memory();
        assert_eq!(encode(&before).unwrap(), [0, 0, 4, 0, 1, 0, 4, 0, 2, 0, 3, 0]);
        // Other counts, other edges, no UTF-8.
        for text in ["aabb\u{e9}cd", "\u{e9}ab\u{e9}cd", "abcdefgh"] {
            assert!(matches!(encode(&source(text)), Err(CorpusError::Changed { .. })), "{text}");
        }
        let wrong = Source::from_bytes(Path::new("text"), vec![0xFF; 8]);
        assert!(matches!(encode(&wrong), Err(CorpusError::Changed { .. })));
    }

    #[test]
    fn every_width_holds_its_largest_id() {
        for (limit, width) in [(256, Width::One), (257, Width::Two), (65_536, Width::Two), (65_537, Width::Four)] {
            assert_eq!(Width::for_limit(limit), width);
        }
        // V = 300 and 70,000: ids of two and four bytes.
        for v in [200u32, 300, 70_000] {
            let text: String = (0xC0..).filter_map(char::from_u32).take(v as usize).collect();
            let source = Source::from_bytes(Path::new("text"), text.into_bytes());
            let seen = Seen::new();
            let scan = scan(&source, 0, 1000, &seen).unwrap();
            let vocab = Vocab::from_symbols(&seen.symbols()).unwrap();
            let options = CacheOptions { dir: None, io: Io::Map, may_be_unseen: false };
            let tokens = tokens(&source, &scan, &vocab, &options, &mut Vec::new()).unwrap();
            let mut ids = vec![0; v as usize - 1];
            tokens.copy(1, &mut ids, &mut Default::default()).unwrap();
            assert_eq!(ids, (1..v).collect::<Vec<_>>());
        }
    }
}
