//! What models say: probabilities, answers, draws, beams, where they looked.

use crate::data::{best, config, countdown, crew, dates, quotes, recall};
use gatemill_crew::Crew;
use gatemill_train::task::{Attention, Example, Input, PredictOptions, Prediction, TaskConfig, TaskKind, TaskTrainer};
use gatemill_train::{CellKind, Config};
use std::sync::Arc;

fn trained(trainer: &mut TaskTrainer) {
    while !trainer.is_done() {
        trainer.step().expect("a step");
    }
}

fn predict(trainer: &TaskTrainer, examples: &[Example], options: &PredictOptions, crew: &Arc<Crew>) -> Vec<Prediction> {
    let inputs: Vec<Input> = examples.iter().map(|e| e.input.clone()).collect();
    trainer.model().predict(&inputs, options, crew, &best()).expect("predictions")
}

/// A class is right as often as the score says, its nats are the score's, and probabilities are some.
#[test]
fn classes_and_tags_are_those_of_the_score() {
    let crew = crew(2);
    for (kind, task) in [(TaskKind::Classify, recall(300, false, 1)), (TaskKind::Tag, quotes(60, 2))] {
        let mut trainer = task.trainer(&config(kind, CellKind::Gru, 16, 30), &crew, best());
        trained(&mut trainer);
        let all = predict(&trainer, &task.examples, &PredictOptions::default(), &crew);
        let score = trainer.evaluate(&task.examples).expect("a score");
        let (mut right, mut exact, mut targets, mut nats) = (0, 0, 0, 0.0);
        for (said, example) in all.iter().zip(&task.examples) {
            assert!(said.ended && said.output.len() == example.output.len());
            let hits = said.output.iter().zip(&example.output).filter(|(a, b)| a == b).count();
            (right, targets) = (right + hits, targets + example.output.len());
            exact += usize::from(hits == example.output.len());
            for ((p, &said), &want) in said.distributions.iter().zip(&said.output).zip(&example.output) {
                let sum: f64 = p.iter().map(|&p| f64::from(p)).sum();
                assert!((sum - 1.0).abs() < 1e-5 && p.iter().all(|&x| x <= p[said as usize]), "{p:?}");
                nats -= libm::log(f64::from(p[want as usize]));
            }
            let of_output: f64 = said.probabilities.iter().map(|&p| -libm::log(f64::from(p))).sum();
            assert!((of_output - said.nats).abs() < 1e-9);
        }
        let part = |n: usize, of: usize| n as f64 / of as f64;
        assert!(score.accuracy > 0.3 && score.accuracy < 1.0, "{score:?} says nothing");
        assert_eq!((score.accuracy, score.exact), (part(right, targets), part(exact, all.len())), "{kind:?}");
        assert!((nats / targets as f64 / score.nats - 1.0).abs() < 1e-5, "{kind:?}: {nats} of {targets}, {score:?}");
    }
}

