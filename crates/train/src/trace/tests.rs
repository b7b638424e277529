//! Every part of every unit against plain f64 loops; lanes with a warm-up against one lane.

use super::*;
use crate::config::{CellKind, Config};
use crate::plain::{Plain, nats};
use gatemill_corpus::Vocab;

const TEXT: &str = "the mill turns, the water runs; a gate opens and a gate closes. ";

fn model(cell: CellKind, hidden: usize, change: impl FnOnce(&mut Config)) -> (CharModel, Vec<u32>, Crew, Kernels) {
    let (crew, kernels) = (Crew::new(2).unwrap(), Kernels::best());
    let text = TEXT.repeat(2);
    let vocab = Vocab::of(gatemill_corpus::VocabKind::Chars, text.as_bytes()).unwrap();
    let mut config = Config { cell, layers: 3, hidden, seq: 7, batch: 1, init_scale: None, ..Config::default() };
    change(&mut config);
    let model = CharModel::new(&config, &vocab, &crew, &kernels).unwrap();
    let ids = vocab.encode(text.as_bytes()).unwrap();
    (model, ids, crew, kernels)
}

#[test]
fn every_part_of_every_unit_is_what_its_equation_says() {
    for (cell, hidden) in [(CellKind::Rnn, 37), (CellKind::Lstm, 21), (CellKind::Gru, 18)] {
        for embed in [0, 5] {
            let (model, ids, crew, kernels) = model(cell, hidden, |config| config.embed = embed);
            let mut plain = Plain::new(&model, &[]);
            let mut seen = 0;
            let visit = |trace: &Trace<'_>| {
                for &moment in trace.moments() {
                    assert_eq!(moment.at, seen);
                    seen += 1;
                    let logits = plain.read(ids[moment.at] as usize);
                    for layer in 0..3 {
                        for &part in model.parts() {
                            for unit in 0..hidden {
                                let (found, want) =
                                    (trace.unit(layer, part, unit, moment), plain.unit(layer, part, unit));
                                let place = format!("{cell:?} {part:?} {layer}:{unit} at {}", moment.at);
                                assert!((f64::from(found) - want).abs() < 1e-5, "{place}: {found} {want}");
                            }
                        }
                    }
                    let want = ids.get(moment.at + 1).map_or(0.0, |&next| nats(&logits, next as usize));
                    assert!((f64::from(trace.nats(moment)) - want).abs() < 1e-5, "{} {want}", trace.nats(moment));
                }
                Ok::<(), TrainError>(())
            };
            model.trace(&ids, &TracePlan::exact(ids.len()), (&crew, &kernels), visit).unwrap();
            assert_eq!(seen, ids.len());
        }
    }
}

/// All values of all units by symbol.
fn values(model: &CharModel, ids: &[u32], plan: &TracePlan, (crew, kernels): (&Crew, &Kernels)) -> Vec<Vec<f32>> {
    let mut all = vec![Vec::new(); ids.len()];
    let visit = |trace: &Trace<'_>| {
        for &moment in trace.moments() {
            assert!(all[moment.at].is_empty(), "symbol {} is seen twice", moment.at);
            for layer in 0..model.config.layers {
                for &part in model.parts() {
                    let units = 0..model.config.hidden;
                    all[moment.at].extend(units.map(|unit| trace.unit(layer, part, unit, moment)));
                }
            }
        }
        Ok::<(), TrainError>(())
    };
    model.trace(ids, plan, (crew, kernels), visit).unwrap();
    all
}

#[test]
fn spans_with_a_whole_warm_up_are_the_one_lane() {
    let (model, ids, crew, kernels) = model(CellKind::Lstm, 21, |_| {});
    let exact = values(&model, &ids, &TracePlan::exact(ids.len()), (&crew, &kernels));
    // Every span begins within a warm-up of the text's start.
    let spans = vec![0..40, 40..41, 41..100, 100..ids.len()];
    let cut = values(&model, &ids, &TracePlan::spans(spans), (&crew, &kernels));
    assert_eq!(exact, cut);
    // More spans than lanes, out of order, with a gap.
    let spans: Vec<_> = (0..ids.len()).rev().filter(|&at| at != 77).map(|at| at..at + 1).collect();
    assert!(spans.len() > LANES);
    let cut = values(&model, &ids, &TracePlan::spans(spans), (&crew, &kernels));
    assert!(cut[77].is_empty());
    assert!(exact.iter().zip(&cut).enumerate().all(|(at, (a, b))| at == 77 || a == b));
}

