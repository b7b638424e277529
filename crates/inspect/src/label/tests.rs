//! The rules against the grammar of the built-in text, and against small texts by hand.

use super::*;
use gatemill_corpus::builtin::{Labels, text_with_labels};

fn of<'a>(labels: &'a [Label], name: &str) -> &'a Label {
    labels.iter().find(|label| label.name == name).unwrap()
}

/// The characters of `text` where the label is not 0, in brackets.
fn marked(text: &str, name: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let all = labels(&chars, &[]);
    let mut out = String::new();
    let mut last = 0;
    for (c, &value) in chars.iter().zip(&of(&all, name).values) {
        match (last > 0, value > 0) {
            (false, true) => out.push('⟦'),
            (true, false) => out.push('⟧'),
            _ => {}
        }
        last = value;
        out.push(*c);
    }
    if last > 0 {
        out.push('⟧');
    }
    out
}

/// The grammar knows what it wrote. 300,000 characters, every one of them.
#[test]
fn the_rules_agree_with_the_grammar_of_the_built_in_text() {
    let (text, truth) = text_with_labels(300_000, 7);
    let chars: Vec<char> = text.iter().map(|&b| char::from(b)).collect();
    let found = labels(&chars, &[]);
    let check = |name: &str, want: fn(&Labels) -> u8| {
        let wrong: Vec<usize> = (0..chars.len()).filter(|&i| of(&found, name).values[i] != want(&truth[i])).collect();
        let place =
            wrong.first().map(|&i| chars[i.saturating_sub(60)..(i + 20).min(chars.len())].iter().collect::<String>());
        assert!(wrong.is_empty(), "{name}: {} differ, the first behind {place:?}", wrong.len());
        let some = truth.iter().filter(|t| want(t) > 0).count();
        assert!(some > 1000, "{name}: {some}");
    };
    check("inside quotes", |t| u8::from(t.quote_depth > 0));
    check("inside brackets", |t| u8::from(t.bracket_depth > 0));
    check("bracket depth", |t| t.bracket_depth);
    check("inside braces", |t| u8::from(t.indent > 0));
    check("if condition", |t| u8::from(t.if_condition));
    check("if body", |t| u8::from(t.if_body));
    check("comment", |t| u8::from(t.comment));
    check("string", |t| u8::from(t.quote_depth > 0 && t.indent > 0));
    // A line of code begins with two blanks for each brace that was open before it.
    let lines = (1..chars.len()).filter(|&i| truth[i].code && chars[i - 1] != ' ' && chars[i - 1] != '\n');
    let indentation = of(&found, "indentation");
    for i in lines.filter(|&i| chars[i] == '\n' && chars[i - 1] == ';') {
        assert_eq!(indentation.values[i - 1], 2 * truth[i - 1].indent, "at {i}");
    }
}

#[test]
fn quotations_of_speech() {
    for (text, want) in [
        ("\"Eh?\" said he. \"No, don't.\" \n", "⟦\"Eh?⟧\" said he. ⟦\"No, don't.⟧\" \n"),
        ("\"He said, 'Go,' and 'Stay.'\" x", "⟦\"He said, 'Go,' and 'Stay.'⟧\" x"),
        ("\"He said, 'She said, \"Go,\" once,' and left.\" x", "⟦\"He said, 'She said, \"Go,\" once,' and left.⟧\" x"),
        ("\"One paragraph\n\n\"and the next.\" x", "⟦\"One paragraph\n⟧\n⟦\"and the next.⟧\" x"),
        ("“Eh?” «Oui» 「응」 don’t", "⟦“Eh?⟧” ⟦«Oui⟧» ⟦「응⟧」 don’t"),
        ("c = '\"'; s = \"a \\\" b\"; t", "c = '\"'; s = ⟦\"a \\\" b⟧\"; t"),
    ] {
        assert_eq!(marked(text, "inside quotes"), want);
    }
}

