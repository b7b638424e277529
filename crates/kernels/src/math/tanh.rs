//! tanh(x) = 1 - 2 / (exp(2x) + 1).

use super::exp;
use crate::vector::Vector;

/// The hyperbolic tangent.
#[inline(always)]
pub(crate) fn tanh<V: Vector>(x: V) -> V {
    // SAFETY: `x` exists, so the tier is available.
    unsafe {
        let one = V::splat(1.0);
        one.sub(V::splat(2.0).div(exp(x.add(x)).add(one)))
    }
}
