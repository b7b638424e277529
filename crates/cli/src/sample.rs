//! `gatemill sample`: a model's continuation of a text, written to stdout as it comes.
//!
//! Stdout gets the prime and what follows it, as UTF-8 or, for a model of bytes, as bytes; on a terminal control
//! characters are replaced. Of several samples each ends with a line's end; which one begins is said on stderr, so that
//! stdout has nothing but text. A reader that leaves ends the writing and is no error. Ctrl-C ends it too; what is written
//! then and the state that is saved belong together.

use std::io::{self, Read};
use std::path::Path;

use gatemill_corpus::CorpusError;
use gatemill_train::checkpoint::SaveError;
use gatemill_train::run::Stop;
use gatemill_train::storage::{PathKind, RealStorage, Storage};
use gatemill_train::{CharModel, Generator, SampleOptions, SampleState, StateError, TrainError};
use serde::Serialize;

use crate::args::SampleArgs;
use crate::exit::{self, Failure, IO, USAGE};
use crate::progress::Progress;
use crate::terminal::Text;
use crate::train::{machine, signals};
use crate::{json, model};

/// Symbols between two writes.
const AT_ONCE: usize = 32;
/// The same where several texts are made: workers meet once in so many. Fewer where somebody watches the first.
const AT_ONCE_SEVERAL: usize = 128;
const AT_ONCE_WATCHED: usize = 8;
/// A longer prime is a typing error, such as a device without an end.
const LONGEST_PRIME_BYTES: u64 = 1 << 28;
/// Samples but the first are kept until it is their turn: no more symbols than this.
const MOST_KEPT: u64 = 1 << 30;

/// What `--json` writes for each sample.
#[derive(Serialize)]
struct Object<'a> {
    /// From 1.
    sample: usize,
    prime: &'a str,
    text: &'a str,
    symbols: u64,
    unseen: u64,
    temperature: f64,
    top_k: usize,
    top_p: f64,
    min_p: f64,
    repetition_penalty: f64,
    repetition_window: usize,
    seed: u64,
}

/// Runs the command.
pub(crate) fn run(args: &SampleArgs) -> Result<u8, Failure> {
    let mut options = SampleOptions {
        prime: Vec::new(),
        length: args.length,
        temperature: if args.greedy { 0.0 } else { args.temperature },
        top_k: args.top_k,
        top_p: args.top_p,
        min_p: args.min_p,
        repetition_penalty: args.repetition_penalty,
        repetition_window: args.repetition_window,
        ..SampleOptions::default()
    };
    check(&options)?;
    if let Some(path) = &args.state_out {
        check_state_out(path, &args.model)?;
    }
    let state = match &args.state_in {
        Some(path) => Some(SampleState::load(&RealStorage, path).map_err(|error| of_state(path, error))?),
        None => None,
    };
    options.seed = args.seed.or(state.as_ref().map(|state| state.seed)).unwrap_or(options.seed);
    options.samples = args.samples.or(state.as_ref().map(|state| state.lanes)).unwrap_or(options.samples);
    let kept = options.samples.saturating_sub(usize::from(!args.json)) as u64;
    if kept.saturating_mul(options.length) > MOST_KEPT {
        let message = format!("--samples {} of --length {} are more than can be kept", options.samples, options.length);
        let most = MOST_KEPT.checked_div(kept).unwrap_or(MOST_KEPT);
        return Err(Failure::new(USAGE, message)
            .help(format!("--length {most} is the most for so many; one sample without --json can be of any length")));
    }
    options.prime = match &args.prime_file {
        Some(path) => read_prime(path)?,
        None => args.prime.clone().into_bytes(),
    };

    let (crew, kernels) = machine(args.threads)?;
    let notes = Progress::new();
    let (model, _) = model::load(&args.model, &crew, &kernels, &notes)?;
    crew.steady(|| {
        let generator = match &state {
            None => Generator::new(&model, &options, &crew, &kernels),
            Some(state) => Generator::resume(&model, &options, state, &crew, &kernels),
        };
        let mut generator = generator.map_err(|error| match error {
            TrainError::State(error) => of_state(args.state_in.as_deref().unwrap_or(Path::new("")), error),
            TrainError::Corpus(error) => of_prime(args.prime_file.as_deref(), error),
            TrainError::Config(error) => {
                Failure::new(USAGE, error.to_string()).help("leave --samples out to go on with all texts of the state")
            }
            error @ TrainError::OutOfMemory(_) => Failure::from(error).help("make --samples smaller"),
            other => other.into(),
        })?;
        tell_unseen(&generator, &notes);
        let stop = write(args, &model, &options, &mut generator, &notes)?;
        if let Some(path) = &args.state_out {
            generator.state().save(&RealStorage, path).map_err(not_saved)?;
        }
        Ok(stop.map_or(exit::OK, exit::stopped))
    })
}

