//! What a level of a stack gives, where that is no layer's h by itself: `y_t = h_t [+ h_reverse_t] [+ x_t]`, and the
//! dropped copy that goes up. Both directions have been through all of the lane by then.

use crate::op::gates::Dropout;
use crate::pack::LANES;
use crate::tile::Tier;
use crate::tokens::Tokens;
use crate::vector::Vector;
use crate::view::At;
use std::ops::Range;

/// Dropout of rows in which the h of one layer or more stand: the masks of each, side by side.
#[derive(Clone, Copy)]
pub(crate) struct Masks {
    pub(crate) dropout: Dropout,
    /// The first of the layers.
    pub(crate) layer: usize,
    /// Vectors of each.
    pub(crate) vectors: usize,
}

impl Masks {
    /// The multipliers of the 16 columns of `vector` at (step `t`, `lane`).
    #[inline(always)]
    pub(crate) fn at(&self, t: usize, lane: usize, vector: usize) -> [f32; LANES] {
        self.dropout.mask(self.layer + vector / self.vectors, t, lane, vector % self.vectors)
    }
}

/// The resolved operation.
pub(crate) struct Level<'a> {
    /// What is added, in this order; the first is there.
    pub(crate) parts: [Option<At>; 3],
    pub(crate) y: At,
    pub(crate) dropped: Option<(At, Masks)>,
    pub(crate) tokens: &'a Tokens,
    pub(crate) t: usize,
    pub(crate) lanes: Range<usize>,
    pub(crate) vectors: Range<usize>,
}

/// # Safety
/// - as [`super::gates::forward`].
#[inline(always)]
pub(crate) unsafe fn level<T: Tier>(o: &Level<'_>) {
    for lane in o.lanes.clone() {
        let row = o.tokens.row(o.tokens.token(o.t, lane));
        for vector in o.vectors.clone() {
            // SAFETY: rows and vectors are in range by the caller's promise.
            unsafe {
                let mut y = T::V::splat(0.0);
                for (i, part) in o.parts.iter().flatten().enumerate() {
                    let part = T::V::load(part.panel(vector, row));
                    y = if i == 0 { part } else { y.add(part) };
                }
                let y = y.flush();
                y.store(o.y.panel(vector, row));
                if let Some((dropped, masks)) = &o.dropped {
                    let mask = masks.at(o.t, lane, vector);
                    y.mul(T::V::load(mask.as_ptr())).store(dropped.panel(vector, row));
                }
            }
        }
    }
}
