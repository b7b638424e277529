//! Stacks against the oracle, element by element: directions, lengths, residuals, variants of the cell, dropout; and the
//! same bits however the work is shared out.

use gatemill_cell::{Batch, Cell, Chunk, Direction, LayerState, Network, NetworkOptions, Params, StackShape};
use gatemill_crew::{Crew, Split};
use gatemill_kernels::{Activation, Activations, Dropout, Kernels, Layout, Variant};
use gatemill_oracle::compare::{f32_backward_bound, f32_forward_bound, worst_by_rms};
use gatemill_oracle::complete::case::LayersCase;
use gatemill_oracle::complete::layers::{self, LayersShape, layers_backward, layers_forward, tensors};
use gatemill_oracle::complete::variant::{self, Function, Functions};
use gatemill_oracle::{narrow, widen};
use std::sync::Arc;

const CELLS: [Cell; 3] = [Cell::Rnn, Cell::Lstm, Cell::Gru];
const DIRECTIONS: [Direction; 4] = [Direction::Forward, Direction::Reverse, Direction::Concat, Direction::Sum];

/// A stack, the lengths of its lanes, and whether it drops.
#[derive(Debug, Clone)]
struct Job {
    shape: StackShape,
    lengths: Vec<usize>,
    dropout: Option<Dropout>,
    seed: u64,
}

fn oracle_cell(cell: Cell) -> gatemill_oracle::Cell {
    match cell {
        Cell::Rnn => gatemill_oracle::Cell::Rnn,
        Cell::Lstm => gatemill_oracle::Cell::Lstm,
        Cell::Gru => gatemill_oracle::Cell::Gru,
    }
}

fn function(activation: Activation) -> Function {
    match activation {
        Activation::Sigmoid => Function::Sigmoid,
        Activation::Tanh => Function::Tanh,
        Activation::Relu => Function::Relu,
        Activation::Softsign => Function::Softsign,
        other => panic!("{other:?} is in no job here"),
    }
}

impl Job {
    fn case(&self) -> LayersCase {
        let (s, v) = (self.shape, self.shape.variant);
        let activations = Functions {
            gates: function(v.activations.gates),
            cell: function(v.activations.cell),
            hidden: function(v.activations.hidden),
        };
        let variant = variant::Variant {
            bias: v.bias,
            reset_before: v.reset_before,
            peepholes: v.peepholes,
            coupled: v.coupled,
            clip: v.clip.map(f64::from),
            cell_clip: v.cell_clip.map(f64::from),
            projection: v.projection,
            activations,
        };
        let direction = match s.direction {
            Direction::Forward => layers::Direction::Forward,
            Direction::Reverse => layers::Direction::Reverse,
            Direction::Concat => layers::Direction::Concat,
            Direction::Sum => layers::Direction::Sum,
        };
        let shape = LayersShape {
            cell: oracle_cell(s.cell),
            variant,
            inputs: s.inputs,
            hidden: s.hidden,
            layers: s.layers,
            direction,
            residual: s.residual,
            steps: self.lengths[0],
            lengths: self.lengths.clone(),
        };
        let mut case = LayersCase::random(shape, 1.0 / (s.hidden as f64).sqrt(), self.seed);
        case.input.dropout = self.dropout.map(|dropout| self.multipliers(&case.shape, dropout));
        case
    }
    /// `[L-1, T, B, width]`.
    fn multipliers(&self, shape: &LayersShape, dropout: Dropout) -> Vec<f64> {
        let (each, dirs) = (self.shape.variant.projection.unwrap_or(self.shape.hidden), self.shape.direction.count());
        let mut all = Vec::new();
        for level in 0..shape.layers - 1 {
            for t in 0..shape.steps {
                for lane in 0..shape.lanes() {
                    for part in 0..shape.width() / each {
                        let row = (0..each.div_ceil(16)).flat_map(|v| dropout.mask(level * dirs + part, t, lane, v));
                        all.extend(row.take(each).map(f64::from));
                    }
                }
            }
        }
        all
    }
    fn batch_sizes(&self) -> Vec<usize> {
        (0..self.lengths[0]).map(|t| self.lengths.iter().filter(|&&length| length > t).count()).collect()
    }
    /// (t, lane) of every token, in order.
    fn tokens(&self) -> Vec<(usize, usize)> {
        self.batch_sizes().iter().enumerate().flat_map(|(t, &n)| (0..n).map(move |lane| (t, lane))).collect()
    }
    /// Rows of a padded `[T, B, width]` that are tokens.
    fn packed<T: Copy>(&self, padded: &[T], width: usize) -> Vec<T> {
        let row = |(t, lane)| &padded[(t * self.lengths.len() + lane) * width..][..width];
        self.tokens().into_iter().flat_map(|at| row(at).to_vec()).collect()
    }
}

