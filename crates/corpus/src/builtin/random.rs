//! Random integers as a function of their place: Philox4x32-10 of (seed; episode, draw).
//!
//! Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11. The key is the seed; the counter names
//! the episode and the draw in it. Integers only, so the same on every machine.

/// The fourth word of every counter: it keeps this text apart from other uses of the same seed.
const PURPOSE: u32 = 0x7465_7874; // "text"

/// The draws of one episode, in order.
#[derive(Debug, Clone)]
pub(super) struct Draws {
    key: [u32; 2],
    episode: u64,
    draw: u32,
    /// The second half of the last Philox block, if it is still unused.
    kept: Option<u64>,
}

impl Draws {
    /// The draws of episode `episode` of the text of `seed`.
    pub(super) fn new(seed: u64, episode: u64) -> Self {
        Draws { key: halves(seed), episode, draw: 0, kept: None }
    }

    /// A number in `0..n`; 0 when `n` is 0.
    ///
    /// `floor(u * n / 2^64)` of one 64-bit draw `u`: each value has a probability within 2^-64 of 1/n. The grammar's
    /// totals are below 2^10, so a probability is off by less than 2^-54 of itself; the entropy rate leaves that out.
    pub(super) fn below(&mut self, n: u32) -> u32 {
        let wide = u128::from(self.next()).wrapping_mul(u128::from(n));
        (wide >> 64) as u32
    }

    fn next(&mut self) -> u64 {
        if let Some(second) = self.kept.take() {
            return second;
        }
        let [low, high] = halves(self.episode);
        let [a, b, c, d] = philox([self.draw, low, high, PURPOSE], self.key);
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
        let mut draws = Draws::new(7, 3);
        let mut seen = [0u32; 5];
        for _ in 0..5000 {
            seen[draws.below(5) as usize] += 1;
        }
        assert!(seen.iter().all(|&n| (900..1100).contains(&n)), "{seen:?}");
        assert_eq!(draws.below(0), 0);
    }

    #[test]
    fn another_seed_or_episode_draws_other_numbers() {
        let take = |seed, episode| {
            let mut draws = Draws::new(seed, episode);
            (0..8).map(|_| draws.below(1000)).collect::<Vec<_>>()
        };
        assert_ne!(take(1, 0), take(2, 0));
        assert_ne!(take(1, 0), take(1, 1));
        assert_eq!(take(1, 1 << 40), take(1, 1 << 40));
    }
}
