//! Evaluation forgets at each document: a text of documents scores as its documents do alone, in any lanes and chunks.

use gatemill_corpus::{Corpus, OpenOptions, Split, Vocab, VocabKind};
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use gatemill_train::{CellKind, CharModel, Config};

const SEPARATOR: &str = "\n\n";
// Four line ends end three documents: occurrences may overlap.
const DOCUMENTS: [&str; 5] =
    ["the mill\nturns\n\n", "a gate\n\n", "\n", "\n", "under the stone, water; \n at night\n\n"];

fn open(text: &str, vocab: &Vocab, separator: Option<&str>) -> Corpus {
    let options = OpenOptions {
        fixed_vocab: Some(vocab.clone()),
        val_frac: 0.0,
        document_separator: separator.map(str::to_owned),
        ..OpenOptions::default()
    };
    Corpus::from_bytes("text", text.into(), &options).expect("a corpus")
}

#[test]
fn a_text_of_documents_scores_as_its_documents_do_alone() {
    let kernels = Kernels::from_env().expect("a tier");
    let crew = Crew::new(2).expect("threads");
    let text = DOCUMENTS.concat().repeat(3);
    let vocab = Vocab::of(VocabKind::Chars, text.as_bytes()).expect("a vocabulary");
    for cell in [CellKind::Rnn, CellKind::Lstm, CellKind::Gru] {
        let config = Config { cell, layers: 2, hidden: 19, batch: 3, seq: 7, ..Config::default() };
        let model = CharModel::new(&config, &vocab, &crew, &kernels).expect("a model");
        let file = |text: &str, separator| {
            let score = model.evaluate_file(&open(text, &vocab, separator), &crew, &kernels).expect("scored");
            score.map_or((0.0, 0), |score| (score.nats * score.tokens as f64, score.tokens))
        };
        let (nats, tokens) = file(&text, Some(SEPARATOR));
        // Each document from zero state, up to the first character of the next, which it still predicts.
        let documents: Vec<&str> = DOCUMENTS.iter().copied().cycle().take(3 * DOCUMENTS.len()).collect();
        let mut alone = (0.0, 0);
        for (k, document) in documents.iter().enumerate() {
            let next = documents.get(k + 1).and_then(|next| next.get(..1)).unwrap_or_default();
            let one = file(&format!("{document}{next}"), None);
            alone = (alone.0 + one.0, alone.1 + one.1);
        }
        assert_eq!(tokens, alone.1);
        assert!((nats - alone.0).abs() < 1e-10 * nats, "{cell:?}: {nats} {}", alone.0);
        let carried = file(&text, None);
        assert!((nats - carried.0).abs() > 1e-4 * nats, "{cell:?}: the separator made no difference");

        // Another length of chunks: the very bits; the network is made anew for each.
        let corpus = open(&text, &vocab, Some(SEPARATOR));
        let by_steps = [1, 2, 5, 64].map(|seq| {
            let mut model = CharModel::new(&config, &vocab, &crew, &kernels).expect("a model");
            model.config.seq = seq;
            let score = model.evaluate_split(&corpus, Split::Train, (3, u64::MAX), &crew, &kernels).expect("scored");
            score.expect("long enough").nats.to_bits()
        });
        assert!(by_steps.iter().all(|&bits| bits == by_steps[0]), "{cell:?}: {by_steps:?}");
    }
}
