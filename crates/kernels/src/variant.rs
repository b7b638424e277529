//! What a cell may be beside the plain one: biases or none, where a GRU resets, peepholes, coupled gates, bounds, a
//! projection, other activations.
//!
//! A variant is data. Which kernels serve it is chosen once an operation: the plain cell's know nothing of it. The
//! equations of each, and their derivatives, are in `doc/rnn.md`, `doc/lstm.md` and `doc/gru.md`.

use crate::pack::{Cell, MAX_DIMENSION};

/// How a layer's cell differs from the plain one, which is the default.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Variant {
    /// There are b_ih and b_hh. False: no tensors of these names, and what they would add is zero.
    pub bias: bool,
    /// GRU: n = n(W_in x + b_in + W_hn (r * h_{t-1}) + b_hn); the plain one resets after the product.
    pub reset_before: bool,
    /// LSTM: p_i * c_{t-1}, p_f * c_{t-1} and p_o * c_t are added before the gates' activations.
    pub peepholes: bool,
    /// LSTM: f = 1 - i. The forget gate's weights stay unused and untrained.
    pub coupled: bool,
    /// Bounds what goes into the gates' activations to [-clip, clip], never c_t.
    pub clip: Option<f32>,
    /// LSTM: bounds c_t to [-cell_clip, cell_clip].
    pub cell_clip: Option<f32>,
    /// LSTM: h_t = W_hr (o * tanh(c_t)) has so many columns, P.
    pub projection: Option<usize>,
    /// Which functions stand where the plain cell has tanh and sigmoid.
    pub activations: Activations,
}

impl Default for Variant {
    fn default() -> Self {
        Self {
            bias: true,
            reset_before: false,
            peepholes: false,
            coupled: false,
            clip: None,
            cell_clip: None,
            projection: None,
            activations: Activations::default(),
        }
    }
}

/// The activations of a cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Activations {
    /// The gates proper: an LSTM's i, f, o, a GRU's r, z. Default: sigmoid.
    pub gates: Activation,
    /// What enters the state: an LSTM's g, a GRU's n, an RNN's h. Default: tanh.
    pub cell: Activation,
    /// What leaves an LSTM's c for h. Default: tanh.
    pub hidden: Activation,
}

impl Default for Activations {
    fn default() -> Self {
        Self { gates: Activation::Sigmoid, cell: Activation::Tanh, hidden: Activation::Tanh }
    }
}

/// A function of one number: those of ONNX, with its letters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// 1 / (1 + e^-x).
    Sigmoid,
    /// tanh(x).
    Tanh,
    /// max(0, x).
    Relu,
    /// alpha x + beta.
    Affine {
        /// Slope.
        alpha: f32,
        /// Offset.
        beta: f32,
    },
    /// x where x > 0, else alpha x; alpha >= 0.
    LeakyRelu {
        /// Slope below 0.
        alpha: f32,
    },
    /// x where x > alpha, else 0; alpha >= 0.
    ThresholdedRelu {
        /// Threshold.
        alpha: f32,
    },
    /// alpha tanh(beta x).
    ScaledTanh {
        /// Largest value.
        alpha: f32,
        /// Scale of x.
        beta: f32,
    },
    /// min(1, max(0, alpha x + beta)).
    HardSigmoid {
        /// Slope.
        alpha: f32,
        /// Offset.
        beta: f32,
    },
    /// x where x > 0, else alpha (e^x - 1); alpha >= 0.
    Elu {
        /// Minus the least value.
        alpha: f32,
    },
    /// x / (1 + |x|).
    Softsign,
    /// ln(1 + e^x).
    Softplus,
}

/// A variant that its cell does not have.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum VariantError {
    /// A form of another cell.
    #[error("`{form}` is a form of the {of}, not of the {}: leave it out, or take another cell", cell.name())]
    OfAnotherCell {
        /// Which form.
        form: &'static str,
        /// The cell that has it.
        of: &'static str,
        /// The cell that was asked for.
        cell: Cell,
    },
    /// A number out of its range.
    #[error("`{name}` is {found}: it must be {range}")]
    OutOfRange {
        /// Which number.
        name: &'static str,
        /// Its value.
        found: f64,
        /// What it may be.
        range: &'static str,
    },
}

