//! The checks have teeth: a backward pass with one thing wrong is far outside the bound.

use gatemill_oracle::stack::stack_backward;
use gatemill_oracle::{CaseOptions, Cell, StackCase, StackGrads, StackTrace};

use crate::exact::{dual_gradients, largest_error, named};
use crate::grid::shape;

const ALL_ON: CaseOptions = CaseOptions { symbols: false, carried: true, resets: true, dropout: true };

type Mutation = (&'static str, fn(&StackCase, StackTrace<f64>) -> StackGrads);

/// Runs the backward pass on a run that was changed after the forward pass.
fn with_case(case: &StackCase, trace: &StackTrace<f64>, change: impl Fn(&mut StackCase)) -> StackGrads {
    let mut changed = case.clone();
    change(&mut changed);
    stack_backward(&changed.shape, &changed.params, &changed.input, trace, &changed.output_grad)
}

/// Runs the backward pass on a trace that was changed.
fn with_trace(case: &StackCase, mut trace: StackTrace<f64>, change: impl Fn(&mut StackTrace<f64>)) -> StackGrads {
    change(&mut trace);
    case.backward(&trace)
}

/// Swaps two gates in every row `[G*H]` of layer 0.
fn swap_gates(trace: &mut StackTrace<f64>, rows: usize, hidden: usize, one: usize, other: usize) {
    for row in trace.layers[0].gates.chunks_exact_mut(rows) {
        for u in 0..hidden {
            row.swap(one * hidden + u, other * hidden + u);
        }
    }
}

const ANY_CELL: [Mutation; 7] = [
    ("resets forgotten", |case, trace| with_case(case, &trace, |c| c.input.resets = None)),
    ("resets one step late", |case, trace| {
        with_case(case, &trace, |c| {
            let lanes = c.shape.lanes;
            c.input.resets.as_mut().expect("the run has resets").rotate_right(lanes);
        })
    }),
    ("dropout forgotten", |case, trace| with_case(case, &trace, |c| c.input.dropout = None)),
    ("dropout of another lane", |case, trace| {
        with_case(case, &trace, |c| {
            let hidden = c.shape.hidden;
            c.input.dropout.as_mut().expect("the run has dropout").rotate_right(hidden);
        })
    }),
    ("gradient of the last state forgotten", |case, trace| with_case(case, &trace, |c| c.output_grad.d_h_last = None)),
    ("W_hh not transposed", |case, trace| {
        with_case(case, &trace, |c| {
            let hidden = c.shape.hidden;
            for block in c.params.layers[0].weight_hh.chunks_exact_mut(hidden * hidden) {
                for i in 0..hidden {
                    for j in 0..i {
                        block.swap(i * hidden + j, j * hidden + i);
                    }
                }
            }
        })
    }),
    ("h_t in place of h_(t-1)", |case, trace| with_trace(case, trace, |t| t.layers[0].h_prev = t.layers[0].h.clone())),
];

const LSTM: [Mutation; 5] = [
    ("i and f swapped", |case, trace| {
        with_trace(case, trace, |t| swap_gates(t, case.shape.layer(0).rows(), case.shape.hidden, 0, 1))
    }),
    ("g and o swapped", |case, trace| {
        with_trace(case, trace, |t| swap_gates(t, case.shape.layer(0).rows(), case.shape.hidden, 2, 3))
    }),
    ("sign of c flipped", |case, trace| with_trace(case, trace, |t| t.layers[0].c.iter_mut().for_each(|c| *c = -*c))),
    ("c_t in place of c_(t-1)", |case, trace| with_trace(case, trace, |t| t.layers[0].c_prev = t.layers[0].c.clone())),
    ("gradient of the last c forgotten", |case, trace| with_case(case, &trace, |c| c.output_grad.d_c_last = None)),
];

const GRU: [Mutation; 4] = [
    ("r and z swapped", |case, trace| {
        with_trace(case, trace, |t| swap_gates(t, case.shape.layer(0).rows(), case.shape.hidden, 0, 1))
    }),
    ("z turned round", |case, trace| {
        with_trace(case, trace, |t| {
            let hidden = case.shape.hidden;
            for row in t.layers[0].gates.chunks_exact_mut(3 * hidden) {
                row[hidden..2 * hidden].iter_mut().for_each(|z| *z = 1.0 - *z);
            }
        })
    }),
    ("n_h without b_hn", |case, trace| {
        with_trace(case, trace, |t| {
            let hidden = case.shape.hidden;
            for row in t.layers[0].n_h.chunks_exact_mut(hidden) {
                for (n_h, b_hn) in row.iter_mut().zip(&case.params.layers[0].bias_hh[2 * hidden..]) {
                    *n_h -= b_hn;
                }
            }
        })
    }),
    ("both biases of n alike", |case, trace| {
        let mut grads = case.backward(&trace);
        grads.params.layers[0].bias_hh = grads.params.layers[0].bias_ih.clone();
        grads
    }),
];

#[test]
fn every_mutation_is_caught() {
    for cell in Cell::ALL {
        let case = StackCase::random(shape(cell, 2), ALL_ON, 42);
        let expected = dual_gradients(&case);
        let special: &[Mutation] = match cell {
            Cell::Rnn => &[],
            Cell::Lstm => &LSTM,
            Cell::Gru => &GRU,
        };
        for (name, mutation) in ANY_CELL.iter().chain(special) {
            let grads = mutation(&case, case.forward());
            let (error, _) = largest_error(&named(&grads), &expected);
            assert!(error > 1e-3, "{cell:?}: {name} gets by with {error:e}");
        }
    }
}

/// The sign of the smallest nonzero element of each tensor that a reader could see, flipped alone.
#[test]
fn one_wrong_element_is_caught() {
    for cell in Cell::ALL {
        let case = StackCase::random(shape(cell, 2), ALL_ON, 43);
        let expected = dual_gradients(&case);
        let right = named(&case.backward(&case.forward()));
        for k in 0..right.len() {
            let max = right[k].1.iter().fold(0.0, |max: f64, x| max.max(x.abs()));
            let visible = right[k].1.iter().enumerate().filter(|(_, x)| x.abs() > 1e-6 * max);
            let Some((smallest, _)) = visible.min_by(|a, b| a.1.abs().total_cmp(&b.1.abs())) else {
                assert!(right[k].1.is_empty(), "{} has no gradient", right[k].0);
                continue;
            };
            let mut wrong = right.clone();
            wrong[k].1[smallest] = -wrong[k].1[smallest];
            let (error, place) = largest_error(&wrong, &expected);
            assert!(error > 1e-6 && place.starts_with(&right[k].0), "{cell:?}: {}[{smallest}]: {error:e}", right[k].0);
        }
    }
}
