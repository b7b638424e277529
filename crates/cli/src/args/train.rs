//! The flags of `gatemill train`, and how they change a configuration.
//!
//! Each is optional, so that a preset, a file or a checkpoint holds where nothing was said.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};
use gatemill_corpus::Io;
use gatemill_train::checkpoint::Keep;
use gatemill_train::run::Settings;
use gatemill_train::task::{Attention, Bridge, Pool, TaskConfig, TaskKind};
use gatemill_train::{CellKind, Config, InitKind, OptimizerKind, Preset, ScheduleKind, VocabChoice};

use super::{between, named, size, whole, whole_or_zero};

/// Larger than any machine of today.
pub(super) const LARGEST_THREADS: i64 = 4096;
/// Deep enough for anything that learns.
pub(super) const LARGEST_DEPTH: i64 = 1024;

const TASK: &str = "Tasks";
const TEXT: &str = "Text";
const MODEL: &str = "Model";
const LENGTH: &str = "How long";
const LEARNING: &str = "Learning";
const WATCHING: &str = "Evaluation, samples, checkpoints";
const PLACE: &str = "Where and how";

/// `gatemill train`.
#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// The text: files, and folders with all files in them, read in this order; .gz and .zst are unpacked; - is standard
    /// input. None: the built-in text
    #[arg(value_name = "FILE|DIR")]
    pub(crate) files: Vec<PathBuf>,

    /// Learn a task from examples in place of a text: classify a text; tag each of its symbols; translate it into
    /// another; describe, which writes a text for a name; map numbers to a class. FILE has one example a line, INPUT, a
    /// tab, OUTPUT, or JSON objects; none: examples made from a seed
    #[arg(long, value_name = "TASK", value_parser = named::<TaskKind>(&["classify", "tag", "translate", "describe", "map"]), help_heading = TASK)]
    pub(crate) task: Option<TaskKind>,
    /// Examples to validate on, in place of a part of FILE
    #[arg(long, value_name = "FILE", conflicts_with = "val_frac", help_heading = TASK)]
    pub(crate) val: Option<PathBuf>,
    /// Read the input in both directions: classify, tag, translate
    #[arg(long, help_heading = TASK)]
    pub(crate) bidirectional: bool,
    /// What classify goes by: the last state, or the mean or the largest over all of them [default: last]
    #[arg(long, value_name = "HOW", value_parser = named::<Pool>(&["last", "mean", "max"]), help_heading = TASK)]
    pub(crate) pool: Option<Pool>,
    /// How translate looks back at its input: by products of states (dot), through a matrix (general), or not at all; on
    /// is dot, with --bidirectional general [default: on]
    #[arg(long, value_name = "HOW", value_parser = PossibleValuesParser::new(["on", "off", "dot", "general"]).map(|how| Looking::of(&how)), help_heading = TASK)]
    pub(crate) attention: Option<Looking>,
    /// How the states of what reads become those of what writes: as they are, or through a matrix [default: copy]
    #[arg(long, value_name = "HOW", value_parser = named::<Bridge>(&["copy", "linear"]), help_heading = TASK)]
    pub(crate) bridge: Option<Bridge>,

    /// What a symbol is: a character of UTF-8 text, or a byte of any file [default: chars]
    #[arg(long, value_name = "KIND", value_parser = named::<VocabChoice>(&["chars", "bytes"]), help_heading = TEXT)]
    pub(crate) vocab: Option<VocabChoice>,
    /// Read what is not UTF-8 as the replacement character instead of stopping there
    #[arg(long, help_heading = TEXT)]
    pub(crate) lossy: bool,
    /// Text that ends a document: what comes after it, or in another file, is read without memory of what came before;
    /// \n is a line's end, \t a tab
    #[arg(long, value_name = "TEXT", value_parser = unescaped(), allow_hyphen_values = true, help_heading = TEXT)]
    pub(crate) document_separator: Option<String>,
    /// The last part of each file, kept to measure the model on while it learns [default: 0.05]
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = TEXT)]
    pub(crate) val_frac: Option<f64>,
    /// A part behind that one, scored once, at the end, with the best model [default: 0]
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = TEXT)]
    pub(crate) test_frac: Option<f64>,

    /// Start from other settings than the defaults: the best that are known for a small text, or those of another tool;
    /// flags beside it win
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Preset::ALL.map(Preset::name)).try_map(|name| name.parse::<Preset>()), conflicts_with = "resume", help_heading = MODEL)]
    pub(crate) preset: Option<Preset>,
    /// Read flags from a TOML file, `hidden = 512`, one to a line; flags beside it win
    #[arg(long, value_name = "FILE", help_heading = MODEL)]
    pub(crate) config: Option<PathBuf>,
    /// The recurrent cell [default: lstm]
    #[arg(long, value_name = "CELL", value_parser = named::<CellKind>(&["rnn", "lstm", "gru"]), help_heading = MODEL)]
    pub(crate) cell: Option<CellKind>,
    /// Recurrent layers on top of each other [default: 2]
    #[arg(long, value_name = "L", value_parser = between::<usize>(1, LARGEST_DEPTH), help_heading = MODEL)]
    pub(crate) layers: Option<usize>,
    /// Hidden units of each layer [default: 256]
    #[arg(long, value_name = "H", value_parser = size(), help_heading = MODEL)]
    pub(crate) hidden: Option<usize>,
    /// Numbers that stand for a symbol and are learned; 0: one unit per symbol [default: 0]
    #[arg(long, value_name = "E", value_parser = between::<usize>(0, super::LARGEST_SIZE), help_heading = MODEL)]
    pub(crate) embed: Option<usize>,
    /// Use one matrix for the embedding and the readout; --embed must equal --hidden
    #[arg(long, help_heading = MODEL)]
    pub(crate) tied: bool,
    /// Share of units dropped between layers while training [default: 0]
    #[arg(long, value_name = "P", allow_negative_numbers = true, help_heading = MODEL)]
    pub(crate) dropout: Option<f64>,
    /// Share of the top layer's units dropped before the readout while training [default: 0]
    #[arg(long, value_name = "P", allow_negative_numbers = true, help_heading = MODEL)]
    pub(crate) output_dropout: Option<f64>,
    /// How weights begin: as PyTorch's do, as char-rnn's (uniform), as torch-rnn's (normal), or as Keras's (orthogonal)
    /// [default: pytorch]
    #[arg(long, value_name = "KIND", value_parser = named::<InitKind>(&["pytorch", "uniform", "normal", "orthogonal"]), help_heading = MODEL)]
    pub(crate) init: Option<InitKind>,
    /// Bound of uniform, standard deviation of normal [default: 0.08; 1/sqrt(inputs + hidden)]
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = MODEL)]
    pub(crate) init_scale: Option<f64>,
    /// Added to the LSTM's forget bias at the start (PyTorch itself: 0) [default: 1]
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = MODEL)]
    pub(crate) forget_bias: Option<f64>,
    /// Where weights and samples take their chance from [default: 1]
    #[arg(long, value_name = "N", value_parser = whole_or_zero(), help_heading = MODEL)]
    pub(crate) seed: Option<u64>,

    /// How many times to read the text [default: 10]
    #[arg(long, value_name = "N", value_parser = whole(), conflicts_with = "steps", help_heading = LENGTH)]
    pub(crate) epochs: Option<u64>,
    /// How many steps to make, in place of --epochs
    #[arg(long, value_name = "N", value_parser = whole(), help_heading = LENGTH)]
    pub(crate) steps: Option<u64>,
    /// How long to train: the steps that fit are counted out before the first, and the schedule laid over them
    #[arg(long, value_name = "M", allow_negative_numbers = true, help_heading = LENGTH)]
    pub(crate) minutes: Option<f64>,
    /// Stop early, after so many evaluations in a row without a better one
    #[arg(long, value_name = "N", value_parser = whole(), help_heading = LENGTH)]
    pub(crate) patience: Option<u64>,

    /// Parts of the text read side by side [default: 64]
    #[arg(long, value_name = "B", value_parser = size(), help_heading = LEARNING)]
    pub(crate) batch: Option<usize>,
    /// Characters through which gradients flow back [default: 100]
    #[arg(long, value_name = "T", value_parser = size(), help_heading = LEARNING)]
    pub(crate) seq: Option<usize>,
    /// Add up the gradients of N batches before each step: N times as many parts of the text in the memory of one batch
    /// [default: 1]
    #[arg(long, value_name = "N", value_parser = size(), help_heading = LEARNING)]
    pub(crate) accumulate: Option<usize>,
    /// Forget what was read before each --seq characters, to see what carrying the state on is worth
    #[arg(long, help_heading = LEARNING)]
    pub(crate) no_carry: bool,
    /// The rule by which weights move [default: adam]
    #[arg(long, value_name = "RULE", value_parser = named::<OptimizerKind>(&["adam", "adamw", "rmsprop", "sgd", "adagrad"]), help_heading = LEARNING)]
    pub(crate) optimizer: Option<OptimizerKind>,
    /// Learning rate: how far a step goes [default: 0.002]
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = LEARNING)]
    pub(crate) lr: Option<f64>,
    /// Adam's decay of the mean gradient [default: 0.9]
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = LEARNING)]
    pub(crate) beta1: Option<f64>,
    /// Adam's decay of the mean squared gradient [default: 0.999]
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = LEARNING)]
    pub(crate) beta2: Option<f64>,
    /// The guard of adam, rmsprop and adagrad against division by zero [default: 1e-8]
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = LEARNING)]
    pub(crate) eps: Option<f64>,
    /// Pull of all weights towards 0: added to the gradient, or with adamw taken off the weights [default: 0]
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = LEARNING)]
    pub(crate) weight_decay: Option<f64>,
    /// Share of its last movement that sgd goes on with [default: 0.9]
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = LEARNING)]
    pub(crate) momentum: Option<f64>,
    /// Rmsprop's decay of the mean squared gradient [default: 0.95]
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = LEARNING)]
    pub(crate) decay_rate: Option<f64>,
    /// How the learning rate moves: constant; cosine (to --min-lr over the run); exponential and step (times --lr-decay
    /// after epochs); plateau (times --lr-decay when validation stops improving) [default: cosine]
    #[arg(long, value_name = "KIND", value_parser = named::<ScheduleKind>(&["constant", "cosine", "exponential", "step", "plateau"]), help_heading = LEARNING)]
    pub(crate) schedule: Option<ScheduleKind>,
    /// Steps over which the learning rate rises at the start [default: 100 with cosine, else 0]
    #[arg(long, value_name = "N", value_parser = whole_or_zero(), help_heading = LEARNING)]
    pub(crate) warmup: Option<u64>,
    /// Where the cosine ends, and the least that any schedule comes to [default: 0]
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = LEARNING)]
    pub(crate) min_lr: Option<f64>,
    /// What exponential, step and plateau multiply the learning rate with [default: 0.97 with exponential, else 0.5]
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = LEARNING)]
    pub(crate) lr_decay: Option<f64>,
    /// Epochs between two cuts of the step schedule [default: 5]
    #[arg(long, value_name = "N", value_parser = whole(), help_heading = LEARNING)]
    pub(crate) lr_decay_every: Option<u64>,
    /// Epochs at the full rate before the exponential schedule begins to cut [default: 1]
    #[arg(long, value_name = "N", value_parser = whole(), help_heading = LEARNING)]
    pub(crate) lr_decay_after: Option<u64>,
    /// Evaluations in a row without a better one before the plateau schedule cuts [default: 2]
    #[arg(long, value_name = "N", value_parser = whole(), help_heading = LEARNING)]
    pub(crate) lr_patience: Option<u64>,
    /// Longer gradients are shortened to this norm; 0: never [default: 5]
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = LEARNING)]
    pub(crate) clip_norm: Option<f64>,
    /// Cut each element of the gradient to this size, in place of --clip-norm; 0: never [default: 0]
    #[arg(long, value_name = "X", allow_negative_numbers = true, conflicts_with = "clip_norm", help_heading = LEARNING)]
    pub(crate) clip_value: Option<f64>,

    /// Steps between evaluations [default: each epoch]
    #[arg(long, value_name = "N", value_parser = whole(), help_heading = WATCHING)]
    pub(crate) eval_every: Option<u64>,
    /// An evaluation reads at most so many characters [default: 1000000]
    #[arg(long, value_name = "N", value_parser = whole(), help_heading = WATCHING)]
    pub(crate) eval_tokens: Option<u64>,
    /// Steps between checkpoints [default: each epoch]
    #[arg(long, value_name = "N", value_parser = whole(), help_heading = WATCHING)]
    pub(crate) save_every: Option<u64>,
    /// Steps between samples [default: after 1/27, 1/9, 1/3 and all of the run]
    #[arg(long, value_name = "N", value_parser = whole(), help_heading = WATCHING)]
    pub(crate) sample_every: Option<u64>,
    /// After each evaluation say how far the model remembers, by gradients on the validation text; takes a small part of
    /// the evaluation's time [default: on]
    #[arg(long, value_name = "on|off", value_parser = PossibleValuesParser::new(["on", "off"]).map(|word| word == "on"), help_heading = WATCHING)]
    pub(crate) flow: Option<bool>,
    /// How many checkpoints stay: a number from 2, or all [default: 2]
    #[arg(long, value_name = "N|all", help_heading = WATCHING)]
    pub(crate) keep: Option<Keep>,

    /// The run folder [default: runs/CORPUS-CELL-LxH-N, the first free N]
    #[arg(long, value_name = "DIR", conflicts_with = "resume", help_heading = PLACE)]
    pub(crate) out: Option<PathBuf>,
    /// Go on with the run in this folder; a FILE beside it says where its text is now
    #[arg(long, value_name = "DIR", help_heading = PLACE)]
    pub(crate) resume: Option<PathBuf>,
    /// Let a resumed run change its learning rate and the like; the change is recorded
    #[arg(long = "override", requires = "resume", help_heading = PLACE)]
    pub(crate) allow_override: bool,
    /// Resume from the newest checkpoint or not at all, even if only that one is damaged
    #[arg(long, requires = "resume", help_heading = PLACE)]
    pub(crate) strict_resume: bool,
    /// Stop, after a checkpoint, if the text changes while it is in use, instead of saying so and going on
    #[arg(long, help_heading = PLACE)]
    pub(crate) strict_corpus: bool,
    /// Worker threads; the result does not depend on them [default: all that help]
    #[arg(long, value_name = "N", value_parser = between::<usize>(1, LARGEST_THREADS), help_heading = PLACE)]
    pub(crate) threads: Option<usize>,
    /// Parts of the batch whose gradients are summed apart; part of what the result depends on [default: 1]
    #[arg(long, value_name = "S", value_parser = size(), help_heading = PLACE)]
    pub(crate) shards: Option<usize>,
    /// How files are read: mapped into memory, or by ordinary reads [default: map]
    #[arg(long, value_name = "HOW", value_parser = PossibleValuesParser::new(["map", "read"]).map(|how| io(&how)), help_heading = PLACE)]
    pub(crate) io: Option<Io>,
    /// Write one JSON object per event and line to stdout
    #[arg(long, help_heading = PLACE)]
    pub(crate) json: bool,
}

