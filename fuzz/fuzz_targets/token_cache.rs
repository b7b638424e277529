//! Any bytes where the token cache of a text should be: another program's, damaged, or forged with right checksums.
//!
//! Invariants checked:
//! 1. bytes that are no whole cache of this text, by header and checksums, are passed over and replaced: what is read are
//!    exactly the ids of the text, and the new file is the same as one made from nothing;
//! 2. a file whose every checksum is right, forged as it may be, is read as it is, or is an error where it holds an id
//!    that the vocabulary lacks; no id is made up, none is looked up beyond the vocabulary;
//! 3. opening and reading never panic, and nothing is left beside the cache;
//! 4. nothing is allocated on the word of a header (`-malloc_limit_mb`).
#![no_main]

use gatemill_corpus::{Corpus, CorpusError, Io, Lanes, OpenOptions, Split};
use libfuzzer_sys::fuzz_target;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Header of a cache, as crates/corpus/src/cache.rs documents it.
const HEADER_BYTES: usize = 96;
const BODY_CRC: std::ops::Range<usize> = 24..28;
const HEADER_CRC: std::ops::Range<usize> = 28..32;

/// A text, where its cache lies, and what is in it when nobody has meddled.
struct Text {
    path: PathBuf,
    folder: PathBuf,
    cache: PathBuf,
    whole: Vec<u8>,
    ids: Vec<u32>,
    /// V: 4 with ids of one byte, 300 with ids of two.
    symbols: u32,
    width: usize,
}

static TEXTS: LazyLock<[Text; 2]> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("gatemill-fuzz-cache-{}", std::process::id()));
    let wide: String = (0xc0..).filter_map(char::from_u32).take(300).collect();
    [Text::new(&folder.join("narrow"), &"ab\u{e9}\u{ac00}".repeat(40)), Text::new(&folder.join("wide"), &wide)]
});

impl Text {
    /// Opens the text once, so that its cache is made, and learns the name from that.
    fn new(folder: &Path, text: &str) -> Self {
        let cache_folder = folder.join("cache");
        std::fs::create_dir_all(&cache_folder).expect("a temporary folder");
        let path = folder.join("text");
        std::fs::write(&path, text).expect("writing the text");
        let symbols: std::collections::BTreeSet<char> = text.chars().collect();
        let ids = text.chars().map(|c| symbols.range(..c).count() as u32).collect();
        let width = if symbols.len() <= 256 { 1 } else { 2 };
        let symbols = symbols.len() as u32;
        let mut new =
            Self { path, folder: cache_folder, cache: PathBuf::new(), whole: Vec::new(), ids, symbols, width };
        new.open(Io::Map).expect("a sound text");
        let mut names = std::fs::read_dir(&new.folder).expect("a cache").map(|entry| entry.expect("an entry").path());
        new.cache = names.next().expect("one cache");
        assert!(names.next().is_none(), "more than one cache");
        new.whole = std::fs::read(&new.cache).expect("reading the cache");
        assert_eq!(new.whole.len(), HEADER_BYTES + new.width * new.ids.len());
        new
    }

    fn open(&self, io: Io) -> Result<Corpus, CorpusError> {
        let cache_dir = Some(self.folder.clone());
        let options = OpenOptions { val_frac: 0.0, io, cache_dir, ..OpenOptions::default() };
        Corpus::open(std::slice::from_ref(&self.path), &options)
    }

    /// All ids, through one lane.
    fn read(&self, io: Io) -> Result<Vec<u32>, CorpusError> {
        let corpus = self.open(io)?;
        assert_eq!(corpus.symbols(Split::Train), self.ids.len() as u64, "the number of symbols is the text's to say");
        let mut lanes = Lanes::for_evaluation(&corpus, Split::Train, 1)?;
        let len = usize::try_from(lanes.len()).expect("a small text");
        let mut chunk = lanes.chunk(len);
        lanes.fill(0, len, &mut chunk)?;
        chunk.inputs.extend(chunk.targets.last());
        Ok(chunk.inputs)
    }

    /// The ids that a file holds, if it is a whole cache of this text by its header and checksums.
    fn ids_of(&self, file: &[u8]) -> Option<Vec<u32>> {
        let (header, body) = file.split_at_checked(HEADER_BYTES)?;
        let mut sound = self.whole[..HEADER_BYTES].to_vec();
        sound[BODY_CRC].copy_from_slice(&crc32fast::hash(body).to_le_bytes());
        seal(&mut sound);
        let wide = |bytes: &[u8]| bytes.iter().rev().fold(0, |id, &byte| id << 8 | u32::from(byte));
        (header == sound && file.len() == self.whole.len()).then(|| body.chunks_exact(self.width).map(wide).collect())
    }
}

/// Puts the right checksum into a header.
fn seal(header: &mut [u8]) {
    header[HEADER_CRC].fill(0);
    let crc = crc32fast::hash(&header[..HEADER_BYTES]).to_le_bytes();
    header[HEADER_CRC].copy_from_slice(&crc);
}

/// What lies in the cache's place: the input itself, or the sound cache with changes that the input names.
///
/// Each change is four bytes: two of place, one of value, one that says how. So a sealed file with one wrong id, which no
/// fuzzer would find by itself, is a few bytes away.
fn file_of(text: &Text, how: u8, input: &[u8]) -> Vec<u8> {
    if how & 2 == 0 {
        return input.to_vec();
    }
    let mut file = text.whole.clone();
    for change in input.chunks_exact(4) {
        let [low, high, value, kind] = [change[0], change[1], change[2], change[3]];
        let at = usize::from(u16::from_le_bytes([low, high])) % file.len().max(1);
        match kind % 4 {
            0 => file.truncate(at),
            1 => file.insert(at.min(file.len()), value),
            _ if file.is_empty() => file.push(value),
            2 => file[at] ^= value,
            _ => file[at] = value,
        }
    }
    if how & 4 != 0 && file.len() >= HEADER_BYTES {
        let crc = crc32fast::hash(&file[HEADER_BYTES..]).to_le_bytes();
        file[BODY_CRC].copy_from_slice(&crc);
    }
    if how & 8 != 0 && file.len() >= HEADER_BYTES {
        seal(&mut file);
    }
    file
}

fuzz_target!(|input: &[u8]| {
    // The first byte: which text, bytes or changes, which checksums are made right.
    let Some((&how, input)) = input.split_first() else { return };
    let text = &TEXTS[usize::from(how & 1)];
    let file = file_of(text, how, input);
    let held = text.ids_of(&file);
    for io in [Io::Map, Io::Read] {
        std::fs::write(&text.cache, &file).expect("writing the cache");
        match (&held, text.read(io)) {
            // Not even a checksum tells one id of the vocabulary from another: such a file was forged.
            (Some(held), Ok(ids)) => assert_eq!(*held, ids, "a whole cache is read as it is"),
            (Some(held), Err(error)) => {
                assert!(held.iter().any(|&id| id >= text.symbols), "refused a sound cache: {error}");
                assert!(matches!(error, CorpusError::TokenOutOfRange { .. }), "{error}");
            }
            (None, Ok(ids)) => {
                assert_eq!(ids, text.ids, "the ids of the text");
                let now = std::fs::read(&text.cache).expect("reading the cache");
                assert!(now == text.whole, "made anew, and not the same");
            }
            (None, Err(error)) => panic!("what is no cache was not passed over: {error}"),
        }
        let names = std::fs::read_dir(&text.folder).expect("listed").count();
        assert_eq!(names, 1, "something was left beside the cache");
    }
});
