//! Backward, GEMM: `dh_{t-1} = [z * dh_t +] dA W_hh` and `dx_t = dA W_ih`, from the gate gradients dA.
//!
//! dA lies `[panel][token][n*16]`, so k runs over a panel's columns, then jumps to the next panel. A GRU's x part reads
//! slots (n, r, z), its h part (r, z, n_h). Before a reset dh_{t-1} is zero: that state was not used. While the product
//! runs, the gates of the step before are asked for, which are read and written next.

use crate::pack::{Cell, LANES, LayerLayout, Panels, Weights};
use crate::tile::{ACC_STRIDE, Acc, Ahead, MAX_ROWS, RowsCall, Tier, next_of, tile_count, tiles};
use crate::tokens::{Order, Tokens};
use crate::vector::{Pointwise, Vector};
use crate::view::At;
use std::ops::Range;

use super::level::Masks;

/// The resolved operation.
pub(crate) struct InputGrad<'a> {
    pub(crate) layout: &'a LayerLayout,
    pub(crate) weights: Weights<'a>,
    pub(crate) gates: At,
    /// By lane: dh_{t-1}.
    pub(crate) d_h: Option<At>,
    /// By row: dx_t, where it is wanted, with the dropout that stood below.
    pub(crate) d_x: Option<(At, Option<Masks>)>,
    /// By row: what dx_t is added to.
    pub(crate) from: Option<At>,
    pub(crate) tokens: &'a Tokens,
    /// Row of the state before each token, in the layer's order.
    pub(crate) prev_rows: &'a [u32],
    /// The step of dh_{t-1}, and the first of dx.
    pub(crate) t: usize,
    /// Steps of dx.
    pub(crate) steps: usize,
    pub(crate) lanes: Range<usize>,
    pub(crate) d_h_panels: Range<usize>,
    pub(crate) d_x_panels: Range<usize>,
    /// Panels of the gates that this worker turns into their gradients.
    pub(crate) own_panels: Range<usize>,
}

/// Columns of panelled rows that a product runs over: of each panel those from vector `slot` on.
#[derive(Clone)]
pub(crate) struct Run {
    /// The panels that are multiplied; those of the rows may have a vector more.
    pub(crate) packed: Panels,
    pub(crate) slot: usize,
    /// Which columns: from the begin of a panel on.
    pub(crate) k: Range<usize>,
}

/// Most columns of a product at a time: what they are multiplied with stays in L2 for all lanes. Where that is asked
/// for, what is multiplied next lies beside it.
const BLOCK: usize = 2048;
const STREAMED_BLOCK: usize = 1024;
const STRIDES_BLOCK: usize = 512;

impl Run {
    /// All columns, block by block.
    #[inline(always)]
    fn blocks(packed: Panels, slot: usize, most: usize) -> impl Iterator<Item = Self> {
        let (all, block) = (packed.vectors() * LANES, most.next_multiple_of(packed.per_panel() * LANES));
        (0..all).step_by(block).map(move |from| Self { packed, slot, k: from..all.min(from + block) })
    }
}

/// A product of m rows of `a`, from `row` on, with a panel `b [k][n*16]`: k over these columns of a, ascending.
///
/// # Safety
/// - as [`super::gates::forward`]; `a` is panelled and has these rows and columns; `init` is set.
#[inline(always)]
pub(crate) unsafe fn product<T: Tier>(
    a: &At,
    Run { packed, slot, k }: Run,
    n: usize,
    (row, m): (usize, usize),
    b: *const f32,
    call: &mut RowsCall,
) {
    let panel = packed.per_panel() * LANES;
    let (first, whole, rest) = (k.start / panel, k.len() / panel, k.len() % panel);
    let b = b.wrapping_add(k.start * n * LANES);
    // SAFETY: the caller's; a last panel that is narrower, or read in part, is a run of its own.
    unsafe {
        let rows_at = |p: usize| {
            let mut rows = [std::ptr::null::<f32>(); MAX_ROWS];
            for (i, at) in rows.iter_mut().enumerate().take(m) {
                *at = a.panel(p, row + i).add(slot * LANES);
            }
            rows
        };
        call.run_bytes = 4 * panel;
        call.run_stride = 4 * a.panel_stride();
        call.runs = whole;
        if whole > 0 {
            T::rows(n, m, &rows_at(first), b, call);
            call.go_on();
        }
        if rest > 0 {
            call.runs = 1;
            call.run_bytes = 4 * rest;
            T::rows(n, m, &rows_at(first + whole), b.add(whole * panel * n * LANES), call);
        }
    }
}

