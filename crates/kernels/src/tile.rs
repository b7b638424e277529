//! The two k loops that all matrix work is made of, as each tier offers them.
//!
//! ```text
//! rows:    acc[m][0..n*16] = init[m] + sum over k ascending of a[m][k] * b[k][0..n*16]        (forward, input gradient)
//! tokens:  c[i][0..n*16]  +=           sum over tokens in order of a[row(token)][i] * b[place(token)][0..n*16]  (weights)
//! ```
//!
//! One accumulator per output, k ascending, fused multiply-add: the bits do not depend on how many rows share a tile.

use crate::vector::Vector;
use std::ops::Range;

/// Most rows that a tile of any tier has.
pub(crate) const MAX_ROWS: usize = 8;
/// Floats from one row of a tile's accumulators to the next.
pub(crate) const ACC_STRIDE: usize = 64;

/// Most tokens of a block of a weight gradient, of any tier.
pub(crate) const MOST_TOKENS: usize = 96;

/// The accumulators of a tile, on the stack.
#[repr(C, align(64))]
pub(crate) struct Acc(pub(crate) [[f32; ACC_STRIDE]; MAX_ROWS]);

impl Acc {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self([[0.0; ACC_STRIDE]; MAX_ROWS])
    }
}

/// Memory that a loop asks for while it runs, a little at each k: what is needed next is there then, and no burst of
/// requests stands in the way of the loop's own. Nothing is read or written, so any address will do.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Ahead {
    /// Where the next request goes.
    pub(crate) at: *const f32,
    /// Bytes further at each k.
    pub(crate) step: usize,
}

impl Ahead {
    /// Nothing: a line that is at hand anyway.
    #[inline(always)]
    pub(crate) fn nothing(at: *const f32) -> Self {
        Self { at, step: 0 }
    }
    /// Part `i` of `parts` of `bytes` from `begin` on, by a loop over k.
    #[inline(always)]
    pub(crate) fn part(begin: *const f32, bytes: usize, (i, parts): (usize, usize), k: usize) -> Self {
        Self { at: begin.wrapping_byte_add(i * (bytes / parts)), step: (bytes / parts).div_ceil(k) }
    }
    /// The same of lines that will be written: not one byte beyond, as what lies there may be another core's, which would
    /// have to fetch it back. What of the end is then left is asked for at once.
    #[inline(always)]
    pub(crate) fn written<T: Tier>(begin: *const f32, bytes: usize, (i, parts): (usize, usize), k: usize) -> Self {
        let bytes = bytes / parts;
        let (at, step) = (begin.wrapping_byte_add(i * bytes), bytes / k);
        for line in (step * k..bytes).step_by(64) {
            T::prefetch_write(at.wrapping_byte_add(line));
        }
        Self { at, step }
    }
}

/// The panel that comes after `p` of these: behind the last the first again.
#[inline(always)]
pub(crate) fn next_of(panels: &Range<usize>, p: usize) -> usize {
    if p + 1 < panels.end { p + 1 } else { panels.start }
}

/// What a `rows` loop needs beside its row pointers and `b`; `repr(C)`, as the assembly reads it by offset.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct RowsCall {
    /// Where row m starts from: n*16 floats. [offset 0]
    pub(crate) init: [*const f32; MAX_ROWS],
    /// Where row m ends: n*16 floats at `acc + m * ACC_STRIDE`. [64]
    pub(crate) acc: *mut f32,
    /// Runs of consecutive k. The loop counts it down. [72]
    pub(crate) runs: usize,
    /// Bytes of a run (4 k each). [80]
    pub(crate) run_bytes: usize,
    /// Bytes from the begin of a run to that of the next, in every row of a. [88]
    pub(crate) run_stride: usize,
    /// What is asked for into L2, two lines at a time. The loop moves it on. [96]
    pub(crate) ahead: Ahead,
    /// What is asked for into L1, to be written. The loop moves it on. [112]
    pub(crate) written: Ahead,
}

impl RowsCall {
    /// One run of `k`, every row from the same `init`; nothing is asked for.
    #[inline(always)]
    pub(crate) fn new(init: *const f32, acc: *mut f32, k: usize) -> Self {
        let nothing = Ahead::nothing(acc);
        let (runs, run_bytes, run_stride) = (1, 4 * k, 0);
        Self { init: [init; MAX_ROWS], acc, runs, run_bytes, run_stride, ahead: nothing, written: nothing }
    }
    /// The next loop begins where the last one ended. All rows, whether they are used or not: a store of some of them is a
    /// masked one, and on Zen 4 a loop that reads its pointers behind that waits some hundred cycles.
    #[inline(always)]
    pub(crate) fn go_on(&mut self) {
        for (i, init) in self.init.iter_mut().enumerate() {
            *init = self.acc.wrapping_add(i * ACC_STRIDE);
        }
    }
}

