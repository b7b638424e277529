//! Texts against a plain loop over one-step networks; lanes, states, primes.

use super::*;
use crate::checkpoint::form;
use crate::config::{CellKind, Config, VocabChoice};
use gatemill_corpus::Vocab;

const TEXT: &[u8] = "the mill turns; 물레방아가 돈다.\nOpen the gate!\n".as_bytes();

fn model(cell: CellKind, crew: &Crew, kernels: &Kernels) -> CharModel {
    let config = Config { cell, layers: 2, hidden: 19, seed: 5, ..Config::default() };
    let vocab = Vocab::of(VocabKind::Chars, TEXT).unwrap();
    let mut model = CharModel::new(&config, &vocab, crew, kernels).unwrap();
    // Initial weights are nearly blind; ten times as large, what was read decides what comes.
    for spec in model.params.specs().to_vec() {
        let larger: Vec<f32> = model.params.get(&spec).iter().map(|w| w * 10.0).collect();
        model.params.set(&spec.name, &larger).unwrap();
    }
    model.params.derive(crew, kernels);
    model
}

fn machine(threads: usize) -> (Crew, Kernels) {
    (Crew::new(threads).unwrap(), Kernels::from_env().unwrap())
}

fn ids(generator: &mut Generator<'_>) -> Vec<Vec<u32>> {
    let mut all = vec![Vec::new(); generator.samples()];
    while generator.advance(7).unwrap() > 0 {
        for (i, ids) in all.iter_mut().enumerate() {
            ids.extend_from_slice(generator.drawn(i));
        }
    }
    all
}

/// Everything at once.
fn filtered() -> SampleOptions {
    SampleOptions {
        prime: TEXT[..28].to_vec(),
        length: 50,
        temperature: 1.1,
        top_k: 17,
        top_p: 0.95,
        min_p: 0.01,
        repetition_penalty: 1.2,
        repetition_window: 11,
        seed: 9,
        ..SampleOptions::default()
    }
}

#[test]
fn a_text_is_the_plain_loop_of_one_step_networks_bit_for_bit() {
    let (crew, kernels) = machine(1);
    for cell in [CellKind::Rnn, CellKind::Lstm, CellKind::Gru] {
        let model = model(cell, &crew, &kernels);
        // A prime of several chunks, the last one short.
        let prime: Vec<u8> = TEXT.repeat(4);
        for (prime, temperature) in [(&prime[..], 0.8), (b"", 0.8), (b"t", 0.0)] {
            let mut one = network(&model, 1, 1, Split::Lanes).unwrap();
            let mut step = |id: u32| {
                one.forward(&crew, &kernels, &model.params, &Chunk { steps: 1, ids: &[id], ..Chunk::default() });
                one.carry(1);
                (one.logits(0, 0).to_vec(), one.state())
            };
            let read = model.vocab.encode(if prime.is_empty() { b"\n" } else { prime }).unwrap();
            assert!(prime.len() < 2 || read.len() > CHUNK_TOKENS && !read.len().is_multiple_of(CHUNK_TOKENS));
            let mut after = read.iter().map(|&id| step(id)).last().unwrap();
            let mut want = Vec::new();
            for position in 0..40 {
                let logits = &after.0;
                let best = (0..logits.len()).fold(0, |best, i| if logits[i] > logits[best] { i } else { best });
                let max = f64::from(logits[best]);
                let weights: Vec<f64> = logits.iter().map(|&x| libm::exp((f64::from(x) - max) / temperature)).collect();
                let mut left = uniform(3, Purpose::Sample, 1, position) * weights.iter().fold(0.0, |a, b| a + b);
                let drawn = weights.iter().position(|w| {
                    left -= w;
                    left < 0.0
                });
                let id = if temperature == 0.0 { best } else { drawn.unwrap_or(best) } as u32;
                want.push(id);
                after = step(id);
            }
            let prime = prime.to_vec();
            let options = SampleOptions { prime, length: 40, temperature, seed: 3, ..SampleOptions::default() };
            let mut generator = Generator::new(&model, &options, &crew, &kernels).unwrap();
            assert_eq!(ids(&mut generator), [want], "{cell:?} {temperature}");
            let state = generator.state();
            assert_eq!((&state.logits, &state.layers), (&after.0, &after.1), "{cell:?} {temperature}");
        }
    }
}

