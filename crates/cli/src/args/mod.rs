//! The flags: names and meanings of design section 6, each optional, so that a resumed run knows which were given.
//!
//! Ranges are checked where a number alone shows that it cannot be; the rest is [`gatemill_train::Config::validate`]'s.

use clap::builder::{PossibleValuesParser, RangedI64ValueParser, TypedValueParser};
use clap::{Parser, Subcommand};
use serde::de::DeserializeOwned;

mod bench;
mod corpus;
mod eval;
mod gradflow;
mod hello;
mod inspect;
mod machine;
mod predict;
mod runs;
mod sample;
mod shell;
mod train;

pub(crate) use bench::BenchArgs;
pub(crate) use corpus::{BuiltinText, CorpusArgs};
pub(crate) use eval::EvalArgs;
pub(crate) use gradflow::GradflowArgs;
pub(crate) use hello::HelloArgs;
pub(crate) use inspect::InspectArgs;
pub(crate) use machine::MachineArgs;
pub(crate) use predict::PredictArgs;
pub(crate) use runs::{RunsArgs, Sort};
pub(crate) use sample::SampleArgs;
pub(crate) use shell::{CompletionsArgs, ManArgs};
pub(crate) use train::TrainArgs;

/// Sizes beyond this are typing errors: the product of two of them still fits every count.
const LARGEST_SIZE: i64 = 1 << 20;
/// The largest whole number that config.toml can hold.
const LARGEST_WHOLE: i64 = i64::MAX;

/// Train character models (RNN, LSTM, GRU) on the CPU, write with them, score text with them.
///
/// Without a command it shows what it does: an LSTM learns to write from a built-in text, in about a minute. For one
/// configuration, seed and text, every run gives the same weights, bit for bit, on any number of threads and through any
/// number of stops.
#[derive(Debug, Parser)]
#[command(name = "gatemill", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "\
Examples:
  gatemill                                         the demonstration
  gatemill train book.txt                          learn from a text
  gatemill sample runs/book-lstm-2x256-1           write
  gatemill eval runs/book-lstm-2x256-1 other.txt   score another text
  gatemill runs                                    look at what was trained
  gatemill corpus book.txt                         look at a text first")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Learn from a text; leaves a run folder with checkpoints, samples and a log
    #[command(after_help = "\
Examples:
  gatemill train                                   learn from the built-in text
  gatemill train book.txt --cell gru --hidden 512  a larger GRU
  gatemill train book.txt --steps 500 --json       one JSON object per line on stdout
  gatemill train --resume runs/book-lstm-2x256-1   go on after a stop, with the same bits
  gatemill train --task translate                  dates as people write them to ISO 8601, from made examples
  gatemill train --task classify words.tsv         INPUT, a tab, CLASS in every line

Ctrl-C finishes the step, saves a checkpoint and leaves; a second Ctrl-C leaves at once.")]
    Train(Box<TrainArgs>),
    /// Ask a task's model: a class, tags, an answer for each input
    #[command(after_help = "\
Examples:
  gatemill predict runs/translate-lstm-1x96-1 \"12 March 2021\"
  gatemill predict runs/classify-lstm-1x64-1 --file words.txt --top 3
  gatemill predict runs/translate-lstm-1x96-1 --json < dates.txt   probabilities, and where it looked

A line in, a line out: the input, a tab, the answer. Without INPUT standard input is read.")]
    Predict(PredictArgs),
    /// Write with a trained model
    #[command(after_help = "\
Examples:
  gatemill sample runs/book-lstm-2x256-1 --prime \"Once upon\" --length 300
  gatemill sample runs/book-lstm-2x256-1 --temperature 0.5 --seed 7
  gatemill sample runs/book-lstm-2x256-1/best.safetensors --greedy
  gatemill sample runs/book-lstm-2x256-1 --top-k 40 --top-p 0.9 --repetition-penalty 1.1
  gatemill sample runs/book-lstm-2x256-1 --samples 5 --json
  echo \"Once upon\" | gatemill sample runs/book-lstm-2x256-1 --prime-file -
  gatemill sample runs/book-lstm-2x256-1 --length 60 --state-out here.safetensors
  gatemill sample runs/book-lstm-2x256-1 --length 40 --state-in here.safetensors

