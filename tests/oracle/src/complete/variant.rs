//! What a cell may be beside the plain one, and the functions that ONNX knows with their derivatives.
//!
//! A derivative is taken from the argument, not from the value, so that it shares nothing with a kernel that keeps
//! values. At a kink the side is fixed: what is exactly 0 belongs to the lower branch, a bound itself lets through.

use crate::cell::Cell;
use crate::scalar::Scalar;

/// How a cell differs from the plain one, which is the default.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Variant {
    /// There are `b_ih` and `b_hh`; false: their tensors are empty.
    pub bias: bool,
    /// GRU: `n = tanh(W_in x + b_in + W_hn (r*h_prev) + b_hn)`.
    pub reset_before: bool,
    /// LSTM: `p_i*c_prev`, `p_f*c_prev`, `p_o*c` go into the gates.
    pub peepholes: bool,
    /// LSTM: `f = 1 - i`; the rows of f are there and unused.
    pub coupled: bool,
    /// Bounds what goes into the activations of the gates and of the candidate; never c.
    pub clip: Option<f64>,
    /// LSTM: bounds c.
    pub cell_clip: Option<f64>,
    /// LSTM: P; `h = W_hr (o*tanh(c))`.
    pub projection: Option<usize>,
    /// Which functions stand where the plain cell has sigmoid and tanh.
    pub activations: Functions,
}

impl Default for Variant {
    fn default() -> Self {
        Variant {
            bias: true,
            reset_before: false,
            peepholes: false,
            coupled: false,
            clip: None,
            cell_clip: None,
            projection: None,
            activations: Functions::default(),
        }
    }
}

impl Variant {
    /// Panics where `cell` has no such form.
    pub fn check(&self, cell: Cell) {
        assert!(cell == Cell::Gru || !self.reset_before, "{cell:?} has no reset");
        let of_lstm = self.peepholes || self.coupled || self.cell_clip.is_some() || self.projection.is_some();
        assert!(cell == Cell::Lstm || !of_lstm, "{cell:?} has no c: {self:?}");
        assert!(self.clip.is_none_or(|c| c > 0.0) && self.cell_clip.is_none_or(|c| c > 0.0), "{self:?}");
        assert!(self.projection != Some(0), "a projection to nothing");
    }
}

/// The functions of a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Functions {
    /// LSTM i, f, o; GRU r, z.
    pub gates: Function,
    /// LSTM g; GRU n; RNN h.
    pub cell: Function,
    /// LSTM: from c to h.
    pub hidden: Function,
}

impl Default for Functions {
    fn default() -> Self {
        Functions { gates: Function::Sigmoid, cell: Function::Tanh, hidden: Function::Tanh }
    }
}

/// A function of one number, with ONNX's names and letters.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "alpha and beta are what the formula says")]
pub enum Function {
    /// `1 / (1 + e^-a)`
    Sigmoid,
    /// `tanh(a)`
    Tanh,
    /// `max(0, a)`
    Relu,
    /// `alpha*a + beta`
    Affine { alpha: f64, beta: f64 },
    /// `a` above 0, else `alpha*a`
    LeakyRelu { alpha: f64 },
    /// `a` above alpha, else 0
    ThresholdedRelu { alpha: f64 },
    /// `alpha * tanh(beta*a)`
    ScaledTanh { alpha: f64, beta: f64 },
    /// `min(1, max(0, alpha*a + beta))`
    HardSigmoid { alpha: f64, beta: f64 },
    /// `a` above 0, else `alpha * (e^a - 1)`
    Elu { alpha: f64 },
    /// `a / (1 + |a|)`
    Softsign,
    /// `ln(1 + e^a)`
    Softplus,
}

impl Function {
    /// The function at `a`.
    pub fn at<S: Scalar>(self, a: S) -> S {
        let number = S::constant;
        let positive = a.value() > 0.0;
        match self {
            Function::Sigmoid => a.sigmoid(),
            Function::Tanh => a.tanh(),
            Function::Relu => above(a, 0.0),
            Function::Affine { alpha, beta } => number(alpha) * a + number(beta),
            Function::LeakyRelu { alpha } => {
                if positive {
                    a
                } else {
                    number(alpha) * a
                }
            }
            Function::ThresholdedRelu { alpha } => above(a, alpha),
            Function::ScaledTanh { alpha, beta } => number(alpha) * (number(beta) * a).tanh(),
            Function::HardSigmoid { alpha, beta } => {
                let line = number(alpha) * a + number(beta);
                if line.value() >= 1.0 { number(1.0) } else { above(line, 0.0) }
            }
            Function::Elu { alpha } => {
                if positive {
                    a
                } else {
                    number(alpha) * (a.exp() - number(1.0))
                }
            }
            Function::Softsign => {
                if positive {
                    a / (number(1.0) + a)
                } else {
                    a / (number(1.0) - a)
                }
            }
            // Far to the right e^a overflows: there the result is a.
            Function::Softplus if positive => a + ((-a).exp() + number(1.0)).ln(),
            Function::Softplus => (a.exp() + number(1.0)).ln(),
        }
    }

