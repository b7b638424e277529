//! The walk-through of "hello": every number that is printed agrees with plain f64 loops, for every cell, and the text
//! completes itself.

use gatemill_crew::Crew;
use gatemill_inspect::hello::{self, Hello, HelloError, Matrix, Options};
use gatemill_kernels::Kernels;
use gatemill_oracle::optim::Sgd;
use gatemill_oracle::{Activation, Cell, CharChunk, CharModel, Head, LayerParams, StackParams, StackShape};
use gatemill_train::CellKind;

const CELLS: [(CellKind, Cell); 3] =
    [(CellKind::Rnn, Cell::Rnn), (CellKind::Lstm, Cell::Lstm), (CellKind::Gru, Cell::Gru)];
/// Four decimals are printed: half a unit of the last, and what the rounding of f32 may add.
const PRINTED: f64 = 0.5e-4 + 2e-6;

fn walk(options: &Options) -> Result<Hello, HelloError> {
    hello::walk(options, &Crew::new(1).unwrap(), &Kernels::best())
}

fn numbers(list: &[Matrix], name: &str) -> Vec<f64> {
    let matrix = list.iter().find(|matrix| matrix.name == name).unwrap();
    matrix.values.iter().map(|&value| value.into()).collect()
}

fn model(list: &[Matrix]) -> CharModel<f64> {
    let of = |name| numbers(list, name);
    let layer = LayerParams { weight_ih: of("W_xh"), weight_hh: of("W_hh"), bias_ih: of("b_xh"), bias_hh: of("b_hh") };
    CharModel { stack: StackParams { layers: vec![layer] }, head: Head { weight: of("W_hy"), bias: of("b_y") } }
}

/// As it is printed.
fn printed(value: f64) -> f64 {
    format!("{value:.4}").parse().unwrap()
}

fn same(what: &str, found: impl IntoIterator<Item = f64>, want: &[f64]) {
    let found: Vec<f64> = found.into_iter().collect();
    assert_eq!(found.len(), want.len(), "{what}");
    for (i, (&found, &want)) in found.iter().zip(want).enumerate() {
        assert!((printed(found) - want).abs() <= PRINTED, "{what}[{i}]: printed {found:.4}, the oracle has {want}");
    }
}

fn wide(values: &[f32]) -> impl Iterator<Item = f64> + '_ {
    values.iter().map(|&value| value.into())
}

#[test]
fn every_printed_number_is_the_oracles() {
    for (text, hidden, seed) in [("hello", 3, 1), ("hello", 5, 2), ("to be, ok", 7, 3), ("물레방아", 2, 4)] {
        for (kind, cell) in CELLS {
            let case = format!("{text} {kind:?} {hidden}");
            let found = walk(&Options { text: text.into(), cell: kind, hidden, seed, ..Options::default() }).unwrap();
            let mut characters: Vec<char> = text.chars().collect();
            let ids = |c: &char| found.vocabulary.binary_search(c).unwrap();
            let all: Vec<usize> = characters.iter().map(ids).collect();
            characters.sort_unstable();
            characters.dedup();
            assert_eq!(found.vocabulary, characters, "{case}");

            let (symbols, steps) = (characters.len(), all.len() - 1);
            let shape = StackShape {
                cell,
                layers: 1,
                inputs: symbols,
                hidden,
                steps,
                lanes: 1,
                activation: Activation::Standard,
            };
            let chunk = CharChunk::from_zero_state(&shape, all[..steps].to_vec(), all[1..].to_vec());
            let mut want = model(&found.before);
            let pass = want.value_and_grad(&shape, &chunk);
            let trace = &pass.forward.trace.layers[0];
            assert!((found.nats - pass.forward.loss.mean_nats).abs() < 1e-5, "{case}");
            assert_eq!(found.losses[0], found.nats);
            for (t, step) in found.steps.iter().enumerate() {
                let at = |values: &[f64], width: usize| values[t * width..(t + 1) * width].to_vec();
                let case = format!("{case}, step {}", step.t);
                assert_eq!((step.id, step.target_id), (all[t], all[t + 1]), "{case}");
                same(&format!("{case}: h"), wide(&step.h), &at(&trace.h, hidden));
                same(&format!("{case}: y"), wide(&step.logits), &at(&pass.forward.logits, symbols));
                same(&format!("{case}: dL/dy"), step.d_logits.iter().copied(), &at(&pass.d_logits, symbols));
                // p - target is T dL/dy.
                let p: Vec<f64> = (0..symbols)
                    .map(|k| pass.d_logits[t * symbols + k] * steps as f64 + f64::from(u8::from(k == step.target_id)))
                    .collect();
                same(&format!("{case}: p"), step.p.iter().copied(), &p);
                same(&format!("{case}: loss"), [step.nats], &[-libm::log(p[step.target_id])]);
                if let Some(c) = &step.c {
                    same(&format!("{case}: c"), wide(c), &at(&trace.c, hidden));
                }
                let gates: Vec<f64> = match kind {
                    // tanh of the sum is the state, and its two parts and the biases are the sum.
                    CellKind::Rnn => {
                        let [from_x, from_h, sum] = [0, 1, 2].map(|part| &step.parts[part].values);
                        let (b_x, b_h) = (numbers(&found.before, "b_xh"), numbers(&found.before, "b_hh"));
                        let parts: Vec<f64> = (0..hidden).map(|u| from_x[u] + from_h[u] + b_x[u] + b_h[u]).collect();
                        same(&format!("{case}: a"), sum.iter().copied(), &parts);
                        sum.iter().map(|&a| libm::tanh(a)).collect()
                    }
                    _ => step.parts.iter().flat_map(|part| part.values.clone()).collect(),
                };
                same(&format!("{case}: gates"), gates, &at(&trace.gates, hidden * cell.gates()));
            }

            let tensors = |model: &CharModel<f64>| -> Vec<Vec<f64>> {
                model.tensors().into_iter().map(|(_, tensor)| tensor.clone()).collect()
            };
            let gradients = tensors(&pass.grads);
            for ((found, want), matrix) in found.gradient.iter().zip(&gradients).zip(&found.before) {
                assert_eq!((found.name, found.rows * found.columns), (matrix.name, want.len()));
                same(&format!("{case}: gradient of {}", found.name), wide(&found.values), want);
            }
            let mut sgd = Sgd::new(found.lr, found.momentum);
            let slices: Vec<&[f64]> = gradients.iter().map(Vec::as_slice).collect();
            let mut weights: Vec<&mut [f64]> =
                want.tensors_mut().into_iter().map(|(_, tensor)| tensor.as_mut_slice()).collect();
            sgd.update(&mut weights, &slices);
            for (found, want) in found.after.iter().zip(tensors(&want)) {
                same(&format!("{case}: {} after", found.name), wide(&found.values), &want);
            }
            // The second loss is that of the oracle's own updated weights.
            let second = want.forward(&shape, &chunk).loss.mean_nats;
            assert!((found.losses[1] - second).abs() < 1e-5, "{case}: {} {second}", found.losses[1]);
        }
    }
}

