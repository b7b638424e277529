//! `cargo xtask compare`: Gatemill beside its peers on the same work, alternating in one run; a record with ratios.
//!
//! Per configuration each contender is a process of its own, one after the other, ROUNDS times, every second round in
//! reverse. What is measured how: `benches/METHODOLOGY.md`. No suite of `cargo xtask test` runs this or installs a peer.

mod cases;
mod contenders;
mod environment;
mod estimate;
mod layers;
mod machine;
mod own;
mod process;
mod record;
mod table;

use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use cases::{Case, Cell, Kind, Point};
use contenders::{Contender, Engine, Lab, Run};
use record::{Configuration, Record};
use std::path::{Path, PathBuf};

/// What is compared, and how long.
#[derive(clap::Args)]
pub(crate) struct CompareArgs {
    /// Points of the grid to train at.
    #[arg(long, value_name = "POINT", value_delimiter = ',', default_value = "c1,c2,c3,c4,c5", ignore_case = true)]
    grid: Vec<Point>,
    /// Only these cells.
    #[arg(long, value_name = "CELL", value_delimiter = ',', default_value = "lstm,gru,rnn")]
    cells: Vec<Cell>,
    /// Only these peers.
    #[arg(long, value_name = "PEER", value_delimiter = ',', default_value = "torch,torch-tuned,onnx,candle,burn")]
    peers: Vec<Engine>,
    /// Only this kind of work.
    #[arg(long, value_name = "KIND")]
    only: Option<Work>,
    /// Processes of each contender per configuration.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds that each process measures, after its warm-up (five steps at least).
    #[arg(long, value_name = "S", default_value_t = 3.0, value_parser = seconds)]
    seconds: f64,
    /// Threads of every contender; generation is measured with one as well [default: all that this process may use].
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// A gatemill to measure in place of building one.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// The record; its table stands beside it as .md [default: benches/record/DATE-CPU-Ncores-compare.json].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What is compared: whole models by their commands, or layers inside PyTorch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Work {
    /// Whole steps of a character model.
    Training,
    /// One stream of drawn symbols.
    Generation,
    /// Forward and loss.
    Scoring,
    /// Forward and backward of one layer, torch.nn's beside gatemill.torch's: a record of its own.
    Layers,
}

