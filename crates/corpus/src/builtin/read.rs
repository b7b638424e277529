//! Reads a text back into the choices that wrote it, and so its -log2 p; says where a text leaves the grammar.
//!
//! Each choice is found in the next word of the text: exactly one option begins as the text does (`decidable` shows
//! that two never can). An option that writes nothing here, or white space only, is taken when no other one fits.

use super::node::{Context, Form, Node, entries};
use super::walk::{Hand, Lines, Options, Walk, spelling, unbroken};
use super::{Choice, EPISODE};

/// What a text says of the choices behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Complete episodes.
    pub episodes: u64,
    /// Their bytes; what follows is an episode cut short.
    pub bytes: usize,
    /// Their information under the grammar, the sum of -log2 p of their choices.
    pub bits: f64,
}

/// A text that the grammar doesn't write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset} isn't built-in text: {expected} was expected; give text from `gatemill corpus --builtin`")]
pub struct ReadError {
    /// Where the text leaves the grammar; its first byte is 0.
    pub offset: usize,
    /// What could have stood there.
    pub expected: String,
}

/// Reads a text that starts with an episode; the last episode may be cut short anywhere.
///
/// Errors: [`ReadError`] at the first byte that the grammar can't have written there.
pub fn read(text: &[u8]) -> Result<Reading, ReadError> {
    let mut reading = Reading { episodes: 0, bytes: 0, bits: 0.0 };
    read_each(text, |episode| {
        reading.episodes = reading.episodes.saturating_add(1);
        reading.bytes = reading.bytes.saturating_add(episode.bytes);
        reading.bits += episode.choices.iter().map(|choice| choice.bits()).sum::<f64>();
    })?;
    Ok(reading)
}

/// One complete episode.
pub(super) struct ReadEpisode {
    pub(super) bytes: usize,
    pub(super) choices: Vec<Choice>,
}

/// Reads a text and hands over each complete episode.
pub(super) fn read_each(text: &[u8], mut each: impl FnMut(ReadEpisode)) -> Result<(), ReadError> {
    let mut start = 0_usize;
    while let Some(rest) = text.get(start..).filter(|rest| !rest.is_empty()) {
        let end = rest.windows(2).position(|pair| pair == b"\n\n").map(|at| at.saturating_add(2));
        let episode = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
        let mut before = b'\n';
        let plain = episode.iter().map(|&byte| {
            let plain = unbroken(before, byte);
            before = byte;
            plain
        });
        let mut reader =
            Reader { text: episode, plain: plain.collect(), at: 0, lines: Lines::new(), choices: Vec::new() };
        match Walk::new(&mut reader).through(&EPISODE, Context::default()) {
            Ok(()) => each(ReadEpisode { bytes: reader.at, choices: reader.choices }),
            // The text ends before its last episode does.
            Err(Stop::End) if end.is_none() => return Ok(()),
            Err(Stop::End) => {
                return Err(ReadError { offset: start.saturating_add(reader.at), expected: "more".into() });
            }
            Err(Stop::Unlike(expected)) => {
                return Err(ReadError { offset: start.saturating_add(reader.at), expected });
            }
        }
        start = start.saturating_add(reader.at);
    }
    Ok(())
}

/// Why an episode can't be read on.
enum Stop {
    /// The text ends here.
    End,
    /// It differs from what could follow.
    Unlike(String),
}

struct Reader<'t> {
    text: &'t [u8],
    /// The text with its broken lines joined again, byte for byte as long.
    plain: Vec<u8>,
    at: usize,
    lines: Lines,
    choices: Vec<Choice>,
}

/// How a part of the grammar compares with the text at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    /// Its first word stands there.
    Fits,
    /// It may be nothing, or only this much white space, which stands there.
    Blank(usize),
    /// The text ends inside its first word.
    Short,
    /// Something else stands there.
    No,
}

