//! Weight gradients over all tokens of a chunk, tile by tile: `dW += a[row(token)]^T d[token]`, tokens by number.
//!
//! ```text
//! for each block of tokens:             (its a rows stay in L2 for all panels)
//!   for each panel:                      (its d rows of the block stay in L1)
//!     for each tile of up to 7 rows of dW:
//!       dW tile += sum over the block    (stored and loaded again: bit-neutral); meanwhile are asked for: the
//!                  next tile, its part of the next panel's d rows, and of the next block's a rows
//!     symbol rows, biases += d rows of the block    (a pass of their own would read all of d from memory again)
//! ```
//!
//! A tile of dW has one owner and takes its tokens in order, so nothing is added up over threads. With shards, a call
//! covers the lanes of one shard. Below an embedding W_ih
//! takes the symbols in place of the tokens: `dW_ih = sum over s of E[s]^T D[s]`, D the symbol rows (`op/embedding.rs`).

use crate::pack::LANES;
use crate::tile::{Ahead, MOST_TOKENS, Span, Tier, TokensCall, tile_count, tiles};
use crate::tokens::{Part, Tokens};
use crate::vector::Vector;
use crate::view::At;

/// The d rows of some columns: panel p of a panelled buffer, or part of a row-major one.
#[derive(Clone, Copy)]
pub(crate) struct Columns {
    /// Column 0 of row 0.
    pub(crate) base: *const f32,
    /// Bytes from row to row.
    pub(crate) stride: usize,
    /// Vectors, one to four.
    pub(crate) n: usize,
}

impl Columns {
    /// The same columns, `bytes` on.
    fn on(self, bytes: usize) -> Self {
        Self { base: self.base.wrapping_byte_add(bytes), ..self }
    }
    /// # Safety
    /// - there is such a row.
    #[inline(always)]
    pub(super) unsafe fn row(&self, place: u32) -> *const f32 {
        // SAFETY: the caller's.
        unsafe { self.base.byte_add(place as usize * self.stride) }
    }
}

/// Sums of d rows that are taken along: where they go, and of which columns of the first panel.
pub(crate) struct Along<'a> {
    /// `[panel][V][n*16]`, and the symbol of each token.
    pub(crate) symbols: Option<(Columns, &'a [u32], &'a mut [f32])>,
    /// `[panel][at least n*16]`: the first n*16 floats of each stretch.
    pub(crate) all: Option<(Columns, &'a mut [f32])>,
}

/// The resolved operation.
pub(crate) struct WeightGrad<'a> {
    pub(crate) a: At,
    /// First column of a: row 0 of the tile.
    pub(crate) column: usize,
    /// Row of a of each token, by place.
    pub(crate) index: &'a [u32],
    /// Of the first panel.
    pub(crate) d: Columns,
    pub(crate) panels: usize,
    /// Bytes from panel to panel of d.
    pub(crate) panel_stride: usize,
    pub(crate) tokens: &'a Tokens,
    pub(crate) part: &'a Part,
}

/// Calls `f(first number, count)` for every stretch of tokens of this part, in order, in pieces of at most `most`.
#[inline(always)]
pub(super) fn stretches(tokens: &Tokens, part: &Part, most: usize, mut f: impl FnMut(usize, usize)) {
    let all = part.lanes.len() == tokens.lanes();
    for run in 0..if all { 1 } else { part.steps } {
        // Numbers of all lanes follow one another, those of some lanes step by step.
        let (begin, len) = if all {
            (0, tokens.count_of(part.steps))
        } else {
            let lanes = tokens.alive(run, &part.lanes);
            (tokens.count_of(run) + lanes.start, lanes.len())
        };
        let mut done = 0;
        while done < len {
            let count = most.min(len - done);
            f(begin + done, count);
            done += count;
        }
    }
}

