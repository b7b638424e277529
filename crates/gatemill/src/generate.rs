//! A text as an iterator: each `next` draws a symbol, and between two of them the state is a value.

use crate::{CharLm, Error};
use gatemill_corpus::VocabKind;
use gatemill_train::{Generator, SampleOptions, SampleState};

/// One symbol of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Symbol {
    /// Of a model over characters.
    Char(char),
    /// Of a model over bytes.
    Byte(u8),
}

impl Symbol {
    /// Appends it to a text: in UTF-8, or as the byte that it is.
    pub fn push_to(self, text: &mut Vec<u8>) {
        match self {
            Symbol::Char(c) => text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Symbol::Byte(byte) => text.push(byte),
        }
    }
}

/// A byte above 127 is shown as U+FFFD: it may be a part of a character only.
impl std::fmt::Display for Symbol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = match *self {
            Symbol::Char(c) => c,
            Symbol::Byte(byte) if byte.is_ascii() => char::from(byte),
            Symbol::Byte(_) => char::REPLACEMENT_CHARACTER,
        };
        write!(f, "{shown}")
    }
}

/// Writes one text; see [`CharLm::generate`]. It ends after `length` symbols, or with the first error.
#[derive(Debug)]
pub struct Generate<'a> {
    model: &'a CharLm,
    generator: Generator<'a>,
    failed: bool,
}

impl<'a> Generate<'a> {
    pub(crate) fn new(model: &'a CharLm, options: &SampleOptions, state: Option<&SampleState>) -> Result<Self, Error> {
        if options.samples != 1 {
            let reason = "an iterator writes one text: set it to 1, or use `Generator`";
            return Err(Error::Option { option: "samples", value: options.samples.to_string(), reason });
        }
        let CharLm { model: of, crew, kernels, .. } = model;
        let generator = match state {
            None => Generator::new(of, options, crew, kernels)?,
            Some(state) => Generator::resume(of, options, state, crew, kernels)?,
        };
        Ok(Self { model, generator, failed: false })
    }
    /// Where the text stands, after the last symbol given: a value to save, to copy, to fork.
    pub fn state(&self) -> SampleState {
        self.generator.state()
    }
    /// Symbols of the prime that the model never saw.
    pub fn unseen(&self) -> u64 {
        self.generator.unseen()
    }
    /// The id of the last symbol drawn.
    fn symbol(&self) -> Option<Symbol> {
        let id = *self.generator.drawn(0).last()?;
        let vocab = self.model.vocab();
        let code = vocab.symbols().get(id as usize).copied().unwrap_or_default();
        Some(match vocab.kind() {
            VocabKind::Bytes => Symbol::Byte(u8::try_from(code).unwrap_or_default()),
            VocabKind::Chars => Symbol::Char(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)),
        })
    }
}

impl Iterator for Generate<'_> {
    type Item = Result<Symbol, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        match self.generator.advance(1) {
            Ok(0) => None,
            Ok(_) => self.symbol().map(Ok),
            Err(error) => {
                self.failed = true;
                Some(Err(error.into()))
            }
        }
    }
}
