//! The f64 forward against the oracle; what is wrong is found; what is right is reported.

use super::*;
use crate::bench::truth::{Truth, nats};
use crate::bench::verify::Expected;
use gatemill_corpus::{Lanes, Split};
use gatemill_oracle::{Activation, CharChunk, SplitMix64, StackShape};

const CELLS: [CellKind; 3] = Point::CELLS;

/// A small model whose sizes differ pairwise, its units no whole vector.
fn small(cell: CellKind) -> Sizes {
    Sizes { cell, layers: 2, hidden: 19, seq: 7, batch: 5, vocab: 11 }
}

fn crew(threads: usize) -> Arc<Crew> {
    Arc::new(Crew::new(threads).unwrap())
}

#[test]
fn the_plain_forward_is_the_oracles() {
    for cell in CELLS {
        let oracle_cell = match cell {
            CellKind::Rnn => gatemill_oracle::Cell::Rnn,
            CellKind::Lstm => gatemill_oracle::Cell::Lstm,
            CellKind::Gru => gatemill_oracle::Cell::Gru,
        };
        let activation = Activation::Standard;
        let shape = StackShape { cell: oracle_cell, layers: 3, inputs: 7, hidden: 5, steps: 9, lanes: 1, activation };
        let random = &mut SplitMix64::new(5);
        let model = gatemill_oracle::CharModel::random(&shape, 0.9, random);
        // 7: never seen.
        let ids = vec![3, 0, 6, 7, 1, 1, 5, 2, 4];
        let targets = vec![0, 6, 3, 1, 1, 5, 2, 4, 2];
        let forward = model.forward(&shape, &CharChunk::from_zero_state(&shape, ids.clone(), targets.clone()));

        let tensors = model.tensors();
        let tensor = |name: &str| {
            let (_, data) = tensors.iter().find(|(n, _)| n == name).unwrap();
            gatemill_oracle::narrow(data)
        };
        let truth = Truth::new(cell, 3, tensor);
        let mut lane = truth.lane();
        let mut sum = 0.0;
        for (t, (&id, &target)) in ids.iter().zip(&targets).enumerate() {
            let logits = truth.read(&mut lane, id);
            for (found, expected) in logits.iter().zip(&forward.logits[t * 7..]) {
                assert!((found - expected).abs() < 1e-13, "{cell:?} step {t}: {found} {expected}");
            }
            sum += nats(&logits, target);
        }
        assert!((sum / 9.0 - forward.loss.mean_nats).abs() < 1e-13);
    }
}

#[test]
fn every_kind_of_work_is_verified_and_reported() {
    for (first, kernels) in Kernels::available().enumerate() {
        for (i, cell) in CELLS.into_iter().enumerate() {
            // Another number of threads with each cell, and on each tier another kind.
            let (threads, kind) = (i + 1, [Kind::Train, Kind::Score, Kind::Generate][(first + i) % 3]);
            let task = Task { kind, sizes: small(cell), seconds: 0.0 };
            let record = measure(&task, &crew(threads), kernels).unwrap();
            let Rates { min, median, max } = record.tokens_per_s;
            assert!(0.0 < min && min <= median && median <= max, "{record:?}");
            let gates = match cell {
                CellKind::Lstm => 4.0,
                CellKind::Gru => 3.0,
                CellKind::Rnn => 1.0,
            };
            let weights = gates * 19.0 * 19.0 * 3.0 + 19.0 * 11.0;
            let flops = if kind == Kind::Train { 6.0 } else { 2.0 } * weights;
            assert!((record.gflops / (median * flops / 1e9) - 1.0).abs() < 1e-12);
            assert!((record.fraction_of_peak * record.peak_gflops / record.gflops - 1.0).abs() < 1e-12);
            assert_eq!((record.threads, record.isa.as_str()), (threads, kernels.name()));
            assert_eq!(record.phases.is_some(), kind == Kind::Train);
            let json = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record, "{json}");
        }
    }
}

#[test]
fn kernels_that_are_right_stay_far_from_the_tolerance() {
    for kernels in Kernels::available() {
        for cell in CELLS {
            let sizes = Sizes { hidden: 130, seq: 40, ..small(cell) };
            let crew = crew(1);
            let mut trainer = trainer(&sizes, &crew, kernels).unwrap();
            let Expected::Losses(losses) = Expected::of(&sizes, &crew, &kernels).unwrap() else { panic!("a hash") };
            trainer.step().unwrap();
            losses.check(&sizes, trainer.nats(), trainer.machine()).unwrap();
            for (b, losses) in &losses.0 {
                for (t, &truth) in losses.iter().enumerate() {
                    let off = (f64::from(trainer.nats()[t * 5 + b]) - truth).abs();
                    assert!(off < 0.1 * verify::TOLERANCE * truth.max(1.0), "{kernels:?} {cell:?}: off by {off:e}");
                }
            }
            // A few times the tolerance on one loss.
            let mut nats = trainer.nats().to_vec();
            nats[39 * 5 + 4] += 1e-4;
            let wrong = losses.check(&sizes, &nats, trainer.machine()).unwrap_err();
            assert!(wrong.what.contains("step 39 in lane 4"), "{wrong}");
            nats[39 * 5 + 4] = f32::NAN;
            assert!(losses.check(&sizes, &nats, trainer.machine()).is_err());
        }
    }
}

