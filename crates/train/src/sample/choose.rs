//! One draw: logits -> the next symbol's id.
//!
//! ```text
//! repetition penalty   z_i = x_i / r if x_i > 0 else x_i * r, for each symbol among the last ones, once
//! temperature          w_i = exp((z_i - max z) / T);  T = 0: the largest z, and that is all
//! top-k                the k largest z keep their w
//! top-p                of those, the fewest of the largest whose w reach p of the sum; at least one
//! min-p                of those, the ones with w >= m * (the largest w)
//! draw                 symbol i with probability w_i / sum, ids ascending
//! ```
//!
//! Each filter sees what the one before has left: top-k, top-p and min-p see the temperature. Ties go to the lowest id.
//! All in f64 and by `libm`, so that a text is the same on every machine. A filter that is off costs and changes
//! nothing. Sources: Keskar et al. 2019 (CTRL) for the penalty, Holtzman et al. 2020 for top-p.

use std::cmp::Ordering;
use std::collections::VecDeque;

use super::SampleOptions;

/// The most likely symbols that top-p sorts at first: a guess.
const FIRST_SORTED: usize = 16;

/// What is asked of a draw.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filters {
    temperature: f64,
    /// 0: off.
    top_k: usize,
    /// 1: off.
    top_p: f64,
    /// 0: off.
    min_p: f64,
    /// 1: off.
    penalty: f64,
}

impl From<&SampleOptions> for Filters {
    fn from(options: &SampleOptions) -> Self {
        let SampleOptions { temperature, top_k, top_p, min_p, repetition_penalty: penalty, .. } = *options;
        Self { temperature, top_k, top_p, min_p, penalty }
    }
}

/// The last symbols of a text, at most a window of them.
#[derive(Debug, Clone)]
pub(crate) struct Recent {
    window: usize,
    /// Oldest first.
    ids: VecDeque<u32>,
    /// `[V]`: how often each id is among them.
    counts: Vec<u32>,
}

impl Recent {
    /// No symbols yet, of a vocabulary of `vocab`.
    pub(crate) fn new(window: usize, vocab: usize) -> Self {
        Self { window, ids: VecDeque::new(), counts: vec![0; vocab] }
    }
    /// Adds one; an id that is no symbol of the vocabulary is none.
    pub(crate) fn push(&mut self, id: u32) {
        if self.window == 0 || id as usize >= self.counts.len() {
            return;
        }
        if self.ids.len() == self.window
            && let Some(oldest) = self.ids.pop_front()
        {
            self.counts[oldest as usize] -= 1;
        }
        self.ids.push_back(id);
        self.counts[id as usize] += 1;
    }
    /// Oldest first.
    pub(crate) fn ids(&self) -> impl Iterator<Item = u32> {
        self.ids.iter().copied()
    }
}

/// Logits from which nothing can be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// One is NaN or +Inf.
    NotFinite(u32),
    /// All are -Inf.
    NothingLeft,
}

/// Draws, in memory of its own.
#[derive(Debug)]
pub(crate) struct Chooser {
    filters: Filters,
    /// `[V]`: logits after the penalty.
    z: Vec<f64>,
    /// `[V]`: 0 where a filter has taken the symbol out.
    weights: Vec<f64>,
    /// Ids on their way through top-k and top-p.
    order: Vec<u32>,
}

impl Chooser {
    pub(crate) fn new(filters: Filters, vocab: usize) -> Self {
        Self { filters, z: vec![0.0; vocab], weights: vec![0.0; vocab], order: Vec::with_capacity(vocab) }
    }

    /// The next symbol. `uniform` gives a number in [0, 1) and is asked at most once.
    pub(crate) fn choose(
        &mut self,
        logits: &[f32],
        recent: &Recent,
        uniform: impl FnOnce() -> f64,
    ) -> Result<u32, Unusable> {
        let best = self.penalise(logits, recent)?;
        if self.filters.temperature <= 0.0 {
            return Ok(best);
        }
        let mut sum = self.weigh(best);
        if self.filters.top_p < 1.0 {
            sum = self.top_p(sum);
        }
        if self.filters.min_p > 0.0 {
            sum = self.min_p();
        }
        let mut left = uniform() * sum;
        for (i, w) in (0..).zip(&self.weights) {
            left -= w;
            if left < 0.0 {
                return Ok(i);
            }
        }
        Ok(best)
    }

