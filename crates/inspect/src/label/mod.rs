//! What can be asked of a text at every character: the labels that units are compared with.
//!
//! A label stands as the text stands once the character is read: an opening mark is inside, a closing one outside. Some look
//! ahead ("the line ends soon"): a model that predicts the text may know that too. Rules, not parsers: each room says what it
//! takes for what; a test compares them with the grammar of the built-in text.

mod code; // comments, strings, conditions and bodies of `if`, braces, brackets

mod line; // places in the line, indentation, ends that are near

mod pattern; // the user's regular expressions

mod quote; // quotation marks

mod word; // letters and words

#[cfg(test)]
mod tests;

pub use pattern::{Pattern, PatternError};

/// What a label's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// 0 or 1.
    Binary,
    /// A number from 0 to 255, which stands for itself and more.
    Number,
}

/// One question, answered at every character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The question in a few words: `inside quotes`.
    pub name: String,
    /// What the values are.
    pub kind: Kind,
    /// The answer once character i is read.
    pub values: Vec<u8>,
}

impl Label {
    fn binary(name: &str, answers: impl Iterator<Item = bool>) -> Self {
        Self { name: name.to_owned(), kind: Kind::Binary, values: answers.map(u8::from).collect() }
    }
    fn number(name: &str, answers: impl Iterator<Item = usize>) -> Self {
        let values = answers.map(|n| u8::try_from(n).unwrap_or(u8::MAX)).collect();
        Self { name: name.to_owned(), kind: Kind::Number, values }
    }
    /// Stretches of characters where it is not 0, in this part of the text.
    pub fn stretches(&self, part: std::ops::Range<usize>) -> usize {
        let values = &self.values[part];
        let begins = |i: usize| values[i] > 0 && (i == 0 || values[i - 1] == 0);
        (0..values.len()).filter(|&i| begins(i)).count()
    }
}

/// All labels of a text: the built-in ones, then the user's.
pub fn labels(chars: &[char], patterns: &[Pattern]) -> Vec<Label> {
    let mut all = vec![quote::inside(chars)];
    all.extend(code::labels(chars));
    all.extend(line::labels(chars));
    all.extend(word::labels(chars));
    all.extend(pattern::labels(chars, patterns));
    all
}