#[test]
fn a_spoiled_weight_is_found() {
    let (kernels, crew) = (Kernels::best(), crew(2));
    for cell in CELLS {
        let sizes = small(cell);
        let expected = Expected::of(&sizes, &crew, &kernels).unwrap();
        let names = ["rnn.weight_ih_l0", "rnn.weight_hh_l0", "rnn.weight_ih_l1", "rnn.bias_hh_l1", "head.weight"];
        for name in names {
            let mut trainer = trainer(&sizes, &crew, kernels).unwrap();
            trainer.spoil(name);
            match expected.warm_up(&sizes, &mut trainer) {
                Err(BenchError::Wrong(wrong)) => assert!(wrong.what.contains("where f64 has"), "{wrong}"),
                other => panic!("{cell:?} {name}: {other:?}"),
            }
        }
        let mut trainer = trainer(&sizes, &crew, kernels).unwrap();
        expected.warm_up(&sizes, &mut trainer).unwrap();
    }
}

#[test]
fn a_text_by_other_weights_is_found() {
    let (kernels, crew) = (Kernels::best(), crew(2));
    let sizes = Sizes { seq: 1, ..small(CellKind::Gru) };
    let vocab = text::vocab(sizes.vocab).unwrap();
    let model = |seed| CharModel::new(&Config { seed, ..sizes.config() }, &vocab, &crew, &kernels).unwrap();
    let (model, other) = (model(1), model(2));
    let options = SampleOptions { samples: sizes.batch, length: u64::MAX, ..SampleOptions::default() };
    let generator = || Generator::new(&model, &options, &crew, &kernels).unwrap();
    verify::written(&model, &sizes, &mut generator(), (&crew, &kernels)).unwrap();
    assert!(verify::written(&other, &sizes, &mut generator(), (&crew, &kernels)).is_err());
}

#[test]
fn another_hash_than_the_committed_one_is_an_error_with_both() {
    let (kernels, crew, sizes) = (Kernels::best(), crew(1), small(CellKind::Rnn));
    let hash = weights_after_warm_up(&sizes, &crew, kernels).unwrap();
    let warm =
        |hash: &str| Expected::Weights(hash.to_owned()).warm_up(&sizes, &mut trainer(&sizes, &crew, kernels).unwrap());
    warm(&hash).unwrap();
    let other = format!("{}0", &hash[..63]);
    let other = if other == hash { format!("{}1", &hash[..63]) } else { other };
    let error = warm(&other).unwrap_err().to_string();
    assert!(error.contains(&hash) && error.contains(&other) && error.contains("not reported"), "{error}");
}

#[test]
fn the_grid_is_bound_by_hashes_and_the_portable_tier_by_f64() {
    for point in Point::GRID {
        for cell in CELLS {
            let sizes = point.sizes(cell);
            let hash = Point::committed(&sizes).unwrap();
            assert!(hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{} {cell:?}", point.name);
            assert_eq!(Point::committed(&Sizes { vocab: 66, ..sizes }), None);
        }
    }
    let sizes = Point::GRID[0].sizes(CellKind::Rnn);
    for kernels in Kernels::available() {
        let expected = Expected::of(&sizes, &crew(1), &kernels).unwrap();
        assert_eq!(matches!(expected, Expected::Losses(_)), kernels.name() == "portable");
    }
}

#[test]
fn the_text_has_every_symbol_and_enough_chunks() {
    for vocab in [1, 2, 65, 300, 70_000] {
        let sizes = Sizes { vocab, ..small(CellKind::Rnn) };
        let corpus = text::corpus(&sizes).unwrap();
        assert_eq!(corpus.vocab().symbols(), text::vocab(vocab).unwrap().symbols());
        assert!(corpus.vocab().id('\n' as u32) as usize == vocab, "a line's end is no symbol");
        assert!(Lanes::new(&corpus, Split::Train, 5, 7).unwrap().chunks(7) >= 16);
    }
    assert!(text::vocab(0).is_err() && text::vocab(1 << 21).is_err());
    let mut counts = [0_u32; 11];
    let sizes = Sizes { seq: 100, batch: 100, ..small(CellKind::Rnn) };
    let corpus = text::corpus(&sizes).unwrap();
    let mut lanes = Lanes::new(&corpus, Split::Train, 100, 100).unwrap();
    let mut chunk = lanes.chunk(100);
    lanes.fill(0, 100, &mut chunk).unwrap();
    chunk.inputs.iter().for_each(|&id| counts[id as usize] += 1);
    // 10,000 draws of 11: 909 each, standard deviation 29.
    assert!(counts.iter().all(|count| (760..1060).contains(count)), "{counts:?}");
}

#[test]
fn a_median_is_in_the_middle_and_rates_are_of_the_laps() {
    assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
    assert_eq!(median(&mut [4.0, 1.0, 3.0, 2.0]), 2.5);
    let rates = rates(12.0, &mut [2.0, 6.0, 3.0]);
    assert_eq!(rates, Rates { min: 2.0, median: 4.0, max: 6.0 });
    let laps = laps(0.0, || Ok(())).unwrap();
    assert_eq!(laps.len(), LEAST_LAPS);
}
