//! Training, validation and test text: the first 1 - (val + test) of each file, the next part, and the last.
//!
//! ```text
//! of a file's n symbols    [0, a) is training text, [a, b) validation text, [b, n) test text
//!                          a = floor(n * (1 - (val_frac + test_frac)))
//!                          b = floor(n * (1 - test_frac)), or n where test_frac is 0
//! ```
//!
//! Computed in f64 as written. Without a test part a is floor(n * (1 - val_frac)), so a run that never had one reads what
//! it always read. Each split is one stream: the parts of the files, end to end, in the files' order.

use crate::error::CorpusError;
use crate::tokens::{Reader, Tokens};
use std::ops::Range;

/// One of the three parts of a corpus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// What is learned from.
    Train,
    /// What is only scored, while the model learns.
    Val,
    /// What is scored once, at the end.
    Test,
}

/// What each file keeps from training, as parts of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fractions {
    pub(crate) val: f64,
    pub(crate) test: f64,
}

impl Fractions {
    /// Errors: a fraction outside [0, 1), or both of them 1 or more together.
    pub(crate) fn check(self) -> Result<(), CorpusError> {
        let Self { val, test } = self;
        match (0.0..1.0).contains(&val) {
            false => Err(CorpusError::ValFrac { found: val }),
            true if !(0.0..1.0).contains(&test) => Err(CorpusError::TestFrac { found: test }),
            true if val + test >= 1.0 => Err(CorpusError::NothingToLearn { val, test }),
            true => Ok(()),
        }
    }
    /// The symbols of `split` in a file of `symbols` symbols.
    fn part(self, symbols: u64, split: Split) -> Range<u64> {
        // In f64 as written: PyTorch's reference run cuts at the same symbol.
        let a = ((symbols as f64 * (1.0 - (self.val + self.test))) as u64).min(symbols);
        let b = if self.test == 0.0 { symbols } else { ((symbols as f64 * (1.0 - self.test)) as u64).min(symbols) };
        match split {
            Split::Train => 0..a,
            Split::Val => a..b,
            Split::Test => b..symbols,
        }
    }
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

/// Symbols that lie one behind the other in one part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch {
    file: usize,
    /// The first of them, of its file.
    pub(crate) first: u64,
    /// Symbols of the part before it.
    pub(crate) before: u64,
    /// How many.
    pub(crate) len: usize,
}

impl Stretch {
    /// All symbols of a text that is one part.
    pub(crate) fn whole(len: usize) -> Self {
        Self { file: 0, first: 0, before: 0, len }
    }
}

