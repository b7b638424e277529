//! `cargo xtask record-benches`: runs the kernels' benches afresh and keeps what criterion found as a record.
//!
//! A record is `benches/record/DATE-CPU-Ncores-kernels.json` and the same as a table, `.md`. A group's members
//! `peak before` and `peak after` are the peak of the same run: the others are told as fractions of the larger too.

use crate::shell;
use crate::system;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The benches of kernels (benches/Cargo.toml); whole phases are not among them.
const KERNELS: [&str; 7] = ["gates", "input_grad", "weight_grad", "readout", "gate_grad", "update", "bf16"];

/// One measured member of a group. Rates are in 10^9 per second.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    group: String,
    name: String,
    unit: &'static str,
    median: f64,
    /// Of criterion's confidence interval, like `high`.
    low: f64,
    high: f64,
    /// Of the group's larger peak, where it has one.
    fraction_of_peak: Option<f64>,
}

/// Runs the benches, or takes what lies in `from`, and writes the record. `cpu` is its name in the file's name.
pub(crate) fn run(workspace: &Workspace, cpu: Option<&str>, from: Option<&Path>) -> Result<()> {
    let mut bench = workspace.cargo(["bench", "--locked", "--package", "gatemill-benches"]);
    bench.args(KERNELS.iter().flat_map(|name| ["--bench", name]));
    let mut command = shell::shown(&bench);
    let found: PathBuf = match from {
        Some(folder) => {
            command = format!("not run here: collected from {}", folder.display());
            folder.to_path_buf()
        }
        None => {
            let folder = workspace.target.join("record-benches");
            // What an older run left would pass for this one's.
            system::remove(&folder)?;
            shell::run(bench.env("CRITERION_HOME", &folder))?;
            folder
        }
    };
    let rows = collect(&found)?;

    let said = |program: &str, args: &[&str]| -> Result<String> {
        let out = workspace.command(program).args(args).output().with_context(|| format!("can't start {program}"))?;
        Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
    };
    let (date, commit) = (said("date", &["-u", "+%F"])?, said("git", &["describe", "--always", "--dirty"])?);
    let (model, cores) = this_cpu();
    let name = format!("{date}-{}-{cores}cores-kernels", cpu.map_or_else(|| slug(&model), slug));
    let head = json!({
        "what": "each kernel on one thread, beside other people's bare products; medians and criterion's 95 % interval",
        "date": date,
        "machine": format!("{model}, {cores} cores, {}", std::env::consts::OS),
        "toolchain": said("rustc", &["--version"])?,
        "commit": commit,
        "command": command,
    });
    let folder = workspace.root.join("benches/record");
    for (ending, text) in [("json", as_json(&head, &rows)?), ("md", as_table(&head, &rows)?)] {
        let path = folder.join(format!("{name}.{ending}"));
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        println!("wrote {}", path.display());
    }
    print!("{}", as_table(&head, &rows)?);
    Ok(())
}

/// Every measurement under criterion's folder, by group; within it the yardstick first, then ours, then the rivals.
/// Errors: there is none, or a file is not criterion's.
fn collect(folder: &Path) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    walk(folder, &mut rows)?;
    if rows.is_empty() {
        bail!("no measurement lies under {}: run the benches first (cargo bench, not cargo test)", folder.display());
    }
    let rank = |name: &str| (!(is_peak(name) || name == "read"), !name.starts_with("gatemill"));
    rows.sort_by(|a, b| (&a.group, rank(&a.name), &a.name).cmp(&(&b.group, rank(&b.name), &b.name)));
    let peaks: Vec<Row> = rows.iter().filter(|row| is_peak(&row.name)).cloned().collect();
    for row in rows.iter_mut().filter(|row| !is_peak(&row.name)) {
        let of_group = peaks.iter().filter(|peak| peak.group == row.group).map(|peak| peak.median);
        row.fraction_of_peak = of_group.reduce(f64::max).map(|peak| row.median / peak);
    }
    Ok(rows)
}

