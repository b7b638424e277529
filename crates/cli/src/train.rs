//! `gatemill train`: flags -> configuration -> corpus -> run; events to stdout, stderr and the run folder.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gatemill_corpus::Io;
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use gatemill_train::events::{Done, Event};
use gatemill_train::run::resume::{Found, Resumed};
use gatemill_train::run::{Course, Ending, Flags, Observer, Outcome, Place, Run, Setup, Stop};
use gatemill_train::storage::{RealStorage, Storage};
use gatemill_train::task::TaskConfig;
use gatemill_train::{CharModel, ErrorKind};

use crate::args::TrainArgs;
use crate::exit::{self, Failure, RESOURCES, USAGE};
use crate::json::Lines;
use crate::progress::{Progress, losses};
use crate::signals::Signals;
use crate::{asked, corpus, memory, task};

/// What is proposed after a divergence: this part of the learning rate. A guess.
const SMALLER_LR: f64 = 0.1;
/// Where runs without `--out` go.
pub(crate) const RUNS: &str = "runs";

/// Runs the command.
pub(crate) fn run(args: &TrainArgs) -> Result<u8, Failure> {
    let signals = signals()?;
    let (crew, kernels) = machine(args.threads)?;
    let found = match &args.resume {
        Some(folder) => Some(Found::open(storage().as_ref(), folder, args.strict_resume)?),
        None => None,
    };
    let mut listener = Listener::new(args.json, signals);
    let mut run = match found {
        Some(found) if found.is::<TaskConfig>() => return task::resume(args, found, (crew, kernels), listener),
        None if args.task.is_some() => return task::start(args, (crew, kernels), listener),
        found => {
            if let Some(flag) = args.flag_of_a_task() {
                let message = if found.is_some() {
                    format!("{flag} is of a task, and this run learns from a text")
                } else {
                    format!("{flag} is of a task, and without --task a model learns from a text")
                };
                return Err(Failure::new(USAGE, message).help(
                    "give --task classify, tag, translate, describe or map to learn from examples, or leave it out",
                ));
            }
            match found {
                Some(found) => resume(args, found, crew, kernels)?,
                None => start(args, crew, kernels)?,
            }
        }
    };
    let outcome = listener.follow(&mut run)?;
    match &outcome {
        Outcome::Done(done) => {
            let (me, folder) = (me(), quoted(&run.path().display().to_string()));
            let mut next = format!("{}\nwrite    {me} sample {folder}", summary(done));
            if done.val_nats.is_some() {
                next.push_str(&format!("\nscore    {me} eval {folder} --split val"));
            }
            next.push_str(&format!("\nlook     {me} runs {folder}"));
            listener.progress.line(&next);
            Ok(exit::OK)
        }
        Outcome::Stopped(stop) => Ok(listener.stopped(&run, *stop)),
    }
}

/// Takes the signals.
pub(crate) fn signals() -> Result<Signals, Failure> {
    Signals::register().map_err(|error| Failure::new(RESOURCES, format!("cannot take signals: {error}")))
}

/// The kernels that `GATEMILL_ISA` names, or the best; the workers that were asked for, or all that may run.
pub(crate) fn machine(threads: Option<usize>) -> Result<(Arc<Crew>, Kernels), Failure> {
    let kernels = Kernels::from_env()?;
    let crew = crew(threads.unwrap_or_else(Crew::available))?;
    Ok((Arc::new(crew), kernels))
}

/// So many workers, or half as many, and so on, where the system gives no more: no bit depends on their number.
fn crew(wanted: usize) -> Result<Crew, Failure> {
    let mut threads = wanted.max(1);
    loop {
        match Crew::new(threads) {
            Ok(crew) if threads < wanted => {
                let note = format!("note: the system gives no {wanted} worker threads: going on with {threads}");
                Progress::new().line(&note);
                return Ok(crew);
            }
            Err(error) if threads > 1 => {
                threads = threads.checked_div(2).ok_or(error)?;
                // Those that were started are on their way out, and count until they are gone.
                std::thread::sleep(Duration::from_millis(10));
            }
            other => return Ok(other?),
        }
    }
}

fn start(args: &TrainArgs, crew: Arc<Crew>, kernels: Kernels) -> Result<Run, Failure> {
    let (config, settings) = asked::of_a_new_run(args)?;
    let corpus = Arc::new(corpus::open(&settings.source, &config, None, io(args))?);
    memory::check(&config, corpus.vocab().len())?;
    let place = args.out.as_ref().map_or_else(|| Place::Under(RUNS.into()), |out| Place::Folder(out.clone()));
    let setup = Setup { config, settings, corpus, crew, kernels, storage: storage() };
    Ok(Run::start(setup, &place)?)
}

