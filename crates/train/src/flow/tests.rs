//! Gradients by distance against central differences of the oracle in f64; radii against the Jacobian written out.

use super::*;
use crate::config::{CellKind, Config};
use gatemill_corpus::Vocab;
use gatemill_oracle as oracle;
use oracle::difference::central_differences;

/// V.
const VOCAB: usize = 11;

fn machine() -> (Crew, Kernels) {
    (Crew::new(2).unwrap(), Kernels::best())
}

/// A model with weights that let gradients live for a while.
fn model(cell: CellKind, layers: usize, hidden: usize, machine: Machine<'_>) -> CharModel {
    let symbols: Vec<u32> = (0..VOCAB as u32).map(|i| 'a' as u32 + i).collect();
    let config = Config { cell, layers, hidden, seed: 7, ..Config::default() };
    let mut model = CharModel::new(&config, &Vocab::from_symbols(&symbols).unwrap(), machine.0, machine.1).unwrap();
    let specs = model.params.specs().to_vec();
    for spec in specs.iter().filter(|spec| spec.name.contains("weight")) {
        let larger: Vec<f32> = model.params.get(spec).iter().map(|x| x * 1.75).collect();
        model.params.set(&spec.name, &larger).unwrap();
    }
    model.params.derive(machine.0, machine.1);
    model
}

fn text(symbols: usize) -> Vec<u32> {
    (0..symbols as u64)
        .map(|i| (gatemill_kernels::uniform(3, gatemill_kernels::Purpose::Sample, 9, i) * VOCAB as f64) as u32)
        .collect()
}

/// The oracle with the same weights.
struct Truth {
    model: oracle::CharModel<f64>,
    cell: oracle::Cell,
    layers: usize,
    hidden: usize,
}

impl Truth {
    fn of(model: &CharModel) -> Self {
        let cell = match model.config.cell {
            CellKind::Rnn => oracle::Cell::Rnn,
            CellKind::Lstm => oracle::Cell::Lstm,
            CellKind::Gru => oracle::Cell::Gru,
        };
        let (layers, hidden) = (model.config.layers, model.config.hidden);
        let mut truth = Self {
            model: oracle::CharModel::random(
                &Self::shape(cell, layers, hidden, 1),
                1.0,
                &mut oracle::SplitMix64::new(1),
            ),
            cell,
            layers,
            hidden,
        };
        for (name, tensor) in truth.model.tensors_mut() {
            let spec = model.params.specs().iter().find(|spec| spec.name == name).unwrap();
            *tensor = oracle::widen(&model.params.get(spec));
        }
        truth
    }
    fn shape(cell: oracle::Cell, layers: usize, hidden: usize, steps: usize) -> oracle::StackShape {
        oracle::StackShape {
            cell,
            layers,
            inputs: VOCAB,
            hidden,
            steps,
            lanes: 1,
            activation: oracle::Activation::Standard,
        }
    }
    /// The state after `ids`, from `state`: h of all layers, then c of all.
    fn after(&self, ids: &[u32], state: &[f64]) -> Vec<f64> {
        let (shape, chunk) = self.chunk(ids, &[], state);
        let trace = self.model.forward(&shape, &chunk).trace;
        [trace.h_last.clone(), trace.c_last.clone()].concat()
    }
    fn zeros(&self) -> Vec<f64> {
        let shape = Self::shape(self.cell, self.layers, self.hidden, 1);
        vec![0.0; shape.state_len() + shape.c_len()]
    }
    fn chunk(&self, ids: &[u32], target: &[u32], state: &[f64]) -> (oracle::StackShape, oracle::CharChunk) {
        let shape = Self::shape(self.cell, self.layers, self.hidden, ids.len());
        let wide = |ids: &[u32]| ids.iter().map(|&id| id as usize).collect::<Vec<_>>();
        let mut targets = vec![VOCAB; ids.len() - target.len()];
        targets.extend(wide(target));
        let mut chunk = oracle::CharChunk::from_zero_state(&shape, wide(ids), targets);
        (chunk.h0, chunk.c0) = (state[..shape.state_len()].to_vec(), state[shape.state_len()..].to_vec());
        (shape, chunk)
    }
    /// The loss of `target` after `ids` from `state`.
    fn loss(&self, ids: &[u32], target: u32, state: &[f64]) -> f64 {
        let (shape, chunk) = self.chunk(ids, &[target], state);
        self.model.forward(&shape, &chunk).loss.mean_nats
    }
}

