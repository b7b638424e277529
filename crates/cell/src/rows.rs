//! Rows of a network in and out: inputs, outputs, losses and their gradients, by token.

use crate::network::Network;
use gatemill_kernels::LANES;

impl Network {
    /// I: columns of a dense input's row.
    fn inputs(&self) -> usize {
        match (self.layout.layers().first(), self.layout.head()) {
            (Some(first), _) => first.shape.inputs(),
            (None, head) => head.map_or(0, |head| head.hidden),
        }
    }
    /// A dense input's row at (`t`, `lane`), to be written before `forward`. Panics where the network reads symbols.
    pub fn input_mut(&mut self, t: usize, lane: usize) -> &mut [f32] {
        let inputs = self.inputs();
        let (id, row) = (self.bufs.x.expect("this network reads symbols"), self.token_row(t, lane));
        self.ws.row_mut(id, row, inputs)
    }
    /// The gradient to a dense input at (`t`, `lane`), after `backward`. Panics where it was not asked for.
    pub fn input_grad(&self, t: usize, lane: usize) -> &[f32] {
        let inputs = self.inputs();
        self.ws.row(self.bufs.d_x.expect("no input gradient was asked for"), self.token_row(t, lane), inputs)
    }
    /// Parts of an output row: two where two directions stand side by side, else one.
    pub fn parts(&self) -> usize {
        if self.bufs.form.concat { 2 } else { 1 }
    }
    /// Columns of a part: H, or P of a projection.
    pub(crate) fn part_columns(&self) -> usize {
        self.layout.layers()[self.bufs.layers.len() - 1].shape.outputs()
    }
    /// Where part `part` stands in an output row. Panics where there is none.
    fn part(&self, part: usize) -> std::ops::Range<usize> {
        assert!(part < self.parts(), "part {part} of {}", self.parts());
        let (columns, first) = (self.part_columns(), part * self.part_columns().next_multiple_of(LANES));
        first..first + columns
    }
    /// What the top level gives at (`t`, `lane`): h, or what it is part of in a stack. Panics where it has two parts.
    pub fn output(&self, t: usize, lane: usize) -> &[f32] {
        assert_eq!(self.parts(), 1, "two directions side by side are two parts");
        self.output_part(t, lane, 0)
    }
    /// Part `part` of what the top level gives at (`t`, `lane`): of two directions side by side the reversed one is part 1.
    /// Panics where there is none.
    pub fn output_part(&self, t: usize, lane: usize, part: usize) -> &[f32] {
        let (top, columns) = (self.bufs.levels[self.bufs.levels.len() - 1], self.part(part));
        &self.ws.row(top.y(), self.token_row(t, lane), columns.end)[columns]
    }
    /// All parts of it, one behind the other, into `to`. Panics where that is shorter or longer.
    pub fn copy_output(&self, t: usize, lane: usize, to: &mut [f32]) {
        let columns = self.part_columns();
        assert_eq!(to.len(), self.parts() * columns, "an output row has {} parts of {columns}", self.parts());
        for (part, to) in to.chunks_exact_mut(columns).enumerate() {
            to.copy_from_slice(self.output_part(t, lane, part));
        }
    }
    /// The gradient to the output at (`t`, `lane`), to be written before `backward` without a readout.
    ///
    /// Panics where backward was not asked for, or where the output has two parts.
    pub fn output_grad_mut(&mut self, t: usize, lane: usize) -> &mut [f32] {
        assert_eq!(self.parts(), 1, "two directions side by side are two parts");
        self.output_grad_part_mut(t, lane, 0)
    }
    /// The gradient to part `part` of the output, likewise.
    pub fn output_grad_part_mut(&mut self, t: usize, lane: usize, part: usize) -> &mut [f32] {
        let d_y = self.bufs.levels.last().and_then(|top| top.d_y).expect("no backward was asked for");
        let (columns, row) = (self.part(part), self.token_row(t, lane));
        let d_y = &mut self.ws.row_mut(d_y, row, columns.end.next_multiple_of(LANES))[columns.start..];
        let (d_y, padding) = d_y.split_at_mut(columns.len());
        // What a pass left there may be no number.
        padding.fill(0.0);
        d_y
    }
    /// The gradient to all parts, one behind the other. Panics where `from` is shorter or longer, or backward was not
    /// asked for.
    pub fn set_output_grad(&mut self, t: usize, lane: usize, from: &[f32]) {
        let columns = self.part_columns();
        assert_eq!(from.len(), self.parts() * columns, "an output row has {} parts of {columns}", self.parts());
        for (part, from) in from.chunks_exact(columns).enumerate() {
            self.output_grad_part_mut(t, lane, part).copy_from_slice(from);
        }
    }
    /// Logits at (`t`, `lane`), where the chunk had no targets; their gradient where it had. Panics without a readout.
    pub fn logits(&self, t: usize, lane: usize) -> &[f32] {
        let vocab = self.layout.head().expect("no readout").vocab;
        let token = self.ws.tokens().token(t, lane);
        self.ws.row(self.bufs.logits.expect("no readout"), token, vocab)
    }
    /// The gradient to the readout's row at (`t`, `lane`), to be written before `backward` where the chunk had no targets:
    /// a readout is then a linear map like any other. Panics without a readout.
    pub fn logits_grad_mut(&mut self, t: usize, lane: usize) -> &mut [f32] {
        let vocab = self.layout.head().expect("no readout").vocab;
        let token = self.ws.tokens().token(t, lane);
        let row = self.ws.row_mut(self.bufs.logits.expect("no readout"), token, vocab.next_multiple_of(LANES));
        let (row, padding) = row.split_at_mut(vocab);
        padding.fill(0.0);
        row
    }
    /// The gradient to every output becomes zero: for a backward whose gradients come in at few of them.
    ///
    /// Panics where backward was not asked for.
    pub fn clear_output_grad(&mut self) {
        let d_y = self.bufs.levels.last().and_then(|top| top.d_y).expect("no backward was asked for");
        self.ws.buf_mut(d_y).fill(0.0);
    }
    /// Loss of each token of the first steps, `[steps, B]` in the order of the tokens, in nats; 0 where the target was left
    /// out.
    pub fn nats(&self, steps: usize) -> &[f32] {
        let id = self.bufs.nats.expect("no readout");
        &self.ws.buf(id)[..self.ws.tokens().count_of(steps)]
    }
    fn token_row(&self, t: usize, lane: usize) -> usize {
        let tokens = self.ws.tokens();
        tokens.row(tokens.token(t, lane))
    }
}
