//! dh_{t-1} of one layer at one step beside the bare product `dA [B, G*H] W_hh [G*H, H]`.
//!
//! Ours reads dA from the gates' panels and adds to z * dh_t in a GRU; its weights were transposed after the update.

use criterion::{Criterion, criterion_group, criterion_main};
use gatemill_benches::layer::Layer;
use gatemill_benches::measure::{beside, config, kernels};
use gatemill_benches::product::{Operand, Product, hold};
use gatemill_cell::Cell;

fn input_grad(c: &mut Criterion) {
    let (kernels, lanes) = (kernels(), 32);
    for cell in [Cell::Lstm, Cell::Gru, Cell::Rnn] {
        for hidden in [128, 512] {
            let mut layer = Layer::new(kernels, cell, hidden, (1, lanes));
            let rows = cell.gates() * hidden;
            let d_a = (0..lanes).flat_map(|token| layer.gate_slots(token, layer.h_slots())).collect();
            let w = Operand::new(layer.tensor("rnn.weight_hh_l0"), rows, hidden);
            let product = Product::new(Operand::new(d_a, lanes, rows), w);
            let before = layer.rows(layer.d_h, 0..lanes, hidden);
            layer.input_grad();
            let carried = |i: usize| if cell == Cell::Gru { f64::from(before[i]) } else { 0.0 };
            let truth: Vec<f64> = product.truth().iter().enumerate().map(|(i, d)| d + carried(i)).collect();
            hold("gatemill", &layer.rows(layer.d_h, 0..lanes, hidden), &truth);
            beside(
                c,
                &format!("input_grad {}", cell.name()),
                kernels,
                &product,
                &mut layer,
                &[("gatemill", Layer::input_grad)],
            );
        }
    }
}

criterion_group! { name = benches; config = config(); targets = input_grad }
criterion_main!(benches);
