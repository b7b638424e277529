//! A sound file that is not the model it says it is: every mismatch is told, all in one error.

use gatemill_corpus::{Corpus, OpenOptions, Vocab, VocabKind};
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use gatemill_train::checkpoint::Snapshot;
use gatemill_train::{CellKind, CharModel, Config, ErrorKind, Generator, SampleOptions};
use serde_json::json;

use crate::scenario::tensor;

fn tools() -> (Crew, Kernels) {
    (Crew::new(1).unwrap(), Kernels::available().last().unwrap())
}

/// A model of pairwise different sizes.
fn whole(cell: CellKind) -> Snapshot {
    let (crew, kernels) = tools();
    let config = Config { cell, layers: 2, hidden: 5, batch: 2, seq: 3, ..Config::default() };
    let vocab = Vocab::of(VocabKind::Chars, b"abc").unwrap();
    CharModel::new(&config, &vocab, &crew, &kernels).unwrap().snapshot().held()
}

/// Why a snapshot is refused; always bad data, exit code 3.
fn refused(snapshot: &Snapshot) -> String {
    let (crew, kernels) = tools();
    let error = CharModel::load(snapshot, &crew, &kernels).expect_err("it must be refused");
    assert_eq!(error.kind(), ErrorKind::BadData, "{error}");
    error.to_string()
}

#[test]
fn fault_M10_all_mismatches_are_told_in_one_error() {
    let (crew, kernels) = tools();
    for (cell, gates) in [(CellKind::Rnn, 1), (CellKind::Lstm, 4), (CellKind::Gru, 3)] {
        let whole = whole(cell);
        let shape = |name: &str| whole.tensor(name).unwrap().shape.clone();
        assert_eq!((shape("rnn.weight_ih_l0"), shape("rnn.weight_hh_l1")), (vec![gates * 5, 3], vec![gates * 5, 5]));
        let sha256 = CharModel::load(&whole, &crew, &kernels).unwrap().weights_sha256();

        // A checkpoint's own tensors are known, whatever they are.
        let mut checkpoint = whole.clone();
        checkpoint.tensors.push(tensor("optim.m.rnn.weight_ih_l0", &[2, 2], 1));
        checkpoint.tensors.push(tensor("state.h_l0", &[7], 2));
        assert_eq!(CharModel::load(&checkpoint, &crew, &kernels).unwrap().weights_sha256(), sha256);

        let mut wrong = whole.clone();
        let at = |snapshot: &Snapshot, name: &str| snapshot.tensors.iter().position(|t| t.name == name).unwrap();
        wrong.tensors.remove(at(&whole, "rnn.bias_hh_l1"));
        // Transposed; of another H; of a number of gates that no cell has; one that is nothing of this model's.
        for (name, shape) in [
            ("rnn.weight_ih_l0", vec![3, gates * 5]),
            ("rnn.weight_hh_l1", vec![gates * 6, 6]),
            ("rnn.weight_hh_l0", vec![2 * 5, 5]),
            ("head.weight", vec![3, 6]),
        ] {
            let place = at(&wrong, name);
            wrong.tensors[place] = tensor(name, &shape, 3);
        }
        wrong.tensors.push(tensor("rnn.weight_ih_l2", &[gates * 5, 5], 4));
        let text = refused(&wrong);
        for part in [
            "`rnn.bias_hh_l1` is missing".to_owned(),
            format!("`rnn.weight_ih_l0` is [3, {}] instead of [{}, 3]", gates * 5, gates * 5),
            format!("`rnn.weight_hh_l1` is [{}, 6] instead of [{}, 5]", gates * 6, gates * 5),
            format!("`rnn.weight_hh_l0` is [10, 5] instead of [{}, 5]", gates * 5),
            "`head.weight` is [3, 6] instead of [3, 5]".to_owned(),
            "`rnn.weight_ih_l2` is not part of this model".to_owned(),
        ] {
            assert!(text.contains(&part), "{part:?} is not in {text}");
        }
    }
}

#[test]
fn fault_M11_a_vocabulary_that_is_none_or_another_is_refused() {
    let whole = whole(CellKind::Gru);
    let with = |vocab: serde_json::Value| {
        let mut snapshot = whole.clone();
        snapshot.meta.as_mut().unwrap().insert("vocab".to_owned(), vocab);
        refused(&snapshot)
    };
    // As many symbols as the rows of table and readout, no more, no less.
    for vocab in [json!([97, 98]), json!([97, 98, 99, 100])] {
        let text = with(vocab);
        assert!(text.contains("rnn.weight_ih_l0") && text.contains("head.weight"), "{text}");
    }
    for (vocab, words) in [
        (json!([97, 98, 98]), "each once"),
        (json!([99, 98, 97]), "sorted"),
        (json!([97, 98, 0xd800]), "no Unicode scalar"),
        (json!([97, 98, 0x11_0000]), "no Unicode scalar"),
        (json!([]), "no symbols"),
        (json!([97, 98, -1]), "`vocab`"),
        (json!([97, 98, 4_294_967_296_u64]), "`vocab`"),
        (json!(["a", "b", "c"]), "`vocab`"),
        (json!("abc"), "`vocab`"),
    ] {
        let text = with(vocab.clone());
        assert!(text.contains(words), "{vocab}: {text}");
    }
}

#[test]
fn fault_M09_huge_finite_weights_make_no_nan() {
    let (crew, kernels) = tools();
    let text = Corpus::from_bytes("text", b"abcacbbac".repeat(30), &OpenOptions::default()).unwrap();
    for cell in [CellKind::Rnn, CellKind::Lstm, CellKind::Gru] {
        let mut huge = whole(cell);
        for weight in huge.tensors.iter_mut().flat_map(|tensor| &mut tensor.data) {
            *weight = 1e30_f32.copysign(*weight);
        }
        let model = CharModel::load(&huge, &crew, &kernels).unwrap();
        let score = model.evaluate_file(&text, &crew, &kernels).unwrap().unwrap();
        // Certain of itself, and wrong: so many nats, and a number all the same.
        assert!(score.nats.is_finite() && score.nats > 1e25, "{cell:?}: {score:?}");
        let options = SampleOptions { length: 50, ..SampleOptions::default() };
        let written = Generator::new(&model, &options, &crew, &kernels).unwrap().texts().unwrap().remove(0);
        assert!(written.len() == 50 && written.iter().all(|byte| b"abc".contains(byte)), "{cell:?}: {written:?}");
    }
}
