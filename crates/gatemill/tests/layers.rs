//! Passes of a stack on the caller's arrays: the oracle's numbers, and the same bits however they are laid out, shared
//! out, cut or stepped.

use gatemill::{Batch, Cell, Crew, Gradients, Kernels, Mode, Recurrent, RecurrentOptions, Rows, RowsMut, State, Tape};
use gatemill_kernels::{Dropout, LANES};
use gatemill_oracle::compare::{f32_backward_bound, f32_forward_bound, worst_by_rms};
use gatemill_oracle::{Activation, CaseOptions, StackCase, StackShape, narrow, widen};

const CELLS: [(Cell, gatemill_oracle::Cell); 3] = [
    (Cell::Rnn, gatemill_oracle::Cell::Rnn),
    (Cell::Lstm, gatemill_oracle::Cell::Lstm),
    (Cell::Gru, gatemill_oracle::Cell::Gru),
];
/// Every dimension different: T, B, I, H, L.
const T: usize = 7;
const B: usize = 3;
const I: usize = 11;
const H: usize = 18;
const L: usize = 2;

/// A case of the oracle, and the stack with its weights.
fn case(at: usize, dropout: f64, kernels: Kernels) -> (StackCase, Recurrent) {
    let (cell, of_oracle) = CELLS[at];
    let shape = StackShape {
        cell: of_oracle,
        layers: L,
        inputs: I,
        hidden: H,
        steps: T,
        lanes: B,
        activation: Activation::Standard,
    };
    let case = StackCase::random(shape, CaseOptions { carried: true, ..CaseOptions::default() }, 5 + at as u64);
    let options = RecurrentOptions { layers: L, dropout, seed: 9, ..RecurrentOptions::new(cell, I, H) };
    let mut stack = Recurrent::with_kernels(&options, kernels).expect("a small stack");
    for (name, tensor) in case.params.tensors() {
        stack.set_tensor(&name, &narrow(tensor)).expect("PyTorch's name and shape");
    }
    (case, stack)
}

fn state(h: &[f64], c: Option<&[f64]>) -> State {
    State { h: narrow(h), c: c.filter(|c| !c.is_empty()).map(narrow) }
}

/// All that a forward and a backward give, by name.
fn pass(case: &StackCase, stack: &Recurrent, crew: &Crew, tape: &mut Tape) -> Vec<(String, Vec<f32>)> {
    let mut grads = stack.gradients();
    let mut all = pass_into(case, stack, crew, tape, Some(&mut grads));
    let names: Vec<String> = stack.tensors().map(|info| info.name.to_owned()).collect();
    all.extend(names.into_iter().map(|name| (name.clone(), grads.tensor(&name).expect("a gradient"))));
    all
}

/// The same but for the gradients to the weights, which go to `grads`.
fn pass_into(
    case: &StackCase,
    stack: &Recurrent,
    crew: &Crew,
    tape: &mut Tape,
    grads: Option<&mut Gradients>,
) -> Vec<(String, Vec<f32>)> {
    let x = narrow(&case.input.x);
    let (mut y, mut d_x) = (vec![0.0; T * B * H], vec![0.0; T * B * I]);
    let initial = state(&case.input.h0, Some(&case.input.c0));
    let (batch, rows) = (Batch::Even { steps: T, lanes: B }, Rows::time_major(&x, B, I));
    stack.forward(crew, tape, batch, rows, Some(&initial), RowsMut::time_major(&mut y, B, H)).expect("forward");
    let mut last = stack.state(B).expect("a state");
    tape.final_state(&mut last).expect("a final state");

    let d_y = narrow(&case.output_grad.d_y);
    let d_last = state(case.output_grad.d_h_last.as_ref().expect("carried"), case.output_grad.d_c_last.as_deref());
    let d_x_rows = Some(RowsMut::time_major(&mut d_x, B, I));
    stack.backward(crew, tape, Rows::time_major(&d_y, B, H), Some(&d_last), d_x_rows, grads).expect("backward");
    let mut first = stack.state(B).expect("a state");
    tape.initial_grad(&mut first).expect("a gradient");

    let mut all = vec![("y".into(), y), ("h_n".into(), last.h), ("d_x".into(), d_x), ("d_h0".into(), first.h)];
    all.extend(last.c.map(|c| ("c_n".into(), c)));
    all.extend(first.c.map(|c| ("d_c0".into(), c)));
    all
}