#[test]
fn each_cell_learns_to_complete_hello_and_losses_fall() {
    for (cell, _) in CELLS {
        for seed in 1..=5 {
            let found = walk(&Options { cell, seed, ..Options::default() }).unwrap();
            assert_eq!(found.written(), "hello", "{cell:?}, seed {seed}, {} updates", found.updates);
            assert!(found.right_after.unwrap() <= found.updates && found.updates < 1000);
            assert_eq!(found.losses.len() as u64, found.updates + 1);
            assert!(found.losses[found.losses.len() - 1] < 0.1, "{cell:?}");
            // A stage's loss, of logits, is the engine's own.
            for stage in &found.training {
                let engine = found.losses[stage.updates as usize];
                assert!((stage.nats - engine).abs() < 1e-5, "{cell:?}: {} {engine}", stage.nats);
            }
            let last = found.training.last().unwrap();
            assert!(last.updates == found.updates && last.right == 4);
            assert!(found.training.iter().any(|stage| Some(stage.updates) == found.right_after));
        }
    }
}

#[test]
fn so_many_updates_are_made_as_are_asked_for() {
    for steps in [1, 2, 7, 300] {
        let found = walk(&Options { updates: Some(steps), ..Options::default() }).unwrap();
        assert_eq!((found.updates, found.training.last().unwrap().updates), (steps, steps));
    }
    let found = walk(&Options { updates: Some(1), ..Options::default() }).unwrap();
    let text = hello::text(&found);
    assert!(text.contains("of 4 next characters are right: more updates"), "{text}");
    assert!(text.contains("not the text yet"), "{text}");
}

#[test]
fn the_text_is_narrow_and_shows_what_cannot_be_seen() {
    for (text, hidden) in
        [("hello", 3), ("a b\tc\nd", 32), ("abcdefghijklmnopqrstuvwx", 9), ("물레방아 돈다", 4), ("aa", 1)]
    {
        for (cell, _) in CELLS {
            let found =
                walk(&Options { text: text.into(), hidden, cell, updates: Some(3), ..Options::default() }).unwrap();
            let told = hello::text(&found);
            for line in told.lines() {
                let columns = unicode_width::UnicodeWidthStr::width(line);
                assert!(columns <= 100 && !line.contains(['\t', '\r']), "{columns}: {line}");
            }
            for part in [
                "1. The vocabulary",
                "2. The weights",
                "3. Forward",
                "4. Backward",
                "5. The update",
                "6. Train more",
                "7. Inference",
            ] {
                assert_eq!(told.matches(part).count(), 1, "{part}");
            }
            let page = hello::page(&found).render();
            assert!(page.contains("7. Inference") && !page.contains(">NaN"));
        }
    }
    let told = hello::text(&walk(&Options { text: "a b\tc\nd".into(), ..Options::default() }).unwrap());
    assert!(told.contains("\"a␣b⇥c↵d\"") && told.contains("'␣'"), "{told}");
}

#[test]
fn what_cannot_be_told_is_refused() {
    let refused = |options: Options| walk(&options).unwrap_err().to_string();
    let of = |text: &str| Options { text: text.into(), ..Options::default() };
    assert!(refused(of("")).contains("has 0 of the 2"));
    assert!(refused(of("a")).contains("has 1 of the 2"));
    assert!(refused(of(&"ab".repeat(13))).contains("26 characters") && refused(of(&"ab".repeat(13))).contains("24"));
    assert!(refused(Options { hidden: 0, ..Options::default() }).contains("0 hidden units"));
    assert!(refused(Options { hidden: 33, ..Options::default() }).contains("1 to 32"));
    assert!(refused(Options { lr: -1.0, ..Options::default() }).contains("lr"));
}
