//! Gate gradients, elementwise, over T steps of B lanes: bytes read and written, beside reading as many.
//!
//! The gates become their gradients in place, so from the second run on they are gradients of gradients: no speed here
//! depends on the values, for denormals are flushed where they are stored. Verified: the first run of step 0.

use criterion::{Criterion, criterion_group, criterion_main};
use gatemill_benches::layer::{Layer, VOCAB};
use gatemill_benches::measure::{config, kernels, over_memory};
use gatemill_benches::product::hold;
use gatemill_cell::Cell;
use gatemill_oracle::cell::{GateGrad, StepKept, gru, lstm, rnn};
use gatemill_oracle::{Activation, LayerShape, widen};

/// T and B: at H = 512 the gates of a chunk are more than the second-level cache.
const CHUNK: (usize, usize) = (32, 32);

fn gate_grad(c: &mut Criterion) {
    let kernels = kernels();
    for cell in [Cell::Lstm, Cell::Gru, Cell::Rnn] {
        for hidden in [128, 512] {
            let mut layer = Layer::new(kernels, cell, hidden, CHUNK);
            let expected: Vec<GateGrad> = (0..CHUNK.1).map(|lane| truth(&layer, cell, hidden, lane)).collect();
            layer.gate_grad(0);
            for (lane, truth) in expected.iter().enumerate() {
                hold("gates", &layer.gate_slots(lane, layer.h_slots()), &truth.d_gates_h);
                if let Some(d_c) = layer.d_c {
                    hold("dc", &gatemill_oracle::narrow(&layer.units(d_c, lane)), &truth.d_c_prev);
                }
                if cell == Cell::Gru {
                    hold("d_n", &layer.gate_slots(lane, &[0]), &truth.d_gates_x[2 * hidden..]);
                    hold("z * dh", &layer.rows(layer.d_h, lane..lane + 1, hidden), &truth.d_h_direct);
                }
            }
            // Floats read and written per unit and token: LSTM i f g o, c, c_prev, dy, dh, dc; four gates, dc. GRU n r z n_h,
            // h_prev, dy, dh; four gates, dh. RNN h, dy, dh; one gate.
            let floats = match cell {
                Cell::Lstm => 9 + 5,
                Cell::Gru => 7 + 5,
                Cell::Rnn => 3 + 1,
            };
            let bytes = 4 * floats * hidden * CHUNK.0 * CHUNK.1;
            let name = format!("gate_grad {} {}x{}x{hidden}", cell.name(), CHUNK.0, CHUNK.1);
            over_memory(
                c,
                &name,
                kernels,
                bytes,
                &mut layer,
                &[("gatemill", |layer| {
                    (0..CHUNK.0).rev().for_each(|t| layer.gate_grad(t));
                })],
            );
        }
    }
}

/// The oracle's gradients at step 0 of a lane, from the gates, states and gradients that the layer holds.
fn truth(layer: &Layer, cell: Cell, hidden: usize, lane: usize) -> GateGrad {
    let oracle_cell = match cell {
        Cell::Rnn => gatemill_oracle::Cell::Rnn,
        Cell::Lstm => gatemill_oracle::Cell::Lstm,
        Cell::Gru => gatemill_oracle::Cell::Gru,
    };
    let shape = LayerShape { cell: oracle_cell, inputs: VOCAB, hidden, activation: Activation::Standard };
    let tokens = layer.tokens();
    let (row, carried) = (tokens.row(lane), tokens.carried_row(lane));
    let of = |id, row: usize| widen(&layer.rows(id, row..row + 1, hidden));
    let slots = |slots: &[usize]| widen(&layer.gate_slots(lane, slots));
    let sum = |a: Vec<f64>, b: Vec<f64>| -> Vec<f64> { a.iter().zip(&b).map(|(a, b)| a + b).collect() };
    let d_h = sum(of(layer.d_y, row), of(layer.d_h, lane));
    let units = |id: Option<_>, row| id.map_or(Vec::new(), |id| layer.units(id, row));
    let (c, c_prev, d_c) = (units(layer.c, row), units(layer.c, carried), units(layer.d_c, lane));
    let h_prev = of(layer.h, carried);
    let kept = |gates, n_h| StepKept { gates, n_h, c: &c, h_prev: &h_prev, c_prev: &c_prev };
    match cell {
        Cell::Rnn => rnn::backward(&shape, kept(&of(layer.h, row), &[]), &d_h),
        Cell::Lstm => lstm::backward(&shape, kept(&slots(&[0, 1, 2, 3]), &[]), &d_h, &d_c),
        // Slots n, r, z, n_h; PyTorch's gates r, z, n.
        Cell::Gru => gru::backward(&shape, kept(&slots(&[1, 2, 0]), &slots(&[3])), &d_h),
    }
}

criterion_group! { name = benches; config = config(); targets = gate_grad }
criterion_main!(benches);
