//! Where each token of a batch lies, and which row holds the state that it starts from.
//!
//! A batch is T steps of lanes by falling length, as PyTorch packs it. **Number** n = `offset[t] + b` is step t of lane b:
//! the order of ids, targets and losses, and of every sum over tokens. A lane that has ended costs nothing: there is no
//! token of it.
//!
//! Where a token's row lies is its **place**. With one block of lanes places are numbers. With several, one for each worker
//! of a batch of even lanes, a block's tokens lie together:
//!
//! ```text
//! numbers   t = 0: lanes 0 1 2 3 4 5 | t = 1: lanes 0 1 2 3 4 5 | ...
//! places    block 0: t = 0: 0 1 2, t = 1: 0 1 2, ... | block 1: t = 0: 3 4 5, t = 1: 3 4 5, ...
//! ```
//!
//! Rows of two workers beside each other at every step cost what no program shows: a core that walks its rows is given the
//! next ones by its prefetchers, its neighbour has to fetch them back, and where two cores share no L3 that took a third of a
//! training step (`doc/performance.md`). A sum over tokens goes by number, so the blocks change no bit.
//!
//! The token at place n, token n for short, has **row** 1 + B + n; row 0 is zeros, rows 1..=B are the carried states. A layer takes a lane's tokens from
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
    /// `[K + 1]`: the first lane of each block, and B.
    borders: Vec<usize>,
    /// `[T + 1]`: the first number of each step, and how many there are.
    offset: Vec<usize>,
    /// `[tokens]`: places by number.
    order: Vec<u32>,
    /// `[B]`: steps of each lane.
    lengths: Vec<usize>,
    /// `[tokens]`: rows of the states before, in ascending order.
    before: Vec<u32>,
    /// `[tokens]`: the same in descending order.
    behind: Vec<u32>,
    /// `[tokens]`: 1 + B + n.
    own_row: Vec<u32>,
}

/// Blocks that a batch has where so many are asked for: lanes of different lengths have none that is T steps of as many.
fn blocks_of(batch: Batch<'_>, blocks: usize) -> usize {
    if matches!(batch, Batch::Even { lanes, .. } if (1..=lanes).contains(&blocks)) { blocks } else { 1 }
}

/// Room for `n` elements; what is there stays. Errors: the memory is not to be had.
fn room<T>(v: &mut Vec<T>, n: usize) -> Result<(), OutOfMemory> {
    let bytes = n.saturating_mul(size_of::<T>());
    v.try_reserve_exact(n.saturating_sub(v.len())).map_err(|_| OutOfMemory { bytes })
}

/// Rows between two blocks in what goes by lane: a page of an LSTM's d_c is 64 of them, and its neighbours' prefetchers reach
/// a few.
const LANE_GAP: usize = 16;

