//! Signals and sudden ends: what was announced is there, and going on ends with the weights of a run left alone.

use std::fs::{self, File};
use std::thread::sleep;
use std::time::Duration;

use crate::place::{Place, SIZES, checkpoints, step_of, text, with_text};

/// Steps enough that a signal finds the run at work: some hundred milliseconds.
const LONG: &str =
    "--layers 2 --hidden 32 --batch 6 --seq 20 --steps 1500 --save-every 25 --eval-every 40 --val-frac 0.1 --keep 3";

#[test]
fn fault_K01_killed_at_random_moments_it_ends_with_the_same_weights() {
    let place = with_text();
    let sha256 = place.train("whole", LONG).succeeds().sha256();

    let mut started = place.spawn(&format!("train text.txt --json --out run {LONG}"));
    started.wait_for("checkpoint", 0);
    let mut kills = 0;
    // The moments are the machine's; the delays only spread them.
    for delay in [5, 40, 1, 90, 17, 63, 30, 8] {
        sleep(Duration::from_millis(delay));
        started.child.kill().expect("killed");
        let ended = started.finish();
        kills += u32::from(ended.code.is_none());
        let announced =
            ended.events("checkpoint").iter().filter(|c| c["best"] == false).filter_map(|c| c["step"].as_u64()).max();
        let found = checkpoints(&place.path("run")).iter().map(|p| step_of(p)).max();
        assert!(found >= announced, "step {announced:?} was announced, {found:?} is there");
        started = place.spawn("train --resume run --json --threads 1");
        started.wait_for("start", 0);
    }
    assert!(kills >= 4, "the run was over before it could be killed: make it longer");
    let ended = started.finish().succeeds();
    assert_eq!(ended.sha256(), sha256);
    let left = fs::read_dir(place.path("run/checkpoints")).expect("listed").count();
    assert_eq!(left, 3, "no junk stays");
}

/// 1,000 kills, or `GATEMILL_KILLS`, at moments of 0 to 300 ms after the start, of run after run.
#[test]
#[ignore = "long form: cargo xtask torture"]
fn fault_K01_a_thousand_random_kills() {
    let wanted: u32 = std::env::var("GATEMILL_KILLS").map_or(1000, |kills| kills.parse().expect("a number of kills"));
    let place = with_text();
    let sha256 = place.train("whole", LONG).succeeds().sha256();
    let (mut kills, mut ended, mut state) = (0, 0, 1_u64);
    while kills < wanted {
        let run = format!("run-{ended}");
        let start = format!("train text.txt --json --out {run} {LONG}");
        let mut last = None;
        for starts in 0.. {
            assert!(starts < 10_000, "{run} gets nowhere");
            // A start that was killed before its first checkpoint begins anew.
            let saved = place.path(&run).join("checkpoints").is_dir() && !checkpoints(&place.path(&run)).is_empty();
            let resume = format!("train --resume {run} --json --strict-resume --threads {}", 1 + starts % 3);
            let mut started = place.spawn(if saved { &resume } else { &start });
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            sleep(Duration::from_micros((state >> 33) % 300_000));
            let _ = started.child.kill();
            let outcome = started.finish();
            let announced = outcome.events("checkpoint").into_iter().filter(|event| event["best"] == false);
            last = announced.filter_map(|event| event["step"].as_u64()).max().or(last);
            let folder = place.path(&run);
            let found = if folder.join("checkpoints").is_dir() { checkpoints(&folder) } else { Vec::new() };
            let found = found.iter().map(|path| step_of(path)).max();
            assert!(found >= last, "{run}: step {last:?} was announced, {found:?} is there");
            if outcome.code.is_some() {
                assert_eq!(outcome.succeeds().sha256(), sha256, "{run}");
                break;
            }
            kills += 1;
        }
        fs::remove_dir_all(place.path(&run)).expect("removed");
        ended += 1;
    }
    println!("{kills} kills of {ended} runs");
}

#[test]
fn fault_U02_a_signal_saves_and_leaves_with_its_code() {
    let place = with_text();
    let sha256 = place.train("whole", LONG).succeeds().sha256();
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 143)] {
        let mut started = place.spawn(&format!("train text.txt --json --out {signal} {LONG}"));
        started.wait_for("step", 30);
        started.signal(signal);
        let ended = started.finish();
        assert_eq!(ended.code, Some(code), "{}", ended.err);
        let last = ended.events("step").last().expect("steps")["step"].clone();
        assert_eq!(ended.events("stopped")[0]["step"], last);
        assert_eq!(ended.events("stopped")[0]["signal"], format!("SIG{signal}"));
        let newest = checkpoints(&place.path(signal)).pop().expect("a checkpoint");
        assert_eq!(Some(step_of(&newest)), last.as_u64(), "the last step is saved");
        assert!(ended.err.contains(&format!("train --resume {signal}")), "{}", ended.err);
        assert_eq!(place.run(&format!("train --resume {signal} --json")).succeeds().sha256(), sha256, "{signal}");
    }
}

#[test]
fn fault_U02_a_second_interrupt_leaves_at_once() {
    let place = Place::new();
    // After the first step it evaluates 200 million bytes (a hole in the file system), far longer than this test waits.
    let file = File::create(place.path("text.txt")).expect("created");
    file.set_len(220_000_000).expect("a sparse file");
    let flags = "--vocab bytes --layers 1 --hidden 32 --batch 4 --seq 10 --val-frac 0.99 --eval-tokens 200000000";
    let mut started = place.spawn(&format!("train text.txt --json --out run --eval-every 1 --steps 5 {flags}"));
    started.wait_for("step", 1);
    // Between the step and its evaluation it would leave at the first signal.
    sleep(Duration::from_millis(500));
    started.signal("INT");
    sleep(Duration::from_millis(300));
    assert!(started.child.try_wait().expect("asked").is_none(), "it finishes what it does");
    started.signal("INT");
    let ended = started.finish();
    assert_eq!(ended.code, Some(130), "{}", ended.err);
    assert!(ended.events("stopped").is_empty() && ended.events("eval").is_empty(), "it left at once");
    let found: Vec<u64> = checkpoints(&place.path("run")).iter().map(|path| step_of(path)).collect();
    assert_eq!(found, [0], "what was saved is whole");
}

#[test]
fn a_stop_before_an_epochs_end_is_told_does_not_lose_its_score() {
    // Evaluation and the rest of what is due after a step are done on resuming, before the next step.
    let place = Place::new();
    place.write("text.txt", text(400));
    let flags = format!("{SIZES} --steps 3000 --schedule constant --sample-every 100000 --eval-every 1");
    let mut started = place.spawn(&format!("train text.txt --json --out run {flags}"));
    started.wait_for("step", 20);
    started.signal("TERM");
    let first = started.finish();
    assert_eq!(first.code, Some(143));
    let last = first.events("step").last().expect("steps")["step"].as_u64().expect("a step");
    place.run(&format!("train --resume run --steps {}", last + 2)).succeeds();
    let log = crate::place::objects(&fs::read(place.path("run/events.jsonl")).expect("read"));
    let of = |kind: &str| -> Vec<u64> {
        log.iter().filter(|event| event["event"] == kind).map(|event| event["step"].as_u64().expect("a step")).collect()
    };
    assert_eq!(of("step"), (1..=last + 2).collect::<Vec<_>>());
    assert_eq!(of("eval"), of("step"), "each step is scored once");
}
