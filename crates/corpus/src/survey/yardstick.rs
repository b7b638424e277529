//! What it costs to guess a text without a network, in nats per symbol.
//!
//! ```text
//! ln V       every symbol alike
//! unigram    - sum over symbols s of p(s) ln p(s),  p(s) = count(s) / n               over the whole text
//! bigram     - mean over the last tenth of ln p(b | a),                               a: the symbol before b
//!            p(b | a) = (count(a b) + 0.05) / (count(a ..) + 0.05 V)                  counted in the first nine tenths
//! ```
//!
//! Of n symbols the first floor(9 n / 10) are counted, the others scored, the first of them after the last that was
//! counted. A symbol that only the last tenth has is scored like any other, by the 0.05 that all have, and counted apart.
//! Sums run over symbols and pairs in ascending order, so the bits do not depend on how they were counted.

use super::counts::{Counts, both};
use std::collections::HashMap;

/// What is added to the count of each pair.
const ADDED: f64 = 0.05;

/// What guessing costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Yardsticks {
    /// Every symbol alike: ln V, nats per symbol.
    pub ln_v: f64,
    /// Entropy of a symbol by itself, nats.
    pub unigram_nats: f64,
    /// None where there are fewer than two symbols, or more kinds of pairs than are kept.
    pub bigram: Option<Bigram>,
}

/// What guessing from the symbol before costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bigram {
    /// Mean over the last tenth, nats per symbol.
    pub nats: f64,
    /// Symbols of the last tenth.
    pub symbols: u64,
    /// Those of them that the first nine tenths never have.
    pub unseen: u64,
    /// How many different ones these are.
    pub unseen_kinds: u64,
}

/// The first symbol of `symbols` that is scored.
pub(super) fn cut(symbols: u64) -> u64 {
    symbols / 10 * 9 + symbols % 10 * 9 / 10
}

/// Entropy of the symbols, nats.
pub(super) fn unigram(all: &Counts, symbols: u64) -> f64 {
    let n = symbols.max(1) as f64;
    let nats = all.symbols().fold(0.0, |sum, (_, count)| {
        let p = count as f64 / n;
        sum - p * libm::log(p)
    });
    // One symbol alone would leave -0.
    nats.max(0.0)
}

/// The bigram yardstick from the counts of all text and the pairs that end in its last tenth.
pub(super) fn bigram(all: &Counts, tail: &Counts, vocab_len: u64) -> Option<Bigram> {
    let mut scored: Vec<(u64, u64)> = tail.pairs()?.collect();
    scored.sort_unstable();
    // How often each symbol comes before another in the head, and how often it ends a pair of the tail.
    let (mut before, mut ends) = (HashMap::<u32, u64>::new(), HashMap::<u32, u64>::new());
    for (pair, count) in all.pairs()? {
        *before.entry(both(pair).0).or_default() += count;
    }
    let mut symbols = 0;
    for &(pair, count) in &scored {
        let (a, b) = both(pair);
        let sum = before.entry(a).or_default();
        *sum = sum.saturating_sub(count);
        *ends.entry(b).or_default() += count;
        symbols += count;
    }
    let mut nats = 0.0;
    for &(pair, count) in &scored {
        let (a, b) = both(pair);
        let seen = all.of_pair(a, b).saturating_sub(count) as f64;
        let total = before.get(&a).copied().unwrap_or(0) as f64;
        let p = (seen + ADDED) / (total + ADDED * vocab_len as f64);
        nats -= count as f64 * libm::log(p);
    }
    let new = ends.iter().filter(|&(&symbol, &count)| all.of(symbol) <= count);
    let (unseen_kinds, unseen) = new.fold((0, 0), |(kinds, sum), (_, &count)| (kinds + 1, sum + count));
    (symbols > 0).then(|| Bigram { nats: nats / symbols as f64, symbols, unseen, unseen_kinds })
}
