//! Where each token of a batch lies, and which row holds the state that it starts from.
//!
//! A batch is T steps of lanes by falling length, as PyTorch packs it: the tokens of step t lie beside each other, at
//! `offset[t]..offset[t+1]`, and the lanes that reach step t are `0..offset[t+1] - offset[t]`. Token n = `offset[t] + b`
//! is step t of lane b. A lane that has ended costs nothing: there is no token of it.
//!
//! Token n has **row** 1 + B + n; row 0 is zeros, rows 1..=B are the carried states. A layer takes a lane's tokens from
//! the first to the last or from the last to the first ([`Order`]); for each order a token names the row of the state
//! before it: the token that came before in its lane, the lane's carried state, or row 0 after a reset.

use crate::buffer::OutOfMemory;
use std::ops::Range;

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
    fn lanes_at(&self, t: usize) -> usize {
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
fn fit(tokens: usize, lanes: usize) -> bool {
    tokens.checked_add(lanes).is_some_and(|rows| rows < u32::MAX as usize - 1)
}

/// The order in which a layer takes the tokens of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Order {
    /// From the first to the last.
    #[default]
    Ascending,
    /// From the last to the first.
    Descending,
}

/// Where each token of a batch lies, and which row holds the state before it.
#[derive(Debug, Clone)]
pub struct Tokens {
    lanes: usize,
    /// `[T + 1]`: the first token of each step, and their number.
    offset: Vec<usize>,
    /// `[B]`: steps of each lane.
    lengths: Vec<usize>,
    /// `[tokens]`: rows of the states before, in ascending order.
    before: Vec<u32>,
    /// `[tokens]`: the same in descending order.
    behind: Vec<u32>,
    /// `[tokens]`: 1 + B + n.
    own_row: Vec<u32>,
}

/// Room for `n` elements; what is there stays. Errors: the memory is not to be had.
fn room<T>(v: &mut Vec<T>, n: usize) -> Result<(), OutOfMemory> {
    let bytes = n.saturating_mul(size_of::<T>());
    v.try_reserve_exact(n.saturating_sub(v.len())).map_err(|_| OutOfMemory { bytes })
}