impl Variant {
    /// An RNN of relu in place of tanh.
    pub fn relu() -> Self {
        let activations = Activations { cell: Activation::Relu, ..Activations::default() };
        Self { activations, ..Self::default() }
    }
    /// The plain kernels serve it: biases or not, the cell is the plain one.
    pub fn is_plain(&self) -> bool {
        *self == Self { bias: self.bias, ..Self::default() }
    }
    /// Errors: a form that `cell` does not have, a number that is out of its range.
    pub fn validate(&self, cell: Cell) -> Result<(), VariantError> {
        let plain = Self::default();
        let forms = [
            ("reset_before", "gru", self.reset_before),
            ("peepholes", "lstm", self.peepholes),
            ("coupled", "lstm", self.coupled),
            ("cell_clip", "lstm", self.cell_clip.is_some()),
            ("projection", "lstm", self.projection.is_some()),
        ];
        let a = self.activations;
        let functions = [
            ("activations.gates", "gru and lstm", cell == Cell::Rnn && a.gates != plain.activations.gates),
            ("activations.hidden", "lstm", cell != Cell::Lstm && a.hidden != plain.activations.hidden),
        ];
        for (form, of, asked) in forms {
            if asked && of != cell.name() {
                return Err(VariantError::OfAnotherCell { form, of, cell });
            }
        }
        for (form, of, amiss) in functions {
            if amiss {
                return Err(VariantError::OfAnotherCell { form, of, cell });
            }
        }
        for (name, bound) in [("clip", self.clip), ("cell_clip", self.cell_clip)] {
            if let Some(bound) = bound.filter(|bound| !(bound.is_finite() && *bound > 0.0)) {
                return Err(VariantError::OutOfRange { name, found: bound.into(), range: "finite and above 0" });
            }
        }
        if let Some(p) = self.projection.filter(|p| !(1..=MAX_DIMENSION).contains(p)) {
            return Err(VariantError::OutOfRange { name: "projection", found: p as f64, range: "in 1..=2^28" });
        }
        for activation in [a.gates, a.cell, a.hidden] {
            activation.validate()?;
        }
        Ok(())
    }
}

impl Activation {
    /// ONNX's name, without case.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sigmoid => "Sigmoid",
            Self::Tanh => "Tanh",
            Self::Relu => "Relu",
            Self::Affine { .. } => "Affine",
            Self::LeakyRelu { .. } => "LeakyRelu",
            Self::ThresholdedRelu { .. } => "ThresholdedRelu",
            Self::ScaledTanh { .. } => "ScaledTanh",
            Self::HardSigmoid { .. } => "HardSigmoid",
            Self::Elu { .. } => "Elu",
            Self::Softsign => "Softsign",
            Self::Softplus => "Softplus",
        }
    }
    /// Errors: a number that is not finite, or below 0 where the way back could not tell the sign of x.
    fn validate(&self) -> Result<(), VariantError> {
        let (alpha, beta) = match *self {
            Self::Affine { alpha, beta } | Self::ScaledTanh { alpha, beta } | Self::HardSigmoid { alpha, beta } => {
                (alpha, beta)
            }
            Self::LeakyRelu { alpha } | Self::ThresholdedRelu { alpha } | Self::Elu { alpha } => (alpha, 0.0),
            Self::Sigmoid | Self::Tanh | Self::Relu | Self::Softsign | Self::Softplus => (0.0, 0.0),
        };
        for (name, found) in [("alpha", alpha), ("beta", beta)] {
            if !found.is_finite() {
                return Err(VariantError::OutOfRange { name, found: found.into(), range: "finite" });
            }
        }
        let signed = matches!(self, Self::LeakyRelu { .. } | Self::ThresholdedRelu { .. } | Self::Elu { .. });
        if signed && alpha < 0.0 {
            let range =
                "at least 0 for LeakyRelu, ThresholdedRelu and Elu, whose derivatives are taken from their values";
            return Err(VariantError::OutOfRange { name: "alpha", found: alpha.into(), range });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_of_another_cell_is_an_error_that_names_both() {
        let v = Variant { peepholes: true, ..Variant::default() };
        assert_eq!(v.validate(Cell::Lstm), Ok(()));
        let message = v.validate(Cell::Gru).unwrap_err().to_string();
        assert!(message.contains("`peepholes`") && message.contains("lstm") && message.contains("gru"), "{message}");
        let v = Variant { reset_before: true, ..Variant::default() };
        assert!(v.validate(Cell::Gru).is_ok() && v.validate(Cell::Lstm).is_err());
        let gates = Activations { gates: Activation::Relu, ..Activations::default() };
        let v = Variant { activations: gates, ..Variant::default() };
        assert!(v.validate(Cell::Rnn).is_err() && v.validate(Cell::Gru).is_ok());
        assert_eq!(Variant::relu().validate(Cell::Rnn), Ok(()));
    }

    #[test]
    fn numbers_out_of_range_are_errors() {
        for bad in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            let (clip, cell_clip) = (Some(bad), Some(bad));
            assert!(Variant { clip, ..Variant::default() }.validate(Cell::Rnn).is_err());
            assert!(Variant { cell_clip, ..Variant::default() }.validate(Cell::Lstm).is_err());
        }
        assert!(Variant { projection: Some(0), ..Variant::default() }.validate(Cell::Lstm).is_err());
        for activation in [
            Activation::Affine { alpha: f32::NAN, beta: 0.0 },
            Activation::ScaledTanh { alpha: 1.0, beta: f32::INFINITY },
            Activation::LeakyRelu { alpha: -0.1 },
            Activation::Elu { alpha: -1.0 },
        ] {
            let activations = Activations { cell: activation, ..Activations::default() };
            let v = Variant { activations, ..Variant::default() };
            assert!(v.validate(Cell::Rnn).is_err(), "{activation:?}");
        }
    }
}
