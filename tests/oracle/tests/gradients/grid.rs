//! 45 runs: three cells, L = 1..3, five sets of features; every element of every gradient, twice over.

use gatemill_oracle::{Activation, CaseOptions, Cell, StackCase, StackShape};

use crate::exact::{difference_gradients, dual_gradients, largest_error, named};

/// Exact differentiation leaves only rounding.
pub(crate) const DUAL_BOUND: f64 = 1e-11;
/// Central differences leave the third derivative.
const DIFFERENCE_BOUND: f64 = 1e-6;

const PLAIN: CaseOptions = CaseOptions { symbols: false, carried: false, resets: false, dropout: false };

/// Sizes that differ pairwise, from L, and (for L > 1) between the layers' inputs.
pub(crate) fn shape(cell: Cell, layers: usize) -> StackShape {
    let (steps, lanes, inputs, hidden) = match layers {
        1 => (5, 3, 4, 6),
        2 => (5, 3, 4, 7),
        _ => (5, 2, 4, 6),
    };
    let shape = StackShape { cell, layers, inputs, hidden, steps, lanes, activation: Activation::Standard };
    let mut sizes = [layers, inputs, hidden, steps, lanes];
    sizes.sort_unstable();
    assert!(sizes.windows(2).all(|pair| pair[0] != pair[1]), "{sizes:?}");
    shape
}

fn runs(cell: Cell) -> Vec<(String, StackCase)> {
    let options = [
        PLAIN,
        CaseOptions { carried: true, ..PLAIN },
        CaseOptions { symbols: true, resets: true, ..PLAIN },
        CaseOptions { carried: true, resets: true, dropout: true, ..PLAIN },
        CaseOptions { symbols: true, carried: true, resets: true, dropout: true },
    ];
    let mut all = Vec::new();
    for layers in 1..=3 {
        for (k, options) in options.into_iter().enumerate() {
            let seed = 1000 + 10 * layers as u64 + k as u64;
            let case = StackCase::random(shape(cell, layers), options, seed);
            all.push((format!("{cell:?} L={layers} seed {seed} {options:?}"), case));
        }
    }
    all
}

/// Every element against dual numbers and against central differences; the data must be alive.
fn check(cell: Cell) {
    let runs = runs(cell);
    assert_eq!(runs.len(), 15);
    let (mut worst_dual, mut worst_difference) = (0.0_f64, 0.0_f64);
    for (name, case) in &runs {
        let grads = named(&case.backward(&case.forward()));
        for (tensor, values) in grads.iter().filter(|(tensor, _)| tensor.contains('_')) {
            let zeros = values.iter().filter(|&&x| x == 0.0).count();
            assert!(2 * zeros < values.len(), "{name}: {zeros} of {} gradients of {tensor} are zero", values.len());
        }
        let (error, place) = largest_error(&grads, &dual_gradients(case));
        assert!(error <= DUAL_BOUND, "{name}, against dual numbers: {error:e} at {place}");
        worst_dual = worst_dual.max(error);
        let (error, place) = largest_error(&grads, &difference_gradients(case, 1e-5));
        assert!(error <= DIFFERENCE_BOUND, "{name}, against differences: {error:e} at {place}");
        worst_difference = worst_difference.max(error);
    }
    println!(
        "{cell:?}: largest error {worst_dual:.1e} against dual numbers, {worst_difference:.1e} against differences"
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

/// A longer run with saturated gates: weights eight times larger, 24 steps.
#[test]
fn saturated_gates_stay_exact() {
    for cell in Cell::ALL {
        let shape = StackShape { steps: 24, lanes: 1, hidden: 5, ..shape(cell, 2) };
        let mut case = StackCase::random(shape, CaseOptions { carried: true, ..PLAIN }, 77);
        for (_, tensor) in case.params.tensors_mut() {
            tensor.iter_mut().for_each(|w| *w *= 8.0);
        }
        let trace = case.forward();
        let extreme = trace.layers[1].gates.iter().filter(|g| g.abs() > 0.95 || g.abs() < 0.05).count();
        assert!(extreme * 5 > trace.layers[1].gates.len(), "{cell:?}: only {extreme} gates are saturated");
        let (error, place) = largest_error(&named(&case.backward(&trace)), &dual_gradients(&case));
        assert!(error <= DUAL_BOUND, "{cell:?}: {error:e} at {place}");
    }
}
