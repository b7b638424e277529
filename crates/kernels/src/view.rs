//! Buffers shaped by tokens, and the one sound way to split them among workers.
//!
//! A pass over a chunk works on T time steps of B lanes. Token n = `offset[t] + b` has **row** 1 + B + n; row 0 is
//! zeros, rows 1..=B are the carried states. Each token names the row of its h_{t-1} (`prev_row`): the token before it
//! in its lane, the lane's carried state, or row 0 after a reset. Everything that a pass keeps lies in a [`Workspace`],
//! as one of three kinds of rows: per row, per token, per lane.
//!
//! **Who may touch what.** A [`Share`] is a claim on some lanes of a workspace, or on some panels of all lanes. The
//! whole claim comes from `&mut Workspace`. Claims on different lanes of it may be used side by side, because every
//! operation of this crate writes only cells of its share's lanes and reads only these, row 0 (which nobody writes) and
//! read-only weights. `prev_row` never leaves its lane: `Tokens` can't be built otherwise. A claim on panels reads the
//! columns of its neighbours too, so its holders must meet at a barrier between any two operations. Both constructors
//! are unsafe, and `crew` holds the argument that lanes and panels are disjoint.

use crate::buffer::{Buffer, OutOfMemory};
use crate::pack::{LANES, Panels};
use std::marker::PhantomData;
use std::ops::Range;

/// Where each token of a chunk lies, and which row holds its previous state.
#[derive(Debug, Clone)]
pub struct Tokens {
    steps: usize,
    lanes: usize,
    /// `[T * B]`.
    prev_row: Vec<u32>,
    /// `[T * B]`: 1 + B + n.
    own_row: Vec<u32>,
}

impl Tokens {
    /// T steps of B lanes without resets. Panics where T * B + B + 1 is no u32.
    pub fn rectangular(steps: usize, lanes: usize) -> Self {
        let n = steps.checked_mul(lanes).expect("steps * lanes overflows");
        assert!(n + lanes + 1 < u32::MAX as usize, "{n} tokens in a chunk do not fit 32-bit rows");
        let row = |i: usize| i as u32;
        // The token before token n of step t >= 1 is n - B, in row 1 + B + (n - B) = 1 + n; at step 0 it is carried row
        // 1 + b = 1 + n.
        Self {
            steps,
            lanes,
            prev_row: (0..n).map(|i| row(1 + i)).collect(),
            own_row: (0..n).map(|i| row(1 + lanes + i)).collect(),
        }
    }
    /// T.
    pub fn steps(&self) -> usize {
        self.steps
    }
    /// B.
    pub fn lanes(&self) -> usize {
        self.lanes
    }
    /// Tokens: T * B.
    pub fn count(&self) -> usize {
        self.prev_row.len()
    }
    /// Rows: zeros, carried states, tokens.
    pub fn rows(&self) -> usize {
        1 + self.lanes + self.count()
    }
    /// Token of (t, lane).
    pub fn token(&self, t: usize, lane: usize) -> usize {
        assert!(t < self.steps && lane < self.lanes, "no token at step {t}, lane {lane}");
        t * self.lanes + lane
    }
    /// Row of token `n`.
    pub fn row(&self, n: usize) -> usize {
        1 + self.lanes + n
    }
    /// Row of the state that lane `b` carried in.
    pub fn carried_row(&self, lane: usize) -> usize {
        1 + lane
    }
    /// The state before (t, lane) is zero: a new document begins there.
    pub fn reset(&mut self, t: usize, lane: usize) {
        let n = self.token(t, lane);
        self.prev_row[n] = 0;
    }
    /// Takes all resets back.
    pub fn clear_resets(&mut self) {
        for (n, row) in self.prev_row.iter_mut().enumerate() {
            *row = 1 + n as u32;
        }
    }
    /// Row of h_{t-1} of each token.
    pub fn prev_rows(&self) -> &[u32] {
        &self.prev_row
    }
    pub(crate) fn own_rows(&self) -> &[u32] {
        &self.own_row
    }
}

/// The tokens that a sum runs over: the first steps of some lanes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Steps `0..steps`.
    pub steps: usize,
    /// The lanes of one shard.
    pub lanes: Range<usize>,
}

/// What the rows of a buffer stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// Zeros, carried states, tokens: 1 + B + T*B rows.
    Rows,
    /// Tokens: T*B rows.
    Tokens,
    /// Lanes: B rows.
    Lanes,
}