/// Tokens one after another whose rows of a, and those of b, lie a stride apart each. A loop that walks a span knows its
/// addresses far ahead; with an index read for every token, a Zen 4 waits for what is not in L1 (doc/performance.md).
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Span {
    /// Bytes from row 0 of a to the first token's row. [offset 0]
    pub(crate) a: usize,
    /// Likewise of b. [8]
    pub(crate) b: usize,
    /// At least one. [16]
    pub(crate) tokens: usize,
}

impl Span {
    /// Room for one.
    pub(crate) const NONE: Self = Self { a: 0, b: 0, tokens: 0 };

    /// The spans of tokens whose rows lie so many bytes from row 0 of a and of b, put into `room`. Panics where that is too
    /// small; one for each token will do.
    #[inline(always)]
    pub(crate) fn gather(room: &mut [Self], rows: impl Iterator<Item = [usize; 2]>, strides: [usize; 2]) -> &[Self] {
        let mut count = 0;
        for [a, b] in rows {
            match room[..count].last_mut() {
                Some(s) if [a, b] == [s.a + s.tokens * strides[0], s.b + s.tokens * strides[1]] => s.tokens += 1,
                _ => {
                    room[count] = Self { a, b, tokens: 1 };
                    count += 1;
                }
            }
        }
        &room[..count]
    }
}

/// What a `tokens` loop needs; `repr(C)`, as the assembly reads it by offset.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct TokensCall<'a> {
    /// c, `[m][n*16]` without gaps. [offset 0]
    pub(crate) c: *mut f32,
    /// Column i = 0 of row 0 of a. [8]
    pub(crate) a: *const f32,
    /// Row 0 of b. [16]
    pub(crate) b: *const f32,
    /// The tokens: at least one span.
    pub(crate) spans: &'a [Span],
    /// Bytes from row to row of a span, in a and in b.
    pub(crate) strides: [usize; 2],
    /// What is asked for into L1, to be written: the tile that comes next.
    pub(crate) next_c: Ahead,
    /// Bytes from each row of a to what is asked for into L2 then. None: what is being read anyway.
    pub(crate) next_a: isize,
    /// Likewise from each row of b.
    pub(crate) next_b: isize,
}

impl TokensCall<'_> {
    /// Each token's rows of a and b, in order.
    #[inline(always)]
    pub(crate) fn rows(&self) -> impl Iterator<Item = (*const f32, *const f32)> {
        let &Self { a, b, spans, strides, .. } = self;
        spans.iter().flat_map(move |s| {
            (0..s.tokens)
                .map(move |i| (a.wrapping_byte_add(s.a + i * strides[0]), b.wrapping_byte_add(s.b + i * strides[1])))
        })
    }
}

/// A tier: its vector, its tiles, its k loops.
pub(crate) trait Tier {
    type V: Vector;
    /// Rows of a `rows` tile whose panel has n vectors, at index n - 1.
    const ROWS: [usize; 4];
    /// Rows of a `tokens` tile whose panel has n vectors, at index n - 1.
    const TOKEN_ROWS: [usize; 4];
    /// Tokens of a block of a weight gradient, up to [`MOST_TOKENS`]: 96 x 256 B of d is half of L1 of a Zen 5; where the loops read each
    /// row several times, it must leave room on smaller ones too. `doc/performance.md` has the sweeps.
    const BLOCK: usize = MOST_TOKENS;
    /// Whether it walks a panel in strides, some of its columns at a time. No prefetcher follows that far: what comes next is
    /// asked for even where it is not much.
    const IN_STRIDES: bool = false;
    /// Vectors that its registers hold beside two more: the chains of `op::peak`.
    const CHAINS: usize;

    /// The `rows` loop with m rows of n vectors.
    ///
    /// # Safety
    /// - the tier is available; 1 <= n <= 4, 1 <= m <= ROWS[n - 1]; runs and run_bytes are not zero;
    /// - rows, init, acc and b are valid for what the loop reads and writes.
    unsafe fn rows(n: usize, m: usize, rows: &[*const f32; MAX_ROWS], b: *const f32, call: &mut RowsCall);

    /// The `rows` loop where all rows lie `stride` floats apart: a dense input, the readout.
    ///
    /// # Safety
    /// - as `rows`, with one run.
    #[inline(always)]
    unsafe fn strided_rows(n: usize, m: usize, rows: &[*const f32; MAX_ROWS], b: *const f32, call: &mut RowsCall) {
        // SAFETY: the same obligations.
        unsafe { Self::rows(n, m, rows, b, call) }
    }