type Named<T> = Vec<(String, Vec<T>)>;

fn reference(job: &Job) -> Named<f64> {
    let case = job.case();
    let shape = &case.shape;
    let trace = layers_forward(shape, &case.params, &case.input);
    let grads = layers_backward(shape, &case.params, &case.input, &trace, &case.output_grad);
    let mut all = vec![
        ("output".to_string(), job.packed(&trace.outputs, shape.width())),
        ("h_n".into(), trace.h_last.clone()),
        ("c_n".into(), trace.c_last.clone()),
        ("d_x".into(), job.packed(&grads.d_x, shape.inputs)),
        ("d_h0".into(), grads.d_h0.clone()),
        ("d_c0".into(), grads.d_c0.clone()),
    ];
    all.extend(tensors(shape, &grads.params).into_iter().map(|(name, t)| (format!("rnn.{name}"), t.clone())));
    all
}

fn params(job: &Job, crew: &Crew, kernels: &Kernels) -> Params {
    let case = job.case();
    let mut params = Params::zeroed(Arc::new(Layout::stack(&job.shape))).unwrap();
    let given = tensors(&case.shape, &case.params);
    let names = |all: Vec<&str>| {
        let mut all: Vec<String> = all.into_iter().map(String::from).collect();
        all.sort_unstable();
        all
    };
    let ours: Vec<String> = params.specs().iter().map(|spec| spec.name.replace("rnn.", "")).collect();
    assert_eq!(
        names(ours.iter().map(String::as_str).collect()),
        names(given.iter().map(|(n, _)| n.as_str()).collect())
    );
    for (name, tensor) in given {
        params.set(&format!("rnn.{name}"), &narrow(tensor)).unwrap();
    }
    params.derive(crew, kernels);
    params
}

fn network(job: &Job, params: &Params, split: Option<Split>) -> Network {
    let options = NetworkOptions {
        backward: true,
        dropout: job.dropout.is_some(),
        input_grad: true,
        split,
        ..NetworkOptions::default()
    };
    Network::stack(params.layout(), &job.shape, options).unwrap()
}

/// `[L*D, B, ...]` cut into layers.
fn states(case: &LayersCase, h: &[f64], c: &[f64]) -> Vec<LayerState> {
    let layers = case.params.len();
    let of = |all: &[f64], l: usize| narrow(&all[l * all.len() / layers..(l + 1) * all.len() / layers]);
    let c = |l| (!c.is_empty()).then(|| of(c, l));
    (0..layers).map(|l| LayerState { h: of(h, l), c: c(l) }).collect()
}

fn flat(states: &[LayerState]) -> (Vec<f32>, Vec<f32>) {
    let h = states.iter().flat_map(|s| s.h.clone()).collect();
    (h, states.iter().flat_map(|s| s.c.clone().unwrap_or_default()).collect())
}

/// Writes the job's rows and states into a network that holds its batch.
fn fill(network: &mut Network, job: &Job, case: &LayersCase) {
    let (inputs, width) = (case.shape.inputs, case.shape.width());
    for (t, lane) in job.tokens() {
        let n = t * job.lengths.len() + lane;
        network.input_mut(t, lane).copy_from_slice(&narrow(&case.input.x[n * inputs..][..inputs]));
        network.set_output_grad(t, lane, &narrow(&case.output_grad.d_y[n * width..][..width]));
    }
    network.set_state(&states(case, &case.input.h0, &case.input.c0));
    network.set_final_grad(&states(case, &case.output_grad.d_h_last, &case.output_grad.d_c_last));
}

