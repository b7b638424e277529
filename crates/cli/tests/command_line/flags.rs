//! Every flag of `gatemill train` does what its line in `--help` says.
//!
//! Each test names the flags that it holds; the last one compares the names with those of `--help`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::place::{Ended, Place, checkpoints, objects, step_of, text, with_text};

/// A run of nine steps of a small model. Sizes differ pairwise.
const NINE: &str = "--layers 2 --hidden 17 --batch 6 --seq 5 --val-frac 0.2 --steps 9";

/// `base`, each flag with a value, without those that `flags` gives in another way, and `flags`.
fn with(base: &str, flags: &str) -> String {
    let words: Vec<&str> = base.split_whitespace().collect();
    let kept = words.chunks(2).filter(|pair| !flags.split_whitespace().any(|word| word == pair[0]));
    kept.flatten().copied().chain(flags.split_whitespace()).collect::<Vec<_>>().join(" ")
}

/// Runs nine steps with more flags into a folder of its own.
fn nine(place: &Place, flags: &str) -> Ended {
    let name = format!("run{}", place.names().len());
    place.train(&name, &with(NINE, flags)).succeeds()
}

fn start(ended: &Ended) -> Value {
    ended.events("start").remove(0)
}

/// One field of every step.
fn of_steps(ended: &Ended, field: &str) -> Vec<f64> {
    ended.events("step").iter().map(|step| step[field].as_f64().expect("a number")).collect()
}

fn steps_of(ended: &Ended, kind: &str) -> Vec<u64> {
    ended.events(kind).iter().map(|event| event["step"].as_u64().expect("a step")).collect()
}

fn assert_near(found: &[f64], right: &[f64]) {
    assert_eq!(found.len(), right.len());
    for (found, right) in found.iter().zip(right) {
        assert!((found - right).abs() <= 1e-12 * right.abs(), "{found} instead of {right}");
    }
}

/// A tensor of a run's first checkpoint, by the format's own words: a length, a header in JSON, the data.
fn initial(place: &Place, ended: &Ended, name: &str) -> Vec<f32> {
    let run = place.path(start(ended)["run"].as_str().expect("a path"));
    let first = run.join("checkpoints/step-000000000.safetensors");
    let bytes = fs::read(&first).unwrap_or_else(|error| panic!("{}: {error}", first.display()));
    let len = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + len]).expect("JSON");
    let at = |i: usize| 8 + len + header[name]["data_offsets"][i].as_u64().expect(name) as usize;
    bytes[at(0)..at(1)].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("4 bytes"))).collect()
}

/// The weights of a model by PyTorch's count.
fn parameters(gates: u64, layers: u64, hidden: u64, inputs: u64, vocab: u64) -> u64 {
    let first = gates * hidden * (inputs + hidden + 2);
    let others = (layers - 1) * gates * hidden * (2 * hidden + 2);
    first + others + vocab * (hidden + 1)
}

#[test]
fn the_text() {
    let place = with_text();
    let whole = fs::read_to_string(place.path("text.txt")).expect("read");
    let n = whole.chars().count() as f64;
    for (flags, val, test) in [("", 0.2, 0.0), ("--val-frac 0.3", 0.3, 0.0), ("--test-frac 0.125", 0.2, 0.125)] {
        let ended = nine(&place, flags);
        let start = start(&ended);
        let part = |name: &str| start[name].as_u64().expect("a number") as f64;
        assert_eq!(part("train_symbols"), (n * (1.0 - val - test)).floor());
        assert!((part("val_symbols") - n * val).abs() <= 1.0 && (part("test_symbols") - n * test).abs() <= 1.0);
        assert_eq!(ended.events("done")[0]["test_nats"].is_number(), test > 0.0);
    }
    let distinct: BTreeSet<char> = whole.chars().collect();
    assert_eq!(start(&nine(&place, ""))["vocab"], distinct.len());
    assert_eq!(start(&nine(&place, "--vocab bytes"))["vocab"], 256);

    // One byte that is not UTF-8: refused, or one symbol more.
    let mut bytes = whole.clone().into_bytes();
    bytes[100] = 0xE9;
    place.write("text.txt", bytes);
    place.train("refused", NINE).fails(3, &["UTF-8", "100"]);
    assert_eq!(start(&nine(&place, "--lossy"))["vocab"], distinct.len() + 1);
}

