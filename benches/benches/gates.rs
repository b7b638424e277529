//! Forward of one layer at one step beside the bare product `h_{t-1} [B, H] W_hh^T [H, G*H]`.
//!
//! Ours also starts from the symbols' rows, and writes gates, c_t and h_t. Verified: h_t and c_t against the oracle's cell.

use criterion::{Criterion, criterion_group, criterion_main};
use gatemill_benches::layer::{Layer, VOCAB};
use gatemill_benches::measure::{beside, config, kernels};
use gatemill_benches::product::{Operand, Product, hold};
use gatemill_cell::Cell;
use gatemill_oracle::cell::{gru, lstm, rnn};
use gatemill_oracle::{Activation, LayerShape};

fn gates(c: &mut Criterion) {
    let kernels = kernels();
    for (cell, lanes) in [(Cell::Lstm, 32), (Cell::Lstm, 64), (Cell::Gru, 32), (Cell::Rnn, 32)] {
        for hidden in [128, 512] {
            let mut layer = Layer::new(kernels, cell, hidden, (1, lanes));
            // Row 0 is zeros, then come the carried states.
            let h = Operand::new(layer.rows(layer.h, 1..1 + lanes, hidden), lanes, hidden);
            let w = Operand::new(layer.tensor("rnn.weight_hh_l0"), cell.gates() * hidden, hidden);
            let product = Product::new(h, w.transposed());
            layer.forward();
            verify(&layer, cell, hidden, &product);
            beside(
                c,
                &format!("gates {}", cell.name()),
                kernels,
                &product,
                &mut layer,
                &[("gatemill", Layer::forward)],
            );
        }
    }
}

/// h_t and c_t of every lane are the oracle's.
fn verify(layer: &Layer, cell: Cell, hidden: usize, product: &Product) {
    let rows = cell.gates() * hidden;
    let oracle_cell = match cell {
        Cell::Rnn => gatemill_oracle::Cell::Rnn,
        Cell::Lstm => gatemill_oracle::Cell::Lstm,
        Cell::Gru => gatemill_oracle::Cell::Gru,
    };
    let shape = LayerShape { cell: oracle_cell, inputs: VOCAB, hidden, activation: Activation::Standard };
    let tensor = |name: &str| layer.tensor_f64(&format!("rnn.{name}_l0"));
    let (w_ih, b_ih, b_hh) = (tensor("weight_ih"), tensor("bias_ih"), tensor("bias_hh"));
    let tokens = layer.tokens();
    for lane in 0..tokens.lanes() {
        let symbol = layer.ids[lane] as usize;
        let a_x: Vec<f64> = (0..rows).map(|row| w_ih[row * VOCAB + symbol] + b_ih[row]).collect();
        let a_h: Vec<f64> = (0..rows).map(|row| product.truth()[lane * rows + row] + b_hh[row]).collect();
        let carried = tokens.carried_row(lane);
        let h_prev = gatemill_oracle::widen(&layer.rows(layer.h, carried..carried + 1, hidden));
        let out = match cell {
            Cell::Rnn => rnn::forward(&shape, &a_x, &a_h),
            Cell::Lstm => lstm::forward(&shape, &a_x, &a_h, &layer.units(layer.c.expect("an LSTM"), carried)),
            Cell::Gru => gru::forward(&shape, &a_x, &a_h, &h_prev),
        };
        let row = tokens.row(lane);
        hold("h", &layer.rows(layer.h, row..row + 1, hidden), &out.h);
        if let Some(c) = layer.c {
            hold("c", &gatemill_oracle::narrow(&layer.units(c, row)), &out.c);
        }
    }
}

criterion_group! { name = benches; config = config(); targets = gates }
criterion_main!(benches);
