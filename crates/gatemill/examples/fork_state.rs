//! Forks a sequence: a state is a value, so a copy of it goes another way, and a saved one goes on later.
//!
//! `cargo run --release -p gatemill --example fork_state`

use gatemill::{Cell, Error, Mode, Recurrent, RecurrentOptions, State};

const HIDDEN: usize = 8;

/// Steps through a sequence of numbers from a state, and gives the last output.
fn through(gru: &Recurrent, state: &mut State, sequence: &[f32]) -> Result<Vec<f32>, Error> {
    let (mut tape, mut y) = (gru.tape(Mode::Inference), vec![0.0; HIDDEN]);
    for &x in sequence {
        gru.step(&mut tape, &[x], state, &mut y)?;
    }
    Ok(y)
}

/// The last outputs of: the whole sequence; a fork that goes the same way; one that goes another.
pub(crate) fn run() -> Result<[Vec<f32>; 3], Error> {
    let gru = Recurrent::new(&RecurrentOptions::new(Cell::Gru, 1, HIDDEN))?;
    let mut state = gru.state(1)?;
    through(&gru, &mut state, &[0.5, -0.25, 1.0])?;
    let saved = state.clone();
    let whole = through(&gru, &mut state, &[0.75, 0.125])?;
    let (mut same, mut other) = (saved.clone(), saved);
    Ok([whole, through(&gru, &mut same, &[0.75, 0.125])?, through(&gru, &mut other, &[-0.75, 0.125])?])
}

#[allow(dead_code, reason = "the tests call `run`")]
fn main() -> Result<(), Error> {
    let [whole, same, other] = run()?;
    println!("on:       {:?}\nsame way: {:?}\nanother:  {:?}", &whole[..3], &same[..3], &other[..3]);
    Ok(())
}
