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
use crate::pack::{Cell, LANES, LayerLayout, Panels, Weights};
use crate::random::unit_words;
use crate::tile::{ACC_STRIDE, Acc, Ahead, MAX_ROWS, RowsCall, Tier, next_of, tiles};
use crate::tokens::Tokens;
use crate::vector::{Abreast, Vector};
use crate::view::{At, Column};
use std::mem::MaybeUninit;
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
    /// [`super::input`] has put where a token's accumulators begin into its gates' place.
    pub(crate) begun: bool,
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

/// One tile's lanes: m tokens, their previous rows, and what their products read. The same for every panel.
#[derive(Clone, Copy)]
pub(super) struct Lanes {
    pub(super) m: usize,
    pub(super) lane: usize,
    pub(super) token: usize,
    pub(super) prev: [usize; MAX_ROWS],
    /// h_{t-1}.
    h: [*const f32; MAX_ROWS],
    /// x_t, where the input is dense.
    x: [*const f32; MAX_ROWS],
    /// Start row, of this token's symbol.
    start: [usize; MAX_ROWS],
}

/// Tiles that are kept at a time: enough that a panel's weights are read for over a hundred lanes.
const TILES: usize = 16;

impl Lanes {
    const NONE: Self = Self {
        m: 0,
        lane: 0,
        token: 0,
        prev: [0; MAX_ROWS],
        h: [std::ptr::null(); MAX_ROWS],
        x: [std::ptr::null(); MAX_ROWS],
        start: [0; MAX_ROWS],
    };
    /// # Safety
    /// - the lanes are in range.
    #[inline(always)]
    pub(super) unsafe fn of(f: &Forward<'_>, lane: usize, m: usize) -> Self {
        let (token, number) = (f.tokens.token(f.t, lane), f.tokens.number(f.t, lane));
        let mut lanes = Self { m, lane, token, ..Self::NONE };
        let rows = f.layout.shape.start_rows();
        for i in 0..m {
            let prev = f.prev_rows[token + i] as usize;
            lanes.prev[i] = prev;
            lanes.start[i] = f.ids.map_or(0, |ids| (ids[number + i] as usize).min(rows - 1));
            // SAFETY: rows are in range by the caller's promise.
            unsafe {
                lanes.h[i] = f.h.panel(0, prev);
                if let Some(x) = f.x {
                    lanes.x[i] = x.panel(0, f.tokens.row(token + i));
                }
            }
        }
        lanes
    }
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
    let panels = f.layout.shape.panels();
    // Every panel is as wide as the first but the last one of an RNN; a tile of fewer vectors holds as many lanes.
    let most = T::ROWS[panels.per_panel() - 1];
    let mut acc = Acc::new();
    let acc_at: *mut f32 = acc.0.as_mut_ptr().cast();
    // Where the weights come from L3, or no prefetcher would fetch them, each tile asks for its part of the panel that comes
    // next, as the first of them alone would wait for all of it.
    let asks = f.layout.is_streamed() || T::IN_STRIDES;
    // Set as far as there are tiles: of one lane all of them would take as long as its gates.
    let mut kept = [const { MaybeUninit::<Lanes>::uninit() }; TILES];
    let mut all = tiles(f.lanes.len(), most);
    loop {
        let mut count = 0;
        for (at, (first, m)) in kept.iter_mut().zip(all.by_ref().take(TILES)) {
            // SAFETY: lanes are in range by the caller's promise.
            at.write(unsafe { Lanes::of(f, f.lanes.start + first, m) });
            count += 1;
        }
        if count == 0 {
            return;
        }
        // SAFETY: so many were just written.
        let kept = unsafe { std::slice::from_raw_parts(kept.as_ptr().cast::<Lanes>(), count) };
        for p in f.panels.clone() {
            for (i, at) in kept.iter().enumerate() {
                // SAFETY: rows and panels are in range by the caller's promise.
                unsafe {
                    if let Some(next) = kept.get(i + 1).filter(|_| !f.begun) {
                        expect_start::<T>(f, next, p);
                    }
                    tile::<T, VARIANT>(f, at, acc_at, p, asks.then_some((i, count)));
                }
            }
        }
    }
}

