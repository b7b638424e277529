//! Writes one episode: each choice drawn at random, the characters with their labels, the choices' -log2 p added up.

use std::convert::Infallible;

use super::node::Context;
use super::walk::{Hand, Lines, Options, Walk};
use super::{Choice, EPISODE, Labels};
use crate::random::{Draws, Purpose};

/// One episode as it was written.
#[derive(Debug, Clone, Default)]
pub(super) struct Episode {
    pub(super) text: Vec<u8>,
    /// One per byte of the text, if labels were asked for.
    pub(super) labels: Vec<Labels>,
    /// All choices in order, if they were asked for.
    pub(super) choices: Vec<Choice>,
    /// The sum of -log2 p of its choices, if it was asked for.
    pub(super) bits: f64,
}

/// What to keep of an episode beside its text.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Keep {
    pub(super) labels: bool,
    pub(super) choices: bool,
    pub(super) bits: bool,
}

/// Writes episode number `number` of the text of `seed` over what stood in `episode`.
pub(super) fn write(seed: u64, number: u64, keep: Keep, episode: &mut Episode) {
    episode.text.clear();
    episode.labels.clear();
    episode.choices.clear();
    episode.bits = 0.0;
    let mut writer = Writer { draws: Draws::new(seed, Purpose::Text, number), lines: Lines::new(), keep, episode };
    let Ok(()) = Walk::new(&mut writer).through(&EPISODE, Context::default());
}

struct Writer<'e> {
    draws: Draws,
    lines: Lines,
    keep: Keep,
    episode: &'e mut Episode,
}

impl Hand for Writer<'_> {
    type Error = Infallible;

    fn choose(&mut self, options: Options<'_>, _: Context) -> Result<usize, Infallible> {
        let total = options.total();
        let (index, weight) = options.at(self.draws.below(total));
        let choice = Choice { index, weight, total };
        if self.keep.bits {
            self.episode.bits += choice.bits();
        }
        if self.keep.choices {
            self.episode.choices.push(choice);
        }
        Ok(index)
    }

    fn put(&mut self, text: &str, context: Context) -> Result<(), Infallible> {
        for byte in text.bytes() {
            self.episode.text.push(self.lines.next(byte, context));
            if self.keep.labels {
                self.episode.labels.push(context.labels());
            }
        }
        Ok(())
    }
}
