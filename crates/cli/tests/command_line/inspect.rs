//! `gatemill inspect`: the page, the findings as JSON, texts from everywhere, what it refuses.

use std::fs;

use crate::place::Place;

const TRAIN: &str =
    "train --layers 2 --hidden 19 --batch 8 --seq 20 --steps 4 --eval-tokens 1000 --threads 1 --out run";

/// A place with a run of a few steps on the built-in text.
fn trained(more: &str) -> Place {
    let place = Place::new();
    place.run(&format!("{TRAIN} {more}")).succeeds();
    place
}

#[test]
fn a_page_and_an_object_have_the_same_findings() {
    let place = trained("");
    let ended = place.run("inspect run --builtin --bytes 12kB --show 3000 --unit 1:18 -o page.html --json").succeeds();
    let object = &ended.objects()[0];
    assert_eq!(
        (object["cell"].as_str(), object["layers"].as_u64(), object["hidden"].as_u64(), object["chars"].as_u64()),
        (Some("lstm"), Some(2), Some(19), Some(12_000))
    );
    let labels = object["labels"].as_array().expect("labels");
    let names: Vec<&str> = labels.iter().map(|label| label["label"].as_str().expect("a name")).collect();
    for name in ["inside quotes", "bracket depth", "if condition", "if body", "comment", "position in the line"] {
        assert!(names.contains(&name), "{names:?}");
    }
    for label in labels {
        let scores: Vec<f64> = label["best"]
            .as_array()
            .expect("units")
            .iter()
            .map(|cell| cell["score"].as_f64().expect("a score"))
            .collect();
        assert!(scores.is_sorted_by(|a, b| a >= b) && scores.iter().all(|s| (0.0..=1.0).contains(s)), "{label}");
        assert_eq!(label["control"].as_array().map(Vec::len), Some(4));
    }
    // h, i, f, g, o of two layers; shares of the time.
    let gates = object["gates"].as_array().expect("gates");
    assert_eq!(gates.len(), 10);
    for gate in gates {
        let sum: f64 = ["open", "closed", "between"].iter().map(|k| gate[k].as_f64().expect("a share")).sum();
        assert!((sum - 1.0).abs() < 1e-9 && gate["units"].as_array().map(Vec::len) == Some(19), "{gate}");
    }
    let page = fs::read_to_string(place.path("page.html")).expect("read");
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"));
    let weights = object["weights_sha256"].as_str().expect("a hash");
    assert!(page.contains(weights) && page.contains("\"unit\":18"));
    assert!(ended.err.contains("text     12,000 characters"), "{}", ended.err);
    // The same again, on another number of threads.
    let again =
        place.run("inspect run --builtin --bytes 12kB --show 3000 --unit 1:18 -o again.html --threads 3 --json");
    assert_eq!(again.succeeds().objects()[0], *object);
    assert!(fs::read_to_string(place.path("again.html")).expect("read") == page, "another page");
}

#[test]
fn a_hold_is_told_with_its_bits_and_what_is_written() {
    let place = trained("--cell gru");
    let line = "inspect run --builtin --bytes 8kB --show 2000 --hold 1:3=0 --hold h:0:2=0.5 --json";
    let object = &place.run(line).succeeds().objects()[0];
    let holds = object["holds"].as_array().expect("holds");
    assert_eq!(holds.len(), 2);
    for (hold, (layer, unit, value)) in holds.iter().zip([(1, 3, 0.0), (0, 2, 0.5)]) {
        assert_eq!((hold["layer"].as_u64(), hold["unit"].as_u64()), (Some(layer), Some(unit)));
        assert_eq!((hold["part"].as_str(), hold["value"].as_f64()), (Some("h"), Some(value)));
        let bits = |when: &str| hold[when]["all"].as_f64().expect("bits");
        assert!(bits("before") > 1.0 && bits("before") != bits("after"), "{hold}");
        assert_eq!(hold["written_after"].as_str().map(|text| text.chars().count()), Some(320));
    }
}

#[test]
fn texts_come_from_files_pipes_and_with_questions_of_ones_own() {
    let place = Place::new();
    let text = "In 1874 he wrote 12 letters (or so); in 1875 none. \"Why?\" said she.\n".repeat(40);
    place.write("book.txt", &text);
    place.run("train book.txt --hidden 17 --batch 3 --seq 9 --steps 3 --vocab bytes --out run").succeeds();
    let found = |line: &str| place.run(line).succeeds().objects()[0].clone();
    let object = found("inspect run book.txt --regex year=1[0-9]{3} --json");
    let labels = object["labels"].as_array().expect("labels");
    let year = labels.iter().find(|label| label["label"] == "year").expect("the question");
    let share = year["share"].as_f64().expect("a share");
    assert!((share - 8.0 * 40.0 / text.len() as f64).abs() < 1e-9, "{share}");
    assert_eq!(year["stretches"][0].as_u64(), Some(40));
    // Cut short, in the middle of a character: it is left out.
    place.write("book.txt", "물".repeat(3000));
    let object = found("inspect run book.txt --bytes 7000 --exact --json");
    assert_eq!((object["chars"].as_u64(), object["lanes"].as_u64()), (Some(2333), Some(1)));
}

#[test]
fn what_cannot_be_inspected_is_refused_before_the_work() {
    let place = trained("");
    for (line, missing) in [("inspect run --builtin", "--out"), ("inspect run -o page.html", "<TEXT>")] {
        let ended = place.run(line);
        assert!(ended.code == Some(2) && ended.err.contains(missing), "{ended:?}");
    }
    place.run("inspect none --builtin -o page.html").fails(4, &["none"]);
    place.write("short.txt", "too short");
    place.run("inspect run short.txt -o page.html").fails(3, &["9 characters", "at least 2000"]);
    place.run("inspect run missing.txt -o page.html").fails(4, &["missing.txt"]);
    let builtin = "inspect run --builtin --bytes 8kB -o page.html";
    place.run(&format!("{builtin} --unit 2:0")).fails(2, &["no unit 2:0", "layers 0 to 1"]);
    place.run(&format!("{builtin} --unit 3")).fails(2, &["--unit 3 is no LAYER:UNIT"]);
    place.run(&format!("{builtin} --hold 1:2")).fails(2, &["`1:2` is no hold"]);
    place.run(&format!("{builtin} --hold 1:19=0")).fails(2, &["c:1:19=0", "unit that the model has not"]);
    place.run(&format!("{builtin} --regex [0-9]")).fails(2, &["is no NAME=PATTERN"]);
    place.run(&format!("{builtin} --regex x=(")).fails(2, &["no regular expression"]);
    place.run("inspect run --builtin --bytes 8kB -o missing/page.html").fails(4, &["missing/page.html"]);
    assert_eq!(place.names(), ["run", "short.txt"]);
}
