//! A configuration page, `--config FILE`: TOML with the flags' names, one to a line.
//!
//! ```toml
//! preset = "char-rnn"   # what the lines below change
//! hidden = 512
//! lr-decay = 0.95       # lr_decay is the same key
//! ```
//!
//! | nanoGPT's name | ours | | nanoGPT's name | ours |
//! |---|---|---|---|---|
//! | `n_layer`, `n_embd` | `layers`, `hidden` | | `grad_clip` | `clip-norm` |
//! | `block_size`, `batch_size` | `seq`, `batch` | | `warmup_iters` | `warmup` |
//! | `gradient_accumulation_steps` | `accumulate` | | `decay_lr` | `schedule`: cosine or constant |
//! | `learning_rate` | `lr` | | `lr_decay_iters` | none: must equal `max_iters` |
//! | `max_iters` | `steps` | | `eval_interval` | `eval-every` |
//!
//! `dropout`, `weight_decay`, `beta1`, `beta2` and `min_lr` are the same in both. Only what a page says is changed. A
//! run's own `config.toml` is a page too, told by its `[corpus]`: it is whole, so what it leaves out is at its default,
//! and it may name both of two that exclude each other. No page makes the reader panic; each error has line and column.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::checkpoint::Keep;
use crate::config::Config;
use crate::preset::Preset;
use crate::run::{Settings, Source};
use crate::task::TaskConfig;

mod keys; // which names there are

use keys::Takes;

/// The longest value that an error shows whole, in characters.
const SHOWN: usize = 40;

/// What a page says; by default nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// The preset that it starts from.
    pub preset: Option<Preset>,
    /// The text of the run whose page it is.
    pub source: Option<Source>,
    /// The examples that the run of a task validates on, where it is that run's page.
    pub val: Option<Source>,
    /// Fields of `Config`, by name.
    fields: Map<String, Value>,
    /// Fields of `TaskConfig` beside those, by the names of their flags.
    of_task: Map<String, Value>,
    eval_every: Option<u64>,
    save_every: Option<u64>,
    sample_every: Option<u64>,
    keep: Option<Keep>,
    strict_corpus: Option<bool>,
    flow: Option<bool>,
}

/// A place on a page; both count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// A page that cannot be used: where, what is there, what is allowed.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PageError {
    /// Not UTF-8.
    #[error("{at}: not UTF-8, so not TOML")]
    NotUtf8 {
        /// The first byte that is not.
        at: At,
    },
    /// Not TOML; a key given twice is such.
    #[error("{at}: {reason}")]
    Syntax {
        /// Where the parser stopped.
        at: At,
        /// What it says.
        reason: String,
    },
    /// A key that nobody knows.
    #[error("{at}: unknown key {key}")]
    Unknown {
        /// The key's place.
        at: At,
        /// The key.
        key: String,
        /// The key that was perhaps meant.
        nearest: Option<&'static str>,
    },
    /// A key that is known, but has no place on a page.
    #[error("{at}: {key} is no key of a configuration: {reason}")]
    Elsewhere {
        /// The key's place.
        at: At,
        /// The key.
        key: String,
        /// Why, and what to do in its place.
        reason: &'static str,
    },
    /// A value of another type, or that cannot be.
    #[error("{at}: {key} = {found}: must be {allowed}")]
    Value {
        /// The value's place.
        at: At,
        /// The key.
        key: String,
        /// What is there.
        found: String,
        /// What is allowed.
        allowed: String,
    },
    /// A key given by two of its names.
    #[error("{at}: {key} says again what {first} says in line {line}")]
    Twice {
        /// The second key's place.
        at: At,
        /// The second key.
        key: String,
        /// The first key.
        first: String,
        /// Its line.
        line: usize,
    },
    /// Two keys that exclude each other.
    #[error("{at}: {key} cannot stand beside {other}")]
    Both {
        /// The later key's place.
        at: At,
        /// The later key.
        key: String,
        /// The earlier key.
        other: String,
    },
    /// The configuration below the page is none.
    #[error("the configuration that the page is laid over is none: {reason}")]
    Base {
        /// Why.
        reason: String,
    },
}

