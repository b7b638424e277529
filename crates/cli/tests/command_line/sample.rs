//! `gatemill sample`: each flag does what its line in `--help` says.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::Stdio;

use gatemill_train::checkpoint::{Snapshot, form};
use serde_json::Value;

use crate::place::{Ended, Place, SMALL, damage, with_text};

/// A place with a model in `run` that has learned a little.
fn with_model() -> Place {
    let place = with_text();
    place.train("run", &format!("{SMALL} --lr 0.02")).succeeds();
    place
}

fn out(place: &Place, flags: &str) -> Vec<u8> {
    place.run(&format!("sample run {flags}")).succeeds().out
}

/// With a prime of any bytes as an argument.
fn primed(place: &Place, prime: &str, flags: &str) -> Ended {
    let mut command = place.command();
    command.args(["sample", "run", "--prime", prime]).args(flags.split_whitespace());
    command.output().expect("started").into()
}

fn piped(place: &Place, file: &str, flags: &str) -> Ended {
    let mut command = place.command();
    command.args(["sample", "run"]).args(flags.split_whitespace());
    command.stdin(File::open(place.path(file)).expect("opened")).output().expect("started").into()
}

fn texts(objects: &[Value]) -> Vec<String> {
    objects.iter().map(|object| object["text"].as_str().expect("text").to_owned()).collect()
}

/// Changes a file's content under new checksums.
fn rewrite(path: &Path, change: impl FnOnce(&mut Snapshot)) {
    let mut snapshot = form::decode(&fs::read(path).expect("read")).expect("a snapshot").snapshot;
    change(&mut snapshot);
    fs::write(path, form::encode(&snapshot).expect("encoded")).expect("written");
}

#[test]
fn the_examples_of_the_help_run() {
    let place = with_text();
    place.train("runs/book-lstm-2x256-1", SMALL).succeeds();
    let help = String::from_utf8(place.run("sample --help").succeeds().out).expect("UTF-8");
    let examples: Vec<&str> =
        help.lines().filter(|line| line.starts_with("  ") && line.contains("gatemill sample")).collect();
    assert!(examples.len() >= 8, "{help}");
    let folder = Path::new(env!("CARGO_BIN_EXE_gatemill")).parent().expect("a folder").display().to_string();
    for example in examples {
        let mut shell = place.shell("sh");
        shell.args(["-c", example]).env("PATH", format!("{folder}:{}", std::env::var("PATH").expect("a path")));
        let ended = Ended::from(shell.output().expect("started"));
        assert!(ended.code == Some(0) && ended.out.len() > 30, "{example}: {}", ended.err);
    }
}

#[test]
fn prime_file_is_a_prime_from_a_file_or_stdin_byte_for_byte() {
    let place = with_model();
    let prime = "the gate is open.\nthe \u{2603}\u{e9}\u{2603}\n";
    place.write("prime.txt", prime);
    let want = primed(&place, prime, "--length 90").succeeds();
    assert!(want.out.starts_with(prime.as_bytes()) && want.out.len() >= prime.len() + 90);
    let from_file = place.run("sample run --prime-file prime.txt --length 90").succeeds();
    assert_eq!(from_file.out, want.out);
    assert_eq!(piped(&place, "prime.txt", "--prime-file - --length 90").succeeds().out, want.out);
    for ended in [&want, &from_file] {
        let said = "the model never saw 3 of the prime's characters: read as nothing ('\u{2603}', '\u{e9}', ...)";
        assert!(ended.err.contains(said), "{}", ended.err);
    }
    // What was read decides what comes.
    place.write("other.txt", "Wheel under water\n");
    let other = place.run("sample run --prime-file other.txt --length 90").succeeds().out;
    assert_ne!(other[other.len() - 90..], want.out[want.out.len() - 90..]);
    place.write("empty.txt", "");
    assert_eq!(out(&place, "--prime-file empty.txt"), out(&place, ""));

    place.write("bad.txt", b"the \xff gate");
    place.run("sample run --prime-file bad.txt").fails(3, &["bad.txt", "4"]);
    piped(&place, "bad.txt", "--prime-file -").fails(3, &["4"]);
    place.run("sample run --prime-file missing.txt").fails(4, &["missing.txt", "No such file"]);
    place.run("sample run --prime-file .").fails(4, &["--prime-file ."]);
    place.run("sample run --prime-file prime.txt --prime the").fails(2, &["--prime"]);

    // A model of bytes takes any.
    place.train("bytes", &format!("{SMALL} --vocab bytes")).succeeds();
    let ended = place.run("sample bytes --prime-file bad.txt --length 20").succeeds();
    assert!(ended.out.starts_with(b"the \xff gate") && ended.out.len() == 10 + 20);
    assert!(ended.err.is_empty(), "{}", ended.err);
}

