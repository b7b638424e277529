//! `gatemill inspect`: what a model's units tell of a text, as a page, as JSON, and in short on stderr.

use std::io::{self, Read};

use gatemill_corpus::builtin;
use gatemill_inspect::hold::parse_hold;
use gatemill_inspect::label::{Kind, Pattern};
use gatemill_inspect::scope::{Findings, Options, SHOWN, Scope, ScopeError, Stage, scope};
use gatemill_train::{CellKind, ConfigError, TrainError};

use crate::args::InspectArgs;
use crate::exit::{self, BAD_DATA, Failure, IO, USAGE};
use crate::progress::{Progress, grouped};
use crate::train::machine;
use crate::{corpus, json, model, page, place};

/// Read of a text where nothing else is said.
const BYTES: u64 = 1_000_000;
/// The built-in text of training is that of seed 1.
const SEED: u64 = 2;

/// Runs the command.
pub(crate) fn run(args: &InspectArgs) -> Result<u8, Failure> {
    let patterns = args.regex.iter().map(|text| Pattern::parse(text));
    let patterns = patterns.collect::<Result<Vec<_>, _>>().map_err(|error| {
        Failure::new(USAGE, error.to_string()).help("as in --regex 'year=[0-9]{4}'; docs.rs/regex has the syntax")
    })?;
    let units = args.unit.iter().map(|text| unit(text)).collect::<Result<Vec<_>, _>>()?;
    if let Some(path) = &args.out {
        place::check("-o", path, [&args.model].into_iter().chain(&args.text))?;
    }
    let bytes = read(args)?;
    let (crew, kernels) = machine(args.threads)?;
    let notes = Progress::new();
    let (model, _) = model::load(&args.model, &crew, &kernels, &notes)?;
    let lstm = model.config.cell == CellKind::Lstm;
    let holds = args.hold.iter().map(|text| parse_hold(text, lstm));
    let holds = holds.collect::<Result<Vec<_>, _>>().map_err(|message| Failure::new(USAGE, message).help(HOLD))?;
    let (exact, shown) = (args.exact, args.show.unwrap_or(SHOWN));
    let options = Options { patterns, units, holds, exact, shown, ..Options::default() };
    let mut told = 0;
    let seen = crew.steady(|| {
        scope(&model, &bytes, &options, (&crew, &kernels), |stage| tell(stage, &notes, &mut told)).map_err(refused)
    })?;
    summary(&seen, &notes);
    if let Some(path) = &args.out {
        page::write(path, &seen.page(), &notes)?;
    }
    if args.json {
        json::object(&seen.findings)?;
    }
    Ok(exit::OK)
}

const HOLD: &str = "layers and units count from 0; h can be held, and an LSTM's c";

/// `LAYER:UNIT`
fn unit(text: &str) -> Result<(usize, usize), Failure> {
    let numbers = text.split_once(':').and_then(|(layer, unit)| Some((layer.parse().ok()?, unit.parse().ok()?)));
    numbers.ok_or_else(|| {
        Failure::new(USAGE, format!("--unit {text} is no LAYER:UNIT")).help("as in --unit 1:34; both count from 0")
    })
}

/// The first bytes of the text, cut between characters.
fn read(args: &InspectArgs) -> Result<Vec<u8>, Failure> {
    let most = args.bytes.unwrap_or(BYTES);
    if args.builtin {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        return Ok(builtin::text(most, args.seed.unwrap_or(SEED)));
    }
    let Some(path) = &args.text else {
        return Err(Failure::new(USAGE, "no TEXT is given").help("give a file, - for stdin, or --builtin"));
    };
    let mut bytes = Vec::new();
    for path in corpus::expanded(std::slice::from_ref(path))? {
        let left = most.saturating_sub(bytes.len() as u64);
        let file = std::fs::File::open(&path);
        file.and_then(|file| file.take(left).read_to_end(&mut bytes)).map_err(|error: io::Error| {
            Failure::new(IO, format!("cannot read {}: {error}", path.display())).help("give a file that can be read")
        })?;
    }
    if bytes.len() as u64 >= most {
        // A character that the limit has cut is left out.
        let whole = bytes.utf8_chunks().last().filter(|last| !last.invalid().is_empty());
        let cut = whole.map_or(0, |last| last.invalid().len());
        if cut < 4 {
            bytes.truncate(bytes.len().saturating_sub(cut));
        }
    }
    Ok(bytes)
}

fn refused(error: ScopeError) -> Failure {
    match error {
        ScopeError::Corpus(error) => error.into(),
        ScopeError::Train(error) => {
            let of_hold = matches!(&error, TrainError::Config(ConfigError { flag: "hold", .. }));
            let failure = Failure::from(error);
            if of_hold { failure.help(HOLD) } else { failure }
        }
        ScopeError::TooShort { .. } => {
            Failure::new(BAD_DATA, error.to_string()).help("give a longer text, or --builtin")
        }
        ScopeError::NoUnit { .. } => {
            Failure::new(USAGE, error.to_string()).help("units count from 0, as in the names of the tensors")
        }
    }
}

/// A line for each quarter of the reading, and for what comes after.
fn tell(stage: Stage, notes: &Progress, told: &mut usize) {
    match stage {
        Stage::Reading(read, all) => {
            let quarter = read.saturating_mul(4).checked_div(all).unwrap_or(4);
            if quarter > *told {
                *told = quarter;
                notes.line(&format!("reading  {} of {} symbols", grouped(read as u64), grouped(all as u64)));
            }
        }
        Stage::Scoring => notes.line("scoring  every unit against every label"),
        Stage::Holding => notes.line("holding  units, reading and writing without them"),
        Stage::Showing => {}
    }
}

/// What was found, in short.
fn summary(seen: &Scope, notes: &Progress) {
    let Findings { probe, chars, read, unseen, compared, .. } = &seen.findings;
    let unseen = match unseen {
        0 => String::new(),
        n => format!("; {} never seen in training, read as nothing", grouped(*n as u64)),
    };
    let read = if read < chars { format!(", {} of them read", grouped(*read as u64)) } else { String::new() };
    notes.line(&format!(
        "text     {} characters{read}, units compared on {}{unseen}",
        grouped(*chars as u64),
        grouped(*compared as u64)
    ));
    for label in &probe.labels {
        let mut named = probe.names.iter().filter(|cell| cell.label == label.label);
        let Some(cell) = named.next() else { continue };
        let more = match named.count() {
            0 => String::new(),
            1 => ", and 1 more unit".to_owned(),
            n => format!(", and {n} more units"),
        };
        let which = format!("{} {}:{}", cell.part, cell.layer, cell.unit);
        let of = if label.kind == Kind::Number { "R2 " } else { "" };
        notes.line(&format!("cell     {which:<9} {:<22} {of}{:.3}{more}", cell.label, cell.score));
    }
    if probe.names.is_empty() {
        notes.line("cell     no unit has earned a name on this text");
    }
    let (names, best) = probe.labels.iter().filter(|l| l.asked).fold((0, 0.5_f64), |(names, best), label| {
        let control = label.control.iter().copied().fold(0.0, f64::max);
        let best = if label.kind == Kind::Binary { best.max(control) } else { best };
        (label.control_names.saturating_add(names), best)
    });
    notes.line(&format!("control  {names} names from turned labels; their best balanced accuracy is {best:.3}"));
    for hold in &seen.findings.holds {
        notes.line(&format!(
            "hold     {} {}:{} at {:.3} ({}): {:.3} -> {:.3} bits",
            hold.part, hold.layer, hold.unit, hold.value, hold.why, hold.before.all, hold.after.all
        ));
    }
}
