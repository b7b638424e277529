//! `gatemill gradflow`: the lecture's toy, a model on a text, three cells side by side; and what a run says of it.

use std::fs;

use serde_json::Value;

use crate::place::Place;

fn floats(values: &Value) -> Vec<f64> {
    values.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect()
}

#[test]
fn the_toy_is_worked_out() {
    let place = Place::new();
    let text = String::from_utf8(place.run("gradflow --toy").succeeds().out).expect("UTF-8");
    for line in [
        "h_3 = tanh(2 x_3 + 3 tanh(2 x_2 + 3 h_1 + 1) + 1)",
        "h_3 = 27 h_0 + 18 x_1 + 6 x_2 + 2 x_3 + 13",
        "6h_2 and 8h_1 stand where 3h_2 and 3h_1 are meant",
        "h_3 = 3*12 + 2*1 + 1 = 39",
        "dh_3/dh_1 = dh_3/dh_2 * dh_2/dh_1 = 3 * 3 = 9",
        "with w_hh = 3 it explodes; with w_hh = 0.5 it vanishes",
    ] {
        assert!(text.contains(line), "{line:?} is not in:\n{text}");
    }
    let ended =
        place.run("gradflow --toy --json --linear --x 1,-2,0.5,4,1 --h0 -1 --w-hh -2 --w-xh 3 --b 0.5 --beside 0.25");
    let toy = &ended.succeeds().objects()[0];
    assert_eq!(toy["tanh"], Value::Null);
    let [own, beside] = [&toy["linear"][0], &toy["linear"][1]];
    assert_eq!(floats(&own["expanded"]), [-32.0, 48.0, -24.0, 12.0, -6.0, 3.0, 5.5]);
    assert_eq!(floats(&own["gradients"][4]), [-2.0, 4.0, -8.0, 16.0, -32.0]);
    assert_eq!(floats(&beside["gradients"][2]), [0.25, 0.0625, 0.015_625]);
    assert_eq!(own["steps"][4]["h"].as_f64(), Some(32.0 + 48.0 + 48.0 + 6.0 - 24.0 + 3.0 + 5.5));
    let tanh = &place.run("gradflow --toy --json --tanh").succeeds().objects()[0];
    assert!(tanh["linear"].is_null() && tanh["tanh"][0]["steps"][2]["factor"].as_f64().expect("a number") < 1e-3);
    place.run("gradflow --toy --x 1,inf").fails(2, &["inf"]);
    for wrong in
        ["gradflow", "gradflow --x 1", "gradflow --toy model", "gradflow --toy --compare", "gradflow --toy --x 1,a"]
    {
        assert_eq!(place.run(wrong).code, Some(2), "{wrong}");
    }
}

/// A text in which much repeats.
fn text(lines: usize) -> String {
    (0..lines).map(|i| format!("line {} turns, and then it turns \"again\" {}\n", i % 7, i * i % 11)).collect()
}

#[test]
fn a_model_on_a_text() {
    let place = Place::new();
    place.write("text.txt", text(120));
    place.write("other.txt", text(40));
    place
        .run("train text.txt --out run --layers 2 --hidden 17 --batch 6 --seq 30 --steps 12 --val-frac 0.2")
        .succeeds();
    // A text of its own, and the run's: a table here, an object there, a page.
    let ended = place.run("gradflow run other.txt --quick --distance 40 --positions 20 -o page.html").succeeds();
    let table = String::from_utf8(ended.out).expect("UTF-8");
    for word in [
        "LSTM 2x17",
        "quartiles",
        "c_2",
        "reach  ",
        "context  ",
        "layer 2",
        "spectral radius",
        "units 2",
        "dead",
        "--seq 30",
    ] {
        assert!(table.contains(word), "{word:?} is not in:\n{table}");
    }
    let page = fs::read_to_string(place.path("page.html")).expect("a page");
    assert!(
        page.starts_with("<!DOCTYPE html>")
            && page.contains("<svg")
            && page.contains("id=\"data-report\"")
            && !page.contains("http://")
            && !page.contains("https://")
    );
    let object = |line: &str| place.run(line).succeeds().objects().remove(0);
    let report = object("gradflow run other.txt --quick --distance 40 --positions 20 --json");
    let flow = &report["flow"];
    assert_eq!((&flow["distance"], &flow["positions"]), (&40.into(), &20.into()));
    assert_eq!((flow["all"].as_array().map(Vec::len), flow["layers"].as_array().map(Vec::len)), (Some(40), Some(2)));
    let (first, last) =
        (flow["all"][0]["mean"].as_f64().expect("a number"), flow["all"][39]["mean"].as_f64().expect("a number"));
    assert!(first > 0.0 && last < first, "{first} {last}");
    assert_eq!(report["context"]["by_k"].as_array().map(Vec::len), Some(40));
    assert_eq!(object("gradflow run other.txt --quick --distance 40 --positions 20 --json"), report, "it repeats");
    let own = object("gradflow run --quick --json");
    let (part, all) = (own["symbols"].as_f64().expect("a number"), text(120).len() as f64);
    assert!((part / all - 0.2).abs() < 0.01, "the part that training did not see: {part} of {all}");
    // What cannot be.
    place.write("tiny.txt", "li");
    place.run("gradflow run tiny.txt").fails(2, &["2 symbols"]);
    place.run("gradflow nowhere other.txt").fails(4, &["nowhere"]);
    place.run("gradflow none -o no/such/folder.html").fails(4, &["no/such/folder.html", "no folder no/such"]);
    place.run("gradflow --compare -o .").fails(4, &["it is a folder"]);
    place.run("gradflow run other.txt --quick -o other.txt").fails(2, &["other.txt", "would be replaced"]);
}

