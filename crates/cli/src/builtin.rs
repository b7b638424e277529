//! `gatemill corpus --builtin`: the built-in text on stdout, or a table of its characters with their labels; with `--task`
//! the examples that are made for a task.
//!
//! Whatever the text's length, only a few pieces of it are in memory. A reader that has enough ends it.

use std::io::Write;

use gatemill_corpus::builtin::{Builtin, Labels, stream};
use gatemill_corpus::examples::made;
use gatemill_crew::Crew;
use gatemill_train::run::task::{form_of, made_count};
use gatemill_train::task::TaskKind;

use crate::args::BuiltinText;
use crate::exit::{self, Failure};
use crate::json;

/// Characters of a table made at a time.
const PIECE: usize = 1 << 14;

/// Runs the command.
pub(crate) fn run(text: &BuiltinText) -> Result<u8, Failure> {
    if text.labels {
        table(text)?;
    } else {
        let crew = Crew::new(Crew::available())?;
        crew.install(|| stream(text.bytes, text.seed, json::text))?;
    }
    Ok(exit::OK)
}

/// Writes the examples made for a task; as many as a run learns from, if nothing else is said.
pub(crate) fn examples((task, count, seed): (TaskKind, Option<u32>, u64)) -> Result<u8, Failure> {
    let count = count.unwrap_or_else(|| made_count(task));
    json::text(made::examples(form_of(task), count, seed).to_tsv().as_bytes())?;
    Ok(exit::OK)
}

/// One line for each character, below a line with the columns' names.
fn table(text: &BuiltinText) -> Result<(), Failure> {
    let mut lines =
        b"offset\tcharacter\tquote_depth\tbracket_depth\tindent\tif_condition\tif_body\tcomment\tcode\n".to_vec();
    let mut source = Builtin::new(text.seed);
    let (mut characters, mut labels) = (Vec::with_capacity(PIECE), Vec::with_capacity(PIECE));
    let mut at = 0_u64;
    while json::text(&lines)? && at < text.bytes {
        for part in [&mut lines, &mut characters] {
            part.clear();
        }
        labels.clear();
        let count = usize::try_from(text.bytes.saturating_sub(at)).unwrap_or(usize::MAX).min(PIECE);
        source.fill_with_labels(count, &mut characters, &mut labels);
        for (offset, (&character, labels)) in (at..).zip(characters.iter().zip(&labels)) {
            line(&mut lines, offset, character, labels);
        }
        at = at.saturating_add(count as u64);
    }
    Ok(())
}

fn line(lines: &mut Vec<u8>, offset: u64, character: u8, labels: &Labels) {
    let Labels { quote_depth, bracket_depth, indent, if_condition, if_body, comment, code } = *labels;
    let [if_condition, if_body, comment, code] = [if_condition, if_body, comment, code].map(u8::from);
    // Writing to memory cannot fail.
    let _ = write!(lines, "{offset}\t");
    // As in a JSON string. The text is printable but for its line ends.
    match character {
        b'\n' => lines.extend_from_slice(b"\\n"),
        b'"' | b'\\' => lines.extend_from_slice(&[b'\\', character]),
        _ => lines.push(character),
    }
    let _ = writeln!(lines, "\t{quote_depth}\t{bracket_depth}\t{indent}\t{if_condition}\t{if_body}\t{comment}\t{code}");
}
