//! The vocabulary: lists of words with integer weights, the first of a list the most frequent.
//!
//! In each list, and wherever the grammar lets two lists compete, no word is the beginning of another, so the next
//! letters always tell which word it is (`decidable` checks it). Words are bare; the grammar writes the spaces.

use super::node::{
    Entry,
    Node::{self, All, Many, One, Rule, Text, Word},
};

/// Words by weight: `words![3: "a" "b"; 2: "c";]`, each of `a` and `b` with the weight 3.
macro_rules! words {
    ($($weight:literal: $($word:literal)+;)+) => { Word(&[$($(($weight, $word)),+),+]) };
}

/// The persons of an episode, in the forms of [`super::node::Form`].
pub(super) const PEOPLE: &[Entry] = &[
    (5, ["Anna", "She", "she", "her"]),
    (5, ["Peter", "He", "he", "his"]),
    (5, ["Mary", "She", "she", "her"]),
    (4, ["Ben", "He", "he", "his"]),
    (4, ["Clara", "She", "she", "her"]),
    (4, ["Hans", "He", "he", "his"]),
    (4, ["Nina", "She", "she", "her"]),
    (4, ["Otto", "He", "he", "his"]),
    (3, ["Ellen", "She", "she", "her"]),
    (3, ["Tom", "He", "he", "his"]),
    (3, ["Dora", "She", "she", "her"]),
    (3, ["Emil", "He", "he", "his"]),
    (3, ["Ida", "She", "she", "her"]),
    (2, ["Carl", "He", "he", "his"]),
    (2, ["Pia", "She", "she", "her"]),
    (2, ["Walter", "He", "he", "his"]),
];

/// The names of variables.
pub(super) const NAMES: &[Entry] = &[
    (5, ["count"; 4]),
    (5, ["size"; 4]),
    (5, ["row"; 4]),
    (4, ["top"; 4]),
    (4, ["bit"; 4]),
    (4, ["sum"; 4]),
    (4, ["width"; 4]),
    (4, ["left"; 4]),
    (3, ["pos"; 4]),
    (3, ["mask"; 4]),
    (3, ["step"; 4]),
    (3, ["key"; 4]),
    (3, ["low"; 4]),
    (2, ["rate"; 4]),
    (2, ["mode"; 4]),
    (2, ["used"; 4]),
];