impl Work {
    /// None: layers.
    fn kind(self) -> Option<Kind> {
        match self {
            Work::Training => Some(Kind::Training),
            Work::Generation => Some(Kind::Generation),
            Work::Scoring => Some(Kind::Scoring),
            Work::Layers => None,
        }
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if seconds.is_finite() && seconds > 0.0 { Ok(seconds) } else { Err("seconds are a number above 0".into()) }
}

/// Runs the comparison. False if somebody failed at something; the record then says so and has the rest.
pub(crate) fn run(workspace: &Workspace, args: &CompareArgs) -> Result<bool> {
    let available = std::thread::available_parallelism().context("how many threads this process may use")?.get();
    let threads = args.threads.unwrap_or(available).max(1);
    if args.only == Some(Work::Layers) {
        layers::run(workspace, args, threads)?;
        return Ok(true);
    }
    let cases = cases::chosen(&args.grid, &args.cells, args.only.and_then(Work::kind));
    let plan: Vec<(Case, Vec<(Engine, usize)>)> = cases
        .into_iter()
        .map(|case| (case, contenders::of(&case, &args.peers, threads)))
        .filter(|(_, contenders)| contenders.len() > 1)
        .collect();
    if plan.is_empty() {
        bail!("none of these peers does any of this work: see `cargo xtask compare --help`");
    }
    let estimate = estimate::seconds(&plan, args.rounds, args.seconds);
    println!(
        "{}, {}, {}: about {} of measuring, after what must be built",
        table::counted(plan.len(), "configuration"),
        table::counted(args.rounds as usize, "round"),
        table::counted(threads, "thread"),
        table::counted((estimate / 60.0).ceil() as usize, "minute")
    );

    let lab = Lab::new(workspace, &plan, args.binary.as_deref(), args.seconds, available)?;
    let machine = machine::read();
    let date = machine::today(workspace)?;
    let out = match &args.out {
        Some(path) => path.clone(),
        None => workspace.root.join(format!("benches/record/{date}-{}-compare.json", machine.slug())),
    };
    let mut record = Record {
        what: "Gatemill beside its peers, alternating in one run; rates are tokens per second of whole steps",
        date,
        command: command_line(),
        machine,
        versions: lab.versions.clone(),
        rounds: args.rounds,
        seconds: args.seconds,
        threads,
        configurations: Vec::new(),
        failed: Vec::new(),
    };
    for (case, engines) in plan {
        println!("\n=== {}", case.title());
        let configuration = measure(&lab, case, &engines, args.rounds, &mut record.failed);
        println!("{}", table::one_line(&configuration));
        record.configurations.push(configuration);
        // After each, so that a run that is cut short leaves what it has.
        record.write(&out)?;
    }
    println!("\n{}", table::markdown(&record));
    println!("record: {}, table: {}", out.display(), out.with_extension("md").display());
    for failure in &record.failed {
        eprintln!("failed: {failure}");
    }
    Ok(record.failed.is_empty())
}

/// One configuration: each contender is prepared (forms probed, lengths chosen), then all alternate. One that fails is left out.
fn measure(
    lab: &Lab<'_>,
    case: Case,
    engines: &[(Engine, usize)],
    rounds: u32,
    failed: &mut Vec<String>,
) -> Configuration {
    let mut give_up = |engine: Engine, threads: usize, error: &anyhow::Error| {
        let text = format!("{}, {} with {}: {error:#}", case.title(), engine.name(), table::counted(threads, "thread"));
        eprintln!("{text}");
        failed.push(text);
    };
    let mut contenders: Vec<Contender> = Vec::new();
    for &(engine, threads) in engines {
        match Contender::prepare(lab, &case, engine, threads) {
            Ok(contender) => {
                println!("{:<22} {}", contender.title(), contender.setting());
                contenders.push(contender);
            }
            Err(error) => give_up(engine, threads, &error),
        }
    }
    let mut runs: Vec<Vec<Run>> = contenders.iter().map(|_| Vec::new()).collect();
    let mut lost = vec![false; contenders.len()];
    for round in 0..rounds as usize {
        for at in in_turn(contenders.len(), round) {
            let contender = &contenders[at];
            if lost[at] {
                continue;
            }
            match contender.measure(lab, &case).and_then(|run| run.checked(&case)) {
                Ok(run) => {
                    println!("round {} {:<22} {}", round + 1, contender.title(), run.shown());
                    runs[at].push(run);
                }
                Err(error) => {
                    lost[at] = true;
                    give_up(contender.engine, contender.threads, &error);
                }
            }
        }
    }
    let measured = contenders.into_iter().zip(runs).zip(lost).filter(|(_, lost)| !lost).map(|(measured, _)| measured);
    Configuration::new(case, measured.collect())
}

/// The order of a round: every second one is reversed.
fn in_turn(count: usize, round: usize) -> Vec<usize> {
    if round.is_multiple_of(2) { (0..count).collect() } else { (0..count).rev().collect() }
}

/// As a reader would type it, from the root.
fn command_line() -> String {
    let args = std::env::args().skip(1).map(|arg| {
        // A binary is named, not where it lies.
        let name = Path::new(&arg).file_name().map(|name| name.to_string_lossy().into_owned());
        if arg.starts_with('/') { name.unwrap_or(arg) } else { arg }
    });
    std::iter::once("cargo xtask".to_owned()).chain(args).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::{CompareArgs, Engine, Work, in_turn};
    use crate::compare::cases::{Cell, Point};
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: CompareArgs,
    }

    fn parsed(line: &str) -> Result<CompareArgs, clap::Error> {
        Line::try_parse_from(std::iter::once("x").chain(line.split_whitespace())).map(|line| line.args)
    }

    #[test]
    fn without_flags_the_whole_grid_and_every_peer() {
        let args = parsed("").unwrap();
        assert_eq!((args.grid.len(), args.cells.len(), args.peers.len()), (5, 3, 5));
        assert!(!args.peers.contains(&Engine::Gatemill) && args.only.is_none() && args.rounds == 3);
    }

    #[test]
    fn lists_are_cut_at_commas_and_points_are_written_either_way() {
        let line =
            "--grid C1,c3 --cells gru --peers torch-tuned,burn --only training --rounds 1 --threads 2 --seconds 0.5";
        let args = parsed(line).unwrap();
        assert_eq!((args.grid, args.cells), (vec![Point::C1, Point::C3], vec![Cell::Gru]));
        assert_eq!((args.peers, args.only), (vec![Engine::TorchTuned, Engine::Burn], Some(Work::Training)));
        assert_eq!((args.rounds, args.threads, args.seconds), (1, Some(2), 0.5));
    }

    #[test]
    fn what_is_no_flag_of_it_is_refused() {
        for line in ["--grid C6", "--peers gatemill", "--rounds 0", "--seconds 0", "--seconds nan", "--only play"] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }

    #[test]
    fn every_second_round_is_reversed() {
        assert_eq!((in_turn(3, 0), in_turn(3, 1)), (vec![0, 1, 2], vec![2, 1, 0]));
    }
}
