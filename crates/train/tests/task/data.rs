//! Small tasks from a seed.

use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use gatemill_oracle::SplitMix64;
use gatemill_train::task::{Alphabet, Example, Input, Symbols, TaskConfig, TaskKind, TaskTrainer};
use gatemill_train::{CellKind, Config};
use std::sync::Arc;

/// What a kind is tried on.
pub(crate) struct Task {
    pub(crate) alphabet: Alphabet,
    pub(crate) examples: Vec<Example>,
}

/// The tier that is forced, or all that this machine has, the best first.
pub(crate) fn tiers() -> Vec<Kernels> {
    match std::env::var_os("GATEMILL_ISA") {
        None => Kernels::available().collect(),
        Some(_) => vec![best()],
    }
}

/// The tier that is forced, or the best.
pub(crate) fn best() -> Kernels {
    Kernels::from_env().expect("a tier of this machine")
}

pub(crate) fn crew(threads: usize) -> Arc<Crew> {
    Arc::new(Crew::new(threads).expect("a few threads"))
}

impl Task {
    pub(crate) fn trainer(&self, config: &TaskConfig, crew: &Arc<Crew>, kernels: Kernels) -> TaskTrainer {
        TaskTrainer::new(config, &self.alphabet, self.examples.clone(), Arc::clone(crew), kernels).expect("a trainer")
    }
    /// Those from `n` on are kept apart.
    pub(crate) fn apart(&mut self, n: usize) -> Vec<Example> {
        self.examples.split_off(n)
    }
}

pub(crate) fn config(kind: TaskKind, cell: CellKind, hidden: usize, steps: u64) -> TaskConfig {
    let base = Config { cell, hidden, layers: 1, batch: 32, lr: 0.01, steps: Some(steps), ..Config::default() };
    TaskConfig { base, ..TaskConfig::new(kind) }
}

/// The exclusive or of two numbers.
pub(crate) fn xor() -> Task {
    let alphabet = Alphabet { input: Symbols::Numbers(2), output: Symbols::of_names(["0", "1"]) };
    let example = |(a, b): (u8, u8)| Example {
        input: Input::Dense(vec![f32::from(a), f32::from(b)]),
        output: vec![u32::from(a ^ b)],
    };
    Task { alphabet, examples: [(0, 0), (0, 1), (1, 0), (1, 1)].map(example).to_vec() }
}

/// The class of a word is its first symbol, or its last.
pub(crate) fn recall(n: usize, first: bool, seed: u64) -> Task {
    let random = &mut SplitMix64::new(seed);
    let letters = "abcdefgh";
    let alphabet = Alphabet { input: Symbols::of_texts([letters]), output: Symbols::of_texts([letters]) };
    let mut example = |_| {
        let length = 1 + random.below(12);
        let word: Vec<u32> = (0..length).map(|_| random.below(8) as u32).collect();
        let output = vec![if first { word[0] } else { word[length - 1] }];
        Example { input: Input::Symbols(word), output }
    };
    let examples = (0..n).map(&mut example).collect();
    Task { alphabet, examples }
}

/// Each symbol is inside quotes (1) or not (0); the marks themselves are inside.
pub(crate) fn quotes(n: usize, seed: u64) -> Task {
    let random = &mut SplitMix64::new(seed);
    let alphabet = Alphabet { input: Symbols::of_texts(["ab \""]), output: Symbols::of_names(["in", "out"]) };
    let mut example = |_| {
        let (mut text, mut tags, mut inside) = (String::new(), Vec::new(), false);
        for _ in 0..5 + random.below(30) {
            let mark = random.one_in(6);
            text.push(if mark { '"' } else { [' ', 'a', 'b'][random.below(3)] });
            tags.push(u32::from(!(inside || mark)));
            inside ^= mark;
        }
        Example { input: Input::Symbols(alphabet.input.encode(&text)), output: tags }
    };
    let examples = (0..n).map(&mut example).collect();
    Task { alphabet, examples }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A date as people write it, and as 2026-11-27.
pub(crate) fn dates(n: usize, seed: u64) -> Task {
    let random = &mut SplitMix64::new(seed);
    let mut pair = |_| {
        let (year, month, day) = (1900 + random.below(200), random.below(12), 1 + random.below(28));
        let (name, number) = (MONTHS[month], month + 1);
        let from = match random.below(5) {
            0 => format!("{name} {day}, {year}"),
            1 => format!("{day} {name} {year}"),
            2 => format!("{} {day} {year}", &name[..3]),
            3 => format!("{day}.{number}.{year}"),
            _ => format!("the {day}th of {}, {year}", name.to_lowercase()),
        };
        (from, format!("{year}-{number:02}-{day:02}"))
    };
    let pairs: Vec<(String, String)> = (0..n).map(&mut pair).collect();
    let alphabet = Alphabet {
        input: Symbols::of_texts(pairs.iter().map(|p| p.0.as_str())),
        output: Symbols::of_texts(pairs.iter().map(|p| p.1.as_str())),
    };
    let example = |(from, to): &(String, String)| Example {
        input: Input::Symbols(alphabet.input.encode(from)),
        output: alphabet.output.encode(to),
    };
    let examples = pairs.iter().map(example).collect();
    Task { alphabet, examples }
}

/// A number, counted down: `5` is `54321`; the condition is a name.
pub(crate) fn countdown() -> Task {
    let digits = "123456789";
    let input = Symbols::Names((1..10).map(|n| format!("from {n}")).collect());
    let alphabet = Alphabet { input, output: Symbols::of_texts([digits]) };
    let example = |n: u32| Example {
        input: Input::Symbols(vec![n]),
        output: alphabet.output.encode(&digits.chars().rev().skip(8 - n as usize).collect::<String>()),
    };
    let examples = (0..9).map(example).collect();
    Task { alphabet, examples }
}
