//! `gatemill hello`: the lecture's walk-through of "hello", number by number, as a text, a page or JSON.

use gatemill_inspect::hello::{self, HelloError, Options};

use gatemill_train::TrainError;

use crate::args::HelloArgs;
use crate::exit::{self, Failure, USAGE};
use crate::progress::Progress;
use crate::train::machine;
use crate::{json, page, place};

/// Runs the command.
pub(crate) fn run(args: &HelloArgs) -> Result<u8, Failure> {
    let options = Options {
        text: args.text.clone(),
        cell: args.cell,
        hidden: args.hidden,
        seed: args.seed,
        lr: args.lr,
        updates: args.steps,
    };
    if let Some(path) = &args.out {
        place::check("-o", path, [])?;
    }
    // One worker is enough for so small a network.
    let (crew, kernels) = machine(Some(1))?;
    let hello = crew.steady(|| hello::walk(&options, &crew, &kernels)).map_err(|error| match error {
        HelloError::Train(error @ TrainError::Diverged { .. }) => Failure::from(error).help("give a smaller --lr"),
        HelloError::Train(error) => error.into(),
        refusal => Failure::new(USAGE, refusal.to_string()).help("`gatemill hello` alone walks through \"hello\""),
    })?;
    if let Some(path) = &args.out {
        page::write(path, &hello::page(&hello), &Progress::new())?;
    }
    if args.json {
        json::object(&hello)?;
    } else if args.out.is_none() {
        json::text(hello::text(&hello).as_bytes())?;
    }
    Ok(exit::OK)
}
