//! One session: train, look at what is there, write, score.

use std::fs;

use crate::place::{Place, SMALL, checkpoints, objects, with_text};
use serde_json::Value;

#[test]
fn a_run_leaves_what_the_page_on_files_says() {
    let place = with_text();
    let ended = place.run(&format!("train text.txt {SMALL} --json")).succeeds();
    let run = place.path("runs/text-lstm-2x17-1");
    let name = |path: &std::path::Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    for file in ["config.toml", "events.jsonl", "samples.txt", "best.safetensors"] {
        assert!(fs::metadata(run.join(file)).is_ok_and(|file| file.len() > 0), "{file}");
    }
    let steps = ended.events("start")[0]["steps"].as_u64().expect("steps");
    let newest = checkpoints(&run).pop().expect("a checkpoint");
    assert_eq!(name(&newest), Some(format!("step-{steps:09}.safetensors")));
    assert_eq!(checkpoints(&run).len(), 2, "--keep 2");

    // The log is what stdout got.
    assert_eq!(objects(&fs::read(run.join("events.jsonl")).expect("read")), ended.objects());
    let samples = fs::read_to_string(run.join("samples.txt")).expect("read");
    let at: Vec<u64> = ended.events("sample").iter().map(|sample| sample["step"].as_u64().expect("a step")).collect();
    assert_eq!(at, [27, 9, 3, 1].map(|part: u64| steps.div_ceil(part)));
    for sample in ended.events("sample") {
        assert!(samples.contains(&format!("=== step {}: loss ", sample["step"])));
        assert!(samples.contains(sample["text"].as_str().expect("text")));
    }

    // A second run takes the next number.
    place.run("train text.txt --hidden 17 --batch 2 --seq 5 --steps 1").succeeds();
    assert!(place.path("runs/text-lstm-2x17-2").is_dir());
}

#[test]
fn events_have_the_fields_of_the_page_on_the_command_line() {
    let place = with_text();
    let ended = place.train("run", &format!("{SMALL} --schedule constant --lr 0.01")).succeeds();
    let has = |kind: &str, fields: &[&str]| {
        let events = ended.events(kind);
        assert!(!events.is_empty(), "{kind}");
        for event in events {
            for field in fields {
                let number = matches!(event[field], Value::Number(_));
                assert!(
                    number || (*field == "weights_sha256" && event[field].is_string()),
                    "{kind}: {field} in {event}"
                );
            }
        }
    };
    has("step", &["step", "epoch", "tokens", "train_nats", "grad_norm", "lr", "tokens_per_s"]);
    has("epoch", &["epoch", "train_nats", "val_nats", "seconds"]);
    has("eval", &["val_nats", "val_bits", "tokens", "unseen"]);
    has("done", &["steps", "tokens", "seconds", "train_nats", "val_nats", "weights_sha256"]);
    let (steps, start) = (ended.events("step"), &ended.events("start")[0]);
    assert_eq!(steps.len() as u64, start["steps"].as_u64().expect("steps"));
    assert_eq!(steps.len() as u64, 2 * start["steps_per_epoch"].as_u64().expect("steps"));
    assert_eq!(steps[3]["tokens"], 4 * 6 * 5);

    // An epoch's loss is the mean over its tokens, and the run learns.
    let per_epoch = steps.len() / 2;
    let mean =
        |steps: &[Value]| steps.iter().map(|s| s["train_nats"].as_f64().expect("nats")).sum::<f64>() / per_epoch as f64;
    let epochs = ended.events("epoch");
    for (epoch, steps) in epochs.iter().zip(steps.chunks(per_epoch)) {
        assert!((epoch["train_nats"].as_f64().expect("nats") - mean(steps)).abs() < 1e-6);
    }
    let val: Vec<f64> = epochs.iter().map(|epoch| epoch["val_nats"].as_f64().expect("nats")).collect();
    assert!(val[1] < val[0] && val[0] < 3.2, "{val:?}");
}

#[test]
fn eval_of_the_split_is_the_runs_val_nats_bit_for_bit() {
    let place = with_text();
    for cell in ["rnn", "lstm", "gru"] {
        for flags in ["", "--eval-tokens 100", "--vocab bytes --shards 2 --dropout 0.1"] {
            let run = format!("{cell}{}", flags.len());
            let trained = place.train(&run, &format!("{SMALL} --cell {cell} {flags}")).succeeds();
            let val_nats = trained.events("epoch").last().expect("an epoch")["val_nats"].clone();
            assert!(val_nats.is_f64());
            let best = trained.events("eval").iter().map(|e| e["val_nats"].as_f64().expect("nats")).fold(9.0, f64::min);
            let newest = checkpoints(&place.path(&run)).pop().expect("a checkpoint");
            let of_last = place.run(&format!("eval {} --split val --json", newest.display())).succeeds().objects();
            assert_eq!(of_last[0]["nats"], val_nats, "{cell} {flags}");
            assert_eq!(of_last[0]["symbols"], trained.events("eval")[0]["tokens"]);
            let of_run = place.run(&format!("eval {run} --split val --json")).succeeds().objects();
            assert_eq!(of_run[0]["nats"].as_f64(), Some(best), "the run's best");
        }
    }
}

