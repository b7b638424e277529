//! What each form must equal: the plain stack, itself turned round, or another form with special weights.

use gatemill_oracle::compare::worst_by_max;
use gatemill_oracle::complete::case::LayersCase;
use gatemill_oracle::complete::layers::{Direction, LayersGrads, LayersShape, LayersTrace};
use gatemill_oracle::complete::variant::{Function, Functions, Variant};
use gatemill_oracle::stack::{stack_backward, stack_forward};
use gatemill_oracle::{Activation, Cell, LayerParams, StackInput, StackOutputGrad, StackParams, StackShape};

use crate::exact::{largest_error, named};
use crate::grid::{DUAL_BOUND, shape};

fn plain(cell: Cell, layers: usize) -> LayersShape {
    let even = shape(cell, Variant::default(), layers, Direction::Forward);
    LayersShape { residual: false, lengths: vec![even.steps; 2], ..even }
}

/// Asserts that outputs, last states and all gradients of both runs agree up to rounding.
fn assert_alike(a: &LayersCase, b: &LayersCase, what: &str) {
    let (x, y) = (a.forward(), b.forward());
    for (name, x, y) in [("y", &x.outputs, &y.outputs), ("h", &x.h_last, &y.h_last), ("c", &x.c_last, &y.c_last)] {
        let worst = worst_by_max(x, y);
        assert!(worst.error <= DUAL_BOUND, "{what}: {name} {worst:?}");
    }
    let (x, y) = (a.backward(&x), b.backward(&y));
    for (name, x, y) in [("x", &x.d_x, &y.d_x), ("h0", &x.d_h0, &y.d_h0), ("c0", &x.d_c0, &y.d_c0)] {
        let worst = worst_by_max(x, y);
        assert!(worst.error <= DUAL_BOUND, "{what}: d {name} {worst:?}");
    }
}

/// With nothing asked for, the complete text gives the plain stack's bits forward, and its gradients.
#[test]
fn the_plain_form_is_the_plain_stack() {
    for cell in Cell::ALL {
        let case = LayersCase::random(plain(cell, 2), 0.6, 3).dropped(4);
        let LayersShape { layers, inputs, hidden, steps, .. } = case.shape;
        let activation = Activation::Standard;
        let stack = StackShape { cell, layers, inputs, hidden, steps, lanes: 2, activation };
        let layers = case.params.iter().map(|p| LayerParams {
            weight_ih: p.weight_ih.clone(),
            weight_hh: p.weight_hh.clone(),
            bias_ih: p.bias_ih.clone(),
            bias_hh: p.bias_hh.clone(),
        });
        let params = StackParams { layers: layers.collect() };
        let given = case.input.clone();
        let input = StackInput { x: given.x, h0: given.h0, c0: given.c0, resets: None, dropout: given.dropout };
        let trace = stack_forward(&stack, &params, &input);
        let found = case.forward();
        assert_eq!((&found.outputs[..], &found.h_last, &found.c_last), (trace.outputs(), &trace.h_last, &trace.c_last));
        let output = StackOutputGrad {
            d_y: case.output_grad.d_y.clone(),
            d_h_last: Some(case.output_grad.d_h_last.clone()),
            d_c_last: cell.has_c().then(|| case.output_grad.d_c_last.clone()),
        };
        let want = stack_backward(&stack, &params, &input, &trace, &output);
        let mut want_named: Vec<_> = want.params.tensors().into_iter().map(|(n, t)| (n, t.clone())).collect();
        want_named.extend([("x".into(), want.d_x), ("h0".into(), want.d_h0), ("c0".into(), want.d_c0)]);
        let (error, place) = largest_error(&named(&case.shape, &case.backward(&found)), &want_named);
        assert!(error <= 1e-13, "{cell:?}: {error:e} at {place}");
    }
}

/// `[T, B, width]` with the steps of each lane turned round within its length.
fn turned(values: &[f64], shape: &LayersShape, width: usize) -> Vec<f64> {
    let lanes = shape.lanes();
    let mut out = values.to_vec();
    for (b, &n) in shape.lengths.iter().enumerate() {
        for t in 0..n {
            let (from, to) = ((n - 1 - t) * lanes + b, t * lanes + b);
            out[to * width..(to + 1) * width].copy_from_slice(&values[from * width..(from + 1) * width]);
        }
    }
    out
}

/// Reading in reverse is reading what was turned round, and turning the result round.
#[test]
fn reverse_is_forward_over_turned_lanes() {
    for cell in Cell::ALL {
        let reverse = LayersCase::random(shape(cell, Variant::default(), 2, Direction::Reverse), 0.6, 5);
        let mut forward = reverse.clone();
        let s = &reverse.shape;
        forward.shape.direction = Direction::Forward;
        forward.input.x = turned(&reverse.input.x, s, s.inputs);
        forward.output_grad.d_y = turned(&reverse.output_grad.d_y, s, s.width());
        let (x, y) = (reverse.forward(), forward.forward());
        assert_eq!((turned(&x.outputs, s, s.width()), &x.h_last, &x.c_last), (y.outputs.clone(), &y.h_last, &y.c_last));
        let (x, y) = (reverse.backward(&x), forward.backward(&y));
        assert_eq!((turned(&x.d_x, s, s.inputs), x.d_h0, x.d_c0, x.params), (y.d_x, y.d_h0, y.d_c0, y.params));
    }
}

