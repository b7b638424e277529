//! One line of JSON as an example: `{"input": ..., "output": ...}`.
//!
//! For tags `"tags": ["name", ...]`, or `"output"` with a character for each; for numbers `"input": [0.5, 1]`. A class may
//! be a text, a whole number or a truth value. Other keys are passed over.

use serde_json::{Map, Value};

use super::error::Problem;
use super::tsv;
use super::{Form, Names, Pair, Side};

/// Whether a line is meant as JSON: an object with an input.
pub(super) fn is_meant(line: &str) -> bool {
    line.trim_start().starts_with('{') && object(line).is_ok_and(|object| object.contains_key("input"))
}

/// The example of a line.
pub(super) fn pair(line: &str, form: Form, names: &mut Names) -> Result<Pair, Problem> {
    let object = object(line)?;
    let input = input_of(&object, form, names)?;
    let output = match (form, object.get("tags")) {
        (Form::TextToTags, Some(tags)) => {
            let wanted = || Problem::Key { key: "tags", found: kind(tags), wanted: "a list of names" };
            let tags = tags.as_array().ok_or_else(wanted)?;
            let tags: Vec<&str> = tags.iter().map(|tag| tag.as_str().ok_or_else(wanted)).collect::<Result<_, _>>()?;
            tsv::tags(text(&object, "input")?, tags.iter().copied(), names)?
        }
        (Form::TextToTags, None) => tsv::tags(
            text(&object, "input")?,
            text_of(&object, "output", "a text, or \"tags\" a list")?.chars(),
            names,
        )?,
        (Form::TextToText | Form::NameToText, _) => Side::Text(filled(text(&object, "output")?, "output")?.to_owned()),
        (Form::TextToClass | Form::NumbersToClass, _) => {
            Side::Names(vec![names.number(filled(&name(&object, "output")?, "output")?)])
        }
    };
    Ok(Pair { input, output })
}

/// An input alone: of an object, or of the bare value.
pub(super) fn input(line: &str, form: Form, names: &mut Names) -> Result<Side, Problem> {
    input_of(&object(line)?, form, names)
}

fn input_of(object: &Map<String, Value>, form: Form, names: &mut Names) -> Result<Side, Problem> {
    Ok(match form {
        Form::TextToClass | Form::TextToTags | Form::TextToText => {
            Side::Text(filled(text(object, "input")?, "input")?.to_owned())
        }
        Form::NameToText => Side::Names(vec![names.number(filled(&name(object, "input")?, "input")?)]),
        Form::NumbersToClass => {
            let value = object.get("input").unwrap_or(&Value::Null);
            let wanted = || Problem::Key { key: "input", found: kind(value), wanted: "a list of numbers" };
            let list = value.as_array().filter(|list| !list.is_empty()).ok_or_else(wanted)?;
            let number = |value: &Value| {
                let number = value.as_f64().ok_or_else(wanted)? as f32;
                if number.is_finite() { Ok(number) } else { Err(Problem::NotANumber { found: value.to_string() }) }
            };
            Side::Numbers(list.iter().map(number).collect::<Result<_, _>>()?)
        }
    })
}

fn object(line: &str) -> Result<Map<String, Value>, Problem> {
    serde_json::from_str(line).map_err(|error| Problem::NotJson { what: error.to_string() })
}

fn text<'o>(object: &'o Map<String, Value>, key: &'static str) -> Result<&'o str, Problem> {
    text_of(object, key, "a text")
}

fn text_of<'o>(object: &'o Map<String, Value>, key: &'static str, wanted: &'static str) -> Result<&'o str, Problem> {
    let value = object.get(key).unwrap_or(&Value::Null);
    value.as_str().ok_or_else(|| Problem::Key { key, found: kind(value), wanted })
}

/// A name: a text, a whole number, a truth value.
fn name(object: &Map<String, Value>, key: &'static str) -> Result<String, Problem> {
    match object.get(key).unwrap_or(&Value::Null) {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(truth) => Ok(truth.to_string()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Ok(number.to_string()),
        other => Err(Problem::Key { key, found: kind(other), wanted: "a name" }),
    }
}

fn filled<'t>(text: &'t str, side: &'static str) -> Result<&'t str, Problem> {
    tsv::filled(text, side).map(|()| text)
}

fn kind(value: &Value) -> String {
    let kind = match value {
        Value::Null => "missing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    kind.to_owned()
}