#[test]
fn each_of_several_samples_is_what_it_would_be_alone() {
    let (crew, kernels) = machine(1);
    for cell in [CellKind::Rnn, CellKind::Lstm, CellKind::Gru] {
        let model = model(cell, &crew, &kernels);
        let alone: Vec<Vec<u32>> = (0..7)
            .map(|i| {
                let options = SampleOptions { first_sample: i, ..filtered() };
                ids(&mut Generator::new(&model, &options, &crew, &kernels).unwrap()).remove(0)
            })
            .collect();
        assert!((0..7).all(|i| (0..i).all(|j| alone[i] != alone[j])), "samples differ");
        let plain = ids(&mut Generator::new(&model, &filtered(), &crew, &kernels).unwrap());
        assert_eq!(plain[0], alone[0], "sample 0 is the single one");
        for (threads, samples) in [(1, 7), (2, 7), (3, 4), (5, 2)] {
            let (crew, kernels) = machine(threads);
            let options = SampleOptions { samples, ..filtered() };
            let together = ids(&mut Generator::new(&model, &options, &crew, &kernels).unwrap());
            assert_eq!(together, alone[..samples], "{cell:?}: {samples} samples on {threads} threads");
        }
    }
}

#[test]
fn a_text_goes_on_from_its_state_bit_for_bit() {
    for (cell, threads) in [(CellKind::Rnn, 1), (CellKind::Lstm, 2), (CellKind::Gru, 3)] {
        let (crew, kernels) = machine(threads);
        let model = model(cell, &crew, &kernels);
        for options in [SampleOptions { samples: 3, ..filtered() }, SampleOptions { prime: Vec::new(), ..filtered() }] {
            let mut whole = Generator::new(&model, &SampleOptions { length: 100, ..options.clone() }, &crew, &kernels);
            let want = ids(whole.as_mut().unwrap());
            let first = SampleOptions { length: 60, ..options.clone() };
            let mut first = Generator::new(&model, &first, &crew, &kernels).unwrap();
            let mut got = ids(&mut first);
            let bytes = form::encode(&first.state().snapshot()).unwrap();
            let state = SampleState::from_snapshot(&form::decode(&bytes).unwrap().snapshot).unwrap();
            assert_eq!((state.position, state.seed, state.lanes), (60, 9, options.samples));

            let rest = SampleOptions { prime: Vec::new(), length: 40, seed: state.seed, ..options };
            let mut rest = Generator::resume(&model, &rest, &state, &crew, &kernels).unwrap();
            for (text, more) in got.iter_mut().zip(ids(&mut rest)) {
                text.extend(more);
            }
            assert_eq!(got, want, "{cell:?}");
            assert_eq!(rest.state(), whole.unwrap().state(), "{cell:?}");
        }
    }
}

#[test]
fn one_state_goes_on_in_several_ways() {
    let (crew, kernels) = machine(2);
    let model = model(CellKind::Lstm, &crew, &kernels);
    let mut first = Generator::new(&model, &filtered(), &crew, &kernels).unwrap();
    ids(&mut first);
    let state = first.state();
    let rest = SampleOptions { prime: Vec::new(), ..filtered() };
    let single = ids(&mut Generator::resume(&model, &rest, &state, &crew, &kernels).unwrap());
    let rest = SampleOptions { samples: 3, ..rest };
    let mut forked = Generator::resume(&model, &rest, &state, &crew, &kernels).unwrap();
    let texts = ids(&mut forked);
    assert_eq!(texts[0], single[0]);
    assert!(texts[1] != texts[0] && texts[2] != texts[1]);

    let three = forked.state();
    let rest = SampleOptions { samples: 2, ..rest };
    let error = Generator::resume(&model, &rest, &three, &crew, &kernels).unwrap_err();
    assert!(matches!(error, TrainError::Config(ConfigError { flag: "samples", .. })), "{error}");
    // Another model of the same shape has other weights.
    let other = CharModel::new(&Config { seed: 6, ..model.config.clone() }, &model.vocab, &crew, &kernels).unwrap();
    let error = Generator::resume(&other, &rest, &state, &crew, &kernels).unwrap_err();
    assert!(matches!(error, TrainError::State(StateError::OtherModel { .. })), "{error}");
    assert!(error.to_string().contains(&model.weights_sha256()) && error.to_string().contains(&other.weights_sha256()));
}

#[test]
fn a_prime_in_two_parts_is_a_prime_in_one() {
    let (crew, kernels) = machine(2);
    let model = model(CellKind::Gru, &crew, &kernels);
    let with = |prime: &[u8], samples| SampleOptions { prime: prime.to_vec(), samples, length: 0, ..filtered() };
    let prime = TEXT.repeat(3);
    let (a, b) = prime.split_at(61);
    let whole = Generator::new(&model, &with(&prime, 3), &crew, &kernels).unwrap().state();
    for samples in [1, 3] {
        let first = Generator::new(&model, &with(a, samples), &crew, &kernels).unwrap().state();
        let both = Generator::resume(&model, &with(b, 3), &first, &crew, &kernels).unwrap().state();
        assert_eq!(both, whole, "read in {samples} lanes");
    }
    assert_eq!(whole.recent[0].len(), 11);
    // Nothing more to read: the state is as it was.
    assert_eq!(Generator::resume(&model, &with(b"", 3), &whole, &crew, &kernels).unwrap().state(), whole);
}

