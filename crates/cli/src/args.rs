//! The flags: names and meanings of design section 6, each optional, so that a resumed run knows which were given.
//!
//! Ranges are checked where a number alone shows that it cannot be; the rest is [`Config::validate`]'s.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, RangedU64ValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use gatemill_corpus::Io;
use gatemill_train::checkpoint::Keep;
use gatemill_train::run::Settings;
use gatemill_train::{CellKind, Config, InitKind, OptimizerKind, ScheduleKind, VocabChoice};
use serde::de::DeserializeOwned;

/// Sizes beyond this are typing errors: the product of two of them still fits every count.
const LARGEST_SIZE: u64 = 1 << 20;
/// Larger than any machine of today.
const LARGEST_THREADS: u64 = 4096;
/// Deep enough for anything that learns.
const LARGEST_DEPTH: u64 = 1024;
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

/// `gatemill train`.
#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// The text: one file or several, read in this order. None: the built-in text
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// The recurrent cell [default: lstm]
    #[arg(long, value_name = "CELL", value_parser = named::<CellKind>(&["rnn", "lstm", "gru"]), help_heading = "Model")]
    pub(crate) cell: Option<CellKind>,
    /// Recurrent layers on top of each other [default: 2]
    #[arg(long, value_name = "L", value_parser = RangedU64ValueParser::<usize>::new().range(1..=LARGEST_DEPTH), help_heading = "Model")]
    pub(crate) layers: Option<usize>,
    /// Hidden units of each layer [default: 256]
    #[arg(long, value_name = "H", value_parser = size(), help_heading = "Model")]
    pub(crate) hidden: Option<usize>,
    /// Share of units dropped between layers while training [default: 0]
    #[arg(long, value_name = "P", help_heading = "Model")]
    pub(crate) dropout: Option<f64>,
    /// What a symbol is: a character of UTF-8 text, or a byte of any file [default: chars]
    #[arg(long, value_name = "KIND", value_parser = named::<VocabChoice>(&["chars", "bytes"]), help_heading = "Model")]
    pub(crate) vocab: Option<VocabChoice>,
    /// How weights begin: as PyTorch's do [default: pytorch]
    #[arg(long, value_name = "KIND", value_parser = named::<InitKind>(&["pytorch"]), help_heading = "Model")]
    pub(crate) init: Option<InitKind>,
    /// Added to the LSTM's forget bias at the start (PyTorch itself: 0) [default: 1]
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = "Model")]
    pub(crate) forget_bias: Option<f64>,
    /// Where weights and samples take their chance from [default: 1]
    #[arg(long, value_name = "N", value_parser = whole_or_zero(), help_heading = "Model")]
    pub(crate) seed: Option<u64>,

    /// Parts of the text read side by side [default: 64]
    #[arg(long, value_name = "B", value_parser = size(), help_heading = "Training")]
    pub(crate) batch: Option<usize>,
    /// Characters through which gradients flow back [default: 100]
    #[arg(long, value_name = "T", value_parser = size(), help_heading = "Training")]
    pub(crate) seq: Option<usize>,
    /// How many times to read the text [default: 10]
    #[arg(long, value_name = "N", value_parser = whole(), conflicts_with = "steps", help_heading = "Training")]
    pub(crate) epochs: Option<u64>,
    /// How many steps to make, in place of --epochs
    #[arg(long, value_name = "N", value_parser = whole(), help_heading = "Training")]
    pub(crate) steps: Option<u64>,
    /// The rule by which weights move [default: adam]
    #[arg(long, value_name = "RULE", value_parser = named::<OptimizerKind>(&["adam", "sgd"]), help_heading = "Training")]
    pub(crate) optimizer: Option<OptimizerKind>,
    /// Learning rate [default: 0.002]
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = "Training")]
    pub(crate) lr: Option<f64>,
    /// Adam's decay of the mean gradient [default: 0.9]
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = "Training")]
    pub(crate) beta1: Option<f64>,
    /// Adam's decay of the mean squared gradient [default: 0.999]
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = "Training")]
    pub(crate) beta2: Option<f64>,
    /// Adam's guard against division by zero [default: 1e-8]
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = "Training")]
    pub(crate) eps: Option<f64>,
    /// How the learning rate moves over the run [default: cosine]
    #[arg(long, value_name = "KIND", value_parser = named::<ScheduleKind>(&["constant", "cosine"]), help_heading = "Training")]
    pub(crate) schedule: Option<ScheduleKind>,
    /// Steps over which the learning rate rises at the start [default: 100 with cosine, 0 with constant]
    #[arg(long, value_name = "N", value_parser = whole_or_zero(), help_heading = "Training")]
    pub(crate) warmup: Option<u64>,
    /// Where the cosine ends [default: 0]
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = "Training")]
    pub(crate) min_lr: Option<f64>,
    /// Longer gradients are shortened to this norm; 0: never [default: 5]
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = "Training")]
    pub(crate) clip_norm: Option<f64>,

    /// The last part of each file, kept for validation [default: 0.05]
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = "Evaluation, samples, checkpoints")]
    pub(crate) val_frac: Option<f64>,
    /// Steps between evaluations [default: each epoch]
    #[arg(long, value_name = "N", value_parser = whole(), help_heading = "Evaluation, samples, checkpoints")]
    pub(crate) eval_every: Option<u64>,
    /// An evaluation reads at most so many characters [default: 1000000]
    #[arg(long, value_name = "N", value_parser = whole(), help_heading = "Evaluation, samples, checkpoints")]
    pub(crate) eval_tokens: Option<u64>,
    /// Steps between checkpoints [default: each epoch]
    #[arg(long, value_name = "N", value_parser = whole(), help_heading = "Evaluation, samples, checkpoints")]
    pub(crate) save_every: Option<u64>,
    /// Steps between samples [default: after 1/27, 1/9, 1/3 and all of the run]
    #[arg(long, value_name = "N", value_parser = whole(), help_heading = "Evaluation, samples, checkpoints")]
    pub(crate) sample_every: Option<u64>,
    /// How many checkpoints stay: a number from 2, or all [default: 2]
    #[arg(long, value_name = "N|all", help_heading = "Evaluation, samples, checkpoints")]
    pub(crate) keep: Option<Keep>,

    /// The run folder [default: runs/CORPUS-CELL-LxH-N, the first free N]
    #[arg(long, value_name = "DIR", conflicts_with = "resume", help_heading = "Where and how")]
    pub(crate) out: Option<PathBuf>,
    /// Go on with the run in this folder; a FILE beside it says where its text is now
    #[arg(long, value_name = "DIR", help_heading = "Where and how")]
    pub(crate) resume: Option<PathBuf>,
    /// Let a resumed run change its learning rate and the like; the change is recorded
    #[arg(long = "override", requires = "resume", help_heading = "Where and how")]
    pub(crate) allow_override: bool,
    /// Resume from the newest checkpoint or not at all, even if only that one is damaged
    #[arg(long, requires = "resume", help_heading = "Where and how")]
    pub(crate) strict_resume: bool,
    /// Worker threads; the result does not depend on them [default: all that help]
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=LARGEST_THREADS), help_heading = "Where and how")]
    pub(crate) threads: Option<usize>,
    /// Parts of the batch whose gradients are summed apart; part of what the result depends on [default: 1]
    #[arg(long, value_name = "S", value_parser = size(), help_heading = "Where and how")]
    pub(crate) shards: Option<usize>,
    /// How files are read: mapped into memory, or by ordinary reads [default: map]
    #[arg(long, value_name = "HOW", value_parser = PossibleValuesParser::new(["map", "read"]).map(|how| io(&how)), help_heading = "Where and how")]
    pub(crate) io: Option<Io>,
    /// Write one JSON object per event and line to stdout
    #[arg(long, help_heading = "Where and how")]
    pub(crate) json: bool,
}

