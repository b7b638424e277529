//! The line to type in place of another tool's.

use gatemill_train::preset::Preset;

use super::tables::{self, Now};
use super::{Given, Own, Task, Tool};
use crate::train::quoted;

/// What stands for a run folder that only the reader knows.
const RUN: &str = "RUN";

/// A line of ours in the making.
#[derive(Debug)]
pub(super) struct Line {
    tool: Tool,
    task: Task,
    /// Texts, or the model.
    words: Vec<String>,
    flags: Vec<(String, Option<String>)>,
    /// Flags that were ours already.
    own: Vec<String>,
    /// What became of each old flag.
    pub(super) notes: Vec<String>,
}

impl Line {
    /// Translates a tool's flags.
    pub(super) fn translated(tool: Tool, task: Task, given: &[Given], own: Own) -> Self {
        let mut line = Self { tool, task, words: Vec::new(), flags: Vec::new(), own: own.flags, notes: Vec::new() };
        line.take_words(own.words);
        for old in given {
            let now = Tool::ALL.into_iter().filter_map(|other| tables::find(other, task, &old.name)).next();
            let now = tables::find(tool, task, &old.name).or(now);
            let became = match (now, old.value.as_deref()) {
                (Some(Now::Gone(reason)), _) => format!("is left out: {reason}"),
                (None, _) => "is left out".to_owned(),
                (_, None) => "is left out: it has no value".to_owned(),
                (Some(Now::Flag(flag)), Some(value)) => {
                    line.set(flag, value);
                    format!("is now {flag}")
                }
                (Some(Now::Otherwise(change)), Some(value)) => change(&mut line, value, given),
            };
            line.notes.push(format!("{} {became}", old.typed));
        }
        match task {
            Task::Train => line.finish_training(given),
            Task::Sample => line.finish_sampling(),
        }
        line
    }

    /// Words of no flag: texts or models, but for files that only the tool can read.
    fn take_words(&mut self, words: Vec<String>) {
        for word in words {
            if self.tool == Tool::NanoGpt && self.task == Task::Train && word.ends_with(".py") {
                self.notes.push(format!(
                    "{word} is left out: --preset nanogpt has the figures of config/train_shakespeare_char.py, and a \
                     --config file in TOML takes nanoGPT's names"
                ));
            } else {
                self.words.push(word);
            }
        }
    }

    fn finish_training(&mut self, given: &[Given]) {
        if self.owns("--resume") || self.has("--resume") {
            return;
        }
        if self.words.is_empty() {
            self.notes
                .push("no text is named: put a FILE behind `train`; without one the built-in text is used".to_owned());
        }
        let preset = match self.tool {
            Tool::CharRnn => Preset::CharRnn,
            Tool::TorchRnn => Preset::TorchRnn,
            Tool::NanoGpt => Preset::NanoGpt,
        };
        if self.owns("--preset") {
            return;
        }
        let gru = self.flags.iter().any(|(flag, value)| flag == "--cell" && value.as_deref() == Some("gru"));
        if self.tool == Tool::CharRnn && gru {
            self.notes.push(
                "char-rnn's GRU multiplies by the reset gate before the recurrent product, Gatemill's after it: results \
                 will differ, so --preset char-rnn is not given, but the rest of it is spelled out"
                    .to_owned(),
            );
            let theirs = preset.flags_at(window(given));
            let missing = theirs.into_iter().filter(|(flag, _)| !self.has(flag));
            let missing: Vec<_> = missing.map(|(flag, value)| (flag, Some(value))).collect();
            self.flags.splice(0..0, missing);
        } else {
            self.flags.insert(0, ("--preset".to_owned(), Some(preset.name().to_owned())));
        }
    }

    fn finish_sampling(&mut self) {
        let foreign = |word: &str| [".t7", ".pt"].iter().any(|ending| word.ends_with(ending));
        if self.words.first().is_none_or(|word| foreign(word)) {
            self.words.drain(..self.words.len().min(1));
            self.words.insert(0, RUN.to_owned());
            self.notes.push(format!(
                "{RUN} is the folder of a Gatemill run: the other tools' models cannot be read, only trained again"
            ));
        }
        if self.tool == Tool::NanoGpt {
            return;
        }
        // Their own defaults; ours differ.
        if !self.has("--length") && !self.owns("--length") {
            self.set("--length", "2000");
        }
        let greedy = self.has("--greedy") || self.owns("--greedy");
        if greedy {
            self.flags.retain(|(flag, _)| flag != "--temperature");
        } else if !self.has("--temperature") && !self.owns("--temperature") {
            self.set("--temperature", "1");
        }
    }

    fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|(known, _)| known == flag)
    }

    fn owns(&self, flag: &str) -> bool {
        self.own.iter().any(|word| word == flag || word.strip_prefix(flag).is_some_and(|rest| rest.starts_with('=')))
    }

    fn set(&mut self, flag: &str, value: &str) {
        self.put(flag, Some(value.to_owned()));
    }

    fn put(&mut self, flag: &str, value: Option<String>) {
        match self.flags.iter_mut().find(|(known, _)| known == flag) {
            Some((_, old)) => *old = value,
            None => self.flags.push((flag.to_owned(), value)),
        }
    }

    /// The line, as a shell takes it.
    pub(super) fn typed(&self, program: &str) -> String {
        let task = match self.task {
            Task::Train => "train",
            Task::Sample => "sample",
        };
        let mut line = vec![program.to_owned(), task.to_owned()];
        line.extend(self.words.iter().map(|word| word_of(word)));
        for (flag, value) in &self.flags {
            match value {
                // A value that looks like a flag is one to the parser, unless it is joined on.
                Some(value) if value.starts_with('-') => line.push(format!("{flag}={}", word_of(value))),
                Some(value) => line.extend([flag.clone(), word_of(value)]),
                None => line.push(flag.clone()),
            }
        }
        line.extend(self.own.iter().map(|word| word_of(word)));
        line.join(" ")
    }
}

/// A word as a shell takes it back, on one line.
fn word_of(word: &str) -> String {
    if word.chars().any(char::is_control) {
        format!("$'{}'", word.replace('\'', "\\'").escape_debug().to_string().replace("\\\\'", "\\'"))
    } else {
        quoted(word)
    }
}

/// The value of another of the tool's flags.
fn of<'a>(all: &'a [Given], name: &str) -> Option<&'a str> {
    all.iter().find(|given| given.name == name).and_then(|given| given.value.as_deref())
}

/// A number without what floating point adds to its end.
fn number(x: f64) -> String {
    format!("{}", (x * 1e9).round() / 1e9)
}

/// char-rnn's window.
fn window(all: &[Given]) -> usize {
    of(all, "seq_length").and_then(|seq| seq.parse().ok()).filter(|seq| *seq > 0).unwrap_or(Preset::CharRnn.seq())
}

pub(super) fn data_dir(line: &mut Line, value: &str, _: &[Given]) -> String {
    let file = format!("{}/input.txt", value.trim_end_matches('/'));
    line.words.insert(0, file.clone());
    format!("is now the FILE behind `train`: {file}")
}

pub(super) fn dataset(line: &mut Line, value: &str, _: &[Given]) -> String {
    let file = format!("data/{value}/input.txt");
    line.words.insert(0, file.clone());
    format!("is now the FILE behind `train`: {file}, the text itself")
}

pub(super) fn input_txt(line: &mut Line, value: &str, _: &[Given]) -> String {
    // preprocess.py and train.lua on one line name the same text.
    line.words.retain(|word| word != &as_text(value) && word != value);
    line.words.insert(0, value.to_owned());
    "is now the FILE behind `train`".to_owned()
}

pub(super) fn input_h5(line: &mut Line, value: &str, all: &[Given]) -> String {
    let file = as_text(value);
    if of(all, "input_txt").is_none() {
        line.words.insert(0, file.clone());
    }
    format!("is now the FILE behind `train`: the text that {value} was made from, perhaps {file}")
}

fn as_text(h5: &str) -> String {
    format!("{}.txt", h5.strip_suffix(".h5").unwrap_or(h5))
}

pub(super) fn encoding(line: &mut Line, value: &str, _: &[Given]) -> String {
    if value == "bytes" {
        line.set("--vocab", "bytes");
        return "is now --vocab bytes".to_owned();
    }
    "is left out: text is UTF-8; iconv converts it".to_owned()
}

pub(super) fn cell(line: &mut Line, value: &str, _: &[Given]) -> String {
    if !["lstm", "gru", "rnn"].contains(&value) {
        return format!("is left out: there is no cell {value}, only rnn, lstm and gru");
    }
    line.set("--cell", value);
    "is now --cell".to_owned()
}

pub(super) fn decay_after(line: &mut Line, value: &str, _: &[Given]) -> String {
    // 0 decays at the first epoch's end, as 1 does.
    line.set("--lr-decay-after", if value == "0" { "1" } else { value });
    "is now --lr-decay-after".to_owned()
}

