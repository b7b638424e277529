//! The readout: `logits = h W^T + b`, softmax, cross-entropy, and the gradient in the logits' place; then back to h.
//!
//! ```text
//! nats[t, b]   = log(sum exp(logits - max)) + max - logits[target]
//! d_logits     = (softmax - onehot(target)) * scale          scale = 1 / counted targets
//! d_y[t, b]    = d_logits W
//! ```
//!
//! The sum of exponentials runs over vectors in order, then over the lanes by the fixed tree. A target that the
//! vocabulary lacks is left out: no loss, no gradient. Source: lecture L3.

use crate::math::exp;
use crate::pack::{HeadLayout, LANES, Weights};
use crate::tile::{ACC_STRIDE, Acc, MAX_ROWS, RowsCall, Tier, tiles};
use crate::tokens::Tokens;
use crate::vector::{Pointwise, Vector};
use crate::view::At;
use std::ops::Range;

use super::gates::Dropout;

/// The resolved forward operation.
pub(crate) struct Readout<'a> {
    pub(crate) head: &'a HeadLayout,
    pub(crate) weights: Weights<'a>,
    /// By row: the top layer's (dropped) output.
    pub(crate) h: At,
    /// By token: logits, then their gradient.
    pub(crate) logits: At,
    /// By number: the loss, where there are targets.
    pub(crate) loss: Option<Loss<'a>>,
    pub(crate) tokens: &'a Tokens,
    pub(crate) t: usize,
    pub(crate) lanes: Range<usize>,
    /// All of them where there is a loss.
    pub(crate) panels: Range<usize>,
}

/// What the loss needs.
pub(crate) struct Loss<'a> {
    /// By number, as the losses.
    pub(crate) targets: &'a [u32],
    pub(crate) nats: At,
    /// 1 / counted targets.
    pub(crate) scale: f32,
}

/// # Safety
/// - as [`super::gates::forward`].
#[inline(always)]
pub(crate) unsafe fn readout<T: Tier>(r: &Readout<'_>) {
    let panels = r.head.panels();
    let w = r.weights.params[r.head.w.clone()].as_ptr();
    let bias = &r.weights.params[r.head.b.clone()];
    let zeros = [0.0f32; 4 * LANES];
    let mut acc = Acc::new();
    let acc_at: *mut f32 = acc.0.as_mut_ptr().cast();
    for p in r.panels.clone() {
        let n = panels.width(p);
        let init = bias.get(panels.first(p) * LANES..).filter(|b| !b.is_empty()).unwrap_or(&zeros).as_ptr();
        for (first, m) in tiles(r.lanes.len(), T::ROWS[n - 1]) {
            let token = r.tokens.token(r.t, r.lanes.start + first);
            // SAFETY: rows and panels are in range by the caller's promise.
            unsafe {
                let mut rows = [std::ptr::null::<f32>(); MAX_ROWS];
                for (i, row) in rows.iter_mut().enumerate().take(m) {
                    *row = r.h.panel(0, r.tokens.row(token + i));
                }
                let mut call = RowsCall::new(init, acc_at, r.head.k_h());
                T::strided_rows(n, m, &rows, w.add(panels.offset(p, r.head.k_h())), &mut call);
                for i in 0..m {
                    for j in 0..n {
                        let v = T::V::load(acc_at.add(i * ACC_STRIDE + j * LANES));
                        v.store(r.logits.panel(panels.first(p) + j, token + i));
                    }
                }
            }
        }
    }
    let Some(loss) = &r.loss else { return };
    for lane in r.lanes.clone().step_by(ABREAST) {
        let (token, number) = (r.tokens.token(r.t, lane), r.tokens.number(r.t, lane));
        // SAFETY: each token's row holds the padded vocabulary; its nats are the worker's own.
        unsafe { cross_entropy::<T::V>(r, loss, token..token + ABREAST.min(r.lanes.end - lane), number) };
    }
}

/// Tokens whose losses are computed side by side: each is a chain of a maximum, exponentials, a sum and a division.
const ABREAST: usize = 8;

