//! `gatemill machine`, completions and manual; tiers and threads as the machine allows them (H01, H02).

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::place::{Ended, Place, SMALL, with_text};

#[test]
fn the_machine_is_measured_and_told() {
    let place = Place::new();
    let machine = &place.run("machine --json").succeeds().objects()[0];
    for field in
        ["isa", "forced", "tiers", "tiles", "threads", "cpu", "arch", "cores", "affinity", "caches", "memory_bytes"]
    {
        assert!(!machine[field].is_null(), "{field}: {machine}");
    }
    let tiers = machine["tiers"].as_array().expect("tiers");
    let here: Vec<&Value> = tiers.iter().filter(|tier| tier["available"] == true).map(|tier| &tier["name"]).collect();
    assert_eq!(here[0], &machine["isa"], "the best one runs");
    assert_eq!(here.last().expect("one"), &"portable");
    let measured = &machine["measured"];
    assert_eq!(measured["threads"], machine["threads"]);
    let rates = |list: &str, one: &str, all: &str| -> Vec<(f64, f64)> {
        let rows = measured[list].as_array().expect("rows").iter();
        rows.map(|row| (row[one].as_f64().unwrap_or(f64::NAN), row[all].as_f64().unwrap_or(f64::NAN))).collect()
    };
    let fma = rates("fma", "one_thread_gflops", "all_threads_gflops");
    assert_eq!(fma.len(), here.len());
    // Any machine of the last twenty years multiplies and adds more than a hundred million times in a second.
    assert!(fma.iter().all(|&(one, all)| one > 0.1 && all > 0.1), "{fma:?}");
    let read = rates("read", "one_thread_gb_per_s", "all_threads_gb_per_s");
    assert_eq!(read.len(), machine["caches"].as_array().expect("caches").len() + 1);
    assert!(read.iter().all(|&(one, _)| one > 0.1), "{read:?}");
}

#[test]
fn the_words_name_what_the_object_has() {
    let place = Place::new();
    let machine = &place.run("machine --no-measure --json").succeeds().objects()[0];
    assert!(machine["measured"].is_null());
    let words = String::from_utf8(place.run("machine --no-measure").succeeds().out).expect("UTF-8");
    for name in ["cpu ", "kernels ", "tiers ", "cores ", "threads ", "caches ", "memory ", "portable "] {
        assert!(words.contains(name), "{name}: {words}");
    }
    assert!(words.contains(&format!("{} for training", machine["threads"])), "{words}");
}

#[test]
fn fault_H01_the_machine_shows_the_forced_tier() {
    let place = Place::new();
    let with = |isa: &str, flags: &str| -> Ended {
        let mut command = place.command();
        command.env("GATEMILL_ISA", isa).args(["machine", "--no-measure"]).args(flags.split_whitespace());
        command.output().expect("started").into()
    };
    for isa in ["avx512", "avx2", "portable"] {
        let ended = with(isa, "--json");
        if ended.code == Some(6) {
            ended.fails(6, &["GATEMILL_ISA", isa, "lacks"]);
            continue;
        }
        let machine = &ended.succeeds().objects()[0];
        assert_eq!((&machine["isa"], &machine["forced"]), (&isa.into(), &true.into()));
        let words = String::from_utf8(with(isa, "").succeeds().out).expect("UTF-8");
        assert!(words.contains(&format!("{isa}: forced by GATEMILL_ISA")), "{words}");
        assert_eq!(words.contains("doc/numerics.md"), isa == "portable", "{words}");
    }
    with("sse9", "").fails(2, &["GATEMILL_ISA", "avx512, avx2, portable"]);
}