impl Tokens {
    /// T steps of B lanes without resets; T or B may be 0. Panics where T * B + B + 1 is no u32.
    pub fn rectangular(steps: usize, lanes: usize) -> Self {
        let n = steps.checked_mul(lanes).expect("steps * lanes overflows");
        assert!(fit(n, lanes), "{n} tokens in a chunk do not fit 32-bit rows");
        let mut tokens = Self::none();
        tokens.place(Batch::Even { steps, lanes }, n).unwrap_or_else(|e| panic!("{e}"));
        tokens
    }
    /// The tokens of a batch. Errors: a form that is none, the memory is not to be had.
    pub fn new(batch: Batch<'_>) -> Result<Self, BatchError> {
        let mut tokens = Self::none();
        tokens.place(batch, batch.tokens()?)?;
        Ok(tokens)
    }
    fn none() -> Self {
        let (lengths, before, behind, own_row) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { lanes: 0, offset: vec![0], lengths, before, behind, own_row }
    }
    /// The tokens of a batch of `n` of them, checked, in the place of what was. Allocates only where they are more than
    /// ever before. Errors: the memory is not to be had; nothing has changed then.
    pub(crate) fn place(&mut self, batch: Batch<'_>, n: usize) -> Result<(), OutOfMemory> {
        let (steps, lanes) = (batch.steps(), batch.lanes());
        room(&mut self.offset, steps + 1)?;
        room(&mut self.lengths, lanes)?;
        room(&mut self.before, n)?;
        room(&mut self.behind, n)?;
        room(&mut self.own_row, n)?;
        self.lanes = lanes;
        self.offset.clear();
        self.offset.push(0);
        let mut end = 0;
        for t in 0..steps {
            end += batch.lanes_at(t);
            self.offset.push(end);
        }
        // Lane b has as many steps as b + 1 lanes reach.
        let mut reached = steps;
        self.lengths.clear();
        self.lengths.extend((0..lanes).map(|lane| {
            while reached > 0 && batch.lanes_at(reached - 1) <= lane {
                reached -= 1;
            }
            reached
        }));
        self.before.resize(n, 0);
        self.behind.resize(n, 0);
        self.own_row.clear();
        self.own_row.extend((0..n).map(|n| (1 + lanes + n) as u32));
        self.clear_resets();
        Ok(())
    }
    /// T.
    pub fn steps(&self) -> usize {
        self.offset.len() - 1
    }
    /// B.
    pub fn lanes(&self) -> usize {
        self.lanes
    }
    /// Lanes that reach step `t`.
    pub fn lanes_at(&self, t: usize) -> usize {
        self.offset[t + 1] - self.offset[t]
    }
    /// Steps of a lane.
    pub fn length(&self, lane: usize) -> usize {
        self.lengths[lane]
    }
    /// Tokens in all.
    pub fn count(&self) -> usize {
        self.before.len()
    }
    /// Tokens of the first `steps` steps.
    pub fn count_of(&self, steps: usize) -> usize {
        self.offset[steps]
    }
    /// Rows: zeros, carried states, tokens.
    pub fn rows(&self) -> usize {
        1 + self.lanes + self.count()
    }
    /// Token of (t, lane). Panics where the lane does not reach step t.
    pub fn token(&self, t: usize, lane: usize) -> usize {
        assert!(t < self.steps() && lane < self.lanes_at(t), "no token at step {t}, lane {lane}");
        self.offset[t] + lane
    }
    /// Those of `lanes` that reach step `t`, as many as there are.
    pub(crate) fn alive(&self, t: usize, lanes: &Range<usize>) -> Range<usize> {
        let end = self.lanes_at(t);
        lanes.start.min(end)..lanes.end.min(end)
    }
    /// The tokens of some lanes at these steps, as stretches of neighbours. Where the lanes are all of them and `across`,
    /// one stretch goes from step to step.
    pub(crate) fn stretches(
        &self,
        steps: Range<usize>,
        lanes: &Range<usize>,
        across: bool,
    ) -> impl Iterator<Item = Stretch> {
        let whole = across && *lanes == (0..self.lanes);
        let pieces = if whole { usize::from(!steps.is_empty()) } else { steps.len() };
        (0..pieces).map(move |i| {
            let t = steps.start + i;
            if whole {
                let token = self.offset[t];
                return Stretch { t, lane: 0, token, count: self.offset[steps.end] - token };
            }
            let alive = self.alive(t, lanes);
            Stretch { t, lane: alive.start, token: self.offset[t] + alive.start, count: alive.len() }
        })
    }
    /// Row of token `n`.
    pub fn row(&self, n: usize) -> usize {
        1 + self.lanes + n
    }
    /// Row of the state that lane `b` carried in.
    pub fn carried_row(&self, lane: usize) -> usize {
        1 + lane
    }
    /// Row of the state after the first `steps` steps of a lane, taken in this order: of its last token, or of its first
    /// where it came last; what it carried in, where there is no step.
    pub fn last_row(&self, steps: usize, lane: usize, order: Order) -> usize {
        let reached = self.length(lane).min(steps);
        match (reached, order) {
            (0, _) => self.carried_row(lane),
            (_, Order::Ascending) => self.row(self.token(reached - 1, lane)),
            (_, Order::Descending) => self.row(self.token(0, lane)),
        }
    }
    /// A new document begins at (t, lane): no state comes across its border. In ascending order the state before the
    /// token is zero; in descending order that before the last token of the document which ends there.
    pub fn reset(&mut self, t: usize, lane: usize) {
        let n = self.token(t, lane);
        self.before[n] = 0;
        if t > 0 {
            self.behind[self.offset[t - 1] + lane] = 0;
        }
    }
    /// Takes all resets back.
    pub fn clear_resets(&mut self) {
        for t in 0..self.steps() {
            // Row 1 + lane, or that of the token before.
            let first = if t == 0 { 1 } else { 1 + self.lanes + self.offset[t - 1] };
            for (row, at) in (first..).zip(&mut self.before[self.offset[t]..self.offset[t + 1]]) {
                *at = row as u32;
            }
            let going_on = if t + 1 < self.steps() { self.lanes_at(t + 1) } else { 0 };
            let next = 1 + self.lanes + self.offset[t + 1];
            for (lane, at) in self.behind[self.offset[t]..self.offset[t + 1]].iter_mut().enumerate() {
                *at = if lane < going_on { next + lane } else { 1 + lane } as u32;
            }
        }
    }
    /// Row of the state before each token, in this order.
    pub fn prev_rows(&self, order: Order) -> &[u32] {
        match order {
            Order::Ascending => &self.before,
            Order::Descending => &self.behind,
        }
    }
    pub(crate) fn own_rows(&self) -> &[u32] {
        &self.own_row
    }
    /// The lanes of piece `piece` of `pieces`, which have about as many tokens of the first `steps` steps each. The pieces
    /// follow one another and cover all lanes; where lanes are fewer, some are empty.
    pub fn piece(&self, steps: usize, piece: usize, pieces: usize) -> Range<usize> {
        self.border(steps, piece, pieces)..self.border(steps, piece + 1, pieces)
    }
    fn border(&self, steps: usize, piece: usize, pieces: usize) -> usize {
        let length = |lane: usize| self.lengths[lane].min(steps);
        let (lanes, most) = (self.lanes, self.lengths.first().map_or(0, |_| length(0)));
        if lanes == 0 || length(lanes - 1) == most {
            return lanes * piece / pieces;
        }
        // The border that is nearest to an even share.
        let want = self.offset[most] * piece;
        let (mut lane, mut sum) = (0, 0);
        while lane < lanes && (2 * sum + length(lane)) * pieces <= 2 * want {
            sum += length(lane);
            lane += 1;
        }
        lane
    }
}