/// One layer in both directions is a forward and a reverse one; concatenated or summed, the same runs.
#[test]
fn both_directions_are_one_of_each() {
    for cell in Cell::ALL {
        let concat = LayersCase::random(shape(cell, Variant::default(), 1, Direction::Concat), 0.6, 6);
        let mut sum = concat.clone();
        sum.shape.direction = Direction::Sum;
        let (h, both) = (concat.shape.hidden, concat.forward());
        let states = concat.shape.lanes() * h;
        let one = |d: usize| {
            let mut case = concat.clone();
            case.shape.direction = if d == 0 { Direction::Forward } else { Direction::Reverse };
            case.params = vec![concat.params[d].clone()];
            case.input.h0 = concat.input.h0[d * states..(d + 1) * states].to_vec();
            if cell.has_c() {
                case.input.c0 = concat.input.c0[d * states..(d + 1) * states].to_vec();
            }
            case.forward()
        };
        let (forward, reverse, summed) = (one(0), one(1), sum.forward());
        for (n, row) in both.outputs.chunks_exact(2 * h).enumerate() {
            let (f, r) = (&forward.outputs[n * h..(n + 1) * h], &reverse.outputs[n * h..(n + 1) * h]);
            assert_eq!(row, [f, r].concat(), "{cell:?}");
            let added: Vec<f64> = f.iter().zip(r).map(|(f, r)| f + r).collect();
            assert_eq!(summed.outputs[n * h..(n + 1) * h], added);
        }
        assert_eq!((&both.h_last[..states], &both.h_last[states..]), (&forward.h_last[..], &reverse.h_last[..]));
        assert_eq!(summed.h_last, both.h_last);
    }
}

/// A lane alone, at its own length, gives the bits of the lane in the batch; padding is never read.
#[test]
fn a_lane_is_alone_and_padding_is_never_read() {
    for cell in Cell::ALL {
        for direction in Direction::ALL {
            let mut case = LayersCase::random(shape(cell, Variant::default(), 2, direction), 0.6, 7);
            let shape = case.shape.clone();
            let (lanes, width) = (shape.lanes(), shape.width());
            for (b, &n) in shape.lengths.iter().enumerate() {
                for t in n..shape.steps {
                    case.input.x[(t * lanes + b) * shape.inputs..][..shape.inputs].fill(f64::NAN);
                    case.output_grad.d_y[(t * lanes + b) * width..][..width].fill(f64::NAN);
                }
            }
            let trace = case.forward();
            let grads = case.backward(&trace);
            for (b, &n) in shape.lengths.iter().enumerate() {
                let of = |values: &[f64], width: usize| -> Vec<f64> {
                    let rows = values.chunks_exact(width.max(1)).enumerate();
                    rows.filter(|(k, _)| k % lanes == b && width > 0).flat_map(|(_, row)| row.to_vec()).collect()
                };
                let tokens = |values: &[f64], width: usize| of(&values[..n * lanes * width], width);
                let mut alone = case.clone();
                alone.shape = LayersShape { steps: n, lengths: vec![n], ..shape.clone() };
                alone.input.x = tokens(&case.input.x, shape.inputs);
                alone.input.h0 = of(&case.input.h0, shape.hidden);
                alone.input.c0 = of(&case.input.c0, shape.hidden);
                alone.output_grad.d_y = tokens(&case.output_grad.d_y, width);
                alone.output_grad.d_h_last = of(&case.output_grad.d_h_last, shape.hidden);
                alone.output_grad.d_c_last = of(&case.output_grad.d_c_last, shape.hidden);
                let found = alone.forward();
                assert_eq!(found.outputs, tokens(&trace.outputs, width), "{cell:?} {direction:?} lane {b}");
                assert_eq!(found.h_last, of(&trace.h_last, shape.hidden));
                assert_eq!(found.c_last, of(&trace.c_last, shape.hidden));
                let found = alone.backward(&found);
                assert_eq!(found.d_x, tokens(&grads.d_x, shape.inputs));
                assert_eq!(found.d_h0, of(&grads.d_h0, shape.hidden));
                let past = |values: &[f64], width: usize| of(&values[n * lanes * width..], width);
                let zeros = [past(&trace.outputs, width), past(&grads.d_x, shape.inputs)].concat();
                assert!(zeros.iter().all(|&x| x == 0.0), "{cell:?} {direction:?} lane {b}");
            }
        }
    }
}

fn forward_of(case: &LayersCase) -> (LayersTrace<f64>, LayersGrads) {
    let trace = case.forward();
    let grads = case.backward(&trace);
    (trace, grads)
}

