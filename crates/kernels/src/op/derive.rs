//! What follows from the masters after each update: start rows (weights with biases folded in) and transposed weights.
//!
//! Start row of symbol s: `W_ih[s] + (b_ih + b_hh)`; of a symbol never seen, or of a dense input: the biases alone. A
//! GRU's (n, r, z, n_h): n takes b_in alone and n_h starts from b_hn, which stays inside r (`doc/gru.md`).

use crate::pack::{Cell, LANES, LayerLayout, Panels};
use crate::vector::Vector;

/// Panel `p` of the start rows: `out [start_rows][slots*16]`.
///
/// # Safety
/// - the tier is available; `params` fills the layout; `out` is the panel.
#[inline(always)]
pub(crate) unsafe fn start_rows<V: Vector>(l: &LayerLayout, params: &[f32], p: usize, out: &mut [f32]) {
    let shape = &l.shape;
    let (panels, slots) = (shape.panels(), shape.slots());
    let (n, width) = (panels.width(p), slots.width(p) * LANES);
    let (b_ih, b_hh) = params[l.bias.clone()][2 * panels.first(p) * LANES..][..2 * n * LANES].split_at(n * LANES);
    let w = &params[l.w_ih.clone()][panels.offset(p, shape.k_x())..];
    let rows = shape.start_rows();
    // SAFETY: slices of whole vectors, indexed within their lengths.
    unsafe {
        let ih = |j: usize| V::load(b_ih[j * LANES..][..LANES].as_ptr());
        let hh = |j: usize| V::load(b_hh[j * LANES..][..LANES].as_ptr());
        for (s, row) in out.chunks_exact_mut(width).take(rows).enumerate() {
            let symbol = s + 1 < rows;
            for j in 0..n {
                // GRU: slot 0 is n_x with b_in alone; slots 1, 2 are r, z, whose h biases stand one slot earlier.
                let bias = match (shape.cell, j) {
                    (Cell::Gru, 0) => ih(0),
                    (Cell::Gru, _) => ih(j).add(hh(j - 1)),
                    _ => ih(j).add(hh(j)),
                };
                let v = if symbol { V::load(w[s * n * LANES + j * LANES..][..LANES].as_ptr()).add(bias) } else { bias };
                v.store(row[j * LANES..][..LANES].as_mut_ptr());
            }
            if shape.cell == Cell::Gru {
                hh(2).store(row[3 * LANES..][..LANES].as_mut_ptr());
            }
        }
    }
}

/// Part of a transposed matrix: columns of panel `q` of `to` for the packed columns `first..first + rows`.
///
/// `from` is `[panel][k][n*16]` with `k` rows in `panels`; `out` is `[rows][width(q)*16]`, out\[c\]\[i\] = from\[i\]\[c\].
#[inline(always)]
pub(crate) fn transpose(from: &[f32], panels: Panels, k: usize, to: Panels, q: usize, first: usize, out: &mut [f32]) {
    let width = to.width(q) * LANES;
    let inputs = to.first(q) * LANES;
    let taken = k.saturating_sub(inputs).min(width);
    // Blocks of one vector of columns: within it the source columns are neighbours.
    for (block, out) in out.chunks_mut(LANES * width).enumerate() {
        let column = first + block * LANES;
        let p = column / LANES / panels.per_panel();
        let stride = panels.width(p) * LANES;
        let base = panels.offset(p, k) + (column - panels.first(p) * LANES);
        let columns = out.len() / width;
        for i in 0..taken {
            let row = &from[base + (inputs + i) * stride..][..columns];
            for (c, &x) in row.iter().enumerate() {
                out[c * width + i] = x;
            }
        }
        for c in 0..columns {
            out[c * width + taken..(c + 1) * width].fill(0.0);
        }
    }
}
