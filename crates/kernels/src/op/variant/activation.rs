//! Activations over sixteen lanes: f(x), and f'(x) from y = f(x).
//!
//! | function | f'(x), from y |
//! |---|---|
//! | Sigmoid | y (1 - y) |
//! | Tanh | 1 - y^2 |
//! | ScaledTanh | alpha beta (1 - (y / alpha)^2) |
//! | Relu, ThresholdedRelu | 1 where y > 0, else 0 |
//! | LeakyRelu | 1 where y > 0, else alpha |
//! | Elu | 1 where y > 0, else y + alpha |
//! | Affine | alpha |
//! | HardSigmoid | alpha where 0 < y < 1, else 0 |
//! | Softsign | (1 - abs(y))^2 |
//! | Softplus | 1 - e^-y = 2 t / (1 + t), t = tanh(y / 2) |
//!
//! A bounded x, that is f(clip(x)), has slope 0 where y is f(clip) or beyond, or f(-clip) or beyond: whether x was
//! bounded is told from y. Where other x round to the same y, they count as bounded; at the corner of a function, x = 0
//! say, the slope is that of the left side, but for ThresholdedRelu, which jumps.

use crate::math::{exp, sigmoid, tanh};
use crate::variant::Activation;
use crate::vector::Vector;

/// ln(1 + u) for 0 <= u <= 1: 2 artanh(s) with s = u / (2 + u) <= 1/3, whose series ends below half a ULP at s^17.
#[inline(always)]
fn ln_1p<V: Vector>(u: V) -> V {
    // SAFETY: `u` exists, so the tier is available.
    let c = |value: f32| unsafe { V::splat(value) };
    let s = u.div(u.add(c(2.0)));
    let q = s.mul(s);
    let mut sum = c(1.0 / 17.0);
    for odd in [15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0] {
        sum = sum.mul_add(q, c(1.0 / odd));
    }
    let twice = s.add(s);
    sum.mul(q).mul_add(twice, twice)
}

#[inline(always)]
fn abs<V: Vector>(x: V) -> V {
    // SAFETY: `x` exists, so the tier is available.
    x.xor(x.and(unsafe { V::splat(-0.0) }))
}

/// `x` in [-bound, bound]; NaN stays NaN.
#[inline(always)]
pub(crate) fn bounded<V: Vector>(x: V, bound: f32) -> V {
    // SAFETY: `x` exists, so the tier is available.
    let c = |value: f32| unsafe { V::splat(value) };
    // The constant comes first: min and max give the second operand where either is NaN.
    c(-bound).max(c(bound).min(x))
}

/// f(x).
#[inline(always)]
fn value<V: Vector>(f: Activation, x: V) -> V {
    // SAFETY: `x` exists, so the tier is available.
    let c = |value: f32| unsafe { V::splat(value) };
    match f {
        Activation::Sigmoid => sigmoid(x),
        Activation::Tanh => tanh(x),
        Activation::Relu => c(0.0).max(x),
        Activation::Affine { alpha, beta } => x.mul_add(c(alpha), c(beta)),
        Activation::LeakyRelu { alpha } => V::select(x.lt(c(0.0)), x.mul(c(alpha)), x),
        // x <= alpha, so that NaN stays NaN.
        Activation::ThresholdedRelu { alpha } => V::select(x.lt(c(alpha.next_up())), c(0.0), x),
        Activation::ScaledTanh { alpha, beta } => tanh(x.mul(c(beta))).mul(c(alpha)),
        Activation::HardSigmoid { alpha, beta } => c(0.0).max(c(1.0).min(x.mul_add(c(alpha), c(beta)))),
        Activation::Elu { alpha } => {
            // e^x - 1 = 2 t / (1 - t), which does not cancel near 0.
            let t = tanh(x.mul(c(0.5)));
            V::select(x.lt(c(0.0)), t.add(t).div(c(1.0).sub(t)).mul(c(alpha)), x)
        }
        Activation::Softsign => {
            // Bounded, or infinity would be divided by itself.
            let x = bounded(x, 1e30);
            x.div(abs(x).add(c(1.0)))
        }
        Activation::Softplus => c(0.0).max(x).add(ln_1p(exp(c(0.0).sub(abs(x))))),
    }
}

/// f'(x), from y = f(x).
#[inline(always)]
fn slope<V: Vector>(f: Activation, y: V) -> V {
    // SAFETY: `y` exists, so the tier is available.
    let c = |value: f32| unsafe { V::splat(value) };
    let (zero, one) = (c(0.0), c(1.0));
    match f {
        Activation::Sigmoid => y.mul(one.sub(y)),
        Activation::Tanh => y.neg_mul_add(y, one),
        Activation::Relu | Activation::ThresholdedRelu { .. } => V::select(zero.lt(y), one, zero),
        Activation::Affine { alpha, .. } => c(alpha),
        Activation::LeakyRelu { alpha } => V::select(zero.lt(y), one, c(alpha)),
        Activation::ScaledTanh { alpha, beta } => {
            // With alpha = 0 every y is 0, and so is the slope.
            let t = y.mul(c(if alpha == 0.0 { 0.0 } else { 1.0 / alpha }));
            t.neg_mul_add(t, one).mul(c(alpha * beta))
        }
        Activation::HardSigmoid { alpha, .. } => V::select(zero.lt(y), V::select(y.lt(one), c(alpha), zero), zero),
        Activation::Elu { alpha } => V::select(zero.lt(y), one, y.add(c(alpha))),
        Activation::Softsign => {
            let rest = one.sub(abs(y));
            rest.mul(rest)
        }
        Activation::Softplus => {
            let t = tanh(y.mul(c(0.5)));
            t.add(t).div(t.add(one))
        }
    }
}

/// A gate's way forward: f(clip(x)).
#[derive(Clone, Copy)]
pub(crate) struct Gate {
    pub(crate) activation: Activation,
    pub(crate) clip: Option<f32>,
}

impl Gate {
    /// f(clip(x)).
    #[inline(always)]
    pub(crate) fn value<V: Vector>(&self, x: V) -> V {
        value(self.activation, self.clip.map_or(x, |clip| bounded(x, clip)))
    }
    /// The way back.
    ///
    /// # Safety
    /// - the tier is available.
    #[inline(always)]
    pub(crate) unsafe fn back<V: Vector>(&self) -> Slope<V> {
        let mut ends = None;
        if let Some(clip) = self.clip {
            // SAFETY: the caller's. A function may fall.
            let (a, b) = unsafe { (value(self.activation, V::splat(clip)), value(self.activation, V::splat(-clip))) };
            ends = Some((a.min(b), a.max(b)));
        }
        Slope { activation: self.activation, ends }
    }
}

/// A gate's way back.
#[derive(Clone, Copy)]
pub(crate) struct Slope<V> {
    activation: Activation,
    /// The values at both bounds, the lesser first.
    ends: Option<(V, V)>,
}

impl<V: Vector> Slope<V> {
    /// The derivative of f(clip(x)) where its value is y.
    #[inline(always)]
    pub(crate) fn at(&self, y: V) -> V {
        let inside = slope(self.activation, y);
        let Some((low, high)) = self.ends else { return inside };
        // SAFETY: `y` exists, so the tier is available.
        let zero = unsafe { V::splat(0.0) };
        V::select(low.lt(y), V::select(y.lt(high), inside, zero), zero)
    }
}