/// Nats of at most [`ABREAST`] tokens; their logits become their gradients. Rows are padded to vectors; padding becomes
/// zero.
///
/// # Safety
/// - the tier is available; these tokens and their rows are the worker's own; `number` is the first one's.
#[inline(always)]
unsafe fn cross_entropy<V: Vector>(r: &Readout<'_>, loss: &Loss<'_>, tokens: Range<usize>, number: usize) {
    let (vocab, floats) = (r.head.vocab, r.head.panels().vectors() * LANES);
    let (mut max, mut sum) = ([0.0; ABREAST], [0.0; ABREAST]);
    // SAFETY: the caller's; a row is whole vectors.
    unsafe {
        let row = |token: usize| std::slice::from_raw_parts_mut(r.logits.panel(0, token), floats);
        for (token, max) in tokens.clone().zip(&mut max) {
            let row = row(token);
            row[vocab..].fill(f32::NEG_INFINITY);
            let mut top = V::load(row.as_ptr());
            for v in row.chunks_exact(LANES) {
                top = V::load(v.as_ptr()).max(top);
            }
            *max = top.max_lane();
        }
        // What is left out has no target, and no loss.
        let first = tokens.start;
        let number_of = |token: usize| number + token - first;
        let target = |token: usize| loss.targets[number_of(token)] as usize;
        let mut at_target = [0.0; ABREAST];
        for ((token, at), &max) in tokens.clone().zip(&mut at_target).zip(&max) {
            *at = row(token).get(target(token)).map_or(0.0, |&logit| logit - max);
        }
        for ((token, sum), &max) in tokens.clone().zip(&mut sum).zip(&max) {
            let max = V::splat(max);
            let mut all = V::splat(0.0);
            for v in row(token).chunks_exact_mut(LANES) {
                let e = exp(V::load(v.as_ptr()).sub(max));
                e.store(v.as_mut_ptr());
                all = all.add(e);
            }
            *sum = all.sum();
        }
        for (token, &sum) in tokens.clone().zip(&sum) {
            let share = V::splat(loss.scale / sum);
            for v in row(token).chunks_exact_mut(LANES) {
                V::load(v.as_ptr()).mul(share).flush().store(v.as_mut_ptr());
            }
        }
        for ((token, &sum), &at_target) in tokens.zip(&sum).zip(&at_target) {
            let (row, target) = (row(token), target(token));
            *loss.nats.panel(0, number_of(token)) = if target < vocab {
                row[target] -= loss.scale;
                (libm::log(f64::from(sum)) - f64::from(at_target)) as f32
            } else {
                row.fill(0.0);
                0.0
            };
        }
    }
}

/// The resolved backward operation.
pub(crate) struct HeadGrad<'a> {
    pub(crate) head: &'a HeadLayout,
    pub(crate) weights: Weights<'a>,
    /// By token: the logits' gradient.
    pub(crate) d_logits: At,
    /// By row: the gradient to h.
    pub(crate) d_y: At,
    /// The top layer, and the dropout that stood above it.
    pub(crate) dropout: Option<(usize, Dropout)>,
    pub(crate) tokens: &'a Tokens,
    pub(crate) t: usize,
    pub(crate) lanes: Range<usize>,
    pub(crate) panels: Range<usize>,
}

/// # Safety
/// - as [`super::gates::forward`].
#[inline(always)]
pub(crate) unsafe fn head_grad<T: Tier>(g: &HeadGrad<'_>) {
    let k = g.head.panels().vectors() * LANES;
    let panels = g.head.d_h_panels();
    let w = g.weights.transposed[g.head.t.clone()].as_ptr();
    let zeros = [0.0f32; 4 * LANES];
    let mut acc = Acc::new();
    let acc_at: *mut f32 = acc.0.as_mut_ptr().cast();
    for q in g.panels.clone() {
        let n = panels.width(q);
        for (first, m) in tiles(g.lanes.len(), T::ROWS[n - 1]) {
            let token = g.tokens.token(g.t, g.lanes.start + first);
            // SAFETY: rows and panels are in range by the caller's promise.
            unsafe {
                let mut rows = [std::ptr::null::<f32>(); MAX_ROWS];
                for (i, row) in rows.iter_mut().enumerate().take(m) {
                    *row = g.d_logits.panel(0, token + i);
                }
                let mut call = RowsCall::new(zeros.as_ptr(), acc_at, k);
                T::strided_rows(n, m, &rows, w.add(panels.offset(q, k)), &mut call);
                for i in 0..m {
                    for j in 0..n {
                        let vector = panels.first(q) + j;
                        let mut d = T::V::load(acc_at.add(i * ACC_STRIDE + j * LANES));
                        if let Some((top, dropout)) = &g.dropout {
                            let mask = dropout.mask(*top, g.t, g.lanes.start + first + i, vector);
                            d = d.mul(T::V::load(mask.as_ptr()));
                        }
                        d.store(g.d_y.panel(vector, g.tokens.row(token + i)));
                    }
                }
            }
        }
    }
}