fn is_peak(name: &str) -> bool {
    name.starts_with("peak ")
}

/// Adds the measurement of each folder `new` at or below `folder`.
fn walk(folder: &Path, rows: &mut Vec<Row>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry.with_context(|| format!("reading {}", folder.display()))?.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name == "new") {
            let row = row(&read(&path.join("benchmark.json"))?, &read(&path.join("estimates.json"))?);
            rows.push(row.with_context(|| format!("{}: not criterion's files", path.display()))?);
        } else if path.is_dir() {
            walk(&path, rows)?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Value> {
    let text = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{}: no JSON", path.display()))
}

/// A measurement from criterion's description and its estimates. None where a field is missing.
fn row(benchmark: &Value, estimates: &Value) -> Option<Row> {
    let median = &estimates["median"];
    let (each, unit) = match (benchmark["throughput"]["Elements"].as_f64(), benchmark["throughput"]["Bytes"].as_f64()) {
        (Some(flop), _) => (flop, "GFLOP/s"),
        (None, bytes) => (bytes?, "GB/s"),
    };
    // Estimates are nanoseconds, so the quotient is 10^9 per second; the longest time is the lowest rate.
    let rate = |nanoseconds: &Value| nanoseconds.as_f64().map(|ns| each / ns);
    Some(Row {
        group: benchmark["group_id"].as_str()?.into(),
        name: benchmark["function_id"].as_str()?.into(),
        unit,
        median: rate(&median["point_estimate"])?,
        low: rate(&median["confidence_interval"]["upper_bound"])?,
        high: rate(&median["confidence_interval"]["lower_bound"])?,
        fraction_of_peak: None,
    })
}

fn as_json(head: &Value, rows: &[Row]) -> Result<String> {
    let rounded = |x: f64| (x * 100.0).round() / 100.0;
    let mut record = head.clone();
    record["rows"] = rows
        .iter()
        .map(|row| {
            json!({
                "group": row.group, "name": row.name, "unit": row.unit, "low": rounded(row.low),
                "median": rounded(row.median), "high": rounded(row.high),
                "fraction_of_peak": row.fraction_of_peak.map(|x| (x * 1e4).round() / 1e4),
            })
        })
        .collect();
    Ok(serde_json::to_string_pretty(&record)? + "\n")
}

fn as_table(head: &Value, rows: &[Row]) -> Result<String> {
    let said = |key: &str| head[key].as_str().unwrap_or_default();
    let mut text = format!("# Kernels, {}, {}\n\n", said("date"), said("machine"));
    writeln!(text, "{}. Commit {}, {}.\n", said("what"), said("commit"), said("toolchain"))?;
    writeln!(text, "    {}\n", said("command"))?;
    text.push_str("| group | what | median | low to high | of the peak |\n|---|---|---|---|---|\n");
    let mut before = "";
    for row in rows {
        let group = if row.group == before { "" } else { &row.group };
        let fraction = row.fraction_of_peak.map_or(String::new(), |x| format!("{:.1} %", 100.0 * x));
        let Row { name, unit, median, low, high, .. } = row;
        writeln!(text, "| {group} | {name} | {median:.1} {unit} | {low:.1} to {high:.1} | {fraction} |")?;
        before = &row.group;
    }
    Ok(text)
}

/// What the system calls the CPU, and its cores: all of them, for a bench may be kept to one.
fn this_cpu() -> (String, usize) {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let values = |key: &str| -> Vec<&str> {
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(name, _)| name.trim() == key).map(|(_, value)| value.trim()).collect()
    };
    let model = values("model name").first().map_or("unknown CPU".into(), |name| (*name).to_owned());
    let counted = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (model, values("processor").len().max(counted))
}

