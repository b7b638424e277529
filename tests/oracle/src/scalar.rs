//! Numbers of a forward pass: `f64`, and dual numbers `re + du*e` with `e*e = 0`.
//!
//! One forward text serves both. With `du = 1` on one input and 0 on all others, the `du` of a result is the exact
//! derivative by that input: no step size, no truncation, only rounding. The derivatives of tanh and sigmoid are taken
//! here as `1/cosh(a)^2` and `sigmoid(a)*sigmoid(-a)`, not from the function's value as the hand-written backward does,
//! so that the two cannot share a slip.

use std::fmt::Debug;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// What a forward pass needs of a number.
pub trait Scalar:
    Copy
    + Debug
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + 'static
{
    /// The number `x`, with derivative 0 where there is one.
    fn constant(x: f64) -> Self;
    /// The number without its derivative.
    fn value(self) -> f64;
    /// `e^self`.
    fn exp(self) -> Self;
    /// The natural logarithm.
    fn ln(self) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
    /// The hyperbolic tangent.
    fn tanh(self) -> Self;
    /// `1 / (1 + e^-self)`.
    fn sigmoid(self) -> Self;
}

impl Scalar for f64 {
    fn constant(x: f64) -> Self {
        x
    }
    fn value(self) -> f64 {
        self
    }
    fn exp(self) -> Self {
        f64::exp(self)
    }
    fn ln(self) -> Self {
        f64::ln(self)
    }
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }
    fn tanh(self) -> Self {
        f64::tanh(self)
    }
    fn sigmoid(self) -> Self {
        // Accurate on both sides: far to the left e^-a is large and the 1 vanishes beside it, as it should.
        1.0 / (1.0 + (-self).exp())
    }
}

/// `re + du*e` with `e*e = 0`: a value and its derivative by the one seeded input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dual {
    /// The value.
    pub re: f64,
    /// The derivative.
    pub du: f64,
}

impl Dual {
    /// The input by which is differentiated: `x + 1*e`.
    pub fn seed(x: f64) -> Self {
        Dual { re: x, du: 1.0 }
    }
}

impl Add for Dual {
    type Output = Dual;
    fn add(self, other: Dual) -> Dual {
        Dual { re: self.re + other.re, du: self.du + other.du }
    }
}

impl Sub for Dual {
    type Output = Dual;
    fn sub(self, other: Dual) -> Dual {
        Dual { re: self.re - other.re, du: self.du - other.du }
    }
}

impl Mul for Dual {
    type Output = Dual;
    fn mul(self, other: Dual) -> Dual {
        Dual { re: self.re * other.re, du: self.du * other.re + self.re * other.du }
    }
}

impl Div for Dual {
    type Output = Dual;
    fn div(self, other: Dual) -> Dual {
        let re = self.re / other.re;
        Dual { re, du: (self.du - re * other.du) / other.re }
    }
}

impl Neg for Dual {
    type Output = Dual;
    fn neg(self) -> Dual {
        Dual { re: -self.re, du: -self.du }
    }
}

impl Scalar for Dual {
    fn constant(x: f64) -> Self {
        Dual { re: x, du: 0.0 }
    }
    fn value(self) -> f64 {
        self.re
    }
    fn exp(self) -> Self {
        let re = self.re.exp();
        Dual { re, du: self.du * re }
    }
    fn ln(self) -> Self {
        Dual { re: self.re.ln(), du: self.du / self.re }
    }
    fn sqrt(self) -> Self {
        let re = self.re.sqrt();
        Dual { re, du: self.du / (2.0 * re) }
    }
    fn tanh(self) -> Self {
        let cosh = self.re.cosh();
        Dual { re: self.re.tanh(), du: self.du / cosh / cosh }
    }
    fn sigmoid(self) -> Self {
        Dual { re: self.re.sigmoid(), du: self.du * self.re.sigmoid() * (-self.re).sigmoid() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::difference::central_differences;

    /// Each derivative rule against a central difference, over several binades and both signs.
    #[test]
    fn dual_rules_match_differences() {
        type Rule = (&'static str, fn(f64) -> f64, fn(Dual) -> Dual, bool);
        let three = Dual::constant(3.0);
        let rules: [Rule; 9] = [
            ("exp", |x| x.exp(), |x| x.exp(), false),
            ("tanh", |x| x.tanh(), |x| Scalar::tanh(x), false),
            ("sigmoid", |x| x.sigmoid(), |x| x.sigmoid(), false),
            ("ln", |x| x.ln(), |x| Scalar::ln(x), true),
            ("sqrt", |x| x.sqrt(), |x| Scalar::sqrt(x), true),
            ("x*x*3", |x| x * x * 3.0, |x| x * x * Dual::constant(3.0), false),
            ("3/x", |x| 3.0 / x, |x| Dual::constant(3.0) / x, false),
            ("x/3", |x| x / 3.0, |x| x / Dual::constant(3.0), false),
            ("3-x", |x| 3.0 - x, |x| -(x - Dual::constant(3.0)), false),
        ];
        assert_eq!(three.du, 0.0);
        for (name, plain, dual, positive_only) in rules {
            for x in [-4.0, -1.3, -0.25, 0.25, 0.9, 2.5, 5.0] {
                if positive_only && x < 0.0 {
                    continue;
                }
                let found = dual(Dual::seed(x));
                let slope = central_differences(|p| plain(p[0]), &[x], 1e-5)[0];
                assert_eq!(found.re.to_bits(), plain(x).to_bits(), "{name}({x})");
                assert!((found.du - slope).abs() <= 1e-8 * slope.abs().max(1.0), "{name}({x}): {} {slope}", found.du);
            }
        }
    }

    #[test]
    fn sigmoid_and_tanh_at_the_ends() {
        assert_eq!(800.0.sigmoid(), 1.0);
        assert_eq!((-800.0).sigmoid(), 0.0);
        assert!((-700.0).sigmoid() > 0.0);
        assert!(f64::NAN.sigmoid().is_nan());
        assert_eq!(Scalar::tanh(Dual::seed(1000.0)), Dual { re: 1.0, du: 0.0 });
        assert_eq!(Dual::seed(-1000.0).sigmoid(), Dual { re: 0.0, du: 0.0 });
    }
}