#[test]
fn documents() {
    let place = Place::new();
    place.write("text.txt", text(3000));
    let plain = of_steps(&nine(&place, ""), "train_nats");
    // A text that does not occur changes nothing; a line's end forgets what was before it.
    assert_eq!(of_steps(&nine(&place, "--document-separator @@"), "train_nats"), plain);
    assert_ne!(of_steps(&nine(&place, "--document-separator .\\n"), "train_nats"), plain);
}

#[test]
fn the_model() {
    let place = with_text();
    let vocab = start(&nine(&place, ""))["vocab"].as_u64().expect("a number");
    for (flags, right) in [
        ("", parameters(4, 2, 17, vocab, vocab)),
        ("--cell rnn", parameters(1, 2, 17, vocab, vocab)),
        ("--cell gru", parameters(3, 2, 17, vocab, vocab)),
        ("--layers 3", parameters(4, 3, 17, vocab, vocab)),
        ("--hidden 23", parameters(4, 2, 23, vocab, vocab)),
        ("--embed 7", parameters(4, 2, 17, 7, vocab) + 7 * vocab),
        ("--embed 17 --tied", parameters(4, 2, 17, 17, vocab)),
    ] {
        assert_eq!(start(&nine(&place, flags))["parameters"], right, "{flags}");
    }
    // Dropout is between layers, and in training alone.
    let plain = nine(&place, "");
    assert_ne!(of_steps(&nine(&place, "--dropout 0.5"), "train_nats"), of_steps(&plain, "train_nats"));
    assert_ne!(of_steps(&nine(&place, "--output-dropout 0.5"), "train_nats"), of_steps(&plain, "train_nats"));
    let single = |flags: &str| nine(&place, &format!("--layers 1 {flags}")).sha256();
    assert_eq!(single("--dropout 0.5"), single(""));
    let run = start(&nine(&place, "--dropout 0.5 --lr 1e-30 --schedule constant --forget-bias 0"));
    let score = |run: &str| place.run(&format!("eval {run} --split val --json")).succeeds().objects().remove(0);
    let dropped = score(run["run"].as_str().expect("a path"));
    let run = start(&nine(&place, "--lr 1e-30 --schedule constant --forget-bias 0"));
    assert_eq!(dropped["nats"], score(run["run"].as_str().expect("a path"))["nats"]);
}

