//! The settings of other character-model tools, and the best that we know ourselves, as a configuration to start from.
//!
//! Values are those that the tool would train with by itself, carried over to our conventions; what the tool does in a way
//! that no setting of ours has is in `doc/presets.md`, one table per tool. A run records the values, never the preset.
//!
//! Our gradient is the mean over T steps and B lanes. char-rnn and min-char-rnn sum over the window: their gradient is T
//! times ours, so a limit c on theirs is c/T on ours, and so is what RMSprop adds to the root of the mean square:
//! `T g / (sqrt(T^2 m) + eps) = g / (sqrt(m) + eps/T)`. Both therefore follow `seq` ([`layered`]).

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use crate::config::{CellKind, Config, ConfigError, InitKind, OptimizerKind, ScheduleKind};
use crate::config_page::{Page, PageError};
use crate::run::Settings;

/// Whose settings can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// karpathy/char-rnn, `train.lua`.
    CharRnn,
    /// jcjohnson/torch-rnn, `train.lua` and `scripts/preprocess.py`.
    TorchRnn,
    /// karpathy/nanoGPT, `config/train_shakespeare_char.py`: its optimiser and schedule around a network of equal cost.
    NanoGpt,
    /// karpathy's min-char-rnn, the hundred lines of numpy.
    MinCharRnn,
    /// Ours: the best that trials on a megabyte of text found.
    Best,
}

/// A name that is no preset's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no preset is named {0:?}: there are best, char-rnn, torch-rnn, nanogpt and min-char-rnn")]
pub struct NoPreset(pub String);

impl FromStr for Preset {
    type Err = NoPreset;

    fn from_str(name: &str) -> Result<Self, NoPreset> {
        Self::ALL.into_iter().find(|preset| preset.name() == name).ok_or_else(|| NoPreset(name.to_owned()))
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Preset {
    /// All of them.
    pub const ALL: [Preset; 5] = [Preset::Best, Preset::CharRnn, Preset::TorchRnn, Preset::NanoGpt, Preset::MinCharRnn];

    /// As `--preset` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Preset::CharRnn => "char-rnn",
            Preset::TorchRnn => "torch-rnn",
            Preset::NanoGpt => "nanogpt",
            Preset::MinCharRnn => "min-char-rnn",
            Preset::Best => "best",
        }
    }

    /// The tool's own window: T.
    pub const fn seq(self) -> usize {
        match self {
            Preset::CharRnn | Preset::TorchRnn => 50,
            Preset::NanoGpt => 256,
            Preset::MinCharRnn => 25,
            Preset::Best => 32,
        }
    }

    /// The tool's configuration for its own window.
    pub fn config(self) -> Config {
        self.config_at(self.seq())
    }

