//! What a person may give in place of a text: each row of the catalogue that a corpus can meet, with class and message.
//!
//! Rows of damage to a cache are in `cache.rs`, of lanes in `lanes.rs`, of files cut while in use also in `fetch.rs` and `map.rs`.

use gatemill_corpus::{Corpus, CorpusError, ErrorKind, Io, Lanes, OpenOptions, Split, Vocab, VocabKind};
use std::fs::{self, OpenOptions as FileOptions};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

fn options(vocab: VocabKind) -> OpenOptions {
    OpenOptions { vocab, val_frac: 0.0, ..OpenOptions::default() }
}

fn chars() -> OpenOptions {
    options(VocabKind::Chars)
}

fn bytes() -> OpenOptions {
    options(VocabKind::Bytes)
}

/// A folder with one file.
fn file(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("text.txt");
    fs::write(&path, content).unwrap();
    (dir, path)
}

fn open(path: &Path, options: &OpenOptions) -> Result<Corpus, CorpusError> {
    Corpus::open(&[path.to_owned()], options)
}

/// Opens a path both ways; the class and message of the error, which must be the same.
fn refused(path: &Path, options: &OpenOptions) -> (ErrorKind, String) {
    let one = |io| {
        let error = open(path, &OpenOptions { io, ..options.clone() }).unwrap_err();
        (error.kind(), error.to_string())
    };
    assert_eq!(one(Io::Map), one(Io::Read));
    one(Io::Map)
}

/// All ids of a corpus, through one lane.
fn read(corpus: &Corpus) -> Result<Vec<u32>, CorpusError> {
    let mut lanes = Lanes::for_evaluation(corpus, Split::Train, 1)?;
    let len = lanes.len() as usize;
    let mut chunk = lanes.chunk(len);
    lanes.fill(0, len, &mut chunk)?;
    chunk.inputs.extend(chunk.targets.last());
    Ok(chunk.inputs)
}

#[test]
fn fault_c01_empty_corpus() {
    let (dir, path) = file(b"");
    let empty = (ErrorKind::BadData, "corpus is empty (0 bytes)".to_owned());
    for options in [chars(), bytes()] {
        assert_eq!(refused(&path, &options), empty);
        let both = Corpus::open(&[path.clone(), path.clone()], &options).unwrap_err();
        assert_eq!((both.kind(), both.to_string()), empty);
        assert!(matches!(Corpus::open(&[], &options), Err(CorpusError::Empty { size_bytes: 0 })));
        assert!(matches!(Corpus::from_bytes("x", Vec::new(), &options), Err(CorpusError::Empty { .. })));
    }
    // Nothing was made beside it.
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    // An empty file among others adds nothing.
    let (_dir, text) = file(b"abc");
    assert_eq!(Corpus::open(&[path, text], &chars()).unwrap().symbols(Split::Train), 3);
}

#[test]
fn fault_c01_nothing_but_a_mark() {
    let (_dir, path) = file(b"\xEF\xBB\xBF");
    let (kind, message) = refused(&path, &chars());
    assert_eq!((kind, &*message), (ErrorKind::BadData, "corpus is empty (3 bytes, all of them byte-order marks)"));
    assert!(matches!(
        open(&path, &OpenOptions { fixed_vocab: Some(Vocab::from_symbols(&[65]).unwrap()), ..chars() }),
        Err(CorpusError::Empty { size_bytes: 3 })
    ));
}

#[test]
fn fault_c02_one_symbol() {
    let corpus = Corpus::from_bytes("x", b"a".to_vec(), &chars()).unwrap();
    let error = Lanes::new(&corpus, Split::Train, 1, 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadData);
    assert!(error.to_string().contains("1 symbols, but --batch 1 lanes of --seq 1 steps need 2"), "{error}");
    assert!(Lanes::for_evaluation(&corpus, Split::Val, 1).is_err());
}

#[test]
fn fault_c02_one_distinct_symbol() {
    let corpus = Corpus::from_bytes("x", b"aaaaaa".to_vec(), &chars()).unwrap();
    assert_eq!((corpus.vocab().len(), read(&corpus).unwrap()), (1, vec![0; 6]));
    let [note] = corpus.notes() else { panic!("{:?}", corpus.notes()) };
    assert!(note.contains("one distinct symbol"), "{note}");
}

