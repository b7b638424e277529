//! Lanes against a naive batcher that holds the whole text as characters.

use gatemill_corpus::{Chunk, Corpus, CorpusError, Io, Lanes, OpenOptions, Split, Vocab, VocabKind};
use proptest::prelude::*;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

const ALL: [Split; 3] = [Split::Train, Split::Val, Split::Test];

/// The ids of a split as the design says: the first 1 - (val + test) of each file, end to end; or the next part of each,
/// or the last.
fn naive_stream(files: &[String], split: Split, (val, test): (f64, f64)) -> Vec<u32> {
    let mut symbols: Vec<char> = files.concat().chars().collect();
    symbols.sort_unstable();
    symbols.dedup();
    let mut ids = Vec::new();
    for file in files {
        let all: Vec<u32> = file.chars().map(|c| symbols.binary_search(&c).unwrap() as u32).collect();
        let [a, b] = [1.0 - (val + test), 1.0 - test].map(|part| (all.len() as f64 * part) as usize);
        ids.extend_from_slice(match split {
            Split::Train => &all[..a],
            Split::Val => &all[a..b],
            Split::Test => &all[b..],
        });
    }
    ids
}

/// `[steps, B]` inputs and targets by the definition.
fn naive_chunk(ids: &[u32], batch: usize, start: usize, steps: usize) -> (Vec<u32>, Vec<u32>) {
    let m = (ids.len() - 1) / batch;
    let at = |t: usize, b: usize| b * m + start + t;
    let each = || (0..steps).flat_map(|t| (0..batch).map(move |b| (t, b)));
    (each().map(|(t, b)| ids[at(t, b)]).collect(), each().map(|(t, b)| ids[at(t, b) + 1]).collect())
}

fn write_files(files: &[String]) -> (tempfile::TempDir, Vec<PathBuf>) {
    let dir = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = (0..files.len()).map(|i| dir.path().join(format!("{i}.txt"))).collect();
    for (path, text) in paths.iter().zip(files) {
        std::fs::write(path, text).unwrap();
    }
    (dir, paths)
}

/// The inputs and targets of steps `start .. start + steps`.
fn filled(lanes: &mut Lanes, start: u64, steps: usize) -> (Vec<u32>, Vec<u32>) {
    let mut chunk = Chunk::default();
    lanes.fill(start, steps, &mut chunk).unwrap();
    assert_eq!(chunk.begins, [], "no separator");
    (chunk.inputs, chunk.targets)
}

fn check(corpus: &Corpus, files: &[String], fractions: (f64, f64), batch: usize, steps: usize) {
    for split in ALL {
        let ids = naive_stream(files, split, fractions);
        assert_eq!(corpus.symbols(split), ids.len() as u64);
        let m = ids.len().saturating_sub(1) / batch;
        let lanes = Lanes::new(corpus, split, batch, steps);
        if m < steps {
            let Err(CorpusError::TooShort { symbols, largest_batch, largest_seq, .. }) = lanes else {
                panic!("{lanes:?}")
            };
            assert_eq!(symbols, ids.len() as u64);
            // What it says fits, and no more does.
            let fits = |b: u64, t: u64| Lanes::new(corpus, split, b as usize, t as usize).is_ok();
            assert!(largest_batch == 0 || fits(largest_batch, steps as u64));
            assert!(largest_seq == 0 || fits(batch as u64, largest_seq));
            assert!(!fits(largest_batch + 1, steps as u64) && !fits(batch as u64, largest_seq + 1));
            continue;
        }
        let mut lanes = lanes.unwrap();
        assert_eq!((lanes.len(), lanes.chunks(steps)), (m as u64, (m / steps) as u64));
        assert_eq!(lanes.left_over(steps), (ids.len() - m / steps * steps * batch) as u64);
        // Whole chunks in any order, then the short one.
        let starts: Vec<usize> = (0..m).step_by(steps).collect();
        for &start in starts.iter().rev().chain(&starts) {
            let steps = steps.min(m - start);
            assert_eq!(filled(&mut lanes, start as u64, steps), naive_chunk(&ids, batch, start, steps));
        }
    }
}

/// Fewer than usual, as each reads files; `cargo xtask torture` asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(96)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]
    #[test]
    fn lanes_are_the_naive_ones(
        files in prop::collection::vec("[ab\u{e9}\u{ac00}\u{10348}]{0,120}|[a-f]{0,120}", 1..4),
        fractions in prop::sample::select(&[(0.0, 0.0), (0.05, 0.0), (0.1, 0.1), (0.5, 0.25), (0.9, 0.0), (0.0, 0.4)][..]),
        batch in 1usize..9,
        steps in 1usize..12,
    ) {
        prop_assume!(!files.concat().is_empty());
        let (dir, paths) = write_files(&files);
        for io in [Io::Map, Io::Read] {
            let options = OpenOptions {
                val_frac: fractions.0,
                test_frac: fractions.1,
                io,
                cache_dir: Some(dir.path().join("cache")),
                ..OpenOptions::default()
            };
            check(&Corpus::open(&paths, &options).unwrap(), &files, fractions, batch, steps);
        }
    }
}

