//! Sums in a fixed order: squares of a block in f64, and the tree over shards.
//!
//! The square of an f32 is exact in f64, so sixteen running sums and a fixed tree give the same bits on every tier.

use crate::vector::Vector;

/// Elements of a block of the norm: sums over blocks are added in order.
pub const NORM_BLOCK: usize = 4096;

/// Sum of squares of one block. NaN or infinity in, NaN or infinity out.
#[inline(always)]
pub(crate) fn sum_squares(block: &[f32]) -> f64 {
    let mut sums = [0.0f64; 16];
    let mut chunks = block.chunks_exact(16);
    for chunk in &mut chunks {
        for (s, &x) in sums.iter_mut().zip(chunk) {
            *s += f64::from(x) * f64::from(x);
        }
    }
    for (s, &x) in sums.iter_mut().zip(chunks.remainder()) {
        *s += f64::from(x) * f64::from(x);
    }
    let mut width = 8;
    while width > 0 {
        for i in 0..width {
            sums[i] += sums[i + width];
        }
        width /= 2;
    }
    sums[0]
}

/// `a += b`, element by element: one edge of the tree over shards.
///
/// # Safety
/// - the tier is available; both slices are equally long.
#[inline(always)]
pub(crate) unsafe fn add<V: Vector>(a: &mut [f32], b: &[f32]) {
    let whole = a.len() / 16 * 16;
    for i in (0..whole).step_by(16) {
        // SAFETY: i + 16 <= len of both.
        unsafe { V::load(a.as_ptr().add(i)).add(V::load(b.as_ptr().add(i))).store(a.as_mut_ptr().add(i)) };
    }
    for (x, y) in a[whole..].iter_mut().zip(&b[whole..]) {
        *x += y;
    }
}
