//! `gatemill bench`: what it writes of a tiny configuration, of the smallest point of the grid, and of two files compared.
//!
//! No figure is compared with another: how fast it goes is no test's business.

use serde_json::{Value, json};

use crate::place::{Ended, Place};

/// A model that is verified and measured in a fraction of a second. Sizes differ pairwise.
const TINY: &str = "bench --layers 2 --hidden 17 --seq 6 --batch 5 --vocab 11 --seconds 0.01";

/// The keys of an object.
fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn words(ended: Ended) -> String {
    String::from_utf8(ended.succeeds().out).expect("UTF-8")
}

#[test]
fn a_measurement_has_the_keys_that_were_promised() {
    let place = Place::new();
    let ended = place.run(&format!("{TINY} --cell lstm,gru,rnn --threads 1,2 --json")).succeeds();
    let records = ended.objects();
    let who: Vec<(&str, u64)> =
        records.iter().map(|r| (r["cell"].as_str().unwrap(), r["threads"].as_u64().unwrap())).collect();
    assert_eq!(who, [("lstm", 1), ("lstm", 2), ("gru", 1), ("gru", 2), ("rnn", 1), ("rnn", 2)]);
    let isa = &place.run("machine --no-measure --json").objects()[0]["isa"];
    for record in &records {
        assert_eq!(
            keys(record),
            [
                "batch",
                "cell",
                "fraction_of_peak",
                "gflops",
                "hidden",
                "isa",
                "layers",
                "peak_gflops",
                "peak_rss_mb",
                "phases",
                "precision",
                "seq",
                "threads",
                "tokens_per_s",
                "vocab"
            ]
        );
        assert_eq!(keys(&record["tokens_per_s"]), ["max", "median", "min"]);
        assert_eq!(keys(&record["phases"]), ["backward", "data", "forward", "readout", "update", "weight_gradients"]);
        let sizes = ["layers", "hidden", "seq", "batch", "vocab"].map(|key| record[key].as_u64().unwrap());
        assert_eq!((sizes, &record["precision"], &record["isa"]), ([2, 17, 6, 5, 11], &json!("f32"), isa));
        let [min, median, max] = ["min", "median", "max"].map(|key| number(&record["tokens_per_s"][key]));
        assert!(0.0 < min && min <= median && median <= max, "{record}");
        let gates = [("lstm", 4.0), ("gru", 3.0), ("rnn", 1.0)].iter().find(|g| record["cell"] == g.0).unwrap().1;
        // Design section 8: six times the weights that multiply; no one-hot symbol does.
        let flop = 6.0 * (gates * 17.0 * 17.0 * 3.0 + 17.0 * 11.0);
        assert!((number(&record["gflops"]) / (median * flop / 1e9) - 1.0).abs() < 1e-9, "{record}");
        let fraction = number(&record["gflops"]) / number(&record["peak_gflops"]);
        assert!((number(&record["fraction_of_peak"]) / fraction - 1.0).abs() < 1e-9, "{record}");
        if cfg!(target_os = "linux") {
            // A process with code and threads has more than one megabyte, one of so small a model less than 500.
            let mb = number(&record["peak_rss_mb"]);
            assert!(mb > 1.0 && mb < 500.0, "{record}");
        }
    }
    assert!(ended.err.contains("6/6: rnn 2x17, T=6, B=5, V=11, 2 threads"), "{}", ended.err);
}

#[test]
fn each_measurement_has_a_memory_of_its_own() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let place = Place::new();
    let peak = |line: &str| -> Vec<f64> {
        place.run(line).succeeds().objects().iter().map(|record| number(&record["peak_rss_mb"])).collect()
    };
    // The first of the two has some forty megabytes more, and leaves none of them to the second.
    let two = peak("bench --hidden 512 --layers 1 --seq 4 --batch 2 --cell lstm,rnn --seconds 0.01 --threads 1 --json");
    assert!(two[0] > two[1] + 10.0, "{two:?}");
}