#[test]
fn length_is_what_follows_the_prime_and_may_be_nothing() {
    let place = with_model();
    assert_eq!(primed(&place, "the mill", "--length 0").succeeds().out, b"the mill");
    assert_eq!(primed(&place, "the mill", "--length 7").succeeds().out.len(), 15);
    assert_eq!(out(&place, "--length 0"), b"");
    assert_eq!(out(&place, "").len(), 500);
    // A longer text begins with the shorter one.
    assert!(out(&place, "--length 300").starts_with(&out(&place, "--length 31")));
}

#[test]
fn filters_that_are_off_change_nothing_and_those_that_leave_one_are_greedy() {
    let place = with_model();
    let plain = out(&place, "--seed 3");
    for off in ["--top-k 0", "--top-k 100000", "--top-p 1", "--min-p 0", "--repetition-penalty 1", "--temperature 0.8"]
    {
        assert_eq!(out(&place, &format!("--seed 3 {off}")), plain, "{off}");
    }
    assert_eq!(out(&place, "--seed 3 --repetition-penalty 5 --repetition-window 0"), plain);
    let greedy = out(&place, "--greedy");
    assert_ne!(greedy, plain);
    for one in ["--top-k 1", "--top-p 1e-9", "--min-p 1", "--top-k 1 --temperature 50", "--temperature 0"] {
        assert_eq!(out(&place, &format!("--seed 3 {one}")), greedy, "{one}");
    }
    // In between they change the text, and less is left to choose from.
    let distinct = |text: &[u8]| text.iter().collect::<std::collections::BTreeSet<_>>().len();
    let hot = out(&place, "--temperature 30");
    for some in ["--top-k 3", "--top-p 0.05", "--min-p 0.95"] {
        let text = out(&place, &format!("--temperature 30 {some}"));
        assert!(text != hot && text.len() == 500, "{some}");
        if some != "--min-p 0.95" {
            assert!(distinct(&text) < distinct(&hot), "{some}");
        }
    }
}

#[test]
fn a_repetition_penalty_makes_recent_characters_rarer() {
    let place = with_model();
    let repeats = |flags: &str, window: usize| {
        let text = out(&place, &format!("--seed 3 --length 1000 {flags}"));
        (window..text.len()).filter(|&i| text[i - window..i].contains(&text[i])).count()
    };
    let without = repeats("", 4);
    let with = repeats("--repetition-penalty 3 --repetition-window 4", 4);
    let favoured = repeats("--repetition-penalty 0.5 --repetition-window 4", 4);
    assert!(with * 2 < without && without < favoured, "{with} {without} {favoured}");
    // The window is what it looks at, and 64 unless something else is said.
    let text = |flags: &str| out(&place, &format!("--seed 3 --repetition-penalty 1.5 {flags}"));
    assert_ne!(text("--repetition-window 4"), text("--repetition-window 9"));
    assert_eq!(text("--repetition-window 64"), text(""));
    // The prime counts.
    let after = |prime: &str| {
        let text = primed(&place, prime, "--greedy --length 1 --repetition-penalty 1e30").succeeds().out;
        text.last().copied().expect("a character")
    };
    let next = primed(&place, "th", "--greedy --length 1").succeeds().out.pop().expect("a character");
    assert_ne!(after(&format!("{}th", char::from(next))), next);
}

