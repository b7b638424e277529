//! Inside quotation marks: of speech, of strings.
//!
//! `"` opens where nothing is open and closes what it has opened; `'` opens inside `"` only, before a letter and behind a
//! blank or a bracket, so that an apostrophe does not; inside `'` a `"` behind a blank opens once more. “ ” „ « » 「 」 『 』 say
//! themselves which they are. An empty line closes everything: a paragraph may leave its quotation open for the next. A
//! `"` behind a backslash, and the C character '"', are none.

use super::Label;

pub(super) fn inside(chars: &[char]) -> Label {
    let mut open: Vec<char> = Vec::new();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\n');
    let answers = (0..chars.len()).map(|i| {
        let (before, this, after) = (if i == 0 { '\n' } else { at(i - 1) }, at(i), at(i + 1));
        let freely = before.is_whitespace() || "([{\"“—-".contains(before);
        let top = open.last().copied();
        match this {
            '"' if before == '\\' && !escaped(chars, i - 1) => {}
            '"' if before == '\'' && after == '\'' && top.is_none() => {}
            '"' => match top {
                Some('\'') if before.is_whitespace() && !after.is_whitespace() => open.push('"'),
                // What closes the outer one closes what was left open inside it.
                Some(_) => while open.pop().is_some_and(|mark| mark == '\'') {},
                None => open.push('"'),
            },
            '\'' if top == Some('"') && freely && after.is_alphabetic() => open.push('\''),
            '\'' if top == Some('\'') && !freely && !after.is_alphanumeric() => {
                open.pop();
            }
            '“' | '„' | '«' | '「' | '『' => open.push(this),
            '”' | '»' | '」' | '』' => {
                open.pop();
            }
            '\n' if before == '\n' => open.clear(),
            _ => {}
        }
        !open.is_empty()
    });
    Label::binary("inside quotes", answers)
}

/// Whether the backslash at `i` is itself behind one.
fn escaped(chars: &[char], i: usize) -> bool {
    chars[..i].iter().rev().take_while(|c| **c == '\\').count() % 2 == 1
}
