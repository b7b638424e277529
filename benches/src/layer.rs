//! One layer of a character model with its readout, T steps of B lanes, whose operations are run one at a time.
//!
//! What an operation reads is set here from a seed and can be read back in PyTorch's order, for the f64 side of a bench.

use gatemill_cell::{Cell, Params};
use gatemill_crew::Crew;
use gatemill_kernels::{
    Arrays, BufId, Buffer, Columns, GateGradOp, GatesOp, HeadGradOp, InputGradOp, Kernels, LANES, Layout, Op, Order,
    Panels, Part, Pass, ReadoutOp, Space, Sums, Tokens, WeightTile, Workspace,
};
use gatemill_oracle::SplitMix64;
use std::sync::Arc;

/// V of every bench: tiny Shakespeare's.
pub const VOCAB: usize = 65;

/// Weights, buffers and the symbols that they are run on. Single-threaded.
#[derive(Debug)]
pub struct Layer {
    cell: Cell,
    hidden: usize,
    kernels: Kernels,
    params: Params,
    ws: Workspace,
    /// `[T, B]`
    pub ids: Vec<u32>,
    /// `[T, B]`
    pub targets: Vec<u32>,
    /// h `[rows, H]`.
    pub h: BufId,
    /// c, LSTM only.
    pub c: Option<BufId>,
    /// Gates, which become their gradients.
    pub gates: BufId,
    /// Gradient to h from above `[rows, H]`.
    pub d_y: BufId,
    /// dh of the next step, then of the one before `[lanes, H]`.
    pub d_h: BufId,
    /// dc likewise, LSTM only.
    pub d_c: Option<BufId>,
    /// Logits `[tokens, V]`, then their gradient.
    pub logits: BufId,
    /// Loss of each token.
    pub nats: BufId,
}

impl Layer {
    /// Random weights of 1/sqrt(H), states of 1, gradients of 1; gates as random numbers in 0..1.
    pub fn new(kernels: Kernels, cell: Cell, hidden: usize, (steps, lanes): (usize, usize)) -> Self {
        let random = &mut SplitMix64::new(hidden as u64);
        let layout = Arc::new(Layout::character_model(cell, 1, hidden, VOCAB, 0, false));
        let mut params = Params::zeroed(layout.clone()).expect("memory");
        for spec in params.specs().to_vec() {
            params.set(&spec.name, &reals(random, spec.len(), 1.0 / (hidden as f64).sqrt())).expect("a tensor");
        }
        params.derive(&Crew::new(1).expect("a thread"), &kernels);

        let shape = layout.layers()[0].shape;
        let mut ws = Workspace::new(Tokens::rectangular(steps, lanes));
        let mut add = |space, columns| ws.add(space, columns).expect("memory");
        let (rows, units) = (Columns::RowMajor(hidden), Columns::Panels(Panels::fixed(shape.hidden_vectors(), 1)));
        let lstm = cell == Cell::Lstm;
        let (h, c) = (add(Space::Rows, rows), lstm.then(|| add(Space::Rows, units)));
        let gates = add(Space::Tokens, Columns::Panels(shape.slots()));
        let (d_y, d_h) = (add(Space::Rows, rows), add(Space::Lanes, rows));
        let d_c = lstm.then(|| add(Space::Lanes, units));
        let (logits, nats) = (add(Space::Tokens, Columns::RowMajor(VOCAB)), add(Space::Tokens, Columns::Scalar));
        for id in [Some(h), c, Some(d_y), Some(d_h), d_c].into_iter().flatten() {
            let values = reals(random, ws.buf(id).len(), 1.0);
            ws.buf_mut(id).copy_from_slice(&values);
        }
        let values = reals(random, ws.buf(gates).len(), 0.5);
        ws.buf_mut(gates).iter_mut().zip(values).for_each(|(gate, x)| *gate = 0.5 + x);
        let mut symbols = || random.ids(steps * lanes, VOCAB).into_iter().map(|id| id as u32).collect();
        let (ids, targets) = (symbols(), symbols());
        Self { cell, hidden, kernels, params, ws, ids, targets, h, c, gates, d_y, d_h, d_c, logits, nats }
    }

