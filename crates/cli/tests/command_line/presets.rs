//! Presets, configuration pages, and the flags of other tools, as they show at the command line.

use std::fs;

use serde_json::Value;

use crate::place::{Ended, Place, SIZES, SMALL, with_text};

/// What a run recorded, as JSON of its config.toml's values.
fn recorded(place: &Place, run: &str) -> Value {
    let text = fs::read_to_string(place.path(run).join("config.toml")).expect("read");
    let values = text.lines().filter_map(|line| line.split_once(" = ")).map(|(key, value)| {
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        (key.to_owned(), value)
    });
    Value::Object(values.collect())
}

#[track_caller]
fn has(recorded: &Value, values: &[(&str, Value)]) {
    for (key, value) in values {
        let (is, value) = (&recorded[*key], value);
        let same = match (is.as_f64(), value.as_f64()) {
            (Some(is), Some(value)) => is == value,
            _ => is == value,
        };
        assert!(same, "{key} is {is}, not {value}");
    }
}

/// The figures of doc/presets.md; sizes are overridden, so that two steps of a small text take no time.
#[test]
fn each_preset_trains_with_its_tools_settings() {
    let place = with_text();
    let small = "--hidden 17 --batch 6 --seq 5 --steps 2 --eval-tokens 100";
    let train = |preset: &str| {
        place.train(preset, &format!("--preset {preset} {small}")).succeeds();
        let recorded = recorded(&place, preset);
        has(&recorded, &[("hidden", 17.into()), ("batch", 6.into()), ("seq", 5.into()), ("steps", 2.into())]);
        assert!(recorded.get("preset").is_none(), "values are recorded, not where they came from");
        recorded
    };
    has(
        &train("best"),
        &[
            ("cell", "gru".into()),
            ("layers", 1.into()),
            ("optimizer", "adamw".into()),
            ("lr", 0.01.into()),
            ("weight-decay", 0.05.into()),
            ("schedule", "cosine".into()),
            ("min-lr", 0.into()),
            ("dropout", 0.into()),
            ("output-dropout", 0.into()),
            ("val-frac", 0.1.into()),
            ("test-frac", 0.into()),
        ],
    );
    has(
        &train("char-rnn"),
        &[
            ("cell", "lstm".into()),
            ("layers", 2.into()),
            ("embed", 0.into()),
            ("optimizer", "rmsprop".into()),
            ("lr", 2e-3.into()),
            ("decay-rate", 0.95.into()),
            ("eps", (1e-8 / 5.0).into()),
            ("schedule", "exponential".into()),
            ("lr-decay", 0.97.into()),
            ("lr-decay-after", 10.into()),
            ("clip-value", 1.into()),
            ("clip-norm", 0.into()),
            ("init", "uniform".into()),
            ("init-scale", 0.08.into()),
            ("forget-bias", 1.into()),
            ("dropout", 0.into()),
            ("val-frac", 0.05.into()),
            ("test-frac", 0.into()),
            ("seed", 123.into()),
            ("eval-every", 1000.into()),
            ("save-every", 1000.into()),
        ],
    );
    has(
        &train("torch-rnn"),
        &[
            ("cell", "lstm".into()),
            ("layers", 2.into()),
            ("embed", 64.into()),
            ("optimizer", "adam".into()),
            ("lr", 2e-3.into()),
            ("beta1", 0.9.into()),
            ("beta2", 0.999.into()),
            ("schedule", "step".into()),
            ("lr-decay", 0.5.into()),
            ("lr-decay-every", 5.into()),
            ("clip-value", 5.into()),
            ("clip-norm", 0.into()),
            ("init", "normal".into()),
            ("forget-bias", 1.into()),
            ("val-frac", 0.1.into()),
            ("test-frac", 0.1.into()),
            ("eval-every", 1000.into()),
            ("save-every", 1000.into()),
        ],
    );
    has(
        &train("nanogpt"),
        &[
            ("cell", "lstm".into()),
            ("layers", 3.into()),
            ("dropout", 0.2.into()),
            ("optimizer", "adamw".into()),
            ("lr", 1e-3.into()),
            ("beta1", 0.9.into()),
            ("beta2", 0.99.into()),
            ("weight-decay", 0.1.into()),
            ("clip-norm", 1.into()),
            ("clip-value", 0.into()),
            ("schedule", "cosine".into()),
            ("min-lr", 1e-4.into()),
            ("warmup", 100.into()),
            ("val-frac", 0.1.into()),
            ("eval-every", 250.into()),
            ("seed", 1337.into()),
        ],
    );
    has(
        &train("min-char-rnn"),
        &[
            ("cell", "rnn".into()),
            ("layers", 1.into()),
            ("optimizer", "adagrad".into()),
            ("lr", 0.1.into()),
            ("eps", (1e-4 / 5.0).into()),
            ("schedule", "constant".into()),
            ("clip-value", 1.into()),
            ("init", "normal".into()),
            ("init-scale", 0.01.into()),
            ("val-frac", 0.into()),
            ("sample-every", 100.into()),
        ],
    );
}

