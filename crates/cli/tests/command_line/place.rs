//! A folder of its own for each test, the program started in it, and what it said.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A small model whose run takes a fraction of a second. Sizes differ pairwise.
pub(crate) const SMALL: &str = "--layers 2 --hidden 17 --batch 6 --seq 5 --val-frac 0.2 --epochs 2";
/// The same, for a number of steps of one's own.
pub(crate) const SIZES: &str = "--layers 2 --hidden 17 --batch 6 --seq 5 --val-frac 0.2";

/// A temporary folder in which the program runs.
pub(crate) struct Place {
    folder: TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        Self { code: output.status.code(), out: output.stdout, err }
    }
}

impl Ended {
    /// Stdout as one JSON object per line.
    pub(crate) fn objects(&self) -> Vec<Value> {
        objects(&self.out)
    }
    /// The events of one kind.
    pub(crate) fn events(&self, kind: &str) -> Vec<Value> {
        self.objects().into_iter().filter(|event| event["event"] == kind).collect()
    }
    /// The hash with which a `--json` run ended.
    pub(crate) fn sha256(&self) -> String {
        let done = self.events("done");
        assert_eq!(done.len(), 1, "{self:?}");
        done[0]["weights_sha256"].as_str().expect("a hash").to_owned()
    }
    /// Checks the exit code and that stderr has one error line with these words in it.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.err);
        let errors: Vec<&str> = self.err.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "{}", self.err);
        for word in words {
            assert!(errors[0].contains(word), "{word:?} is not in: {}", self.err);
        }
        assert!(
            self.err.lines().any(|line| line.starts_with("help: ") || line.starts_with("For more")),
            "{}",
            self.err
        );
    }
    /// Checks success.
    #[track_caller]
    pub(crate) fn succeeds(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self
    }
}

/// Lines of JSON.
pub(crate) fn objects(text: &[u8]) -> Vec<Value> {
    let line =
        |line: &[u8]| serde_json::from_slice(line).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(line)));
    text.split(|&byte| byte == b'\n').filter(|text| !text.is_empty()).map(line).collect()
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().expect("a temporary folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("written");
        path
    }

    /// The names in the folder.
    pub(crate) fn names(&self) -> Vec<String> {
        let name =
            |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name().into_string().expect("UTF-8");
        let mut names: Vec<String> = fs::read_dir(self.folder.path()).expect("listed").map(name).collect();
        names.sort();
        names
    }

    /// The program in this folder, caches inside it.
    pub(crate) fn command(&self) -> Command {
        self.shell(env!("CARGO_BIN_EXE_gatemill"))
    }

    /// Another program in this folder.
    pub(crate) fn shell(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).env("XDG_CACHE_HOME", self.path(".cache")).stdin(Stdio::null());
        command
    }

    /// Runs `gatemill LINE`, words split at spaces.
    pub(crate) fn run(&self, line: &str) -> Ended {
        self.command().args(line.split_whitespace()).output().expect("started").into()
    }

    /// Starts `gatemill LINE` with stdout to be read.
    pub(crate) fn spawn(&self, line: &str) -> Started {
        let mut command = self.command();
        command.args(line.split_whitespace()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("started");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        Started { child, out, lines: Vec::new() }
    }

    /// Runs a small training with `--json` into the folder `name`.
    pub(crate) fn train(&self, name: &str, flags: &str) -> Ended {
        self.run(&format!("train text.txt --json --out {name} {flags}"))
    }
}

/// A program that runs.
pub(crate) struct Started {
    pub(crate) child: Child,
    out: BufReader<ChildStdout>,
    lines: Vec<u8>,
}

impl Started {
    /// Waits for an event of a kind and at least a step.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, kind: &str, step: u64) -> Value {
        loop {
            let mut line = Vec::new();
            let count = self.out.read_until(b'\n', &mut line).expect("read");
            assert!(count > 0, "it ended before a {kind} of step {step}");
            self.lines.extend_from_slice(&line);
            let event = objects(&line).remove(0);
            if event["event"] == kind && event["step"].as_u64() >= Some(step) {
                return event;
            }
        }
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().expect("kill");
        assert!(status.success());
    }

    /// Reads to the end.
    pub(crate) fn finish(mut self) -> Ended {
        std::io::Read::read_to_end(&mut self.out, &mut self.lines).expect("read");
        let mut ended: Ended = self.child.wait_with_output().expect("ended").into();
        ended.out = self.lines;
        ended
    }

    /// Lets go of stdout: from now on nobody reads it.
    pub(crate) fn close_stdout(self) -> Ended {
        drop(self.out);
        self.child.wait_with_output().expect("ended").into()
    }
}

/// A text of about `bytes` bytes that can be learned a little: words of a small lexicon in lines, by a fixed rule.
pub(crate) fn text(bytes: usize) -> String {
    const WORDS: [&str; 12] =
        ["mill", "water", "turns", "the", "gate", "is", "open", "a", "stone", "under", "Wheel", "and"];
    let mut state = 1_u64;
    let mut text = String::new();
    while text.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(WORDS[(state >> 33) as usize % WORDS.len()]);
        text.push_str(if (state >> 50).is_multiple_of(7) { ".\n" } else { " " });
    }
    text
}

/// A place with a text of 3,000 bytes in `text.txt`.
pub(crate) fn with_text() -> Place {
    let place = Place::new();
    place.write("text.txt", text(3000));
    place
}

/// The checkpoints of a run, oldest first; what a kill left unfinished is none.
pub(crate) fn checkpoints(run: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(run.join("checkpoints")).expect("a run");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".gatemill-tmp-")));
    paths.sort();
    paths
}

/// The step of a checkpoint's file name.
pub(crate) fn step_of(path: &Path) -> u64 {
    let name = path.file_name().and_then(OsStr::to_str).expect("a name");
    name.trim_start_matches("step-").trim_end_matches(".safetensors").parse().expect("a step")
}

/// Says that something could not be tested here, past the harness, which shows the output of failed tests only.
pub(crate) fn say(text: &str) {
    let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("note: {text}\n"));
}

/// Turns one bit of a file's last byte.
pub(crate) fn damage(path: &Path) {
    let mut bytes = fs::read(path).expect("read");
    *bytes.last_mut().expect("not empty") ^= 1;
    fs::write(path, bytes).expect("written");
}
