//! Places in a line, its indentation, and ends that are near.

use super::Label;

/// An end is near where it is among so many characters to come.
const NEAR: usize = 8;
/// Columns of a tab in an indentation.
const TAB: usize = 8;

pub(super) fn labels(chars: &[char]) -> Vec<Label> {
    let mut position = 0;
    let positions = chars.iter().map(|&c| {
        position = if c == '\n' { 0 } else { position + 1 };
        position
    });
    let positions = Label::number("position in the line", positions);

    let (mut blanks, mut within) = (0, true);
    let indentation = chars.iter().map(|&c| {
        match c {
            '\n' => (blanks, within) = (0, true),
            ' ' if within => blanks += 1,
            '\t' if within => blanks += TAB,
            _ => within = false,
        }
        blanks
    });
    let indentation = Label::number("indentation", indentation);
    vec![
        positions,
        indentation,
        near("line end near", chars.len(), |i| chars[i] == '\n'),
        near("sentence end near", chars.len(), |i| ends_sentence(chars, i)),
    ]
}

/// `.`, `?` or `!` before a blank or a closing mark.
fn ends_sentence(chars: &[char], i: usize) -> bool {
    let after = chars.get(i + 1).copied().unwrap_or('\n');
    "。！？".contains(chars[i]) || ".?!".contains(chars[i]) && (after.is_whitespace() || "\"')”’»".contains(after))
}

/// Whether one of the next few characters is an end.
fn near(name: &str, count: usize, ends: impl Fn(usize) -> bool) -> Label {
    let (mut next, mut answers) = (usize::MAX, vec![false; count]);
    for i in (0..count).rev() {
        answers[i] = next - i <= NEAR;
        if ends(i) {
            next = i;
        }
    }
    Label::binary(name, answers.into_iter())
}
