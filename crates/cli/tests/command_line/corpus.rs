//! `gatemill corpus`: the survey of a text, and the built-in text.

use std::fs::{self, File};
use std::process::Stdio;

use gatemill_corpus::builtin;
use serde_json::{Value, json};

use crate::place::{Ended, Place, text};

fn surveyed(place: &Place, line: &str) -> Value {
    let ended = place.run(&format!("corpus {line} --json")).succeeds();
    let mut objects = ended.objects();
    assert_eq!((objects.len(), ended.err.as_str()), (1, ""), "{line}");
    objects.remove(0)
}

fn page(place: &Place, line: &str) -> String {
    String::from_utf8(place.run(&format!("corpus {line}")).succeeds().out).expect("UTF-8")
}

#[test]
fn a_survey_says_what_a_text_is() {
    let place = Place::new();
    place.write("text.txt", "ab ab ab ab\nabc\u{ac00}\u{ac00}\u{e9}!");
    let survey = surveyed(&place, "text.txt");
    let Value::Object(fields) = &survey else { panic!("{survey}") };
    let names: Vec<&str> = fields.keys().map(String::as_str).collect();
    let mut expected = vec![
        "files",
        "bytes",
        "characters",
        "faults",
        "vocab",
        "symbols",
        "distinct",
        "vocab_size",
        "counts",
        "other_kinds",
        "other_symbols",
        "ln_v",
        "unigram_nats",
        "unigram_bits",
        "bigram_nats",
        "bigram_bits",
        "bigram_symbols",
        "bigram_unseen",
        "bigram_unseen_kinds",
        "notes",
    ];
    expected.sort_unstable();
    assert_eq!(names, expected);
    let of_file = json!({
        "path": "text.txt", "bytes": 24, "characters": 19, "utf8": true, "faults": 0, "fault_offsets": [],
        "byte_order_mark": null, "nfc": true, "nuls": 0, "lf": 1, "crlf": 0, "cr": 0,
        "longest_line": 11, "longest_line_offset": 0,
    });
    assert_eq!(survey["files"], json!([of_file]));
    let counts = [("a", 97, 5), ("b", 98, 5), (" ", 32, 3), ("\u{ac00}", 0xAC00, 2), ("\n", 10, 1), ("!", 33, 1)];
    let counts: Vec<Value> =
        counts.iter().map(|(s, code, n)| json!({ "code": code, "symbol": s, "count": n })).collect();
    assert_eq!(survey["counts"].as_array().expect("counts")[..6], counts);
    assert_eq!((&survey["vocab_size"], &survey["symbols"]), (&json!(8), &json!(19)));
    // 17 of 19 symbols are counted; \u{e9} and ! follow, both new: each is one of 8 by the 0.05 that all have.
    let after = |total: f64| libm_ln((total + 0.05 * 8.0) / 0.05);
    let nats = f64::midpoint(after(1.0), after(0.0));
    assert!((survey["bigram_nats"].as_f64().expect("nats") - nats).abs() < 1e-12, "{survey}");
    assert_eq!((&survey["bigram_unseen"], &survey["bigram_unseen_kinds"]), (&json!(2), &json!(2)));

    let page = page(&place, "text.txt");
    let bits = survey["bigram_bits"].as_f64().expect("bits");
    for words in [
        "24 bytes, 19 characters",
        "UTF-8, in normal form C",
        "1 LF",
        "V = 8",
        "'\\n'  ",
        "'\u{ac00}'  ",
        &format!("well below the bigram's {bits:.3} bits per character"),
    ] {
        assert!(page.contains(words), "{words:?} is not in:\n{page}");
    }
}

#[allow(clippy::disallowed_methods, reason = "a comparison within a tolerance")]
fn libm_ln(x: f64) -> f64 {
    x.ln()
}

#[test]
fn rare_symbols_are_summed_unless_all_are_asked_for() {
    let place = Place::new();
    let many: String = ('A'..='~').map(|c| c.to_string().repeat(c as usize)).collect();
    place.write("text.txt", &many);
    let (some, all) = (surveyed(&place, "text.txt"), surveyed(&place, "text.txt --all"));
    let listed = |survey: &Value| survey["counts"].as_array().expect("counts").clone();
    assert_eq!((listed(&some).len(), listed(&all).len()), (40, 62));
    assert_eq!(listed(&some)[..], listed(&all)[..40]);
    let rest: u64 = listed(&all)[40..].iter().map(|symbol| symbol["count"].as_u64().expect("a count")).sum();
    assert_eq!((&some["other_kinds"], &some["other_symbols"]), (&json!(22), &json!(rest)));
    assert_eq!((&all["other_kinds"], &all["other_symbols"]), (&json!(0), &json!(0)));
    assert!(page(&place, "text.txt").contains("22 others"));
    assert!(!page(&place, "text.txt --all").contains("others"));
}