/// `gatemill sample`.
#[derive(Debug, Args)]
pub(crate) struct SampleArgs {
    /// A .safetensors file, or a run folder: its best model, else its newest checkpoint
    pub(crate) model: PathBuf,
    /// What the text begins with; characters that the model never saw are read as nothing
    #[arg(long, value_name = "TEXT", default_value = "", allow_hyphen_values = true)]
    pub(crate) prime: String,
    /// Characters to write after it
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub(crate) length: u64,
    /// Below 1 safer, above 1 bolder; 0 is --greedy
    #[arg(long, value_name = "X", default_value_t = 0.8, allow_negative_numbers = true)]
    pub(crate) temperature: f64,
    /// Always take the most likely character
    #[arg(long, conflicts_with = "temperature")]
    pub(crate) greedy: bool,
    /// Another number, another text; the same number, the same text
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Write one JSON object to stdout
    #[arg(long)]
    pub(crate) json: bool,
}

/// `gatemill eval`.
#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// A .safetensors file, or a run folder: its best model, else its newest checkpoint
    pub(crate) model: PathBuf,
    /// The text to score: files read as one, from its start; beside --split where the run's text is now
    #[arg(value_name = "FILE", required_unless_present = "split")]
    pub(crate) files: Vec<PathBuf>,
    /// Score the validation part of the run's own text, as training does
    #[arg(long, value_name = "PART", value_parser = ["val"])]
    pub(crate) split: Option<String>,
    /// Parts of the text read side by side [default: the run's]
    #[arg(long, value_name = "B", value_parser = size(), requires = "split")]
    pub(crate) batch: Option<usize>,
    /// Write one JSON object to stdout
    #[arg(long)]
    pub(crate) json: bool,
}

