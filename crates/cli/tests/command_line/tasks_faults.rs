//! What cannot be: flags that mean nothing for a task, lines that are no examples, models of the other sort.

use std::fs;

use crate::place::{Place, SMALL, with_text};

#[test]
fn flags_that_mean_nothing_are_refused_with_the_reason() {
    let place = with_text();
    for (flag, why) in [
        ("--seq 9", "begins anew"),
        ("--accumulate 2", "begins anew"),
        ("--shards 2", "begins anew"),
        ("--no-carry", "begins anew"),
        ("--vocab bytes", "UTF-8"),
        ("--lossy", "UTF-8"),
        ("--document-separator x", "every line"),
        ("--tied", "symbols of their own"),
        ("--eval-tokens 9", "all examples"),
        ("--preset best", "character models"),
        ("--strict-corpus", "read once"),
        ("--io read", "read once"),
    ] {
        let name = flag.split(' ').next().expect("a word");
        place.run(&format!("train --task classify {flag}")).fails(2, &[name, "means nothing for a task", why]);
    }
    for flag in ["--bidirectional", "--pool max", "--attention off", "--bridge linear", "--val text.txt"] {
        let name = flag.split(' ').next().expect("a word");
        place.run(&format!("train text.txt {flag}")).fails(2, &[name, "is of a task"]);
    }
    for (task, flag, why) in [
        ("tag", "--pool max", "for classify alone"),
        ("classify", "--attention dot", "for translate alone"),
        ("classify", "--bridge linear", "for translate alone"),
        ("describe", "--bidirectional", "read whole"),
        ("map", "--bidirectional", "read whole"),
        ("translate", "--attention dot --bidirectional", "one width"),
        ("translate", "--hidden 0", "0"),
        ("map", "--val-frac 1.5", "below 1"),
    ] {
        let ended = place.run(&format!("train --task {task} {flag}"));
        assert_eq!(ended.code, Some(2), "{task} {flag}: {}", ended.err);
        assert!(ended.err.contains(why), "{task} {flag}: {}", ended.err);
    }
    assert_eq!(place.run("train --task dance").code, Some(2));
    assert_eq!(place.run("train --task map --val text.txt --val-frac 0.5").code, Some(2));
    assert_eq!(place.names(), ["text.txt"], "nothing is left behind");
}

#[test]
fn lines_that_are_no_examples_are_told_by_file_and_line() {
    let place = Place::new();
    for (task, content, code, words) in [
        ("classify", &b"a\tx\nno tab here\n"[..], 3, &["bad.tsv", "line 2", "no tab"][..]),
        ("translate", b"a\tb\tc\n", 3, &["line 1", "2 tabs"]),
        ("classify", b"a\tx\n\tx\n", 3, &["line 2", "the input is empty"]),
        ("describe", b"a\t\n", 3, &["line 1", "the output is empty"]),
        ("tag", b"abc\txx\n", 3, &["line 1", "2 tags for 3 symbols"]),
        ("map", b"1 2\tx\n1 two\ty\n", 3, &["line 2", "\"two\" is no finite number"]),
        ("map", b"1 2\tx\n1 2 3\ty\n", 3, &["line 2", "3 numbers, and the first example has 2"]),
        ("classify", b"a\tx\nb\xff\tx\n", 3, &["line 2", "not valid UTF-8 at its byte 1"]),
        ("classify", b"\xff\xfea\0\t\0", 3, &["UTF-16"]),
        (
            "classify",
            b"{\"input\": \"a\", \"output\": \"x\"}\n{\"input\": \"a\"}\n",
            3,
            &["line 2", "\"output\" is missing"],
        ),
        ("classify", b"{\"input\": \"a\", \"output\": \"x\"}\n{\"input\"\n", 3, &["line 2", "no JSON object"]),
        ("map", b"{\"input\": \"a\", \"output\": \"x\"}\n", 3, &["\"input\" is a text", "list of numbers"]),
        ("classify", b"\n\n", 3, &["no examples", "bad.tsv"]),
        ("classify", b"", 3, &["bad.tsv"]),
    ] {
        place.write("bad.tsv", content);
        place.run(&format!("train --task {task} bad.tsv --hidden 4")).fails(code, words);
    }
    let mut long = vec![b'a'; (1 << 20) + 1];
    long.extend_from_slice(b"\tx\n");
    place.write("bad.tsv", &long);
    place.run("train --task classify bad.tsv").fails(3, &["line 1", "longer than 1048576 bytes"]);
    place.run("train --task classify none.tsv").fails(4, &["none.tsv"]);
    place.write("good.tsv", "a\tx\nb\ty\n");
    place.run("train --task classify good.tsv --val bad.tsv").fails(3, &["bad.tsv", "line 1"]);
    assert!(!place.path("runs").exists(), "no run was begun");
}

#[test]
fn models_of_the_other_sort_are_told_with_what_to_type() {
    let place = with_text();
    place.train("text", SMALL).succeeds();
    place.run("train --task map --steps 3 --hidden 4 --out map").succeeds();
    let ended = place.run("sample map");
    ended.fails(3, &["map is the model of a task"]);
    assert!(ended.err.contains("predict map INPUT"), "{}", ended.err);
    let ended = place.run("predict text x");
    ended.fails(3, &["text is a character model"]);
    assert!(ended.err.contains("sample text"), "{}", ended.err);
    // A task's model scores no text, and a character model no examples as such.
    place.run("eval map text.txt").fails(3, &["text.txt", "line 1", "no tab"]);
    place.run("eval map --split test").fails(2, &["kept no test part of its examples"]);
    place.run("eval map --split val --batch 3").fails(2, &["--batch means nothing"]);
}

#[test]
fn what_cannot_be_asked_is_told() {
    let place = Place::new();
    place.run("train --task map --steps 3 --hidden 4 --out map").succeeds();
    place.run("train --task describe --steps 3 --hidden 4 --out names").succeeds();
    let ask = |words: &[&str]| crate::place::Ended::from(place.command().args(words).output().expect("started"));
    ask(&["predict", "map", "0.1 x"]).fails(2, &["\"0.1 x\"", "no finite number"]);
    ask(&["predict", "map", "0.1 0.2 0.3"]).fails(2, &["3 numbers, not 2"]);
    ask(&["predict", "map", ""]).fails(2, &["the input is empty"]);
    ask(&["predict", "map", "1 1", "--beam", "2"]).fails(2, &["--beam means nothing for a model of map"]);
    ask(&["predict", "names", "T", "--top", "2"]).fails(2, &["--top means nothing for a model of describe"]);
    ask(&["predict", "names", "T", "--beam", "2", "--temperature", "1"]).fails(2, &["--beam 2"]);
    ask(&["predict", "map", "--file", "none.txt"]).fails(4, &["none.txt"]);
    place.write("bad.txt", "0.1 0.2\n0.1 zwei\n");
    let ended = ask(&["predict", "map", "--file", "bad.txt"]);
    ended.fails(3, &["bad.txt", "line 2", "zwei"]);
    let unseen = ask(&["predict", "names", "Q"]).succeeds();
    assert!(unseen.err.contains("never seen in training and read as nothing: 1 name"), "{}", unseen.err);
    // Nobody reads: that is no error.
    fs::write(place.path("many.txt"), "0.1 0.2\n".repeat(50_000)).expect("written");
    let mut started = place.spawn("predict map --file many.txt");
    assert!(started.child.try_wait().expect("asked").is_none());
    let ended = started.close_stdout();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
}
