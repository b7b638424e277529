//! Training and validation text: the first 1 - val_frac of each file, and the rest of each.
//!
//! Of a file's n symbols the first floor(n * (1 - val_frac)) are training text. Each split is one stream: the parts of the
//! files, end to end, in the files' order.

use crate::error::CorpusError;
use crate::tokens::{Reader, Tokens};

/// One of both parts of a corpus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// What is learned from.
    Train,
    /// What is only scored.
    Val,
    /// What is scored once, at the end.
    Test,
}

/// The first symbol of the validation text of a file of `symbols` symbols.
pub(crate) fn cut(symbols: u64, val_frac: f64) -> u64 {
    // In f64 as written: PyTorch's reference run cuts at the same symbol.
    ((symbols as f64 * (1.0 - val_frac)) as u64).min(symbols)
}

/// Errors: a fraction outside [0, 1).
pub(crate) fn check_val_frac(val_frac: f64) -> Result<(), CorpusError> {
    if (0.0..1.0).contains(&val_frac) { Ok(()) } else { Err(CorpusError::ValFrac { found: val_frac }) }
}

/// The parts of one split, end to end.
#[derive(Debug)]
pub(crate) struct Stream {
    parts: Vec<Part>,
    symbols: u64,
}

/// Symbols `first .. first + len` of a file, at `at` of the stream.
#[derive(Debug)]
struct Part {
    file: usize,
    first: u64,
    len: u64,
    at: u64,
}

impl Stream {
    /// The stream of `split` over files of so many symbols.
    pub(crate) fn new(files: &[Tokens], split: Split, val_frac: f64) -> Self {
        let (mut parts, mut at) = (Vec::new(), 0u64);
        for (file, tokens) in files.iter().enumerate() {
            let cut = cut(tokens.len(), val_frac);
            let (first, len) = match split {
                Split::Train => (0, cut),
                Split::Val => (cut, tokens.len().saturating_sub(cut)),
                Split::Test => (cut, 0),
            };
            if len > 0 {
                parts.push(Part { file, first, len, at });
                at = at.saturating_add(len);
            }
        }
        Self { parts, symbols: at }
    }
    pub(crate) fn len(&self) -> u64 {
        self.symbols
    }
    /// The ids of symbols `at .. at + ids.len()`; to be trusted once `leave` has found nothing. Panics beyond the end.
    /// Errors: reading.
    pub(crate) fn copy(
        &self,
        files: &[Tokens],
        at: u64,
        ids: &mut [u32],
        reader: &mut Reader,
    ) -> Result<(), CorpusError> {
        let end = at.checked_add(ids.len() as u64);
        assert!(end.is_some_and(|end| end <= self.symbols), "symbols beyond the end of a stream of {}", self.symbols);
        let (mut at, mut rest) = (at, ids);
        let before = self.parts.partition_point(|part| part.at <= at).saturating_sub(1);
        for part in self.parts.iter().skip(before) {
            let inside = at.saturating_sub(part.at);
            let take = rest.len().min(usize::try_from(part.len.saturating_sub(inside)).unwrap_or(usize::MAX));
            let (now, later) = rest.split_at_mut(take);
            if let (false, Some(tokens)) = (now.is_empty(), files.get(part.file)) {
                if reader.looked_at != Some(part.file) {
                    Self::leave(files, reader)?;
                    tokens.check_length()?;
                    reader.looked_at = Some(part.file);
                }
                tokens.copy(part.first.saturating_add(inside), now, reader)?;
            }
            at = at.saturating_add(take as u64);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        Ok(())
    }
    /// Looks once more at the file that was read last: what was cut meanwhile may have been read as zeros.
    pub(crate) fn leave(files: &[Tokens], reader: &mut Reader) -> Result<(), CorpusError> {
        reader.looked_at.take().and_then(|file| files.get(file)).map_or(Ok(()), Tokens::check_length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Io, Source};
    use crate::vocab::Vocab;
    use std::sync::Arc;

    #[test]
    fn cuts_where_the_reference_does() {
        // int(n * (1 - val_frac)) of the reference, by hand: 1115394 * 0.95 = 1059624.3; the others need f64's rounding:
        // 1 - 0.1 is 0.9 exactly as f64 prints it, and 1 - 0.9 is 0.09999999999999998.
        assert_eq!(cut(1_115_394, 0.05), 1_059_624);
        assert_eq!(cut(1000, 0.1), 900);
        assert_eq!(cut(10, 0.9), 0);
        assert_eq!(cut(7, 0.0), 7);
        assert_eq!(cut(0, 0.5), 0);
        assert_eq!(cut(1 << 40, 0.5), 1 << 39);
    }

    #[test]
    fn a_fraction_is_from_0_to_below_1() {
        for wrong in [-0.1, 1.0, 1.5, f64::NAN, f64::INFINITY] {
            assert!(matches!(check_val_frac(wrong), Err(CorpusError::ValFrac { .. })));
        }
        check_val_frac(0.0).unwrap();
        check_val_frac(0.999).unwrap();
    }

    #[test]
    fn fault_c09_a_file_cut_while_a_chunk_is_copied_is_found_behind_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [7; 200]).unwrap();
        let source = Source::open(file.path(), Io::Map, &mut Vec::new()).unwrap();
        let files = [Tokens::direct(Arc::new(source), 0, &Vocab::bytes(), false)];
        let stream = Stream::new(&files, Split::Train, 0.0);
        let (mut ids, mut reader) = ([0; 200], Reader::default());
        stream.copy(&files, 0, &mut ids[..100], &mut reader).unwrap();
        // Cut between two copies of a chunk: inside its page, so that there is no signal and zeros are read.
        file.as_file().set_len(100).unwrap();
        stream.copy(&files, 100, &mut ids[100..], &mut reader).unwrap();
        assert_eq!(ids[99..101], [7, 0]);
        assert!(matches!(Stream::leave(&files, &mut reader), Err(CorpusError::Shrank { from: 200, to: 100, .. })));
    }
}