#[test]
fn fault_N07_values_that_cannot_be_are_refused_with_what_comes_nearest() {
    let place = with_model();
    for (flag, values, nearest) in [
        ("--temperature", &["-1", "nan", "inf", "-inf"][..], "0 always the most likely"),
        ("--top-p", &["0", "-0.5", "1.1", "nan", "inf"], "1 chooses among all"),
        ("--min-p", &["-0.1", "1.1", "nan", "-inf"], "0 leaves out none"),
        ("--repetition-penalty", &["0", "-1", "nan", "inf"], "1 is no penalty"),
    ] {
        for value in values {
            let ended = place.run(&format!("sample run {flag}={value}"));
            ended.fails(2, &[flag, "must be"]);
            assert!(ended.err.contains(nearest), "{}", ended.err);
        }
    }
    for line in [
        "--top-k=-1",
        "--top-k 1.5",
        "--samples 0",
        "--samples 4097",
        "--threads 0",
        "--repetition-window=-1",
        "--length=-1",
    ] {
        place.run(&format!("sample run {line}")).fails(2, &[line.split(['=', ' ']).next().expect("a flag")]);
    }
    place.run("sample run --samples 1000 --length 2000000").fails(2, &["--samples 1000", "--length 2000000"]);
    place.run("sample run --json --length 2000000000").fails(2, &["--length 2000000000"]);
}

#[test]
fn samples_are_several_texts_the_first_of_which_is_the_single_one() {
    let place = with_model();
    let objects = place.run("sample run --samples 5 --json --seed 4 --length 80 --prime the").succeeds().objects();
    assert_eq!(objects.len(), 5);
    let several = texts(&objects);
    let single = place.run("sample run --json --seed 4 --length 80 --prime the").succeeds().objects();
    assert_eq!(several[0], texts(&single)[0]);
    for (i, object) in objects.iter().enumerate() {
        assert_eq!((&object["sample"], &object["symbols"], &object["seed"]), (&(i + 1).into(), &80.into(), &4.into()));
        assert_eq!((&object["prime"], &object["temperature"]), (&"the".into(), &0.8.into()));
        assert!((0..i).all(|j| several[i] != several[j]), "samples differ");
    }
    // Fewer beside it, other threads: the same texts.
    for flags in ["--samples 3 --threads 1", "--samples 2 --threads 2", "--samples 5 --threads 3"] {
        let objects =
            place.run(&format!("sample run {flags} --json --seed 4 --length 80 --prime the")).succeeds().objects();
        assert_eq!(texts(&objects), several[..objects.len()], "{flags}");
    }
    // As text: each with its line's end, the lines between them on stderr.
    let ended = place.run("sample run --samples 3 --seed 4 --length 80 --prime the").succeeds();
    let want: String =
        several[..3].iter().map(|text| format!("the{text}{}", if text.ends_with('\n') { "" } else { "\n" })).collect();
    assert_eq!(String::from_utf8(ended.out).expect("UTF-8"), want);
    let lines: Vec<&str> = ended.err.lines().collect();
    assert_eq!(lines, ["--- sample 1 of 3 ---", "--- sample 2 of 3 ---", "--- sample 3 of 3 ---"]);
}