    /// Sets z; the id of the largest.
    fn penalise(&mut self, logits: &[f32], recent: &Recent) -> Result<u32, Unusable> {
        for (i, (z, &x)) in (0..).zip(self.z.iter_mut().zip(logits)) {
            if x.is_nan() || x == f32::INFINITY {
                return Err(Unusable::NotFinite(i));
            }
            *z = f64::from(x);
        }
        let penalty = self.filters.penalty;
        if penalty != 1.0 {
            for (z, _) in self.z.iter_mut().zip(&recent.counts).filter(|(z, n)| **n > 0 && z.is_finite()) {
                let penalised = if *z > 0.0 { *z / penalty } else { *z * penalty };
                // An absurd penalty must not make an infinity of a sound logit.
                *z = penalised.clamp(f64::MIN, f64::MAX);
            }
        }
        let larger = |best: usize, (i, &z): (usize, &f64)| if z > self.z[best] { i } else { best };
        let best = self.z.iter().enumerate().fold(0, larger);
        if self.z[best] == f64::NEG_INFINITY { Err(Unusable::NothingLeft) } else { Ok(best as u32) }
    }

    /// Temperature and top-k: sets the weights; their sum, ids ascending. The largest weight is 1.
    fn weigh(&mut self, best: u32) -> f64 {
        let Self { filters: Filters { temperature, top_k, .. }, z, weights, order } = self;
        let max = z[best as usize];
        let weight = |z: f64| libm::exp((z - max) / *temperature);
        if (1..z.len()).contains(top_k) {
            order.clear();
            order.extend(0..z.len() as u32);
            order.select_nth_unstable_by(*top_k - 1, |a, b| rank(z, *a, *b));
            weights.fill(0.0);
            for &i in &order[..*top_k] {
                weights[i as usize] = weight(z[i as usize]);
            }
            return self.sum();
        }
        let mut sum = 0.0;
        for (w, &z) in weights.iter_mut().zip(&*z) {
            *w = weight(z);
            sum += *w;
        }
        sum
    }

    /// Takes out all but the nucleus; the sum of what is left.
    fn top_p(&mut self, sum: f64) -> f64 {
        let Self { filters: Filters { top_p, .. }, z, weights, order } = self;
        // Those below this bound have under half of 1 - p together: never in the nucleus, so never sorted.
        let bound = sum * (1.0 - *top_p) / (2 * weights.len()) as f64;
        order.clear();
        order.extend((0..).zip(&*weights).filter(|(_, w)| **w > bound).map(|(i, _)| i));
        let (mut reached, mut kept, mut sorted) = (0.0, 0, 0);
        while kept < order.len() && (kept == 0 || reached < *top_p * sum) {
            // Sorted as far as it is asked for, each time four times as far: a nucleus is mostly small.
            if kept == sorted {
                let rest = &mut order[sorted..];
                let more = (3 * sorted).max(FIRST_SORTED).min(rest.len());
                if more < rest.len() {
                    rest.select_nth_unstable_by(more, |a, b| rank(z, *a, *b));
                }
                rest[..more].sort_unstable_by(|a, b| rank(z, *a, *b));
                sorted += more;
            }
            reached += weights[order[kept] as usize];
            kept += 1;
        }
        // What is kept is marked by its sign, then all else is taken out.
        for &i in &order[..kept] {
            weights[i as usize] = -weights[i as usize];
        }
        for w in weights.iter_mut() {
            *w = if *w < 0.0 { -*w } else { 0.0 };
        }
        self.sum()
    }

    /// Takes out what is too far below the most likely, whose weight is 1; the sum of what is left.
    fn min_p(&mut self) -> f64 {
        let min_p = self.filters.min_p;
        for w in self.weights.iter_mut().filter(|w| **w < min_p) {
            *w = 0.0;
        }
        self.sum()
    }

    fn sum(&self) -> f64 {
        self.weights.iter().fold(0.0, |a, b| a + b)
    }
}

/// The larger z first, of equal ones the lower id.
fn rank(z: &[f64], a: u32, b: u32) -> Ordering {
    z[b as usize].partial_cmp(&z[a as usize]).unwrap_or(Ordering::Equal).then(a.cmp(&b))
}

#[cfg(test)]
#[allow(non_snake_case, reason = "fault tests carry the ids of the fault catalogue")]
mod tests {
    use super::*;
    use crate::sample::SampleOptions;
    use gatemill_kernels::{Purpose, uniform};

    /// Options with all filters off.
    fn plain(temperature: f64) -> SampleOptions {
        SampleOptions { temperature, ..SampleOptions::default() }
    }

    /// `[V]` pseudo-random logits in steps of 1/8, so that there are ties.
    fn logits(seed: u64, vocab: usize) -> Vec<f32> {
        (0..vocab as u64).map(|i| (uniform(seed, Purpose::Init, 9, i) * 64.0).floor() as f32 / 8.0 - 4.0).collect()
    }

