//! Names by initial, by a grammar of our own, so that the entropy of a name given its initial is exact.
//!
//! ```text
//! name   = initial, a second letter, middle, [vowel, middle], ending
//! ```
//!
//! Which letters are likely depends on what kind of letter the initial is. A name is read back in one way only: behind the
//! first middle come an ending, of at most two letters, or a vowel, a middle and an ending, at least three. So the entropy of
//! a name is that of the choices.

use super::choose;
use crate::examples::{Examples, Form, Names, Pair, Side};
use crate::random::{Draws, Purpose};

type Weighted = [(u32, &'static str)];

/// What the rest of a name is drawn from.
struct Style {
    initials: &'static str,
    second: &'static Weighted,
    middle: &'static Weighted,
    /// Weights of a short name and a long one.
    long: [(u32, bool); 2],
    ending: &'static Weighted,
}

const VOWEL: &Weighted = &[(4, "a"), (3, "e"), (2, "i"), (1, "o")];
const STYLES: [Style; 3] = [
    Style {
        initials: "BDGKPT",
        second: &[(5, "a"), (3, "o"), (2, "e"), (1, "u"), (1, "i")],
        middle: &[(4, "r"), (3, "l"), (2, "n"), (2, "rt"), (1, "v")],
        long: [(3, false), (1, true)],
        ending: &[(4, "o"), (3, "en"), (2, "us"), (1, "ik")],
    },
    Style {
        initials: "FHJLMNRSVW",
        second: &[(4, "i"), (4, "a"), (3, "e"), (1, "y")],
        middle: &[(4, "l"), (3, "n"), (3, "r"), (2, "s"), (1, "m"), (1, "nd")],
        long: [(1, false), (1, true)],
        ending: &[(6, "a"), (2, "e"), (2, "ia"), (1, "yn")],
    },
    Style {
        initials: "AEIOU",
        second: &[(4, "l"), (3, "m"), (2, "r"), (2, "v"), (1, "d")],
        middle: &[(3, "am"), (3, "in"), (2, "or"), (1, "us")],
        long: [(3, false), (2, true)],
        ending: &[(3, "a"), (2, "o"), (1, "is")],
    },
];

impl Style {
    fn name(&self, initial: char, draws: &mut Draws) -> String {
        let mut name = String::from(initial);
        name.push_str(choose(draws, self.second));
        name.push_str(choose(draws, self.middle));
        if choose(draws, &self.long) {
            name.push_str(choose(draws, VOWEL));
            name.push_str(choose(draws, self.middle));
        }
        name.push_str(choose(draws, self.ending));
        name
    }

    /// Entropy of a name in nats, its mean number of letters, the probability of the likeliest name.
    fn limit(&self) -> (f64, f64, f64) {
        let long = mean(&self.long, |&long| f64::from(u8::from(long)));
        let parts = [self.second, self.middle, self.ending];
        let again = entropy(VOWEL) + entropy(self.middle);
        let nats = parts.iter().map(|list| entropy(list)).sum::<f64>() + entropy(&self.long) + long * again;
        let length = |list: &Weighted| mean(list, |text| text.len() as f64);
        let letters =
            1.0 + parts.iter().map(|list| length(list)).sum::<f64>() + long * (length(VOWEL) + length(self.middle));
        let short: f64 = parts.iter().map(|list| most(list)).product();
        (nats, letters, short * f64::max(1.0 - long, long * most(VOWEL) * most(self.middle)))
    }
}

fn total<T>(list: &[(u32, T)]) -> f64 {
    f64::from(list.iter().map(|(weight, _)| weight).sum::<u32>())
}

fn mean<T>(list: &[(u32, T)], of: impl Fn(&T) -> f64) -> f64 {
    list.iter().map(|(weight, value)| f64::from(*weight) * of(value)).sum::<f64>() / total(list)
}

/// -sum p ln p
fn entropy<T>(list: &[(u32, T)]) -> f64 {
    let all = total(list);
    list.iter().map(|(weight, _)| f64::from(*weight) / all).map(|p| -p * libm::log(p)).sum()
}

fn most<T>(list: &[(u32, T)]) -> f64 {
    f64::from(list.iter().map(|(weight, _)| *weight).max().unwrap_or(0)) / total(list)
}

/// What no model of these names can do better than, on average over the initials.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NameLimit {
    /// Nats per symbol, the end of the name being one.
    pub nats: f64,
    /// The share of names that are the likeliest of their initial: the best exact match.
    pub exact: f64,
}

/// The limit of the names by initial, for any seed.
pub fn name_limit() -> NameLimit {
    let (mut nats, mut symbols, mut exact, mut count) = (0.0, 0.0, 0.0, 0.0);
    for style in &STYLES {
        let (of_name, letters, likeliest) = style.limit();
        let initials = style.initials.len() as f64;
        nats += initials * of_name;
        symbols += initials * (letters + 1.0);
        exact += initials * likeliest;
        count += initials;
    }
    NameLimit { nats: nats / symbols, exact: exact / count }
}

pub(super) fn examples(count: u32, seed: u64) -> Examples {
    let initials: Vec<(char, &Style)> =
        STYLES.iter().flat_map(|style| style.initials.chars().map(move |initial| (initial, style))).collect();
    let mut names = Names::new();
    let pairs = (0..u64::from(count)).map(|k| {
        let mut draws = Draws::new(seed, Purpose::Example, k);
        let (initial, style) = super::any(&mut draws, &initials);
        let number = names.number(initial.encode_utf8(&mut [0; 4]));
        Pair { input: Side::Names(vec![number]), output: Side::Text(style.name(initial, &mut draws)) }
    });
    let pairs = pairs.collect();
    Examples { form: Form::NameToText, pairs, names }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// By listing every name that a style can write, with its probability.
    #[test]
    fn the_limit_is_that_of_all_names_listed() {
        for style in &STYLES {
            let p = |list: &Weighted, weight: u32| f64::from(weight) / total(list);
            let mut names: HashMap<String, f64> = HashMap::new();
            for &(w2, second) in style.second {
                for &(wm, middle) in style.middle {
                    for &(we, ending) in style.ending {
                        let base = p(style.second, w2) * p(style.middle, wm) * p(style.ending, we);
                        let long = f64::from(style.long[1].0) / total(&style.long);
                        *names.entry(format!("{second}{middle}{ending}")).or_default() += base * (1.0 - long);
                        for &(wv, vowel) in VOWEL {
                            for &(wn, again) in style.middle {
                                let more = base * long * p(VOWEL, wv) * p(style.middle, wn);
                                *names.entry(format!("{second}{middle}{vowel}{again}{ending}")).or_default() += more;
                            }
                        }
                    }
                }
            }
            let sum: f64 = names.values().sum();
            let nats: f64 = names.values().map(|p| -p * libm::log(*p)).sum();
            let letters: f64 = names.iter().map(|(name, p)| p * (name.len() + 1) as f64).sum();
            let most = names.values().copied().fold(0.0, f64::max);
            let limit = style.limit();
            assert!((sum - 1.0).abs() < 1e-12);
            assert!((nats - limit.0).abs() < 1e-9, "{nats} {}: a name has one reading", limit.0);
            assert!((letters - limit.1).abs() < 1e-9 && (most - limit.2).abs() < 1e-12);
        }
        let NameLimit { nats, exact } = name_limit();
        assert!(nats > 0.5 && nats < 1.5 && exact > 0.005 && exact < 0.1, "{nats} {exact}");
    }

    #[test]
    fn a_name_begins_with_its_initial() {
        for line in examples(500, 1).to_tsv().lines() {
            let (initial, name) = line.split_once('\t').unwrap();
            assert!(name.starts_with(initial) && (4..12).contains(&name.len()), "{line}");
        }
    }
}
