//! Writes a text with a character model, symbol by symbol: that of a file or a run folder, or, without one, a small model
//! that learns a line first.
//!
//! `cargo run --release -p gatemill --example generate -- [MODEL]`

use gatemill::{CharLm, Config, Crew, Error, SampleOptions};
use std::io::Write;
use std::sync::Arc;

const LINE: &str = "the mill turns the wheel and the wheel turns the mill and ";

/// A small model that has read the line for a while.
pub(crate) fn learned(crew: Arc<Crew>) -> Result<CharLm, Error> {
    let config = Config { layers: 1, hidden: 48, batch: 4, seq: 16, lr: 0.01, ..Config::default() };
    let mut model = CharLm::new(&config, LINE, crew)?;
    let ids = model.encode(LINE)?;
    for step in 0..150 {
        // `[T, B]`: four lanes, each a quarter further on.
        let at = |shift: usize| -> Vec<u32> {
            let of = |t: usize, lane: usize| ids[(16 * step + t + lane * ids.len() / 4 + shift) % ids.len()];
            (0..64).map(|n| of(n / 4, n % 4)).collect()
        };
        model.train_step(&at(0), &at(1))?;
    }
    Ok(model)
}

/// Writes `length` symbols behind a prime to `out`.
pub(crate) fn write(model: &CharLm, prime: &str, length: u64, out: &mut impl Write) -> Result<(), Error> {
    let options = SampleOptions { prime: prime.into(), length, temperature: 0.5, ..SampleOptions::default() };
    for symbol in model.generate(&options)? {
        // Nobody reads on: the text ends here.
        if write!(out, "{}", symbol?).is_err() {
            break;
        }
    }
    Ok(())
}

#[allow(dead_code, reason = "the tests call the rest")]
fn main() -> Result<(), Error> {
    let crew = Arc::new(Crew::new(Crew::available())?);
    let model = match std::env::args_os().nth(1) {
        Some(path) => CharLm::load(path, crew)?,
        None => learned(crew)?,
    };
    write(&model, "the ", 200, &mut std::io::stdout())?;
    println!();
    Ok(())
}