/// One layer's part of a state of the oracle.
fn part<'a>(truth: &Truth, state: &'a [f64], l: usize, c: bool) -> &'a [f64] {
    let first = if c { truth.layers * truth.hidden } else { 0 } + l * truth.hidden;
    &state[first..][..truth.hidden]
}

#[test]
fn gradients_by_distance_are_the_slopes_of_the_oracles_loss_within_a_millionth() {
    let (crew, kernels) = machine();
    let machine = (&crew, &kernels);
    let options = FlowOptions { positions: 3, distance: 13, warmup: 5 };
    let text = text(61);
    for (cell, layers, hidden) in
        [CellKind::Rnn, CellKind::Lstm, CellKind::Gru].into_iter().flat_map(|cell| [(cell, 1, 19), (cell, 2, 9)])
    {
        let model = model(cell, layers, hidden, machine);
        let truth = Truth::of(&model);
        let (mut worst, mut worst_of_norm, mut faintest) = (0.0_f64, 0.0_f64, f64::INFINITY);
        let norms = Norms::visit(&model, machine, &text, &options, |seen| {
            let lanes = seen.starts.len();
            for (lane, &start) in seen.starts.iter().enumerate().take(seen.count) {
                let end = start + options.distance;
                let state = truth.after(&text[start - options.warmup..end - seen.k], &truth.zeros());
                let loss = |state: &[f64]| truth.loss(&text[end - seen.k..end], text[end], state);
                let slopes = central_differences(loss, &state, 1e-5);
                for (l, grad) in seen.grads.iter().enumerate() {
                    for (c, found) in [(false, Some(&grad.h)), (true, grad.c.as_ref())] {
                        let Some(found) = found else { continue };
                        let found = found[lane * (found.len() / lanes)..].iter();
                        let found = found.map(|&x| f64::from(x) * seen.scales[lane]);
                        let want = part(&truth, &slopes, l, c);
                        let length = want.iter().fold(0.0, |sum, x| sum + x * x).sqrt();
                        let apart = found.zip(want).fold(0.0_f64, |sum, (a, b)| sum + (a - b) * (a - b)).sqrt();
                        worst = worst.max(apart);
                        worst_of_norm = worst_of_norm.max(apart / length);
                        faintest = faintest.min(length);
                    }
                }
            }
        });
        println!(
            "{cell:?} {layers}x{hidden}: {worst:.1e} apart, {worst_of_norm:.1e} of the norm, the smallest of which is {faintest:.1e}"
        );
        assert!(worst < 1e-6, "{cell:?} {layers}x{hidden}: {worst:e} apart");
        assert!(worst_of_norm < 2e-6, "{cell:?} {layers}x{hidden}: {worst_of_norm:e} of a norm apart");
        // The norms that are kept, and the losses.
        let norms = norms.unwrap();
        for (p, start) in [5, 26, 47].into_iter().enumerate() {
            let end = start + options.distance;
            for k in 1..=options.distance {
                let state = truth.after(&text[start - options.warmup..end - k], &truth.zeros());
                let slopes =
                    central_differences(|state| truth.loss(&text[end - k..end], text[end], state), &state, 1e-5);
                let length = slopes.iter().fold(0.0, |sum, x| sum + x * x).sqrt();
                assert!(
                    (norms.all(k)[p] - length).abs() < 1e-6,
                    "{cell:?} k = {k}: {} against {length}",
                    norms.all(k)[p]
                );
            }
            let state = truth.after(&text[start - options.warmup..start], &truth.zeros());
            assert!((norms.nats[p] - truth.loss(&text[start..end], text[end], &state)).abs() < 1e-5);
        }
    }
}

/// An RNN whose recurrent matrix is `w` times the unit matrix, and whose state is zero whatever it reads.
fn still(w: f32, machine: Machine<'_>) -> CharModel {
    let mut model = model(CellKind::Rnn, 1, 6, machine);
    for name in ["rnn.weight_ih_l0", "rnn.bias_ih_l0", "rnn.bias_hh_l0"] {
        let len = model.params.specs().iter().find(|spec| spec.name == name).unwrap().len();
        model.params.set(name, &vec![0.0; len]).unwrap();
    }
    let unit: Vec<f32> = (0..36).map(|i| if i % 7 == 0 { w } else { 0.0 }).collect();
    model.params.set("rnn.weight_hh_l0", &unit).unwrap();
    model.params.derive(machine.0, machine.1);
    model
}

