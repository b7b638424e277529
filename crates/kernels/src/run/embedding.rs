//! Gradients below and of an embedding: shapes checked, addresses resolved. The operations are `op/embedding.rs`'s and
//! `op/weight_grad.rs`'s.

use super::{Rows, holds};
use crate::op::embedding::EmbeddingGrad;
use crate::pack::{Embedding, LANES, LayerShape};
use crate::table::Kernels;
use crate::view::At;

/// Panics where these are not the symbol rows of the layer; V.
fn symbols_of(shape: &LayerShape, sums: &[f32]) -> usize {
    let symbols = shape.symbols().filter(|_| shape.embedded()).unwrap_or(0);
    let floats = shape.panels().floats(symbols);
    assert!(symbols > 0 && sums.len() == floats, "embedding: {} sums for {floats} of {shape:?}", sums.len());
    symbols
}

impl Kernels {
    /// `out [rows][n*16] = sum over symbols ascending of E[s][column..]^T D[s]`: rows from `column` on of panel `panel` of
    /// dW_ih, all within one panel of E's columns.
    ///
    /// Shapes: `sums` is D, `[panel][V][n*16]`. Panics where a length is wrong or the columns are of two panels.
    pub fn embedded_weight_grad(
        &self,
        shape: &LayerShape,
        embedding: Embedding<'_>,
        sums: &[f32],
        (panel, column): (usize, usize),
        out: &mut [f32],
    ) {
        let symbols = symbols_of(shape, sums);
        holds(shape, embedding);
        let (packed, columns) = (shape.panels(), shape.d_x_panels());
        assert!(panel < packed.count() && column < columns.vectors() * LANES, "embedding: panel {panel}, {column}..");
        let (n, q) = (packed.width(panel), column / LANES / columns.per_panel());
        let (rows, end) = (out.len() / (n * LANES), (columns.first(q) + columns.width(q)) * LANES);
        let whole = out.len().is_multiple_of(n * LANES) && rows <= end - column;
        assert!(whole, "embedding: {} floats from column {column} on, of a panel that ends at {end}", out.len());
        let (d, e) = (At::packed(sums, packed, symbols), At::packed(embedding.data, columns, embedding.rows));
        // SAFETY: both panels were just checked to exist, with V rows each and the columns asked for.
        unsafe {
            let d = Rows { base: d.panel(panel, 0), stride: 4 * n * LANES, n };
            let e = e.panel(q, 0).add(column - columns.first(q) * LANES);
            let e = Rows { base: e, stride: 4 * columns.width(q) * LANES, n: columns.width(q) };
            (self.table().embedded_weight_grad)(e, d, symbols, out);
        }
    }

    /// `out [rows][n*16] = D[s] W_ih`: rows from symbol `first` on of panel `panel` of dE.
    ///
    /// Shapes: `t_ih` the layer's transposed W_ih, `sums` D, `[panel][V][n*16]`. Panics where a length is wrong.
    pub fn embedding_grad(
        &self,
        shape: &LayerShape,
        t_ih: &[f32],
        sums: &[f32],
        (panel, first): (usize, usize),
        out: &mut [f32],
    ) {
        let symbols = symbols_of(shape, sums);
        let (packed, columns) = (shape.panels(), shape.d_x_panels());
        let floats = columns.floats(packed.vectors() * LANES);
        assert!(t_ih.len() == floats, "embedding: {} transposed weights, not {floats}", t_ih.len());
        assert!(panel < columns.count(), "embedding: panel {panel} of {}", columns.count());
        let width = columns.width(panel) * LANES;
        let end = first.saturating_add(out.len() / width);
        assert!(out.len().is_multiple_of(width) && end <= symbols, "embedding: rows {first}..{end} of {symbols}");
        let sums = At::packed(sums, packed, symbols);
        // SAFETY: just checked.
        unsafe { (self.table().embedding_grad)(&EmbeddingGrad { shape, t_ih, sums, panel, first }, out) }
    }
}
