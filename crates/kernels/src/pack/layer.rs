//! What a layer is, and which panels its matrices have: cell, input, hidden units, variant.

use super::{LANES, Panels, round_up};
use crate::variant::Variant;

/// The recurrent cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cell {
    /// h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh) (lecture L1).
    Rnn,
    /// Input, forget, cell and output gate; PyTorch's order i, f, g, o (lecture L9).
    Lstm,
    /// Reset-after GRU with its own b_hn; PyTorch's order r, z, n (lecture L11).
    Gru,
}

impl Cell {
    /// G: gates, and so rows of a PyTorch weight per hidden unit.
    pub fn gates(self) -> usize {
        match self {
            Cell::Rnn => 1,
            Cell::Lstm => 4,
            Cell::Gru => 3,
        }
    }
    /// The name of flags and files.
    pub fn name(self) -> &'static str {
        match self {
            Cell::Rnn => "rnn",
            Cell::Lstm => "lstm",
            Cell::Gru => "gru",
        }
    }
    /// For packed gate `slot` of an x row: the PyTorch gate that it holds.
    pub(crate) fn x_order(self) -> &'static [usize] {
        match self {
            Cell::Rnn => &[0],
            Cell::Lstm => &[0, 1, 2, 3],
            Cell::Gru => &[2, 0, 1],
        }
    }
    /// For packed gate `slot` of an h row: the PyTorch gate that it holds.
    pub(crate) fn h_order(self) -> &'static [usize] {
        match self {
            Cell::Gru => &[0, 1, 2],
            other => other.x_order(),
        }
    }
}

/// What a layer reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Dense rows of I numbers, multiplied with W_ih.
    Dense(usize),
    /// The h of two layers side by side, of so many columns each, which begin at whole vectors: both directions of the
    /// level below.
    Pair(usize),
    /// Ids of V symbols, one-hot: the start row of symbol s is row s of the packed W_ih. Nothing is multiplied.
    Symbols(usize),
    /// Ids of V symbols with a trained embedding `[V, E]`: the start row of symbol s is its row times W_ih.
    Embedded {
        /// V.
        vocab: usize,
        /// E.
        width: usize,
    },
    /// Ids of V symbols whose embedding is the readout's matrix `[V, H]`: E = H, or P of a projection.
    Tied(usize),
}

/// One recurrent layer's form.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerShape {
    /// The cell.
    pub cell: Cell,
    /// What it reads.
    pub input: Input,
    /// H.
    pub hidden: usize,
    /// How the cell differs from the plain one.
    pub variant: Variant,
}

