//! `cargo xtask test` runs every suite from a bare machine; `cargo xtask torture` runs the long forms;
//! `cargo xtask compare` measures Gatemill beside its peers.
//!
//! One file per task. A suite passes, fails, or is skipped because this machine lacks something that could be installed;
//! under `CI=true` a skipped suite is a failure. What such a machine can't have at all stands in `elsewhere.rs`, is printed
//! with its reason, and counts as nothing.
#![forbid(unsafe_code)]

// The frame: what a suite is, where the workspace lies, how a command runs, how the result is told.
mod elsewhere;
mod python;
mod report;
mod shell;
mod suite;
mod system;
mod workspace;

// Reading only: seconds.
mod borders;
mod spelling;
mod style;
mod supply;

// Building and running: minutes.
mod asan;
mod benches;
mod fuzz;
mod header;
mod install;
mod pages;
mod record;
mod tiers;
mod torture;
mod wheel;

// Measuring beside other engines: an hour, and never by a suite.
mod compare;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Every suite of Gatemill.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every suite (CI=true: a skipped suite is a failure).
    Test {
        /// Run only these suites (repeat, or separate by commas).
        #[arg(long, value_name = "NAME", value_delimiter = ',')]
        only: Vec<String>,
        /// Print the suites and what they check, and run nothing.
        #[arg(long)]
        list: bool,
    },
    /// Run the long forms: ignored tests on every tier (2^32 sweeps, random kills), then minutes of each fuzz target.
    Torture {
        /// Seconds for each fuzz target.
        #[arg(long, default_value_t = 600)]
        fuzz_seconds: u64,
        /// Random kills of a run.
        #[arg(long, default_value_t = 1000)]
        kills: u32,
        /// Only tests whose name contains this.
        #[arg(long, value_name = "NAME")]
        filter: Option<String>,
    },
    /// Measure each kernel beside its rivals and write the record, benches/record/DATE-CPU-Ncores-kernels.{json,md}.
    RecordBenches {
        /// The CPU in the record's file name, such as zen5; else what the system calls it.
        #[arg(long, value_name = "NAME")]
        cpu: Option<String>,
        /// Take what a run of the benches left in this folder (target/criterion) and run nothing.
        #[arg(long, value_name = "FOLDER")]
        from: Option<std::path::PathBuf>,
    },
    /// Make bindings/c/include/gatemill.h anew, after a change of bindings/c/src.
    Header,
    /// Measure Gatemill beside PyTorch, ONNX Runtime, candle and burn, alternating; installs PyTorch (gigabytes).
    Compare(compare::CompareArgs),
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// True if nothing failed. Errors: the command line or the checkout is not what it should be.
fn run(args: Args) -> Result<bool> {
    let workspace = workspace::Workspace::find()?;
    Ok(match args.task {
        Task::Test { list: true, .. } => {
            suite::list();
            true
        }
        Task::Test { only, list: false } => suite::run_all(&workspace, &suite::choose(&only)?),
        Task::Torture { fuzz_seconds, kills, filter } => {
            torture::run(&workspace, fuzz_seconds, kills, filter.as_deref())
        }
        Task::RecordBenches { cpu, from } => {
            record::run(&workspace, cpu.as_deref(), from.as_deref())?;
            true
        }
        Task::Header => {
            header::renew(&workspace)?;
            true
        }
        Task::Compare(args) => compare::run(&workspace, &args)?,
    })
}
