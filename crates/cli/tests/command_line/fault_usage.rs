//! Rows N and U of the fault catalogue, as they show at the command line.

use std::fs::{self, File};
use std::process::Stdio;

use crate::place::{Ended, SIZES, SMALL, checkpoints, step_of, with_text};

#[test]
fn fault_N01_divergence_is_found_in_its_step_and_leaves_the_last_checkpoint() {
    let place = with_text();
    let ended = place.train(
        "run",
        &format!("{SIZES} --epochs 2 --optimizer sgd --momentum 0 --lr 1e38 --clip-norm 0 --schedule constant"),
    );
    let last = ended.events("step").last().map_or(0, |step| step["step"].as_u64().expect("a step"));
    ended.fails(5, &["diverged", &format!("step {}", last + 1), "not finite"]);
    assert!(ended.events("done").is_empty());
    let saved: Vec<u64> = checkpoints(&place.path("run")).iter().map(|path| step_of(path)).collect();
    assert_eq!(saved, [0], "weights that give no finite loss are not saved");
    let log = fs::read_to_string(place.path("run/events.jsonl")).expect("read");
    assert!(log.contains("diverged"), "the log says why it ended");
    place.run("train --resume run --lr 0.01 --clip-norm 5 --override").succeeds();
}

#[test]
fn fault_N05_sizes_of_nothing_are_refused_and_odd_ones_train() {
    let place = with_text();
    for flags in [
        "--seq 0",
        "--batch 0",
        "--hidden 0",
        "--layers 0",
        "--dropout 1",
        "--dropout -0.1",
        "--shards 0",
        "--epochs 0",
        "--steps 0",
        "--keep 1",
        "--val-frac 1",
        "--eval-every 0",
        "--beta1 1",
        "--eps 0",
        "--shards 65",
        "--lr -1",
        "--lr inf",
        "--min-lr 1",
        "--clip-norm nan",
        "--forget-bias inf",
    ] {
        place.run(&format!("train text.txt {flags}")).fails(2, &[]);
    }
    assert_eq!(
        place.names(),
        [".cache", "text.txt"].iter().filter(|n| place.path(n).exists()).copied().collect::<Vec<_>>()
    );
    for flags in [
        "--seq 1 --batch 1 --hidden 1 --dropout 0",
        "--seq 1 --batch 7 --hidden 17",
        "--seq 9 --batch 1 --hidden 16 --layers 3",
        "--seq 3 --batch 2 --hidden 1 --layers 4 --dropout 0.9",
    ] {
        for cell in ["rnn", "lstm", "gru"] {
            place.run(&format!("train text.txt --cell {cell} {flags} --steps 4 --eval-tokens 50")).succeeds();
        }
    }
}

#[test]
fn fault_N03_rates_and_norms_that_are_none_are_refused_and_zero_norms_train() {
    let place = with_text();
    for rate in ["0", "-0", "-0.001", "nan", "inf", "-inf", "1e999"] {
        place.run(&format!("train text.txt --lr={rate} --out run")).fails(2, &["--lr", "positive"]);
    }
    for norm in ["-1", "nan", "inf", "-inf"] {
        place.run(&format!("train text.txt --clip-norm={norm} --out run")).fails(2, &["--clip-norm"]);
    }
    assert_eq!(place.names(), ["text.txt"]);
    // A gradient of zero under a clip: 0/0 would make every weight NaN.
    place.write("same.txt", "a".repeat(300));
    for clip in ["0", "5", "1e-300", "1e300"] {
        let line = format!("train same.txt --json --out clip-{clip} {SIZES} --epochs 1 --clip-norm {clip}");
        let ended = place.run(&line).succeeds();
        assert!(ended.events("step").iter().all(|step| step["grad_norm"] == 0.0), "{clip}");
    }
    // Rates at the ends of what a number can be: the smallest moves nothing, the run goes through.
    let ended = place.train("tiny", &format!("{SIZES} --steps 3 --lr 5e-324 --schedule constant --clip-norm 1e-300"));
    ended.succeeds();
}

#[test]
fn fault_N07_temperatures_that_are_none_are_refused() {
    let place = with_text();
    place.train("run", SMALL).succeeds();
    for temperature in ["-1", "-0.0001", "nan", "inf", "-inf", "warm"] {
        place.run(&format!("sample run --temperature={temperature}")).fails(2, &["--temperature"]);
    }
    let write =
        |temperature: &str| place.run(&format!("sample run --length 50 --temperature {temperature}")).succeeds().out;
    assert_eq!(write("0"), write("1e-300"), "the limit of small ones is the most likely symbol");
    assert_eq!(write("1e300").len(), 50);
    place.run("sample run --greedy --temperature 1").fails(2, &["--greedy"]);
}

