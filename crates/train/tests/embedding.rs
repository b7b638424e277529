//! A character model with an embedding, its own or the readout's: trained, saved, loaded, scored, sampled from, gone on
//! with; and what a file that does not fit is told.

use gatemill_corpus::{Corpus, OpenOptions, builtin};
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use gatemill_train::checkpoint::form::{decode, encode};
use gatemill_train::checkpoint::{Elements, Snapshot};
use gatemill_train::{CellKind, CharModel, Config, SampleOptions, Trainer, weight_bytes};
use serde_json::json;
use std::sync::Arc;

const CELLS: [CellKind; 3] = [CellKind::Rnn, CellKind::Lstm, CellKind::Gru];
const HIDDEN: usize = 20;

/// One-hot, an embedding of its own, the readout's.
fn configs(cell: CellKind) -> [Config; 3] {
    let config = Config {
        cell,
        layers: 2,
        hidden: HIDDEN,
        batch: 5,
        seq: 12,
        dropout: 0.25,
        shards: 2,
        lr: 0.02,
        steps: Some(60),
        warmup: Some(0),
        ..Config::default()
    };
    [config.clone(), Config { embed: 7, ..config.clone() }, Config { embed: HIDDEN, tied: true, ..config }]
}

fn corpus() -> Arc<Corpus> {
    Arc::new(Corpus::from_bytes("text", builtin::text(20_000, 3), &OpenOptions::default()).expect("a text"))
}

fn crew(threads: usize) -> Arc<Crew> {
    Arc::new(Crew::new(threads).expect("workers"))
}

/// Through the bytes of a file and back.
fn reread<E: Elements>(snapshot: &Snapshot<E>) -> Snapshot {
    decode(&encode(snapshot).expect("encoded")).expect("decoded").snapshot
}

#[test]
fn a_model_with_an_embedding_learns_and_survives_its_file() {
    let (corpus, crew, kernels) = (corpus(), crew(2), Kernels::best());
    for cell in CELLS {
        for config in configs(cell) {
            let place = format!("{cell:?} E {} tied {}", config.embed, config.tied);
            let mut trainer =
                Trainer::new(&config, corpus.clone(), crew.clone(), kernels).unwrap_or_else(|e| panic!("{place}: {e}"));
            let start = trainer.model().snapshot().held();
            let losses: Vec<f64> = (0..60).map(|_| trainer.step().expect("a step").train_nats).collect();
            assert!(losses[59] < losses[0] - 0.5, "{place}: {} nats, then {}", losses[0], losses[59]);

            let file = reread(&trainer.model().snapshot());
            let names: Vec<&str> = file.tensors.iter().map(|t| t.name.as_str()).collect();
            let own = config.embed > 0 && !config.tied;
            assert_eq!(names.contains(&"embedding.weight"), own, "{place}: {names:?}");
            let tied = file.meta.as_ref().expect("a record").get("tied");
            assert_eq!(tied.cloned(), config.tied.then(|| json!({"embedding.weight": "head.weight"})), "{place}");
            let vocab = corpus.vocab().len();
            if own {
                // All but the rows of symbols that 60 steps never met have moved.
                let table = file.tensor("embedding.weight").expect("a matrix");
                assert_eq!(table.shape, [vocab, 7]);
                let before = &start.tensor("embedding.weight").expect("a matrix").data;
                let moved = table.data.iter().zip(before).filter(|(a, b)| a != b).count();
                assert!(moved > table.data.len() / 2, "{place}: {moved} of {}", table.data.len());
            }

            let model = CharModel::load(&file, &crew, &kernels).unwrap_or_else(|e| panic!("{place}: {e}"));
            assert_eq!(model.weights_sha256(), trainer.weights_sha256(), "{place}");
            let options = SampleOptions { length: 80, ..SampleOptions::default() };
            let text = trainer.sample(&options).expect("a text");
            let again = gatemill_train::Generator::new(&model, &options, &crew, &kernels).expect("a generator");
            assert_eq!(again.texts().expect("texts"), [text], "{place}");
            let scored = trainer.evaluate().expect("scored").expect("long enough");
            let rescored = model
                .evaluate_split(
                    &corpus,
                    gatemill_corpus::Split::Val,
                    (config.batch, config.eval_tokens),
                    &crew,
                    &kernels,
                )
                .expect("scored")
                .expect("long enough");
            assert_eq!(scored, rescored, "{place}");
            assert!(scored.nats < losses[0] - 0.3, "{place}: {scored:?}");
        }
    }
}