/// One person.
pub(super) static PERSON: Node = words![
    4: "sailor" "farmer" "stranger" "teacher" "baker" "widow" "smith";
    3: "doctor" "hunter" "king" "thief" "nurse" "judge" "poet" "captain" "queen" "monk" "spy" "priest" "clerk"
       "dancer";
    2: "cook" "maid" "guest" "fool" "bride" "lord" "rider";
];
/// Several.
pub(super) static PERSONS: Node = words![
    4: "children" "women" "soldiers" "neighbours";
    3: "sisters" "boys" "men" "twins" "ladies";
    2: "travellers" "pilots" "nuns" "ghosts";
];
pub(super) static FATHER: Node = words![4: "father"; 3: "brother" "uncle"; 2: "husband";];
pub(super) static MOTHER: Node = words![4: "mother"; 3: "sister" "aunt"; 2: "wife";];
/// What is found, lost and stood by; each starts with a consonant.
pub(super) static NOUN: Node = words![
    4: "letter" "river" "lamp" "bridge" "key" "boat" "garden" "tower" "fire" "mirror" "book" "road" "ring" "knife"
       "door" "wall" "coat";
    3: "field" "map" "candle" "stone" "hat" "jar" "gate" "violin" "box" "horse" "table" "pipe" "cup" "pen" "bed"
       "bag" "boot" "bowl" "bone" "card" "cart" "chair" "clock" "coin" "comb" "desk" "dish" "drum" "fence" "flag"
       "flute" "goat";
    2: "harp" "hook" "jug" "kite" "lock" "mask" "net" "nail" "pot" "rope" "sack" "shoe" "spoon" "sword" "tent"
       "wheel" "whip";
];
/// The same with a vowel.
pub(super) static NOUN_AN: Node = words![
    4: "apple" "island" "orange";
    3: "umbrella" "egg" "axe" "oven";
    2: "arrow" "inn" "anchor";
];
/// Several of them.
pub(super) static NOUNS: Node = words![
    4: "leaves" "ships" "bells" "houses" "windows";
    3: "lights" "clouds" "birds" "trees" "graves" "medals" "roses";
    2: "dogs" "eyes" "sheds" "guns" "hills";
];
pub(super) static QUALITY: Node = words![
    4: "small" "heavy" "broken" "wooden" "green" "white" "silver" "cold" "red";
    3: "narrow" "yellow" "long" "frozen" "black" "quiet" "thin" "big" "dirty" "rich" "new" "blue" "round" "brown"
       "sharp" "soft" "hollow" "bent";
    2: "wet" "flat" "cheap" "huge" "dusty" "deep" "loud" "grey" "secret";
];
pub(super) static QUALITY_AN: Node = words![4: "old" "empty"; 3: "iron" "ugly" "ancient" "oval"; 2: "open" "unused";];
pub(super) static CHARACTER: Node = words![
    4: "old" "young" "tall" "blind" "poor";
    3: "lazy" "gentle" "proud" "fat" "honest" "clever" "deaf" "lonely" "brave" "pale";
    2: "rude" "shy" "wise" "mad" "kind";
];
pub(super) static MOOD: Node = words![
    4: "tired" "afraid" "happy" "hungry" "late";
    3: "ill" "alone" "drunk" "sad" "glad" "busy" "ashamed" "angry" "bored" "free";
    2: "lucky" "mute" "weak" "sick" "young";
];
/// Before a quality, with its space.
pub(super) static VERY: Node = words![4: "very " "quite "; 3: "too " "so " "not "; 2: "almost " "never ";];
pub(super) static STATE: Node = words![
    4: "cold" "silent" "dark" "gone" "wet";
    3: "beautiful" "white" "open" "old" "warm" "lost" "red" "empty" "far" "near";
    2: "grey" "broken" "dead" "hidden" "clean";
];
pub(super) static TOOK: Node = words![
    4: "found" "took" "lost" "carried" "sold" "hid" "kept" "painted";
    3: "broke" "saw" "burned" "drew" "stole" "bought" "guarded" "opened" "fixed" "pulled" "washed" "brought" "chose"
       "counted" "dropped" "touched";
    2: "kissed" "lifted" "mended" "followed" "pushed" "threw" "moved" "cleaned";
];
pub(super) static TAKE: Node = words![
    4: "find" "take" "lose" "carry" "sell" "hide" "keep" "paint";
    3: "break" "see" "burn" "draw" "steal" "buy" "guard" "open" "fix" "pull" "wash" "bring" "choose" "count" "drop"
       "touch";
    2: "kiss" "lift" "mend" "follow" "push" "throw" "move" "clean";
];
pub(super) static WANTS: Node = words![4: "wants" "needs"; 3: "sells" "loves" "fears" "hates"; 2: "keeps" "misses";];
pub(super) static WANT: Node = words![4: "want" "need"; 3: "sell" "love" "fear" "hate"; 2: "keep" "miss";];
pub(super) static SLEPT: Node = words![
    4: "waited" "slept" "laughed" "sang";
    3: "wept" "danced" "rested" "prayed" "ate" "fought" "swam" "drank";
    2: "dived" "joked" "knelt" "voted";
];
pub(super) static SLEEP: Node = words![
    4: "wait" "sleep" "laugh" "sing";
    3: "weep" "dance" "rest" "pray" "eat" "fight" "swim" "drink";
    2: "dive" "joke" "kneel" "vote";
];
pub(super) static WENT: Node = words![
    4: "went" "walked" "ran";
    3: "came" "returned" "rode";
    2: "hurried" "crept" "climbed";
];
pub(super) static MOVED: Node = words![
    4: "moved" "shone";
    3: "vanished" "fell" "trembled" "changed";
    2: "grew" "ended";
];
pub(super) static MOVES: Node = words![
    4: "moves" "shines";
    3: "vanishes" "falls" "trembles" "changes";
    2: "grows" "ends";
];
pub(super) static MOVE: Node = words![4: "move" "shine"; 3: "vanish" "fall" "tremble" "change"; 2: "grow" "end";];
pub(super) static THOUGHT: Node = words![
    4: "knew" "thought";
    3: "hoped" "dreamed" "believed" "wrote";
    2: "heard" "felt";
];
pub(super) static NEAR: Node = words![
    4: "by" "near" "behind";
    3: "under" "beside" "outside" "from";
    2: "over" "above" "along";
];
pub(super) static PLACE: Node = words![
    4: "river" "bridge" "mill" "garden" "tower" "road";
    3: "church" "harbour" "forest" "market" "sea" "town" "well" "village" "island" "castle" "lake" "park";
    2: "school" "station" "barn" "bank" "cellar" "shop";
];
/// Before one thing, with its space.
pub(super) static DET: Node = words![4: "the " "this "; 3: "that " "another " "every "; 2: "some " "no ";];
pub(super) static DET_ASKED: Node = words![4: "the " "my "; 3: "your "; 2: "this " "that ";];
/// Before one, not before several.
pub(super) static DET_ONE: Node = words![4: "this " "that "; 3: "every " "another "; 2: "one " "no ";];
/// Before several.
pub(super) static DET_MANY: Node = words![4: "these " "those "; 3: "all " "most "; 2: "both " "many ";];
pub(super) static DET_ONE_STARTS: Node = words![4: "This " "That "; 3: "Every " "Another "; 2: "One " "No ";];
pub(super) static DET_MANY_STARTS: Node = words![4: "These " "Those "; 3: "All " "Most "; 2: "Both " "Many ";];
pub(super) static HOW: Node = words![
    4: "slowly" "again" "alone" "softly";
    3: "badly" "quickly" "in silence" "all night" "without a word" "for days" "until dawn" "gladly";
    2: "too late" "so well" "as before" "once more";
];
pub(super) static WHEN: Node = words![
    4: "in the morning" "at night";
    3: "after the storm" "before dawn";
    2: "at dusk" "in winter";
];
pub(super) static WHEN_STARTS: Node = words![
    4: "In the morning" "At night";
    3: "After the storm" "Before dawn";
    2: "At dusk" "In winter";
];
/// The towns: `Eastbury`, `Halingford`.
pub(super) static TOWN_STARTS: Node = words![
    4: "Al" "Ash" "Bar" "Bel" "Bran" "Cal";
    3: "Cor" "Dal" "Dun" "East" "Ell" "Har" "Hol" "In" "Mar" "Mor" "Nor" "Oak";
    2: "Pen" "Sal" "Stan" "Tor" "Wal" "West";
];
pub(super) static TOWN_MIDDLE: Node = words![4: "ing"; 3: "er" "en"; 2: "is";];
pub(super) static TOWN_ENDS: Node = words![
    4: "ford" "ham" "ton" "ley";
    3: "mouth" "by" "wick" "dale" "stead" "bury" "well" "field";
    2: "port" "gate" "wood" "cote";
];
pub(super) static MET: Node = words![4: "met" "waited for"; 3: "sat with" "called"; 2: "found" "wrote to";];
pub(super) static SAID: Node = words![9: "said"; 7: "answered"; 4: "whispered"; 2: "cried";];
pub(super) static USED_TO_SAY: Node = words![4: "used to say"; 3: "always said"; 2: "once told us";];
pub(super) static VERB_IN_CODE: Node = words![
    4: "count" "find" "read";
    3: "move" "sort" "open" "clear" "pack" "scan";
    2: "merge" "trim" "drop";
];
pub(super) static NOUN_IN_CODE: Node = words![
    4: "boats" "keys" "lamps";
    3: "pages" "rows" "bells" "nodes" "words" "items";
    2: "files" "maps" "users";
];
pub(super) static ARRAY: Node = words![4: "table" "list"; 3: "queue" "data"; 2: "heap" "page";];
pub(super) static CALL: Node = words![4: "max" "next" "hash"; 3: "abs" "get" "find" "swap"; 2: "log" "fold" "peek";];

