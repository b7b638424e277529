//! Every way to end: an error becomes one line that says what, where and why, one that says what to do, and a code.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | ok |
//! | 2 | usage |
//! | 3 | bad input data |
//! | 4 | I/O |
//! | 5 | training diverged |
//! | 6 | resources |
//! | 70 | internal |
//! | 130, 143 | interrupted after a checkpoint |

use std::io::Write;
use std::process::ExitCode;

use gatemill_corpus::CorpusError;
use gatemill_corpus::examples::ExampleError;
use gatemill_crew::CrewError;
use gatemill_kernels::IsaError;
use gatemill_train::bench::BenchError;
use gatemill_train::checkpoint::{LoadError, StartError};
use gatemill_train::run::{RunError, Stop};
use gatemill_train::{ConfigError, ErrorKind, TrainError};

pub(crate) const OK: u8 = 0;
pub(crate) const USAGE: u8 = 2;
pub(crate) const BAD_DATA: u8 = 3;
pub(crate) const IO: u8 = 4;
pub(crate) const DIVERGED: u8 = 5;
pub(crate) const RESOURCES: u8 = 6;
pub(crate) const INTERNAL: u8 = 70;

/// The code as the system takes it.
pub(crate) fn code(code: u8) -> ExitCode {
    ExitCode::from(code)
}

/// The code of a run that a signal ended.
pub(crate) fn stopped(stop: Stop) -> u8 {
    match stop {
        Stop::Interrupt => 130,
        Stop::Terminate | Stop::HangUp => 143,
    }
}

/// The end of a command that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    /// What, where, why.
    pub(crate) message: String,
    /// What to do.
    pub(crate) help: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says it on stderr. Where that is closed, the code has to do.
    pub(crate) fn report(&self) {
        let mut err = std::io::stderr().lock();
        let _ = writeln!(err, "error: {}", one_line(&self.message));
        if let Some(help) = &self.help {
            let _ = writeln!(err, "help: {}", one_line(help));
        }
    }
}

/// Says more about an error, on a line of its own.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "note: {}", one_line(text));
}

/// Paths and names are others' texts: no line breaks, no control characters.
fn one_line(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// Says what went wrong inside.
pub(crate) fn report_panic(panic: &str) {
    let mut err = std::io::stderr().lock();
    let _ = writeln!(err, "error: internal error: {}", one_line(panic));
    let _ = writeln!(
        err,
        "help: this is a fault in Gatemill {}, not in your data; please report it with the command and the line above at \
         {}/issues. Saved checkpoints are whole",
        env!("CARGO_PKG_VERSION"),
        env!("CARGO_PKG_REPOSITORY")
    );
}

fn code_of(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Usage => USAGE,
        ErrorKind::BadData => BAD_DATA,
        ErrorKind::Io => IO,
        ErrorKind::Diverged => DIVERGED,
        ErrorKind::Resources => RESOURCES,
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        let code = code_of(error.kind());
        let message = error.to_string();
        let help = match error {
            RunError::Train(error) => return error.into(),
            RunError::Start(error) => return error.into(),
            RunError::Load(error) => return error.into(),
            RunError::Occupied { run } => {
                format!("go on with it by `gatemill train --resume {}`, or give another --out", run.display())
            }
            RunError::Fixed { .. } => {
                "leave these flags out to go on, or start a new run (without --resume) with them".to_owned()
            }
            RunError::NeedsOverride { .. } => {
                "leave these flags out to go on with the same bits, or add --override: the change is then recorded"
                    .to_owned()
            }
            RunError::OtherCorpus { .. } => "give the text that the run was started on as FILE beside it".to_owned(),
            _ => "free some space or choose another folder with --out; what was saved before is whole".to_owned(),
        };
        Self { code, message, help: Some(help) }
    }
}

impl From<TrainError> for Failure {
    fn from(error: TrainError) -> Self {
        let failure = Self::new(code_of(error.kind()), error.to_string());
        match error {
            TrainError::Config(error) => error.into(),
            TrainError::Corpus(error) => error.into(),
            TrainError::Examples(error) => failure.help(error.help()),
            TrainError::Symbols(_) => failure.help("`doc/tasks.md` shows what the examples of each task look like"),
            TrainError::OutOfMemory(_) => failure.help("make --hidden, --layers, --batch or --seq smaller"),
            TrainError::Diverged { .. } => failure.help(
                "go on from the last checkpoint with `gatemill train --resume RUN --lr SMALLER --override`, or start again \
                 with a smaller --lr",
            ),
            TrainError::Logits { .. } => {
                failure.help("the model's weights are damaged or far too large: take an earlier checkpoint of its run")
            }
            _ => failure.help("give a .safetensors file or a run folder that `gatemill train` has written"),
        }
    }
}

