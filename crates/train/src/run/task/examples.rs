//! Examples as text to examples as numbers: read or made, divided, and by the alphabets of the training part.

use std::path::PathBuf;

use gatemill_corpus::examples::{Examples, Form, Names, Pair, Parts, Side, divide, made, read};

use crate::error::TrainError;
use crate::run::course::PartSymbols;
use crate::run::{Settings, Source};
use crate::task::{Alphabet, Example, Input, Symbols, TaskConfig, TaskKind};

/// What the two sides of a task's examples are.
pub fn form_of(kind: TaskKind) -> Form {
    match kind {
        TaskKind::Classify => Form::TextToClass,
        TaskKind::Tag => Form::TextToTags,
        TaskKind::Translate => Form::TextToText,
        TaskKind::Describe => Form::NameToText,
        TaskKind::Map => Form::NumbersToClass,
    }
}

/// How good a model of these examples can get at best, where that is known.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limits {
    /// The best accuracy on the validation part.
    pub accuracy: Option<f64>,
    /// The least nats per symbol, the end of an answer being one.
    pub nats: Option<f64>,
}

/// Symbols, classes and conditions that the alphabets lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unseen {
    /// Of inputs: read as nothing.
    pub inputs: u64,
    /// Of outputs: left out of the loss, never right.
    pub outputs: u64,
}

/// A task's examples, as numbers.
#[derive(Debug, Clone)]
pub struct TaskData {
    /// What the numbers stand for.
    pub alphabet: Alphabet,
    /// To learn from.
    pub train: Vec<Example>,
    /// To validate on.
    pub val: Vec<Example>,
    /// To test on.
    pub test: Vec<Example>,
    /// Symbols read and written, of each part.
    pub symbols: PartSymbols,
    /// What all of them are known by.
    pub fingerprint: String,
    /// What should be known about them.
    pub notes: Vec<String>,
    /// How good one can get.
    pub limits: Limits,
}

impl TaskData {
    /// The examples of a run, by the alphabet of a model where there is one.
    ///
    /// Errors: a file, a line; nothing to learn from.
    pub fn open(config: &TaskConfig, settings: &Settings, alphabet: Option<&Alphabet>) -> Result<Self, TrainError> {
        let form = form_of(config.kind);
        let mut all = pairs(&settings.source, form, Names::new())?;
        let mut fingerprint = all.fingerprint();
        let base = &config.base;
        let count = |examples: &Examples| u32::try_from(examples.pairs.len()).unwrap_or(u32::MAX);
        let val_frac = if settings.val.is_some() { 0.0 } else { base.val_frac };
        let parts = divide(count(&all), val_frac, base.test_frac, base.seed);
        let mut val = None;
        if let Some(source) = &settings.val {
            let other = pairs(source, form, std::mem::take(&mut all.names))?;
            fingerprint = format!("{fingerprint}+{}", other.fingerprint());
            all.names = other.names.clone();
            val = Some(other);
        }
        if parts.train.is_empty() {
            let what = format!("of {} examples none is left to learn from", all.pairs.len());
            return Err(TrainError::Symbols(what));
        }
        let limits = limits(&settings.source, &all, &parts);
        let alphabet = match alphabet {
            Some(alphabet) => alphabet.clone(),
            None => alphabet_of(&all, &parts.train),
        };

        let mut coder = Coder::new(&alphabet, &all.names);
        let mut part = |examples: &Examples, numbers: &[u32]| -> (Vec<Example>, u64, Unseen) {
            coder.unseen = Unseen::default();
            let of = numbers.iter().filter_map(|&i| examples.pairs.get(i as usize));
            let coded: Vec<Example> = of.map(|pair| coder.example(pair)).collect();
            let symbols = coded.iter().map(|e| (e.input.len() + e.output.len()) as u64).sum();
            (coded, symbols, coder.unseen)
        };
        let (train, train_symbols, _) = part(&all, &parts.train);
        let (test, test_symbols, of_test) = part(&all, &parts.test);
        let (val, val_symbols, of_val) = match &val {
            Some(other) => part(other, &(0..count(other)).collect::<Vec<_>>()),
            None => part(&all, &parts.val),
        };
        let mut notes = Vec::new();
        for (name, unseen) in [("validation", of_val), ("test", of_test)] {
            notes.extend(unseen.note(config.kind, name));
        }
        if alphabet.output.len() == 1 && !config.kind.decodes() {
            notes.push(format!("there is one class alone, {:?}: nothing to tell apart", alphabet.output.name(0)));
        }
        let symbols = PartSymbols { train: train_symbols, val: val_symbols, test: test_symbols };
        Ok(Self { alphabet, train, val, test, symbols, fingerprint, notes, limits })
    }

    /// All examples of some files, by a model's alphabet, with what it lacks. Errors: a file, a line.
    pub fn of_files(
        config: &TaskConfig,
        alphabet: &Alphabet,
        paths: &[PathBuf],
    ) -> Result<(Vec<Example>, Unseen), TrainError> {
        let all = read(paths, form_of(config.kind), Names::new())?;
        let mut coder = Coder::new(alphabet, &all.names);
        let examples = all.pairs.iter().map(|pair| coder.example(pair)).collect();
        Ok((examples, coder.unseen))
    }
}

/// An input by a model's alphabet, and how many of its symbols the alphabet lacks.
pub fn code_input(alphabet: &Alphabet, side: &Side, names: &Names) -> (Input, u64) {
    let unseen = u32::try_from(alphabet.input.len()).unwrap_or(u32::MAX);
    let symbols = match side {
        Side::Numbers(numbers) => return (Input::Dense(numbers.clone()), 0),
        Side::Text(text) => alphabet.input.encode(text),
        Side::Names(list) => list.iter().map(|&n| alphabet.input.number(names.name(n)).unwrap_or(unseen)).collect(),
    };
    let count = symbols.iter().filter(|&&symbol| symbol >= unseen).count() as u64;
    (Input::Symbols(symbols), count)
}

