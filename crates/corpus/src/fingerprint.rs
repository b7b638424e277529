//! A corpus's fingerprint: its length, and SHA-256 over the lengths of its files and samples of each.
//!
//! Samples are the first block of 4096 bytes, the last, and up to 64 evenly spaced between them; a file of up to 66 blocks
//! is covered whole. Names are no part of it, so a corpus may move. It tells a corpus from another in a few
//! milliseconds whatever its size; it is no proof against a change between the samples.

use crate::error::CorpusError;
use crate::source::Source;
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

const BLOCK: u64 = 4096;
/// Samples between the first and the last block.
const BETWEEN: u64 = 64;

/// What a corpus is known by. As text: `BYTES:HEX`, which parses back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    size_bytes: u64,
    sha256: [u8; 32],
}

/// A text that is no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is no corpus fingerprint; it should be a length, a colon and 64 hexadecimal digits")]
pub struct FingerprintError {
    found: String,
}

impl Fingerprint {
    /// Bytes of all files.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
    /// Of these files in this order. Errors: reading.
    pub(crate) fn of<'a>(sources: impl IntoIterator<Item = &'a Source>) -> Result<Self, CorpusError> {
        let (mut size_bytes, mut hash, mut block) = (0u64, Sha256::new(), vec![0; BLOCK as usize]);
        for source in sources {
            size_bytes = size_bytes.saturating_add(source.size_bytes());
            hash.update(source.size_bytes().to_le_bytes());
            for at in sample_offsets(source.size_bytes()) {
                let len = source.size_bytes().saturating_sub(at).min(BLOCK);
                let part = block.get_mut(..len as usize).unwrap_or_default();
                source.copy(at, part)?;
                hash.update(part);
            }
        }
        Ok(Self { size_bytes, sha256: hash.finalize().into() })
    }
}

/// Where the samples of a file begin, ascending, each once.
fn sample_offsets(size_bytes: u64) -> impl Iterator<Item = u64> {
    let last = size_bytes.div_ceil(BLOCK).saturating_sub(1);
    let most = BETWEEN.saturating_add(1);
    let steps = last.min(most);
    // Block i of 0..=steps is at i * last / steps, in u128 so that no length overflows.
    let block = move |i: u64| {
        let product = u128::from(i).saturating_mul(u128::from(last));
        product.checked_div(u128::from(steps)).unwrap_or(0) as u64
    };
    let blocks = if size_bytes == 0 { 0 } else { steps.saturating_add(1) };
    (0..blocks).map(move |i| block(i).saturating_mul(BLOCK))
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.size_bytes)?;
        self.sha256.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (size_bytes, hex) = text.split_once(':')?;
            let mut sha256 = [0; 32];
            if hex.len() != 64 || !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                return None;
            }
            for (byte, digits) in sha256.iter_mut().zip(hex.as_bytes().chunks(2)) {
                *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
            }
            let fingerprint = Self { size_bytes: size_bytes.parse().ok()?, sha256 };
            // One spelling only: no `+5`, no leading zeros.
            (fingerprint.to_string() == text).then_some(fingerprint)
        };
        parse().ok_or_else(|| FingerprintError { found: text.chars().take(100).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn of(files: &[&[u8]]) -> Fingerprint {
        let sources: Vec<Source> = files.iter().map(|b| Source::from_bytes(Path::new("x"), b.to_vec())).collect();
        Fingerprint::of(&sources).unwrap()
    }

    #[test]
    fn samples_are_first_last_and_evenly_between() {
        assert_eq!(sample_offsets(0).count(), 0);
        assert_eq!(sample_offsets(1).collect::<Vec<_>>(), [0]);
        assert_eq!(sample_offsets(4097).collect::<Vec<_>>(), [0, 4096]);
        assert_eq!(sample_offsets(66 * 4096).collect::<Vec<_>>(), (0..66).map(|i| i * 4096).collect::<Vec<_>>());
        for size in [67 * 4096, 1 << 40, u64::MAX] {
            let at: Vec<u64> = sample_offsets(size).collect();
            assert_eq!((at.len(), at[0]), (66, 0));
            assert!(size - at[65] <= 4096 && at.windows(2).all(|w| w[0] < w[1]));
        }
    }

    #[test]
    fn text_parses_back_and_nothing_else_does() {
        let fingerprint = of(&[b"abc", b""]);
        let text = fingerprint.to_string();
        assert_eq!(text.parse::<Fingerprint>().unwrap(), fingerprint);
        for wrong in ["", "3", "3:", &text[1..], &text[..text.len() - 1], &format!("+{text}"), &text.to_uppercase()] {
            assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
        }
        // Known answer: SHA-256 of 1 as u64 little-endian followed by `a`.
        let mut hash = Sha256::new();
        hash.update([1, 0, 0, 0, 0, 0, 0, 0, b'a']);
        assert_eq!(of(&[b"a"]), Fingerprint { size_bytes: 1, sha256: hash.finalize().into() });
    }

    #[test]
    fn every_byte_of_a_small_corpus_counts_and_so_do_borders() {
        assert_ne!(of(&[b"ab", b"c"]), of(&[b"a", b"bc"]));
        let bytes = vec![b'x'; 20_000];
        for at in [0, 4095, 4096, 10_000, 19_999] {
            let mut other = bytes.clone();
            other[at] = b'y';
            assert_ne!(of(&[&bytes]), of(&[&other]));
        }
    }
}
