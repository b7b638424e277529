//! Rows K of the fault catalogue, as they show at the command line.

use std::fs;

use crate::place::{Ended, SIZES, SMALL, checkpoints, damage, step_of, with_text};

#[test]
fn fault_K03_a_save_that_finds_no_room_leaves_what_was_saved() {
    let place = with_text();
    let flags = format!("{SMALL} --save-every 10 --keep all");
    let sha256 = place.train("whole", &flags).succeeds().sha256();

    // A limit on the length of files stands in for a full disk; the signal that comes with it must not kill the run.
    let limited = |line: &str| -> Ended {
        let script = format!("ulimit -f 8; exec \"$0\" {line}");
        place.shell("sh").args(["-c", &script, env!("CARGO_BIN_EXE_gatemill")]).output().expect("started").into()
    };
    place.train("run", &format!("{flags} --sample-every 100000")).succeeds();
    let old = checkpoints(&place.path("run"));
    for path in old.iter().filter(|path| step_of(path) > 10) {
        fs::remove_file(path).expect("removed");
    }
    // The log is longer than the limit already: it cannot be cut back, and that is an error at the start.
    fs::write(place.path("run/events.jsonl"), "").expect("written");
    let ended = limited("train --resume run --json");
    ended.fails(4, &["cannot save", "bytes are needed"]);
    let warned = ended
        .events("notice")
        .iter()
        .filter(|n| n["text"].as_str().expect("text").contains("training goes on"))
        .count();
    assert!(warned >= 2, "two failures are passed over: {}", ended.err);
    assert!(ended.events("step").iter().any(|step| step["step"] == 40), "the third failure is the end");
    let left: Vec<u64> = checkpoints(&place.path("run")).iter().map(|path| step_of(path)).collect();
    assert_eq!(left, [0, 10], "no temporary, no half file");
    assert_eq!(place.run("train --resume run --json").succeeds().sha256(), sha256);
}

#[test]
fn fault_K06_a_second_process_in_a_folder_is_refused() {
    let place = with_text();
    let mut started = place.spawn(&format!("train text.txt --json --out run {SIZES} --steps 100000000"));
    started.wait_for("checkpoint", 0);
    let pid = format!("in use by pid {}", started.child.id());
    place.run("train --resume run").fails(4, &["run", &pid]);
    place.run("train text.txt --out run").fails(2, &["run holds a run already"]);
    started.child.kill().expect("killed");
    started.finish();
    place.run("train --resume run --schedule constant --steps 5 --override").succeeds();
}

#[test]
fn fault_K07_changed_flags_are_refused_or_recorded() {
    let place = with_text();
    let sha256 = place.train("run", &format!("{SMALL} --save-every 20 --keep all")).succeeds().sha256();
    for path in checkpoints(&place.path("run")).iter().filter(|path| step_of(path) > 20) {
        fs::remove_file(path).expect("removed");
    }
    let log = fs::read(place.path("run/events.jsonl")).expect("read");
    let resume = |flags: &str| place.run(&format!("train --resume run --json {flags}"));
    resume("--hidden 18 --cell gru --batch 7 --override")
        .fails(2, &["--batch 7 (was 6)", "--cell gru (was lstm)", "--hidden 18 (was 17)"]);
    resume("--vocab bytes").fails(2, &["--vocab bytes (was chars)"]);
    resume("--lr 0.001 --dropout 0.5").fails(2, &["--dropout 0.5 (was 0.0)", "--lr 0.001 (was 0.002)"]);
    resume("--shards 3").fails(2, &["--shards 3 (was 1)"]);
    resume("--lr 0").fails(2, &["--lr 0", "positive"]);
    assert_eq!(fs::read(place.path("run/events.jsonl")).expect("read"), log, "a refusal changes nothing");

    let changed = resume("--lr 0.001 --override").succeeds();
    let overrides = changed.events("override");
    assert_eq!(overrides.len(), 1);
    assert_eq!(overrides[0]["flag"], "lr");
    assert_eq!((&overrides[0]["from"], &overrides[0]["to"]), (&0.002.into(), &0.001.into()));
    assert_eq!(overrides[0]["step"], 20);
    assert_ne!(changed.sha256(), sha256);
    assert!(changed.events("step").iter().all(|step| step["lr"].as_f64() <= Some(0.001)));
    let config = fs::read_to_string(place.path("run/config.toml")).expect("read");
    assert!(config.contains("lr = 0.001"), "{config}");

    // Threads and intervals are free, and so are more steps where they move no learning rate.
    resume("--threads 2 --eval-every 3 --sample-every 9 --save-every 7 --keep all --io read").succeeds();
    resume("--epochs 3").fails(2, &["--epochs 3 (was 2)"]);
    place.train("constant", &format!("{SMALL} --schedule constant")).succeeds();
    let longer = place.run("train --resume constant --epochs 3 --json").succeeds();
    let alone = place.train("alone", &format!("{SIZES} --schedule constant --epochs 3")).succeeds();
    assert_eq!(longer.sha256(), alone.sha256());
}