fn resume(args: &TrainArgs, found: Found, crew: Arc<Crew>, kernels: Kernels) -> Result<Run, Failure> {
    let storage = storage();
    let resumed = Resumed::of(found)?;
    let (config, settings) = asked::of_a_resumed_run(args, &resumed.config, &resumed.origin.settings)?;
    // Before the text is opened: a flag that cannot be changed would open it in another way.
    resumed.changes(&config, &settings, kernels.name(), args.allow_override)?;
    let vocab = CharModel::load(resumed.snapshot(), &crew, &kernels)?.vocab;
    let corpus = Arc::new(corpus::open(&settings.source, &config, Some(vocab), io(args))?);
    let setup = Setup { config, settings, corpus, crew, kernels, storage };
    Ok(Run::resume(resumed, setup, args.allow_override)?)
}

fn io(args: &TrainArgs) -> Io {
    args.io.unwrap_or(Io::Map)
}

/// The disk of this machine.
pub(crate) fn storage() -> Arc<dyn Storage> {
    Arc::new(RealStorage)
}

/// Passes events on to whoever looks, and signals to the run.
pub(crate) struct Listener {
    lines: Option<Lines>,
    pub(crate) progress: Progress,
    signals: Signals,
}

impl Listener {
    pub(crate) fn new(json: bool, signals: Signals) -> Self {
        Self { lines: json.then(Lines::new), progress: Progress::new(), signals }
    }

    /// Goes with the run until it leaves off.
    pub(crate) fn follow<C: Course>(&mut self, run: &mut Run<C>) -> Result<Outcome, Failure> {
        let result = run.go(self);
        self.progress.close();
        result.map_err(|error| {
            let diverged = error.kind() == ErrorKind::Diverged;
            let failure = Failure::from(error);
            if !diverged {
                return failure;
            }
            // Where to go on from is known here alone.
            let folder = quoted(&run.path().display().to_string());
            failure.help(format!(
                "go on from what was saved with `{} train --resume {folder} --lr {} --override`, or start again with a \
                 smaller --lr or --clip-norm",
                me(),
                run.course().config().base().lr * SMALLER_LR
            ))
        })
    }

    /// Says how to go on after a stop; gives the exit code.
    pub(crate) fn stopped<C: Course>(&self, run: &Run<C>, stop: Stop) -> u8 {
        self.progress.line(&format!(
            "stopped by {} after step {}, saved; go on with: {} train --resume {}",
            stop.name(),
            run.course().step_count(),
            me(),
            quoted(&run.path().display().to_string())
        ));
        exit::stopped(stop)
    }
}

impl Observer for Listener {
    fn event(&mut self, event: &Event) {
        if let Some(error) = self.lines.as_mut().and_then(|lines| lines.write(event)) {
            self.progress.line(&format!("note: nothing more is written to stdout ({error}); training goes on"));
        }
        self.progress.event(event);
    }

    fn stop(&self) -> Option<Stop> {
        self.signals.stop()
    }
}

/// A run's end in a line or two.
pub(crate) fn summary(done: &Done) -> String {
    let part = |name: &str, nats: Option<f64>| nats.map_or(String::new(), |nats| format!(", {name} {}", losses(nats)));
    let why = why_ended(done.ended);
    let best = match (done.best_step, done.best_nats) {
        (Some(step), Some(nats)) if step < done.steps => {
            format!("\nbest     validation {} after step {step}: best.safetensors", losses(nats))
        }
        _ => String::new(),
    };
    let test = done.test_nats.map_or(String::new(), |nats| format!("\ntest     {} with the best model", losses(nats)));
    format!(
        "done     {} steps in {:.1} s{why}{}{}{best}{test}\nweights  sha256 {}",
        done.steps,
        done.seconds,
        part("training", done.train_nats),
        part("validation", done.val_nats),
        done.weights_sha256
    )
}

/// Why a run ended, as the end of a sentence.
pub(crate) fn why_ended(ended: Ending) -> &'static str {
    match ended {
        Ending::Steps => "",
        Ending::Minutes => ", as the minutes are over",
        Ending::Patience => ", as the validation loss fell no more",
    }
}

/// This program as it can be typed in the current folder.
pub(crate) fn me() -> String {
    let me = std::env::args_os().next().unwrap_or_default();
    let path = Path::new(&me);
    // A name without a folder was found on the search path, and will be again.
    let here = std::env::current_dir().ok();
    let short = here.as_ref().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path);
    quoted(&short.display().to_string())
}

/// A word as a shell takes it back.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        for (word, typed) in [("a/b-1.c", "a/b-1.c"), ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("", "''")] {
            assert_eq!(quoted(word), typed);
        }
    }
}
