//! The character model as a library: learns, writes, is saved and loaded, forks.

use gatemill::{CharLm, Config, Crew, Error, SampleOptions, SampleState, Symbol, VocabChoice, storage::RealStorage};
use std::sync::Arc;

const TEXT: &str = "to be or not to be that is the question ";

fn config() -> Config {
    Config { layers: 2, hidden: 19, batch: 2, seq: 10, lr: 0.01, ..Config::default() }
}

fn trained(steps: usize) -> CharLm {
    let mut model = CharLm::new(&config(), TEXT, Arc::new(Crew::new(2).expect("threads"))).expect("a model");
    // `[T, B]`: the second lane reads half a text further on.
    let ids = model.encode(&TEXT.repeat(2)).expect("UTF-8");
    let at = |t: usize, lane: usize| ids[(t + lane * TEXT.len() / 2) % TEXT.len()];
    for step in 0..steps {
        let symbols = |shift: usize| -> Vec<u32> {
            (0..10).flat_map(|t| [at(10 * step + t + shift, 0), at(10 * step + t + shift, 1)]).collect()
        };
        let report = model.train_step(&symbols(0), &symbols(1)).expect("a step");
        assert_eq!((report.step, report.counted), (step as u64 + 1, 20));
    }
    model
}

fn options(prime: &str, length: u64) -> SampleOptions {
    SampleOptions { prime: prime.into(), length, temperature: 0.0, ..SampleOptions::default() }
}

fn text(symbols: impl Iterator<Item = Result<Symbol, Error>>) -> String {
    symbols.map(|symbol| symbol.expect("a symbol").to_string()).collect()
}

#[test]
fn it_learns_and_writes_what_it_learned() {
    let model = trained(300);
    assert_eq!(text(model.generate(&options("to be or ", 20)).expect("a text")), "not to be that is th");
}

#[test]
fn a_saved_model_is_the_same_model_and_a_run_folder_is_one_too() {
    let model = trained(5);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("best.safetensors");
    model.save(&path).expect("saved");
    for path in [path.as_path(), folder.path()] {
        let again = CharLm::load(path, Arc::new(Crew::alone())).expect("loaded");
        assert_eq!(again.model().weights_sha256(), model.model().weights_sha256());
        assert_eq!((again.config(), again.vocab().symbols()), (model.config(), model.vocab().symbols()));
    }
    let missing = CharLm::load(folder.path().join("none.safetensors"), Arc::new(Crew::alone()));
    assert!(matches!(missing, Err(Error::Load(_))), "{missing:?}");
    std::fs::write(folder.path().join("not.safetensors"), b"\x08\0\0\0\0\0\0\0{}      ").expect("written");
    let foreign = CharLm::load(folder.path().join("not.safetensors"), Arc::new(Crew::alone()));
    let error = foreign.expect_err("no model").to_string();
    assert!(error.contains("not.safetensors") && error.contains("gatemill"), "{error}");
}

#[test]
fn a_text_goes_on_from_its_state_and_a_copy_of_it_is_a_fork() {
    let model = trained(60);
    let warm = SampleOptions { temperature: 1.0, ..options("to be", 30) };
    let whole = text(model.generate(&warm).expect("a text"));
    let mut first = model.generate(&SampleOptions { length: 12, ..warm.clone() }).expect("a text");
    let mut begun = text(first.by_ref());
    assert_eq!(whole[..12], begun);
    let state = first.state();
    // By way of a file.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state.safetensors");
    state.save(&RealStorage, &path).expect("saved");
    let state = SampleState::load(&RealStorage, &path).expect("loaded");
    let rest = SampleOptions { prime: Vec::new(), length: 18, ..warm.clone() };
    begun += &text(model.resume(&rest, &state).expect("a text"));
    assert_eq!(begun, whole);
    // Another seed from the same state: another text.
    let fork = text(model.resume(&SampleOptions { seed: 5, ..rest.clone() }, &state).expect("a text"));
    assert_ne!(fork, whole[12..]);
    // A state is its model's.
    assert!(trained(61).resume(&rest, &state).is_err());
}

