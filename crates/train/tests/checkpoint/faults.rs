//! Every call of a save and of a start fails, once or from then on.

use std::sync::Arc;

use gatemill_train::checkpoint::{
    Keep, RunFolder, SaveError, SaveOutcome, SaveStep, Saver, StartError, best_path, newest, replace_file, step_path,
};
use gatemill_train::storage::Storage;
use gatemill_train::storage::simulated::Fault;

use crate::scenario::{History, fresh_disk, holds, run, snapshot, temporaries};

const EIO: i32 = 5;
const EFBIG: i32 = 27;
const ENOSPC: i32 = 28;
const EDQUOT: i32 = 122;

/// Two checkpoints saved and announced.
fn two_saved() -> History {
    let mut history = History::start(Keep::Last(2));
    for step in 1..=2 {
        assert!(matches!(history.save(step), SaveOutcome::Saved(_)));
    }
    history
}

/// Runs `attempt` with each call of the third save failing; returns how many calls that were.
fn at_every_call(os_error: i32, lasting: bool, mut attempt: impl FnMut(&mut History, u64)) -> u64 {
    let calls = {
        let mut history = two_saved();
        let before = history.disk.calls();
        history.save(3);
        history.disk.calls() - before
    };
    for takes_effect in [false, true] {
        for call in 0..calls {
            let mut history = two_saved();
            let at_call = history.disk.calls() + call;
            history.disk.set_fault(Some(Fault { at_call, lasting, os_error, takes_effect }));
            attempt(&mut history, call);
        }
    }
    calls
}

fn one_failure(os_error: i32) {
    let mut skipped = 0;
    let calls = at_every_call(os_error, false, |history, call| {
        match history.save(3) {
            SaveOutcome::Skipped { error, failures: 1 } => {
                skipped += 1;
                let SaveError::Io { source, .. } = &error else { panic!("call {call}: {error}") };
                assert_eq!(source.raw_os_error(), Some(os_error), "call {call}");
                for step in 1..=2 {
                    assert!(
                        holds(&history.disk, &step_path(&run(), step), step),
                        "call {call}: step {step} was touched"
                    );
                }
            }
            // The checkpoint was saved; what failed is removing an old one.
            SaveOutcome::Saved(_) => assert!(holds(&history.disk, &step_path(&run(), 3), 3)),
            other => panic!("call {call}: {other:?}"),
        }
        assert_eq!(temporaries(&history.disk), [] as [&std::path::Path; 0], "call {call}");
        assert!(newest(&history.disk, &run(), true).unwrap().step >= Some(2));

        // Training goes on, and the next interval saves.
        assert!(matches!(history.save(4), SaveOutcome::Saved(_)), "call {call}");
        assert_eq!(newest(&history.disk, &run(), true).unwrap().step, Some(4));
        let whole = (1..=4).filter(|&step| holds(&history.disk, &step_path(&run(), step), step)).count();
        assert!(whole >= 2, "call {call}: {whole} whole");
    });
    assert!(calls >= 10 && skipped >= 2 * 8, "{calls} calls, {skipped} skipped saves");
}

#[test]
fn fault_K03_full_disk_at_every_call() {
    one_failure(ENOSPC);
}

#[test]
fn fault_K03_quota_at_every_call() {
    one_failure(EDQUOT);
}

#[test]
fn fault_K03_file_size_limit_at_every_call() {
    one_failure(EFBIG);
}

#[test]
fn fault_K04_input_output_error_at_every_call() {
    one_failure(EIO);
}

#[test]
fn fault_K03_three_failures_in_a_row_give_up() {
    at_every_call(ENOSPC, true, |history, call| {
        let mut outcomes: Vec<SaveOutcome> = (3..=6).map(|step| history.save(step)).collect();
        let mut kept = 1..=2;
        if matches!(outcomes[0], SaveOutcome::Saved(_)) {
            outcomes.remove(0); // only removing the first one failed so far, or seemed to fail
            kept = 2..=3;
        }
        assert!(matches!(outcomes[0], SaveOutcome::Skipped { failures: 1, .. }), "call {call}: {:?}", outcomes[0]);
        assert!(matches!(outcomes[1], SaveOutcome::Skipped { failures: 2, .. }), "call {call}: {:?}", outcomes[1]);
        assert!(matches!(outcomes[2], SaveOutcome::GiveUp(_)), "call {call}: {:?}", outcomes[2]);
        history.disk.set_fault(None);
        for step in kept {
            assert!(holds(&history.disk, &step_path(&run(), step), step), "call {call}: step {step} was touched");
        }
    });
}

