//! How numbers are spread: mean, median and quartiles; and where a falling curve passes a level.

use serde::{Deserialize, Serialize};

/// Mean and quartiles of some numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Arithmetic mean.
    pub mean: f64,
    /// A quarter of the numbers is at most this.
    pub q1: f64,
    /// Half of them.
    pub median: f64,
    /// Three quarters.
    pub q3: f64,
}

impl Spread {
    /// Of these numbers, between neighbours in proportion; zeros for none.
    pub fn of(numbers: &[f64]) -> Self {
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        let Some(last) = sorted.len().checked_sub(1) else { return Self::default() };
        let at = |part: f64| {
            let place = part * last as f64;
            let below = (place as usize).min(last);
            let above = (below + 1).min(last);
            sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
        };
        let mean = numbers.iter().fold(0.0, |a, b| a + b) / numbers.len() as f64;
        Self { mean, q1: at(0.25), median: at(0.5), q3: at(0.75) }
    }
}

/// The first place from which on every number is below `level`; None where the last one is not.
pub fn below(curve: impl DoubleEndedIterator<Item = f64> + ExactSizeIterator, level: f64) -> Option<usize> {
    let count = curve.len();
    let tail = curve.rev().take_while(|&x| x < level).count();
    (tail > 0).then(|| count - tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_neighbours_in_proportion() {
        let s = Spread::of(&[4.0, 1.0, 3.0, 2.0]);
        assert_eq!(s, Spread { mean: 2.5, q1: 1.75, median: 2.5, q3: 3.25 });
        assert_eq!(Spread::of(&[7.0]), Spread { mean: 7.0, q1: 7.0, median: 7.0, q3: 7.0 });
        assert_eq!(Spread::of(&[]), Spread::default());
    }

    #[test]
    fn a_level_counts_as_passed_where_the_curve_stays_below() {
        let passed = |curve: &[f64]| below(curve.iter().copied(), 1.0);
        assert_eq!(passed(&[5.0, 0.5, 2.0, 0.4, 0.3]), Some(3));
        assert_eq!(passed(&[0.5, 0.5]), Some(0));
        assert_eq!(passed(&[0.5, 1.0]), None);
        assert_eq!(passed(&[]), None);
    }
}
