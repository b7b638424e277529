//! The caller's arrays as they lie: a row of C numbers for each (step, lane), found by strides.
//!
//! `[T, B, C]`, `[B, T, C]` (batch first) and packed `[N, C]` are read and written where they are, without a copy of the
//! caller's. Where a batch has sequences of different lengths, the strided forms are padded: rows past a sequence's end
//! are not read, and are zero where something is written.

use crate::{Batch, Error};

/// Where the row of a token begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At `t * step + lane * between`.
    Strided { step: usize, between: usize },
    /// The batch's tokens one after the other, row `n` at `n * width`.
    Packed { width: usize },
}

impl Place {
    fn at(self, token: Token) -> usize {
        match self {
            Place::Strided { step, between } => token.t * step + token.lane * between,
            Place::Packed { width } => token.n * width,
        }
    }

    /// Floats that a batch's rows reach to; none where the number is no usize.
    fn reach(self, batch: &Tokens<'_>, width: usize) -> Option<usize> {
        let last = match self {
            Place::Packed { width } => batch.count().checked_sub(1)?.checked_mul(width)?,
            Place::Strided { step, between } => {
                let row = |t: usize| t.checked_mul(step)?.checked_add((batch.lanes_at(t) - 1).checked_mul(between)?);
                let mut last = 0;
                for t in 0..batch.steps() {
                    last = last.max(row(t)?);
                }
                last
            }
        };
        last.checked_add(width)
    }
}

/// A token of a batch: its step, its lane, and its number in the packed order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    pub(crate) t: usize,
    pub(crate) lane: usize,
    n: usize,
}

/// A batch that has been checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tokens<'a>(Batch<'a>);

impl<'a> Tokens<'a> {
    /// Errors: no step, no lane, sizes that rise, more tokens than 32 bits tell apart.
    pub(crate) fn new(batch: Batch<'a>) -> Result<Self, Error> {
        let wrong = |what: String, fix: &'static str| Err(Error::Batch { what, fix });
        let count = match batch {
            Batch::Even { steps, lanes } if steps == 0 || lanes == 0 => {
                return wrong(format!("has {steps} steps of {lanes} lanes"), "give it at least one of each");
            }
            Batch::Packed { batch_sizes } if batch_sizes.first().is_none_or(|&lanes| lanes == 0) => {
                return wrong("has no token".into(), "give it at least one sequence of one step");
            }
            Batch::Even { steps, lanes } => steps.checked_mul(lanes),
            Batch::Packed { batch_sizes } => {
                if let Some(t) = (1..batch_sizes.len()).find(|&t| batch_sizes[t] > batch_sizes[t - 1]) {
                    let (before, at) = (batch_sizes[t - 1], batch_sizes[t]);
                    let what = format!("has {at} lanes at step {t} after {before}");
                    return wrong(what, "sort its sequences by length, longest first");
                }
                if batch_sizes.contains(&0) {
                    return wrong("has a step without a lane".into(), "end it where its longest sequence ends");
                }
                batch_sizes.iter().try_fold(0usize, |sum, &lanes| sum.checked_add(lanes))
            }
        };
        let tokens = Self(batch);
        match count.and_then(|count| count.checked_add(tokens.lanes() + 1)) {
            Some(rows) if rows < u32::MAX as usize => Ok(tokens),
            _ => wrong("has more tokens than 32 bits tell apart".into(), "cut it into several"),
        }
    }
    pub(crate) fn batch(self) -> Batch<'a> {
        self.0
    }
    /// T.
    pub(crate) fn steps(&self) -> usize {
        match self.0 {
            Batch::Even { steps, .. } => steps,
            Batch::Packed { batch_sizes } => batch_sizes.len(),
        }
    }
    /// B.
    pub(crate) fn lanes(&self) -> usize {
        self.lanes_at(0)
    }
    /// Lanes that have a step `t`.
    pub(crate) fn lanes_at(&self, t: usize) -> usize {
        match self.0 {
            Batch::Even { lanes, .. } => lanes,
            Batch::Packed { batch_sizes } => batch_sizes[t],
        }
    }
    /// Tokens.
    pub(crate) fn count(&self) -> usize {
        match self.0 {
            Batch::Even { steps, lanes } => steps * lanes,
            Batch::Packed { batch_sizes } => batch_sizes.iter().sum(),
        }
    }
    /// Every token, step by step.
    pub(crate) fn each(self) -> impl Iterator<Item = Token> {
        let mut n = 0;
        (0..self.steps()).flat_map(move |t| (0..self.lanes_at(t)).map(move |lane| (t, lane))).map(move |(t, lane)| {
            n += 1;
            Token { t, lane, n: n - 1 }
        })
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
        Self { data, place: Place::Packed { width } }
    }

    /// Errors: rows of `width` floats of these tokens do not fit in.
    pub(crate) fn check(&self, which: &'static str, batch: &Tokens<'_>, width: usize) -> Result<(), Error> {
        reaches(which, self.data.len(), self.place, batch, width)
    }
    pub(crate) fn row(&self, token: Token, width: usize) -> &'a [f32] {
        let at = self.place.at(token);
        &self.data[at..at + width]
    }
}

/// Rows to be written: `y`, or the gradient to `x`.
#[derive(Debug)]
pub struct RowsMut<'a> {
    data: &'a mut [f32],
    place: Place,
}

impl<'a> RowsMut<'a> {
    /// As [`Rows::strided`]; rows must not lie over each other.
    pub fn strided(data: &'a mut [f32], step_stride: usize, lane_stride: usize) -> Self {
        Self { data, place: Place::Strided { step: step_stride, between: lane_stride } }
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
        Self { data, place: Place::Packed { width } }
    }

    /// Errors: rows of `width` floats of these tokens do not fit in, or overlap.
    pub(crate) fn check(&self, which: &'static str, batch: &Tokens<'_>, width: usize) -> Result<(), Error> {
        reaches(which, self.data.len(), self.place, batch, width)?;
        let (steps, lanes) = (batch.steps(), batch.lanes());
        let stride = match self.place {
            Place::Packed { width: stride } if stride < width && batch.count() > 1 => stride,
            Place::Packed { .. } => return Ok(()),
            Place::Strided { step, between } => {
                // One of the two runs inside the other.
                let apart = |inner: usize, n: usize, outer: usize, m: usize| {
                    let run = inner.saturating_mul(n - 1).saturating_add(width);
                    (n == 1 || inner >= width) && (m == 1 || outer >= run)
                };
                if apart(between, lanes, step, steps) || apart(step, steps, between, lanes) {
                    return Ok(());
                }
                step.min(between)
            }
        };
        Err(Error::Overlap { which, width, stride })
    }
    pub(crate) fn row_mut(&mut self, token: Token, width: usize) -> &mut [f32] {
        let at = self.place.at(token);
        &mut self.data[at..at + width]
    }
}

fn reaches(which: &'static str, found: usize, place: Place, batch: &Tokens<'_>, width: usize) -> Result<(), Error> {
    let needed = place.reach(batch, width).unwrap_or(usize::MAX);
    if needed <= found {
        return Ok(());
    }
    Err(Error::Rows { which, found, tokens: batch.count(), width, needed })
}