    /// Asks for the cache line of `p` to be brought into L2; any address will do. Nothing, where a tier has no such
    /// instruction.
    #[inline(always)]
    fn prefetch(_p: *const f32) {}

    /// The same, into L1.
    #[inline(always)]
    fn prefetch_near(_p: *const f32) {}

    /// The same for a line that will be written, and into L1.
    #[inline(always)]
    fn prefetch_write(_p: *const f32) {}

    /// The `tokens` loop with m rows of n vectors.
    ///
    /// # Safety
    /// - the tier is available; 1 <= n <= 4, 1 <= m <= TOKEN_ROWS[n - 1];
    /// - spans, a, b and c are valid for what the loop reads and writes.
    unsafe fn tokens(n: usize, m: usize, call: &TokensCall<'_>);
}

/// The `rows` loop over a vector trait: the cross-check of the assembly and the body of the other tiers.
///
/// # Safety
/// - as [`Tier::rows`], with m = M and n = N.
#[inline(always)]
pub(crate) unsafe fn rows_generic<V: Vector, const M: usize, const N: usize>(
    rows: &[*const f32; MAX_ROWS],
    b: *const f32,
    call: &mut RowsCall,
) {
    // SAFETY: every address is one that the caller vouched for.
    unsafe {
        let mut acc: [[V; N]; M] = std::array::from_fn(|m| std::array::from_fn(|j| V::load(call.init[m].add(16 * j))));
        let mut b = b;
        let mut offset = 0;
        for _ in 0..call.runs {
            for k in 0..call.run_bytes / 4 {
                let w: [V; N] = std::array::from_fn(|j| V::load(b.add(16 * j)));
                for (m, row) in acc.iter_mut().enumerate() {
                    let a = V::splat(*rows[m].byte_add(offset).add(k));
                    for (c, w) in row.iter_mut().zip(w) {
                        *c = a.mul_add(w, *c);
                    }
                }
                b = b.add(16 * N);
            }
            offset += call.run_stride;
        }
        for (m, row) in acc.iter().enumerate() {
            for (j, c) in row.iter().enumerate() {
                c.store(call.acc.add(m * ACC_STRIDE + 16 * j));
            }
        }
    }
}

/// The `tokens` loop over a vector trait: the cross-check alone, as every tier has a loop of its own.
///
/// # Safety
/// - as [`Tier::tokens`], with m = M and n = N.
#[cfg(test)]
#[inline(always)]
pub(crate) unsafe fn tokens_generic<V: Vector, const M: usize, const N: usize>(call: &TokensCall<'_>) {
    // SAFETY: every address is one that the caller vouched for.
    unsafe {
        let mut acc: [[V; N]; M] =
            std::array::from_fn(|m| std::array::from_fn(|j| V::load(call.c.add((m * N + j) * 16))));
        for (a, b) in call.rows() {
            let w: [V; N] = std::array::from_fn(|j| V::load(b.add(16 * j)));
            for (m, row) in acc.iter_mut().enumerate() {
                let a = V::splat(*a.add(m));
                for (c, w) in row.iter_mut().zip(w) {
                    *c = a.mul_add(w, *c);
                }
            }
        }
        for (m, row) in acc.iter().enumerate() {
            for (j, c) in row.iter().enumerate() {
                c.store(call.c.add((m * N + j) * 16));
            }
        }
    }
}

/// Calls `$body::<V, M, N>` for the m and n at hand; m up to 8.
macro_rules! by_shape {
    ($n:expr, $m:expr, $body:ident::<$v:ty> $args:tt, [$($np:literal: $($mp:literal)+);+]) => {
        match ($n, $m) {
            $($(($np, $mp) => $body::<$v, $mp, $np> $args,)+)+
            (n, m) => unreachable!("no tile of {m} rows and {n} vectors"),
        }
    };
}
pub(crate) use by_shape;

/// Tiles of at most `most` rows that `count` rows make.
#[inline(always)]
pub(crate) fn tile_count(count: usize, most: usize) -> usize {
    count.div_ceil(most)
}

/// How `count` rows are cut into tiles of at most `most`: as few as will do, as even as they go.
#[inline(always)]
pub(crate) fn tiles(count: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let pieces = tile_count(count, most).max(1);
    let (each, more) = (count / pieces, count % pieces);
    (0..pieces).map(move |i| (i * each + i.min(more), each + usize::from(i < more))).filter(|&(_, m)| m > 0)
}

#[cfg(test)]
mod tests;