impl LayerShape {
    /// A layer of the plain cell.
    pub fn new(cell: Cell, input: Input, hidden: usize) -> Self {
        Self { cell, input, hidden, variant: Variant::default() }
    }
    /// Columns of h, which the next layer, the readout and the next step read: P of a projection, else H.
    pub fn outputs(&self) -> usize {
        self.variant.projection.unwrap_or(self.hidden)
    }
    /// Columns of W_ih: I, V, E, or those of both directions.
    pub fn inputs(&self) -> usize {
        match self.input {
            Input::Dense(inputs) => inputs,
            Input::Pair(each) => 2 * each,
            Input::Symbols(vocab) => vocab,
            Input::Embedded { width, .. } => width,
            Input::Tied(_) => self.outputs(),
        }
    }
    /// Columns of the rows that it reads, with the padding between two directions.
    pub fn x_columns(&self) -> usize {
        match self.input {
            Input::Pair(each) => 2 * round_up(each, LANES),
            _ => self.inputs(),
        }
    }
    /// The row of the packed W_ih that input `i` is multiplied with, and so its column.
    pub fn k_of(&self, i: usize) -> usize {
        match self.input {
            Input::Pair(each) if i >= each => round_up(each, LANES) + i - each,
            _ => i,
        }
    }
    /// V, where it reads symbols.
    pub fn symbols(&self) -> Option<usize> {
        match self.input {
            Input::Dense(_) | Input::Pair(_) => None,
            Input::Symbols(vocab) | Input::Embedded { vocab, .. } | Input::Tied(vocab) => Some(vocab),
        }
    }
    /// An embedding stands between the symbols and W_ih.
    pub fn embedded(&self) -> bool {
        matches!(self.input, Input::Embedded { .. } | Input::Tied(_))
    }
    /// Vectors of 16 hidden units.
    pub fn hidden_vectors(&self) -> usize {
        self.hidden.div_ceil(LANES)
    }
    /// Panels of the packed weights and biases.
    pub fn panels(&self) -> Panels {
        let hv = self.hidden_vectors();
        match self.cell {
            Cell::Rnn => Panels::even(hv),
            Cell::Lstm => Panels::fixed(4 * hv, 4),
            Cell::Gru => Panels::fixed(3 * hv, 3),
        }
    }
    /// Panels of the packed W_hh: all gates, but for a GRU that resets before its product, which has r and z here and
    /// W_hn apart.
    pub fn h_panels(&self) -> Panels {
        if self.variant.reset_before { Panels::fixed(2 * self.hidden_vectors(), 2) } else { self.panels() }
    }
    /// Panels of 16 units, as those of the cell state.
    pub fn unit_vectors(&self) -> Panels {
        Panels::fixed(self.hidden_vectors(), 1)
    }
    /// Panels of 64 units.
    pub fn unit_panels(&self) -> Panels {
        Panels::even(self.hidden_vectors())
    }
    /// There is a second product in each step: with W_hn of a GRU that resets before, or with W_hr of a projection.
    pub fn has_inner(&self) -> bool {
        self.variant.reset_before || self.variant.projection.is_some()
    }
    /// Panels of the second product's matrix: W_hn has 16 units a panel, W_hr as many columns of h as d_h.
    pub fn inner_panels(&self) -> Panels {
        if self.variant.reset_before { self.unit_vectors() } else { self.d_h_panels() }
    }
    /// Rows of the second product's matrix.
    pub fn k_inner(&self) -> usize {
        round_up(self.hidden, 4)
    }
    /// Panels of the gate buffer and the start rows: a GRU keeps four values a unit (n, r, z, W_hn h + b_hn), one that
    /// resets before three.
    pub fn slots(&self) -> Panels {
        match self.cell {
            Cell::Gru if !self.variant.reset_before => Panels::fixed(4 * self.hidden_vectors(), 4),
            _ => self.panels(),
        }
    }
    /// Rows of the packed W_ih: the symbols, or what is multiplied with it padded to a multiple of 4.
    pub fn k_x(&self) -> usize {
        match self.input {
            Input::Symbols(vocab) => vocab,
            _ => round_up(self.x_columns(), 4),
        }
    }
    /// Rows of the packed W_hh.
    pub fn k_h(&self) -> usize {
        round_up(self.outputs(), 4)
    }
    /// Start rows: one per symbol and one for a symbol never seen, or one in all.
    pub fn start_rows(&self) -> usize {
        self.symbols().map_or(1, |vocab| vocab + 1)
    }
    /// Panels of d_x, and of an embedding's columns: 64 inputs each.
    pub fn d_x_panels(&self) -> Panels {
        Panels::even(self.x_columns().div_ceil(LANES))
    }
    /// Panels of dh_{t-1}, 64 of its columns each.
    pub fn d_h_panels(&self) -> Panels {
        Panels::even(self.outputs().div_ceil(LANES))
    }
    /// The column, among the packed columns, of (PyTorch gate `gate`, unit `unit`) in an x row (`h` false) or h row.
    pub fn column(&self, h: bool, gate: usize, unit: usize) -> usize {
        let order = if h { self.cell.h_order() } else { self.cell.x_order() };
        let slot = order.iter().position(|&g| g == gate).expect("gate < G");
        (unit / LANES * order.len() + slot) * LANES + unit % LANES
    }
    /// The column of (PyTorch gate `gate`, unit `unit`) among those of W_hh, or (true) of the second product's matrix.
    pub fn h_column(&self, gate: usize, unit: usize) -> (bool, usize) {
        match gate {
            _ if !self.variant.reset_before => (false, self.column(true, gate, unit)),
            2 => (true, unit),
            _ => (false, (unit / LANES * 2 + gate) * LANES + unit % LANES),
        }
    }
}
