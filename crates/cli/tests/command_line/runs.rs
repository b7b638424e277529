//! `gatemill runs`: what it tells of real runs, of runs that go on, and of folders that hold less than a run.

use std::fs::{self, OpenOptions};
use std::io::Write;

use serde_json::Value;

use crate::place::{Ended, Place, SIZES, SMALL, with_text};

impl Place {
    /// Runs `gatemill LINE` on a screen of so many columns and gives its stdout.
    fn shown(&self, columns: usize, line: &str) -> String {
        let mut command = self.command();
        command.env("COLUMNS", columns.to_string()).args(line.split_whitespace());
        let ended = Ended::from(command.output().expect("started")).succeeds();
        assert_eq!(ended.err, "", "{line}");
        String::from_utf8(ended.out).expect("UTF-8")
    }
}

/// Two finished runs that differ in cell and learning rate.
fn two_runs() -> Place {
    let place = with_text();
    place.run(&format!("train text.txt {SMALL}")).succeeds();
    place.run(&format!("train text.txt {SMALL} --cell gru --lr 0.01")).succeeds();
    place
}

#[test]
fn a_run_is_told_as_its_own_events_tell_it() {
    let place = with_text();
    let trained = place.run(&format!("train text.txt {SMALL} --eval-every 20 --json")).succeeds();
    let runs = place.run("runs --json").succeeds().objects();
    assert_eq!(runs.len(), 1);
    let run = &runs[0];
    let (start, done) = (&trained.events("start")[0], &trained.events("done")[0]);
    assert_eq!(run["run"], "text-lstm-2x17-1");
    assert_eq!(run["state"], "done");
    for field in ["parameters", "vocab", "threads", "isa", "version", "corpus", "config", "train_symbols", "steps"] {
        assert_eq!(run[field], start[field], "{field}");
    }
    assert_eq!(run["step"], done["steps"]);
    for field in ["tokens", "seconds", "train_nats", "val_nats", "weights_sha256"] {
        assert_eq!(run[field], done[field], "{field}");
    }
    assert_eq!(run["epochs"], 2.0);
    let number = |value: &Value| value.as_f64().expect("a number");
    let seconds: f64 = trained.events("step").iter().map(|step| 30.0 / number(&step["tokens_per_s"])).sum();
    let rate = number(&run["tokens"]) / seconds;
    assert!((number(&run["tokens_per_s"]) / rate - 1.0).abs() < 1e-9);

    // The curve: every evaluation, each with the mean of the steps since the one before.
    let evals = trained.events("eval");
    let best = evals.iter().min_by(|a, b| number(&a["val_nats"]).total_cmp(&number(&b["val_nats"]))).expect("some");
    assert_eq!((&run["best_val_nats"], &run["best_step"]), (&best["val_nats"], &best["step"]));
    let points: Vec<&Value> = run["curve"].as_array().expect("points").iter().collect();
    let mut before = 0;
    for eval in &evals {
        let at = eval["step"].as_u64().expect("a step");
        let point = points.iter().find(|point| point["step"] == at).expect("a point for each evaluation");
        assert_eq!(point["val_nats"], eval["val_nats"]);
        let since = points.iter().filter_map(|p| p["step"].as_u64()).filter(|&step| step < at).max().unwrap_or(0);
        let steps = trained.events("step");
        let losses = steps.iter().filter(|s| (since + 1..=at).contains(&s["step"].as_u64().expect("a step")));
        let losses: Vec<f64> = losses.map(|step| number(&step["train_nats"])).collect();
        let mean = losses.iter().sum::<f64>() / losses.len() as f64;
        assert!((number(&point["train_nats"]) - mean).abs() < 1e-12, "{point}");
        assert!(at > before);
        before = at;
    }
    let samples: Vec<Value> = trained
        .events("sample")
        .into_iter()
        .map(|mut sample| {
            sample.as_object_mut().expect("an object").remove("event");
            sample
        })
        .collect();
    assert_eq!(run["samples"], Value::from(samples));
    let files = run["checkpoints"].as_array().expect("files");
    assert_eq!(files.iter().map(|file| file["best"] == true).collect::<Vec<_>>(), [false, false, true]);
    for file in files {
        let length = fs::metadata(place.path(file["path"].as_str().expect("a path"))).expect("there").len();
        assert_eq!(file["size_bytes"], length);
    }
    assert_eq!(files[1]["step"], done["steps"]);
}

