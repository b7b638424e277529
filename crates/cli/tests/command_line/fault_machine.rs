//! Rows H of the fault catalogue: what the machine lacks, or keeps for others.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

use crate::place::{Ended, SMALL, say, with_text};

#[test]
fn fault_H01_a_tier_is_forced_or_refused() {
    let place = with_text();
    let with = |isa: &str, line: &str| -> Ended {
        place.command().env("GATEMILL_ISA", isa).args(line.split_whitespace()).output().expect("started").into()
    };
    let line = format!("train text.txt {SMALL} --json");
    for isa in ["sse2", "AVX2", "", "avx512 "] {
        with(isa, &line).fails(2, &["GATEMILL_ISA", "avx512, avx2, portable"]);
    }
    assert_eq!(place.names(), ["text.txt"]);
    let mut ran = Vec::new();
    for isa in ["avx512", "avx2", "portable"] {
        let ended = with(isa, &line);
        if ended.code == Some(6) {
            ended.fails(6, &["GATEMILL_ISA", isa, "lacks"]);
            continue;
        }
        assert_eq!(ended.succeeds().events("start")[0]["isa"], isa);
        ran.push(isa);
    }
    let best = place.run(&line).succeeds().events("start")[0]["isa"].clone();
    assert_eq!(best, ran[0], "the best tier is the default");
    assert_eq!(ran.last(), Some(&"portable"), "every machine has the portable tier");
}

#[test]
fn fault_H03_a_model_beyond_the_memory_is_refused_with_both_numbers() {
    let place = with_text();
    for flags in ["--hidden 1048576", "--hidden 1048576 --layers 1024", "--hidden 200000 --cell rnn"] {
        place
            .run(&format!("train text.txt --batch 6 --seq 5 {flags}"))
            .fails(6, &["needs at least", "this machine has", " MB"]);
    }
    assert!(!place.path("runs").exists());
}

/// Runs the command under a shell's limits, as a user whom they bind: root is not, in the number of processes.
fn limited(place: &crate::place::Place, limits: &str, line: &str) -> Ended {
    let program = place.path("program");
    if !program.exists() {
        fs::copy(env!("CARGO_BIN_EXE_gatemill"), &program).expect("copied");
        fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o777)).expect("opened to all");
    }
    let mut command = place.shell("sh");
    if fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0) {
        command.uid(65_534).gid(65_534);
    }
    command.args(["-c", &format!("{limits}; exec ./program {line}")]).output().expect("started").into()
}

#[test]
fn fault_H02_affinity_is_kept_and_any_number_of_threads_gives_the_same_weights() {
    let place = with_text();
    let whole = place.train("whole", SMALL).succeeds();
    let sha256 = whole.sha256();
    for threads in [1, 2, 3, 64] {
        let ended = place.train(&format!("run-{threads}"), &format!("{SMALL} --threads {threads}")).succeeds();
        assert_eq!((ended.sha256(), &ended.events("start")[0]["threads"]), (sha256.clone(), &threads.into()));
    }
    for value in ["0", "1", "7", "-1", "many"] {
        let mut command = place.command();
        command.env("RAYON_NUM_THREADS", value).args([
            "train",
            "text.txt",
            "--json",
            "--out",
            &format!("rayon{value}"),
        ]);
        let ended: Ended = command.args(SMALL.split_whitespace()).output().expect("started").into();
        let ended = ended.succeeds();
        assert_eq!(ended.sha256(), sha256, "RAYON_NUM_THREADS={value}");
        assert_eq!(
            ended.events("start")[0]["threads"],
            whole.events("start")[0]["threads"],
            "it is not rayon's to say"
        );
    }

    // One of the processors that this test may use itself.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or_default().trim();
    let first = list.split([',', '-']).next().unwrap_or_default();
    let mut command = place.shell("taskset");
    command.args(["-c", first, env!("CARGO_BIN_EXE_gatemill"), "train", "text.txt", "--json", "--out", "pinned"]);
    match command.args(SMALL.split_whitespace()).output() {
        Ok(output) => {
            let ended = Ended::from(output).succeeds();
            assert_eq!((ended.sha256(), &ended.events("start")[0]["threads"]), (sha256, &1.into()));
        }
        Err(error) => say(&format!("fault_H02: affinity NOT TESTED, no taskset ({error})")),
    }
}

#[test]
fn fault_H02_where_the_system_gives_fewer_threads_it_goes_on_with_those() {
    let place = with_text();
    let sha256 = place.train("whole", SMALL).succeeds().sha256();
    // Address space for eleven stacks of 512 MiB: 15 threads cannot be started, and 7 leave room enough for the work.
    let limits = "export RUST_MIN_STACK=536870912 MALLOC_ARENA_MAX=1; ulimit -v 6000000";
    let ended = limited(&place, limits, &format!("train text.txt --json --out run --threads 1000 {SMALL}"));
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let threads = ended.events("start")[0]["threads"].as_u64().expect("threads");
    assert_eq!(threads, 7);
    assert!(ended.err.contains(&format!("no 1000 worker threads: going on with {threads}")), "{}", ended.err);
    assert_eq!(ended.sha256(), sha256);
}

#[test]
fn fault_H03_memory_that_is_not_to_be_had_is_an_error_and_no_abort() {
    let place = with_text();
    // The machine has it, this process may not have it: every large buffer in turn is the one that is refused.
    let mut refused = 0;
    for megabytes in (40..400).step_by(20) {
        let limits = format!("ulimit -v {}", megabytes * 1000);
        let line = "train text.txt --json --out run --threads 1 --layers 1 --hidden 900 --batch 6 --seq 20 --steps 1";
        let ended = limited(&place, &limits, line);
        if ended.code == Some(0) {
            break;
        }
        if megabytes >= 80 {
            ended.fails(6, &["memory"]);
            refused += 1;
        }
        assert!(ended.events("step").is_empty() && !place.path("run").exists(), "{megabytes} MB: {}", ended.err);
    }
    assert!(refused >= 2, "{refused}");
    assert!(place.path("run").exists(), "with enough of it, it runs");
}

#[test]
fn fault_H04_few_descriptors_and_deep_nesting_end_in_an_error() {
    let place = with_text();
    let mut codes = Vec::new();
    for descriptors in 3..16 {
        let run = format!("run-{descriptors}");
        let ended =
            limited(&place, &format!("ulimit -n {descriptors}"), &format!("train text.txt --json --out {run} {SMALL}"));
        codes.push(ended.code);
        if ended.code == Some(0) {
            break;
        }
        // The loader of programs needs some itself, and ends with its own code.
        if ended.err.starts_with("error: ") || ended.code == Some(4) {
            ended.fails(4, &["Too many open files"]);
        }
        assert!(ended.code.is_some_and(|code| code != 70 && code != 101), "{descriptors}: {ended:?}");
    }
    assert_eq!(codes.last(), Some(&Some(0)), "{codes:?}");
    assert!(codes.contains(&Some(4)), "{codes:?}");

    // Nesting in a file is counted, not followed: a small stack is enough.
    let header = format!("{{\"a\":{}", "[".repeat(1_000_000));
    let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    place.write("deep.safetensors", file);
    limited(&place, "ulimit -s 256", "sample deep.safetensors").fails(3, &["deep.safetensors"]);
}