#[cfg(target_os = "linux")]
#[test]
fn fault_H02_one_core_is_one_thread_and_training_works() {
    let place = with_text();
    let on_one = |line: &str, threads: &str| -> Ended {
        let mut command = place.shell("taskset");
        command.args(["-c", "0", env!("CARGO_BIN_EXE_gatemill")]).args(line.split_whitespace());
        command.env("RAYON_NUM_THREADS", threads).output().expect("taskset is there").into()
    };
    let machine = &on_one("machine --no-measure --json", "0").succeeds().objects()[0];
    assert_eq!((&machine["threads"], &machine["affinity"]), (&1.into(), &"0".into()), "{machine}");
    assert_eq!(machine["affinity_cores"], 1);
    let trained = on_one(&format!("train text.txt {SMALL} --json"), "0").succeeds();
    assert_eq!(trained.events("start")[0]["threads"], 1);
    // More workers than cores get done too, with the same bits.
    let crowded = on_one(&format!("train text.txt {SMALL} --json --threads 3"), "7").succeeds();
    assert_eq!(crowded.events("start")[0]["threads"], 3);
    assert_eq!(crowded.sha256(), trained.sha256());
}

#[test]
fn bash_takes_the_completions_and_every_shell_gets_some() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = String::from_utf8(place.run(&format!("completions {shell}")).succeeds().out).expect("UTF-8");
        for word in ["train", "sample", "runs", "hidden", "temperature"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        if shell == "bash" {
            let path = place.write("gatemill.bash", &script);
            let checked = Command::new("bash").arg("-n").arg(&path).output().expect("bash");
            assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
            // And completes: what begins with `--hid` after `gatemill train`.
            let ask = format!(
                "source {}; COMP_WORDS=(gatemill train --hid); COMP_CWORD=2; _gatemill gatemill --hid train; echo \"${{COMPREPLY[*]}}\"",
                path.display()
            );
            let answer = Command::new("bash").args(["-c", &ask]).output().expect("bash");
            assert_eq!(String::from_utf8_lossy(&answer.stdout).trim(), "--hidden");
        }
    }
    place.run("completions tcsh").fails(2, &["tcsh"]);
    place.run("completions").fails(2, &["required"]);
}

/// The flags that the help of a command names.
fn flags(place: &Place, command: &str) -> Vec<String> {
    let help = String::from_utf8(place.run(&format!("{command} --help")).succeeds().out).expect("UTF-8");
    let line = |line: &str| {
        let flag = line.trim_start().trim_start_matches("-h, ").trim_start_matches("-V, ");
        flag.starts_with("--").then(|| flag.split([' ', '=']).next().unwrap_or(flag).to_owned())
    };
    help.lines().filter_map(line).collect()
}

#[test]
fn the_manual_names_every_command_and_flag() {
    let place = Place::new();
    let page = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8").replace("\\-", "-");
    let whole = page(place.run("man").succeeds().out);
    assert!(whole.contains(".TH"), "{whole}");
    place.run("man --out deep/man1").succeeds();
    let commands = ["train", "sample", "eval", "runs", "machine", "completions", "man"];
    let help = String::from_utf8(place.run("--help").succeeds().out).expect("UTF-8");
    let (_, listed) = help.split_once("Commands:\n").expect("commands");
    let listed: Vec<&str> =
        listed.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.strip_prefix("  ")).collect();
    let listed = listed.iter().filter(|line| !line.starts_with(' ')).filter_map(|line| line.split(' ').next());
    for command in listed.filter(|&command| command != "help") {
        let name = format!("deep/man1/gatemill-{command}.1");
        let own = page(fs::read(place.path(&name)).expect("a page for each command"));
        assert!(whole.contains(&format!("GATEMILL {}", command.to_uppercase())), "{command}");
        let flags = flags(&place, command);
        assert!(flags.len() > 1, "{command}");
        for flag in flags {
            assert!(whole.contains(&flag) && own.contains(&flag), "{command} {flag}");
        }
        let examples =
            |page: &str| page.matches(".SH EXAMPLES\n.nf\n").count() + page.matches(".SS EXAMPLES\n.nf\n").count();
        assert_eq!(examples(&own), 1, "{command}");
        assert!(examples(&whole) > commands.len() && !whole.contains("EXTRA"), "{command}");
    }
    for command in commands {
        assert!(place.path(&format!("deep/man1/gatemill-{command}.1")).exists(), "{command}");
    }
    assert!(place.path("deep/man1/gatemill.1").exists());
    place.write("file", "");
    place.run("man --out file").fails(4, &["cannot write file"]);
}
