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
//! The token at place n, token n for short, has **row** 1 + B + n; row 0 is zeros, rows 1..=B are the carried states. A layer
//! takes a lane's tokens from the first to the last or from the last to the first ([`Order`]); for each order a token names the
//! row of the state before it: the token that came before in its lane, the lane's carried state, or row 0 after a reset.

use crate::buffer::OutOfMemory;
use std::ops::Range;

mod batch; // the form of a batch

use batch::fit;
pub use batch::{Batch, BatchError};

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
        assert!(t < self.steps() && lane < self.lanes_at(t), "no token at step {t}, lane {lane}");
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
        LANE_GAP * self.block_of(lane)
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
        let block = if lanes.is_empty() { 0 } else { self.block_of(lanes.start) };
        let whole = across && *lanes == (self.borders[block]..self.borders[block + 1]);
        let pieces = if whole { usize::from(!steps.is_empty()) } else { steps.len() };
        (0..pieces).map(move |i| {
            let t = steps.start + i;
            let alive = self.alive(t, lanes);
            let (lane, token) = (alive.start, if alive.is_empty() { 0 } else { self.token(t, alive.start) });
            let count = if whole {
                let (first, count) = self.of_block(steps.end - 1, block);
                first + count - token
            } else {
                alive.len()
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
mod tests;