#[test]
fn three_cells_side_by_side() {
    let place = Place::new();
    let ended = place.run("gradflow --compare --quick -o page.html --json").succeeds();
    let compared = &ended.objects()[0];
    let cells = compared["cells"].as_array().expect("cells");
    assert_eq!(cells.iter().map(|c| c["cell"].as_str().expect("a name")).collect::<Vec<_>>(), ["rnn", "lstm", "gru"]);
    let parameters = cells.iter().map(|c| c["parameters"].as_f64().expect("a number"));
    assert!(parameters.clone().fold(0.0, f64::max) < 1.1 * parameters.fold(f64::INFINITY, f64::min), "of one size");
    for cell in cells {
        let of = |name: &str| {
            cell["losses"]
                .as_array()
                .and_then(|l| l.iter().map(|p| floats(p)[1]).min_by(f64::total_cmp))
                .unwrap_or_else(|| panic!("{name}"))
        };
        assert!(of("losses") < floats(&cell["losses"][0])[1], "it learns");
        assert!(
            !cell["sample"].as_str().expect("a text").is_empty()
                && cell["memory"]["distances"].as_array().map(Vec::len) == Some(1)
        );
    }
    let page = fs::read_to_string(place.path("page.html")).expect("a page");
    assert!(
        page.contains("Multiplication against addition")
            && page.contains("id=\"data-comparison\"")
            && !page.contains("http://")
            && !page.contains("https://")
    );
    assert!(ended.err.contains("RNN: step 1 of"), "{}", ended.err);
}

#[test]
fn gradients_by_distance_are_told_after_each_evaluation() {
    let place = Place::new();
    place.write("text.txt", text(300));
    let line =
        "train text.txt --layers 1 --hidden 17 --batch 6 --seq 8 --val-frac 0.2 --schedule constant --clip-norm 0.5";
    let whole = place.run(&format!("{line} --steps 9 --eval-every 3 --json --out whole")).succeeds();
    let flow = whole.events("flow");
    assert_eq!(flow.iter().map(|e| e["step"].as_u64()).collect::<Vec<_>>(), [Some(3), Some(6), Some(9)]);
    let steps = whole.events("step");
    for (i, event) in flow.iter().enumerate() {
        let clipped = steps[3 * i..3 * i + 3].iter().filter(|step| step["grad_norm"].as_f64() > Some(0.5)).count();
        assert_eq!((event["steps"].as_u64(), event["clipped"].as_u64()), (Some(3), Some(clipped as u64)));
        assert!(
            event["distance"] == 8
                && event["half"].as_u64() >= Some(1)
                && event["half"].as_u64() <= event["most"].as_u64()
        );
    }
    assert!(whole.err.contains("step 3: memory ") && whole.err.contains("clipping acts in"), "{}", whole.err);
    // A stop in between changes none of it; without them the weights are the same.
    place.run(&format!("{line} --steps 5 --eval-every 3 --json --out half")).succeeds();
    let rest = place.run("train --resume half --steps 9 --json").succeeds();
    assert_eq!(rest.sha256(), whole.sha256());
    let own = |e: &Value| e["step"].as_u64().filter(|&step| step > 6).map(|_| e.clone());
    assert_eq!(
        rest.events("flow").iter().filter_map(own).collect::<Vec<_>>(),
        flow.iter().filter_map(own).collect::<Vec<_>>()
    );
    let without = place.run(&format!("{line} --steps 9 --eval-every 3 --json --flow off --out off")).succeeds();
    assert_eq!((without.events("flow").len(), without.sha256()), (0, whole.sha256()));
    assert!(fs::read_to_string(place.path("off/config.toml")).expect("a page").contains("flow = false"));
    let again = place.run("train --resume off --steps 12 --flow on --json").succeeds();
    assert_eq!(again.events("flow").len(), 1, "{}", again.err);
    // Not clipped by norm: nothing is said of it.
    let by_value = place
        .run("train text.txt --hidden 17 --batch 6 --seq 8 --val-frac 0.2 --steps 2 --clip-value 1 --json --out value");
    assert!(by_value.succeeds().events("flow")[0]["clipped"].is_null());
}
