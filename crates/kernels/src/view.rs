//! Buffers shaped by tokens, and the one sound way to split them among workers.
//!
//! Everything that a pass keeps lies in a [`Workspace`], as one of three kinds of rows: per row, per token, per lane
//! (`tokens.rs` says which is which). Some columns of a row-major buffer can be a buffer of their own, a window: the two
//! directions of a layer write theirs into one row, which the layer above reads. A workspace takes one batch after the
//! other, in memory that only grows.
//!
//! **Who may touch what.** A [`Share`] is a claim on some lanes of a workspace, or on some panels of all lanes. The
//! whole claim comes from `&mut Workspace`. Claims on different lanes of it may be used side by side, because every
//! operation of this crate writes only cells of its share's lanes and reads only these, row 0 (which nobody writes) and
//! read-only weights. The row before a token never leaves its lane: `Tokens` can't be built otherwise. A claim on panels reads the
//! columns of its neighbours too, so its holders must meet at a barrier between any two operations. Both constructors
//! are unsafe, and `crew` holds the argument that lanes and panels are disjoint.

use crate::buffer::{Buffer, OutOfMemory};
use crate::pack::{LANES, Panels};
use crate::tokens::{Batch, BatchError, Tokens};
use std::marker::PhantomData;
use std::ops::Range;

/// What the rows of a buffer stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// Zeros, carried states, tokens: 1 + B + N rows, N = T*B where the batch is even.
    Rows,
    /// Tokens: N rows.
    Tokens,
    /// Lanes: B rows, and some between two blocks of lanes ([`Tokens::lane_row`]).
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

/// The form of a buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid {
    /// Which memory it is in, and at which float of it row 0 begins.
    memory: usize,
    first: usize,
    space: Space,
    columns: Columns,
    rows: usize,
    row_stride: usize,
    /// Floats of a row that are its own.
    width: usize,
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
    /// The same buffer with what was row `shift` as row 0. Panics where its panels are wider than one vector.
    pub(crate) fn shifted(self, shift: usize) -> Self {
        let step = match self.columns {
            Columns::RowMajor(_) => self.row_stride,
            Columns::Panels(s) => {
                assert!(s.per_panel() == 1, "rows of {s:?} are not equally far apart");
                LANES
            }
            Columns::Scalar => 1,
        };
        Self { base: self.base.wrapping_add(shift * step), ..self }
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
    /// Each as long as the largest batch so far needed.
    memory: Vec<Buffer>,
}

/// Floats of a row and of `rows` rows. Errors: more than can be counted.
fn sizes(columns: Columns, rows: usize) -> Result<(usize, usize), OutOfMemory> {
    let (row_stride, len) = match columns {
        // One vector more than the columns need: no power of two, and a slack that a tile may read into.
        Columns::RowMajor(c) => {
            let stride = c.checked_next_multiple_of(LANES).and_then(|c| c.checked_add(LANES));
            (stride.unwrap_or(0), stride.and_then(|stride| rows.checked_mul(stride)))
        }
        Columns::Panels(p) => (0, p.vectors().checked_mul(LANES).and_then(|floats| rows.checked_mul(floats))),
        Columns::Scalar => (1, Some(rows)),
    };
    Ok((row_stride, len.ok_or(OutOfMemory { bytes: usize::MAX })?))
}

impl Space {
    /// Rows for so many tokens, lanes, and rows of what goes by lane.
    fn rows(self, (tokens, lanes, lane_rows): (usize, usize, usize)) -> usize {
        match self {
            Space::Rows => 1 + lanes + tokens,
            // Panels a power of two apart would share a few sets of L2.
            Space::Tokens if tokens >= 1024 && tokens.is_multiple_of(64) => tokens + 32,
            Space::Tokens => tokens,
            Space::Lanes => lane_rows,
        }
    }
}