A character is chosen in this order: --repetition-penalty, --temperature, --top-k, --top-p,
--min-p; each sees what the one before has left. Ctrl-C ends the text and saves --state-out.")]
    Sample(SampleArgs),
    /// Score a text with a trained model: nats and bits per character, perplexity
    #[command(after_help = "\
Examples:
  gatemill eval runs/book-lstm-2x256-1 other.txt   another text, read in one go from its start
  gatemill eval runs/book-lstm-2x256-1 --split val the part of its own text that training did not see
  gatemill eval runs/book-lstm-2x256-1 --split test what --test-frac kept aside
  gatemill eval runs/translate-lstm-1x96-1 dates.tsv   a task's model on other examples")]
    Eval(EvalArgs),
    /// Look at what was trained: all runs, one with its losses and samples, or several compared
    #[command(after_help = "\
Examples:
  gatemill runs                                    a table of the runs in the folder runs
  gatemill runs runs/book-lstm-2x256-1             its losses, checkpoints, and what it wrote
  gatemill runs runs/book-lstm-2x256-1 --samples   only what it wrote
  gatemill runs runs/book-lstm-2x256-1 --stages -o stages.html
                                                   from noise to prose, with the share of real words, as a page
  gatemill runs runs/book-lstm-2x256-1 runs/book-gru-2x256-1
                                                   what sets them apart, and their losses side by side
  gatemill runs --sort val --json                  one JSON object per run on stdout, the best first

Nothing is written and no run is disturbed. A run counts as running while the process that took its folder lives.")]
    Runs(RunsArgs),
    /// Walk through a small network that learns "hello": every vector, weight, gradient and update, number by number
    #[command(after_help = "\
Examples:
  gatemill hello                                   a tanh RNN with 3 units, in the terminal
  gatemill hello --cell lstm -o hello.html         an LSTM, as a page for a browser
  gatemill hello \"물레방아\" --hidden 5 --json      another text, every number as JSON")]
    Hello(HelloArgs),
    /// Look into a model while it reads a text: what each unit tells, cells with names, gates, and what happens without them
    #[command(after_help = "\
Examples:
  gatemill inspect runs/book-lstm-2x256-1 book.txt -o report.html
  gatemill inspect runs/builtin-lstm-2x128-1 --builtin -o report.html
  gatemill inspect runs/book-lstm-2x256-1 book.txt --regex 'year=[0-9]{4}' -o report.html
  gatemill inspect runs/book-lstm-2x256-1 book.txt --unit 1:34 --hold 1:34=0 -o report.html
  gatemill inspect runs/book-lstm-2x256-1 book.txt --json

Every unit's h, c and gates are compared with what can be asked of the text: inside quotes or
brackets, in the condition or body of an if, comment, string, place in the line, and more. What the
first half of the text shows is checked on the second half. A unit gets a name only where its
score clears a stated level and is above the best that any unit reaches with the labels turned
around, so that chance finds get none. Units count from 0, as in the names of the tensors.")]
    Inspect(Box<InspectArgs>),
    /// See how far a model remembers: gradients by distance, beside the lecture's toy or as RNN against LSTM and GRU
    #[command(after_help = "\
Examples:
  gatemill gradflow --toy                          the lecture's chain, expanded, and its gradients
  gatemill gradflow --toy --w-hh 0.9 --x 1,0,0,0,0 another one
  gatemill gradflow runs/book-lstm-2x256-1 book.txt -o page.html
                                                   a model on a text: a table here, curves on the page
  gatemill gradflow runs/book-lstm-2x256-1         on the part of its own text that training did not see
  gatemill gradflow --compare -o compare.html      RNN, LSTM and GRU side by side, in about two minutes

