//! Which characters a file has, and how many: one parallel pass that also proves that it is UTF-8 and counts line ends.
//!
//! The file is cut into blocks of a fixed number of bytes, each read with the three bytes that follow it. A block owns the characters
//! that *begin* in it: it skips the continuation bytes at its start and finishes its last character in the bytes that
//! follow. What a block skips must be what the one before it finished; that is checked in order, so the error told is
//! the first in the file, however the work was spread.
//!
//! Never more than a group of blocks is in memory. Runs on the rayon pool that it is called in; a file of one block uses none.

use crate::error::CorpusError;
use crate::source::Source;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a block. A guess: long enough to amortise a task, short enough for a core's cache.
pub(crate) const BLOCK_BYTES: usize = 1 << 20;
/// Blocks between two looks at the errors.
const GROUP: u64 = 64;
/// Words of the set of scalars.
const WORDS: usize = 0x11_0000 / 64;

/// The scalars met so far; shared by all blocks of all files.
#[derive(Debug)]
pub(crate) struct Seen(Vec<AtomicU64>);

impl Seen {
    pub(crate) fn new() -> Self {
        Self((0..WORDS).map(|_| AtomicU64::new(0)).collect())
    }
    #[inline]
    fn insert(&self, code: u32) {
        let bit = 1u64 << (code % 64);
        if let Some(word) = self.0.get(code as usize / 64) {
            // Looking first keeps the word shared among the cores.
            if word.load(Ordering::Relaxed) & bit == 0 {
                word.fetch_or(bit, Ordering::Relaxed);
            }
        }
    }
    /// All of them, ascending.
    pub(crate) fn symbols(&self) -> Vec<u32> {
        let mut symbols = Vec::new();
        for (base, word) in (0u32..).step_by(64).zip(&self.0) {
            let word = word.load(Ordering::Relaxed);
            symbols.extend((0..64).filter(|bit| word >> bit & 1 == 1).map(|bit| base + bit));
        }
        symbols
    }
}

/// Line ends by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LineEnds {
    /// CR before LF.
    pub(crate) crlf: u64,
    /// LF, with or without CR before it.
    pub(crate) lf: u64,
    /// CR alone.
    pub(crate) cr: u64,
}

impl LineEnds {
    /// Of the first `len` of `bytes`; a CR at their end looks at the byte behind. `has_cr`: whether there may be any.
    fn of(bytes: &[u8], len: usize, has_cr: bool) -> Self {
        let own = bytes.get(..len).unwrap_or(bytes);
        let count = |byte| memchr::memchr_iter(byte, own).count() as u64;
        let (lf, cr) = (count(b'\n'), if has_cr { count(b'\r') } else { 0 });
        let crlf = if cr > 0 { pairs(own, bytes.get(1..).unwrap_or_default()) } else { 0 };
        Self { crlf, lf, cr: cr - crlf }
    }
    pub(crate) fn add(&mut self, other: Self) {
        self.crlf += other.crlf;
        self.lf += other.lf;
        self.cr += other.cr;
    }
}

/// Places with a CR in `these` and an LF in `next`.
fn pairs(these: &[u8], next: &[u8]) -> u64 {
    // In u8, which 255 places cannot overflow, so that the compiler makes vectors of it.
    const PLACES: usize = 255;
    let parts = these.chunks(PLACES).zip(next.chunks(PLACES));
    let count = |(these, next): (&[u8], &[u8])| {
        these.iter().zip(next).fold(0u8, |sum, (&a, &b)| sum + u8::from(a == b'\r' && b == b'\n'))
    };
    parts.map(|part| u64::from(count(part))).sum()
}

