//! Examples: an input and the output that it is to give, one a line of a file, or made from a seed.
//!
//! ```text
//! FILE --lines--> TSV or JSONL --pairs--> Examples --divide--> training, validation, test
//! seed --made---------------------------^
//! ```
//!
//! What stands on either side is the [`Form`]'s: a text, a name, names for each symbol of a text, numbers. Names of
//! classes, tags and conditions are kept once ([`Names`]); a pair has their numbers. Alphabets and ids come later, from the
//! part that is learned from.
//!
//! Promises: a file of n bytes costs O(n), whatever its lines; every fault has its file and line; what is made from a seed
//! and how examples are divided is the same on every machine.

use std::collections::HashMap;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

mod error; // what can be wrong with a line

mod lines; // a file line by line

mod tsv; // a line with a tab

mod jsonl; // a line with an object

mod read; // files to examples

mod divide; // which are learned from

#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "nothing of anyone else's comes in: small counts and places, bounded by the tables here"
)]
pub mod made; // examples from a seed

pub use divide::{Parts, divide};
pub use error::{ExampleError, Problem};
pub use read::{Asked, LINE_MOST_BYTES, parse_input, read, read_inputs};

/// What the two sides of an example are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// A text and its class: many-to-one.
    TextToClass,
    /// A text and a name for each of its symbols: many-to-many in step.
    TextToTags,
    /// A text and another text: encoder to decoder.
    TextToText,
    /// A name and a text: one-to-many.
    NameToText,
    /// Numbers and their class: one-to-one.
    NumbersToClass,
}

/// Names, each with a number in the order in which they came.
#[derive(Debug, Clone, Default)]
pub struct Names {
    list: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Names {
    /// No names yet.
    pub fn new() -> Self {
        Self::default()
    }
    /// The number of a name, a new one if it is new.
    pub fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.list.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }
    /// The name of a number; nothing where there is none.
    pub fn name(&self, number: u32) -> &str {
        self.list.get(number as usize).map_or("", String::as_str)
    }
    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// One side of an example.
#[derive(Debug, Clone, PartialEq)]
pub enum Side {
    /// A text: its characters are the symbols.
    Text(String),
    /// A class, a condition, or a tag for each symbol of the other side, by their numbers in [`Names`].
    Names(Vec<u32>),
    /// Numbers.
    Numbers(Vec<f32>),
}

/// An example.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// What is given.
    pub input: Side,
    /// What is wanted.
    pub output: Side,
}

/// Examples of one form.
#[derive(Debug, Clone)]
pub struct Examples {
    /// What their sides are.
    pub form: Form,
    /// In the order of the files.
    pub pairs: Vec<Pair>,
    /// Of classes, tags or conditions.
    pub names: Names,
}

impl Examples {
    /// What these examples are known by: their number, a colon, and SHA-256 over all of them in order.
    ///
    /// It is the same for the same examples as TSV, as JSONL, or made from the seed.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for pair in &self.pairs {
            for side in [&pair.input, &pair.output] {
                match side {
                    Side::Text(text) => hash_part(&mut hash, b't', text.as_bytes()),
                    Side::Names(numbers) => {
                        hash.update((numbers.len() as u64).to_le_bytes());
                        numbers.iter().for_each(|&n| hash_part(&mut hash, b'n', self.names.name(n).as_bytes()));
                    }
                    Side::Numbers(numbers) => {
                        hash.update((numbers.len() as u64).to_le_bytes());
                        numbers.iter().for_each(|x| hash.update(x.to_le_bytes()));
                    }
                }
            }
        }
        let mut text = format!("{}:", self.pairs.len());
        for byte in hash.finalize() {
            let _ = write!(text, "{byte:02x}");
        }
        text
    }

    /// The examples as TSV, as [`read()`] takes them back.
    pub fn to_tsv(&self) -> String {
        let mut text = String::new();
        for pair in &self.pairs {
            put(&pair.input, &self.names, &mut text);
            text.push('\t');
            put(&pair.output, &self.names, &mut text);
            text.push('\n');
        }
        text
    }
}

/// A side as TSV has it.
fn put(side: &Side, names: &Names, text: &mut String) {
    match side {
        Side::Text(side) => text.push_str(side),
        Side::Names(numbers) => numbers.iter().for_each(|&number| text.push_str(names.name(number))),
        Side::Numbers(numbers) => {
            for (i, number) in numbers.iter().enumerate() {
                let _ = write!(text, "{}{number}", if i > 0 { " " } else { "" });
            }
        }
    }
}

/// A part with what it is and its length, so that no two lists of parts give the same bytes.
fn hash_part(hash: &mut Sha256, kind: u8, bytes: &[u8]) {
    hash.update([kind]);
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}
