//! Passes on the caller's arrays: the lists of operations with the copies of rows woven in.
//!
//! ```text
//! forward    for each step t: x_t is read before its first operation, y_t is written behind its last
//! backward   for each step t: d_y_t is read before its first operation, d_x_t is written behind its last
//! ```
//!
//! So whoever works on a step's lanes copies their rows when they are about to be used, or have just been made: one pass
//! over the data in and one out, shared out as the pass itself is, with no meeting point of its own. The bits are those of
//! a pass whose rows were copied by hand.

use crate::network::{Chunk, Network};
use crate::params::Params;
use gatemill_crew::Crew;
use gatemill_kernels::{Arrays, BufId, InputGradOp, Kernels, Op, ReadOp, Rows, RowsMut, WriteOp};

/// The lists of a network's passes on arrays; empty until one is asked for.
#[derive(Debug, Default)]
pub(crate) struct Woven {
    plain: Vec<Op>,
    dropping: Vec<Op>,
    backward: Vec<Op>,
    /// Backward without the gradient to x.
    backward_alone: Vec<Op>,
}

impl Woven {
    /// The network's own lists have changed.
    pub(crate) fn clear(&mut self) {
        for list in [&mut self.plain, &mut self.dropping, &mut self.backward, &mut self.backward_alone] {
            list.clear();
        }
    }
}

/// `ops` with a read before the first and a write behind the last operation of each step.
fn weave(out: &mut Vec<Op>, ops: &[Op], steps: usize, read: impl Fn(usize) -> Op, write: impl Fn(usize) -> Option<Op>) {
    let (mut begun, mut left) = (vec![false; steps], vec![0usize; steps]);
    ops.iter().for_each(|op| left[op.t()] += 1);
    out.clear();
    for op in ops {
        let t = op.t();
        if !std::mem::replace(&mut begun[t], true) {
            out.push(read(t));
        }
        out.push(*op);
        left[t] -= 1;
        if left[t] == 0 {
            out.extend(write(t));
        }
    }
}

impl Network {
    /// The dense input, and its columns.
    fn input_rows(&self) -> (BufId, usize) {
        (self.bufs.x.expect("this network reads symbols"), self.layout.layers()[0].shape.inputs())
    }
    /// What the top level gives: the buffer, parts of a row, columns of each.
    fn output_rows(&self) -> (BufId, usize, usize) {
        let top = self.bufs.levels[self.bufs.levels.len() - 1];
        (top.y(), self.parts(), self.part_columns())
    }
    /// The gradient to it, likewise.
    fn output_grad_rows(&self) -> (BufId, usize, usize) {
        let d_y = self.bufs.levels.last().and_then(|top| top.d_y);
        (d_y.expect("no backward was asked for"), self.parts(), self.part_columns())
    }

    /// Forward over the chunk, from the carried states: `x` is read and `y`, the top level's outputs, is written.
    ///
    /// Panics where the network reads symbols or has a readout, where the chunk is longer than T, or where the arrays do
    /// not hold the batch's rows (`Rows::check`, `RowsMut::check`).
    pub fn forward_rows(
        &mut self,
        (crew, kernels): (&Crew, &Kernels),
        params: &Params,
        chunk: &Chunk<'_>,
        x: Rows<'_>,
        y: &RowsMut<'_>,
    ) {
        self.fits(chunk);
        let steps = self.steps();
        let drops = chunk.dropout.is_some();
        self.dropped = drops;
        let (to, inputs) = self.input_rows();
        let (from, parts, columns) = self.output_rows();
        let (list, ops) = match drops {
            true => (&mut self.woven.dropping, &self.forward),
            false => (&mut self.woven.plain, &self.plain),
        };
        if list.is_empty() {
            let read = |t| Op::Read(ReadOp { t, to, parts: 1, columns: inputs });
            weave(list, ops, steps, read, |t| Some(Op::Write(WriteOp { t, from, parts, columns })));
        }
        let arrays = Arrays { read: Some(x), write: Some(y) };
        let (split, pass) = (self.split(crew), Self::pass(params, chunk, arrays));
        let list = if drops { &self.woven.dropping } else { &self.woven.plain };
        crew.run(kernels, list, chunk.steps, &pass, &mut self.ws, split);
    }

    /// Backward over the chunk that `forward_rows` ran: `d_y` is read and `d_x`, where it is wanted, is written; without it
    /// no gradient to x is computed. The rest is as in [`Network::backward`].
    ///
    /// Panics as `forward_rows`, and where backward or, with `d_x`, the input's gradient was not asked for.
    pub fn backward_rows(
        &mut self,
        (crew, kernels): (&Crew, &Kernels),
        params: &Params,
        chunk: &Chunk<'_>,
        d_y: Rows<'_>,
        d_x: Option<&RowsMut<'_>>,
    ) {
        self.fits(chunk);
        let steps = self.steps();
        let (_, inputs) = self.input_rows();
        let (to, parts, columns) = self.output_grad_rows();
        let from = self.bufs.d_x;
        assert!(d_x.is_none() || from.is_some(), "no input gradient was asked for");
        let list = match d_x {
            Some(_) => &mut self.woven.backward,
            None => &mut self.woven.backward_alone,
        };
        if list.is_empty() {
            let read = |t| Op::Read(ReadOp { t, to, parts, columns });
            let wanted = from.filter(|_| d_x.is_some());
            let write = |t| wanted.map(|from| Op::Write(WriteOp { t, from, parts: 1, columns: inputs }));
            weave(list, &self.backward, steps, read, write);
            if wanted.is_none() {
                for op in list {
                    if let Op::InputGrad(InputGradOp { d_x, from: added, .. }) = op
                        && *d_x == from
                    {
                        (*d_x, *added) = (None, None);
                    }
                }
            }
        }
        self.begin_backward(chunk);
        let arrays = Arrays { read: Some(d_y), write: d_x };
        let (split, pass) = (self.split(crew), Self::pass(params, chunk, arrays));
        let list = if d_x.is_some() { &self.woven.backward } else { &self.woven.backward_alone };
        crew.run(kernels, list, chunk.steps, &pass, &mut self.ws, split);
    }
}