#[test]
fn the_smallest_point_of_the_grid_is_verified_and_shown() {
    let place = Place::new();
    let text = words(place.run("bench --points c1 --cell rnn --threads 2 --seconds 0.01"));
    let lines: Vec<&str> = text.lines().collect();
    for column in ["point", "model", "T", "B", "threads", "tokens/s", "GFLOP/s", "% of peak", "fwd", "wgrad", "MB"] {
        assert!(lines[0].contains(column), "{column}: {text}");
    }
    assert!(lines[1].starts_with("C1     rnn 1x128  50  50  65        2 "), "{text}");
    for word in ["peak:", "just before", "forward, readout"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(!lines[0].contains("work"), "training is not said: {text}");
}

#[test]
fn every_tier_is_verified() {
    let place = Place::new();
    for isa in ["avx512", "avx2", "portable"] {
        let mut command = place.command();
        let line = "bench --points C1 --cell gru --threads 1 --seconds 0.01 --json";
        command.env("GATEMILL_ISA", isa).args(line.split_whitespace());
        let ended: Ended = command.output().expect("started").into();
        if ended.code == Some(6) {
            ended.fails(6, &["GATEMILL_ISA", isa, "lacks"]);
        } else {
            assert_eq!(ended.succeeds().objects()[0]["isa"], isa);
        }
    }
    let mut command = place.command();
    command.env("GATEMILL_ISA", "sse9").args(["bench", "--points", "C1"]);
    Ended::from(command.output().expect("started")).fails(2, &["GATEMILL_ISA"]);
}

#[test]
fn writing_and_scoring_are_measured_too() {
    let place = Place::new();
    let line = "bench --layers 1 --hidden 19 --vocab 7 --threads 2 --seconds 0.01 --generate";
    let records = place.run(&format!("{line} --json")).succeeds().objects();
    let who: Vec<(&str, u64, u64)> = records
        .iter()
        .map(|r| (r["kind"].as_str().unwrap(), r["batch"].as_u64().unwrap(), r["seq"].as_u64().unwrap()))
        .collect();
    assert_eq!(who, [("generate", 1, 1), ("generate", 8, 1), ("generate", 64, 1)]);
    for record in &records {
        let flop = 2.0 * (4.0 * 19.0 * 19.0 + 19.0 * 7.0);
        let rate = number(&record["tokens_per_s"]["median"]);
        assert!((number(&record["gflops"]) / (rate * flop / 1e9) - 1.0).abs() < 1e-9, "{record}");
        assert!(record["phases"].is_null(), "{record}");
    }
    let both = words(place.run(&format!("{TINY} --threads 1 --generate --score")));
    assert!(both.lines().nth(1).is_some_and(|line| line.contains("scoring")), "{both}");
    assert!(both.lines().nth(2).is_some_and(|line| line.contains("writing")), "{both}");
}

#[test]
fn what_is_saved_is_read_back_and_compared() {
    let place = Place::new();
    let told = place.run(&format!("{TINY} --threads 1,2 --json --save a.json")).succeeds().objects();
    let saved: Value = serde_json::from_slice(&std::fs::read(place.path("a.json")).expect("saved")).expect("JSON");
    assert_eq!(keys(&saved), ["commit", "date", "gatemill_bench", "machine", "records", "version"]);
    assert_eq!((&saved["records"], &saved["gatemill_bench"]), (&json!(told), &json!(1)));
    assert_eq!(keys(&saved["machine"]), ["affinity_cores", "arch", "cores", "cpu", "isa", "quota_cpus"]);
    let date = saved["date"].as_str().expect("a date");
    assert!(date.len() == 20 && date.starts_with("20") && date.ends_with('Z'), "{date}");
    assert_eq!(place.names(), ["a.json"], "nothing else is left");
    let text = words(place.run("bench --diff a.json a.json"));
    assert!(!text.contains("differ") && text.matches(" 1.000 ").count() == 2, "{text}");
    // Saved over the old one.
    place.run(&format!("{TINY} --threads 1 --save a.json")).succeeds();
    let text = words(place.run("bench --diff a.json a.json"));
    assert_eq!(text.matches(" 1.000 ").count(), 1, "{text}");
}

/// A saved file of one's own.
fn document(cpu: &str, records: &[Value]) -> String {
    let machine =
        json!({"cpu": cpu, "arch": "x86_64", "cores": 4, "affinity_cores": 2, "quota_cpus": null, "isa": "avx2"});
    let (version, date) = ("0.1.0", "2026-01-02T03:04:05Z");
    json!({"gatemill_bench": 1, "version": version, "commit": "abc", "date": date, "machine": machine, "records": records})
        .to_string()
}

fn record(cell: &str, threads: u64, tokens_per_s: f64) -> Value {
    json!({
        "cell": cell, "layers": 2, "hidden": 512, "seq": 100, "batch": 64, "vocab": 65, "precision": "f32",
        "threads": threads, "isa": "avx2", "gflops": 50.0, "peak_gflops": 100.0, "fraction_of_peak": 0.5,
        "tokens_per_s": {"min": tokens_per_s, "median": tokens_per_s, "max": tokens_per_s},
        "phases": null, "peak_rss_mb": null
    })
}

#[test]
fn two_files_are_compared_by_configuration() {
    let place = Place::new();
    place.write(
        "a.json",
        document("Mill 1", &[record("lstm", 1, 1000.0), record("gru", 1, 500.0), record("rnn", 2, 7.0)]),
    );
    let mut scored = record("rnn", 2, 9.0);
    scored["kind"] = json!("score");
    place.write("b.json", document("Mill 2", &[scored, record("gru", 1, 750.0), record("lstm", 1, 900.0)]));
    let text = words(place.run("bench --diff a.json b.json"));
    for line in
        ["A  a.json: Mill 1, 2 of 4 cores, avx2; gatemill 0.1.0 (abc), 2026-01-02T03:04:05Z", "machines differ: cpu\n"]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
    let row = |word: &str| text.lines().filter(|line| line.contains(word)).collect::<Vec<_>>();
    assert!(row("lstm 2x512")[0].contains("1,000         900   0.900"), "{text}");
    assert!(row("gru 2x512")[0].contains("500         750   1.500"), "{text}");
    assert!(row("only A").len() == 1 && row("only A")[0].contains("rnn 2x512"), "{text}");
    assert!(row("only B").len() == 1 && row("only B")[0].contains("scoring"), "{text}");

    let pairs = place.run("bench --diff a.json b.json --json").succeeds().objects();
    let ratios: Vec<(&Value, &Value)> = pairs.iter().map(|pair| (&pair["cell"], &pair["ratio"])).collect();
    let expected = [
        (json!("lstm"), json!(0.9)),
        (json!("gru"), json!(1.5)),
        (json!("rnn"), json!(null)),
        (json!("rnn"), json!(null)),
    ];
    assert_eq!(ratios, expected.iter().map(|(a, b)| (a, b)).collect::<Vec<_>>());
    assert_eq!((&pairs[3]["kind"], &pairs[3]["b_tokens_per_s"]), (&json!("score"), &json!(9.0)));
}

#[test]
fn files_that_hold_no_measurements_are_told() {
    let place = Place::new();
    place.write("good.json", document("Mill", &[record("lstm", 1, 10.0)]));
    place.write("text.txt", "the mill turns");
    place.write("zero.json", document("Mill", &[record("lstm", 1, 0.0)]));
    place.write("new.json", r#"{"gatemill_bench": 2}"#);
    place.write("less.json", document("Mill", &[json!({"cell": "lstm"})]));
    place.run("bench --diff good.json none.json").fails(4, &["none.json", "cannot read"]);
    place.run("bench --diff . good.json").fails(4, &["cannot read .", "folder"]);
    place.run("bench --diff text.txt good.json").fails(3, &["text.txt", "no saved measurements"]);
    place.run("bench --diff good.json zero.json").fails(3, &["zero.json", "0 tokens/s", "lstm 2x512"]);
    place.run("bench --diff good.json new.json").fails(3, &["new.json", "format 2"]);
    place.run("bench --diff good.json less.json").fails(3, &["less.json", "missing field"]);
    place.run("bench --diff good.json").fails(2, &["--diff"]);
}

#[test]
fn what_cannot_be_measured_or_saved_is_said_before_anything_is_measured() {
    let place = Place::new();
    place.run("bench --precision bf16").fails(2, &["bf16", "not there yet"]);
    place.run("bench --hidden 0").fails(2, &["--hidden"]);
    place.run("bench --layers 1000 --hidden 1048576").fails(6, &["memory"]);
    let ended = place.run(&format!("{TINY} --save none/a.json"));
    ended.fails(4, &["none/a.json", "no folder"]);
    assert!(!ended.err.contains("1/1"), "{}", ended.err);
    place.run(&format!("{TINY} --save .")).fails(4, &["it is a folder"]);
    // Threads that the system does not give are the measurement's own error.
    let answer = &place.run("bench --one nonsense").succeeds().objects()[0];
    assert_eq!(answer["failure"]["code"], 2);
}
