//! Dialogue: two persons speak in turn; quotations of many sentences, quotations inside quotations.
//!
//! The first sentence names both persons; turn by turn they come back in the tags (`said Anna`), always the one whose
//! turn it is. Outer quotations stand in `"`, those inside them in `'`, those inside these in `"` again.

use super::node::Form::{Name, Starts};
use super::node::Node::{self, All, Below, Bind, In, Many, One, Quoted, Rule, Text, Use, Word};
use super::node::Scope::{Clause, Quote, Reply};
use super::node::Slot::{Second, Speaker};
use super::{narrative, words};

/// A dialogue that has already named its first person.
pub(super) static FROM_THE_PERSON: Node = All(&[
    Text(" "),
    Rule(&words::MET),
    Text(" "),
    Bind(Second),
    Text(" "),
    Rule(&narrative::PLACE),
    One(&[(2, Text("")), (1, All(&[Text(" "), Rule(&words::WHEN)]))]),
    Text("."),
    Rule(&TURN),
    In(Reply, &TURN),
    Many { go: 2, stop: 1, max: 5, body: &TURN_AND_REPLY },
    One(&[(2, Text("")), (1, Rule(&THEY_LEFT))]),
    Text("\n\n"),
]);
static TURN_AND_REPLY: Node = All(&[Rule(&TURN), In(Reply, &TURN)]);
static THEY_LEFT: Node = All(&[Text("\n  Then they "), Rule(&words::WENT), Text(" home.")]);

static TURN: Node = All(&[Text("\n  "), One(&[(3, Rule(&TAG_THEN_SPEECH)), (8, Rule(&SPEECH_THEN_TAG))])]);
static TAG_THEN_SPEECH: Node =
    All(&[Use(Speaker, Name), Text(" "), Rule(&words::SAID), Text(", "), Rule(&SPEECH), Rule(&MAYBE_GESTURE)]);

/// `"S S S."`: any number of sentences.
static SPEECH: Node = Quoted(&SENTENCES);
static SENTENCES: Node = All(&[Rule(&SENTENCE), Many { go: 3, stop: 1, max: 11, body: &NEXT_SENTENCE }]);
static NEXT_SENTENCE: Node = All(&[Text(" "), Rule(&SENTENCE)]);
static SENTENCE: Node = One(&[
    (7, All(&[Rule(&STATEMENT), Rule(&TAIL), Text(".")])), //
    (2, All(&[Rule(&QUESTION), Text("?")])),
]);

/// `"S," said Anna.` and what may follow, `"S. S. S."`, `"Q?" asked Anna.`
static SPEECH_THEN_TAG: Node = All(&[
    In(Quote, &Text("\"")),
    One(&[
        (7, All(&[In(Quote, &STATEMENT_AND_TAIL), One(&[(4, Rule(&COMMA_AND_TAG)), (4, Rule(&STOP_AND_MORE))])])),
        (3, All(&[In(Quote, &QUESTION_AND_MARK), Text("\""), Rule(&MAYBE_ASKED)])),
    ]),
]);
static STATEMENT_AND_TAIL: Node = All(&[Rule(&STATEMENT), Rule(&TAIL)]);
static QUESTION_AND_MARK: Node = All(&[Rule(&QUESTION), Text("?")]);
static COMMA_AND_TAG: Node = All(&[
    In(Quote, &Text(",")),
    Text("\" "),
    One(&[
        (4, All(&[Rule(&words::SAID), Text(" "), Use(Speaker, Name)])),
        (2, All(&[Use(Speaker, super::node::Form::Does), Text(" "), Rule(&words::SAID)])),
    ]),
    Text("."),
    One(&[(4, Text("")), (4, All(&[Text(" "), Rule(&SPEECH)])), (1, Rule(&GESTURE))]),
]);
static STOP_AND_MORE: Node = All(&[In(Quote, &STOP_AND_SENTENCES), Text("\""), Rule(&MAYBE_GESTURE)]);
static STOP_AND_SENTENCES: Node = All(&[Text("."), Many { go: 2, stop: 1, max: 11, body: &NEXT_SENTENCE }]);
static MAYBE_ASKED: Node = One(&[(3, Text("")), (5, All(&[Text(" asked "), Use(Speaker, Name), Text(".")]))]);
static MAYBE_GESTURE: Node = One(&[(6, Text("")), (2, Rule(&GESTURE))]);
static GESTURE: Node = All(&[Text(" "), Use(Speaker, Starts), Text(" "), In(Clause, &narrative::ACTION), Text(".")]);

