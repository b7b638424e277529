//! Functions in the manner of C: conditions, braces, indentation, and variables that are declared before they are used.
//!
//! A function has two parameters and one local variable, three different names; every later name is one of these.
//! Blocks nest to four levels of braces, brackets to three.

use super::node::Node::{self, All, Below, Bind, In, Line, Many, One, Pick, Quoted, Rule, Text, Word};
use super::node::Scope::{Brace, Bracket, Code, Comment, IfBody, IfCondition};
use super::node::Slot::{Left, Local, Right};
use super::{narrative, words};

/// A function, with or without a comment above it.
pub(super) static FUNCTION: Node = All(&[In(Code, &TEXT), Text("\n\n")]);
static TEXT: Node = All(&[
    One(&[(2, Text("")), (1, All(&[Rule(&REMARK), Text("\n")]))]),
    Text("int "),
    Rule(&words::VERB_IN_CODE),
    Text("_"),
    Rule(&words::NOUN_IN_CODE),
    In(Bracket, &All(&[Text("(int "), Bind(Left), Text(", int "), Bind(Right)])),
    Text(") "),
    In(
        Brace,
        &All(&[
            Text("{"),
            Line(0),
            Text("int "),
            Bind(Local),
            Text(" = "),
            Rule(&words::NUMBER),
            Text(";"),
            Rule(&NEXT_STATEMENT),
            Many { go: 3, stop: 1, max: 8, body: &NEXT_STATEMENT },
            Rule(&RETURN),
            Line(1),
        ]),
    ),
    Text("}"),
]);

/// `// find the letters by the bridge.`
static REMARK: Node = In(
    Comment,
    &All(&[
        Text("// "),
        Rule(&words::VERB_IN_CODE),
        Text(" the "),
        Rule(&words::NOUNS),
        Text(" "),
        Rule(&narrative::PLACE),
        Text("."),
    ]),
);
static RETURN: Node = All(&[Line(0), Text("return "), Rule(&EXPRESSION), Text(";")]);

static NEXT_STATEMENT: Node = All(&[Line(0), Below(Brace, 4, &STATEMENT, &SIMPLE_STATEMENT)]);
static STATEMENT: Node = One(&[
    (7, Rule(&SIMPLE_STATEMENT)),
    (5, Rule(&IF)),
    (2, All(&[Text("while "), Rule(&CONDITION), Text(" "), Rule(&BLOCK)])),
    (1, Rule(&REMARK)),
]);
static SIMPLE_STATEMENT: Node = One(&[
    (
        6,
        All(&[
            Rule(&VARIABLE),
            Word(&[(5, " = "), (4, " += "), (3, " -= "), (2, " *= ")]),
            Rule(&EXPRESSION),
            Text(";"),
        ]),
    ),
    (2, All(&[Text("print"), In(Bracket, &All(&[Text("("), Quoted(&NEWS)])), Text(");")])),
]);
static NEWS: Node = All(&[Rule(&words::QUALITY), Text(" "), Rule(&words::NOUN)]);

static IF: Node = All(&[
    Text("if "),
    In(IfCondition, &OPEN_CONDITION),
    Text(") "),
    In(IfBody, &OPEN_BLOCK),
    Text("}"),
    One(&[(3, Text("")), (1, All(&[Text(" else "), In(IfBody, &OPEN_BLOCK), Text("}")]))]),
]);
static BLOCK: Node = All(&[Rule(&OPEN_BLOCK), Text("}")]);
static OPEN_BLOCK: Node = In(
    Brace,
    &All(&[
        Text("{"),
        Rule(&NEXT_STATEMENT),
        Many { go: 1, stop: 1, max: 4, body: &NEXT_STATEMENT },
        One(&[(4, Text("")), (1, Rule(&RETURN))]),
        Line(1),
    ]),
);

static CONDITION: Node = All(&[Rule(&OPEN_CONDITION), Text(")")]);
static OPEN_CONDITION: Node =
    In(Bracket, &All(&[Text("("), Rule(&COMPARISON), Many { go: 1, stop: 2, max: 2, body: &AND_COMPARISON }]));
static AND_COMPARISON: Node = All(&[Text(" && "), Rule(&COMPARISON)]);
static COMPARISON: Node =
    All(&[Rule(&VARIABLE), Text(" "), Word(&[(5, "< "), (4, "> "), (3, "== "), (2, "<= "), (2, ">= ")]), Rule(&TERM)]);

static VARIABLE: Node = Pick(&[(5, Local), (4, Left), (3, Right)]);
static EXPRESSION: Node = All(&[Rule(&TERM), Many { go: 2, stop: 3, max: 2, body: &AND_TERM }]);
static AND_TERM: Node = All(&[Word(&[(5, " + "), (4, " - "), (4, " * "), (2, " / ")]), Rule(&TERM)]);
static TERM: Node = Below(Bracket, 3, &ANY_TERM, &SHORT_TERM);
static SHORT_TERM: Node = One(&[(5, Rule(&VARIABLE)), (3, Rule(&words::NUMBER))]);
static ANY_TERM: Node = One(&[
    (9, Rule(&VARIABLE)),
    (6, Rule(&words::NUMBER)),
    (2, All(&[Rule(&words::ARRAY), In(Bracket, &All(&[Text("["), Rule(&EXPRESSION)])), Text("]")])),
    (2, All(&[Rule(&words::CALL), In(Bracket, &All(&[Text("("), Rule(&EXPRESSION)])), Text(")")])),
    (2, All(&[In(Bracket, &All(&[Text("("), Rule(&TERM), Rule(&AND_TERM)])), Text(")")])),
]);
