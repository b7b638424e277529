//! Rows K of the fault catalogue, as they show at the command line.

use std::fs;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

use crate::place::{Ended, Place, SIZES, SMALL, checkpoints, damage, step_of, text, with_text};

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

/// On a disk of every size, page by page, until a run fits: each save finds no room at another of its writes.
///
/// It needs a mount of its own, so root; where there is none, the simulated disk fails every call (crates/train).
#[test]
fn fault_K03_a_small_disk_at_every_write() {
    const SCRIPT: &str = r#"
        mkdir -p disk && mount -t tmpfs -o size=$(($1 * 4096)) none disk || exit 99
        program=$2; shift 2
        "$program" train text.txt --json --out disk/run "$@" > out 2> err; echo $? > code
        find disk -name '*tmp*' > junk; ls disk/run/checkpoints > saved 2> /dev/null
        mount -o remount,size=64m disk || exit 99
        if grep -q step saved; then "$program" train --resume disk/run --strict-resume --json > again 2> err-again
        else "$program" train text.txt --json --out disk/run "$@" > again 2> err-again; fi
        echo $? > code-again"#;
    let place = with_text();
    let flags = "--cell rnn --layers 1 --hidden 40 --batch 6 --seq 5 --val-frac 0.2 --steps 6 --save-every 2";
    let sha256 = place.train("whole", flags).succeeds().sha256();
    let read = |name: &str| fs::read_to_string(place.path(name)).unwrap_or_default();
    let mut codes = Vec::new();
    for pages in 1.. {
        assert!(pages < 200, "{codes:?}");
        let mut command = place.shell("unshare");
        command.args(["-m", "sh", "-c", SCRIPT, "sh", &pages.to_string(), env!("CARGO_BIN_EXE_gatemill")]);
        let status = command.args(flags.split_whitespace()).output().map(|out| out.status);
        if pages == 1 && !status.as_ref().is_ok_and(|status| status.success()) {
            crate::place::say("fault_K03_a_small_disk_at_every_write: NOT RUN, no mount of its own is to be had here");
            return;
        }
        assert!(status.expect("started").success(), "{pages} pages");
        let first = Ended { code: read("code").trim().parse().ok(), out: read("out").into_bytes(), err: read("err") };
        let again = Ended {
            code: read("code-again").trim().parse().ok(),
            out: read("again").into_bytes(),
            err: read("err-again"),
        };
        assert_eq!(read("junk"), "", "{pages} pages");
        for event in first.events("checkpoint").iter().filter(|event| event["best"] == false).rev().take(2) {
            let name = format!("step-{:09}.safetensors", event["step"].as_u64().expect("a step"));
            assert!(read("saved").contains(&name), "{pages} pages: {name} was announced; there is {}", read("saved"));
        }
        let steps = first.events("step").len();
        codes.push((first.code, steps));
        if first.code == Some(0) {
            assert_eq!((first.sha256(), steps), (sha256.clone(), 6));
        } else {
            first.fails(4, &["os error 28"]);
        }
        // A run that made steps without a single checkpoint is still a run; all others go on or begin again.
        if again.code == Some(2) {
            assert!(steps > 0 && !read("saved").contains("step"), "{pages} pages: {again:?}");
        } else {
            assert_eq!(again.succeeds().sha256(), sha256, "{pages} pages");
        }
        if first.code == Some(0) && !first.err.contains("cannot") {
            break;
        }
    }
    // It was refused at the start, it gave up in the middle, and it came through.
    for steps in [0, 4, 6] {
        assert!(codes.iter().any(|&(_, s)| s == steps), "{steps}: {codes:?}");
    }
    assert!(codes.len() > 8, "{codes:?}");
}

