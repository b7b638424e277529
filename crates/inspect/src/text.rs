//! A text as a model reads it and as people do: symbols, and the characters that they make.
//!
//! A model of characters has one symbol for each. Of a model of bytes a character has several; what is asked of a character
//! is asked once its last byte is read. Bytes that are no UTF-8 count as one replacement character for each run of them.

use gatemill_corpus::{CorpusError, Vocab, VocabKind};

/// A text to look at.
#[derive(Debug, Clone)]
pub struct Text {
    /// Its characters.
    pub chars: Vec<char>,
    /// What the model reads.
    pub ids: Vec<u32>,
    /// The last symbol of each character, where a symbol is a byte.
    ends: Option<Vec<usize>>,
}

impl Text {
    /// A text in a model's symbols. Errors: for a model of characters, a text that is no UTF-8.
    pub fn of(vocab: &Vocab, bytes: &[u8]) -> Result<Self, CorpusError> {
        let ids = vocab.encode(bytes)?;
        if vocab.kind() == VocabKind::Chars {
            let chars = String::from_utf8_lossy(bytes).chars().collect();
            return Ok(Self { chars, ids, ends: None });
        }
        let (mut chars, mut ends, mut at) = (Vec::new(), Vec::new(), 0);
        let mut push = |character: char, bytes: usize| {
            at += bytes;
            chars.push(character);
            ends.push(at - 1);
        };
        for chunk in bytes.utf8_chunks() {
            chunk.valid().chars().for_each(|c| push(c, c.len_utf8()));
            if !chunk.invalid().is_empty() {
                push(char::REPLACEMENT_CHARACTER, chunk.invalid().len());
            }
        }
        Ok(Self { chars, ids, ends: Some(ends) })
    }
    /// Characters.
    pub fn len(&self) -> usize {
        self.chars.len()
    }
    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.chars.is_empty()
    }
    /// The symbol with which character `i` is read.
    pub fn symbol_of(&self, i: usize) -> usize {
        self.ends.as_ref().map_or(i, |ends| ends[i])
    }
    /// The character that is read with symbol `at`; none where more of it follow.
    pub fn char_of(&self, at: usize) -> Option<usize> {
        match &self.ends {
            None => Some(at),
            Some(ends) => ends.binary_search(&at).ok(),
        }
    }
    /// The symbols of characters `from..to`.
    pub fn symbols(&self, from: usize, to: usize) -> std::ops::Range<usize> {
        let first = |i: usize| if i == 0 { 0 } else { self.symbol_of(i - 1) + 1 };
        first(from)..first(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_of_bytes_is_read_with_its_last() {
        let bytes = "aé한\u{1F600}b".as_bytes();
        let text = Text::of(&Vocab::bytes(), &[bytes, &[0xff, 0xe2, 0x82], b"z"].concat()).unwrap();
        assert_eq!(text.ids.len(), bytes.len() + 4);
        // A cut sequence is a run of its own.
        assert_eq!(text.chars.iter().collect::<String>(), "aé한\u{1F600}b\u{FFFD}\u{FFFD}z");
        let ends: Vec<usize> = (0..text.len()).map(|i| text.symbol_of(i)).collect();
        assert_eq!(ends, [0, 2, 5, 9, 10, 11, 13, 14]);
        assert!((0..text.len()).all(|i| text.char_of(text.symbol_of(i)) == Some(i)));
        assert_eq!((text.char_of(1), text.char_of(12)), (None, None));
        assert_eq!(text.symbols(1, 3), 1..6);
        assert_eq!(text.symbols(0, text.len()), 0..text.ids.len());
    }

    #[test]
    fn a_model_of_characters_has_a_symbol_for_each() {
        let vocab = Vocab::of(VocabKind::Chars, "한글".as_bytes()).unwrap();
        let text = Text::of(&vocab, "글x한".as_bytes()).unwrap();
        assert_eq!((text.ids.as_slice(), text.len()), (&[0, 2, 1][..], 3));
        assert_eq!((text.symbol_of(2), text.char_of(2), text.symbols(1, 3)), (2, Some(2), 1..3));
        assert!(Text::of(&vocab, &[0xff]).is_err());
    }
}
