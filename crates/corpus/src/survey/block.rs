//! One block of a text: which bytes are its own, and what they are as text.
//!
//! A text is cut at multiples of the block length, each cut moved past the bytes that continue a character, at most three.
//! No decoder that starts before a cut reads across it: a byte that does not continue a character always begins one, and
//! after three that do, the fourth cannot belong to the same character. So blocks are decoded apart, and their faults are
//! those of the whole text, one for each longest sequence that begins a character and does not end it.

use super::counts::lossy;
use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::{IsNormalized, is_nfc, is_nfc_quick};

/// Bytes behind a block that are read with it: for the cut, and for the marks that stack on its last character.
/// A stack of marks is told from its end up to here; text that is fit for streams (UAX #15) has at most 30 of them.
pub(super) const AFTER: usize = 259;
/// Faults of a file whose places are kept.
pub(super) const MOST_FAULTS: usize = 10;

/// How far a cut at the start of these bytes moves.
pub(super) fn moved(bytes: &[u8]) -> usize {
    bytes.iter().take(3).take_while(|&byte| byte & 0xC0 == 0x80).count()
}

/// What the text of a block is.
#[derive(Debug, Default)]
pub(super) struct BlockText {
    pub(super) characters: u64,
    pub(super) nuls: u64,
    pub(super) faults: u64,
    /// Where the first of them are, from the block's start.
    pub(super) fault_offsets: Vec<usize>,
    pub(super) nfc: bool,
    pub(super) lines: BlockLines,
}

/// The lines of a block. A line ends at each LF and CR: the one between both of a CRLF is empty.
#[derive(Debug, Default)]
pub(super) struct BlockLines {
    pub(super) lf: u64,
    pub(super) cr: u64,
    /// CRs that an LF follows in this block.
    pub(super) crlf: u64,
    /// Characters before the first end; all where there is none.
    pub(super) head: u64,
    /// The longest that begins and ends here: characters, and where it begins from the block's start.
    pub(super) longest: (u64, usize),
    /// Characters behind the last end, and where they begin; None where there is no end.
    pub(super) tail: Option<(u64, usize)>,
    pub(super) starts_with_lf: bool,
    pub(super) ends_with_cr: bool,
}

/// Looks at a block: the first `own` of `bytes`; behind it may follow what is not its own. `first`: nothing is before it.
pub(super) fn look(bytes: &[u8], own: usize, first: bool) -> BlockText {
    let block = bytes.get(..own).unwrap_or(bytes);
    let mut text = BlockText { nfc: nfc(bytes, own, first), ..BlockText::default() };
    if block.is_ascii() {
        text.lines = lines(block.iter().map(|&byte| (1, char::from(byte))), &mut text.characters, &mut text.nuls);
        return text;
    }
    let mut at = 0;
    for chunk in block.utf8_chunks() {
        at += chunk.valid().len();
        if !chunk.invalid().is_empty() {
            text.faults += 1;
            if text.fault_offsets.len() < MOST_FAULTS {
                text.fault_offsets.push(at);
            }
        }
        at += chunk.invalid().len();
    }
    text.lines = lines(lossy(block), &mut text.characters, &mut text.nuls);
    text
}

/// `symbols`: bytes of each character, and the character.
fn lines(symbols: impl Iterator<Item = (usize, char)>, characters: &mut u64, nuls: &mut u64) -> BlockLines {
    let mut lines = BlockLines::default();
    let (mut at, mut count, mut before) = (0, 0, ' ');
    // Where the line at hand begins: bytes and characters from the block's start.
    let mut line = (0, 0);
    for (bytes, c) in symbols {
        at += bytes;
        count += 1;
        if c <= '\r' {
            *nuls += u64::from(c == '\0');
            if c == '\n' || c == '\r' {
                let len = count - 1 - line.1;
                match lines.tail {
                    None => lines.head = len,
                    Some(_) if len > lines.longest.0 => lines.longest = (len, line.0),
                    Some(_) => {}
                }
                if c == '\n' {
                    lines.lf += 1;
                    lines.crlf += u64::from(before == '\r');
                    lines.starts_with_lf |= count == 1;
                } else {
                    lines.cr += 1;
                }
                line = (at, count);
                lines.tail = Some((0, at));
            }
        }
        before = c;
    }
    match &mut lines.tail {
        None => lines.head = count,
        Some(tail) => tail.0 = count - line.1,
    }
    lines.ends_with_cr = before == '\r';
    *characters = count;
    lines
}

/// Whether a block is in normalisation form C: from its first character that nothing before it can change, up to the first
/// such behind it. What is not UTF-8 stands between texts of their own.
fn nfc(bytes: &[u8], own: usize, first: bool) -> bool {
    let block = bytes.get(..own).unwrap_or(bytes);
    if block.is_ascii() && bytes.get(own).is_none_or(u8::is_ascii) {
        return true;
    }
    let mut at = 0;
    for chunk in bytes.utf8_chunks() {
        let text = chunk.valid();
        // One right behind the block follows a fault: its marks are nobody else's.
        if at > own {
            break;
        }
        let bound = |from: usize| {
            let mut there = text.get(from..).unwrap_or_default().char_indices();
            there.find(|&(_, c)| is_apart(c)).map_or(text.len(), |(index, _)| from + index)
        };
        let from = if at == 0 && !first { bound(0) } else { 0 };
        let to = if at + text.len() > own { bound(own - at) } else { text.len() };
        if from < to && !text.get(from..to).is_some_and(is_nfc) {
            return false;
        }
        at += text.len() + chunk.invalid().len();
    }
    true
}

/// Whether a character never joins what stands before it.
fn is_apart(c: char) -> bool {
    c.is_ascii() || (canonical_combining_class(c) == 0 && is_nfc_quick(std::iter::once(c)) == IsNormalized::Yes)
}
