//! Whether a vocabulary has symbols that text in composed form (NFC) has mostly as parts of others.
//!
//! An accent that stands apart from its letter is a symbol of its own: two symbols where composed text has one. That may be
//! meant, so it is said and nothing is changed. The quick check of NFC is asked about each symbol, not about the text.

use crate::vocab::{Vocab, VocabKind};
use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::{IsNormalized, is_nfc_quick};

/// A note, where there are such symbols.
pub(crate) fn note(vocab: &Vocab) -> Option<String> {
    if vocab.kind() != VocabKind::Chars {
        return None;
    }
    let mut found = vocab.symbols().iter().filter(|&&code| char::from_u32(code).is_some_and(joins));
    let first = found.next()?;
    let more = match found.count() {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    Some(format!(
        "the text has combining characters (for example U+{first:04X}{more}): they are symbols of their own; \
         `uconv -x any-nfc` composes what can be composed; nothing was changed"
    ))
}

/// Whether a character can become one with the character before it: a mark, or a conjoining vowel or final of Hangul.
/// Vowel signs of Indic scripts can as well, but stand apart in composed text too.
fn joins(c: char) -> bool {
    let jamo = ('\u{1161}'..='\u{1175}').contains(&c) || ('\u{11A8}'..='\u{11C2}').contains(&c);
    is_nfc_quick(std::iter::once(c)) == IsNormalized::Maybe && (jamo || canonical_combining_class(c) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_conjoining_jamo_are_found_and_composed_text_is_not() {
        let note = |text: &str| super::note(&Vocab::of(VocabKind::Chars, text.as_bytes()).unwrap());
        assert!(note("e\u{301}").unwrap().contains("U+0301)"));
        assert!(note("e\u{301}o\u{308}\u{1100}\u{1161}\u{11A8}").unwrap().contains("U+0301 and 3 more)"));
        // Composed letters, symbols with singleton mappings, syllables, Bengali with its vowel sign, kana.
        for text in ["plain", "\u{e9}\u{f6}", "\u{212b}", "\u{ac00}", "\u{995}\u{9be}", "\u{304c}"] {
            assert_eq!(note(text), None, "{text}");
        }
        assert_eq!(super::note(&Vocab::bytes()), None);
    }
}
