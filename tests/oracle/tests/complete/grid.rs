//! Every variant of every cell, every direction and stack: every element of every gradient, twice over.

use gatemill_oracle::Cell;
use gatemill_oracle::complete::case::LayersCase;
use gatemill_oracle::complete::layers::{Direction, LayersShape};
use gatemill_oracle::complete::variant::{Function, Functions, Variant};

use crate::exact::{difference_gradients, dual_gradients, largest_error, named};

/// Exact differentiation leaves only rounding.
pub(crate) const DUAL_BOUND: f64 = 1e-11;
/// Central differences leave the third derivative, which is large where gates are not bounded.
const DIFFERENCE_BOUND: f64 = 1e-5;

/// The forms of a cell: each alone, then many at once.
pub(crate) fn variants(cell: Cell) -> Vec<Variant> {
    let plain = Variant::default();
    let functions = Functions::default();
    let mut all = vec![
        plain,
        Variant { bias: false, ..plain },
        Variant { clip: Some(0.4), ..plain },
        Variant { activations: Functions { cell: Function::Relu, ..functions }, ..plain },
    ];
    let others = [
        Function::Sigmoid,
        Function::Affine { alpha: 0.7, beta: -0.3 },
        Function::LeakyRelu { alpha: 0.15 },
        Function::ThresholdedRelu { alpha: 0.2 },
        Function::ScaledTanh { alpha: 1.3, beta: 0.6 },
        Function::HardSigmoid { alpha: 0.25, beta: 0.45 },
        Function::Elu { alpha: 0.8 },
        Function::Softsign,
        Function::Softplus,
    ];
    match cell {
        Cell::Rnn => {
            all.extend(others.map(|cell| Variant { activations: Functions { cell, ..functions }, ..plain }));
            let relu = Functions { cell: Function::Relu, ..functions };
            all.push(Variant { bias: false, clip: Some(0.5), activations: relu, ..plain });
        }
        Cell::Gru => {
            all.push(Variant { reset_before: true, ..plain });
            all.push(Variant { reset_before: true, bias: false, clip: Some(0.4), ..plain });
            for (k, &cell) in others.iter().enumerate() {
                let gates = others[(k + 4) % others.len()];
                let activations = Functions { gates, cell, ..functions };
                all.push(Variant { reset_before: k % 2 == 0, activations, ..plain });
            }
        }
        Cell::Lstm => {
            all.extend([
                Variant { peepholes: true, ..plain },
                Variant { coupled: true, ..plain },
                Variant { cell_clip: Some(0.5), ..plain },
                Variant { projection: Some(3), ..plain },
                Variant { peepholes: true, coupled: true, cell_clip: Some(0.6), ..plain },
                Variant { peepholes: true, cell_clip: Some(0.6), clip: Some(0.5), bias: false, ..plain },
                Variant { peepholes: true, coupled: true, projection: Some(3), clip: Some(0.5), ..plain },
            ]);
            for (k, &cell) in others.iter().enumerate() {
                let (gates, hidden) = (others[(k + 4) % others.len()], others[(k + 7) % others.len()]);
                let activations = Functions { gates, cell, hidden };
                all.push(Variant { peepholes: k % 2 == 0, coupled: k % 3 == 0, activations, ..plain });
            }
        }
    }
    all
}

/// Sizes that differ pairwise: I 4, H 5, T 6, B 2 and, where there is one, P 3. Lanes of 6 and 3 steps.
pub(crate) fn shape(cell: Cell, variant: Variant, layers: usize, direction: Direction) -> LayersShape {
    let lengths = vec![6, 3];
    LayersShape { cell, variant, inputs: 4, hidden: 5, layers, direction, residual: layers > 1, steps: 6, lengths }
}

fn runs(cell: Cell) -> Vec<LayersCase> {
    let mut all = Vec::new();
    for (k, variant) in variants(cell).into_iter().enumerate() {
        // Every variant once alone; in both directions and three layers in turn.
        let direction = Direction::ALL[k % 4];
        all.push(LayersCase::random(shape(cell, variant, 1, direction), 0.6, 500 + k as u64));
        if k % 3 == 0 {
            let deep = shape(cell, variant, 3, Direction::ALL[k / 3 % 4]);
            all.push(LayersCase::random(deep, 0.4, 700 + k as u64).dropped(k as u64));
        }
    }
    for direction in Direction::ALL {
        // Lanes in any order, one of them empty.
        let lengths = vec![2, 0, 5];
        let any = LayersShape { lengths, steps: 6, residual: false, ..shape(cell, Variant::default(), 2, direction) };
        all.push(LayersCase::random(any, 0.6, 900));
    }
    all
}

fn check(cell: Cell) {
    let (mut worst_dual, mut worst_difference) = (0.0_f64, 0.0_f64);
    let mut elements = 0;
    for case in runs(cell) {
        let grads = named(&case.shape, &case.backward(&case.forward()));
        let dual = dual_gradients(&case);
        let (error, place) = largest_error(&grads, &dual);
        assert!(error <= DUAL_BOUND, "{:?}, against dual numbers: {error:e} at {place}", case.shape);
        worst_dual = worst_dual.max(error);
        let (error, place) = largest_error(&grads, &difference_gradients(&case, 1e-5));
        assert!(error <= DIFFERENCE_BOUND, "{:?}, against differences: {error:e} at {place}", case.shape);
        worst_difference = worst_difference.max(error);
        let all = || grads.iter().flat_map(|(_, t)| t);
        let zeros = all().filter(|&&x| x == 0.0).count();
        assert!(4 * zeros < 3 * all().count(), "{:?}: {zeros} gradients of {} are zero", case.shape, all().count());
        elements += all().count();
    }
    println!(
        "{cell:?}: {elements} gradients, largest error {worst_dual:.1e} against dual numbers, {worst_difference:.1e} \
         against differences"
    );
}

#[test]
fn rnn_backward_is_exact() {
    check(Cell::Rnn);
}

#[test]
fn lstm_backward_is_exact() {
    check(Cell::Lstm);
}

#[test]
fn gru_backward_is_exact() {
    check(Cell::Gru);
}

/// The bounds of the grid are at work: some of what they bound lies within, some outside.
#[test]
fn clips_of_the_grid_are_reached() {
    for cell in Cell::ALL {
        for variant in variants(cell) {
            let case = LayersCase::random(shape(cell, variant, 1, Direction::Forward), 0.6, 1);
            let trace = case.forward();
            let steps = || trace.runs.iter().flatten().flat_map(|lane| &lane.steps);
            let both = |values: Vec<f64>, bound: Option<f64>| {
                let outside = values.iter().filter(|a| bound.is_some_and(|bound| a.abs() > bound)).count();
                assert!(bound.is_none() || (outside > 0 && outside < values.len()), "{cell:?} {variant:?}: {outside}");
            };
            both(steps().flat_map(|s| s.a.clone()).collect(), variant.clip);
            both(steps().flat_map(|s| s.c_free.clone()).collect(), variant.cell_clip);
        }
    }
}