#[test]
fn char_rnns_gru_is_refused_with_what_to_type() {
    let place = with_text();
    place.write("gru.toml", "preset = 'char-rnn'\ncell = 'gru'\n");
    for line in ["--preset char-rnn --cell gru", "--config gru.toml", "--preset char-rnn --config gru.toml --seq 9"] {
        let ended = place.run(&format!("train text.txt {line}"));
        ended.fails(2, &["--cell gru", "reset gate", "another function"]);
        assert!(ended.err.contains("--cell gru --batch 50 --clip-value "), "{}", ended.err);
    }
    assert_eq!(place.names(), ["gru.toml", "text.txt"]);
    place.run("train text.txt --preset elman").fails(2, &["elman"]);
    place.run("train text.txt --preset char-rnn --resume run").fails(2, &["--preset", "--resume"]);
}

/// Defaults < preset < page < flags.
#[test]
fn a_page_stands_between_preset_and_flags() {
    let place = with_text();
    let page = "# a page\npreset = \"nanogpt\"\nhidden = 19\nn_layer = 1\nbatch_size = 6\nseq = 5\ndropout = 0\n\
                optimizer = \"adam\"\nweight_decay = 0\nsave-every = 7\nkeep = \"all\"\n";
    place.write("page.toml", page);
    place.train("run", "--config page.toml --steps 2 --hidden 17").succeeds();
    has(
        &recorded(&place, "run"),
        &[
            ("hidden", 17.into()),
            ("layers", 1.into()),
            ("batch", 6.into()),
            ("steps", 2.into()),
            ("lr", 1e-3.into()),
            ("clip-norm", 1.into()),
            ("save-every", 7.into()),
            ("eval-every", 250.into()),
            ("keep", "all".into()),
        ],
    );
}

#[test]
fn a_runs_own_page_trains_the_same_run_again() {
    let place = with_text();
    let first = place.train("first", &format!("{SMALL} --keep all")).succeeds().sha256();
    let ended = place.run("train --config first/config.toml --json --out second").succeeds();
    assert_eq!(ended.sha256(), first);
    assert_eq!(recorded(&place, "second"), recorded(&place, "first"));
    let steps = place.train("third", &format!("{SIZES} --steps 3 --clip-value 1")).succeeds().sha256();
    // Both epochs and steps stand in it, and both kinds of clipping.
    let again = place.run("train --config third/config.toml --json --out fourth").succeeds();
    assert_eq!(again.sha256(), steps);
    place.write("other.txt", crate::place::text(4000));
    let other = place.run("train other.txt --config third/config.toml --json --out fifth").succeeds();
    assert_ne!(other.sha256(), steps, "a FILE beside it wins");
}

