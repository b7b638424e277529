//! Loss and every gradient of every kind, in f32 and packed, against the oracle in f64, example by example.
//!
//! The oracle has no backward pass: its derivatives are exact by dual numbers. The error of an element is
//! `|found - expected| / max(|expected|, root mean square of its tensor)`, its bound the published form over two stacks.

use crate::data::{crew, tiers};
use gatemill_kernels::Kernels;
use gatemill_oracle::compare::{f32_backward_bound, worst_by_rms};
use gatemill_oracle::task::{Example as Plain, Form, Kind, Weights};
use gatemill_oracle::{Dual, Scalar, SplitMix64, lift, pool, widen};
use gatemill_train::task::{
    Alphabet, Attention, Bridge, Example, Input, Pool, Symbols, TaskConfig, TaskKind, TaskTrainer,
};
use gatemill_train::{CellKind, Config};

const CELLS: [CellKind; 3] = [CellKind::Rnn, CellKind::Lstm, CellKind::Gru];

/// Sizes that differ pairwise: symbols, classes, E, H, L, examples, and the longest sequences.
const INPUTS: usize = 6;
const OUTPUTS: usize = 3;
const LAYERS: usize = 2;

struct Case {
    config: TaskConfig,
    form: Form,
    examples: Vec<Plain>,
}

fn case(config: TaskConfig, seed: u64) -> Case {
    let Config { cell, hidden, layers, embed, .. } = config.base;
    let oracle_cell = match cell {
        CellKind::Rnn => gatemill_oracle::Cell::Rnn,
        CellKind::Lstm => gatemill_oracle::Cell::Lstm,
        CellKind::Gru => gatemill_oracle::Cell::Gru,
    };
    let directions = if config.bidirectional { 2 } else { 1 };
    let kind = match config.kind {
        TaskKind::Classify => Kind::Classify(match config.pool {
            Pool::Last => pool::Pool::Last { directions },
            Pool::Mean => pool::Pool::Mean,
            Pool::Max => pool::Pool::Max,
        }),
        TaskKind::Tag => Kind::Tag,
        TaskKind::Translate => Kind::Translate {
            attention: match config.attention {
                Attention::None => None,
                attention => Some(attention == Attention::General),
            },
            linear: config.bridge == Bridge::Linear,
        },
        TaskKind::Describe => Kind::Describe,
        TaskKind::Map => Kind::Map,
    };
    let form = Form { kind, cell: oracle_cell, layers, hidden, directions, embed, inputs: INPUTS, outputs: OUTPUTS };
    let random = &mut SplitMix64::new(seed);
    // Lengths in no order, two alike; symbols and targets never seen among them.
    let mut example = |(n, m): (usize, usize)| {
        let symbols = random.ids(n, INPUTS + 1);
        let output = match config.kind {
            TaskKind::Tag => random.ids(n, OUTPUTS + 1),
            TaskKind::Classify | TaskKind::Map => random.ids(1, OUTPUTS),
            _ => random.ids(m, OUTPUTS + 1),
        };
        let numbers = match config.kind {
            TaskKind::Map => random.symmetric(INPUTS, 1.0),
            TaskKind::Describe if n % 2 == 0 => random.symmetric(INPUTS, 1.0),
            _ => Vec::new(),
        };
        Plain { symbols, numbers, output }
    };
    let examples = [(4, 2), (1, 7), (8, 0), (3, 5), (4, 1)].map(&mut example).to_vec();
    Case { config, form, examples }
}

fn example(plain: &Plain) -> Example {
    let numbers = |ids: &[usize]| ids.iter().map(|&s| s as u32).collect();
    let input = match plain.numbers.is_empty() {
        true => Input::Symbols(numbers(&plain.symbols)),
        false => Input::Dense(plain.numbers.iter().map(|&x| x as f32).collect()),
    };
    Example { input, output: numbers(&plain.output) }
}

/// Some elements of a tensor: of a small one all, of a large one this many, at steps that meet every row and column.
const ELEMENTS: usize = 24;

fn elements(len: usize, hidden: usize) -> Vec<usize> {
    match hidden {
        5 => (0..len).collect(),
        _ => (0..len.min(ELEMENTS)).map(|i| (i * 7919 + 3) % len).collect(),
    }
}

/// The derivative of the loss by elements of tensor `name`.
fn exact(case: &Case, weights: &Weights<f64>, name: &str) -> Vec<f64> {
    let mut lifted: Weights<Dual> = weights.iter().map(|(name, w)| (name.clone(), lift(w))).collect();
    let w = &weights[name];
    let mut slope = |e: usize| {
        lifted.get_mut(name).unwrap()[e] = Dual::seed(w[e]);
        let slope = case.form.loss(&lifted, &case.examples).du;
        lifted.get_mut(name).unwrap()[e] = Dual::constant(w[e]);
        slope
    };
    elements(w.len(), case.form.hidden).into_iter().map(&mut slope).collect()
}

