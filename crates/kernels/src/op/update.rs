//! The optimisers, flat over the packed parameters: one pass reads the gradient, prepares it, updates moments and weights.
//!
//! | rule | moments | g prepared, then |
//! |---|---|---|
//! | [`adam`] | m, v | `m += (1-b1)(g-m)`, `v = b2 v + (1-b2) g^2`, `w -= step_size * m / (sqrt(v) * inv_sqrt_bias2 + eps)` |
//! | AdamW | m, v | the same after `w -= pull * w`, pull = lr * weight decay |
//! | [`root_square`]: RMSprop | v | `v = a v + (1-a) g^2`, `w -= lr * g / (sqrt(v) + eps)` |
//! | [`root_square`]: Adagrad | v | `v = v + g^2`, `w -= lr * g / (sqrt(v) + eps)` |
//! | [`momentum`] | m | `m = mu m + g`, `w -= lr * m` |
//! | [`sgd`] | | `w -= lr * g` |
//!
//! Formulas as PyTorch's `torch.optim` (single-tensor path); host scalars come in f64 and are rounded once. Moments and
//! prepared gradients are flushed (`Vector::flush`), so none is ever denormal; zero weights with zero gradients, which
//! padding is, stay zero. From |g| = 2^64 on the square is infinite and the weight stays, as in PyTorch.

use crate::vector::Vector;

/// What every rule does to the gradient first: `g' = clamp(scale * g, -limit, limit) + decay * w`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gradient {
    /// Clipping by norm: at most 1.
    pub scale: f32,
    /// Clipping by value, as torch.nn.utils.clip_grad_value_; infinity: none.
    pub limit: f32,
    /// L2 weight decay, as torch.optim's `weight_decay`; it comes after the clipping.
    pub decay: f32,
}

impl Gradient {
    /// The gradient times `scale`, and nothing else.
    pub fn scaled(scale: f32) -> Self {
        Self { scale, limit: f32::INFINITY, decay: 0.0 }
    }
}

/// Adam's scalars for one step. Kingma and Ba 2015; PyTorch's order of operations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
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
    /// AdamW (Loshchilov and Hutter 2019): lr * weight decay, the part of the weight that is taken off it before the step,
    /// beside the moments; 0: Adam.
    pub pull: f32,
}

impl Adam {
    /// Adam's scalars for update `step` (from 1). AdamW sets `pull` beside them.
    pub fn new(step: u64, lr: f64, [beta1, beta2]: [f64; 2], eps: f64) -> Self {
        let step = step as f64;
        Self {
            one_minus_beta1: (1.0 - beta1) as f32,
            beta2: beta2 as f32,
            one_minus_beta2: (1.0 - beta2) as f32,
            step_size: (lr / (1.0 - libm::pow(beta1, step))) as f32,
            inv_sqrt_bias2: (1.0 / (1.0 - libm::pow(beta2, step)).sqrt()) as f32,
            eps: divisor(eps),
            pull: 0.0,
        }
    }
}

/// Scalars of the rules that divide the gradient by the root of its squares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RootSquare {
    /// What is kept of the squares so far.
    pub keep: f32,
    /// What is added of the new square.
    pub add: f32,
    /// Learning rate.
    pub lr: f32,
    /// Added to the root.
    pub eps: f32,
}

impl RootSquare {
    /// torch.optim.RMSprop without momentum or centring (Hinton's lecture 6e): a mean that forgets by `decay_rate`.
    pub fn rmsprop(lr: f64, decay_rate: f64, eps: f64) -> Self {
        Self { keep: decay_rate as f32, add: (1.0 - decay_rate) as f32, lr: lr as f32, eps: divisor(eps) }
    }
    /// torch.optim.Adagrad with `lr_decay` 0 (Duchi, Hazan, Singer 2011): a sum over all steps, from 0.
    pub fn adagrad(lr: f64, eps: f64) -> Self {
        Self { keep: 1.0, add: 1.0, lr: lr as f32, eps: divisor(eps) }
    }
}

/// Scalars of SGD with momentum: torch.optim.SGD without dampening or Nesterov's step ahead.
///
/// torch starts the buffer with the first gradient; from a buffer of zeros `mu * 0 + g` is the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Momentum {
    /// What is kept of the last movement.
    pub mu: f32,
    /// Learning rate.
    pub lr: f32,
}

/// An epsilon that f32 would round to 0 is f32's smallest normal number: padding would divide 0 by 0.
fn divisor(eps: f64) -> f32 {
    (eps as f32).max(f32::MIN_POSITIVE)
}

/// [`Gradient`] in vectors.
#[derive(Clone, Copy)]
struct Prepare<V> {
    scale: V,
    low: V,
    high: V,
    decay: V,
}

impl<V: Vector> Prepare<V> {
    /// # Safety
    /// - the tier is available.
    #[inline(always)]
    unsafe fn new(g: &Gradient) -> Self {
        // SAFETY: the caller's obligation.
        unsafe {
            let (low, high) = (V::splat(-g.limit), V::splat(g.limit));
            Self { scale: V::splat(g.scale), low, high, decay: V::splat(g.decay) }
        }
    }
    /// g' of sixteen elements. Without limit and decay it is `scale * g`, flushed, bit for bit; NaN stays NaN.
    ///
    /// # Safety
    /// - 16 floats can be read at `g`.
    #[inline(always)]
    unsafe fn gradient(&self, g: *const f32, w: V) -> V {
        // SAFETY: the caller's obligation; `self` exists, so the tier is available.
        let scaled = unsafe { V::load(g) }.mul(self.scale);
        // min and max give their second operand where one is NaN.
        self.decay.mul_add(w, self.low.max(self.high.min(scaled))).flush()
    }
}

