//! tanh(x) = z - z^3 / D(z^2) up to z = |x| = 0.75, and 1 - 2 / (e^2z + 1) above; the sign of x put back.
//!
//! Both are "something exact minus a quotient of it", so an error of the quotient counts only by its share, and three
//! selects join them: what is divided, by what, from what. One rational function for all x (degree 9/6) would be a third
//! cheaper, but by counting its numerator and denominator may lose 1 ULP each near saturation, and the division half.
//!
//! - Small z: D(z^2) = z^3 / (z - tanh z) = 3 + 1.2 z^2 - ...; its nearest pole is at |z| = 4.49, so degree 2 in z^2 is
//!   enough. The quotient is at most 0.16.
//! - Large z: e^2z = s (a + r) / (a - r), s = 2^n, r = z - n ln2/2, a = r coth r (half the A of `math/mod.rs`, at 2 r), so
//!   2 / (e^2z + 1) = 2 (a - r) / (s (a + r) + (a - r)), at most 0.37. An error of ln2/2 grows with n while the quotient
//!   shrinks with 2^-n: one constant and one fma give r.
//!
//! Promises: at most 1.4 ULP on every tier for all x; |tanh| <= 1, odd bit for bit, tanh(+-0) = +-0,
//! tanh(+-inf) = +-1; NaN stays NaN. Equal bits on both FMA tiers.

use super::{A1, A2, MAGIC_BIASED, TINY};
use crate::vector::Pointwise;

/// Where the second form takes over. D is fitted up to here; beyond, its error grows fast.
const BORDER: f32 = 0.75;
/// From about 9.01 up the result is 1.
const MAX: f32 = 9.25;

/// Coefficients of D. Weighted minimax fit (Lawson's method, values by 40-digit arithmetic) of degree 2 in z^2 on
/// [0, 0.75], the weight being the relative error of tanh: 0.36 * 2^-24; rounded to f32; then 400 random steps among
/// neighbouring floats, each kept where the worst error of this evaluation in ULP over every 31st float fell (0.95 to
/// 0.91).
const D0: f32 = 3.000_007_6;
const D1: f32 = 1.199_917_8;
const D2: f32 = -0.005_454_835;

/// The hyperbolic tangent.
#[inline(always)]
pub(crate) fn tanh<V: Pointwise>(x: V) -> V {
    // SAFETY: `x` exists, so the tier is available.
    let c = |value: f32| unsafe { V::splat(value) };
    let sign = x.and(c(-0.0));
    let z = x.xor(sign);
    let small = z.lt(c(BORDER));
    // The constant comes first: min gives the second operand where either is NaN.
    let y = c(MAX).min(z);
    let (one, tiny) = (c(1.0), c(TINY));

    let shifted = y.mul_add(c(2.0 * std::f32::consts::LOG2_E), c(MAGIC_BIASED));
    let n = shifted.sub(c(MAGIC_BIASED));
    let s = shifted.shl_u32::<23>();
    let r = n.neg_mul_add(c(0.5 * std::f32::consts::LN_2), y);
    // a = r coth r
    let v = r.mul_add(r, tiny);
    let a = v.mul_add(c(8.0 * A2), c(2.0 * A1)).mul_add(v, one);
    let (d, e) = (a.sub(r), a.add(r));
    let large_divisor = e.mul_add(s, d);

    let u = y.mul_add(y, tiny);
    let small_divisor = u.mul_add(c(D2), c(D1)).mul_add(u, c(D0));

    let quotient = V::select(small, u, d.add(d)).div(V::select(small, small_divisor, large_divisor));
    let whole = V::select(small, z, one);
    quotient.neg_mul_add(whole, whole).or(sign)
}
