//! The caller's arrays as they lie: a row of C numbers for each (step, lane), found by strides.
//!
//! `[T, B, C]`, `[B, T, C]` (batch first) and packed `[N, C]` are read and written where they are: a pass has operations
//! that copy a step's rows between them and its workspace ([`crate::ReadOp`], [`crate::WriteOp`]), each worker those of its
//! own lanes. Where a batch has lanes of different lengths, the strided forms are padded: rows past a lane's end are not
//! read, and are zero where something is written.

use crate::tokens::{Batch, Tokens};
use std::marker::PhantomData;

/// Where the row of a token begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At `t * step + lane * between`.
    Strided { step: usize, between: usize },
    /// The batch's tokens one after the other, row `n` at `n * stride`.
    Packed { stride: usize },
}

/// Steps, lanes and tokens of a batch.
type Form = (usize, usize, usize);

fn form(tokens: &Tokens) -> Form {
    (tokens.steps(), tokens.lanes(), tokens.count())
}

/// Rows that an array does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RowsError {
    /// The array is too short.
    #[error("it holds {found} floats, but rows of {width} at these strides reach to {needed}: give it all rows")]
    Short {
        /// Floats given.
        found: usize,
        /// Floats of a row.
        width: usize,
        /// Floats needed.
        needed: usize,
    },
    /// Rows that are written lie over each other, so that one would undo another.
    #[error("rows of {width} floats lie over each other, {stride} apart: give strides that keep them apart")]
    Overlap {
        /// Floats of a row.
        width: usize,
        /// The stride that is too short.
        stride: usize,
    },
}

impl Place {
    fn at(self, tokens: &Tokens, t: usize, lane: usize) -> usize {
        match self {
            Place::Strided { step, between } => t * step + lane * between,
            Place::Packed { stride } => tokens.number(t, lane) * stride,
        }
    }
    /// Floats that the rows of a batch reach to; none where they cannot be counted.
    fn reach(self, (steps, lanes, tokens): Form, width: usize) -> Option<usize> {
        let last = match self {
            Place::Packed { stride } => tokens.checked_sub(1)?.checked_mul(stride)?,
            // Rows past a lane's end too.
            Place::Strided { step, between } => {
                let lanes = lanes.checked_sub(1)?.checked_mul(between)?;
                steps.checked_sub(1)?.checked_mul(step)?.checked_add(lanes)?
            }
        };
        last.checked_add(width)
    }
    fn check(self, found: usize, form: Form, width: usize) -> Result<(), RowsError> {
        let needed = self.reach(form, width).unwrap_or(usize::MAX);
        if needed <= found { Ok(()) } else { Err(RowsError::Short { found, width, needed }) }
    }
    /// Errors: two rows of a batch of T steps and B lanes have a float in common.
    fn apart(self, (steps, lanes, _): Form, width: usize) -> Result<(), RowsError> {
        let stride = match self {
            Place::Packed { stride } if stride >= width || steps.max(lanes) <= 1 => return Ok(()),
            Place::Packed { stride } => stride,
            Place::Strided { step, between } => {
                // One of the two runs inside the other.
                let nested = |inner: usize, n: usize, outer: usize, m: usize| {
                    let run = inner.saturating_mul(n.saturating_sub(1)).saturating_add(width);
                    (n <= 1 || inner >= width) && (m <= 1 || outer >= run)
                };
                if nested(between, lanes, step, steps) || nested(step, steps, between, lanes) {
                    return Ok(());
                }
                step.min(between)
            }
        };
        Err(RowsError::Overlap { width, stride })
    }
}

/// Rows to be read: `x`, or the gradient to `y`.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    data: &'a [f32],
    place: Place,
}

impl<'a> Rows<'a> {
    /// The row of (step t, lane b) begins at `t * step_stride + b * lane_stride`.
    pub fn strided(data: &'a [f32], step_stride: usize, lane_stride: usize) -> Self {
        Self { data, place: Place::Strided { step: step_stride, between: lane_stride } }
    }
    /// `[T, B, C]` of `lanes` lanes.
    pub fn time_major(data: &'a [f32], lanes: usize, width: usize) -> Self {
        Self::strided(data, lanes.saturating_mul(width), width)
    }
    /// `[B, T, C]` of `steps` steps.
    pub fn batch_first(data: &'a [f32], steps: usize, width: usize) -> Self {
        Self::strided(data, width, steps.saturating_mul(width))
    }
    /// `[N, C]`: the batch's tokens, step by step, as a PackedSequence has them.
    pub fn packed(data: &'a [f32], width: usize) -> Self {
        Self { data, place: Place::Packed { stride: width } }
    }
    /// Errors: rows of `width` floats of this batch of `tokens` tokens are not inside.
    pub fn check(&self, batch: &Batch<'_>, tokens: usize, width: usize) -> Result<(), RowsError> {
        self.place.check(self.data.len(), (batch.steps(), batch.lanes(), tokens), width)
    }
    /// The row of a token. Panics where it is not inside.
    pub(crate) fn row(&self, tokens: &Tokens, t: usize, lane: usize, width: usize) -> &'a [f32] {
        let at = self.place.at(tokens, t, lane);
        &self.data[at..at + width]
    }
}

/// Rows to be written: `y`, or the gradient to `x`.
///
/// It is the only way to its array while it lives, as `&mut [f32]` is. Several workers of a pass write rows of it at once.
#[derive(Debug)]
pub struct RowsMut<'a> {
    data: *mut f32,
    len: usize,
    place: Place,
    exclusive: PhantomData<&'a mut [f32]>,
}

