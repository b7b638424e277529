//! One step of one lane, H = 64: the gate kernel alone, `Recurrent::step_from` around it, and `gatemill_step` of the C
//! library around that. The differences are what a step costs beyond its kernel.
//!
//! All three start from the same state at every call and are verified: the same bits, and the oracle's numbers.
#![allow(unsafe_code, reason = "the C library is called as C calls it")]

use criterion::{Criterion, criterion_group, criterion_main};
use gatemill::{Cell, Mode, Recurrent, RecurrentOptions, StateMut};
use gatemill_benches::measure::{config, kernels};
use gatemill_c::*;
use gatemill_cell::{Params, TensorSpec};
use gatemill_crew::Crew;
use gatemill_kernels::{Arrays, Columns, GatesOp, LANES, Layout, Op, Pass, Space, StackShape, Tokens, Workspace};
use gatemill_oracle::cell::{LayerParams, StepInput, step_forward};
use gatemill_oracle::{Activation, LayerShape, SplitMix64, narrow, widen};
use std::hint::black_box;
use std::sync::Arc;

const H: usize = 64;

/// The two states, as a call finds and leaves them.
struct State {
    h: [f32; H],
    c: [f32; H],
}

fn step(c: &mut Criterion) {
    let kernels = kernels();
    let tier = kernels.name();
    for (cell, oracle, number) in [
        (Cell::Lstm, gatemill_oracle::Cell::Lstm, GATEMILL_CELL_LSTM),
        (Cell::Gru, gatemill_oracle::Cell::Gru, GATEMILL_CELL_GRU),
        (Cell::Rnn, gatemill_oracle::Cell::Rnn, GATEMILL_CELL_RNN),
    ] {
        let random = &mut SplitMix64::new(3);
        let (x, h0) = (narrow(&random.symmetric(H, 1.0)), narrow(&random.symmetric(H, 0.9)));
        let shape = LayerShape { cell: oracle, inputs: H, hidden: H, activation: Activation::Standard };
        let weights = LayerParams::random(&shape, 0.125, random);
        let lstm = cell == Cell::Lstm;
        let c0 = if lstm { h0.clone() } else { Vec::new() };
        let (wide_x, wide_h, wide_c) = (widen(&x), widen(&h0), widen(&c0));
        let truth = step_forward(&shape, &weights, StepInput { x: &wide_x, h_prev: &wide_h, c_prev: &wide_c });
        let start = || State { h: h0.clone().try_into().expect("H"), c: h0.clone().try_into().expect("H") };

        // The kernel: one operation on a workspace.
        let layout = Arc::new(Layout::stack(&StackShape::new(cell, H, H, 1)));
        let mut params = Params::zeroed(layout.clone()).expect("memory");
        for (name, tensor) in weights.tensors() {
            params.set(&format!("rnn.{name}_l0"), &narrow(tensor)).expect("a tensor");
        }
        let alone = Crew::alone();
        params.derive(&alone, &kernels);
        let shape = layout.layers()[0].shape;
        let mut ws = Workspace::new(Tokens::rectangular(1, 1));
        let mut add = |space, columns| ws.add(space, columns).expect("memory");
        let (id_x, id_h) = (add(Space::Rows, Columns::RowMajor(H)), add(Space::Rows, Columns::RowMajor(H)));
        let id_c = lstm.then(|| add(Space::Rows, Columns::Panels(shape.unit_vectors())));
        let gates = add(Space::Tokens, Columns::Panels(shape.slots()));
        // Rows: zeros, the carried state, the token.
        ws.row_mut(id_x, 2, H).copy_from_slice(&x);
        ws.row_mut(id_h, 1, H).copy_from_slice(&h0);
        for v in 0..id_c.map_or(0, |_| H / LANES) {
            ws.vector_mut(id_c.expect("an LSTM"), v, 1).copy_from_slice(&h0[v * LANES..][..LANES]);
        }
        let op = Op::Gates(GatesOp {
            layer: 0,
            t: 0,
            x: Some(id_x),
            h: id_h,
            c: id_c,
            gates,
            dropped: None,
            inner: None,
            begun: false,
        });
        let (dropout, output_dropout, arrays) = (None, None, Arrays::default());
        let weights_of = params.weights();
        let pass = Pass { weights: weights_of, ids: &[], targets: &[], scale: 0.0, dropout, output_dropout, arrays };
        kernels.run(&op, &pass, &mut ws.share());
        let want = ws.row(id_h, 2, H).to_vec();
        for (found, truth) in want.iter().zip(&truth.h) {
            assert!((f64::from(*found) - truth).abs() < 1e-5, "{cell:?}: {found} where the oracle has {truth}");
        }

        // In Rust.
        let options = RecurrentOptions::new(cell, H, H);
        let mut stack = Recurrent::with_kernels(&options, kernels).expect("a layer");
        for spec in TensorSpec::all(&layout) {
            let name = spec.name.strip_prefix("rnn.").expect("a layer's tensor");
            stack.set_tensor(name, &params.get(&spec)).expect("the same form");
        }
        let (mut tape, mut y) = (stack.tape(Mode::Inference), [0.0; H]);
        let mut in_rust = |state: &mut State| {
            let state = StateMut { h: &mut state.h, c: lstm.then_some(&mut state.c[..]) };
            stack.step_from(&mut tape, black_box(&x), state, &mut y).expect("a step");
            y
        };
        assert_eq!(in_rust(&mut start())[..], want);

        // From C.
        let in_c = CStep::new(number, &params, &layout);
        let mut y_c = [0.0; H];
        let mut from_c = |state: &mut State| {
            in_c.step(black_box(&x), state, lstm, &mut y_c);
            y_c
        };
        if kernels.isa() == gatemill::Isa::from_env().expect("a tier of this machine") {
            assert_eq!(from_c(&mut start())[..], want);
        }

        let mut group = c.benchmark_group(format!("step {}/{tier}", cell.name()));
        group.bench_function("kernel", |b| b.iter(|| kernels.run(black_box(&op), &pass, &mut ws.share())));
        let mut state = start();
        group.bench_function("rust", |b| b.iter(|| in_rust(&mut state)));
        let mut state = start();
        group.bench_function("c", |b| b.iter(|| from_c(&mut state)));
        group.finish();
    }
}