#[test]
fn a_gradient_may_vanish_or_explode_beyond_the_range_of_f32() {
    let (crew, kernels) = machine();
    let machine = (&crew, &kernels);
    let options = FlowOptions { positions: 2, distance: 150, warmup: 3 };
    for (w, exact) in [(1.0 / 64.0, 1.0 / 64.0), (32.0, 32.0), (0.5, 0.5)] {
        let norms = Norms::of(&still(w, machine), machine, &text(400), &options).unwrap();
        for k in 1..150 {
            let (near, far) = (norms.all(k)[1], norms.all(k + 1)[1]);
            assert!(near > 0.0 && ((far / near) / exact - 1.0).abs() < 1e-6, "w {w}, k {k}: {near:e} then {far:e}");
        }
        let flow = norms.flow();
        assert!((flow.reach.factor / exact - 1.0).abs() < 1e-6);
        match flow.reach.faint {
            Some(k) => assert_eq!(k, if w < 0.1 { 3 } else { 8 }, "0.5^7 of the first is the first below 1 %"),
            None => assert!(w > 1.0),
        }
    }
}

#[test]
fn places_depend_neither_on_their_neighbours_nor_on_threads() {
    let (one, kernels) = (Crew::new(1).unwrap(), Kernels::best());
    let two = Crew::new(2).unwrap();
    let model = model(CellKind::Gru, 2, 9, (&one, &kernels));
    let before = model.weights_sha256();
    let text = text(300);
    let all = FlowOptions { positions: 5, distance: 20, warmup: 10 };
    let many = Norms::of(&model, (&one, &kernels), &text, &all).unwrap();
    assert_eq!(many, Norms::of(&model, (&two, &kernels), &text, &all).unwrap());
    // The first of five, alone.
    let alone = Norms::of(&model, (&one, &kernels), &text[..31], &FlowOptions { positions: 1, ..all }).unwrap();
    for k in 1..=20 {
        assert_eq!(alone.all(k)[0], many.all(k)[0]);
    }
    assert_eq!(model.weights_sha256(), before);
    assert!(matches!(Norms::of(&model, (&one, &kernels), &text[..2], &all), Err(TrainError::Symbols(_))));
}

#[test]
fn a_context_is_worth_the_difference_of_two_losses() {
    let (crew, kernels) = machine();
    let machine = (&crew, &kernels);
    let model = model(CellKind::Lstm, 2, 9, machine);
    let truth = Truth::of(&model);
    let text = text(120);
    let context = Context::of(&model, machine, &text, &FlowOptions { positions: 2, distance: 6, warmup: 4 }).unwrap();
    assert_eq!((context.positions, context.by_k.len()), (2, 6));
    let starts = [4, 113];
    for (k, at) in (1..).zip(&context.by_k) {
        let mean = |from: fn(usize) -> usize| {
            let loss = |&start: &usize| truth.loss(&text[from(start)..start + k], text[start + k], &truth.zeros());
            starts.iter().map(loss).sum::<f64>() / 2.0 / std::f64::consts::LN_2
        };
        let (alone, whole) = (mean(|start| start), mean(|start| start - 4));
        assert!((at.bits - alone).abs() < 1e-5 && (at.whole_bits - whole).abs() < 1e-5, "k = {k}: {at:?}");
        assert!((at.missing_bits - (alone - whole)).abs() < 1e-5);
    }
}

/// Gelfand's formula: `|J^n|^(1/n)`, n = 2^20 by squaring.
fn spectral_radius(matrix: &[f64], size: usize) -> f64 {
    let (mut power, mut log, mut n) = (matrix.to_vec(), 0.0, 1.0);
    for _ in 0..20 {
        let norm = power.iter().fold(0.0, |sum: f64, x| sum + x * x).sqrt();
        log += libm::log(norm) / n;
        power.iter_mut().for_each(|x| *x /= norm);
        let square = |i: usize, j: usize| (0..size).fold(0.0, |sum, k| sum + power[i * size + k] * power[k * size + j]);
        power = (0..size * size).map(|at| square(at / size, at % size)).collect();
        n *= 2.0;
    }
    libm::exp(log)
}