#[test]
fn initial_weights() {
    let place = with_text();
    let of = |flags: &str, name: &str| initial(&place, &nine(&place, &format!("--keep all {flags}")), name);
    let largest = |x: &[f32]| x.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    let (hh, ih, forget) = ("rnn.weight_hh_l1", "rnn.bias_ih_l0", 17..34);

    let bound = 1.0 / 17.0_f32.sqrt();
    assert!((0.9 * bound..=bound).contains(&largest(&of("", hh))));
    assert!((0.07..=0.08).contains(&largest(&of("--init uniform", hh))));
    assert!((0.27..=0.3).contains(&largest(&of("--init uniform --init-scale 0.3", hh))));
    let deviation = |x: &[f32]| (x.iter().map(|x| x * x).sum::<f32>() / x.len() as f32).sqrt();
    let normal = deviation(&of("--init normal --init-scale 0.01", hh));
    assert!((0.009..0.011).contains(&normal), "{normal}");
    let block = of("--init orthogonal", hh);
    for row in block[..17 * 17].chunks(17) {
        assert!((row.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5, "a row of an orthogonal block has norm 1");
    }

    let (zero, two) = (of("--forget-bias 0", ih), of("--forget-bias 2", ih));
    for (i, (zero, two)) in zero.iter().zip(&two).enumerate() {
        let added = if forget.contains(&i) { 2.0 } else { 0.0 };
        assert!((two - zero - added).abs() < 1e-6, "row {i}: {zero} and {two}");
    }
    assert_eq!(of("--seed 5", hh), of("--seed 5", hh));
    assert_ne!(of("--seed 5", hh), of("--seed 6", hh));
}

#[test]
fn sizes_of_a_step() {
    let place = with_text();
    for (flags, tokens) in [("", 30), ("--batch 7", 35), ("--seq 8", 48), ("--accumulate 3", 90)] {
        assert_eq!(nine(&place, flags).events("step")[0]["tokens"], tokens, "{flags}");
    }
    // Shards are summed apart: another order of sums, nearly the same numbers.
    let (one, three) = (nine(&place, ""), nine(&place, "--shards 3"));
    assert_ne!(one.sha256(), three.sha256());
    for (a, b) in of_steps(&one, "train_nats").iter().zip(of_steps(&three, "train_nats")) {
        assert!((a - b).abs() < 1e-4, "{a} {b}");
    }
    assert_eq!(nine(&place, "--threads 1").sha256(), nine(&place, "--threads 3").sha256());
    assert_eq!(start(&nine(&place, "--threads 3"))["threads"], 3);
    assert_eq!(nine(&place, "--io read").sha256(), one.sha256());
}

#[test]
fn optimisers_and_their_numbers() {
    let place = with_text();
    let sha256 = |flags: &str| nine(&place, flags).sha256();
    let rules = ["adam", "adamw", "rmsprop", "sgd", "adagrad"];
    let plain: Vec<String> = rules.iter().map(|rule| sha256(&format!("--optimizer {rule}"))).collect();
    // Without decay adamw is adam.
    assert_eq!(plain[0], plain[1]);
    assert_eq!(plain.iter().collect::<BTreeSet<_>>().len(), 4);
    // Each number changes the rules that use it, and no other.
    for (number, users) in [
        ("--beta1 0.5", &["adam", "adamw"][..]),
        ("--beta2 0.9", &["adam", "adamw"]),
        ("--eps 0.01", &["adam", "adamw", "rmsprop", "adagrad"]),
        ("--momentum 0.5", &["sgd"]),
        ("--decay-rate 0.5", &["rmsprop"]),
        ("--weight-decay 0.1", &rules),
    ] {
        for (rule, plain) in rules.iter().zip(&plain) {
            let changed = sha256(&format!("--optimizer {rule} {number}")) != *plain;
            assert_eq!(changed, users.contains(rule), "{rule} {number}");
        }
    }
    assert_ne!(sha256("--weight-decay 0.1"), sha256("--optimizer adamw --weight-decay 0.1"));
}

#[test]
fn clipping() {
    let place = with_text();
    let free = nine(&place, "--clip-norm 0 --optimizer sgd").sha256();
    let norm = of_steps(&nine(&place, "--clip-norm 0 --optimizer sgd"), "grad_norm")[0];
    assert!(norm > 0.02);
    let moved = |flags: &str| nine(&place, &format!("--optimizer sgd {flags}")).sha256() != free;
    assert!(!moved("--clip-norm 100") && !moved("--clip-value 100") && !moved("--clip-value 0"));
    assert!(moved("--clip-norm 0.01") && moved("--clip-value 0.0001"));
}

#[test]
fn learning_rates() {
    let place = with_text();
    // Three epochs of 4 steps: 600 symbols in 6 lanes of 99 and chunks of 20.
    place.write("text.txt", text(3000).get(..625).expect("ASCII"));
    let run = |flags: &str| {
        let name = format!("run{}", place.names().len());
        let base = "--layers 1 --hidden 17 --batch 6 --seq 20 --val-frac 0.2 --epochs 3 --lr 0.01";
        place.train(&name, &with(base, flags)).succeeds()
    };
    let lr = |flags: &str| of_steps(&run(flags), "lr");
    let epochs = |a: f64, b: f64, c: f64| [[a; 4], [b; 4], [c; 4]].concat();
    assert_near(&lr("--schedule constant"), &[0.01; 12]);
    assert_near(&lr("--schedule constant --warmup 4")[..5], &[0.0025, 0.005, 0.0075, 0.01, 0.01]);
    let cosine = lr("--schedule cosine --warmup 2 --min-lr 0.004");
    assert_near(&cosine[..3], &[0.005, 0.01, 0.01]);
    assert!(cosine[2..].windows(2).all(|pair| pair[1] < pair[0]) && cosine[11] >= 0.004 && cosine[11] < 0.005);
    assert_near(&lr("--schedule exponential"), &epochs(0.01, 0.0097, 0.0097 * 0.97));
    assert_near(&lr("--schedule exponential --lr-decay 0.1 --lr-decay-after 2"), &epochs(0.01, 0.01, 0.001));
    assert_near(&lr("--schedule step --lr-decay-every 1 --min-lr 0.003"), &epochs(0.01, 0.005, 0.003));
    assert_near(&lr("--schedule step --lr-decay-every 2 --lr-decay 0.2"), &epochs(0.01, 0.01, 0.002));
    // No weight moves, so no evaluation after the first is better: a cut after every second one.
    let plateau = run("--schedule plateau --lr 1e-30 --lr-decay 0.5 --lr-patience 2 --eval-every 1");
    assert_near(&of_steps(&plateau, "lr")[..6], &[1e-30, 1e-30, 1e-30, 5e-31, 5e-31, 2.5e-31]);
    let resumed = {
        let folder = place.path(start(&plateau)["run"].as_str().expect("a path"));
        fs::remove_file(checkpoints(&folder).pop().expect("checkpoints")).expect("removed");
        place.run(&format!("train --resume {} --json", folder.display())).succeeds()
    };
    assert_eq!(of_steps(&resumed, "lr"), of_steps(&plateau, "lr")[8..], "the cuts survive a stop");
}

#[test]
fn times_to_look_and_to_save() {
    let place = with_text();
    let ended = nine(&place, "--eval-every 4 --sample-every 3 --save-every 2 --keep 3");
    assert_eq!(steps_of(&ended, "eval"), [4, 8, 9]);
    assert_eq!(steps_of(&ended, "sample"), [3, 6, 9]);
    let saved: Vec<u64> = checkpoints(&place.path("run1")).iter().map(|path| step_of(path)).collect();
    assert_eq!(saved, [6, 8, 9]);
    let all = nine(&place, "--save-every 1 --keep all");
    assert_eq!(checkpoints(Path::new(&place.path(start(&all)["run"].as_str().expect("a path")))).len(), 10);
    let few = nine(&place, "--eval-tokens 60");
    assert_eq!(few.events("eval")[0]["tokens"], 60);
}

#[test]
fn where_from_and_where_to() {
    let place = with_text();
    // --json: events and nothing else; without it nothing.
    assert_eq!(place.run(&format!("train text.txt --out plain {NINE}")).succeeds().out, b"");
    let ended = place.train("here", NINE).succeeds();
    assert_eq!(ended.objects().len(), objects(&fs::read(place.path("here/events.jsonl")).expect("read")).len());
    assert!(place.path("here/config.toml").is_file(), "--out");
    // --resume, --override, --strict-resume
    place.run("train --resume here --lr 0.5").fails(2, &["--lr 0.5"]);
    let resumed = place.run("train --resume here --lr 0.5 --steps 11 --override --json").succeeds();
    assert_eq!(steps_of(&resumed, "step"), [10, 11]);
    crate::place::damage(checkpoints(&place.path("here")).last().expect("checkpoints"));
    place.run("train --resume here --strict-resume").fails(3, &["step"]);
    // --config, --preset
    fs::write(place.path("flags.toml"), "hidden = 19\nlayers = 1\n").expect("written");
    let run = "train text.txt --json --batch 6 --seq 5 --steps 2 --val-frac 0.2 --out";
    let config = |ended: Ended| start(&ended.succeeds())["config"].clone();
    let by_file = config(place.run(&format!("{run} a --config flags.toml")));
    assert_eq!((&by_file["hidden"], &by_file["layers"]), (&19.into(), &1.into()));
    let preset = config(place.run(&format!("{run} b --preset char-rnn --config flags.toml --layers 2")));
    assert_eq!(
        (&preset["optimizer"], &preset["hidden"], &preset["layers"]),
        (&"rmsprop".into(), &19.into(), &2.into())
    );
}

#[test]
fn a_text_that_changes_in_use() {
    let place = with_text();
    let flags = with(NINE, "--steps 100000 --save-every 50 --strict-corpus");
    let mut started = place.spawn(&format!("train text.txt --json --out run {flags}"));
    started.wait_for("step", 60);
    place.write("text.txt", text(3000).replace('m', "w"));
    let ended = started.finish();
    ended.fails(3, &["changed while it was in use"]);
    let last = ended.events("step").last().expect("steps")["step"].as_u64();
    assert_eq!(checkpoints(&place.path("run")).last().map(|path| step_of(path)), last, "saved before it ended");
}

/// The flags that the tests of this file hold, and those that others do.
const HELD: [&str; 66] = [
    // the_text, documents
    "vocab",
    "lossy",
    "document-separator",
    "val-frac",
    "test-frac",
    // the_model, initial_weights
    "cell",
    "layers",
    "hidden",
    "embed",
    "tied",
    "dropout",
    "output-dropout",
    "init",
    "init-scale",
    "forget-bias",
    "seed",
    // ends.rs, sizes_of_a_step
    "epochs",
    "steps",
    "minutes",
    "patience",
    "no-carry",
    "batch",
    "seq",
    "accumulate",
    "shards",
    "threads",
    "io",
    // optimisers_and_their_numbers, clipping, learning_rates
    "optimizer",
    "beta1",
    "beta2",
    "eps",
    "weight-decay",
    "momentum",
    "decay-rate",
    "clip-norm",
    "clip-value",
    "lr",
    "schedule",
    "warmup",
    "min-lr",
    "lr-decay",
    "lr-decay-every",
    "lr-decay-after",
    "lr-patience",
    // times_to_look_and_to_save
    "eval-every",
    "eval-tokens",
    "sample-every",
    "save-every",
    "keep",
    // gradients_by_distance_are_told_after_each_evaluation (gradflow.rs)
    "flow",
    // where_from_and_where_to, a_text_that_changes_in_use
    "json",
    "out",
    "resume",
    "override",
    "strict-resume",
    "strict-corpus",
    "config",
    "preset",
    // tasks.rs, tasks_bits.rs, tasks_faults.rs
    "task",
    "val",
    "bidirectional",
    "pool",
    "attention",
    "bridge",
    // session.rs
    "help",
    "version",
];

#[test]
fn no_flag_goes_untested_or_unexplained() {
    let help = String::from_utf8(Place::new().run("train --help").succeeds().out).expect("UTF-8");
    let mut names = BTreeSet::new();
    let mut lines = help.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((_, flag)) = line.split_once("--").filter(|(before, _)| before.trim_end_matches(", ").len() < 9)
        else {
            continue;
        };
        let name = flag.split([' ', '=']).next().expect("a word");
        names.insert(name.to_owned());
        let said = lines.peek().is_some_and(|next| next.trim().chars().next().is_some_and(char::is_uppercase));
        let beside = flag.split_once("  ").is_some_and(|(_, said)| !said.trim().is_empty());
        assert!(said || beside, "--{name} has no line");
    }
    assert_eq!(names, HELD.iter().map(|&name| name.to_owned()).collect());
}
