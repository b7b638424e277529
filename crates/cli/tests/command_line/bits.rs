//! The same weights, bit for bit: on any number of threads, on every FMA tier, through any stop, on every machine.

use std::fs;

use serde_json::Value;

use crate::place::{Ended, Place, SMALL, checkpoints, objects, step_of, with_text};

/// Every mechanism at once: layers, dropout, shards, a schedule, evaluation and samples between the steps.
const FLAGS: &str = "--dropout 0.25 --shards 2 --eval-every 7 --sample-every 11";

/// The log without its start, its notices and its times: all that must repeat.
pub(crate) fn story(events: &[Value]) -> Vec<Value> {
    let told = events
        .iter()
        .filter(|event| !["start", "notice", "checkpoint"].contains(&event["event"].as_str().expect("a kind")));
    told.cloned()
        .map(|mut event| {
            let fields = event.as_object_mut().expect("an object");
            for time in ["seconds", "tokens_per_s"] {
                fields.remove(time);
            }
            event
        })
        .collect()
}

pub(crate) fn log(place: &Place, run: &str) -> Vec<Value> {
    objects(&fs::read(place.path(run).join("events.jsonl")).expect("read"))
}

/// Copies a run as it would be had it been stopped right after the checkpoint of `step`, with later events in its log.
pub(crate) fn stopped_at(place: &Place, from: &str, to: &str, step: u64) {
    let folder = place.path(to);
    fs::create_dir_all(folder.join("checkpoints")).expect("created");
    for file in ["events.jsonl", "samples.txt", "config.toml", "best.safetensors"] {
        fs::copy(place.path(from).join(file), folder.join(file)).expect("copied");
    }
    let path = checkpoints(&place.path(from)).into_iter().find(|path| step_of(path) == step).expect("that step");
    fs::copy(&path, folder.join("checkpoints").join(path.file_name().expect("a name"))).expect("copied");
}

#[test]
fn fault_K08_a_stop_at_any_step_and_other_threads_change_nothing() {
    let place = with_text();
    for cell in ["rnn", "lstm", "gru"] {
        let whole = place.train(cell, &format!("{SMALL} {FLAGS} --cell {cell} --threads 1 --save-every 1 --keep all"));
        let sha256 = whole.succeeds().sha256();
        let steps = step_of(checkpoints(&place.path(cell)).last().expect("a checkpoint"));
        for (step, flags) in [
            (0, "--threads 2"),
            (1, "--threads 3 --io read"),
            (7, "--threads 7 --save-every 5"),
            (steps / 2, "--threads 1 --keep all"),
            (steps / 2 + 1, "--threads 2"),
            (steps, "--threads 2"),
        ] {
            let run = format!("{cell}-{step}");
            stopped_at(&place, cell, &run, step);
            let resumed = place.run(&format!("train --resume {run} --json {flags}")).succeeds();
            assert_eq!(resumed.sha256(), sha256, "{run}");
            assert_eq!(story(&log(&place, &run)), story(&log(&place, cell)), "{run}");
            assert_eq!(
                fs::read(place.path(&run).join("samples.txt")).expect("read"),
                fs::read(place.path(cell).join("samples.txt")).expect("read"),
                "{run}"
            );
            let best = |run: &str| place.run(&format!("eval {run} --split val --json")).succeeds().out;
            assert_eq!(best(&run), best(cell), "{run}");
        }
    }
}

#[test]
fn threads_and_the_way_of_reading_change_nothing() {
    let place = with_text();
    for cell in ["rnn", "lstm", "gru"] {
        let sha256 = |flags: &str| {
            let name = format!("{cell}{}", flags.replace(' ', ""));
            place.train(&name, &format!("{SMALL} {FLAGS} --cell {cell} {flags}")).succeeds().sha256()
        };
        let one = sha256("--threads 1");
        for flags in ["--threads 2", "--threads 3 --io read", "--threads 7"] {
            assert_eq!(sha256(flags), one, "{cell} {flags}");
        }
        assert_ne!(sha256("--seed 2"), one, "{cell}: the hash is of something");
    }
}

#[test]
fn a_torn_last_line_of_the_log_is_cut() {
    let place = with_text();
    place.train("whole", &format!("{SMALL} --save-every 10 --keep all")).succeeds();
    stopped_at(&place, "whole", "torn", 20);
    let log_path = place.path("torn/events.jsonl");
    let full = fs::read(&log_path).expect("read");
    fs::write(&log_path, &full[..full.len() - 9]).expect("cut");
    let resumed = place.run("train --resume torn --json").succeeds();
    let notice = resumed.events("notice").iter().any(|notice| notice["text"].as_str().expect("text").contains("torn"));
    assert!(notice, "{}", resumed.err);
    assert_eq!(story(&log(&place, "torn")), story(&log(&place, "whole")));
}

/// Hashes of a short run, by cell and number of shards: they bind machines to each other. A change of them is a change of
/// bits, which the changelog must name; the failing test prints the new list.
const GOLDEN: [(&str, u32, &str); 6] = [
    ("rnn", 1, "91fafab4fb7b82c01a4c6b8d020146b42be8da59945374c52769058149d1066f"),
    ("rnn", 2, "60dae872e15b9bcc6f34e91e0b3d0d9a50f13c622809bcbc852b250c22bb3177"),
    ("lstm", 1, "c6f60703e29379fcb3b80fe84f168d6bff4500c0c80fad0a20bf45ff7e9492bd"),
    ("lstm", 2, "247cbff8e4d6f748f18f485c552af0e5a2cfa3025c8f29a499d6a238c25aff30"),
    ("gru", 1, "efae4a5991543ca9b9028c724ee309a80ea7dc405114b246a908ad2882dadca1"),
    ("gru", 2, "10f65bbf4841daf630dce5dd1bca273b382c6fa803ceea07f26a22424290db1c"),
];

#[test]
fn a_short_run_has_the_committed_hash_on_every_fma_tier() {
    let place = with_text();
    let mut tiers = 0;
    for isa in ["avx512", "avx2"] {
        let hash = |cell: &str, shards: u32| {
            let flags = format!("{SMALL} --cell {cell} --dropout 0.25 --shards {shards}");
            let line = format!("train text.txt --json --out {isa}-{cell}-{shards} {flags}");
            let output = place.command().env("GATEMILL_ISA", isa).args(line.split_whitespace()).output();
            let ended = Ended::from(output.expect("started"));
            if ended.code == Some(6) {
                assert!(ended.err.contains("lacks that tier"), "{}", ended.err);
                return None;
            }
            assert_eq!(ended.events("start")[0]["isa"], isa);
            Some(ended.succeeds().sha256())
        };
        let found: Option<Vec<_>> =
            GOLDEN.iter().map(|&(cell, shards, _)| Some((cell, shards, hash(cell, shards)?))).collect();
        let Some(found) = found else { continue };
        tiers += 1;
        let golden: Vec<_> = GOLDEN.iter().map(|&(cell, shards, hash)| (cell, shards, hash.to_owned())).collect();
        assert_eq!(found, golden, "{isa}: {found:#?}");
    }
    // Without an FMA tier nothing was compared, and that must show.
    assert!(tiers > 0, "this CPU has no FMA tier: the golden hashes cannot be checked here");
}

/// The test's own text is part of the golden hash.
#[test]
fn the_text_of_these_tests_is_the_same_everywhere() {
    let text = fs::read(with_text().path("text.txt")).expect("read");
    let fnv = text
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    assert_eq!((text.len(), fnv), (3001, 8_825_421_387_296_755_768));
}
