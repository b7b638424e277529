//! Which file is loaded, and what is said where it is not the newest or not the best.

use std::path::Path;

use gatemill_train::checkpoint::{
    FormError, Keep, LoadError, Notice, ReadError, RunFolder, SaveOutcome, Snapshot, best_path, form, load_model,
    newest, replace_file, step_path,
};
use gatemill_train::storage::simulated::{Fault, SimulatedDisk};

use crate::scenario::{History, bytes_of, fresh_disk, holds, run, snapshot, tensor};

fn saved(steps: std::ops::RangeInclusive<u64>) -> History {
    let mut history = History::start(Keep::All);
    for step in steps {
        assert!(matches!(history.save(step), SaveOutcome::Saved(_)));
    }
    history
}

/// Ways in which a file goes bad.
fn spoil(disk: &SimulatedDisk, path: &Path, way: usize) {
    let mut bytes = disk.content(path).unwrap();
    match way {
        0 => bytes.clear(),
        1 => bytes.truncate(bytes.len() / 2),
        2 => *bytes.last_mut().unwrap() ^= 1,
        3 => bytes.fill(0),
        4 => bytes[40] ^= 0x20,
        _ => bytes = bytes_of(&Snapshot { meta: None, ..snapshot(9) }),
    }
    disk.corrupt(path, bytes);
}

#[test]
fn fault_K09_a_corrupt_newest_is_passed_over_and_said() {
    for way in 0..6 {
        let disk = saved(1..=3).disk;
        let path = step_path(&run(), 3);
        spoil(&disk, &path, way);
        let loaded = newest(&disk, &run(), false).unwrap();
        assert_eq!((loaded.step, &loaded.path), (Some(2), &step_path(&run(), 2)));
        assert_eq!(loaded.snapshot, snapshot(2));
        let [notice @ Notice::FellBack { passed_over, reason, taken }] = loaded.notices.as_slice() else {
            panic!("{:?}", loaded.notices)
        };
        assert_eq!((passed_over, taken), (&path, &loaded.path));
        assert!(!reason.is_empty() && notice.to_string().contains("step-000000003"), "{notice}");

        let strict = newest(&disk, &run(), true).unwrap_err();
        assert!(matches!(strict, LoadError::NewestUnusable { .. }), "{strict}");
        assert_eq!(strict.exit_code(), 3);
    }
}

#[test]
fn fault_K09_an_unreadable_newest_is_passed_over_too() {
    let disk = saved(1..=2).disk;
    let at_call = disk.calls() + 1; // the list, then the newest
    disk.set_fault(Some(Fault { at_call, lasting: false, os_error: 5, takes_effect: false }));
    let loaded = newest(&disk, &run(), false).unwrap();
    assert_eq!(loaded.step, Some(1));
    assert!(loaded.notices[0].to_string().contains("os error 5"), "{}", loaded.notices[0]);
}

#[test]
fn fault_K09_good_ones_stay_although_newer_corrupt_ones_have_their_names() {
    let mut history = History::start(Keep::Last(2));
    for step in 1..=2 {
        history.save(step);
    }
    // A new process, which has seen neither file; the newer one has rotted.
    spoil(&history.disk, &step_path(&run(), 2), 2);
    history.saver =
        gatemill_train::checkpoint::Saver::new(std::sync::Arc::new(history.disk.clone()), &run(), Keep::Last(2));
    history.save(3);
    assert!(holds(&history.disk, &step_path(&run(), 1), 1), "one good checkpoint is not enough");
    history.save(4);
    let left: Vec<u64> = (1..=4).filter(|&step| history.disk.content(&step_path(&run(), step)).is_some()).collect();
    assert_eq!(left, [3, 4]);
}

#[test]
fn fault_K10_all_corrupt_or_none() {
    let disk = saved(1..=3).disk;
    for step in 1..=3 {
        spoil(&disk, &step_path(&run(), step), step as usize);
    }
    let error = newest(&disk, &run(), false).unwrap_err();
    assert!(matches!(&error, LoadError::AllUnusable { failures, .. } if failures.len() == 3), "{error}");
    assert_eq!(error.exit_code(), 3);
    for step in 1..=3 {
        assert!(error.to_string().contains(&format!("step-00000000{step}")), "{error}");
    }

    let disk = fresh_disk();
    RunFolder::open(&disk, &run()).unwrap();
    for strict in [false, true] {
        let error = newest(&disk, &run(), strict).unwrap_err();
        assert!(matches!(error, LoadError::None { .. }), "{error}");
        assert_eq!(error.exit_code(), 3);
    }
    let error = newest(&disk, Path::new("/disk/elsewhere"), false).unwrap_err();
    assert!(matches!(error, LoadError::Io { .. }), "{error}");
    assert_eq!(error.exit_code(), 4);
}