/// How the columns of a buffer lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Columns {
    /// One row after the other; `columns` padded to vectors, the stride kept off powers of two (4K aliasing).
    RowMajor(usize),
    /// `[panel][row][n*16]`.
    Panels(Panels),
    /// One number a row.
    Scalar,
}

/// A buffer of a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BufId(usize);

#[derive(Debug)]
pub(crate) struct Grid {
    data: Buffer,
    space: Space,
    columns: Columns,
    rows: usize,
    row_stride: usize,
}

/// A buffer's address arithmetic; plain numbers, valid while the workspace lives.
#[derive(Clone, Copy)]
pub(crate) struct At {
    base: *mut f32,
    columns: Columns,
    rows: usize,
    row_stride: usize,
}

impl At {
    /// Rows of a packed matrix `[panel][rows][n*16]`, to be read while `data` lives.
    pub(crate) fn packed(data: &[f32], panels: Panels, rows: usize) -> Self {
        assert!(data.len() >= panels.floats(rows), "{} floats do not hold {rows} rows of {panels:?}", data.len());
        Self { base: data.as_ptr().cast_mut(), columns: Columns::Panels(panels), rows, row_stride: 0 }
    }
    /// Address of row `row`, panel `p`: for row-major buffers a panel is LANES columns.
    ///
    /// # Safety
    /// - `row` and `p` are in range.
    #[inline(always)]
    pub(crate) unsafe fn panel(&self, p: usize, row: usize) -> *mut f32 {
        debug_assert!(row < self.rows);
        let offset = match self.columns {
            Columns::RowMajor(_) => row * self.row_stride + p * LANES,
            Columns::Panels(s) => s.offset(p, self.rows) + row * s.width(p) * LANES,
            Columns::Scalar => row,
        };
        // SAFETY: in range by the caller's promise, so inside the buffer.
        unsafe { self.base.add(offset) }
    }
    /// Rows of panel `p`, to be walked.
    ///
    /// # Safety
    /// - `p` is in range, and the buffer has rows.
    #[inline(always)]
    pub(crate) unsafe fn column(&self, p: usize) -> Column {
        let step = match self.columns {
            Columns::RowMajor(_) => self.row_stride,
            Columns::Panels(s) => s.width(p) * LANES,
            Columns::Scalar => 1,
        };
        // SAFETY: row 0 exists by the caller's promise.
        Column { first: unsafe { self.panel(p, 0) }, step }
    }
    /// Floats from one row to the next of a row-major buffer.
    pub(crate) fn row_stride(&self) -> usize {
        self.row_stride
    }
    /// Floats from one full panel to the next.
    pub(crate) fn panel_stride(&self) -> usize {
        match self.columns {
            Columns::Panels(s) => s.per_panel() * LANES * self.rows,
            _ => LANES,
        }
    }
}

/// One panel of a buffer: its layout is resolved once for all rows.
#[derive(Clone, Copy)]
pub(crate) struct Column {
    first: *mut f32,
    /// Floats from row to row.
    step: usize,
}

impl Column {
    /// Where row `row` begins.
    ///
    /// # Safety
    /// - the row is in range.
    #[inline(always)]
    pub(crate) unsafe fn row(&self, row: usize) -> *mut f32 {
        // SAFETY: in range by the caller's promise, so inside the buffer.
        unsafe { self.first.add(row * self.step) }
    }
}

/// All buffers of a pass, and where its tokens lie.
#[derive(Debug)]
pub struct Workspace {
    tokens: Tokens,
    grids: Vec<Grid>,
}