impl Unseen {
    /// A sentence about a part with some.
    pub fn note(&self, kind: TaskKind, part: &str) -> Option<String> {
        let (input, output) = match kind {
            TaskKind::Classify => ("characters", "classes"),
            TaskKind::Tag => ("characters", "tags"),
            TaskKind::Translate => ("characters of inputs", "characters of answers"),
            TaskKind::Describe => ("names", "characters of answers"),
            TaskKind::Map => ("numbers", "classes"),
        };
        let some = |count: u64, what: &str, then: &str| {
            (count > 0)
                .then(|| format!("{what} of the {part} part that were never seen in training and are {then}: {count}"))
        };
        let texts = [some(self.inputs, input, "read as nothing"), some(self.outputs, output, "never right")];
        let texts: Vec<String> = texts.into_iter().flatten().collect();
        (!texts.is_empty()).then(|| texts.join("; "))
    }
}

fn pairs(source: &Source, form: Form, names: Names) -> Result<Examples, TrainError> {
    match source {
        Source::Made { examples, seed, .. } => {
            Ok(made::examples(form, u32::try_from(*examples).unwrap_or(u32::MAX), *seed))
        }
        Source::Files { paths } => Ok(read(&paths.iter().map(PathBuf::from).collect::<Vec<_>>(), form, names)?),
        Source::Builtin { .. } => Err(TrainError::Symbols("the built-in text has no examples".to_owned())),
    }
}

fn limits(source: &Source, all: &Examples, parts: &Parts) -> Limits {
    let Source::Made { seed, .. } = source else { return Limits::default() };
    let names = (all.form == Form::NameToText).then(made::name_limit);
    Limits {
        accuracy: made::best_accuracy(all, &parts.val, *seed).filter(|_| !parts.val.is_empty()),
        nats: names.map(|limit| limit.nats),
    }
}

/// The alphabets of the training part: characters and names in ascending order.
fn alphabet_of(all: &Examples, train: &[u32]) -> Alphabet {
    let side = |of: fn(&Pair) -> &Side| {
        let sides: Vec<&Side> = train.iter().filter_map(|&i| all.pairs.get(i as usize)).map(of).collect();
        match sides.first() {
            Some(Side::Numbers(numbers)) => Symbols::Numbers(numbers.len()),
            Some(Side::Names(_)) => {
                let mut numbers: Vec<u32> = Vec::new();
                for side in &sides {
                    if let Side::Names(names) = side {
                        numbers.extend(names);
                    }
                    // A list that is sorted at times stays as short as the names are few.
                    if numbers.len() > 2 * all.names.len() {
                        numbers.sort_unstable();
                        numbers.dedup();
                    }
                }
                Symbols::of_names(numbers.iter().map(|&number| all.names.name(number)))
            }
            _ => Symbols::of_texts(sides.iter().filter_map(|side| match side {
                Side::Text(text) => Some(text.as_str()),
                _ => None,
            })),
        }
    };
    Alphabet { input: side(|pair| &pair.input), output: side(|pair| &pair.output) }
}

/// Texts and names to an alphabet's numbers.
struct Coder<'a> {
    alphabet: &'a Alphabet,
    /// For each name its number among inputs, and among outputs.
    names: [Vec<u32>; 2],
    unseen: Unseen,
}

impl<'a> Coder<'a> {
    fn new(alphabet: &'a Alphabet, names: &Names) -> Self {
        let numbers = |symbols: &Symbols| match symbols {
            Symbols::Names(list) => {
                let known: std::collections::HashMap<&str, u32> = list.iter().map(String::as_str).zip(0..).collect();
                let unseen = u32::try_from(list.len()).unwrap_or(u32::MAX);
                let number = |at: u32| known.get(names.name(at)).copied().unwrap_or(unseen);
                (0..u32::try_from(names.len()).unwrap_or(u32::MAX)).map(number).collect()
            }
            _ => Vec::new(),
        };
        let names = [numbers(&alphabet.input), numbers(&alphabet.output)];
        Self { alphabet, names, unseen: Unseen::default() }
    }

    fn example(&mut self, pair: &Pair) -> Example {
        let input = match &pair.input {
            Side::Numbers(numbers) => Input::Dense(numbers.clone()),
            other => Input::Symbols(self.numbers(other, 0)),
        };
        let output = self.numbers(&pair.output, 1);
        let count =
            |numbers: &[u32], symbols: &Symbols| numbers.iter().filter(|&&n| n as usize >= symbols.len()).count();
        if let Input::Symbols(numbers) = &input {
            self.unseen.inputs += count(numbers, &self.alphabet.input) as u64;
        }
        self.unseen.outputs += count(&output, &self.alphabet.output) as u64;
        Example { input, output }
    }

    fn numbers(&self, side: &Side, at: usize) -> Vec<u32> {
        let symbols = if at == 0 { &self.alphabet.input } else { &self.alphabet.output };
        match side {
            Side::Text(text) => symbols.encode(text),
            Side::Names(names) => {
                let unseen = u32::try_from(symbols.len()).unwrap_or(u32::MAX);
                let number = |&name: &u32| self.names[at].get(name as usize).copied().unwrap_or(unseen);
                names.iter().map(number).collect()
            }
            Side::Numbers(_) => Vec::new(),
        }
    }
}