/// What `--attention` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looking {
    /// The kind that fits the directions.
    On,
    /// This one, or none.
    By(Attention),
}

impl Looking {
    fn of(how: &str) -> Self {
        match how {
            "off" => Looking::By(Attention::None),
            "dot" => Looking::By(Attention::Dot),
            "general" => Looking::By(Attention::General),
            _ => Looking::On,
        }
    }
}

impl TrainArgs {
    /// Flags that were given and mean nothing for a task, each with the reason.
    pub(crate) fn no_flags_of_a_task(&self) -> Option<(&'static str, &'static str)> {
        let symbols = "the symbols of examples are characters of UTF-8 text";
        let apart = "every example begins anew, and a batch is whatever its examples are long";
        let whole = "an evaluation reads all examples that are set aside for it";
        let given = [
            (
                self.preset.is_some(),
                "--preset",
                "presets are settings of character models; every task has defaults of its own",
            ),
            (self.vocab.is_some(), "--vocab", symbols),
            (self.lossy, "--lossy", symbols),
            (self.document_separator.is_some(), "--document-separator", "every line is an example of its own"),
            (self.tied, "--tied", "what is read and what is written have symbols of their own"),
            (self.seq.is_some(), "--seq", apart),
            (self.no_carry, "--no-carry", apart),
            (self.accumulate.is_some(), "--accumulate", apart),
            (self.shards.is_some(), "--shards", apart),
            (self.eval_tokens.is_some(), "--eval-tokens", whole),
            (self.strict_corpus, "--strict-corpus", "examples are read once, before training"),
            (self.io.is_some(), "--io", "examples are read once, before training"),
        ];
        given.into_iter().find(|(given, ..)| *given).map(|(_, flag, why)| (flag, why))
    }