#[test]
fn fault_c03_shorter_than_a_chunk() {
    let corpus = Corpus::from_bytes("x", b"abcdefghij".repeat(10), &chars()).unwrap();
    let error = Lanes::new(&corpus, Split::Train, 20, 30).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadData);
    let message = error.to_string();
    assert!(message.contains("100 symbols, but --batch 20 lanes of --seq 30 steps need 601"), "{message}");
    // (100 - 1) / 30 and (100 - 1) / 20.
    assert!(message.contains("--batch 3 with this seq or --seq 4 with this batch"), "{message}");
    // Exactly enough is enough: 601 symbols are 20 lanes of 30 and the last target.
    let exact = |n: usize| Corpus::from_bytes("x", vec![b'x'; n], &chars()).unwrap();
    assert_eq!(Lanes::new(&exact(601), Split::Train, 20, 30).unwrap().chunks(30), 1);
    assert!(Lanes::new(&exact(600), Split::Train, 20, 30).is_err());
    for (batch, seq) in [(0, 1), (1, 0), (0, 0), (usize::MAX, usize::MAX)] {
        assert!(matches!(Lanes::new(&corpus, Split::Train, batch, seq), Err(CorpusError::TooShort { .. })));
    }
}

#[test]
fn fault_c05_invalid_utf8() {
    let cut = "abc\u{ac00}".as_bytes();
    for (content, offset) in
        [(&b"abc\xE9def"[..], 3), (&cut[..cut.len() - 1], 3), (b"\x80abc", 0), (b"ab\xED\xA0\x80", 2)]
    {
        let (_dir, path) = file(content);
        let (kind, message) = refused(&path, &chars());
        assert_eq!(kind, ErrorKind::BadData);
        assert!(message.contains("text.txt\" is not valid UTF-8 at byte offset ") && message.contains("--vocab bytes"));
        assert!(message.contains(&format!("offset {offset};")), "{message}");
        let corpus = open(&path, &bytes()).unwrap();
        assert_eq!(read(&corpus).unwrap(), content.iter().map(|&b| u32::from(b)).collect::<Vec<_>>());
    }
    // In the second block of a long file, behind a mark, which counts.
    let mut long = b"\xEF\xBB\xBF".to_vec();
    long.resize(1_500_000, b'x');
    long[1_400_000] = 0xFF;
    let (_dir, path) = file(&long);
    assert!(refused(&path, &chars()).1.contains("offset 1400000;"));
    // The second of two files is named.
    let ((_a, good), (_b, bad)) = (file(b"abc"), file(b"\xFF"));
    let error = Corpus::open(&[good, bad.clone()], &chars()).unwrap_err();
    assert!(matches!(error, CorpusError::InvalidUtf8 { path, offset: 0, .. } if path == bad));
}

#[test]
fn fault_c06_byte_order_marks() {
    let (_dir, path) = file("\u{feff}ab\u{feff}".as_bytes());
    let corpus = open(&path, &OpenOptions { cache_dir: Some(path.with_file_name("cache")), ..chars() }).unwrap();
    // Skipped at the start, a symbol anywhere else.
    assert_eq!((corpus.vocab().symbols(), read(&corpus).unwrap()), (&[0x61, 0x62, 0xFEFF][..], vec![0, 1, 2]));
    assert!(corpus.notes().iter().any(|n| n.contains("UTF-8 byte-order mark, which is skipped")));
    let data = open(&path, &bytes()).unwrap();
    assert_eq!(data.symbols(Split::Train), 8);
    assert!(data.notes().iter().any(|n| n.contains("read as data")));

    let others: [(&[u8], &str); 4] = [
        (b"\xFF\xFEa\0", "UTF-16"),
        (b"\xFE\xFF\0a", "UTF-16"),
        (b"\xFF\xFE\0\0a\0\0\0", "UTF-32"),
        (b"\0\0\xFE\xFF\0\0\0a", "UTF-32"),
    ];
    for (content, encoding) in others {
        let (_dir, path) = file(content);
        let (kind, message) = refused(&path, &chars());
        assert_eq!(kind, ErrorKind::BadData);
        assert!(message.contains(&format!("iconv -f {encoding} -t UTF-8")), "{message}");
        assert_eq!(open(&path, &bytes()).unwrap().symbols(Split::Train), content.len() as u64);
    }
    // Too short to be a mark.
    assert!(Corpus::from_bytes("x", b"\xEF\xBB".to_vec(), &chars()).is_err());
    assert_eq!(Corpus::from_bytes("x", b"\xFF\xFE".to_vec(), &bytes()).unwrap().symbols(Split::Train), 2);
}

