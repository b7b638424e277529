//! Forward: `pre = start[symbol] + x_t W_ih^T + h_{t-1} W_hh^T`, then gates, c_t and h_t while the tile is in L1.
//!
//! ```text
//! for each panel of units:              (its weights stay in L2 for all lanes)
//!   for each tile of lanes:
//!     acc   = start row of each lane's symbol (biases folded in)
//!     acc  += x_t[k] * W_ih[k]          k ascending, where the input is dense
//!     acc  += h_{t-1}[k] * W_hh[k]      k ascending
//!     gates, c_t, h_t = cell(acc, c_{t-1}, h_{t-1})
//! ```
//!
//! No pre-activation goes to memory. Gates are kept after activation: backward needs nothing else.
//! Sources: lecture L1, L9, L11; `doc/rnn.md`, `doc/lstm.md`, `doc/gru.md`.

use crate::math::{sigmoid, tanh};
use crate::pack::{Cell, LANES, LayerLayout, Weights};
use crate::random::unit_words;
use crate::tile::{ACC_STRIDE, Acc, MAX_ROWS, RowsCall, Tier, tiles};
use crate::tokens::Tokens;
use crate::vector::Vector;
use crate::view::{At, Column};
use std::ops::Range;

/// Inverted dropout between layers: which unit survives is a function of (seed, layer, lane, position, unit).
#[derive(Debug, Clone, Copy)]
pub struct Dropout {
    /// A unit survives where its word is below this: (1 - P) * 2^32.
    pub(crate) keep_below: u32,
    /// 1 / (1 - P).
    pub(crate) scale: f32,
    /// The run's seed.
    pub seed: u64,
    /// Absolute position of the chunk's first step in its lane.
    pub position: u64,
    /// Global number of the chunk's first lane.
    pub first_lane: u64,
}

impl Dropout {
    /// Dropout with probability `p`, in 0 <= p < 1 (at 0 one unit in 2^32 still drops: leave dropout out instead).
    /// Panics otherwise.
    pub fn new(p: f64, seed: u64, position: u64, first_lane: u64) -> Self {
        assert!((0.0..1.0).contains(&p), "a dropout probability is in [0, 1), not {p}");
        let keep_below = ((1.0 - p) * 4_294_967_296.0).min(4_294_967_295.0) as u32;
        Self { keep_below, scale: (1.0 / (1.0 - p)) as f32, seed, position, first_lane }
    }

    /// The multipliers (0 or 1/(1-P)) of the 16 units of `vector` of `layer` at (step `t`, `lane`).
    #[inline(always)]
    pub fn mask(&self, layer: usize, t: usize, lane: usize, vector: usize) -> [f32; LANES] {
        let (lane, position) = (self.first_lane + lane as u64, self.position + t as u64);
        unit_words(self.seed, layer as u32, lane, position, vector as u32)
            .map(|word| if word < self.keep_below { self.scale } else { 0.0 })
    }
}

/// The resolved operation: addresses instead of ids, ranges instead of claims.
pub(crate) struct Forward<'a> {
    pub(crate) layer: usize,
    pub(crate) layout: &'a LayerLayout,
    pub(crate) weights: Weights<'a>,
    /// Symbols of the chunk's tokens, where the input is symbols.
    pub(crate) ids: Option<&'a [u32]>,
    /// The dense input by row.
    pub(crate) x: Option<At>,
    pub(crate) h: At,
    /// LSTM only.
    pub(crate) c: Option<At>,
    pub(crate) gates: At,
    pub(crate) dropped: Option<(At, Dropout)>,
    /// By row: what a variant's second product reads.
    pub(crate) inner: Option<At>,
    pub(crate) tokens: &'a Tokens,
    /// Row of the state before each token, in the layer's order.
    pub(crate) prev_rows: &'a [u32],
    pub(crate) t: usize,
    pub(crate) lanes: Range<usize>,
    pub(crate) panels: Range<usize>,
}

/// One tile's lanes: m tokens and their previous rows.
pub(super) struct Lanes {
    pub(super) m: usize,
    pub(super) lane: usize,
    pub(super) token: usize,
    pub(super) prev: [usize; MAX_ROWS],
}

/// # Safety
/// - the tier is available; every address of `f` was checked against its buffer, and no other worker touches the rows
///   written (t, lanes, panels) or writes the rows read.
#[inline(always)]
pub(crate) unsafe fn forward<T: Tier>(f: &Forward<'_>) {
    // SAFETY: the same obligations.
    unsafe { forward_of::<T, false>(f) }
}

