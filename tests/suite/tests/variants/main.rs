//! Variants of the cells (no bias, activations, reset-before, peepholes, coupled gates, bounds, projection): outputs and
//! every gradient against the oracle in f64, and the bits promise for each.
//!
//! Sizes differ pairwise and are no multiples of a vector. The error of an element is
//! `|found - expected| / max(|expected|, root mean square of its tensor)`.

mod case;
mod functions;

use case::{Case, Sizes};
use gatemill_crew::Split;
use gatemill_kernels::{Activation, Activations, Cell, Isa, Kernels, Variant};
use gatemill_oracle::compare::{f32_backward_bound, f32_forward_bound, worst_by_rms};
use gatemill_oracle::widen;
use gatemill_suite::{CELLS, Setting, crew, first_difference, tiers};

/// Calibrated on these very runs, beside the published form: gates that are not bounded let errors grow.
const CALIBRATED: f64 = 2.0;

/// Functions with their numbers, each once.
const FUNCTIONS: [Activation; 11] = [
    Activation::Relu,
    Activation::Sigmoid,
    Activation::Affine { alpha: 0.7, beta: -0.3 },
    Activation::LeakyRelu { alpha: 0.15 },
    Activation::ThresholdedRelu { alpha: 0.2 },
    Activation::ScaledTanh { alpha: 1.3, beta: 0.6 },
    Activation::HardSigmoid { alpha: 0.25, beta: 0.45 },
    Activation::Elu { alpha: 0.8 },
    Activation::Softsign,
    Activation::Softplus,
    Activation::Tanh,
];

/// The forms of a cell: each alone, then several at once. P is `p` where there is a projection.
fn variants(cell: Cell, p: usize) -> Vec<Variant> {
    let plain = Variant::default();
    let functions = Activations::default();
    let mut all = vec![plain, Variant { bias: false, ..plain }, Variant { clip: Some(0.4), ..plain }];
    for (k, &cell_function) in FUNCTIONS.iter().enumerate() {
        let (gates, hidden) = (FUNCTIONS[(k + 4) % FUNCTIONS.len()], FUNCTIONS[(k + 7) % FUNCTIONS.len()]);
        let a = Activations { cell: cell_function, ..functions };
        let clip = (k % 3 == 1).then_some(0.5);
        all.push(match cell {
            Cell::Rnn => Variant { activations: a, bias: k % 2 == 0, clip, ..plain },
            Cell::Gru => Variant {
                activations: Activations { gates, ..a },
                reset_before: k % 2 == 0,
                bias: k % 4 != 3,
                clip,
                ..plain
            },
            Cell::Lstm => {
                let activations = Activations { gates, hidden, ..a };
                Variant { activations, peepholes: k % 2 == 0, coupled: k % 3 == 0, clip, ..plain }
            }
        });
    }
    match cell {
        Cell::Rnn => all.push(Variant::relu()),
        Cell::Gru => all.extend([
            Variant { reset_before: true, ..plain },
            Variant { reset_before: true, bias: false, ..plain },
            Variant { reset_before: true, clip: Some(0.4), ..plain },
        ]),
        Cell::Lstm => all.extend([
            Variant { peepholes: true, ..plain },
            Variant { coupled: true, ..plain },
            Variant { cell_clip: Some(0.5), ..plain },
            Variant { projection: Some(p), ..plain },
            Variant { projection: Some(p), bias: false, clip: Some(0.6), ..plain },
            Variant { peepholes: true, coupled: true, cell_clip: Some(0.6), ..plain },
            Variant { peepholes: true, cell_clip: Some(0.6), clip: Some(0.5), bias: false, ..plain },
            Variant { peepholes: true, coupled: true, projection: Some(p), cell_clip: Some(0.7), ..plain },
        ]),
    }
    all
}

/// Sizes that differ pairwise, and P: one panel and less, tails of every kind, several panels, more units than a vector
/// of projected columns and fewer.
const SIZES: [(Sizes, usize); 4] = [
    (Sizes { steps: 4, lanes: 3, inputs: 7, hidden: 5, layers: 2 }, 6),
    (Sizes { steps: 5, lanes: 9, inputs: 19, hidden: 37, layers: 1 }, 21),
    (Sizes { steps: 3, lanes: 2, inputs: 66, hidden: 83, layers: 2 }, 17),
    (Sizes { steps: 2, lanes: 17, inputs: 5, hidden: 18, layers: 3 }, 70),
];