impl Reader<'_> {
    fn ahead(&self, by: usize) -> &[u8] {
        self.plain.get(self.at.saturating_add(by)..).unwrap_or(&[])
    }

    fn fit_text(&self, text: &str, by: usize) -> Fit {
        let ahead = self.ahead(by);
        match () {
            () if ahead.starts_with(text.as_bytes()) && is_blank(text) => Fit::Blank(text.len()),
            () if ahead.starts_with(text.as_bytes()) => Fit::Fits,
            () if text.as_bytes().starts_with(ahead) => Fit::Short,
            () => Fit::No,
        }
    }

    /// The best of several fits: the one that decides most.
    fn best(fits: impl Iterator<Item = Fit>) -> Fit {
        let rank = |fit: &Fit| match fit {
            Fit::No => 0,
            Fit::Short => 1,
            Fit::Blank(_) => 2,
            Fit::Fits => 3,
        };
        fits.max_by_key(rank).unwrap_or(Fit::No)
    }

    fn fit(&self, node: &Node, context: Context, by: usize) -> Fit {
        match *node {
            Node::Text(text) => self.fit_text(text, by),
            Node::All(parts) => {
                let mut blank = 0_usize;
                for part in parts {
                    match self.fit(part, context, by.saturating_add(blank)) {
                        Fit::Blank(more) => blank = blank.saturating_add(more),
                        decided => return decided,
                    }
                }
                Fit::Blank(blank)
            }
            Node::One(list) => Self::best(list.iter().map(|(_, node)| self.fit(node, context, by))),
            Node::Word(list) => Self::best(list.iter().map(|(_, word)| self.fit_text(word, by))),
            Node::Rule(rule) => self.fit(rule, context, by),
            Node::Many { body, .. } => Self::best([self.fit(body, context, by), Fit::Blank(0)].into_iter()),
            Node::In(scope, body) => self.fit(body, context.inside(scope), by),
            Node::Quoted(_) => self.fit_text(context.quotation_mark(), by),
            Node::Below(scope, limit, shallow, deep) => {
                self.fit(if context.depth(scope) < limit { shallow } else { deep }, context, by)
            }
            Node::Line(back) => self.fit_text(context.line(back), by),
            Node::Bind(slot) => self.fit_name(slot.place(context), Form::Name, by),
            Node::Use(slot, form) => self.fit_name(slot.place(context), form, by),
            Node::Pick(slots) => {
                Self::best(slots.iter().map(|(_, slot)| self.fit_name(slot.place(context), Form::Name, by)))
            }
        }
    }

    /// Any word of the place's list: which one it must be is checked when it is taken.
    fn fit_name(&self, place: usize, form: Form, by: usize) -> Fit {
        let words = entries(place).iter().filter_map(|(_, forms)| forms.get(form as usize));
        Self::best(words.map(|word| self.fit_text(word, by)))
    }

    fn fit_option(&self, options: Options<'_>, index: usize, context: Context) -> Fit {
        match options {
            Options::Alternatives(list) => list.get(index).map_or(Fit::No, |(_, node)| self.fit(node, context, 0)),
            Options::Words(list) => list.get(index).map_or(Fit::No, |(_, word)| self.fit_text(word, 0)),
            Options::Again { body, .. } if index == 0 => self.fit(body, context, 0),
            Options::Again { .. } => Fit::Blank(0),
            Options::Entries { list, .. } => list.get(index).map_or(Fit::No, |(_, [name, ..])| self.fit_text(name, 0)),
            Options::Slots { slots, bound, context } => slots
                .get(index)
                .map_or(Fit::No, |&(_, slot)| self.fit_text(spelling(bound, slot, Form::Name, context), 0)),
        }
    }

    fn unlike(&self, options: Options<'_>) -> Stop {
        let mut expected: Vec<String> = Vec::new();
        for index in 0..options.len() {
            match options {
                Options::Words(list) => expected.extend(list.get(index).map(|(_, word)| format!("{word:?}"))),
                Options::Entries { list, .. } if options.weight(index) > 0 => {
                    expected.extend(list.get(index).map(|(_, [name, ..])| format!("{name:?}")));
                }
                Options::Slots { slots, bound, context } => expected.extend(
                    slots.get(index).map(|&(_, slot)| format!("{:?}", spelling(bound, slot, Form::Name, context))),
                ),
                _ => {}
            }
        }
        if expected.is_empty() {
            expected.push(format!("one of {} continuations", options.len()));
        }
        Stop::Unlike(expected.join(" or "))
    }
}

impl Hand for Reader<'_> {
    type Error = Stop;

    fn choose(&mut self, options: Options<'_>, context: Context) -> Result<usize, Stop> {
        let open = (0..options.len()).filter(|&index| options.weight(index) > 0);
        let fits: Vec<(usize, Fit)> = open.map(|index| (index, self.fit_option(options, index, context))).collect();
        let of = |wanted: fn(&Fit) -> bool| fits.iter().find(|(_, fit)| wanted(fit)).map(|&(index, _)| index);
        let index = of(|fit| *fit == Fit::Fits);
        // At the end of a text cut short, a longer option may still come; nothing is decided there.
        let index =
            if index.is_none() && of(|fit| *fit == Fit::Short).is_some() { return Err(Stop::End) } else { index };
        let Some(index) = index.or_else(|| of(|fit| matches!(fit, Fit::Blank(_)))) else {
            return Err(self.unlike(options));
        };
        self.choices.push(Choice { index, weight: options.weight(index), total: options.total() });
        Ok(index)
    }

    fn put(&mut self, text: &str, context: Context) -> Result<(), Stop> {
        for byte in text.bytes() {
            let wanted = self.lines.next(byte, context);
            match self.text.get(self.at) {
                None => return Err(Stop::End),
                Some(&found) if found == wanted => self.at = self.at.saturating_add(1),
                Some(_) => return Err(Stop::Unlike(format!("{:?}", char::from(wanted)))),
            }
        }
        Ok(())
    }
}

fn is_blank(text: &str) -> bool {
    text.bytes().all(|byte| byte == b' ' || byte == b'\n')
}
