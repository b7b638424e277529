//! Attention of one lane: each of its queries reads all rows of its memory, and the way back (`doc/attention.md`).
//!
//! ```text
//! score[t, s]   = q_t . k_s                       s over the S rows of the memory
//! weights[t]    = softmax(score[t])
//! context[t]    = sum over s of weights[t, s] v_s
//!
//! d_weights[t, s] = d_context[t] . v_s
//! d_score[t, s]   = weights[t, s] (d_weights[t, s] - sum over s of weights[t, s] d_weights[t, s])
//! d_q[t] = sum over s of d_score[t, s] k_s    d_k[s] = sum over t of d_score[t, s] q_t
//! d_v[s] = sum over t of weights[t, s] d_context[t]
//! ```
//!
//! A dot product has one accumulator of sixteen lanes, columns ascending, and the fixed tree; sums over s and t have one
//! accumulator an element, s and t ascending. So a lane's bits depend on nothing but its own rows. Rows are whole vectors,
//! their padding zero. Source: Luong, Pham, Manning 2015.

use crate::math::exp;
use crate::pack::LANES;
use crate::vector::Vector;

/// Rows whose dot products, and vectors whose sums, are taken side by side.
const ABREAST: usize = 4;

/// The rows of one lane, whole vectors each.
#[derive(Debug, Clone, Copy)]
pub struct Memory<'a> {
    /// T: queries.
    pub queries: usize,
    /// S: rows of the memory.
    pub rows: usize,
    /// q `[T, H]`.
    pub q: &'a [f32],
    /// k `[S, H]`.
    pub keys: &'a [f32],
    /// v `[S, E]`.
    pub values: &'a [f32],
}

impl Memory<'_> {
    /// Floats of a query, of a value, and of a row of weights.
    pub(crate) fn widths(&self) -> (usize, usize, usize) {
        let (q, v) = (self.q.len() / self.queries.max(1), self.values.len() / self.rows.max(1));
        (q, v, self.rows.next_multiple_of(LANES))
    }
}

/// `out[s] = a . rows[s]` for `count` rows of `width` floats.
///
/// # Safety
/// - the tier is available; `a`, the rows and `out` are valid; `width` is whole vectors.
#[inline(always)]
unsafe fn dots<V: Vector>(a: *const f32, rows: *const f32, (count, width): (usize, usize), out: *mut f32) {
    // SAFETY: the caller's.
    unsafe {
        let mut s = 0;
        while s < count {
            let n = ABREAST.min(count - s);
            let mut acc = [V::splat(0.0); ABREAST];
            for column in (0..width).step_by(LANES) {
                let x = V::load(a.add(column));
                for (i, acc) in acc.iter_mut().enumerate().take(n) {
                    *acc = x.mul_add(V::load(rows.add((s + i) * width + column)), *acc);
                }
            }
            for (i, acc) in acc.iter().enumerate().take(n) {
                *out.add(s + i) = acc.sum();
            }
            s += n;
        }
    }
}

/// `out = sum over i of w[i * stride] rows[i]`, i ascending, for `count` rows of `width` floats.
///
/// # Safety
/// - as [`dots`]; the weights are valid.
#[inline(always)]
unsafe fn mix<V: Vector>(
    (w, stride): (*const f32, usize),
    rows: *const f32,
    (count, width): (usize, usize),
    out: *mut f32,
) {
    // SAFETY: the caller's.
    unsafe {
        for first in (0..width).step_by(ABREAST * LANES) {
            let n = ((width - first) / LANES).min(ABREAST);
            let mut acc = [V::splat(0.0); ABREAST];
            for i in 0..count {
                let x = V::splat(*w.add(i * stride));
                for (j, acc) in acc.iter_mut().enumerate().take(n) {
                    *acc = x.mul_add(V::load(rows.add(i * width + first + j * LANES)), *acc);
                }
            }
            for (j, acc) in acc.iter().enumerate().take(n) {
                acc.flush().store(out.add(first + j * LANES));
            }
        }
    }
}