/// The gates that become their gradients next, at the step before: the tiles of dh ask for a part of them each.
struct Coming {
    /// Those of the first lane, in the first panel.
    first: *const f32,
    panels: usize,
    /// Bytes from panel to panel.
    stride: usize,
    /// Bytes of all lanes in a panel.
    bytes: usize,
}

impl Coming {
    /// None at the last step of the way back.
    #[inline(always)]
    fn of(g: &InputGrad<'_>) -> Option<Self> {
        let t = match g.layout.order {
            Order::Ascending => g.t.checked_sub(1)?,
            Order::Descending => Some(g.t + 1).filter(|&t| t < g.tokens.steps())?,
        };
        let (lanes, slots) = (g.tokens.alive(t, &g.lanes), g.layout.shape.slots());
        if lanes.is_empty() || g.own_panels.is_empty() {
            return None;
        }
        // SAFETY: the lane reaches this step, and the panel is one of the gates'.
        let first = unsafe { g.gates.panel(g.own_panels.start, g.tokens.token(t, lanes.start)) };
        let bytes = 4 * slots.width(g.own_panels.start) * LANES * lanes.len();
        Some(Self { first, panels: g.own_panels.len(), stride: 4 * g.gates.panel_stride(), bytes })
    }
    /// What tile `i` of `tiles` asks for: a part of one panel, or one and, where tiles are few, another.
    #[inline(always)]
    fn part<T: Tier>(&self, (i, tiles): (usize, usize), k: usize) -> (Ahead, Option<Ahead>) {
        let at = |p: usize| self.first.wrapping_byte_add(p * self.stride);
        match tiles / self.panels {
            0 => {
                let (begin, end) = (i * self.panels / tiles, (i + 1) * self.panels / tiles);
                let another = (end > begin + 1).then(|| Ahead::part(at(begin + 1), self.bytes, (0, 1), k));
                (Ahead::written::<T>(at(begin), self.bytes, (0, 1), k), another)
            }
            each => {
                let panel = (i / each).min(self.panels - 1);
                (Ahead::written::<T>(at(panel), self.bytes, (i % each, each), k), None)
            }
        }
    }
}

/// What is multiplied after columns `k` of panel `q` of a matrix: the block behind them, or the next panel's first. And the
/// bytes of a block as long as this one.
#[inline(always)]
fn following(
    (matrix, to, rows): (*const f32, Panels, usize),
    panels: &Range<usize>,
    q: usize,
    k: &Range<usize>,
) -> (*const f32, usize) {
    let row = to.width(q) * LANES;
    let floats = if k.end < rows { to.offset(q, rows) + k.end * row } else { to.offset(next_of(panels, q), rows) };
    (matrix.wrapping_add(floats), 4 * k.len() * row)
}