/// One panel of one tile. `part`: which of the tiles it is that share out asking for the next panel's weights.
///
/// # Safety
/// - as `forward`.
#[inline(always)]
unsafe fn tile<T: Tier, const VARIANT: bool>(
    f: &Forward<'_>,
    at: &Lanes,
    acc_at: *mut f32,
    p: usize,
    part: Option<(usize, usize)>,
) {
    let shape = &f.layout.shape;
    let (panels, slots, m) = (shape.panels(), shape.slots(), at.m);
    let n = panels.width(p);
    let h_panels = if VARIANT { shape.h_panels() } else { panels };
    // A GRU's slots are (n_x, r, z, n_h): x rows feed the first three, h rows the last three.
    let h_slot = if shape.cell == Cell::Gru { LANES } else { 0 };
    // SAFETY: rows and panels are in range by the caller's promise; start rows by the clamp in `Lanes::of`.
    unsafe {
        let mut call = RowsCall::new(std::ptr::null(), acc_at, shape.k_x());
        let start = f.weights.start.as_ptr().add(f.layout.start.start + slots.offset(p, shape.start_rows()));
        let start_width = slots.width(p) * LANES;
        for i in 0..m {
            let begun = if f.begun { Some(f.gates.panel(p, at.token + i).cast_const()) } else { None };
            call.init[i] = begun.unwrap_or(start.add(at.start[i] * start_width));
        }
        if shape.cell == Cell::Gru {
            // Two loops feed different slots: the row must lie whole in the accumulators first.
            for i in 0..m {
                let floats = if VARIANT { start_width } else { 4 * LANES };
                std::ptr::copy_nonoverlapping(call.init[i], acc_at.add(i * ACC_STRIDE), floats);
            }
            call.go_on();
        }
        let params = f.weights.params.as_ptr();
        let next = next_of(&f.panels, p);
        let ahead = |part, w: *const f32, panels: Panels, k: usize| {
            let bytes = 4 * k * panels.width(next) * LANES;
            Ahead::part(w.wrapping_add(panels.offset(next, k)), bytes, part, k)
        };
        if f.x.is_some() {
            let w_ih = params.add(f.layout.w_ih.start);
            if let Some(part) = part {
                call.ahead = ahead(part, w_ih, panels, shape.k_x());
            }
            T::strided_rows(n, m, &at.x, w_ih.add(panels.offset(p, shape.k_x())), &mut call);
        }
        call.runs = 1;
        call.run_bytes = 4 * shape.k_h();
        call.acc = acc_at.add(h_slot);
        if f.x.is_some() || shape.cell == Cell::Gru {
            call.go_on();
        }
        let w_hh = params.add(f.layout.w_hh.start);
        if let Some(part) = part {
            call.ahead = ahead(part, w_hh, h_panels, shape.k_h());
        }
        if !VARIANT && shape.cell != Cell::Rnn {
            expect::<T>(f, at, p);
            let gates = f.gates.panel(p, at.token);
            call.written = Ahead::written::<T>(gates, 4 * m * slots.width(p) * LANES, (0, 1), shape.k_h());
        }
        T::rows(h_panels.width(p), m, &at.h, w_hh.add(h_panels.offset(p, shape.k_h())), &mut call);
        if VARIANT {
            return super::variant::cell::<T::V>(f, at, acc_at, p, n);
        }
        match shape.cell {
            Cell::Rnn => rnn::<T::V>(f, at, acc_at, panels.first(p), n),
            Cell::Lstm => lstm::<T::V>(f, at, acc_at, p),
            Cell::Gru => gru::<T::V>(f, at, acc_at, p),
        }
    }
}

/// Asks for the start rows of the tile that comes next.
///
/// # Safety
/// - as `forward`.
#[inline(always)]
unsafe fn expect_start<T: Tier>(f: &Forward<'_>, at: &Lanes, p: usize) {
    let (slots, rows) = (f.layout.shape.slots(), f.layout.shape.start_rows());
    let width = slots.width(p) * LANES;
    // SAFETY: in range by the caller's promise.
    unsafe {
        let start = f.weights.start.as_ptr().add(f.layout.start.start + slots.offset(p, rows));
        for i in 0..at.m {
            for line in (0..width).step_by(LANES) {
                T::prefetch_near(start.add(at.start[i] * width + line));
            }
        }
    }
}

/// Asks for the lines of h and c that the epilogue of an LSTM or a GRU will read and write; its gates are asked for while the
/// product runs.
///
/// # Safety
/// - as `forward`.
#[inline(always)]
unsafe fn expect<T: Tier>(f: &Forward<'_>, at: &Lanes, p: usize) {
    // SAFETY: in range by the caller's promise. A tile's tokens and rows follow one another.
    unsafe {
        let (h, row) = (f.h.column(p), f.tokens.row(at.token));
        for i in 0..at.m {
            T::prefetch_write(h.row(row + i));
        }
        if let Some(c) = f.c.map(|c| c.column(p)) {
            for i in 0..at.m {
                T::prefetch_near(c.row(at.prev[i]));
                T::prefetch_write(c.row(row + i));
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
            let three = Abreast([V::load(pre), V::load(pre.add(LANES)), V::load(pre.add(3 * LANES))]);
            let Abreast([input, forget, output]) = sigmoid(three);
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
        let mut i = 0;
        while i + 2 <= at.m {
            let (a, b) = (acc.add(i * ACC_STRIDE), acc.add((i + 1) * ACC_STRIDE));
            let two = tanh(Abreast([V::load(a), V::load(b)]));
            put_h(f, at, i, (h_at, p), V::load(a.add(LANES)).mul(two.0[0]));
            put_h(f, at, i + 1, (h_at, p), V::load(b.add(LANES)).mul(two.0[1]));
            i += 2;
        }
        if i < at.m {
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
            let Abreast([reset, update]) = sigmoid(Abreast([V::load(pre.add(LANES)), V::load(pre.add(2 * LANES))]));
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
