//! `gatemill sample`: a model's continuation of a text, written to stdout as it comes.
//!
//! Stdout gets the prime and what follows it, as UTF-8 or, for a model of bytes, as bytes; on a terminal control
//! characters are replaced. A reader that leaves ends the writing and is no error.

use std::io::IsTerminal;

use gatemill_train::{Generator, SampleOptions};
use serde::Serialize;

use crate::args::SampleArgs;
use crate::exit::{self, Failure, USAGE};
use crate::progress::{Progress, printable};
use crate::train::machine;
use crate::{json, model};

/// Symbols between two writes.
const AT_ONCE: usize = 32;

/// What `--json` writes.
#[derive(Serialize)]
struct Text<'a> {
    prime: &'a str,
    text: String,
    symbols: u64,
    unseen: u64,
    temperature: f64,
    seed: u64,
}

/// Runs the command.
pub(crate) fn run(args: &SampleArgs) -> Result<u8, Failure> {
    let temperature = if args.greedy { 0.0 } else { args.temperature };
    if !(temperature >= 0.0 && temperature.is_finite()) {
        return Err(Failure::new(USAGE, format!("--temperature {temperature}: must be 0 or a positive number"))
            .help("1 takes the model's own probabilities, 0 always the most likely character"));
    }
    // One character after the other leaves nothing to share out.
    let (crew, kernels) = machine(Some(1))?;
    let notes = Progress::new();
    let (model, _) = model::load(&args.model, &crew, &kernels, &notes)?;
    let (prime, length, seed) = (args.prime.as_bytes().to_vec(), args.length, args.seed);
    let options = SampleOptions { prime, length, temperature, seed };
    crew.install(|| {
        let mut generator = Generator::new(&model, &options, &crew, &kernels)?;
        let unseen = generator.unseen();
        if unseen > 0 {
            notes.line(&format!("note: the model never saw {unseen} of the prime's characters: read as nothing"));
        }
        if args.json {
            let ids: Vec<u32> = generator.collect();
            let text = String::from_utf8_lossy(&model.vocab.decode(&ids)).into_owned();
            json::object(&Text { prime: &args.prime, text, symbols: ids.len() as u64, unseen, temperature, seed })?;
            return Ok(exit::OK);
        }
        let terminal = std::io::stdout().is_terminal();
        if !args.prime.is_empty() && !write(args.prime.as_bytes(), terminal)? {
            return Ok(exit::OK);
        }
        let symbols = if terminal { 1 } else { AT_ONCE };
        let mut ends_line = args.prime.ends_with('\n');
        loop {
            let ids: Vec<u32> = generator.by_ref().take(symbols).collect();
            if ids.is_empty() {
                break;
            }
            let piece = model.vocab.decode(&ids);
            ends_line = piece.ends_with(b"\n");
            if !write(&piece, terminal)? {
                return Ok(exit::OK);
            }
        }
        if terminal && !ends_line {
            write(b"\n", terminal)?;
        }
        Ok(exit::OK)
    })
}

fn write(piece: &[u8], terminal: bool) -> Result<bool, Failure> {
    if terminal { json::text(printable(&String::from_utf8_lossy(piece)).as_bytes()) } else { json::text(piece) }
}