/// Neighbouring tokens.
pub(crate) struct Stretch {
    /// Step of the first.
    pub(crate) t: usize,
    /// Lane of the first.
    pub(crate) lane: usize,
    /// The first.
    pub(crate) token: usize,
    /// How many.
    pub(crate) count: usize,
}

/// The tokens that a sum runs over: the first steps of some lanes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Steps `0..steps`.
    pub steps: usize,
    /// The lanes of one shard.
    pub lanes: Range<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row of the state before (t, lane), by the meaning of it.
    fn meant(tokens: &Tokens, order: Order, (t, lane): (usize, usize)) -> usize {
        let last = tokens.length(lane) - 1;
        match order {
            Order::Ascending if t > 0 => tokens.row(tokens.token(t - 1, lane)),
            Order::Descending if t < last => tokens.row(tokens.token(t + 1, lane)),
            _ => tokens.carried_row(lane),
        }
    }

    #[test]
    fn previous_rows_stay_in_their_lane_in_both_orders() {
        for sizes in [&[3, 3, 3, 3, 3][..], &[5, 5, 4, 2, 2, 1], &[1], &[7, 1]] {
            let mut tokens = Tokens::new(Batch::Packed { batch_sizes: sizes }).unwrap();
            let whole = tokens.clone();
            if sizes.len() > 2 && sizes[2] > 1 {
                tokens.reset(2, 1);
                tokens.reset(0, 0);
            }
            let mut n = 0;
            for (t, &lanes) in sizes.iter().enumerate() {
                assert_eq!(tokens.lanes_at(t), lanes);
                for lane in 0..lanes {
                    assert_eq!(tokens.token(t, lane), n);
                    for order in [Order::Ascending, Order::Descending] {
                        let cut = match order {
                            Order::Ascending => [(2, 1), (0, 0)].contains(&(t, lane)) && sizes.len() > 2,
                            Order::Descending => (t, lane) == (1, 1) && sizes.len() > 2,
                        };
                        let want = if cut { 0 } else { meant(&tokens, order, (t, lane)) };
                        assert_eq!(
                            tokens.prev_rows(order)[n] as usize,
                            want,
                            "{sizes:?} {order:?} step {t}, lane {lane}"
                        );
                    }
                    n += 1;
                }
            }
            assert_eq!((tokens.count(), tokens.count_of(sizes.len())), (n, n));
            let lengths: Vec<usize> = (0..tokens.lanes()).map(|lane| tokens.length(lane)).collect();
            assert!((0..sizes.len()).all(|t| lengths.iter().filter(|&&len| len > t).count() == sizes[t]));
            tokens.clear_resets();
            assert_eq!((tokens.before, tokens.behind), (whole.before, whole.behind));
        }
    }

    #[test]
    fn an_even_batch_is_a_packed_one_of_equal_sizes() {
        let even = Tokens::new(Batch::Even { steps: 4, lanes: 3 }).unwrap();
        let packed = Tokens::new(Batch::Packed { batch_sizes: &[3; 4] }).unwrap();
        assert_eq!(format!("{even:?}"), format!("{packed:?}"));
        assert_eq!(format!("{even:?}"), format!("{:?}", Tokens::rectangular(4, 3)));
    }

    #[test]
    fn the_last_row_of_a_lane_is_that_of_its_last_token() {
        let tokens = Tokens::new(Batch::Packed { batch_sizes: &[3, 2, 2, 1] }).unwrap();
        let last = |steps, order| (0..3).map(|lane| tokens.last_row(steps, lane, order) - 4).collect::<Vec<_>>();
        assert_eq!(last(4, Order::Ascending), [7, 6, 2]);
        assert_eq!(last(2, Order::Ascending), [3, 4, 2]);
        assert_eq!(last(4, Order::Descending), [0, 1, 2]);
        assert_eq!(tokens.last_row(0, 1, Order::Ascending), tokens.carried_row(1));
    }

    #[test]
    fn pieces_have_about_as_many_tokens_each() {
        let tokens = |lengths: &[usize]| {
            let sizes: Vec<usize> =
                (0..lengths[0]).map(|t| lengths.iter().filter(|&&length| length > t).count()).collect();
            Tokens::new(Batch::Packed { batch_sizes: &sizes }).unwrap()
        };
        let falling: Vec<usize> = (0..64).map(|lane| 400 - lane * 390 / 63).collect();
        for lengths in [&falling[..], &[400, 10, 10, 10], &[9, 9, 9, 9, 9], &[5], &[100, 99, 3, 2, 1, 1, 1]] {
            let tokens = tokens(lengths);
            for steps in [lengths[0], lengths[0].div_ceil(2), 1] {
                let length = |lane: usize| lengths[lane].min(steps);
                let longest = length(0);
                for pieces in 1..9 {
                    let mut next = 0;
                    for piece in 0..pieces {
                        let lanes = tokens.piece(steps, piece, pieces);
                        assert_eq!(lanes.start, next);
                        next = lanes.end;
                        let sum: usize = lanes.map(length).sum();
                        let even = tokens.count_of(steps) as f64 / pieces as f64;
                        assert!((sum as f64 - even).abs() <= longest as f64, "{sum} tokens of {even} in {pieces}");
                    }
                    assert_eq!(next, lengths.len());
                }
            }
        }
        // Even lane blocks would give the first of two workers 79 % of this.
        assert_eq!(tokens(&falling).piece(400, 0, 2), 0..19);
    }

    #[test]
    fn batches_of_a_wrong_form_are_refused() {
        let packed = |batch_sizes| Tokens::new(Batch::Packed { batch_sizes }).map(|_| ()).unwrap_err();
        assert_eq!(packed(&[]), BatchError::Empty { steps: 0, lanes: 0 });
        assert_eq!(packed(&[3, 0]), BatchError::NoLane { step: 1 });
        assert_eq!(packed(&[0]), BatchError::NoLane { step: 0 });
        assert_eq!(packed(&[3, 2, 3]), BatchError::Rising { step: 2, found: 3, before: 2 });
        assert_eq!(packed(&[usize::MAX, usize::MAX]), BatchError::TooLarge { tokens: usize::MAX, lanes: usize::MAX });
        let even = |steps, lanes| Tokens::new(Batch::Even { steps, lanes }).map(|_| ()).unwrap_err();
        assert_eq!(even(0, 4), BatchError::Empty { steps: 0, lanes: 4 });
        assert_eq!(even(4, 0), BatchError::Empty { steps: 4, lanes: 0 });
        assert_eq!(even(1 << 20, 1 << 12), BatchError::TooLarge { tokens: 1 << 32, lanes: 1 << 12 });
        assert_eq!(even(usize::MAX, 2), BatchError::TooLarge { tokens: usize::MAX, lanes: 2 });
    }
}
