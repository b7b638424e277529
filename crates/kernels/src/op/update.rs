//! The optimisers, flat over the packed parameters: one pass reads the gradient, clips, updates moments and weights.
//!
//! Formulas as PyTorch's `torch.optim` (single-tensor path); host scalars come in f64 and are rounded once.

use crate::vector::Vector;

/// Adam's scalars for one step. Kingma and Ba 2015; PyTorch's order of operations.
#[derive(Debug, Clone, Copy)]
pub struct Adam {
    /// The clip's factor on the gradient, at most 1.
    pub clip: f32,
    /// 1 - beta1.
    pub one_minus_beta1: f32,
    /// beta2.
    pub beta2: f32,
    /// 1 - beta2.
    pub one_minus_beta2: f32,
    /// lr / (1 - beta1^step).
    pub step_size: f32,
    /// 1 / sqrt(1 - beta2^step).
    pub inv_sqrt_bias2: f32,
    /// Added to the denominator.
    pub eps: f32,
}

/// `m += (1-b1)(g-m)`, `v = b2 v + (1-b2) g^2`, `w -= step_size * m / (sqrt(v) * inv_sqrt_bias2 + eps)`.
///
/// # Safety
/// - the tier is available; all slices are equally long and whole vectors.
#[inline(always)]
pub(crate) unsafe fn adam<V: Vector>(a: &Adam, w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
    // SAFETY: i + 16 <= len of all.
    unsafe {
        let (clip, c1) = (V::splat(a.clip), V::splat(a.one_minus_beta1));
        let (b2, c2) = (V::splat(a.beta2), V::splat(a.one_minus_beta2));
        let (step, inv, eps) = (V::splat(a.step_size), V::splat(a.inv_sqrt_bias2), V::splat(a.eps));
        for i in (0..w.len()).step_by(16) {
            let g = V::load(g.as_ptr().add(i)).mul(clip).flush();
            let m_old = V::load(m.as_ptr().add(i));
            let m_new = c1.mul_add(g.sub(m_old), m_old).flush();
            let v_new = c2.mul(g).mul_add(g, V::load(v.as_ptr().add(i)).mul(b2)).flush();
            m_new.store(m.as_mut_ptr().add(i));
            v_new.store(v.as_mut_ptr().add(i));
            let denominator = v_new.sqrt().mul_add(inv, eps);
            let w_new = step.neg_mul_add(m_new.div(denominator), V::load(w.as_ptr().add(i)));
            w_new.store(w.as_mut_ptr().add(i));
        }
    }
}

/// `w -= lr * clip * g`.
///
/// # Safety
/// - as [`adam`].
#[inline(always)]
pub(crate) unsafe fn sgd<V: Vector>(clip: f32, lr: f32, w: &mut [f32], g: &[f32]) {
    // SAFETY: i + 16 <= len of both.
    unsafe {
        let (clip, lr) = (V::splat(clip), V::splat(lr));
        for i in (0..w.len()).step_by(16) {
            let g = V::load(g.as_ptr().add(i)).mul(clip).flush();
            lr.neg_mul_add(g, V::load(w.as_ptr().add(i))).store(w.as_mut_ptr().add(i));
        }
    }
}