    fn recent(vocab: usize, ids: &[u32]) -> Recent {
        let mut recent = Recent::new(64, vocab);
        ids.iter().for_each(|&id| recent.push(id));
        recent
    }

    /// The definition, step by step, on (id, z) pairs: probabilities by id.
    #[allow(clippy::disallowed_methods, reason = "an oracle within a tolerance")]
    fn oracle(options: &SampleOptions, logits: &[f32], last: &[u32]) -> Vec<f64> {
        let mut all: Vec<(usize, f64)> = logits.iter().map(|&x| f64::from(x)).enumerate().collect();
        for (i, z) in &mut all {
            if last.contains(&(*i as u32)) {
                *z = if *z > 0.0 { *z / options.repetition_penalty } else { *z * options.repetition_penalty };
            }
        }
        all.sort_by(|a, b| b.1.partial_cmp(&a.1).unwrap().then(a.0.cmp(&b.0)));
        let normalised = |all: &mut Vec<(usize, f64)>| {
            let sum: f64 = all.iter().map(|x| x.1).sum();
            all.iter_mut().for_each(|x| x.1 /= sum);
        };
        all.iter_mut().for_each(|x| x.1 = (x.1 / options.temperature).exp());
        if options.top_k > 0 {
            all.truncate(options.top_k);
        }
        normalised(&mut all);
        let mut reached = 0.0;
        let mut kept = 0;
        while kept < all.len() && reached < options.top_p - 1e-12 {
            reached += all[kept].1;
            kept += 1;
        }
        all.truncate(kept.max(1));
        normalised(&mut all);
        let least = options.min_p * all[0].1;
        all.retain(|x| x.1 >= least - 1e-12);
        normalised(&mut all);
        let mut p = vec![0.0; logits.len()];
        all.iter().for_each(|&(i, x)| p[i] = x);
        p
    }

    #[test]
    fn every_filter_and_all_together_are_their_definitions() {
        // Beyond the first two prefixes that top-p sorts.
        let vocab = 137;
        let base = plain(0.7);
        let cases = [
            base.clone(),
            SampleOptions { top_k: 5, ..base.clone() },
            SampleOptions { top_k: 1, ..base.clone() },
            SampleOptions { top_k: 1000, ..base.clone() },
            SampleOptions { top_p: 0.6, ..base.clone() },
            SampleOptions { top_p: 0.97, ..plain(3.0) },
            SampleOptions { top_p: 1e-9, ..base.clone() },
            SampleOptions { min_p: 0.1, ..base.clone() },
            SampleOptions { min_p: 1.0, ..base.clone() },
            SampleOptions { repetition_penalty: 1.7, ..base.clone() },
            SampleOptions { repetition_penalty: 0.5, ..base.clone() },
            SampleOptions { top_k: 20, top_p: 0.9, min_p: 0.02, repetition_penalty: 1.3, ..plain(1.4) },
        ];
        for seed in 0..40 {
            let (logits, last) = (logits(seed, vocab), [3, 3, 9, 30]);
            let recent = recent(vocab, &last);
            for options in &cases {
                let mut chooser = Chooser::new(options.into(), vocab);
                let want = oracle(options, &logits, &last);
                // The uniform number at the middle of each symbol's part of [0, 1) draws that symbol.
                let mut below = 0.0;
                for (i, p) in want.iter().enumerate().filter(|(_, p)| **p > 0.0) {
                    let got = chooser.choose(&logits, &recent, || below + p / 2.0).unwrap();
                    assert_eq!(got as usize, i, "{options:?} seed {seed}: {want:?}");
                    below += p;
                }
                let left: usize = chooser.weights.iter().filter(|w| **w > 0.0).count();
                assert_eq!(left, want.iter().filter(|p| **p > 0.0).count(), "{options:?} seed {seed}");
            }
        }
    }

