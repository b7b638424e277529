//! Symbols <-> ids: id i is the i-th symbol in ascending order.
//!
//! `chars`: the Unicode scalars that the corpus has, sorted. `bytes`: all 256 bytes. NUL and every other scalar are symbols
//! like any other. A symbol that the vocabulary lacks has the id [`Vocab::unseen`] = V, which is no class: as an input a zero
//! row, as a target left out (design section 4).
//!
//! The lookup is a table of pages of 256 scalars, so that an id costs two loads whatever the script.

use crate::error::CorpusError;
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::PathBuf;

/// What a symbol is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VocabKind {
    /// A Unicode scalar of the corpus.
    #[default]
    Chars,
    /// One of the 256 bytes.
    Bytes,
}

/// Scalars of a page of the lookup.
const PAGE: usize = 256;
/// Unicode scalars end here.
const SCALARS: usize = 0x11_0000;
/// What stands for an id that is no symbol: U+FFFD.
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// A sorted set of symbols.
#[derive(Clone)]
pub struct Vocab {
    kind: VocabKind,
    /// `[V]`, ascending: code points or bytes.
    symbols: Vec<u32>,
    /// `[SCALARS / PAGE]`: which page of `pages` holds these scalars; 0 is the page without symbols.
    page_of: Vec<u16>,
    /// Ids by scalar; V where there is none.
    pages: Vec<[u32; PAGE]>,
}

/// A list of symbols that is no vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VocabError {
    /// No symbol at all.
    #[error("the vocabulary has no symbols")]
    Empty,
    /// A number that is no Unicode scalar.
    #[error("symbol {index} of the vocabulary is {code:#x}, which is no Unicode scalar")]
    NotAScalar {
        /// Its place in the list.
        index: usize,
        /// The number.
        code: u32,
    },
    /// Out of order, or twice.
    #[error(
        "symbol {index} of the vocabulary, {code:#x}, is not greater than the one before it: it must be sorted, each once"
    )]
    NotAscending {
        /// Its place in the list.
        index: usize,
        /// Its code point.
        code: u32,
    },
}

impl Vocab {
    /// The 256 bytes.
    pub fn bytes() -> Self {
        Self::build(VocabKind::Bytes, (0..=255).collect())
    }
    /// The characters with these code points: ascending, each once. This is what a model file holds.
    pub fn from_symbols(symbols: &[u32]) -> Result<Self, VocabError> {
        let mut last = None;
        for (index, &code) in symbols.iter().enumerate() {
            if char::from_u32(code).is_none() {
                return Err(VocabError::NotAScalar { index, code });
            }
            if last.is_some_and(|last| code <= last) {
                return Err(VocabError::NotAscending { index, code });
            }
            last = Some(code);
        }
        match last {
            None => Err(VocabError::Empty),
            Some(_) => Ok(Self::build(VocabKind::Chars, symbols.to_vec())),
        }
    }
    /// The characters of a text, or the 256 bytes. Errors: no character; for `chars`, a text that is no UTF-8.
    pub fn of(kind: VocabKind, text: &[u8]) -> Result<Self, CorpusError> {
        match kind {
            VocabKind::Bytes => Ok(Self::bytes()),
            VocabKind::Chars => {
                let mut codes: Vec<u32> = as_utf8(text)?.chars().map(u32::from).collect();
                codes.sort_unstable();
                codes.dedup();
                Self::from_symbols(&codes).map_err(|_| CorpusError::Empty { size_bytes: 0 })
            }
        }
    }
    /// From symbols that are known to be ascending scalars.
    fn build(kind: VocabKind, symbols: Vec<u32>) -> Self {
        let unseen = u32::try_from(symbols.len()).unwrap_or(u32::MAX);
        let mut page_of = vec![0u16; SCALARS.div_ceil(PAGE)];
        let mut pages = vec![[unseen; PAGE]];
        for (id, &code) in (0..unseen).zip(&symbols) {
            let (page, slot) = (code as usize / PAGE, code as usize % PAGE);
            let Some(index) = page_of.get_mut(page) else { continue };
            if *index == 0 {
                *index = u16::try_from(pages.len()).unwrap_or(0);
                pages.push([unseen; PAGE]);
            }
            if let Some(entry) = pages.get_mut(usize::from(*index)).and_then(|p| p.get_mut(slot)) {
                *entry = id;
            }
        }
        Self { kind, symbols, page_of, pages }
    }
    /// What its symbols are.
    pub fn kind(&self) -> VocabKind {
        self.kind
    }
    /// V.
    #[allow(clippy::len_without_is_empty, reason = "a vocabulary is never empty")]
    pub fn len(&self) -> usize {
        self.symbols.len()
    }
    /// The symbols by id: code points, or bytes.
    pub fn symbols(&self) -> &[u32] {
        &self.symbols
    }
    /// The id of every symbol that is not in the vocabulary: V.
    pub fn unseen(&self) -> u32 {
        u32::try_from(self.symbols.len()).unwrap_or(u32::MAX)
    }
    /// The id of a symbol: a code point, or a byte.
    #[inline]
    pub fn id(&self, symbol: u32) -> u32 {
        let symbol = symbol as usize;
        let page = self.page_of.get(symbol / PAGE).and_then(|&page| self.pages.get(usize::from(page)));
        page.and_then(|page| page.get(symbol % PAGE)).copied().unwrap_or_else(|| self.unseen())
    }
    /// The ids of a text. Errors: for `chars`, a text that is no UTF-8.
    pub fn encode(&self, text: &[u8]) -> Result<Vec<u32>, CorpusError> {
        match self.kind {
            VocabKind::Bytes => Ok(text.iter().map(|&b| self.id(u32::from(b))).collect()),
            VocabKind::Chars => Ok(as_utf8(text)?.chars().map(|c| self.id(u32::from(c))).collect()),
        }
    }
    /// The text of some ids, in UTF-8 for `chars`. An id that is no symbol gives U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> Vec<u8> {
        let mut text = Vec::with_capacity(ids.len());
        for &id in ids {
            self.decode_to(id, &mut text);
        }
        text
    }
    /// Appends the text of one id.
    pub fn decode_to(&self, id: u32, text: &mut Vec<u8>) {
        let symbol = self.symbols.get(id as usize).copied();
        match (self.kind, symbol.and_then(|s| u8::try_from(s).ok()), symbol.and_then(char::from_u32)) {
            (VocabKind::Bytes, Some(byte), _) => text.push(byte),
            (_, _, character) => {
                let character = character.unwrap_or(REPLACEMENT);
                text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }
    /// SHA-256 over kind and symbols: equal for equal vocabularies only.
    pub(crate) fn sha256(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(match self.kind {
            VocabKind::Chars => b"chars",
            VocabKind::Bytes => b"bytes",
        });
        for symbol in &self.symbols {
            hash.update(symbol.to_le_bytes());
        }
        hash.finalize().into()
    }
}

fn as_utf8(text: &[u8]) -> Result<&str, CorpusError> {
    std::str::from_utf8(text).map_err(|e| {
        let (path, offset) = (PathBuf::from("the text given"), e.valid_up_to() as u64);
        CorpusError::InvalidUtf8 { path, offset, of: "" }
    })
}

impl PartialEq for Vocab {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.symbols == other.symbols
    }
}
impl Eq for Vocab {}