/// What a pass over a file found.
#[derive(Debug)]
pub(crate) struct Scan {
    /// Where the text starts: after a byte-order mark.
    pub(crate) start: u64,
    /// Bytes of a block.
    pub(crate) block_bytes: usize,
    pub(crate) blocks: Vec<BlockScan>,
    /// Characters of the file.
    pub(crate) symbols: u64,
    /// Whether each character is one byte.
    pub(crate) ascii: bool,
    pub(crate) line_ends: LineEnds,
    /// SHA-256 over the CRC-32s of the blocks: changes when any byte does.
    pub(crate) content: [u8; 32],
}

/// What a block has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockScan {
    /// Bytes at its start that belong to the block before.
    pub(crate) skipped: usize,
    /// Characters that begin in it.
    pub(crate) symbols: usize,
    /// Bytes of its last character that lie in the following ones.
    finished: usize,
    ascii: bool,
}

/// A block as text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BlockText<'a> {
    /// Bytes at its start that belong to the block before.
    pub(crate) skipped: usize,
    /// The characters that end in the block.
    pub(crate) text: &'a str,
    /// The one that ends beyond it, if any.
    pub(crate) last: &'a str,
    /// Bytes of `last` beyond the block.
    finished: usize,
}

/// The text of a block of `len` bytes; `bytes` holds it and up to three more. Error: where in `bytes` it is no UTF-8.
pub(crate) fn block_text(bytes: &[u8], len: usize, first: bool) -> Result<BlockText<'_>, usize> {
    let block = bytes.get(..len).unwrap_or(bytes);
    let skipped = continuation_bytes(block, first);
    let own = block.get(skipped..).unwrap_or_default();
    let error = match std::str::from_utf8(own) {
        Ok(text) => return Ok(BlockText { skipped, text, last: "", finished: 0 }),
        Err(error) => error,
    };
    let (text, rest) = own.split_at(error.valid_up_to());
    let at = skipped + text.len();
    let text = std::str::from_utf8(text).map_err(|_| at)?;
    // Wrong for certain, or only cut by the block's end?
    let width = match (error.error_len(), rest.first()) {
        (None, Some(0xF0..)) => 4,
        (None, Some(0xE0..)) => 3,
        (None, Some(_)) => 2,
        _ => return Err(at),
    };
    let last = bytes.get(at..at + width).and_then(|c| std::str::from_utf8(c).ok()).ok_or(at)?;
    Ok(BlockText { skipped, text, last, finished: width - rest.len() })
}

/// Bytes at a block's start, at most three, that can only continue a character.
fn continuation_bytes(block: &[u8], first: bool) -> usize {
    if first { 0 } else { block.iter().take(3).take_while(|&b| b & 0xC0 == 0x80).count() }
}

/// One block of a file, read into `buffer`: its bytes and three more. Gives its length without those.
pub(crate) fn read_block(
    source: &Source,
    (start, block_bytes): (u64, usize),
    index: u64,
    buffer: &mut Vec<u8>,
) -> Result<usize, CorpusError> {
    let at = start + index * block_bytes as u64;
    let left = source.size_bytes().saturating_sub(at);
    let len = usize::try_from(left).unwrap_or(usize::MAX);
    buffer.resize(len.min(block_bytes + 3), 0);
    source.copy(at, buffer)?;
    Ok(len.min(block_bytes))
}

/// Blocks of a text that starts at byte `start`.
pub(crate) fn block_count(source: &Source, start: u64, block_bytes: usize) -> u64 {
    source.size_bytes().saturating_sub(start).div_ceil(block_bytes as u64)
}

/// `work(index, buffer)` for each block of a group, in parallel where there are several; results in order.
pub(crate) fn each_block<T: Send>(
    group: Range<u64>,
    work: impl Fn(u64, &mut Vec<u8>) -> Result<T, CorpusError> + Sync,
) -> Vec<Result<T, CorpusError>> {
    match group.end.saturating_sub(group.start) {
        0 | 1 => group.map(|i| work(i, &mut Vec::new())).collect(),
        _ => group.into_par_iter().map_init(Vec::new, |buffer, i| work(i, buffer)).collect(),
    }
}