impl PageError {
    /// What to do.
    pub fn help(&self) -> String {
        match self {
            PageError::NotUtf8 { .. } => "save the file as UTF-8 text".to_owned(),
            PageError::Syntax { .. } => {
                "write `name = value`, one to a line; texts in quotes, true and false in small letters".to_owned()
            }
            PageError::Unknown { nearest: Some(name), .. } => format!("did you mean {name}?"),
            PageError::Unknown { .. } | PageError::Value { .. } => {
                "keys are the flags of `gatemill train --help` without their dashes".to_owned()
            }
            PageError::Elsewhere { .. } => "take the line out".to_owned(),
            PageError::Twice { .. } | PageError::Both { .. } => "take one of the two out".to_owned(),
            PageError::Base { .. } => "check the configuration with `Config::validate` first".to_owned(),
        }
    }
}

/// One line of a page.
struct Line<'a> {
    /// As written, and as we name it.
    key: &'a str,
    at: At,
    value: &'a Spanned<DeValue<'a>>,
}

impl Page {
    /// Reads a page. Errors: the first line that cannot be used.
    pub fn parse(bytes: &[u8]) -> Result<Page, PageError> {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let read = bytes.get(..error.valid_up_to()).unwrap_or_default();
                let at = place(&String::from_utf8_lossy(read), read.len());
                return Err(PageError::NotUtf8 { at });
            }
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let table = DeTable::parse(text).map_err(|error| PageError::Syntax {
            at: place(text, error.span().map_or(0, |span| span.start)),
            reason: error.message().to_owned(),
        })?;
        let mut lines: Vec<(Range<usize>, &str, &Spanned<DeValue<'_>>)> = Vec::new();
        lines.extend(table.get_ref().iter().map(|(key, value)| (key.span(), key.get_ref().as_ref(), value)));
        lines.sort_by_key(|(span, ..)| span.start);
        let lines: Vec<Line<'_>> =
            lines.into_iter().map(|(span, key, value)| Line { key, at: place(text, span.start), value }).collect();

        let mut page = Page::default();
        // [canonical name, its line]
        let mut seen: Vec<(&str, &Line<'_>)> = Vec::new();
        let mut decay_steps = None;
        for line in &lines {
            let name = line.key.replace('_', "-");
            let at = place(text, line.value.span().start);
            let known = match name.as_str() {
                "corpus" => {
                    page.source = Some(source(line, at)?);
                    "corpus"
                }
                "val" => {
                    page.val = Some(source(line, at)?);
                    "val"
                }
                // nanoGPT's cosine may end before or after the run; ours ends with it.
                "lr-decay-iters" => {
                    decay_steps = Some((line, at, read(line, at, Takes::Whole(1, i64::MAX as u64))?));
                    "lr-decay-iters"
                }
                "decay-lr" => {
                    let cosine = read(line, at, Takes::Switch)? == Value::Bool(true);
                    page.take("schedule", if cosine { "cosine" } else { "constant" }.into());
                    "schedule"
                }
                other => match keys::key(other) {
                    Some((known, takes)) => {
                        page.take(known, read(line, at, takes)?);
                        known
                    }
                    None => {
                        let (at, key) = (line.at, shown(line.key));
                        return Err(match keys::elsewhere(other) {
                            Some(reason) => PageError::Elsewhere { at, key, reason },
                            None => PageError::Unknown { at, key, nearest: keys::nearest(other) },
                        });
                    }
                },
            };
            if let Some((_, first)) = seen.iter().find(|(seen, _)| *seen == known) {
                let (at, key, first, line) = (line.at, line.key.to_owned(), first.key.to_owned(), first.at.line);
                return Err(PageError::Twice { at, key, first, line });
            }
            seen.push((known, line));
        }
        if page.source.is_none() {
            alone(&seen, ["epochs", "steps"])?;
            alone(&seen, ["clip-norm", "clip-value"])?;
        }
        match decay_steps {
            Some((line, at, steps)) if page.fields.get("steps") != Some(&steps) => {
                let allowed = "the same as max_iters: the cosine ends with the run".to_owned();
                Err(PageError::Value { at, key: line.key.to_owned(), found: steps.to_string(), allowed })
            }
            _ => Ok(page),
        }
    }

    fn take(&mut self, key: &str, value: Value) {
        match key {
            "task" | "bidirectional" | "pool" | "attention" | "bridge" => {
                drop(self.of_task.insert(key.to_owned(), value));
            }
            "preset" => self.preset = value.as_str().and_then(|name| name.parse().ok()),
            "eval-every" => self.eval_every = value.as_u64(),
            "save-every" => self.save_every = value.as_u64(),
            "sample-every" => self.sample_every = value.as_u64(),
            "strict-corpus" => self.strict_corpus = value.as_bool(),
            "flow" => self.flow = value.as_bool(),
            "keep" => self.keep = value.as_str().and_then(|text| text.parse().ok()),
            _ => drop(self.fields.insert(key.to_owned(), value)),
        }
    }

    /// Puts what the page says into a configuration.
    ///
    /// Errors: `config` has a number that is none (not finite); it is then left as it was.
    pub fn configure(&self, config: &mut Config) -> Result<(), PageError> {
        let whole = Config::default();
        let below = if self.source.is_some() { &whole } else { &*config };
        let none = |error: serde_json::Error| PageError::Base { reason: error.to_string() };
        let mut fields = match serde_json::to_value(below).map_err(none)? {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        fields.extend(self.fields.clone());
        let mut laid: Config = serde_json::from_value(Value::Object(fields)).map_err(none)?;
        // Of two that exclude each other, the one that is given puts the other away.
        let only = |given: &str, other: &str| self.fields.contains_key(given) && !self.fields.contains_key(other);
        if only("epochs", "steps") {
            laid.steps = None;
        }
        if only("clip-norm", "clip-value") {
            laid.clip_value = 0.0;
        }
        if only("clip-value", "clip-norm") {
            laid.clip_norm = 0.0;
        }
        *config = laid;
        Ok(())
    }

    /// Whether it says something that a task alone has.
    pub fn is_of_a_task(&self) -> bool {
        !self.of_task.is_empty() || self.val.is_some()
    }

    /// Puts what the page says into a task's configuration; what it is whole for is then its own kind's defaults.
    ///
    /// Errors: as [`Page::configure`]; a preset, which is of character models; another task.
    pub fn configure_task(&self, config: &mut TaskConfig) -> Result<(), PageError> {
        let none = |reason: String| PageError::Base { reason };
        if let Some(preset) = self.preset {
            return Err(none(format!("preset = \"{preset}\" is of a character model")));
        }
        let kind = self.of_task.get("task").and_then(Value::as_str);
        if let Some(kind) = kind.filter(|kind| *kind != config.kind.name()) {
            return Err(none(format!("task = \"{kind}\", and --task is {}", config.kind.name())));
        }
        let mut laid = config.clone();
        self.configure(&mut laid.base)?;
        let mut fields = match serde_json::to_value(&laid) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        fields.extend(
            self.of_task.iter().filter(|(key, _)| *key != "task").map(|(key, value)| (key.clone(), value.clone())),
        );
        *config = serde_json::from_value(Value::Object(fields)).map_err(|error| none(error.to_string()))?;
        Ok(())
    }

    /// Puts what the page says into settings; its text is [`Page::source`].
    pub fn set_intervals(&self, settings: &mut Settings) {
        if self.source.is_some() {
            *settings = Settings::new(settings.source.clone());
        }
        settings.eval_every = self.eval_every.or(settings.eval_every);
        settings.save_every = self.save_every.or(settings.save_every);
        settings.sample_every = self.sample_every.or(settings.sample_every);
        settings.keep = self.keep.unwrap_or(settings.keep);
        settings.strict_corpus = self.strict_corpus.unwrap_or(settings.strict_corpus);
        settings.flow = self.flow.unwrap_or(settings.flow);
    }
}

/// A run's configuration and settings as a page: every field that has a value, the text last.
pub fn to_toml(config: &Config, settings: &Settings) -> Result<String, toml::ser::Error> {
    #[derive(Serialize)]
    struct Whole<'a> {
        #[serde(flatten)]
        config: &'a Config,
        #[serde(flatten)]
        settings: &'a Settings,
    }
    toml::to_string(&Whole { config, settings })
}

/// Refuses two keys that exclude each other.
fn alone(seen: &[(&str, &Line<'_>)], keys: [&str; 2]) -> Result<(), PageError> {
    let mut both = seen.iter().filter(|(known, _)| keys.contains(known));
    match (both.next(), both.next()) {
        (Some((_, first)), Some((_, second))) => {
            Err(PageError::Both { at: second.at, key: second.key.to_owned(), other: first.key.to_owned() })
        }
        _ => Ok(()),
    }
}

/// The value of a line as its key takes it.
fn read(line: &Line<'_>, at: At, takes: Takes) -> Result<Value, PageError> {
    let value = line.value.get_ref();
    let read = match (takes, value) {
        (Takes::Whole(least, most), DeValue::Integer(_)) => {
            whole(value).filter(|whole| (least..=most).contains(whole)).map(Value::from)
        }
        (Takes::Number, DeValue::Float(float)) => float.as_str().parse().ok().and_then(finite),
        (Takes::Number, DeValue::Integer(integer)) if integer.radix() == 10 => {
            integer.as_str().parse().ok().and_then(finite)
        }
        (Takes::Switch, DeValue::Boolean(on)) => Some(Value::Bool(*on)),
        (Takes::Text, DeValue::String(text)) => Some(Value::from(text.as_ref())),
        (Takes::Choice(names), DeValue::String(text)) if names.contains(&text.as_ref()) => {
            Some(Value::from(text.as_ref()))
        }
        (Takes::Keep, DeValue::String(text)) => text.parse::<Keep>().ok().map(|keep| keep.to_string().into()),
        (Takes::Keep, DeValue::Integer(_)) => {
            let keep = whole(value).and_then(|count| count.to_string().parse::<Keep>().ok());
            keep.map(|keep| keep.to_string().into())
        }
        _ => None,
    };
    let wrong = || PageError::Value { at, key: line.key.to_owned(), found: found(value), allowed: allowed(takes) };
    read.ok_or_else(wrong)
}

fn finite(number: f64) -> Option<Value> {
    number.is_finite().then(|| Value::from(number))
}

fn whole(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn allowed(takes: Takes) -> String {
    match takes {
        Takes::Whole(least, most) if most == i64::MAX as u64 => format!("a whole number from {least}"),
        Takes::Whole(least, most) => format!("a whole number from {least} to {most}"),
        Takes::Number => "a number".to_owned(),
        Takes::Switch => "true or false".to_owned(),
        Takes::Text => "a text in quotes".to_owned(),
        Takes::Choice(names) => {
            let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
            format!("one of {}", quoted.join(", "))
        }
        Takes::Keep => "a whole number from 2, or \"all\"".to_owned(),
    }
}

/// A value as an error shows it.
fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("\"{}\"", shown(text)),
        DeValue::Integer(integer) => shown(&integer.to_string()),
        DeValue::Float(float) => shown(float.as_str()),
        DeValue::Boolean(on) => on.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(_) => "[...]".to_owned(),
        DeValue::Table(_) => "{...}".to_owned(),
    }
}

fn shown(text: &str) -> String {
    let mut chars = text.chars();
    let mut start: String = chars.by_ref().take(SHOWN).collect();
    if chars.next().is_some() {
        start.push_str("...");
    }
    start
}

/// The text of a run.
fn source(line: &Line<'_>, at: At) -> Result<Source, PageError> {
    let wrong = |reason: String| PageError::Value {
        at,
        key: line.key.to_owned(),
        found: found(line.value.get_ref()),
        allowed: format!("the table [corpus] of a run's config.toml ({reason})"),
    };
    let source = Source::deserialize(ValueDeserializer::from(line.value.clone()))
        .map_err(|error| wrong(error.message().to_owned()))?;
    match &source {
        Source::Files { paths } if paths.is_empty() => Err(wrong("it names no file".to_owned())),
        _ => Ok(source),
    }
}

/// Line and column of a byte.
fn place(text: &str, byte: usize) -> At {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.matches('\n').count().saturating_add(1);
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count().saturating_add(1);
    At { line, column }
}

#[cfg(test)]
mod tests;
