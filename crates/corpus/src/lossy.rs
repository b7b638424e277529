//! Text with U+FFFD in place of what is not UTF-8: each maximal part of a sequence that cannot be continued, as
//! `String::from_utf8_lossy` has it, in a stream.

use crate::error::CorpusError;
use crate::prepared::{COPY_BYTES, Prepared, Shelf, key};
use crate::source::Source;
use sha2::{Digest, Sha256};

/// What is written in place of a wrong sequence.
const REPLACEMENT: &str = "\u{FFFD}";
/// A sequence that could still go on has at most three bytes.
const CARRY_BYTES: usize = 3;

/// Repairs a text that comes in parts, cut anywhere.
#[derive(Debug, Default)]
struct Repair {
    /// The start of a sequence, at the end of the part before.
    carry: Vec<u8>,
    replaced: u64,
}

impl Repair {
    /// Hands the repaired text of a part to `out`; `last`: nothing follows.
    fn feed<E>(&mut self, part: &[u8], last: bool, mut out: impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
        let joined;
        let mut rest = match self.carry.is_empty() {
            true => part,
            false => {
                joined = [self.carry.as_slice(), part].concat();
                self.carry.clear();
                &joined
            }
        };
        loop {
            let error = match std::str::from_utf8(rest) {
                Ok(text) => return out(text),
                Err(error) => error,
            };
            let (text, wrong) = rest.split_at(error.valid_up_to());
            out(std::str::from_utf8(text).unwrap_or_default())?;
            let len = match error.error_len() {
                Some(len) => len,
                None if last => wrong.len(),
                None => {
                    self.carry.extend_from_slice(wrong);
                    return Ok(());
                }
            };
            self.replaced = self.replaced.saturating_add(1);
            out(REPLACEMENT)?;
            rest = wrong.get(len..).unwrap_or_default();
        }
    }
}

/// A source whose text is UTF-8: from the cache, or repaired now; and how often. `kept` opens what was kept.
pub(crate) fn repaired(
    source: &Source,
    shelf: &mut Shelf,
    kept: impl FnOnce(&Prepared) -> Result<Source, CorpusError>,
) -> Result<(Source, u64), CorpusError> {
    if source.in_memory() {
        let (mut repair, mut text) = (Repair::default(), Vec::new());
        each_part(source, |part, last| {
            repair.feed(part, last, |t| {
                text.extend_from_slice(t.as_bytes());
                Ok::<_, CorpusError>(())
            })
        })?;
        return Ok((Source::from_bytes(source.path(), text), repair.replaced));
    }
    let mut hash = Sha256::new_with_prefix("lossy");
    each_part(source, |part, _| {
        hash.update(part);
        Ok(())
    })?;
    let found = key(hash);
    let prepared = match shelf.find(&found) {
        Some(prepared) => prepared,
        None => {
            let (mut repair, mut draft) = (Repair::default(), shelf.draft(source.path())?);
            let mut hash = Sha256::new_with_prefix("lossy");
            each_part(source, |part, last| {
                hash.update(part);
                repair.feed(part, last, |text| draft.write(text.as_bytes()))
            })?;
            if key(hash) != found {
                let what = "it was rewritten while it was read".into();
                return Err(CorpusError::Changed { path: source.path().to_owned(), what });
            }
            draft.keep(&found, repair.replaced)?
        }
    };
    Ok((kept(&prepared)?, prepared.replaced))
}

/// Hands all of a source to `sink`, in parts; with the last, true.
fn each_part(source: &Source, mut sink: impl FnMut(&[u8], bool) -> Result<(), CorpusError>) -> Result<(), CorpusError> {
    let (mut buffer, mut at) = (vec![0; COPY_BYTES], 0u64);
    loop {
        let left = source.size_bytes().saturating_sub(at);
        let len = left.min(COPY_BYTES as u64);
        let part = buffer.get_mut(..len as usize).unwrap_or_default();
        source.copy(at, part)?;
        sink(part, len == left)?;
        if len == left {
            return Ok(());
        }
        at = at.saturating_add(len);
    }
}

const _: () = assert!(COPY_BYTES > CARRY_BYTES, "a part is longer than what is carried into it");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// In parts of `size` bytes.
    fn repair(bytes: &[u8], size: usize) -> (String, u64) {
        let (mut repair, mut text) = (Repair::default(), String::new());
        let mut parts = bytes.chunks(size).peekable();
        while let Some(part) = parts.next() {
            let last = parts.peek().is_none();
            repair
                .feed(part, last, |t| {
                    text.push_str(t);
                    Ok::<_, ()>(())
                })
                .unwrap();
            assert!(repair.carry.len() <= CARRY_BYTES);
        }
        (text, repair.replaced)
    }
    fn check(bytes: &[u8]) {
        let right = String::from_utf8_lossy(bytes);
        let count = bytes.utf8_chunks().filter(|chunk| !chunk.invalid().is_empty()).count() as u64;
        for size in 1..=bytes.len() {
            assert_eq!(repair(bytes, size), (right.to_string(), count), "{bytes:x?} in parts of {size}");
        }
    }

    #[test]
    fn fault_c05_lossy_agrees_with_the_standard_library_wherever_a_part_ends() {
        let text = "\u{e9}a\u{ac00}\u{10348}\u{fffd}\u{e9}".as_bytes();
        for at in 0..text.len() {
            check(&text[..at + 1]);
            for wrong in [0x80, 0xBF, 0xC0, 0xC3, 0xE0, 0xE2, 0xED, 0xF0, 0xF4, 0xF5, 0xFF, b'x'] {
                let mut bytes = text.to_vec();
                bytes[at] = wrong;
                check(&bytes);
                bytes.insert(at, wrong);
                check(&bytes);
            }
        }
        // Known: one for each maximal part.
        assert_eq!(repair(b"a\xF0\x90\x80b\xFF\xFE\xE2\x98", 1), ("a\u{fffd}b\u{fffd}\u{fffd}\u{fffd}".into(), 4));
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(prop::sample::select(&[b'a', 0x80, 0x90, 0xBF, 0xC3, 0xE0, 0xE3, 0xED, 0xF1, 0xF4, 0xFF][..]), 1..14)) {
            check(&bytes);
        }
    }
}