pub(super) fn clip_of_a_sum(line: &mut Line, value: &str, all: &[Given]) -> String {
    let (seq, Ok(limit)) = (window(all), value.parse::<f64>()) else {
        line.set("--clip-value", value);
        return "is now --clip-value".to_owned();
    };
    if limit == 5.0 && line.tool == Tool::CharRnn {
        return format!(
            "is the preset's: --clip-value {}, its {value} over the {seq} steps of a sum",
            number(limit / seq as f64)
        );
    }
    line.set("--clip-value", &number(limit / seq as f64));
    format!("is now --clip-value, over {seq}: char-rnn limits the sum over {seq} steps, Gatemill their mean")
}

pub(super) fn split(line: &mut Line, _: &str, all: &[Given]) -> String {
    let part = |name: &str, default: f64| of(all, name).and_then(|part| part.parse().ok()).unwrap_or(default);
    let (train, val): (f64, f64) = (part("train_frac", 0.95), part("val_frac", 0.05));
    let rest = number((1.0 - train - val).max(0.0));
    // What is not for a test is for validation.
    let val = if rest == "0" { number(1.0 - train) } else { number(val) };
    line.set("--val-frac", &val);
    if rest != "0" {
        line.set("--test-frac", &rest);
    }
    format!("is now --val-frac {val} --test-frac {rest}: training has the rest")
}

pub(super) fn init_from(_: &mut Line, value: &str, _: &[Given]) -> String {
    format!("is left out: {value} cannot be read; gatemill train --resume {RUN} goes on with a Gatemill run")
}

pub(super) fn start_or_resume(line: &mut Line, value: &str, all: &[Given]) -> String {
    match value {
        "scratch" => "is left out: a run starts from scratch unless --resume is given".to_owned(),
        "resume" => {
            line.set("--resume", of(all, "out_dir").unwrap_or(RUN));
            "is now --resume with the run's folder".to_owned()
        }
        other => format!("is left out: {other} is a Transformer"),
    }
}

pub(super) fn out_dir(line: &mut Line, value: &str, all: &[Given]) -> String {
    if of(all, "init_from") == Some("resume") {
        return "is the folder behind --resume".to_owned();
    }
    line.set("--out", value);
    "is now --out, a folder of the run's own".to_owned()
}

pub(super) fn eval_and_save_every(line: &mut Line, value: &str, _: &[Given]) -> String {
    if value == "0" {
        return "is left out: checkpoints are always saved, by default at each epoch's end".to_owned();
    }
    line.set("--eval-every", value);
    line.set("--save-every", value);
    "is now --eval-every and --save-every".to_owned()
}

pub(super) fn checkpoint_dir(line: &mut Line, _: &str, all: &[Given]) -> String {
    let folder = of(all, "checkpoint_dir").unwrap_or("cv");
    let out = match of(all, "savefile") {
        Some(name) => format!("{}/{name}", folder.trim_end_matches('/')),
        None => folder.to_owned(),
    };
    line.set("--out", &out);
    "is now --out, a folder of the run's own".to_owned()
}

pub(super) fn decay_or_constant(line: &mut Line, value: &str, _: &[Given]) -> String {
    let schedule = if value == "False" { "constant" } else { "cosine" };
    line.set("--schedule", schedule);
    format!("is now --schedule {schedule}")
}

pub(super) fn greedy(line: &mut Line, value: &str, _: &[Given]) -> String {
    if value == "0" {
        line.put("--greedy", None);
        return "is now --greedy".to_owned();
    }
    "is left out: characters are drawn unless --greedy is given".to_owned()
}

pub(super) fn length_with_start(line: &mut Line, value: &str, all: &[Given]) -> String {
    // torch-rnn counts the start text too.
    let start = of(all, "start_text").unwrap_or_default().chars().count();
    let length = value.parse::<usize>().map(|length| length.saturating_sub(start).to_string());
    line.set("--length", &length.unwrap_or_else(|_| value.to_owned()));
    "is now --length, which does not count the text of --prime".to_owned()
}

pub(super) fn checkpoint(line: &mut Line, value: &str, _: &[Given]) -> String {
    line.words.insert(0, value.to_owned());
    "is now the MODEL behind `sample`".to_owned()
}

pub(super) fn model_folder(line: &mut Line, value: &str, _: &[Given]) -> String {
    line.words.insert(0, value.to_owned());
    "is now the MODEL behind `sample`, if it is the folder of a Gatemill run".to_owned()
}

pub(super) fn start(line: &mut Line, value: &str, _: &[Given]) -> String {
    match value.strip_prefix("FILE:") {
        Some(file) => {
            line.set("--prime-file", file);
            "is now --prime-file".to_owned()
        }
        None => {
            line.set("--prime", value);
            "is now --prime".to_owned()
        }
    }
}
