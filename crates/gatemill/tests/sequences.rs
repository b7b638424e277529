//! Batches of different lengths, both directions, variants: by way of the caller's arrays each lane has the bits that it
//! has alone, and what is put together has those of its parts.

use gatemill::{Batch, Cell, Crew, Direction, Mode, Recurrent, RecurrentOptions, Rows, RowsMut, State, Variant};
use gatemill_oracle::{SplitMix64, narrow};

const I: usize = 5;
const H: usize = 19;
/// Of the lanes, falling.
const LENGTHS: [usize; 4] = [9, 6, 6, 2];
const T: usize = LENGTHS[0];
const B: usize = LENGTHS.len();

fn batch_sizes() -> Vec<usize> {
    (0..T).map(|t| LENGTHS.iter().filter(|&&length| length > t).count()).collect()
}

fn numbers(n: usize, seed: u64) -> Vec<f32> {
    narrow(&SplitMix64::new(seed).symmetric(n, 1.0))
}

/// Every kind of stack, each of two layers.
fn stacks() -> Vec<RecurrentOptions> {
    let bare = Variant::default();
    let of = |cell, direction, residual, variant| RecurrentOptions {
        layers: 2,
        direction,
        residual,
        variant,
        ..RecurrentOptions::new(cell, I, H)
    };
    let all = Variant { peepholes: true, coupled: true, cell_clip: Some(0.8), projection: Some(7), ..bare };
    vec![
        of(Cell::Lstm, Direction::Forward, false, bare),
        of(Cell::Lstm, Direction::Concat, false, bare),
        of(Cell::Lstm, Direction::Concat, true, all),
        of(Cell::Gru, Direction::Sum, true, Variant { bias: false, ..bare }),
        of(Cell::Gru, Direction::Reverse, false, Variant { reset_before: true, ..bare }),
        of(Cell::Rnn, Direction::Concat, false, Variant { clip: Some(0.5), ..Variant::relu() }),
    ]
}

/// A state of random numbers.
fn some(stack: &Recurrent, lanes: usize, seed: u64) -> State {
    let zero = stack.state(lanes).expect("a state");
    let c = zero.c.map(|c| numbers(c.len(), seed + 1));
    State { h: numbers(zero.h.len(), seed), c }
}

/// One lane of a state.
fn lane_of(state: &State, lanes: usize, lane: usize, layers: usize) -> State {
    let part = |data: &[f32]| -> Vec<f32> {
        let width = data.len() / layers / lanes;
        (0..layers).flat_map(|l| &data[(l * lanes + lane) * width..][..width]).copied().collect()
    };
    State { h: part(&state.h), c: state.c.as_deref().map(part) }
}