#[test]
fn fault_c08_all_byte_values_and_nul() {
    let all: Vec<u8> = (0..=255).collect();
    let (_dir, path) = file(&all);
    assert_eq!(read(&open(&path, &bytes()).unwrap()).unwrap(), (0..256).collect::<Vec<_>>());
    let (_dir, path) = file(b"a\0b\0\x7f");
    let corpus = open(&path, &chars()).unwrap();
    assert_eq!((corpus.vocab().symbols(), read(&corpus).unwrap()), (&[0, 0x61, 0x62, 0x7f][..], vec![1, 0, 2, 0, 3]));
}

#[test]
fn fault_c09_truncated_while_in_use() {
    for (io, options) in [(Io::Map, chars()), (Io::Read, chars()), (Io::Map, bytes()), (Io::Read, bytes())] {
        let (_dir, path) = file(&b"some text to be cut ".repeat(1000));
        let corpus = open(&path, &OpenOptions { io, ..options }).unwrap();
        assert_eq!(read(&corpus).unwrap().len(), 20_000);
        FileOptions::new().write(true).open(&path).unwrap().set_len(77).unwrap();
        let error = read(&corpus).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains("shrank from 20000 to 77 bytes"), "{error}");
        assert!(corpus.check_unchanged().is_err());
    }
}

#[test]
fn fault_c09_the_second_of_two_files_truncated_inside_its_page() {
    for io in [Io::Map, Io::Read] {
        let ((_a, one), (_b, two)) = (file(&[1; 300]), file(&[1; 200]));
        let corpus = Corpus::open(&[one, two.clone()], &OpenOptions { io, ..bytes() }).unwrap();
        FileOptions::new().write(true).open(&two).unwrap().set_len(150).unwrap();
        let error = read(&corpus).unwrap_err();
        assert!(matches!(&error, CorpusError::Shrank { path, from: 200, to: 150 } if *path == two), "{error}");
    }
}

#[test]
fn fault_c10_grown_rewritten_or_replaced_while_in_use() {
    for io in [Io::Map, Io::Read] {
        let content = b"text that stays ".repeat(100_000);
        let (dir, path) = file(&content);
        let corpus = open(&path, &OpenOptions { io, ..chars() }).unwrap();
        let before = read(&corpus).unwrap();
        corpus.check_unchanged().unwrap();
        let writer = FileOptions::new().write(true).open(&path).unwrap();
        let told = |what: &str| {
            let error = corpus.check_unchanged().unwrap_err();
            assert!(error.kind() == ErrorKind::BadData && error.to_string().contains(what), "{error}");
        };

        // Grown: the length is that of the opening, and what is read is the same.
        writer.write_all_at(b"more", content.len() as u64).unwrap();
        assert_eq!(read(&corpus).unwrap(), before);
        told("it had 1600000 bytes when it was opened and has 1600004 now");
        writer.set_len(content.len() as u64).unwrap();
        corpus.check_unchanged().unwrap();

        // Rewritten, by symbols that it has: a warning's business, not the reader's.
        writer.write_all_at(b"ttt", 0).unwrap();
        read(&corpus).unwrap();
        told("rewritten");
        // By symbols that it never had: no id is made up.
        writer.write_all_at(b"\xE9", 500_000).unwrap();
        let error = read(&corpus).unwrap_err();
        assert!(matches!(&error, CorpusError::Changed { what, .. } if what.contains("offset 500000")), "{error}");
        writer.write_all_at(&content, 0).unwrap();
        corpus.check_unchanged().unwrap();

        // Replaced: the opened file is read on.
        let other = dir.path().join("other");
        fs::write(&other, b"other").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(read(&corpus).unwrap(), before);
        told("another file stands at its path");
        fs::remove_file(&path).unwrap();
        assert_eq!(read(&corpus).unwrap(), before);
        told("its path leads nowhere");
    }
}