#[test]
fn fault_U01_unknown_and_impossible_flags_are_refused_and_nothing_is_written() {
    let place = with_text();
    for (line, word) in [
        ("trian", "trian"),
        ("train --hiden 5", "--hidden"),
        ("train --lr", "--lr"),
        ("train --lr=abc", "abc"),
        ("train --hidden=-1", "-1"),
        ("train --hidden=9223372036854775808", "9223372036854775808"),
        ("train --seed=18446744073709551615", "--seed"),
        ("train --cell lstm --cell gru", "--cell"),
        ("train --cell elman", "elman"),
        ("train --epochs 1 --steps 1", "--steps"),
        ("train --out a --resume b", "--resume"),
        ("train --override", "--resume"),
        ("train --top-k 4", "--top-k"),
        ("sample", "<MODEL>"),
        ("eval run", "<FILE>"),
        ("eval run --split train", "train"),
    ] {
        let ended = place.run(line);
        assert_eq!(ended.code, Some(2), "{line}: {}", ended.err);
        assert!(ended.err.contains(word) && ended.err.starts_with("error: "), "{line}: {}", ended.err);
    }
    let mut command = place.command();
    let bytes = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"--\xff");
    let ended: Ended = command.arg("train").arg(bytes).output().expect("started").into();
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert_eq!(place.names(), ["text.txt"]);
    place.run("sample missing").fails(4, &["missing", "No such file"]);
    place.write("junk.safetensors", "no model");
    place.run("sample junk.safetensors").fails(3, &["junk.safetensors"]);
}

#[test]
fn fault_U03_nobody_reads_and_training_goes_on() {
    let place = with_text();
    let sha256 = place.train("whole", SMALL).succeeds().sha256();
    let done = |run: &str| {
        let log = fs::read_to_string(place.path(run).join("events.jsonl")).expect("read");
        assert!(log.contains(&sha256), "{run} went to its end");
    };

    let mut started = place.spawn(&format!("train text.txt --json --out pipe {SMALL}"));
    started.wait_for("start", 0);
    let ended = started.close_stdout();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    done("pipe");

    for (run, out, err) in [("full", "/dev/full", "/dev/full"), ("null", "/dev/null", "/dev/null")] {
        let open = |path: &str| Stdio::from(File::options().write(true).open(path).expect("opened"));
        let line = format!("train text.txt --json --out {run} {SMALL}");
        let status = place.command().args(line.split_whitespace()).stdout(open(out)).stderr(open(err)).status();
        assert_eq!(status.expect("started").code(), Some(0), "{run}");
        done(run);
    }
    let closed = format!("exec \"$0\" train text.txt --json --out closed {SMALL} >&- 2>&-");
    let status = place.shell("sh").args(["-c", &closed, env!("CARGO_BIN_EXE_gatemill")]).status();
    assert_eq!(status.expect("started").code(), Some(0));
    done("closed");

    let mut command = place.command();
    command.args(["sample", "whole", "--length", "1000000000"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("started");
    let mut first = [0_u8; 8];
    let mut out = child.stdout.take().expect("piped");
    std::io::Read::read_exact(&mut out, &mut first).expect("some text");
    drop(out);
    let ended: Ended = child.wait_with_output().expect("ended").into();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.err.is_empty(), "{}", ended.err);

    let full = File::options().write(true).open("/dev/full").expect("opened");
    let output = place.command().args(["sample", "whole"]).stdout(full).stderr(Stdio::piped()).output();
    Ended::from(output.expect("started")).fails(4, &["stdout", "No space left"]);
}

#[test]
fn fault_U03_a_terminal_that_can_do_nothing_gets_plain_lines() {
    let place = with_text();
    let plain = |variables: &[(&str, &str)]| {
        let mut command = place.command();
        command.args(["train", "text.txt", "--out", &format!("run-{}", variables.len())]);
        command.args(SMALL.split_whitespace()).envs(variables.iter().copied()).env_remove("COLUMNS");
        let ended: Ended = command.output().expect("started").into();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert!(ended.out.is_empty(), "without --json and without a sample nothing is for stdout");
        assert!(ended.err.contains("weights  sha256"), "{}", ended.err);
        for control in ['\u{1b}', '\r', '\u{8}'] {
            assert!(!ended.err.contains(control), "{control:?} with {variables:?}: {:?}", ended.err);
        }
    };
    plain(&[]);
    plain(&[("TERM", "dumb")]);
    plain(&[("TERM", ""), ("NO_COLOR", "1")]);
}
