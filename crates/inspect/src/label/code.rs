//! Code in the manner of C: comments, strings, the condition and the body of an `if`, braces, brackets.
//!
//! One pass with a stack of what is open. `//` (not behind a colon, as in an address) and `/*` begin a comment. A string is
//! a `"` on one line, inside braces or behind one of `( [ { =`; in a text without braces there is none. The brackets after
//! the word `if`, inside braces, are a condition; what follows is its body: the braces, or the one statement up to its `;`. What follows an
//! `else` behind such a body is a body too. Prose has brackets and no more of this. A text that does not close what it
//! opens is set right at its next empty line (brackets) or `}` at a line's start (everything).

use super::Label;

/// What is open.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Open {
    /// `(` of a condition, or any other bracket.
    Bracket { condition: bool },
    /// `{`, of the body of an `if` or any other.
    Brace { body: bool },
    /// A body without braces, until its `;`.
    Statement,
}

/// What an `if` or `else` waits for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Awaited {
    Nothing,
    Condition,
    Body,
}

/// How the text stands after a character.
#[derive(Debug, Clone, Copy, Default)]
struct Stand {
    brackets: usize,
    braces: usize,
    condition: bool,
    body: bool,
    comment: bool,
    string: bool,
}

pub(super) fn labels(chars: &[char]) -> Vec<Label> {
    let stands = Scanner::new(chars).stands();
    let binary = |name, of: fn(&Stand) -> bool| Label::binary(name, stands.iter().map(of));
    vec![
        binary("inside brackets", |s| s.brackets > 0),
        Label::number("bracket depth", stands.iter().map(|s| s.brackets)),
        binary("inside braces", |s| s.braces > 0),
        binary("if condition", |s| s.condition),
        binary("if body", |s| s.body),
        binary("comment", |s| s.comment),
        binary("string", |s| s.string),
    ]
}

/// What a stretch that is read over is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Over {
    LineComment,
    Comment,
    String,
    Character,
}

struct Scanner<'a> {
    chars: &'a [char],
    open: Vec<Open>,
    awaited: Awaited,
    /// The body of an `if` has just ended: an `else` may follow.
    body_ended: bool,
    /// The word that is being read.
    word: String,
    behind_hash: bool,
    stands: Vec<Stand>,
}

