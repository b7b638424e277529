//! The microscope as a whole, on a model that has learned for a second: cells for code are there and named, chance names none,
//! and what a hold costs is where its label is.
//!
//! The full form, a 2x128 LSTM of the default recipe, is recorded in doc/scope.md.

use gatemill_corpus::{Corpus, OpenOptions, builtin};
use gatemill_crew::Crew;
use gatemill_inspect::scope::{Options, Scope, ScopeError, scope};
use gatemill_kernels::Kernels;
use gatemill_train::checkpoint::Snapshot;
use gatemill_train::{CellKind, CharModel, Config, Hold, Part, Trainer};
use std::sync::{Arc, LazyLock};

const STEPS: u64 = 1200;

/// The model, and what reads with it.
fn learned() -> (CharModel, Arc<Crew>, Kernels) {
    let (crew, kernels) = (Arc::new(Crew::new(2).unwrap()), Kernels::best());
    (CharModel::load(&LEARNED, &crew, &kernels).unwrap(), crew, kernels)
}

/// An LSTM that has read a million characters of the built-in text.
static LEARNED: LazyLock<Snapshot> = LazyLock::new(|| {
    let (crew, kernels) = (Arc::new(Crew::new(2).unwrap()), Kernels::best());
    let config = Config {
        cell: CellKind::Lstm,
        layers: 1,
        hidden: 48,
        batch: 16,
        seq: 50,
        lr: 0.01,
        steps: Some(STEPS),
        ..Config::default()
    };
    let corpus = Corpus::from_bytes("builtin", builtin::text(1_000_000, 1), &OpenOptions::default()).unwrap();
    let mut trainer = Trainer::new(&config, Arc::new(corpus), crew.clone(), kernels).unwrap();
    crew.steady(|| {
        for _ in 0..STEPS {
            trainer.step().unwrap();
        }
    });
    trainer.model().snapshot().held()
});

fn look(model: &CharModel, options: &Options, (crew, kernels): (&Crew, &Kernels)) -> Result<Scope, ScopeError> {
    // Another text than that of training.
    crew.steady(|| scope(model, &builtin::text(200_000, 2), options, (crew, kernels), |_| {}))
}

#[test]
fn cells_for_code_are_named_and_chance_names_none() {
    let (model, crew, kernels) = learned();
    let seen = look(&model, &Options::default(), (&crew, &kernels)).unwrap();
    let found = &seen.findings;
    let named = |label: &str| found.probe.names.iter().find(|cell| cell.label == label);
    let (conditions, braces) = (named("if condition").expect("an if cell"), named("inside braces").expect("a cell"));
    assert!(conditions.score > 0.87 && braces.score > 0.93, "{conditions:?} {braces:?}");
    assert!(conditions.part == "c" || conditions.part == "h");
    for label in &found.probe.labels {
        assert_eq!(label.control_names, 0, "{label:?}");
        let chance = label.control.iter().copied().fold(0.0, f64::max);
        assert!(chance < if label.level > 0.8 { 0.7 } else { 0.1 }, "{}: {:?}", label.label, label.control);
    }
    // Untaught it has none of these.
    let config = Config { steps: Some(1), ..model.config.clone() };
    let untaught = CharModel::new(&config, &model.vocab, &crew, &kernels).unwrap();
    let seen = look(&untaught, &Options::default(), (&crew, &kernels)).unwrap();
    assert!(seen.findings.probe.names.iter().all(|c| c.label != "if condition"), "{:?}", seen.findings.probe.names);
    assert!(seen.findings.probe.labels.iter().all(|label| label.control_names == 0));

    // The best cell for conditions held where it is outside: conditions are what it costs most.
    let hold =
        found.holds.iter().find(|h| h.label.as_deref() == Some("if condition") && h.why == "as outside").unwrap();
    let cost =
        |of: fn(&gatemill_inspect::hold::Bits) -> Option<f64>| of(&hold.after).unwrap() - of(&hold.before).unwrap();
    let (inside, outside) = (cost(|bits| bits.inside), cost(|bits| bits.outside));
    assert!(inside > 0.002 && inside > 1.2 * outside.abs(), "{hold:?}");
    // Both are counted together.
    let all = hold.before.all;
    assert!((hold.before.inside.unwrap() - all) * (hold.before.outside.unwrap() - all) <= 0.0, "{hold:?}");
}

