//! Rows C of the fault catalogue, as they show at the command line.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::symlink;

use crate::place::{Place, SIZES, SMALL, checkpoints, text};

#[test]
fn fault_C01_an_empty_corpus_is_refused_and_nothing_is_created() {
    let place = Place::new();
    place.write("text.txt", "");
    place.run("train text.txt").fails(3, &["corpus is empty (0 bytes)"]);
    place.run("train text.txt text.txt --vocab bytes --out run").fails(3, &["corpus is empty (0 bytes)"]);
    assert_eq!(place.names(), ["text.txt"]);
}

#[test]
fn fault_C02_one_distinct_symbol_trains_and_says_so() {
    let place = Place::new();
    place.write("text.txt", "a".repeat(500));
    let ended = place.train("run", &format!("{SIZES} --epochs 1")).succeeds();
    assert!(ended.err.contains("one distinct symbol"), "{}", ended.err);
    let steps = ended.events("step");
    assert!(!steps.is_empty() && steps.iter().all(|step| step["train_nats"] == 0.0 && step["grad_norm"] == 0.0));
    assert_eq!(ended.events("done")[0]["val_nats"], 0.0);
    assert_eq!(place.run("sample run --length 7").succeeds().out, b"aaaaaaa");
    // A single symbol is not even that.
    place.write("text.txt", "a");
    place.run("train text.txt --batch 1 --seq 1 --val-frac 0 --out one").fails(3, &["1 symbols", "need 2"]);
    assert!(!place.path("one").exists());
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
fn fault_C08_every_symbol_survives_a_saved_vocabulary() {
    // NUL, escape, quotes and backslashes, the last plane, what JSON or a terminal would trip over.
    let odd = "\0\u{1}\u{8}\t\n\r\u{1b}\"'\\/\u{7f}\u{80}\u{2028}\u{202e}\u{feff}\u{fffd}\u{e000}\u{10ffff}";
    let all_bytes: Vec<u8> = (0..=255).collect();
    for (vocab, content) in [("chars", format!("x{odd}").repeat(60).into_bytes()), ("bytes", all_bytes.repeat(9))] {
        let place = Place::new();
        place.write("text.txt", &content);
        let flags = format!("{SIZES} --vocab {vocab} --schedule constant --steps");
        place.train("run", &format!("{flags} 6")).succeeds();
        // Nothing is unseen when the vocabulary has come back from the file, whichever way the text is read.
        let score = place.run("eval run text.txt --json").succeeds().objects();
        assert_eq!(score[0]["unseen"], 0, "{vocab}");
        let written = place.run("sample run --length 400 --temperature 3").succeeds().out;
        let symbols: std::collections::BTreeSet<&[u8]> = written.chunks(1).collect();
        assert!(symbols.len() > 15, "{vocab}: {} different bytes", symbols.len());
        assert_eq!(std::str::from_utf8(&written).is_ok(), vocab == "chars");
        let resumed = place.run("train --resume run --steps 9 --json").succeeds();
        assert_eq!(resumed.sha256(), place.train("alone", &format!("{flags} 9")).succeeds().sha256(), "{vocab}");
    }
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
fn fault_C13_devices_and_endless_files_are_refused() {
    let place = Place::new();
    for (path, words) in [
        ("/dev/zero", "is a device, not seekable"),
        ("/dev/urandom", "is a device, not seekable"),
        ("/proc/self/status", "gives its size as 0 bytes and yet has content"),
    ] {
        for vocab in ["chars", "bytes"] {
            place.run(&format!("train {path} --vocab {vocab} --out run")).fails(3, &[path, words]);
        }
    }
    assert!(place.names().is_empty(), "{:?}", place.names());
}

#[test]
fn fault_C14_a_sparse_tebibyte_trains_at_once() {
    let place = Place::new();
    let file = File::create(place.path("text.txt")).expect("created");
    file.set_len(1 << 40).expect("a sparse file");
    // Three lanes: two of them begin far beyond byte 2^32. The validation text begins at 2^39.
    let flags =
        "--vocab bytes --layers 1 --hidden 5 --batch 3 --seq 7 --val-frac 0.5 --eval-tokens 60 --schedule constant";
    for io in ["map", "read"] {
        let ended = place.train(io, &format!("{flags} --steps 4 --io {io}")).succeeds();
        let start = &ended.events("start")[0];
        assert_eq!((&start["train_symbols"], &start["val_symbols"]), (&(1_u64 << 39).into(), &(1_u64 << 39).into()));
        assert_eq!(start["steps_per_epoch"], ((1_u64 << 39) - 1) / 3 / 7);
        let resumed = place.run(&format!("train --resume {io} --steps 6 --json")).succeeds();
        let alone = place.train(&format!("{io}-alone"), &format!("{flags} --steps 6")).succeeds();
        assert_eq!(resumed.sha256(), alone.sha256());
    }
}

#[test]
fn fault_C15_a_huge_vocabulary_is_weighed_first_and_can_be_saved() {
    let place = Place::new();
    let all: String = ('\0'..=char::MAX).collect();
    place.write("all.txt", &all);
    let before = place.names();
    // 1.1 million symbols in the layers alone: terabytes.
    let ended = place.run("train all.txt --hidden 60000 --batch 1 --seq 1 --out run");
    ended.fails(6, &["needs at least", "this machine has", " MB"]);
    assert_eq!(
        place.names().iter().filter(|name| *name != ".cache").collect::<Vec<_>>(),
        before.iter().collect::<Vec<_>>()
    );

    // All of Unicode fits into a small model, whose vocabulary is then the longest that a file can have.
    let flags = "--cell rnn --optimizer sgd --layers 1 --hidden 1 --batch 1 --seq 1 --val-frac 0 --steps 1";
    let ended = place.run(&format!("train all.txt --json --out small {flags} --sample-every 9")).succeeds();
    assert_eq!(ended.events("start")[0]["vocab"], 1_112_064);
    assert!(!ended.err.contains("cannot save"), "{}", ended.err);
    assert_eq!(place.run("train --resume small --json").succeeds().sha256(), ended.sha256());
}

#[test]
fn fault_C16_a_cache_with_ids_that_are_none_is_an_error_with_its_place() {
    let place = Place::new();
    place.write("text.txt", text(2000).replace('w', "\u{fc}"));
    let sha256 = place.train("whole", SMALL).succeeds().sha256();
    let folder = place.path(".cache/gatemill");
    let cache = fs::read_dir(folder).expect("a cache").next().expect("one file").expect("an entry").path();
    let whole = fs::read(&cache).expect("read");

    // Damage that a checksum finds, an odd length among it, costs nothing but the making of a new cache.
    let mut flipped = whole.clone();
    flipped[500] ^= 0x80;
    for (n, damaged) in [flipped, whole[..whole.len() - 1].to_vec()].iter().enumerate() {
        fs::write(&cache, damaged).expect("written");
        assert_eq!(place.train(&format!("again-{n}"), SMALL).succeeds().sha256(), sha256);
        assert!(fs::read(&cache).expect("read") == whole, "made anew");
    }

    // An id beyond the vocabulary under checksums that are right: refused where it lies, never looked up.
    let mut forged = whole.clone();
    forged[500] = 200;
    let crc = |bytes: &[u8]| {
        let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        let byte = |crc: u32, &byte: &u8| (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc));
        !bytes.iter().fold(!0_u32, byte)
    };
    let body = crc(&forged[96..]);
    forged[24..28].copy_from_slice(&body.to_le_bytes());
    forged[28..32].fill(0);
    let header = crc(&forged[..96]);
    forged[28..32].copy_from_slice(&header.to_le_bytes());
    fs::write(&cache, &forged).expect("written");
    place.run(&format!("train text.txt {SMALL} --out forged")).fails(3, &["token 200", "byte offset 500", "delete it"]);
    assert!(fs::read(&cache).expect("read") == forged, "what it did not make it leaves");
}
