//! Figures as a file: what `--save` writes and `--diff` reads (doc/files.md).
//!
//! Written whole or not at all, as every file here. Reading trusts nothing: what is no such file, of a format to come, or
//! has rates that cannot be, is an error that names it.

use std::io::Read;
use std::path::Path;

use gatemill_kernels::Kernels;
use gatemill_train::bench::Record;
use gatemill_train::checkpoint::replace_file;
use serde::{Deserialize, Serialize};

use crate::exit::{BAD_DATA, Failure, IO};
use crate::machine::host::Host;
use crate::progress::printable;
use crate::train::storage;

/// What this program writes, and the latest that it reads.
const FORMAT: u32 = 1;
/// Far more than a grid on every number of threads; a text given by mistake may be larger.
const LARGEST_BYTES: u64 = 16 << 20;
const HELP: &str = "give files that `gatemill bench --save FILE` has written";

/// A file's content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Document {
    /// Of the file.
    gatemill_bench: u32,
    pub(super) version: String,
    /// None: built outside of its repository.
    pub(super) commit: Option<String>,
    /// UTC.
    pub(super) date: String,
    pub(super) machine: Machine,
    pub(super) records: Vec<Record>,
}

/// Where it was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) cpu: Option<String>,
    pub(super) arch: String,
    pub(super) cores: Option<usize>,
    /// Those that the process might run on.
    pub(super) affinity_cores: Option<usize>,
    /// CPUs' worth of time that its cgroup granted; none: all.
    pub(super) quota_cpus: Option<f64>,
    pub(super) isa: String,
}

/// What every format has.
#[derive(Deserialize)]
struct Format {
    gatemill_bench: u32,
}

impl Document {
    /// These measurements, made now and here.
    pub(super) fn new(records: Vec<Record>, kernels: &Kernels) -> Self {
        let Host { cpu, arch, cores, affinity_cores, quota_cpus, .. } = Host::below(Path::new("/"));
        let isa = kernels.name().to_owned();
        Self {
            gatemill_bench: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("GATEMILL_COMMIT").map(str::to_owned),
            date: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            machine: Machine { cpu, arch: arch.to_owned(), cores, affinity_cores, quota_cpus, isa },
            records,
        }
    }

    /// Writes it. Errors: the system's.
    pub(super) fn write(&self, path: &Path) -> Result<(), Failure> {
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        replace_file(storage().as_ref(), path, &text)
            .map_err(|error| Failure::new(IO, error.to_string()).help("give another file to --save"))
    }

    /// Reads one. Errors: not to be read; no such file.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let cannot = |error| Failure::new(IO, format!("cannot read {shown}: {error}")).help(HELP);
        let mut text = Vec::new();
        let file = storage().open(path).map_err(cannot)?;
        file.content.take(LARGEST_BYTES.saturating_add(1)).read_to_end(&mut text).map_err(cannot)?;
        let bad = |what: String| Failure::new(BAD_DATA, format!("{shown} {what}")).help(HELP);
        if text.len() as u64 > LARGEST_BYTES {
            return Err(bad(format!("is larger than {LARGEST_BYTES} bytes: no saved measurements")));
        }
        Self::parse(&text).map_err(bad)
    }

    fn parse(text: &[u8]) -> Result<Self, String> {
        let no = |error: serde_json::Error| format!("holds no saved measurements: {error}");
        let Format { gatemill_bench } = serde_json::from_slice(text).map_err(no)?;
        if !(1..=FORMAT).contains(&gatemill_bench) {
            return Err(format!("is of format {gatemill_bench}; this Gatemill reads format {FORMAT}"));
        }
        let document: Self = serde_json::from_slice(text).map_err(no)?;
        for record in &document.records {
            let rate = record.tokens_per_s.median;
            if !(rate.is_finite() && rate > 0.0) {
                return Err(format!("has a rate that cannot be: {rate} tokens/s of {}", record.sizes));
            }
        }
        Ok(document)
    }

    /// Machine, version and date in a line.
    pub(super) fn in_words(&self) -> String {
        let Self { version, commit, date, machine, .. } = self;
        let Machine { cpu, cores, affinity_cores, isa, .. } = machine;
        let cores = match (affinity_cores.or(*cores), cores) {
            (Some(mine), Some(all)) if mine != *all => format!("{mine} of {all} cores"),
            (Some(count), _) => format!("{count} core{}", if count == 1 { "" } else { "s" }),
            (None, _) => "cores unknown".to_owned(),
        };
        let commit = commit.as_ref().map_or(String::new(), |commit| format!(" ({commit})"));
        let cpu = cpu.as_deref().unwrap_or("CPU of unknown name");
        printable(&format!("{cpu}, {cores}, {isa}; gatemill {version}{commit}, {date}")).replace(['\n', '\t'], " ")
    }
}

impl Machine {
    /// What is not the same in another, by name.
    pub(super) fn differences(&self, other: &Self) -> Vec<&'static str> {
        [
            ("cpu", self.cpu != other.cpu || self.arch != other.arch),
            ("cores", self.cores != other.cores || self.affinity_cores != other.affinity_cores),
            ("quota", self.quota_cpus != other.quota_cpus),
            ("kernels", self.isa != other.isa),
        ]
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_to_come_says_its_format_whatever_it_holds() {
        let error = Document::parse(br#"{"gatemill_bench": 7, "rows": []}"#).unwrap_err();
        assert!(error.contains("format 7") && error.contains("reads format 1"), "{error}");
        for text in ["", "[]", "{}", r#"{"gatemill_bench": 1}"#, r#"{"gatemill_bench": -1}"#, "nonsense"] {
            let error = Document::parse(text.as_bytes()).unwrap_err();
            assert!(error.contains("no saved measurements"), "{text}: {error}");
        }
    }

    #[test]
    fn machines_differ_in_what_speed_depends_on() {
        let here = Document::new(Vec::new(), &Kernels::best()).machine;
        let none: [&str; 0] = [];
        assert_eq!(here.differences(&here), none);
        let other = Machine { cpu: Some("Mill 9000".into()), cores: Some(9999), isa: "none".into(), ..here.clone() };
        assert_eq!(here.differences(&other), ["cpu", "cores", "kernels"]);
    }
}
