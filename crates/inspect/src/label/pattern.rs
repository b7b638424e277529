//! The user's own questions: inside a match of a regular expression.

use super::Label;
use regex::Regex;

/// A regular expression with a name.
#[derive(Debug, Clone)]
pub struct Pattern {
    name: String,
    regex: Regex,
}

/// A `NAME=PATTERN` that is none.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PatternError {
    /// No `=`, or nothing before it.
    #[error("`{0}` is no NAME=PATTERN: begin it with a name, as in year=[0-9]{{4}}")]
    NoName(String),
    /// The pattern does not parse.
    #[error("the pattern of `{name}` is no regular expression: {reason}")]
    NoPattern {
        /// Whose.
        name: String,
        /// What the parser says.
        reason: String,
    },
    /// It matches nothing at all, everywhere.
    #[error("the pattern of `{0}` matches an empty text, and so everywhere: no character would be inside it")]
    Empty(String),
}

impl Pattern {
    /// Reads `NAME=PATTERN`. `^` and `$` are ends of lines; `.` is any character of a line.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let (name, pattern) = text
            .split_once('=')
            .filter(|(name, _)| !name.trim().is_empty())
            .ok_or_else(|| PatternError::NoName(text.to_owned()))?;
        let name = name.trim().to_owned();
        let regex = regex::RegexBuilder::new(pattern).multi_line(true).build();
        let regex = regex.map_err(|error| {
            // The last line of the parser's drawing says what is wrong.
            let reason = error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            PatternError::NoPattern { name: name.clone(), reason }
        })?;
        if regex.find("").is_some_and(|m| m.is_empty()) && pattern.is_empty() {
            return Err(PatternError::Empty(name));
        }
        Ok(Self { name, regex })
    }
}

pub(super) fn labels(chars: &[char], patterns: &[Pattern]) -> Vec<Label> {
    if patterns.is_empty() {
        return Vec::new();
    }
    let text: String = chars.iter().collect();
    let of = |pattern: &Pattern| {
        let mut inside = vec![false; text.len()];
        pattern.regex.find_iter(&text).for_each(|m| inside[m.range()].fill(true));
        let begins = text.char_indices().map(|(at, _)| inside[at]);
        Label::binary(&pattern.name, begins)
    };
    patterns.iter().map(of).collect()
}