#[test]
fn several_files_are_one_text() {
    let place = Place::new();
    let whole = text(3000);
    place.write("whole.txt", &whole);
    place.write("a.txt", &whole[..1234]);
    place.write("b.txt", &whole[1234..]);
    let (mut whole, mut parts) = (surveyed(&place, "whole.txt"), surveyed(&place, "a.txt b.txt"));
    assert_eq!(
        (whole["files"].take().as_array().map(Vec::len), parts["files"].take().as_array().map(Vec::len)),
        (Some(1), Some(2))
    );
    assert_eq!(whole, parts);
    assert!(page(&place, "a.txt b.txt").contains("2 files, "));
}

#[test]
fn fault_C01_an_empty_text_is_refused() {
    let place = Place::new();
    place.write("text.txt", "");
    place.run("corpus text.txt").fails(3, &["corpus is empty (0 bytes)"]);
    place.run("corpus text.txt --json --vocab bytes").fails(3, &["corpus is empty (0 bytes)"]);
}

#[test]
fn fault_C05_a_survey_goes_on_after_what_is_not_utf8_and_tells_its_places() {
    let place = Place::new();
    let mut bytes = text(2000).into_bytes();
    for at in (100..1400).step_by(100) {
        bytes[at] = 0xe9;
    }
    place.write("text.txt", [&bytes[..], &[0xe2, 0x98]].concat());
    let survey = surveyed(&place, "text.txt");
    let file = &survey["files"][0];
    assert_eq!((&file["utf8"], &file["faults"]), (&json!(false), &json!(14)));
    assert_eq!(file["fault_offsets"], json!((1..=10).map(|k| k * 100).collect::<Vec<_>>()));
    let replaced = survey["counts"].as_array().expect("counts").iter().find(|symbol| symbol["code"] == 0xFFFD);
    assert_eq!(replaced.expect("there")["count"], 14);
    let page = page(&place, "text.txt");
    assert!(page.contains("not UTF-8: 14 faults, at byte offset 100; 200; "), "{page}");
    assert!(page.contains("--lossy") && page.contains("--vocab bytes"), "{page}");
    assert_eq!(surveyed(&place, "text.txt --vocab bytes")["symbols"], bytes.len() + 2);
}

#[test]
fn fault_C06_byte_order_marks_are_told() {
    let place = Place::new();
    place.write("utf8.txt", "\u{feff}the mill");
    let survey = surveyed(&place, "utf8.txt");
    assert_eq!((&survey["files"][0]["byte_order_mark"], &survey["symbols"]), (&json!("UTF-8"), &json!(8)));
    assert_eq!(surveyed(&place, "utf8.txt --vocab bytes")["symbols"], 11);
    let utf16: Vec<u8> = "\u{feff}the mill".encode_utf16().flat_map(u16::to_le_bytes).collect();
    place.write("utf16.txt", utf16);
    let page = page(&place, "utf16.txt");
    assert!(page.contains("byte-order mark of UTF-16") && page.contains("iconv -f UTF-16 -t UTF-8"), "{page}");
}

#[test]
fn fault_C07_line_ends_are_counted_apart_and_a_mixture_is_said() {
    let place = Place::new();
    place.write("text.txt", "a\r\nb\nc\rdddd\r\n");
    let file = &surveyed(&place, "text.txt")["files"][0];
    assert_eq!([&file["lf"], &file["crlf"], &file["cr"]], [1, 2, 1]);
    assert_eq!([&file["longest_line"], &file["longest_line_offset"]], [4, 7]);
    assert!(page(&place, "text.txt").contains("1 LF, 2 CRLF, 1 CR (mixed"));
    place.write("one.txt", "a\r\nb\r\n");
    assert!(page(&place, "one.txt").contains("2 CRLF\n"));
}

#[test]
fn fault_C08_nul_and_all_bytes_are_ordinary_symbols() {
    let place = Place::new();
    let all: Vec<u8> = (0..=255).chain([0]).collect();
    place.write("bytes", &all);
    let survey = surveyed(&place, "bytes --vocab bytes --all");
    assert_eq!((&survey["vocab_size"], &survey["distinct"]), (&json!(256), &json!(256)));
    assert_eq!(survey["counts"][0], json!({ "code": 0, "symbol": "\0", "count": 2 }));
    assert_eq!(survey["counts"][255], json!({ "code": 255, "symbol": null, "count": 1 }));
    assert_eq!(survey["files"][0]["nuls"], 2);
    // Nothing in it reaches the terminal as it is.
    let page = page(&place, "bytes --vocab bytes --all");
    assert!(page.chars().all(|c| c == '\n' || !c.is_control()), "{page}");
    assert!(page.contains("'\\0'") && page.contains("0xff") && page.contains("'\\u{1b}'"), "{page}");
}