/// # Safety
/// - as [`super::gates::forward`].
#[inline(always)]
pub(crate) unsafe fn input_grad<T: Tier>(g: &InputGrad<'_>) {
    let shape = &g.layout.shape;
    let (packed, packed_h) = (shape.panels(), shape.h_panels());
    let (k, k_h) = (packed.vectors() * LANES, packed_h.vectors() * LANES);
    let (asks, block) = match g.layout.is_streamed() {
        _ if T::IN_STRIDES => (true, STRIDES_BLOCK),
        true => (true, STREAMED_BLOCK),
        false => (false, BLOCK),
    };
    let zeros = [0.0f32; 4 * LANES];
    let mut acc = Acc::new();
    let acc_at: *mut f32 = acc.0.as_mut_ptr().cast();
    let t_hh = g.weights.transposed[g.layout.t_hh.clone()].as_ptr();
    let d_h = shape.d_h_panels();
    let (coming, mut done) = (Coming::of(g), 0);
    for q in g.d_h_panels.clone() {
        let n = d_h.width(q);
        let Some(d_h_at) = &g.d_h else { break };
        let w = t_hh.wrapping_add(d_h.offset(q, k_h));
        for part in Run::blocks(packed_h, usize::from(shape.cell == Cell::Gru), block) {
            let alive = g.tokens.alive(g.t, &g.lanes);
            let count = tile_count(alive.len(), T::ROWS[n - 1]);
            let (next, bytes) = following((t_hh, d_h, k_h), &g.d_h_panels, q, &part.k);
            for (turn, (first, m)) in tiles(alive.len(), T::ROWS[n - 1]).enumerate() {
                let lane = alive.start + first;
                let token = g.tokens.token(g.t, lane);
                // SAFETY: rows and panels are in range by the caller's promise.
                unsafe {
                    let mut call = RowsCall::new(zeros.as_ptr(), acc_at, 0);
                    if shape.cell == Cell::Gru || part.k.start > 0 {
                        for i in 0..m {
                            call.init[i] = d_h_at.panel(d_h.first(q), lane + i);
                        }
                    }
                    if let Some(coming) = &coming {
                        let all = g.d_h_panels.len() * k_h.div_ceil(block) * count;
                        let (part, another) = coming.part::<T>((done, all), part.k.len());
                        (call.written, call.ahead) = (part, another.unwrap_or(call.ahead));
                        done += 1;
                    }
                    if asks {
                        call.ahead = Ahead::part(next, bytes, (turn, count), part.k.len());
                    }
                    product::<T>(&g.gates, part.clone(), n, (token, m), w, &mut call);
                    for i in 0..m {
                        let carried = g.prev_rows[token + i] != 0;
                        for j in 0..n {
                            let from = acc_at.add(i * ACC_STRIDE + j * LANES);
                            let d = if carried { T::V::load(from) } else { T::V::splat(0.0) };
                            d.store(d_h_at.panel(d_h.first(q) + j, lane + i));
                        }
                    }
                }
            }
        }
    }
    let Some((d_x_at, masks)) = &g.d_x else { return };
    let t_ih = g.weights.transposed[g.layout.t_ih.clone()].as_ptr();
    let d_x = shape.d_x_panels();
    for q in g.d_x_panels.clone() {
        let n = d_x.width(q);
        let w = t_ih.wrapping_add(d_x.offset(q, k));
        for part in Run::blocks(packed, 0, block) {
            let masks = masks.filter(|_| part.k.end == k);
            let (next, bytes) = following((t_ih, d_x, k), &g.d_x_panels, q, &part.k);
            for stretch in g.tokens.stretches(g.t..g.t + g.steps, &g.lanes, masks.is_none()) {
                let count = tile_count(stretch.count, T::ROWS[n - 1]);
                for (turn, (first, m)) in tiles(stretch.count, T::ROWS[n - 1]).enumerate() {
                    let token = stretch.token + first;
                    // SAFETY: as above.
                    unsafe {
                        let mut call = RowsCall::new(zeros.as_ptr(), acc_at, 0);
                        let from = if part.k.start > 0 { Some(d_x_at) } else { g.from.as_ref() };
                        if let Some(from) = from {
                            for i in 0..m {
                                call.init[i] = from.panel(d_x.first(q), g.tokens.row(token + i));
                            }
                        }
                        if T::IN_STRIDES {
                            call.ahead = Ahead::part(next, bytes, (turn, count), part.k.len());
                        }
                        product::<T>(&g.gates, part.clone(), n, (token, m), w, &mut call);
                        for i in 0..m {
                            for j in 0..n {
                                let vector = d_x.first(q) + j;
                                let mut d = T::V::load(acc_at.add(i * ACC_STRIDE + j * LANES));
                                if let Some(masks) = &masks {
                                    let mask = masks.at(stretch.t, stretch.lane + first + i, vector);
                                    d = d.mul(T::V::load(mask.as_ptr()));
                                }
                                d.store(d_x_at.panel(vector, g.tokens.row(token + i)));
                            }
                        }
                    }
                }
            }
        }
    }
}
