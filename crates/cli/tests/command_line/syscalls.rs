//! A kill, and an error, at every system call with which a run touches its files.
//!
//! strace stops the run just before its N-th call of a kind, N = 1, 2, ... until a run goes untouched, and there kills it
//! or fails the call. strace counts by thread, and the main thread and the worker that trains make the same kinds of
//! calls; so each test looks at paths of its own. Kinds and paths come from a recording, not from a list here: whatever
//! a save comes to do is killed too.
//!
//! Where strace is missing or may not trace, nothing is checked, and stderr says so; under CI a missing strace is a
//! failure (`cargo xtask test` installs it).

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::place::{Ended, Place, checkpoints, say, step_of};

/// Three checkpoints and a best model of a few small tensors.
const RUN: &str = "--cell rnn --optimizer sgd --layers 1 --hidden 5 --batch 4 --seq 5 --val-frac 0.2 --steps 4 \
                   --save-every 2 --threads 1";
/// Calls that change no file: killed before one of them, a run leaves what the call before it left.
const LOOKS: &str = "access close execve faccessat faccessat2 fadvise64 fcntl flock fstat getcwd getdents64 ioctl lseek \
                     mmap newfstatat open_tree pread64 read readlink readlinkat stat statfs statx";
/// A filter in the kernel lets other calls pass at full speed. strace 6.1 does not kill with it, so it serves errors only.
const QUICKLY: &str = "--seccomp-bpf";
/// More calls than any run makes of one kind.
const FAR: u32 = 300;

/// Whether strace can be used here; said once if not.
fn can_trace() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| {
        let ends_well =
            |args: &[&str]| Command::new("strace").args(args).output().is_ok_and(|out| out.status.success());
        if !ends_well(&["--version"]) {
            let ci = std::env::var("CI").is_ok_and(|value| ["true", "1"].contains(&value.as_str()));
            assert!(!ci, "strace is missing: `cargo xtask test` installs it as root, or install the package strace");
            say("syscalls: NOT RUN, strace is missing");
            return false;
        }
        let can = ends_well(&[
            "-f",
            "--seccomp-bpf",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            "inject=fsync:error=EIO:when=1",
            "true",
        ]);
        if !can {
            say("syscalls: NOT RUN, this system does not let strace trace (ptrace is forbidden)");
        }
        can
    })
}

/// What a traced run touches.
struct Recording {
    place: Place,
    /// What the run ends with when it is left alone.
    sha256: String,
    /// Every path that it names, but for its text.
    paths: BTreeSet<PathBuf>,
}

impl Recording {
    /// Runs once and looks. None where there is no strace.
    fn new() -> Option<Self> {
        if !can_trace() {
            return None;
        }
        let place = Place::new();
        // An accented letter: the tokens go through a cache file.
        place.write("text.txt", "the mill t\u{fc}rns under water\n".repeat(100));
        let mut new = Self { place, sha256: String::new(), paths: BTreeSet::new() };
        let whole = new.traced("whole", &["-e", "trace=%file"], &[]).succeeds();
        new.sha256 = whole.sha256();
        let base = new.place.path("");
        let named = new.log();
        let named = named.split('"').skip(1).step_by(2).map(PathBuf::from).filter(|path| path.starts_with(&base));
        new.paths = named.filter(|path| !path.ends_with("text.txt")).collect();
        // A name of a temporary in the cache has the number of its process.
        new.paths.retain(|path| path.extension().is_none_or(|ending| ending != "tmp"));
        assert!(new.paths.iter().any(|path| path.ends_with("step-000000004.safetensors")), "{:?}", new.paths);
        Some(new)
    }

