//! Through the readout and the loss: every parameter of the character model, and that it learns.

use gatemill_oracle::compare::worst_by_max;
use gatemill_oracle::optim::{Adam, clip_by_norm, global_norm};
use gatemill_oracle::{Activation, Cell, CharChunk, CharModel, Dual, SplitMix64, StackShape};

use crate::grid::DUAL_BOUND;

const V: usize = 9;

fn shape(cell: Cell, layers: usize) -> StackShape {
    let lanes = if layers == 3 { 2 } else { 3 };
    StackShape { cell, layers, inputs: V, hidden: 6, steps: 7, lanes, activation: Activation::Standard }
}

fn chunk(shape: &StackShape, random: &mut SplitMix64) -> CharChunk {
    // Every symbol occurs on both sides, and so does V, the unseen one.
    let mut any_order = || {
        let mut ids: Vec<usize> = (0..shape.tokens()).map(|n| n % (V + 1)).collect();
        random.shuffle(&mut ids);
        ids
    };
    let mut chunk = CharChunk::from_zero_state(shape, any_order(), any_order());
    chunk.h0 = random.symmetric(shape.state_len(), 0.8);
    chunk.c0 = random.symmetric(shape.c_len(), 1.2);
    chunk.resets = Some((0..shape.tokens()).map(|n| n == 2 * shape.lanes).collect());
    let elements = (shape.layers - 1) * shape.tokens() * shape.hidden;
    chunk.dropout = Some((0..elements).map(|_| if random.one_in(3) { 0.0 } else { 1.5 }).collect());
    chunk
}

#[test]
fn every_gradient_of_the_loss_is_exact() {
    for cell in Cell::ALL {
        for layers in 1..=3 {
            let shape = shape(cell, layers);
            let random = &mut SplitMix64::new(500 + layers as u64);
            let model = CharModel::random(&shape, 0.7, random);
            let chunk = chunk(&shape, random);
            let result = model.value_and_grad(&shape, &chunk);
            assert!(result.forward.loss.counted < shape.tokens() && result.forward.loss.counted > 5);
            let mut dual: CharModel<Dual> = model.lift();
            for (k, (name, grads)) in result.grads.tensors().into_iter().enumerate() {
                let slopes: Vec<f64> = (0..grads.len())
                    .map(|e| {
                        dual.tensors_mut()[k].1[e].du = 1.0;
                        let slope = dual.forward(&shape, &chunk).loss.mean_nats.du;
                        dual.tensors_mut()[k].1[e].du = 0.0;
                        slope
                    })
                    .collect();
                let worst = worst_by_max(grads, &slopes);
                assert!(worst.error <= DUAL_BOUND, "{cell:?} L={layers} {name}: {worst:?}");
                let live = slopes.iter().filter(|&&x| x != 0.0).count();
                assert!(2 * live > slopes.len(), "{cell:?} L={layers} {name}: {live} of {} are alive", slopes.len());
            }
        }
    }
}

#[test]
fn tensors_have_the_names_and_order_of_a_model_file() {
    let shape = shape(Cell::Gru, 2);
    let model = CharModel::random(&shape, 0.1, &mut SplitMix64::new(1));
    let found: Vec<(String, usize)> = model.tensors().into_iter().map(|(name, t)| (name, t.len())).collect();
    let expected = [
        ("rnn.weight_ih_l0", 18 * 9),
        ("rnn.weight_hh_l0", 18 * 6),
        ("rnn.bias_ih_l0", 18),
        ("rnn.bias_hh_l0", 18),
        ("rnn.weight_ih_l1", 18 * 6),
        ("rnn.weight_hh_l1", 18 * 6),
        ("rnn.bias_ih_l1", 18),
        ("rnn.bias_hh_l1", 18),
        ("head.weight", 9 * 6),
        ("head.bias", 9),
    ];
    assert_eq!(found, expected.map(|(name, len)| (name.to_string(), len)));
}

/// The lecture's walk-through (row L3): after "h" comes "e", then "l", "l", "o"; the second "l" needs the state.
#[test]
fn every_cell_learns_hello() {
    for cell in Cell::ALL {
        let shape =
            StackShape { cell, layers: 1, inputs: 4, hidden: 8, steps: 4, lanes: 1, activation: Activation::Standard };
        let mut model = CharModel::random(&shape, 0.35, &mut SplitMix64::new(3));
        let chunk = CharChunk::from_zero_state(&shape, vec![1, 0, 2, 2], vec![0, 2, 2, 3]); // e h l o
        let mut adam = Adam::new(0.05);
        let first = model.forward(&shape, &chunk).loss.mean_nats;
        assert!((first - 2.0 * std::f64::consts::LN_2).abs() < 0.5, "{cell:?}: {first}");
        for _ in 0..150 {
            let mut grads = model.value_and_grad(&shape, &chunk).grads;
            let mut views: Vec<&mut [f64]> = grads.tensors_mut().into_iter().map(|(_, t)| t.as_mut_slice()).collect();
            clip_by_norm(&mut views, 1.0);
            let grads: Vec<&[f64]> = views.iter().map(|t| &**t).collect();
            assert!(global_norm(&grads) <= 1.0);
            let mut params: Vec<&mut [f64]> = model.tensors_mut().into_iter().map(|(_, t)| t.as_mut_slice()).collect();
            adam.update(&mut params, &grads);
        }
        let last = model.forward(&shape, &chunk);
        assert!(last.loss.mean_nats < 0.02, "{cell:?}: {}", last.loss.mean_nats);
        for (n, logits) in last.logits.chunks_exact(4).enumerate() {
            let best = (0..4).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or(0);
            assert_eq!(best, chunk.targets[n], "{cell:?}, character {n}");
        }
    }
}
