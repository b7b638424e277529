//! tanh and sigmoid, or linear stand-ins, with their derivatives taken from the activated value.
//!
//! Linear mode turns `tanh(a)` into `tanh * a` and `sigmoid(a)` into `sigmoid * a`. With integer weights and data every
//! number of a run is then an exact integer, so chains of hundreds of steps can be compared for equality: no fault in
//! the wiring hides under a tolerance.

use crate::scalar::Scalar;

/// Which functions a cell applies to its pre-activations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// tanh and sigmoid.
    Standard,
    /// Both replaced by a multiplication.
    Linear {
        /// Factor in place of tanh.
        tanh: f64,
        /// Factor in place of sigmoid.
        sigmoid: f64,
    },
}

impl Activation {
    /// `tanh(a)`, or `tanh * a` in linear mode.
    pub fn tanh<S: Scalar>(self, a: S) -> S {
        match self {
            Activation::Standard => a.tanh(),
            Activation::Linear { tanh, .. } => S::constant(tanh) * a,
        }
    }

    /// `sigmoid(a)`, or `sigmoid * a` in linear mode.
    pub fn sigmoid<S: Scalar>(self, a: S) -> S {
        match self {
            Activation::Standard => a.sigmoid(),
            Activation::Linear { sigmoid, .. } => S::constant(sigmoid) * a,
        }
    }

    /// The derivative of tanh where its value is `y`: `1 - y^2`.
    pub fn d_tanh(self, y: f64) -> f64 {
        match self {
            Activation::Standard => 1.0 - y * y,
            Activation::Linear { tanh, .. } => tanh,
        }
    }

    /// The derivative of sigmoid where its value is `y`: `y * (1 - y)`.
    pub fn d_sigmoid(self, y: f64) -> f64 {
        match self {
            Activation::Standard => y * (1.0 - y),
            Activation::Linear { sigmoid, .. } => sigmoid,
        }
    }
}