impl TrainArgs {
    /// Puts the flags that were given into a configuration: the defaults, or a checkpoint's.
    pub(crate) fn configure(&self, config: &mut Config) {
        fn set<T: Clone>(field: &mut T, given: &Option<T>) {
            if let Some(value) = given {
                field.clone_from(value);
            }
        }
        set(&mut config.cell, &self.cell);
        set(&mut config.layers, &self.layers);
        set(&mut config.hidden, &self.hidden);
        set(&mut config.dropout, &self.dropout);
        set(&mut config.vocab, &self.vocab);
        set(&mut config.init, &self.init);
        set(&mut config.forget_bias, &self.forget_bias);
        set(&mut config.seed, &self.seed);
        set(&mut config.batch, &self.batch);
        set(&mut config.seq, &self.seq);
        if let Some(epochs) = self.epochs {
            (config.epochs, config.steps) = (epochs, None);
        }
        if self.steps.is_some() {
            config.steps = self.steps;
        }
        set(&mut config.optimizer, &self.optimizer);
        set(&mut config.lr, &self.lr);
        set(&mut config.beta1, &self.beta1);
        set(&mut config.beta2, &self.beta2);
        set(&mut config.eps, &self.eps);
        set(&mut config.schedule, &self.schedule);
        if self.warmup.is_some() {
            config.warmup = self.warmup;
        }
        set(&mut config.min_lr, &self.min_lr);
        set(&mut config.clip_norm, &self.clip_norm);
        set(&mut config.val_frac, &self.val_frac);
        set(&mut config.eval_tokens, &self.eval_tokens);
        set(&mut config.shards, &self.shards);
    }

    /// Puts the intervals that were given into settings.
    pub(crate) fn set_intervals(&self, settings: &mut Settings) {
        settings.eval_every = self.eval_every.or(settings.eval_every);
        settings.save_every = self.save_every.or(settings.save_every);
        settings.sample_every = self.sample_every.or(settings.sample_every);
        settings.keep = self.keep.unwrap_or(settings.keep);
    }
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

fn io(how: &str) -> Io {
    if how == "read" { Io::Read } else { Io::Map }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_parser_is_sound() {
        Cli::command().debug_assert();
    }

    /// The help names the defaults in words; this holds them to the configuration's.
    #[test]
    fn the_help_names_the_real_defaults() {
        let mut command = Cli::command();
        let train = command.find_subcommand_mut("train").expect("train");
        let config = serde_json::to_value(Config::default()).expect("plain");
        for (flag, value) in config.as_object().expect("fields") {
            let arg = train.get_arguments().find(|arg| arg.get_long() == Some(flag)).expect(flag);
            let help = arg.get_help().expect(flag).to_string();
            if value.is_null() {
                continue;
            }
            let word = help.rsplit_once("[default: ").expect(flag).1.trim_end_matches(']').to_owned();
            match value.as_f64() {
                Some(number) => assert_eq!(word.parse::<f64>().ok(), Some(number), "--{flag}"),
                None => assert_eq!(Some(word.as_str()), value.as_str(), "--{flag}"),
            }
        }
    }

    #[test]
    fn every_flag_reaches_the_configuration() {
        let line = "gatemill train --cell gru --layers 3 --hidden 17 --dropout 0.5 --vocab bytes --init pytorch \
                    --forget-bias -2 --seed 9 --batch 5 --seq 6 --steps 7 --optimizer sgd --lr 0.1 --beta1 0.2 --beta2 0.3 \
                    --eps 0.4 --schedule constant --warmup 8 --min-lr 0.01 --clip-norm 2 --val-frac 0.25 --eval-tokens 10 \
                    --shards 4";
        let cli = Cli::try_parse_from(line.split_whitespace()).expect("valid");
        let Some(Command::Train(args)) = cli.command else { panic!("train") };
        let mut config = Config { epochs: 99, ..Config::default() };
        args.configure(&mut config);
        let (was, is) = (Config::default(), config);
        let (was, is) = (serde_json::to_value(was).expect("plain"), serde_json::to_value(is).expect("plain"));
        for (flag, value) in was.as_object().expect("fields") {
            // There is one kind of initial weights yet.
            assert_eq!(is[flag] == *value, flag == "init", "--{flag}");
        }
    }
}