/// `weights [T, S in whole vectors]`, padding zero, and `context [T, E]`.
///
/// # Safety
/// - the tier is available; the memory has its rows, whole vectors each, and `weights` and `context` theirs.
#[inline(always)]
pub(crate) unsafe fn attend<V: Vector>(m: &Memory<'_>, weights: &mut [f32], context: &mut [f32]) {
    let (width, values, floats) = m.widths();
    for t in 0..m.queries {
        let weights = &mut weights[t * floats..][..floats];
        // SAFETY: the caller's; the slices have whole vectors.
        unsafe {
            dots::<V>(m.q.as_ptr().add(t * width), m.keys.as_ptr(), (m.rows, width), weights.as_mut_ptr());
            weights[m.rows..].fill(f32::NEG_INFINITY);
            let mut top = V::load(weights.as_ptr());
            for v in weights.chunks_exact(LANES) {
                top = V::load(v.as_ptr()).max(top);
            }
            let (max, mut all) = (V::splat(top.max_lane()), V::splat(0.0));
            for v in weights.chunks_exact_mut(LANES) {
                let e = exp(V::load(v.as_ptr()).sub(max));
                e.store(v.as_mut_ptr());
                all = all.add(e);
            }
            let share = V::splat(1.0 / all.sum());
            for v in weights.chunks_exact_mut(LANES) {
                V::load(v.as_ptr()).mul(share).flush().store(v.as_mut_ptr());
            }
            let out = context.as_mut_ptr().add(t * values);
            mix::<V>((weights.as_ptr(), 1), m.values.as_ptr(), (m.rows, values), out);
        }
    }
}

/// The gradients of one lane, all written.
#[derive(Debug)]
pub struct MemoryGrad<'a> {
    /// d_q `[T, H]`.
    pub d_q: &'a mut [f32],
    /// d_k `[S, H]`.
    pub d_keys: &'a mut [f32],
    /// d_v `[S, E]`.
    pub d_values: &'a mut [f32],
    /// Room for d_score, `[T, S in whole vectors]`.
    pub room: &'a mut [f32],
}

/// From `weights`, as [`attend`] left them, and `d_context [T, E]`.
///
/// # Safety
/// - as [`attend`]; the gradients have the rows of what they are gradients of.
#[inline(always)]
pub(crate) unsafe fn attend_grad<V: Vector>(
    m: &Memory<'_>,
    weights: &[f32],
    d_context: &[f32],
    out: &mut MemoryGrad<'_>,
) {
    let (width, values, floats) = m.widths();
    for t in 0..m.queries {
        let (weights, d_score) = (&weights[t * floats..][..floats], &mut out.room[t * floats..][..floats]);
        d_score[m.rows..].fill(0.0);
        // SAFETY: the caller's; the slices have whole vectors.
        unsafe {
            let d = d_context.as_ptr().add(t * values);
            dots::<V>(d, m.values.as_ptr(), (m.rows, values), d_score.as_mut_ptr());
            let mut all = V::splat(0.0);
            for (w, d) in weights.chunks_exact(LANES).zip(d_score.chunks_exact(LANES)) {
                all = V::load(w.as_ptr()).mul_add(V::load(d.as_ptr()), all);
            }
            let mean = V::splat(all.sum());
            for (w, d) in weights.chunks_exact(LANES).zip(d_score.chunks_exact_mut(LANES)) {
                let centred = V::load(d.as_ptr()).sub(mean);
                V::load(w.as_ptr()).mul(centred).flush().store(d.as_mut_ptr());
            }
            let d_q = out.d_q.as_mut_ptr().add(t * width);
            mix::<V>((d_score.as_ptr(), 1), m.keys.as_ptr(), (m.rows, width), d_q);
        }
    }
    for s in 0..m.rows {
        // SAFETY: the caller's.
        unsafe {
            let d_k = out.d_keys.as_mut_ptr().add(s * width);
            mix::<V>((out.room.as_ptr().add(s), floats), m.q.as_ptr(), (m.queries, width), d_k);
            let d_v = out.d_values.as_mut_ptr().add(s * values);
            mix::<V>((weights.as_ptr().add(s), floats), d_context.as_ptr(), (m.queries, values), d_v);
        }
    }
}