    /// A flag that was given and means something for a task alone.
    pub(crate) fn flag_of_a_task(&self) -> Option<&'static str> {
        let given = [
            (self.task.is_some(), "--task"),
            (self.val.is_some(), "--val"),
            (self.bidirectional, "--bidirectional"),
            (self.pool.is_some(), "--pool"),
            (self.attention.is_some(), "--attention"),
            (self.bridge.is_some(), "--bridge"),
        ];
        given.into_iter().find(|(given, _)| *given).map(|(_, flag)| flag)
    }

    /// Puts the flags that were given into a task's configuration.
    pub(crate) fn configure_task(&self, config: &mut TaskConfig) {
        self.configure(&mut config.base);
        config.kind = self.task.unwrap_or(config.kind);
        config.bidirectional |= self.bidirectional;
        config.pool = self.pool.unwrap_or(config.pool);
        config.bridge = self.bridge.unwrap_or(config.bridge);
        let fitting = if config.bidirectional { Attention::General } else { Attention::Dot };
        match self.attention {
            Some(Looking::On) => config.attention = fitting,
            Some(Looking::By(attention)) => config.attention = attention,
            // The default goes with the directions.
            None if config.attention != Attention::None && self.bidirectional => config.attention = fitting,
            None => {}
        }
    }

    /// Puts the flags that were given into a configuration: the defaults, a preset's, a file's, or a checkpoint's.
    pub(crate) fn configure(&self, config: &mut Config) {
        macro_rules! given {
            ($($field:ident),*) => { $(if let Some(value) = &self.$field { config.$field = value.clone(); })* };
        }
        macro_rules! given_or_not {
            ($($field:ident),*) => { $(if self.$field.is_some() { config.$field = self.$field.clone(); })* };
        }
        macro_rules! switched_on {
            ($($field:ident),*) => { $(config.$field |= self.$field;)* };
        }
        given!(vocab, val_frac, test_frac, cell, layers, hidden, embed, dropout, output_dropout, init, forget_bias);
        given!(seed, batch, seq, accumulate, optimizer, lr, beta1, beta2, eps, weight_decay, momentum, decay_rate);
        given!(schedule, min_lr, lr_decay_every, lr_decay_after, lr_patience, eval_tokens, shards);
        given_or_not!(document_separator, init_scale, minutes, patience, warmup, lr_decay);
        switched_on!(lossy, tied, no_carry);
        // Of two that exclude each other, the one that is given puts the other away.
        if let Some(epochs) = self.epochs {
            (config.epochs, config.steps) = (epochs, None);
        }
        if self.steps.is_some() {
            config.steps = self.steps;
        }
        if let Some(norm) = self.clip_norm {
            (config.clip_norm, config.clip_value) = (norm, 0.0);
        }
        if let Some(value) = self.clip_value {
            (config.clip_value, config.clip_norm) = (value, 0.0);
        }
    }

    /// Puts the intervals that were given into settings.
    pub(crate) fn set_intervals(&self, settings: &mut Settings) {
        settings.eval_every = self.eval_every.or(settings.eval_every);
        settings.save_every = self.save_every.or(settings.save_every);
        settings.sample_every = self.sample_every.or(settings.sample_every);
        settings.keep = self.keep.unwrap_or(settings.keep);
        settings.strict_corpus |= self.strict_corpus;
        settings.flow = self.flow.unwrap_or(settings.flow);
    }
}

