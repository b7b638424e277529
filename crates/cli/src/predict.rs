//! `gatemill predict`: a task's model is asked; a line in, a line out.
//!
//! Inputs are gathered while more of them are at hand, and asked together: so a pipe is read fast, and who types a line gets
//! its answer at once. No answer depends on what is asked beside it.

use std::fs::File;
use std::io::{BufReader, IsTerminal, Read};
use std::path::Path;
use std::sync::Arc;

use gatemill_corpus::examples::{Asked, ExampleError, Names, Side, parse_input, read_inputs};
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use gatemill_train::run::task::{answer_text, code_input, form_of};
use gatemill_train::task::{Input, PredictOptions, Prediction, TaskKind, TaskModel};
use serde::Serialize;

use crate::args::PredictArgs;
use crate::exit::{self, Failure, USAGE};
use crate::json;
use crate::model;
use crate::progress::{Progress, plural};
use crate::train::machine;

/// Inputs that are asked together at most.
const TOGETHER: usize = 256;
/// Read at once.
const BUFFER_BYTES: usize = 1 << 17;

/// Runs the command.
pub(crate) fn run(args: &PredictArgs) -> Result<u8, Failure> {
    let (crew, kernels) = machine(args.threads)?;
    let model = model::of_a_task(&args.model, &crew, &kernels, &Progress::new())?;
    check(args, model.config.kind)?;
    let options = PredictOptions {
        batch: TOGETHER,
        most: args.longest,
        beam: args.beam,
        temperature: args.temperature,
        top_k: args.top_k,
        top_p: args.top_p,
        seed: args.seed,
        first: 0,
    };
    let mut asker = Asker { args, model, options, crew, kernels, waiting: Vec::new(), unseen: 0, open: true };
    let (form, mut names) = (form_of(asker.model.config.kind), Names::new());
    let from_stdin = args.inputs.is_empty() || matches!(args.inputs.as_slice(), [one] if one == "-");
    match &args.file {
        Some(path) => {
            let file = File::open(path).map_err(|source| ExampleError::Io { path: path.clone(), source })?;
            asker.stream(file, path, &mut names)?;
        }
        None if from_stdin => {
            if std::io::stdin().is_terminal() {
                Progress::new().line("note: inputs are read from the terminal, one a line, until Ctrl-D");
            }
            asker.stream(std::io::stdin().lock(), Path::new("standard input"), &mut names)?;
        }
        None => {
            for text in &args.inputs {
                let side = parse_input(text, form, &mut names).map_err(|problem| {
                    Failure::new(USAGE, format!("input {text:?}: {problem}"))
                        .help("give the input as one word of the shell")
                })?;
                asker.take(text, &side, &names, true)?;
            }
        }
    }
    asker.ask()?;
    if asker.unseen > 0 {
        let what = if asker.model.config.kind == TaskKind::Describe { "name" } else { "character" };
        let text = format!("note: never seen in training and read as nothing: {}", plural(asker.unseen, what));
        Progress::new().line(&text);
    }
    Ok(exit::OK)
}

/// Errors: flags that mean nothing for this kind.
fn check(args: &PredictArgs, kind: TaskKind) -> Result<(), Failure> {
    let refuse = |flag: &str, why: &str| {
        Err(Failure::new(USAGE, format!("{flag} means nothing for a model of {}: {why}", kind.name()))
            .help(format!("leave {flag} out")))
    };
    if !kind.decodes() {
        let drawn = args.temperature != 0.0 || args.top_k != 0 || args.top_p != 1.0;
        for (given, flag) in [
            (args.longest.is_some(), "--longest"),
            (args.beam != 1, "--beam"),
            (args.samples != 1, "--samples"),
            (drawn, "--temperature, --top-k, --top-p"),
        ] {
            if given {
                return refuse(flag, "it writes no text, and its classes come with their probabilities");
            }
        }
    }
    if args.top.is_some() && kind.decodes() {
        return refuse("--top", "it writes a text; --samples with --temperature, or --beam, give other ones");
    }
    if args.top.is_some() && kind == TaskKind::Tag && !args.json {
        return refuse("--top without --json", "each of its symbols has a list of its own");
    }
    Ok(())
}

/// Asks a model, and says what it answers.
struct Asker<'a> {
    args: &'a PredictArgs,
    model: TaskModel,
    options: PredictOptions,
    crew: Arc<Crew>,
    kernels: Kernels,
    /// Inputs as they were written, and as numbers.
    waiting: Vec<(String, Input)>,
    unseen: u64,
    /// Somebody reads.
    open: bool,
}

