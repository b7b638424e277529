//! One measurement in a process of its own: this program again, with the task on its command line and the answer on stdout.
//!
//! ```text
//! parent: gatemill bench --one TASK  ->  child: verifies, measures, looks at its own peak of memory  ->  one JSON line
//! ```
//!
//! A child that dies without an answer, for want of memory say, is an error of that measurement.

use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;

use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use gatemill_train::bench::{self, Record, Task};
use serde::{Deserialize, Serialize};

use crate::exit::{self, Failure, INTERNAL, RESOURCES, USAGE};
use crate::json;

const BYTES_PER_MB: f64 = 1e6;
/// Where Linux tells a process its own memory.
const STATUS: &str = "/proc/self/status";

/// What a child is asked.
#[derive(Debug, Serialize, Deserialize)]
struct Question {
    task: Task,
    threads: usize,
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Record(Box<Record>),
    Failure { code: u8, message: String, help: Option<String> },
}

/// Makes a measurement in a child. Errors: the child's, or its end without an answer.
pub(super) fn measure(task: &Task, threads: usize) -> Result<Record, Failure> {
    let question = serde_json::to_string(&Question { task: *task, threads }).unwrap_or_default();
    // The program itself, even where its file has been replaced meanwhile.
    let linux = std::path::PathBuf::from("/proc/self/exe");
    let program = if linux.exists() { Ok(linux) } else { std::env::current_exe() };
    let output = program.and_then(|program| {
        let mut command = Command::new(program);
        command.args(["bench", "--one", &question]).stdin(Stdio::null()).stderr(Stdio::inherit());
        command.output()
    });
    let what = format!("the measurement of {}", task.sizes);
    let output = output.map_err(|error| {
        Failure::new(RESOURCES, format!("{what} cannot be started: {error}")).help("end other programs and try again")
    })?;
    match serde_json::from_slice(&output.stdout) {
        Ok(Answer::Record(record)) => Ok(*record),
        Ok(Answer::Failure { code, message, help }) => Err(Failure { code, message, help }),
        Err(_) => Err(no_answer(&what, output.status)),
    }
}

fn no_answer(what: &str, status: ExitStatus) -> Failure {
    match status.code() {
        Some(code) => Failure::new(INTERNAL, format!("{what} ended with code {code} and without figures"))
            .help("what it says above is the reason"),
        None => Failure::new(RESOURCES, format!("{what} was ended from outside ({status})"))
            .help("the system does so where memory runs out: make --hidden, --layers, --batch or --seq smaller"),
    }
}

/// The child: measures, and answers.
pub(super) fn child(question: &str) -> Result<u8, Failure> {
    let answer = match answer(question) {
        Ok(record) => Answer::Record(Box::new(record)),
        Err(Failure { code, message, help }) => Answer::Failure { code, message, help },
    };
    json::object(&answer)?;
    Ok(exit::OK)
}

fn answer(question: &str) -> Result<Record, Failure> {
    let Question { task, threads } = serde_json::from_str(question)
        .map_err(|error| Failure::new(USAGE, format!("--one takes a task of its own making: {error}")))?;
    let kernels = Kernels::from_env()?;
    let crew = Arc::new(Crew::new(threads)?);
    let mut record = bench::measure(&task, &crew, kernels)?;
    record.peak_rss_mb = std::fs::read_to_string(STATUS).ok().and_then(|status| peak_mb(&status));
    Ok(record)
}

/// The most memory that a process had, from its status; none where the system does not say.
fn peak_mb(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    (kib > 0.0).then(|| kib * 1024.0 / BYTES_PER_MB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_of_memory_is_read_in_megabytes() {
        assert_eq!(peak_mb("VmPeak:\t 9 kB\nVmHWM:\t    1000 kB\nVmRSS: 7 kB\n"), Some(1.024));
        assert_eq!((peak_mb("VmHWM: 0 kB"), peak_mb("VmHWM: x kB"), peak_mb("")), (None, None, None));
    }

    #[test]
    fn what_is_wrong_passes_from_child_to_parent() {
        let text = r#"{"failure":{"code":70,"message":"m","help":null}}"#;
        let Answer::Failure { code, message, help } = serde_json::from_str(text).unwrap() else { panic!("no failure") };
        assert_eq!((code, message.as_str(), help), (70, "m", None));
        assert_eq!(answer("{}").unwrap_err().code, USAGE);
    }

    #[cfg(unix)]
    #[test]
    fn a_child_without_an_answer_is_an_error() {
        use std::os::unix::process::ExitStatusExt;
        assert_eq!(no_answer("it", ExitStatus::from_raw(70 << 8)).code, INTERNAL);
        let killed = no_answer("it", ExitStatus::from_raw(9));
        assert!(killed.code == RESOURCES && killed.message.contains("signal"), "{}", killed.message);
    }
}
