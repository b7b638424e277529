//! The bits promise: threads, tiers, dropout, stops; and that a batch's examples do not depend on their neighbours.

use crate::data::{Task, best, config, countdown, crew, dates, quotes, recall, tiers, xor};
use gatemill_kernels::{Isa, Kernels};
use gatemill_train::checkpoint::{Elements, form};
use gatemill_train::task::{Attention, Bridge, Pool, TaskConfig, TaskKind, TaskTrainer};
use gatemill_train::{CellKind, Config};

/// Every kind with all that is particular to it, and dropout.
fn every_kind() -> Vec<(TaskConfig, Task)> {
    let with = |kind, cell, hidden| {
        let config = config(kind, cell, hidden, 9);
        let base = Config { layers: 2, batch: 7, dropout: 0.2, output_dropout: 0.1, ..config.base.clone() };
        TaskConfig { base, ..config }
    };
    let classify =
        |pool, bidirectional| TaskConfig { pool, bidirectional, ..with(TaskKind::Classify, CellKind::Lstm, 19) };
    let translate = |cell, bidirectional, attention, bridge| TaskConfig {
        bidirectional,
        attention,
        bridge,
        ..with(TaskKind::Translate, cell, 21)
    };
    let embedded = |config: TaskConfig| TaskConfig { base: Config { embed: 6, ..config.base.clone() }, ..config };
    vec![
        (classify(Pool::Last, true), recall(50, true, 1)),
        (embedded(classify(Pool::Mean, false)), recall(50, true, 2)),
        (classify(Pool::Max, true), recall(50, false, 3)),
        (embedded(TaskConfig { bidirectional: true, ..with(TaskKind::Tag, CellKind::Gru, 18) }), quotes(40, 4)),
        (translate(CellKind::Gru, true, Attention::General, Bridge::Copy), dates(40, 5)),
        (translate(CellKind::Lstm, false, Attention::Dot, Bridge::Linear), dates(40, 6)),
        (embedded(translate(CellKind::Rnn, true, Attention::None, Bridge::Linear)), dates(40, 7)),
        (with(TaskKind::Describe, CellKind::Lstm, 17), countdown()),
        (with(TaskKind::Map, CellKind::Rnn, 9), xor()),
    ]
}

/// The same so large that several workers take part in a step; what is too small for that is left out.
fn large(kinds: Vec<(TaskConfig, Task)>) -> Vec<(TaskConfig, Task)> {
    let grown = |(mut config, task): (TaskConfig, Task)| {
        config.base.hidden += 80;
        (config.base.batch, config.base.steps) = (45, Some(3));
        (config, task)
    };
    kinds.into_iter().filter(|(config, _)| config.kind != TaskKind::Map).map(grown).collect()
}

fn run(trainer: &mut TaskTrainer) -> Vec<(f64, f64)> {
    let mut seen = Vec::new();
    while !trainer.is_done() {
        let step = trainer.step().expect("a step");
        seen.push((step.nats, step.grad_norm));
    }
    seen
}

#[test]
fn threads_and_fma_tiers_leave_no_trace() {
    let tiers: Vec<Kernels> = tiers().into_iter().filter(|kernels| kernels.isa() != Isa::Portable).collect();
    for (config, task) in large(every_kind()) {
        let mut first = None;
        for kernels in tiers.iter().copied() {
            for threads in [1, 3] {
                let mut trainer = task.trainer(&config, &crew(threads), kernels);
                assert!(trainer.workers() == threads.min(2) || trainer.workers() == threads, "{config:?}");
                let seen = (run(&mut trainer), trainer.weights_sha256());
                assert_eq!(*first.get_or_insert(seen.clone()), seen, "{config:?}: {threads} threads, {kernels:?}");
            }
        }
    }
    // The portable tier keeps the promise for threads.
    for (config, task) in large(every_kind()) {
        let portable = Kernels::new(Isa::Portable).expect("the portable tier");
        let hash = |threads| {
            let mut trainer = task.trainer(&config, &crew(threads), portable);
            run(&mut trainer);
            trainer.weights_sha256()
        };
        assert_eq!(hash(1), hash(2), "{config:?}");
    }
}