/// What is stated, without its full stop.
static STATEMENT: Node = One(&[
    (6, All(&[Text("I "), Rule(&narrative::MINE)])),
    (3, All(&[Text("We "), Rule(&narrative::PLURAL)])),
    (4, All(&[Text("You "), Word(&[(5, "must "), (4, "will "), (2, "should ")]), Rule(&DO)])),
    (5, All(&[Text("My "), Rule(&KIN_SAYS)])),
    (6, Rule(&narrative::SUBJECT_STARTS)),
    (2, All(&[Text("There is "), Rule(&narrative::AN_OBJECT), Text(" "), Rule(&narrative::PLACE)])),
    (1, All(&[Text("Nobody "), Rule(&narrative::SINGULAR)])),
]);
static TAIL: Node = One(&[
    (16, Text("")),
    (2, All(&[Text(" and "), Rule(&narrative::CLAUSE)])),
    (2, All(&[Text(" but "), Rule(&narrative::CLAUSE)])),
    (3, All(&[Text(" because "), Rule(&narrative::CLAUSE)])),
]);

/// The subjects that a clause has in speech.
pub(super) static SPOKEN_CLAUSE: Node = One(&[
    (4, All(&[Text("I "), Rule(&narrative::MINE)])),
    (2, All(&[Text("we "), Rule(&narrative::PLURAL)])),
    (5, Rule(&narrative::SUBJECT)),
    (2, All(&[Text("my "), Rule(&KIN), Text(" "), Rule(&narrative::SINGULAR)])),
    (1, All(&[Text("nobody "), Rule(&narrative::SINGULAR)])),
]);

/// What is asked, without its mark.
static QUESTION: Node = One(&[
    (
        5,
        All(&[
            Text("Where is "),
            Rule(&words::DET_ASKED),
            One(&[(4, Rule(&narrative::OBJECT_OF_QUALITY)), (2, Rule(&words::PERSON))]),
        ]),
    ),
    (3, All(&[Text("Where are the "), One(&[(3, Rule(&narrative::MANY_OBJECTS)), (2, Rule(&words::PERSONS))])])),
    (4, All(&[Text("Who "), Rule(&words::TOOK), Text(" "), Rule(&narrative::OBJECT)])),
    (3, All(&[Text("Do you "), Rule(&words::WANT), Text(" "), Rule(&narrative::OBJECT)])),
    (4, All(&[Text("Did "), Word(&[(3, "you "), (2, "they ")]), Rule(&DO)])),
]);
static DO: Node = One(&[
    (5, All(&[Rule(&words::TAKE), Text(" "), Rule(&narrative::OBJECT)])),
    (3, Rule(&words::SLEEP)),
    (3, All(&[Text("go to "), Rule(&narrative::DESTINATION)])),
]);

/// `My mother used to say, 'S. S,' when she came home`: her pronoun waits behind the quotation.
static KIN_SAYS: Node = Below(Quote, 3, &KIN_QUOTES, &KIN_DOES);
static KIN: Node = One(&[(1, Rule(&words::FATHER)), (1, Rule(&words::MOTHER))]);
static KIN_DOES: Node = All(&[Rule(&KIN), Text(" "), Rule(&narrative::SINGULAR)]);
static KIN_QUOTES: Node = One(&[
    (1, All(&[Rule(&words::FATHER), Text(" "), One(&[(4, Rule(&narrative::SINGULAR)), (4, Rule(&FATHER_SAYING))])])),
    (1, All(&[Rule(&words::MOTHER), Text(" "), One(&[(4, Rule(&narrative::SINGULAR)), (4, Rule(&MOTHER_SAYING))])])),
]);
static FATHER_SAYING: Node = All(&[
    Rule(&words::USED_TO_SAY),
    Text(", "),
    Quoted(&SAID_THEN),
    Rule(&WHEN_IT_WAS_SAID),
    Text("he "),
    In(Clause, &narrative::ACTION),
]);
static MOTHER_SAYING: Node = All(&[
    Rule(&words::USED_TO_SAY),
    Text(", "),
    Quoted(&SAID_THEN),
    Rule(&WHEN_IT_WAS_SAID),
    Text("she "),
    In(Clause, &narrative::ACTION),
]);
static WHEN_IT_WAS_SAID: Node = Word(&[(4, " when "), (3, " before "), (3, " after "), (3, " until ")]);
static SAID_THEN: Node = All(&[Rule(&STATEMENT), Many { go: 2, stop: 3, max: 3, body: &NEXT_SAYING }, Text(",")]);
static NEXT_SAYING: Node = All(&[Text(". "), Rule(&STATEMENT)]);