#[test]
fn a_hold_costs_what_an_evaluation_of_the_edited_model_says() {
    let (model, crew, kernels) = learned();
    let hold = Hold { layer: 0, unit: 7, part: Part::Hidden, value: 0.3 };
    // Under eight warm-ups the held-out half is one lane, read behind its warm-up.
    let text = builtin::text(6000, 5);
    let options = Options { holds: vec![hold], shown: 100, ..Options::default() };
    let seen = scope(&model, &text, &options, (&crew, &kernels), |_| {}).unwrap();
    let told = &seen.findings.holds[0];
    let held = model.held(&[hold], &crew, &kernels).unwrap();
    for (model, bits) in [(&model, told.before.all), (&held, told.after.all)] {
        let options = OpenOptions { fixed_vocab: Some(model.vocab.clone()), val_frac: 0.0, ..OpenOptions::default() };
        let read = |bytes: &[u8]| {
            let corpus = Arc::new(Corpus::from_bytes("text", bytes.to_vec(), &options).unwrap());
            let score = model.evaluate_file(&corpus, &crew, &kernels).unwrap().unwrap();
            score.bits * score.tokens as f64
        };
        // From the warm-up's begin to the end, less the warm-up alone.
        let warm_up = 3000 - gatemill_train::TracePlan::WARM_UP;
        let want = (read(&text[warm_up..]) - read(&text[warm_up..=3000])) / 2999.0;
        assert!((bits - want).abs() < 1e-6, "{bits} {want}");
    }
    assert_eq!((told.before.inside, told.label.as_deref()), (None, None));
}

#[test]
fn the_window_has_the_values_that_the_trace_has() {
    use base64::Engine;
    let (model, crew, kernels) = learned();
    let options = Options { units: vec![(0, 47), (0, 3)], shown: 5000, ..Options::default() };
    let window = look(&model, &options, (&crew, &kernels)).unwrap().window;
    assert!(window.from > 100_000 && window.text.len() == 5000);
    assert_eq!((window.units[0].unit, window.units[1].unit, window.units.len()), (47, 3, 48));
    assert_eq!(window.parts, ["h", "c", "i", "f", "g", "o"]);
    let text = builtin::text(200_000, 2);
    assert_eq!(window.text.as_bytes(), &text[window.from..][..5000]);
    let ids = model.vocab.encode(&text).unwrap();
    let values = base64::engine::general_purpose::STANDARD.decode(&window.units[0].values).unwrap();
    let plan = gatemill_train::TracePlan::part(window.from..window.from + 5000);
    model
        .trace(&ids, &plan, (&crew, &kernels), |trace| {
            for &moment in trace.moments() {
                for (p, &part) in model.parts().iter().enumerate() {
                    let [least, most] = window.units[0].scales[p];
                    let byte = f32::from(values[p * 5000 + moment.at - window.from]);
                    let shown = least + (most - least) * byte / 254.0;
                    let value = trace.unit(0, part, 47, moment);
                    assert!((shown - value).abs() <= 0.51 * (most - least) / 254.0, "{part:?} {shown} {value}");
                }
            }
            Ok::<(), gatemill_train::TrainError>(())
        })
        .unwrap();
}

#[test]
fn what_cannot_be_looked_at_is_refused() {
    let (model, crew, kernels) = learned();
    let refused = |text: &[u8], options: Options| {
        scope(&model, text, &options, (&crew, &kernels), |_| {}).expect_err("refused").to_string()
    };
    assert!(refused(b"too short", Options::default()).contains("9 characters"));
    let text = builtin::text(5000, 1);
    let unit = Options { units: vec![(1, 0)], ..Options::default() };
    assert!(refused(&text, unit).contains("no unit 1:0"));
    let hold = Hold { layer: 0, unit: 48, part: Part::Cell, value: 0.0 };
    assert!(refused(&text, Options { holds: vec![hold], ..Options::default() }).contains("c:0:48=0"));
    assert!(refused(&[b'a', 0xff].repeat(2000), Options::default()).contains("UTF-8"));
}