/// A residual of layers that say nothing hands the first layer's output up.
#[test]
fn a_residual_hands_up_what_it_read() {
    let mut case = LayersCase::random(shape(Cell::Rnn, Variant::default(), 3, Direction::Sum), 0.6, 8);
    case.input.h0.fill(0.0);
    for run in &mut case.params[2..] {
        run.tensors_mut().into_iter().for_each(|(_, tensor)| tensor.fill(0.0));
    }
    let (trace, grads) = forward_of(&case);
    let mut first = case.clone();
    first.shape.layers = 1;
    first.params.truncate(2);
    let states = 2 * case.shape.lanes() * case.shape.hidden;
    first.input.h0.truncate(states);
    first.output_grad.d_h_last.truncate(states);
    let (alone, alone_grads) = forward_of(&first);
    assert_eq!(trace.outputs, alone.outputs);
    assert_eq!(grads.d_x, alone_grads.d_x);
    case.shape.residual = false;
    assert!(case.forward().outputs.iter().all(|&y| y == 0.0));
}

/// Without biases: biases of zero.
#[test]
fn no_bias_is_a_bias_of_zero() {
    for cell in Cell::ALL {
        let none = Variant { bias: false, ..Variant::default() };
        let case = LayersCase::random(shape(cell, none, 2, Direction::Concat), 0.6, 9);
        let mut zero = case.clone();
        zero.shape.variant.bias = true;
        for run in &mut zero.params {
            let rows = cell.gates() * case.shape.hidden;
            (run.bias_ih, run.bias_hh) = (vec![0.0; rows], vec![0.0; rows]);
        }
        assert_alike(&case, &zero, "no bias");
    }
}

fn lstm(variant: Variant) -> LayersCase {
    LayersCase::random(shape(Cell::Lstm, variant, 2, Direction::Forward), 0.6, 10)
}

#[test]
fn special_weights_turn_one_lstm_into_another() {
    let plain = lstm(Variant::default());
    let hidden = plain.shape.hidden;
    // Peepholes of zero.
    let mut case = plain.clone();
    case.shape.variant.peepholes = true;
    case.params.iter_mut().for_each(|run| run.weight_peephole = vec![0.0; 3 * hidden]);
    assert_alike(&case, &plain, "peepholes of zero");
    // A projection by the identity.
    let mut case = plain.clone();
    case.shape.variant.projection = Some(hidden);
    for run in &mut case.params {
        run.weight_hr = (0..hidden * hidden).map(|e| if e / hidden == e % hidden { 1.0 } else { 0.0 }).collect();
    }
    assert_alike(&case, &plain, "a projection by the identity");
    // A forget gate with the input gate's weights turned round: sigmoid(-a) = 1 - sigmoid(a).
    let mut turned = plain.clone();
    for run in &mut turned.params {
        for (name, tensor) in run.tensors_mut() {
            let block = tensor.len() / 4;
            if !name.contains("hr") && !name.contains("peephole") {
                for e in 0..block {
                    tensor[block + e] = -tensor[e];
                }
            }
        }
    }
    let mut case = plain.clone();
    case.shape.variant.coupled = true;
    assert_alike(&case, &turned, "coupled gates");
    // Bounds that nothing reaches.
    let mut case = plain.clone();
    (case.shape.variant.clip, case.shape.variant.cell_clip) = (Some(50.0), Some(50.0));
    assert_alike(&case, &plain, "wide bounds");
}

/// With r = 1 everywhere, before and after are one.
#[test]
fn the_two_resets_meet_where_nothing_is_reset() {
    let after = LayersCase::random(shape(Cell::Gru, Variant::default(), 2, Direction::Reverse), 0.6, 11);
    let mut case = after.clone();
    for run in &mut case.params {
        run.bias_ih[..after.shape.hidden].fill(1e3);
    }
    let mut before = case.clone();
    before.shape.variant.reset_before = true;
    assert_alike(&before, &case, "r = 1");
    let mut apart = after.clone();
    apart.shape.variant.reset_before = true;
    assert!(worst_by_max(&apart.forward().outputs, &after.forward().outputs).error > 1e-3);
}

/// Other functions that are the usual ones in disguise.
#[test]
fn functions_in_disguise() {
    for cell in Cell::ALL {
        let functions = Functions {
            cell: Function::ScaledTanh { alpha: 1.0, beta: 1.0 },
            hidden: if cell == Cell::Lstm { Function::ScaledTanh { alpha: 1.0, beta: 1.0 } } else { Function::Tanh },
            ..Functions::default()
        };
        let variant = Variant { activations: functions, ..Variant::default() };
        let case = LayersCase::random(shape(cell, variant, 1, Direction::Forward), 0.6, 12);
        let mut plain = case.clone();
        plain.shape.variant = Variant::default();
        assert_alike(&case, &plain, "ScaledTanh of 1 and 1");
    }
}
