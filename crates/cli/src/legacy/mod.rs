//! The flags of char-rnn, torch-rnn and nanoGPT: found, explained, and translated into the line to type.
//!
//! ```text
//! words -> which are a tool's (never those that are values of our own flags) -> whose -> each flag's counterpart -> a line
//! ```
//!
//! Nothing is run by a translation: what the tools do otherwise is for a person to see first (`doc/presets.md`).

use std::collections::HashMap;
use std::ffi::OsString;

use clap::CommandFactory;

use crate::args::Cli;
use crate::exit::{self, Failure, USAGE};

mod line; // the line to type
mod tables; // which flags there are, and what became of them

use line::Line;

/// A tool whose flags are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tool {
    CharRnn,
    TorchRnn,
    NanoGpt,
}

impl Tool {
    const ALL: [Tool; 3] = [Tool::CharRnn, Tool::TorchRnn, Tool::NanoGpt];

    fn name(self) -> &'static str {
        match self {
            Tool::CharRnn => "char-rnn",
            Tool::TorchRnn => "torch-rnn",
            Tool::NanoGpt => "nanoGPT",
        }
    }
}

/// What the line was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    Train,
    Sample,
}

/// A tool's flag on the command line.
#[derive(Debug)]
struct Given {
    /// As typed: `-rnn_size`.
    typed: String,
    /// `rnn_size`.
    name: String,
    value: Option<String>,
}

/// Our own words of the command line.
#[derive(Debug, Default)]
struct Own {
    /// Flags with their values, in order.
    flags: Vec<String>,
    /// Words that belong to no flag.
    words: Vec<String>,
}

/// A command line with another tool's flags.
#[derive(Debug)]
pub(crate) struct Refusal {
    failure: Failure,
    /// One line for each flag.
    notes: Vec<String>,
}

impl Refusal {
    /// Says what to type; gives the exit code.
    pub(crate) fn report(&self) -> u8 {
        self.failure.report();
        for note in &self.notes {
            exit::note(note);
        }
        self.failure.code
    }
}

/// Looks for another tool's flags among the words after the program's name.
pub(crate) fn check(program: &str, words: impl Iterator<Item = OsString>) -> Option<Refusal> {
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let (task, words) = task(&words)?;
    let (given, own) = scan(task, words);
    // A name of ours with a line below in place of a dash is a typing error, and the parser has a hint for it.
    let ours = flags_of(task);
    if given.iter().all(|given| ours.contains_key(given.name.replace('_', "-").as_str())) {
        return None;
    }
    let tool = whose(task, &given);
    let line = Line::translated(tool, task, &given, own);

    let names: Vec<&str> = given.iter().map(|given| given.typed.as_str()).collect();
    let are = match names.as_slice() {
        [name] => format!("{name} is a flag"),
        [first @ .., last] => format!("{} and {last} are flags", first.join(", ")),
        [] => return None,
    };
    let message = format!("{are} of {}, not of Gatemill", tool.name());
    let failure = Failure::new(USAGE, message).help(format!("type: {}", line.typed(program)));
    Some(Refusal { failure, notes: line.notes })
}

/// What the first word asks for, and the words after it. None: a command that no tool has.
fn task(words: &[String]) -> Option<(Task, &[String])> {
    let (first, rest) = words.split_first()?;
    match first.as_str() {
        "train" | "train.lua" | "train.py" | "preprocess.py" => Some((Task::Train, rest)),
        "sample" | "sample.lua" | "sample.py" => Some((Task::Sample, rest)),
        // No command: char-rnn has none either.
        flag if flag.starts_with('-') => {
            let is_of = |task: Task| !scan(task, words).0.is_empty();
            let task = if is_of(Task::Train) { Task::Train } else { Task::Sample };
            is_of(task).then_some((task, words))
        }
        _ => None,
    }
}

/// Our flags of a command: name without dashes, whether it takes a value.
fn flags_of(task: Task) -> HashMap<String, bool> {
    let command = Cli::command();
    let name = match task {
        Task::Train => "train",
        Task::Sample => "sample",
    };
    let flags = command.find_subcommand(name).into_iter().flat_map(clap::Command::get_arguments);
    flags.filter_map(|flag| Some((flag.get_long()?.to_owned(), flag.get_action().takes_values()))).collect()
}

/// Parts a command line into a tool's flags and our own words.
fn scan(task: Task, words: &[String]) -> (Vec<Given>, Own) {
    let ours = flags_of(task);
    let (mut given, mut own) = (Vec::new(), Own::default());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        if word == "--" {
            own.words.extend(words.by_ref().cloned());
        } else if let Some(long) = name.strip_prefix("--") {
            match ours.get(long) {
                Some(true) => match value {
                    None => own.flags.extend([word.clone()].into_iter().chain(words.next().cloned())),
                    Some(value) if value.starts_with('-') || value.is_empty() => own.flags.push(word.clone()),
                    Some(value) => own.flags.extend([name.to_owned(), value]),
                },
                Some(false) => own.flags.push(word.clone()),
                None if is_old(task, long) => {
                    // nanoGPT joins by =, the others take the next word.
                    let next = || words.as_slice().first().filter(|next| !next.starts_with('-')).cloned();
                    let apart = if value.is_none() { next() } else { None };
                    if apart.is_some() {
                        words.next();
                    }
                    given.push(Given { typed: name.to_owned(), name: long.to_owned(), value: value.or(apart) });
                }
                None => own.flags.push(word.clone()),
            }
        } else if let Some(short) = word.strip_prefix('-').filter(|short| !short.is_empty()) {
            if is_known(task, short, &[Tool::CharRnn, Tool::TorchRnn]) {
                // Their parser takes the next word whatever it looks like: -gpuid -1.
                given.push(Given { typed: word.clone(), name: short.to_owned(), value: words.next().cloned() });
            } else if short.parse::<f64>().is_ok() {
                own.words.push(word.clone());
            } else {
                own.flags.push(word.clone());
            }
        } else {
            own.words.push(word.clone());
        }
    }
    (given, own)
}

/// Whether a name behind two dashes is a tool's: nanoGPT's, preprocess.py's, or another's with a dash too many.
fn is_old(task: Task, name: &str) -> bool {
    let unmistakable = name.contains('_') || ["encoding", "quiet"].contains(&name);
    is_known(task, name, &[Tool::NanoGpt]) || (unmistakable && is_known(task, name, &Tool::ALL))
}

fn is_known(task: Task, name: &str, tools: &[Tool]) -> bool {
    tools.iter().any(|tool| tables::find(*tool, task, name).is_some())
}

/// The tool that has the most of the flags; of equals the one that is written so, and char-rnn before torch-rnn.
fn whose(task: Task, given: &[Given]) -> Tool {
    let double = given.iter().all(|given| given.typed.starts_with("--"));
    let known = |tool: Tool| given.iter().filter(|given| tables::find(tool, task, &given.name).is_some()).count();
    let written_so = |tool: Tool| (tool == Tool::NanoGpt) == double;
    let order = |tool: &Tool| (known(*tool), written_so(*tool), *tool == Tool::CharRnn);
    Tool::ALL.into_iter().max_by_key(order).unwrap_or(Tool::CharRnn)
}

#[cfg(test)]
mod tests;
