//! Any bytes, read as a file of examples of each form.
//!
//! Invariants checked:
//! 1. reading never panics, and an error names a line that the file has, and says what to do;
//! 2. what is read is whole: no side is empty, a tag stands for each symbol, numbers are finite and as many in every line;
//! 3. written as TSV it is read again as the same examples with the same fingerprint, where TSV can hold it;
//! 4. the inputs alone, as `gatemill predict` reads them, are the inputs of the examples.
#![no_main]

use gatemill_corpus::examples::{ExampleError, Examples, Form, Names, Pair, Side, read, read_inputs};
use libfuzzer_sys::fuzz_target;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// A file of this process's own.
static FILE: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("gatemill-fuzz-{}.examples", std::process::id())));

const FORMS: [Form; 5] =
    [Form::TextToClass, Form::TextToTags, Form::TextToText, Form::NameToText, Form::NumbersToClass];

fuzz_target!(|input: &[u8]| {
    // The first byte chooses the form, the rest is the file.
    let Some((&first, content)) = input.split_first() else { return };
    let form = FORMS[usize::from(first) % FORMS.len()];
    match examples(content, form) {
        Ok(examples) => {
            whole(&examples);
            let inputs = inputs(content, form).unwrap_or_else(|error| panic!("inputs are refused: {error}"));
            assert!(inputs.iter().eq(examples.pairs.iter().map(|pair| &pair.input)), "other inputs");
            let tsv = examples.to_tsv();
            if fits(&examples) {
                let again = self::examples(tsv.as_bytes(), form).unwrap_or_else(|error| panic!("{error}:\n{tsv}"));
                assert_eq!(again.pairs, examples.pairs);
                assert_eq!(again.fingerprint(), examples.fingerprint());
            }
        }
        Err(error) => {
            assert!(!error.to_string().is_empty() && !error.help().is_empty());
            if let ExampleError::Line { line, .. } = error {
                let lines = content.split(|&byte| byte == b'\n').count() as u64;
                assert!((1..=lines).contains(&line), "no such line: {error}");
            }
        }
    }
});

fn examples(content: &[u8], form: Form) -> Result<Examples, ExampleError> {
    std::fs::write(&*FILE, content).expect("writing the examples");
    read(std::slice::from_ref(&*FILE), form, Names::new())
}

fn inputs(content: &[u8], form: Form) -> Result<Vec<Side>, ExampleError> {
    let mut inputs = Vec::new();
    read_inputs(BufReader::new(content), Path::new("-"), form, &mut Names::new(), |asked, _| {
        inputs.push(asked.side);
        Ok::<bool, ExampleError>(true)
    })?;
    Ok(inputs)
}

fn whole(examples: &Examples) {
    let form = examples.form;
    assert!(!examples.pairs.is_empty());
    let mut width = None;
    for Pair { input, output } in &examples.pairs {
        match (input, output) {
            (Side::Text(text), Side::Names(names)) => {
                let count = if form == Form::TextToTags { text.chars().count() } else { 1 };
                assert!(!text.is_empty() && names.len() == count);
                assert!(names.iter().all(|&name| (name as usize) < examples.names.len()));
            }
            (Side::Text(from), Side::Text(to)) => assert!(!from.is_empty() && !to.is_empty()),
            (Side::Names(name), Side::Text(text)) => assert!(name.len() == 1 && !text.is_empty()),
            (Side::Numbers(numbers), Side::Names(name)) => {
                assert!(name.len() == 1 && numbers.iter().all(|x| x.is_finite()));
                assert_eq!(*width.get_or_insert(numbers.len()), numbers.len());
            }
            other => panic!("{other:?} of {form:?}"),
        }
    }
}

/// Whether TSV can hold these examples: it knows no escapes, tags are one character each, and a first line that looks like
/// JSON or begins with a mark is read as that.
fn fits(examples: &Examples) -> bool {
    let plain = |text: &str| !text.contains(['\t', '\n', '\r']) && !text.starts_with(['{', '\u{feff}', ' ']);
    let tags = examples.form == Form::TextToTags;
    examples.pairs.iter().flat_map(|pair| [&pair.input, &pair.output]).all(|side| match side {
        Side::Text(text) => plain(text),
        Side::Names(names) => names.iter().all(|&number| {
            let name = examples.names.name(number);
            plain(name) && (!tags || name.chars().count() == 1)
        }),
        Side::Numbers(_) => true,
    })
}
