//! The entropy rate of the text: (mean bits of choice in an episode) / (mean characters of an episode), exactly.
//!
//! Both means are sums over the grammar, not over a sample. For a part of the grammar with rules
//! ```text
//! bits(One)  = H(p) + sum_i p_i bits(i)          chars(One)  = sum_i p_i chars(i)      p_i = weight_i / total
//! bits(All)  = sum of its parts                  chars(All)  = sum of its parts
//! bits(Many) = sum over k = 1..max of r_k,  r_k = q^(k-1) (H(q) + q bits(body)),  q = go / (go + stop)
//! ```
//! and likewise for words. Bound words are the one place where a character depends on an earlier choice. No weight
//! depends on them, so how often a slot is used is independent of which word it has, and by the linearity of means
//! chars = sum over (slot, form) of E[times used] * E[length]. Their choices are drawn without replacement, so
//! E[length] and the bits are sums over all ordered tuples of different words.
//!
//! Why that is the entropy rate of the text, and not only of the choices: `doc/builtin.md`.
//!
//! f64 throughout, logarithms by the pinned `libm`: the same number on every machine, right to about 1e-13.

use std::collections::HashMap;

use super::EPISODE;
use super::node::{Context, Entry, FORMS, Form, Node, PERSONS, PLACES, Scope, VARIABLES, entries};

/// How much the built-in text tells per character, at best; it doesn't depend on the seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EntropyRate {
    /// Bits per character: no model of any kind does better in the long run.
    pub bits_per_char: f64,
    /// The same in nats, as losses are counted.
    pub nats_per_char: f64,
    /// Mean bits of an episode.
    pub bits_per_episode: f64,
    /// Mean characters of an episode.
    pub chars_per_episode: f64,
}

/// The entropy rate of the built-in text.
///
/// `bits_per_char = bits_per_episode / chars_per_episode`, both exact sums over the grammar (up to f64 rounding).
/// Why it is the rate of the text: `doc/builtin.md`. It is that of ideal dice in the place of the counter-based
/// generator, and a mean: a given text of n characters has about `bits_per_char * n`, and `read` says how many exactly.
pub fn entropy_rate() -> EntropyRate {
    rate_of(&EPISODE)
}

/// The rate of a text of independent walks through this grammar.
pub(super) fn rate_of(grammar: &'static Node) -> EntropyRate {
    let draws = [Draws::of(&PERSONS), Draws::of(&VARIABLES)];
    let mut sums = Sums { draws, known: HashMap::new() };
    let mean = sums.mean(grammar, Context::default());
    let chars = sums.draws.iter().fold(mean.chars, |chars, draws| chars + draws.chars(&mean));
    EntropyRate {
        bits_per_char: mean.bits / chars,
        nats_per_char: mean.bits / chars * std::f64::consts::LN_2,
        bits_per_episode: mean.bits,
        chars_per_episode: chars,
    }
}

/// The entropy in bits of a choice with these weights.
fn entropy(weights: impl Iterator<Item = u32> + Clone) -> f64 {
    let total: f64 = weights.clone().map(f64::from).sum();
    weights.filter(|&weight| weight > 0).map(f64::from).map(|w| w / total * libm::log2(total / w)).sum()
}

/// The means of one part of the grammar.
#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    bits: f64,
    /// Characters beside those of bound words.
    chars: f64,
    /// How often each slot's word is written in each form.
    uses: [[f64; FORMS]; PLACES],
}

impl Mean {
    /// Adds `share` times the other.
    fn add(&mut self, share: f64, other: &Mean) {
        self.bits += share * other.bits;
        self.chars += share * other.chars;
        for (mine, theirs) in self.uses.iter_mut().flatten().zip(other.uses.iter().flatten()) {
            *mine += share * theirs;
        }
    }

    fn say(&mut self, share: f64, place: usize, form: Form) {
        if let Some(times) = self.uses.get_mut(place).and_then(|forms| forms.get_mut(form as usize)) {
            *times += share;
        }
    }
}

struct Sums {
    draws: [Draws; 2],
    /// Parts that are already added up, by address and context.
    known: HashMap<(*const Node, Context), Mean>,
}

impl Sums {
    fn mean(&mut self, node: &'static Node, context: Context) -> Mean {
        let key = (std::ptr::from_ref(node), context);
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let mean = self.sum(node, context);
        self.known.insert(key, mean);
        mean
    }

