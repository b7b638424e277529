//! The symbols and classes of a task: text to numbers and back. Saved with the model.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What the numbers of one side of a task stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Symbols {
    /// Characters, ascending: number i is the i-th.
    Chars(Vec<char>),
    /// Names of classes or of words, each once, in this order.
    Names(Vec<String>),
    /// So many plain numbers, without names.
    Numbers(usize),
}

/// As it is written: characters as one text.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Written {
    Chars(String),
    Names(Vec<String>),
    Numbers(usize),
}

impl Serialize for Symbols {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Chars(chars) => Written::Chars(chars.iter().collect()),
            Self::Names(names) => Written::Names(names.clone()),
            Self::Numbers(count) => Written::Numbers(*count),
        }
        .serialize(to)
    }
}

impl<'de> Deserialize<'de> for Symbols {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(match Written::deserialize(from)? {
            Written::Chars(text) => Self::Chars(text.chars().collect()),
            Written::Names(names) => Self::Names(names),
            Written::Numbers(count) => Self::Numbers(count),
        })
    }
}

impl Symbols {
    /// The characters of these texts.
    pub fn of_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let all: BTreeSet<char> = texts.into_iter().flat_map(str::chars).collect();
        Self::Chars(all.into_iter().collect())
    }
    /// These names, each once, ascending.
    pub fn of_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let all: BTreeSet<&str> = names.into_iter().collect();
        Self::Names(all.into_iter().map(String::from).collect())
    }
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Chars(chars) => chars.len(),
            Self::Names(names) => names.len(),
            Self::Numbers(count) => *count,
        }
    }
    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The number of a name, or of a text of one character.
    pub fn number(&self, name: &str) -> Option<u32> {
        let at = match self {
            Self::Chars(chars) => {
                let mut text = name.chars();
                let (first, None) = (text.next()?, text.next()) else { return None };
                chars.binary_search(&first).ok()
            }
            Self::Names(names) => names.iter().position(|other| other == name),
            Self::Numbers(_) => None,
        };
        at.and_then(|at| u32::try_from(at).ok())
    }
    /// The characters of a text as numbers; of names, a text is one name. What is not among them has the number `len()`:
    /// a symbol never seen.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let unseen = u32::try_from(self.len()).unwrap_or(u32::MAX);
        let number = |c: char, chars: &[char]| chars.binary_search(&c).ok().and_then(|i| u32::try_from(i).ok());
        match self {
            Self::Chars(chars) => text.chars().map(|c| number(c, chars).unwrap_or(unseen)).collect(),
            Self::Names(_) | Self::Numbers(_) => vec![self.number(text).unwrap_or(unseen)],
        }
    }
    /// What a number stands for; a symbol never seen is U+FFFD.
    pub fn name(&self, number: u32) -> String {
        let at = number as usize;
        match self {
            Self::Chars(chars) => chars.get(at).unwrap_or(&char::REPLACEMENT_CHARACTER).to_string(),
            Self::Names(names) => names.get(at).cloned().unwrap_or_else(|| char::REPLACEMENT_CHARACTER.into()),
            Self::Numbers(_) => at.to_string(),
        }
    }
    /// The text of some numbers: characters one behind the other, names with a space between them.
    pub fn decode(&self, numbers: &[u32]) -> String {
        let between = if matches!(self, Self::Chars(_)) { "" } else { " " };
        numbers.iter().map(|&n| self.name(n)).collect::<Vec<_>>().join(between)
    }
    /// Errors: none of them, too many, two alike.
    fn validate(&self, side: &str) -> Result<(), String> {
        let amiss = |what: String| Err(format!("the {side} alphabet {what}"));
        let mut seen = BTreeMap::new();
        let names: Vec<String> = match self {
            Self::Chars(chars) if !chars.is_sorted() => return amiss("is not ascending".into()),
            Self::Chars(chars) => chars.iter().map(char::to_string).collect(),
            Self::Names(names) => names.clone(),
            Self::Numbers(_) => Vec::new(),
        };
        for (i, name) in names.iter().enumerate() {
            if let Some(first) = seen.insert(name, i) {
                return amiss(format!("has {name:?} twice, at {first} and {i}"));
            }
        }
        match self.len() {
            0 => amiss("is empty".into()),
            n if n > MAX_SYMBOLS => amiss(format!("has {n} symbols, more than {MAX_SYMBOLS}")),
            _ => Ok(()),
        }
    }
}

/// Most symbols of a side.
const MAX_SYMBOLS: usize = 1 << 24;

/// Both sides of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alphabet {
    /// What inputs are made of; for map how many numbers there are, or their names.
    pub input: Symbols,
    /// Classes, tags, or the symbols of answers.
    pub output: Symbols,
}

impl Alphabet {
    /// Errors: a side without symbols, or with two alike.
    pub(crate) fn validate(&self) -> Result<(), String> {
        self.input.validate("input")?;
        self.output.validate("output")
    }
}
