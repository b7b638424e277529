//! What chance finds: the best score of all units under labels that have nothing to do with the text.

use super::bins::Bins;
use super::score::score;
use super::tally::Tally;
use super::{Columns, SHIFTS};
use crate::label::Kind;

/// The best of all columns under each turned copy of a label.
pub(super) fn best(tally: &Tally, bins: &Bins, columns: Columns, label: (usize, Kind)) -> [f64; SHIFTS] {
    let mut best = [0.0f64; SHIFTS];
    for column in columns.each() {
        for (shift, best) in best.iter_mut().enumerate() {
            let sets = [2 * (shift + 1), 2 * (shift + 1) + 1];
            *best = best.max(score(tally, bins, column, label, sets).score);
        }
    }
    best
}
