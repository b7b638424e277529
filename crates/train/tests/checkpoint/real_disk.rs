//! The same on the disk of this machine: locks, a real kill, a real limit on file sizes, devices and pipes.
//!
//! Where a second process is needed, this test program is started again with one of the `child_` tests.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use gatemill_train::checkpoint::{
    Keep, RunFolder, SaveError, SaveOutcome, Saver, StartError, checkpoints_folder, load_model, newest, step_path,
};
use gatemill_train::storage::{RealStorage, Storage};

use crate::scenario::{bytes_of, snapshot, tensor};

const FOLDER: &str = "GATEMILL_TEST_RUN_FOLDER";

fn this_program(test: &str) -> Vec<String> {
    let program = std::env::current_exe().unwrap().to_str().unwrap().to_owned();
    let name = format!("real_disk::{test}");
    vec![program, "--exact".into(), name, "--ignored".into(), "--nocapture".into(), "--test-threads=1".into()]
}

fn start(test: &str, run: &Path) -> Child {
    let words = this_program(test);
    Command::new(&words[0]).args(&words[1..]).env(FOLDER, run).stdout(Stdio::piped()).spawn().unwrap()
}

/// The child's next line that begins with `word`, without it.
fn next_word(lines: &mut impl BufRead, word: &str) -> Option<String> {
    let mut line = String::new();
    while lines.read_line(&mut line).unwrap() > 0 {
        if let Some((_, rest)) = line.split_once(word) {
            return Some(rest.trim().to_owned());
        }
        line.clear();
    }
    None
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

fn temporaries(folder: &Path) -> usize {
    std::fs::read_dir(folder)
        .unwrap()
        .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().contains("tmp"))
        .count()
}

#[test]
#[ignore = "started by the other tests as a second process"]
fn child_saves_until_it_is_killed() {
    let Ok(run) = std::env::var(FOLDER) else { return };
    let run = Path::new(&run);
    let _folder = RunFolder::open(&RealStorage, run).unwrap();
    let mut saver = Saver::new(Arc::new(RealStorage), run, Keep::Last(2));
    let first = newest(&RealStorage, run, false).map_or(0, |loaded| loaded.step.unwrap());
    say("started");
    for step in first + 1.. {
        let SaveOutcome::Saved(saved) = saver.save(step, &snapshot(step)) else { panic!("a save failed") };
        say(&format!("announced {step}"));
        saver.announced(&saved);
    }
}

