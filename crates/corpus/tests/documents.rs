//! Where documents begin, against a naive reading of the whole text; in whatever chunks and lanes it is read.

use gatemill_corpus::{Chunk, Corpus, Fetcher, Io, Lanes, OpenOptions, Split, Vocab, VocabKind};
use proptest::prelude::*;
use std::path::PathBuf;

const ALL: [Split; 3] = [Split::Train, Split::Val, Split::Test];

/// For each symbol of a split's stream whether a document begins there, by the rule: a file's first symbol, or what comes
/// right after the separator in the same part of the same file.
fn naive_begins(files: &[String], split: Split, (val, test): (f64, f64), separator: &str) -> Vec<bool> {
    let separator: Vec<char> = separator.chars().collect();
    let mut begins = Vec::new();
    for file in files {
        let all: Vec<char> = file.chars().collect();
        let [a, b] = [1.0 - (val + test), 1.0 - test].map(|part| (all.len() as f64 * part) as usize);
        let (first, part) = match split {
            Split::Train => (0, &all[..a]),
            Split::Val => (a, &all[a..b]),
            Split::Test => (b, &all[b..]),
        };
        begins.extend((0..part.len()).map(|i| first + i == 0 || part[..i].ends_with(&separator)));
    }
    begins
}

/// Of each symbol that the lanes read as an input, whether a document begins there, by its place in the stream.
fn read_begins(corpus: &Corpus, split: Split, batch: usize, steps: usize) -> Vec<bool> {
    let mut lanes = Lanes::for_evaluation(corpus, split, batch).unwrap();
    let m = lanes.len();
    let mut begins = vec![false; m as usize * batch];
    let mut chunk = lanes.chunk(steps);
    let room = chunk.begins.capacity();
    // From the end, as a resumed run meets its chunks without those before.
    for start in (0..m.div_ceil(steps as u64)).rev().map(|k| k * steps as u64) {
        let steps = steps.min((m - start) as usize);
        lanes.fill(start, steps, &mut chunk).unwrap();
        let mut sorted = chunk.begins.clone();
        sorted.sort_unstable_by_key(|&(t, lane)| (lane, t));
        sorted.dedup();
        assert_eq!(chunk.begins, sorted, "each once, by lane, then by time");
        for &(t, lane) in &chunk.begins {
            assert!((t as usize) < steps);
            begins[lane as usize * m as usize + start as usize + t as usize] = true;
        }
    }
    assert_eq!(chunk.begins.capacity(), room, "a step allocates nothing");
    begins
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
    #[test]
    fn documents_begin_where_the_naive_reading_says_in_any_chunks_and_lanes(
        files in prop::collection::vec("[ab-]{0,60}|[-]{0,20}|[ab\u{ac00}-]{0,60}", 1..4),
        separator in "[-]{1,3}|[ab-]{1,3}|[ab\u{ac00}-]{2}|-a-",
        fractions in prop::sample::select(&[(0.0, 0.0), (0.05, 0.0), (0.3, 0.3), (0.9, 0.0), (0.0, 0.4)][..]),
        batch in 1usize..7,
        steps in 1usize..12,
    ) {
        prop_assume!(!files.concat().is_empty());
        let dir = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = (0..files.len()).map(|i| dir.path().join(format!("{i}.txt"))).collect();
        for (path, text) in paths.iter().zip(&files) {
            std::fs::write(path, text).unwrap();
        }
        for vocab in [VocabKind::Chars, VocabKind::Bytes] {
            // As bytes only where a byte is a character: the naive reading counts characters.
            if vocab == VocabKind::Bytes && !files.concat().is_ascii() {
                continue;
            }
            let options = OpenOptions {
                vocab,
                val_frac: fractions.0,
                test_frac: fractions.1,
                document_separator: Some(separator.clone()),
                cache_dir: Some(dir.path().join("cache")),
                io: if batch % 2 == 0 { Io::Map } else { Io::Read },
                ..OpenOptions::default()
            };
            let corpus = Corpus::open(&paths, &options).unwrap();
            let lacks = vocab == VocabKind::Chars && separator.chars().any(|c| !files.concat().contains(c));
            prop_assert_eq!(corpus.notes().iter().any(|note| note.contains("separator")), lacks);
            for split in ALL {
                if corpus.symbols(split) > batch as u64 {
                    let read = read_begins(&corpus, split, batch, steps);
                    let naive = naive_begins(&files, split, fractions, &separator);
                    prop_assert_eq!(&read[..], &naive[..read.len()], "{:?}", split);
                }
            }
        }
    }
}

