//! What a stack of recurrent layers is made of, and whether it can be.

use crate::Error;
use gatemill_kernels::{Cell, Direction, StackShape, Variant};

/// Most layers, both directions counted: what the counter of the dropout masks tells apart.
const MAX_LAYERS: usize = 1 << 12;
/// Most weights: 4 TiB of them.
const MAX_WEIGHTS: u128 = 1 << 40;

/// A stack of recurrent layers, in PyTorch's terms.
///
/// ```
/// use gatemill::{Cell, RecurrentOptions};
///
/// let options = RecurrentOptions { layers: 2, ..RecurrentOptions::new(Cell::Gru, 3, 5) };
/// assert_eq!(options.outputs(), 5);
/// assert!(RecurrentOptions { dropout: 1.0, ..options }.validate().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RecurrentOptions {
    /// The cell of every layer.
    pub cell: Cell,
    /// What it has beyond the plain one.
    pub variant: Variant,
    /// I: numbers that the first layer reads at a step.
    pub inputs: usize,
    /// H: hidden units of every layer and direction.
    pub hidden: usize,
    /// L.
    pub layers: usize,
    /// How each layer runs through time.
    pub direction: Direction,
    /// `h_l + x_l` goes up where the widths agree, from the second layer on.
    pub residual: bool,
    /// P of the dropout between layers, in [0, 1); a pass that trains drops, others do not.
    pub dropout: f64,
    /// Of the initial weights and of the dropout's masks.
    pub seed: u64,
}

impl RecurrentOptions {
    /// One plain forward layer.
    pub fn new(cell: Cell, inputs: usize, hidden: usize) -> Self {
        Self {
            cell,
            variant: Variant::default(),
            inputs,
            hidden,
            layers: 1,
            direction: Direction::Forward,
            residual: false,
            dropout: 0.0,
            seed: 1,
        }
    }

    /// The engine's words for it.
    pub(crate) fn shape(&self) -> StackShape {
        let Self { cell, variant, inputs, hidden, layers, direction, residual, .. } = *self;
        StackShape { cell, variant, inputs, symbols: None, hidden, layers, direction, residual }
    }
    /// D: directions of a layer.
    pub fn directions(&self) -> usize {
        self.direction.count()
    }
    /// Numbers of a direction's h: P where it is projected, else H.
    pub fn state_width(&self) -> usize {
        self.variant.projection.unwrap_or(self.hidden)
    }
    /// Numbers of the top layer's output at a step: D times the state's, or once where directions are added.
    pub fn outputs(&self) -> usize {
        let width = self.state_width();
        if self.direction == Direction::Concat { width.saturating_mul(2) } else { width }
    }

    /// Whether such a stack can be. Errors: the first option that cannot.
    pub fn validate(&self) -> Result<(), Error> {
        let Self { cell, inputs, hidden, layers, dropout, .. } = self;
        let check = |holds: bool, option: &'static str, value: &dyn ToString, reason: &'static str| {
            if holds { Ok(()) } else { Err(Error::Option { option, value: value.to_string(), reason }) }
        };
        let most = MAX_LAYERS / self.directions();
        check(*layers <= most, "layers", layers, "must be at most 4096, both directions counted")?;
        check((0.0..1.0).contains(dropout), "dropout", dropout, "must be at least 0 and below 1")?;
        self.shape().validate()?;
        // Nothing below overflows after these.
        let width = self.outputs() as u128;
        let (gates, hidden, layers) = (cell.gates() as u128, *hidden as u128, *layers as u128);
        let rows = gates * hidden * self.directions() as u128;
        let weights = rows * (*inputs as u128 + width + 2) + (layers - 1) * rows * (2 * width + 2);
        check(weights <= MAX_WEIGHTS, "hidden", &hidden, "makes more than 2^40 weights with these inputs and layers")
    }
}
