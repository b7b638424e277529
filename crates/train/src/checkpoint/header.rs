//! The JSON of a safetensors header, read strictly: known shape, each key once, bounded counts.
//!
//! The general readers keep the last of two equal keys; here a repeated key is an error wherever it stands, also where
//! it is spelled with escapes, because keys are compared after decoding. Nesting is bounded by the types (and, in the
//! free part of the record, by the parser's own limit of 128).

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::form_error::{FormError, PRINTED_CHARS, escaped};

/// The most tensors of a file: the deepest stack of the widest optimiser needs a tenth.
pub(super) const MAX_TENSORS: usize = 4096;
/// The longest tensor name in bytes.
pub(super) const MAX_NAME_BYTES: usize = 512;
/// The key that is no tensor.
pub(super) const METADATA_KEY: &str = "__metadata__";

/// One tensor as the header describes it; nothing about it has been checked but its types.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) dtype: String,
    pub(super) shape: Vec<u64>,
    /// Begin and end, counted from the end of the header.
    pub(super) data_offsets: [u64; 2],
}

/// A header in its own order.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) tensors: Vec<(String, Entry)>,
    pub(super) metadata: Vec<(String, String)>,
}

/// Reads the header's text, which starts at byte 8 of the file.
pub(super) fn parse_header(bytes: &[u8]) -> Result<Header, FormError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| FormError::NotUtf8 { offset: 8_u64.saturating_add(error.valid_up_to() as u64) })?;
    serde_json::from_str(text).map_err(|error| FormError::Header {
        offset: 8_u64.saturating_add(offset_of(text, &error)),
        reason: reason_of(&error),
    })
}

/// Reads a JSON object in which no key, at any depth, comes twice.
pub(super) fn parse_object(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Unique(Value::Object(object))) => Ok(object),
        Ok(_) => Err("not a JSON object".to_owned()),
        Err(error) => Err(reason_of(&error)),
    }
}

/// Where in `text` the parser stopped, from its line and column (bytes, both from 1).
fn offset_of(text: &str, error: &serde_json::Error) -> u64 {
    let before: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    before.saturating_add(error.column().saturating_sub(1)) as u64
}

/// The parser's words without its line and column; they may quote the file, so what is not print is escaped.
fn reason_of(error: &serde_json::Error) -> String {
    let words = error.to_string();
    let words = words.rsplit_once(" at line ").map_or(words.as_str(), |(words, _)| words);
    let mut printed = String::new();
    for c in words.chars().take(PRINTED_CHARS) {
        if matches!(c, '"' | '\'' | '\\') { printed.push(c) } else { printed.extend(c.escape_debug()) }
    }
    printed
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HeaderVisitor;

        impl<'de> Visitor<'de> for HeaderVisitor {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with one entry per tensor")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut header = Header { tensors: Vec::new(), metadata: Vec::new() };
                let mut seen = BTreeSet::new();
                while let Some(key) = map.next_key::<String>()? {
                    if !seen.insert(key.clone()) {
                        return Err(repeated(&key));
                    }
                    if key == METADATA_KEY {
                        header.metadata = map.next_value::<Texts>()?.0;
                    } else if key.len() > MAX_NAME_BYTES {
                        return Err(de::Error::custom(format_args!("a tensor name of {} bytes", key.len())));
                    } else if header.tensors.len() == MAX_TENSORS {
                        return Err(de::Error::custom(format_args!("more than {MAX_TENSORS} tensors")));
                    } else {
                        header.tensors.push((key, map.next_value()?));
                    }
                }
                Ok(header)
            }
        }

        deserializer.deserialize_map(HeaderVisitor)
    }
}

/// An object of texts in its own order.
struct Texts(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextsVisitor;

        impl<'de> Visitor<'de> for TextsVisitor {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
                let mut texts: Vec<(String, String)> = Vec::new();
                let mut seen = BTreeSet::new();
                while let Some((key, text)) = map.next_entry::<String, String>()? {
                    if !seen.insert(key.clone()) {
                        return Err(repeated(&key));
                    }
                    texts.push((key, text));
                }
                Ok(Texts(texts))
            }
        }

        deserializer.deserialize_map(TextsVisitor)
    }
}

/// Any JSON value without repeated keys.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct UniqueVisitor;

        impl<'de> Visitor<'de> for UniqueVisitor {
            type Value = Unique;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_unit<E>(self) -> Result<Unique, E> {
                Ok(Unique(Value::Null))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Unique, E> {
                Ok(Unique(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Unique, E> {
                Ok(Unique(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Unique, E> {
                Ok(Unique(value.into()))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Unique, E> {
                let number = Number::from_f64(value).ok_or_else(|| E::custom("a number beyond 64 bits"))?;
                Ok(Unique(number.into()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Unique, E> {
                Ok(Unique(value.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Unique, A::Error> {
                let mut values = Vec::new();
                while let Some(Unique(value)) = seq.next_element()? {
                    values.push(value);
                }
                Ok(Unique(values.into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
                let mut object = Map::new();
                while let Some(key) = map.next_key::<String>()? {
                    if object.contains_key(&key) {
                        return Err(repeated(&key));
                    }
                    let Unique(value) = map.next_value()?;
                    object.insert(key, value);
                }
                Ok(Unique(object.into()))
            }
        }

        deserializer.deserialize_any(UniqueVisitor)
    }
}

fn repeated<E: de::Error>(key: &str) -> E {
    E::custom(format_args!("key {} is there twice", escaped(key)))
}