#[test]
fn a_state_goes_on_where_it_was_saved_bit_for_bit() {
    let place = with_model();
    let filters = "--top-k 12 --top-p 0.95 --repetition-penalty 1.2 --repetition-window 9";
    for (name, flags) in [("plain", ""), ("filtered", filters)] {
        let whole = out(&place, &format!("--seed 6 --length 100 --prime the {flags}"));
        let first = out(&place, &format!("--seed 6 --length 60 --prime the {flags} --state-out {name}"));
        // The seed is the state's; another one takes other draws.
        let rest = out(&place, &format!("--length 40 {flags} --state-in {name}"));
        assert_eq!([first.as_slice(), &rest].concat(), whole, "{name}");
        assert_ne!(out(&place, &format!("--length 40 {flags} --state-in {name} --seed 7")), rest);
        // In place, again and again.
        let parts: Vec<u8> = [9, 0, 30, 1]
            .iter()
            .flat_map(|n| out(&place, &format!("--length {n} {flags} --state-in {name} --state-out {name}")))
            .collect();
        assert_eq!(parts, rest, "{name}");
    }
    // Several texts; and several that go on from one.
    let of = |flags: &str| texts(&place.run(&format!("sample run --json {flags}")).succeeds().objects());
    let whole = of("--samples 3 --length 90");
    let first = of("--samples 3 --length 50 --state-out three");
    let rest = of("--length 40 --state-in three");
    assert!((0..3).all(|i| format!("{}{}", first[i], rest[i]) == whole[i]));
    place.run("sample run --state-in three --samples 2").fails(2, &["--samples 2"]);
    out(&place, "--length 50 --state-out one");
    let forked = of("--length 40 --state-in one --samples 3");
    assert_eq!(format!("{}{}", first[0], forked[0]), whole[0]);
    assert!(forked[1] != forked[0] && forked[2] != forked[1]);
    // A prime is read after the state.
    out(&place, "--length 0 --prime the --state-out the");
    let continued = place.run("sample run --state-in the --prime gate --length 50").succeeds().out;
    assert_eq!([b"the", continued.as_slice()].concat(), out(&place, "--prime thegate --length 50"));
    // The form is that of every model file.
    let head = fs::read(place.path("three")).expect("read");
    let state = form::decode(&head).expect("a snapshot").snapshot;
    let shape = |name: &str| state.tensor(name).map(|t| t.shape.clone());
    assert_eq!(shape("state.h_l0"), Some(vec![3, 17]));
    assert_eq!((shape("state.c_l1"), shape("state.recent")), (Some(vec![3, 17]), Some(vec![3, 50])));
    let meta = state.meta.expect("a record");
    assert_eq!((&meta["position"], &meta["seed"], &meta["lanes"]), (&50.into(), &1.into(), &3.into()));
    assert!(!place.names().iter().any(|name| name.contains("tmp")), "{:?}", place.names());
}

#[test]
fn fault_M10_a_state_that_is_damaged_or_of_another_model_is_refused() {
    let place = with_model();
    place.train("other", &format!("{SMALL} --seed 2")).succeeds();
    out(&place, "--length 20 --state-out state");
    let hash = |run: &str| {
        let best = fs::read(place.path(run).join("best.safetensors")).expect("read");
        let meta = form::decode(&best).expect("a model").snapshot.meta.expect("a record");
        meta["weights_sha256"].as_str().expect("a hash").to_owned()
    };
    place.run("sample other --state-in state").fails(3, &["state: ", "another model", &hash("run"), &hash("other")]);
    place.run("sample run --state-in run/best.safetensors").fails(3, &["best.safetensors", "no sampling state"]);
    place.run("sample state").fails(3, &["state"]);
    place.run("sample run --state-in missing").fails(4, &["missing", "No such file"]);

    let good = fs::read(place.path("state")).expect("read");
    let refused = |words: &[&str]| place.run("sample run --state-in state").fails(3, words);
    damage(&place.path("state"));
    refused(&["state", "checksum"]);
    for length in [0, 7, good.len() / 2, good.len() - 1] {
        place.write("state", &good[..length]);
        refused(&["state"]);
    }
    let changed = |change: fn(&mut Snapshot)| {
        place.write("state", &good);
        rewrite(&place.path("state"), change);
    };
    changed(|state| state.tensors.retain(|tensor| tensor.name != "state.c_l0"));
    refused(&["state.h_l0", "shape"]);
    changed(|state| state.tensors.retain(|tensor| !tensor.name.ends_with("_l1")));
    refused(&["state.h_l1", "missing"]);
    changed(|state| state.tensors[0].data[3] = f32::NAN);
    refused(&["state.h_l0", "NaN"]);
    changed(|state| drop(state.meta.as_mut().expect("a record").insert("position".to_owned(), "far".into())));
    refused(&["position"]);
    changed(|state| {
        let logits = state.tensors.iter_mut().find(|tensor| tensor.name == "state.logits").expect("logits");
        logits.shape = vec![1, 2];
        logits.data.truncate(2);
    });
    refused(&["state"]);
    place.write("state", &good);
    place.run("sample run --state-in state").succeeds();
}

