//! Clauses and prose: who did what, where and when; in the past tense, in the third person.
//!
//! `was` and `were`, `wants` and `want` follow the number of a subject that may stand several words back, behind a
//! place or a relative clause. An episode has one person, named at its start, who comes back as he or she, his or her.
//! Inside quotation marks the same clauses speak of I, we and my father.

use super::node::Form::{Does, Name, Owns, Starts};
use super::node::Node::{self, All, Below, Bind, In, Many, One, Rule, Text, Use, Word};
use super::node::Scope::{Bracket, Clause, Quote};
use super::node::Slot::First;
use super::{dialogue, words};

/// `by the bridge`
pub(super) static PLACE: Node = All(&[
    Rule(&words::NEAR),
    Text(" "),
    One(&[(5, All(&[Rule(&words::DET), Rule(&BY_WHAT)])), (3, Rule(&words::TOWN))]),
]);
static BY_WHAT: Node = One(&[
    (4, Rule(&words::PLACE)),
    (4, Rule(&WITH_QUALITY)),
    (2, Rule(&words::PERSON)),
    (2, All(&[Rule(&words::CHARACTER), Text(" "), Rule(&words::PERSON)])),
]);
static MAYBE_PLACE: Node = One(&[(6, Text("")), (3, All(&[Text(" "), Rule(&PLACE)]))]);
static MAYBE_HOW: Node = One(&[
    (4, Text("")),
    (3, All(&[Text(" "), Rule(&words::HOW)])),
    (2, All(&[Text(" "), Rule(&PLACE)])),
    (1, All(&[Text(" "), Rule(&words::WHEN)])),
]);

/// `a wooden boat`, `an old key`: the article follows the sound.
pub(super) static AN_OBJECT: Node = One(&[
    (5, All(&[Text("a "), One(&[(4, Rule(&words::NOUN)), (6, Rule(&WITH_QUALITY))])])),
    (2, All(&[Text("an "), One(&[(3, Rule(&words::NOUN_AN)), (5, Rule(&WITH_QUALITY_AN))])])),
]);
static WITH_QUALITY: Node = All(&[Rule(&words::QUALITY), Text(" "), Rule(&words::NOUN)]);
static WITH_QUALITY_AN: Node = All(&[Rule(&words::QUALITY_AN), Text(" "), Rule(&words::NOUN)]);
pub(super) static OBJECT_OF_QUALITY: Node =
    One(&[(4, Rule(&words::NOUN)), (7, Rule(&WITH_QUALITY)), (2, Rule(&WITH_QUALITY_AN))]);

/// What is taken, kept or lost; in speech `my` stands for `his` and `her`.
pub(super) static OBJECT: Node = One(&[
    (5, Rule(&AN_OBJECT)),
    (6, All(&[Rule(&words::DET), Rule(&OBJECT_OF_QUALITY)])),
    (3, All(&[Below(Quote, 1, &HIS, &MY), Text(" "), Rule(&OBJECT_OF_QUALITY)])),
    (3, All(&[Rule(&words::SCORE), Text(" "), Rule(&MANY_OBJECTS)])),
]);
static HIS: Node = Use(First, Owns);
static MY: Node = Text("my");

/// Several things, with or without a quality.
pub(super) static MANY_OBJECTS: Node =
    One(&[(2, Rule(&words::NOUNS)), (3, All(&[Rule(&words::QUALITY), Text(" "), Rule(&words::NOUNS)]))]);

/// What anyone did, one or many.
pub(super) static ACTION: Node = One(&[
    (7, All(&[Rule(&words::TOOK), Text(" "), Rule(&OBJECT), Rule(&MAYBE_PLACE)])),
    (4, All(&[Rule(&words::SLEPT), Rule(&MAYBE_HOW)])),
    (4, All(&[Rule(&words::WENT), One(&[(7, All(&[Text(" to "), Rule(&DESTINATION)])), (2, Text(" home"))])])),
]);

/// Where one goes.
pub(super) static DESTINATION: Node = One(&[(5, All(&[Text("the "), Rule(&words::PLACE)])), (4, Rule(&words::TOWN))]);

/// What one person did or was.
pub(super) static SINGULAR: Node = Below(Clause, 1, &SINGULAR_MAIN, &SINGULAR_INNER);
static SINGULAR_MAIN: Node = One(&[(7, Rule(&SINGULAR_INNER)), (2, Rule(&THOUGHT))]);
static SINGULAR_INNER: Node = Below(Quote, 1, &SINGULAR_PAST, &SINGULAR_SPOKEN);
static SINGULAR_PAST: Node = One(&[(6, Rule(&ACTION)), (2, All(&[Text("was "), Rule(&MOOD)]))]);
static SINGULAR_SPOKEN: Node = One(&[
    (5, Rule(&ACTION)),
    (2, All(&[Text("was "), Rule(&MOOD)])),
    (3, All(&[Rule(&words::WANTS), Text(" "), Rule(&OBJECT)])),
]);

