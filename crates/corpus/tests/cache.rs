//! The token cache: found again, refused when it is damaged, done without where none can be written.

use gatemill_corpus::{Corpus, CorpusError, Io, Lanes, OpenOptions, Split};
use std::fs::{self, OpenOptions as FileOptions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where the ids begin.
const HEADER_BYTES: u64 = 96;

/// A text of 400 characters, V = 4, and a folder for its cache.
struct Setting {
    _dir: tempfile::TempDir,
    text: PathBuf,
    cache: PathBuf,
}

impl Setting {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (text, cache) = (dir.path().join("text"), dir.path().join("deep/cache"));
        fs::write(&text, "ab\u{e9}\u{ac00}".repeat(100)).unwrap();
        Self { _dir: dir, text, cache }
    }
    fn open(&self, io: Io) -> Corpus {
        Corpus::open(std::slice::from_ref(&self.text), &self.options(io)).unwrap()
    }
    fn options(&self, io: Io) -> OpenOptions {
        OpenOptions { val_frac: 0.0, io, cache_dir: Some(self.cache.clone()), ..OpenOptions::default() }
    }
    fn caches(&self) -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> = fs::read_dir(&self.cache).unwrap().map(|e| e.unwrap().path()).collect();
        paths.sort();
        paths
    }
    /// Its only cache.
    fn file(&self) -> PathBuf {
        let [path] = self.caches().try_into().unwrap();
        path
    }
}

fn read(corpus: &Corpus) -> Result<Vec<u32>, CorpusError> {
    let mut lanes = Lanes::for_evaluation(corpus, Split::Train, 1)?;
    let len = lanes.len() as usize;
    let mut chunk = lanes.chunk(len);
    lanes.fill(0, len, &mut chunk)?;
    chunk.inputs.extend(chunk.targets.last());
    Ok(chunk.inputs)
}

fn right() -> Vec<u32> {
    [0, 1, 2, 3].repeat(100)
}

fn write_at(path: &Path, at: u64, bytes: &[u8]) {
    FileOptions::new().write(true).open(path).unwrap().write_all_at(bytes, at).unwrap();
}

#[test]
fn written_once_then_found_by_both_ways_of_reading() {
    let setting = Setting::new();
    assert_eq!(read(&setting.open(Io::Map)).unwrap(), right());
    let before = fs::metadata(setting.file()).unwrap();
    assert_eq!((before.len(), before.permissions().mode() & 0o777), (HEADER_BYTES + 400, 0o600));
    for io in [Io::Map, Io::Read] {
        let corpus = setting.open(io);
        assert_eq!(read(&corpus).unwrap(), right());
        assert!(corpus.notes().is_empty());
    }
    // The same file, not one like it.
    assert_eq!(fs::metadata(setting.file()).unwrap().ino(), before.ino());
}

#[test]
fn the_header_is_as_documented() {
    let setting = Setting::new();
    setting.open(Io::Map);
    let bytes = fs::read(setting.file()).unwrap();
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!(&bytes[..8], b"GMTOKENS");
    assert_eq!((u32_at(8), u32_at(12), u32_at(16), u32_at(20)), (1, 1, 400, 0));
    assert_eq!(u32_at(24), crc32fast::hash(&bytes[96..]));
    let mut header = bytes[..96].to_vec();
    header[28..32].fill(0);
    assert_eq!(u32_at(28), crc32fast::hash(&header));
    assert_eq!(&bytes[96..104], [0, 1, 2, 3, 0, 1, 2, 3]);
}

#[test]
fn fault_c16_a_damaged_cache_is_made_anew() {
    let setting = Setting::new();
    setting.open(Io::Map);
    let path = setting.file();
    let whole = fs::read(&path).unwrap();
    let check = |bytes: &[u8], what: &str| {
        fs::write(&path, bytes).unwrap();
        for io in [Io::Map, Io::Read] {
            assert_eq!(read(&setting.open(io)).unwrap(), right(), "{what}");
        }
        assert_eq!(fs::read(setting.file()).unwrap(), whole, "{what}");
    };
    // Any bit, of the header or of an id; among them version, width, count and an id of V or more.
    for at in (0..whole.len()).step_by(7).chain(8..24).chain([whole.len() - 1]) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        check(&bytes, &format!("bit of byte {at}"));
    }
    for len in [0, 1, 8, 95, 96, 97, whole.len() - 1] {
        check(&whole[..len], &format!("cut to {len}"));
    }
    let mut long = whole.clone();
    long.push(0);
    check(&long, "one byte too long");
    // A whole header of another version, checksum and all.
    let mut newer = whole.clone();
    newer[8] = 2;
    newer[28..32].fill(0);
    let crc = crc32fast::hash(&newer[..96]);
    newer[28..32].copy_from_slice(&crc.to_le_bytes());
    check(&newer, "version 2");
}