/// The same of the oracle.
fn expected(case: &StackCase) -> Vec<(String, Vec<f64>)> {
    let trace = case.forward();
    let grads = case.backward(&trace);
    let mut all = vec![("y".into(), trace.outputs().to_vec()), ("h_n".into(), trace.h_last.clone())];
    all.extend([("d_x".into(), grads.d_x), ("d_h0".into(), grads.d_h0)]);
    if case.shape.cell.has_c() {
        all.extend([("c_n".into(), trace.c_last.clone()), ("d_c0".into(), grads.d_c0)]);
    }
    all.extend(grads.params.tensors().into_iter().map(|(name, tensor)| (name, tensor.clone())));
    all
}

fn agree(found: &[(String, Vec<f32>)], want: &[(String, Vec<f64>)], shape: &StackShape, kernels: &Kernels) {
    let rounds = if kernels.name() == "portable" { 2.0 } else { 1.0 };
    assert_eq!(found.len(), want.len());
    for ((name, found), (other, want)) in found.iter().zip(want) {
        assert_eq!((name, found.len()), (other, want.len()));
        let bound = if ["y", "h_n", "c_n"].contains(&name.as_str()) {
            f32_forward_bound(shape.cell, T, H)
        } else {
            f32_backward_bound(shape.cell, T, H, H, B)
        };
        let worst = worst_by_rms(&widen(found), want);
        assert!(worst.error <= 1.5 * L as f64 * rounds * bound, "{name} of {:?}: {worst:?}", shape.cell);
    }
}

#[test]
fn forward_and_backward_give_the_oracles_numbers() {
    let crew = Crew::new(2).expect("threads");
    for kernels in Kernels::available() {
        for at in 0..CELLS.len() {
            let (case, stack) = case(at, 0.0, kernels);
            let found = pass(&case, &stack, &crew, &mut stack.tape(Mode::Training));
            agree(&found, &expected(&case), &case.shape, &kernels);
        }
    }
}

#[test]
fn dropout_is_a_function_of_the_position() {
    let (crew, kernels) = (Crew::new(2).expect("threads"), Kernels::best());
    for at in 0..CELLS.len() {
        let (mut case, stack) = case(at, 0.25, kernels);
        let mut tape = stack.tape(Mode::Training);
        tape.set_position(40);
        let found = pass(&case, &stack, &crew, &mut tape);
        assert_eq!(tape.position(), 40 + T as u64);

        let dropout = Dropout::new(0.25, 9, 40, 0);
        let unit = |t, b, u: usize| f64::from(dropout.mask(0, t, b, u / LANES)[u % LANES]);
        let tokens = (0..T).flat_map(|t| (0..B).map(move |b| (t, b)));
        case.input.dropout = Some(tokens.flat_map(|(t, b)| (0..H).map(move |u| unit(t, b, u))).collect());
        agree(&found, &expected(&case), &case.shape, &kernels);

        // A pass from another position drops others; one from the same has the same bits.
        assert_ne!(pass(&case, &stack, &crew, &mut tape), found);
        tape.set_position(40);
        assert_eq!(pass(&case, &stack, &crew, &mut tape), found);
        // Inference drops nothing.
        let (x, mut y) = (narrow(&case.input.x), vec![0.0; T * B * H]);
        let initial = state(&case.input.h0, Some(&case.input.c0));
        let (batch, rows) = (Batch::Even { steps: T, lanes: B }, Rows::time_major(&x, B, I));
        let mut inference = stack.tape(Mode::Inference);
        let y_rows = RowsMut::time_major(&mut y, B, H);
        stack.forward(&crew, &mut inference, batch, rows, Some(&initial), y_rows).expect("forward");
        case.input.dropout = None;
        agree(&[("y".into(), y)], &expected(&case)[..1], &case.shape, &kernels);
    }
}