/// `out [panel][rows][n*16]` becomes the gradient, and what is taken along its sums.
///
/// # Safety
/// - the tier is available; rows of a, of index and of d are in range; `out` and the sums hold whole rows of every panel;
///   there is a symbol per token.
#[inline(always)]
pub(crate) unsafe fn weight_grad<T: Tier>(g: &WeightGrad<'_>, out: &mut [f32], along: Along<'_>) {
    let n = g.d.n;
    let rows = out.len() / (n * LANES * g.panels);
    let row_tiles = tile_count(rows, T::TOKEN_ROWS[n - 1]);
    out.fill(0.0);
    let Along { mut symbols, mut all } = along;
    if let Some((_, _, sums)) = &mut symbols {
        sums.fill(0.0);
    }
    if let Some((_, sums)) = &mut all {
        sums.fill(0.0);
    }
    // SAFETY: row 0 of a exists, and the tile's columns are inside it.
    let a = unsafe { g.a.panel(0, 0).add(g.column) }.cast_const();
    let a_stride = 4 * g.a.row_stride();
    let order = g.tokens.order();
    let strides = [a_stride, g.d.stride];
    const { assert!(T::BLOCK <= MOST_TOKENS, "there is no room for the spans of a block") };
    let mut room = [Span::NONE; MOST_TOKENS];
    stretches(g.tokens, g.part, T::BLOCK, |number, count| {
        let places = &order[number..number + count];
        let at = places.iter().map(|&p| [a_stride * g.index[p as usize] as usize, g.d.stride * p as usize]);
        let spans = Span::gather(&mut room, at, strides);
        // Most often the next block's tokens lie so many rows behind this one's; where they do not, some lines are asked for
        // in vain.
        let behind = count.div_ceil(g.tokens.blocks()) as isize;
        let begin = out.as_ptr();
        for (p, out) in out.chunks_exact_mut(rows * n * LANES).enumerate() {
            let is_last = p + 1 == g.panels;
            // To the same rows of the next panel, or to the next block's of the first.
            let (panels_on, rows_on) = if is_last { (-(p as isize), behind) } else { (1, 0) };
            let next_d = panels_on * g.panel_stride as isize + rows_on * g.d.stride as isize;
            for (i, (first, m)) in tiles(rows, T::TOKEN_ROWS[n - 1]).enumerate() {
                let c = out[first * n * LANES..].as_mut_ptr();
                let tile = m * n * LANES;
                let next_c = if is_last && i + 1 == row_tiles { begin } else { c.wrapping_add(tile) };
                // Each line of d's next rows is asked for by one of the tiles; each of a's by the tile where it begins, in one of
                // the panels.
                let each = (row_tiles / n).max(1);
                let asks_d = i.is_multiple_of(each) && i / each < n;
                let line = (g.column + first).next_multiple_of(LANES) - g.column;
                let asks_a = line < first + m && line / LANES % g.panels == p;
                let call = TokensCall {
                    c,
                    a: a.wrapping_add(first),
                    b: g.d.base.wrapping_byte_add(p * g.panel_stride),
                    spans,
                    strides,
                    next_c: Ahead::written::<T>(next_c, 4 * tile, (0, 1), count),
                    next_a: if asks_a { behind * a_stride as isize + 4 * (line - first) as isize } else { 0 },
                    next_b: if asks_d { next_d + (4 * LANES * (i / each)) as isize } else { 0 },
                };
                // SAFETY: rows, tokens, panels and columns are in range by the caller's promise.
                unsafe { T::tokens(n, m, &call) };
            }
            // SAFETY: as above.
            unsafe {
                if let Some((d, ids, sums)) = &mut symbols {
                    let each = sums.len() / g.panels;
                    let (d, ids) = (d.on(p * g.panel_stride), &ids[number..number + count]);
                    add_by_symbol::<T::V>(d, places, ids, &mut sums[p * each..(p + 1) * each]);
                }
                if let Some((d, sums)) = &mut all {
                    let each = sums.len() / g.panels;
                    add_all::<T::V>(d.on(p * g.panel_stride), places, &mut sums[p * each..]);
                }
            }
        }
    });
}

