//! Shows, on the grammar alone, that a text has one reading: at every choice the next word tells which option it is.
//!
//! A *first word* of an option is the first literal that isn't white space, with the white space before it, in some
//! text that the option and what follows it can write. The check: in every context that the grammar reaches, no first
//! word of one option begins a first word of another. Then at most one option's first word can stand at a given place
//! of a text, so each choice, from the first to the last, is a function of the text.
//!
//! What follows is carried along exactly (one set of first words per place, not one per rule). Bound words are taken
//! to be any of their list, which only makes the check stricter; `Pick` compares slots, whose words always differ.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::EPISODE;
use super::node::{Context, Form, Node, PLACES, Scope, Slot, entries, rivals};

type Words = BTreeSet<String>;

#[derive(Default)]
struct Check {
    /// First words of (node, context, what follows).
    known: HashMap<(*const Node, Context, Words), Words>,
    problems: BTreeSet<String>,
    choices: HashSet<(*const Node, Context)>,
}

fn is_blank(text: &str) -> bool {
    text.bytes().all(|byte| byte == b' ' || byte == b'\n')
}

fn before(text: &str, follow: &Words) -> Words {
    if is_blank(text) { follow.iter().map(|word| format!("{text}{word}")).collect() } else { [text.to_owned()].into() }
}

impl Check {
    /// The first words of the node before what follows; every choice in it is checked on the way.
    fn first(&mut self, node: &'static Node, context: Context, follow: &Words) -> Words {
        let key = (std::ptr::from_ref(node), context, follow.clone());
        if let Some(words) = self.known.get(&key) {
            return words.clone();
        }
        let words = match *node {
            Node::Text(text) => before(text, follow),
            Node::Line(back) => before(context.line(back), follow),
            Node::All(parts) => {
                parts.iter().rev().fold(follow.clone(), |follow, part| self.first(part, context, &follow))
            }
            Node::One(list) => {
                let options: Vec<Words> = list.iter().map(|(_, node)| self.first(node, context, follow)).collect();
                self.differ(node, context, &options)
            }
            Node::Word(list) => {
                let options: Vec<Words> = list.iter().map(|(_, word)| before(word, follow)).collect();
                self.differ(node, context, &options)
            }
            Node::Rule(rule) => self.first(rule, context, follow),
            Node::Many { max, body, .. } => {
                // The last round is followed by what follows; each earlier one by the choice of another round.
                (0..max).fold(follow.clone(), |later, _| {
                    let again = self.first(body, context, &later);
                    self.differ(node, context, &[again, follow.clone()])
                })
            }
            Node::In(scope, body) => self.first(body, context.inside(scope), follow),
            Node::Quoted(body) => {
                let mark = context.quotation_mark().to_owned();
                self.first(body, context.inside(Scope::Quote), &[mark.clone()].into());
                [mark].into()
            }
            Node::Below(scope, limit, shallow, deep) => {
                self.first(if context.depth(scope) < limit { shallow } else { deep }, context, follow)
            }
            Node::Bind(slot) => {
                let options: Vec<Words> =
                    names(slot.place(context), Form::Name).into_iter().map(|name| [name].into()).collect();
                self.differ(node, context, &options)
            }
            Node::Use(slot, form) => names(slot.place(context), form).into_iter().collect(),
            Node::Pick(slots) => {
                let places: HashSet<usize> = slots.iter().map(|(_, slot)| slot.place(context)).collect();
                let one_list = places.iter().all(|&place| rivals(place) == rivals(slots[0].1.place(context)));
                if places.len() < slots.len() || !one_list {
                    self.problems.insert(format!("slots that may share a word: {slots:?}"));
                }
                names(slots[0].1.place(context), Form::Name).into_iter().collect()
            }
        };
        self.known.insert(key, words.clone());
        words
    }

    /// All options' first words; notes each pair of options that could stand at the same place.
    fn differ(&mut self, node: &'static Node, context: Context, options: &[Words]) -> Words {
        self.choices.insert((std::ptr::from_ref(node), context));
        for (i, one) in options.iter().enumerate() {
            for other in &options[i + 1..] {
                for (a, b) in one.iter().flat_map(|a| other.iter().map(move |b| (a, b))) {
                    if a.starts_with(b.as_str()) || b.starts_with(a.as_str()) {
                        self.problems.insert(format!("{a:?} and {b:?}"));
                    }
                }
            }
        }
        options.iter().flatten().cloned().collect()
    }
}