impl Workspace {
    /// A workspace of no buffers yet.
    pub fn new(tokens: Tokens) -> Self {
        Self { tokens, grids: Vec::new() }
    }
    /// Adds a buffer of zeros. Errors: the memory is not to be had.
    pub fn add(&mut self, space: Space, columns: Columns) -> Result<BufId, OutOfMemory> {
        let rows = self.rows_of(space);
        let (row_stride, len) = match columns {
            // One vector more than the columns need: no power of two, and a slack that a tile may read into.
            Columns::RowMajor(c) => {
                let stride = c.checked_next_multiple_of(LANES).and_then(|c| c.checked_add(LANES));
                (stride.unwrap_or(0), stride.and_then(|stride| rows.checked_mul(stride)))
            }
            Columns::Panels(p) => (0, p.vectors().checked_mul(LANES).and_then(|floats| rows.checked_mul(floats))),
            Columns::Scalar => (1, Some(rows)),
        };
        let data = Buffer::zeroed(len.ok_or(OutOfMemory { bytes: usize::MAX })?)?;
        self.grids.push(Grid { data, space, columns, rows, row_stride });
        Ok(BufId(self.grids.len() - 1))
    }
    fn rows_of(&self, space: Space) -> usize {
        match space {
            Space::Rows => self.tokens.rows(),
            Space::Tokens => self.tokens.count(),
            Space::Lanes => self.tokens.lanes(),
        }
    }
    /// Bytes of all buffers.
    pub fn size_bytes(&self) -> usize {
        self.grids.iter().map(|g| g.data.len() * 4).sum()
    }
    /// Where the tokens lie.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }
    /// To set and clear resets.
    pub fn tokens_mut(&mut self) -> TokensMut<'_> {
        TokensMut(&mut self.tokens)
    }
    /// A whole buffer.
    pub fn buf(&self, id: BufId) -> &[f32] {
        &self.grid(id).data
    }
    /// A whole buffer.
    pub fn buf_mut(&mut self, id: BufId) -> &mut [f32] {
        &mut self.grids[id.0].data
    }
    /// Columns `0..len` of `row` of a row-major or scalar buffer.
    pub fn row(&self, id: BufId, row: usize, len: usize) -> &[f32] {
        let g = self.grid(id);
        let begin = g.row_start(row, len);
        &g.data[begin..begin + len]
    }
    /// Columns `0..len` of `row` of a row-major or scalar buffer.
    pub fn row_mut(&mut self, id: BufId, row: usize, len: usize) -> &mut [f32] {
        let g = &mut self.grids[id.0];
        let begin = g.row_start(row, len);
        &mut g.data[begin..begin + len]
    }
    /// The vector of 16 units `vector` of `row` of a panelled or row-major buffer.
    pub fn vector(&self, id: BufId, vector: usize, row: usize) -> &[f32] {
        let g = self.grid(id);
        let at = g.vector_start(vector, row);
        &g.data[at..at + LANES]
    }
    /// As [`Workspace::vector`], to write.
    pub fn vector_mut(&mut self, id: BufId, vector: usize, row: usize) -> &mut [f32] {
        let g = &mut self.grids[id.0];
        let at = g.vector_start(vector, row);
        &mut g.data[at..at + LANES]
    }
    /// Copies row `from` to row `to`, all columns.
    pub fn copy_row(&mut self, id: BufId, from: usize, to: usize) {
        let g = &mut self.grids[id.0];
        assert!(from < g.rows && to < g.rows, "rows {from}, {to} of {}", g.rows);
        match g.columns {
            Columns::Panels(p) => {
                for i in 0..p.count() {
                    let (base, w) = (p.offset(i, g.rows), p.width(i) * LANES);
                    g.data.copy_within(base + from * w..base + (from + 1) * w, base + to * w);
                }
            }
            _ => g.data.copy_within(from * g.row_stride..(from + 1) * g.row_stride, to * g.row_stride),
        }
    }
    pub(crate) fn grid(&self, id: BufId) -> &Grid {
        &self.grids[id.0]
    }
    /// The claim on everything.
    pub fn share(&mut self) -> Share<'_> {
        let lanes = 0..self.tokens.lanes();
        Share { ws: self, lanes, member: 0, members: 1, exclusive: PhantomData }
    }
}

/// Access to the resets of a workspace's tokens, and to nothing that would move a row.
pub struct TokensMut<'a>(&'a mut Tokens);

impl TokensMut<'_> {
    /// See [`Tokens::reset`].
    pub fn reset(&mut self, t: usize, lane: usize) {
        self.0.reset(t, lane);
    }
    /// See [`Tokens::clear_resets`].
    pub fn clear_resets(&mut self) {
        self.0.clear_resets();
    }
}

impl Grid {
    pub(crate) fn space(&self) -> Space {
        self.space
    }
    pub(crate) fn columns(&self) -> Columns {
        self.columns
    }
    pub(crate) fn at(&self) -> At {
        At { base: self.data.as_raw(), columns: self.columns, rows: self.rows, row_stride: self.row_stride }
    }
    fn row_start(&self, row: usize, len: usize) -> usize {
        assert!(!matches!(self.columns, Columns::Panels(_)), "a panelled buffer has no plain rows");
        assert!(row < self.rows && len <= self.row_stride, "row {row} of {}, {len} columns", self.rows);
        row * self.row_stride
    }
    fn vector_start(&self, vector: usize, row: usize) -> usize {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        match self.columns {
            Columns::Panels(p) => {
                assert!(vector < p.vectors(), "vector {vector} of {}", p.vectors());
                p.at(self.rows, row, vector * LANES)
            }
            Columns::RowMajor(c) => {
                assert!(vector * LANES < c, "vector {vector} of {c} columns");
                row * self.row_stride + vector * LANES
            }
            Columns::Scalar => panic!("a buffer of scalars has no vectors"),
        }
    }
}

