//! The words of a text, and which of some words another text has.

use std::collections::HashMap;

use gatemill_corpus::{Corpus, CorpusError, Lanes, Split};

/// Letters of the shortest word.
const LEAST_LETTERS: usize = 2;
/// Symbols that are read at once.
const PIECE: usize = 1 << 16;
/// Bytes after which a piece without a border between words is cut anywhere: no word is as long.
const LONGEST_WORD_BYTES: usize = 1 << 12;

/// Begin and end of each word in bytes. `cut`: the text may end inside its last word, which is then none.
pub(super) fn places(text: &str, cut: bool) -> impl Iterator<Item = (usize, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let from = at + text[at..].find(char::is_alphabetic)?;
            // An apostrophe belongs to a word if a letter follows.
            let mut to = from;
            let mut letters = 0;
            let mut rest = text[from..].char_indices().peekable();
            while let Some((i, c)) = rest.next() {
                let joins = matches!(c, '\'' | '’') && rest.peek().is_some_and(|next| next.1.is_alphabetic());
                if !c.is_alphabetic() && !joins {
                    break;
                }
                letters += usize::from(c.is_alphabetic());
                to = from + i + c.len_utf8();
            }
            at = to;
            if letters >= LEAST_LETTERS && !(cut && to == text.len()) {
                return Some((from, to));
            }
        }
    })
}

/// Words that are asked for, and whether they were found.
#[derive(Debug, Default)]
pub(super) struct Known {
    found: HashMap<String, bool>,
}

impl Known {
    /// One more word, in lower case.
    pub(super) fn wants(&mut self, word: String) {
        self.found.entry(word).or_default();
    }
    /// Whether the text had it.
    pub(super) fn has(&self, word: &str) -> bool {
        self.found.get(word).copied().unwrap_or(false)
    }
    /// Reads the training part of a corpus. Errors: reading.
    pub(super) fn read(&mut self, corpus: &Corpus) -> Result<(), CorpusError> {
        if self.found.is_empty() {
            return Ok(());
        }
        let mut lane = Lanes::new(corpus, Split::Train, 1, 1)?;
        let (mut symbols, mut rest) = (lane.chunk(PIECE), Vec::new());
        let (mut start, len) = (0, lane.len());
        while start < len {
            let steps = usize::try_from(len - start).unwrap_or(PIECE).min(PIECE);
            lane.fill(start, steps, &mut symbols)?;
            rest.extend(corpus.vocab().decode(&symbols.inputs[..steps]));
            start += steps as u64;
            if start == len {
                // The last symbol is a target only.
                rest.extend(corpus.vocab().decode(&symbols.targets[steps - 1..steps]));
            }
            // Up to the last space or line's end: a word, and a character of several bytes, stays whole.
            let border = rest.iter().rposition(|byte| matches!(byte, b' ' | b'\n'));
            let whole = match border {
                _ if start == len => rest.len(),
                Some(border) => border + 1,
                None if rest.len() > LONGEST_WORD_BYTES => rest.len(),
                None => 0,
            };
            self.mark(&String::from_utf8_lossy(&rest[..whole]));
            rest.drain(..whole);
        }
        Ok(())
    }
    fn mark(&mut self, text: &str) {
        let mut lower = String::new();
        for (from, to) in places(text, false) {
            lower.clear();
            lower.extend(text[from..to].chars().flat_map(char::to_lowercase));
            if let Some(found) = self.found.get_mut(lower.as_str()) {
                *found = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::places;

    fn words(text: &str, cut: bool) -> Vec<&str> {
        places(text, cut).map(|(from, to)| &text[from..to]).collect()
    }

    #[test]
    fn words_are_runs_of_letters_with_apostrophes_inside() {
        assert_eq!(words("It's 'quoted' rock'n'roll, o' x a1bc", false), ["It's", "quoted", "rock'n'roll", "bc"]);
        assert_eq!(words("naïve 물레방아 Ünï", true), ["naïve", "물레방아"]);
        assert_eq!(words("the end.", true), ["the", "end"]);
        assert_eq!(words("", true), [""; 0]);
        assert_eq!(words("'' 12 ", false), [""; 0]);
    }
}