fn agrees(case: &Case, tiers: &[Kernels], threads: usize) {
    let mut want = None;
    for &kernels in tiers {
        want = Some(agrees_on(case, kernels, threads, want));
    }
}

/// The loss and gradients of the oracle, which are the same for every tier.
type Want = (f64, Vec<(String, Vec<f64>)>);

fn agrees_on(case: &Case, kernels: Kernels, threads: usize, want: Option<Want>) -> Want {
    let alphabet = Alphabet { input: Symbols::Numbers(INPUTS), output: Symbols::Numbers(OUTPUTS) };
    let mut trainer = TaskTrainer::new(&case.config, &alphabet, Vec::new(), crew(threads), kernels).expect("a trainer");
    let mut weights = Weights::new();
    for (name, _) in trainer.model().tensor_shapes() {
        let tensor = widen(&trainer.model().tensor(&name).expect("one of its tensors"));
        weights.insert(name, tensor);
    }
    let examples: Vec<Example> = case.examples.iter().map(example).collect();
    let step = trainer.learn(&examples).expect("a step");
    let (loss, grads) = want.unwrap_or_else(|| {
        let grads = weights.keys().map(|name| (name.clone(), exact(case, &weights, name))).collect();
        (case.form.loss(&weights, &case.examples), grads)
    });
    let place = format!("{:?} on {}", case.config, kernels.name());
    assert!((step.nats / loss - 1.0).abs() < 1e-5, "{place}: {} nats, not {loss}", step.nats);
    // Both stacks and what stands between them.
    let rounds = if kernels.name() == "portable" { 16.0 } else { 8.0 };
    let bound = rounds * f32_backward_bound(case.form.cell, 8, case.form.hidden * 2, case.form.hidden, 5);
    let (mut squares, mut whole) = (0.0, true);
    for (name, want) in &grads {
        let all = widen(&trainer.gradient(name).expect("one of its tensors"));
        let at = elements(all.len(), case.form.hidden);
        let found: Vec<f64> = at.iter().map(|&e| all[e]).collect();
        let worst = worst_by_rms(&found, want);
        assert!(worst.error < bound, "{place}: {name}: {worst:?}, bound {bound:.1e}");
        squares += want.iter().map(|d| d * d).sum::<f64>();
        whole &= at.len() == all.len();
        // One step begins from zeros: nothing goes through W_hh.
        let live = case.config.kind != TaskKind::Map || !name.contains("weight_hh");
        assert!(live == want.iter().any(|&d| d != 0.0), "{place}: {name} has a gradient: {}", !live);
    }
    assert!(!whole || (step.grad_norm / squares.sqrt() - 1.0).abs() < 1e-4, "{place}: {}", step.grad_norm);
    (loss, grads)
}

fn every_tier(configs: impl IntoIterator<Item = TaskConfig>) {
    for (k, config) in configs.into_iter().enumerate() {
        for (i, cell) in CELLS.into_iter().enumerate() {
            let hidden = if (k + i) % 3 == 0 { 17 } else { 5 };
            let base = Config { cell, hidden, layers: LAYERS, seed: k as u64, ..config.base.clone() };
            let case = case(TaskConfig { base, ..config.clone() }, 70 + k as u64);
            agrees(&case, &tiers(), 1 + k % 2);
        }
    }
}

fn base(embed: usize) -> Config {
    Config { embed, ..Config::default() }
}

#[test]
fn classify_has_its_gradients() {
    let pools = [Pool::Last, Pool::Mean, Pool::Max];
    every_tier((0..6).map(|k| TaskConfig {
        pool: pools[k % 3],
        bidirectional: k >= 3,
        base: base(if k % 2 == 0 { 0 } else { 7 }),
        ..TaskConfig::new(TaskKind::Classify)
    }));
}

#[test]
fn tag_has_its_gradients() {
    every_tier((0..4).map(|k| TaskConfig {
        bidirectional: k % 2 == 1,
        base: base(if k < 2 { 0 } else { 7 }),
        ..TaskConfig::new(TaskKind::Tag)
    }));
}

#[test]
fn translate_has_its_gradients() {
    let forms = [
        (false, Attention::None, Bridge::Copy, 0),
        (true, Attention::None, Bridge::Copy, 7),
        (false, Attention::Dot, Bridge::Copy, 0),
        (true, Attention::General, Bridge::Copy, 0),
        (false, Attention::General, Bridge::Linear, 7),
        (true, Attention::None, Bridge::Linear, 0),
    ];
    every_tier(forms.map(|(bidirectional, attention, bridge, embed)| TaskConfig {
        bidirectional,
        attention,
        bridge,
        base: base(embed),
        ..TaskConfig::new(TaskKind::Translate)
    }));
}

#[test]
fn describe_and_map_have_their_gradients() {
    let kinds = [(TaskKind::Describe, 0), (TaskKind::Describe, 7), (TaskKind::Map, 0)];
    every_tier(kinds.map(|(kind, embed)| TaskConfig { base: base(embed), ..TaskConfig::new(kind) }));
}
