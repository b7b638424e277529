//! A measured process: what it printed, how long it took, and the most memory that it held.

use crate::shell;
use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How often its memory is looked at. The kernel keeps the peak itself, so only the last moment can be missed.
const LOOK: Duration = Duration::from_millis(50);

/// Lines of standard error that an error carries.
const LAST_LINES: usize = 12;

/// A process that has ended well.
pub(crate) struct Finished {
    pub(crate) stdout: String,
    pub(crate) seconds: f64,
    /// None where the system does not tell.
    pub(crate) peak_rss_mb: Option<f64>,
}

impl Finished {
    /// The last line of standard output, as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        let line = self.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(line).with_context(|| format!("a worker's line: {line:?}"))
    }
}

/// Runs a command to its end in silence. Errors: it can't start, or does not succeed (with the end of its stderr).
pub(crate) fn finish(command: &mut Command) -> Result<Finished> {
    let text = shell::shown(command);
    let begun = Instant::now();
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.with_context(|| format!("can't start: {text}"))?;
    let (mut out, mut err) = (child.stdout.take().context("stdout")?, child.stderr.take().context("stderr")?);
    let status_file = format!("/proc/{}/status", child.id());
    let (ended, wait) = channel::<()>();
    let (done, stdout, stderr, seconds, peak_rss_mb) = std::thread::scope(|scope| {
        let watch = scope.spawn(move || {
            let mut peak = None;
            loop {
                peak = peak_rss_mb(&std::fs::read_to_string(&status_file).unwrap_or_default()).or(peak);
                if wait.recv_timeout(LOOK) != Err(RecvTimeoutError::Timeout) {
                    return peak;
                }
            }
        });
        let stderr = scope.spawn(move || {
            let mut bytes = Vec::new();
            err.read_to_end(&mut bytes).map(|_| bytes)
        });
        let mut stdout = Vec::new();
        let read = out.read_to_end(&mut stdout);
        let done = child.wait();
        let seconds = begun.elapsed().as_secs_f64();
        drop(ended);
        let stderr = stderr.join().ok().and_then(Result::ok).unwrap_or_default();
        (done, read.map(|_| stdout), stderr, seconds, watch.join().ok().flatten())
    });
    let status = done.with_context(|| format!("waiting for: {text}"))?;
    if !status.success() {
        let stderr = String::from_utf8_lossy(&stderr);
        let lines: Vec<_> = stderr.lines().collect();
        bail!("{status}: {text}\n{}", lines[lines.len().saturating_sub(LAST_LINES)..].join("\n"));
    }
    let stdout =
        String::from_utf8(stdout.context("reading standard output")?).context("standard output is not UTF-8")?;
    Ok(Finished { stdout, seconds, peak_rss_mb })
}

/// The high-water mark in Linux's /proc/PID/status; MB are 10^6 bytes.
fn peak_rss_mb(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some((kib * 1024.0 / 1e6 * 10.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::{finish, peak_rss_mb};
    use std::process::Command;

    #[test]
    fn the_last_line_is_read_and_a_failure_carries_its_stderr() {
        let done = finish(Command::new("sh").args(["-c", "echo note; echo '[1, 2]'"])).unwrap();
        assert_eq!(done.json::<Vec<u32>>().unwrap(), [1, 2]);
        let error = finish(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).err().unwrap().to_string();
        assert!(error.contains("exit status: 3") && error.contains("why"), "{error}");
    }

    #[test]
    fn the_peak_is_the_high_water_mark() {
        assert_eq!(peak_rss_mb("Name:\tx\nVmHWM:\t    1000 kB\nVmRSS:\t     10 kB\n"), Some(1.0));
        assert_eq!(peak_rss_mb("Name:\tx\n"), None);
    }
}
