//! Stretches of the built-in text, each character tagged: inside quotation marks, or outside.
//!
//! A stretch begins and ends outside and is prose, so what is inside follows from the stretch alone, from left to right:
//! quotations stand in `"`, those inside them in `'`, those inside these in `"` again. The tags are the text's own labels
//! ([`crate::builtin::Labels`]): an opening mark is inside, a closing one outside.

use crate::builtin::{Builtin, Labels};
use crate::examples::{Examples, Form, Names, Pair, Side};
use crate::random::{Draws, Purpose};

/// A stretch has at least so many characters, by chance one length or another between these,
const LEAST: u32 = 24;
const SPREAD: u32 = 60;
/// and at most so many: what goes on for longer inside is left out.
const MOST: usize = 160;
/// Bytes of text at a time.
const PIECE: usize = 1 << 14;
const INSIDE: &str = "q";
const OUTSIDE: &str = "-";

pub(super) fn examples(count: u32, seed: u64) -> Examples {
    let mut names = Names::new();
    let marks = [OUTSIDE, INSIDE].map(|name| names.number(name));
    let mut text = Builtin::new(seed);
    let (mut bytes, mut labels) = (Vec::new(), Vec::new());
    let mut pairs = Vec::new();
    let (mut start, mut stretch) = (0, 0);
    while pairs.len() < count as usize {
        let least = LEAST + Draws::new(seed, Purpose::Example, stretch).below(SPREAD);
        stretch += 1;
        let end = loop {
            match end(&bytes, &labels, start, least as usize) {
                Some(end) => break end,
                None => {
                    bytes.drain(..start);
                    labels.drain(..start);
                    start = 0;
                    text.fill_with_labels(PIECE, &mut bytes, &mut labels);
                }
            }
        };
        pairs.extend(pair(&bytes[start..end], &labels[start..end], marks));
        start = end;
    }
    Examples { form: Form::TextToTags, pairs, names }
}

/// Where a stretch from `start` ends: behind the first white space outside that is far enough, if it is in the text.
fn end(bytes: &[u8], labels: &[Labels], start: usize, least: usize) -> Option<usize> {
    let breaks = |at: &usize| matches!(bytes[*at], b' ' | b'\n') && labels[*at].quote_depth == 0;
    (start + least..bytes.len()).find(breaks).map(|at| at + 1)
}

/// A stretch as an example, without the white space around it; none of code, nor of one too long.
fn pair(bytes: &[u8], labels: &[Labels], marks: [u32; 2]) -> Option<Pair> {
    let white = |byte: &&u8| byte.is_ascii_whitespace();
    let from = bytes.iter().take_while(white).count();
    let to = bytes.len() - bytes.iter().rev().take_while(white).count();
    if from >= to || to - from > MOST || labels[from..to].iter().any(|label| label.code) {
        return None;
    }
    // A line's end and the indentation behind it are one space.
    let (mut text, mut tags) = (String::new(), Vec::new());
    for at in from..to {
        if !bytes[at].is_ascii_whitespace() {
            text.push(char::from(bytes[at]));
        } else if !text.ends_with(' ') {
            text.push(' ');
        } else {
            continue;
        }
        tags.push(marks[usize::from(labels[at].quote_depth > 0)]);
    }
    Some(Pair { input: Side::Text(text), output: Side::Names(tags) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tags again, from the text alone.
    fn marks(text: &str) -> String {
        let mut open = Vec::new();
        let mut out = String::new();
        for c in text.chars() {
            let expected = if open.len() % 2 == 0 { '"' } else { '\'' };
            if open.last() == Some(&c) {
                open.pop();
            } else if c == expected {
                open.push(c);
            }
            out.push_str(if open.is_empty() { OUTSIDE } else { INSIDE });
        }
        out
    }

    #[test]
    fn the_tags_follow_from_the_text_alone() {
        let made = examples(2000, 1);
        let mut inside = 0;
        let mut all = 0;
        for line in made.to_tsv().lines() {
            let (text, tags) = line.split_once('\t').unwrap();
            assert_eq!(marks(text), tags, "{text}");
            assert!(text.len() <= MOST && text.trim() == text);
            inside += tags.matches(INSIDE).count();
            all += tags.len();
        }
        let share = inside as f64 / all as f64;
        assert!((0.1..0.9).contains(&share), "{share} of all is inside");
    }
}