    /// Runs into the folder `run` under strace with these flags and paths to look at; all of them without paths.
    fn traced(&self, run: &str, flags: &[&str], paths: &[PathBuf]) -> Ended {
        let mut command = self.place.shell("strace");
        command.args(["-f", "-qq", "-o"]).arg(self.place.path("strace.log")).args(flags);
        for path in paths {
            // The recording was made of the run `whole`.
            let text = path.to_str().expect("UTF-8").replace("/whole", &format!("/{run}"));
            command.args(["-P", &text]);
        }
        command.arg(env!("CARGO_BIN_EXE_gatemill")).args(["train", "text.txt", "--json", "--out"]);
        command.arg(self.place.path(run)).args(RUN.split_whitespace()).output().expect("started").into()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.place.path("strace.log")).expect("a log")
    }

    fn run(&self, run: &str, command: &str) -> Ended {
        self.place.run(&format!("{command} {}", self.place.path(run).display()))
    }

    /// The paths of the recording that a test wants.
    fn chosen(&self, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
        self.paths.iter().filter(|path| wanted(path.to_str().expect("UTF-8"))).cloned().collect()
    }

    /// The kinds of calls on these paths that change something.
    fn kinds(&self, paths: &[PathBuf]) -> BTreeSet<String> {
        self.traced("kinds", &[], paths).succeeds();
        fs::remove_dir_all(self.place.path("kinds")).expect("removed");
        let log = self.log();
        // "14696 fsync(6) = 0"; what was interrupted by another thread is resumed in a line of its own.
        let call = |line: &str| Some(line.split_once(' ')?.1.trim_start().split_once('(')?.0.to_owned());
        let kinds = log.lines().filter_map(call).filter(|call| !call.contains(' '));
        let kinds: BTreeSet<String> = kinds.filter(|call| !LOOKS.split_whitespace().any(|look| look == call)).collect();
        assert!(kinds.contains("openat") && kinds.contains("fsync"), "{log}");
        kinds
    }

    /// Kills a run before each call of `kinds` on `paths`, one run for each; returns how many were killed.
    fn kill_at_each(&self, kinds: &BTreeSet<String>, paths: &[PathBuf], forget_cache: bool) -> u32 {
        let mut kills = 0;
        for kind in kinds {
            for n in 1.. {
                assert!(n < FAR, "no run with a kill at {kind} goes untouched");
                let (run, inject) = (format!("{kind}-{n}"), format!("inject={kind}:signal=SIGKILL:when={n}"));
                if forget_cache {
                    let _ = fs::remove_dir_all(self.place.path(".cache"));
                }
                let ended = self.traced(&run, &["-e", &format!("trace={kind}"), "-e", &inject], paths);
                if ended.code.is_some() {
                    assert_eq!(ended.succeeds().sha256(), self.sha256, "{run}");
                    break;
                }
                kills += 1;
                self.after_a_kill(&run, &ended);
            }
        }
        kills
    }

    /// What was announced is there and whole; the run goes on, or can begin again, and ends as one left alone.
    fn after_a_kill(&self, run: &str, ended: &Ended) {
        let announced = |best: bool| ended.events("checkpoint").into_iter().filter(move |event| event["best"] == best);
        let folder = self.place.path(run);
        let saved = if folder.join("checkpoints").is_dir() { checkpoints(&folder) } else { Vec::new() };
        let newest = saved.last().map(|path| step_of(path));
        let last = announced(false).filter_map(|event| event["step"].as_u64()).max();
        assert!(newest >= last, "{run}: step {last:?} was announced, {newest:?} is there");
        let best = folder.join("best.safetensors");
        assert!(best.exists() || announced(true).count() == 0, "{run}: the best model was announced");
        if best.exists() {
            self.run(run, "sample --length 1").succeeds();
        }

        let resumed = self.run(run, "train --json --threads 1 --strict-resume --resume");
        let again = if newest.is_some() {
            resumed.succeeds()
        } else {
            let code = if folder.exists() { 3 } else { 4 };
            resumed.fails(code, &[run]);
            let line = format!("train text.txt --json {RUN} --out");
            self.run(run, &line).succeeds()
        };
        assert_eq!(again.sha256(), self.sha256, "{run}");
        self.no_junk(run);
        let log = fs::read(folder.join("events.jsonl")).expect("a log");
        let steps = crate::place::objects(&log).into_iter().filter(|event| event["event"] == "step");
        let steps: Vec<u64> = steps.filter_map(|event| event["step"].as_u64()).collect();
        assert_eq!(steps, [1, 2, 3, 4], "{run}: each step is told once");
        fs::remove_dir_all(folder).expect("removed");
    }

    fn no_junk(&self, run: &str) {
        for folder in [self.place.path(run), self.place.path(run).join("checkpoints")] {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
                assert!(!name.contains("tmp"), "{run}: {name} was left");
            }
        }
    }
}

/// Files that only the worker touches: checkpoints, the best model, log and samples.
fn of_saves(path: &str) -> bool {
    ["/step-", "-step-", "best", "events", "samples"].iter().any(|part| path.contains(part))
}

/// The checkpoints' own files.
fn of_checkpoints(path: &str) -> bool {
    path.contains("step-")
}