fn io(how: &str) -> Io {
    if how == "read" { Io::Read } else { Io::Map }
}

/// A text in which \n, \r, \t, \0 and \\ stand for what they do in most languages.
fn unescaped() -> impl TypedValueParser<Value = String> {
    NonEmptyStringValueParser::new().map(|text| {
        let mut out = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let escaped = if c == '\\' { chars.next() } else { None };
            match escaped {
                None => out.push(c),
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('t') => out.push('\t'),
                Some('0') => out.push('\0'),
                Some('\\') => out.push('\\'),
                Some(other) => out.extend([c, other]),
            }
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Cli, Command};
    use super::*;
    use clap::{CommandFactory, Parser};

    fn configured(line: &str) -> Config {
        let cli = Cli::try_parse_from(line.split_whitespace()).expect("valid");
        let Some(Command::Train(args)) = cli.command else { panic!("train") };
        let mut config = Config { epochs: 99, ..Config::default() };
        args.configure(&mut config);
        config
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
            if value.is_null() || value.is_boolean() {
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
        let is = configured(
            "gatemill train --cell gru --layers 3 --hidden 17 --embed 17 --tied --dropout 0.5 --output-dropout 0.25 --vocab bytes --lossy \
             --document-separator \\n\\n --init normal --init-scale 0.1 --forget-bias -2 --seed 9 --batch 5 --seq 6 \
             --accumulate 2 --no-carry --steps 7 --minutes 1.5 --patience 3 --optimizer sgd --lr 0.1 --beta1 0.2 \
             --beta2 0.3 --eps 0.4 --weight-decay 0.5 --momentum 0.6 --decay-rate 0.7 --schedule constant --warmup 8 \
             --min-lr 0.01 --lr-decay 0.8 --lr-decay-every 9 --lr-decay-after 10 --lr-patience 11 --clip-value 2 \
             --val-frac 0.25 --test-frac 0.125 --eval-tokens 10 --shards 4",
        );
        assert_eq!(is.document_separator.as_deref(), Some("\n\n"));
        let (was, is) = (serde_json::to_value(Config::default()), serde_json::to_value(is));
        let (was, is) = (was.expect("plain"), is.expect("plain"));
        for (flag, value) in was.as_object().expect("fields") {
            assert_ne!(is[flag], *value, "--{flag}");
        }
    }

    #[test]
    fn what_excludes_another_puts_it_away() {
        assert_eq!(configured("gatemill train --clip-norm 3").clip_norm, 3.0);
        let by_value = configured("gatemill train --clip-value 3");
        assert_eq!((by_value.clip_norm, by_value.clip_value), (0.0, 3.0));
        assert_eq!(configured("gatemill train --epochs 4").epochs, 4);
    }
}