#[test]
fn threads_and_earlier_uses_of_a_tape_change_no_bit() {
    for at in 0..CELLS.len() {
        let (case, stack) = case(at, 0.0, Kernels::best());
        let alone = pass(&case, &stack, &Crew::alone(), &mut stack.tape(Mode::Training));
        let mut tape = stack.tape(Mode::Training);
        for threads in [1, 2, 3] {
            assert_eq!(pass(&case, &stack, &Crew::new(threads).expect("threads"), &mut tape), alone);
        }
        // A pass of another size in between.
        let (x, mut y) = ([0.5; 9 * 5 * I], [0.0; 9 * 5 * H]);
        let (batch, rows) = (Batch::Even { steps: 9, lanes: 5 }, Rows::time_major(&x, 5, I));
        stack
            .forward(&Crew::alone(), &mut tape, batch, rows, None, RowsMut::time_major(&mut y, 5, H))
            .expect("forward");
        assert_eq!(pass(&case, &stack, &Crew::alone(), &mut tape), alone);
    }
}

/// `[T, B, C]` as `[B, T, C]`.
fn lanes_first(data: &[f32], width: usize) -> Vec<f32> {
    (0..B).flat_map(|b| (0..T).flat_map(move |t| &data[(t * B + b) * width..][..width])).copied().collect()
}

/// Frozen weights: nothing is computed for them, and the rest is what it was.
#[test]
fn without_gradients_to_the_weights_all_others_are_the_same() {
    let crew = Crew::new(2).expect("threads");
    for at in 0..CELLS.len() {
        let (case, stack) = case(at, 0.0, Kernels::best());
        let mut tape = stack.tape(Mode::Training);
        let all = pass(&case, &stack, &crew, &mut tape);
        let others = pass_into(&case, &stack, &crew, &mut tape, None);
        assert_eq!(others, all[..others.len()]);
    }
}

#[test]
fn arrays_are_read_and_written_as_they_lie() {
    let crew = Crew::new(2).expect("threads");
    for at in 0..CELLS.len() {
        let (case, stack) = case(at, 0.0, Kernels::best());
        let all = pass(&case, &stack, &crew, &mut stack.tape(Mode::Training));
        let find = |name: &str| &all.iter().find(|(other, _)| other == name).expect("it is among them").1;
        let (y, d_x) = (find("y"), find("d_x"));
        let (x, d_y) = (narrow(&case.input.x), narrow(&case.output_grad.d_y));
        let initial = state(&case.input.h0, Some(&case.input.c0));
        let d_last = state(case.output_grad.d_h_last.as_ref().expect("carried"), case.output_grad.d_c_last.as_deref());
        let batch = Batch::Even { steps: T, lanes: B };
        let run = |x: Rows<'_>, d_y: Rows<'_>, y: RowsMut<'_>, d_x: RowsMut<'_>| {
            let (mut tape, mut grads) = (stack.tape(Mode::Training), stack.gradients());
            stack.forward(&crew, &mut tape, batch, x, Some(&initial), y).expect("forward");
            stack.backward(&crew, &mut tape, d_y, Some(&d_last), Some(d_x), Some(&mut grads)).expect("backward");
            for info in stack.tensors() {
                assert_eq!(&grads.tensor(info.name).expect("a gradient"), find(info.name), "{}", info.name);
            }
        };

        // Batch first.
        let (x_b, d_y_b) = (lanes_first(&x, I), lanes_first(&d_y, H));
        let (mut y_b, mut d_x_b) = (vec![9.0; T * B * H], vec![9.0; T * B * I]);
        run(
            Rows::batch_first(&x_b, T, I),
            Rows::batch_first(&d_y_b, T, H),
            RowsMut::batch_first(&mut y_b, T, H),
            RowsMut::batch_first(&mut d_x_b, T, I),
        );
        assert_eq!((y_b, d_x_b), (lanes_first(y, H), lanes_first(d_x, I)));

        // Packed, which an even batch is as it stands.
        let (mut y_p, mut d_x_p) = (vec![9.0; T * B * H], vec![9.0; T * B * I]);
        run(Rows::packed(&x, I), Rows::packed(&d_y, H), RowsMut::packed(&mut y_p, H), RowsMut::packed(&mut d_x_p, I));
        assert_eq!((&y_p, &d_x_p), (y, d_x));

        // Inside wider rows, whose other columns stay.
        let wide = |data: &[f32], width: usize| -> Vec<f32> {
            data.chunks(width).flat_map(|row| row.iter().copied().chain([7.0; 2])).collect()
        };
        let (x_w, d_y_w) = (wide(&x, I), wide(&d_y, H));
        let (mut y_w, mut d_x_w) = (vec![7.0; T * B * (H + 2)], vec![7.0; T * B * (I + 2)]);
        run(
            Rows::strided(&x_w, B * (I + 2), I + 2),
            Rows::strided(&d_y_w, B * (H + 2), H + 2),
            RowsMut::strided(&mut y_w, B * (H + 2), H + 2),
            RowsMut::strided(&mut d_x_w, B * (I + 2), I + 2),
        );
        assert_eq!((y_w, d_x_w), (wide(y, H), wide(d_x, I)));

        // One row for every step and lane.
        let mut y_one = vec![0.0; T * B * H];
        let mut tape = stack.tape(Mode::Inference);
        let (rows, y_rows) = (Rows::strided(&x[..I], 0, 0), RowsMut::time_major(&mut y_one, B, H));
        stack.forward(&crew, &mut tape, batch, rows, None, y_rows).expect("forward");
        assert!(y_one[..H] == y_one[H..2 * H] && y_one[..H] != y_one[B * H..][..H]);
    }
}