/// Letters and digits in lower case, a dash for what is between them.
fn slug(name: &str) -> String {
    let dashed: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    dashed.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::{as_json, as_table, collect, slug};
    use serde_json::{Value, json};
    use std::path::{Path, PathBuf};

    /// A folder of its own, gone at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("gatemill-record-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Folder(path)
        }
    }
    impl Drop for Folder {
        fn drop(&mut self) {
            // A folder that stays behind fails no test.
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn measured(home: &Path, group: &str, name: &str, throughput: Value, [low, median, high]: [f64; 3]) {
        for age in ["new", "base"] {
            let folder = home.join(group.replace('/', "_")).join(name).join(age);
            std::fs::create_dir_all(&folder).unwrap();
            let median = if age == "new" { median } else { 1.0 };
            let benchmark =
                json!({"group_id": group, "function_id": name, "value_str": null, "throughput": throughput});
            let interval = json!({"confidence_level": 0.95, "lower_bound": low, "upper_bound": high});
            let estimates = json!({"median": {"confidence_interval": interval, "point_estimate": median}});
            std::fs::write(folder.join("benchmark.json"), benchmark.to_string()).unwrap();
            std::fs::write(folder.join("estimates.json"), estimates.to_string()).unwrap();
        }
    }

    #[test]
    fn rates_and_fractions_come_from_criterion_s_newest_files() {
        let home = Folder::new("rates");
        let group = "gates lstm 32x512x128/avx512";
        measured(&home.0, group, "faer", json!({"Elements": 4000}), [70.0, 80.0, 100.0]);
        measured(&home.0, group, "gatemill", json!({"Elements": 4000}), [49.0, 50.0, 51.0]);
        measured(&home.0, group, "peak before", json!({"Elements": 1000}), [9.0, 10.0, 11.0]);
        measured(&home.0, group, "peak after", json!({"Elements": 1000}), [9.0, 12.5, 14.0]);
        measured(&home.0, "update adam C1/avx512", "gatemill", json!({"Bytes": 300}), [9.0, 10.0, 11.0]);
        std::fs::create_dir_all(home.0.join("report")).unwrap();

        let rows = collect(&home.0).unwrap();
        let told: Vec<_> = rows.iter().map(|r| (r.name.as_str(), r.unit, r.median, r.fraction_of_peak)).collect();
        let expected = [
            ("peak after", "GFLOP/s", 80.0, None),
            ("peak before", "GFLOP/s", 100.0, None),
            ("gatemill", "GFLOP/s", 80.0, Some(0.8)),
            ("faer", "GFLOP/s", 50.0, Some(0.5)),
            ("gatemill", "GB/s", 30.0, None),
        ];
        assert_eq!(told, expected);
        assert_eq!((rows[3].low, rows[3].high), (40.0, 4000.0 / 70.0));

        let head = json!({"date": "2026-11-26", "machine": "a CPU", "what": "kernels"});
        let table = as_table(&head, &rows).unwrap();
        assert!(table.contains("|  | peak before | 100.0 GFLOP/s | 90.9 to 111.1 |  |\n"), "{table}");
        assert!(table.contains("|  | faer | 50.0 GFLOP/s | 40.0 to 57.1 | 50.0 % |\n"), "{table}");
        let record: Value = serde_json::from_str(&as_json(&head, &rows).unwrap()).unwrap();
        assert_eq!(record["date"], "2026-11-26");
        assert_eq!((&record["rows"][2]["fraction_of_peak"], &record["rows"][4]["unit"]), (&json!(0.8), &json!("GB/s")));
    }

    #[test]
    fn a_folder_without_measurements_and_a_file_of_another_kind_are_errors() {
        let home = Folder::new("errors");
        assert!(collect(&home.0).unwrap_err().to_string().contains("no measurement"));
        measured(&home.0, "group", "name", json!(null), [1.0, 1.0, 1.0]);
        assert!(format!("{:#}", collect(&home.0).unwrap_err()).contains("not criterion's files"));
    }

    #[test]
    fn a_cpu_s_name_becomes_part_of_a_file_s() {
        assert_eq!(slug("AMD EPYC 9B45 (Zen 5)"), "amd-epyc-9b45-zen-5");
    }
}