fn corpus(text: &str, options: OpenOptions) -> Corpus {
    Corpus::from_bytes("text", text.into(), &OpenOptions { val_frac: 0.0, ..options }).unwrap()
}

fn places(corpus: &Corpus) -> Vec<usize> {
    let begins = read_begins(corpus, Split::Train, 1, 5);
    (0..begins.len()).filter(|&at| begins[at]).collect()
}

#[test]
fn the_separator_belongs_to_the_document_that_it_ends_and_may_overlap_itself() {
    let with = |separator: &str| OpenOptions { document_separator: Some(separator.into()), ..OpenOptions::default() };
    assert_eq!(places(&corpus("one\n\ntwo\n\n\nthree\n", with("\n\n"))), [0, 5, 10, 11]);
    assert_eq!(places(&corpus("a----b.", with("---"))), [0, 4, 5]);
    assert_eq!(places(&corpus("abc", with("abc"))), [0]);
}

#[test]
fn a_separator_that_cannot_occur_is_a_note() {
    let options = OpenOptions { document_separator: Some("\n\u{ac00}".into()), ..OpenOptions::default() };
    let lacking = corpus("one\ntwo\n", options.clone());
    assert_eq!(places(&lacking), [0]);
    let notes = lacking.notes().join("\n");
    assert!(notes.contains("the document separator \"\\n\u{ac00}\" does not occur"), "{notes}");
    // Symbols that a model does not know are all alike, and yet not the separator's.
    let vocab = Vocab::of(VocabKind::Chars, b"ab").unwrap();
    let options = OpenOptions { fixed_vocab: Some(vocab), ..options };
    assert_eq!(places(&corpus("axyb\n\u{ac00}ba", options)), [0]);
}

#[test]
fn without_a_separator_nothing_begins_and_nothing_is_kept() {
    let corpus = corpus("one\n\ntwo", OpenOptions::default());
    assert!(!corpus.has_documents());
    assert_eq!(Lanes::new(&corpus, Split::Train, 2, 2).unwrap().chunk(2).begins.capacity(), 0);
    assert_eq!(places(&corpus), [0; 0]);
}

#[test]
fn a_fetcher_brings_them_from_any_chunk_on() {
    let text = "ab.".repeat(40);
    let options = OpenOptions { document_separator: Some(".".into()), ..OpenOptions::default() };
    let corpus = corpus(&text, options);
    let lanes = || Lanes::new(&corpus, Split::Train, 4, 7).unwrap();
    let chunks: Vec<Chunk> = (0..lanes().chunks(7))
        .map(|index| {
            let mut chunk = Chunk { index, ..lanes().chunk(7) };
            lanes().fill(index * 7, 7, &mut chunk).unwrap();
            chunk
        })
        .collect();
    assert!(chunks.iter().all(|chunk| (4..=12).contains(&chunk.begins.len())));
    for start in 0..chunks.len() {
        let mut fetcher = Fetcher::new(lanes(), 7, start as u64);
        for k in start..start + 2 * chunks.len() {
            assert_eq!(fetcher.next().unwrap(), &chunks[k % chunks.len()]);
        }
    }
}

#[test]
fn a_text_at_hand_has_the_documents_of_a_file() {
    let vocab = Vocab::of(VocabKind::Chars, b"ab-").unwrap();
    let begins = |separator: &str, text: &str| {
        gatemill_corpus::document_begins(separator, &vocab, &vocab.encode(text.as_bytes()).unwrap()).unwrap()
    };
    assert_eq!(begins("---", "a----b"), [0, 4, 5]);
    assert_eq!(begins("x", "a-b"), [0], "a separator that cannot occur");
    assert!(gatemill_corpus::document_begins("", &vocab, &[0]).is_err());
}