#[test]
fn one_step_at_a_time_has_the_bits_of_the_sequence_and_a_copied_state_is_a_fork() {
    let crew = Crew::new(2).expect("threads");
    for at in 0..CELLS.len() {
        let (case, stack) = case(at, 0.0, Kernels::best());
        let all = pass(&case, &stack, &crew, &mut stack.tape(Mode::Training));
        let x = narrow(&case.input.x);
        let mut tape = stack.tape(Mode::Inference);
        let mut now = state(&case.input.h0, Some(&case.input.c0));
        let (mut y, mut forks) = (vec![0.0; T * B * H], Vec::new());
        for t in 0..T {
            forks.push(now.clone());
            let (x, y) = (&x[t * B * I..][..B * I], &mut y[t * B * H..][..B * H]);
            stack.step(&mut tape, x, &mut now, y).expect("a step");
        }
        assert_eq!(&y, &all[0].1);
        assert_eq!(&now.h, &all[1].1);
        // From the middle on, on another tape: the rest of the sequence.
        let (mut other, mut again) = (stack.tape(Mode::Training), vec![0.0; B * H]);
        for t in 4..T {
            stack.step(&mut other, &x[t * B * I..][..B * I], &mut forks[4], &mut again).expect("a step");
        }
        assert_eq!(forks[4], now);
        assert_eq!(&again, &y[(T - 1) * B * H..]);
        // Chunks with the state carried between them.
        let (mut carried, mut chunked) = (state(&case.input.h0, Some(&case.input.c0)), vec![0.0; T * B * H]);
        for (from, to) in [(0, 4), (4, T)] {
            let batch = Batch::Even { steps: to - from, lanes: B };
            let rows = Rows::time_major(&x[from * B * I..to * B * I], B, I);
            let y = RowsMut::time_major(&mut chunked[from * B * H..to * B * H], B, H);
            stack.forward(&crew, &mut tape, batch, rows, Some(&carried), y).expect("forward");
            tape.final_state(&mut carried).expect("a state");
        }
        assert_eq!((chunked, carried), (y, now));
    }
}

#[test]
fn a_clone_keeps_its_weights_when_the_other_changes() {
    let (case, mut stack) = case(1, 0.0, Kernels::best());
    let crew = Crew::new(2).expect("threads");
    let clone = stack.clone();
    let before = pass(&case, &stack, &crew, &mut stack.tape(Mode::Training));
    assert_eq!(pass(&case, &clone, &crew, &mut clone.tape(Mode::Training)), before);
    let bias: Vec<f32> = (0..4 * H).map(|i| i as f32 / 100.0).collect();
    stack.set_tensor("bias_hh_l1", &bias).expect("its own size");
    assert_eq!(stack.tensor("bias_hh_l1").expect("a tensor"), bias);
    assert_ne!(pass(&case, &stack, &crew, &mut stack.tape(Mode::Training)), before);
    assert_eq!(pass(&case, &clone, &crew, &mut clone.tape(Mode::Training)), before);
}

