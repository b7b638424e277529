//! Which examples are learned from: a permutation by the seed is cut into test, validation and training part.
//!
//! Within a part examples keep their order, so that a part reads like its file. The parts depend on the number of examples,
//! the fractions and the seed alone.

use crate::random::{Draws, Purpose};

/// The numbers of the examples of each part, ascending.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parts {
    /// To learn from.
    pub train: Vec<u32>,
    /// To measure on while learning.
    pub val: Vec<u32>,
    /// To measure on at the end.
    pub test: Vec<u32>,
}

/// Divides `count` examples: `floor(count * val)` and `floor(count * test)` go aside, the rest is learned from.
///
/// The fractions are at least 0 and below 1, and so is their sum; what is outside is taken for the nearest.
pub fn divide(count: u32, val: f64, test: f64, seed: u64) -> Parts {
    let part = |fraction: f64, most: u32| ((f64::from(count) * fraction.clamp(0.0, 1.0)) as u32).min(most);
    let test = part(test, count);
    let val = part(val, count.saturating_sub(test));
    let mut order: Vec<u32> = (0..count).collect();
    // Fisher and Yates, from the front: only what goes aside needs to be drawn.
    let mut draws = Draws::new(seed, Purpose::Split, 0);
    let aside = test.saturating_add(val);
    for i in 0..aside {
        let other = i.saturating_add(draws.below(count.saturating_sub(i)));
        order.swap(i as usize, other as usize);
    }
    let mut train = order.split_off(aside as usize);
    let mut val = order.split_off(test as usize);
    for part in [&mut train, &mut val, &mut order] {
        part.sort_unstable();
    }
    Parts { train, val, test: order }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_in_one_part_and_the_sizes_are_those_asked_for() {
        for (count, val, test, sizes) in [
            (100, 0.1, 0.05, (85, 10, 5)),
            (9, 0.25, 0.5, (3, 2, 4)),
            (4, 0.1, 0.0, (4, 0, 0)),
            (0, 0.5, 0.0, (0, 0, 0)),
        ] {
            let parts = divide(count, val, test, 3);
            assert_eq!((parts.train.len(), parts.val.len(), parts.test.len()), sizes);
            let mut all = [parts.train.clone(), parts.val.clone(), parts.test.clone()].concat();
            all.sort_unstable();
            assert_eq!(all, (0..count).collect::<Vec<_>>());
            assert!(parts.val.is_sorted() && parts.train.is_sorted() && parts.test.is_sorted());
        }
    }

    #[test]
    fn the_seed_alone_decides_and_no_place_is_preferred() {
        assert_eq!(divide(50, 0.2, 0.2, 7), divide(50, 0.2, 0.2, 7));
        assert_ne!(divide(50, 0.2, 0.2, 7), divide(50, 0.2, 0.2, 8));
        let mut times = [0; 10];
        for seed in 0..2000 {
            for &i in &divide(10, 0.3, 0.0, seed).val {
                times[i as usize] += 1;
            }
        }
        // 600 of 2000 are expected, with a standard deviation of about 20.
        assert!(times.iter().all(|&n| (500..700).contains(&n)), "{times:?}");
    }
}
