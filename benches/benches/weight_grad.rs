//! dW_hh over all tokens of a chunk beside the bare product `h_{t-1}^T [H, T*B] dA [T*B, G*H]`.
//!
//! Ours finds h_{t-1} by row number, reads dA from the gates' panels, and writes the packed layout of the update.

use criterion::{Criterion, criterion_group, criterion_main};
use gatemill_benches::layer::Layer;
use gatemill_benches::measure::{beside, config, kernels};
use gatemill_benches::product::{Operand, Product, hold};
use gatemill_cell::Cell;
use gatemill_kernels::{Buffer, Order};

/// T and B: 1024 tokens, whose rows at H = 512 are several times the second-level cache.
const CHUNK: (usize, usize) = (32, 32);

fn weight_grad(c: &mut Criterion) {
    let (kernels, tokens) = (kernels(), CHUNK.0 * CHUNK.1);
    for (cell, hidden) in [(Cell::Lstm, 128), (Cell::Lstm, 512), (Cell::Gru, 128), (Cell::Rnn, 128), (Cell::Rnn, 512)] {
        let layer = Layer::new(kernels, cell, hidden, CHUNK);
        let rows = cell.gates() * hidden;
        let previous = |&row: &u32| layer.rows(layer.h, row as usize..row as usize + 1, hidden);
        let h = layer.tokens().prev_rows(Order::Ascending).iter().flat_map(previous).collect();
        let d_a = (0..tokens).flat_map(|token| layer.gate_slots(token, layer.h_slots())).collect();
        let product = Product::new(Operand::new(h, tokens, hidden).transposed(), Operand::new(d_a, tokens, rows));
        let mut state = (layer.weight_grad_buffer(), layer);
        let work = |(out, layer): &mut (Buffer, Layer)| layer.weight_grad(out);
        work(&mut state);
        hold("gatemill", &state.1.unpacked(&state.0), product.truth());
        beside(c, &format!("weight_grad {}", cell.name()), kernels, &product, &mut state, &[("gatemill", work)]);
    }
}

criterion_group! { name = benches; config = config(); targets = weight_grad }
criterion_main!(benches);
