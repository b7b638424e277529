//! Files to examples: each line one, as TSV or JSON; empty lines are passed over.
//!
//! A file is JSONL if its first line that is not empty is a JSON object with an `"input"`; else it is TSV.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::error::{ExampleError, Problem};
use super::lines::Lines;
use super::{Examples, Form, Names, Pair, Side, jsonl, put, tsv};

/// The longest line: an input and its output together. A guess: a long article, and far from what fills a memory.
pub const LINE_MOST_BYTES: usize = 1 << 20;
/// Read at once.
const BUFFER_BYTES: usize = 1 << 17;

/// The examples of some files, one file behind the other. `names` are those that are known already.
///
/// Errors: the first line that is no example, by file and number; no example at all.
pub fn read(paths: &[PathBuf], form: Form, names: Names) -> Result<Examples, ExampleError> {
    let mut examples = Examples { form, pairs: Vec::new(), names };
    for path in paths {
        let file = File::open(path).map_err(|source| ExampleError::Io { path: path.clone(), source })?;
        append(&mut examples, BufReader::with_capacity(BUFFER_BYTES, file), path)?;
    }
    if examples.pairs.is_empty() { Err(ExampleError::Empty { paths: paths.to_vec() }) } else { Ok(examples) }
}

fn append(examples: &mut Examples, from: impl BufRead, path: &Path) -> Result<(), ExampleError> {
    let mut lines = Lines::new(from, path, LINE_MOST_BYTES);
    let mut json = None;
    let mut width = width(examples.pairs.first());
    while let Some((number, line)) = lines.next()? {
        if line.is_empty() {
            continue;
        }
        let fault = |problem| ExampleError::line(path, number, problem);
        let parse = if *json.get_or_insert_with(|| jsonl::is_meant(line)) { jsonl::pair } else { tsv::pair };
        let pair = parse(line, examples.form, &mut examples.names).map_err(fault)?;
        if let Side::Numbers(numbers) = &pair.input {
            let expected = *width.get_or_insert(numbers.len());
            if numbers.len() != expected {
                return Err(fault(Problem::OtherWidth { found: numbers.len(), expected }));
            }
        }
        if examples.pairs.len() >= u32::MAX as usize {
            return Err(ExampleError::TooMany { path: path.to_owned(), line: number });
        }
        examples.pairs.push(pair);
    }
    Ok(())
}

fn width(pair: Option<&Pair>) -> Option<usize> {
    match pair.map(|pair| &pair.input) {
        Some(Side::Numbers(numbers)) => Some(numbers.len()),
        _ => None,
    }
}

/// One input as it is written in TSV. Errors: what is wrong with it.
pub fn parse_input(text: &str, form: Form, names: &mut Names) -> Result<Side, Problem> {
    tsv::input_side(text, form, names)
}

/// An input of a stream.
pub struct Asked<'l> {
    /// As it was written; of an object as TSV has it.
    pub written: &'l str,
    /// As it is meant.
    pub side: Side,
    /// More of the stream is at hand: the next input can be had without waiting.
    pub more: bool,
}