    fn sum(&mut self, node: &'static Node, context: Context) -> Mean {
        let mut mean = Mean::default();
        match *node {
            Node::Text(text) => mean.chars = length(text),
            Node::All(parts) => parts.iter().for_each(|part| mean.add(1.0, &self.mean(part, context))),
            Node::One(list) => {
                let total: f64 = list.iter().map(|&(weight, _)| f64::from(weight)).sum();
                mean.bits = entropy(list.iter().map(|&(weight, _)| weight));
                for (weight, node) in list {
                    mean.add(f64::from(*weight) / total, &self.mean(node, context));
                }
            }
            Node::Word(list) => {
                let total: f64 = list.iter().map(|&(weight, _)| f64::from(weight)).sum();
                mean.bits = entropy(list.iter().map(|&(weight, _)| weight));
                mean.chars = list.iter().map(|&(weight, word)| f64::from(weight) / total * length(word)).sum();
            }
            Node::Rule(rule) => return self.mean(rule, context),
            Node::Many { go, stop, max, body } => {
                let body = self.mean(body, context);
                let again = f64::from(go) / (f64::from(go) + f64::from(stop));
                let mut reached = 1.0;
                for _ in 0..max {
                    mean.bits += reached * entropy([go, stop].into_iter());
                    reached *= again;
                    mean.add(reached, &body);
                }
            }
            Node::In(scope, body) => return self.mean(body, context.inside(scope)),
            Node::Quoted(body) => {
                mean = self.mean(body, context.inside(Scope::Quote));
                mean.chars += 2.0 * length(context.quotation_mark());
            }
            Node::Below(scope, limit, shallow, deep) => {
                return self.mean(if context.depth(scope) < limit { shallow } else { deep }, context);
            }
            Node::Line(back) => mean.chars = length(context.line(back)),
            Node::Bind(slot) => {
                let place = slot.place(context);
                mean.bits = self.draws.iter().map(|draws| draws.bits(place)).sum();
                mean.say(1.0, place, Form::Name);
            }
            Node::Use(slot, form) => mean.say(1.0, slot.place(context), form),
            Node::Pick(slots) => {
                let total: f64 = slots.iter().map(|&(weight, _)| f64::from(weight)).sum();
                mean.bits = entropy(slots.iter().map(|&(weight, _)| weight));
                for &(weight, slot) in slots {
                    mean.say(f64::from(weight) / total, slot.place(context), Form::Name);
                }
            }
        }
        mean
    }
}

/// Draws without replacement from one list: for each place in turn, its bits and how often it has each word.
struct Draws {
    places: &'static [usize],
    list: &'static [Entry],
    bits: Vec<f64>,
    /// `[places, words]`
    share: Vec<Vec<f64>>,
}

impl Draws {
    fn of(places: &'static [usize]) -> Self {
        let list = places.first().map_or(&[][..], |&place| entries(place));
        let mut draws =
            Draws { places, list, bits: vec![0.0; places.len()], share: vec![vec![0.0; list.len()]; places.len()] };
        draws.from(0, &mut Vec::new(), 1.0);
        draws
    }

    /// All ways to go on from the `taken` words, which have this probability together.
    fn from(&mut self, turn: usize, taken: &mut Vec<usize>, probability: f64) {
        let (Some(bits), Some(share)) = (self.bits.get_mut(turn), self.share.get_mut(turn)) else { return };
        let weights = self.list.iter().enumerate();
        let free: Vec<(usize, u32)> =
            weights.filter(|(word, _)| !taken.contains(word)).map(|(word, &(weight, _))| (word, weight)).collect();
        let total: f64 = free.iter().map(|&(_, weight)| f64::from(weight)).sum();
        *bits += probability * entropy(free.iter().map(|&(_, weight)| weight));
        for &(word, weight) in &free {
            if let Some(share) = share.get_mut(word) {
                *share += probability * f64::from(weight) / total;
            }
        }
        for (word, weight) in free {
            taken.push(word);
            self.from(turn.saturating_add(1), taken, probability * f64::from(weight) / total);
            taken.pop();
        }
    }

    fn bits(&self, place: usize) -> f64 {
        self.places.iter().zip(&self.bits).filter(|&(&mine, _)| mine == place).map(|(_, bits)| bits).sum()
    }

    /// The mean characters of this list's words in an episode.
    fn chars(&self, mean: &Mean) -> f64 {
        let mut chars = 0.0;
        for (&place, share) in self.places.iter().zip(&self.share) {
            for ((_, forms), share) in self.list.iter().zip(share) {
                let uses = mean.uses.get(place).into_iter().flatten();
                chars += forms.iter().zip(uses).map(|(word, times)| share * times * length(word)).sum::<f64>();
            }
        }
        chars
    }
}

fn length(text: &str) -> f64 {
    text.len() as f64
}
