//! The kinds of RNN: each is trained in its quick form, asked and scored, on examples made here or made by the program.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::place::{Ended, Place, objects};

/// A quick form of each task: a few hundred steps, a second or two.
pub(crate) const QUICK: [(&str, &str); 5] = [
    ("map", "--steps 800 --hidden 24"),
    ("classify", "--steps 400 --hidden 48"),
    ("tag", "--steps 450 --hidden 40 --eval-every 150"),
    ("describe", "--steps 450 --hidden 64 --eval-every 450"),
    ("translate", "--steps 600 --hidden 64 --embed 16 --eval-every 600"),
];

pub(crate) fn quick(task: &str) -> &'static str {
    QUICK.iter().find(|(name, _)| *name == task).expect("a task").1
}

fn train(place: &Place, task: &str) -> Ended {
    place.run(&format!("train --task {task} {} --out {task} --json", quick(task))).succeeds()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// Runs `gatemill LINE` with words that may hold spaces, and something on standard input.
fn ask(place: &Place, words: &[&str], stdin: &str) -> Ended {
    let mut child = place.command();
    child.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().expect("started");
    child.stdin.take().expect("piped").write_all(stdin.as_bytes()).expect("written");
    child.wait_with_output().expect("ended").into()
}

fn text(ended: &Ended) -> String {
    String::from_utf8(ended.out.clone()).expect("UTF-8")
}

#[test]
fn map_learns_xor_and_a_bit_more() {
    let place = Place::new();
    let ended = train(&place, "map");
    let done = &ended.events("done")[0];
    assert!(number(&done["accuracy"]) >= 0.97, "{done}");
    let start = &ended.events("start")[0]["task"];
    assert_eq!((&start["kind"], &start["outputs"], &start["best_accuracy"]), (&"map".into(), &3.into(), &1.0.into()));
    let asked = ask(&place, &["predict", "map", "0.1 0.2", "0.9 0.2", "0.5 0.5", "0.9 0.8"], "").succeeds();
    assert_eq!(text(&asked), "0.1 0.2\tsame\n0.9 0.2\tdifferent\n0.5 0.5\tmiddle\n0.9 0.8\tsame\n");
}

#[test]
fn classify_tells_languages_apart_and_gives_its_measures() {
    let place = Place::new();
    let ended = train(&place, "classify");
    let done = &ended.events("done")[0];
    let limit = number(&ended.events("start")[0]["task"]["best_accuracy"]);
    assert!(number(&done["accuracy"]) >= limit - 0.04 && limit < 1.0, "{done} {limit}");

    // The table agrees with itself: every example is of one class, and what is right of them is the accuracy.
    let classes = done["classes"].as_array().expect("a table");
    let sum = |of: &dyn Fn(&Value) -> f64| classes.iter().map(of).sum::<f64>();
    let examples = sum(&|class| number(&class["support"]));
    assert_eq!((classes.len(), examples), (6, 800.0));
    let right = sum(&|class| number(&class["recall"]) * number(&class["support"]));
    assert!((right / examples - number(&done["accuracy"])).abs() < 1e-9);
    for class in classes {
        let (p, r) = (number(&class["precision"]), number(&class["recall"]));
        assert!((number(&class["f1"]) - 2.0 * p * r / (p + r)).abs() < 1e-12, "{class}");
    }

    // eval of the split is the run's own score, to the last bit.
    let score = &place.run("eval classify --split val --json").succeeds().objects()[0];
    assert_eq!(score["nats"], done["best_nats"]);
    assert_eq!((&score["accuracy"], &score["classes"]), (&done["accuracy"], &done["classes"]));
    assert_eq!((&score["task"], &score["examples"], &score["unseen"]), (&"classify".into(), &800.into(), &0.into()));
    let words = text(&place.run("eval classify --split val").succeeds());
    assert!(words.contains("% right, over 800 examples") && words.contains("precision"), "{words}");
}

#[test]
fn tag_says_what_is_inside_quotation_marks() {
    let place = Place::new();
    let ended = train(&place, "tag");
    assert!(number(&ended.events("done")[0]["accuracy"]) >= 0.96);
    let asked = ask(&place, &["predict", "tag"], "He was \"very\" old.\n\n{x} \"y\"\n").succeeds();
    let lines: Vec<String> = text(&asked).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for line in &lines {
        let (input, tags) = line.split_once('\t').expect("a tab");
        assert_eq!(input.chars().count(), tags.chars().count(), "{line}");
    }
    let said = ask(&place, &["predict", "tag", "ab \"c", "--json", "--top", "2"], "").succeeds().objects().remove(0);
    let list = |key: &str| said[key].as_array().unwrap_or_else(|| panic!("{key} in {said}")).clone();
    assert_eq!((list("tags").len(), list("p").len(), list("classes_of_symbols").len()), (5, 5, 5));
    let output: String = list("tags").iter().map(|tag| tag.as_str().expect("a name")).collect();
    assert_eq!(said["output"], output);
}

#[test]
fn describe_comes_near_the_entropy_of_its_grammar() {
    let place = Place::new();
    let ended = train(&place, "describe");
    let (done, start) = (&ended.events("done")[0], &ended.events("start")[0]);
    let (nats, limit) = (number(&done["best_nats"]), number(&start["task"]["best_nats"]));
    assert!(nats < limit + 0.12 && nats > limit - 0.05, "{nats} against {limit}");
    assert!(number(&done["edit_rate"]) < 0.7 && number(&done["answered"]) == 500.0, "{done}");

    let names =
        |flags: &[&str]| text(&ask(&place, &[&["predict", "describe", "T", "L"], flags].concat(), "").succeeds());
    let drawn = names(&["--samples", "4", "--temperature", "1"]);
    let lines: Vec<(&str, &str)> = drawn.lines().map(|line| line.split_once('\t').expect("a tab")).collect();
    assert_eq!(lines.len(), 8);
    assert!(lines.iter().all(|(initial, name)| name.starts_with(initial)), "{drawn}");
    assert!(lines[..4].iter().any(|line| line != &lines[0]), "four draws are not all one: {drawn}");
    // Draws go by the number of the input, however inputs come.
    let by_line = ask(&place, &["predict", "describe", "--samples", "4", "--temperature", "1"], "T\nL\n").succeeds();
    assert_eq!(text(&by_line), drawn);
    assert_eq!(names(&[]), names(&["--seed", "7"]), "the likeliest takes no chance");
}

#[test]
fn translate_writes_dates_and_shows_where_it_looked() {
    let place = Place::new();
    let ended = train(&place, "translate");
    let done = &ended.events("done")[0];
    assert!(number(&done["exact"]) >= 0.9 && number(&done["edit_distance"]) < 0.3, "{done}");
    let sample = &ended.events("sample")[3];
    assert!(sample["text"].as_str().expect("text").contains(" -> "), "{sample}");

    let dates = place.run("corpus --task translate --examples 300 --seed 9").succeeds();
    place.write("dates.tsv", &dates.out);
    let score = &place.run("eval translate dates.tsv --json").succeeds().objects()[0];
    assert!(number(&score["exact"]) >= 0.88 && score["answered"] == 300, "{score}");
    // A line in, a line out; a column behind the input is passed over.
    let answers = text(&place.run("predict translate --file dates.tsv").succeeds());
    let pairs: Vec<_> = answers.lines().zip(std::str::from_utf8(&dates.out).expect("UTF-8").lines()).collect();
    assert_eq!(pairs.len(), 300);
    let exact = pairs.iter().filter(|(answer, wanted)| answer == wanted).count();
    assert_eq!(exact as f64 / 300.0, number(&score["exact"]), "predict and eval agree");

    let said = ask(&place, &["predict", "translate", "12 March 2021", "--json"], "").succeeds().objects().remove(0);
    let rows = said["attention"].as_array().expect("rows");
    let answer = said["output"].as_str().expect("an answer");
    assert_eq!(
        (rows.len(), said["p"].as_array().expect("a list").len()),
        (answer.chars().count(), answer.chars().count())
    );
    for row in rows {
        let row: Vec<f64> = row.as_array().expect("a row").iter().map(number).collect();
        assert!(row.len() == 13 && (row.iter().sum::<f64>() - 1.0).abs() < 1e-4, "{row:?}");
    }
    assert_eq!(said["ended"], true);
    let short = ask(&place, &["predict", "translate", "12 March 2021", "--json", "--longest", "3"], "").succeeds();
    let short = short.objects().remove(0);
    assert_eq!((&short["ended"], short["output"].as_str()), (&false.into(), answer.get(..3)));
    // Inputs may be objects, and are answered by what they mean.
    let objects_in = ask(&place, &["predict", "translate", "-"], "{\"input\": \"12 March 2021\"}\n").succeeds();
    assert_eq!(text(&objects_in), format!("12 March 2021\t{answer}\n"));
}

#[test]
fn a_file_of_ones_own_is_learned_with_names_of_classes_and_unseen_ones_are_told() {
    let place = Place::new();
    let mut lines = String::from("\u{feff}");
    for i in 0..240 {
        let word = ["moo", "baa", "oink"][i % 3];
        lines.push_str(&format!("{word}{} {i}\t{}\r\n", "!".repeat(i % 4), ["cow", "sheep", "pig"][i % 3]));
    }
    place.write("animals.tsv", &lines);
    place.write(
        "val.jsonl",
        "{\"input\": \"moo 7\", \"output\": \"cow\"}\n{\"input\": \"quack\", \"output\": \"duck\"}\n",
    );
    let flags = "--hidden 16 --epochs 12 --batch 8 --lr 0.02";
    let ended = place.run(&format!("train --task classify animals.tsv {flags} --test-frac 0.1 --json --out run"));
    let ended = ended.succeeds();
    let start = &ended.events("start")[0];
    let facts = &start["task"];
    let counts = ["train_examples", "val_examples", "test_examples"].map(|key| facts[key].as_u64().expect("a count"));
    assert_eq!(counts, [192, 24, 24]);
    let done = &ended.events("done")[0];
    assert_eq!((&done["accuracy"], &done["test"]["accuracy"]), (&1.0.into(), &1.0.into()), "{done}");
    assert_eq!(facts["best_accuracy"], Value::Null, "nobody knows it of a file");

    // A validation file: its unseen class is never right, and said.
    let own = format!("train --task classify animals.tsv {flags} --val val.jsonl --json --out own");
    let ended = place.run(&own).succeeds();
    let eval = ended.events("eval").pop().expect("a score");
    assert_eq!((&eval["tokens"], &eval["unseen"], &eval["accuracy"]), (&1.into(), &1.into(), &0.5.into()), "{eval}");
    let notes: Vec<String> = ended.events("notice").iter().map(|note| note["text"].to_string()).collect();
    assert!(notes.iter().any(|note| note.contains("never seen") && note.contains("never right: 1")), "{notes:?}");
    let split = &place.run("eval own --split val --json").succeeds().objects()[0];
    assert_eq!(split["nats"], ended.events("done")[0]["best_nats"]);
    // The same examples as JSON lines are the same examples.
    let lines: Vec<String> = lines
        .trim_start_matches('\u{feff}')
        .lines()
        .map(|line| line.split_once('\t').expect("a tab"))
        .map(|(input, output)| serde_json::json!({ "input": input, "output": output }).to_string())
        .collect();
    place.write("animals.jsonl", lines.join("\n"));
    let again = place.run(&format!("train --task classify animals.jsonl {flags} --val val.jsonl --json --out again"));
    assert_eq!(again.succeeds().sha256(), ended.sha256());
}

#[test]
fn a_run_on_examples_leaves_a_folder_like_any_other() {
    let place = Place::new();
    let ended = place.run("train --task map --steps 60 --hidden 8 --eval-every 20 --json").succeeds();
    let run = place.path("runs/map-lstm-1x8-1");
    for file in ["config.toml", "events.jsonl", "samples.txt", "best.safetensors"] {
        assert!(fs::metadata(run.join(file)).is_ok_and(|file| file.len() > 0), "{file}");
    }
    assert_eq!(objects(&fs::read(run.join("events.jsonl")).expect("read")), ended.objects());
    assert_eq!(ended.events("eval").len(), 3);
    for step in ended.events("step") {
        for field in ["step", "epoch", "tokens", "train_nats", "grad_norm", "lr", "tokens_per_s", "accuracy"] {
            assert!(step[field].is_number(), "{field} in {step}");
        }
    }
    let page = text(&place.run("runs runs/map-lstm-1x8-1").succeeds());
    assert!(page.contains("made for map") || page.contains("examples made for map"), "{page}");
    // Its page makes the same run again.
    let again = place.run("train --task map --config runs/map-lstm-1x8-1/config.toml --json --out again").succeeds();
    assert_eq!(again.sha256(), ended.sha256());
    place.run("train --config runs/map-lstm-1x8-1/config.toml").fails(2, &["page of --config is one of a task"]);
    place.run("train --task tag --config runs/map-lstm-1x8-1/config.toml").fails(2, &["task = \"map\""]);
}

#[test]
fn made_examples_are_written_as_they_are_learned_from() {
    let place = Place::new();
    let made = place.run("corpus --task classify --seed 1").succeeds();
    assert_eq!(made.out.iter().filter(|&&byte| byte == b'\n').count(), 8000);
    place.write("words.tsv", &made.out);
    let flags = "--steps 30 --hidden 8 --json";
    let of_file = place.run(&format!("train --task classify words.tsv {flags} --out file")).succeeds();
    let of_made = place.run(&format!("train --task classify {flags} --out made")).succeeds();
    assert_eq!(of_file.sha256(), of_made.sha256());
}

#[test]
fn the_examples_of_the_help_work() {
    let place = Place::new();
    for (task, run) in [("translate", "translate-lstm-1x96-1"), ("classify", "classify-lstm-1x64-1")] {
        let line = format!("train --task {task} --steps 5 --hidden 8 --out runs/{run}");
        fs::create_dir_all(place.path("runs")).expect("created");
        place.run(&line).succeeds();
    }
    place.write("words.txt", "tarobai\nzik\n");
    place.write("dates.txt", "12 March 2021\n");
    let help = text(&place.run("predict --help").succeeds());
    let examples: Vec<&str> = help.lines().filter_map(|line| line.trim().strip_prefix("gatemill predict ")).collect();
    assert_eq!(examples.len(), 3, "{help}");
    for example in examples {
        // Without what it says about it.
        let line = example.split("  ").next().expect("a line");
        let mut shell = place.shell("sh");
        shell.args(["-c", &format!("{} predict {line}", env!("CARGO_BIN_EXE_gatemill"))]);
        let ended = Ended::from(shell.output().expect("started")).succeeds();
        assert!(!ended.out.is_empty(), "{line}");
    }
}
