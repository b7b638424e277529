//! `gatemill gradflow`: gradients by distance: the lecture's toy, a model on a text, or three cells side by side.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gatemill_corpus::{Io, Split};
use gatemill_inspect::gradflow::compare::{CompareOptions, Comparison, Stage};
use gatemill_inspect::gradflow::report::{Report, ReportOptions, cell_name, symbols};
use gatemill_inspect::gradflow::toy::Chain;
use gatemill_inspect::gradflow::{page as pages, toy, words};
use gatemill_train::Config;
use gatemill_train::flow::FlowOptions;
use gatemill_train::run::Source;
use gatemill_train::run::resume::Origin;
use serde::Serialize;

use crate::args::GradflowArgs;
use crate::exit::{self, Failure, USAGE};
use crate::progress::{Progress, printable};
use crate::train::machine;
use crate::{corpus, json, model, page, place};

/// Runs the command.
pub(crate) fn run(args: &GradflowArgs) -> Result<u8, Failure> {
    if args.toy {
        return toy_chain(args);
    }
    if let Some(out) = &args.out {
        place::check("-o", out, &args.paths)?;
    }
    if args.compare {
        return compare(args);
    }
    of_model(args)
}

/// What `--toy --json` writes.
#[derive(Serialize)]
struct ToyObject {
    linear: Option<[toy::Worked; 2]>,
    tanh: Option<[toy::Worked; 2]>,
}

fn toy_chain(args: &GradflowArgs) -> Result<u8, Failure> {
    let GradflowArgs { w_hh, w_xh, b, h0, x, beside, .. } = args;
    if let Some(strange) = x.iter().chain([w_hh, w_xh, b, h0, beside]).find(|x| !x.is_finite()) {
        return Err(Failure::new(USAGE, format!("{strange}: the toy counts with finite numbers"))
            .help("give numbers such as 3, -0.5 or 1e-3"));
    }
    let chain = |tanh| Chain { w_hh: *w_hh, w_xh: *w_xh, b: *b, h0: *h0, x: x.clone(), tanh };
    let (linear, tanh) = (!args.tanh, !args.linear);
    if args.json {
        let both = |tanh| [chain(tanh).work(), chain(tanh).with(*beside).work()];
        json::object(&ToyObject { linear: linear.then(|| both(false)), tanh: tanh.then(|| both(true)) })?;
        return Ok(exit::OK);
    }
    let texts = [tanh.then(|| toy::page(&chain(true), *beside)), linear.then(|| toy::page(&chain(false), *beside))];
    let texts: Vec<String> = texts.into_iter().flatten().collect();
    json::text(texts.join("\n").as_bytes())?;
    Ok(exit::OK)
}

fn of_model(args: &GradflowArgs) -> Result<u8, Failure> {
    let (crew, kernels) = machine(None)?;
    let Some((path, files)) = args.paths.split_first() else {
        return Err(
            Failure::new(USAGE, "no model was given").help("`gatemill gradflow RUN TEXT`, or --toy or --compare")
        );
    };
    let (model, snapshot) = model::load(path, &crew, &kernels, &Progress::new())?;
    let vocab = Some(model.vocab.clone());
    let (corpus, split, name) = if files.is_empty() {
        let source = Origin::of(&snapshot)?.settings.source;
        let corpus = corpus::open(&source, &model.config, vocab, Io::Map)?;
        let split = if model.config.val_frac > 0.0 { Split::Val } else { Split::Train };
        (corpus, split, format!("{source}, {}", if split == Split::Val { "its validation part" } else { "all of it" }))
    } else {
        let source = corpus::files(files)?;
        let whole = Config { val_frac: 0.0, test_frac: 0.0, ..model.config.clone() };
        (corpus::open(&source, &whole, vocab, Io::Map)?, Split::Train, source.to_string())
    };
    let text = symbols(&corpus, split)?;
    let options = options(args);
    let report = Report::of(&model, (&crew, &kernels), &text, &options)?;
    if let Some(out) = &args.out {
        page::write(out, &pages::report(&report, &path.display().to_string(), &name), &Progress::new())?;
    }
    if args.json {
        json::object(&report)?;
    } else {
        json::text(words::report(&report).as_bytes())?;
    }
    Ok(exit::OK)
}

/// Lines on stderr come at most this often.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// The text of `--compare` without a FILE: read six times, so that states begin at zero more than once.
const BUILTIN: Source = Source::Builtin { bytes: 400_000, seed: 1 };

fn compare(args: &GradflowArgs) -> Result<u8, Failure> {
    let (crew, kernels) = machine(None)?;
    let source = if args.paths.is_empty() { BUILTIN } else { corpus::files(&args.paths)? };
    let corpus = Arc::new(corpus::open(&source, &Config::default(), None, Io::Map)?);
    let mut options = if args.quick { CompareOptions::quick() } else { CompareOptions::default() };
    set_flow(args, &mut options.flow);
    let (progress, mut next) = (Progress::new(), Instant::now());
    let comparison = Comparison::of(&corpus, (&crew, kernels), &options, |stage| {
        let now = Instant::now();
        if now >= next {
            progress.line(&where_it_is(stage));
            next = now.checked_add(LINE_EVERY).unwrap_or(now);
        }
    })?;
    if let Some(out) = &args.out {
        page::write(out, &pages::comparison(&comparison, &source.to_string()), &progress)?;
    }
    if args.json {
        json::object(&comparison)?;
    } else {
        json::text(printable(&words::comparison(&comparison)).as_bytes())?;
    }
    Ok(exit::OK)
}

/// A comparison's stage in words.
fn where_it_is(stage: Stage) -> String {
    match stage {
        Stage::Text(cell, step, of, bits) => {
            format!("{}: step {step} of {of} on the text, {bits:.2} bits per character", cell_name(cell))
        }
        Stage::Gradients(cell) => format!("{}: gradients by distance", cell_name(cell)),
        Stage::Memory(cell, seed, k, right) => {
            format!("{}: memory task, run {seed}: k = {k}, {:.0} % right", cell_name(cell), 100.0 * right)
        }
    }
}

/// What the flags ask for.
pub(crate) fn options(args: &GradflowArgs) -> ReportOptions {
    let mut options = if args.quick { ReportOptions::quick() } else { ReportOptions::default() };
    set_flow(args, &mut options.flow);
    options
}

/// Distance and places as the flags have them.
fn set_flow(args: &GradflowArgs, flow: &mut FlowOptions) {
    if let Some(distance) = args.distance {
        (flow.distance, flow.warmup) = (distance, distance);
    }
    flow.positions = args.positions.unwrap_or(flow.positions);
}