/// The plain cells, or their variants: the same products, the epilogues of `op/variant`.
///
/// # Safety
/// - as [`forward`].
#[inline(always)]
pub(super) unsafe fn forward_of<T: Tier, const VARIANT: bool>(f: &Forward<'_>) {
    let shape = &f.layout.shape;
    let (panels, slots) = (shape.panels(), shape.slots());
    let h_panels = if VARIANT { shape.h_panels() } else { panels };
    let (k_x, k_h) = (shape.k_x(), shape.k_h());
    let start_rows = shape.start_rows();
    let start = f.weights.start[f.layout.start.clone()].as_ptr();
    let w_ih = f.weights.params[f.layout.w_ih.clone()].as_ptr();
    let w_hh = f.weights.params[f.layout.w_hh.clone()].as_ptr();
    // A GRU's slots are (n_x, r, z, n_h): x rows feed the first three, h rows the last three.
    let h_slot = if shape.cell == Cell::Gru { LANES } else { 0 };
    let mut acc = Acc::new();
    let acc_at: *mut f32 = acc.0.as_mut_ptr().cast();
    for p in f.panels.clone() {
        let n = panels.width(p);
        for (first, m) in tiles(f.lanes.len(), T::ROWS[n - 1]) {
            let lane = f.lanes.start + first;
            let token = f.tokens.token(f.t, lane);
            let mut prev = [0; MAX_ROWS];
            for (i, row) in prev.iter_mut().enumerate().take(m) {
                *row = f.prev_rows[token + i] as usize;
            }
            let at = Lanes { m, lane, token, prev };
            // SAFETY: rows and panels are in range by the caller's promise; start rows by the clamp below.
            unsafe {
                let mut call = RowsCall::new(std::ptr::null(), acc_at, k_x);
                let start = start.add(slots.offset(p, start_rows));
                let start_width = slots.width(p) * LANES;
                for i in 0..m {
                    let row = f.ids.map_or(0, |ids| (ids[token + i] as usize).min(start_rows - 1));
                    call.init[i] = start.add(row * start_width);
                }
                if shape.cell == Cell::Gru {
                    // Two loops feed different slots: the row must lie whole in the accumulators first.
                    for i in 0..m {
                        let floats = if VARIANT { start_width } else { 4 * LANES };
                        std::ptr::copy_nonoverlapping(call.init[i], acc_at.add(i * ACC_STRIDE), floats);
                        call.init[i] = acc_at.add(i * ACC_STRIDE);
                    }
                }
                let mut rows = [std::ptr::null::<f32>(); MAX_ROWS];
                if let Some(x) = f.x {
                    for (i, row) in rows.iter_mut().enumerate().take(m) {
                        *row = x.panel(0, f.tokens.row(token + i));
                    }
                    T::strided_rows(n, m, &rows, w_ih.add(panels.offset(p, k_x)), &mut call);
                    for i in 0..m {
                        call.init[i] = acc_at.add(i * ACC_STRIDE);
                    }
                }
                for (row, prev) in rows.iter_mut().zip(at.prev).take(m) {
                    *row = f.h.panel(0, prev);
                }
                call.runs = 1;
                call.run_bytes = 4 * k_h;
                call.acc = acc_at.add(h_slot);
                for init in call.init.iter_mut().take(m) {
                    *init = init.add(h_slot);
                }
                if !VARIANT && shape.cell != Cell::Rnn {
                    expect_writes::<T>(f, token..token + m, p);
                }
                let w_hh = w_hh.add(h_panels.offset(p, k_h));
                if VARIANT {
                    T::rows(h_panels.width(p), m, &rows, w_hh, &mut call);
                    super::variant::cell::<T::V>(f, &at, acc_at, p, n);
                    continue;
                }
                T::rows(n, m, &rows, w_hh, &mut call);
                match shape.cell {
                    Cell::Rnn => rnn::<T::V>(f, &at, acc_at, panels.first(p), n),
                    Cell::Lstm => lstm::<T::V>(f, &at, acc_at, p),
                    Cell::Gru => gru::<T::V>(f, &at, acc_at, p),
                }
            }
        }
    }
}

