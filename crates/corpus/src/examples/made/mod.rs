//! Examples made from a seed, one kind for each form, so that each can be trained with no file; and how good one can get.
//!
//! | form | input | output | best accuracy |
//! |---|---|---|---|
//! | text to class | a word | which of six made-up languages it is of | Bayes's rule on the languages' own probabilities |
//! | text to tags | a stretch of the built-in text | for each character, inside quotation marks or not | all |
//! | text to text | a date as people write it | the same date as ISO 8601 | all |
//! | name to text | an initial | a name by a grammar of our own | the grammar's entropy is exact |
//! | numbers to class | two numbers | whether both are on the same side of a half; or near the middle (XOR and a bit more) | all |
//!
//! Example k is a function of the seed and k. Promises: the same bytes on every machine.

use super::{Examples, Form, Names, Pair};
use crate::random::Draws;

mod dates; // "Mar 12, 21" -> 2021-03-12

mod initials; // T -> Tarlena

mod languages; // words of made-up languages

mod quadrants; // XOR and a bit more

mod quotes; // inside quotation marks

pub use initials::{NameLimit, name_limit};

/// So many examples of a form, from a seed.
pub fn examples(form: Form, count: u32, seed: u64) -> Examples {
    match form {
        Form::TextToClass => languages::examples(count, seed),
        Form::TextToTags => quotes::examples(count, seed),
        Form::TextToText => gathered(form, count, |k| dates::pair(seed, k)),
        Form::NameToText => initials::examples(count, seed),
        Form::NumbersToClass => quadrants::examples(count, seed),
    }
}

/// The share of these examples that the best possible rule gets right, where that is known: it knows how they were made,
/// and sees the inputs alone. `examples` are those of `seed`; `part` are the numbers of some of them.
pub fn best_accuracy(examples: &Examples, part: &[u32], seed: u64) -> Option<f64> {
    match examples.form {
        Form::TextToClass => languages::best_accuracy(examples, part, seed),
        Form::TextToTags | Form::TextToText | Form::NumbersToClass => Some(1.0),
        Form::NameToText => None,
    }
}

/// Examples 0 to `count` of a rule that needs no names.
fn gathered(form: Form, count: u32, pair: impl Fn(u64) -> Pair) -> Examples {
    Examples { form, pairs: (0..u64::from(count)).map(pair).collect(), names: Names::new() }
}

/// One of a list by integer weights. The list is not empty and its weights are not all 0.
fn choose<T: Copy>(draws: &mut Draws, list: &[(u32, T)]) -> T {
    let mut left = draws.below(list.iter().map(|(weight, _)| weight).sum());
    let mut chosen = list.first();
    for entry in list {
        if left < entry.0 {
            chosen = Some(entry);
            break;
        }
        left -= entry.0;
    }
    match chosen {
        Some(&(_, value)) => value,
        None => unreachable!("every list here has entries"),
    }
}

/// One of a list, each as likely. The list is not empty.
fn any<T: Copy>(draws: &mut Draws, list: &[T]) -> T {
    let at = draws.below(u32::try_from(list.len()).unwrap_or(u32::MAX)) as usize;
    match list.get(at) {
        Some(&value) => value,
        None => unreachable!("every list here has entries"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examples::read;

    const FORMS: [Form; 5] =
        [Form::TextToClass, Form::TextToTags, Form::TextToText, Form::NameToText, Form::NumbersToClass];

    #[test]
    fn examples_are_a_function_of_seed_and_number() {
        for form in FORMS {
            let (some, more) = (examples(form, 40, 3), examples(form, 90, 3));
            assert_eq!(some.pairs.len(), 40);
            assert_eq!(some.pairs[..], more.pairs[..40], "{form:?}");
            assert_ne!(examples(form, 40, 4).fingerprint(), some.fingerprint(), "{form:?}");
        }
    }

    /// Committed: the same on every machine.
    #[test]
    fn examples_are_the_same_bytes_everywhere() {
        let prints: Vec<String> =
            FORMS.iter().map(|&form| examples(form, 500, 1).fingerprint()[..16].to_owned()).collect();
        assert_eq!(prints, GOLDEN);
    }

    const GOLDEN: [&str; 5] =
        ["500:10a42e02d3bd", "500:b08d900eba29", "500:b7000b60441e", "500:3f46febe0a3b", "500:7a6ab665dfbd"];

    #[test]
    fn written_as_tsv_they_read_back() {
        let folder = tempfile::tempdir().unwrap();
        for form in FORMS {
            let made = examples(form, 200, 2);
            let path = folder.path().join("made.tsv");
            std::fs::write(&path, made.to_tsv()).unwrap();
            let back = read(&[path], form, Names::new()).unwrap();
            assert_eq!(back.fingerprint(), made.fingerprint(), "{form:?}\n{}", made.to_tsv());
        }
    }
}