#[test]
fn fault_K01_killed_at_every_call_of_a_save() {
    let Some(recording) = Recording::new() else { return };
    let paths = recording.chosen(of_saves);
    let kills = recording.kill_at_each(&recording.kinds(&paths), &paths, false);
    assert!(kills >= 40, "{kills} kills: three checkpoints and a best model are more calls than that");
}

#[test]
fn fault_K01_killed_at_every_call_on_a_folder() {
    let Some(recording) = Recording::new() else { return };
    let paths = recording.chosen(|path| path.ends_with("/checkpoints"));
    let kills = recording.kill_at_each(&recording.kinds(&paths), &paths, false);
    assert!(kills >= 10, "{kills} kills");
}

#[test]
fn fault_K01_killed_at_every_call_of_a_start() {
    let Some(recording) = Recording::new() else { return };
    // The cache's temporary has no name that could be given to strace, so here all paths count.
    let mut kinds = recording.kinds(&recording.chosen(|path| !of_saves(path)));
    kinds.insert("pwrite64".to_owned());
    let kills = recording.kill_at_each(&kinds, &[], true);
    assert!(kills >= 50, "{kills} kills");
}

/// One call fails, each in turn: it is said, training goes on, and nothing that was saved before is harmed.
#[test]
fn fault_K04_an_error_at_every_call_of_a_save() {
    let Some(recording) = Recording::new() else { return };
    let (files, folder) = (recording.chosen(of_checkpoints), recording.chosen(|path| path.ends_with("/checkpoints")));
    let mut failed = 0;
    for (kind, error, words, paths) in [
        ("openat", "ENOSPC", "cannot save", &files),
        ("write", "ENOSPC", "cannot save", &files),
        ("write", "EIO", "cannot save", &files),
        ("fsync", "EIO", "cannot save", &files),
        ("rename", "EIO", "cannot save", &files),
        ("unlink", "EIO", "cannot remove", &files),
        // Synced already: nothing is lost.
        ("close", "EIO", "", &files),
        ("openat", "EMFILE", "", &folder),
        ("fsync", "EIO", "cannot save", &folder),
    ] {
        for n in 1.. {
            assert!(n < FAR, "no run with an error at {kind} goes untouched");
            let (run, inject) = (format!("{kind}-{n}"), format!("inject={kind}:error={error}:when={n}"));
            let ended = recording.traced(&run, &[QUICKLY, "-e", &format!("trace={kind}"), "-e", &inject], paths);
            recording.no_junk(&run);
            let log = recording.log();
            if !log.contains("(INJECTED)") {
                assert_eq!(ended.succeeds().sha256(), recording.sha256, "{run}");
                fs::remove_dir_all(recording.place.path(&run)).expect("removed");
                break;
            }
            failed += 1;
            if ended.events("start").is_empty() {
                // The start tries the folder, and does not begin a run that it could not save.
                ended.fails(4, &["checkpoints", "os error"]);
            } else {
                let ended = ended.succeeds();
                assert_eq!(ended.sha256(), recording.sha256, "{run}");
                let notices = ended.events("notice");
                let said =
                    |part: &str| notices.iter().any(|n| n["text"].as_str().is_some_and(|text| text.contains(part)));
                assert!(words.is_empty() || said(words) && said("os error"), "{run}: {notices:?}");
                assert!(words != "cannot save" || said("training goes on"), "{run}: {notices:?}");
                let strict = "train --json --threads 1 --strict-resume --resume";
                assert_eq!(recording.run(&run, strict).succeeds().sha256(), recording.sha256, "{run}");
            }
            // A start that could not look at the folder made none.
            let _ = fs::remove_dir_all(recording.place.path(&run));
        }
    }
    assert!(failed >= 70, "{failed} calls failed");
}