    /// Its derivative at `a`.
    pub fn slope(self, a: f64) -> f64 {
        match self {
            Function::Sigmoid => {
                let y = a.sigmoid();
                y * (1.0 - y)
            }
            Function::Tanh => 1.0 - a.tanh() * a.tanh(),
            Function::Relu => step(a > 0.0),
            Function::Affine { alpha, .. } => alpha,
            Function::LeakyRelu { alpha } => {
                if a > 0.0 {
                    1.0
                } else {
                    alpha
                }
            }
            Function::ThresholdedRelu { alpha } => step(a > alpha),
            Function::ScaledTanh { alpha, beta } => alpha * beta * (1.0 - (beta * a).tanh() * (beta * a).tanh()),
            Function::HardSigmoid { alpha, beta } => {
                let line = alpha * a + beta;
                if line > 0.0 && line < 1.0 { alpha } else { 0.0 }
            }
            Function::Elu { alpha } => {
                if a > 0.0 {
                    1.0
                } else {
                    alpha * a.exp()
                }
            }
            Function::Softsign => 1.0 / ((1.0 + a.abs()) * (1.0 + a.abs())),
            Function::Softplus => a.sigmoid(),
        }
    }
}

/// `a` above `threshold`, else 0; NaN stays NaN.
fn above<S: Scalar>(a: S, threshold: f64) -> S {
    if a.value() <= threshold { S::constant(0.0) } else { a }
}

fn step(above: bool) -> f64 {
    if above { 1.0 } else { 0.0 }
}

/// `a` within `-bound..=bound`, where there is a bound.
pub fn bounded<S: Scalar>(a: S, bound: Option<f64>) -> S {
    match bound {
        Some(bound) if a.value() > bound => S::constant(bound),
        Some(bound) if a.value() < -bound => S::constant(-bound),
        _ => a,
    }
}

/// The derivative of [`bounded`] at `a`: 1 within the bound and on it, 0 outside.
pub fn bounded_slope(a: f64, bound: Option<f64>) -> f64 {
    step(bound.is_none_or(|bound| a.abs() <= bound))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::difference::central_differences;
    use crate::scalar::Dual;

    /// Every function of ONNX with numbers that no default has.
    const ALL: [Function; 11] = [
        Function::Sigmoid,
        Function::Tanh,
        Function::Relu,
        Function::Affine { alpha: 0.7, beta: -0.3 },
        Function::LeakyRelu { alpha: 0.15 },
        Function::ThresholdedRelu { alpha: 0.4 },
        Function::ScaledTanh { alpha: 1.3, beta: 0.6 },
        Function::HardSigmoid { alpha: 0.25, beta: 0.45 },
        Function::Elu { alpha: 0.8 },
        Function::Softsign,
        Function::Softplus,
    ];

    #[test]
    fn slopes_are_those_of_dual_numbers_and_of_differences() {
        for function in ALL {
            for a in [-7.0, -2.1, -0.9, -0.2, 0.1, 0.3, 0.6, 1.9, 4.5, 30.0] {
                let dual = function.at(Dual::seed(a));
                assert_eq!(dual.re, function.at(a));
                let found = function.slope(a);
                assert!((found - dual.du).abs() <= 1e-13, "{function:?} at {a}: {found} against {}", dual.du);
                let difference = central_differences(|a| function.at(a[0]), &[a], 1e-5)[0];
                assert!((found - difference).abs() <= 1e-9, "{function:?} at {a}: {found} against {difference}");
            }
        }
    }

    #[test]
    fn values_by_hand() {
        let values = ALL.map(|function| [function.at(-2.0), function.at(0.5)]);
        let want = [
            [0.11920292202211755, 0.6224593312018546],
            [-0.9640275800758169, 0.46211715726000973],
            [0.0, 0.5],
            [-1.7, 0.05],
            [-0.3, 0.5],
            [0.0, 0.5],
            [1.3 * -0.8336546070121552, 1.3 * 0.2913126124515909],
            [0.0, 0.575],
            [0.8 * -0.8646647167633873, 0.5],
            [-2.0 / 3.0, 1.0 / 3.0],
            [0.12692801104297263, 0.9740769841801067],
        ];
        for (k, (found, want)) in values.iter().zip(want).enumerate() {
            for (found, want) in found.iter().zip(want) {
                assert!((found - want).abs() < 1e-14, "{:?}: {found} {want}", ALL[k]);
            }
        }
        assert_eq!(Function::Softplus.at(800.0), 800.0);
        assert!(ALL.iter().all(|f| f.at(f64::NAN).is_nan()));
    }

    #[test]
    fn bounds_hold_and_stop_gradients() {
        for (a, value, slope) in
            [(-3.0, -2.0, 0.0), (-2.0, -2.0, 1.0), (0.5, 0.5, 1.0), (2.0, 2.0, 1.0), (2.1, 2.0, 0.0)]
        {
            assert_eq!((bounded(a, Some(2.0)), bounded_slope(a, Some(2.0))), (value, slope));
            assert_eq!(bounded(Dual::seed(a), Some(2.0)), Dual { re: value, du: slope });
            assert_eq!((bounded(a, None), bounded_slope(a, None)), (a, 1.0));
        }
    }
}