    /// The tool's configuration for windows of `seq` steps; limits on a gradient summed over the window become those on
    /// its mean.
    pub fn config_at(self, seq: usize) -> Config {
        let steps = seq as f64;
        match self {
            Preset::CharRnn => Config {
                cell: CellKind::Lstm,
                layers: 2,
                hidden: 128,
                batch: 50,
                seq,
                epochs: 50,
                optimizer: OptimizerKind::Rmsprop,
                lr: 2e-3,
                decay_rate: 0.95,
                eps: 1e-8 / steps,
                schedule: ScheduleKind::Exponential,
                lr_decay: Some(0.97),
                lr_decay_after: 10,
                clip_norm: 0.0,
                clip_value: 5.0 / steps,
                init: InitKind::Uniform,
                init_scale: Some(0.08),
                forget_bias: 1.0,
                dropout: 0.0,
                val_frac: 0.05,
                test_frac: 0.0,
                seed: 123,
                ..Config::default()
            },
            // Its criterion is a mean already. It sets no seed.
            Preset::TorchRnn => Config {
                cell: CellKind::Lstm,
                layers: 2,
                hidden: 128,
                embed: 64,
                batch: 50,
                seq,
                epochs: 50,
                optimizer: OptimizerKind::Adam,
                lr: 2e-3,
                beta1: 0.9,
                beta2: 0.999,
                schedule: ScheduleKind::Step,
                lr_decay: Some(0.5),
                lr_decay_every: 5,
                clip_norm: 0.0,
                clip_value: 5.0,
                init: InitKind::Normal,
                forget_bias: 1.0,
                dropout: 0.0,
                val_frac: 0.1,
                test_frac: 0.1,
                ..Config::default()
            },
            // Weights that multiply for each symbol, V = 65. There: 6 blocks of 12 * 384^2, readout 65 * 384:
            // 10,616,832 + 24,960 = 10,641,792 (attention's own products not counted). Here, one-hot below the first
            // layer, so that its W_ih is looked up: 4 * 720^2 + 2 layers of 8 * 720^2, readout 65 * 720:
            // 2,073,600 + 8,294,400 + 46,800 = 10,414,800, 98 % of it. 720 is 45 vectors of 16.
            Preset::NanoGpt => Config {
                cell: CellKind::Lstm,
                layers: 3,
                hidden: 720,
                batch: 64,
                seq,
                steps: Some(5000),
                dropout: 0.2,
                optimizer: OptimizerKind::Adamw,
                lr: 1e-3,
                beta1: 0.9,
                beta2: 0.99,
                weight_decay: 0.1,
                schedule: ScheduleKind::Cosine,
                warmup: Some(100),
                min_lr: 1e-4,
                clip_norm: 1.0,
                clip_value: 0.0,
                val_frac: 0.1,
                test_frac: 0.0,
                seed: 1337,
                ..Config::default()
            },
            // Its Adagrad has 1e-8 inside the root: T g / sqrt(T^2 s + 1e-8) = g / sqrt(s + (1e-4/T)^2). Outside the
            // root 1e-4/T is the same where s = 0, and never further off than by a factor of sqrt(2).
            // It never ends; ten epochs are ours.
            Preset::MinCharRnn => Config {
                cell: CellKind::Rnn,
                layers: 1,
                hidden: 100,
                batch: 1,
                seq,
                epochs: 10,
                optimizer: OptimizerKind::Adagrad,
                lr: 0.1,
                eps: 1e-4 / steps,
                schedule: ScheduleKind::Constant,
                clip_norm: 0.0,
                clip_value: 5.0 / steps,
                init: InitKind::Normal,
                init_scale: Some(0.01),
                dropout: 0.0,
                val_frac: 0.0,
                test_frac: 0.0,
                ..Config::default()
            },
            // By trial on tiny Shakespeare: doc/presets.md says what was tried. Small chunks make many steps; a GRU
            // takes a high rate well.
            Preset::Best => Config {
                cell: CellKind::Gru,
                layers: 1,
                hidden: 256,
                batch: 32,
                seq,
                epochs: 10,
                lr: 0.01,
                optimizer: OptimizerKind::Adamw,
                weight_decay: 0.05,
                val_frac: 0.1,
                ..Config::default()
            },
        }
    }

    /// Sets how often the tool evaluates, saves and samples; leaves what it has no figure for.
    pub fn set_intervals(self, settings: &mut Settings) {
        match self {
            Preset::CharRnn | Preset::TorchRnn => {
                (settings.eval_every, settings.save_every) = (Some(1000), Some(1000));
            }
            Preset::NanoGpt => (settings.eval_every, settings.save_every) = (Some(250), Some(250)),
            Preset::MinCharRnn => settings.sample_every = Some(100),
            Preset::Best => {}
        }
    }

    /// The preset as flags of `gatemill train`, for windows of `seq` steps: what it changes of the defaults, name and
    /// value.
    pub fn flags_at(self, seq: usize) -> Vec<(String, String)> {
        let object = |config: &Config| match serde_json::to_value(config) {
            Ok(Value::Object(fields)) => fields,
            _ => serde_json::Map::new(),
        };
        let config = self.config_at(seq);
        let (ours, theirs) = (object(&Config::default()), object(&config));
        let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        // The two exclude each other; a value puts the norm away.
        let told = |name: &str| name != "clip-norm" || config.clip_value == 0.0;
        let changed = theirs.iter().filter(|(name, value)| ours.get(*name) != Some(*value) && told(name));
        let mut flags: Vec<(String, String)> =
            changed.map(|(name, value)| (format!("--{name}"), word(value))).collect();
        let mut settings = Settings::new(crate::run::Source::Files { paths: Vec::new() });
        self.set_intervals(&mut settings);
        let intervals = [
            ("--eval-every", settings.eval_every),
            ("--save-every", settings.save_every),
            ("--sample-every", settings.sample_every),
        ];
        flags.extend(intervals.iter().filter_map(|(name, every)| Some(((*name).to_owned(), (*every)?.to_string()))));
        flags
    }

