//! What follows from the masters after each update: start rows (weights with biases folded in) and transposed weights.
//!
//! Start row of symbol s: `W_ih[s] + (b_ih + b_hh)`; with an embedding `(b_ih + b_hh) + E[s] W_ih^T`, a GEMM over the
//! symbols whose accumulators begin with the biases, k over E's columns ascending (`doc/embedding.md`); of a symbol never
//! seen, or of a dense input: the biases alone. A GRU's (n, r, z, n_h): n takes b_in alone and n_h starts from b_hn, which
//! stays inside r; where it resets before the product there is no n_h, and n takes both (`doc/gru.md`). Without biases the
//! weights alone, or zeros.

use crate::op::input_grad::{Run, product};
use crate::pack::{Cell, Embedding, LANES, LayerLayout, Panels};
use crate::tile::{ACC_STRIDE, Acc, RowsCall, Tier, tiles};
use crate::vector::{Pointwise, Vector};
use crate::view::At;

/// Some start rows of one panel.
pub(crate) struct StartRows<'a> {
    pub(crate) layout: &'a LayerLayout,
    pub(crate) params: &'a [f32],
    /// Where the layer has one.
    pub(crate) embedding: Option<Embedding<'a>>,
    pub(crate) panel: usize,
    /// The first row.
    pub(crate) first: usize,
}

/// `out [rows][slots*16]`: the rows from the first on.
///
/// # Safety
/// - the tier is available; the embedding holds every symbol and column of its layer; the rows exist.
#[inline(always)]
pub(crate) unsafe fn start_rows<T: Tier>(s: &StartRows<'_>, out: &mut [f32]) {
    let (l, p) = (s.layout, s.panel);
    let (panels, slots) = (l.shape.panels(), l.shape.slots());
    let (n, width, k) = (panels.width(p), slots.width(p) * LANES, l.shape.k_x());
    // SAFETY: `biases` holds a panel's slots.
    let biases = unsafe { biases::<T::V>(l, s.params, p) };
    let rows = out.len() / width;
    // The last start row is that of a symbol never seen.
    let symbols = rows.min(l.shape.start_rows() - 1 - s.first.min(l.shape.start_rows() - 1));
    let (of_symbols, unseen) = out.split_at_mut(symbols * width);
    unseen.chunks_exact_mut(width).for_each(|row| row.copy_from_slice(&biases[..width]));
    if symbols == 0 {
        return;
    }
    let w = &s.params[l.w_ih.clone()][panels.offset(p, k)..][..k * n * LANES];
    match s.embedding {
        // SAFETY: slices of whole vectors, indexed within their lengths.
        None => unsafe {
            for (i, row) in of_symbols.chunks_exact_mut(width).enumerate() {
                row.copy_from_slice(&biases[..width]);
                for (to, from) in
                    row.chunks_exact_mut(LANES).zip(w[(s.first + i) * n * LANES..].chunks_exact(LANES).take(n))
                {
                    T::V::load(from.as_ptr()).add(T::V::load(to.as_ptr())).store(to.as_mut_ptr());
                }
            }
        },
        Some(e) => {
            let columns = l.shape.d_x_panels();
            let (at, run) = (At::packed(e.data, columns, e.rows), Run { packed: columns, slot: 0, k: 0..k });
            let mut acc = Acc::new();
            for (i, m) in tiles(symbols, T::ROWS[n - 1]) {
                let acc_at: *mut f32 = acc.0.as_mut_ptr().cast();
                let mut call = RowsCall::new(biases.as_ptr(), acc_at, 0);
                // SAFETY: the embedding's rows are there by the caller's promise, `w` has k rows.
                unsafe { product::<T>(&at, run.clone(), n, (s.first + i, m), w.as_ptr(), &mut call) };
                for (row, acc) in of_symbols[i * width..].chunks_exact_mut(width).zip(&acc.0).take(m) {
                    row[..n * LANES].copy_from_slice(&acc[..n * LANES]);
                    row[n * LANES..].copy_from_slice(&biases[n * LANES..width]);
                }
            }
        }
    }
}

/// What the slots of panel `p` start from where no symbol adds to it.
///
/// # Safety
/// - the tier is available.
#[inline(always)]
unsafe fn biases<V: Vector>(l: &LayerLayout, params: &[f32], p: usize) -> [f32; ACC_STRIDE] {
    let panels = l.shape.panels();
    let n = panels.width(p);
    let mut out = [0.0; ACC_STRIDE];
    if l.bias.is_empty() {
        return out;
    }
    let (b_ih, b_hh) = params[l.bias.clone()][2 * panels.first(p) * LANES..][..2 * n * LANES].split_at(n * LANES);
    // SAFETY: slices of whole vectors, indexed within their lengths.
    unsafe {
        let ih = |j: usize| V::load(b_ih[j * LANES..][..LANES].as_ptr());
        let hh = |j: usize| V::load(b_hh[j * LANES..][..LANES].as_ptr());
        for j in 0..n {
            // GRU: slot 0 is n_x with b_in alone; slots 1, 2 are r, z, whose h biases stand one slot earlier.
            let bias = match (l.shape.cell, j) {
                (Cell::Gru, 0) if l.shape.variant.reset_before => ih(0).add(hh(2)),
                (Cell::Gru, 0) => ih(0),
                (Cell::Gru, _) => ih(j).add(hh(j - 1)),
                _ => ih(j).add(hh(j)),
            };
            bias.store(out[j * LANES..][..LANES].as_mut_ptr());
        }
        if l.shape.cell == Cell::Gru && !l.shape.variant.reset_before {
            hh(2).store(out[3 * LANES..][..LANES].as_mut_ptr());
        }
    }
    out
}

/// Part of a transposed matrix: columns of panel `q` of `to` for the packed columns `first..first + rows`.
///
/// `from` is `[panel][k][n*16]` with `k` rows in `panels`; `out` is `[rows][width(q)*16]`, out\[c\]\[i\] = from\[i\]\[c\].
///
/// # Safety
/// - the tier is available.
#[inline(always)]
pub(crate) unsafe fn transpose<V: Vector>(
    from: &[f32],
    panels: Panels,
    k: usize,
    to: Panels,
    q: usize,
    first: usize,
    out: &mut [f32],
) {
    let width = to.width(q) * LANES;
    let inputs = to.first(q) * LANES;
    let taken = k.saturating_sub(inputs).min(width);
    // Blocks of one vector of columns: within it the source columns are neighbours.
    for (block, out) in out.chunks_exact_mut(LANES * width).enumerate() {
        let column = first + block * LANES;
        let p = column / LANES / panels.per_panel();
        let stride = panels.width(p) * LANES;
        let base = panels.offset(p, k) + (column - panels.first(p) * LANES);
        let row = |i: usize| &from[base + (inputs + i) * stride..][..LANES];
        let squares = taken / LANES * LANES;
        for i in (0..squares).step_by(LANES) {
            // SAFETY: rows of a vector each; 16 columns of the output hold a vector from i on.
            unsafe {
                // Loops, no closures: those do not take the tier's instructions over.
                let mut square = [V::splat(0.0); LANES];
                for (r, to) in square.iter_mut().enumerate() {
                    *to = V::load(row(i + r).as_ptr());
                }
                for (c, column) in V::transpose(square).iter().enumerate() {
                    column.store(out[c * width + i..][..LANES].as_mut_ptr());
                }
            }
        }
        for i in squares..taken {
            for (c, &x) in row(i).iter().enumerate() {
                out[c * width + i] = x;
            }
        }
        for c in 0..LANES {
            out[c * width + taken..(c + 1) * width].fill(0.0);
        }
    }
}
