//! The closing table: suite, seconds, result; what runs elsewhere; and `N passed, M failed` in the last line.

use crate::elsewhere;
use crate::suite::Outcome;
use anyhow::Result;
use std::time::{Duration, Instant};

/// How one suite ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed,
    Skipped,
}

/// A line of the table.
pub(crate) struct Row {
    name: String,
    seconds: f64,
    verdict: Verdict,
    note: String,
}

impl Row {
    /// Runs a suite and keeps how it ended; under CI a skip is a failure.
    pub(crate) fn of(name: &str, run: impl FnOnce() -> Result<Outcome>) -> Row {
        let start = Instant::now();
        let (verdict, note) = judge(run(), on_ci(std::env::var("CI").ok().as_deref()));
        let row = Row { name: name.into(), seconds: start.elapsed().as_secs_f64(), verdict, note };
        println!("=== {}", row.line());
        row
    }

    fn line(&self) -> String {
        let verdict = match self.verdict {
            Verdict::Passed => "passed",
            Verdict::Failed => "FAILED",
            Verdict::Skipped => "skipped",
        };
        let colon = if self.note.is_empty() { "" } else { ": " };
        format!("{:<9} | {:>7.1} | {verdict}{colon}{}", self.name, self.seconds, self.note)
    }
}

/// Whether the value of `CI` asks for strictness.
fn on_ci(value: Option<&str>) -> bool {
    matches!(value, Some("true" | "1"))
}

fn judge(result: Result<Outcome>, ci: bool) -> (Verdict, String) {
    match result {
        Ok(Outcome::Passed(note)) => (Verdict::Passed, note),
        Ok(Outcome::Skipped(why)) if ci => (Verdict::Failed, format!("could not run: {why}")),
        Ok(Outcome::Skipped(why)) => (Verdict::Skipped, why),
        Err(error) => (Verdict::Failed, format!("{error:#}")),
    }
}

/// Prints the table and the counts; true if nothing failed.
pub(crate) fn print(rows: &[Row], elapsed: Duration) -> bool {
    println!("\nsuite     | seconds | result");
    println!("----------|---------|-------");
    for row in rows {
        println!("{}", row.line());
    }
    print_elsewhere();
    println!("\nin {:.0} s", elapsed.as_secs_f64());
    println!("{}", counts(rows));
    rows.iter().all(|row| row.verdict != Verdict::Failed)
}

fn counts(rows: &[Row]) -> String {
    let count = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
    let skipped = match count(Verdict::Skipped) {
        0 => String::new(),
        n => format!(", {n} skipped"),
    };
    format!("{} passed, {} failed{skipped}", count(Verdict::Passed), count(Verdict::Failed))
}

/// Prints what this machine can't run, with reasons.
pub(crate) fn print_elsewhere() {
    println!("\nelsewhere: not run here, neither passed nor failed");
    for (what, why) in elsewhere::list() {
        println!("  {what}: {why}");
    }
}

#[cfg(test)]
mod tests {
    use super::{Row, Verdict, counts, judge, on_ci};
    use crate::suite::Outcome;

    #[test]
    fn a_skip_is_a_failure_under_ci_only() {
        assert!(on_ci(Some("true")) && on_ci(Some("1")) && !on_ci(Some("false")) && !on_ci(None));
        assert_eq!(judge(Ok(Outcome::Skipped("no nightly".into())), true).0, Verdict::Failed);
        assert_eq!(judge(Ok(Outcome::Skipped("no nightly".into())), false).0, Verdict::Skipped);
        assert_eq!(judge(Err(anyhow::anyhow!("broken")), false), (Verdict::Failed, "broken".to_owned()));
    }

    #[test]
    fn the_last_line_counts_suites() {
        let row = |verdict| Row { name: String::new(), seconds: 0.0, verdict, note: String::new() };
        assert_eq!(counts(&[row(Verdict::Passed), row(Verdict::Passed)]), "2 passed, 0 failed");
        let mixed = [row(Verdict::Passed), row(Verdict::Failed), row(Verdict::Skipped)];
        assert_eq!(counts(&mixed), "1 passed, 1 failed, 1 skipped");
    }
}