    /// [`Preset::flags_at`] the tool's own window.
    pub fn flags(self) -> Vec<(String, String)> {
        self.flags_at(self.seq())
    }

    /// Whether a configuration made from this preset still is what the tool would train.
    ///
    /// Errors: the cell is one that the tool computes by another function, so that its results would not be the tool's.
    pub fn check(self, config: &Config) -> Result<(), ConfigError> {
        if self == Preset::CharRnn && config.cell == CellKind::Gru {
            return Err(ConfigError {
                flag: "cell",
                value: "gru with --preset char-rnn".to_owned(),
                reason: "char-rnn's GRU multiplies by the reset gate before the recurrent product, Gatemill's after it, \
                         as PyTorch and cuDNN do: another function, whose results would not be char-rnn's",
            });
        }
        Ok(())
    }
}

/// Lays a configuration together: the defaults, over them a preset, over that a page, over that flags.
///
/// What a preset derives from `seq` is derived from the one that holds in the end, wherever it came from, unless a page
/// or flag gives the value itself. The page's own preset holds where `preset` is none.
/// Errors: see [`Page::configure`].
pub fn layered(
    preset: Option<Preset>,
    page: &Page,
    flags: impl Fn(&mut Config),
) -> Result<(Option<Preset>, Config), PageError> {
    let preset = preset.or(page.preset);
    let laid = |seq: Option<usize>| {
        let base = |preset: Preset| preset.config_at(seq.unwrap_or(preset.seq()));
        let mut config = preset.map_or_else(Config::default, base);
        page.configure(&mut config)?;
        flags(&mut config);
        Ok(config)
    };
    let seq = laid(None)?.seq;
    Ok((preset, laid(Some(seq))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Page {
        Page::parse(text.as_bytes()).expect("a page")
    }

    /// The table of doc/presets.md, figure by figure; fields that are not named are at our defaults.
    #[test]
    fn each_preset_has_the_values_of_its_tool() {
        let told = |preset: Preset| {
            let flags = preset.flags();
            flags.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            told(Preset::Best),
            "--batch 32 --cell gru --layers 1 --lr 0.01 --optimizer adamw --seq 32 --val-frac 0.1 --weight-decay 0.05"
        );
        assert_eq!(
            told(Preset::CharRnn),
            "--batch 50 --clip-value 0.1 --epochs 50 --eps 2e-10 --hidden 128 --init uniform --init-scale 0.08 \
             --lr-decay 0.97 --lr-decay-after 10 --optimizer rmsprop --schedule exponential --seed 123 --seq 50 \
             --eval-every 1000 --save-every 1000"
        );
        assert_eq!(
            told(Preset::TorchRnn),
            "--batch 50 --clip-value 5.0 --embed 64 --epochs 50 --hidden 128 --init normal --lr-decay 0.5 \
             --schedule step --seq 50 --test-frac 0.1 --val-frac 0.1 --eval-every 1000 --save-every 1000"
        );
        assert_eq!(
            told(Preset::NanoGpt),
            "--beta2 0.99 --clip-norm 1.0 --dropout 0.2 --hidden 720 --layers 3 --lr 0.001 --min-lr 0.0001 \
             --optimizer adamw --seed 1337 --seq 256 --steps 5000 --val-frac 0.1 --warmup 100 --weight-decay 0.1 \
             --eval-every 250 --save-every 250"
        );
        assert_eq!(
            told(Preset::MinCharRnn),
            "--batch 1 --cell rnn --clip-value 0.2 --eps 4e-6 --hidden 100 --init normal --init-scale 0.01 --layers 1 \
             --lr 0.1 --optimizer adagrad --schedule constant --seq 25 --val-frac 0.0 --sample-every 100"
        );
        let c = Preset::CharRnn.config();
        assert_eq!((c.cell, c.layers, c.lr, c.decay_rate), (CellKind::Lstm, 2, 2e-3, 0.95));
        assert_eq!((c.val_frac, c.test_frac, c.forget_bias, c.dropout), (0.05, 0.0, 1.0, 0.0));
        assert_eq!((c.embed, c.clip_norm, c.warmup, c.steps), (0, 0.0, None, None));
        let c = Preset::TorchRnn.config();
        assert_eq!((c.cell, c.layers, c.lr, c.beta1, c.beta2), (CellKind::Lstm, 2, 2e-3, 0.9, 0.999));
        assert_eq!((c.optimizer, c.lr_decay_every, c.init_scale), (OptimizerKind::Adam, 5, None));
        let c = Preset::NanoGpt.config();
        assert_eq!((c.cell, c.batch, c.beta1, c.schedule), (CellKind::Lstm, 64, 0.9, ScheduleKind::Cosine));
    }

    #[test]
    fn a_network_as_dear_as_the_transformer() {
        let c = Preset::NanoGpt.config();
        let ours = 4 * c.hidden * c.hidden * (2 * c.layers - 1) + 65 * c.hidden;
        let theirs = 6 * 12 * 384 * 384 + 65 * 384;
        assert_eq!((ours, theirs), (10_414_800, 10_641_792));
    }

    #[test]
    fn every_preset_is_valid_and_the_documentation_spells_it_out() {
        let doc = include_str!("../../../doc/presets.md");
        for preset in Preset::ALL {
            assert_eq!(preset.config().validate(), Ok(()));
            assert_eq!(preset.name().parse(), Ok(preset));
            for (name, value) in preset.flags() {
                assert!(doc.contains(&format!("`{name} {value}`")), "{preset}: {name} {value}");
            }
        }
        assert!("Char-RNN".parse::<Preset>().is_err());
    }

    #[test]
    fn later_layers_win() {
        let flags = |config: &mut Config| config.hidden = 9;
        let (_, config) = layered(Some(Preset::TorchRnn), &page("hidden = 7\nbatch = 8"), flags).expect("laid");
        assert_eq!((config.hidden, config.batch, config.epochs, config.seq), (9, 8, 50, 50));
        let (preset, config) = layered(None, &page("preset = 'nanogpt'\nepochs = 3"), |_| ()).expect("laid");
        assert_eq!((preset, config.hidden), (Some(Preset::NanoGpt), 720));
        assert_eq!((config.epochs, config.steps), (3, None), "epochs put the preset's steps away");
        let named = page("preset = 'nanogpt'");
        assert_eq!(layered(Some(Preset::CharRnn), &named, |_| ()).expect("laid").1, Preset::CharRnn.config());
        assert_eq!(layered(None, &Page::default(), |_| ()).expect("laid"), (None, Config::default()));
    }

    #[test]
    fn limits_on_a_sum_follow_the_window_unless_they_are_given() {
        let laid = |text: &str, flags: fn(&mut Config)| {
            let config = layered(Some(Preset::CharRnn), &page(text), flags).expect("laid").1;
            (config.clip_norm, config.clip_value, config.eps)
        };
        assert_eq!(laid("", |_| ()), (0.0, 0.1, 2e-10));
        assert_eq!(laid("seq = 100", |_| ()), (0.0, 0.05, 1e-10));
        assert_eq!(laid("seq = 100", |c| c.seq = 25), (0.0, 0.2, 4e-10));
        assert_eq!(laid("seq = 100\nclip-value = 2", |_| ()), (0.0, 2.0, 1e-10));
        assert_eq!(laid("seq = 100\nclip-norm = 2\neps = 1e-3", |_| ()), (2.0, 0.0, 1e-3));
        let min = layered(Some(Preset::MinCharRnn), &page("seq = 50"), |_| ()).expect("laid").1;
        assert_eq!((min.clip_value, min.eps), (0.1, 2e-6));
    }

    #[test]
    fn char_rnns_gru_is_another_function() {
        let gru = Config { cell: CellKind::Gru, ..Preset::CharRnn.config() };
        let error = Preset::CharRnn.check(&gru).expect_err("refused").to_string();
        assert!(error.starts_with("--cell gru with --preset char-rnn: "), "{error}");
        assert_eq!(Preset::TorchRnn.check(&gru), Ok(()));
        assert_eq!(Preset::CharRnn.check(&Preset::CharRnn.config()), Ok(()));
    }
}
