//! Words of six made-up languages, each with sounds of its own: which language is a word of?
//!
//! A language draws from the seed which onsets, vowels and codas it has and how often; a word is two or three of its
//! syllables, each sound drawn by itself. So the probability of a word in a language is exact (a sum over the ways to cut it
//! into syllables), and Bayes's rule on it is the best that can be: a word may be of two languages.

use super::{any, choose};
use crate::examples::{Examples, Form, Names, Pair, Side};
use crate::random::{Draws, Purpose};

/// Languages.
const COUNT: u64 = 6;
/// Sounds that languages choose from.
const ONSETS: [&str; 26] = [
    "", "p", "t", "k", "b", "d", "g", "m", "n", "s", "f", "v", "z", "l", "r", "h", "j", "w", "sh", "ch", "tr", "kr",
    "pl", "st", "br", "gl",
];
const VOWELS: [&str; 10] = ["a", "e", "i", "o", "u", "y", "ö", "å", "ai", "ou"];
const CODAS: [&str; 11] = ["n", "r", "s", "l", "k", "t", "m", "x", "ng", "st", "rd"];
/// How many of them a language has.
const HAS: [usize; 3] = [8, 4, 3];
/// A sound is one to so many times as frequent as the rarest may be.
const MOST_WEIGHT: u32 = 4;
/// Weight of a syllable without a coda.
const OPEN: u32 = 6;
/// Syllables of a word.
const SYLLABLES: [(u32, usize); 2] = [(3, 2), (2, 3)];

