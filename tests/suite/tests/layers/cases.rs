//! Random layers: every form of a cell, every direction, lengths in no order, sizes with tails.

use gatemill_oracle::complete::case::LayersCase;
use gatemill_oracle::complete::layers::{Direction, LayersShape};
use gatemill_oracle::complete::variant::{Function, Functions, Variant};
use gatemill_oracle::{Cell, SplitMix64};

/// Sizes of a case that differ pairwise; T is the longest lane, B the number of lanes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    inputs: usize,
    hidden: usize,
    layers: usize,
    /// Columns of a projection, where there is one.
    projection: usize,
    lengths: &'static [usize],
}

/// Units below, at and above a vector, a panel and several; lanes below and above a tile; equal lengths in one.
pub(crate) const SIZES: [Sizes; 5] = [
    Sizes { inputs: 6, hidden: 5, layers: 2, projection: 3, lengths: &[4, 7, 1, 2] },
    Sizes { inputs: 33, hidden: 16, layers: 3, projection: 18, lengths: &[2, 9, 9, 5, 1, 4, 8, 6] },
    Sizes { inputs: 3, hidden: 37, layers: 2, projection: 20, lengths: &[1, 6, 6, 0, 4] },
    Sizes {
        inputs: 70,
        hidden: 65,
        layers: 1,
        projection: 17,
        lengths: &[3, 2, 1, 3, 3, 2, 3, 1, 1, 2, 3, 3, 2, 1, 3],
    },
    Sizes { inputs: 12, hidden: 18, layers: 4, projection: 9, lengths: &[5, 5, 5] },
];

/// The forms of a cell.
pub(crate) fn variants(cell: Cell, p: usize) -> Vec<Variant> {
    let plain = Variant::default();
    let functions = |gates, cell, hidden| Variant { activations: Functions { gates, cell, hidden }, ..plain };
    let soft = functions(Function::Sigmoid, Function::Softsign, Function::Tanh);
    let mut all = vec![plain, Variant { bias: false, ..plain }, Variant { clip: Some(0.5), ..plain }];
    match cell {
        Cell::Rnn => {
            all.push(functions(Function::Sigmoid, Function::Relu, Function::Tanh));
            all.push(Variant { bias: false, clip: Some(0.75), ..soft });
        }
        Cell::Gru => {
            all.push(Variant { reset_before: true, ..plain });
            all.push(Variant { reset_before: true, bias: false, clip: Some(0.5), ..plain });
            let hard = Function::HardSigmoid { alpha: 0.25, beta: 0.5 };
            all.push(Variant { reset_before: true, ..functions(hard, Function::Tanh, Function::Tanh) });
        }
        Cell::Lstm => all.extend([
            Variant { peepholes: true, ..plain },
            Variant { coupled: true, ..plain },
            Variant { cell_clip: Some(0.5), ..plain },
            Variant { projection: Some(p), ..plain },
            Variant { projection: Some(p), peepholes: true, bias: false, ..plain },
            Variant { peepholes: true, coupled: true, cell_clip: Some(0.5), clip: Some(0.75), ..soft },
        ]),
    }
    all
}

/// Weights at which signals neither die nor grow: PyTorch's start, somewhat wider.
pub(crate) fn case(
    cell: Cell,
    sizes: Sizes,
    number: usize,
    direction: Direction,
    residual: bool,
    seed: u64,
) -> LayersCase {
    let all = variants(cell, sizes.projection);
    let Sizes { inputs, hidden, layers, lengths, .. } = sizes;
    let steps = lengths.iter().copied().max().unwrap_or(0);
    let variant = all[number % all.len()];
    let shape =
        LayersShape { cell, variant, inputs, hidden, layers, direction, residual, steps, lengths: lengths.to_vec() };
    let mut different = vec![inputs, hidden, layers, steps, lengths.len()];
    different.extend(variant.projection);
    different.sort_unstable();
    assert!(different.windows(2).all(|pair| pair[0] != pair[1]), "{shape:?}");
    LayersCase::random(shape, (1.3 / (hidden as f64).sqrt()).min(0.6), seed)
}

/// One case of each form of a cell in each direction, sizes in turn.
pub(crate) fn every_form(cell: Cell, seed: u64) -> Vec<LayersCase> {
    let mut all = Vec::new();
    for (d, direction) in Direction::ALL.into_iter().enumerate() {
        for number in 0..variants(cell, 1).len() {
            let k = all.len();
            let sizes = SIZES[(k + d) % SIZES.len()];
            all.push(case(cell, sizes, number, direction, (k / 2 + d) % 2 == 0, seed + k as u64));
        }
    }
    all
}

/// Any form in any size: variants at once, functions in any place, lanes in any order. Gates' functions are bounded, so
/// that an f32 and an f64 of it can be compared after some steps.
pub(crate) fn any(seed: u64) -> LayersCase {
    let random = &mut SplitMix64::new(seed);
    let cell = Cell::ALL[random.below(3)];
    let gates = [Function::Sigmoid, Function::HardSigmoid { alpha: 0.25, beta: 0.5 }][random.below(2)];
    let functions = [
        Function::Tanh,
        Function::Tanh,
        Function::Sigmoid,
        Function::Relu,
        Function::Affine { alpha: 0.75, beta: -0.25 },
        Function::LeakyRelu { alpha: 0.125 },
        Function::ScaledTanh { alpha: 1.25, beta: 0.5 },
        Function::HardSigmoid { alpha: 0.25, beta: 0.5 },
        Function::Elu { alpha: 0.75 },
        Function::Softsign,
        Function::Softplus,
    ];
    let lstm = cell == Cell::Lstm;
    let (of_cell, of_c) = (functions[random.below(11)], functions[random.below(11)]);
    let hidden = if lstm { of_c } else { Function::Tanh };
    let gates = if cell == Cell::Rnn { Function::Sigmoid } else { gates };
    let variant = Variant {
        bias: !random.one_in(3),
        reset_before: cell == Cell::Gru && random.one_in(2),
        peepholes: lstm && random.one_in(2),
        coupled: lstm && random.one_in(3),
        clip: random.one_in(3).then_some(0.75),
        cell_clip: (lstm && random.one_in(3)).then_some(0.75),
        projection: (lstm && random.one_in(2)).then(|| 1 + random.below(70)),
        activations: Functions { gates, cell: of_cell, hidden },
    };
    let steps = 1 + random.below(9);
    let lengths = (0..1 + random.below(40)).map(|b| if b == 0 { steps } else { random.below(steps + 1) }).collect();
    let hidden = 1 + random.below(90);
    let shape = LayersShape {
        cell,
        variant,
        inputs: 1 + random.below(80),
        hidden,
        layers: 1 + random.below(3),
        direction: Direction::ALL[random.below(4)],
        residual: random.one_in(2),
        steps,
        lengths,
    };
    LayersCase::random(shape, (1.0 / (hidden as f64).sqrt()).min(0.6), seed ^ 0x5eed)
}