/// What one worker may touch: some lanes, or some panels of all lanes.
pub struct Share<'w> {
    ws: &'w Workspace,
    lanes: Range<usize>,
    member: usize,
    members: usize,
    exclusive: PhantomData<&'w mut Workspace>,
}

impl<'w> Share<'w> {
    /// The claim on some of this claim's lanes.
    ///
    /// # Safety
    /// - shares that live at the same time have no lane in common;
    /// - the claim itself is not used until they are gone.
    pub unsafe fn block(&self, lanes: Range<usize>) -> Share<'_> {
        let inside = self.lanes.start <= lanes.start && lanes.end <= self.lanes.end;
        assert!(inside && self.members == 1, "lanes {lanes:?} are not inside {:?}", self.lanes);
        Share { ws: self.ws, lanes, member: 0, members: 1, exclusive: PhantomData }
    }
    /// The lanes of this claim.
    pub fn lanes(&self) -> Range<usize> {
        self.lanes.clone()
    }
    /// Where the tokens lie.
    pub fn tokens(&self) -> &Tokens {
        &self.ws.tokens
    }
    /// The claim of member `member` of a team of `members`: its part of the panels of each operation.
    ///
    /// # Safety
    /// - the shares made from one claim are used by one worker each, with different `member` numbers below `members`;
    /// - all of them run the same operations in the same order, with a barrier between any two;
    /// - the claim itself is not used until they are gone.
    pub unsafe fn member(&self, member: usize, members: usize) -> Share<'_> {
        assert!(member < members && self.members == 1, "member {member} of {members}");
        Share { ws: self.ws, lanes: self.lanes.clone(), member, members, exclusive: PhantomData }
    }
    pub(crate) fn workspace(&self) -> &Workspace {
        self.ws
    }
    /// This member's part of `0..n`: even, the first parts one longer.
    pub(crate) fn part(&self, n: usize) -> Range<usize> {
        let (each, more) = (n / self.members, n % self.members);
        let begin = self.member * each + self.member.min(more);
        begin..begin + each + usize::from(self.member < more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previous_rows_stay_in_their_lane() {
        let (t_count, b) = (5, 3);
        let mut tokens = Tokens::rectangular(t_count, b);
        tokens.reset(2, 1);
        for t in 0..t_count {
            for lane in 0..b {
                let want = match (t, lane) {
                    (2, 1) => 0,
                    (0, _) => tokens.carried_row(lane),
                    _ => tokens.row(tokens.token(t - 1, lane)),
                };
                assert_eq!(tokens.prev_rows()[tokens.token(t, lane)] as usize, want);
            }
        }
        tokens.clear_resets();
        assert_eq!(tokens.prev_rows(), Tokens::rectangular(t_count, b).prev_rows());
    }

    #[test]
    fn parts_cover_without_overlap() {
        let mut ws = Workspace::new(Tokens::rectangular(2, 4));
        let share = ws.share();
        for members in 1..7 {
            let mut next = 0;
            for member in 0..members {
                // SAFETY: never used for an operation.
                let part = unsafe { share.member(member, members) }.part(11);
                assert_eq!(part.start, next);
                next = part.end;
            }
            assert_eq!(next, 11);
        }
    }

    #[test]
    fn rows_copy_in_every_layout() {
        let mut ws = Workspace::new(Tokens::rectangular(2, 3));
        for columns in [Columns::RowMajor(20), Columns::Panels(Panels::even(5)), Columns::Scalar] {
            let id = ws.add(Space::Rows, columns).unwrap();
            for (i, x) in ws.buf_mut(id).iter_mut().enumerate() {
                *x = i as f32;
            }
            if columns == Columns::Scalar {
                ws.copy_row(id, 7, 2);
                assert_eq!(ws.row(id, 2, 1), ws.row(id, 7, 1));
                continue;
            }
            let before: Vec<f32> = ws.vector(id, 1, 7).to_vec();
            ws.copy_row(id, 7, 2);
            assert_eq!(ws.vector(id, 1, 2), before);
        }
    }
}