type Weighted = Vec<(u32, &'static str)>;

/// A language: its sounds with their weights.
struct Language {
    onsets: Weighted,
    vowels: Weighted,
    codas: Weighted,
}

impl Language {
    fn new(seed: u64, number: u64) -> Self {
        let mut draws = Draws::new(seed, Purpose::Rules, number);
        let mut pick = |from: &[&'static str], count: usize| {
            let mut left = from.to_vec();
            let mut picked = Weighted::new();
            for _ in 0..count {
                let at = draws.below(u32::try_from(left.len()).unwrap_or(u32::MAX)) as usize;
                picked.push((1 + draws.below(MOST_WEIGHT), left.swap_remove(at)));
            }
            picked
        };
        let (onsets, vowels) = (pick(&ONSETS, HAS[0]), pick(&VOWELS, HAS[1]));
        let mut codas = pick(&CODAS, HAS[2]);
        codas.push((OPEN, ""));
        Self { onsets, vowels, codas }
    }

    fn word(&self, draws: &mut Draws) -> String {
        let mut word = String::new();
        for _ in 0..choose(draws, &SYLLABLES) {
            for sounds in [&self.onsets, &self.vowels, &self.codas] {
                word.push_str(choose(draws, sounds));
            }
        }
        word
    }

    /// P(word | this language): the sum over syllable counts and over the ways to cut the word.
    fn probability(&self, word: &str) -> f64 {
        let all: u32 = SYLLABLES.iter().map(|(weight, _)| weight).sum();
        let mut total = 0.0;
        let mut reached = vec![0.0; word.len() + 1];
        reached[0] = 1.0;
        for syllables in 1..=SYLLABLES.iter().map(|&(_, count)| count).max().unwrap_or(0) {
            for sounds in [&self.onsets, &self.vowels, &self.codas] {
                reached = step(word, &reached, sounds);
            }
            let weight: u32 =
                SYLLABLES.iter().filter(|&&(_, count)| count == syllables).map(|(weight, _)| weight).sum();
            total += f64::from(weight) / f64::from(all) * reached.last().copied().unwrap_or(0.0);
        }
        total
    }
}

/// One sound on: what stood at byte i with a probability stands behind each sound that follows there.
fn step(word: &str, reached: &[f64], sounds: &Weighted) -> Vec<f64> {
    let all = f64::from(sounds.iter().map(|(weight, _)| weight).sum::<u32>());
    let mut next = vec![0.0; reached.len()];
    for (at, &probability) in reached.iter().enumerate().filter(|&(_, &probability)| probability > 0.0) {
        for &(weight, sound) in sounds {
            if word.get(at..).is_some_and(|rest| rest.starts_with(sound)) {
                next[at + sound.len()] += probability * f64::from(weight) / all;
            }
        }
    }
    next
}

fn languages(seed: u64) -> Vec<Language> {
    (0..COUNT).map(|number| Language::new(seed, number)).collect()
}

/// Each language is called by a word of its own, ending as names of languages do.
fn names(seed: u64, languages: &[Language]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (number, language) in (COUNT..).zip(languages) {
        let mut draws = Draws::new(seed, Purpose::Rules, number);
        loop {
            let word = language.word(&mut draws);
            let name = format!("{word}{}", any(&mut draws, &["ish", "ian", "ese"]));
            if !names.contains(&name) {
                names.push(name);
                break;
            }
        }
    }
    names
}

pub(super) fn examples(count: u32, seed: u64) -> Examples {
    let languages = languages(seed);
    let mut names_of = Names::new();
    let numbers: Vec<u32> = names(seed, &languages).iter().map(|name| names_of.number(name)).collect();
    let of: Vec<(u32, &Language)> = numbers.into_iter().zip(&languages).collect();
    let pair = |k| {
        let mut draws = Draws::new(seed, Purpose::Example, k);
        let (number, language) = any(&mut draws, &of);
        Pair { input: Side::Text(language.word(&mut draws)), output: Side::Names(vec![number]) }
    };
    let pairs = (0..u64::from(count)).map(pair).collect();
    Examples { form: Form::TextToClass, pairs, names: names_of }
}

/// The share of the examples whose language is the one under which their word is most probable.
pub(super) fn best_accuracy(examples: &Examples, part: &[u32], seed: u64) -> Option<f64> {
    let languages = languages(seed);
    let names = names(seed, &languages);
    let mut right = 0_u32;
    for &k in part {
        let Pair { input: Side::Text(word), output: Side::Names(class) } = examples.pairs.get(k as usize)? else {
            return None;
        };
        let mut best = (0, -1.0);
        for (number, language) in languages.iter().enumerate() {
            let probability = language.probability(word);
            if probability > best.1 {
                best = (number, probability);
            }
        }
        let is = examples.names.name(*class.first()?);
        right += u32::from(names.get(best.0).is_some_and(|name| name == is));
    }
    Some(f64::from(right) / f64::from(u32::try_from(part.len().max(1)).unwrap_or(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// The probabilities of all words of a small language sum to 1, and are the frequencies with which it writes them.
    #[test]
    fn the_probability_of_a_word_is_how_often_it_comes() {
        let language = Language {
            onsets: vec![(1, "t"), (2, "")],
            vowels: vec![(3, "a"), (1, "ai")],
            codas: vec![(1, "t"), (2, "")],
        };
        let (mut counts, runs) = (HashMap::new(), 40_000);
        for k in 0..runs {
            let word = language.word(&mut Draws::new(5, Purpose::Example, k));
            *counts.entry(word).or_insert(0_u32) += 1;
        }
        let total: f64 = counts.keys().map(|word| language.probability(word)).sum();
        assert!((total - 1.0).abs() < 1e-3, "{total}: nearly every word was seen");
        for (word, count) in counts.iter().filter(|(_, count)| **count > 400) {
            let (expected, seen) = (language.probability(word), f64::from(*count) / runs as f64);
            assert!((seen / expected - 1.0).abs() < 0.15, "{word}: {seen} seen, {expected} expected");
        }
        assert_eq!(language.probability("xa"), 0.0);
    }

    #[test]
    fn the_best_rule_is_right_most_of_the_time_and_not_always() {
        for seed in 1..4 {
            let made = examples(3000, seed);
            assert_eq!(made.names.len(), COUNT as usize);
            let all: Vec<u32> = (0..3000).collect();
            let best = best_accuracy(&made, &all, seed).unwrap();
            assert!(best > 0.9 && best < 1.0, "{best}");
        }
    }
}