#[test]
fn logits_are_those_that_texts_are_drawn_from_however_the_symbols_are_cut() {
    let model = trained(40);
    let (ids, v) = (model.encode(&TEXT.repeat(20)).expect("UTF-8"), model.vocab().len());
    let mut state = model.state(1).expect("a state");
    let mut all = vec![0.0; ids.len() * v];
    model.logits(&ids, &mut state, &mut all).expect("logits");
    // One by one, and two lanes of the same.
    let (mut one, mut two) = (model.state(1).expect("a state"), model.state(2).expect("a state"));
    let mut both = vec![0.0; 2 * v];
    for (n, &id) in ids.iter().enumerate().take(30) {
        let mut logits = vec![0.0; v];
        model.logits(&[id], &mut one, &mut logits).expect("logits");
        model.logits(&[id, id], &mut two, &mut both).expect("logits");
        assert_eq!(logits, all[n * v..][..v]);
        assert_eq!(both, [&logits[..], &logits[..]].concat());
    }
    // The likeliest symbol after a prime is the one that is written.
    let written = text(model.generate(&options(TEXT, 1)).expect("a text"));
    let mut state = model.state(1).expect("a state");
    let mut logits = vec![0.0; TEXT.len() * v];
    model.logits(&ids[..TEXT.len()], &mut state, &mut logits).expect("logits");
    let last = &logits[logits.len() - v..];
    let likeliest = (0..v).rev().max_by(|&a, &b| last[a].total_cmp(&last[b])).expect("a symbol");
    assert_eq!(written, char::from_u32(model.vocab().symbols()[likeliest]).expect("a character").to_string());
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut model = trained(1);
    let v = model.vocab().len();
    for samples in [0, 2] {
        let several = model.generate(&SampleOptions { samples, ..options("", 1) });
        assert!(matches!(several, Err(Error::Option { option: "samples", .. })), "{several:?}");
    }
    assert!(model.generate(&SampleOptions { temperature: f64::NAN, ..options("", 1) }).is_err());
    assert!(model.generate(&SampleOptions { prime: vec![0xff], ..options("", 1) }).is_err());
    assert!(matches!(model.train_step(&[0; 19], &[0; 20]), Err(Error::Train(_))));
    assert!(matches!(model.train_step(&[0; 20], &[]), Err(Error::Train(_))));
    for lr in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(model.set_lr(lr), Err(Error::Option { option: "lr", .. })), "{lr}");
    }
    let mut state = model.state(1).expect("a state");
    let before = state.clone();
    assert!(model.logits(&[0, 1], &mut state, &mut vec![0.0; v]).is_err());
    assert!(model.logits(&[0; 3], &mut model.state(2).expect("a state"), &mut vec![0.0; 3 * v]).is_err());
    state.h.pop();
    assert!(model.logits(&[0], &mut state, &mut vec![0.0; v]).is_err());
    state.h.clear();
    assert!(model.logits(&[0], &mut state, &mut vec![0.0; v]).is_err());
    assert!(before.h.iter().all(|&h| h == 0.0));
    // Ids beyond the vocabulary are symbols never seen.
    let mut state = model.state(1).expect("a state");
    model.logits(&[u32::MAX], &mut state, &mut vec![0.0; v]).expect("logits");

    let crew = || Arc::new(Crew::alone());
    assert!(CharLm::new(&config(), "", crew()).is_err());
    for config in [
        Config { hidden: 0, ..config() },
        Config { hidden: 1 << 40, ..config() },
        Config { hidden: 1 << 27, ..config() },
        Config { layers: usize::MAX, ..config() },
        Config { embed: usize::MAX, ..config() },
    ] {
        assert!(CharLm::new(&config, "ab", crew()).is_err(), "{config:?}");
    }
    for config in [Config { accumulate: 2, ..config() }, Config { seq: usize::MAX, ..config() }] {
        let mut model = CharLm::new(&config, "ab", crew()).expect("a model that is not trained yet");
        assert!(model.train_step(&[0; 20], &[0; 20]).is_err(), "{config:?}");
    }
}

#[test]
fn bytes_come_as_bytes() {
    let bytes = Config { vocab: VocabChoice::Bytes, ..config() };
    let model = CharLm::new(&bytes, "", Arc::new(Crew::alone())).expect("a model");
    let warm = SampleOptions { temperature: 1.0, ..options("a", 40) };
    let symbols: Vec<Symbol> = model.generate(&warm).expect("a text").map(|s| s.expect("a symbol")).collect();
    let mut text = Vec::new();
    symbols.iter().for_each(|symbol| symbol.push_to(&mut text));
    assert_eq!(text.len(), 40);
    assert!(symbols.iter().all(|symbol| matches!(symbol, Symbol::Byte(_))));
    assert!(text.iter().any(|byte| !byte.is_ascii()));
}