/// `out [rows][n*16]` becomes the sum over `symbols` rows of a and d, ascending: the gradient of W_ih below an embedding.
///
/// # Safety
/// - the tier is available; a and d have these rows, and a the columns of `out`'s rows; `out` holds whole rows.
#[inline(always)]
pub(crate) unsafe fn embedded_weight_grad<T: Tier>(a: Columns, d: Columns, symbols: usize, out: &mut [f32]) {
    let rows = out.len() / (d.n * LANES);
    out.fill(0.0);
    for symbol in (0..symbols).step_by(T::BLOCK) {
        let span = Span { a: symbol * a.stride, b: symbol * d.stride, tokens: T::BLOCK.min(symbols - symbol) };
        for (first, m) in tiles(rows, T::TOKEN_ROWS[d.n - 1]) {
            // SAFETY: rows and columns are in range by the caller's promise.
            unsafe {
                let c = out.as_mut_ptr().add(first * d.n * LANES);
                let call = TokensCall {
                    c,
                    a: a.base.add(first),
                    b: d.base,
                    spans: &[span],
                    strides: [a.stride, d.stride],
                    next_c: Ahead::nothing(c),
                    next_a: 0,
                    next_b: 0,
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
    out.fill(0.0);
    stretches(tokens, part, usize::MAX, |number, count| {
        let numbers = number..number + count;
        // SAFETY: the caller's obligations.
        unsafe { add_by_symbol::<V>(d, &tokens.order()[numbers.clone()], &ids[numbers], out) };
    });
}

/// Row s of `sums [V][n*16]` += the d rows of the tokens whose symbol is s, in order; a symbol from V on has none.
///
/// # Safety
/// - the tier is available; d has a row at each of `places`, which has as many as `ids`; `sums` holds whole rows.
#[inline(always)]
unsafe fn add_by_symbol<V: Vector>(d: Columns, places: &[u32], ids: &[u32], sums: &mut [f32]) {
    let width = d.n * LANES;
    let symbols = sums.len() / width;
    for (&place, &id) in places.iter().zip(ids) {
        let id = id as usize;
        if id >= symbols {
            continue;
        }
        for j in 0..d.n {
            // SAFETY: the symbol was just checked, the row is the caller's promise.
            unsafe {
                let at = sums.as_mut_ptr().add(id * width + j * LANES);
                V::load(at).add(V::load(d.row(place).add(j * LANES))).store(at);
            }
        }
    }
}

/// The first n*16 floats of `sums` += the d rows at `places`, in order.
///
/// # Safety
/// - the tier is available; d has these rows; `sums` holds n*16 floats.
#[inline(always)]
unsafe fn add_all<V: Vector>(d: Columns, places: &[u32], sums: &mut [f32]) {
    // SAFETY: the caller's obligations.
    unsafe {
        match d.n {
            1 => add_vectors::<V, 1>(d, places, sums),
            2 => add_vectors::<V, 2>(d, places, sums),
            3 => add_vectors::<V, 3>(d, places, sums),
            _ => add_vectors::<V, 4>(d, places, sums),
        }
    }
}

/// N sums side by side: one alone would wait for its own last addition.
///
/// # Safety
/// - as [`add_all`], with d.n = N.
#[inline(always)]
unsafe fn add_vectors<V: Vector, const N: usize>(d: Columns, places: &[u32], sums: &mut [f32]) {
    // SAFETY: N vectors of sums, and d's rows, by the caller's promise.
    unsafe {
        let at: [*mut f32; N] = std::array::from_fn(|j| sums.as_mut_ptr().add(j * LANES));
        let mut acc = [V::splat(0.0); N];
        for (sum, &at) in acc.iter_mut().zip(&at) {
            *sum = V::load(at);
        }
        for &place in places {
            for (j, sum) in acc.iter_mut().enumerate() {
                *sum = sum.add(V::load(d.row(place).add(j * LANES)));
            }
        }
        for (sum, &at) in acc.iter().zip(&at) {
            sum.store(at);
        }
    }
}