#[test]
fn a_run_that_is_stopped_has_the_bits_of_one_that_is_not() {
    let crew = crew(2);
    for (k, (mut config, task)) in every_kind().into_iter().enumerate() {
        use gatemill_train::OptimizerKind::{Adam, Adamw, Rmsprop, Sgd};
        config.base.optimizer = [Adam, Sgd, Rmsprop, Adamw][k % 4];
        let mut whole = task.trainer(&config, &crew, best());
        let want = (run(&mut whole), whole.snapshot().held());
        for stop in [1, 5] {
            let mut trainer = task.trainer(&config, &crew, best());
            let mut seen: Vec<(f64, f64)> = Vec::new();
            for _ in 0..stop {
                let step = trainer.step().expect("a step");
                seen.push((step.nats, step.grad_norm));
            }
            // Through the bytes of a file.
            let bytes = form::encode(&trainer.snapshot()).expect("a file");
            let read = form::decode(&bytes).expect("the same file").snapshot;
            drop(trainer);
            let examples = task.examples.clone();
            let mut trainer =
                TaskTrainer::resume(&config, &read, examples, crew.clone(), best()).expect("a checkpoint");
            // An evaluation in between leaves no trace.
            trainer.evaluate(&task.examples).expect("a score");
            seen.extend(run(&mut trainer));
            assert_eq!(seen, want.0, "{config:?}: stopped at {stop}");
            assert_eq!(trainer.snapshot().held(), want.1, "{config:?}: stopped at {stop}");
        }
    }
}

/// Examples beside it and its place in the batch change neither an example's score nor what is said of it.
#[test]
fn an_example_does_not_depend_on_its_neighbours() {
    let crew = crew(2);
    for (config, task) in every_kind() {
        let mut trainer = task.trainer(&config, &crew, best());
        run(&mut trainer);
        let inputs: Vec<_> = task.examples.iter().map(|e| e.input.clone()).collect();
        let predict = |inputs: &[_], batch| {
            let options = gatemill_train::task::PredictOptions { batch, ..Default::default() };
            trainer.model().predict(inputs, &options, &crew, &best()).expect("predictions")
        };
        let want = predict(&inputs, 1);
        assert_eq!(predict(&inputs, 5), want, "{config:?}");
        let mut backwards: Vec<_> = inputs.clone();
        backwards.reverse();
        let mut found = predict(&backwards, 64);
        found.reverse();
        assert_eq!(found, want, "{config:?}");
        let whole = trainer.evaluate(&task.examples).expect("a score");
        let each: f64 = task
            .examples
            .iter()
            .map(|e| {
                let score = trainer.evaluate(std::slice::from_ref(e)).expect("a score");
                score.nats * score.targets as f64
            })
            .sum();
        assert!((each / (whole.nats * whole.targets as f64) - 1.0).abs() < 1e-12, "{config:?}");
    }
}

/// The order of examples is another in each epoch and with each seed, and each example comes once.
#[test]
fn an_epoch_takes_every_example_once() {
    let task = recall(45, true, 9);
    let mut config = config(TaskKind::Classify, CellKind::Rnn, 8, 100);
    config.base.batch = 10;
    let mut trainer = task.trainer(&config, &crew(1), best());
    assert_eq!(trainer.batches_per_epoch(), 5);
    let mut targets = Vec::new();
    for _ in 0..2 {
        let mut of_epoch = 0;
        loop {
            let step = trainer.step().expect("a step");
            of_epoch += step.targets;
            if let Some(end) = step.epoch_end {
                assert!(end.nats > 0.0 && (0.0..=1.0).contains(&end.accuracy));
                break;
            }
        }
        targets.push(of_epoch);
    }
    assert_eq!((targets, trainer.epochs(), trainer.step_count()), (vec![45, 45], 2, 10));
    let room = &mut Vec::new();
    assert!(trainer.snapshot().tensors.iter().all(|t| t.data.fetch(room).iter().all(|x| x.is_finite())));
    assert!(trainer.is_finite());
}

/// A run that is counted in epochs has as many steps, and its learning rate falls over all of them.
#[test]
fn the_learning_rate_goes_by_the_whole_run() {
    let task = recall(45, true, 9);
    let plain = config(TaskKind::Classify, CellKind::Rnn, 8, 1);
    let base = Config { steps: None, epochs: 4, batch: 10, warmup: Some(2), ..plain.base.clone() };
    let mut trainer = task.trainer(&TaskConfig { base, ..plain }, &crew(1), best());
    assert_eq!(trainer.total_steps(), 20);
    let mut rates = Vec::new();
    while !trainer.is_done() {
        rates.push(trainer.step().expect("a step").lr);
    }
    assert!(rates.len() == 20 && rates[0] == 0.005 && rates[1] == 0.01, "{rates:?}");
    assert!(rates[2..].is_sorted_by(|a, b| a > b) && rates[10] > 0.004 && rates[19] < 0.001, "{rates:?}");
}