#[test]
fn fault_c16_an_id_beyond_the_vocabulary_in_a_mapped_cache_is_an_error() {
    for io in [Io::Map, Io::Read] {
        let setting = Setting::new();
        let corpus = setting.open(io);
        write_at(&setting.file(), HEADER_BYTES + 123, &[4]);
        let error = read(&corpus).unwrap_err();
        let at = HEADER_BYTES + 123;
        assert!(
            matches!(error, CorpusError::TokenOutOfRange { id: 4, limit: 4, offset, .. } if offset == at),
            "{error}"
        );
    }
}

#[test]
fn fault_c09_a_cache_cut_while_in_use_is_an_error() {
    for io in [Io::Map, Io::Read] {
        let setting = Setting::new();
        let corpus = setting.open(io);
        FileOptions::new().write(true).open(setting.file()).unwrap().set_len(100).unwrap();
        assert!(matches!(read(&corpus), Err(CorpusError::Shrank { from: 496, to: 100, .. })));
        // And the next run makes it anew.
        assert_eq!(read(&setting.open(io)).unwrap(), right());
    }
}

#[test]
fn a_removed_cache_is_read_on() {
    let setting = Setting::new();
    let corpus = setting.open(Io::Map);
    fs::remove_file(setting.file()).unwrap();
    assert_eq!(read(&corpus).unwrap(), right());
}

#[test]
fn another_text_or_vocabulary_has_another_cache() {
    let setting = Setting::new();
    let vocab = setting.open(Io::Map).vocab().clone();
    // As long, of the same characters, and the change between the samples of a fingerprint or not: another content.
    fs::write(&setting.text, "ba\u{e9}\u{ac00}".repeat(100)).unwrap();
    assert_eq!(read(&setting.open(Io::Map)).unwrap(), [1, 0, 2, 3].repeat(100));
    assert_eq!(setting.caches().len(), 2);
    // The same text in the vocabulary of a model with fewer symbols.
    let fewer = gatemill_corpus::Vocab::from_symbols(&vocab.symbols()[1..]).unwrap();
    let options = OpenOptions { fixed_vocab: Some(fewer), ..setting.options(Io::Map) };
    let corpus = Corpus::open(std::slice::from_ref(&setting.text), &options).unwrap();
    assert_eq!(read(&corpus).unwrap(), [0, 3, 1, 2].repeat(100));
    assert_eq!(setting.caches().len(), 3);
}

#[test]
fn where_no_cache_can_be_written_tokens_stay_in_memory() {
    let setting = Setting::new();
    // A file where the folder should be: not even root writes there.
    fs::create_dir_all(setting.cache.parent().unwrap()).unwrap();
    fs::write(&setting.cache, "in the way").unwrap();
    let corpus = setting.open(Io::Map);
    assert_eq!(read(&corpus).unwrap(), right());
    let [note] = corpus.notes() else { panic!("{:?}", corpus.notes()) };
    assert!(note.contains("no token cache can be written") && note.contains("in memory"), "{note}");
    assert_eq!(fs::read(&setting.cache).unwrap(), b"in the way");
}

#[test]
fn a_failed_write_leaves_no_file_and_a_dead_writer_s_file_goes() {
    let setting = Setting::new();
    setting.open(Io::Map);
    let path = setting.file();
    // A folder where the cache should be: the rename fails after everything was written.
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    fs::write(path.join("in the way"), "").unwrap();
    assert_eq!(read(&setting.open(Io::Map)).unwrap(), right());
    assert_eq!(setting.caches(), [path]);
    // What was left long ago goes; what another process may be writing stays, and so does what is not ours.
    let file = |name: &str, seconds: u64| {
        let file = fs::File::create(setting.cache.join(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(seconds)).unwrap();
    };
    file("a-b.tokens.1.0.tmp", 7200);
    file("c-d.tokens.1.0.tmp", 60);
    file("e.txt", 7200);
    setting.open(Io::Map);
    let names: Vec<_> = setting.caches().iter().map(|p| p.file_name().unwrap().to_owned()).collect();
    assert!(names.iter().any(|n| n == "c-d.tokens.1.0.tmp") && names.iter().any(|n| n == "e.txt"), "{names:?}");
    assert!(!names.iter().any(|n| n == "a-b.tokens.1.0.tmp"), "{names:?}");
}

#[test]
fn many_openers_at_once_all_read_the_right_tokens() {
    let setting = Setting::new();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(read(&setting.open(Io::Map)).unwrap(), right()));
        }
    });
    setting.file();
}

#[test]
fn long_texts_go_through_many_blocks() {
    // 3 MiB and a bit of two-byte characters with an odd start, so that blocks end inside characters.
    let setting = Setting::new();
    let text = format!("x{}", "\u{e9}\u{ea}\u{eb}".repeat(550_000));
    fs::write(&setting.text, &text).unwrap();
    let ids = read(&setting.open(Io::Map)).unwrap();
    assert!(
        ids.len() == 1_650_001 && ids[0] == 0 && ids[1..].iter().zip([1, 2, 3].iter().cycle()).all(|(a, b)| a == b)
    );
}