fn outputs(network: &Network, job: &Job, width: usize) -> Vec<f32> {
    let mut row = vec![0.0; width];
    let of = |(t, lane)| {
        network.copy_output(t, lane, &mut row);
        row.clone()
    };
    job.tokens().into_iter().flat_map(of).collect()
}

/// What [`reference`] has, from a network.
fn run(job: &Job, network: &mut Network, params: &Params, crew: &Crew, kernels: &Kernels) -> Named<f32> {
    let case = job.case();
    network.set_batch(Batch::Packed { batch_sizes: &job.batch_sizes() }).unwrap();
    fill(network, job, &case);
    let chunk = Chunk { steps: network.steps(), dropout: job.dropout, ..Chunk::default() };
    network.forward(crew, kernels, params, &chunk);
    let output = outputs(network, job, case.shape.width());
    let (h_n, c_n) = flat(&network.final_state(chunk.steps));
    network.backward(crew, kernels, params, &chunk);
    let (d_h0, d_c0) = flat(&network.initial_grad());
    let d_x = job.tokens().into_iter().flat_map(|(t, lane)| network.input_grad(t, lane).to_vec()).collect();
    let mut grads = network.weight_grads(crew, 1).unwrap();
    grads.compute(crew, kernels, params, network, &[]);
    let mut all = vec![
        ("output".to_string(), output),
        ("h_n".into(), h_n),
        ("c_n".into(), c_n),
        ("d_x".into(), d_x),
        ("d_h0".into(), d_h0),
        ("d_c0".into(), d_c0),
    ];
    all.extend(params.specs().iter().map(|spec| (spec.name.clone(), params.export(spec, grads.sum()))));
    all
}

/// Gradients of few elements may cancel to nearly nothing: as much as this of the largest of all is always allowed.
fn agree(job: &Job, found: &Named<f32>, want: &Named<f64>, place: &str) {
    let s = &job.shape;
    let inputs = s.inputs.max(2 * s.hidden);
    let levels = s.layers as f64 * if job.dropout.is_some() { 2.0 } else { 1.0 };
    assert_eq!(found.len(), want.len());
    for (name, want) in want {
        let (_, found) = found.iter().find(|(other, _)| other == name).unwrap_or_else(|| panic!("no {name}"));
        let forward = ["output", "h_n", "c_n"].contains(&name.as_str());
        let bound = match forward {
            true => f32_forward_bound(oracle_cell(s.cell), job.lengths[0], inputs),
            false => f32_backward_bound(oracle_cell(s.cell), job.lengths[0], inputs, s.hidden, job.lengths.len()),
        };
        let worst = worst_by_rms(&widen(found), want);
        let bound = 1.5 * bound * levels;
        assert!(worst.error <= bound, "{name} {worst:?}: more than {bound:.1e}, {place}, {job:?}");
        assert!(want.is_empty() || want.iter().any(|&x| x != 0.0), "{name} is nothing but zeros");
    }
}

fn bits(all: &Named<f32>) -> Vec<(&str, Vec<u32>)> {
    all.iter().map(|(name, t)| (name.as_str(), t.iter().map(|x| x.to_bits()).collect())).collect()
}

/// Against the oracle on every tier, and the same bits on both FMA tiers, by 1, 2 and 3 workers, in both splits.
fn check(job: &Job) {
    let want = reference(job);
    let mut first: Option<Named<f32>> = None;
    for kernels in Kernels::available() {
        let fma = kernels.name() != "portable";
        for threads in if fma { 1..=3 } else { 2..=2 } {
            let crew = Crew::new(threads).unwrap();
            let params = params(job, &crew, &kernels);
            for split in [Split::Lanes, Split::Units] {
                let found = run(job, &mut network(job, &params, Some(split)), &params, &crew, &kernels);
                let place = format!("{kernels:?}, {threads} threads, {split:?}");
                match &first {
                    Some(first) if fma => assert!(bits(first) == bits(&found), "{place}: other bits, {job:?}"),
                    _ => agree(job, &found, &want, &place),
                }
                first = first.or(fma.then_some(found));
            }
        }
    }
}

fn plain(cell: Cell, direction: Direction, seed: u64) -> Job {
    // I, H, L, T, B and the lengths differ pairwise where they can.
    let shape = StackShape { direction, ..StackShape::new(cell, 5, [37, 17, 70, 9][seed as usize % 4], 3) };
    Job { shape, lengths: vec![13, 12, 7, 7, 4, 2, 1, 1], dropout: None, seed }
}

