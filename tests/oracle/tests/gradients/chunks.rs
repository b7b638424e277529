//! Runs cut in pieces: a carried state continues a run, a reset starts one, the chain rule joins chunks.

use gatemill_oracle::stack::{stack_backward, stack_forward};
use gatemill_oracle::{CaseOptions, Cell, StackCase, StackInput, StackOutputGrad, StackShape};

use crate::exact::{largest_error, named};
use crate::grid::{DUAL_BOUND, shape};

const CUT: usize = 2;

/// The steps `from..to` of a time-major tensor with `width` numbers per step.
fn steps<T: Clone>(values: &[T], from: usize, to: usize, width: usize) -> Vec<T> {
    values[from * width..to * width].to_vec()
}

fn piece(case: &StackCase, from: usize, to: usize) -> (StackShape, StackInput<f64>, Vec<f64>) {
    let shape = StackShape { steps: to - from, ..case.shape };
    let input = StackInput {
        x: steps(&case.input.x, from, to, shape.lanes * shape.inputs),
        resets: case.input.resets.as_ref().map(|r| steps(r, from, to, shape.lanes)),
        ..case.input.clone()
    };
    (shape, input, steps(&case.output_grad.d_y, from, to, shape.lanes * shape.hidden))
}

/// Forward: the same bits in two chunks as in one. Backward: with the second chunk's d_h0 and d_c0 handed to the
/// first, the sum of both chunks' gradients is that of the whole.
#[test]
fn two_chunks_are_one_run() {
    for cell in Cell::ALL {
        let options = CaseOptions { carried: true, resets: true, ..CaseOptions::default() };
        let case = StackCase::random(shape(cell, 3), options, 7);
        let whole = case.forward();
        let whole_grads = case.backward(&whole);

        let (shape1, input1, d_y1) = piece(&case, 0, CUT);
        let (shape2, mut input2, d_y2) = piece(&case, CUT, case.shape.steps);
        let first = stack_forward(&shape1, &case.params, &input1);
        input2.h0 = first.h_last.clone();
        input2.c0 = first.c_last.clone();
        let second = stack_forward(&shape2, &case.params, &input2);
        assert_eq!([first.outputs(), second.outputs()].concat(), whole.outputs(), "{cell:?}");
        assert_eq!(second.h_last, whole.h_last);
        assert_eq!(second.c_last, whole.c_last);

        let output2 = StackOutputGrad { d_y: d_y2, ..case.output_grad.clone() };
        let grads2 = stack_backward(&shape2, &case.params, &input2, &second, &output2);
        let d_c_last = cell.has_c().then(|| grads2.d_c0.clone());
        let output1 = StackOutputGrad { d_y: d_y1, d_h_last: Some(grads2.d_h0.clone()), d_c_last };
        let mut joined = stack_backward(&shape1, &case.params, &input1, &first, &output1);
        joined.d_x.extend(&grads2.d_x);
        for ((_, sum), (_, more)) in joined.params.tensors_mut().into_iter().zip(grads2.params.tensors()) {
            sum.iter_mut().zip(more).for_each(|(a, b)| *a += b);
        }
        let (error, place) = largest_error(&named(&joined), &named(&whole_grads));
        assert!(error <= DUAL_BOUND, "{cell:?}: {error:e} at {place}");
    }
}

/// After a reset in every lane, the rest of a run is a run of its own from the zero state, whatever came before.
#[test]
fn a_reset_starts_a_run() {
    for cell in Cell::ALL {
        let mut case = StackCase::random(shape(cell, 2), CaseOptions { carried: true, ..CaseOptions::default() }, 8);
        let tokens = 0..case.shape.tokens();
        case.input.resets = Some(tokens.map(|n| n / case.shape.lanes == CUT).collect());
        let trace = case.forward();
        let (rest_shape, rest, _) = piece(&case, CUT, case.shape.steps);
        let alone = stack_forward(&rest_shape, &case.params, &StackInput::from_zero_state(&rest_shape, rest.x));
        let after = steps(trace.outputs(), CUT, case.shape.steps, case.shape.lanes * case.shape.hidden);
        assert_eq!(after, alone.outputs(), "{cell:?}");

        // And nothing comes back through it.
        let before = CUT * case.shape.lanes * case.shape.hidden;
        case.output_grad.d_y[..before].fill(0.0);
        let grads = case.backward(&trace);
        assert!(grads.d_h0.iter().chain(&grads.d_c0).all(|&d| d == 0.0), "{cell:?}");
        assert!(grads.d_x[..CUT * case.shape.lanes * case.shape.inputs].iter().all(|&d| d == 0.0), "{cell:?}");
    }
}

/// A lane sees nothing of its neighbours: each lane alone gives the same bits.
#[test]
fn lanes_are_independent() {
    for cell in Cell::ALL {
        let case = StackCase::random(shape(cell, 1), CaseOptions { carried: true, ..CaseOptions::default() }, 9);
        let whole = case.forward();
        let (lanes, hidden, inputs) = (case.shape.lanes, case.shape.hidden, case.shape.inputs);
        for b in 0..lanes {
            let of_lane = |values: &[f64], width: usize| -> Vec<f64> {
                let rows = values.chunks_exact(width).enumerate();
                rows.filter(|(n, _)| n % lanes == b).flat_map(|(_, row)| row.to_vec()).collect()
            };
            let input = StackInput {
                x: of_lane(&case.input.x, inputs),
                h0: of_lane(&case.input.h0, hidden),
                c0: of_lane(&case.input.c0, hidden),
                resets: None,
                dropout: None,
            };
            let alone = stack_forward(&StackShape { lanes: 1, ..case.shape }, &case.params, &input);
            assert_eq!(alone.outputs(), of_lane(whole.outputs(), hidden), "{cell:?} lane {b}");
        }
    }
}
