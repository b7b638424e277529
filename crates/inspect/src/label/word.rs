//! Letters and words.

use super::Label;

pub(super) fn labels(chars: &[char]) -> Vec<Label> {
    vec![
        Label::binary("between words", chars.iter().map(|c| !c.is_alphanumeric() && *c != '_')),
        Label::binary("upper case", chars.iter().map(|c| c.is_uppercase())),
    ]
}
