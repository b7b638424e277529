//! Held units against plain f64 loops that overwrite the state at every step.

use super::*;
use crate::config::Config;
use crate::plain::{Plain, nats};
use crate::trace::{Trace, TracePlan};
use gatemill_corpus::{Vocab, VocabKind};

const HIDDEN: usize = 19;

fn model(cell: CellKind, change: impl FnOnce(&mut Config)) -> (CharModel, Vec<u32>, Crew, Kernels) {
    let (crew, kernels) = (Crew::new(2).unwrap(), Kernels::best());
    let text = b"a gate that is held neither opens nor closes; what reads it sees one value for ever.";
    let vocab = Vocab::of(VocabKind::Chars, text).unwrap();
    let mut config = Config { cell, layers: 2, hidden: HIDDEN, ..Config::default() };
    change(&mut config);
    let model = CharModel::new(&config, &vocab, &crew, &kernels).unwrap();
    let ids = vocab.encode(text).unwrap();
    (model, ids, crew, kernels)
}

/// The loss of every symbol, and h of every unit, by the engine.
fn read(model: &CharModel, ids: &[u32], (crew, kernels): (&Crew, &Kernels)) -> Vec<(f64, Vec<f64>)> {
    let mut all = Vec::new();
    let visit = |trace: &Trace<'_>| {
        for &moment in trace.moments() {
            let units = (0..2).flat_map(|l| (0..HIDDEN).map(move |j| (l, j)));
            let h = units.map(|(l, j)| f64::from(trace.unit(l, Part::Hidden, j, moment)));
            all.push((f64::from(trace.nats(moment)), h.collect()));
        }
        Ok::<(), TrainError>(())
    };
    model.trace(ids, &TracePlan::exact(ids.len()), (crew, kernels), visit).unwrap();
    all
}

#[test]
fn a_held_unit_is_a_state_that_is_overwritten_at_every_step() {
    for cell in [CellKind::Rnn, CellKind::Lstm, CellKind::Gru] {
        let parts: &[Part] = if cell == CellKind::Lstm { &[Part::Hidden, Part::Cell] } else { &[Part::Hidden] };
        for (layer, unit) in [(0, 3), (1, 18)] {
            for &part in parts {
                for value in [0.0, 0.6, -0.75, 2.5, -4.0] {
                    let (model, ids, crew, kernels) = model(cell, |_| {});
                    let held = model.held(&[Hold { layer, unit, part, value }], &crew, &kernels).unwrap();
                    let mut plain = Plain::new(&model, &[(layer, part, unit, value)]);
                    for (at, (found, h)) in read(&held, &ids, (&crew, &kernels)).into_iter().enumerate() {
                        let logits = plain.read(ids[at] as usize);
                        let want = ids.get(at + 1).map_or(0.0, |&next| nats(&logits, next as usize));
                        let place = format!("{cell:?} {part:?} {layer}:{unit}={value} at {at}");
                        assert!((found - want).abs() < 2e-5, "{place}: {found} {want}");
                        // All other units are where they would be; the held one is not read.
                        for (other, (a, b)) in h.iter().zip(plain.h.concat()).enumerate() {
                            assert!(other == layer * HIDDEN + unit || (a - b).abs() < 1e-5, "{place}: {other} {a} {b}");
                        }
                    }
                }
            }
        }
    }
}

/// Whether it does anything at all is seen by the loss.
#[test]
fn a_hold_changes_the_loss_and_two_change_it_together() {
    let (model, ids, crew, kernels) = model(CellKind::Lstm, |_| {});
    let holds = [
        Hold { layer: 0, unit: 5, part: Part::Hidden, value: -0.4 },
        Hold { layer: 1, unit: 0, part: Part::Cell, value: 0.3 },
    ];
    let overwritten = holds.map(|h| (h.layer, h.part, h.unit, h.value));
    let held = model.held(&holds, &crew, &kernels).unwrap();
    let mut plain = Plain::new(&model, &overwritten);
    let before = read(&model, &ids, (&crew, &kernels));
    for (at, (found, _)) in read(&held, &ids, (&crew, &kernels)).into_iter().enumerate().take(ids.len() - 1) {
        let logits = plain.read(ids[at] as usize);
        assert!((found - nats(&logits, ids[at + 1] as usize)).abs() < 2e-5);
        assert!(found != before[at].0, "nothing has changed at {at}");
    }
    let none = model.held(&[], &crew, &kernels).unwrap();
    assert_eq!(none.weights_sha256(), model.weights_sha256());
}

/// The readout's column changes, the embedding's does not.
#[test]
fn a_tied_embedding_stays_what_it_was() {
    for layer in [0, 1] {
        let (model, ids, crew, kernels) = model(CellKind::Gru, |config| {
            (config.embed, config.tied) = (HIDDEN, true);
        });
        let hold = Hold { layer, unit: 7, part: Part::Hidden, value: 0.5 };
        let held = model.held(&[hold], &crew, &kernels).unwrap();
        assert_eq!(held.config.tied, layer == 0);
        let mut plain = Plain::new(&model, &[(layer, Part::Hidden, 7, 0.5)]);
        for (at, (found, _)) in read(&held, &ids, (&crew, &kernels)).into_iter().enumerate().take(ids.len() - 1) {
            let logits = plain.read(ids[at] as usize);
            assert!((found - nats(&logits, ids[at + 1] as usize)).abs() < 2e-5, "{layer} {at}");
        }
    }
}

/// A state that an LSTM's step would overwrite with 0 gives the same bits as the weights do: one step at a time.
#[test]
fn held_at_zero_the_bits_are_those_of_a_state_set_to_zero() {
    let (model, ids, crew, kernels) = model(CellKind::Gru, |config| config.layers = 1);
    let held = model.held(&[Hold { layer: 0, unit: 4, part: Part::Hidden, value: 0.0 }], &crew, &kernels).unwrap();
    let (mut a, mut b) = (model.network(1, 1).unwrap(), held.network(1, 1).unwrap());
    for id in ids {
        let chunk = gatemill_cell::Chunk { steps: 1, ids: &[id], ..Default::default() };
        a.forward(&crew, &kernels, &model.params, &chunk);
        b.forward(&crew, &kernels, &held.params, &chunk);
        a.carry(1);
        b.carry(1);
        let (mut x, y) = (a.state(), b.state());
        x[0].h[4] = 0.0;
        a.set_state(&x);
        let others = (0..HIDDEN).filter(|&j| j != 4);
        assert!(others.map(|j| (x[0].h[j].to_bits(), y[0].h[j].to_bits())).all(|(x, y)| x == y));
    }
}

#[test]
fn what_the_model_has_not_is_refused_with_what_can_be_held() {
    let (gru, _, crew, kernels) = model(CellKind::Gru, |_| {});
    let refused = |layer, unit, part, value| {
        let hold = Hold { layer, unit, part, value };
        gru.held(&[hold], &crew, &kernels).unwrap_err().to_string()
    };
    assert!(refused(2, 0, Part::Hidden, 0.0).contains("names a layer that the model has not"));
    assert!(refused(0, HIDDEN, Part::Hidden, 0.0).contains("names a unit that the model has not"));
    assert!(refused(0, 0, Part::Cell, 0.0).contains("h can, and an LSTM's c"));
    assert!(refused(0, 0, Part::Reset, 0.0).contains("r:0:0=0"));
    assert!(refused(0, 0, Part::Hidden, f64::NAN).contains("a number"));
}
