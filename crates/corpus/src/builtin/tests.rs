//! The rate against all texts of a small grammar; the reader against the writer, choice by choice.

use super::node::{Context, Form, Node, Scope, Slot};
use super::read::read_each;
use super::walk::{Hand, Options, Walk};
use super::write::{Episode, Keep, write};
use super::{Choice, rate, read, text};

/// Makes the choices of a list, 0 where the list ends, and keeps what it sees.
#[derive(Default)]
struct Script {
    indices: Vec<usize>,
    made: Vec<Choice>,
    options: Vec<usize>,
    chars: usize,
}

impl Hand for Script {
    type Error = std::convert::Infallible;

    fn choose(&mut self, options: Options<'_>, _: Context) -> Result<usize, Self::Error> {
        let index = self.indices.get(self.made.len()).copied().unwrap_or(0);
        self.made.push(Choice { index, weight: options.weight(index), total: options.total() });
        self.options.push(options.len());
        Ok(index)
    }

    fn put(&mut self, text: &str, _: Context) -> Result<(), Self::Error> {
        self.chars += text.len();
        Ok(())
    }
}

/// Every kind of node, few texts: all of them are walked, each with its probability.
#[test]
fn the_rate_is_the_mean_over_all_texts_of_a_small_grammar() {
    static DEEPER: Node = Node::In(Scope::Bracket, &NESTED);
    static NESTED: Node = Node::All(&[
        Node::Text("("),
        Node::Below(Scope::Bracket, 2, &MAYBE, &Node::Text("deep")),
        Node::In(Scope::Brace, &Node::Line(0)),
    ]);
    static MAYBE: Node = Node::One(&[(2, Node::Text("")), (5, Node::Rule(&DEEPER))]);
    static AGAIN: Node = Node::All(&[
        Node::Use(Slot::First, Form::Starts),
        Node::Word(&[(3, " sang"), (1, " waited")]),
        Node::Quoted(&Node::Text("hm")),
    ]);
    static PERSONS: Node = Node::All(&[
        Node::Bind(Slot::First),
        Node::Many { go: 3, stop: 2, max: 3, body: &AGAIN },
        Node::Bind(Slot::Second),
        Node::In(Scope::Reply, &Node::Use(Slot::Speaker, Form::Owns)),
        Node::Rule(&DEEPER),
    ]);
    static VARIABLES: Node = Node::All(&[
        Node::Bind(Slot::Left),
        Node::Bind(Slot::Right),
        Node::Bind(Slot::Local),
        Node::Pick(&[(5, Slot::Local), (2, Slot::Left), (1, Slot::Right)]),
    ]);
    static SMALL: Node = Node::One(&[(3, Node::Rule(&PERSONS)), (4, Node::Rule(&VARIABLES))]);

    let (mut probability, mut bits, mut chars, mut texts) = (0.0, 0.0, 0.0, 0);
    let mut indices = Some(Vec::new());
    while let Some(next) = indices {
        let mut script = Script { indices: next, ..Script::default() };
        let Ok(()) = Walk::new(&mut script).through(&SMALL, Context::default());
        if script.made.iter().all(|choice| choice.weight > 0) {
            let p: f64 = script.made.iter().map(|choice| f64::from(choice.weight) / f64::from(choice.total)).product();
            probability += p;
            bits -= p * libm::log2(p);
            chars += p * script.chars as f64;
            texts += 1;
        }
        indices = after(&script);
    }
    let rate = rate::rate_of(&SMALL);
    assert!(texts > 10_000, "{texts}");
    assert!((probability - 1.0).abs() < 1e-11, "{probability}");
    assert!((rate.bits_per_episode - bits).abs() < 1e-10 * bits, "{rate:?} {bits}");
    assert!((rate.chars_per_episode - chars).abs() < 1e-10 * chars, "{rate:?} {chars}");
}

/// The next list of choices in order, or none after the last.
fn after(script: &Script) -> Option<Vec<usize>> {
    let at = (0..script.made.len()).rev().find(|&at| script.made[at].index + 1 < script.options[at])?;
    let mut indices: Vec<usize> = script.made[..at].iter().map(|choice| choice.index).collect();
    indices.push(script.made[at].index + 1);
    Some(indices)
}

#[test]
fn reading_finds_the_very_choices_that_were_made() {
    for seed in [1, 2, 0xdead_beef_0000_0001] {
        let (mut all, mut made) = (Vec::new(), Vec::new());
        let mut episode = Episode::default();
        for number in 0..500 {
            write(seed, number, Keep { choices: true, ..Keep::default() }, &mut episode);
            all.extend_from_slice(&episode.text);
            made.push((episode.text.len(), episode.choices.clone()));
        }
        let mut found = Vec::new();
        read_each(&all, |episode| found.push((episode.bytes, episode.choices))).unwrap();
        assert!(found == made, "seed {seed}: another reading");
    }
}

#[test]
fn a_text_cut_anywhere_reads_to_its_last_whole_episode() {
    let all = text(3000, 3);
    let ends: Vec<usize> = (2..=all.len()).filter(|&at| all[..at].ends_with(b"\n\n")).collect();
    assert!(ends.len() > 2, "{}", ends.len());
    for cut in 0..=all.len() {
        let reading = read(&all[..cut]).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
        assert_eq!(reading.episodes as usize, ends.iter().filter(|&&end| end <= cut).count(), "cut at {cut}");
        assert_eq!(reading.bytes, ends.iter().copied().filter(|&end| end <= cut).max().unwrap_or(0));
    }
}

#[test]
fn what_the_grammar_cannot_write_is_refused_with_its_place() {
    let refused = |text: &str| read(text.as_bytes()).expect_err(text);
    let error = refused("  Anna was a sailor who lived by the river. Anna sang. Mary sang.\n\n");
    assert_eq!(error.offset, 55, "{error}");
    assert_eq!(error.expected, "'A'");
    let error = refused("  Anna was a sailor who lived by the river. He sang.\n\n");
    assert_eq!((error.offset, error.expected.as_str()), (44, "'S'"));
    let error = refused("int find_keys(int row, int row) {\n  int");
    assert_eq!(error.offset, 27, "{error}");
    assert!(!error.expected.contains("\"row\"") && error.expected.contains("\"size\""), "{error}");
    let error = refused("int find_keys(int row, int top) {\n  int sum = 0;\n  bit = 1;");
    assert_eq!(error.offset, 51, "{error}");
    assert_eq!(refused("hello\n\n").offset, 0);
    assert_eq!(refused("\n\n").offset, 0);
    assert_eq!(refused("\u{ff}").offset, 0);
    // The agreement that spans a relative clause.
    assert!(read(b"  Anna was a king who lived by the river. The boys who took the\nkey were ill.\n\n").is_ok());
    assert_eq!(refused("  Anna was a king who lived by the river. The boys who took the\nkey was ill.\n\n").offset, 68);
}

#[test]
fn long_lines_break_at_the_first_chance_and_only_there() {
    let all = text(200_000, 5);
    let mut broken = 0;
    for episode in String::from_utf8(all).unwrap().split_inclusive("\n\n").filter(|text| text.starts_with("  ")) {
        for line in episode.lines() {
            let early = line.bytes().enumerate().skip(60).find(|&(at, byte)| {
                let before = line.as_bytes()[at - 1];
                byte == b' ' && (before.is_ascii_alphabetic() || before == b',')
            });
            assert_eq!(early, None, "{line}");
            broken += usize::from(line.ends_with(|end: char| end.is_ascii_alphabetic() || end == ','));
        }
    }
    assert!(broken > 1000, "{broken}");
}
