//! Every kind learns what it is for.

use crate::data::{best, config, countdown, crew, dates, quotes, recall, xor};
use gatemill_train::task::{Attention, Pool, TaskConfig, TaskKind, TaskScore, TaskTrainer};
use gatemill_train::{CellKind, Config};

/// Runs all steps; the score on examples kept apart.
fn learned(trainer: &mut TaskTrainer, apart: &[gatemill_train::task::Example]) -> TaskScore {
    while !trainer.is_done() {
        trainer.step().expect("a step");
    }
    trainer.evaluate(apart).expect("a score")
}

#[test]
fn map_learns_the_exclusive_or() {
    let (task, crew) = (xor(), crew(1));
    for cell in [CellKind::Rnn, CellKind::Lstm, CellKind::Gru] {
        let config = config(TaskKind::Map, cell, 8, 400);
        let score = learned(&mut task.trainer(&config, &crew, best()), &task.examples);
        assert!(score.accuracy == 1.0 && score.nats < 0.1, "{cell:?}: {score:?}");
    }
}

#[test]
fn classify_learns_the_last_and_the_first_symbol() {
    let crew = crew(2);
    for (first, pool) in [(false, Pool::Last), (true, Pool::Last), (true, Pool::Max), (true, Pool::Mean)] {
        let mut task = recall(1200, first, 5);
        let apart = task.apart(1000);
        let config = TaskConfig { pool, ..config(TaskKind::Classify, CellKind::Gru, 32, 300) };
        let score = learned(&mut task.trainer(&config, &crew, best()), &apart);
        println!("first {first} {pool:?}: {score:?}");
        assert!(score.accuracy > 0.97, "first {first} {pool:?}: {score:?}");
    }
}

#[test]
fn tag_learns_what_is_inside_quotes() {
    let (mut task, crew) = (quotes(700, 3), crew(2));
    let apart = task.apart(600);
    let config = config(TaskKind::Tag, CellKind::Lstm, 24, 400);
    let score = learned(&mut task.trainer(&config, &crew, best()), &apart);
    println!("{score:?}");
    assert!(score.accuracy > 0.99 && score.exact > 0.9, "{score:?}");
}

#[test]
fn describe_learns_a_sequence_of_each_condition() {
    let (task, crew) = (countdown(), crew(1));
    for cell in [CellKind::Rnn, CellKind::Lstm, CellKind::Gru] {
        let config = config(TaskKind::Describe, cell, 32, 200);
        let score = learned(&mut task.trainer(&config, &crew, best()), &task.examples);
        println!("{cell:?}: {score:?}");
        assert!(score.exact == 1.0, "{cell:?}: {score:?}");
    }
}

#[test]
fn translate_learns_dates() {
    let crew = crew(2);
    let mut task = dates(6000, 1);
    let apart = task.apart(5000);
    let base =
        Config { hidden: 64, layers: 1, batch: 32, lr: 0.01, clip_norm: 1.0, steps: Some(900), ..Config::default() };
    let config =
        TaskConfig { attention: Attention::General, bidirectional: true, base, ..TaskConfig::new(TaskKind::Translate) };
    let score = learned(&mut task.trainer(&config, &crew, best()), &apart);
    println!("{score:?}");
    assert!(score.exact >= 0.98, "{score:?}");
}
