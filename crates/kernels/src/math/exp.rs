//! exp(x) = 2^n * e^r, n = round(x / ln 2), r in two FMA steps, e^r by a polynomial of degree 6.

use crate::vector::Vector;

/// `e^x`; 0 below -87.33, infinity above 88.72.
#[inline(always)]
pub(crate) fn exp<V: Vector>(x: V) -> V {
    // SAFETY: `x` exists, so the tier is available.
    unsafe {
        let c = |v: f32| V::splat(v);
        let y = x.max(c(-104.0)).min(c(89.0));
        let n = y.mul_add(c(std::f32::consts::LOG2_E), c(0.0)).round();
        let r = n.neg_mul_add(c(0.693_145_75), y);
        let r = n.neg_mul_add(c(1.428_606_8e-6), r);
        let mut p = c(1.0 / 720.0);
        for k in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
            p = p.mul_add(r, c(k));
        }
        let magic = n.add(c(12_582_912.0 + 127.0));
        let scale = magic.shl_u32::<23>();
        let out = p.mul(scale);
        let out = V::select(x.lt(c(-87.33)), c(0.0), out);
        V::select(c(88.72).lt(x), c(f32::INFINITY), out)
    }
}