/// Writes all samples. The signal that ended it, if one did.
fn write(
    args: &SampleArgs,
    model: &CharModel,
    options: &SampleOptions,
    generator: &mut Generator<'_>,
    notes: &Progress,
) -> Result<Option<Stop>, Failure> {
    // From here on there is something to end well; before, a signal just ends the program.
    let signals = signals()?;
    let samples = generator.samples();
    let several = samples > 1;
    let separate = |sample: usize| {
        if several {
            notes.line(&format!("--- sample {sample} of {samples} ---"));
        }
    };
    let mut out = Text::new();
    let mut kept: Vec<Vec<u8>> = vec![Vec::new(); samples];
    if !args.json {
        separate(1);
        if !out.write(&options.prime)? {
            return Ok(None);
        }
    }
    let at_once = match (out.is_watched() && !args.json, several) {
        (true, false) => 1,
        (true, true) => AT_ONCE_WATCHED,
        (false, false) => AT_ONCE,
        (false, true) => AT_ONCE_SEVERAL,
    };
    let mut symbols = 0_u64;
    let mut stop = signals.stop();
    while stop.is_none() {
        let drawn = generator.advance(at_once)?;
        if drawn == 0 {
            break;
        }
        symbols = symbols.saturating_add(drawn as u64);
        for (i, text) in kept.iter_mut().enumerate() {
            text.extend(model.vocab.decode(generator.drawn(i)));
        }
        // The first goes out as it comes, the others when it has ended.
        if let (false, Some(first)) = (args.json, kept.first_mut())
            && !out.write(&std::mem::take(first))?
        {
            return Ok(None);
        }
        stop = signals.stop();
    }

    if args.json {
        let prime = String::from_utf8_lossy(&options.prime);
        for (text, sample) in kept.iter().zip(1..) {
            json::object(&Object {
                sample,
                prime: &prime,
                text: &String::from_utf8_lossy(text),
                symbols,
                unseen: generator.unseen(),
                temperature: options.temperature,
                top_k: options.top_k,
                top_p: options.top_p,
                min_p: options.min_p,
                repetition_penalty: options.repetition_penalty,
                repetition_window: options.repetition_window,
                seed: options.seed,
            })?;
        }
        return Ok(stop);
    }
    if !out.end(several)? {
        return Ok(stop);
    }
    for (text, sample) in kept.iter().zip(1..).skip(1) {
        separate(sample);
        if !(out.write(&options.prime)? && out.write(text)? && out.end(several)?) {
            break;
        }
    }
    Ok(stop)
}

/// Says which of the prime's characters the model does not know.
fn tell_unseen(generator: &Generator<'_>, notes: &Progress) {
    let unseen = generator.unseen();
    if unseen == 0 {
        return;
    }
    let named: Vec<String> = generator.unseen_symbols().iter().map(|c| format!("{c:?}")).collect();
    let more = if unseen > named.len() as u64 { ", ..." } else { "" };
    notes.line(&format!(
        "note: the model never saw {unseen} of the prime's characters: read as nothing ({}{more})",
        named.join(", ")
    ));
}

