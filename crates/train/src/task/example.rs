//! Examples: what goes in, and what is to come out.

use super::alphabet::Alphabet;
use super::config::TaskKind;
use crate::error::TrainError;

/// What a model is given.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Symbols by number; the alphabet's size and above: symbols never seen, read as nothing. For describe the symbols of
    /// the condition, all at once: how often each is in it.
    Symbols(Vec<u32>),
    /// Numbers, as many as the alphabet says: for map, and for describe a condition given as numbers.
    Dense(Vec<f32>),
}

impl Input {
    /// Symbols, or numbers.
    pub fn len(&self) -> usize {
        match self {
            Input::Symbols(symbols) => symbols.len(),
            Input::Dense(numbers) => numbers.len(),
        }
    }
    /// Nothing is given.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The symbols; none of numbers.
    pub(crate) fn symbols(&self) -> &[u32] {
        match self {
            Input::Symbols(symbols) => symbols,
            Input::Dense(_) => &[],
        }
    }
    /// As a row of numbers: those given, or how often each symbol is there.
    pub(crate) fn row(&self, to: &mut [f32]) {
        match self {
            Input::Dense(numbers) => to.copy_from_slice(numbers),
            Input::Symbols(symbols) => {
                to.fill(0.0);
                for &s in symbols {
                    if let Some(x) = to.get_mut(s as usize) {
                        *x += 1.0;
                    }
                }
            }
        }
    }
}

/// An input with what is to come out.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// What goes in.
    pub input: Input,
    /// classify, map: one class; tag: a class for each symbol; translate, describe: the symbols of the answer, without the
    /// mark of its end. A number of the alphabet's size or above: nothing is learned from this place.
    pub output: Vec<u32>,
}

/// Most symbols of an input or an answer: what the counter of the dropout masks tells apart in a step.
const MAX_SYMBOLS: usize = 1 << 20;

/// Checks that an input can be read by a model of this kind. Errors: what is amiss with it.
pub(crate) fn check_input(kind: TaskKind, alphabet: &Alphabet, input: &Input) -> Result<(), String> {
    let numbers = alphabet.input.len();
    match (kind, input) {
        (TaskKind::Map | TaskKind::Describe, Input::Dense(x)) if x.len() != numbers => {
            Err(format!("its input has {} numbers, not {numbers}", x.len()))
        }
        (TaskKind::Map | TaskKind::Describe, Input::Dense(x)) if x.iter().any(|x| !x.is_finite()) => {
            Err("a number of its input is not finite".into())
        }
        (TaskKind::Map, Input::Symbols(_)) => Err("map reads numbers, not symbols".into()),
        (TaskKind::Classify | TaskKind::Tag | TaskKind::Translate, Input::Dense(_)) => {
            Err(format!("{} reads symbols, not numbers", kind.name()))
        }
        (_, input) if input.is_empty() => Err("its input is empty".into()),
        (_, input) if input.len() >= MAX_SYMBOLS => Err(format!("its input is longer than {MAX_SYMBOLS} symbols")),
        _ => Ok(()),
    }
}

/// Checks that a model of this kind can learn from these examples. Errors: the first that it cannot.
pub(crate) fn check(kind: TaskKind, alphabet: &Alphabet, examples: &[Example]) -> Result<(), TrainError> {
    for (i, example) in examples.iter().enumerate() {
        let (found, input) = (example.output.len(), example.input.len());
        let output = match kind {
            TaskKind::Classify | TaskKind::Map if found != 1 => Err(format!("its output is {found} classes, not one")),
            TaskKind::Tag if found != input => Err(format!("it has {found} tags for {input} symbols")),
            _ if found >= MAX_SYMBOLS => Err(format!("its output is longer than {MAX_SYMBOLS} symbols")),
            _ => Ok(()),
        };
        check_input(kind, alphabet, &example.input)
            .and(output)
            .map_err(|what| TrainError::Symbols(format!("example {}: {what}", i + 1)))?;
    }
    Ok(())
}