impl<'a> Scanner<'a> {
    fn new(chars: &'a [char]) -> Self {
        Self {
            chars,
            open: Vec::new(),
            awaited: Awaited::Nothing,
            body_ended: false,
            word: String::new(),
            behind_hash: false,
            stands: Vec::with_capacity(chars.len()),
        }
    }
    fn at(&self, i: usize) -> char {
        self.chars.get(i).copied().unwrap_or('\n')
    }
    /// The last character before `i` on its line that is no blank.
    fn before(&self, i: usize) -> char {
        self.chars[..i].iter().rev().find(|c| **c != ' ' && **c != '\t').copied().unwrap_or('\n')
    }
    fn stands(mut self) -> Vec<Stand> {
        let mut over: Option<(Over, usize)> = None;
        for i in 0..self.chars.len() {
            if over.is_none() {
                over = self.begins(i).map(|what| (what, i));
                if over.is_some() {
                    self.end_word();
                }
            }
            match over {
                Some((what, from)) => {
                    if what != Over::LineComment && what != Over::Comment {
                        self.body();
                    }
                    if self.ends(what, from, i) {
                        over = None;
                    }
                }
                None => self.read(i),
            }
            self.stand(over.map(|(what, _)| what));
        }
        self.stands
    }
    fn begins(&self, i: usize) -> Option<Over> {
        let (this, next) = (self.at(i), self.at(i + 1));
        match this {
            '/' if next == '/' && (i == 0 || self.at(i - 1) != ':') => Some(Over::LineComment),
            '/' if next == '*' => Some(Over::Comment),
            '"' => {
                let line = self.chars[i + 1..].iter().take_while(|c| **c != '\n');
                (line.clone().any(|c| *c == '"') && (self.in_braces() || "([{=".contains(self.before(i))))
                    .then_some(Over::String)
            }
            '\'' => {
                let end = if next == '\\' { i + 3 } else { i + 2 };
                let apart = i == 0 || !self.at(i - 1).is_alphanumeric();
                (apart && next != '\n' && self.at(end) == '\'').then_some(Over::Character)
            }
            _ => None,
        }
    }
    /// Whether what began at `from` ends with the character at `i`.
    fn ends(&self, what: Over, from: usize, i: usize) -> bool {
        let this = self.at(i);
        let escaped = || self.chars[from..i].iter().rev().take_while(|c| **c == '\\').count() % 2 == 1;
        match what {
            Over::LineComment => this == '\n',
            Over::Comment => this == '/' && i >= from + 3 && self.at(i - 1) == '*',
            Over::String => i > from && (this == '"' && !escaped() || this == '\n'),
            Over::Character => i > from && this == '\'' && !escaped(),
        }
    }
    /// A character of the code itself.
    fn read(&mut self, i: usize) {
        let this = self.at(i);
        if this.is_alphanumeric() || this == '_' {
            if self.word.is_empty() {
                self.behind_hash = self.before(i) == '#';
                // `if` and `else` are no body themselves.
                let word = self.chars[i..].iter().take(5).take_while(|c| c.is_alphanumeric() || **c == '_');
                if !matches!(word.collect::<String>().as_str(), "if" | "else") {
                    self.body();
                }
            }
            self.word.push(this);
            return;
        }
        self.end_word();
        match this {
            '(' | '[' => {
                let condition = this == '(' && self.awaited == Awaited::Condition;
                if condition {
                    self.awaited = Awaited::Nothing;
                } else {
                    self.body();
                }
                self.open.push(Open::Bracket { condition });
            }
            ')' | ']' => {
                if self.close(|o| matches!(o, Open::Bracket { .. })) == Some(Open::Bracket { condition: true }) {
                    self.awaited = Awaited::Body;
                }
            }
            '{' => {
                let body = self.awaited == Awaited::Body;
                self.awaited = Awaited::Nothing;
                self.open.push(Open::Brace { body });
            }
            '}' if i == 0 || self.at(i - 1) == '\n' => {
                self.open.clear();
                self.awaited = Awaited::Nothing;
            }
            '}' => {
                self.body_ended = self.close(|o| matches!(o, Open::Brace { .. })) == Some(Open::Brace { body: true });
                self.end_statements();
            }
            ';' => {
                self.awaited = Awaited::Nothing;
                self.end_statements();
            }
            '\n' if i > 0 && self.at(i - 1) == '\n' => {
                self.open.retain(|o| !matches!(o, Open::Bracket { .. }));
                self.awaited = Awaited::Nothing;
            }
            c if c.is_whitespace() => {}
            _ => self.body(),
        }
        if !this.is_whitespace() && this != '}' && this != ';' {
            self.body_ended = false;
        }
    }
    fn in_braces(&self) -> bool {
        self.open.iter().any(|o| matches!(o, Open::Brace { .. }))
    }
    fn end_word(&mut self) {
        let word = std::mem::take(&mut self.word);
        match word.as_str() {
            "" => return,
            "if" if !self.behind_hash && self.in_braces() => self.awaited = Awaited::Condition,
            "else" if self.body_ended => self.awaited = Awaited::Body,
            _ => self.body(),
        }
        self.body_ended = false;
    }
    /// Something stands here that is no blank: where a body is awaited it is one without braces.
    fn body(&mut self) {
        if self.awaited == Awaited::Body {
            self.open.push(Open::Statement);
        }
        self.awaited = Awaited::Nothing;
    }
    /// Closes the innermost of its kind, and what was left open inside it but braces.
    fn close(&mut self, kind: fn(&Open) -> bool) -> Option<Open> {
        let place = self.open.iter().rposition(kind)?;
        let braces_inside = self.open[place + 1..].iter().any(|o| matches!(o, Open::Brace { .. }));
        if braces_inside {
            return None;
        }
        let closed = self.open[place];
        self.open.truncate(place);
        Some(closed)
    }
    fn end_statements(&mut self) {
        while self.open.last() == Some(&Open::Statement) {
            self.open.pop();
            self.body_ended = true;
        }
    }
    fn stand(&mut self, over: Option<Over>) {
        let mut stand = Stand {
            comment: matches!(over, Some(Over::LineComment | Over::Comment)),
            string: over == Some(Over::String),
            ..Stand::default()
        };
        for open in &self.open {
            match *open {
                Open::Bracket { condition } => {
                    stand.brackets += 1;
                    stand.condition |= condition;
                }
                Open::Brace { body } => {
                    stand.braces += 1;
                    stand.body |= body;
                }
                Open::Statement => stand.body = true,
            }
        }
        self.stands.push(stand);
    }
}