/// A town, put together from pieces.
pub(super) static TOWN: Node =
    All(&[Rule(&TOWN_STARTS), One(&[(2, Text("")), (1, Rule(&TOWN_MIDDLE))]), Rule(&TOWN_ENDS)]);

/// A year.
pub(super) static IN_YEAR: Node =
    All(&[Text("In 1"), Word(&[(2, "7"), (5, "8"), (3, "9")]), Rule(&DIGIT), Rule(&DIGIT)]);
/// A number of things.
pub(super) static SCORE: Node = All(&[Rule(&NOT_ZERO), Rule(&DIGIT)]);

static HEX: Node = All(&[Text("x"), Rule(&HEX_DIGIT), Rule(&HEX_DIGIT), Rule(&HEX_DIGIT), Rule(&HEX_DIGIT)]);
static HEX_DIGIT: Node = One(&[(10, Rule(&DIGIT)), (6, Rule(&HEX_LETTER))]);
/// A number without a sign: `0`, up to four digits, or `0x7fa3`.
pub(super) static NUMBER: Node = One(&[
    (4, All(&[Text("0"), One(&[(2, Text("")), (4, Rule(&HEX))])])),
    (10, All(&[Rule(&NOT_ZERO), Many { go: 1, stop: 1, max: 3, body: &DIGIT }])),
]);
static NOT_ZERO: Node =
    Word(&[(9, "1"), (8, "2"), (7, "3"), (6, "4"), (6, "5"), (5, "6"), (5, "7"), (5, "8"), (5, "9")]);
static HEX_LETTER: Node = Word(&[(1, "a"), (1, "b"), (1, "c"), (1, "d"), (1, "e"), (1, "f")]);
/// Any digit.
pub(super) static DIGIT: Node =
    Word(&[(9, "0"), (9, "1"), (9, "2"), (8, "3"), (8, "4"), (8, "5"), (7, "6"), (7, "7"), (7, "8"), (7, "9")]);