impl fmt::Debug for Vocab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vocab").field("kind", &self.kind).field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fault_c08_nul_and_all_bytes_are_ordinary_symbols() {
        let all: Vec<u8> = (0..=255).collect();
        let vocab = Vocab::bytes();
        let ids = vocab.encode(&all).unwrap();
        assert_eq!(ids, (0..=255).collect::<Vec<u32>>());
        assert_eq!(vocab.decode(&ids), all);

        let text = "\0b\u{7f}\0\u{10FFFF}\u{FEFF}\u{FFFE}".as_bytes();
        let vocab = Vocab::of(VocabKind::Chars, text).unwrap();
        assert_eq!(vocab.symbols(), [0, 0x62, 0x7f, 0xFEFF, 0xFFFE, 0x10_FFFF]);
        let again = Vocab::from_symbols(vocab.symbols()).unwrap();
        assert_eq!(again, vocab);
        assert_eq!(again.decode(&again.encode(text).unwrap()), text);
    }

    #[test]
    fn an_unseen_symbol_is_no_class() {
        let vocab = Vocab::of(VocabKind::Chars, b"abc").unwrap();
        assert_eq!(vocab.encode("a\u{e9}c\u{ac00}".as_bytes()).unwrap(), [0, 3, 2, 3]);
        assert_eq!(vocab.unseen(), 3);
        assert_eq!(vocab.decode(&[0, 3, 9]), "a\u{fffd}\u{fffd}".as_bytes());
        assert_eq!(vocab.id(u32::MAX), 3);
    }

    #[test]
    fn lists_that_are_no_vocabulary_are_refused() {
        assert_eq!(Vocab::from_symbols(&[]), Err(VocabError::Empty));
        assert_eq!(Vocab::from_symbols(&[5, 5]), Err(VocabError::NotAscending { index: 1, code: 5 }));
        assert_eq!(Vocab::from_symbols(&[5, 4]), Err(VocabError::NotAscending { index: 1, code: 4 }));
        assert_eq!(Vocab::from_symbols(&[5, 0xD800]), Err(VocabError::NotAScalar { index: 1, code: 0xD800 }));
        assert_eq!(Vocab::from_symbols(&[0x11_0000]), Err(VocabError::NotAScalar { index: 0, code: 0x11_0000 }));
    }

    #[test]
    fn the_largest_vocabulary_works() {
        let all: Vec<u32> = (0..SCALARS as u32).filter(|&c| char::from_u32(c).is_some()).collect();
        let vocab = Vocab::from_symbols(&all).unwrap();
        for (id, &code) in all.iter().enumerate() {
            assert_eq!(vocab.id(code) as usize, id);
        }
        assert_eq!(vocab.id(0xD800), vocab.unseen());
    }

    #[test]
    fn text_that_is_no_utf8_is_refused_with_its_offset() {
        let vocab = Vocab::of(VocabKind::Chars, b"ab").unwrap();
        assert!(matches!(vocab.encode(b"ab\xffa"), Err(CorpusError::InvalidUtf8 { offset: 2, .. })));
    }

    proptest! {
        #[test]
        fn text_survives(text in "\\PC*") {
            prop_assume!(!text.is_empty());
            let vocab = Vocab::of(VocabKind::Chars, text.as_bytes()).unwrap();
            prop_assert_eq!(vocab.decode(&vocab.encode(text.as_bytes()).unwrap()), text.as_bytes());
        }
        #[test]
        fn hashes_tell_vocabularies_apart(a in "[a-e]{1,5}", b in "[a-e]{1,5}") {
            let (a, b) = (Vocab::of(VocabKind::Chars, a.as_bytes()).unwrap(), Vocab::of(VocabKind::Chars, b.as_bytes()).unwrap());
            prop_assert_eq!(a.sha256() == b.sha256(), a == b);
        }
    }
}