#[test]
fn a_stop_and_other_threads_leave_no_trace_in_an_embedding() {
    let (corpus, kernels) = (corpus(), Kernels::best());
    for config in configs(CellKind::Gru) {
        let mut whole = Trainer::new(&config, corpus.clone(), crew(1), kernels).expect("a trainer");
        let mut stopped = Trainer::new(&config, corpus.clone(), crew(3), kernels).expect("a trainer");
        for _ in 0..4 {
            stopped.step().expect("a step");
        }
        let checkpoint = reread(&stopped.snapshot());
        let moments = checkpoint.tensors.iter().filter(|t| t.name.ends_with(".embedding.weight")).count();
        assert_eq!(moments, if config.embed == 7 { 2 } else { 0 }, "both moments of the embedding are kept");
        let mut resumed = Trainer::resume(&config, &checkpoint, corpus.clone(), crew(2), kernels).expect("resumed");
        for step in 0..9 {
            whole.step().expect("a step");
            if step >= 4 {
                resumed.step().expect("a step");
            }
        }
        assert_eq!(whole.weights_sha256(), resumed.weights_sha256(), "E {} tied {}", config.embed, config.tied);
    }
}

#[test]
fn a_file_that_does_not_fit_names_all_that_is_wrong() {
    let (corpus, crew, kernels) = (corpus(), crew(1), Kernels::best());
    let [one_hot, own, tied] = configs(CellKind::Lstm)
        .map(|config| CharModel::new(&config, corpus.vocab(), &crew, &kernels).expect("a model").snapshot().held());
    let vocab = corpus.vocab().len();
    let refused = |snapshot: &Snapshot| CharModel::load(snapshot, &crew, &kernels).expect_err("refused").to_string();
    let with = |record: &Snapshot, tensors: &Snapshot| Snapshot {
        tensors: tensors.tensors.clone(),
        meta: record.meta.clone(),
    };
    let missing = refused(&with(&own, &one_hot));
    let shape = format!("`rnn.weight_ih_l0` is [80, {vocab}] instead of [80, 7]");
    assert!(missing.contains("`embedding.weight` is missing") && missing.contains(&shape), "{missing}");
    let extra = refused(&with(&tied, &own));
    let shape = "`rnn.weight_ih_l0` is [80, 7] instead of [80, 20]";
    assert!(extra.contains("`embedding.weight` is not part of this model") && extra.contains(shape), "{extra}");
    let mut narrow = own.clone();
    for t in narrow.tensors.iter_mut().filter(|t| t.name == "embedding.weight") {
        t.shape = vec![vocab, 6];
        t.data.truncate(6 * vocab);
    }
    let narrow = refused(&narrow);
    assert!(narrow.contains(&format!("`embedding.weight` is [{vocab}, 6] instead of [{vocab}, 7]")), "{narrow}");
}

#[test]
fn an_embedding_costs_memory_and_no_product_per_token() {
    let (corpus, kernels) = (corpus(), Kernels::best());
    let vocab = corpus.vocab().len();
    let [one_hot, own, tied] = configs(CellKind::Lstm).map(|config| {
        let cost = Trainer::new(&config, corpus.clone(), crew(1), kernels).expect("a trainer").cost();
        (cost, weight_bytes(&config, vocab))
    });
    // PyTorch's counts: V*E + 4H*E in place of 4H*V; a tied matrix counts once.
    let (v, rows) = (vocab as u64, 4 * HIDDEN as u64);
    assert_eq!(own.0.parameters + rows * v, one_hot.0.parameters + 7 * v + 7 * rows);
    assert_eq!(tied.0.parameters + rows * v, one_hot.0.parameters + HIDDEN as u64 * rows);
    assert!(own.0.flops_per_token == one_hot.0.flops_per_token && tied.0.flops_per_token == one_hot.0.flops_per_token);
    // 7 columns lie in 16, and W_ih's 7 rows in 8: 128 columns of four gates.
    let w_ih = |rows: u64| 4 * 128 * rows;
    assert_eq!(own.1 + w_ih(v), one_hot.1 + 4 * 16 * v + w_ih(8));
    assert_eq!(tied.1 + w_ih(v), one_hot.1 + w_ih(20));
}