#[test]
fn every_direction_of_every_cell_has_the_oracles_outputs_and_gradients() {
    for (i, cell) in CELLS.into_iter().enumerate() {
        for (j, direction) in DIRECTIONS.into_iter().enumerate() {
            let mut job = plain(cell, direction, (i + j) as u64);
            check(&job);
            job.shape.layers = 1;
            job.lengths = [vec![3], vec![6, 6, 6], vec![1], vec![40, 3]][(i + j) % 4].clone();
            check(&job);
        }
    }
}

#[test]
fn residual_stacks_and_dropout_between_levels_have_the_oracles_too() {
    for (i, cell) in CELLS.into_iter().enumerate() {
        for (j, direction) in DIRECTIONS.into_iter().enumerate() {
            for (residual, drops) in [(true, false), (false, true), (true, true)] {
                let mut job = plain(cell, direction, 10 + (i + j) as u64);
                job.shape.residual = residual;
                job.shape.layers = 2 + (i + j) % 2;
                job.dropout = drops.then(|| Dropout::new(0.25, 77, 1000, 3));
                check(&job);
            }
        }
    }
}

#[test]
fn variants_of_the_cell_in_every_direction() {
    let plain_variant = Variant::default();
    let softsign = Activations { cell: Activation::Softsign, ..Activations::default() };
    let variants = [
        (Cell::Rnn, Variant { bias: false, ..Variant::relu() }),
        (Cell::Gru, Variant { reset_before: true, ..plain_variant }),
        (Cell::Gru, Variant { bias: false, clip: Some(0.5), ..plain_variant }),
        (Cell::Lstm, Variant { peepholes: true, coupled: true, ..plain_variant }),
        (Cell::Lstm, Variant { projection: Some(11), peepholes: true, ..plain_variant }),
        (Cell::Lstm, Variant { cell_clip: Some(0.4), projection: Some(20), activations: softsign, ..plain_variant }),
    ];
    for (i, (cell, variant)) in variants.into_iter().enumerate() {
        for (j, direction) in DIRECTIONS.into_iter().enumerate() {
            let mut job = plain(cell, direction, 30 + (i + j) as u64);
            job.shape = StackShape { variant, layers: 2, residual: (i + j) % 2 == 0, ..job.shape };
            job.dropout = (j % 2 == 1).then(|| Dropout::new(0.25, 5, 10, 2));
            check(&job);
        }
    }
}

/// The comparison itself: one wrong element of one tensor is found.
#[test]
fn a_flipped_sign_is_found() {
    let job = plain(Cell::Gru, Direction::Concat, 3);
    let (crew, kernels) = (Crew::new(1).unwrap(), Kernels::best());
    let params = params(&job, &crew, &kernels);
    let found = run(&job, &mut network(&job, &params, None), &params, &crew, &kernels);
    let want = reference(&job);
    for (i, (name, tensor)) in found.iter().enumerate().filter(|(_, (_, tensor))| !tensor.is_empty()) {
        let mut wrong = found.clone();
        let mut sizes: Vec<f32> = tensor.iter().map(|x| x.abs()).collect();
        sizes.sort_by(f32::total_cmp);
        let at = tensor.iter().position(|x| x.abs() == sizes[sizes.len() / 2]).unwrap();
        wrong[i].1[at] = -wrong[i].1[at];
        let outcome = std::panic::catch_unwind(|| agree(&job, &wrong, &want, ""));
        assert!(outcome.is_err(), "{name}");
    }
}

