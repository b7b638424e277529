//! Lanes of different lengths in one batch, and one batch after the other: the bits of each lane by itself.

use gatemill_cell::{Batch, BatchError, Cell, Chunk, LayerState, Network, NetworkOptions, Params};
use gatemill_crew::{Crew, Split};
use gatemill_kernels::{Input, Kernels, LayerShape, Layout};
use gatemill_oracle::SplitMix64;
use std::sync::Arc;

const CELLS: [Cell; 3] = [Cell::Rnn, Cell::Lstm, Cell::Gru];
const INPUTS: usize = 5;
const HIDDEN: usize = 37;
const LAYERS: usize = 2;

fn reals(n: usize, random: &mut SplitMix64) -> Vec<f32> {
    (0..n).map(|_| random.real(1.0) as f32).collect()
}

fn params(cell: Cell, crew: &Crew, kernels: &Kernels) -> Params {
    let shape = |l: usize| LayerShape::new(cell, Input::Dense(if l == 0 { INPUTS } else { HIDDEN }), HIDDEN);
    let layout = Layout::new(&(0..LAYERS).map(shape).collect::<Vec<_>>(), None);
    let mut params = Params::zeroed(Arc::new(layout)).unwrap();
    let random = &mut SplitMix64::new(7);
    for spec in params.specs().to_vec() {
        let data: Vec<f32> = reals(spec.len(), random).iter().map(|x| x * 0.3).collect();
        params.set(&spec.name, &data).unwrap();
    }
    params.derive(crew, kernels);
    params
}

/// What a lane is given: `[T, I]`, `[T, H]`, and by layer `[H]` twice, and twice again behind.
#[derive(Clone)]
struct Lane {
    x: Vec<f32>,
    d_y: Vec<f32>,
    state: Vec<LayerState>,
    last_grad: Vec<LayerState>,
}

fn lane(cell: Cell, steps: usize, seed: u64) -> Lane {
    let random = &mut SplitMix64::new(seed);
    let state = |random: &mut SplitMix64| {
        let c = (cell == Cell::Lstm).then(|| reals(HIDDEN, random));
        LayerState { h: reals(HIDDEN, random), c }
    };
    Lane {
        x: reals(steps * INPUTS, random),
        d_y: reals(steps * HIDDEN, random),
        state: (0..LAYERS).map(|_| state(random)).collect(),
        last_grad: (0..LAYERS).map(|_| state(random)).collect(),
    }
}

impl Lane {
    fn steps(&self) -> usize {
        self.x.len() / INPUTS
    }
}

/// By layer, the lanes' states one after the other.
fn beside(lanes: &[Lane], of: impl Fn(&Lane) -> &Vec<LayerState>) -> Vec<LayerState> {
    (0..LAYERS)
        .map(|l| LayerState {
            h: lanes.iter().flat_map(|lane| of(lane)[l].h.clone()).collect(),
            c: of(&lanes[0])[l]
                .c
                .is_some()
                .then(|| lanes.iter().flat_map(|lane| of(lane)[l].c.clone().unwrap()).collect()),
        })
        .collect()
}

fn batch_sizes(lanes: &[Lane]) -> Vec<usize> {
    (0..lanes[0].steps()).map(|t| lanes.iter().filter(|lane| lane.steps() > t).count()).collect()
}

/// What came out for one lane, as bits.
#[derive(Debug, PartialEq)]
struct Outcome {
    output: Vec<u32>,
    last: Vec<u32>,
    d_x: Vec<u32>,
    d_first: Vec<u32>,
}

fn bits<'a>(x: impl IntoIterator<Item = &'a f32>) -> Vec<u32> {
    x.into_iter().map(|x| x.to_bits()).collect()
}

/// Lane `b` of states by layer.
fn of_lane(states: &[LayerState], b: usize) -> Vec<u32> {
    let part = |all: &[f32]| bits(&all[b * HIDDEN..(b + 1) * HIDDEN]);
    states.iter().flat_map(|s| part(&s.h).into_iter().chain(s.c.as_ref().map_or(Vec::new(), |c| part(c)))).collect()
}

fn network(params: &Params, (steps, lanes): (usize, usize), split: Option<Split>) -> Network {
    let options = NetworkOptions { steps, lanes, backward: true, input_grad: true, split, ..NetworkOptions::default() };
    Network::new(params.layout(), options).unwrap()
}

/// Forward and backward of these lanes, in the batch that the network holds.
fn run(network: &mut Network, (crew, kernels): (&Crew, &Kernels), params: &Params, lanes: &[Lane]) -> Vec<Outcome> {
    for (b, lane) in lanes.iter().enumerate() {
        for t in 0..lane.steps() {
            network.input_mut(t, b).copy_from_slice(&lane.x[t * INPUTS..(t + 1) * INPUTS]);
            network.output_grad_mut(t, b).copy_from_slice(&lane.d_y[t * HIDDEN..(t + 1) * HIDDEN]);
        }
    }
    network.set_state(&beside(lanes, |lane| &lane.state));
    network.set_final_grad(&beside(lanes, |lane| &lane.last_grad));
    let chunk = Chunk { steps: network.steps(), ..Chunk::default() };
    network.forward(crew, kernels, params, &chunk);
    let last = network.final_state(chunk.steps);
    network.backward(crew, kernels, params, &chunk);
    let first = network.initial_grad();
    let of = |(b, lane): (usize, &Lane)| Outcome {
        output: bits((0..lane.steps()).flat_map(|t| network.output(t, b))),
        last: of_lane(&last, b),
        d_x: bits((0..lane.steps()).flat_map(|t| network.input_grad(t, b))),
        d_first: of_lane(&first, b),
    };
    lanes.iter().enumerate().map(of).collect()
}

