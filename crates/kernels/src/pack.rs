//! Where every weight lies: panels, segments, and the flat parameter space of a model.
//!
//! A packed matrix is `[panel][k][n*16]`: a panel is n <= 4 vectors of 16 columns, its k rows (the summed index) follow
//! one another, so a k loop streams. For an LSTM a panel is the four gates (i, f, g, o) of 16 units; for a GRU three
//! (x rows: n, r, z; h rows: r, z, n); for an RNN up to 64 units of its one gate; for the readout up to 64 symbols; for
//! an embedding up to 64 of its columns, k being the symbols.
//! Masters, gradients and moments share this layout, so the update is one flat loop. Padding is zero and stays zero.

mod layer; // what a layer is, and its panels

mod layout; // where each of its matrices begins

pub use layer::{Cell, Input, LayerShape};
pub use layout::{Embedding, EmbeddingLayout, HeadLayout, LayerLayout, Layout, Weights};

/// Floats in a vector; units in a panel of LSTM and GRU.
pub const LANES: usize = 16;

/// Largest I, H, V and E: no size of a layout overflows below it.
pub(crate) const MAX_DIMENSION: usize = 1 << 28;

/// `x` rounded up to a multiple of `to`.
pub(crate) fn round_up(x: usize, to: usize) -> usize {
    x.div_ceil(to) * to
}

/// How vectors of 16 columns are grouped into panels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Panels {
    vectors: usize,
    per_panel: usize,
}

impl Panels {
    /// Panels of `per_panel` vectors each.
    pub fn fixed(vectors: usize, per_panel: usize) -> Self {
        assert!((1..=4).contains(&per_panel), "a panel is one to four vectors, not {per_panel}");
        Self { vectors, per_panel }
    }
    /// As few panels of at most four vectors as will do, as even as they go: 5 = 3 + 2.
    pub fn even(vectors: usize) -> Self {
        let count = vectors.div_ceil(4).max(1);
        Self::fixed(vectors, vectors.div_ceil(count).max(1))
    }
    /// Number of panels.
    pub fn count(self) -> usize {
        self.vectors.div_ceil(self.per_panel)
    }
    /// Vectors in all.
    pub fn vectors(self) -> usize {
        self.vectors
    }
    /// Vectors of a full panel.
    pub fn per_panel(self) -> usize {
        self.per_panel
    }
    /// Vectors of panel `p`; the last may be narrower.
    pub fn width(self, p: usize) -> usize {
        self.per_panel.min(self.vectors - p * self.per_panel)
    }
    /// First vector of panel `p`.
    pub fn first(self, p: usize) -> usize {
        p * self.per_panel
    }
    /// Floats of a matrix with `k` rows.
    pub fn floats(self, k: usize) -> usize {
        self.vectors * LANES * k
    }
    /// Where panel `p` of a matrix with `k` rows begins.
    pub fn offset(self, p: usize, k: usize) -> usize {
        self.first(p) * LANES * k
    }
    /// Where element (row `k_at`, column `column`) of a matrix with `k` rows lies.
    pub fn at(self, k: usize, k_at: usize, column: usize) -> usize {
        let p = column / LANES / self.per_panel;
        self.offset(p, k) + k_at * self.width(p) * LANES + (column - self.first(p) * LANES)
    }
}
