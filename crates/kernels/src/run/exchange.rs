//! A step's rows between the caller's arrays and the workspace, copied by the worker whose lanes they are: just before
//! they are used, or while they are still in its cache.

use super::{Check, Pass};
use crate::pack::LANES;
use crate::view::{BufId, Columns, Share, Space};
use std::ops::Range;

/// Rows of [`crate::Arrays::read`] of one step, into a buffer.
#[derive(Debug, Clone, Copy)]
pub struct ReadOp {
    /// Which step.
    pub t: usize,
    /// `[rows, parts * columns]`, each of several parts in whole vectors. Padding becomes zero.
    pub to: BufId,
    /// Parts of a row.
    pub parts: usize,
    /// Columns of each.
    pub columns: usize,
}

/// Rows of one step of a buffer, into [`crate::Arrays::write`]; zeros for lanes that have ended, where it is padded.
#[derive(Debug, Clone, Copy)]
pub struct WriteOp {
    /// Which step.
    pub t: usize,
    /// As [`ReadOp::to`].
    pub from: BufId,
    /// Parts of a row.
    pub parts: usize,
    /// Columns of each.
    pub columns: usize,
}

/// The columns of a buffer whose rows have so many parts, and floats from part to part.
fn form(parts: usize, columns: usize) -> (Columns, usize) {
    let whole = columns.next_multiple_of(LANES);
    if parts == 1 { (Columns::RowMajor(columns), whole) } else { (Columns::RowMajor(parts * whole), whole) }
}

/// This member's part of a range.
fn part(share: &Share<'_>, lanes: Range<usize>) -> Range<usize> {
    let part = share.part(lanes.len());
    lanes.start + part.start..lanes.start + part.end
}

pub(super) fn read(o: &ReadOp, pass: &Pass<'_>, share: &mut Share<'_>) {
    let check = Check { ws: share.workspace(), op: "read" };
    let rows = pass.arrays.read.expect("read: the pass has no array to read");
    let (form, stride) = form(o.parts, o.columns);
    let (to, tokens) = (check.at(o.to, "to", Space::Rows, form), share.tokens());
    for lane in part(share, share.lanes_at(o.t)) {
        let from = rows.row(tokens, o.t, lane, o.parts * o.columns);
        let row = tokens.row(tokens.token(o.t, lane));
        // SAFETY: the row is the token's and has `parts * stride` floats by the form just checked; the claim is exclusive.
        let to = unsafe { std::slice::from_raw_parts_mut(to.panel(0, row), o.parts * stride) };
        for (from, to) in from.chunks_exact(o.columns).zip(to.chunks_exact_mut(stride)) {
            let (to, padding) = to.split_at_mut(o.columns);
            to.copy_from_slice(from);
            padding.fill(0.0);
        }
    }
}

pub(super) fn write(o: &WriteOp, pass: &Pass<'_>, share: &mut Share<'_>) {
    let check = Check { ws: share.workspace(), op: "write" };
    let rows = pass.arrays.write.expect("write: the pass has no array to write");
    let (form, stride) = form(o.parts, o.columns);
    let (from, tokens, width) = (check.at(o.from, "from", Space::Rows, form), share.tokens(), o.parts * o.columns);
    rows.assert_fits(tokens, width);
    let alive = tokens.lanes_at(o.t);
    for lane in part(share, share.lanes()) {
        if lane >= alive && !rows.padded() {
            return;
        }
        // A lane that has ended has a row only where the array is strided.
        // SAFETY: rows are inside and apart, as just asserted; this worker alone has the lane, or its part of a step's lanes.
        let to = unsafe { rows.row(tokens, o.t, lane, width) };
        if lane >= alive {
            to.fill(0.0);
            continue;
        }
        let row = tokens.row(tokens.token(o.t, lane));
        // SAFETY: the row is the token's and has `parts * stride` floats by the form checked; nobody writes it now.
        let from = unsafe { std::slice::from_raw_parts(from.panel(0, row).cast_const(), o.parts * stride) };
        for (from, to) in from.chunks_exact(stride).zip(to.chunks_exact_mut(o.columns)) {
            to.copy_from_slice(&from[..o.columns]);
        }
    }
}
