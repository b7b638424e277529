//! The flags of `gatemill corpus`.

use std::path::PathBuf;

use clap::Args;
use gatemill_train::VocabChoice;
use gatemill_train::task::TaskKind;

use super::{between, named, whole_or_zero};

/// `gatemill corpus`.
#[derive(Debug, Args)]
pub(crate) struct CorpusArgs {
    /// The text: files, and folders with all files in them, read in this order, as one
    #[arg(value_name = "FILE|DIR", required_unless_present_any = ["builtin", "task"])]
    pub(crate) files: Vec<PathBuf>,
    /// What a symbol is: a character of UTF-8 text, or a byte of any file [default: chars]
    #[arg(long, value_name = "KIND", value_parser = named::<VocabChoice>(&["chars", "bytes"]))]
    pub(crate) vocab: Option<VocabChoice>,
    /// List every symbol, not only the 40 most frequent
    #[arg(long)]
    pub(crate) all: bool,
    /// Write one JSON object to stdout
    #[arg(long)]
    pub(crate) json: bool,

    /// Write the text that `gatemill train` learns from where it is given none
    #[arg(long, requires = "bytes", group = "made", conflicts_with_all = ["files", "vocab", "all", "json"])]
    builtin: bool,
    /// How much of it: 5000, 64KiB, 10MB, 1_000_000
    #[arg(long, value_name = "N", requires = "builtin", value_parser = size_bytes)]
    bytes: Option<u64>,
    /// Write the examples that `gatemill train --task` learns from where it is given none: one a line, INPUT, a tab, OUTPUT
    #[arg(long, value_name = "TASK", group = "made", conflicts_with_all = ["files", "vocab", "all", "json"], value_parser = named::<TaskKind>(&["classify", "tag", "translate", "describe", "map"]))]
    task: Option<TaskKind>,
    /// How many of them [default: as many as it learns from]
    #[arg(long, value_name = "N", requires = "task", value_parser = between::<u32>(1, i64::from(u32::MAX)))]
    examples: Option<u32>,
    /// Which of them: another seed, another text, other examples [default: 1]
    #[arg(long, value_name = "N", requires = "made", value_parser = whole_or_zero())]
    seed: Option<u64>,
    /// In place of the text a table with tabs: each character and what surrounds it
    #[arg(long, requires = "builtin")]
    labels: bool,
}

/// A built-in text to write.
#[derive(Debug)]
pub(crate) struct BuiltinText {
    pub(crate) bytes: u64,
    pub(crate) seed: u64,
    pub(crate) labels: bool,
}

impl CorpusArgs {
    /// The examples made for a task, where they are asked for: which, how many where that is said, of which seed.
    pub(crate) fn made(&self) -> Option<(TaskKind, Option<u32>, u64)> {
        Some((self.task?, self.examples, self.seed.unwrap_or(1)))
    }

    /// The built-in text, where it is asked for.
    pub(crate) fn text(&self) -> Option<BuiltinText> {
        let bytes = self.bytes.filter(|_| self.builtin)?;
        Some(BuiltinText { bytes, seed: self.seed.unwrap_or(1), labels: self.labels })
    }
}

/// Digits, with `_` between them at will, and a unit: kB, MB, GB, TB are powers of 1000, with or without the B; KiB, MiB,
/// GiB, TiB powers of 1024.
pub(super) fn size_bytes(text: &str) -> Result<u64, String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let number = digits.replace('_', "").parse::<u64>().map_err(|_| "it must begin with a whole number below 2^64")?;
    let unit = unit.trim_start().to_ascii_lowercase();
    let letters = unit.strip_suffix('b').unwrap_or(&unit);
    let (prefix, base) = match letters.strip_suffix('i') {
        // Ki alone could be anything.
        Some(prefix) if letters.len() < unit.len() && !prefix.is_empty() => (prefix, 1024_u64),
        _ => (letters, 1000),
    };
    let power = match prefix {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return Err("the unit must be kB, MB, GB, TB, KiB, MiB, GiB or TiB".to_owned()),
    };
    let unit = base.checked_pow(power);
    unit.and_then(|unit| number.checked_mul(unit)).ok_or_else(|| "that is 2^64 bytes or more".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, bytes) in [
            ("0", 0),
            ("5000", 5000),
            ("1_000_000", 1_000_000),
            ("7b", 7),
            ("3k", 3000),
            ("3kB", 3000),
            ("3KiB", 3072),
            ("10M", 10_000_000),
            ("1 MB", 1_000_000),
            ("2mib", 2 << 20),
            ("1GB", 1_000_000_000),
            ("1GiB", 1 << 30),
            ("2TB", 2_000_000_000_000),
            ("1TiB", 1 << 40),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(size_bytes(text), Ok(bytes), "{text}");
        }
        let wrong = ["", "_", "MB", "-1", "1.5GB", "1XB", "1Ki", "1iB", "1e9", "18446744073709551616", "17000000TiB"];
        for text in wrong {
            assert!(size_bytes(text).is_err(), "{text}");
        }
    }
}
