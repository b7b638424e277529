//! One pass through the grammar for one episode; a [`Hand`] makes the choices and takes the characters.
//!
//! Writing and reading are the same pass with different hands: `write` draws each choice at random, `read` finds each
//! in a text. So what is read back is by construction what this grammar writes.

use super::node::{Context, Entry, Form, Node, PLACES, Slot, entries, rivals};

/// Makes the choices of an episode and takes its characters.
pub(super) trait Hand {
    /// Why a text can't go on.
    type Error;

    /// Which of the options, as their index.
    fn choose(&mut self, options: Options<'_>, context: Context) -> Result<usize, Self::Error>;

    /// The next characters, which stand in this context.
    fn put(&mut self, text: &str, context: Context) -> Result<(), Self::Error>;
}

/// What there is to choose from, with integer weights.
#[derive(Debug, Clone, Copy)]
pub(super) enum Options<'a> {
    /// The alternatives of a [`Node::One`].
    Alternatives(&'static [(u32, Node)]),
    /// The words of a [`Node::Word`].
    Words(&'static [(u32, &'static str)]),
    /// Again (0) or no more (1): [`Node::Many`].
    Again { go: u32, stop: u32, body: &'static Node },
    /// The free words of a list for a [`Node::Bind`]; a taken one has the weight 0.
    Entries { list: &'static [Entry], taken: &'a [Option<usize>; PLACES], place: usize },
    /// The slots of a [`Node::Pick`], with their words.
    Slots { slots: &'static [(u32, Slot)], bound: &'a [Option<usize>; PLACES], context: Context },
}

impl Options<'_> {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Options::Alternatives(list) => list.len(),
            Options::Words(list) => list.len(),
            Options::Again { .. } => 2,
            Options::Entries { list, .. } => list.len(),
            Options::Slots { slots, .. } => slots.len(),
        }
    }

    /// The weight of one of them; 0 past the end.
    pub(super) fn weight(&self, index: usize) -> u32 {
        match *self {
            Options::Alternatives(list) => list.get(index).map_or(0, |&(weight, _)| weight),
            Options::Words(list) => list.get(index).map_or(0, |&(weight, _)| weight),
            Options::Again { go, stop, .. } => match index {
                0 => go,
                1 => stop,
                _ => 0,
            },
            Options::Entries { list, taken, place } => {
                let used = rivals(place).iter().any(|&other| taken.get(other) == Some(&Some(index)));
                if used { 0 } else { list.get(index).map_or(0, |&(weight, _)| weight) }
            }
            Options::Slots { slots, .. } => slots.get(index).map_or(0, |&(weight, _)| weight),
        }
    }

    /// The sum of the weights.
    pub(super) fn total(&self) -> u32 {
        // The lists without a look at what kind each option is of: much of the time of writing goes here.
        match *self {
            Options::Alternatives(list) => sum(list),
            Options::Words(list) => sum(list),
            Options::Slots { slots, .. } => sum(slots),
            _ => (0..self.len()).fold(0, |sum, index| sum.saturating_add(self.weight(index))),
        }
    }

    /// The option that `left`, a number below the total, falls on, where each takes as many as its weight, and its weight.
    pub(super) fn at(&self, left: u32) -> (usize, u32) {
        match *self {
            Options::Alternatives(list) => find(list.iter().map(|option| option.0), left),
            Options::Words(list) => find(list.iter().map(|option| option.0), left),
            Options::Slots { slots, .. } => find(slots.iter().map(|option| option.0), left),
            _ => find((0..self.len()).map(|index| self.weight(index)), left),
        }
    }
}

fn sum<T>(list: &[(u32, T)]) -> u32 {
    list.iter().fold(0, |sum, option| sum.saturating_add(option.0))
}

fn find(weights: impl Iterator<Item = u32>, mut left: u32) -> (usize, u32) {
    let mut end = 0;
    for (index, weight) in weights.enumerate() {
        if left < weight {
            return (index, weight);
        }
        left = left.saturating_sub(weight);
        end = index.saturating_add(1);
    }
    (end, 0)
}

/// One episode's walk: the words that its slots are bound to, as indices into their lists.
pub(super) struct Walk<'h, H> {
    hand: &'h mut H,
    bound: [Option<usize>; PLACES],
}