#[test]
fn fault_K03_a_success_starts_the_count_anew() {
    let mut history = two_saved();
    for round in 0..3 {
        let at_call = history.disk.calls();
        history.disk.set_fault(Some(Fault { at_call, lasting: true, os_error: ENOSPC, takes_effect: false }));
        for failures in 1..=2 {
            let outcome = history.save(10 + round);
            assert!(matches!(outcome, SaveOutcome::Skipped { failures: n, .. } if n == failures), "{outcome:?}");
        }
        history.disk.set_fault(None);
        assert!(matches!(history.save(10 + round), SaveOutcome::Saved(_)));
    }
}

#[test]
fn fault_K03_best_model_at_every_call() {
    for takes_effect in [false, true] {
        for call in 0..9 {
            let mut history = two_saved();
            assert!(matches!(history.save_best(1), SaveOutcome::Saved(_)));
            let at_call = history.disk.calls() + call;
            history.disk.set_fault(Some(Fault { at_call, lasting: false, os_error: ENOSPC, takes_effect }));
            let outcome = history.save_best(2);
            assert!(matches!(outcome, SaveOutcome::Skipped { failures: 1, .. }), "call {call}: {outcome:?}");
            let best = best_path(&run());
            assert!(holds(&history.disk, &best, 1) || (call >= 7 && holds(&history.disk, &best, 2)), "call {call}");
            assert_eq!(temporaries(&history.disk), [] as [&std::path::Path; 0]);
        }
    }
}

#[test]
fn fault_K03_the_error_says_what_where_how_much_and_why() {
    let mut history = two_saved();
    history.disk.set_free_bytes(Some(1234));
    let fault = Fault { at_call: history.disk.calls() + 1, lasting: false, os_error: ENOSPC, takes_effect: false };
    history.disk.set_fault(Some(fault));
    let SaveOutcome::Skipped { error, .. } = history.save(3) else { panic!("the write must fail") };
    assert!(matches!(error, SaveError::Io { step: SaveStep::Write, free_bytes: Some(1234), .. }));
    let text = error.to_string();
    let size = crate::scenario::bytes_of(&snapshot(3)).len().to_string();
    for part in
        ["/disk/runs/one/checkpoints/step-000000003.safetensors", "writing", "os error 28", &size, "1234 are free"]
    {
        assert!(text.contains(part), "{part:?} is missing in {text:?}");
    }
}

#[test]
fn fault_K04_a_failed_sync_is_never_repeated() {
    let mut history = two_saved();
    let mut syncs = Vec::new();
    // The calls of a save: create, five writes, sync, rename, sync of the folder.
    for call in [6, 8] {
        let at_call = history.disk.calls() + call;
        history.disk.set_fault(Some(Fault { at_call, lasting: false, os_error: EIO, takes_effect: false }));
        let SaveOutcome::Skipped { error: SaveError::Io { step, .. }, .. } = history.save(3) else {
            panic!("call {call} must fail")
        };
        // After the failed call there is the removal of the temporary at the most.
        assert!(history.disk.calls() - at_call <= 2, "calls went on after the failed sync");
        syncs.push(step);
    }
    assert_eq!(syncs, [SaveStep::Sync, SaveStep::SyncFolder]);
}