#[test]
fn fault_c11_paths_that_lead_to_no_file() {
    let (dir, _) = file(b"x");
    let path = |name: &str| dir.path().join(name);
    symlink(path("nowhere"), path("dangling")).unwrap();
    symlink(path("b"), path("a")).unwrap();
    symlink(path("a"), path("b")).unwrap();
    let cases = [
        (path("missing"), "No such file or directory"),
        (path("dangling"), "No such file or directory"),
        (path("a"), "Too many levels of symbolic links"),
        (path("text.txt/below"), "Not a directory"),
    ];
    for (path, text) in cases {
        let (kind, message) = refused(&path, &chars());
        assert_eq!(kind, ErrorKind::Io);
        assert!(message.contains(&format!("{path:?}")) && message.contains(text), "{message}");
    }
    let (kind, message) = refused(dir.path(), &chars());
    assert_eq!(kind, ErrorKind::Io);
    assert!(message.contains(&format!("{:?} is a directory", dir.path())), "{message}");
    // A link that leads to a file is that file.
    symlink(path("text.txt"), path("good")).unwrap();
    assert_eq!(open(&path("good"), &chars()).unwrap().size_bytes(), 1);
}

/// No permission. As root everything is readable, so the test then runs again as nobody, from a copy that nobody can run.
#[test]
fn fault_c11_no_permission() {
    const PATH: &str = "GATEMILL_TEST_UNREADABLE";
    if let Some(path) = std::env::var_os(PATH).map(PathBuf::from) {
        let (kind, message) = refused(&path, &chars());
        assert_eq!(kind, ErrorKind::Io);
        assert!(message.contains(&format!("{path:?}")) && message.contains("Permission denied"), "{message}");
        return;
    }
    let (dir, path) = file(b"secret");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = dir.path().join("test");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut command = Command::new(&program);
    command.args(["--exact", "fault_c11_no_permission"]).env(PATH, &path).current_dir(dir.path());
    if fs::read(&path).is_ok() {
        command.uid(65_534).gid(65_534);
    }
    let child = command.output().unwrap();
    assert!(child.status.success() && String::from_utf8_lossy(&child.stdout).contains("1 passed"), "{child:?}");
}

#[test]
fn fault_c12_pipes_and_sockets() {
    let (dir, _) = file(b"x");
    let (pipe, socket) = (dir.path().join("pipe"), dir.path().join("socket"));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let _listener = UnixListener::bind(&socket).unwrap();
    // Nobody writes to the pipe: opening it in the plain way would wait for ever.
    for (path, what) in [(pipe, "a pipe"), (socket, "a socket")] {
        let (kind, message) = refused(&path, &chars());
        assert_eq!(kind, ErrorKind::BadData);
        assert!(message.contains(&format!("is {what}, not seekable")), "{message}");
    }
}

#[test]
fn fault_c13_devices_and_files_without_length() {
    for path in ["/dev/zero", "/dev/urandom", "/dev/null"] {
        let (kind, message) = refused(Path::new(path), &bytes());
        assert_eq!(kind, ErrorKind::BadData);
        assert!(message.contains("is a device, not seekable"), "{message}");
    }
    let (kind, message) = refused(Path::new("/proc/self/status"), &bytes());
    assert_eq!(kind, ErrorKind::BadData);
    assert!(message.contains("gives its size as 0 bytes and yet has content"), "{message}");
}

#[test]
fn a_fraction_that_is_none_is_a_usage_error() {
    for (val_frac, test_frac, word) in [(1.0, 0.0, "validation"), (0.0, -0.5, "test"), (0.5, 0.5, "nothing to learn")] {
        let options = OpenOptions { val_frac, test_frac, ..chars() };
        let error = Corpus::from_bytes("x", b"abc".to_vec(), &options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains(word), "{error}");
    }
    let nothing = OpenOptions { document_separator: Some(String::new()), ..chars() };
    assert_eq!(Corpus::from_bytes("x", b"abc".to_vec(), &nothing).unwrap_err().kind(), ErrorKind::Usage);
}

#[test]
fn a_fingerprint_is_the_content_s_not_the_path_s() {
    let ((_a, one), (_b, two)) = (file(b"the same"), file(b"the same"));
    let fingerprint = |path: &Path| open(path, &chars()).unwrap().fingerprint();
    assert_eq!(fingerprint(&one), fingerprint(&two));
    assert_eq!(fingerprint(&one), Corpus::from_bytes("x", b"the same".to_vec(), &bytes()).unwrap().fingerprint());
    fs::write(&two, b"the sane").unwrap();
    assert_ne!(fingerprint(&one), fingerprint(&two));
}