#[test]
fn fault_K12_the_highest_step_is_the_newest() {
    let mut history = History::start(Keep::All);
    let beyond = u64::from(u32::MAX) + 7;
    for step in [beyond, 999_999_999, 3] {
        history.save(step);
    }
    assert_eq!(newest(&history.disk, &run(), true).unwrap().step, Some(beyond));
}

#[test]
fn old_ones_go_only_as_keep_says() {
    for (keep, left) in [(Keep::All, 6), (Keep::Last(0), 2), (Keep::Last(2), 2), (Keep::Last(4), 4)] {
        let mut history = History::start(keep);
        for step in 1..=6 {
            history.save(step);
        }
        let names = (1..=6).filter(|&step| holds(&history.disk, &step_path(&run(), step), step)).count();
        assert_eq!(names, left, "{keep:?}");
    }
    assert_eq!("all".parse(), Ok(Keep::All));
    assert_eq!("7".parse(), Ok(Keep::Last(7)));
    for text in ["0", "1", "-2", "two", "", "2.0", "99999999999999999999"] {
        assert!(text.parse::<Keep>().is_err(), "{text}");
    }
}

#[test]
fn a_run_folder_stands_for_its_best_else_its_newest() {
    let mut history = saved(1..=3);
    let disk = history.disk.clone();
    assert_eq!(load_model(&disk, &run(), false).unwrap().step, Some(3));
    history.save_best(2);
    let loaded = load_model(&disk, &run(), false).unwrap();
    assert_eq!((&loaded.path, loaded.step), (&best_path(&run()), None));
    assert_eq!(loaded.snapshot, snapshot(2));
    assert_eq!(load_model(&disk, &step_path(&run(), 1), false).unwrap().snapshot, snapshot(1));

    spoil(&disk, &best_path(&run()), 2);
    let loaded = load_model(&disk, &run(), false).unwrap();
    assert_eq!(loaded.step, Some(3));
    assert!(matches!(&loaded.notices[0], Notice::FellBack { passed_over, .. } if *passed_over == best_path(&run())));

    for step in 1..=3 {
        spoil(&disk, &step_path(&run(), step), 2);
    }
    let error = load_model(&disk, &run(), false).unwrap_err();
    assert!(matches!(&error, LoadError::AllUnusable { failures, .. } if failures.len() == 4), "{error}");
    let error = load_model(&disk, Path::new("/disk/nothing"), false).unwrap_err();
    assert_eq!(error.exit_code(), 4);
}

#[test]
fn fault_M08_nonfinite_weights_are_refused_unless_allowed() {
    let disk = fresh_disk();
    let path = Path::new("/disk/model.safetensors");
    let mut model = snapshot(1);
    model.tensors[0].data[5] = f32::NAN;
    model.tensors[1].data[0] = 1e-40;
    replace_file(&disk, path, &bytes_of(&model)).unwrap();
    let error = load_model(&disk, path, false).unwrap_err();
    assert!(matches!(error, LoadError::File(ReadError::NonFinite { .. })), "{error}");
    assert!(error.to_string().contains("\"rnn.weight_ih_l0\" (1)"), "{error}");
    assert_eq!(error.exit_code(), 3);
    let loaded = load_model(&disk, path, true).unwrap();
    assert!(matches!(&loaded.notices[..], [Notice::NonFinite { count: 1, .. }, Notice::Denormal { count: 1, .. }]));

    // Not a weight: no concern of one who loads the model.
    let mut state = snapshot(1);
    state.tensors[3] = tensor("state.best", &[1], 0);
    state.tensors[3].data[0] = f32::INFINITY;
    replace_file(&disk, path, &bytes_of(&state)).unwrap();
    assert_eq!(load_model(&disk, path, false).unwrap().notices, []);

    // The same for the newest checkpoint of a run folder.
    let history = saved(1..=1);
    history.disk.corrupt(&step_path(&run(), 1), bytes_of(&model));
    let error = load_model(&history.disk, &run(), false).unwrap_err();
    assert!(matches!(error, LoadError::File(ReadError::NonFinite { .. })), "{error}");
    load_model(&history.disk, &run(), true).unwrap();
}

#[test]
fn fault_M16_weights_without_checksums_load_with_a_warning() {
    let disk = fresh_disk();
    let path = Path::new("/disk/torch.safetensors");
    let plain = Snapshot { meta: None, ..snapshot(1) };
    replace_file(&disk, path, &form::encode(&plain).unwrap()).unwrap();
    let loaded = load_model(&disk, path, false).unwrap();
    assert_eq!(loaded.snapshot, plain);
    assert!(matches!(&loaded.notices[..], [Notice::NoChecksums { .. }]));

    // As a checkpoint they are not enough.
    let history = saved(1..=1);
    history.disk.corrupt(&step_path(&run(), 1), form::encode(&plain).unwrap());
    let error = newest(&history.disk, &run(), true).unwrap_err();
    let LoadError::NewestUnusable { source: ReadError::Form { source: FormError::NoRecord, .. } } = error else {
        panic!("{error}")
    };
}