#[test]
fn one_run_is_shown_with_losses_and_with_samples_side_by_side() {
    let place = two_runs();
    let page = place.shown(130, "runs runs/text-lstm-2x17-1");
    let asked = format!("asked    gatemill train {} --batch 6 --epochs 2", place.path("text.txt").display());
    let isa = &place.run("machine --no-measure --json").objects()[0]["isa"];
    let kernels = format!("{} kernels", isa.as_str().expect("a tier"));
    for words in ["state    done", "lstm 2x17", &asked, &kernels, "sha256 ", "the best model", "\u{2588}"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    // From noise to words: four samples beside each other, in the order of their steps.
    let heads = page.lines().find(|line| line.matches("step ").count() == 4).expect("four heads on one line");
    let steps: Vec<u64> = heads
        .split("step ")
        .skip(1)
        .map(|part| part.split([' ', '\u{2502}']).next().unwrap().parse().unwrap())
        .collect();
    assert!(steps.windows(2).all(|pair| pair[0] < pair[1]), "{steps:?}");
    assert!(page.lines().all(|line| line.chars().count() <= 130), "no line is wider than the screen");
    // On a narrow screen one below the other.
    let narrow = place.shown(50, "runs runs/text-lstm-2x17-1 --samples");
    assert!(!narrow.contains('\u{2502}'), "{narrow}");
    assert_eq!(narrow.lines().filter(|line| line.starts_with("step ")).count(), 4);
    let object = &place.run("runs runs/text-lstm-2x17-1 --samples --json").succeeds().objects()[0];
    assert_eq!(object.as_object().expect("an object").len(), 2);
}

/// "Train more": the same seed and prime at each stage, so a stage's checkpoint writes the stage's text again.
#[test]
fn stages_differ_by_the_weights_alone_and_say_how_many_words_are_real() {
    let place = with_text();
    place.run(&format!("train text.txt {SMALL} --save-every 1 --keep all --seed 7 --eval-every 2")).succeeds();
    let run = "runs/text-lstm-2x17-1";
    let object = &place.run(&format!("runs {run} --stages --json")).succeeds().objects()[0];
    assert_eq!((object["seed"].as_u64(), object["temperature"].as_f64()), (Some(7), Some(0.8)));
    let stages = object["stages"].as_array().expect("stages");
    assert_eq!(stages.len(), 4);
    let text = fs::read_to_string(place.path("text.txt")).expect("read").to_lowercase();
    for stage in stages {
        let model = format!("{run}/checkpoints/step-{:09}.safetensors", stage["step"].as_u64().expect("a step"));
        let written = place.run(&format!("sample {model} --length 300 --temperature 0.8 --seed 7")).succeeds().out;
        let stage_text = stage["text"].as_str().expect("a text");
        assert_eq!(String::from_utf8(written).expect("UTF-8"), stage_text);
        // Words of this text have no apostrophes.
        let last = stage_text.chars().last().is_some_and(char::is_alphabetic);
        let mut words: Vec<&str> = stage_text.split(|c: char| !c.is_alphabetic()).collect();
        if last {
            words.pop();
        }
        words.retain(|word| word.chars().count() > 1);
        let known: std::collections::HashSet<&str> = text.split(|c: char| !c.is_alphabetic()).collect();
        let real = words.iter().filter(|word| known.contains(word.to_lowercase().as_str())).count();
        assert_eq!((stage["words"].as_u64(), stage["real"].as_u64()), (Some(words.len() as u64), Some(real as u64)));
    }
    assert!(stages[3]["val_nats"].is_number(), "the last step is scored");

    let shown = place.shown(130, &format!("runs {run} --stages"));
    assert!(shown.contains("seed 7") && shown.contains(" words real, "), "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() <= 130));
    place.run(&format!("runs {run} --stages -o none/stages.html")).fails(4, &["no folder none"]);
    let ended = place.run(&format!("runs {run} --stages -o stages.html")).succeeds();
    assert!(ended.out.is_empty() && ended.err.contains("wrote stages.html"), "{ended:?}");
    assert!(fs::read_to_string(place.path("stages.html")).expect("read").contains("Train more"));
    place.run(&format!("runs {run} -o stages.html")).fails(2, &["required"]);

    // Without its text the samples are shown still.
    fs::remove_file(place.path("text.txt")).expect("removed");
    let ended = place.run(&format!("runs {run} --stages --json")).succeeds();
    assert!(ended.err.contains("which words are real is not told"), "{}", ended.err);
    assert!(ended.objects()[0]["stages"][0]["real"].is_null());
}

#[test]
fn the_table_keeps_its_order_and_to_its_width() {
    let place = two_runs();
    let names = |flags: &str| -> Vec<String> {
        let runs = place.run(&format!("runs --json {flags}")).succeeds().objects();
        runs.iter().map(|run| run["run"].as_str().expect("a name").to_owned()).collect()
    };
    let (lstm, gru) = ("text-lstm-2x17-1".to_owned(), "text-gru-2x17-1".to_owned());
    assert_eq!(names(""), [lstm.clone(), gru.clone()], "the newest last");
    assert_eq!(names("--sort name"), [gru.clone(), lstm.clone()]);
    let runs = place.run("runs --json").succeeds().objects();
    for (by, field) in [("val", "best_val_nats"), ("time", "seconds")] {
        let first = usize::from(runs[1][field].as_f64() < runs[0][field].as_f64());
        assert_eq!(names(&format!("--sort {by}"))[0], [&lstm, &gru][first].as_str(), "{by}");
    }
    place.run("runs --sort size").fails(2, &["size"]);

    let wide = place.shown(200, "runs");
    assert_eq!(wide.lines().count(), 3, "{wide}");
    for words in ["run", "state", "chars/s", "best val", "text.txt", "gru 2x17", "done", "2.0"] {
        assert!(wide.contains(words), "{words}: {wide}");
    }
    for columns in [60, 80, 100, 140] {
        let text = place.shown(columns, "runs");
        assert!(text.lines().all(|line| line.chars().count() <= columns), "{columns}: {text}");
        assert!(text.contains("best val") && text.contains(&lstm), "{text}");
    }
    // The folder by name, and one run of it by name.
    assert_eq!(place.shown(200, "runs runs"), wide);
    assert!(place.shown(200, &format!("runs runs/{gru}")).starts_with("run "));
}

#[test]
fn several_runs_are_set_side_by_side() {
    let place = two_runs();
    let page = place.shown(120, "runs runs/text-lstm-2x17-1 runs/text-gru-2x17-1");
    let line =
        |begin: &str| page.lines().find(|line| line.starts_with(begin)).unwrap_or_else(|| panic!("{begin}: {page}"));
    let words = |begin: &str| line(begin).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words("--cell"), ["--cell", "lstm", "gru"]);
    assert_eq!(words("--lr"), ["--lr", "0.002", "0.01"]);
    assert!(!page.contains("--hidden"), "what is the same is not told: {page}");
    // Losses at the same steps, by the runs' own numbers.
    let runs = place.run("runs --sort name --json").succeeds().objects();
    let (gru, lstm) = (&runs[0]["curve"][0], &runs[1]["curve"][0]);
    assert_eq!(gru["step"], lstm["step"]);
    let cell = |value: &Value| format!("{:.4}", value.as_f64().expect("a number"));
    let row = page.lines().find(|line| line.trim_start().starts_with(&format!("{} ", gru["step"]))).expect("a row");
    let row: Vec<&str> = row.split_whitespace().skip(1).collect();
    assert_eq!(row, [&lstm["train_nats"], &lstm["val_nats"], &gru["train_nats"], &gru["val_nats"]].map(cell));
    assert!(page.contains("A  text-lstm-2x17-1") && page.contains("B  text-gru-2x17-1"), "{page}");
    let same = place.shown(120, "runs runs/text-gru-2x17-1 runs/text-gru-2x17-1");
    assert!(same.contains("the same configuration"), "{same}");
    assert_eq!(place.run("runs runs/text-lstm-2x17-1 runs/text-gru-2x17-1 --json").succeeds().objects().len(), 2);
}

#[test]
fn a_run_that_goes_on_is_seen_and_not_disturbed() {
    let place = with_text();
    let mut started = place.spawn(&format!("train text.txt {SIZES} --steps 1000000 --save-every 50 --json --out run"));
    started.wait_for("checkpoint", 50);
    let before = fs::metadata(place.path("run/.lock")).expect("a lock").modified().expect("a time");
    let run = &place.run("runs run --json").succeeds().objects()[0];
    assert_eq!((&run["state"], &run["pid"]), (&"running".into(), &started.child.id().into()), "{run}");
    assert!(place.shown(100, "runs run").contains(&format!("running, process {}", started.child.id())));
    assert_eq!(fs::metadata(place.path("run/.lock")).expect("a lock").modified().expect("a time"), before);
    started.signal("TERM");
    assert_eq!(started.finish().code, Some(143));
    let run = &place.run("runs run --json").succeeds().objects()[0];
    assert_eq!((&run["state"], &run["signal"]), (&"stopped".into(), &"SIGTERM".into()));
    assert!(place.shown(100, "runs run").contains("gatemill train --resume run"));

    // Killed: neither an end nor a holder.
    let mut started = place.spawn("train --resume run --json");
    // A checkpoint is told before the log has it on disk: with the second the first is there.
    started.wait_for("checkpoint", 100);
    started.wait_for("checkpoint", 100);
    started.signal("KILL");
    started.finish();
    let run = &place.run("runs run --json").succeeds().objects()[0];
    assert_eq!((&run["state"], &run["pid"]), (&"interrupted".into(), &Value::Null));
    let names = |folder: &str| fs::read_dir(place.path(folder)).expect("listed").count();
    let files = (names("run"), names("run/checkpoints"));
    place.shown(100, "runs run");
    assert_eq!((names("run"), names("run/checkpoints")), files, "nothing was made or removed");
}

#[test]
fn a_run_that_diverged_says_so() {
    let place = with_text();
    place
        .train("run", &format!("{SIZES} --epochs 2 --optimizer sgd --lr 1e38 --clip-norm 0 --schedule constant"))
        .fails(5, &[]);
    assert_eq!(place.run("runs run --json").succeeds().objects()[0]["state"], "diverged");
    assert!(place.shown(100, "runs run").contains("--lr SMALLER --override"));
}

#[test]
fn torn_missing_and_hostile_files_are_told_and_cannot_move_the_cursor() {
    let place = with_text();
    place.train("run", SMALL).succeeds();
    // Others' texts: a sample that would clear the screen, a wide one, and a torn last line.
    let log = place.path("run/events.jsonl");
    let mut file = OpenOptions::new().append(true).open(&log).expect("opened");
    let hostile = "{\"event\":\"sample\",\"step\":9999,\"train_nats\":1.0,\"text\":\"\\u001b[2J\\u202e소설 소설\\r\\nx\"}\n\
                   {\"event\":\"notice\",\"step\":9999,\"text\":\"\\u001b]0;title\\u0007 two\\nlines\"}\n{\"event\":\"st";
    file.write_all(hostile.as_bytes()).expect("written");
    let page = place.shown(100, "runs run");
    assert!(page.contains("소설 소설") && page.contains("two\u{fffd}lines"), "{page}");
    assert!(!page.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{page}");
    assert!(page.contains("is torn"), "{page}");
    // What lacks the rest is still a run.
    fs::remove_file(place.path("run/config.toml")).expect("removed");
    assert!(place.shown(100, "runs run").contains("lstm 2x17"));
    fs::remove_file(&log).expect("removed");
    let run = &place.run("runs run --json").succeeds().objects()[0];
    assert_eq!((&run["state"], &run["train_nats"]), (&"interrupted".into(), &Value::Null));
    assert_eq!(run["step"], run["checkpoints"][1]["step"], "the newest checkpoint tells the step");
    place.shown(100, "runs run run");
}

#[test]
fn what_is_no_run_is_refused_with_help() {
    let place = with_text();
    place.run("runs").fails(4, &["cannot list runs", "No such file"]);
    place.run("runs missing").fails(4, &["missing"]);
    place.run("runs text.txt").fails(3, &["text.txt is a file"]);
    fs::create_dir(place.path("empty")).expect("made");
    place.run("runs empty").fails(3, &["empty is no run folder and holds none"]);
    assert_eq!(place.names(), ["empty", "text.txt"]);
}

#[test]
fn the_examples_of_the_help_run() {
    let place = with_text();
    place.write("book.txt", fs::read(place.path("text.txt")).expect("read"));
    let small = "--batch 6 --seq 5 --steps 2 --eval-tokens 50";
    place.run(&format!("train book.txt {small}")).succeeds();
    place.run(&format!("train book.txt {small} --cell gru")).succeeds();
    let mut ran = 0;
    for command in ["runs", "hello", "machine", "completions", "man"] {
        let help = String::from_utf8(place.run(&format!("{command} --help")).succeeds().out).expect("UTF-8");
        let (_, examples) = help.split_once("Examples:\n").expect("examples");
        for line in examples.lines().filter_map(|line| line.trim().strip_prefix("gatemill ")) {
            // Two spaces end the command; what is measured has a test of its own.
            let line = line.split("  ").next().expect("a command");
            if line == "machine" || line == "machine --json" {
                continue;
            }
            assert!(
                !place.run(line).succeeds().out.is_empty() || line.contains("--out") || line.contains(" -o "),
                "{line}"
            );
            ran += 1;
        }
    }
    assert_eq!(ran, 17);
}