/// The setting of run number `i` on a tier: threads, splits and shards in turn.
fn setting(i: usize, kernels: Kernels, crews: &[gatemill_crew::Crew], lanes: usize) -> Setting<'_> {
    let split = [None, Some(Split::Lanes), Some(Split::Units)][i % 3];
    Setting { kernels, crew: &crews[i / 2 % crews.len()], split, shards: (1 + i / 3 % 3).min(lanes) }
}

fn bound(case: &Case, kernels: &Kernels, forward: bool) -> f64 {
    let s = case.sizes;
    let cell = match case.cell {
        Cell::Rnn => gatemill_oracle::Cell::Rnn,
        Cell::Lstm => gatemill_oracle::Cell::Lstm,
        Cell::Gru => gatemill_oracle::Cell::Gru,
    };
    let inputs = s.inputs.max(s.hidden);
    let base = if forward {
        f32_forward_bound(cell, s.steps, inputs)
    } else {
        f32_backward_bound(cell, s.steps, inputs, s.hidden, s.lanes)
    };
    CALIBRATED * base * s.layers as f64 * if kernels.isa() == Isa::Portable { 2.0 } else { 1.0 }
}

/// Dense inputs, symbols, an embedding; dropout; lanes of different lengths: run number `i` has some.
fn everything_in_turn(case: Case, i: usize) -> Case {
    let case = if case.sizes.layers > 1 && i % 2 == 1 { case.dropped() } else { case };
    let case = if i % 5 > 2 { case.ragged() } else { case };
    match i % 4 {
        1 => case.of_symbols(false, i as u64),
        3 => case.of_symbols(true, i as u64),
        _ => case,
    }
}

fn agrees_with_the_oracle(cell: Cell) {
    let crews = [crew(1), crew(2), crew(3)];
    let mut worst_of_all = (0.0, String::new());
    for (n, (sizes, p)) in SIZES.into_iter().enumerate() {
        for (v, variant) in variants(cell, p).into_iter().enumerate() {
            let case = everything_in_turn(Case::random(cell, variant, sizes, (100 * n + v) as u64), n + v);
            let want = case.reference();
            for (tier, kernels) in tiers().into_iter().enumerate() {
                let setting = setting(n + v + tier, kernels, &crews, sizes.lanes);
                let found = case.run(setting);
                assert_eq!(found.len(), want.len(), "{variant:?}");
                for (name, want) in &want {
                    let found = found.iter().find(|(other, _)| other == name);
                    let (_, found) = found.unwrap_or_else(|| panic!("{name} is missing: {variant:?}"));
                    let worst = worst_by_rms(&widen(found), want);
                    let forward = ["output", "h_n", "c_n"].contains(&name.as_str());
                    let share = worst.error / bound(&case, &kernels, forward);
                    let place = format!("{name} {worst:?} with {setting:?} of {sizes:?} {variant:?}");
                    assert!(share <= 1.0, "{place}: {share:.2} of its bound");
                    if share > worst_of_all.0 {
                        worst_of_all = (share, place);
                    }
                }
            }
        }
    }
    println!("largest error, {:.2} of its bound: {}", worst_of_all.0, worst_of_all.1);
    assert!(worst_of_all.0 > 0.01, "the bound says nothing");
}

#[test]
fn every_variant_of_the_rnn_agrees_with_the_oracle() {
    agrees_with_the_oracle(Cell::Rnn);
}

#[test]
fn every_variant_of_the_lstm_agrees_with_the_oracle() {
    agrees_with_the_oracle(Cell::Lstm);
}

#[test]
fn every_variant_of_the_gru_agrees_with_the_oracle() {
    agrees_with_the_oracle(Cell::Gru);
}

/// The oracle's numbers of one form are not those of another: the comparison can fail, and every form does something, in
/// outputs and in gradients.
#[test]
fn a_form_that_is_left_out_is_found() {
    let plain = Variant::default();
    let (sizes, _) = SIZES[1];
    let activations = Activations { cell: Activation::Softsign, ..Activations::default() };
    let forms = [
        (Cell::Rnn, Variant { activations, ..plain }),
        (Cell::Gru, Variant { reset_before: true, ..plain }),
        (Cell::Gru, Variant { clip: Some(0.4), ..plain }),
        (Cell::Lstm, Variant { coupled: true, ..plain }),
        (Cell::Lstm, Variant { cell_clip: Some(0.5), ..plain }),
        (Cell::Lstm, Variant { clip: Some(0.4), ..plain }),
    ];
    for (cell, variant) in forms {
        let (case, crew) = (Case::random(cell, variant, sizes, 9), crew(1));
        let kernels = Kernels::best();
        let (found, other) = (case.run(Setting::new(kernels, &crew)), Case::random(cell, plain, sizes, 9).reference());
        let differs = |name: &str| {
            let of = |(other, _): &&(String, Vec<f64>)| other == name;
            let want = &other.iter().find(of).expect("a tensor of every form").1;
            let found = &found.iter().find(|(other, _)| other == name).expect("a tensor of every form").1;
            worst_by_rms(&widen(found), want).error > 100.0 * bound(&case, &kernels, false)
        };
        for name in ["output", "d_x", "d_h0", "rnn.weight_ih_l0", "rnn.weight_hh_l0"] {
            assert!(differs(name), "{name} of {cell:?} is the same with {variant:?}");
        }
    }
}