/// Passes over a file from byte `start` on. Errors: the first sequence that is no UTF-8, with its offset; reading.
pub(crate) fn scan(source: &Source, start: u64, block_bytes: usize, seen: &Seen) -> Result<Scan, CorpusError> {
    let count = block_count(source, start, block_bytes);
    let mut blocks: Vec<BlockScan> = Vec::new();
    let (mut symbols, mut ascii, mut owed) = (0, true, 0);
    let mut line_ends = LineEnds::default();
    let mut content = Sha256::new();
    content.update(source.size_bytes().to_le_bytes());
    let mut at = 0;
    while at < count {
        let group = at..count.min(at + GROUP);
        let found = each_block(group.clone(), |i, buffer| scan_block(source, (start, block_bytes), i, buffer, seen));
        for (index, found) in group.zip(found) {
            let found = found?;
            let block = found.block.filter(|b| b.skipped == owed.min(found.len)).ok_or_else(|| {
                // A byte too many at the start comes before whatever is wrong behind it.
                let at = if found.skipped > owed { owed } else { found.wrong_at };
                let offset = start + index * block_bytes as u64 + at as u64;
                CorpusError::InvalidUtf8 { path: source.path().to_owned(), offset, of: source.offsets_of() }
            })?;
            owed = if owed >= found.len { owed - found.len } else { block.finished };
            symbols += block.symbols as u64;
            ascii &= block.ascii;
            line_ends.add(found.line_ends);
            content.update(found.crc.to_le_bytes());
            blocks.push(block);
        }
        at += GROUP;
    }
    Ok(Scan { start, block_bytes, blocks, symbols, ascii, line_ends, content: content.finalize().into() })
}

/// What looking at a block gives; `block` is None where it is no UTF-8.
struct Found {
    len: usize,
    skipped: usize,
    crc: u32,
    line_ends: LineEnds,
    wrong_at: usize,
    block: Option<BlockScan>,
}

