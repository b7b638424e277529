//! Every optimiser and every start in a whole trainer: each learns, and goes on from its checkpoint with the same bits.

use gatemill_corpus::{Corpus, OpenOptions, builtin};
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use gatemill_train::{Config, InitKind, OptimizerKind, ScheduleKind, Trainer};
use std::sync::Arc;

fn corpus() -> Arc<Corpus> {
    let text = builtin::text(20_000, 3);
    Arc::new(Corpus::from_bytes("text", text, &OpenOptions::default()).unwrap())
}

fn crew() -> Arc<Crew> {
    Arc::new(Crew::new(2).unwrap())
}

fn config() -> Config {
    let schedule = ScheduleKind::Exponential;
    Config { layers: 1, hidden: 24, batch: 8, seq: 11, steps: Some(60), schedule, ..Config::default() }
}

fn trainer(config: &Config) -> Trainer {
    Trainer::new(config, corpus(), crew(), Kernels::best()).unwrap()
}

/// The losses of `steps` steps.
fn steps(trainer: &mut Trainer, steps: usize) -> Vec<f64> {
    (0..steps).map(|_| trainer.step().unwrap().train_nats).collect()
}

#[test]
fn every_optimizer_learns_and_resumes_with_its_moments() {
    use OptimizerKind::{Adagrad, Adam, Adamw, Rmsprop, Sgd};
    for (optimizer, lr, momentum, moments) in [
        (Adam, 0.01, 0.9, &["optim.m", "optim.v"][..]),
        (Adamw, 0.01, 0.9, &["optim.m", "optim.v"]),
        (Rmsprop, 0.005, 0.9, &["optim.v"]),
        (Adagrad, 0.05, 0.9, &["optim.v"]),
        (Sgd, 0.5, 0.9, &["optim.m"]),
        (Sgd, 2.0, 0.0, &[]),
    ] {
        let given = Config { optimizer, lr, momentum, ..config() };
        let given = Config { clip_norm: 0.0, clip_value: 0.05, weight_decay: 1e-4, ..given };
        let mut whole = trainer(&given);
        let losses = steps(&mut whole, 60);
        assert!(losses[59] < losses[0] - 0.5, "{optimizer:?} momentum {momentum}: {losses:?}");

        let mut half = trainer(&given);
        steps(&mut half, 30);
        let snapshot = half.snapshot().held();
        let mut names: Vec<&str> = snapshot.tensors.iter().map(|t| t.name.as_str()).collect();
        names.retain(|name| name.ends_with(".rnn.weight_hh_l0"));
        let want: Vec<String> = moments.iter().map(|m| format!("{m}.rnn.weight_hh_l0")).collect();
        assert_eq!(names, want, "{optimizer:?}");
        let mut rest = Trainer::resume(&given, &snapshot, corpus(), crew(), Kernels::best()).unwrap();
        assert_eq!(steps(&mut rest, 30), losses[30..], "{optimizer:?} momentum {momentum}");
        assert_eq!(rest.weights_sha256(), whole.weights_sha256(), "{optimizer:?} momentum {momentum}");
    }
}

/// The norm that is told is the gradient's own; what is cut shows in the weights.
#[test]
fn clipping_by_value_leaves_the_norm_that_is_told() {
    let free = Config { clip_norm: 0.0, optimizer: OptimizerKind::Sgd, momentum: 0.0, ..config() };
    let mut hashes = Vec::new();
    let mut norms = Vec::new();
    for clip_value in [0.0, 1e3, 1e-3] {
        let mut trainer = trainer(&Config { clip_value, ..free.clone() });
        norms.push(trainer.step().unwrap().grad_norm);
        hashes.push(trainer.weights_sha256());
    }
    assert!(norms[0] > 0.05 && norms.iter().all(|norm| *norm == norms[0]), "{norms:?}");
    assert!(hashes[0] == hashes[1] && hashes[0] != hashes[2], "{hashes:?}");
}

#[test]
fn every_start_begins_near_even_odds_and_learns() {
    for init in [InitKind::Pytorch, InitKind::Uniform, InitKind::Normal, InitKind::Orthogonal] {
        let mut trainer = trainer(&Config { init, lr: 0.01, ..config() });
        let losses = steps(&mut trainer, 60);
        let even = libm::log(corpus().vocab().len() as f64);
        assert!((losses[0] - even).abs() < 0.3, "{init:?}: {} nats at first, {even} for even odds", losses[0]);
        assert!(losses[59] < losses[0] - 0.5, "{init:?}: {losses:?}");
    }
}