// SAFETY: it is a `&mut [f32]`, of which rows are lent out.
unsafe impl Send for RowsMut<'_> {}
// SAFETY: a shared one gives rows to write by an unsafe method alone, whose callers keep them apart.
unsafe impl Sync for RowsMut<'_> {}

impl<'a> RowsMut<'a> {
    fn new(data: &'a mut [f32], place: Place) -> Self {
        Self { data: data.as_mut_ptr(), len: data.len(), place, exclusive: PhantomData }
    }
    /// As [`Rows::strided`]; rows must not lie over each other.
    pub fn strided(data: &'a mut [f32], step_stride: usize, lane_stride: usize) -> Self {
        Self::new(data, Place::Strided { step: step_stride, between: lane_stride })
    }
    /// As [`Rows::time_major`].
    pub fn time_major(data: &'a mut [f32], lanes: usize, width: usize) -> Self {
        Self::strided(data, lanes.saturating_mul(width), width)
    }
    /// As [`Rows::batch_first`].
    pub fn batch_first(data: &'a mut [f32], steps: usize, width: usize) -> Self {
        Self::strided(data, width, steps.saturating_mul(width))
    }
    /// As [`Rows::packed`].
    pub fn packed(data: &'a mut [f32], width: usize) -> Self {
        Self::new(data, Place::Packed { stride: width })
    }
    /// Errors: rows of `width` floats of this batch of `tokens` tokens are not inside, or lie over each other.
    pub fn check(&self, batch: &Batch<'_>, tokens: usize, width: usize) -> Result<(), RowsError> {
        self.fits((batch.steps(), batch.lanes(), tokens), width)
    }
    fn fits(&self, form: Form, width: usize) -> Result<(), RowsError> {
        self.place.check(self.len, form, width)?;
        self.place.apart(form, width)
    }
    /// Panics where a row of the tokens is not inside, or two have a float in common.
    pub(crate) fn assert_fits(&self, tokens: &Tokens, width: usize) {
        if let Err(error) = self.fits(form(tokens), width) {
            panic!("write: {error}");
        }
    }
    /// Rows past a lane's end are there, to be zero.
    pub(crate) fn padded(&self) -> bool {
        matches!(self.place, Place::Strided { .. })
    }
    /// The row of (step, lane).
    ///
    /// # Safety
    /// - `assert_fits` has passed for these tokens and this width; the step and the lane are theirs;
    /// - rows that live at the same time are of different (step, lane).
    #[allow(clippy::mut_from_ref, reason = "each row is lent to one worker: the caller's obligation")]
    pub(crate) unsafe fn row(&self, tokens: &Tokens, t: usize, lane: usize, width: usize) -> &mut [f32] {
        let at = self.place.at(tokens, t, lane);
        // SAFETY: inside the array, which `self` holds exclusively, and apart from every other row: `assert_fits`.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(at), width) }
    }
}

/// The arrays of a pass.
#[derive(Debug, Clone, Copy, Default)]
pub struct Arrays<'a> {
    /// What [`crate::ReadOp`] reads.
    pub read: Option<Rows<'a>>,
    /// What [`crate::WriteOp`] writes.
    pub write: Option<&'a RowsMut<'a>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_apart_by_strides_are_apart_by_floats() {
        // Every small form, against the floats themselves.
        for (steps, lanes) in [(1, 1), (1, 4), (4, 1), (3, 4), (4, 3)] {
            for step in 0..14 {
                for between in 0..14 {
                    for width in 1..4 {
                        let mut seen = std::collections::HashSet::new();
                        let all = (0..steps).flat_map(|t| (0..lanes).map(move |b| t * step + b * between));
                        let apart = all.flat_map(|at| at..at + width).all(|float| seen.insert(float));
                        let found =
                            Place::Strided { step, between }.apart((steps, lanes, steps * lanes), width).is_ok();
                        // Rows may be interleaved without one running inside the other: refused, though they are apart.
                        assert!(!found || apart, "{steps} {lanes} {step} {between} {width}");
                        let nested = step >= lanes * between && between >= width;
                        assert!(found || !nested, "{steps} {lanes} {step} {between} {width}");
                    }
                }
            }
        }
        assert!(Place::Packed { stride: 3 }.apart((2, 2, 4), 3).is_ok());
        assert!(Place::Packed { stride: 2 }.apart((2, 2, 4), 3).is_err());
    }

    #[test]
    fn an_array_must_hold_every_row() {
        let (data, batch) = ([0.0; 24], Batch::Even { steps: 4, lanes: 2 });
        assert_eq!(Rows::time_major(&data, 2, 3).check(&batch, 8, 3), Ok(()));
        assert_eq!(Rows::batch_first(&data, 4, 3).check(&batch, 8, 3), Ok(()));
        assert_eq!(Rows::packed(&data, 3).check(&batch, 8, 3), Ok(()));
        let short = Err(RowsError::Short { found: 23, width: 3, needed: 24 });
        assert_eq!(Rows::packed(&data[..23], 3).check(&batch, 8, 3), short);
        let beyond = Err(RowsError::Short { found: 24, width: 3, needed: usize::MAX });
        assert_eq!(Rows::strided(&data, usize::MAX, 0).check(&batch, 8, 3), beyond);
        assert!(Rows::strided(&data, 0, 0).check(&batch, 8, 3).is_ok());
        let packed = Batch::Packed { batch_sizes: &[2, 2, 1] };
        assert!(Rows::packed(&data[..15], 3).check(&packed, 5, 3).is_ok());
        assert!(Rows::time_major(&data[..15], 2, 3).check(&packed, 5, 3).is_err(), "padding is a row too");
    }
}