#[test]
fn unseen_symbols_are_counted_named_and_read_as_nothing() {
    let (crew, kernels) = machine(1);
    let model = model(CellKind::Lstm, &crew, &kernels);
    let options = SampleOptions { prime: "th\u{2603}e\u{e9}\u{2603}".as_bytes().to_vec(), ..filtered() };
    let generator = Generator::new(&model, &options, &crew, &kernels).unwrap();
    assert_eq!((generator.unseen(), generator.unseen_symbols()), (3, &['\u{2603}', '\u{e9}'][..]));
    assert_eq!(generator.state().recent[0].len(), 3, "the penalty is for known symbols");
    let options = SampleOptions { prime: b"th\xff".to_vec(), ..filtered() };
    let error = Generator::new(&model, &options, &crew, &kernels).unwrap_err();
    assert!(
        matches!(error, TrainError::Corpus(gatemill_corpus::CorpusError::InvalidUtf8 { offset: 2, .. })),
        "{error}"
    );

    let bytes = Config { vocab: VocabChoice::Bytes, ..model.config.clone() };
    let model = CharModel::new(&bytes, &Vocab::bytes(), &crew, &kernels).unwrap();
    assert_eq!(Generator::new(&model, &options, &crew, &kernels).unwrap().unseen(), 0);
}

#[test]
#[allow(non_snake_case, reason = "fault tests carry the ids of the fault catalogue")]
fn fault_M09_a_broken_readout_is_an_error_with_its_place() {
    let (crew, kernels) = machine(2);
    let mut model = model(CellKind::Lstm, &crew, &kernels);
    let id = model.vocab.id(u32::from(b'h')) as usize;
    let mut bias = vec![0.0; model.vocab.len()];
    for (value, words) in [(f32::NAN, "'h' is not finite"), (f32::INFINITY, "'h' is not finite")] {
        bias[id] = value;
        model.params.set("head.bias", &bias).unwrap();
        model.params.derive(&crew, &kernels);
        let options = SampleOptions { samples: 2, ..filtered() };
        let mut generator = Generator::new(&model, &options, &crew, &kernels).unwrap();
        let error = generator.advance(5).unwrap_err();
        assert!(matches!(error, TrainError::Logits { sample: 0, position: 0, .. }), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
    }
    bias.fill(f32::NEG_INFINITY);
    model.params.set("head.bias", &bias).unwrap();
    model.params.derive(&crew, &kernels);
    let error = text(&model, &filtered(), &crew, &kernels).unwrap_err();
    assert!(error.to_string().contains("probability 0"), "{error}");
    assert_eq!(error.kind(), crate::ErrorKind::BadData);
}

#[test]
#[allow(non_snake_case, reason = "fault tests carry the ids of the fault catalogue")]
fn fault_N07_options_that_cannot_be_are_refused() {
    let base = SampleOptions::default;
    let bad = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1e-9];
    for x in bad {
        assert_eq!(SampleOptions { temperature: x, ..base() }.validate().unwrap_err().flag, "temperature");
        assert_eq!(SampleOptions { min_p: x, ..base() }.validate().unwrap_err().flag, "min-p");
    }
    for x in bad.into_iter().chain([0.0, -0.0]) {
        assert_eq!(SampleOptions { top_p: x, ..base() }.validate().unwrap_err().flag, "top-p");
        let options = SampleOptions { repetition_penalty: x, ..base() };
        assert_eq!(options.validate().unwrap_err().flag, "repetition-penalty");
    }
    assert!(SampleOptions { top_p: 1.0 + 1e-9, ..base() }.validate().is_err());
    assert!(SampleOptions { min_p: 1.0 + 1e-9, ..base() }.validate().is_err());
    assert!(SampleOptions { samples: 0, ..base() }.validate().is_err());
    for fine in [
        SampleOptions { temperature: 0.0, top_k: usize::MAX, top_p: 1e-300, min_p: 1.0, ..base() },
        SampleOptions { temperature: 1e300, repetition_penalty: 1e-300, repetition_window: 0, ..base() },
    ] {
        assert_eq!(fine.validate(), Ok(()));
    }
}