    #[test]
    fn without_filters_a_draw_is_one_pass_over_ascending_ids() {
        // The order of the sum decides bits; texts of earlier versions depend on it.
        for seed in 0..200 {
            let (vocab, temperature) = (61, 0.8);
            let logits = logits(seed, vocab);
            let max = logits.iter().copied().fold(f32::MIN, f32::max);
            let weights: Vec<f64> =
                logits.iter().map(|&x| libm::exp((f64::from(x) - f64::from(max)) / temperature)).collect();
            let u = uniform(seed, Purpose::Sample, 1, seed);
            let mut left = u * weights.iter().fold(0.0, |a, b| a + b);
            let want = weights.iter().position(|w| {
                left -= w;
                left < 0.0
            });
            let mut chooser = Chooser::new((&plain(temperature)).into(), vocab);
            assert_eq!(chooser.choose(&logits, &recent(vocab, &[1, 2]), || u).map(|i| i as usize), Ok(want.unwrap()));
            let same = chooser.weights.iter().zip(&weights).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same, "seed {seed}");
        }
    }

    #[test]
    fn fault_N07_temperature_0_is_the_most_likely_and_ties_go_to_the_lowest_id() {
        let none = recent(5, &[]);
        let mut greedy = Chooser::new((&plain(0.0)).into(), 5);
        let never = || panic!("no chance is taken");
        assert_eq!(greedy.choose(&[-1.0, 2.0, 2.0, 0.0, 2.0], &none, never), Ok(1));
        assert_eq!(greedy.choose(&[0.0, -0.0, 0.0, -0.0, 0.0], &none, never), Ok(0));
        assert_eq!(greedy.choose(&[1.0, 2.0, 3.0, 4.0, 5.0], &recent(5, &[4]), never), Ok(4), "penalty 1 is none");
        let options = SampleOptions { repetition_penalty: 2.0, ..plain(0.0) };
        let mut greedy = Chooser::new((&options).into(), 5);
        assert_eq!(greedy.choose(&[1.0, 2.0, 3.0, 4.0, 5.0], &recent(5, &[4, 4]), never), Ok(3), "once, not twice");
        assert_eq!(greedy.choose(&[-1.0, -1.5, -3.0, -3.0, -9.0], &recent(5, &[0]), never), Ok(1));

        // Equal logits at the edge of each filter: the lower ids stay.
        let equal = [1.0_f32; 5];
        for (options, kept) in [
            (SampleOptions { top_k: 2, ..plain(1.0) }, 2),
            (SampleOptions { top_p: 0.55, ..plain(1.0) }, 3),
            (SampleOptions { min_p: 1.0, ..plain(1.0) }, 5),
        ] {
            let mut chooser = Chooser::new((&options).into(), 5);
            chooser.choose(&equal, &none, || 0.0).unwrap();
            let left: Vec<bool> = chooser.weights.iter().map(|w| *w > 0.0).collect();
            assert_eq!(left, (0..5).map(|i| i < kept).collect::<Vec<_>>(), "{options:?}");
        }
        // The hottest text still takes the most likely one with --top-k 1.
        let options = SampleOptions { top_k: 1, ..plain(1e300) };
        assert_eq!(Chooser::new((&options).into(), 3).choose(&[0.0, 1.0, 0.5], &recent(3, &[]), || 0.99), Ok(1));
    }

    #[test]
    fn fault_N06_logits_of_any_size_give_a_symbol_or_an_error() {
        let (inf, none) = (f32::INFINITY, recent(3, &[0, 1, 2]));
        for options in [
            plain(0.0),
            plain(1e-300),
            plain(0.8),
            plain(1e300),
            SampleOptions { top_k: 2, top_p: 0.9, min_p: 0.1, repetition_penalty: 1.2, ..plain(0.8) },
            SampleOptions { repetition_penalty: 1e-308, ..plain(0.8) },
            SampleOptions { repetition_penalty: 1e308, ..plain(0.8) },
        ] {
            let mut chooser = Chooser::new((&options).into(), 3);
            for u in [0.0, 0.5, 1.0 - f64::EPSILON / 2.0] {
                let mut choose = |logits: [f32; 3]| chooser.choose(&logits, &none, || u);
                let of_size = choose([1e38, -1e38, -3e38]).unwrap();
                assert!(of_size == 0 || options.temperature == 1e300, "{options:?}: {of_size}");
                assert_eq!(choose([-inf, -2.0, -inf]), Ok(1), "{options:?}");
                assert!(choose([-7.0, -7.0, -7.0]).is_ok());
                assert_eq!(choose([-inf, -inf, -inf]), Err(Unusable::NothingLeft));
                assert_eq!(choose([0.0, f32::NAN, 0.0]), Err(Unusable::NotFinite(1)));
                assert_eq!(choose([f32::NAN; 3]), Err(Unusable::NotFinite(0)));
                assert_eq!(choose([0.0, 0.0, inf]), Err(Unusable::NotFinite(2)));
            }
        }
    }

    #[test]
    fn the_window_forgets() {
        let mut recent = Recent::new(3, 4);
        for id in [0, 1, 1, 4, 2, 3] {
            recent.push(id);
        }
        assert_eq!(recent.ids().collect::<Vec<_>>(), [1, 2, 3], "4 is no symbol");
        assert_eq!(recent.counts, [0, 1, 1, 1]);
        let mut none = Recent::new(0, 4);
        none.push(1);
        assert_eq!((none.ids().count(), none.counts[1]), (0, 0));
    }
}