/// On one tier any number of threads and any split, and on both FMA tiers: the same bits.
#[test]
fn tiers_threads_and_splits_leave_no_trace_in_a_variant() {
    let crews = [crew(1), crew(2), crew(3)];
    for cell in CELLS {
        for (n, (sizes, p)) in SIZES.into_iter().enumerate().skip(1) {
            for (v, variant) in variants(cell, p).into_iter().enumerate() {
                let case = everything_in_turn(Case::random(cell, variant, sizes, (300 * n + v) as u64), n + v);
                let mut fma = None;
                for kernels in tiers() {
                    let first = case.run(Setting::new(kernels, &crews[0]));
                    for (threads, split) in [(1, Split::Units), (2, Split::Lanes)] {
                        let setting = Setting { split: Some(split), ..Setting::new(kernels, &crews[threads]) };
                        let differs = first_difference(&first, &case.run(setting));
                        assert_eq!(differs, None, "{setting:?} {sizes:?} {variant:?}");
                    }
                    if kernels.isa() != Isa::Portable {
                        let other = fma.get_or_insert_with(|| first.clone());
                        assert_eq!(first_difference(other, &first), None, "{kernels:?} {sizes:?} {variant:?}");
                    }
                }
            }
        }
    }
}

/// A variant that is the plain cell in other words gives the plain kernels' bits.
#[test]
fn what_changes_nothing_gives_the_plain_bits() {
    let crew = crew(1);
    let plain = Variant::default();
    for cell in CELLS {
        for (sizes, _) in SIZES {
            let far = Variant { clip: Some(1e6), ..plain };
            let want = Case::random(cell, plain, sizes, 7);
            let asked = Case::random(cell, far, sizes, 7);
            for kernels in tiers() {
                let (want, asked) = (want.run(Setting::new(kernels, &crew)), asked.run(Setting::new(kernels, &crew)));
                assert_eq!(first_difference(&want, &asked), None, "{kernels:?} {cell:?} {sizes:?}");
            }
        }
    }
}

/// Without biases there are no tensors of them, and they are not counted; PyTorch's names and shapes for the others.
#[test]
fn tensors_of_a_variant_have_pytorchs_names_and_shapes() {
    let (sizes, p) = SIZES[1];
    let names = |cell, variant| -> Vec<(String, Vec<usize>)> {
        let layout = std::sync::Arc::new(Case::random(cell, variant, sizes, 1).layout());
        let params = gatemill_cell::Params::zeroed(layout).expect("memory for the weights");
        assert_eq!(params.count(), params.specs().iter().map(|s| s.shape.iter().product::<usize>()).sum::<usize>());
        params.specs().iter().map(|s| (s.name.clone(), s.shape.clone())).collect()
    };
    let variant = Variant { projection: Some(p), peepholes: true, bias: false, ..Variant::default() };
    let expected = [
        ("rnn.weight_ih_l0", vec![4 * 37, 19]),
        ("rnn.weight_hh_l0", vec![4 * 37, p]),
        ("rnn.weight_hr_l0", vec![p, 37]),
        ("rnn.weight_peephole_l0", vec![3, 37]),
    ];
    assert_eq!(names(Cell::Lstm, variant), expected.map(|(name, shape)| (name.to_string(), shape)));
    let variant = Variant { reset_before: true, ..Variant::default() };
    let expected = [
        ("rnn.weight_ih_l0", vec![3 * 37, 19]),
        ("rnn.weight_hh_l0", vec![3 * 37, 37]),
        ("rnn.bias_ih_l0", vec![3 * 37]),
        ("rnn.bias_hh_l0", vec![3 * 37]),
    ];
    assert_eq!(names(Cell::Gru, variant), expected.map(|(name, shape)| (name.to_string(), shape)));
}