#[test]
fn a_page_beside_resume_counts_as_flags() {
    let place = with_text();
    place.train("run", SMALL).succeeds();
    place.write("slower.toml", "lr = 0.001\n");
    place.write("larger.toml", "hidden = 18\n");
    place.write("preset.toml", "preset = \"char-rnn\"\n");
    place.run("train --resume run --config run/config.toml").succeeds();
    place.run("train --resume run --config slower.toml").fails(2, &["--lr"]);
    place.run("train --resume run --config larger.toml --override").fails(2, &["--hidden"]);
    place.run("train --resume run --config preset.toml").fails(2, &["char-rnn"]);
    place.run("train --resume run --config slower.toml --override").succeeds();
}

#[test]
fn pages_that_cannot_be_are_refused_where_they_are_wrong() {
    let place = with_text();
    for (page, words) in [
        ("hidden = 5\n hidn = 5", &["bad.toml, line 2, column 2", "hidn"][..]),
        ("lr = \"fast\"", &["line 1, column 6", "lr = \"fast\"", "a number"]),
        ("hidden = 1048577", &["hidden = 1048577", "1048576"]),
        ("layers = 0", &["layers = 0", "from 1"]),
        ("cell = 'elman'", &["elman", "\"lstm\""]),
        ("lr = 1\nlr = 1", &["line 2, column 1", "duplicate key"]),
        ("epochs = 1\nsteps = 1", &["steps", "epochs"]),
        ("clip-norm = 1\nclip-value = 1", &["clip-value", "clip-norm"]),
        ("lr = ", &["line 1"]),
        ("to be, or not to be", &["line 1, column "]),
        ("n_head = 6", &["n_head", "attention"]),
        ("dropout = 1.5", &["--dropout", "below 1"]),
        ("threads = 2", &["--threads"]),
        ("[corpus]\nkind = 'files'\npaths = 3", &["corpus"]),
    ] {
        place.write("bad.toml", page);
        place.run("train text.txt --config bad.toml").fails(2, words);
    }
    place.write("bad.toml", "hidn = 5");
    assert!(place.run("train --config bad.toml").err.contains("help: did you mean hidden?"));
    place.write("bad.toml", b"# caf\xe9\n");
    place.run("train text.txt --config bad.toml").fails(2, &["line 1, column 6", "UTF-8"]);
    place.write("bad.toml", "#".repeat((1 << 20) + 1));
    place.run("train text.txt --config bad.toml").fails(2, &["bad.toml", "1048576 bytes"]);
    place.run("train text.txt --config missing.toml").fails(4, &["missing.toml", "No such file"]);
    place.run("train text.txt --config .").fails(4, &["directory"]);
    assert_eq!(place.names(), ["bad.toml", "text.txt"]);
}

#[test]
fn other_tools_flags_are_answered_with_the_line_to_type() {
    let place = with_text();
    let ended = place.run("train -data_dir data/tinyshakespeare -rnn_size 512 -num_layers 2 -dropout 0.5 -gpuid 0");
    ended.fails(2, &["-data_dir, -rnn_size, -num_layers, -dropout and -gpuid are flags of char-rnn"]);
    let line = "train data/tinyshakespeare/input.txt --preset char-rnn --hidden 512 --layers 2 --dropout 0.5\n";
    assert!(ended.err.contains("help: type: ") && ended.err.contains(line), "{}", ended.err);
    assert!(ended.err.contains("note: -rnn_size is now --hidden\n"), "{}", ended.err);
    assert!(ended.err.contains("note: -gpuid is left out: "), "{}", ended.err);
    place.run("sample cv/x.t7 -primetext a -length 5").fails(2, &["-primetext and -length are flags of char-rnn"]);
    place.run("train --n_layer=6 --max_iters=9").fails(2, &["--n_layer and --max_iters are flags of nanoGPT"]);
    place.run("train -input_h5 a.h5 -gpu -1").fails(2, &["-input_h5 and -gpu are flags of torch-rnn"]);
    assert_eq!(place.names(), ["text.txt"]);

    // What is said can be typed, in a folder whose name a shell would part.
    fs::create_dir(place.path("it's here")).expect("a folder");
    fs::copy(place.path("text.txt"), place.path("it's here/input.txt")).expect("copied");
    let old =
        ["train", "-data_dir", "it's here", "-rnn_size", "9", "-batch_size", "6", "-seq_length", "5", "-gpuid", "-1"];
    let ended: Ended =
        place.command().args(old).args(["--steps", "2", "--out", "run"]).output().expect("started").into();
    let said = ended.err.lines().find_map(|line| line.strip_prefix("help: type: ")).expect("a line");
    let typed: Ended = place.shell("sh").args(["-c", said]).output().expect("started").into();
    typed.succeeds();
    has(&recorded(&place, "run"), &[("hidden", 9.into()), ("optimizer", "rmsprop".into()), ("clip-value", 1.into())]);
}