#[test]
fn lanes_are_those_of_the_reference_run() {
    // Its lanes(x, 3) of 11 symbols: n = (11 - 1) // 3 = 3, columns x[0:4], x[3:7], x[6:10]; symbol 10 is left out.
    let options = OpenOptions { val_frac: 0.0, ..OpenOptions::default() };
    let corpus = Corpus::from_bytes("alphabet", b"abcdefghijk".to_vec(), &options).unwrap();
    let mut lanes = Lanes::new(&corpus, Split::Train, 3, 2).unwrap();
    let (inputs, targets) = filled(&mut lanes, 0, 3);
    assert_eq!(inputs, [0, 3, 6, 1, 4, 7, 2, 5, 8]);
    assert_eq!(targets, [1, 4, 7, 2, 5, 8, 3, 6, 9]);
    assert_eq!((lanes.len(), lanes.chunks(2), lanes.left_over(2), lanes.left_over(3)), (3, 1, 5, 2));
}

#[test]
fn fault_c04_what_fills_no_chunk_is_left_out_and_counted() {
    // n = 100, B = 3: m = 33 = 2 * 16 + 1.
    let options = OpenOptions { val_frac: 0.0, vocab: VocabKind::Bytes, ..OpenOptions::default() };
    let corpus = Corpus::from_bytes("n", (0..100).collect(), &options).unwrap();
    let lanes = Lanes::new(&corpus, Split::Train, 3, 16).unwrap();
    assert_eq!((lanes.chunks(16), lanes.left_over(16)), (2, 100 - 2 * 16 * 3));
}

#[test]
fn fault_c17_each_symbol_is_read_as_often_as_documented() {
    let options = OpenOptions { val_frac: 0.0, vocab: VocabKind::Bytes, ..OpenOptions::default() };
    for n in 2..60usize {
        // Symbol i is byte i, so that an id tells where it was read.
        let corpus = Corpus::from_bytes("n", (0..n as u8).collect(), &options).unwrap();
        for batch in 1..n {
            let m = (n - 1) / batch;
            let mut lanes = Lanes::for_evaluation(&corpus, Split::Train, batch).unwrap();
            let (inputs, targets) = filled(&mut lanes, 0, m);
            let times = |ids: &[u32], id: usize| ids.iter().filter(|&&x| x as usize == id).count();
            for i in 0..n {
                // Once as an input up to the end of the last lane, once as a target from symbol 1 on; never twice.
                assert_eq!(times(&inputs, i), usize::from(i < m * batch));
                assert_eq!(times(&targets, i), usize::from(i > 0 && i <= m * batch));
            }
        }
    }
}

#[test]
fn fault_c14_positions_beyond_4_gib_and_in_a_sparse_tebibyte() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sparse");
    let file = File::create(&path).unwrap();
    const EDGE: u64 = 1 << 32;
    const SIZE: u64 = 1 << 40;
    file.set_len(SIZE).unwrap();
    let marks = |at: u64| file.write_all_at(b"abcd", at - 2).unwrap();
    marks(EDGE);
    // Lane 2 of 3 with m = (SIZE - 1) / 3: its own step 2^32 lies far beyond byte 2^32.
    let m = (SIZE - 1) / 3;
    marks(2 * m + EDGE);
    marks(SIZE - 2);
    for io in [Io::Map, Io::Read] {
        let options = OpenOptions { vocab: VocabKind::Bytes, val_frac: 0.0, io, ..OpenOptions::default() };
        let corpus = Corpus::open(std::slice::from_ref(&path), &options).unwrap();
        assert_eq!((corpus.symbols(Split::Train), corpus.size_bytes()), (SIZE, SIZE));
        let [a, b, c, d] = [97, 98, 99, 100];
        let mut one = Lanes::new(&corpus, Split::Train, 1, 4).unwrap();
        assert_eq!((one.len(), one.chunks(4)), (SIZE - 1, SIZE / 4 - 1));
        let right = (vec![0, a, b, c], vec![a, b, c, d]);
        assert_eq!(filled(&mut one, EDGE - 3, 4), right);
        assert_eq!(filled(&mut one, SIZE - 5, 4), right);
        let mut three = Lanes::new(&corpus, Split::Train, 3, 2).unwrap();
        assert_eq!(filled(&mut three, EDGE - 1, 2), (vec![b, 0, b, c, 0, c], vec![c, 0, c, d, 0, d]));
    }
}

#[test]
#[should_panic(expected = "steps 3..+8 of lanes of 10")]
fn steps_beyond_the_end_are_refused() {
    let corpus =
        Corpus::from_bytes("x", vec![b'x'; 22], &OpenOptions { val_frac: 0.0, ..OpenOptions::default() }).unwrap();
    let mut lanes = Lanes::new(&corpus, Split::Train, 2, 4).unwrap();
    let _ = lanes.fill(3, 8, &mut Chunk::default());
}

#[test]
fn a_model_s_vocabulary_encodes_what_it_knows_and_marks_the_rest() {
    let vocab = Vocab::of(VocabKind::Chars, "ab\u{ac00}".as_bytes()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let options = OpenOptions {
        fixed_vocab: Some(vocab.clone()),
        val_frac: 0.0,
        cache_dir: Some(dir.path().into()),
        ..OpenOptions::default()
    };
    // One file of one-byte symbols, one with a cache; `x` and U+AC01 are unseen in both ways.
    let (_files, paths) = write_files(&["axb".into(), "\u{ac00}x\u{ac01}a".into()]);
    let corpus = Corpus::open(&paths, &options).unwrap();
    assert_eq!(corpus.vocab(), &vocab);
    let mut lanes = Lanes::for_evaluation(&corpus, Split::Train, 1).unwrap();
    assert_eq!(filled(&mut lanes, 0, 6), (vec![0, 3, 1, 2, 3, 3], vec![3, 1, 2, 3, 3, 0]));
}
