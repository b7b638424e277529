//! Any bytes, opened as a corpus file, read back as lanes.
//!
//! Invariants checked:
//! 1. opening and reading never panic and never allocate more than the file's length justifies (`-malloc_limit_mb`);
//! 2. `bytes`: every file that is not empty opens, and its symbols are its bytes;
//! 3. `chars`: exactly what the standard library reads as UTF-8 opens, less a byte-order mark; the vocabulary is the
//!    sorted set of its characters, and its symbols decode to its text;
//! 4. lanes are those of the definition, lane b of B starting at b * ((n-1)/B), mapped and read alike, cached or not.
#![no_main]

use gatemill_corpus::{Chunk, Corpus, Io, Lanes, OpenOptions, Split, VocabKind};
use libfuzzer_sys::fuzz_target;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// A folder of this process's own.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("gatemill-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    folder
});

fuzz_target!(|input: &[u8]| {
    // The first byte chooses the batch, the rest is the file.
    let Some((&first, content)) = input.split_first() else { return };
    let batch = usize::from(first % 7) + 1;
    let path = FOLDER.join("corpus");
    std::fs::write(&path, content).expect("writing the corpus");

    let as_bytes: Vec<u32> = content.iter().map(|&byte| u32::from(byte)).collect();
    check(&path, VocabKind::Bytes, Some(as_bytes), content, batch);

    let text = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let ids = std::str::from_utf8(text).ok().map(|text| {
        let mut symbols: Vec<char> = text.chars().collect();
        symbols.sort_unstable();
        symbols.dedup();
        text.chars().map(|c| symbols.partition_point(|&symbol| symbol < c) as u32).collect()
    });
    check(&path, VocabKind::Chars, ids, text, batch);
});

/// The file opens if and only if there is a symbol in `expected`, and each way of reading gives `expected`.
fn check(path: &Path, vocab: VocabKind, expected: Option<Vec<u32>>, text: &[u8], batch: usize) {
    // One input's token cache is of no use to the next, and a night of them would fill the disk.
    let cache = FOLDER.join("cache");
    let _ = std::fs::remove_dir_all(&cache);
    for io in [Io::Map, Io::Read] {
        let options =
            OpenOptions { vocab, io, val_frac: 0.0, cache_dir: Some(cache.clone()), ..OpenOptions::default() };
        let corpus = Corpus::open(&[path.to_owned()], &options);
        let Some(ids) = expected.as_ref().filter(|ids| !ids.is_empty()) else {
            assert!(corpus.is_err(), "opened what should be refused");
            continue;
        };
        let corpus = corpus.unwrap_or_else(|error| panic!("refused a sound file: {error}"));
        assert_eq!(corpus.symbols(Split::Train), ids.len() as u64);
        assert_eq!(corpus.vocab().decode(ids), text, "the ids of the whole text");

        let stretch = (ids.len() - 1) / batch;
        let Ok(mut lanes) = Lanes::for_evaluation(&corpus, Split::Train, batch) else {
            assert_eq!(stretch, 0, "refused lanes of {stretch} symbols");
            continue;
        };
        assert_eq!(lanes.len(), stretch as u64);
        let mut chunk = lanes.chunk(stretch);
        lanes.fill(0, stretch, &mut chunk).unwrap_or_else(|error| panic!("filling lanes: {error}"));
        let Chunk { inputs, targets, .. } = chunk;
        for t in 0..stretch {
            for b in 0..batch {
                assert_eq!(inputs[t * batch + b], ids[b * stretch + t], "input {t} of lane {b}");
                assert_eq!(targets[t * batch + b], ids[b * stretch + t + 1], "target {t} of lane {b}");
            }
        }
    }
}