#[test]
fn a_state_that_cannot_be_saved_is_refused_before_anything_is_written() {
    let place = with_model();
    fs::create_dir(place.path("folder")).expect("created");
    for (path, code, word) in [
        ("nowhere/state", 4, "nowhere/state"),
        ("folder", 4, "folder"),
        ("/dev/null", 4, "/dev/null"),
        ("run/best.safetensors/state", 4, "best.safetensors"),
        ("run/best.safetensors", 2, "this is the model"),
    ] {
        let ended = place.run(&format!("sample run/best.safetensors --state-out {path}"));
        ended.fails(code, &["state", word]);
        assert!(ended.out.is_empty());
    }
    place.run("sample run/best.safetensors").succeeds();
}

#[test]
fn fault_U02_a_signal_ends_a_text_without_end_and_saves_its_state() {
    let place = with_model();
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let mut command = place.command();
        command.args(["sample", "run", "--length", "1000000000000000", "--state-out", "state"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
        let mut text = vec![0_u8; 4000];
        let mut pipe = child.stdout.take().expect("piped");
        pipe.read_exact(&mut text).expect("some text");
        let status = std::process::Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
        assert!(status.expect("kill").success());
        pipe.read_to_end(&mut text).expect("read");
        let ended = Ended::from(child.wait_with_output().expect("ended"));
        assert_eq!((ended.code, ended.err.as_str()), (Some(code), ""), "quietly");
        // What was written and the state belong together.
        let rest = out(&place, "--length 100 --state-in state");
        assert_eq!([text.as_slice(), &rest].concat(), out(&place, &format!("--length {}", text.len() + 100)));
    }
}

#[test]
fn json_has_the_fields_of_a_text_and_its_options() {
    let place = with_model();
    let flags = "--top-k 9 --top-p 0.9 --min-p 0.01 --repetition-penalty 1.5 --repetition-window 8 --temperature 1.25";
    let objects = place.run(&format!("sample run --json --length 30 {flags}")).succeeds().objects();
    let object = objects[0].as_object().expect("an object");
    for (field, value) in [
        ("sample", Value::from(1)),
        ("prime", "".into()),
        ("symbols", 30.into()),
        ("unseen", 0.into()),
        ("temperature", 1.25.into()),
        ("top_k", 9.into()),
        ("top_p", 0.9.into()),
        ("min_p", 0.01.into()),
        ("repetition_penalty", 1.5.into()),
        ("repetition_window", 8.into()),
        ("seed", 1.into()),
    ] {
        assert_eq!(object.get(field), Some(&value), "{field}");
    }
    assert_eq!(object["text"].as_str().map(|text| text.chars().count()), Some(30));
    assert_eq!((objects.len(), object.len()), (1, 12));
}

#[test]
fn fault_M09_a_model_that_gives_no_probabilities_is_an_error() {
    let place = with_text();
    place.train("run", &format!("{SMALL} --cell rnn")).succeeds();
    // Each h is 1, so that each logit is a sum beyond the largest f32.
    rewrite(&place.path("run/best.safetensors"), |model| {
        for tensor in &mut model.tensors {
            match tensor.name.as_str() {
                "rnn.bias_ih_l1" => tensor.data.fill(1e6),
                "head.weight" => tensor.data.fill(3e38),
                _ => {}
            }
        }
    });
    let ended = place.run("sample run");
    ended.fails(3, &["nothing can be drawn", "symbol 0 of sample 0", "is not finite"]);
    assert!(ended.out.is_empty());
}