fn scan_block(
    source: &Source,
    place: (u64, usize),
    index: u64,
    buffer: &mut Vec<u8>,
    seen: &Seen,
) -> Result<Found, CorpusError> {
    let len = read_block(source, place, index, buffer)?;
    let own = buffer.get(..len).unwrap_or_default();
    let skipped = continuation_bytes(own, index == 0);
    let crc = crc32fast::hash(own);
    let text = match block_text(buffer, len, index == 0) {
        Ok(text) => text,
        Err(wrong_at) => {
            let line_ends = LineEnds::default();
            return Ok(Found { len, skipped, crc, line_ends, wrong_at, block: None });
        }
    };
    let ascii = text.text.is_ascii() && text.last.is_empty();
    let (symbols, has_cr) = if ascii {
        // An entry for each byte, so that none needs a check.
        let mut bytes = [false; 256];
        for &b in text.text.as_bytes() {
            if let Some(met) = bytes.get_mut(usize::from(b)) {
                *met = true;
            }
        }
        let has_cr = bytes.get(usize::from(b'\r')) == Some(&true);
        (0..).zip(bytes).filter(|&(_, met)| met).for_each(|(code, _)| seen.insert(code));
        (text.text.len(), has_cr)
    } else {
        let insert = |n, c| {
            seen.insert(u32::from(c));
            n + 1
        };
        (text.text.chars().chain(text.last.chars()).fold(0, insert), true)
    };
    let line_ends = LineEnds::of(buffer, len, has_cr);
    let block = BlockScan { skipped, symbols, finished: text.finished, ascii };
    Ok(Found { len, skipped, crc, line_ends, wrong_at: skipped, block: Some(block) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;

    fn scan_bytes(bytes: &[u8], block_bytes: usize) -> (Result<Scan, CorpusError>, Vec<u32>) {
        let (source, seen) = (Source::from_bytes(Path::new("test"), bytes.to_vec()), Seen::new());
        let scan = scan(&source, 0, block_bytes, &seen);
        (scan, seen.symbols())
    }
    /// Against the standard library, which sees the whole text at once.
    fn check(bytes: &[u8], block_bytes: usize) {
        let (scan, seen) = scan_bytes(bytes, block_bytes);
        match (std::str::from_utf8(bytes), scan) {
            (Ok(text), Ok(scan)) => {
                assert_eq!(scan.symbols, text.chars().count() as u64);
                assert_eq!(scan.symbols, scan.blocks.iter().map(|b| b.symbols as u64).sum::<u64>());
                assert_eq!(scan.ascii, text.is_ascii());
                let mut codes: Vec<u32> = text.chars().map(u32::from).collect();
                codes.sort_unstable();
                codes.dedup();
                assert_eq!(seen, codes);
                let crlf = text.matches("\r\n").count() as u64;
                let count = |c: char| text.matches(c).count() as u64;
                let line_ends = LineEnds { crlf, lf: count('\n'), cr: count('\r') - crlf };
                assert_eq!(scan.line_ends, line_ends, "{text:?} in blocks of {block_bytes}");
            }
            (Err(e), Err(CorpusError::InvalidUtf8 { offset, .. })) => {
                assert_eq!(offset, e.valid_up_to() as u64, "{bytes:x?} in blocks of {block_bytes}");
            }
            (right, found) => panic!("{bytes:x?} in blocks of {block_bytes}: {right:?}, found {found:?}"),
        }
    }

    #[test]
    fn fault_c05_a_sequence_may_cross_a_block_edge_at_every_point() {
        let text = "a\u{e9}\u{ac00}\u{10348}z\u{10348}\u{e9}\u{ac00}\u{ac01}".as_bytes();
        for block_bytes in 1..=text.len() + 1 {
            check(text, block_bytes);
            // Cut at the end, too.
            for end in 0..text.len() {
                check(&text[..end], block_bytes);
            }
        }
    }

    #[test]
    fn fault_c05_invalid_bytes_are_found_at_every_place() {
        let text = "\u{e9}a\u{ac00}\u{10348}\u{e9}".as_bytes();
        for block_bytes in 1..=text.len() {
            for at in 0..text.len() {
                for wrong in [0x80, 0xBF, 0xC0, 0xC3, 0xE0, 0xED, 0xF0, 0xF4, 0xF5, 0xFF, b'x'] {
                    let mut bytes = text.to_vec();
                    bytes[at] = wrong;
                    check(&bytes, block_bytes);
                    bytes.insert(at, wrong);
                    check(&bytes, block_bytes);
                }
            }
        }
    }

    #[test]
    fn fault_c07_line_ends_are_counted_across_block_edges() {
        let text = "a\r\n\r\r\n\n\u{e9}\r\n\r";
        (1..=text.len() + 1).for_each(|block_bytes| check(text.as_bytes(), block_bytes));
    }

    proptest! {
        #[test]
        fn any_text_in_any_blocks(text in "[a\r\n\u{e9}\u{ac00}\u{10348}]{0,200}", block_bytes in 1usize..40) {
            check(text.as_bytes(), block_bytes);
        }
        #[test]
        fn any_bytes_in_any_blocks(
            bytes in prop::collection::vec(prop::sample::select(&[b'a', 0x80, 0xBF, 0xC3, 0xE3, 0xF1, 0xFF][..]), 0..12),
            block_bytes in 1usize..6,
        ) {
            check(&bytes, block_bytes);
        }
        #[test]
        fn content_tells_one_changed_byte(bytes in prop::collection::vec(0u8..128, 1..100), at in 0usize..100, block_bytes in 1usize..40) {
            let mut other = bytes.clone();
            let at = at % bytes.len();
            other[at] ^= 1;
            prop_assert_ne!(scan_bytes(&bytes, block_bytes).0.unwrap().content, scan_bytes(&other, block_bytes).0.unwrap().content);
        }
    }
}
