//! exp(x) = 2^n * (1 + 2 r / (A(r) - r)), n = round(x / ln 2), r = x - n ln 2; A in `math/mod.rs`.
//!
//! r is exact but for one rounding. Everything is halved, so that r need not be doubled: d = (A - r) / 2 stays near 1,
//! and `1 + r / d` is in [0.70, 1.42]. 2^n is an addition to its exponent, because n = 128 has no float of its own.
//!
//! Promises: at most 1.3 ULP on every tier for results of at least 2^-126; below that, 0 (-inf included); above
//! 88.7228, infinity; exp(+-0) = 1; NaN stays NaN. Equal bits on both FMA tiers.

use super::{A1, A2, LN2_HI, LN2_LO, MAGIC, TINY};
use crate::vector::Pointwise;

/// The largest x with a finite e^x.
const MAX: f32 = f32::from_bits(0x42b1_7217);
/// The least x with e^x >= 2^-126.
const MIN: f32 = f32::from_bits(0xc2ae_ac4f);

/// `e^x`; 0 where it is below 2^-126.
#[inline(always)]
pub(crate) fn exp<V: Pointwise>(x: V) -> V {
    // SAFETY: `x` exists, so the tier is available.
    let c = |value: f32| unsafe { V::splat(value) };
    let (min, max) = (c(MIN), c(MAX));
    // The constant comes first: min and max give the second operand where either is NaN.
    let y = min.max(max.min(x));

    let shifted = y.mul_add(c(std::f32::consts::LOG2_E), c(MAGIC));
    let n = shifted.sub(c(MAGIC));
    let r = n.neg_mul_add(c(LN2_LO), n.neg_mul_add(c(LN2_HI), y));
    // d = 1 - r/2 + (A1/2) r^2 + (A2/2) r^4
    let g = r.mul_add(r, c(TINY)).mul_add(c(0.5 * A2), c(0.5 * A1));
    let d = g.mul_add(r, c(-0.5)).mul_add(r, c(1.0));
    let p = c(1.0).add(r.div(d));

    // y - y is 0, or NaN for a NaN whose bits the integer addition may have spoilt.
    let scaled = p.add_i32(shifted.shl_u32::<23>()).add(y.sub(y));
    let scaled = V::select(x.lt(min), c(0.0), scaled);
    V::select(max.lt(x), c(f32::INFINITY), scaled)
}