#[test]
fn a_steps_jacobian_is_the_oracles_and_its_radius_is_found() {
    let (crew, kernels) = machine();
    let machine = (&crew, &kernels);
    let text = text(40);
    for cell in [CellKind::Rnn, CellKind::Lstm, CellKind::Gru] {
        let model = model(cell, 2, 9, machine);
        let truth = Truth::of(&model);
        let starts = [7, 20, 33];
        let states = Walker::new(&model, machine, &text, (4, 3)).unwrap().states_before(&starts, 6);
        let mut step = OneStep::new(&model, machine, &text, 3).unwrap();
        step.network.set_state(&states);
        step.read(&starts, 0);
        for l in 0..2 {
            let found = radius::radii(&mut step, l, &states[l]);
            for (lane, &start) in starts.iter().enumerate() {
                let state = truth.after(&text[start - 6..start], &truth.zeros());
                let size = if cell == CellKind::Lstm { 18 } else { 9 };
                // Row by row: the slopes of each unit of the new state by this layer's old one.
                let own = |slopes: &[f64]| {
                    [false, true]
                        .iter()
                        .filter(|c| !**c || size > 9)
                        .flat_map(|&c| part(&truth, slopes, l, c).to_vec())
                        .collect::<Vec<_>>()
                };
                let mut want = Vec::new();
                for unit in 0..size {
                    let new = |state: &[f64]| own(&truth.after(&text[start..=start], state))[unit];
                    want.extend(own(&central_differences(new, &state, 1e-5)));
                }
                let place: Vec<LayerState> = states.iter().map(|s| radius::lane_of(s, lane, 3)).collect();
                let mut rows = OneStep::new(&model, machine, &text, 4).unwrap();
                let jacobian = radius::jacobian(&mut rows, l, &place, text[start]);
                let apart = jacobian.iter().zip(&want).fold(0.0_f64, |most, (a, b)| most.max((a - b).abs()));
                assert!(jacobian.len() == size * size && apart < 1e-6, "{cell:?} layer {l}: {apart:e}");
                let radius = spectral_radius(&want, size);
                println!("{cell:?} layer {l} lane {lane}: {} against {radius}", found[lane]);
                assert!(
                    (found[lane] / radius - 1.0).abs() < 0.05,
                    "{cell:?} layer {l}: {} against {radius}",
                    found[lane]
                );
                // |J|_F / sqrt(size) <= the largest singular value <= |J|_F, and it bounds the radius.
                let frobenius = want.iter().fold(0.0, |sum, x| sum + x * x).sqrt();
                let singular = radius::singular_value(&jacobian, size);
                assert!(
                    singular <= frobenius * 1.000_01
                        && singular >= frobenius / (size as f64).sqrt()
                        && singular >= radius * 0.999
                );
            }
        }
    }
}

#[test]
fn singular_values_of_known_matrices() {
    // A rotation by any angle times 0.5; a shear, whose value is the golden ratio.
    let (s, c) = (0.6, 0.8);
    assert!((radius::singular_value(&[0.5 * c, -0.5 * s, 0.5 * s, 0.5 * c], 2) - 0.5).abs() < 1e-12);
    assert!((radius::singular_value(&[1.0, 1.0, 0.0, 1.0], 2) - 1.618_033_988_749_895).abs() < 1e-9);
    assert_eq!(radius::singular_value(&[0.0; 9], 3), 0.0);
}

#[test]
fn radii_of_a_text() {
    let (crew, kernels) = machine();
    let machine = (&crew, &kernels);
    // J is w times the unit matrix everywhere.
    let radii = Radii::of(&still(0.75, machine), machine, &text(200), (10, 8)).unwrap();
    let layer = &radii.layers[0];
    assert_eq!((radii.layers.len(), layer.along.len()), (1, 10));
    assert!(
        layer
            .along
            .iter()
            .chain([&layer.radius.mean, &layer.radius.q1, &layer.singular.unwrap().mean])
            .all(|r| (r - 0.75).abs() < 1e-6)
    );
    assert!(radii.start >= 8 && radii.start + 10 < 200);
}