impl Asker<'_> {
    fn stream(&mut self, from: impl Read, path: &Path, names: &mut Names) -> Result<(), Failure> {
        let from = BufReader::with_capacity(BUFFER_BYTES, from);
        let form = form_of(self.model.config.kind);
        read_inputs(from, path, form, names, |Asked { written, side, more }, names| {
            self.take(written, &side, names, more)?;
            Ok(self.open)
        })
    }

    /// Takes an input in; asks where no more are at hand.
    fn take(&mut self, written: &str, side: &Side, names: &Names, more: bool) -> Result<(), Failure> {
        let (input, unseen) = code_input(&self.model.alphabet, side, names);
        self.unseen = self.unseen.saturating_add(unseen);
        for _ in 0..self.args.samples {
            self.waiting.push((written.to_owned(), input.clone()));
        }
        if more && self.waiting.len() < TOGETHER { Ok(()) } else { self.ask() }
    }

    /// Asks for what waits.
    fn ask(&mut self) -> Result<(), Failure> {
        let waiting = std::mem::take(&mut self.waiting);
        let (written, inputs): (Vec<String>, Vec<Input>) = waiting.into_iter().unzip();
        let answers = self.model.predict(&inputs, &self.options, &self.crew, &self.kernels)?;
        self.options.first = self.options.first.saturating_add(inputs.len());
        for (written, answer) in written.iter().zip(&answers) {
            let open = if self.args.json {
                json::object(&Said::of(&self.model, written, answer, self.args.top))?
            } else {
                json::text(self.line(written, answer).as_bytes())?
            };
            self.open &= open;
        }
        Ok(())
    }

    /// The input, a tab, the answer; with `--top` the classes in columns, each with its probability.
    fn line(&self, written: &str, answer: &Prediction) -> String {
        let mut line = escaped(written);
        match (self.args.top, answer.distributions.first()) {
            (Some(top), Some(distribution)) => {
                for (class, p) in ranked(&self.model, distribution, top) {
                    line.push_str(&format!("\t{} {p:.4}", escaped(&class)));
                }
            }
            _ => {
                line.push('\t');
                line.push_str(&escaped(&answer_text(&self.model, &answer.output)));
            }
        }
        line.push('\n');
        line
    }
}

/// A field of a line: a tab or a line's end in it would be taken for the line's own.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\t' | '\n' | '\r' => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// The most likely classes, of equal ones the first first.
fn ranked(model: &TaskModel, distribution: &[f32], top: usize) -> Vec<(String, f32)> {
    let mut all: Vec<(u32, f32)> = (0..).zip(distribution.iter().copied()).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all.truncate(top);
    all.into_iter().map(|(class, p)| (model.alphabet.output.name(class), p)).collect()
}

/// A class with its probability.
#[derive(Serialize)]
struct Likely {
    class: String,
    p: f32,
}

/// What `--json` writes for an input.
#[derive(Serialize)]
struct Said {
    input: String,
    output: String,
    /// Of tags, their names.
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<String>>,
    /// Of what was answered, place by place.
    p: Vec<f32>,
    /// The most likely classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    classes: Option<Vec<Likely>>,
    /// Of tags the same at each place.
    #[serde(skip_serializing_if = "Option::is_none")]
    classes_of_symbols: Option<Vec<Vec<Likely>>>,
    /// A row for each symbol of the answer: how much was looked at in each symbol of the input.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attention: Vec<Vec<f32>>,
    nats: f64,
    /// The model ended the answer itself.
    ended: bool,
}

impl Said {
    fn of(model: &TaskModel, written: &str, answer: &Prediction, top: Option<usize>) -> Self {
        let kind = model.config.kind;
        let likely = |distribution: &Vec<f32>| {
            let ranked = ranked(model, distribution, top.unwrap_or(usize::MAX));
            ranked.into_iter().map(|(class, p)| Likely { class, p }).collect::<Vec<_>>()
        };
        let tags = kind == TaskKind::Tag;
        let of_one = !kind.decodes() && !tags;
        Self {
            input: written.to_owned(),
            output: answer_text(model, &answer.output),
            tags: tags.then(|| answer.output.iter().map(|&tag| model.alphabet.output.name(tag)).collect()),
            p: answer.probabilities.clone(),
            classes: answer.distributions.first().filter(|_| of_one).map(likely),
            classes_of_symbols: (tags && top.is_some()).then(|| answer.distributions.iter().map(likely).collect()),
            attention: answer.attention.clone(),
            nats: answer.nats,
            ended: answer.ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_keeps_to_itself() {
        assert_eq!(escaped("a\tb\nc\r\u{e9}\""), "a\\tb\\nc\\r\u{e9}\"");
    }
}