fn names(place: usize, form: Form) -> Vec<String> {
    entries(place).iter().map(|(_, forms)| forms[form as usize].to_owned()).collect()
}

#[test]
fn each_choice_is_told_by_the_next_word() {
    let mut check = Check::default();
    // Another episode follows: its first words stand behind the empty line.
    let again = check.first(&EPISODE, Context::default(), &["end".to_owned()].into());
    check.first(&EPISODE, Context::default(), &again);
    assert!(check.problems.is_empty(), "{:#?}", check.problems);
    assert!(check.choices.len() > 300, "only {} choices were reached", check.choices.len());
}

#[test]
fn an_ambiguous_grammar_is_found() {
    static AMBIGUOUS: Node = Node::All(&[
        Node::One(&[(1, Node::Text("")), (1, Node::Text(" no"))]),
        Node::Word(&[(1, " now"), (1, " then")]), //
    ]);
    static STONES: Node = Node::Word(&[(1, "stone"), (1, "stones")]);
    for grammar in [&AMBIGUOUS, &STONES] {
        let mut check = Check::default();
        check.first(grammar, Context::default(), &["end".to_owned()].into());
        assert_eq!(check.problems.len(), 1, "{:#?}", check.problems);
    }
}

/// The places that have a word.
type Taken = [bool; PLACES];

/// Which words are bound after a part, given those before it: each in its list's order, once, before it is used.
///
/// On it rest the bits and lengths of bound words in `rate`.
#[derive(Default)]
struct Bound {
    known: HashMap<(*const Node, Context, Taken), BTreeSet<Taken>>,
    problems: BTreeSet<String>,
}

impl Bound {
    fn after(&mut self, node: &'static Node, context: Context, bound: Taken) -> BTreeSet<Taken> {
        let key = (std::ptr::from_ref(node), context, bound);
        if let Some(after) = self.known.get(&key) {
            return after.clone();
        }
        let after = match *node {
            Node::Text(_) | Node::Line(_) | Node::Word(_) => [bound].into(),
            Node::All(parts) => parts.iter().fold([bound].into(), |states: BTreeSet<_>, part| {
                states.into_iter().flat_map(|bound| self.after(part, context, bound)).collect()
            }),
            Node::One(list) => list.iter().flat_map(|(_, node)| self.after(node, context, bound)).collect(),
            Node::Rule(rule) => self.after(rule, context, bound),
            Node::Many { body, .. } => {
                if self.after(body, context, bound) != [bound].into() {
                    self.problems.insert("a repeated part binds a word".into());
                }
                [bound].into()
            }
            Node::In(scope, body) => self.after(body, context.inside(scope), bound),
            Node::Quoted(body) => self.after(body, context.inside(Scope::Quote), bound),
            Node::Below(scope, limit, shallow, deep) => {
                self.after(if context.depth(scope) < limit { shallow } else { deep }, context, bound)
            }
            Node::Bind(slot) => {
                let place = slot.place(context);
                if rivals(place).iter().any(|&other| bound[other] != (other < place)) {
                    self.problems.insert(format!("{slot:?} is bound out of order"));
                }
                let mut after = bound;
                after[place] = true;
                [after].into()
            }
            Node::Use(slot, _) => {
                self.used(slot, context, bound);
                [bound].into()
            }
            Node::Pick(slots) => {
                slots.iter().for_each(|&(_, slot)| self.used(slot, context, bound));
                [bound].into()
            }
        };
        self.known.insert(key, after.clone());
        after
    }

    fn used(&mut self, slot: Slot, context: Context, bound: Taken) {
        if !bound[slot.place(context)] {
            self.problems.insert(format!("{slot:?} is used before it is bound"));
        }
    }
}

#[test]
fn words_are_bound_in_order_and_before_they_are_used() {
    let mut check = Bound::default();
    let after = check.after(&EPISODE, Context::default(), [false; PLACES]);
    assert!(check.problems.is_empty(), "{:#?}", check.problems);
    // Prose, a dialogue, a function.
    let kinds =
        [[true, false, false, false, false], [true, true, false, false, false], [false, false, true, true, true]];
    assert_eq!(after, kinds.into());
}

#[test]
fn a_word_used_too_early_is_found() {
    static EARLY: Node = Node::All(&[Node::Use(Slot::First, Form::Name), Node::Bind(Slot::Second)]);
    let mut check = Bound::default();
    check.after(&EARLY, Context::default(), [false; PLACES]);
    assert_eq!(check.problems.len(), 2, "{:#?}", check.problems);
}