/// A layer of the C library.
struct CStep {
    stack: GatemillRecurrent,
    tape: GatemillTape,
}

impl CStep {
    fn new(cell: u32, params: &Params, layout: &Layout) -> Self {
        let plain = GatemillActivation::default();
        let options = GatemillRecurrentOptions {
            size: size_of::<GatemillRecurrentOptions>(),
            cell,
            direction: 0,
            inputs: H,
            hidden: H,
            layers: 1,
            projection: 0,
            dropout: 0.0,
            seed: 1,
            forms: 0,
            clip: 0.0,
            cell_clip: 0.0,
            gates: plain,
            candidate: plain,
            output: plain,
        };
        let (mut stack, mut tape) = (GatemillRecurrent { id: 0 }, GatemillTape { id: 0 });
        let ok = |status| assert_eq!(status, GatemillStatus::Ok);
        // SAFETY: structs of this function.
        ok(unsafe { gatemill_recurrent_new(&options, &mut stack) });
        for spec in TensorSpec::all(layout) {
            let name = spec.name.strip_prefix("rnn.").expect("a layer's tensor");
            let (name, data) = (std::ffi::CString::new(name).expect("no zero byte"), params.get(&spec));
            // SAFETY: a text and an array of this function.
            ok(unsafe { gatemill_recurrent_set(stack, name.as_ptr(), data.as_ptr(), data.len()) });
        }
        // SAFETY: a struct of this function.
        ok(unsafe { gatemill_tape_new(stack, 0, &mut tape) });
        Self { stack, tape }
    }
    fn step(&self, x: &[f32], state: &mut State, lstm: bool, y: &mut [f32; H]) {
        let c = if lstm { state.c.as_mut_ptr() } else { std::ptr::null_mut() };
        let c_len = if lstm { H } else { 0 };
        let state = GatemillStateMut { h: state.h.as_mut_ptr(), h_len: H, c, c_len };
        // SAFETY: arrays of the caller's with as many elements as is said, all apart.
        let status = unsafe { gatemill_step(self.stack, self.tape, x.as_ptr(), x.len(), state, y.as_mut_ptr(), H) };
        assert_eq!(status, GatemillStatus::Ok);
    }
}

criterion_group! { name = benches; config = config(); targets = step }
criterion_main!(benches);