#[test]
fn values_that_look_like_flags_are_values() {
    let place = with_text();
    place.train("run", SMALL).succeeds();
    for line in [
        "sample run --length 9 --prime -x",
        "sample run --length 9 --prime -length",
        "sample run --length 9 --prime=-1",
    ] {
        assert!(!place.run(line).succeeds().out.is_empty(), "{line}");
    }
    place.run("train text.txt --lr -1").fails(2, &["--lr"]);
    place.run("train text.txt -unknown 3").fails(2, &["-u"]);
}

#[test]
fn fault_U01_every_wrong_flag_has_a_hint_and_writes_nothing() {
    let place = with_text();
    for (line, hint) in [
        ("train text.txt --hidn 5", "--hidden"),
        ("train text.txt --batchh 5", "--batch"),
        ("train text.txt --weight_decay 0.1", "--weight-decay"),
        ("train text.txt --val_frac=0.1", "--val-frac"),
        ("train text.txt --presetx char-rnn", "--preset"),
        ("train text.txt --preset char_rnn", "char-rnn"),
        ("train text.txt --lr=abc", "--lr"),
        ("train text.txt --lr=", "--lr"),
        ("train text.txt --hidden=-1", "1..=1048576"),
        ("train text.txt --hidden=1048577", "1..=1048576"),
        ("train text.txt --layers=-1", "1..=1024"),
        ("train text.txt --embed=-1", "0..=1048576"),
        ("train text.txt --steps=-1", "1..=9223372036854775807"),
        ("train text.txt --threads=-1", "1..=4096"),
        ("train text.txt --hidden=9223372036854775808", "--hidden"),
        ("train text.txt --seed=18446744073709551616", "--seed"),
        ("train text.txt --config", "--config"),
        ("train text.txt --optimiser adam", "--optimizer"),
        ("sample run --temperaturex 1", "--temperature"),
    ] {
        let ended = place.run(line);
        assert_eq!(ended.code, Some(2), "{line}: {}", ended.err);
        assert!(ended.err.starts_with("error: ") && ended.err.contains(hint), "{line}: {}", ended.err);
        assert!(ended.err.lines().count() > 1, "{line}: {}", ended.err);
    }
    let bytes = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"\xff\xfe");
    for (words, code) in [
        (&["train", "--hidden"][..], 2),
        (&["train", "--cell"], 2),
        (&["train", "--preset"], 2),
        (&["train", "-rnn_size"], 2),
        (&["train"], 2),
        (&["train", "--config"], 4),
        (&["sample"], 4),
    ] {
        let ended: Ended = place.command().args(words).arg(bytes).output().expect("started").into();
        assert_eq!(ended.code, Some(code), "{words:?}: {}", ended.err);
        assert!(ended.err.starts_with("error: ") && ended.err.lines().count() > 1, "{words:?}: {}", ended.err);
    }
    assert_eq!(place.names(), ["text.txt"]);
}