impl Tokens {
    /// T steps of B lanes without resets; T or B may be 0. Panics where T * B + B + 1 is no u32.
    pub fn rectangular(steps: usize, lanes: usize) -> Self {
        Self::in_blocks(steps, lanes, 1)
    }
    /// The same in so many blocks of lanes, or in one where lanes are fewer.
    pub fn in_blocks(steps: usize, lanes: usize, blocks: usize) -> Self {
        let n = steps.checked_mul(lanes).expect("steps * lanes overflows");
        assert!(fit(n, lanes), "{n} tokens in a chunk do not fit 32-bit rows");
        let mut tokens = Self::none();
        tokens.place(Batch::Even { steps, lanes }, n, blocks).unwrap_or_else(|e| panic!("{e}"));
        tokens
    }
    /// The tokens of a batch. Errors: a form that is none, the memory is not to be had.
    pub fn new(batch: Batch<'_>) -> Result<Self, BatchError> {
        let mut tokens = Self::none();
        tokens.place(batch, batch.tokens()?, 1)?;
        Ok(tokens)
    }
    fn none() -> Self {
        let (order, before, behind, own_row) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (borders, offset, lengths) = (vec![0, 0], vec![0], Vec::new());
        Self { lanes: 0, borders, offset, order, lengths, before, behind, own_row }
    }
    /// The tokens of a batch of `n` of them, checked, in so many blocks, in the place of what was. Allocates only where they
    /// are more than ever before. Errors: the memory is not to be had; nothing has changed then.
    pub(crate) fn place(&mut self, batch: Batch<'_>, n: usize, blocks: usize) -> Result<(), OutOfMemory> {
        let (steps, lanes, blocks) = (batch.steps(), batch.lanes(), blocks_of(batch, blocks));
        room(&mut self.offset, steps + 1)?;
        room(&mut self.lengths, lanes)?;
        room(&mut self.borders, blocks + 1)?;
        room(&mut self.order, n)?;
        room(&mut self.before, n)?;
        room(&mut self.behind, n)?;
        room(&mut self.own_row, n)?;
        self.lanes = lanes;
        self.borders.clear();
        self.borders.extend((0..=blocks).map(|k| lanes * k / blocks));
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
        self.order.clear();
        for t in 0..steps {
            for k in 0..blocks {
                let (first, count) = self.of_block(t, k);
                self.order.extend((first..first + count).map(|place| place as u32));
            }
        }
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
    /// Tokens of the first `steps` steps: their numbers come first.
    pub fn count_of(&self, steps: usize) -> usize {
        self.offset[steps]
    }
    /// Rows: zeros, carried states, tokens.
    pub fn rows(&self) -> usize {
        1 + self.lanes + self.count()
    }
    /// Number of (t, lane), by which ids, targets and losses lie. Panics where the lane does not reach step t.
    pub fn number(&self, t: usize, lane: usize) -> usize {
        assert!(t < self.steps() && lane < self.lanes_at(t), "no token at step {t}, lane {lane}");
        self.offset[t] + lane
    }
    /// Place of (t, lane); those of a block's lanes at a step follow one another. Panics as `number`.
    pub fn token(&self, t: usize, lane: usize) -> usize {
        let number = self.number(t, lane);
        if self.borders.len() == 2 {
            return number;
        }
        let k = self.block_of(lane);
        self.of_block(t, k).0 + lane - self.borders[k]
    }
    /// Places by number.
    pub(crate) fn order(&self) -> &[u32] {
        &self.order
    }
    /// The first place of step `t` in block `k`, and how many there are.
    fn of_block(&self, t: usize, k: usize) -> (usize, usize) {
        if self.borders.len() == 2 {
            return (self.offset[t], self.lanes_at(t));
        }
        let (first, width) = (self.borders[k], self.borders[k + 1] - self.borders[k]);
        (first * self.steps() + t * width, width)
    }
    fn block_of(&self, lane: usize) -> usize {
        if self.borders.len() == 2 { 0 } else { self.borders.partition_point(|&border| border <= lane) - 1 }
    }
    /// Blocks of lanes.
    pub(crate) fn blocks(&self) -> usize {
        self.borders.len() - 1
    }
    /// The first lane behind the block of `lane`.
    pub(crate) fn block_end(&self, lane: usize) -> usize {
        self.borders[self.block_of(lane) + 1]
    }
    /// Rows of what goes by lane: between two blocks there are some that nobody touches.
    pub(crate) fn lane_rows(&self) -> usize {
        self.lanes + LANE_GAP * (self.blocks() - 1)
    }
    /// The same of a batch in so many blocks.
    pub(crate) fn lane_rows_of(batch: Batch<'_>, blocks: usize) -> usize {
        batch.lanes() + LANE_GAP * (blocks_of(batch, blocks) - 1)
    }
    /// How many rows further than by its number a lane lies in what goes by lane: as many for all lanes of a block.
    pub(crate) fn lane_shift(&self, lane: usize) -> usize {
        if self.borders.len() == 2 { 0 } else { LANE_GAP * self.block_of(lane) }
    }
    /// Row of a lane in what goes by lane.
    pub fn lane_row(&self, lane: usize) -> usize {
        lane + self.lane_shift(lane)
    }
    /// Those of `lanes` that reach step `t`, as many as there are.
    pub(crate) fn alive(&self, t: usize, lanes: &Range<usize>) -> Range<usize> {
        let end = self.lanes_at(t);
        lanes.start.min(end)..lanes.end.min(end)
    }
    /// The tokens of some lanes of a block at these steps, as stretches of neighbours. Where the lanes are all of the block
    /// and `across`, one stretch goes from step to step.
    pub(crate) fn stretches(
        &self,
        steps: Range<usize>,
        lanes: &Range<usize>,
        across: bool,
    ) -> impl Iterator<Item = Stretch> {
        let is_block = |k: usize| *lanes == (self.borders[k]..self.borders[k + 1]);
        let whole = across && !lanes.is_empty() && is_block(self.block_of(lanes.start));
        let pieces = if whole { usize::from(!steps.is_empty()) } else { steps.len() };
        (0..pieces).map(move |i| {
            let t = steps.start + i;
            let alive = self.alive(t, lanes);
            let (lane, token) = (alive.start, if alive.is_empty() { 0 } else { self.token(t, alive.start) });
            let one_block = self.borders.len() == 2;
            let count = match whole {
                true if one_block => self.offset[steps.end] - token,
                true => steps.len() * lanes.len(),
                false => alive.len(),
            };
            Stretch { t, lane, token, count }
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
            let n = self.token(t - 1, lane);
            self.behind[n] = 0;
        }
    }
    /// Takes all resets back.
    pub fn clear_resets(&mut self) {
        let row = |place: usize| (1 + self.lanes + place) as u32;
        for k in 0..self.borders.len() - 1 {
            for t in 0..self.steps() {
                let (first, count) = self.of_block(t, k);
                let carried = self.borders[k]..;
                let before = if t == 0 { 0 } else { self.of_block(t - 1, k).0 };
                let (next, going_on) = if t + 1 < self.steps() { self.of_block(t + 1, k) } else { (0, 0) };
                for (i, lane) in (0..count).zip(carried) {
                    self.before[first + i] = if t == 0 { 1 + lane as u32 } else { row(before + i) };
                    self.behind[first + i] = if i < going_on { row(next + i) } else { 1 + lane as u32 };
                }
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
    fn blocks_of_lanes_lie_apart_and_leave_numbers_alone() {
        for (steps, lanes, blocks, borders) in [
            (4, 6, 2, &[0, 3, 6][..]),
            (3, 7, 3, &[0, 2, 4, 7]),
            (2, 5, 5, &[0, 1, 2, 3, 4, 5]),
            (1, 4, 2, &[0, 2, 4]),
            (3, 2, 4, &[0, 2]),
            (5, 3, 1, &[0, 3]),
        ] {
            let mut tokens = Tokens::in_blocks(steps, lanes, blocks);
            let whole = tokens.clone();
            if steps > 2 {
                tokens.reset(2, 1);
            }
            let mut places = Vec::new();
            for t in 0..steps {
                for lane in 0..lanes {
                    let (number, place) = (tokens.number(t, lane), tokens.token(t, lane));
                    assert_eq!((number, tokens.order()[number] as usize), (t * lanes + lane, place));
                    places.push(place);
                    for order in [Order::Ascending, Order::Descending] {
                        let is_cut = match order {
                            Order::Ascending => (t, lane) == (2, 1),
                            Order::Descending => (t, lane) == (1, 1) && steps > 2,
                        };
                        let want = if is_cut { 0 } else { meant(&tokens, order, (t, lane)) };
                        assert_eq!(tokens.prev_rows(order)[place] as usize, want, "{order:?} step {t}, lane {lane}");
                    }
                }
            }
            // A block's tokens are one stretch, step by step.
            let mut next = 0;
            for block in borders.windows(2) {
                let lanes = block[0]..block[1];
                assert!(lanes.clone().all(|lane| tokens.block_end(lane) == lanes.end));
                let stretches: Vec<_> = tokens.stretches(0..steps, &lanes, true).map(|s| (s.token, s.count)).collect();
                assert_eq!(stretches, [(next, steps * lanes.len())]);
                for (t, stretch) in tokens.stretches(0..steps, &lanes, false).enumerate() {
                    assert_eq!((stretch.t, stretch.lane, stretch.token), (t, lanes.start, next));
                    assert!(lanes.clone().all(|lane| tokens.token(t, lane) == next + lane - lanes.start));
                    next += stretch.count;
                }
                assert!(lanes.clone().all(|lane| tokens.lane_shift(lane) == tokens.lane_shift(lanes.start)));
            }
            places.sort_unstable();
            assert!(places.into_iter().eq(0..steps * lanes));
            let rows: Vec<usize> = (0..lanes).map(|lane| tokens.lane_row(lane)).collect();
            assert!(rows.windows(2).all(|pair| pair[0] < pair[1]) && rows[lanes - 1] + 1 == tokens.lane_rows());
            assert_eq!(tokens.lane_rows() - lanes, LANE_GAP * (borders.len() - 2));
            tokens.clear_resets();
            assert_eq!((tokens.before, tokens.behind), (whole.before, whole.behind));
        }
        // Lanes that end early are one block.
        let mut tokens = Tokens::in_blocks(2, 2, 2);
        let batch = Batch::Packed { batch_sizes: &[3, 1] };
        tokens.place(batch, 4, 2).unwrap();
        assert_eq!((tokens.blocks(), tokens.lane_rows(), Tokens::lane_rows_of(batch, 2)), (1, 3, 3));
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
