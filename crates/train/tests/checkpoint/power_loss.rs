//! Kills and power losses at every change of the disk, on the simulated disk.

use std::path::Path;

use gatemill_train::checkpoint::{Keep, SaveOutcome, checkpoints_folder, step_path};
use gatemill_train::storage::simulated::Fault;
use gatemill_train::storage::{SimulatedDisk, Storage};

use crate::scenario::{History, bytes_of, check_newest, fresh_disk, run, snapshot};

const EIO: i32 = 5;

/// Four checkpoints and two best models; the third checkpoint is the first to push one out.
fn history() -> History {
    let mut history = History::start(Keep::Last(2));
    for step in 1..=4 {
        assert!(matches!(history.save(step), SaveOutcome::Saved(_)));
        if step % 2 == 0 {
            assert!(matches!(history.save_best(step), SaveOutcome::Saved(_)));
        }
    }
    history
}

#[test]
fn fault_K01_kill_at_every_change() {
    let history = history();
    for changes in 0..=history.disk.changes() {
        for halfway in [false, true] {
            let disk = history.disk.after_kill(changes, halfway);
            if let Err(wrong) = history.check(&disk, changes) {
                panic!("killed after change {changes} (halfway: {halfway}): {wrong}");
            }
        }
    }
}

#[test]
fn fault_K02_power_loss_states() {
    let history = history();
    let mut states = 0;
    for changes in 0..=history.disk.changes() {
        history.disk.after_power_loss(changes, 150, 1, &mut |what, disk| {
            states += 1;
            if let Err(wrong) = history.check(disk, changes) {
                panic!("{what}: {wrong}");
            }
        });
    }
    println!("{states} power-loss states");
    assert!(states >= 10_000, "only {states} states were tried");
}

/// A save fails at each of its calls, with and without effect; later saves succeed; then the power goes. What a failed
/// sync left behind must not be relied on, although reading it back looks fine.
#[test]
fn fault_K04_power_loss_after_a_failed_call() {
    let mut states = 0;
    let mut failed_calls = 0;
    for takes_effect in [false, true] {
        for call in 0.. {
            let mut history = History::start(Keep::Last(2));
            for step in 1..=2 {
                history.save(step);
            }
            let before = history.disk.changes();
            let at_call = history.disk.calls() + call;
            history.disk.set_fault(Some(Fault { at_call, lasting: false, os_error: EIO, takes_effect }));
            let outcome = history.save(3);
            if history.disk.calls() <= at_call {
                break; // the save has no more calls
            }
            failed_calls += 1;
            history.disk.set_fault(None);
            assert!(matches!(outcome, SaveOutcome::Saved(_) | SaveOutcome::Skipped { failures: 1, .. }), "{outcome:?}");
            assert!(matches!(history.save(4), SaveOutcome::Saved(_)));
            for changes in before..=history.disk.changes() {
                history.disk.after_power_loss(changes, 6, call, &mut |what, disk| {
                    states += 1;
                    if let Err(wrong) = history.check(disk, changes) {
                        panic!("call {call} failed (effect: {takes_effect}); {what}: {wrong}");
                    }
                });
            }
        }
    }
    println!("{failed_calls} failed calls, {states} power-loss states");
    assert!(failed_calls >= 20 && states >= 5_000, "{failed_calls} calls, {states} states");
}

/// Saves as a careless program would; the simulated disk must find each omission.
fn careless(sync_file: bool, sync_folder: bool, in_place: bool) -> bool {
    let disk = fresh_disk();
    gatemill_train::checkpoint::RunFolder::open(&disk, &run()).unwrap();
    let folder = checkpoints_folder(&run());
    let mut announced = Vec::new();
    for step in 1..=2 {
        let path = step_path(&run(), step);
        let temporary = if in_place { path.clone() } else { folder.join(".gatemill-tmp-0") };
        let mut file = disk.create_new(&temporary).unwrap();
        for part in bytes_of(&snapshot(step)).chunks(700) {
            file.write_all(part).unwrap();
        }
        if sync_file {
            file.sync().unwrap();
        }
        if !in_place {
            disk.rename(&temporary, &path).unwrap();
        }
        if sync_folder {
            disk.sync_folder(&folder).unwrap();
        }
        announced.push(step);
        if step > 1 {
            disk.remove(&step_path(&run(), step - 1)).unwrap();
        }
    }
    survives(&disk, &announced)
}

fn survives(disk: &SimulatedDisk, announced: &[u64]) -> bool {
    let mut violations = 0;
    disk.after_power_loss(disk.changes(), 50, 3, &mut |_, disk| {
        violations += usize::from(check_newest(disk, announced, announced).is_err());
    });
    violations == 0
}

#[test]
fn the_simulated_disk_finds_each_missing_sync() {
    assert!(careless(true, true, false), "the full protocol must pass");
    assert!(!careless(false, true, false), "a missing sync of the file must be found");
    assert!(!careless(true, false, false), "a missing sync of the folder must be found");
    assert!(!careless(false, false, true), "writing in place must be found");
}

#[test]
fn the_simulated_disk_tears_writes_and_forgets_unsynced_names() {
    let disk = fresh_disk();
    let path = Path::new("/disk/file");
    let mut file = disk.create_new(path).unwrap();
    file.write_all(&[7; 8192]).unwrap();
    disk.sync_folder(Path::new("/disk")).unwrap();
    let mut contents = std::collections::BTreeSet::new();
    disk.after_power_loss(disk.changes(), 200, 5, &mut |_, disk| {
        contents.insert(disk.content(path).expect("its name was synced"));
    });
    assert!(contents.contains(&vec![]) && contents.contains(&vec![7; 8192]));
    assert!(contents.iter().any(|content| content.contains(&7) && content.contains(&0)), "no torn write was shown");
    assert!(contents.len() > 20, "only {} contents", contents.len());

    file.sync().unwrap();
    disk.after_power_loss(disk.changes(), 10, 5, &mut |_, disk| {
        assert_eq!(disk.content(path), Some(vec![7; 8192]));
    });
}