#[test]
fn fault_K05_every_call_of_a_start_can_fail() {
    let calls = {
        let disk = fresh_disk();
        let before = disk.calls();
        RunFolder::open(&disk, &run()).unwrap();
        disk.calls() - before
    };
    assert!(calls >= 20, "{calls} calls");
    for takes_effect in [false, true] {
        for call in 0..calls {
            let disk = fresh_disk();
            let at_call = disk.calls() + call;
            disk.set_fault(Some(Fault { at_call, lasting: false, os_error: EIO, takes_effect }));
            let Err(error) = RunFolder::open(&disk, &run()) else { panic!("call {call} failed unseen") };
            assert!(matches!(error, StartError::Io { .. }), "call {call}: {error}");
            assert!(error.to_string().contains("os error 5"), "{error}");
            disk.set_fault(None);
            RunFolder::open(&disk, &run()).unwrap_or_else(|error| panic!("after call {call} failed: {error}"));
            assert_eq!(temporaries(&disk), [] as [&std::path::Path; 0], "call {call}");
        }
    }
}

#[test]
fn fault_K06_second_process_in_one_folder() {
    let disk = fresh_disk();
    let first = RunFolder::open(&disk, &run()).unwrap();
    let Err(error) = RunFolder::open(&disk, &run()) else { panic!("two owners") };
    let text = error.to_string();
    assert!(text.contains(&format!("in use by pid {}", std::process::id())), "{text}");
    drop(first);
    RunFolder::open(&disk, &run()).unwrap();
}

#[test]
fn fault_K01_leftovers_of_a_killed_process_are_removed_and_said() {
    let history = two_saved();
    let left = run().join("checkpoints/.gatemill-tmp-0-step-000000003.safetensors");
    history.disk.create_new(&left).unwrap();
    drop(history.folder);
    let folder = RunFolder::open(&history.disk, &run()).unwrap();
    assert_eq!(folder.notices().len(), 1);
    assert!(folder.notices()[0].to_string().contains("step-000000003"), "{}", folder.notices()[0]);
    assert_eq!(temporaries(&history.disk), [] as [&std::path::Path; 0]);
}

#[test]
fn a_save_that_fails_before_the_rename_leaves_the_old_file_of_its_name_counting() {
    let mut history = two_saved();
    let at_call = history.disk.calls();
    history.disk.set_fault(Some(Fault { at_call, lasting: false, os_error: ENOSPC, takes_effect: false }));
    assert!(matches!(history.save(2), SaveOutcome::Skipped { .. }));
    history.save(3);
    let left: Vec<bool> = (1..=3).map(|step| holds(&history.disk, &step_path(&run(), step), step)).collect();
    assert_eq!(left, [false, true, true]);
}

#[test]
fn a_temporary_that_cannot_be_removed_blocks_nothing() {
    let mut history = two_saved();
    // One of each name that a fresh saver would try first.
    for step in 3..=4 {
        for number in 0..3 {
            let name = format!("checkpoints/.gatemill-tmp-{number}-step-{step:09}.safetensors");
            history.disk.create_new(&run().join(name)).unwrap();
        }
    }
    for step in 3..=4 {
        assert!(matches!(history.save(step), SaveOutcome::Saved(_)));
    }
}

#[test]
fn a_snapshot_without_a_record_is_not_saved() {
    let mut history = two_saved();
    let plain = gatemill_train::checkpoint::Snapshot { meta: None, ..snapshot(3) };
    let mut saver = Saver::new(Arc::new(history.disk.clone()), &run(), Keep::All);
    assert!(matches!(saver.save(3, &plain), SaveOutcome::Skipped { error: SaveError::Form { .. }, .. }));
    assert!(matches!(history.save(3), SaveOutcome::Saved(_)));
}

#[test]
fn other_files_are_replaced_by_the_same_protocol() {
    let history = two_saved();
    let path = run().join("config.toml");
    replace_file(&history.disk, &path, b"old").unwrap();
    for call in 0..5 {
        let at_call = history.disk.calls() + call;
        history.disk.set_fault(Some(Fault { at_call, lasting: false, os_error: ENOSPC, takes_effect: false }));
        replace_file(&history.disk, &path, b"new").unwrap_err();
        let content = history.disk.content(&path).unwrap();
        assert!(content == b"old" || (call == 4 && content == b"new"), "call {call}: {content:?}");
    }
    history.disk.set_fault(None);
    replace_file(&history.disk, &path, b"new").unwrap();
    assert_eq!(history.disk.content(&path).unwrap(), b"new");
    history.disk.append(&path, b"er").unwrap();
    assert_eq!(history.disk.content(&path).unwrap(), b"newer");
}