#[test]
fn eval_scores_the_part_that_training_never_reads() {
    let place = with_text();
    let whole = fs::read(place.path("text.txt")).expect("read");
    place.train("run", &format!("{SMALL} --test-frac 0.1")).succeeds();
    let test = place.run("eval run --split test --batch 1 --json").succeeds().objects();
    // The last tenth as a file of its own is read as one lane, too.
    place.write("tail.txt", &whole[(whole.len() as f64 * (1.0 - 0.1)) as usize..]);
    assert_eq!(place.run("eval run tail.txt --json").succeeds().objects(), test);
    let val = place.run("eval run --split val --batch 1 --json").succeeds().objects();
    assert_ne!(val, test);

    place.train("without", SMALL).succeeds();
    place.run("eval without --split test").fails(2, &["kept no test part", "--test-frac 0"]);
    place.train("blind", "--layers 1 --hidden 9 --batch 6 --seq 5 --val-frac 0 --epochs 1").succeeds();
    place.run("eval blind --split val").fails(2, &["kept no validation part", "--val-frac 0"]);
}

#[test]
fn eval_scores_a_file_and_counts_what_it_never_saw() {
    let place = with_text();
    place.train("run", SMALL).succeeds();
    place.write("other.txt", "the gate is open.\nthe gate \u{2603} is under water.\n");
    let score = &place.run("eval run other.txt --json").succeeds().objects()[0];
    assert_eq!((&score["symbols"], &score["unseen"]), (&43.into(), &1.into()), "{score}");
    let (nats, bits) = (score["nats"].as_f64().expect("nats"), score["bits"].as_f64().expect("bits"));
    assert!((bits - nats / std::f64::consts::LN_2).abs() < 1e-12);
    #[allow(clippy::disallowed_methods, reason = "a comparison within a tolerance")]
    let perplexity = nats.exp();
    assert!((score["perplexity"].as_f64().expect("a number") - perplexity).abs() < 1e-9);
    let fields = score.as_object().expect("an object");
    assert_eq!(fields.len(), 5, "{score}");

    let words = String::from_utf8(place.run("eval run other.txt").succeeds().out).expect("UTF-8");
    assert!(words.starts_with(&format!("{bits:.4} bits per character, {nats:.4} nats")), "{words}");
    assert!(words.contains("1 never seen in training"), "{words}");

    // Another text is not the run's validation part; the same text elsewhere is.
    place.run("eval run other.txt --split val").fails(3, &["other.txt", "is not the corpus of this run"]);
    fs::rename(place.path("text.txt"), place.path("moved.txt")).expect("moved");
    place.run("eval run --split val").fails(4, &["text.txt"]);
    place.run("eval run moved.txt --split val").succeeds();
}

#[test]
fn sample_continues_a_prime_and_repeats_itself() {
    let place = with_text();
    place.train("run", SMALL).succeeds();
    let write = |flags: &str| {
        let mut command = place.command();
        command.args(["sample", "run", "--prime", "the \u{2603}", "--length", "120"]).args(flags.split_whitespace());
        crate::place::Ended::from(command.output().expect("started")).succeeds()
    };
    let first = write("");
    let text = String::from_utf8(first.out.clone()).expect("UTF-8");
    assert!(text.starts_with("the \u{2603}"), "{text}");
    assert_eq!(text.chars().count(), 5 + 120);
    assert!(first.err.contains("never saw 1 of the prime's characters"), "{}", first.err);
    assert_eq!(write("").out, first.out, "the same seed, the same text");
    assert_ne!(write("--seed 2").out, first.out);
    assert_eq!(write("--greedy").out, write("--temperature 0 --seed 3").out, "greedy takes no chance");
    let object = &write("--json").objects()[0];
    assert_eq!(format!("the \u{2603}{}", object["text"].as_str().expect("text")), text);
    assert_eq!((&object["symbols"], &object["unseen"]), (&120.into(), &1.into()));
}

#[test]
fn bytes_are_written_as_bytes() {
    let place = Place::new();
    place.write("text.txt", (0..4000_u32).map(|i| [0_u8, 0xff, 0xc3, 0x28][i as usize % 4]).collect::<Vec<u8>>());
    place.train("run", "--vocab bytes --hidden 16 --layers 1 --batch 4 --seq 10 --steps 150 --lr 0.02").succeeds();
    let text = place.run("sample run --length 64 --greedy").succeeds().out;
    assert_eq!(text.len(), 64);
    assert!(text.windows(4).any(|four| four == [0xff, 0xc3, 0x28, 0x00]), "{text:?}");
}

#[test]
fn without_a_file_it_trains_on_the_built_in_text() {
    let place = Place::new();
    let ended =
        place.run("train --hidden 16 --layers 1 --batch 4 --seq 10 --steps 3 --eval-tokens 100 --json").succeeds();
    assert!(ended.events("start")[0]["corpus"].as_str().expect("text").contains("built-in"));
    let run = "runs/builtin-lstm-1x16-1";
    place.run(&format!("eval {run} --split val")).succeeds();
    place.run(&format!("train --resume {run}")).succeeds();
}

#[test]
fn help_and_version_are_no_errors() {
    let place = Place::new();
    for line in ["--help", "train --help", "sample --help", "eval --help", "--version"] {
        let ended = place.run(line).succeeds();
        assert!(!ended.out.is_empty() && ended.err.is_empty(), "{line}");
    }
    assert_eq!(place.names(), [""; 0], "nothing is written");
}