Distances are counted in characters: k is how many lie between a state and the loss it is to explain.")]
    Gradflow(Box<GradflowArgs>),
    /// Look at a text before learning from it: encoding, symbols, what guessing costs; or write the built-in text
    #[command(after_help = "\
Examples:
  gatemill corpus book.txt                         its encoding, its symbols, what a model must beat
  gatemill corpus src --vocab bytes --json         a folder as bytes, one JSON object on stdout
  gatemill corpus --builtin --bytes 10MB > text    the built-in text
  gatemill corpus --builtin --bytes 1MB --labels   a line for each character and what surrounds it
  gatemill corpus --task translate --examples 20   examples that are made for a task

A file that is not UTF-8 is surveyed to its end: faults are counted, and their first places told.")]
    Corpus(CorpusArgs),
    /// Measure how fast training, scoring and writing go here, beside the machine's peak; compare two measurements
    #[command(after_help = "\
Examples:
  gatemill bench                                   C1 to C5 for LSTM, GRU, RNN: some minutes
  gatemill bench --points C3 --threads 1,2         one point of it, on one thread and on two
  gatemill bench --hidden 384 --batch 32           one size of your own
  gatemill bench --generate --hidden 512           writing: one text, then 8 and 64 at once
  gatemill bench --save before.json                keep the figures
  gatemill bench --diff before.json after.json     two machines, or two builds
  gatemill bench --points C1 --json                one JSON object per measurement on stdout

Every measurement is verified before it counts: points of the grid by a committed hash of the
weights after three steps, everything else by losses or logits against plain f64. Each has a
process of its own. The peak is that of multiply-adds in registers, by the same threads and
kernels, measured just before and just after.")]
    Bench(Box<BenchArgs>),
    /// Show what this machine is to Gatemill: kernels, threads, caches, and its measured peaks
    #[command(after_help = "\
Examples:
  gatemill machine                                 in words, with measurements (two or three seconds)
  gatemill machine --no-measure                    without them
  gatemill machine --json                          one JSON object on stdout

The environment variable GATEMILL_ISA=avx512, avx2 or portable forces a tier of kernels, here and in every command.")]
    Machine(MachineArgs),
    /// Write what a shell needs to complete commands and flags
    #[command(after_help = "\
Examples:
  gatemill completions bash                        for ~/.local/share/bash-completion/completions/
  gatemill completions zsh                         into a folder of $fpath, as _gatemill
  gatemill completions fish                        into ~/.config/fish/completions/gatemill.fish
  gatemill completions elvish                      to be appended to ~/.config/elvish/rc.elv
  gatemill completions powershell                  to be appended to the file that $PROFILE names")]
    Completions(CompletionsArgs),
    /// Write the manual: one page with all commands, or a page for each
    #[command(after_help = "\
Examples:
  gatemill man                                     one page, gatemill.1, to stdout: gatemill man | man -l -
  gatemill man --out man1                          gatemill.1, gatemill-train.1, ... into the folder man1")]
    Man(ManArgs),
}

fn size() -> RangedI64ValueParser<usize> {
    between(1, LARGEST_SIZE)
}

fn whole() -> RangedI64ValueParser<u64> {
    between(1, LARGEST_WHOLE)
}

fn whole_or_zero() -> RangedI64ValueParser<u64> {
    between(0, LARGEST_WHOLE)
}

/// Whole numbers from .. to; signed, so that -1 is answered with the range and not as no number.
fn between<T: TryFrom<i64> + Clone + Send + Sync>(least: i64, most: i64) -> RangedI64ValueParser<T> {
    RangedI64ValueParser::new().range(least..=most)
}

/// A choice by the names that the configuration's files use.
fn named<T: DeserializeOwned + Clone + Send + Sync + 'static>(
    names: &'static [&'static str],
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(names).try_map(|name| serde_json::from_value::<T>(name.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_parser_is_sound() {
        Cli::command().debug_assert();
    }
}