#[test]
fn each_lane_of_a_packed_batch_has_the_bits_that_it_has_alone() {
    let (crew, sizes) = (Crew::new(2).expect("threads"), batch_sizes());
    for options in stacks() {
        let stack = Recurrent::new(&options).expect("a small stack");
        let (outputs, parts) = (options.outputs(), 2 * options.directions());
        // Padded, batch first, with what must not be read past each end.
        let (mut x, mut d_y) = (numbers(B * T * I, 1), numbers(B * T * outputs, 2));
        for (lane, &length) in LENGTHS.iter().enumerate() {
            x[(lane * T + length) * I..(lane + 1) * T * I].fill(f32::NAN);
            d_y[(lane * T + length) * outputs..(lane + 1) * T * outputs].fill(f32::NAN);
        }
        let (initial, d_last) = (some(&stack, B, 3), some(&stack, B, 5));
        let (mut y, mut d_x) = (vec![9.0; B * T * outputs], vec![9.0; B * T * I]);
        let (mut tape, mut grads) = (stack.tape(Mode::Training), stack.gradients());
        let packed = Batch::Packed { batch_sizes: &sizes };
        let (x_rows, y_rows) = (Rows::batch_first(&x, T, I), RowsMut::batch_first(&mut y, T, outputs));
        stack.forward(&crew, &mut tape, packed, x_rows, Some(&initial), y_rows).expect("forward");
        let (mut last, mut first) = (stack.state(B).expect("a state"), stack.state(B).expect("a state"));
        tape.final_state(&mut last).expect("a state");
        let d_x_rows = Some(RowsMut::batch_first(&mut d_x, T, I));
        let d_y_rows = Rows::batch_first(&d_y, T, outputs);
        stack.backward(&crew, &mut tape, d_y_rows, Some(&d_last), d_x_rows, Some(&mut grads)).expect("backward");
        tape.initial_grad(&mut first).expect("a gradient");

        // The sum of the lanes' gradients, in f64.
        let mut sums: Vec<Vec<f64>> = stack.tensors().map(|info| vec![0.0; info.shape.iter().product()]).collect();
        for (lane, &length) in LENGTHS.iter().enumerate() {
            let (mut alone, mut of_lane) = (stack.tape(Mode::Training), stack.gradients());
            let (mut y_1, mut d_x_1) = (vec![0.0; length * outputs], vec![0.0; length * I]);
            let batch = Batch::Even { steps: length, lanes: 1 };
            let x_rows = Rows::time_major(&x[lane * T * I..], 1, I);
            let state = lane_of(&initial, B, lane, parts);
            let y_rows = RowsMut::time_major(&mut y_1, 1, outputs);
            stack.forward(&crew, &mut alone, batch, x_rows, Some(&state), y_rows).expect("forward");
            let mut state = stack.state(1).expect("a state");
            alone.final_state(&mut state).expect("a state");
            assert_eq!(state, lane_of(&last, B, lane, parts), "{options:?}");
            let d_last = lane_of(&d_last, B, lane, parts);
            let d_y_rows = Rows::time_major(&d_y[lane * T * outputs..], 1, outputs);
            let d_x_rows = Some(RowsMut::time_major(&mut d_x_1, 1, I));
            stack.backward(&crew, &mut alone, d_y_rows, Some(&d_last), d_x_rows, Some(&mut of_lane)).expect("backward");
            alone.initial_grad(&mut state).expect("a gradient");
            assert_eq!(state, lane_of(&first, B, lane, parts), "{options:?}");
            for (all, one, width) in [(&y, &y_1, outputs), (&d_x, &d_x_1, I)] {
                let of_lane = &all[lane * T * width..][..T * width];
                assert_eq!(&of_lane[..length * width], one, "{options:?}");
                assert!(
                    of_lane[length * width..].iter().all(|&x| x == 0.0),
                    "{options:?}: past the end of lane {lane}"
                );
            }
            for (info, sum) in stack.tensors().zip(&mut sums) {
                let one = of_lane.tensor(info.name).expect("a gradient");
                sum.iter_mut().zip(one).for_each(|(sum, x)| *sum += f64::from(x));
            }
        }
        for (info, sum) in stack.tensors().zip(sums) {
            let scale = sum.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
            for (found, want) in grads.tensor(info.name).expect("a gradient").iter().zip(sum) {
                assert!((f64::from(*found) - want).abs() <= 1e-5 * scale, "{} of {options:?}", info.name);
            }
        }

        // As PyTorch packs it: the same rows, one behind the other.
        let rows = |data: &[f32], width: usize| -> Vec<f32> {
            let row = |t, lane| &data[(lane * T + t) * width..][..width];
            (0..T).flat_map(|t| (0..sizes[t]).flat_map(move |lane| row(t, lane))).copied().collect()
        };
        let (x_p, d_y_p) = (rows(&x, I), rows(&d_y, outputs));
        let (mut y_p, mut d_x_p) = (vec![0.0; x_p.len() / I * outputs], vec![0.0; x_p.len()]);
        let y_rows = RowsMut::packed(&mut y_p, outputs);
        stack.forward(&crew, &mut tape, packed, Rows::packed(&x_p, I), Some(&initial), y_rows).expect("forward");
        let (mut again, d_x_rows) = (stack.gradients(), Some(RowsMut::packed(&mut d_x_p, I)));
        let d_y_rows = Rows::packed(&d_y_p, outputs);
        stack.backward(&crew, &mut tape, d_y_rows, Some(&d_last), d_x_rows, Some(&mut again)).expect("backward");
        assert_eq!((y_p, d_x_p), (rows(&y, outputs), rows(&d_x, I)), "{options:?}");
        for info in stack.tensors() {
            assert_eq!(again.tensor(info.name).expect("one"), grads.tensor(info.name).expect("one"), "{}", info.name);
        }
    }
}