/// Refuses what cannot be, with what comes nearest.
fn check(options: &SampleOptions) -> Result<(), Failure> {
    options.validate().map_err(|error| {
        let nearest = match error.flag {
            "temperature" => "1 takes the model's own probabilities, 0 always the most likely character",
            "top-p" => {
                "1 chooses among all characters, a small number among the most likely only; for one use --greedy"
            }
            "min-p" => "0 leaves out none, 1 all but the most likely",
            "repetition-penalty" => "1 is no penalty, 1.1 to 1.5 are usual; below 1 repetition is favoured",
            _ => "`gatemill sample --help` explains the flag",
        };
        Failure::new(USAGE, error.to_string()).help(nearest)
    })
}

/// Refuses, before the work is done, a place at which no state can be saved.
fn check_state_out(path: &Path, model: &Path) -> Result<(), Failure> {
    let refused = |why: &str| Failure::new(IO, format!("cannot save the state at {}: {why}", path.display()));
    match RealStorage.kind(path) {
        Ok(PathKind::File) => {
            let same = |a: &Path, b: &Path| a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b));
            if same(path, model) {
                let message = format!("--state-out {}: this is the model, and it would be replaced", path.display());
                return Err(Failure::new(USAGE, message).help("give another file"));
            }
            Ok(())
        }
        Ok(_) => Err(refused("it is a folder, a device or a pipe").help("give the name of a file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            match RealStorage.kind(folder) {
                Ok(PathKind::Folder) => Ok(()),
                Ok(_) => Err(refused("its folder is none").help("give a file in a folder that can be written")),
                Err(error) => Err(refused(&format!("its folder: {error}")).help("create the folder first")),
            }
        }
        Err(error) => Err(refused(&error.to_string()).help("give a file in a folder that can be written")),
    }
}

/// The bytes of a file, or of stdin, as they are.
fn read_prime(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    // One byte more shows that there is more.
    let limit = LONGEST_PRIME_BYTES.saturating_add(1);
    let read = if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    read.map_err(|error| {
        Failure::new(IO, format!("cannot read --prime-file {}: {error}", path.display()))
            .help("give a file that can be read, or - for stdin")
    })?;
    if bytes.len() as u64 > LONGEST_PRIME_BYTES {
        let message = format!("--prime-file {}: more than {LONGEST_PRIME_BYTES} bytes", path.display());
        return Err(Failure::new(USAGE, message).help("its end is enough: what was read long ago hardly matters"));
    }
    Ok(bytes)
}

/// A prime that is no text to this model.
fn of_prime(file: Option<&Path>, error: CorpusError) -> Failure {
    match (error, file) {
        (CorpusError::InvalidUtf8 { offset, .. }, Some(path)) => {
            let error = CorpusError::InvalidUtf8 { path: path.to_owned(), offset, of: "" };
            let help =
                "this model writes characters and reads UTF-8; iconv converts to it, `head -c` cuts before the fault";
            Failure { help: Some(help.to_owned()), ..error.into() }
        }
        (error, _) => error.into(),
    }
}

/// A state that cannot be continued.
fn of_state(path: &Path, error: StateError) -> Failure {
    // What comes from reading names the file itself.
    let named = matches!(error, StateError::Read(_));
    let help = match error {
        StateError::OtherModel { .. } => "give the model that wrote this state, or start anew without --state-in",
        _ => "give a file that `gatemill sample --state-out` has written",
    };
    let failure = Failure::from(TrainError::State(error)).help(help);
    if named { failure } else { Failure { message: format!("{}: {}", path.display(), failure.message), ..failure } }
}

fn not_saved(error: SaveError) -> Failure {
    Failure::new(IO, error.to_string()).help("free some space or choose another place with --state-out")
}