/// `keep * v + add * g^2`.
#[inline(always)]
fn squares<V: Vector>(keep: V, add: V, g: V, v: V) -> V {
    add.mul(g).mul_add(g, v.mul(keep)).flush()
}

/// Adam and AdamW; the equations stand above.
///
/// # Safety
/// - the tier is available; all slices are equally long and whole vectors.
#[inline(always)]
pub(crate) unsafe fn adam<V: Vector>(
    gradient: &Gradient,
    a: &Adam,
    w: &mut [f32],
    g: &[f32],
    m: &mut [f32],
    v: &mut [f32],
) {
    // SAFETY: the caller's obligations.
    unsafe {
        if a.pull == 0.0 {
            adam_of::<V, false>(gradient, a, w, g, m, v);
        } else {
            adam_of::<V, true>(gradient, a, w, g, m, v);
        }
    }
}

/// # Safety
/// - as [`adam`].
#[inline(always)]
unsafe fn adam_of<V: Vector, const PULL: bool>(
    gradient: &Gradient,
    a: &Adam,
    w: &mut [f32],
    g: &[f32],
    m: &mut [f32],
    v: &mut [f32],
) {
    // SAFETY: i + 16 <= len of all.
    unsafe {
        let prepare = Prepare::<V>::new(gradient);
        let (c1, b2, c2) = (V::splat(a.one_minus_beta1), V::splat(a.beta2), V::splat(a.one_minus_beta2));
        let (step, inv, eps) = (V::splat(a.step_size), V::splat(a.inv_sqrt_bias2), V::splat(a.eps));
        let pull = V::splat(a.pull);
        for i in (0..w.len()).step_by(16) {
            let w_old = V::load(w.as_ptr().add(i));
            let g = prepare.gradient(g.as_ptr().add(i), w_old);
            let m_old = V::load(m.as_ptr().add(i));
            let m_new = c1.mul_add(g.sub(m_old), m_old).flush();
            let v_new = squares(b2, c2, g, V::load(v.as_ptr().add(i)));
            m_new.store(m.as_mut_ptr().add(i));
            v_new.store(v.as_mut_ptr().add(i));
            let denominator = v_new.sqrt().mul_add(inv, eps);
            // Not w * (1 - pull): a pull of 1e-5 would lose its last bits in 1 - pull, in every step alike.
            let w_old = if PULL { pull.neg_mul_add(w_old, w_old) } else { w_old };
            step.neg_mul_add(m_new.div(denominator), w_old).store(w.as_mut_ptr().add(i));
        }
    }
}

/// RMSprop and Adagrad; the equations stand above.
///
/// # Safety
/// - as [`adam`].
#[inline(always)]
pub(crate) unsafe fn root_square<V: Vector>(
    gradient: &Gradient,
    r: &RootSquare,
    w: &mut [f32],
    g: &[f32],
    v: &mut [f32],
) {
    // SAFETY: i + 16 <= len of all.
    unsafe {
        let prepare = Prepare::<V>::new(gradient);
        let (keep, add, lr, eps) = (V::splat(r.keep), V::splat(r.add), V::splat(r.lr), V::splat(r.eps));
        for i in (0..w.len()).step_by(16) {
            let w_old = V::load(w.as_ptr().add(i));
            let g = prepare.gradient(g.as_ptr().add(i), w_old);
            let v_new = squares(keep, add, g, V::load(v.as_ptr().add(i)));
            v_new.store(v.as_mut_ptr().add(i));
            lr.neg_mul_add(g.div(v_new.sqrt().add(eps)), w_old).store(w.as_mut_ptr().add(i));
        }
    }
}

/// `m = mu m + g`, `w -= lr * m`.
///
/// # Safety
/// - as [`adam`].
#[inline(always)]
pub(crate) unsafe fn momentum<V: Vector>(gradient: &Gradient, a: &Momentum, w: &mut [f32], g: &[f32], m: &mut [f32]) {
    // SAFETY: i + 16 <= len of all.
    unsafe {
        let prepare = Prepare::<V>::new(gradient);
        let (mu, lr) = (V::splat(a.mu), V::splat(a.lr));
        for i in (0..w.len()).step_by(16) {
            let w_old = V::load(w.as_ptr().add(i));
            let g = prepare.gradient(g.as_ptr().add(i), w_old);
            let m_new = mu.mul_add(V::load(m.as_ptr().add(i)), g).flush();
            m_new.store(m.as_mut_ptr().add(i));
            lr.neg_mul_add(m_new, w_old).store(w.as_mut_ptr().add(i));
        }
    }
}

/// `w -= lr * g`.
///
/// # Safety
/// - as [`adam`].
#[inline(always)]
pub(crate) unsafe fn sgd<V: Vector>(gradient: &Gradient, lr: f32, w: &mut [f32], g: &[f32]) {
    // SAFETY: i + 16 <= len of both.
    unsafe {
        let (prepare, lr) = (Prepare::<V>::new(gradient), V::splat(lr));
        for i in (0..w.len()).step_by(16) {
            let w_old = V::load(w.as_ptr().add(i));
            let g = prepare.gradient(g.as_ptr().add(i), w_old);
            lr.neg_mul_add(g, w_old).store(w.as_mut_ptr().add(i));
        }
    }
}