#[test]
fn a_long_text_is_read_in_lanes_and_hardly_differs() {
    let (model, ids, crew, kernels) = model(CellKind::Gru, 18, |_| {});
    let ids: Vec<u32> = ids.iter().cycle().take(20_000).copied().collect();
    let plan = TracePlan::whole(ids.len());
    assert_eq!(plan.ranges().len(), 4);
    assert_eq!(plan.symbols(), ids.len() + 3 * TracePlan::WARM_UP);
    let exact = values(&model, &ids, &TracePlan::exact(ids.len()), (&crew, &kernels));
    let lanes = values(&model, &ids, &plan, (&crew, &kernels));
    let most = exact.iter().zip(&lanes).flat_map(|(a, b)| a.iter().zip(b).map(|(a, b)| (a - b).abs()));
    let most = most.fold(0.0, f32::max);
    assert!(most < 1e-5, "{most}");
}

#[test]
fn a_model_without_carried_state_is_read_from_zeros_at_each_chunk() {
    let (model, ids, crew, kernels) = model(CellKind::Rnn, 17, |config| config.no_carry = true);
    let traced = values(&model, &ids, &TracePlan::spans(vec![0..30, 30..ids.len()]), (&crew, &kernels));
    for (chunk, found) in ids.chunks(7).zip(traced.chunks(7)) {
        let mut plain = Plain::new(&model, &[]);
        for (&id, found) in chunk.iter().zip(found) {
            plain.read(id as usize);
            let want: Vec<f64> = plain.h.concat();
            assert!(found.iter().zip(&want).all(|(&a, b)| (f64::from(a) - b).abs() < 1e-5), "{found:?} {want:?}");
        }
    }
}

#[test]
fn a_span_beyond_the_text_is_refused() {
    let (model, ids, crew, kernels) = model(CellKind::Rnn, 17, |_| {});
    let beyond = 100..ids.len() + 1;
    let plan = TracePlan::spans(vec![beyond]);
    let error = model.trace(&ids, &plan, (&crew, &kernels), |_| Ok::<(), TrainError>(())).unwrap_err();
    assert!(error.to_string().contains("a span of symbols 100 to 129 in a text of 128"), "{error}");
}

#[test]
fn a_document_is_read_without_what_came_before_it() {
    let (model, ids, crew, kernels) =
        model(CellKind::Gru, 18, |config| config.document_separator = Some("; ".to_owned()));
    let second = TEXT.find("; ").expect("a separator") + 2;
    let alone = values(&model, &ids[second..TEXT.len()], &TracePlan::exact(TEXT.len() - second), (&crew, &kernels));
    let behind = values(&model, &ids, &TracePlan::exact(ids.len()), (&crew, &kernels));
    assert_eq!(behind[second..TEXT.len()], alone);
    // The warm-up of a span may cross a border, and a chunk more than one.
    let spans = vec![0..second - 9, second - 9..second + 3, second + 3..ids.len()];
    assert_eq!(
        values(&model, &ids, &TracePlan::spans(spans).warmed_up(11), (&crew, &kernels))[second..],
        behind[second..]
    );
}

#[test]
fn of_a_long_text_even_parts_are_read() {
    let all = 64 * 10_000;
    assert_eq!(TracePlan::thinned(all, all), TracePlan::whole(all));
    let plan = TracePlan::thinned(all, 64 * 1_500);
    let want: Vec<_> = (0..64).map(|b| b * 10_000..b * 10_000 + 1_500).collect();
    assert_eq!((plan.ranges(), plan.looked_at()), (want.as_slice(), 64 * 1_500));
    // No shorter than what a span costs beside itself.
    assert_eq!(TracePlan::thinned(all, 9).looked_at(), 64 * TracePlan::WARM_UP);
    assert_eq!(TracePlan::thinned(100, 9).looked_at(), 100);
    // The model decides, not the machine: 3 x 512 has 5.2 million weights that multiply.
    let (small, ..) = model(CellKind::Lstm, 21, |_| {});
    assert_eq!(TracePlan::bounded(&small, all), TracePlan::whole(all));
    let (large, ..) = model(CellKind::Lstm, 512, |_| {});
    let read = TracePlan::bounded(&large, 1_000_000).looked_at();
    assert!((270_000..290_000).contains(&read), "{read}");
}