#[test]
fn the_weights_gradients_are_the_same_without_that_of_the_input() {
    let crew = Crew::new(2).expect("threads");
    for options in stacks() {
        let stack = Recurrent::new(&options).expect("a small stack");
        let (outputs, batch) = (options.outputs(), Batch::Even { steps: T, lanes: B });
        let (x, d_y) = (numbers(T * B * I, 1), numbers(T * B * outputs, 2));
        let (mut y, mut d_x) = (vec![0.0; T * B * outputs], vec![0.0; T * B * I]);
        let mut tape = stack.tape(Mode::Training);
        let mut run = |d_x: Option<RowsMut<'_>>| {
            let (mut grads, mut first) = (stack.gradients(), stack.state(B).expect("a state"));
            let (x_rows, y_rows) = (Rows::packed(&x, I), RowsMut::packed(&mut y, outputs));
            stack.forward(&crew, &mut tape, batch, x_rows, None, y_rows).expect("forward");
            let d_y_rows = Rows::packed(&d_y, outputs);
            stack.backward(&crew, &mut tape, d_y_rows, None, d_x, Some(&mut grads)).expect("backward");
            tape.initial_grad(&mut first).expect("a gradient");
            let all: Vec<Vec<f32>> = stack.tensors().map(|info| grads.tensor(info.name).expect("a gradient")).collect();
            (all, first)
        };
        let with = run(Some(RowsMut::packed(&mut d_x, I)));
        assert_eq!(run(None), with, "{options:?}");
        assert!(d_x.iter().any(|&x| x != 0.0));
    }
}

#[test]
fn two_directions_are_two_stacks_side_by_side_or_added() {
    let crew = Crew::new(2).expect("threads");
    let sizes = batch_sizes();
    let tokens: usize = sizes.iter().sum();
    for cell in [Cell::Rnn, Cell::Lstm, Cell::Gru] {
        let options = |direction| RecurrentOptions { direction, ..RecurrentOptions::new(cell, I, H) };
        let stack = |direction| Recurrent::new(&options(direction)).expect("a small stack");
        let (both, mut up, mut down) = (stack(Direction::Concat), stack(Direction::Forward), stack(Direction::Reverse));
        let mut sum = stack(Direction::Sum);
        for info in both.tensors() {
            let tensor = both.tensor(info.name).expect("a tensor");
            sum.set_tensor(info.name, &tensor).expect("the same form");
            match info.name.strip_suffix("_reverse") {
                // A stack that only goes back has one direction, and so PyTorch's plain names.
                Some(name) => down.set_tensor(name, &tensor).expect("the same form"),
                None => up.set_tensor(info.name, &tensor).expect("the same form"),
            }
        }
        let x = numbers(tokens * I, 4);
        let run = |stack: &Recurrent| {
            let outputs = stack.options().outputs();
            let (mut y, mut tape) = (vec![0.0; tokens * outputs], stack.tape(Mode::Inference));
            let batch = Batch::Packed { batch_sizes: &sizes };
            let y_rows = RowsMut::packed(&mut y, outputs);
            stack.forward(&crew, &mut tape, batch, Rows::packed(&x, I), None, y_rows).expect("forward");
            y
        };
        let (up, down, both, sum) = (run(&up), run(&down), run(&both), run(&sum));
        for n in 0..tokens {
            let (up, down) = (&up[n * H..][..H], &down[n * H..][..H]);
            assert_eq!(both[n * 2 * H..][..2 * H], [up, down].concat());
            let added: Vec<f32> = up.iter().zip(down).map(|(a, b)| a + b).collect();
            assert_eq!(sum[n * H..][..H], added);
        }
    }
}