#[test]
fn fault_C11_what_cannot_be_read_is_named() {
    let place = Place::new();
    place.write("text.txt", text(100));
    place.run("corpus missing.txt").fails(4, &["missing.txt", "No such file"]);
    place.run("corpus text.txt missing.txt").fails(4, &["missing.txt"]);
}

#[test]
fn the_built_in_text_is_written_as_it_is_trained_on() {
    let place = Place::new();
    let write = |line: &str| place.run(&format!("corpus --builtin {line}")).succeeds().out;
    assert!(write("--bytes 100_000") == builtin::text(100_000, 1));
    assert!(write("--bytes 3kB --seed 7") == builtin::text(3000, 7));
    assert!(write("--bytes 1KiB") == builtin::text(1024, 1));
    assert!(write("--bytes 0").is_empty());
}

#[test]
fn the_labels_are_a_table_of_the_same_text() {
    let place = Place::new();
    let table = place.run("corpus --builtin --bytes 40kB --seed 3 --labels").succeeds().out;
    let table = String::from_utf8(table).expect("UTF-8");
    let mut lines = table.lines();
    let head = "offset\tcharacter\tquote_depth\tbracket_depth\tindent\tif_condition\tif_body\tcomment\tcode";
    assert_eq!(lines.next(), Some(head));
    let (text, labels) = builtin::text_with_labels(40_000, 3);
    let mut count = 0;
    for (at, line) in lines.enumerate() {
        let fields: Vec<&str> = line.split('\t').collect();
        let character: String = serde_json::from_str(&format!("\"{}\"", fields[1])).expect("escaped as in JSON");
        assert_eq!(character.as_bytes(), [text[at]], "{line}");
        let of = labels[at];
        let flags = [of.if_condition, of.if_body, of.comment, of.code].map(u8::from);
        let numbers = [of.quote_depth, of.bracket_depth, of.indent].into_iter().chain(flags).map(u64::from);
        let numbers: Vec<u64> = [at as u64].into_iter().chain(numbers).collect();
        let found = fields.iter().enumerate().filter(|&(column, _)| column != 1);
        assert_eq!(found.map(|(_, field)| field.parse().expect("a number")).collect::<Vec<u64>>(), numbers);
        count += 1;
    }
    assert_eq!(count, 40_000);
}

#[test]
fn a_reader_that_has_enough_is_no_error_and_a_full_disk_is_one() {
    let place = Place::new();
    for flags in ["", "--labels"] {
        let line = format!("corpus --builtin --bytes 1TB {flags}");
        place.spawn(&line).close_stdout().succeeds();
        let full = File::options().write(true).open("/dev/full").expect("/dev/full");
        let mut command = place.command();
        let ended: Ended = command
            .args(line.split_whitespace())
            .stdout(Stdio::from(full))
            .stderr(Stdio::piped())
            .spawn()
            .and_then(|child| child.wait_with_output())
            .expect("started")
            .into();
        ended.fails(4, &["stdout"]);
    }
}

#[test]
fn what_does_not_go_together_is_a_usage_error() {
    let place = Place::new();
    place.write("text.txt", text(100));
    for line in [
        "",
        "--builtin",
        "--bytes 5",
        "--labels text.txt",
        "--seed 5 text.txt",
        "--builtin --bytes 5 text.txt",
        "--builtin --bytes 5 --json",
        "--builtin --bytes 5 --all",
        "--builtin --bytes 5x",
        "--builtin --bytes -5",
        "--vocab words text.txt",
        "--task dance",
        "--task map text.txt",
        "--task map --builtin --bytes 5",
        "--task map --json",
        "--task map --examples 0",
        "--examples 5 text.txt",
    ] {
        let ended = place.run(&format!("corpus {line}"));
        assert_eq!((ended.code, ended.out.len()), (Some(2), 0), "{line}: {}", ended.err);
    }
}

#[test]
fn the_examples_of_the_help_work() {
    let place = Place::new();
    let help = String::from_utf8(place.run("corpus --help").succeeds().out).expect("UTF-8");
    let examples: Vec<&str> = help.lines().filter_map(|line| line.strip_prefix("  gatemill corpus ")).collect();
    assert_eq!(examples.len(), 5, "{help}");
    place.write("book.txt", text(1000));
    fs::write(place.path("src"), text(1000)).expect("written");
    for example in examples {
        // Without what it says about it and without the redirection; a smaller one of the same kind.
        let line = example.split("  ").next().unwrap_or_default().split(" >").next().unwrap_or_default();
        place.run(&format!("corpus {}", line.replace("MB", "kB"))).succeeds();
    }
}
