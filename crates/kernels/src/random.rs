//! Random numbers as a function of where they are used: Philox4x32-10, no stream to lose.
//!
//! Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11. The key is the seed; the counter names
//! the purpose and the place, so a mask or a weight is the same for every thread count, tier, stop and resume.

/// What a number is for; a part of the counter, so that no two uses share numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Dropout masks: (layer, lane, position, unit).
    Dropout = 1,
    /// Initial weights: (tensor, element).
    Init = 2,
    /// Sampling: (stream, position).
    Sample = 3,
    /// The order of examples: (epoch, example).
    Shuffle = 4,
}

/// Philox4x32-10: four words for one counter under one key.
#[inline(always)]
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut a, mut b, mut c, mut d] = counter;
    let [mut k0, mut k1] = key;
    let mut round = 0;
    while round < 10 {
        let p = u64::from(a) * 0xD251_1F53;
        let q = u64::from(c) * 0xCD9E_8D57;
        (a, b, c, d) = ((q >> 32) as u32 ^ b ^ k0, q as u32, (p >> 32) as u32 ^ d ^ k1, p as u32);
        k0 = k0.wrapping_add(0x9E37_79B9);
        k1 = k1.wrapping_add(0xBB67_AE85);
        round += 1;
    }
    [a, b, c, d]
}

fn key(seed: u64) -> [u32; 2] {
    [seed as u32, (seed >> 32) as u32]
}

/// A number in [0, 1) with 53 bits for (`purpose`, `stream`, `index`).
pub fn uniform(seed: u64, purpose: Purpose, stream: u32, index: u64) -> f64 {
    let [a, b, ..] = philox([index as u32, (index >> 32) as u32, stream, (purpose as u32) << 24], key(seed));
    let bits = (u64::from(a) << 32 | u64::from(b)) >> 11;
    bits as f64 * (1.0 / (1u64 << 53) as f64)
}

/// Sixteen words for the units of one vector: dropout's masks.
#[inline(always)]
pub(crate) fn unit_words(seed: u64, layer: u32, lane: u64, position: u64, vector: u32) -> [u32; 16] {
    // Lanes take 20 bits with the purpose, the position 40 with the layer, so that a counter never repeats.
    let c2 = (lane as u32 & 0xF_FFFF) | (layer & 0xFFF) << 20;
    let c3 = (Purpose::Dropout as u32) << 24 | ((position >> 32) as u32 & 0xFF) << 16;
    let mut out = [0; 16];
    let mut i = 0;
    while i < 4 {
        let words = philox([vector * 4 + i as u32, position as u32, c2, c3], key(seed));
        out[4 * i..4 * i + 4].copy_from_slice(&words);
        i += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_known_answers() {
        // Published with Random123 1.09 (kat_vectors).
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn uniform_is_spread() {
        let n = 10_000u64;
        let mean: f64 = (0..n).map(|i| uniform(7, Purpose::Init, 3, i)).sum::<f64>() / n as f64;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        assert_ne!(uniform(7, Purpose::Init, 3, 1), uniform(7, Purpose::Sample, 3, 1));
        assert_ne!(uniform(7, Purpose::Init, 3, 1), uniform(8, Purpose::Init, 3, 1));
    }

    #[test]
    fn dropout_words_differ_in_every_coordinate() {
        let base = unit_words(1, 0, 0, 0, 0);
        for other in [
            unit_words(2, 0, 0, 0, 0),
            unit_words(1, 1, 0, 0, 0),
            unit_words(1, 0, 1, 0, 0),
            unit_words(1, 0, 0, 1, 0),
            unit_words(1, 0, 0, 1 << 33, 0),
            unit_words(1, 0, 0, 0, 1),
        ] {
            assert!(base.iter().zip(other).all(|(a, b)| *a != b));
        }
    }
}
