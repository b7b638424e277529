//! sigmoid(x) = 1 / (1 + e^-x) = d / ((s + 1) d + 3 s r), where e^-x = s e^r, s = 2^n, d = 3/2 (A(r) - r).
//!
//! e^r = 1 + 2 r / (A - r) = 1 + 3 r / d (`math/mod.rs`), so its division and the outer one are the same. d stands above
//! and below, so an error of d hardly counts. What is left: the rounding of the denominator, which is one fma; half a
//! ULP of the division; up to a quarter from r.
//!
//! Three choices took the worst error from 2.3 to below 1.5 ULP:
//! - The factor 3/2. Where the result is just below a power of two, the denominator has the mantissa of d, and just above
//!   a power of two its rounding weighs most. With the factor, d lies in 2.5 to 3.5.
//! - s + 1 loses its 1 from n = 24 on. The lost 1, times d, is put back; 3 stands for d there.
//! - n is rounded from x + 0.035, so r is in -0.31 to 0.38: d stays off 3.5. Shifts from 0 to 0.06 were tried;
//!   0.02 to 0.05 differ little.
//!
//! Promises: at most 1.5 ULP on the FMA tiers for results of at least 2^-126; in [0, 1] always; 0 for x <= -87.8,
//! sigmoid(+-0) = 1/2, sigmoid(inf) = 1; NaN stays NaN. Equal bits on both FMA tiers. No compare, no select: below
//! -87.8 the denominator overflows.

use super::{A1, A2, LN2_HI, LN2_LO, MAGIC_BIASED, TINY};
use crate::vector::Pointwise;

/// From here down the result is 0; the denominator is infinite, and n = 127 is the last exponent of a float.
const MIN: f32 = -88.0;
/// From about 17 up the result is 1; n stays far from the end of the exponents.
const MAX: f32 = 30.0;
/// Shift of the rounding to n.
const SHIFT: f32 = 0.035;

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid<V: Pointwise>(x: V) -> V {
    // SAFETY: `x` exists, so the tier is available.
    let c = |value: f32| unsafe { V::splat(value) };
    // The constant comes first: min and max give the second operand where either is NaN.
    let x = c(MIN).max(c(MAX).min(x));

    let shifted = x.add(c(SHIFT)).mul_add(c(-std::f32::consts::LOG2_E), c(MAGIC_BIASED));
    let n = shifted.sub(c(MAGIC_BIASED));
    let s = shifted.shl_u32::<23>();
    // q = -r, so that x need not be negated.
    let q = n.mul_add(c(LN2_LO), n.mul_add(c(LN2_HI), x));
    // d = 3 (1 + q/2 + (A1/2) q^2 + (A2/2) q^4)
    let g = q.mul_add(q, c(TINY)).mul_add(c(1.5 * A2), c(1.5 * A1));
    let d = g.mul_add(q, c(1.5)).mul_add(q, c(3.0));

    let s1 = s.add(c(1.0));
    let lost = s1.sub(s).neg_mul_add(c(3.0), c(3.0));
    // 1.5 s by its bits: s is a power of two.
    // SAFETY: as above.
    let s15 = s.or(unsafe { V::splat_bits(0x0040_0000) });
    let m = q.add(q).neg_mul_add(s15, lost);
    d.div(d.mul_add_once(s1, m))
}
