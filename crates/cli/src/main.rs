//! The `gatemill` command: picks what was asked for and turns its end into an exit code.
//!
//! ```text
//! gatemill                 the demonstration: learn to write from the built-in text, in about a minute
//! gatemill train  [FILE]   learn from a text          -> a run folder
//! gatemill predict MODEL   ask what was learned from examples
//! gatemill sample MODEL    write with what was learned
//! gatemill eval   MODEL    score a text
//! gatemill runs   [RUN]    look at what was trained
//! gatemill hello  [TEXT]   the walk-through: one word learned, number by number
//! gatemill inspect MODEL   look into it while it reads
//! gatemill gradflow        how far a model remembers
//! gatemill bench           how fast it goes here, and whether it is right
//! gatemill machine         what runs here, and how fast it can be
//! gatemill completions, man   for the shell, for `man`
//! gatemill corpus [FILE]   look at a text, or write the built-in one
//! ```
//!
//! Results go to stdout, all else to stderr; neither can make it fail by being closed. A panic is a fault of ours: it is
//! caught here, says so, and leaves with code 70.

#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    clippy::print_stderr
)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test stops where it fails")
)]

use std::process::ExitCode;

use clap::Parser;

mod args; // the flags
mod asked; // defaults, preset, page, flags -> what is asked for
mod legacy; // other tools' flags -> what to type

mod corpus; // a source -> an open corpus
mod model; // a path -> a model

mod bench; // how fast it goes
mod builtin; // the built-in text on stdout
mod demo; // the run without arguments
mod eval; // score a text
mod gradflow; // gradients by distance
mod hello; // the walk-through
mod inspect; // look into a model
mod machine; // what runs here
mod predict; // ask a task's model
mod runs; // look at what was trained
mod sample; // write
mod shell; // completions, manual
mod survey; // look at a text
mod task; // learn from examples
mod train; // learn

mod memory; // does it fit

mod table; // texts in columns

mod page; // a page into a file
mod place; // where a result goes, before the work

mod json; // one object per line on stdout
mod progress; // what people see on stderr
mod signals;
mod terminal; // a text on stdout // SIGINT, SIGTERM, SIGHUP

mod exit; // every error -> message, help, exit code

use args::{Cli, Command};
use exit::Failure;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| exit::report_panic(&panic.to_string())));
    if let Some(refusal) = legacy::check(&train::me(), std::env::args_os().skip(1)) {
        return exit::code(refusal.report());
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version are errors to the parser too; it knows the code and the stream.
        Err(error) => {
            let _ = error.print();
            return exit::code(u8::try_from(error.exit_code()).unwrap_or(exit::USAGE));
        }
    };
    match std::panic::catch_unwind(|| run(&cli)) {
        Ok(Ok(code)) => exit::code(code),
        Ok(Err(failure)) => {
            failure.report();
            exit::code(failure.code)
        }
        Err(_) => exit::code(exit::INTERNAL),
    }
}

fn run(cli: &Cli) -> Result<u8, Failure> {
    match &cli.command {
        None => demo::run(),
        Some(Command::Train(args)) => train::run(args),
        Some(Command::Predict(args)) => predict::run(args),
        Some(Command::Sample(args)) => sample::run(args),
        Some(Command::Eval(args)) => eval::run(args),
        Some(Command::Runs(args)) => runs::run(args),
        Some(Command::Hello(args)) => hello::run(args),
        Some(Command::Inspect(args)) => inspect::run(args),
        Some(Command::Gradflow(args)) => gradflow::run(args),
        Some(Command::Bench(args)) => bench::run(args),
        Some(Command::Machine(args)) => machine::run(args),
        Some(Command::Completions(args)) => shell::completions(args),
        Some(Command::Man(args)) => shell::man(args),
        Some(Command::Corpus(args)) => match (args.text(), args.made()) {
            (Some(text), _) => builtin::run(&text),
            (None, Some(made)) => builtin::examples(made),
            (None, None) => survey::run(args),
        },
    }
}