impl<'h, H: Hand> Walk<'h, H> {
    /// A walk with nothing bound.
    pub(super) fn new(hand: &'h mut H) -> Self {
        Walk { hand, bound: [None; PLACES] }
    }

    /// Through the node, which stands in this context.
    pub(super) fn through(&mut self, node: &'static Node, context: Context) -> Result<(), H::Error> {
        match *node {
            Node::Text(text) => self.hand.put(text, context),
            Node::All(parts) => parts.iter().try_for_each(|part| self.through(part, context)),
            Node::One(list) => {
                let index = self.hand.choose(Options::Alternatives(list), context)?;
                list.get(index).map_or(Ok(()), |(_, node)| self.through(node, context))
            }
            Node::Word(list) => {
                let index = self.hand.choose(Options::Words(list), context)?;
                list.get(index).map_or(Ok(()), |(_, word)| self.hand.put(word, context))
            }
            Node::Rule(rule) => self.through(rule, context),
            Node::Many { go, stop, max, body } => {
                for _ in 0..max {
                    if self.hand.choose(Options::Again { go, stop, body }, context)? != 0 {
                        break;
                    }
                    self.through(body, context)?;
                }
                Ok(())
            }
            Node::In(scope, body) => self.through(body, context.inside(scope)),
            Node::Quoted(body) => {
                let inside = context.inside(super::node::Scope::Quote);
                self.hand.put(context.quotation_mark(), inside)?;
                self.through(body, inside)?;
                self.hand.put(context.quotation_mark(), context)
            }
            Node::Below(scope, limit, shallow, deep) => {
                self.through(if context.depth(scope) < limit { shallow } else { deep }, context)
            }
            Node::Line(back) => self.hand.put(context.line(back), context),
            Node::Bind(slot) => {
                let place = slot.place(context);
                let options = Options::Entries { list: entries(place), taken: &self.bound, place };
                let index = self.hand.choose(options, context)?;
                if let Some(word) = self.bound.get_mut(place) {
                    *word = Some(index);
                }
                self.say(slot, Form::Name, context)
            }
            Node::Use(slot, form) => self.say(slot, form, context),
            Node::Pick(slots) => {
                let index = self.hand.choose(Options::Slots { slots, bound: &self.bound, context }, context)?;
                slots.get(index).map_or(Ok(()), |&(_, slot)| self.say(slot, Form::Name, context))
            }
        }
    }

    fn say(&mut self, slot: Slot, form: Form, context: Context) -> Result<(), H::Error> {
        let word = spelling(&self.bound, slot, form, context);
        self.hand.put(word, context)
    }
}

/// The slot's word in this form; nothing while the slot has none.
pub(super) fn spelling(bound: &[Option<usize>; PLACES], slot: Slot, form: Form, context: Context) -> &'static str {
    let place = slot.place(context);
    let entry = bound.get(place).copied().flatten().and_then(|index| entries(place).get(index));
    entry.and_then(|(_, forms)| forms.get(form as usize)).copied().unwrap_or("")
}

/// Breaks the long lines of prose: a space after a letter or a comma becomes a new line once the line has 60 characters.
///
/// The choice costs no bits and no length, and [`unbroken`] undoes it: the grammar itself starts a new line only after
/// other characters than letters and commas.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines {
    column: u32,
    before: u8,
}

impl Lines {
    const WIDTH: u32 = 60;

    /// At the start of a line.
    pub(super) fn new() -> Self {
        Lines { column: 0, before: b'\n' }
    }

    /// What stands in the text for the next byte of the grammar.
    pub(super) fn next(&mut self, byte: u8, context: Context) -> u8 {
        let full = self.column >= Self::WIDTH && context.prose > 0;
        let byte = if full && byte == b' ' && may_break(self.before) { b'\n' } else { byte };
        self.column = if byte == b'\n' { 0 } else { self.column.saturating_add(1) };
        self.before = byte;
        byte
    }
}

/// What the grammar wrote for a byte of the text that follows `before`.
pub(super) fn unbroken(before: u8, byte: u8) -> u8 {
    if byte == b'\n' && may_break(before) { b' ' } else { byte }
}

fn may_break(before: u8) -> bool {
    before.is_ascii_alphabetic() || before == b','
}
