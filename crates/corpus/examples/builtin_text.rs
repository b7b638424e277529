//! Writes the first BYTES bytes of the built-in text of SEED to standard output.
//!
//! `cargo run --package gatemill-corpus --example builtin_text -- BYTES SEED`; the goldens of tests/suite train on it.

use gatemill_corpus::builtin::Builtin;
use std::io::{self, Write};
use std::process::ExitCode;

/// Written at a time.
const PIECE_BYTES: usize = 1 << 16;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Option<Vec<u64>> = args.iter().map(|arg| arg.parse().ok()).collect();
    let Some(&[bytes, seed]) = numbers.as_deref() else {
        eprintln!("usage: builtin_text BYTES SEED");
        return ExitCode::from(2);
    };
    match write(bytes, seed, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("writing the text: {error}");
            ExitCode::from(4)
        }
    }
}

fn write(bytes: u64, seed: u64, out: &mut impl Write) -> io::Result<()> {
    let mut text = Builtin::new(seed);
    let mut piece = vec![0; PIECE_BYTES];
    let mut left = bytes;
    while left > 0 {
        let now = left.min(PIECE_BYTES as u64);
        let part = &mut piece[..now as usize];
        text.fill(part);
        out.write_all(part)?;
        left -= now;
    }
    out.flush()
}