/// Hands over the inputs of a stream one by one, as they come: a line of plain text, or an object with an `"input"`; of a
/// line with a tab what stands before it. `each` says whether to go on.
///
/// Errors: the first line that is no input, and what `each` says.
pub fn read_inputs<E: From<ExampleError>>(
    from: BufReader<impl Read>,
    path: &Path,
    form: Form,
    names: &mut Names,
    mut each: impl FnMut(Asked<'_>, &Names) -> Result<bool, E>,
) -> Result<(), E> {
    let mut lines = Lines::new(from, path, LINE_MOST_BYTES);
    let mut json = None;
    while let Some((number, line, more)) = lines.next_of_buffer()? {
        if line.is_empty() {
            continue;
        }
        let fault = |problem| ExampleError::line(path, number, problem);
        let (written, side) = if *json.get_or_insert_with(|| jsonl::is_meant(line)) {
            let side = jsonl::input(line, form, names).map_err(fault)?;
            let mut written = String::new();
            put(&side, names, &mut written);
            (Cow::Owned(written), side)
        } else {
            let input = line.split_once('\t').map_or(line, |(input, _)| input);
            (Cow::Borrowed(input), tsv::input_side(input, form, names).map_err(fault)?)
        };
        if !each(Asked { written: &written, side, more }, names)? {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples(form: Form, text: &str) -> Result<Examples, ExampleError> {
        let mut examples = Examples { form, pairs: Vec::new(), names: Names::new() };
        append(&mut examples, text.as_bytes(), Path::new("f.tsv")).map(|()| examples)
    }

    #[track_caller]
    fn fault(form: Form, text: &str) -> (u64, Problem) {
        match examples(form, text) {
            Err(ExampleError::Line { line, problem, .. }) => (line, problem),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn tsv_and_jsonl_say_the_same() {
        for (form, tsv, jsonl) in [
            (
                Form::TextToClass,
                "né\tx\nb\ty\n",
                "{\"input\": \"né\", \"output\": \"x\"}\n{\"output\":\"y\",\"input\":\"b\",\"id\":7}",
            ),
            (
                Form::TextToClass,
                "a\t1\nb\ttrue\n",
                "{\"input\": \"a\", \"output\": 1}\n{\"input\": \"b\", \"output\": true}\n",
            ),
            (Form::TextToTags, "né\tqo\n", "{\"input\": \"né\", \"tags\": [\"q\", \"o\"]}"),
            (Form::TextToTags, "né\tqo\n", "{\"input\": \"né\", \"output\": \"qo\"}"),
            (Form::TextToText, "a b\tc d\r\n\r\n\n", "{\"input\": \"a b\", \"output\": \"c d\"}"),
            (Form::NameToText, "e\temma\n", "{\"input\": \"e\", \"output\": \"emma\"}"),
            (Form::NumbersToClass, "0.5 -1e2\tx\n", "{\"input\": [0.5, -100], \"output\": \"x\"}"),
        ] {
            let (a, b) = (examples(form, tsv).unwrap(), examples(form, jsonl).unwrap());
            assert_eq!(a.pairs, b.pairs, "{tsv}");
            assert_eq!(a.fingerprint(), b.fingerprint());
            assert_eq!(examples(form, &a.to_tsv()).unwrap().pairs, a.pairs);
        }
    }

    #[test]
    fn every_fault_has_its_line() {
        use Form::*;
        assert_eq!(fault(TextToClass, "a\tb\nno tab\n"), (2, Problem::NoTab));
        assert_eq!(fault(TextToText, "a\tb\tc\td\n"), (1, Problem::Tabs { tabs: 3 }));
        assert_eq!(fault(TextToClass, "a\tb\n\tb\n"), (2, Problem::EmptySide { side: "input" }));
        assert_eq!(fault(TextToText, "a\t\n"), (1, Problem::EmptySide { side: "output" }));
        assert_eq!(fault(TextToTags, "né\tabc\n"), (1, Problem::Tags { tags: 3, symbols: 2 }));
        assert_eq!(fault(NumbersToClass, "1 2\tx\n1 x2\ty\n"), (2, Problem::NotANumber { found: "x2".to_owned() }));
        assert_eq!(fault(NumbersToClass, "1 inf\tx\n").1, Problem::NotANumber { found: "inf".to_owned() });
        assert_eq!(fault(NumbersToClass, "1 2\tx\n1\ty\n"), (2, Problem::OtherWidth { found: 1, expected: 2 }));
        let first = "{\"input\": \"a\", \"output\": \"b\"}\n";
        let key = |key, found: &str, wanted| Problem::Key { key, found: found.to_owned(), wanted };
        assert_eq!(fault(TextToText, &format!("{first}{{\"input\": \"a\"}}")), (2, key("output", "missing", "a text")));
        assert_eq!(fault(TextToText, &format!("{first}\n{{\"input\": 3}}")).1, key("input", "a number", "a text"));
        assert_eq!(fault(TextToClass, "{\"input\": \"a\", \"output\": 1.5}").1, key("output", "a number", "a name"));
        assert!(matches!(fault(TextToText, &format!("{first}{{\"input\": \"a\"")), (2, Problem::NotJson { .. })));
        assert_eq!(
            fault(TextToTags, "{\"input\": \"ab\", \"tags\": [\"x\"]}").1,
            Problem::Tags { tags: 1, symbols: 2 }
        );
    }

    #[test]
    fn a_brace_at_the_start_of_a_text_makes_no_json() {
        let read = examples(Form::TextToText, "{ \"a\": 1\t}\n").unwrap();
        assert_eq!(read.pairs, [Pair { input: Side::Text("{ \"a\": 1".into()), output: Side::Text("}".into()) }]);
    }

    #[test]
    fn inputs_come_one_by_one_whatever_stands_behind_them() {
        let mut got = Vec::new();
        let mut names = Names::new();
        let stream = BufReader::new("a b\nc\td\n\ne\nf\n".as_bytes());
        read_inputs(stream, Path::new("-"), Form::TextToText, &mut names, |asked, _| {
            got.push((asked.written.to_owned(), asked.side, asked.more));
            Ok::<bool, ExampleError>(asked.written != "e")
        })
        .unwrap();
        let text = |text: &str| (text.to_owned(), Side::Text(text.to_owned()), true);
        assert_eq!(got, [text("a b"), text("c"), text("e")]);
    }

    #[test]
    fn no_examples_are_an_error_that_names_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("empty.tsv");
        std::fs::write(&path, "\n\r\n").unwrap();
        let error = read(std::slice::from_ref(&path), Form::TextToText, Names::new()).unwrap_err();
        assert!(matches!(error, ExampleError::Empty { .. }) && error.to_string().contains("empty.tsv"), "{error}");
        let error = read(&[folder.path().join("none")], Form::TextToText, Names::new()).unwrap_err();
        assert!(matches!(error, ExampleError::Io { .. }), "{error}");
    }
}
