//! `--only layers`: forward and backward of recurrent layers inside PyTorch, `torch.nn`'s beside `gatemill.torch`'s.
//!
//! `benches/peers/torch_layer.py` measures, both alternating in one process; here its wheel is built and installed, and what
//! it prints becomes a record with a table: benches/record/DATE-CPU-Ncores-layers.{json,md}.

use super::{CompareArgs, cases, command_line, environment, machine, process};
use crate::workspace::Workspace;
use crate::{python, wheel};
use anyhow::{Context, Result};
use machine::Machine;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt::Write;
use std::path::PathBuf;

const SCRIPT: &str = "benches/peers/torch_layer.py";
/// What a layer that reads packed sequences is called on the script's command line.
const PACKED: &str = "packed";

/// A layer, both ways.
#[derive(Debug, Serialize, Deserialize)]
struct Layer {
    what: String,
    torch_ms: f64,
    gatemill_ms: f64,
    /// PyTorch's time over Gatemill's: the median of the rounds, then the least and the most.
    ratio: f64,
    spread: [f64; 2],
    torch_tokens_per_s: f64,
    gatemill_tokens_per_s: f64,
}

/// What a call costs: of the module beside the engine's own, or of one step.
#[derive(Debug, Serialize, Deserialize)]
struct Call {
    what: String,
    #[serde(flatten)]
    figures: serde_json::Map<String, Value>,
}

#[derive(Serialize)]
struct Record {
    what: &'static str,
    date: String,
    command: String,
    machine: Machine,
    /// What the script says of itself.
    versions: Value,
    layers: Vec<Layer>,
    calls: Vec<Call>,
}

/// Measures and writes the record. Errors: PyTorch or the wheel can't be installed, the script fails.
pub(crate) fn run(workspace: &Workspace, args: &CompareArgs, threads: usize) -> Result<()> {
    let python = environment::python(workspace)?;
    let folder = environment::folder(workspace).join("wheels");
    let built = wheel::wheel(workspace, &wheel::maturin(workspace)?, "release", "python3", &folder)?;
    let options = ["--no-index", "--no-deps", "--force-reinstall"].map(PathBuf::from);
    python::install(workspace, &python, options.iter().chain([&built]))?;

    let common = || {
        let mut command = workspace.command(&python);
        command.args(["-P", SCRIPT, "--threads", &threads.to_string(), "--rounds", &args.rounds.to_string()]);
        command.args(["--seconds", &args.seconds.to_string()]);
        command
    };
    let machine = machine::read();
    let date = machine::today(workspace)?;
    let out = match &args.out {
        Some(path) => path.clone(),
        None => workspace.root.join(format!("benches/record/{date}-{}-layers.json", machine.slug())),
    };
    let mut record = Record {
        what: "forward and backward of a layer with a dense input, torch.nn's beside gatemill.torch's, alternating",
        date,
        command: command_line(),
        machine,
        versions: Value::Null,
        layers: Vec::new(),
        calls: Vec::new(),
    };
    for name in names(args) {
        println!("{name}");
        let done = process::finish(common().args(["--only", &name]))?;
        let mut lines = done.stdout.lines();
        record.versions = parsed(lines.next().unwrap_or_default())?;
        for line in lines {
            println!("{line}");
            record.layers.push(parsed(line)?);
        }
        // After each, so that a run that is cut short leaves what it has.
        write(&record, &out)?;
    }
    let done = process::finish(common().arg("--overhead"))?;
    for line in done.stdout.lines().skip(1) {
        println!("{line}");
        record.calls.push(parsed(line)?);
    }
    write(&record, &out)?;
    println!("\n{}", markdown(&record));
    println!("record: {}, table: {}", out.display(), out.with_extension("md").display());
    Ok(())
}

/// The layers by the script's names: `lstm/C1`, ..., `lstm/packed`.
fn names(args: &CompareArgs) -> Vec<String> {
    let points = args.grid.iter().map(|point| point.name()).chain([PACKED]);
    points
        .flat_map(|point| args.cells.iter().map(move |cell: &cases::Cell| format!("{}/{point}", cell.name())))
        .collect()
}

fn parsed<T: for<'de> Deserialize<'de>>(line: &str) -> Result<T> {
    serde_json::from_str(line).with_context(|| format!("{SCRIPT} says {line:?}"))
}

fn write(record: &Record, path: &std::path::Path) -> Result<()> {
    let json = serde_json::to_string_pretty(record).context("the record as JSON")? + "\n";
    super::record::write_both(path, &json, &markdown(record))
}

fn markdown(record: &Record) -> String {
    let Record { date, command, machine, versions, .. } = record;
    let mut page = format!(
        "`{command}`, {date}; {}, {}. {}.\n\n\
         PyTorch {} as installed, {} threads, kernels {}; milliseconds of forward and backward, medians; times: PyTorch's over \
         Gatemill's (least - most of the rounds).\n\n| layer | PyTorch, ms | Gatemill, ms | times |\n|---|---|---|---|\n",
        machine.cpu,
        super::table::counted(machine.cores, "core"),
        record.what,
        versions["torch"].as_str().unwrap_or("?"),
        versions["threads"],
        versions["isa"].as_str().unwrap_or("?"),
    );
    for Layer { what, torch_ms, gatemill_ms, ratio, spread: [least, most], .. } in &record.layers {
        // Writing to a string can't fail.
        let _ =
            writeln!(page, "| {what} | {torch_ms:.2} | {gatemill_ms:.2} | **{ratio:.2}** ({least:.2} - {most:.2}) |");
    }
    if !record.calls.is_empty() {
        page += "\nA call of the module beside the engine's own on the same arrays, and one step from Python:\n\n";
    }
    for Call { what, figures } in &record.calls {
        let told: Vec<_> = figures.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let _ = writeln!(page, "- {what}: {}", told.join(", "));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::{Call, Layer, Machine, Record, markdown, names, parsed};
    use clap::Parser;
    use serde_json::json;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: super::CompareArgs,
    }

    #[test]
    fn layers_have_the_scripts_names() {
        let line = Line::parse_from(["x", "--only", "layers", "--grid", "C1", "--cells", "lstm,gru"]);
        assert_eq!(names(&line.args), ["lstm/C1", "gru/C1", "lstm/packed", "gru/packed"]);
    }

    #[test]
    fn what_the_script_prints_becomes_a_table() {
        let layer = r#"{"what": "lstm C1", "torch_ms": 5.0, "gatemill_ms": 4.0, "torch_tokens_per_s": 500000,
            "gatemill_tokens_per_s": 625000, "ratio": 1.25, "spread": [1.2, 1.3]}"#;
        let call = r#"{"what": "lstm step B 1, H 64", "us": 1.6}"#;
        let record = Record {
            what: "a test",
            date: "2026-11-27".into(),
            command: "cargo xtask compare --only layers".into(),
            machine: Machine { cpu: "X".into(), cores: 2, ..Machine::default() },
            versions: json!({"torch": "2.15.0", "threads": 2, "isa": "avx2"}),
            layers: vec![parsed::<Layer>(layer).unwrap()],
            calls: vec![parsed::<Call>(call).unwrap()],
        };
        let page = markdown(&record);
        assert!(page.contains("| lstm C1 | 5.00 | 4.00 | **1.25** (1.20 - 1.30) |\n"), "{page}");
        assert!(page.contains("- lstm step B 1, H 64: us 1.6\n"), "{page}");
        assert!(parsed::<Layer>("{}").is_err());
    }
}
