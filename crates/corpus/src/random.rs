//! Random integers as a function of their place: Philox4x32-10 of (seed; purpose, place, draw).
//!
//! Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11. The key is the seed; the counter names
//! what the numbers are for, the place (an episode, an example) and the draw in it. Integers only, so the same on every
//! machine.

/// What numbers are for: the fourth word of every counter, which keeps uses of the same seed apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The built-in text; a place is an episode.
    Text = 0x7465_7874,
    /// A generated example; a place is its number.
    Example = 0x6578_616d,
    /// What generated examples have in common, such as the languages; a place is one of them.
    Rules = 0x7275_6c65,
    /// Which examples are learned from; a place is a part.
    Split = 0x7370_6c69,
}

/// The draws of one place, in order.
#[derive(Debug, Clone)]
pub(crate) struct Draws {
    key: [u32; 2],
    purpose: Purpose,
    place: u64,
    draw: u32,
    /// The second half of the last Philox block, if it is still unused.
    kept: Option<u64>,
}

impl Draws {
    /// The draws of `place` under `seed`.
    pub(crate) fn new(seed: u64, purpose: Purpose, place: u64) -> Self {
        Draws { key: halves(seed), purpose, place, draw: 0, kept: None }
    }

    /// A number in `0..n`; 0 when `n` is 0.
    ///
    /// `floor(u * n / 2^64)` of one 64-bit draw `u`: each value has a probability within 2^-64 of 1/n. The totals
    /// of the built-in grammar are below 2^10, so a probability is off by less than 2^-54 of itself; the entropy rate leaves
    /// that out.
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        let wide = u128::from(self.next()).wrapping_mul(u128::from(n));
        (wide >> 64) as u32
    }

    fn next(&mut self) -> u64 {
        if let Some(second) = self.kept.take() {
            return second;
        }
        let [low, high] = halves(self.place);
        let [a, b, c, d] = philox([self.draw, low, high, self.purpose as u32], self.key);
        self.draw = self.draw.wrapping_add(1);
        self.kept = Some(u64::from(c) << 32 | u64::from(d));
        u64::from(a) << 32 | u64::from(b)
    }
}

fn halves(word: u64) -> [u32; 2] {
    [word as u32, (word >> 32) as u32]
}

/// Philox4x32-10: four words for one counter under one key.
fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut a, mut b, mut c, mut d] = counter;
    let [mut k0, mut k1] = key;
    for _ in 0..10 {
        let p = u64::from(a).wrapping_mul(0xD251_1F53);
        let q = u64::from(c).wrapping_mul(0xCD9E_8D57);
        (a, b, c, d) = ((q >> 32) as u32 ^ b ^ k0, q as u32, (p >> 32) as u32 ^ d ^ k1, p as u32);
        k0 = k0.wrapping_add(0x9E37_79B9);
        k1 = k1.wrapping_add(0xBB67_AE85);
    }
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers that the authors publish with Random123.
    #[test]
    fn philox_published_answers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        let counter = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        assert_eq!(philox(counter, [0xa409_3822, 0x299f_31d0]), [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    }

    #[test]
    fn draws_stay_below_and_reach_every_value() {
        let mut draws = Draws::new(7, Purpose::Text, 3);
        let mut seen = [0u32; 5];
        for _ in 0..5000 {
            seen[draws.below(5) as usize] += 1;
        }
        assert!(seen.iter().all(|&n| (900..1100).contains(&n)), "{seen:?}");
        assert_eq!(draws.below(0), 0);
    }

    #[test]
    fn another_seed_purpose_or_place_draws_other_numbers() {
        let take = |seed, purpose, place| {
            let mut draws = Draws::new(seed, purpose, place);
            (0..8).map(|_| draws.below(1000)).collect::<Vec<_>>()
        };
        let text = take(1, Purpose::Text, 0);
        assert_ne!(text, take(2, Purpose::Text, 0));
        assert_ne!(text, take(1, Purpose::Text, 1));
        assert_ne!(text, take(1, Purpose::Example, 0));
        assert_eq!(take(1, Purpose::Text, 1 << 40), take(1, Purpose::Text, 1 << 40));
    }
}