impl Stream {
    /// The stream of `split` over files of so many symbols.
    pub(crate) fn new(files: &[Tokens], split: Split, fractions: Fractions) -> Self {
        let (mut parts, mut at) = (Vec::new(), 0u64);
        for (file, tokens) in files.iter().enumerate() {
            let Range { start: first, end } = fractions.part(tokens.len(), split);
            let len = end.saturating_sub(first);
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
    /// Symbols `at .. at + len`, cut where their parts end. Panics beyond the end.
    pub(crate) fn stretches(&self, at: u64, len: usize) -> impl Iterator<Item = Stretch> + '_ {
        let end = at.checked_add(len as u64).filter(|&end| end <= self.symbols);
        assert!(end.is_some(), "symbols {at}..+{len} are beyond the end of a stream of {}", self.symbols);
        let first = self.parts.partition_point(|part| part.at <= at).saturating_sub(1);
        let (mut at, mut left) = (at, len);
        self.parts.iter().skip(first).map_while(move |part| {
            let before = at.saturating_sub(part.at);
            let len = left.min(usize::try_from(part.len.saturating_sub(before)).unwrap_or(usize::MAX));
            at = at.saturating_add(len as u64);
            left = left.saturating_sub(len);
            (len > 0).then(|| Stretch { file: part.file, first: part.first.saturating_add(before), before, len })
        })
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
        let mut rest = ids;
        for stretch in self.stretches(at, rest.len()) {
            let (now, later) = rest.split_at_mut(stretch.len);
            if let Some(tokens) = files.get(stretch.file) {
                if reader.looked_at != Some(stretch.file) {
                    Self::leave(files, reader)?;
                    tokens.check_length()?;
                    reader.looked_at = Some(stretch.file);
                }
                tokens.copy(stretch.first, now, reader)?;
            }
            rest = later;
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

    fn cut(symbols: u64, val: f64) -> u64 {
        Fractions { val, test: 0.0 }.part(symbols, Split::Val).start
    }

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
    fn the_test_part_is_the_last_and_takes_nothing_from_the_validation_part() {
        let parts = |symbols, val, test| {
            let fractions = Fractions { val, test };
            [Split::Train, Split::Val, Split::Test].map(|split| fractions.part(symbols, split))
        };
        // By hand: 0.9 and 0.95 of 1115394 are 1003854.6 and 1059624.3; 0.05 + 0.05 is 0.1 in f64.
        assert_eq!(parts(1_115_394, 0.05, 0.05), [0..1_003_854, 1_003_854..1_059_624, 1_059_624..1_115_394]);
        assert_eq!(parts(1000, 0.25, 0.5), [0..250, 250..500, 500..1000]);
        assert_eq!(parts(10, 0.0, 0.25), [0..7, 7..7, 7..10]);
        assert_eq!(parts(1, 0.5, 0.25), [0..0, 0..0, 0..1]);
        assert_eq!(parts(0, 0.5, 0.25), [0..0, 0..0, 0..0]);
        // Sizes that f64 cannot hold: no symbol is lost or read twice.
        assert_eq!(parts(u64::MAX, 0.0, 0.0), [0..u64::MAX, u64::MAX..u64::MAX, u64::MAX..u64::MAX]);
        for (symbols, val, test) in [((1 << 53) + 1, 0.0, 0.1), (u64::MAX, 0.1, 0.3), (12_345, 1e-17, 1e-18)] {
            let [train, val, test] = parts(symbols, val, test);
            assert!(train.start == 0 && train.end == val.start && val.end == test.start && test.end == symbols);
            assert!(val.start <= val.end && test.start <= test.end);
        }
    }

    #[test]
    fn a_fraction_is_from_0_to_below_1_and_so_are_both_together() {
        let check = |val, test| Fractions { val, test }.check();
        for wrong in [-0.1, 1.0, 1.5, f64::NAN, f64::INFINITY] {
            assert!(matches!(check(wrong, 0.0), Err(CorpusError::ValFrac { .. })));
            assert!(matches!(check(0.0, wrong), Err(CorpusError::TestFrac { .. })));
        }
        assert!(matches!(check(0.5, 0.5), Err(CorpusError::NothingToLearn { .. })));
        check(0.0, 0.0).unwrap();
        check(0.999, 0.0).unwrap();
        check(0.5, 0.499).unwrap();
    }

    #[test]
    fn fault_c09_a_file_cut_while_a_chunk_is_copied_is_found_behind_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [7; 200]).unwrap();
        let source = Source::open(file.path(), Io::Map, &mut Vec::new()).unwrap();
        let files = [Tokens::direct(Arc::new(source), 0, &Vocab::bytes(), false)];
        let stream = Stream::new(&files, Split::Train, Fractions { val: 0.0, test: 0.0 });
        let (mut ids, mut reader) = ([0; 200], Reader::default());
        stream.copy(&files, 0, &mut ids[..100], &mut reader).unwrap();
        // Cut between two copies of a chunk: inside its page, so that there is no signal and zeros are read.
        file.as_file().set_len(100).unwrap();
        stream.copy(&files, 100, &mut ids[100..], &mut reader).unwrap();
        assert_eq!(ids[99..101], [7, 0]);
        assert!(matches!(Stream::leave(&files, &mut reader), Err(CorpusError::Shrank { from: 200, to: 100, .. })));
    }
}
