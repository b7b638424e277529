//! The flags: names and meanings of design section 6, each optional, so that a resumed run knows which were given.
//!
//! Ranges are checked where a number alone shows that it cannot be; the rest is [`Config::validate`]'s.

use clap::builder::{PossibleValuesParser, RangedI64ValueParser, TypedValueParser};
use clap::{Parser, Subcommand};
use serde::de::DeserializeOwned;

mod eval;
mod sample;
mod train;

pub(crate) use eval::EvalArgs;
pub(crate) use sample::SampleArgs;
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
  gatemill eval runs/book-lstm-2x256-1 other.txt   score another text")]
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
  gatemill eval runs/book-lstm-2x256-1 --split val the part of its own text that training did not see")]
    Eval(EvalArgs),
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