#[test]
fn fault_K05_a_folder_that_cannot_be_written_is_found_at_the_start() {
    // As root everything can be written: the command then runs as nobody, from a copy that nobody can start.
    let place = with_text();
    let program = place.path("program");
    fs::copy(env!("CARGO_BIN_EXE_gatemill"), &program).expect("copied");
    fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o755)).expect("opened to all");
    fs::create_dir(place.path("mine")).expect("created");
    fs::set_permissions(place.path("mine"), fs::Permissions::from_mode(0o555)).expect("closed");
    place.train("run", SMALL).succeeds();
    let before = fs::read(place.path("run/events.jsonl")).expect("read");
    let closed = fs::File::create(place.path("mine/probe")).is_err();
    let _ = fs::remove_file(place.path("mine/probe"));
    if closed {
        fs::set_permissions(place.path("run"), fs::Permissions::from_mode(0o555)).expect("closed");
    }
    let run = |line: &str| -> Ended {
        let mut command = place.shell(&program);
        if !closed {
            command.uid(65_534).gid(65_534);
        }
        command.args(line.split_whitespace()).output().expect("started").into()
    };
    for folder in ["mine", "mine/run", "mine/a/b"] {
        let ended = run(&format!("train text.txt --json --out {folder} {SMALL}"));
        ended.fails(4, &["mine", "Permission denied", "checkpoints could not be saved"]);
        assert!(ended.events("step").is_empty(), "found before the first step");
    }
    run("train --resume run").fails(4, &["run", "Permission denied"]);
    place.run(&format!("train text.txt --out text.txt {SMALL}")).fails(4, &["text.txt"]);
    place.run(&format!("train text.txt --out text.txt/run {SMALL}")).fails(4, &["text.txt"]);
    assert_eq!(fs::read_dir(place.path("mine")).expect("listed").count(), 0);
    assert_eq!(fs::read(place.path("run/events.jsonl")).expect("read"), before);
    assert_eq!(fs::read_to_string(place.path("text.txt")).expect("read"), text(3000));
    if closed {
        fs::set_permissions(place.path("run"), fs::Permissions::from_mode(0o755)).expect("opened");
    }
}

/// A start that was killed before its first checkpoint leaves no run; a user's own files are never written over.
#[test]
fn fault_K01_a_killed_start_does_not_block_its_folder() {
    let place = with_text();
    let sha256 = place.train("whole", SMALL).succeeds().sha256();
    fs::create_dir_all(place.path("run/checkpoints")).expect("created");
    place.write("run/checkpoints/.gatemill-tmp-0-step-000000000.safetensors", "half");
    fs::copy(place.path("whole/config.toml"), place.path("run/config.toml")).expect("copied");
    let log = fs::read_to_string(place.path("whole/events.jsonl")).expect("read");
    let start = log.lines().next().expect("a line");
    place.write("run/events.jsonl", format!("{start}\n{{\"event\":\"no"));
    place.run("train --resume run").fails(3, &["no checkpoint in run"]);
    assert_eq!(place.train("run", SMALL).succeeds().sha256(), sha256);
    let told = crate::place::objects(&fs::read(place.path("run/events.jsonl")).expect("read"));
    assert_eq!(told.iter().filter(|event| event["event"] == "done").count(), 1);

    let mine = Place::new();
    mine.write("text.txt", text(3000));
    fs::create_dir(mine.path("notes")).expect("created");
    mine.write("notes/config.toml", "hidden = 3\n");
    mine.run(&format!("train text.txt --out notes {SMALL}")).fails(2, &["holds a run already"]);
    assert_eq!(fs::read_to_string(mine.path("notes/config.toml")).expect("read"), "hidden = 3\n");
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

#[test]
fn fault_K11_another_corpus_or_vocabulary_is_not_taken_for_the_runs() {
    let place = with_text();
    let mine = text(3000);
    let sha256 = place.train("run", SMALL).succeeds().sha256();
    place.write("other.txt", mine.replacen('w', "W", 1));
    place.write("longer.txt", format!("{mine}?"));
    let left = |run: &str| -> Vec<_> {
        let saved = checkpoints(&place.path(run)).into_iter().map(|path| fs::read(path).expect("read"));
        saved.chain([fs::read(place.path(run).join("events.jsonl")).expect("read")]).collect()
    };
    let before = left("run");
    for other in ["other.txt", "longer.txt"] {
        place.run(&format!("train --resume run {other}")).fails(3, &[other, "text.txt", "fingerprint"]);
        // --override is for flags: a run that goes on with another text would be another run.
        place.run(&format!("train --resume run {other} --override")).fails(3, &[other, "fingerprint"]);
        assert!(left("run") == before, "a refusal changes nothing");
    }
    place.write("moved.txt", &mine);
    assert_eq!(place.run("train --resume run moved.txt --json").succeeds().sha256(), sha256);
}