/// What several persons did or were.
pub(super) static PLURAL: Node = Below(Clause, 1, &PLURAL_MAIN, &PLURAL_INNER);
static PLURAL_MAIN: Node = One(&[(7, Rule(&PLURAL_INNER)), (2, Rule(&THOUGHT))]);
static PLURAL_INNER: Node = Below(Quote, 1, &PLURAL_PAST, &PLURAL_SPOKEN);
static PLURAL_PAST: Node = One(&[(6, Rule(&ACTION)), (2, All(&[Text("were "), Rule(&MOOD)]))]);
static PLURAL_SPOKEN: Node = One(&[
    (5, Rule(&ACTION)),
    (2, All(&[Text("were "), Rule(&MOOD)])),
    (3, All(&[Rule(&words::WANT), Text(" "), Rule(&OBJECT)])),
]);

/// What I did or was.
pub(super) static MINE: Node = Below(Clause, 1, &MINE_MAIN, &MINE_INNER);
static MINE_MAIN: Node = One(&[(7, Rule(&MINE_INNER)), (2, Rule(&THOUGHT))]);
static MINE_INNER: Node = One(&[
    (5, Rule(&ACTION)),
    (2, All(&[Text("was "), Rule(&MOOD)])),
    (3, All(&[Rule(&words::WANT), Text(" "), Rule(&OBJECT)])),
]);

static THOUGHT: Node = All(&[Rule(&words::THOUGHT), Text(" "), Rule(&CLAUSE)]);

/// A subject with its predicate in the same number; after `the`, only the noun tells which.
pub(super) static SUBJECT: Node = One(&[
    (5, All(&[Text("the "), Rule(&ONE_OR_MANY_DO)])),
    (4, All(&[Rule(&words::DET_ONE), Rule(&ONE_DOES)])),
    (3, All(&[Rule(&words::DET_MANY), Rule(&MANY_DO)])),
]);
/// The same at the start of a sentence.
pub(super) static SUBJECT_STARTS: Node = One(&[
    (5, All(&[Text("The "), Rule(&ONE_OR_MANY_DO)])),
    (4, All(&[Rule(&words::DET_ONE_STARTS), Rule(&ONE_DOES)])),
    (3, All(&[Rule(&words::DET_MANY_STARTS), Rule(&MANY_DO)])),
]);
static ONE_OR_MANY_DO: Node = One(&[
    (4, Rule(&PERSON_DOES)),
    (3, Rule(&PERSONS_DO)),
    (4, All(&[Rule(&words::CHARACTER), Text(" "), One(&[(4, Rule(&PERSON_DOES)), (3, Rule(&PERSONS_DO))])])),
    (4, Rule(&THING_PREDICATE)),
    (3, Rule(&THINGS_PREDICATE)),
    (4, All(&[Rule(&words::QUALITY), Text(" "), One(&[(4, Rule(&THING_PREDICATE)), (3, Rule(&THINGS_PREDICATE))])])),
]);
static ONE_DOES: Node = One(&[
    (4, Rule(&PERSON_DOES)),
    (4, All(&[Rule(&words::CHARACTER), Text(" "), Rule(&PERSON_DOES)])),
    (4, Rule(&THING_PREDICATE)),
    (4, All(&[Rule(&words::QUALITY), Text(" "), Rule(&THING_PREDICATE)])),
]);
static MANY_DO: Node = One(&[
    (4, Rule(&PERSONS_DO)),
    (4, All(&[Rule(&words::CHARACTER), Text(" "), Rule(&PERSONS_DO)])),
    (4, Rule(&THINGS_PREDICATE)),
    (4, All(&[Rule(&words::QUALITY), Text(" "), Rule(&THINGS_PREDICATE)])),
]);
static PERSON_DOES: Node = All(&[Rule(&words::PERSON), Rule(&MAYBE_WHO), Text(" "), Rule(&SINGULAR)]);
static PERSONS_DO: Node = All(&[Rule(&words::PERSONS), Rule(&MAYBE_WHO), Text(" "), Rule(&PLURAL)]);
static THING_PREDICATE: Node = All(&[Rule(&words::NOUN), Rule(&MAYBE_PLACE), Text(" "), Rule(&THING_DOES)]);
static THINGS_PREDICATE: Node = All(&[Rule(&words::NOUNS), Rule(&MAYBE_PLACE), Text(" "), Rule(&THINGS_DO)]);

static MAYBE_WHO: Node = Below(Clause, 1, &MAYBE_WHO_MAIN, &NOTHING);
static MAYBE_WHO_MAIN: Node = One(&[(6, Text("")), (2, All(&[Text(" who "), In(Clause, &WHO)]))]);
static WHO: Node = One(&[
    (4, All(&[Text("lived "), Rule(&PLACE)])),
    (4, All(&[Rule(&words::TOOK), Text(" "), Rule(&words::DET), Rule(&OBJECT_OF_QUALITY)])),
]);
static NOTHING: Node = Text("");

