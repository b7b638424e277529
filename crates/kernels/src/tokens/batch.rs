//! The form of a batch: steps of lanes, all equally long or by falling length.

use crate::buffer::OutOfMemory;

/// The form of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch<'a> {
    /// T steps of B lanes.
    Even {
        /// T.
        steps: usize,
        /// B.
        lanes: usize,
    },
    /// Lanes by falling length: PyTorch's `PackedSequence.batch_sizes`.
    Packed {
        /// `[T]`: lanes that reach step t. Never rising, none of them 0.
        batch_sizes: &'a [usize],
    },
}

/// Why a batch can't be worked on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// No step or no lane.
    #[error("the batch has {steps} steps of {lanes} lanes: it must have at least one token")]
    Empty {
        /// T.
        steps: usize,
        /// B.
        lanes: usize,
    },
    /// A step that no lane reaches.
    #[error("batch_sizes[{step}] is 0: leave out the steps that no lane reaches")]
    NoLane {
        /// Which.
        step: usize,
    },
    /// More lanes at a step than at the one before.
    #[error("batch_sizes[{step}] is {found} after {before}: lanes must come by falling length")]
    Rising {
        /// Which.
        step: usize,
        /// Lanes of it.
        found: usize,
        /// Lanes of the step before.
        before: usize,
    },
    /// More tokens than 32-bit rows can name.
    #[error("the batch has {tokens} tokens of {lanes} lanes, more than 2^32 rows hold: use a smaller batch")]
    TooLarge {
        /// Tokens in all; `usize::MAX` where they can't be counted.
        tokens: usize,
        /// B.
        lanes: usize,
    },
    /// The memory for it is not to be had.
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
}

impl Batch<'_> {
    /// T.
    pub fn steps(&self) -> usize {
        match self {
            Batch::Even { steps, .. } => *steps,
            Batch::Packed { batch_sizes } => batch_sizes.len(),
        }
    }
    /// B.
    pub fn lanes(&self) -> usize {
        match self {
            Batch::Even { lanes, .. } => *lanes,
            Batch::Packed { batch_sizes } => batch_sizes.first().copied().unwrap_or(0),
        }
    }
    /// Lanes that reach step `t`.
    pub(super) fn lanes_at(&self, t: usize) -> usize {
        match self {
            Batch::Even { lanes, .. } => *lanes,
            Batch::Packed { batch_sizes } => batch_sizes[t],
        }
    }
    /// Tokens in all. Errors: none, sizes that rise or are 0, more than 32-bit rows hold.
    pub fn tokens(&self) -> Result<usize, BatchError> {
        let (steps, lanes) = (self.steps(), self.lanes());
        let tokens = match self {
            Batch::Even { .. } => steps.checked_mul(lanes),
            Batch::Packed { batch_sizes } => {
                for (step, &found) in batch_sizes.iter().enumerate() {
                    if found == 0 {
                        return Err(BatchError::NoLane { step });
                    }
                    if let Some(&before) = batch_sizes[..step].last().filter(|&&before| before < found) {
                        return Err(BatchError::Rising { step, found, before });
                    }
                }
                batch_sizes.iter().try_fold(0_usize, |sum, &size| sum.checked_add(size))
            }
        };
        match tokens {
            Some(0) => Err(BatchError::Empty { steps, lanes }),
            Some(n) if fit(n, lanes) => Ok(n),
            n => Err(BatchError::TooLarge { tokens: n.unwrap_or(usize::MAX), lanes }),
        }
    }
}

/// 32-bit rows can name so many tokens of so many lanes.
pub(super) fn fit(tokens: usize, lanes: usize) -> bool {
    tokens.checked_add(lanes).is_some_and(|rows| rows < u32::MAX as usize - 1)
}