/// Lane `b` of a job as a job by itself, its rows and states taken from the whole.
fn alone(job: &Job, b: usize) -> (Job, LayersCase) {
    let (whole, lanes) = (job.case(), job.lengths.len());
    let one = Job { lengths: vec![job.lengths[b]], ..job.clone() };
    let mut case = one.case();
    let rows = |padded: &[f64], width: usize| -> Vec<f64> {
        (0..job.lengths[b]).flat_map(|t| padded[(t * lanes + b) * width..][..width].to_vec()).collect()
    };
    let state = |all: &[f64]| -> Vec<f64> {
        let width = all.len() / lanes / whole.params.len();
        (0..whole.params.len()).flat_map(|l| all[(l * lanes + b) * width..][..width].to_vec()).collect()
    };
    case.input.x = rows(&whole.input.x, whole.shape.inputs);
    case.output_grad.d_y = rows(&whole.output_grad.d_y, whole.shape.width());
    case.input.h0 = state(&whole.input.h0);
    case.input.c0 = state(&whole.input.c0);
    case.output_grad.d_h_last = state(&whole.output_grad.d_h_last);
    case.output_grad.d_c_last = state(&whole.output_grad.d_c_last);
    (one, case)
}

#[test]
fn a_lane_of_a_packed_stack_has_the_bits_of_itself_alone() {
    let (crew, kernels) = (Crew::new(2).unwrap(), Kernels::best());
    for cell in CELLS {
        for direction in DIRECTIONS {
            let mut job = plain(cell, direction, 50);
            job.shape.residual = true;
            let params = params(&job, &crew, &kernels);
            let mut together = network(&job, &params, None);
            run(&job, &mut together, &params, &crew, &kernels);
            let mut by_itself = network(&job, &params, None);
            let (lanes, layers) = (job.lengths.len(), params.layout().layers().len());
            for b in 0..lanes {
                let (one, case) = alone(&job, b);
                by_itself.set_batch(Batch::Even { steps: job.lengths[b], lanes: 1 }).unwrap();
                fill(&mut by_itself, &one, &case);
                let chunk = Chunk { steps: job.lengths[b], ..Chunk::default() };
                by_itself.forward(&crew, &kernels, &params, &chunk);
                by_itself.backward(&crew, &kernels, &params, &chunk);
                for t in 0..job.lengths[b] {
                    for part in 0..together.parts() {
                        assert_eq!(together.output_part(t, b, part), by_itself.output_part(t, 0, part));
                    }
                    assert_eq!(together.input_grad(t, b), by_itself.input_grad(t, 0));
                }
                let pairs = [
                    (together.final_state(job.lengths[0]), by_itself.final_state(job.lengths[b])),
                    (together.initial_grad(), by_itself.initial_grad()),
                ];
                for (all, one) in pairs {
                    for l in 0..layers {
                        let width = one[l].h.len();
                        assert_eq!(all[l].h[b * width..][..width], one[l].h, "{cell:?} {direction:?} layer {l}");
                        if let (Some(all), Some(one)) = (&all[l].c, &one[l].c) {
                            assert_eq!(all[b * one.len()..][..one.len()], one[..]);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn one_step_at_a_time_has_the_bits_of_the_whole() {
    let (crew, kernels) = (Crew::new(2).unwrap(), Kernels::best());
    for cell in CELLS {
        let mut job = plain(cell, Direction::Forward, 60);
        job.shape.residual = true;
        job.lengths = vec![9; 5];
        let (params, case) = (params(&job, &crew, &kernels), job.case());
        let mut whole = network(&job, &params, None);
        run(&job, &mut whole, &params, &crew, &kernels);
        let mut stepped = Network::stack(params.layout(), &job.shape, NetworkOptions::default()).unwrap();
        stepped.set_batch(Batch::Even { steps: 1, lanes: 5 }).unwrap();
        stepped.set_state(&states(&case, &case.input.h0, &case.input.c0));
        for t in 0..9 {
            for lane in 0..5 {
                let n = t * 5 + lane;
                let x = narrow(&case.input.x[n * job.shape.inputs..][..job.shape.inputs]);
                stepped.input_mut(0, lane).copy_from_slice(&x);
            }
            stepped.forward(&crew, &kernels, &params, &Chunk { steps: 1, ..Chunk::default() });
            for lane in 0..5 {
                assert_eq!(stepped.output(0, lane), whole.output(t, lane), "{cell:?} step {t}");
            }
            stepped.carry(1);
        }
        assert_eq!(stepped.state(), whole.final_state(9));
    }
}

/// A document's border stops both directions: each document is as alone, but for the states at the lane's ends.
#[test]
fn a_reset_stops_both_directions() {
    let (crew, kernels) = (Crew::new(1).unwrap(), Kernels::best());
    for (cell, cut) in [(Cell::Lstm, 4), (Cell::Gru, 1), (Cell::Rnn, 8)] {
        let mut job = plain(cell, Direction::Concat, 70);
        (job.lengths, job.shape.layers) = (vec![9], 1);
        let (params, case) = (params(&job, &crew, &kernels), job.case());
        let mut whole = network(&job, &params, None);
        whole.set_batch(Batch::Even { steps: 9, lanes: 1 }).unwrap();
        fill(&mut whole, &job, &case);
        whole.reset(cut, 0);
        let chunk = Chunk { steps: 9, ..Chunk::default() };
        whole.forward(&crew, &kernels, &params, &chunk);
        whole.backward(&crew, &kernels, &params, &chunk);
        let zero = |states: &mut LayerState| {
            states.h.fill(0.0);
            states.c.iter_mut().for_each(|c| c.fill(0.0));
        };
        for (begin, steps, stranger) in [(0, cut, 1), (cut, 9 - cut, 0)] {
            // At the border the state and its gradient are nothing: before it of the reversed layer, behind it of the other.
            let mut part = network(&job, &params, None);
            part.set_batch(Batch::Even { steps, lanes: 1 }).unwrap();
            for t in 0..steps {
                let x = whole.input_mut(begin + t, 0).to_vec();
                part.input_mut(t, 0).copy_from_slice(&x);
                let width = case.shape.width();
                part.set_output_grad(t, 0, &narrow(&case.output_grad.d_y[(begin + t) * width..][..width]));
            }
            let mut first = states(&case, &case.input.h0, &case.input.c0);
            let mut behind = states(&case, &case.output_grad.d_h_last, &case.output_grad.d_c_last);
            zero(&mut first[stranger]);
            zero(&mut behind[1 - stranger]);
            part.set_state(&first);
            part.set_final_grad(&behind);
            let chunk = Chunk { steps, ..Chunk::default() };
            part.forward(&crew, &kernels, &params, &chunk);
            part.backward(&crew, &kernels, &params, &chunk);
            for t in 0..steps {
                for side in 0..2 {
                    assert_eq!(
                        part.output_part(t, 0, side),
                        whole.output_part(begin + t, 0, side),
                        "{cell:?} {t} {side}"
                    );
                }
                assert_eq!(part.input_grad(t, 0), whole.input_grad(begin + t, 0), "{cell:?} step {t} of {begin}..");
            }
            assert_eq!(part.final_state(steps)[1 - stranger].h != whole.final_state(9)[1 - stranger].h, true);
            assert_eq!(part.final_state(steps)[stranger], whole.final_state(9)[stranger]);
        }
    }
}

#[test]
fn a_stack_that_shrinks_and_grows_again_has_the_bits_of_a_fresh_one() {
    let (crew, kernels) = (Crew::new(2).unwrap(), Kernels::best());
    for direction in [Direction::Reverse, Direction::Concat, Direction::Sum] {
        let mut job = plain(Cell::Lstm, direction, 80);
        (job.shape.residual, job.dropout) = (true, Some(Dropout::new(0.5, 1, 2, 3)));
        let params = params(&job, &crew, &kernels);
        let mut kept = network(&job, &params, None);
        for lengths in [vec![13, 12, 7], vec![2], vec![5, 5, 5, 5, 1, 1], vec![13, 12, 7], vec![21, 1]] {
            job.lengths = lengths;
            let fresh = run(&job, &mut network(&job, &params, None), &params, &crew, &kernels);
            let found = run(&job, &mut kept, &params, &crew, &kernels);
            assert!(bits(&found) == bits(&fresh), "{job:?}");
        }
    }
}

#[test]
#[should_panic(expected = "but a layer is reversed")]
fn a_part_of_a_reversed_batch_is_refused() {
    let (crew, kernels) = (Crew::new(1).unwrap(), Kernels::best());
    let job = plain(Cell::Rnn, Direction::Reverse, 90);
    let params = params(&job, &crew, &kernels);
    let mut network = network(&job, &params, None);
    network.set_batch(Batch::Even { steps: 4, lanes: 2 }).unwrap();
    network.forward(&crew, &kernels, &params, &Chunk { steps: 3, ..Chunk::default() });
}