#[test]
fn fault_K01_killed_processes_leave_what_they_announced() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut last = 0;
    for round in 0..8 {
        let mut child = start("child_saves_until_it_is_killed", &run);
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        // No clean-up in between: the child starts on what its forerunner left.
        for _ in 0..1 + round % 3 {
            last = next_word(&mut lines, "announced ").expect("the child ended by itself").parse().unwrap();
        }
        std::thread::sleep(std::time::Duration::from_micros(700 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        while let Some(step) = next_word(&mut lines, "announced ") {
            last = step.parse().unwrap();
        }
        let loaded = newest(&RealStorage, &run, true).unwrap();
        let step = loaded.step.unwrap();
        assert!(step >= last, "step {last} was announced, step {step} was loaded");
        assert_eq!(loaded.snapshot, snapshot(step));
    }
    assert!(last >= 8);
}

#[test]
fn fault_K06_a_second_process_is_told_and_a_killed_owner_does_not_block() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut child = start("child_saves_until_it_is_killed", &run);
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    next_word(&mut lines, "started").expect("the child ended by itself");
    let Err(error) = RunFolder::open(&RealStorage, &run) else { panic!("two processes in one folder") };
    assert!(matches!(error, StartError::InUse { .. }), "{error}");
    assert!(error.to_string().contains(&format!("in use by pid {}:", child.id())), "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
    let mine = RunFolder::open(&RealStorage, &run).unwrap();
    assert_eq!(temporaries(&checkpoints_folder(&run)), 0);
    let text = std::fs::read_to_string(run.join(".lock")).unwrap();
    assert_eq!(text.trim(), std::process::id().to_string());
    assert!(matches!(RunFolder::open(&RealStorage, &run), Err(StartError::InUse { .. })));
    drop(mine);
    RunFolder::open(&RealStorage, &run).unwrap();
}

#[test]
#[ignore = "started by the other tests as a second process"]
fn child_saves_under_a_limit_on_file_sizes() {
    let Ok(run) = std::env::var(FOLDER) else { return };
    let run = Path::new(&run);
    let _folder = RunFolder::open(&RealStorage, run).unwrap();
    let mut saver = Saver::new(Arc::new(RealStorage), run, Keep::Last(2));
    assert!(matches!(saver.save(1, &snapshot(1)), SaveOutcome::Saved(_)));
    let mut large = snapshot(2);
    large.tensors.push(tensor("optim.m", &[100_000], 1));
    match saver.save(2, &large) {
        SaveOutcome::Skipped { error: SaveError::Io { source, free_bytes, .. }, failures: 1 } => {
            assert_eq!(source.kind(), std::io::ErrorKind::FileTooLarge, "{source}");
            assert!(free_bytes.is_some());
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(newest(&RealStorage, run, true).unwrap().snapshot, snapshot(1));
    assert!(matches!(saver.save(3, &snapshot(3)), SaveOutcome::Saved(_)));
    say("survived");
}

#[test]
#[cfg(target_os = "linux")]
fn fault_K03_a_real_limit_on_file_sizes() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    // With the signal ignored, a write beyond the limit gives an error, as on a full disk.
    let limited = ["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\""];
    let output = Command::new("sh")
        .args(limited)
        .args(this_program("child_saves_under_a_limit_on_file_sizes"))
        .env(FOLDER, &run)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("survived"), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(newest(&RealStorage, &run, true).unwrap().step, Some(3));
    assert_eq!(temporaries(&checkpoints_folder(&run)), 0);
}

#[test]
fn fault_K05_a_folder_that_cannot_be_made_is_found_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    for run in [file.clone(), file.join("run"), file.join("a/b/c")] {
        let Err(error) = RunFolder::open(&RealStorage, &run) else { panic!("{} was opened", run.display()) };
        assert!(matches!(error, StartError::Io { .. }), "{error}");
        assert!(error.to_string().contains("file"), "{error}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "x");
    RunFolder::open(&RealStorage, &folder.path().join("a/b/c")).unwrap();
}

#[test]
#[cfg(unix)]
fn devices_pipes_and_folders_are_no_models() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in [Path::new("/dev/zero"), Path::new("/dev/full"), &pipe] {
        let error = load_model(&RealStorage, path, false).unwrap_err();
        assert!(error.to_string().contains("not a regular file"), "{error}");
        assert_eq!(error.exit_code(), 4);
    }
    let error = load_model(&RealStorage, folder.path(), false).unwrap_err();
    assert_eq!(error.exit_code(), 3, "{error}");
}

#[test]
#[cfg(target_os = "linux")]
fn fault_K03_a_full_device_gives_the_error_of_the_system() {
    let error = RealStorage.append(Path::new("/dev/full"), b"x").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
}

#[test]
fn the_real_disk_holds_the_bytes_of_the_form() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let _folder = RunFolder::open(&RealStorage, &run).unwrap();
    let mut saver = Saver::new(Arc::new(RealStorage), &run, Keep::Last(2));
    for step in 1..=4 {
        let SaveOutcome::Saved(saved) = saver.save(step, &snapshot(step)) else { panic!("a save failed") };
        assert_eq!(saved.size_bytes, std::fs::metadata(&saved.path).unwrap().len());
        assert_eq!(saver.announced(&saved), []);
    }
    assert_eq!(std::fs::read(step_path(&run, 4)).unwrap(), bytes_of(&snapshot(4)));
    let names = RealStorage.list(&checkpoints_folder(&run)).unwrap();
    assert_eq!(names, ["step-000000003.safetensors", "step-000000004.safetensors"]);
    RealStorage.append(&run.join("events.jsonl"), b"{}\n").unwrap();
    RealStorage.append(&run.join("events.jsonl"), b"{}\n").unwrap();
    assert_eq!(std::fs::read(run.join("events.jsonl")).unwrap(), b"{}\n{}\n");
    assert!(RealStorage.free_bytes(&run.join("x")).is_some_and(|free| free > 0) || cfg!(not(unix)));
}
