//! The readout of one step, there and back, beside the bare products `h [B, H] W^T [H, V]` and `d_logits [B, V] W [V, H]`.
//!
//! Ours adds the bias; with the loss it also makes the softmax, each token's nats, and the gradient in the logits' place.

use criterion::{Criterion, criterion_group, criterion_main};
use gatemill_benches::layer::{Layer, VOCAB};
use gatemill_benches::measure::{beside, config, kernels};
use gatemill_benches::product::{Operand, Product, hold};
use gatemill_cell::Cell;
use gatemill_oracle::loss::{cross_entropy_backward, log_softmax};

const LANES: usize = 32;

fn readout(c: &mut Criterion) {
    let kernels = kernels();
    for hidden in [128, 512] {
        let mut layer = Layer::new(kernels, Cell::Rnn, hidden, (1, LANES));
        // Rows of h: zeros, carried states, then the tokens.
        let h = Operand::new(layer.rows(layer.h, 1 + LANES..1 + 2 * LANES, hidden), LANES, hidden);
        let weight = || Operand::new(layer.tensor("head.weight"), VOCAB, hidden);
        let forward = Product::new(h, weight().transposed());
        let bias = layer.tensor_f64("head.bias");
        let logits: Vec<f64> = forward.truth().iter().enumerate().map(|(i, x)| x + bias[i % VOCAB]).collect();
        let back_weight = weight();

        layer.readout(false);
        hold("logits", &layer.rows(layer.logits, 0..LANES, VOCAB), &logits);
        layer.readout(true);
        let targets: Vec<usize> = layer.targets.iter().map(|&target| target as usize).collect();
        let nats: Vec<f64> =
            logits.chunks_exact(VOCAB).zip(&targets).map(|(row, &target)| -log_softmax(row)[target]).collect();
        hold("nats", &layer.rows(layer.nats, 0..LANES, 1), &nats);
        let d_logits = layer.rows(layer.logits, 0..LANES, VOCAB);
        hold("the logits' gradient", &d_logits, &cross_entropy_backward(&logits, &targets, VOCAB));
        beside(
            c,
            "readout",
            kernels,
            &forward,
            &mut layer,
            &[
                ("gatemill", |layer| layer.readout(false)),
                ("gatemill with softmax and loss", |layer| layer.readout(true)),
            ],
        );

        layer.readout(true);
        layer.head_grad();
        let backward = Product::new(Operand::new(d_logits, LANES, VOCAB), back_weight);
        hold("the gradient to h", &layer.rows(layer.d_y, 1 + LANES..1 + 2 * LANES, hidden), backward.truth());
        beside(c, "head_grad", kernels, &backward, &mut layer, &[("gatemill", Layer::head_grad)]);
    }
}

criterion_group! { name = benches; config = config(); targets = readout }
criterion_main!(benches);
