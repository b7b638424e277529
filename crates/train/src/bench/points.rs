//! The standard grid: five sizes, three cells, and what the weights must be after three steps.
//!
//! The hashes hold for any number of threads on the tiers that share their bits (design section 2). They depend on
//! everything that a training run's bits depend on, and on the seeded text of `text.rs`. To make them anew, after a change
//! of bits that CHANGELOG.md tells: `cargo test -p gatemill-suite --test grid -- --include-ignored` fails with what it finds.

use super::Sizes;
use crate::config::CellKind;

/// V of the grid: that of tiny Shakespeare.
pub const VOCAB: usize = 65;

/// A size of the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// `C1` to `C5`.
    pub name: &'static str,
    /// L
    pub layers: usize,
    /// H
    pub hidden: usize,
    /// T
    pub seq: usize,
    /// B
    pub batch: usize,
    /// `weights_sha256` after the warm-up: LSTM, GRU, RNN.
    sha256: [&'static str; 3],
}

impl Point {
    /// The cells, in the order of the hashes.
    pub const CELLS: [CellKind; 3] = [CellKind::Lstm, CellKind::Gru, CellKind::Rnn];

    /// The grid.
    pub const GRID: [Point; 5] = [
        Point { name: "C1", layers: 1, hidden: 128, seq: 50, batch: 50, sha256: ["", "", ""] },
        Point { name: "C2", layers: 2, hidden: 256, seq: 64, batch: 32, sha256: ["", "", ""] },
        Point { name: "C3", layers: 2, hidden: 512, seq: 100, batch: 64, sha256: ["", "", ""] },
        Point { name: "C4", layers: 3, hidden: 512, seq: 100, batch: 100, sha256: ["", "", ""] },
        Point { name: "C5", layers: 1, hidden: 1024, seq: 128, batch: 64, sha256: ["", "", ""] },
    ];

    /// Its sizes with a cell.
    pub fn sizes(&self, cell: CellKind) -> Sizes {
        let Self { layers, hidden, seq, batch, .. } = *self;
        Sizes { cell, layers, hidden, seq, batch, vocab: VOCAB }
    }
    /// The point that has these sizes.
    pub fn of(sizes: &Sizes) -> Option<&'static Point> {
        Self::GRID.iter().find(|point| point.sizes(sizes.cell) == *sizes)
    }
    /// The hash that is committed for these sizes.
    pub fn committed(sizes: &Sizes) -> Option<&'static str> {
        let cell = Self::CELLS.iter().position(|&cell| cell == sizes.cell)?;
        Some(Self::of(sizes)?.sha256[cell])
    }
}
