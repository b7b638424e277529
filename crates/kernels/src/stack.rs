//! Stacks of equal layers: in which order each takes a lane's tokens, and what goes up from one level to the next.
//!
//! ```text
//! Forward, Reverse   y_l = h_l                                a layer a level
//! Concat             y_l = [h_l, h_l_reverse]                 two layers a level; both read the same x
//! Sum                y_l = h_l + h_l_reverse
//! residual           y_l += x_l for l >= 1                    x_l as the layer reads it, dropped where there is dropout
//! ```
//!
//! The layers of a layout lie level by level, a level's two beside each other: PyTorch's l0, l0_reverse, l1, ...

use crate::pack::{Cell, Input, LayerShape, Layout, MAX_DIMENSION};
use crate::tokens::Order;
use crate::variant::{Variant, VariantError};

/// In which order the layers of a stack take a lane's tokens, and how two directions become one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Direction {
    /// From the first to the last.
    #[default]
    Forward,
    /// From the last to the first.
    Reverse,
    /// Both; the reversed layer's h stands behind the other's.
    Concat,
    /// Both; the two h are added.
    Sum,
}

impl Direction {
    /// The order of each layer of a level.
    pub fn orders(self) -> &'static [Order] {
        match self {
            Direction::Forward => &[Order::Ascending],
            Direction::Reverse => &[Order::Descending],
            Direction::Concat | Direction::Sum => &[Order::Ascending, Order::Descending],
        }
    }
    /// D: layers of a level.
    pub fn count(self) -> usize {
        self.orders().len()
    }
}

/// A stack of equal layers over a dense input, or over symbols.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StackShape {
    /// The cell.
    pub cell: Cell,
    /// How it differs from the plain one.
    pub variant: Variant,
    /// I; where it reads symbols E, the columns of a trained embedding, or 0 for one-hot symbols.
    pub inputs: usize,
    /// V, where level 0 reads the ids of so many symbols instead of a dense input.
    pub symbols: Option<usize>,
    /// H.
    pub hidden: usize,
    /// L: levels; a level of two directions is two layers.
    pub layers: usize,
    /// Which way.
    pub direction: Direction,
    /// What a level from 1 on reads is added to what it gives.
    pub residual: bool,
}

/// A stack that can't be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StackError {
    /// A size out of its range.
    #[error("`{name}` is {found}: it must be in 1..={most}")]
    OutOfRange {
        /// Which size.
        name: &'static str,
        /// Its value.
        found: usize,
        /// Its largest value.
        most: usize,
    },
    /// More weights than can be counted.
    #[error("{layers} layers of {hidden} units over {inputs} inputs have more weights than any memory holds")]
    TooLarge {
        /// L.
        layers: usize,
        /// H.
        hidden: usize,
        /// I.
        inputs: usize,
    },
    /// A form that the cell does not have.
    #[error(transparent)]
    Variant(#[from] VariantError),
}

impl StackShape {
    /// A stack of plain cells, one direction, no residuals.
    pub fn new(cell: Cell, inputs: usize, hidden: usize, layers: usize) -> Self {
        let variant = Variant::default();
        Self { cell, variant, inputs, symbols: None, hidden, layers, direction: Direction::Forward, residual: false }
    }
    /// The same over `vocab` symbols: `embed` columns of a trained embedding, or 0 for one-hot symbols.
    pub fn of_symbols(cell: Cell, vocab: usize, embed: usize, hidden: usize, layers: usize) -> Self {
        Self { symbols: Some(vocab), ..Self::new(cell, embed, hidden, layers) }
    }
    /// Columns of a layer's h.
    fn layer_outputs(&self) -> usize {
        self.variant.projection.unwrap_or(self.hidden)
    }
    /// Numbers that the stack gives for a token: those of h, of both directions where they stand side by side.
    pub fn outputs(&self) -> usize {
        self.layer_outputs() * if self.direction == Direction::Concat { 2 } else { 1 }
    }
    /// The form of the layers of level `l`.
    pub fn layer(&self, l: usize) -> LayerShape {
        let input = match self.direction {
            _ if l == 0 => match (self.symbols, self.inputs) {
                (None, inputs) => Input::Dense(inputs),
                (Some(vocab), 0) => Input::Symbols(vocab),
                (Some(vocab), width) => Input::Embedded { vocab, width },
            },
            Direction::Concat => Input::Pair(self.layer_outputs()),
            _ => Input::Dense(self.layer_outputs()),
        };
        LayerShape { cell: self.cell, input, hidden: self.hidden, variant: self.variant }
    }
    /// Errors: a size out of its range, a form that the cell does not have.
    pub fn validate(&self) -> Result<(), StackError> {
        let of_two = MAX_DIMENSION / 2;
        for (name, found, most) in [
            ("inputs", self.inputs + usize::from(self.symbols.is_some() && self.inputs == 0), MAX_DIMENSION),
            ("symbols", self.symbols.unwrap_or(1), MAX_DIMENSION),
            ("hidden", self.hidden, of_two),
            ("layers", self.layers, 1 << 16),
            ("projection", self.layer_outputs(), of_two),
        ] {
            if !(1..=most).contains(&found) {
                return Err(StackError::OutOfRange { name, found, most });
            }
        }
        // Each at most as large as its bound above: no product of these wraps around.
        let units = (self.hidden + 16) as u128;
        let inputs =
            (self.inputs + self.symbols.unwrap_or(0) + 2 * self.layer_outputs() + self.layer_outputs() + 64) as u128;
        if 8 * units * inputs * 2 * self.layers as u128 > 1 << 61 {
            let Self { layers, hidden, inputs, .. } = *self;
            return Err(StackError::TooLarge { layers, hidden, inputs });
        }
        Ok(self.variant.validate(self.cell)?)
    }
}