static MOOD: Node = One(&[(5, Rule(&words::MOOD)), (4, All(&[Rule(&words::VERY), Rule(&words::MOOD)]))]);
static STATE: Node = One(&[(5, Rule(&words::STATE)), (4, All(&[Rule(&words::VERY), Rule(&words::STATE)]))]);
static THING_DOES: Node = Below(Quote, 1, &THING_DID, &THING_DOES_NOW);
static THING_DID: Node =
    One(&[(5, All(&[Text("was "), Rule(&STATE)])), (4, All(&[Rule(&words::MOVED), Rule(&MAYBE_HOW)]))]);
static THING_DOES_NOW: Node = One(&[
    (5, All(&[Text("is "), Rule(&STATE)])),
    (2, All(&[Text("never "), Rule(&words::MOVES)])),
    (2, All(&[Rule(&words::MOVES), Rule(&MAYBE_HOW)])),
]);
static THINGS_DO: Node = Below(Quote, 1, &THINGS_DID, &THINGS_DO_NOW);
static THINGS_DID: Node =
    One(&[(5, All(&[Text("were "), Rule(&STATE)])), (4, All(&[Rule(&words::MOVED), Rule(&MAYBE_HOW)]))]);
static THINGS_DO_NOW: Node = One(&[
    (5, All(&[Text("are "), Rule(&STATE)])),
    (3, All(&[Text("never "), Rule(&words::MOVE)])),
    (2, All(&[Rule(&words::MOVE), Rule(&MAYBE_HOW)])),
]);

/// A clause inside a sentence, with its own subject.
pub(super) static CLAUSE: Node = In(Clause, &Below(Quote, 1, &TOLD_CLAUSE, &dialogue::SPOKEN_CLAUSE));
static TOLD_CLAUSE: Node = One(&[
    (5, All(&[Use(First, Does), Text(" "), Rule(&SINGULAR)])),
    (5, Rule(&SUBJECT)),
    (1, All(&[Text("nobody "), Rule(&SINGULAR)])),
]);

/// A sentence of prose, with its full stop.
static SENTENCE: Node = All(&[Rule(&MAIN), Rule(&TAIL), Text(".")]);
static MAIN: Node = One(&[
    (6, All(&[Use(First, Starts), Text(" "), Rule(&SINGULAR), Rule(&MAYBE_AND)])),
    (3, All(&[Use(First, Name), Text(" "), Rule(&SINGULAR), Rule(&MAYBE_AND)])),
    (6, Rule(&SUBJECT_STARTS)),
    (3, All(&[Rule(&TIME), Text(" "), Rule(&CLAUSE)])),
    (1, All(&[Text("Nobody "), Rule(&SINGULAR)])),
    (2, All(&[Text("There was "), Rule(&AN_OBJECT), Text(" "), Rule(&PLACE)])),
]);
static MAYBE_AND: Node = One(&[(4, Text("")), (2, All(&[Text(" and "), In(Clause, &ACTION)]))]);
static TAIL: Node = One(&[
    (16, Text("")),
    (3, All(&[Text(", and "), Rule(&CLAUSE)])),
    (3, All(&[Text(", but "), Rule(&CLAUSE)])),
    (3, All(&[Text(" because "), Rule(&CLAUSE)])),
    (2, All(&[Text(" while "), Rule(&CLAUSE)])),
    (2, All(&[Text(" "), Rule(&ASIDE)])),
]);

/// `(as we all know (or nearly all))`
static ASIDE: Node = All(&[In(Bracket, &ASIDE_TEXT), Text(")")]);
static ASIDE_TEXT: Node = All(&[
    Text("("),
    Word(&[(4, "it was late"), (3, "as we all know"), (3, "nobody saw this"), (2, "and not for the first time")]),
    Below(Bracket, 2, &MAYBE_ASIDE, &NOTHING),
]);
static MAYBE_ASIDE: Node = One(&[(3, Text("")), (1, All(&[Text(" "), Rule(&ASIDE)]))]);

/// `At night`, `In 1874`
static TIME: Node = One(&[(2, Rule(&words::WHEN_STARTS)), (2, Rule(&words::IN_YEAR))]);

/// Prose that starts with the time: the first sentence names the person.
pub(super) static FROM_THE_TIME: Node =
    All(&[Rule(&TIME), Text(" "), Bind(First), Text(" "), Rule(&SINGULAR), Text("."), Rule(&REST)]);

/// Prose that has already named the person.
pub(super) static FROM_THE_PERSON: Node =
    All(&[Text(" was a "), Rule(&words::PERSON), Text(" who lived "), Rule(&PLACE), Text("."), Rule(&REST)]);

static REST: Node = All(&[
    Many { go: 4, stop: 1, max: 9, body: &NEXT_SENTENCE },
    Many { go: 1, stop: 1, max: 3, body: &NEXT_PARAGRAPH },
    Text("\n\n"),
]);
static NEXT_SENTENCE: Node = All(&[Text(" "), Rule(&SENTENCE)]);
static NEXT_PARAGRAPH: Node =
    All(&[Text("\n  "), Rule(&SENTENCE), Many { go: 4, stop: 1, max: 9, body: &NEXT_SENTENCE }]);