const LENGTHS: [usize; 11] = [13, 13, 9, 8, 8, 8, 3, 2, 1, 1, 1];

#[test]
fn every_lane_of_a_packed_batch_has_the_bits_of_itself_alone() {
    for cell in CELLS {
        let one = Crew::new(1).unwrap();
        let lanes: Vec<Lane> = LENGTHS.iter().zip(40..).map(|(&steps, seed)| lane(cell, steps, seed)).collect();
        let fma = Kernels::available().filter(|kernels| kernels.name() != "portable");
        let want: Vec<Outcome> = {
            let kernels = Kernels::best();
            let params = params(cell, &one, &kernels);
            let alone = |lane: &Lane| {
                let mut network = network(&params, (lane.steps(), 1), None);
                run(&mut network, (&one, &kernels), &params, std::slice::from_ref(lane)).remove(0)
            };
            lanes.iter().map(alone).collect()
        };
        for kernels in fma {
            for threads in [1, 2, 3] {
                let crew = Crew::new(threads).unwrap();
                let params = params(cell, &crew, &kernels);
                for split in [Split::Lanes, Split::Units] {
                    let mut network = network(&params, (0, 0), Some(split));
                    network.set_batch(Batch::Packed { batch_sizes: &batch_sizes(&lanes) }).unwrap();
                    let found = run(&mut network, (&crew, &kernels), &params, &lanes);
                    assert!(found == want, "{cell:?} {kernels:?} {threads} threads, split {split:?}");
                }
            }
        }
    }
}

#[test]
fn a_batch_that_shrinks_and_grows_again_has_the_bits_of_a_fresh_network() {
    let (crew, kernels) = (Crew::new(2).unwrap(), Kernels::best());
    for cell in CELLS {
        let params = params(cell, &crew, &kernels);
        let mut kept = network(&params, (4, 3), None);
        for (i, lengths) in
            [&[13, 9, 9, 2][..], &[3], &[7, 7, 7, 7, 7, 7], &[2, 1], &[13, 9, 9, 2], &[30, 1], &[5, 5, 5]]
                .iter()
                .enumerate()
        {
            let lanes: Vec<Lane> =
                lengths.iter().zip(100 * i as u64..).map(|(&steps, seed)| lane(cell, steps, seed)).collect();
            let sizes = batch_sizes(&lanes);
            let batch = match lanes.iter().all(|lane| lane.steps() == lanes[0].steps()) {
                true => Batch::Even { steps: lanes[0].steps(), lanes: lanes.len() },
                false => Batch::Packed { batch_sizes: &sizes },
            };
            kept.set_batch(batch).unwrap();
            let mut fresh = network(&params, (0, 0), None);
            fresh.set_batch(batch).unwrap();
            let found = run(&mut kept, (&crew, &kernels), &params, &lanes);
            assert!(found == run(&mut fresh, (&crew, &kernels), &params, &lanes), "{cell:?} {lengths:?}");
            // What follows starts from nothing of it, were it no number.
            for b in 0..lanes.len() {
                kept.input_mut(0, b).fill(f32::NAN);
                kept.output_grad_mut(0, b).fill(f32::NAN);
            }
            let chunk = Chunk { steps: kept.steps(), ..Chunk::default() };
            kept.forward(&crew, &kernels, &params, &chunk);
            kept.backward(&crew, &kernels, &params, &chunk);
            assert!(kept.output(0, 0)[0].is_nan() && kept.initial_grad()[0].h[0].is_nan());
            kept.carry(chunk.steps);
        }
    }
}

#[test]
fn batches_that_are_none_are_refused_and_leave_the_network_as_it_was() {
    let (crew, kernels) = (Crew::new(1).unwrap(), Kernels::best());
    let params = params(Cell::Gru, &crew, &kernels);
    let lanes = [lane(Cell::Gru, 4, 1), lane(Cell::Gru, 2, 2)];
    let mut network = network(&params, (0, 0), None);
    network.set_batch(Batch::Packed { batch_sizes: &[2, 2, 1, 1] }).unwrap();
    let want = run(&mut network, (&crew, &kernels), &params, &lanes);
    for (sizes, error) in [
        (&[][..], BatchError::Empty { steps: 0, lanes: 0 }),
        (&[2, 1, 0], BatchError::NoLane { step: 2 }),
        (&[2, 1, 2], BatchError::Rising { step: 2, found: 2, before: 1 }),
    ] {
        assert_eq!(network.set_batch(Batch::Packed { batch_sizes: sizes }), Err(error));
        assert!(run(&mut network, (&crew, &kernels), &params, &lanes) == want);
    }
}