#[test]
fn fault_K08_the_portable_tier_is_outside_the_promise_and_says_so() {
    let place = with_text();
    let portable = |line: &str| -> Ended {
        let mut command = place.command();
        command.env("GATEMILL_ISA", "portable").args(line.split_whitespace());
        command.output().expect("started").into()
    };
    portable(&format!("train text.txt --out run {SMALL} --schedule constant")).succeeds();
    let other = place.run("train --resume run --epochs 3 --json");
    if other.events("start").first().is_some_and(|start| start["isa"] == "portable") {
        // This CPU has no other tier: then nothing changes.
        other.succeeds();
        return;
    }
    other.fails(2, &["isa", "(was portable)"]);
    let changed = place.run("train --resume run --epochs 3 --json --override").succeeds();
    assert_eq!(changed.events("override").iter().filter(|o| o["flag"] == "isa").count(), 1);
    portable("train --resume run").fails(2, &["isa portable"]);
}

#[test]
fn fault_K09_a_damaged_newest_checkpoint_is_passed_over_and_said() {
    let place = with_text();
    let sha256 = place.train("run", &format!("{SMALL} --save-every 30 --keep 3")).succeeds().sha256();
    let newest = checkpoints(&place.path("run")).pop().expect("a checkpoint");
    damage(&newest);
    let name = newest.file_name().and_then(|name| name.to_str()).expect("a name");
    place.run("train --resume run --strict-resume").fails(3, &[name, "checksum"]);
    let resumed = place.run("train --resume run --json").succeeds();
    assert!(resumed.err.contains(name) && resumed.err.contains("passed over"), "{}", resumed.err);
    let notices = resumed.events("notice");
    assert!(notices.iter().any(|notice| notice["text"].as_str().expect("text").contains(name)));
    assert!(!resumed.events("step").is_empty());
    assert_eq!(resumed.sha256(), sha256);
}

#[test]
fn fault_K10_without_a_usable_checkpoint_nothing_is_started() {
    let place = with_text();
    place.train("run", SMALL).succeeds();
    for path in checkpoints(&place.path("run")) {
        damage(&path);
    }
    place.run("train --resume run").fails(3, &["no usable checkpoint", "checksum"]);
    for path in checkpoints(&place.path("run")) {
        fs::remove_file(path).expect("removed");
    }
    place.run("train --resume run").fails(3, &["no checkpoint in run"]);
    fs::create_dir(place.path("empty")).expect("created");
    place.run("train --resume empty").fails(3, &["no checkpoint in empty"]);
    assert_eq!(fs::read_dir(place.path("empty")).expect("listed").count(), 0, "nothing is created in it");
    place.run("train --resume missing").fails(4, &["missing", "No such file"]);
    assert!(!place.path("missing").exists());
}
