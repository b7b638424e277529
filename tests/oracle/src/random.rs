//! Test data from integers alone: splitmix64 (Steele, Lea and Flood, 2014), the same on every machine.
//!
//! Real values are exact f32 numbers, so that an f32 kernel and the f64 oracle start from the same data.

/// A stream of 64-bit numbers: the state counts up by a constant, each output is a mix of its bits.
#[derive(Clone, Debug)]
pub struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> Self {
        SplitMix64 { state: seed }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..n`; for test-sized n the bias is below 2^-32.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next_u64()) * n as u128) >> 64) as usize
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// A real number in `-bound..=bound`: a 24-bit fraction times the bound, rounded to f32.
    pub fn real(&mut self, bound: f64) -> f64 {
        let fraction = (self.next_u64() >> 40) as f64 / f64::from(1 << 23) - 1.0;
        f64::from((fraction * bound) as f32)
    }

    /// `n` real numbers in `-bound..=bound`, each exactly an f32.
    pub fn symmetric(&mut self, n: usize, bound: f64) -> Vec<f64> {
        (0..n).map(|_| self.real(bound)).collect()
    }

    /// Puts the values in random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            values.swap(last, self.below(last + 1));
        }
    }

    /// `n` numbers in `0..below`.
    pub fn ids(&mut self, n: usize, below: usize) -> Vec<usize> {
        (0..n).map(|_| self.below(below)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The generator's published first outputs for seed 1234567.
    #[test]
    fn published_outputs() {
        let mut random = SplitMix64::new(1_234_567);
        assert_eq!(random.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(random.next_u64(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn reals_are_f32_in_their_bounds_on_both_sides() {
        let mut random = SplitMix64::new(1);
        let values = random.symmetric(1000, 0.3);
        assert!(values.iter().all(|&x| f64::from(x as f32) == x && x.abs() <= f64::from(0.3_f32)));
        let mean = values.iter().sum::<f64>() / 1000.0;
        assert!(mean.abs() < 0.03, "{mean}");
        assert!(values.iter().any(|&x| x < -0.25) && values.iter().any(|&x| x > 0.25));
        let ids = random.ids(1000, 7);
        assert!((0..7).all(|id| ids.contains(&id)) && ids.iter().all(|&id| id < 7));
        let mut order: Vec<usize> = (0..50).collect();
        random.shuffle(&mut order);
        assert!(!order.is_sorted());
        order.sort_unstable();
        assert_eq!(order, (0..50).collect::<Vec<_>>());
    }
}