#[test]
fn tensors_that_are_set_together_are_those_set_one_by_one() {
    let (case, stack) = case(1, 0.0, Kernels::best());
    let crew = Crew::new(3).expect("threads");
    let of = |stack: &Recurrent| -> Vec<(String, Vec<f32>)> {
        stack.tensors().map(|info| (info.name.to_owned(), stack.tensor(info.name).expect("a tensor"))).collect()
    };
    let mut turned = of(&stack);
    for (_, tensor) in &mut turned {
        tensor.reverse();
    }
    let mut one_by_one = stack.clone();
    for (name, tensor) in &turned {
        one_by_one.set_tensor(name, tensor).expect("its own size");
    }
    let want = pass(&case, &one_by_one, &crew, &mut one_by_one.tape(Mode::Training));
    let named: Vec<(&str, &[f32])> = turned.iter().map(|(name, tensor)| (name.as_str(), &tensor[..])).collect();
    for crew in [Crew::alone(), crew] {
        let mut together = stack.clone();
        // The last is wrong: none is set.
        let wrong: Vec<_> = named.iter().copied().chain([("bias_hh_l1", &[0.0; 1][..])]).collect();
        together.set_tensors(&crew, &wrong).expect_err("a bias of one");
        assert_eq!(of(&together), of(&stack));
        together.set_tensors(&crew, &named).expect("their own sizes");
        assert_eq!(of(&together), turned);
        assert_eq!(pass(&case, &together, &crew, &mut together.tape(Mode::Training)), want);
    }
}

#[test]
fn many_threads_may_run_one_stack_at_once_on_one_crew_or_inside_of_it() {
    let (case, stack) = case(2, 0.0, Kernels::best());
    let crew = Crew::new(3).expect("threads");
    let want = pass(&case, &stack, &crew, &mut stack.tape(Mode::Training));
    for round in 0..10 {
        // Its weights are not packed yet: all who come want to do it.
        let mut fresh = stack.clone();
        fresh.set_tensor("bias_hh_l1", &stack.tensor("bias_hh_l1").expect("a tensor")).expect("its own size");
        let run = || assert_eq!(pass(&case, &fresh, &crew, &mut fresh.tape(Mode::Training)), want);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(run);
            }
            if round % 2 == 1 {
                // The crew's own workers, all of them.
                crew.install(|| rayon::scope(|inner| (0..4).for_each(|_| inner.spawn(|_| run()))));
            }
        });
    }
}

#[test]
fn initial_weights_are_pytorchs_law_and_a_function_of_the_seed() {
    let options = RecurrentOptions { layers: L, ..RecurrentOptions::new(Cell::Gru, I, H) };
    let stack = Recurrent::new(&options).expect("a small stack");
    let names: Vec<(&str, &[usize])> = stack.tensors().map(|info| (info.name, info.shape)).collect();
    let want: [(&str, &[usize]); 8] = [
        ("weight_ih_l0", &[3 * H, I]),
        ("weight_hh_l0", &[3 * H, H]),
        ("bias_ih_l0", &[3 * H]),
        ("bias_hh_l0", &[3 * H]),
        ("weight_ih_l1", &[3 * H, H]),
        ("weight_hh_l1", &[3 * H, H]),
        ("bias_ih_l1", &[3 * H]),
        ("bias_hh_l1", &[3 * H]),
    ];
    assert_eq!(names, want);
    let bound = 1.0 / (H as f32).sqrt();
    let all = |stack: &Recurrent| -> Vec<f32> {
        stack.tensors().flat_map(|info| stack.tensor(info.name).expect("a tensor")).collect()
    };
    let weights = all(&stack);
    assert!(weights.iter().all(|w| w.abs() <= bound));
    let mean_square = weights.iter().map(|w| f64::from(*w) * f64::from(*w)).sum::<f64>() / weights.len() as f64;
    assert!((mean_square * 3.0 * H as f64 - 1.0).abs() < 0.05, "{mean_square}");
    assert_eq!(all(&Recurrent::new(&options).expect("a small stack")), weights);
    assert_ne!(all(&Recurrent::new(&RecurrentOptions { seed: 2, ..options }).expect("a small stack")), weights);
}