/// From one call on every one fails: after three saves in a row the run ends, and goes on when the disk is well again.
#[test]
fn fault_K03_every_later_call_of_a_save_fails() {
    let Some(recording) = Recording::new() else { return };
    let files = recording.chosen(of_checkpoints);
    let mut gave_up = 0;
    for (kind, error, number) in
        [("openat", "ENOSPC", 28), ("write", "ENOSPC", 28), ("fsync", "EIO", 5), ("rename", "EIO", 5)]
    {
        for n in 1.. {
            assert!(n < FAR, "no run with errors at {kind} goes untouched");
            let (run, inject) = (format!("{kind}-{n}"), format!("inject={kind}:error={error}:when={n}+"));
            // A retry at the end takes the next name: those are not in the recording.
            let mut paths = files.clone();
            for number in 0..9 {
                for step in [0, 2, 4] {
                    let name = format!("whole/checkpoints/.gatemill-tmp-{number}-step-{step:09}.safetensors");
                    paths.push(recording.place.path(&name));
                }
            }
            let ended = recording.traced(&run, &[QUICKLY, "-e", &format!("trace={kind}"), "-e", &inject], &paths);
            recording.no_junk(&run);
            let folder = recording.place.path(&run);
            if ended.code == Some(0) {
                assert!(!recording.log().contains("(INJECTED)"), "{run}");
                fs::remove_dir_all(folder).expect("removed");
                break;
            }
            gave_up += 1;
            ended.fails(4, &["cannot save", "bytes are needed", &format!("os error {number}")]);
            let goes_on = |event: &serde_json::Value| {
                event["text"].as_str().is_some_and(|text| text.contains("training goes on"))
            };
            let passed_over = ended.events("notice").iter().filter(|event| goes_on(event)).count();
            assert_eq!(passed_over, 2, "{run}: the third failure in a row is the end");
            let announced = |event: &serde_json::Value| event["best"] == false;
            let announced: Vec<serde_json::Value> = ended.events("checkpoint").into_iter().filter(announced).collect();
            let saved = checkpoints(&folder);
            assert_eq!(announced.len(), saved.len(), "{run}");
            if saved.is_empty() {
                // Steps were made and their log is there: that is a run, though one without a checkpoint.
                recording.run(&run, "train --resume").fails(3, &["no checkpoint"]);
                recording.run(&run, &format!("train text.txt {RUN} --out")).fails(2, &["holds a run already"]);
            } else {
                let resumed = recording.run(&run, "train --json --threads 1 --strict-resume --resume").succeeds();
                assert_eq!(resumed.sha256(), recording.sha256, "{run}");
            }
            fs::remove_dir_all(folder).expect("removed");
        }
    }
    assert!(gave_up >= 30, "{gave_up}");
}

/// The disk takes its time: saves come one after the other, and a signal in the middle of one waits for its end.
#[test]
fn fault_K13_a_save_longer_than_its_interval_and_a_signal_in_it() {
    let Some(recording) = Recording::new() else { return };
    let place = &recording.place;
    let mut command = place.shell("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync", "-e", "inject=fsync:delay_enter=150000"]);
    for step in 0..9 {
        let path = place.path(&format!("slow/checkpoints/.gatemill-tmp-{step}-step-{step:09}.safetensors"));
        command.arg("-P").arg(path);
    }
    let flags = "--cell rnn --optimizer sgd --layers 1 --hidden 5 --batch 4 --seq 5 --val-frac 0 --steps 90 --save-every 1 \
                 --schedule constant --sample-every 1000 --threads 1";
    command.arg(env!("CARGO_BIN_EXE_gatemill")).args(["train", "text.txt", "--json", "--out"]).arg(place.path("slow"));
    command.args(flags.split_whitespace()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("started");

    let folder = place.path("slow/checkpoints");
    let temporaries = || -> Vec<String> {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| name.contains("tmp") && name.contains("step")).collect()
    };
    // The third save is under way, and no other.
    let begun = Instant::now();
    while !temporaries().iter().any(|name| name.contains("step-000000002")) {
        assert!(temporaries().len() <= 1, "{:?}", temporaries());
        assert!(begun.elapsed() < Duration::from_secs(60), "no save of step 2: {:?}", temporaries());
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = fs::read_to_string(place.path("slow/.lock")).expect("a lock");
    assert!(Command::new("kill").args(["-s", "TERM", pid.trim()]).status().expect("kill").success());
    let ended: Ended = child.wait_with_output().expect("ended").into();
    assert_eq!(ended.code, Some(143), "{}", ended.err);
    recording.no_junk("slow");
    let saved: Vec<u64> = ended.events("checkpoint").iter().filter_map(|event| event["step"].as_u64()).collect();
    let last = *saved.last().expect("a checkpoint");
    assert_eq!(saved, (0..=last).collect::<Vec<_>>(), "each save was finished before the next began");
    assert!((2..9).contains(&last), "{saved:?}");
    let newest = checkpoints(&place.path("slow")).pop().expect("a checkpoint");
    assert_eq!(step_of(&newest), last);
    let resumed = place.run(&format!("train --resume slow --json --strict-resume --steps {}", last + 3)).succeeds();
    let flags = flags.replace("--steps 90", &format!("--steps {}", last + 3));
    assert_eq!(resumed.sha256(), place.train("quick", &flags).succeeds().sha256());
}
