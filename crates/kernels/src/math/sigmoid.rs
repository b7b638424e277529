//! sigmoid(x) = 1 / (1 + exp(-x)).

use super::exp;
use crate::vector::Vector;

/// The logistic function.
#[inline(always)]
pub(crate) fn sigmoid<V: Vector>(x: V) -> V {
    // SAFETY: `x` exists, so the tier is available.
    unsafe {
        let one = V::splat(1.0);
        one.div(one.add(exp(V::splat(-0.0).sub(x))))
    }
}
