//! Weight gradients over all tokens of a chunk, tile by tile: `dW += a[row(token)]^T d[token]`, tokens ascending.
//!
//! ```text
//! for each block of tokens:             (its a rows stay in L2 for all panels)
//!   for each panel:                      (its d rows of the block stay in L1)
//!     for each tile of up to 7 rows of dW:
//!       dW tile += sum over the block    (stored and loaded again: bit-neutral)
//! ```
//!
//! A tile of dW has one owner and takes its tokens in order, so nothing is added up over threads. With shards, a call
//! covers the lanes of one shard. Symbol rows and biases are sums of d rows in the same order. Below an embedding W_ih
//! takes the symbols in place of the tokens: `dW_ih = sum over s of E[s]^T D[s]`, D the symbol rows (`op/embedding.rs`).

use crate::pack::LANES;
use crate::tile::{Tier, TokensCall, tiles};
use crate::vector::Vector;
use crate::view::{At, Part, Tokens};

/// Tokens of a block: 128 x 256 B of d is L1; doc/performance.md has the sweep.
const BLOCK: usize = 128;

/// The d rows of some columns: panel p of a panelled buffer, or part of a row-major one.
#[derive(Clone, Copy)]
pub(crate) struct Columns {
    /// Column 0 of token 0.
    pub(crate) base: *const f32,
    /// Bytes from token to token.
    pub(crate) stride: usize,
    /// Vectors, one to four.
    pub(crate) n: usize,
}

/// The resolved operation.
pub(crate) struct WeightGrad<'a> {
    pub(crate) a: At,
    /// First column of a: row 0 of the tile.
    pub(crate) column: usize,
    /// Row of a of each token.
    pub(crate) index: &'a [u32],
    /// Of the first panel.
    pub(crate) d: Columns,
    pub(crate) panels: usize,
    /// Bytes from panel to panel of d.
    pub(crate) panel_stride: usize,
    pub(crate) tokens: &'a Tokens,
    pub(crate) part: &'a Part,
}

/// Calls `f(first token, count)` for every stretch of tokens of this part, in order, in pieces of at most `most`.
#[inline(always)]
fn stretches(tokens: &Tokens, part: &Part, most: usize, mut f: impl FnMut(usize, usize)) {
    let (lanes, all) = (part.lanes.len(), part.lanes.len() == tokens.lanes());
    let (runs, len) = if all { (1, part.steps * lanes) } else { (part.steps, lanes) };
    for run in 0..runs {
        let begin = if all { 0 } else { run * tokens.lanes() + part.lanes.start };
        let mut done = 0;
        while done < len {
            let count = most.min(len - done);
            f(begin + done, count);
            done += count;
        }
    }
}

/// `out [panel][rows][n*16]` becomes the gradient.
///
/// # Safety
/// - the tier is available; rows of a, of index and of d are in range; `out` holds whole rows.
#[inline(always)]
pub(crate) unsafe fn weight_grad<T: Tier>(g: &WeightGrad<'_>, out: &mut [f32]) {
    let n = g.d.n;
    let rows = out.len() / (n * LANES * g.panels);
    out.fill(0.0);
    stretches(g.tokens, g.part, BLOCK, |token, count| {
        for (p, out) in out.chunks_exact_mut(rows * n * LANES).enumerate() {
            for (first, m) in tiles(rows, T::TOKEN_ROWS[n - 1]) {
                // SAFETY: rows, tokens, panels and columns are in range by the caller's promise.
                unsafe {
                    let call = TokensCall {
                        index: g.index.as_ptr().add(token),
                        a: g.a.panel(0, 0).add(g.column + first),
                        a_stride: 4 * g.a.row_stride(),
                        b: g.d.base.byte_add(p * g.panel_stride + token * g.d.stride),
                        b_stride: g.d.stride,
                        tokens: count,
                        c: out.as_mut_ptr().add(first * n * LANES),
                    };
                    T::tokens(n, m, &call);
                }
            }
        }
    });
}

/// The rows of a block, one after the other.
static IN_ORDER: [u32; BLOCK] = {
    let mut rows = [0; BLOCK];
    let mut i = 0;
    while i < BLOCK {
        rows[i] = i as u32;
        i += 1;
    }
    rows
};

/// `out [rows][n*16]` becomes the sum over `symbols` rows of a and d, ascending: the gradient of W_ih below an embedding.
///
/// # Safety
/// - the tier is available; a and d have these rows, and a the columns of `out`'s rows; `out` holds whole rows.
#[inline(always)]
pub(crate) unsafe fn embedded_weight_grad<T: Tier>(a: Columns, d: Columns, symbols: usize, out: &mut [f32]) {
    let rows = out.len() / (d.n * LANES);
    out.fill(0.0);
    for symbol in (0..symbols).step_by(BLOCK) {
        for (first, m) in tiles(rows, T::TOKEN_ROWS[d.n - 1]) {
            // SAFETY: rows and columns are in range by the caller's promise.
            unsafe {
                let call = TokensCall {
                    index: IN_ORDER.as_ptr(),
                    a: a.base.byte_add(symbol * a.stride).add(first),
                    a_stride: a.stride,
                    b: d.base.byte_add(symbol * d.stride),
                    b_stride: d.stride,
                    tokens: BLOCK.min(symbols - symbol),
                    c: out.as_mut_ptr().add(first * d.n * LANES),
                };
                T::tokens(d.n, m, &call);
            }
        }
    }
}

/// `out [V][n*16]` becomes the sum of the d rows of each symbol's tokens.
///
/// # Safety
/// - the tier is available; rows of d are in range; `ids` has an entry per token; `out` holds whole rows.
#[inline(always)]
pub(crate) unsafe fn symbol_grad<V: Vector>(d: Columns, ids: &[u32], tokens: &Tokens, part: &Part, out: &mut [f32]) {
    let width = d.n * LANES;
    let symbols = out.len() / width;
    out.fill(0.0);
    stretches(tokens, part, usize::MAX, |token, count| {
        for (token, &id) in (token..).zip(&ids[token..token + count]) {
            let id = id as usize;
            if id >= symbols {
                continue;
            }
            for j in 0..d.n {
                // SAFETY: id and token are in range.
                unsafe {
                    let at = out.as_mut_ptr().add(id * width + j * LANES);
                    let row = d.base.byte_add(token * d.stride).add(j * LANES);
                    V::load(at).add(V::load(row)).store(at);
                }
            }
        }
    });
}

/// `out [n*16]` becomes the sum of all d rows.
///
/// # Safety
/// - as [`symbol_grad`].
#[inline(always)]
pub(crate) unsafe fn bias_grad<V: Vector>(d: Columns, tokens: &Tokens, part: &Part, out: &mut [f32]) {
    out.fill(0.0);
    for j in 0..d.n {
        // SAFETY: tokens and columns are in range by the caller's promise.
        unsafe {
            let mut sum = V::splat(0.0);
            stretches(tokens, part, usize::MAX, |token, count| {
                for token in token..token + count {
                    sum = sum.add(V::load(d.base.byte_add(token * d.stride).add(j * LANES)));
                }
            });
            sum.store(out.as_mut_ptr().add(j * LANES));
        }
    }
}
