//! The gradient of an embedding: `dE[s] = D[s] W_ih`, a GEMM over the symbols.
//!
//! D\[s\] is the sum of dA over the tokens with symbol s (`symbol_grad`), so a symbol that stands in many tokens is
//! multiplied once. k runs over the packed columns, panel after panel, as it does for dx_t of a dense input
//! (`op/input_grad.rs`). Derived in `doc/embedding.md`.

use crate::op::input_grad::{Run, product};
use crate::pack::{LANES, LayerShape};
use crate::tile::{Acc, RowsCall, Tier, tiles};
use crate::view::At;

/// The resolved operation: some rows of one panel of dE.
pub(crate) struct EmbeddingGrad<'a> {
    pub(crate) shape: &'a LayerShape,
    /// Transposed W_ih `[d_x panel][k over panels][n*16]`.
    pub(crate) t_ih: &'a [f32],
    /// D `[panel][V][n*16]`.
    pub(crate) sums: At,
    /// Panel of E's columns.
    pub(crate) panel: usize,
    /// The first symbol.
    pub(crate) first: usize,
}

/// `out [rows][n*16]` becomes the gradient of the rows from the first on.
///
/// # Safety
/// - the tier is available; `sums` has these rows and `t_ih` is the layer's.
#[inline(always)]
pub(crate) unsafe fn embedding_grad<T: Tier>(g: &EmbeddingGrad<'_>, out: &mut [f32]) {
    let (packed, columns) = (g.shape.panels(), g.shape.d_x_panels());
    let k = packed.vectors() * LANES;
    let n = columns.width(g.panel);
    let width = n * LANES;
    let b = g.t_ih[columns.offset(g.panel, k)..][..k * width].as_ptr();
    let zeros = [0.0f32; 4 * LANES];
    let mut acc = Acc::new();
    for (i, m) in tiles(out.len() / width, T::ROWS[n - 1]) {
        let acc_at: *mut f32 = acc.0.as_mut_ptr().cast();
        let mut call = RowsCall::new(zeros.as_ptr(), acc_at, 0);
        // SAFETY: rows and columns are in range by the caller's promise, `b` has k rows.
        unsafe { product::<T>(&g.sums, Run { packed, slot: 0, k: 0..k }, n, (g.first + i, m), b, &mut call) };
        for (row, acc) in out[i * width..].chunks_exact_mut(width).zip(&acc.0).take(m) {
            row.copy_from_slice(&acc[..width]);
        }
    }
}
