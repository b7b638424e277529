//! One line of TSV as an example: `input TAB output`.
//!
//! Tags are one character for each character of the input. Numbers stand between spaces. There is no escaping: a text
//! with a tab or a line end in it needs JSONL.

use super::error::Problem;
use super::{Form, Names, Pair, Side};

/// The example of a line.
pub(super) fn pair(line: &str, form: Form, names: &mut Names) -> Result<Pair, Problem> {
    let (input, output) = line.split_once('\t').ok_or(Problem::NoTab)?;
    let more = output.matches('\t').count();
    if more > 0 {
        return Err(Problem::Tabs { tabs: more.saturating_add(1) });
    }
    let input_side = input_side(input, form, names)?;
    filled(output, "output")?;
    let output = match form {
        Form::TextToText | Form::NameToText => Side::Text(output.to_owned()),
        Form::TextToClass | Form::NumbersToClass => Side::Names(vec![names.number(output)]),
        Form::TextToTags => tags(input, output.chars(), names)?,
    };
    Ok(Pair { input: input_side, output })
}

/// An input alone.
pub(super) fn input_side(input: &str, form: Form, names: &mut Names) -> Result<Side, Problem> {
    filled(input, "input")?;
    Ok(match form {
        Form::TextToClass | Form::TextToTags | Form::TextToText => Side::Text(input.to_owned()),
        Form::NameToText => Side::Names(vec![names.number(input)]),
        Form::NumbersToClass => Side::Numbers(numbers(input)?),
    })
}

/// A tag for each symbol of an input.
pub(super) fn tags<T: AsTag>(
    input: &str,
    tags: impl Iterator<Item = T> + Clone,
    names: &mut Names,
) -> Result<Side, Problem> {
    let (found, symbols) = (tags.clone().count(), input.chars().count());
    if found != symbols {
        return Err(Problem::Tags { tags: found, symbols });
    }
    Ok(Side::Names(tags.map(|tag| tag.number(names)).collect()))
}

/// What a tag may be written as.
pub(super) trait AsTag {
    fn number(self, names: &mut Names) -> u32;
}
impl AsTag for char {
    fn number(self, names: &mut Names) -> u32 {
        names.number(self.encode_utf8(&mut [0; 4]))
    }
}
impl AsTag for &str {
    fn number(self, names: &mut Names) -> u32 {
        names.number(self)
    }
}

/// Errors: nothing stands there.
pub(super) fn filled(text: &str, side: &'static str) -> Result<(), Problem> {
    if text.is_empty() { Err(Problem::EmptySide { side }) } else { Ok(()) }
}

fn numbers(text: &str) -> Result<Vec<f32>, Problem> {
    let number = |word: &str| {
        let number = word.parse::<f32>().ok().filter(|x| x.is_finite());
        number.ok_or_else(|| Problem::NotANumber { found: word.chars().take(40).collect() })
    };
    let all: Vec<f32> = text.split_whitespace().map(number).collect::<Result<_, _>>()?;
    if all.is_empty() { Err(Problem::EmptySide { side: "input" }) } else { Ok(all) }
}