/// Asks for the lines that the epilogue will write, while the product runs.
///
/// # Safety
/// - these tokens and this panel are in range.
#[inline(always)]
unsafe fn expect_writes<T: Tier>(f: &Forward<'_>, tokens: Range<usize>, p: usize) {
    // SAFETY: in range by the caller's promise.
    unsafe {
        let (gates, h, c) = (f.gates.column(p), f.h.column(p), f.c.map(|c| c.column(p)));
        for token in tokens {
            for j in 0..f.layout.shape.slots().width(p) {
                T::prefetch_write(gates.row(token).add(j * LANES));
            }
            T::prefetch_write(h.row(f.tokens.row(token)));
            if let Some(c) = &c {
                T::prefetch_write(c.row(f.tokens.row(token)));
            }
        }
    }
}

/// h_t of 16 units, flushed; with dropout, its dropped copy.
#[inline(always)]
pub(super) unsafe fn put_h<V: Vector>(f: &Forward<'_>, at: &Lanes, i: usize, (h_at, vector): (Column, usize), h: V) {
    let row = f.tokens.row(at.token + i);
    // SAFETY: the row is the worker's own.
    unsafe {
        let h = h.flush();
        h.store(h_at.row(row));
        if let Some((dropped, dropout)) = &f.dropped {
            let mask = dropout.mask(f.layer, f.t, at.lane + i, vector);
            h.mul(V::load(mask.as_ptr())).store(dropped.panel(vector, row));
        }
    }
}

/// h_t = tanh(pre).
#[inline(always)]
unsafe fn rnn<V: Vector>(f: &Forward<'_>, at: &Lanes, acc: *const f32, first: usize, n: usize) {
    for j in 0..n {
        // SAFETY: acc holds m rows of n vectors, and h as many columns.
        unsafe {
            let h_at = f.h.column(first + j);
            for i in 0..at.m {
                put_h(f, at, i, (h_at, first + j), tanh(V::load(acc.add(i * ACC_STRIDE + j * LANES))));
            }
        }
    }
}

/// i, f, o = sigmoid, g = tanh; c_t = f * c_{t-1} + i * g; h_t = o * tanh(c_t).
#[inline(always)]
unsafe fn lstm<V: Vector>(f: &Forward<'_>, at: &Lanes, acc: *mut f32, p: usize) {
    // SAFETY: acc holds m rows of 4 vectors; rows and panel are in range.
    unsafe {
        let (c_at, gates_at) = (f.c.unwrap_unchecked().column(p), f.gates.column(p));
        for i in 0..at.m {
            let pre = acc.add(i * ACC_STRIDE);
            let gates = gates_at.row(at.token + i);
            let input = sigmoid(V::load(pre));
            let forget = sigmoid(V::load(pre.add(LANES)));
            let output = sigmoid(V::load(pre.add(3 * LANES)));
            let cell = tanh(V::load(pre.add(2 * LANES)));
            input.store(gates);
            forget.store(gates.add(LANES));
            cell.store(gates.add(2 * LANES));
            output.store(gates.add(3 * LANES));
            let c_prev = V::load(c_at.row(at.prev[i]));
            let c = forget.mul_add(c_prev, input.mul(cell)).flush();
            c.store(c_at.row(f.tokens.row(at.token + i)));
            c.store(pre);
            output.store(pre.add(LANES));
        }
        let h_at = f.h.column(p);
        for i in 0..at.m {
            let pre = acc.add(i * ACC_STRIDE);
            put_h(f, at, i, (h_at, p), V::load(pre.add(LANES)).mul(tanh(V::load(pre))));
        }
    }
}

/// r, z = sigmoid; n = tanh(n_x + r * n_h); h_t = n + z * (h_{t-1} - n). Kept: n, r, z, n_h.
#[inline(always)]
unsafe fn gru<V: Vector>(f: &Forward<'_>, at: &Lanes, acc: *const f32, p: usize) {
    // SAFETY: acc holds m rows of 4 vectors; rows and panel are in range.
    unsafe {
        let (h_at, gates_at) = (f.h.column(p), f.gates.column(p));
        for i in 0..at.m {
            let pre = acc.add(i * ACC_STRIDE);
            let gates = gates_at.row(at.token + i);
            let reset = sigmoid(V::load(pre.add(LANES)));
            let update = sigmoid(V::load(pre.add(2 * LANES)));
            let n_h = V::load(pre.add(3 * LANES));
            let new = tanh(reset.mul_add(n_h, V::load(pre)));
            new.store(gates);
            reset.store(gates.add(LANES));
            update.store(gates.add(2 * LANES));
            n_h.store(gates.add(3 * LANES));
            let h_prev = V::load(h_at.row(at.prev[i]));
            put_h(f, at, i, (h_at, p), update.mul_add(h_prev.sub(new), new));
        }
    }
}
