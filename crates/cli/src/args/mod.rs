//! The flags: names and meanings of design section 6, each optional, so that a resumed run knows which were given.
//!
//! Ranges are checked where a number alone shows that it cannot be; the rest is [`Config::validate`]'s.

use clap::builder::{PossibleValuesParser, RangedU64ValueParser, TypedValueParser};
use clap::{Parser, Subcommand};
use serde::de::DeserializeOwned;

mod corpus;
mod eval;
mod sample;
mod train;

pub(crate) use corpus::{BuiltinText, CorpusArgs};
pub(crate) use eval::EvalArgs;
pub(crate) use sample::SampleArgs;
pub(crate) use train::TrainArgs;

/// Sizes beyond this are typing errors: the product of two of them still fits every count.
const LARGEST_SIZE: u64 = 1 << 20;
/// The largest whole number that config.toml can hold.
const LARGEST_WHOLE: u64 = i64::MAX as u64;

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

Ctrl-C finishes the step, saves a checkpoint and leaves; a second Ctrl-C leaves at once.")]
    Train(Box<TrainArgs>),
    /// Write with a trained model
    #[command(after_help = "\
Examples:
  gatemill sample runs/book-lstm-2x256-1 --prime \"Once upon\" --length 300
  gatemill sample runs/book-lstm-2x256-1 --temperature 0.5 --seed 7
  gatemill sample runs/book-lstm-2x256-1/best.safetensors --greedy")]
    Sample(SampleArgs),
    /// Score a text with a trained model: nats and bits per character, perplexity
    #[command(after_help = "\
Examples:
  gatemill eval runs/book-lstm-2x256-1 other.txt   another text, read in one go from its start
  gatemill eval runs/book-lstm-2x256-1 --split val the part of its own text that training did not see
  gatemill eval runs/book-lstm-2x256-1 --split test what --test-frac kept aside")]
    Eval(EvalArgs),
    /// Look at a text before learning from it: encoding, symbols, what guessing costs; or write the built-in text
    #[command(after_help = "\
Examples:
  gatemill corpus book.txt                         its encoding, its symbols, the figures a model must beat
  gatemill corpus src --vocab bytes --json         a folder as bytes, one JSON object on stdout
  gatemill corpus --builtin --bytes 10MB > text    the built-in text
  gatemill corpus --builtin --bytes 1MB --labels   a line for each character: in a quotation, in an if, how deep

A file that is not UTF-8 is surveyed to its end: faults are counted, and their first places told.")]
    Corpus(CorpusArgs),
}

fn size() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=LARGEST_SIZE)
}

fn whole() -> RangedU64ValueParser<u64> {
    RangedU64ValueParser::new().range(1..=LARGEST_WHOLE)
}

fn whole_or_zero() -> RangedU64ValueParser<u64> {
    RangedU64ValueParser::new().range(0..=LARGEST_WHOLE)
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