impl From<BenchError> for Failure {
    fn from(error: BenchError) -> Self {
        match error {
            BenchError::Train(error) => error.into(),
            BenchError::Wrong(_) => Self::new(INTERNAL, error.to_string()).help(format!(
                "this is a fault of this build or of this machine; please report it with the output of `gatemill machine` \
                 at {}/issues",
                env!("CARGO_PKG_REPOSITORY")
            )),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(USAGE, error.to_string()).help("`gatemill train --help` explains the flag")
    }
}

impl From<CorpusError> for Failure {
    fn from(error: CorpusError) -> Self {
        use gatemill_corpus::ErrorKind as Kind;
        let code = match error.kind() {
            Kind::Usage => USAGE,
            Kind::BadData => BAD_DATA,
            Kind::Io => IO,
            Kind::Resources => RESOURCES,
        };
        let help = match &error {
            CorpusError::Empty { .. } => "give a file with text in it; without a FILE the built-in text is used",
            CorpusError::TooShort { .. } => "give more text, or make --batch or --seq smaller",
            CorpusError::InvalidUtf8 { .. } => {
                "--lossy reads what is not UTF-8 as U+FFFD; --vocab bytes trains on the bytes as they are; iconv converts \
                 to UTF-8"
            }
            CorpusError::Utf16 { .. } => "--vocab bytes trains on the bytes as they are; iconv converts to UTF-8",
            CorpusError::CutList { .. } => "give the folder again, beside --resume RUN or --split val",
            CorpusError::EmptyFolder { .. } => "give a folder with files in it, or the files themselves",
            CorpusError::StandardInputTwice => "give - once",
            CorpusError::NotSeekable { .. } => {
                "give - to read standard input: `gatemill train - < PIPE`, or `COMMAND | gatemill train -`"
            }
            CorpusError::NotPacked { .. } | CorpusError::Packed { .. } => "rename the file after what it is",
            CorpusError::Unpack { .. } => "fetch or pack the file again; `gzip -t` and `zstd -t` test one",
            CorpusError::Keep { .. } | CorpusError::NoCache { .. } => {
                "free some space there, or choose another folder: XDG_CACHE_HOME=DIR gatemill ..."
            }
            CorpusError::Shrank { .. } | CorpusError::ReadFault { .. } | CorpusError::Changed { .. } => {
                "put the text back as it was and go on with `gatemill train --resume RUN`"
            }
            _ => "check the path: it must be a file with text that can be read",
        };
        Self::new(code, error.to_string()).help(help)
    }
}

impl From<ExampleError> for Failure {
    fn from(error: ExampleError) -> Self {
        TrainError::from(error).into()
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::new(IO, error.to_string()).help("choose a folder that can be written with --out")
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        let help = match &error {
            LoadError::NewestUnusable { .. } => "without --strict-resume the newest one that is whole is taken",
            LoadError::None { .. } | LoadError::AllUnusable { .. } => {
                "nothing was started afresh; `gatemill train` without --resume begins a new run"
            }
            _ => "give a .safetensors file or a run folder that `gatemill train` has written",
        };
        Self::new(error.exit_code(), error.to_string()).help(help)
    }
}

impl From<IsaError> for Failure {
    fn from(error: IsaError) -> Self {
        let code = match error {
            IsaError::Unknown(_) => USAGE,
            IsaError::Absent(..) => RESOURCES,
        };
        Self::new(code, error.to_string()).help("unset GATEMILL_ISA to take the best tier of this machine")
    }
}

impl From<CrewError> for Failure {
    fn from(error: CrewError) -> Self {
        Self::new(RESOURCES, error.to_string()).help("give a smaller --threads")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_stays_on_its_line() {
        assert_eq!(one_line("a\u{1b}[31m\nb"), "a\\u{1b}[31m\\nb");
        assert_eq!(one_line("소설"), "소설");
    }

    #[test]
    fn fault_h01_a_tier_that_the_cpu_lacks_is_a_lack_of_resources() {
        let absent = Failure::from(IsaError::Absent("avx512", "avx2"));
        assert_eq!((absent.code, Failure::from(IsaError::Unknown("x".to_owned())).code), (RESOURCES, USAGE));
        assert!(absent.message.contains("the best it has is avx2"), "{}", absent.message);
    }

    #[test]
    fn every_kind_of_error_has_its_code() {
        let kinds = [ErrorKind::Usage, ErrorKind::BadData, ErrorKind::Io, ErrorKind::Diverged, ErrorKind::Resources]
            .map(code_of);
        assert_eq!(kinds, [2, 3, 4, 5, 6]);
        assert_eq!([Stop::Interrupt, Stop::Terminate, Stop::HangUp].map(stopped), [130, 143, 143]);
    }
}
