//! `gatemill` without arguments: an LSTM learns to write from the built-in text, in about a minute on two cores.
//!
//! The number of steps is fixed, so every machine ends with the same weights, and what is printed differs in times only.
//! The text's grammar is our own, so its exact entropy rate is known: the end shows how near the model came to it.

use std::sync::Arc;

use gatemill_corpus::{Io, builtin};
use gatemill_train::run::{Outcome, Place, Run, Settings, Setup, Source};
use gatemill_train::{CellKind, Config, InitKind};

use crate::corpus;
use crate::exit::{self, Failure};
use crate::train::{Listener, RUNS, machine, me, quoted, signals, storage, summary};

/// The demonstration's recipe. A smaller batch and longer stretches than the defaults suit so short a run, and an LSTM finds
/// the long quotations of this text in fewer steps from orthogonal weights (`doc/scope.md`).
struct Demo {
    cell: CellKind,
    layers: usize,
    hidden: usize,
    batch: usize,
    seq: usize,
    steps: u64,
    lr: f64,
    init: InitKind,
    text_bytes: u64,
}

const DEMO: Demo = Demo {
    cell: CellKind::Lstm,
    layers: 2,
    hidden: 128,
    batch: 16,
    seq: 128,
    steps: 6000,
    lr: 0.007,
    init: InitKind::Orthogonal,
    text_bytes: 4_000_000,
};

/// Runs the demonstration.
pub(crate) fn run() -> Result<u8, Failure> {
    let signals = signals()?;
    let (crew, kernels) = machine(None)?;
    let Demo { cell, layers, hidden, batch, seq, steps, lr, init, text_bytes } = DEMO;
    let config = Config { cell, layers, hidden, batch, seq, steps: Some(steps), lr, init, ..Config::default() };
    config.validate()?;
    let settings = Settings::new(Source::Builtin { bytes: text_bytes, seed: 1 });
    let corpus = Arc::new(corpus::open(&settings.source, &config, None, Io::Map)?);
    let setup = Setup { config, settings, corpus, crew, kernels, storage: storage() };
    let mut run = Run::start(setup, &Place::Under(RUNS.into()))?;

    let mut listener = Listener::new(false, signals);
    listener.progress.line(
        "An LSTM learns to write: stories, talk and program code, character by character, from nothing.\n\
         Ctrl-C stops it and saves; `--help` shows what else there is.\n",
    );
    let done = match listener.follow(&mut run)? {
        Outcome::Done(done) => done,
        Outcome::Stopped(stop) => return Ok(listener.stopped(&run, stop)),
    };
    let limit = builtin::entropy_rate().bits_per_char;
    let reached = match done.val_nats {
        Some(nats) => format!(
            "It needs {:.3} bits per character for text it has never read. The grammar behind that text has an entropy\n\
             rate of exactly {limit:.3} bits: no model can do better.",
            nats / std::f64::consts::LN_2
        ),
        None => format!("The grammar behind the text has an entropy rate of exactly {limit:.3} bits per character."),
    };
    let (me, folder) = (me(), quoted(&run.path().display().to_string()));
    listener.progress.line(&format!(
        "{}\n\n{reached}\n\nTry next:\n  \
         {me} sample {folder} --length 600\n  \
         {me} sample {folder} --prime 'if (' --temperature 0.5\n  \
         {me} inspect {folder} --builtin -o report.html\n\n\
         And with a text of your own: {me} train FILE",
        summary(&done)
    ));
    Ok(exit::OK)
}
