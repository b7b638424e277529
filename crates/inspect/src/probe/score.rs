//! Counts to scores: the rule is made on A, and B says what it is worth.

use super::bins::Bins;
use super::tally::Tally;
use super::{BINS, Column};
use crate::label::Kind;

/// What one column tells of one label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Balanced accuracy, or R^2, on the second half.
    pub score: f64,
    /// How it is told.
    pub tell: Tell,
}

/// The rule that was made on the first half.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tell {
    /// Inside where the value is above the border (or below it).
    Border {
        /// The value.
        at: f64,
        /// Inside is above.
        above: bool,
        /// Mean value inside and outside.
        means: [f64; 2],
    },
    /// The number by the mean of the value's bin.
    Means {
        /// Pearson's correlation of value and number on the second half.
        correlation: f64,
    },
}

/// The score of a label in set A (`sets[0]`) and B (`sets[1]`).
pub(super) fn score(
    tally: &Tally,
    bins: &Bins,
    column: Column,
    (label, kind): (usize, Kind),
    sets: [usize; 2],
) -> Score {
    match kind {
        Kind::Binary => border(tally, bins, column, label, sets),
        Kind::Number => means(tally, bins, column, label, sets),
    }
}

/// `[all, inside]` by bin.
fn counts(tally: &Tally, column: Column, label: usize, set: usize) -> [[f64; 2]; BINS] {
    let mut out = [[0.0; 2]; BINS];
    for (out, row) in out.iter_mut().zip(tally.table(column, set)) {
        *out = [f64::from(row[0]), f64::from(row[1 + label])];
    }
    out
}

fn total(counts: &[[f64; 2]; BINS]) -> [f64; 2] {
    counts.iter().fold([0.0; 2], |sum, bin| [sum[0] + bin[0], sum[1] + bin[1]])
}

fn border(tally: &Tally, bins: &Bins, column: Column, label: usize, [a, b]: [usize; 2]) -> Score {
    let (a, b) = (counts(tally, column, label, a), counts(tally, column, label, b));
    // Share of the inside above a border, minus that of the outside: twice the balanced accuracy, less 1.
    let told = |counts: &[[f64; 2]; BINS], above_bin: usize| -> f64 {
        let [all, inside] = total(counts);
        let outside = all - inside;
        if inside == 0.0 || outside == 0.0 {
            return 0.0;
        }
        let [above, inside_above] = counts[above_bin + 1..].iter().fold([0.0; 2], |s, x| [s[0] + x[0], s[1] + x[1]]);
        inside_above / inside - (above - inside_above) / outside
    };
    let (mut best, mut at) = (0.0f64, 0);
    for bin in 0..BINS - 1 {
        let here = told(&a, bin);
        if here.abs() > best.abs() {
            (best, at) = (here, bin);
        }
    }
    let above = best >= 0.0;
    let held_out = if above { told(&b, at) } else { -told(&b, at) };
    let mean = |of: fn(&[f64; 2]) -> f64| {
        let count = a.iter().map(of).sum::<f64>();
        let sum: f64 = (0..BINS).map(|bin| of(&a[bin]) * bins.centre(column, bin)).sum();
        sum / count.max(1.0)
    };
    let means = [mean(|bin| bin[1]), mean(|bin| bin[0] - bin[1])];
    Score { score: 0.5 + held_out / 2.0, tell: Tell::Border { at: bins.border(column, at), above, means } }
}

fn means(tally: &Tally, bins: &Bins, column: Column, label: usize, [a, b]: [usize; 2]) -> Score {
    let squares = tally.squares[b][label] as f64;
    let (a, b) = (counts(tally, column, label, a), counts(tally, column, label, b));
    let ([all_a, sum_a], [all_b, sum_b]) = (total(&a), total(&b));
    let mean_a = sum_a / all_a.max(1.0);
    let mut left = squares;
    let (mut x, mut xx, mut xy) = (0.0, 0.0, 0.0);
    for (bin, (a, b)) in a.iter().zip(&b).enumerate() {
        let guess = if a[0] > 0.0 { a[1] / a[0] } else { mean_a };
        left += guess * (b[0] * guess - 2.0 * b[1]);
        let centre = bins.centre(column, bin);
        x += b[0] * centre;
        xx += b[0] * centre * centre;
        xy += b[1] * centre;
    }
    let n = all_b.max(1.0);
    let all = squares - sum_b * sum_b / n;
    let spread = (xx - x * x / n) * all;
    let correlation = if spread > 0.0 { (xy - x * sum_b / n) / spread.sqrt() } else { 0.0 };
    let score = if all > 0.0 { (1.0 - left / all).max(0.0) } else { 0.0 };
    Score { score, tell: Tell::Means { correlation } }
}