#[test]
fn units_that_are_stuck_saturated_or_dead_are_counted() {
    let (crew, kernels) = machine();
    let machine = (&crew, &kernels);
    let text = text(500);
    // Biases far beyond all else: of 19 units 3 forget nothing, 4 forget all; of the others nothing is known.
    let mut lstm = model(CellKind::Lstm, 1, 19, machine);
    let mut bias = vec![0.0; 4 * 19];
    bias[19..22].fill(60.0);
    bias[22..26].fill(-60.0);
    // Unit 18 shows nothing: its output gate is closed.
    bias[4 * 19 - 1] = -60.0;
    lstm.params.set("rnn.bias_ih_l0", &bias).unwrap();
    lstm.params.derive(machine.0, machine.1);
    let layer = &units(&lstm, machine, &text).unwrap()[0];
    let [i, f, o] = [0, 1, 2].map(|n| &layer.gates[n]);
    assert_eq!(layer.gates.iter().map(|gate| gate.gate.as_str()).collect::<Vec<_>>(), ["i", "f", "o"]);
    assert_eq!((f.stuck_open, f.stuck_closed, o.stuck_closed, i.stuck_open), (3, 4, 1, 0));
    assert!(f.open >= 3.0 / 19.0 && f.closed >= 4.0 / 19.0 && f.open + f.closed <= 1.0);
    assert_eq!((layer.units, layer.dead_units), (19, 1));
    // An RNN has no gate; units at tanh's ends stand still.
    let mut rnn = model(CellKind::Rnn, 2, 9, machine);
    let mut bias = vec![0.0; 9];
    bias[..2].fill(40.0);
    bias[2] = -40.0;
    rnn.params.set("rnn.bias_ih_l1", &bias).unwrap();
    rnn.params.derive(machine.0, machine.1);
    let layers = units(&rnn, machine, &text).unwrap();
    assert!(layers.len() == 2 && layers[1].gates.is_empty() && layers[0].dead_units == 0);
    assert_eq!((layers[1].saturated_units, layers[1].dead_units), (3, 3));
    assert!(layers[1].saturated >= 1.0 / 3.0);
    assert!(matches!(units(&rnn, machine, &[]), Err(TrainError::Symbols(_))));
}

#[test]
fn nothing_flows_over_the_begin_of_a_document() {
    let (crew, kernels) = machine();
    let machine = (&crew, &kernels);
    let options = FlowOptions { positions: 13, distance: 9, warmup: 6 };
    for cell in [CellKind::Rnn, CellKind::Lstm, CellKind::Gru] {
        let mut model = model(cell, 2, 5, machine);
        // Every eighth symbol is an `a`, so most windows have a border, some two.
        let text: Vec<u32> = text(150).iter().zip(0..).map(|(&id, i)| if i % 8 == 3 { 0 } else { id.max(1) }).collect();
        model.config.document_separator = Some("a".to_owned());
        let norms = Norms::of(&model, machine, &text, &options).unwrap();
        let windows = windows(&model, &text, &options).unwrap();
        let (truth, mut ended) = (Truth::of(&model), 0);
        for (p, &start) in windows.starts.iter().enumerate() {
            let t = start + windows.steps - 1;
            // The document of symbol t: behind the last `a` before it.
            let begin = text[..t].iter().rposition(|&id| id == 0).map_or(0, |at| at + 1);
            let want = truth.loss(&text[begin..=t], text[t + 1], &truth.zeros());
            assert!(begin + options.warmup + windows.steps <= t || (norms.nats[p] - want).abs() < 1e-5, "{cell:?} {p}");
            for k in 1..=windows.steps {
                // s_{t-k} is read by symbol t-k+1.
                let reached = t - k + 1 > begin;
                ended += usize::from(!reached);
                for l in 0..2 {
                    let norm = norms.h[((k - 1) * 2 + l) * norms.positions + p];
                    assert_eq!(norm > 0.0, reached, "{cell:?}: place {p}, k {k}, layer {l}: {norm}");
                }
            }
        }
        assert!(ended > 20, "{ended}");
        let radii = Radii::of(&model, machine, &text, (20, 6)).unwrap();
        let along = &radii.layers[1].along;
        for (i, radius) in along.iter().enumerate() {
            assert_eq!(*radius > 0.0, text[radii.start + i - 1] != 0, "{cell:?} {i} {radius}");
        }
    }
}
