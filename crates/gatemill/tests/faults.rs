//! Whatever a caller hands over that does not fit comes back as a typed error that says what, where and what to do.

use gatemill::{
    Batch, Cell, Crew, Direction, Error, Mode, Recurrent, RecurrentOptions, Rows, RowsError, RowsMut, State,
    TensorError, Variant,
};

const I: usize = 3;
const H: usize = 5;
const EVEN: Batch<'_> = Batch::Even { steps: 4, lanes: 2 };

fn stack(cell: Cell) -> Recurrent {
    Recurrent::new(&RecurrentOptions { layers: 2, ..RecurrentOptions::new(cell, I, H) }).expect("a small stack")
}

/// Forward of zeros with these lengths.
fn forward(batch: Batch<'_>, x: Rows<'_>, initial: Option<&State>, y: RowsMut<'_>) -> Result<(), Error> {
    let lstm = stack(Cell::Lstm);
    lstm.forward(&Crew::alone(), &mut lstm.tape(Mode::Training), batch, x, initial, y)
}

#[test]
fn a_stack_and_its_weights_may_go_to_any_thread() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>() {}
    shared::<Recurrent>();
    shared::<State>();
    sent::<gatemill::Tape>();
    sent::<gatemill::Gradients>();
}

#[test]
fn options_that_cannot_be_are_named() {
    let plain = RecurrentOptions::new(Cell::Lstm, I, H);
    let variant = |variant| RecurrentOptions { variant, ..plain };
    let (bare, both) = (Variant::default(), Direction::Concat);
    for (name, options) in [
        ("inputs", RecurrentOptions { inputs: 0, ..plain }),
        ("inputs", RecurrentOptions { inputs: usize::MAX, ..plain }),
        ("hidden", RecurrentOptions { hidden: 0, ..plain }),
        ("hidden", RecurrentOptions { hidden: 1 << 26, ..plain }),
        ("hidden", RecurrentOptions { hidden: usize::MAX, ..plain }),
        ("layers", RecurrentOptions { layers: 0, ..plain }),
        ("layers", RecurrentOptions { layers: 4097, ..plain }),
        ("layers", RecurrentOptions { layers: 2049, direction: both, ..plain }),
        ("layers", RecurrentOptions { layers: usize::MAX, ..plain }),
        ("dropout", RecurrentOptions { dropout: 1.0, ..plain }),
        ("dropout", RecurrentOptions { dropout: f64::NAN, ..plain }),
        ("reset_before", variant(Variant { reset_before: true, ..bare })),
        ("peepholes", RecurrentOptions { cell: Cell::Gru, ..variant(Variant { peepholes: true, ..bare }) }),
        ("projection", variant(Variant { projection: Some(0), ..bare })),
        ("projection", variant(Variant { projection: Some(usize::MAX), ..bare })),
        ("clip", variant(Variant { clip: Some(f32::NAN), ..bare })),
        ("cell_clip", variant(Variant { cell_clip: Some(-1.0), ..bare })),
    ] {
        let error = Recurrent::new(&options).err().unwrap_or_else(|| panic!("{options:?} was taken"));
        assert!(error.to_string().contains(&format!("`{name}`")), "{options:?}: {error}");
    }
}

