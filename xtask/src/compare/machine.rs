//! The machine of a record: what the system tells of itself.

use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use serde::Serialize;

/// A machine; what a system does not tell stays empty.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Machine {
    /// With family and model, because a virtual machine's name often says too little.
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory_mb: u64,
    pub(crate) kernel: String,
    /// Of the last minute before the first measurement: what else ran.
    pub(crate) load_average: Option<f64>,
}

/// Reads /proc.
pub(crate) fn read() -> Machine {
    let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let (cpuinfo, meminfo, load) = (file("/proc/cpuinfo"), file("/proc/meminfo"), file("/proc/loadavg"));
    let model = field(&cpuinfo, "model name").unwrap_or(std::env::consts::ARCH);
    let numbers = [("family", "cpu family"), ("model", "model")].map(|(name, key)| Some((name, field(&cpuinfo, key)?)));
    let numbers: Vec<_> = numbers.into_iter().flatten().map(|(name, number)| format!("{name} {number}")).collect();
    let kib = field(&meminfo, "MemTotal").and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    Machine {
        cpu: if numbers.is_empty() { model.to_owned() } else { format!("{model} ({})", numbers.join(", ")) },
        cores: cpuinfo.lines().filter(|line| line.starts_with("processor")).count().max(1),
        memory_mb: kib.unwrap_or(0) * 1024 / 1_000_000,
        kernel: format!("{} {}", std::env::consts::OS, file("/proc/sys/kernel/osrelease").trim()),
        load_average: load.split_whitespace().next().and_then(|text| text.parse().ok()),
    }
}

/// The value of the first `key : value` line.
fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim())
}

impl Machine {
    /// For a file's name: `amd-epyc-family-26-model-2-2cores`.
    pub(crate) fn slug(&self) -> String {
        let plain: String = self.cpu.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { ' ' }).collect();
        let words: Vec<_> = plain.split_whitespace().map(str::to_ascii_lowercase).collect();
        format!("{}-{}cores", words.join("-"), self.cores)
    }
}

/// The day, as the system's `date` gives it.
pub(crate) fn today(workspace: &Workspace) -> Result<String> {
    let out = workspace.command("date").args(["-u", "+%Y-%m-%d"]).output().context("can't start date")?;
    let text = String::from_utf8_lossy(&out.stdout).trim().to_owned();
    if !out.status.success() || text.len() != "2026-01-01".len() {
        bail!("`date -u +%Y-%m-%d` says {text:?}: give the record's name with --out");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::{Machine, field};

    #[test]
    fn a_name_for_files_and_fields_of_proc() {
        let cpu = "Some(R) CPU @ 2.0GHz (family 25, model 17)".to_owned();
        let machine = Machine { cpu, cores: 2, ..Machine::default() };
        assert_eq!(machine.slug(), "some-r-cpu-2-0ghz-family-25-model-17-2cores");
        let text = "cpu family\t: 26\nmodel\t\t: 2\nmodel name\t: X\n";
        assert_eq!((field(text, "model"), field(text, "model name"), field(text, "no")), (Some("2"), Some("X"), None));
    }
}