impl Layout {
    /// The spaces of a stack without a readout. Panics where [`StackShape::validate`] has an error (a broken contract of
    /// the caller).
    pub fn stack(shape: &StackShape) -> Self {
        if let Err(amiss) = shape.validate() {
            panic!("{amiss}");
        }
        let orders = shape.direction.orders();
        let shapes: Vec<LayerShape> =
            (0..shape.layers).flat_map(|l| std::iter::repeat_n(shape.layer(l), orders.len())).collect();
        Self::of(&shapes, orders, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_of_two_directions_read_both_halves_in_whole_vectors() {
        let shape = StackShape { direction: Direction::Concat, ..StackShape::new(Cell::Gru, 5, 37, 3) };
        assert_eq!(shape.outputs(), 74);
        let layout = Layout::stack(&shape);
        assert_eq!((layout.layers().len(), layout.directions()), (6, 2));
        let orders: Vec<Order> = layout.layers().iter().map(|l| l.order).collect();
        assert_eq!(orders[..2], [Order::Ascending, Order::Descending]);
        assert_eq!((orders[..2].to_vec(), orders[2..4].to_vec()), (orders[2..4].to_vec(), orders[4..].to_vec()));
        let above = layout.layers()[3].shape;
        assert_eq!((above.inputs(), above.x_columns(), above.k_x()), (74, 96, 96));
        assert_eq!([0, 36, 37, 73].map(|i| above.k_of(i)), [0, 36, 48, 84]);
        let below = layout.layers()[1].shape;
        assert_eq!((below.inputs(), below.x_columns(), below.k_x(), below.k_of(4)), (5, 5, 8, 4));
    }

    /// Symbols come in below both directions; an embedding lies first and is there once.
    #[test]
    fn a_stack_reads_symbols_in_any_direction() {
        let shape = StackShape::of_symbols(Cell::Lstm, 19, 0, 37, 2);
        let shape = StackShape { direction: Direction::Concat, ..shape };
        let inputs: Vec<Input> = Layout::stack(&shape).layers().iter().map(|l| l.shape.input).collect();
        assert_eq!(inputs, [Input::Symbols(19), Input::Symbols(19), Input::Pair(37), Input::Pair(37)]);
        let embedded = StackShape { inputs: 9, ..shape };
        let layout = Layout::stack(&embedded);
        let input = Input::Embedded { vocab: 19, width: 9 };
        assert_eq!(layout.layers()[..2].iter().map(|l| l.shape.input).collect::<Vec<_>>(), [input, input]);
        let own = layout.embedding().and_then(|e| e.own.clone());
        assert_eq!(own.map(|own| own.end), Some(layout.layers()[0].w_ih.start));
        let none = StackShape { symbols: Some(0), ..shape }.validate();
        assert!(matches!(none, Err(StackError::OutOfRange { name: "symbols", .. })));
    }

    /// A linear map is a readout without a layer, and may have no bias.
    #[test]
    fn a_linear_map_is_a_readout_alone() {
        for bias in [true, false] {
            let layout = Layout::linear(37, 70, bias);
            let head = layout.head().expect("a readout");
            assert!(layout.layers().is_empty() && head.b.is_empty() != bias);
            assert_eq!((head.vocab, head.hidden, head.w.len()), (70, 37, 80 * 40));
            assert_eq!(layout.params(), 80 * 40 + if bias { 80 } else { 0 });
        }
    }

    #[test]
    fn sizes_that_no_stack_has_are_errors() {
        let shape = StackShape::new(Cell::Lstm, 5, 37, 3);
        assert_eq!(shape.validate(), Ok(()));
        let name = |shape: StackShape| match shape.validate() {
            Err(StackError::OutOfRange { name, .. }) => name,
            other => panic!("{other:?}"),
        };
        assert_eq!(name(StackShape { inputs: 0, ..shape }), "inputs");
        assert_eq!(name(StackShape { hidden: 0, ..shape }), "hidden");
        assert_eq!(name(StackShape { hidden: usize::MAX, ..shape }), "hidden");
        assert_eq!(name(StackShape { layers: 0, ..shape }), "layers");
        assert_eq!(name(StackShape { inputs: usize::MAX, ..shape }), "inputs");
        let huge = StackShape { hidden: 1 << 27, inputs: 1 << 28, layers: 1 << 16, ..shape };
        assert!(matches!(huge.validate(), Err(StackError::TooLarge { .. })));
        let largest = StackShape { hidden: 1 << 20, inputs: 1 << 20, layers: 1 << 10, ..shape };
        assert_eq!(largest.validate(), Ok(()));
        assert_eq!(Layout::stack(&largest).layers().len(), 1 << 10);
        let of_gru = StackShape { variant: Variant { reset_before: true, ..Variant::default() }, ..shape };
        assert!(matches!(of_gru.validate(), Err(StackError::Variant(_))));
    }
}
