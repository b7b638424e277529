//! Symbol i of a file, for any i: ids copied out and checked.
//!
//! ```text
//! bytes              id i = byte i
//! chars, all ASCII   id i = table[byte i]
//! chars, multi-byte  id i = the i-th number of a token cache: u8, u16 or u32, whichever holds V (`cache.rs`)
//! ```
//!
//! Every id is compared with its limit after the copy and before anybody indexes with it. Promises: `copy` allocates only where it
//! is asked for more ids than ever before.

use crate::error::CorpusError;
use crate::source::Source;
use crate::vocab::{Vocab, VocabKind};
use std::sync::Arc;

/// Entry of a table for a byte that was not in the file when it was scanned.
const NEVER: u32 = u32::MAX;

/// Bytes of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    One,
    Two,
    Four,
}

impl Width {
    /// The narrowest that holds ids below `limit`.
    pub(crate) fn for_limit(limit: u32) -> Self {
        match limit {
            0..=0x100 => Width::One,
            0x101..=0x1_0000 => Width::Two,
            _ => Width::Four,
        }
    }
    pub(crate) fn bytes(self) -> usize {
        match self {
            Width::One => 1,
            Width::Two => 2,
            Width::Four => 4,
        }
    }
}

/// What a reader of tokens keeps from copy to copy.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// Bytes as they lie in the file, on their way to ids.
    scratch: Vec<u32>,
    /// The file whose length was looked at last. None: look again.
    pub(crate) looked_at: Option<usize>,
}

impl Reader {
    /// With room for copies of `ids` ids of any width.
    pub(crate) fn with_room_for(ids: usize) -> Self {
        Self { scratch: vec![0; ids], looked_at: None }
    }
}

/// The symbols of one file.
#[derive(Debug)]
pub(crate) struct Tokens {
    source: Arc<Source>,
    /// Where symbol 0 lies.
    start: u64,
    len: u64,
    /// First id that is none.
    limit: u32,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// The file itself, one byte a symbol, through a table of ids.
    Table(Box<[u32; 256]>),
    /// A token cache.
    Cache(Width),
}

/// First id that no file of this vocabulary has: V, or V + 1 where symbols may be unseen.
pub(crate) fn limit(vocab: &Vocab, may_be_unseen: bool) -> u32 {
    vocab.unseen().saturating_add(u32::from(may_be_unseen))
}

impl Tokens {
    /// A file of one-byte symbols from byte `start` on.
    pub(crate) fn direct(source: Arc<Source>, start: u64, vocab: &Vocab, may_be_unseen: bool) -> Self {
        let mut table = Box::new([NEVER; 256]);
        let symbols = match vocab.kind() {
            VocabKind::Bytes => 256,
            VocabKind::Chars => 128,
        };
        for (entry, symbol) in table.iter_mut().take(symbols).zip(0..) {
            *entry = vocab.id(symbol);
        }
        let len = source.size_bytes().saturating_sub(start);
        Self { source, start, len, limit: limit(vocab, may_be_unseen), form: Form::Table(table) }
    }
    /// A token cache whose numbers begin at byte `start`; its length has been checked.
    pub(crate) fn cached(source: impl Into<Arc<Source>>, start: u64, len: u64, width: Width, limit: u32) -> Self {
        Self { source: source.into(), start, len, limit, form: Form::Cache(width) }
    }
    /// Symbols of the file.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }
    /// Looks whether the file that is read is still as long as it was; before the copies of a chunk.
    pub(crate) fn check_length(&self) -> Result<(), CorpusError> {
        self.source.check_length()
    }
    /// The ids of symbols `at .. at + ids.len()`. Errors: reading; an id that is none, with its place.
    pub(crate) fn copy(&self, at: u64, ids: &mut [u32], reader: &mut Reader) -> Result<(), CorpusError> {
        let scratch = &mut reader.scratch;
        let width = match &self.form {
            Form::Table(_) => Width::One,
            Form::Cache(width) => *width,
        };
        let words = ids.len().saturating_mul(width.bytes()).div_ceil(4);
        if scratch.len() < words {
            scratch.resize(words, 0);
        }
        // As u32 in memory, so that every width is aligned.
        let raw = bytemuck::cast_slice_mut::<u32, u8>(scratch);
        let raw = raw.get_mut(..ids.len().saturating_mul(width.bytes())).unwrap_or_default();
        let offset = |at: u64| self.start.saturating_add(at.saturating_mul(width.bytes() as u64));
        self.source.copy_range(offset(at), raw)?;
        match (&self.form, width) {
            (Form::Table(table), _) => {
                for (id, &byte) in ids.iter_mut().zip(&*raw) {
                    // A table has an entry for each byte.
                    *id = table.get(usize::from(byte)).copied().unwrap_or(NEVER);
                }
            }
            (_, Width::One) => ids.iter_mut().zip(&*raw).for_each(|(id, &x)| *id = u32::from(x)),
            (_, Width::Two) => {
                let raw: &[u16] = bytemuck::cast_slice(raw);
                ids.iter_mut().zip(raw).for_each(|(id, &x)| *id = u32::from(u16::from_le(x)));
            }
            (_, Width::Four) => {
                let raw: &[u32] = bytemuck::cast_slice(raw);
                ids.iter_mut().zip(raw).for_each(|(id, &x)| *id = u32::from_le(x));
            }
        }
        // The greatest first: a chunk is searched only where something is wrong.
        if ids.iter().fold(0, |most, &id| most.max(id)) < self.limit {
            return Ok(());
        }
        let wrong = ids.iter().zip(at..).find(|&(&id, _)| id >= self.limit);
        let Some((&id, at)) = wrong else { return Ok(()) };
        let (path, offset) = (self.source.path().to_owned(), offset(at));
        Err(match self.form {
            Form::Table(_) => CorpusError::Changed {
                path,
                what: format!("the byte at offset {offset} was not in it when its vocabulary was made"),
            },
            Form::Cache(_) => CorpusError::TokenOutOfRange { path, offset, id, limit: self.limit },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn fault_c16_an_id_that_is_none_is_an_error_with_its_place() {
        let cache = |bytes: &[u8]| Source::from_bytes(Path::new("cache"), bytes.to_vec());
        let two = Tokens::cached(cache(&[9, 9, 9, 9, 3, 0, 4, 0, 5, 0]), 4, 3, Width::Two, 5);
        let (mut ids, mut reader) = ([0; 2], Reader::default());
        two.copy(0, &mut ids, &mut reader).unwrap();
        assert_eq!(ids, [3, 4]);
        let error = two.copy(1, &mut ids, &mut reader).unwrap_err();
        assert!(matches!(error, CorpusError::TokenOutOfRange { offset: 8, id: 5, limit: 5, .. }), "{error}");
        assert!(!error.is_io());
        let four = Tokens::cached(cache(&[0, 0, 0, 0, 0, 0, 0, 0x80]), 0, 2, Width::Four, 70_000);
        let error = four.copy(0, &mut ids, &mut reader).unwrap_err();
        assert!(matches!(error, CorpusError::TokenOutOfRange { offset: 4, id: 0x8000_0000, .. }), "{error}");
    }

    #[test]
    fn fault_c16_a_file_of_half_an_id_ends_in_an_error() {
        let odd = Source::from_bytes(Path::new("cache"), vec![0; 5]);
        let tokens = Tokens::cached(odd, 0, 3, Width::Two, 5);
        assert!(matches!(tokens.copy(1, &mut [0; 2], &mut Reader::default()), Err(CorpusError::OutOfRange { .. })));
    }
}
