//! Runs a command in sight: its lines as they come, a sign of life each minute, and how many tests it ran.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// No suite is silent for longer than this.
const SIGN_OF_LIFE: Duration = Duration::from_secs(60);

/// What the test harnesses of one command reported, added up.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    /// Tests that ran and passed.
    pub(crate) passed: u64,
    /// Long forms that `cargo xtask torture` runs.
    pub(crate) ignored: u64,
    /// Tests that skipped themselves (pytest alone tells them).
    pub(crate) skipped: u64,
}

impl Count {
    /// Adds what one line of output says: libtest's closing line of a binary, pytest's, or criterion's line of a
    /// verified bench.
    fn read(&mut self, line: &str) {
        if line.trim() == "Success" {
            self.passed += 1;
        }
        let Some(counts) = line.split_once("test result: ").map(|(_, counts)| counts).or_else(|| of_pytest(line))
        else {
            return;
        };
        for part in counts.split([';', '.', ',']) {
            let mut words = part.split_whitespace();
            let (Some(number), Some(what)) = (words.next().and_then(|n| n.parse::<u64>().ok()), words.next()) else {
                continue;
            };
            match what {
                "passed" => self.passed += number,
                "ignored" => self.ignored += number,
                "skipped" => self.skipped += number,
                _ => {}
            }
        }
    }

    /// For the closing table.
    pub(crate) fn note(self) -> String {
        match self.ignored {
            0 => format!("{} tests", self.passed),
            n => format!("{} tests; {n} long forms left to torture", self.passed),
        }
    }
}

impl std::ops::AddAssign for Count {
    fn add_assign(&mut self, other: Count) {
        self.passed += other.passed;
        self.ignored += other.ignored;
        self.skipped += other.skipped;
    }
}

/// The counts of pytest's closing line: `12 passed, 1 skipped in 0.30s`, between `=` or not.
fn of_pytest(line: &str) -> Option<&str> {
    let (counts, time) = line.trim_matches(['=', ' ']).rsplit_once(" in ")?;
    let (seconds, _) = time.split_once('s')?;
    let starts = |what: &str| counts.split(", ").any(|part| part.split_once(' ').is_some_and(|(_, of)| of == what));
    (seconds.parse::<f64>().is_ok() && (starts("passed") || starts("failed"))).then_some(counts)
}

/// The command as a reader would type it (without the folders of programs).
pub(crate) fn shown(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let mut text = program.rsplit('/').next().unwrap_or_default().to_owned();
    for arg in command.get_args() {
        text.push(' ');
        text.push_str(&arg.to_string_lossy());
    }
    let set = command.get_envs().filter(|(name, _)| *name != "PATH").filter_map(|(name, value)| Some((name, value?)));
    set.map(|(name, value)| format!("{}={} ", name.to_string_lossy(), value.to_string_lossy())).collect::<String>()
        + &text
}

/// Runs a command to its end. Errors: it can't start, or does not succeed.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    count(command).map(|_| ())
}

/// Runs a command of test harnesses to its end and counts tests. Errors: as `run`; that no test ran is the caller's to
/// judge (`ran_some`).
pub(crate) fn count(command: &mut Command) -> Result<Count> {
    let mut count = Count::default();
    each_line(command, |line| {
        println!("{line}");
        count.read(line);
    })?;
    Ok(count)
}

/// Runs a command to its end and gives what it wrote to its standard output, which nobody is to read. Errors: as `run`.
pub(crate) fn lines(command: &mut Command) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    each_line(command, |line| lines.push(line.to_owned()))?;
    Ok(lines)
}

/// Runs a command to its end and hands over each line of its standard output as it comes. Errors: as `run`.
fn each_line(command: &mut Command, mut take: impl FnMut(&str)) -> Result<()> {
    let text = shown(command);
    println!("$ {text}");
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("can't start: {text}"))?;
    let stdout = child.stdout.take().context("the child's standard output was asked for")?;

    let (done, finished) = channel::<()>();
    let start = Instant::now();
    let watch = std::thread::spawn(move || {
        while let Err(RecvTimeoutError::Timeout) = finished.recv_timeout(SIGN_OF_LIFE) {
            eprintln!("... {} s", start.elapsed().as_secs());
        }
    });
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line.context("reading the command's output")?;
        take(&String::from_utf8_lossy(&line));
    }
    let status = child.wait().with_context(|| format!("waiting for: {text}"))?;
    drop(done);
    // The watcher only prints: that it ended badly changes nothing.
    let _ = watch.join();
    if !status.success() {
        bail!("{status}: {text}");
    }
    Ok(())
}

/// A suite that ran nothing has not passed.
pub(crate) fn ran_some(count: Count) -> Result<Count> {
    if count.passed == 0 {
        bail!("no test ran: a suite that ran nothing has not passed");
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::{Count, run};
    use std::process::Command;

    #[test]
    fn counts_libtest_and_criterion_lines() {
        let mut count = Count::default();
        count.read("test result: ok. 12 passed; 0 failed; 3 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        count.read("Testing gate_gemm/lstm");
        count.read("Success");
        assert_eq!(count, Count { passed: 13, ignored: 3, skipped: 0 });
    }

    #[test]
    fn counts_pytests_closing_line() {
        let mut count = Count::default();
        count.read("===== 12 passed, 2 skipped, 1 warning in 0.30s =====");
        count.read("1 failed, 5 passed in 61.20s (0:01:01)");
        count.read("7 passed in total, they say");
        assert_eq!(count, Count { passed: 17, ignored: 0, skipped: 2 });
    }

    #[test]
    fn a_failing_command_is_an_error_that_names_it() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("sh -c"), "{error}");
    }
}
