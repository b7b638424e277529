//! The fetcher against lanes read directly; errors at their chunk; no end to an epoch but the caller's.

use gatemill_corpus::{Chunk, Corpus, CorpusError, Fetcher, Io, Lanes, OpenOptions, Split, VocabKind};
use std::fs::File;
use std::io::Write;
use std::path::Path;

const BATCH: usize = 3;
const SEQ: usize = 5;

fn bytes(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 7 % 251) as u8).collect()
}

fn open(path: &Path, io: Io) -> Corpus {
    let options = OpenOptions { vocab: VocabKind::Bytes, val_frac: 0.0, io, ..OpenOptions::default() };
    Corpus::open(&[path.to_owned()], &options).unwrap()
}

fn lanes(corpus: &Corpus) -> Lanes {
    Lanes::new(corpus, Split::Train, BATCH, SEQ).unwrap()
}

fn direct(corpus: &Corpus, index: u64) -> Chunk {
    let mut chunk = Chunk { index, ..Chunk::default() };
    lanes(corpus).fill(index * SEQ as u64, SEQ, &mut chunk).unwrap();
    chunk
}

#[test]
fn chunks_come_in_order_from_any_start_and_over_the_end_of_an_epoch() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&bytes(200)).unwrap();
    for io in [Io::Map, Io::Read] {
        let corpus = open(file.path(), io);
        // m = 199 / 3 = 66 = 13 * 5 + 1.
        for start in [0, 1, 12, 13, 40] {
            let mut fetcher = Fetcher::new(lanes(&corpus), SEQ, start);
            assert_eq!(fetcher.chunks(), 13);
            for k in start..start + 30 {
                assert_eq!(fetcher.next().unwrap(), &direct(&corpus, k % 13));
            }
        }
    }
}

#[test]
fn a_fetcher_goes_at_any_moment() {
    let corpus =
        Corpus::from_bytes("bytes", bytes(200), &OpenOptions { vocab: VocabKind::Bytes, ..OpenOptions::default() });
    let corpus = corpus.unwrap();
    for k in 0..100 {
        let mut fetcher = Fetcher::new(lanes(&corpus), SEQ, 0);
        for _ in 0..k % 4 {
            fetcher.next().unwrap();
        }
    }
}

#[test]
fn fault_c09_an_error_comes_in_place_of_its_chunk() {
    for io in [Io::Map, Io::Read] {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes(200)).unwrap();
        let corpus = open(file.path(), io);
        let right: Vec<Chunk> = (0..13).map(|k| direct(&corpus, k)).collect();
        let mut fetcher = Fetcher::new(lanes(&corpus), SEQ, 0);
        assert_eq!(fetcher.next().unwrap(), &right[0]);
        file.as_file().set_len(50).unwrap();
        // What had been fetched by then still comes, and it is right; then the error, once per asking.
        let mut next = 1;
        let error = loop {
            match fetcher.next() {
                Ok(chunk) => assert_eq!(chunk, &right[next % 13]),
                Err(e) => break e,
            }
            next += 1;
        };
        assert!(next <= 17, "sixteen buffers hold no more");
        assert!(matches!(error, CorpusError::Shrank { from: 200, to: 50, .. }), "{error}");
        assert!(error.is_io() && error.to_string().contains("shrank from 200 to 50 bytes"));
        // The text is put back: the very chunk that failed comes, after at most one error more of one fetched ahead.
        File::options().write(true).open(file.path()).unwrap().write_all(&bytes(200)).unwrap();
        let mut again = fetcher.next();
        for _ in 0..2 {
            if again.is_err() {
                again = fetcher.next();
            }
        }
        assert_eq!(again.unwrap(), &right[next % 13]);
        // And those behind it.
        for k in 1..40 {
            assert_eq!(fetcher.next().unwrap(), &right[(next + k) % 13]);
        }
    }
}

#[test]
#[should_panic(expected = "no chunk of 67 steps")]
fn chunks_longer_than_a_lane_are_refused() {
    let options = OpenOptions { vocab: VocabKind::Bytes, val_frac: 0.0, ..OpenOptions::default() };
    let corpus = Corpus::from_bytes("bytes", bytes(200), &options).unwrap();
    Fetcher::new(Lanes::for_evaluation(&corpus, Split::Train, BATCH).unwrap(), 67, 0);
}
