//! Text from a seed: dialogue, prose and code by a grammar of our own, with its exact entropy rate and its labels.
//!
//! The text is a row of independent episodes, each ended by an empty line: prose, a dialogue or a function. An episode
//! is one walk through the grammar (`narrative`, `dialogue`, `code` over `words`) that draws each choice by integer
//! weights. Every choice can be read back from the text ([`read`]), so the entropy of the text is that of the choices
//! and [`entropy_rate`] is exact; `doc/builtin.md` has the argument.
//!
//! Promises: byte i of a seed's text is the same on every machine, however long a text is asked for and in whatever
//! pieces (integers only; episode k is a function of the seed and k). A byte is a character: printable ASCII or a new
//! line. No memory grows with the length of the text.

// The grammar, from words to sentences to episodes.
mod words;

mod narrative;

mod dialogue;

mod code;

// What a grammar is made of, and the one pass through it.
mod node;

mod walk;

// The pass with random choices, and with those of a text.
mod write;

mod stream;

mod read;

// What the grammar is worth.
mod rate;

// Shows that a text has one reading.
#[cfg(test)]
mod decidable;

#[cfg(test)]
mod tests;

pub use rate::{EntropyRate, entropy_rate};
pub use read::{ReadError, Reading, read};
pub use stream::stream;

use node::Node::{self, All, Bind, In, One, Rule, Text};
use write::{Episode, Keep};

/// An episode, the unit of the text. Each ends at its only empty line.
static EPISODE: Node = One(&[(6, In(node::Scope::Prose, &STORY)), (2, Rule(&code::FUNCTION))]);
static STORY: Node = All(&[
    Text("  "),
    One(&[
        (2, Rule(&narrative::FROM_THE_TIME)),
        (
            6,
            All(&[
                Bind(node::Slot::First),
                One(&[(2, Rule(&narrative::FROM_THE_PERSON)), (4, Rule(&dialogue::FROM_THE_PERSON))]),
            ]),
        ),
    ]),
]);

/// What surrounds a character, as it stands once the character is read: an opening mark is inside, a closing one outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Labels {
    /// Quotation marks around it, 0 to 3: `"` at odd depths, `'` at 2.
    pub quote_depth: u8,
    /// Open `(` and `[`, from 0.
    pub bracket_depth: u8,
    /// Open braces, from 0; a line of code starts with two spaces for each.
    pub indent: u8,
    /// Inside the brackets after `if`.
    pub if_condition: bool,
    /// Inside the braces after `if (...)` or its `else`.
    pub if_body: bool,
    /// In a comment.
    pub comment: bool,
    /// In a function.
    pub code: bool,
}

/// One choice of a text: which option, with what probability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Choice {
    index: usize,
    weight: u32,
    total: u32,
}

impl Choice {
    /// -log2 (weight / total)
    fn bits(self) -> f64 {
        libm::log2(f64::from(self.total) / f64::from(self.weight))
    }
}

/// The text of a seed as a stream.
///
/// ```
/// use gatemill_corpus::builtin::{Builtin, text};
///
/// let mut stream = Builtin::new(1);
/// let (mut head, mut tail) = ([0; 300], [0; 700]);
/// stream.fill(&mut head);
/// stream.fill(&mut tail);
/// assert_eq!([head.as_slice(), tail.as_slice()].concat(), text(1000, 1));
/// ```
#[derive(Debug, Clone)]
pub struct Builtin {
    seed: u64,
    /// The number of the next episode.
    next: u64,
    episode: Episode,
    /// The bytes of `episode` that are handed out already.
    used: usize,
    keep: Keep,
}

impl Builtin {
    /// The text of `seed` from its start.
    pub fn new(seed: u64) -> Self {
        Self::keeping(seed, Keep { bits: true, ..Keep::default() })
    }

    fn keeping(seed: u64, keep: Keep) -> Self {
        Builtin { seed, next: 0, episode: Episode::default(), used: 0, keep }
    }

    /// Writes the next `out.len()` bytes of the text.
    pub fn fill(&mut self, out: &mut [u8]) {
        let mut rest = out;
        while !rest.is_empty() {
            let piece = self.piece(rest.len());
            let (now, later) = rest.split_at_mut(piece.0.len());
            now.copy_from_slice(piece.0);
            rest = later;
        }
    }

    /// Appends the next `bytes` bytes of the text and, for each, its labels.
    pub fn fill_with_labels(&mut self, bytes: usize, text: &mut Vec<u8>, labels: &mut Vec<Labels>) {
        self.keep_labels();
        let mut left = bytes;
        while left > 0 {
            let (piece, its_labels) = self.piece(left);
            left = left.saturating_sub(piece.len());
            text.extend_from_slice(piece);
            labels.extend_from_slice(its_labels);
        }
    }

    /// From now on with labels; those of the episode at hand are made good.
    fn keep_labels(&mut self) {
        if !self.keep.labels {
            self.keep.labels = true;
            if let Some(number) = self.next.checked_sub(1) {
                write::write(self.seed, number, self.keep, &mut self.episode);
            }
        }
    }

    /// At most `most` bytes of the text, with their labels if these are kept; at least one if `most` isn't 0.
    fn piece(&mut self, most: usize) -> (&[u8], &[Labels]) {
        if self.used >= self.episode.text.len() {
            self.episode();
        }
        let from = self.used;
        self.used = self.episode.text.len().min(from.saturating_add(most));
        let text = self.episode.text.get(from..self.used).unwrap_or(&[]);
        let labels = self.episode.labels.get(from..self.used).unwrap_or(&[]);
        (text, labels)
    }

    /// Writes the next episode whole, over the one at hand.
    fn episode(&mut self) -> &Episode {
        write::write(self.seed, self.next, self.keep, &mut self.episode);
        self.next = self.next.wrapping_add(1);
        self.used = 0;
        &self.episode
    }

    /// Hands over what is left of the episode at hand, or else the whole next one.
    ///
    /// Returns the text and the bits of the whole episode, the sum of -log2 p of its choices.
    pub fn next_episode(&mut self) -> (&[u8], f64) {
        if self.used >= self.episode.text.len() {
            self.episode();
        }
        let from = self.used;
        self.used = self.episode.text.len();
        (self.episode.text.get(from..).unwrap_or(&[]), self.episode.bits)
    }
}

/// The first `bytes` bytes of the text of `seed`. A longer text of the same seed starts with it.
pub fn text(bytes: usize, seed: u64) -> Vec<u8> {
    let mut out = vec![0; bytes];
    Builtin::new(seed).fill(&mut out);
    out
}

/// The first `bytes` bytes of the text of `seed`, with the labels of each.
///
/// Shapes: both `[bytes]`.
pub fn text_with_labels(bytes: usize, seed: u64) -> (Vec<u8>, Vec<Labels>) {
    let (mut out, mut labels) = (Vec::with_capacity(bytes), Vec::with_capacity(bytes));
    Builtin::keeping(seed, Keep { labels: true, ..Keep::default() }).fill_with_labels(bytes, &mut out, &mut labels);
    (out, labels)
}
