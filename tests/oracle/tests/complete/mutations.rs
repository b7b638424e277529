//! The checks have teeth: a backward pass with one thing wrong is far outside the bound.

use gatemill_oracle::Cell;
use gatemill_oracle::complete::case::LayersCase;
use gatemill_oracle::complete::layers::{Direction, LayersTrace};
use gatemill_oracle::complete::variant::{Function, Variant};

use crate::exact::{dual_gradients, largest_error, named};
use crate::grid::shape;

type Change = fn(&mut LayersCase, &mut LayersTrace<f64>);

fn full(cell: Cell) -> Variant {
    let plain = Variant { clip: Some(0.8), ..Variant::default() };
    match cell {
        Cell::Rnn => plain,
        Cell::Gru => Variant { reset_before: true, ..plain },
        Cell::Lstm => Variant { peepholes: true, coupled: true, cell_clip: Some(0.6), projection: Some(5), ..plain },
    }
}

const ANY_CELL: [(&str, Change); 6] = [
    ("the clip forgotten", |case, _| case.shape.variant.clip = None),
    ("tanh taken for Softsign", |case, _| case.shape.variant.activations.cell = Function::Softsign),
    ("the residual forgotten", |case, _| case.shape.residual = false),
    ("the dropout forgotten", |case, _| case.input.dropout = None),
    ("the directions exchanged", |case, trace| {
        case.params.swap(2, 3);
        trace.runs.swap(2, 3);
    }),
    ("the last state's gradient forgotten", |case, _| case.output_grad.d_h_last.fill(0.0)),
];

const LSTM: [(&str, Change); 5] = [
    ("gates taken apart", |case, _| case.shape.variant.coupled = false),
    ("c's bound forgotten", |case, _| case.shape.variant.cell_clip = None),
    ("peepholes of i and f exchanged", |case, _| {
        let hidden = case.shape.hidden;
        case.params[0].weight_peephole.rotate_left(hidden);
    }),
    ("the projection transposed", |case, _| {
        let hidden = case.shape.hidden;
        let w = case.params[1].weight_hr.clone();
        for (e, &w) in w.iter().enumerate() {
            case.params[1].weight_hr[e % hidden * hidden + e / hidden] = w;
        }
    }),
    ("c before its bound in the peephole", |_, trace| {
        for step in trace.runs.iter_mut().flatten().flat_map(|lane| &mut lane.steps) {
            step.c.clone_from(&step.c_free);
        }
    }),
];

const GRU: [(&str, Change); 1] = [("a reset after", |case, trace| {
    case.shape.variant.reset_before = false;
    for step in trace.runs.iter_mut().flatten().flat_map(|lane| &mut lane.steps) {
        step.n_h.clone_from(&step.h_prev);
    }
})];

#[test]
fn every_mutation_is_caught() {
    for cell in Cell::ALL {
        let case = LayersCase::random(shape(cell, full(cell), 2, Direction::Sum), 0.6, 42).dropped(1);
        let expected = dual_gradients(&case);
        let special: &[(&str, Change)] = match cell {
            Cell::Rnn => &[],
            Cell::Lstm => &LSTM,
            Cell::Gru => &GRU,
        };
        let right = named(&case.shape, &case.backward(&case.forward()));
        assert!(largest_error(&right, &expected).0 < 1e-11);
        for (name, change) in ANY_CELL.iter().chain(special) {
            let (mut wrong, mut trace) = (case.clone(), case.forward());
            change(&mut wrong, &mut trace);
            let (error, _) = largest_error(&named(&case.shape, &wrong.backward(&trace)), &expected);
            assert!(error > 1e-3, "{cell:?}: {name} gets by with {error:e}");
        }
    }
}