impl Workspace {
    /// A workspace of no buffers yet.
    pub fn new(tokens: Tokens) -> Self {
        Self { tokens, grids: Vec::new(), memory: Vec::new() }
    }
    /// Adds a buffer of zeros. Errors: the memory is not to be had.
    pub fn add(&mut self, space: Space, columns: Columns) -> Result<BufId, OutOfMemory> {
        let rows = space.rows(self.sizes());
        let (row_stride, len) = sizes(columns, rows)?;
        self.memory.push(Buffer::zeroed(len)?);
        let memory = self.memory.len() - 1;
        self.grids.push(Grid { memory, first: 0, space, columns, rows, row_stride, width: row_stride });
        Ok(BufId(self.grids.len() - 1))
    }
    /// `columns` columns of a row-major buffer, from vector `vector` on, as a buffer: nothing is copied. Panics where they
    /// are not inside it.
    pub fn window(&mut self, of: BufId, vector: usize, columns: usize) -> BufId {
        let whole = self.grid(of);
        let (first, width) =
            (vector.saturating_mul(LANES), columns.checked_next_multiple_of(LANES).unwrap_or(usize::MAX));
        let end = first.saturating_add(width);
        let inside = matches!(whole.columns, Columns::RowMajor(c) if end <= c.next_multiple_of(LANES));
        assert!(inside, "a window of {columns} columns from {first} on of {:?}", whole.columns);
        self.grids.push(Grid { first: whole.first + first, columns: Columns::RowMajor(columns), width, ..*whole });
        BufId(self.grids.len() - 1)
    }
    /// What rows are counted by: tokens, lanes, rows of what goes by lane.
    fn sizes(&self) -> (usize, usize, usize) {
        (self.tokens.count(), self.tokens.lanes(), self.tokens.lane_rows())
    }
    /// Takes another batch from here on, in so many blocks of lanes: carried states are zero, there are no resets, and what
    /// else the buffers hold is of no meaning. Allocates only where the batch needs more than any before.
    ///
    /// Errors: a form that is none, the memory is not to be had; the batch is then the one that was, from zero states.
    pub fn set_batch(&mut self, batch: Batch<'_>, blocks: usize) -> Result<(), BatchError> {
        let tokens = batch.tokens()?;
        let grown = self.grow((tokens, batch.lanes(), Tokens::lane_rows_of(batch, blocks)));
        let placed = grown.and_then(|()| self.tokens.place(batch, tokens, blocks));
        let sizes = self.sizes();
        for grid in &mut self.grids {
            grid.rows = grid.space.rows(sizes);
        }
        self.clear_states();
        Ok(placed?)
    }
    /// Makes room for a batch. What a buffer that grows held is lost.
    fn grow(&mut self, of: (usize, usize, usize)) -> Result<(), OutOfMemory> {
        for grid in &self.grids {
            let (memory, (_, len)) = (&mut self.memory[grid.memory], sizes(grid.columns, grid.space.rows(of))?);
            if memory.len() < len {
                *memory = Buffer::zeroed(len)?;
            }
        }
        Ok(())
    }
    /// Zeros in row 0, in the carried rows, and in what goes by lane.
    fn clear_states(&mut self) {
        let lanes = self.tokens.lanes();
        for g in &self.grids {
            let rows = match g.space {
                Space::Rows => 1 + lanes,
                Space::Lanes => g.rows,
                Space::Tokens => continue,
            };
            let memory = &mut self.memory[g.memory];
            match g.columns {
                Columns::Panels(p) => (0..p.count()).for_each(|i| {
                    memory[p.offset(i, g.rows)..][..rows * p.width(i) * LANES].fill(0.0);
                }),
                _ => memory[..rows * g.row_stride].fill(0.0),
            }
        }
    }
    /// Bytes of all buffers.
    pub fn size_bytes(&self) -> usize {
        self.memory.iter().map(|memory| memory.len() * 4).sum()
    }
    /// Where the tokens lie.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }
    /// To set and clear resets.
    pub fn tokens_mut(&mut self) -> TokensMut<'_> {
        TokensMut(&mut self.tokens)
    }
    /// A whole buffer. Panics where it is a window.
    pub fn buf(&self, id: BufId) -> &[f32] {
        let g = self.grid(id);
        &self.memory[g.memory][..g.len()]
    }
    /// A whole buffer. Panics where it is a window.
    pub fn buf_mut(&mut self, id: BufId) -> &mut [f32] {
        let g = *self.grid(id);
        &mut self.memory[g.memory][..g.len()]
    }
    /// Columns `0..len` of `row` of a row-major or scalar buffer.
    pub fn row(&self, id: BufId, row: usize, len: usize) -> &[f32] {
        let g = self.grid(id);
        &self.memory[g.memory][g.row_start(row, len)..][..len]
    }
    /// Columns `0..len` of `row` of a row-major or scalar buffer.
    pub fn row_mut(&mut self, id: BufId, row: usize, len: usize) -> &mut [f32] {
        let g = *self.grid(id);
        &mut self.memory[g.memory][g.row_start(row, len)..][..len]
    }
    /// The vector of 16 units `vector` of `row` of a panelled or row-major buffer.
    pub fn vector(&self, id: BufId, vector: usize, row: usize) -> &[f32] {
        let g = self.grid(id);
        &self.memory[g.memory][g.vector_start(vector, row)..][..LANES]
    }
    /// As [`Workspace::vector`], to write.
    pub fn vector_mut(&mut self, id: BufId, vector: usize, row: usize) -> &mut [f32] {
        let g = *self.grid(id);
        &mut self.memory[g.memory][g.vector_start(vector, row)..][..LANES]
    }
    /// Copies row `from` to row `to`, all columns.
    pub fn copy_row(&mut self, id: BufId, from: usize, to: usize) {
        let g = *self.grid(id);
        assert!(from < g.rows && to < g.rows, "rows {from}, {to} of {}", g.rows);
        let memory = &mut self.memory[g.memory];
        match g.columns {
            Columns::Panels(p) => {
                for i in 0..p.count() {
                    let (base, w) = (p.offset(i, g.rows), p.width(i) * LANES);
                    memory.copy_within(base + from * w..base + (from + 1) * w, base + to * w);
                }
            }
            _ => {
                let [from, to] = [from, to].map(|row| g.first + row * g.row_stride);
                memory.copy_within(from..from + g.width, to);
            }
        }
    }
    pub(crate) fn grid(&self, id: BufId) -> &Grid {
        &self.grids[id.0]
    }
    /// A buffer's addresses.
    pub(crate) fn at(&self, id: BufId) -> At {
        let g = self.grid(id);
        let base = self.memory[g.memory].as_raw().wrapping_add(g.first);
        At { base, columns: g.columns, rows: g.rows, row_stride: g.row_stride }
    }
    /// Some number is in both buffers.
    pub(crate) fn overlap(&self, a: BufId, b: BufId) -> bool {
        let (a, b) = (self.grid(a), self.grid(b));
        // Windows of one buffer have its rows.
        a.memory == b.memory && a.first < b.first + b.width.max(1) && b.first < a.first + a.width.max(1)
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
    /// Floats of a row that a product may read.
    pub(crate) fn width(&self) -> usize {
        self.width
    }
    /// Floats of the whole of it.
    fn len(&self) -> usize {
        assert!(self.width == self.row_stride, "a window is no buffer by itself");
        match self.columns {
            Columns::Panels(p) => p.floats(self.rows),
            _ => self.rows * self.row_stride,
        }
    }
    fn row_start(&self, row: usize, len: usize) -> usize {
        assert!(!matches!(self.columns, Columns::Panels(_)), "a panelled buffer has no plain rows");
        assert!(row < self.rows && len <= self.width, "row {row} of {}, {len} columns", self.rows);
        self.first + row * self.row_stride
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
                self.first + row * self.row_stride + vector * LANES
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
    /// Those of them that reach step `t`.
    pub(crate) fn lanes_at(&self, t: usize) -> Range<usize> {
        self.ws.tokens.alive(t, &self.lanes)
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
    /// The claim on some of its lanes, while itself it is not used.
    pub(crate) fn within(&mut self, lanes: Range<usize>) -> Share<'_> {
        assert!(self.lanes.start <= lanes.start && lanes.end <= self.lanes.end, "{lanes:?} of {:?}", self.lanes);
        Share { ws: self.ws, lanes, member: self.member, members: self.members, exclusive: PhantomData }
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

    #[test]
    fn a_window_is_some_columns_of_its_buffer() {
        let mut ws = Workspace::new(Tokens::rectangular(2, 3));
        let whole = ws.add(Space::Rows, Columns::RowMajor(16 + 32)).unwrap();
        let other = ws.add(Space::Rows, Columns::RowMajor(48)).unwrap();
        let (low, high) = (ws.window(whole, 0, 9), ws.window(whole, 1, 20));
        for (i, x) in ws.buf_mut(whole).iter_mut().enumerate() {
            *x = i as f32;
        }
        assert_eq!(ws.row(high, 7, 20), &ws.row(whole, 7, 48)[16..36]);
        assert_eq!(ws.vector(high, 1, 7), &ws.row(whole, 7, 48)[32..]);
        let (below, above) = (ws.row(low, 2, 9).to_vec(), ws.row(high, 7, 20).to_vec());
        ws.copy_row(high, 7, 2);
        assert_eq!((ws.row(low, 2, 9), ws.row(high, 2, 20)), (&below[..], &above[..]));
        let overlaps = |a, b| ws.overlap(a, b);
        assert!(overlaps(whole, low) && overlaps(high, whole) && overlaps(low, low));
        assert!(!overlaps(low, high) && !overlaps(whole, other));
    }

    #[test]
    fn memory_stays_where_it_suffices_and_states_are_zero_after_every_change() {
        let mut ws = Workspace::new(Tokens::rectangular(4, 3));
        let rows = ws.add(Space::Rows, Columns::RowMajor(20)).unwrap();
        let panels = ws.add(Space::Rows, Columns::Panels(Panels::fixed(2, 1))).unwrap();
        let lanes = ws.add(Space::Lanes, Columns::RowMajor(20)).unwrap();
        let window = ws.window(rows, 1, 4);
        let bytes = ws.size_bytes();
        let mut places = Vec::new();
        for batch in [
            Batch::Packed { batch_sizes: &[2, 1] },
            Batch::Even { steps: 1, lanes: 1 },
            Batch::Even { steps: 2, lanes: 4 },
            Batch::Packed { batch_sizes: &[3, 3, 3, 3] },
        ] {
            for id in [rows, panels, lanes] {
                ws.buf_mut(id).fill(f32::NAN);
            }
            ws.set_batch(batch, 1).unwrap();
            assert_eq!(ws.tokens().lanes(), batch.lanes());
            for row in 0..=batch.lanes() {
                let all = [
                    ws.row(rows, row, 20),
                    ws.vector(panels, 0, row),
                    ws.vector(panels, 1, row),
                    ws.row(window, row, 4),
                ];
                assert!(all.into_iter().flatten().all(|&x| x == 0.0), "{batch:?} row {row}");
            }
            assert!(ws.buf(lanes).iter().all(|&x| x == 0.0));
            places.push((ws.buf(rows).as_ptr(), ws.buf(panels).as_ptr()));
        }
        assert!(places.iter().all(|&place| place == places[0]));
        // The lanes alone grew, by one.
        assert_eq!(ws.size_bytes(), bytes + 4 * 48);
        let refused = ws.set_batch(Batch::Packed { batch_sizes: &[1, 2] }, 1);
        assert!(matches!(refused, Err(BatchError::Rising { .. })) && ws.tokens().count() == 12);
    }
}