#[test]
fn conditions_and_bodies_with_and_without_braces() {
    let text = "#if (X)\n{ if (a && f(b)) c[(1)] = d; else\n e(); if (g) { h; } else if (i) j; k; }\n";
    assert_eq!(
        marked(text, "if condition"),
        "#if (X)\n{ if ⟦(a && f(b)⟧) c[(1)] = d; else\n e(); if ⟦(g⟧) { h; } else if ⟦(i⟧) j; k; }\n"
    );
    assert_eq!(
        marked(text, "if body"),
        "#if (X)\n{ if (a && f(b)) ⟦c[(1)] = d⟧; else\n ⟦e()⟧; if (g) ⟦{ h; ⟧} else if (i) ⟦j⟧; k; }\n"
    );
    let text = "{\n  if (a)\n    for (i = 0; i < n; i++) {\n      b;\n    }\n  c;\n}\n";
    assert_eq!(marked(text, "if body"), "{\n  if (a)\n    ⟦for (i = 0; i < n; i++) {\n      b;\n    ⟧}\n  c;\n}\n");
    // Prose: the words alone do nothing.
    let text = "He went; or else he stayed, if (as we think) he could.";
    assert_eq!(marked(text, "if body"), text);
    assert_eq!(marked(text, "if condition"), text);
}

#[test]
fn comments_strings_and_brackets_that_are_none() {
    let text = "f(\"/* ( */\", ')', 1); /* a ( \" b */ x // c )\ny http://z (1\n\n2) 3";
    assert_eq!(marked(text, "comment"), "f(\"/* ( */\", ')', 1); ⟦/* a ( \" b *⟧/ x ⟦// c )⟧\ny http://z (1\n\n2) 3");
    assert_eq!(marked(text, "string"), "f(⟦\"/* ( */⟧\", ')', 1); /* a ( \" b */ x // c )\ny http://z (1\n\n2) 3");
    let brackets = "f⟦(\"/* ( */\", ')', 1⟧); /* a ( \" b */ x // c )\ny http://z ⟦(1\n⟧\n2) 3";
    assert_eq!(marked(text, "inside brackets"), brackets);
    let chars: Vec<char> = "a(b[c(d)e]f)g) {x".chars().collect();
    let all = labels(&chars, &[]);
    assert_eq!(of(&all, "bracket depth").values, [0, 1, 1, 2, 2, 3, 3, 2, 2, 1, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(of(&all, "inside braces").values.iter().position(|&v| v > 0), Some(15));
}

#[test]
fn places_in_lines_and_ends_that_are_near() {
    let chars: Vec<char> = "ab\n\t x. Yes! 3.5 ok_A\nz".chars().collect();
    let all = labels(&chars, &[]);
    let values = |name: &str| of(&all, name).values.clone();
    assert_eq!(values("position in the line")[..8], [1, 2, 0, 1, 2, 3, 4, 5]);
    assert_eq!(values("indentation")[..7], [0, 0, 0, 8, 9, 9, 9]);
    assert_eq!(marked("ab. abcdefghij\nz", "line end near"), "ab. ab⟦cdefghij⟧\nz");
    assert_eq!(
        marked("It is 3.5. And so on? \"No!\"\n\n", "sentence end near"),
        "I⟦t is 3.5⟧. A⟦nd so on? \"No⟧!\"\n\n"
    );
    assert_eq!(marked("a_b, C2", "between words"), "a_b⟦, ⟧C2");
    assert_eq!(marked("a_B, Éé한", "upper case"), "a_⟦B⟧, ⟦É⟧é한");
}

#[test]
fn regular_expressions_are_labels_too() {
    let chars: Vec<char> = "é in 1874,\nin 96".chars().collect();
    let patterns = [Pattern::parse("year=[0-9]{4}").unwrap(), Pattern::parse(" last word =[0-9]+$").unwrap()];
    let all = labels(&chars, &patterns);
    let inside = |name: &str| -> String {
        let marks = of(&all, name).values.iter().zip(&chars).filter(|(v, _)| **v > 0);
        marks.map(|(_, c)| *c).collect()
    };
    assert_eq!((inside("year"), inside("last word")), ("1874".to_owned(), "96".to_owned()));
    let error = |text: &str| Pattern::parse(text).unwrap_err().to_string();
    assert!(error("[0-9]").contains("is no NAME=PATTERN"));
    assert!(error("=x").contains("is no NAME=PATTERN"));
    assert!(error("x=").contains("matches an empty text"));
    assert!(error("x=(").contains("the pattern of `x` is no regular expression: unclosed group"), "{}", error("x=("));
}

#[test]
fn stretches_are_counted_within_their_part() {
    let label = Label::binary("x", [true, true, false, true, false, false, true].into_iter());
    assert_eq!(label.stretches(0..7), 3);
    assert_eq!(label.stretches(1..4), 2);
    assert_eq!(label.stretches(4..6), 0);
}