/// `exact` by what the decoder would write if all was right so far is what it does write.
#[test]
fn answers_are_exact_as_often_as_the_score_says() {
    let crew = crew(2);
    let mut task = dates(1500, 3);
    let apart = task.apart(1300);
    let base =
        Config { hidden: 48, layers: 1, batch: 32, lr: 0.01, clip_norm: 1.0, steps: Some(280), ..Config::default() };
    for attention in [Attention::Dot, Attention::General] {
        let config = TaskConfig { attention, base: base.clone(), ..TaskConfig::new(TaskKind::Translate) };
        let mut trainer = task.trainer(&config, &crew, best());
        trained(&mut trainer);
        let score = trainer.evaluate(&apart).expect("a score");
        let all = predict(&trainer, &apart, &PredictOptions::default(), &crew);
        let exact = all.iter().zip(&apart).filter(|(said, e)| said.ended && said.output == e.output).count();
        println!("{attention:?}: {score:?}, {exact} exact");
        assert!(score.exact > 0.02 && score.exact < 1.0, "{score:?} says nothing");
        assert_eq!(score.exact, exact as f64 / apart.len() as f64);
        for (said, e) in all.iter().zip(&apart) {
            assert_eq!((said.attention.len(), said.probabilities.len()), (said.output.len(), said.output.len()));
            for row in &said.attention {
                let sum: f64 = row.iter().map(|&w| f64::from(w)).sum();
                assert!(row.len() == e.input.len() && (sum - 1.0).abs() < 1e-5, "{row:?}");
            }
        }

        // A wider search finds answers that are likelier on the whole, never one that is less likely a symbol.
        let beam = |beam| predict(&trainer, &apart[..60], &PredictOptions { beam, ..Default::default() }, &crew);
        let (one, four) = (predict(&trainer, &apart[..60], &PredictOptions::default(), &crew), beam(4));
        let mean = |all: &[Prediction]| {
            all.iter().map(|said| said.nats / (said.output.len() + 1) as f64).sum::<f64>() / all.len() as f64
        };
        println!("{} nats a symbol, by beam {}", mean(&one), mean(&four));
        assert!(mean(&four) < mean(&one), "{} and {}", mean(&four), mean(&one));
        assert!(four.iter().all(|said| said.ended && said.attention.len() == said.output.len()));
        // The nats of an answer are those of its symbols read as an example.
        for (said, e) in four.iter().zip(&apart).take(10) {
            let example = Example { input: e.input.clone(), output: said.output.clone() };
            let score = trainer.evaluate(&[example]).expect("a score");
            assert!((score.nats * score.targets as f64 - said.nats).abs() < 1e-3 * said.nats.max(0.1), "{said:?}");
        }
    }
}

/// The most likely symbols, draws that depend on seed and number alone, and an end where the answer grows too long.
#[test]
fn answers_are_drawn_and_cut() {
    let (task, crew) = (countdown(), crew(2));
    let mut trainer = task.trainer(&config(TaskKind::Describe, CellKind::Lstm, 32, 200), &crew, best());
    trained(&mut trainer);
    let most_likely = predict(&trainer, &task.examples, &PredictOptions::default(), &crew);
    for (said, e) in most_likely.iter().zip(&task.examples) {
        assert_eq!((&said.output, said.ended), (&e.output, true));
        assert!(said.attention.is_empty() && said.distributions.is_empty() && said.nats < 1.0);
    }
    let cut = predict(&trainer, &task.examples, &PredictOptions { most: Some(3), ..Default::default() }, &crew);
    for (cut, whole) in cut.iter().zip(&most_likely) {
        assert_eq!(cut.output, whole.output[..whole.output.len().min(3)]);
        assert_eq!(cut.ended, whole.output.len() <= 3);
    }
    let drawn = |seed, batch| {
        let options = PredictOptions { temperature: 3.0, seed, batch, ..Default::default() };
        predict(&trainer, &task.examples, &options, &crew)
    };
    assert_eq!(drawn(1, 64), drawn(1, 2));
    assert!(drawn(1, 64) != drawn(2, 64) && drawn(1, 64) != most_likely);
}

#[test]
fn options_and_inputs_that_cannot_be_are_refused() {
    let (task, crew) = (quotes(5, 1), crew(1));
    let trainer = task.trainer(&config(TaskKind::Tag, CellKind::Rnn, 8, 1), &crew, best());
    let said = |input: Input, options: &PredictOptions| {
        trainer.model().predict(&[input], options, &crew, &best()).expect_err("refused").to_string()
    };
    let plain = PredictOptions::default();
    assert_eq!(said(Input::Symbols(vec![]), &plain), "input 1: its input is empty");
    assert_eq!(said(Input::Dense(vec![1.0]), &plain), "input 1: tag reads symbols, not numbers");
    let bad = |options| said(Input::Symbols(vec![0]), &options);
    assert!(bad(PredictOptions { beam: 0, ..plain.clone() }).starts_with("--beam 0: must be"));
    assert!(bad(PredictOptions { beam: 3, temperature: 1.0, ..plain.clone() }).starts_with("--beam 3: follows"));
    assert!(bad(PredictOptions { batch: 0, ..plain.clone() }).starts_with("--batch 0: must be"));
    assert!(bad(PredictOptions { top_p: 0.0, ..plain }).starts_with("--top-p 0: must be"));
}
