//! What this machine gives at most: `x = x * a + b` in independent chains, and a sum over memory.
//!
//! The yardsticks of every speed that is told as a fraction of a peak. A tier has as many chains as its registers hold
//! beside a and b, so that neither latency nor memory is in the way. Timing is the caller's.

use std::hint::black_box;

use crate::table::Kernels;
use crate::vector::Vector;

/// The most chains of any tier.
pub(crate) const MAX_CHAINS: usize = 12;
/// Floats of a vector.
const LANES: usize = 16;

/// `x[n] = x[n] * a + b`, `repeats` times for each of N vectors; their sum, so that none can be left out.
///
/// # Safety
/// - the tier is available; `start` holds N vectors.
#[inline(always)]
pub(crate) unsafe fn fma_chains<V: Vector, const N: usize>(start: &[f32], a: f32, b: f32, repeats: u64) -> f32 {
    // SAFETY: `start` holds N vectors.
    unsafe {
        let (a, b) = (V::splat(a), V::splat(b));
        let mut x: [V; N] = std::array::from_fn(|n| V::load(start.as_ptr().add(n * LANES)));
        for _ in 0..repeats {
            for x in &mut x {
                *x = x.mul_add(a, b);
            }
        }
        sum(x)
    }
}

/// Sum of all whole vectors of `x`, each read once, in N running sums.
///
/// # Safety
/// - the tier is available.
#[inline(always)]
pub(crate) unsafe fn read<V: Vector, const N: usize>(x: &[f32]) -> f32 {
    // SAFETY: every chunk holds the vectors that are read from it.
    unsafe {
        let mut sums = [V::splat(0.0); N];
        let mut chunks = x.chunks_exact(N * LANES);
        for chunk in &mut chunks {
            for (n, s) in sums.iter_mut().enumerate() {
                *s = s.add(V::load(chunk.as_ptr().add(n * LANES)));
            }
        }
        for vector in chunks.remainder().chunks_exact(LANES) {
            sums[0] = sums[0].add(V::load(vector.as_ptr()));
        }
        sum(sums)
    }
}

#[inline(always)]
fn sum<V: Vector, const N: usize>(x: [V; N]) -> f32 {
    let mut all = x[0];
    for x in &x[1..] {
        all = all.add(*x);
    }
    all.sum()
}

impl Kernels {
    /// Multiplies and adds in registers alone, `repeats` times in each of this tier's chains. Gives the FLOP done.
    ///
    /// A tier without fused multiply-add does the same with two instructions.
    pub fn fma_chains(&self, repeats: u64) -> f64 {
        // Chains that start alike would be one chain to the compiler. All of them settle at 1: no overflow, no denormals.
        let start: [f32; MAX_CHAINS * LANES] = std::array::from_fn(|i| i as f32);
        let chains = self.table().chains;
        // SAFETY: `start` holds MAX_CHAINS vectors, as many as any tier's chains; detected tier.
        let sum = unsafe { (self.table().fma_chains)(black_box(&start), black_box(0.5), black_box(0.5), repeats) };
        black_box(sum);
        repeats as f64 * (2 * LANES * chains) as f64
    }

    /// Reads whole vectors of `x` once, front to back. Gives the bytes read.
    pub fn read(&self, x: &[f32]) -> f64 {
        // SAFETY: detected tier.
        black_box(unsafe { (self.table().read)(black_box(x)) });
        (x.len() / LANES * LANES * size_of::<f32>()) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The chains do what they say, every one of them: the sum is that of plain loops.
    #[test]
    fn chains_multiply_and_add_as_often_as_asked() {
        let start: [f32; MAX_CHAINS * LANES] = std::array::from_fn(|i| (i % 7) as f32);
        for kernels in Kernels::available() {
            let table = kernels.table();
            assert!((1..=MAX_CHAINS).contains(&table.chains), "{kernels:?}");
            for repeats in [0, 1, 2, 5, 20] {
                // SAFETY: `start` holds the most vectors of any tier; a tier that is available.
                let found = unsafe { (table.fma_chains)(&start, 0.5, 0.25, repeats) };
                let chain = |x: f32| (0..repeats).fold(f64::from(x), |x, _| x * 0.5 + 0.25);
                let expected: f64 = start[..table.chains * LANES].iter().map(|&x| chain(x)).sum();
                assert!((f64::from(found) - expected).abs() < 1e-3, "{kernels:?}, {repeats}: {found}, {expected}");
            }
            assert_eq!(kernels.fma_chains(10), 320.0 * table.chains as f64);
        }
    }

    #[test]
    fn every_whole_vector_is_read_once() {
        for kernels in Kernels::available() {
            for len in [0, 1, 15, 16, 17, 33, 16 * MAX_CHAINS, 16 * MAX_CHAINS + 31, 4000] {
                let x: Vec<f32> = (0..len).map(|i| (i % 11) as f32).collect();
                // SAFETY: a tier that is available.
                let found = unsafe { (kernels.table().read)(&x) };
                assert_eq!(found, x[..len / 16 * 16].iter().sum::<f32>(), "{kernels:?}, {len}");
                assert_eq!(kernels.read(&x), (len / 16 * 64) as f64);
            }
        }
    }
}
