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
//! Several files of a corpus share one cache, their ids end to end; `content` is then a SHA-256 over those of the files.
//! Numbers are little-endian. The name is made of content and vocabulary, so a file or vocabulary that changes finds no
//! cache; one that is damaged, cut or of another version is made anew. It is written to a temporary file in the same
//! folder, synced, renamed, and the folder synced: a cache is whole or not there. Where none can be written the ids stay
//! in memory and a note says so.

use crate::draft::{Draft, remove_stale};
use crate::error::CorpusError;
use crate::scan::{BlockScan, Scan, block_text, each_block, read_block};
use crate::source::{Io, Source};
use crate::tokens::{Tokens, Width, limit};
use crate::vocab::Vocab;
use bytemuck::{Pod, Zeroable};
use sha2::{Digest, Sha256};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAGIC: [u8; 8] = *b"GMTOKENS";
const VERSION: u32 = 1;
const HEADER_BYTES: u64 = size_of::<Header>() as u64;
/// Blocks that are encoded at once. A guess: enough for the cores, and at most 64 MiB of ids.
const GROUP: usize = 16;

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
    fn new(encoder: &Encoder<'_>, body_crc: u32) -> Self {
        let mut header = Self {
            magic: MAGIC,
            version: VERSION.to_le_bytes(),
            width: (encoder.width.bytes() as u32).to_le_bytes(),
            count: encoder.symbols().to_le_bytes(),
            body_crc: body_crc.to_le_bytes(),
            header_crc: [0; 4],
            content: encoder.content(),
            vocabulary: encoder.vocab.sha256(),
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

/// A file and what the pass over it found.
pub(crate) type Scanned<'a> = (&'a Source, &'a Scan);

/// The ids of scanned multi-byte files, one `Tokens` for each: from their cache, or made now. Errors: a source fails or
/// changes; no memory.
pub(crate) fn tokens(
    files: &[Scanned<'_>],
    vocab: &Vocab,
    options: &CacheOptions,
    notes: &mut Vec<String>,
) -> Result<Vec<Tokens>, CorpusError> {
    let Some((first, _)) = files.first() else { return Ok(Vec::new()) };
    let limit = limit(vocab, options.may_be_unseen);
    let width = Width::for_limit(limit);
    let encoder = Encoder { files, vocab, width };
    // The files' parts of all ids, which begin at byte `start` of `ids`.
    let parts = |ids: Source, start: u64| {
        let (ids, mut at) = (Arc::new(ids), start);
        let part = |(_, scan): &Scanned<'_>| {
            let tokens = Tokens::cached(Arc::clone(&ids), at, scan.symbols, width, limit);
            at = at.saturating_add(scan.symbols.saturating_mul(width.bytes() as u64));
            tokens
        };
        files.iter().map(part).collect()
    };
    if let Some(dir) = &options.dir {
        let name = Header::new(&encoder, 0).file_name();
        let path = dir.join(&name);
        if let Some(cache) = open_cache(&path, &encoder, options.io, notes, true) {
            return Ok(parts(cache, HEADER_BYTES));
        }
        match write_cache(dir, &name, &encoder) {
            Ok(()) => {
                if let Some(cache) = open_cache(&path, &encoder, options.io, notes, false) {
                    return Ok(parts(cache, HEADER_BYTES));
                }
            }
            Err(WriteError::Source(e)) => return Err(e),
            Err(WriteError::Cache(e)) => {
                let more = match files.len() {
                    1 => String::new(),
                    n => format!(" and of {} more", n.saturating_sub(1)),
                };
                notes.push(format!(
                    "no token cache can be written to {dir:?} ({e}); the tokens of {:?}{more} stay in memory",
                    first.path()
                ));
            }
        }
    }
    let ids = encoder.in_memory()?;
    Ok(parts(Source::from_bytes(first.path(), ids), 0))
}

/// The cache at `path` if it is whole and of this text; `verify` reads all of it. Whatever is wrong with it, it can be made anew.
fn open_cache(path: &Path, encoder: &Encoder<'_>, io: Io, notes: &mut Vec<String>, verify: bool) -> Option<Source> {
    let cache = Source::open(path, io, notes).ok()?;
    let mut header = Header::zeroed();
    cache.copy(0, bytemuck::bytes_of_mut(&mut header)).ok()?;
    let body_crc = u32::from_le_bytes(header.body_crc);
    let body_bytes = encoder.symbols().checked_mul(encoder.width.bytes() as u64)?;
    let fits =
        header == Header::new(encoder, body_crc) && Some(cache.size_bytes()) == HEADER_BYTES.checked_add(body_bytes);
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

fn write_cache(dir: &Path, name: &str, encoder: &Encoder<'_>) -> Result<(), WriteError> {
    remove_stale(dir);
    let mut draft = Draft::create(dir, name)?;
    draft.file.write_all(&[0; HEADER_BYTES as usize])?;
    let mut crc = crc32fast::Hasher::new();
    encoder.each_group(|ids| {
        crc.update(ids);
        Ok(draft.file.write_all(ids)?)
    })?;
    let header = Header::new(encoder, crc.finalize());
    draft.file.write_all_at(bytemuck::bytes_of(&header), 0)?;
    draft.keep(name)?;
    Ok(())
}

/// Text to ids, block by block as it was scanned.
struct Encoder<'a> {
    files: &'a [Scanned<'a>],
    vocab: &'a Vocab,
    width: Width,
}

impl Encoder<'_> {
    /// Of all files.
    fn symbols(&self) -> u64 {
        self.files.iter().fold(0, |sum, (_, scan)| sum.saturating_add(scan.symbols))
    }
    /// Changes when any byte of any file does, and when a byte moves from one file to another.
    fn content(&self) -> [u8; 32] {
        match self.files {
            [(_, scan)] => scan.content,
            files => {
                let mut hash = Sha256::new();
                files.iter().for_each(|(_, scan)| hash.update(scan.content));
                hash.finalize().into()
            }
        }
    }
    /// Hands the ids of all blocks to `sink` in order. Errors: a source fails, or is no longer what was scanned.
    fn each_group(&self, mut sink: impl FnMut(&[u8]) -> Result<(), WriteError>) -> Result<(), WriteError> {
        let mut blocks = self.files.iter().flat_map(|&file| (0..).zip(&file.1.blocks).map(move |block| (file, block)));
        let mut group = Vec::with_capacity(GROUP);
        loop {
            group.clear();
            group.extend(blocks.by_ref().take(GROUP));
            if group.is_empty() {
                return Ok(());
            }
            let encode = |i: u64, buffer: &mut Vec<u8>| match group.get(i as usize) {
                Some(&(file, (index, block))) => self.encode(file, index, block, buffer),
                None => Ok(Vec::new()),
            };
            for ids in each_block(0..group.len() as u64, encode) {
                sink(&ids.map_err(WriteError::Source)?)?;
            }
        }
    }
    fn encode(
        &self,
        (source, scan): Scanned<'_>,
        index: u64,
        scanned: &BlockScan,
        buffer: &mut Vec<u8>,
    ) -> Result<Vec<u8>, CorpusError> {
        let len = read_block(source, (scan.start, scan.block_bytes), index, buffer)?;
        let changed = || CorpusError::Changed {
            path: source.path().to_owned(),
            what: "it was rewritten between counting its symbols and encoding them".into(),
        };
        let text = block_text(buffer, len, index == 0).map_err(|_| changed())?;
        if scanned.skipped != text.skipped {
            return Err(changed());
        }
        let ids = text.text.chars().chain(text.last.chars()).map(|c| self.vocab.id(u32::from(c)));
        let bytes = scanned.symbols.saturating_mul(self.width.bytes());
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
        let path = self.files.first().map(|(source, _)| source.path()).unwrap_or(Path::new(""));
        let bytes = self.symbols().saturating_mul(self.width.bytes() as u64);
        let none = || CorpusError::OutOfMemory { path: path.to_owned(), bytes };
        let mut all = Vec::new();
        all.try_reserve_exact(usize::try_from(bytes).map_err(|_| none())?).map_err(|_| none())?;
        let pushed = self.each_group(|ids| {
            all.extend_from_slice(ids);
            Ok(())
        });
        match pushed {
            Ok(()) => Ok(all),
            Err(WriteError::Source(e)) => Err(e),
            Err(WriteError::Cache(e)) => Err(CorpusError::io(path, "encoding", e)),
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
        let encode =
            |source: &Source| Encoder { files: &[(source, &scan)], vocab: &vocab, width: Width::Two }.in_memory();
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
            let tokens = tokens(&[(&source, &scan)], &vocab, &options, &mut Vec::new()).unwrap();
            let mut ids = vec![0; v as usize - 1];
            tokens[0].copy(1, &mut ids, &mut Default::default()).unwrap();
            assert_eq!(ids, (1..v).collect::<Vec<_>>());
        }
    }
}
