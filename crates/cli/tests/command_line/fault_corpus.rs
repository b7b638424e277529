//! Rows C of the fault catalogue, as they show at the command line.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::symlink;

use crate::place::{Place, SMALL, checkpoints, text};

#[test]
fn fault_C01_an_empty_corpus_is_refused_and_nothing_is_created() {
    let place = Place::new();
    place.write("text.txt", "");
    place.run("train text.txt").fails(3, &["corpus is empty (0 bytes)"]);
    place.run("train text.txt text.txt --vocab bytes --out run").fails(3, &["corpus is empty (0 bytes)"]);
    assert_eq!(place.names(), ["text.txt"]);
}

#[test]
fn fault_C03_a_short_corpus_is_refused_with_what_would_fit() {
    let place = Place::new();
    place.write("text.txt", text(3000));
    let ended = place.run("train text.txt --batch 50 --seq 80 --val-frac 0");
    ended.fails(3, &["symbols", "--batch 50", "--seq 80"]);
    let number = |before: &str| -> usize {
        let rest = ended.err.split(before).nth(2).expect(before).trim_start();
        rest.split(|c: char| !c.is_ascii_digit()).next().expect("digits").parse().expect("a number")
    };
    // What is said to fit fits, and one more does not.
    let (batch, seq) = (number("--batch"), number("--seq"));
    let run = |batch: usize, seq: usize| {
        place.run(&format!("train text.txt --hidden 8 --batch {batch} --seq {seq} --val-frac 0 --steps 1")).code
    };
    assert_eq!((run(batch, 80), run(batch + 1, 80)), (Some(0), Some(3)), "--batch {batch}");
    assert_eq!((run(50, seq), run(50, seq + 1)), (Some(0), Some(3)), "--seq {seq}");
    assert!(!place.path("runs/text-lstm-2x256-1").exists());
}

#[test]
fn fault_C05_invalid_utf8_is_refused_with_its_offset_and_trains_as_bytes() {
    let place = Place::new();
    let mut bytes = text(2000).into_bytes();
    bytes[1234] = 0xe9;
    place.write("text.txt", &bytes);
    place.run(&format!("train text.txt {SMALL}")).fails(3, &["text.txt", "1234"]);
    place.run(&format!("train text.txt {SMALL} --vocab bytes")).succeeds();
    place.write("cut.txt", [text(500).as_bytes(), &[0xe2, 0x98]].concat());
    let offset = fs::metadata(place.path("cut.txt")).expect("there").len() - 2;
    place.run(&format!("train cut.txt {SMALL}")).fails(3, &["cut.txt", &offset.to_string()]);
}

#[test]
fn fault_C09_a_corpus_truncated_in_use_ends_after_a_checkpoint() {
    for io in ["map", "read"] {
        let place = Place::new();
        let whole = text(400_000);
        place.write("text.txt", &whole);
        let flags = "--vocab bytes --layers 1 --hidden 16 --batch 4 --seq 10 --schedule constant --val-frac 0";
        let mut started = place.spawn(&format!("train text.txt --json --out run --io {io} --epochs 1000 {flags}"));
        started.wait_for("step", 20);
        let file = OpenOptions::new().write(true).open(place.path("text.txt")).expect("opened");
        file.set_len(3000).expect("truncated");
        let ended = started.finish();
        ended.fails(4, &["text.txt", "shrank", "3000"]);
        let last = ended.events("step").last().expect("steps")["step"].as_u64().expect("a step");
        let newest = checkpoints(&place.path("run")).pop().expect("a checkpoint");
        assert_eq!(crate::place::step_of(&newest), last, "{io}: the last step is saved");

        // With the shorter text it does not go on; with the text as it was it goes on as if nothing had been.
        place.run("train --resume run").fails(3, &["is not the corpus of this run"]);
        place.write("text.txt", &whole);
        let steps = last + 30;
        let resumed = place.run(&format!("train --resume run --json --steps {steps}")).succeeds();
        let alone = place.run(&format!("train text.txt --json --out alone --steps {steps} {flags}")).succeeds();
        assert_eq!(resumed.sha256(), alone.sha256(), "{io}");
    }
}

#[test]
fn fault_C11_paths_that_cannot_be_read_are_named() {
    let place = Place::new();
    symlink("nowhere", place.path("dangling")).expect("linked");
    symlink("loop", place.path("loop")).expect("linked");
    let before = place.names();
    for (path, words) in [("missing.txt", "No such file"), ("dangling", "No such file"), ("loop", "symbolic links")] {
        place.run(&format!("train {path}")).fails(4, &[path, words]);
        assert_eq!(place.names(), before, "nothing is created");
    }

    // A resumed run whose text is gone leaves its checkpoints alone.
    place.write("text.txt", text(2000));
    place.train("run", SMALL).succeeds();
    let saved: Vec<_> = checkpoints(&place.path("run")).iter().map(|path| fs::read(path).expect("read")).collect();
    fs::remove_file(place.path("text.txt")).expect("removed");
    place.run("train --resume run").fails(4, &["text.txt", "No such file"]);
    let now: Vec<_> = checkpoints(&place.path("run")).iter().map(|path| fs::read(path).expect("read")).collect();
    assert!(now == saved, "the checkpoints are as they were");
}

#[test]
fn fault_C11_another_text_is_not_taken_for_the_runs() {
    let place = Place::new();
    let mine = text(2000);
    place.write("text.txt", &mine);
    let sha256 = place.train("run", SMALL).succeeds().sha256();
    place.write("other.txt", mine.replacen('w', "W", 1));
    place.run("train --resume run other.txt").fails(3, &["other.txt", "text.txt", "fingerprint"]);
    place.write("moved.txt", &mine);
    assert_eq!(place.run("train --resume run moved.txt --json").succeeds().sha256(), sha256);
}
