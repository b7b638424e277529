//! What a grammar is made of: texts, choices with integer weights, names that are bound once and used again.
//!
//! A rule is a `static` [`Node`]; rules refer to each other by address, so the grammar is plain data that the compiler
//! checks. Recursion is bounded: a rule that can contain itself goes through [`Node::Below`], which asks how deep the
//! text stands in a scope, so the grammar has finitely many texts per episode. Three readings of the same data exist:
//! `walk` (writes it, or reads a text back into its choices), `rate` (adds up its entropy) and, among the tests,
//! `decidable` (shows that each choice can be read from the next word).
//!
//! The blank rule: a choice is decided by the next literal of the text, together with the white space before it.

use super::Labels;

/// A part of the grammar.
#[derive(Debug)]
pub(super) enum Node {
    /// These characters.
    Text(&'static str),
    /// Each of these in turn.
    All(&'static [Node]),
    /// One of these, by weight.
    One(&'static [(u32, Node)]),
    /// One of these words, by weight.
    Word(&'static [(u32, &'static str)]),
    /// The rule.
    Rule(&'static Node),
    /// The body again and again, at most `max` times: before each time it goes on with weight `go` against `stop`.
    Many { go: u32, stop: u32, max: u32, body: &'static Node },
    /// The body, its characters standing inside the scope.
    In(Scope, &'static Node),
    /// The body between quotation marks: `"` outside and at every second depth, `'` in between.
    Quoted(&'static Node),
    /// The first rule while the scope's depth is below the limit, else the second. No choice: the depth decides.
    Below(Scope, u8, &'static Node, &'static Node),
    /// A new line and two spaces for each open brace but these.
    Line(u8),
    /// Chooses the slot's word among the words of its list that no other slot has, and writes it.
    Bind(Slot),
    /// Writes the slot's word in this form.
    Use(Slot, Form),
    /// One of these slots' words, by weight; all slots share a list.
    Pick(&'static [(u32, Slot)]),
}

/// What surrounds a character. Opening marks stand inside, closing marks outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Quotation marks.
    Quote,
    /// `(` or `[`.
    Bracket,
    /// `{`, and so the indentation.
    Brace,
    /// The brackets after `if`.
    IfCondition,
    /// The braces after `if (...)` or its `else`.
    IfBody,
    /// From `//` to the end of the line.
    Comment,
    /// A function.
    Code,
    /// A clause inside a sentence.
    Clause,
    /// Prose, whose long lines are broken.
    Prose,
    /// A turn of the second speaker, who is then [`Slot::Speaker`].
    Reply,
}

/// A word that stands for the whole of an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// The first person of an episode.
    First,
    /// The second person of a dialogue.
    Second,
    /// Whoever speaks: the first person, in a reply the second. Never bound.
    Speaker,
    /// A function's first parameter.
    Left,
    /// Its second parameter.
    Right,
    /// Its local variable.
    Local,
}

/// The number of places that a binding takes.
pub(super) const PLACES: usize = 5;

/// The places of the persons and of the variables; a list's slots are bound in this order, once each.
pub(super) const PERSONS: [usize; 2] = [0, 1];
/// See [`PERSONS`].
pub(super) const VARIABLES: [usize; 3] = [2, 3, 4];

impl Slot {
    /// Where the slot's word is kept, in `0..PLACES`.
    pub(super) fn place(self, context: Context) -> usize {
        match (self, context.reply > 0) {
            (Slot::First, _) | (Slot::Speaker, false) => 0,
            (Slot::Second, _) | (Slot::Speaker, true) => 1,
            (Slot::Left, _) => 2,
            (Slot::Right, _) => 3,
            (Slot::Local, _) => 4,
        }
    }
}

/// A word that slots are bound to, in its forms: `[Anna, She, she, her]`; a variable's name is in all of them.
pub(super) type Entry = (u32, [&'static str; FORMS]);

/// How a slot's word is written; the index into an [`Entry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The name.
    Name = 0,
    /// He, She.
    Starts = 1,
    /// he, she.
    Does = 2,
    /// his, her.
    Owns = 3,
}

/// The number of forms.
pub(super) const FORMS: usize = 4;

/// The list that the word at a place comes from.
pub(super) fn entries(place: usize) -> &'static [Entry] {
    if PERSONS.contains(&place) { super::words::PEOPLE } else { super::words::NAMES }
}

/// The places that share a list with this one.
pub(super) fn rivals(place: usize) -> &'static [usize] {
    if PERSONS.contains(&place) { &PERSONS } else { &VARIABLES }
}

/// How deep a character stands in each scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(super) struct Context {
    pub(super) quote: u8,
    pub(super) bracket: u8,
    pub(super) brace: u8,
    condition: u8,
    body: u8,
    comment: u8,
    code: u8,
    clause: u8,
    pub(super) prose: u8,
    reply: u8,
}

impl Context {
    fn counter(&mut self, scope: Scope) -> &mut u8 {
        match scope {
            Scope::Quote => &mut self.quote,
            Scope::Bracket => &mut self.bracket,
            Scope::Brace => &mut self.brace,
            Scope::IfCondition => &mut self.condition,
            Scope::IfBody => &mut self.body,
            Scope::Comment => &mut self.comment,
            Scope::Code => &mut self.code,
            Scope::Clause => &mut self.clause,
            Scope::Prose => &mut self.prose,
            Scope::Reply => &mut self.reply,
        }
    }

    /// One deeper in the scope.
    pub(super) fn inside(mut self, scope: Scope) -> Self {
        let counter = self.counter(scope);
        *counter = counter.saturating_add(1);
        self
    }

    /// How deep it stands in the scope.
    pub(super) fn depth(mut self, scope: Scope) -> u8 {
        *self.counter(scope)
    }

    /// The mark that opens and closes the next quotation.
    pub(super) fn quotation_mark(self) -> &'static str {
        if self.quote.is_multiple_of(2) { "\"" } else { "'" }
    }

    /// What a [`Node::Line`] writes here.
    pub(super) fn line(self, back: u8) -> &'static str {
        const LINE: &str = "\n                    ";
        let size = usize::from(self.brace.saturating_sub(back)).saturating_mul(2).saturating_add(1);
        LINE.get(..size).unwrap_or(LINE)
    }

    /// The labels of a character that stands here.
    pub(super) fn labels(self) -> Labels {
        Labels {
            quote_depth: self.quote,
            bracket_depth: self.bracket,
            indent: self.brace,
            if_condition: self.condition > 0,
            if_body: self.body > 0,
            comment: self.comment > 0,
            code: self.code > 0,
        }
    }
}