    /// Where the tokens lie.
    pub fn tokens(&self) -> &Tokens {
        self.ws.tokens()
    }
    /// A tensor by PyTorch's name.
    pub fn tensor(&self, name: &str) -> Vec<f32> {
        let spec = self.params.specs().iter().find(|spec| spec.name == name).expect("a tensor of the model");
        self.params.get(spec)
    }
    /// The same in f64.
    pub fn tensor_f64(&self, name: &str) -> Vec<f64> {
        gatemill_oracle::widen(&self.tensor(name))
    }
    /// `len` columns of some rows of a row-major or scalar buffer.
    pub fn rows(&self, id: BufId, rows: std::ops::Range<usize>, len: usize) -> Vec<f32> {
        rows.flat_map(|row| self.ws.row(id, row, len).to_vec()).collect()
    }
    /// Row of a buffer of units, be it c or dc, in f64.
    pub fn units(&self, id: BufId, row: usize) -> Vec<f64> {
        (0..self.hidden).map(|u| f64::from(self.ws.vector(id, u / LANES, row)[u % LANES])).collect()
    }
    /// Slots `slots` of the gate buffer of a token, `[slots, H]`.
    pub fn gate_slots(&self, token: usize, slots: &[usize]) -> Vec<f32> {
        let per_unit = self.cell.gates().max(if self.cell == Cell::Gru { 4 } else { 1 });
        let of = |slot: usize, u: usize| self.ws.vector(self.gates, u / LANES * per_unit + slot, token)[u % LANES];
        slots.iter().flat_map(|&slot| (0..self.hidden).map(move |u| of(slot, u))).collect()
    }
    /// Slots that hold what h rows feed, in PyTorch's order of gates: their gradients multiply W_hh.
    pub fn h_slots(&self) -> &'static [usize] {
        match self.cell {
            Cell::Rnn => &[0],
            Cell::Lstm => &[0, 1, 2, 3],
            // n_x, r, z, n_h
            Cell::Gru => &[1, 2, 3],
        }
    }

    fn run(&mut self, op: Op, loss: bool) {
        let (ids, targets) = (&self.ids[..], if loss { &self.targets[..] } else { &[] });
        let scale = 1.0 / self.targets.len() as f32;
        let pass = Pass {
            weights: self.params.weights(),
            ids,
            targets,
            scale,
            dropout: None,
            output_dropout: None,
            arrays: Arrays::default(),
        };
        self.kernels.run(&op, &pass, &mut self.ws.share());
    }
    /// Forward of step 0.
    pub fn forward(&mut self) {
        let op = GatesOp {
            layer: 0,
            t: 0,
            x: None,
            h: self.h,
            c: self.c,
            gates: self.gates,
            dropped: None,
            inner: None,
            begun: false,
        };
        self.run(Op::Gates(op), false);
    }
    /// Gate gradients of step `t`.
    pub fn gate_grad(&mut self, t: usize) {
        let Self { d_y, d_h, d_c, h, c, gates, .. } = *self;
        self.run(Op::GateGrad(GateGradOp { layer: 0, t, d_y, d_h, d_c, h, c, gates, projection: None }), false);
    }
    /// dh of the step before step 0.
    pub fn input_grad(&mut self) {
        let op = InputGradOp {
            layer: 0,
            t: 0,
            steps: 1,
            gates: self.gates,
            d_h: Some(self.d_h),
            d_x: None,
            from: None,
            more: false,
        };
        self.run(Op::InputGrad(op), false);
    }
    /// Logits of step 0; with `loss` their softmax, loss and gradient too.
    pub fn readout(&mut self, loss: bool) {
        let Self { h, logits, nats, .. } = *self;
        self.run(Op::Readout(ReadoutOp { t: 0, h, logits, nats }), loss);
    }
    /// The readout's gradient to h of step 0.
    pub fn head_grad(&mut self) {
        self.run(Op::HeadGrad(HeadGradOp { t: 0, d_logits: self.logits, d_y: self.d_y }), false);
    }
    /// dW_hh over all tokens, packed, in tiles of four panels as the engine takes them where it has many.
    pub fn weight_grad(&self, out: &mut Buffer) {
        let layer = &self.params.layout().layers()[0];
        let (panels, k) = (layer.shape.panels(), layer.shape.k_h());
        let part = Part { steps: self.tokens().steps(), lanes: 0..self.tokens().lanes() };
        let first_vector = usize::from(self.cell == Cell::Gru);
        let mut p = 0;
        while p < panels.count() {
            let (vectors, end) = (panels.width(p), panels.count().min(p + 4));
            let count = (p..end).take_while(|&q| panels.width(q) == vectors).count();
            let tile = WeightTile { d: self.gates, panel: p, panels: count, first_vector, vectors };
            let out = &mut out[panels.offset(p, k)..][..count * vectors * LANES * k];
            let h = (self.h, 0, Some(Order::Ascending));
            self.kernels.weight_grad(&self.ws, &tile, h, &part, out, Sums::default());
            p += count;
        }
    }
    /// Memory for dW_hh, packed.
    pub fn weight_grad_buffer(&self) -> Buffer {
        let shape = self.params.layout().layers()[0].shape;
        Buffer::zeroed(shape.panels().floats(shape.k_h())).expect("memory")
    }
    /// dW_hh `[H, G*H]`: the transpose of PyTorch's.
    pub fn unpacked(&self, packed: &[f32]) -> Vec<f32> {
        let shape = self.params.layout().layers()[0].shape;
        let (panels, rows) = (shape.panels(), self.cell.gates() * self.hidden);
        let at =
            |i: usize, row: usize| panels.at(shape.k_h(), i, shape.column(true, row / self.hidden, row % self.hidden));
        (0..self.hidden).flat_map(|i| (0..rows).map(move |row| (i, row))).map(|(i, row)| packed[at(i, row)]).collect()
    }
}

/// `n` random numbers in `-bound..=bound`.
pub fn reals(random: &mut SplitMix64, n: usize, bound: f64) -> Vec<f32> {
    (0..n).map(|_| random.real(bound) as f32).collect()
}