#[test]
fn tensors_of_another_name_or_size_are_refused() {
    let mut gru = stack(Cell::Gru);
    match gru.set_tensor("weight_ih_l2", &[]) {
        Err(Error::Tensor(error @ TensorError::Unknown { .. })) => {
            assert!(error.to_string().contains("weight_hh_l1"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    let size = |result: Result<(), Error>| match result {
        Err(Error::Tensor(TensorError::Size { shape, found, expected, .. })) => (shape, found, expected),
        other => panic!("{other:?}"),
    };
    assert_eq!(size(gru.set_tensor("weight_ih_l0", &[0.0; 7])), (vec![3 * H, I], 7, 3 * H * I));
    assert_eq!(size(gru.copy_tensor("bias_hh_l1", &mut [0.0; 1])), (vec![3 * H], 1, 3 * H));
    assert!(matches!(gru.tensor("rnn.bias_hh_l1"), Err(Error::Tensor(TensorError::Unknown { .. }))));
    let grads = gru.gradients();
    assert!(matches!(grads.tensor("bias_hh_l1"), Err(Error::NoBackward)));
    assert!(matches!(grads.tensor("bias"), Err(Error::Tensor(TensorError::Unknown { .. }))));
}

#[test]
fn batches_that_cannot_be_are_refused() {
    let (x, mut y) = ([0.0; 100], [0.0; 100]);
    for batch in [
        Batch::Even { steps: 0, lanes: 2 },
        Batch::Even { steps: 2, lanes: 0 },
        Batch::Even { steps: usize::MAX, lanes: 2 },
        Batch::Even { steps: 1 << 31, lanes: 2 },
        Batch::Packed { batch_sizes: &[] },
        Batch::Packed { batch_sizes: &[0] },
        Batch::Packed { batch_sizes: &[2, 0] },
        Batch::Packed { batch_sizes: &[2, 3] },
        Batch::Packed { batch_sizes: &[usize::MAX, usize::MAX] },
    ] {
        let result = forward(batch, Rows::packed(&x, I), None, RowsMut::packed(&mut y, H));
        assert!(matches!(result, Err(Error::Batch(_))), "{batch:?}: {result:?}");
    }
}

#[test]
fn rows_that_do_not_fit_are_refused() {
    let x = [0.0; 4 * 2 * I];
    let good = Rows::time_major(&x, 2, I);
    for rows in [
        Rows::time_major(&x[1..], 2, I),
        Rows::packed(&x[..23], I),
        Rows::strided(&x, 2 * I, I + 1),
        Rows::strided(&x, usize::MAX, 1),
        Rows::batch_first(&x, usize::MAX, usize::MAX),
    ] {
        let mut y = [0.0; 4 * 2 * H];
        let result = forward(EVEN, rows, None, RowsMut::time_major(&mut y, 2, H));
        assert!(matches!(result, Err(Error::Rows { which: "x", .. })), "{rows:?}: {result:?}");
    }
    let result = forward(EVEN, good, None, RowsMut::time_major(&mut [0.0; 4 * 2 * H - 1], 2, H));
    let short = RowsError::Short { found: 39, width: H, needed: 40 };
    assert!(matches!(result, Err(Error::Rows { which: "y", source }) if source == short), "{result:?}");
    for (step, lane) in [(2 * H, H - 1), (H, H), (0, H), (H, 4 * H - 1)] {
        let mut y = [0.0; 100];
        let result = forward(EVEN, good, None, RowsMut::strided(&mut y, step, lane));
        assert!(
            matches!(result, Err(Error::Rows { which: "y", source: RowsError::Overlap { .. } })),
            "{step}, {lane}: {result:?}"
        );
    }
    let mut y = [0.0; 100];
    let result = forward(EVEN, good, None, RowsMut::packed(&mut y, H - 1));
    assert!(matches!(result, Err(Error::Rows { which: "y", source: RowsError::Overlap { .. } })), "{result:?}");
}

#[test]
fn states_of_another_form_are_refused() {
    let lstm = stack(Cell::Lstm);
    let run = |state: &State| {
        let (x, mut y) = ([0.0; 4 * 2 * I], [0.0; 4 * 2 * H]);
        forward(EVEN, Rows::time_major(&x, 2, I), Some(state), RowsMut::time_major(&mut y, 2, H))
    };
    let good = lstm.state(2).expect("a state");
    assert!(run(&good).is_ok());
    assert!(matches!(run(&lstm.state(1).expect("a state")), Err(Error::Length { which: "initial", .. })));
    assert!(matches!(run(&State { c: None, ..good.clone() }), Err(Error::State { which: "initial", .. })));
    assert!(matches!(run(&State { c: Some(vec![]), ..good }), Err(Error::Length { which: "initial", .. })));
    let gru = stack(Cell::Gru);
    let mut tape = gru.tape(Mode::Inference);
    assert!(matches!(tape.final_state(&mut gru.state(2).expect("a state")), Err(Error::NoForward)));
    let mut state = lstm.state(2).expect("a state");
    let result = gru.step(&mut tape, &[0.0; 2 * I], &mut state, &mut [0.0; 2 * H]);
    assert!(matches!(result, Err(Error::State { which: "state", .. })), "{result:?}");
    assert!(gru.state(usize::MAX / 8).is_err());
}

#[test]
fn steps_of_lengths_that_do_not_fit_are_refused() {
    let lstm = stack(Cell::Lstm);
    let mut tape = lstm.tape(Mode::Inference);
    let mut state = lstm.state(2).expect("a state");
    for (x, y) in [(0, 0), (1, H), (2 * I + 1, 2 * H), (2 * I, 2 * H + 1), (3 * I, 3 * H)] {
        let result = lstm.step(&mut tape, &vec![0.0; x], &mut state, &mut vec![0.0; y]);
        assert!(matches!(result, Err(Error::Length { .. })), "{x}, {y}: {result:?}");
    }
}

#[test]
fn backward_is_refused_where_nothing_was_kept_for_it() {
    let mut lstm = stack(Cell::Lstm);
    let crew = Crew::alone();
    let (x, mut y) = ([0.25; 4 * 2 * I], [0.0; 4 * 2 * H]);
    let d_y = [1.0; 4 * 2 * H];
    let mut grads = lstm.gradients();
    let d_rows = Rows::time_major(&d_y, 2, H);
    let run = |lstm: &Recurrent, tape: &mut gatemill::Tape, y: &mut [f32]| {
        lstm.forward(&crew, tape, EVEN, Rows::time_major(&x, 2, I), None, RowsMut::time_major(y, 2, H))
    };

    let mut inference = lstm.tape(Mode::Inference);
    run(&lstm, &mut inference, &mut y).expect("forward");
    let result = lstm.backward(&crew, &mut inference, d_rows, None, None, Some(&mut grads));
    assert!(matches!(result, Err(Error::Inference)), "{result:?}");

    let mut tape = lstm.tape(Mode::Training);
    let mut state = lstm.state(2).expect("a state");
    assert!(matches!(lstm.backward(&crew, &mut tape, d_rows, None, None, Some(&mut grads)), Err(Error::NoForward)));
    run(&lstm, &mut tape, &mut y).expect("forward");
    assert!(matches!(tape.initial_grad(&mut state), Err(Error::NoBackward)));
    let short = lstm.backward(&crew, &mut tape, Rows::packed(&d_y[1..], H), None, None, Some(&mut grads));
    assert!(matches!(short, Err(Error::Rows { which: "d_y", .. })), "{short:?}");
    let mut d_x = [0.0; 4 * 2 * I - 1];
    let d_x = Some(RowsMut::packed(&mut d_x, I));
    let short = lstm.backward(&crew, &mut tape, d_rows, None, d_x, Some(&mut grads));
    assert!(matches!(short, Err(Error::Rows { which: "d_x", .. })), "{short:?}");
    let d_last = lstm.state(3).expect("a state");
    let other = lstm.backward(&crew, &mut tape, d_rows, Some(&d_last), None, Some(&mut grads));
    assert!(matches!(other, Err(Error::Length { which: "d_last", .. })), "{other:?}");
    // A refusal leaves the tape as it was.
    lstm.backward(&crew, &mut tape, d_rows, None, None, Some(&mut grads)).expect("backward");
    tape.initial_grad(&mut state).expect("a gradient");
    assert!(matches!(lstm.backward(&crew, &mut tape, d_rows, None, None, Some(&mut grads)), Err(Error::NoForward)));

    run(&lstm, &mut tape, &mut y).expect("forward");
    let bias = lstm.tensor("bias_ih_l0").expect("a bias");
    lstm.set_tensor("bias_ih_l0", &bias).expect("its own size");
    assert!(matches!(
        lstm.backward(&crew, &mut tape, d_rows, None, None, Some(&mut grads)),
        Err(Error::WeightsChanged)
    ));
}

#[test]
fn a_tape_or_gradients_of_another_stack_are_refused() {
    let (lstm, other) = (stack(Cell::Lstm), stack(Cell::Gru));
    let crew = Crew::alone();
    let (x, mut y) = ([0.25; 4 * 2 * I], [0.0; 4 * 2 * H]);
    let (rows, mut tape) = (Rows::time_major(&x, 2, I), other.tape(Mode::Training));
    let result = lstm.forward(&crew, &mut tape, EVEN, rows, None, RowsMut::time_major(&mut y, 2, H));
    assert!(matches!(result, Err(Error::Foreign { what: "tape" })), "{result:?}");
    let mut state = lstm.state(1).expect("a state");
    let result = lstm.step(&mut tape, &x[..I], &mut state, &mut y[..H]);
    assert!(matches!(result, Err(Error::Foreign { what: "tape" })), "{result:?}");
    let mut tape = lstm.tape(Mode::Training);
    lstm.forward(&crew, &mut tape, EVEN, rows, None, RowsMut::time_major(&mut y, 2, H)).expect("forward");
    let d_y = Rows::time_major(&y, 2, H);
    let result = lstm.backward(&crew, &mut tape, d_y, None, None, Some(&mut other.gradients()));
    assert!(matches!(result, Err(Error::Foreign { what: "gradients" })), "{result:?}");
}
