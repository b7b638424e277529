//! Compressed files and standard input: unpacked once, found again, refused where they are damaged, nothing left behind.

use crate::place::{GZIP, Place, ZSTD, all, gzip, long_text, zstd};
use gatemill_corpus::{Corpus, CorpusError, ErrorKind, Io, OpenOptions, Split, VocabKind, expand};
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

#[test]
fn compressed_files_are_read_as_the_plain_one() {
    let place = Place::new();
    let text = long_text();
    let plain = place.open(&place.write("plain", &text)).unwrap();
    let (a, b) = text.split_at(text.len() / 3);
    // A frame of a tool's own, to be skipped, as pzstd writes them.
    let skipped = [0x5A, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 1, 2, 3];
    let ways = [
        ("one.gz", gzip(&text)),
        ("members.gz", [gzip(a), gzip(b""), gzip(b)].concat()),
        ("one.zst", zstd(&text)),
        ("frames.ZST", [&skipped[..], &zstd(a), &skipped, &zstd(b), &zstd(b"")].concat()),
    ];
    for (name, packed) in ways {
        let path = place.write(name, packed);
        for io in [Io::Map, Io::Read] {
            for vocab in [VocabKind::Chars, VocabKind::Bytes] {
                let options = OpenOptions { io, vocab, ..place.options() };
                let corpus = Corpus::open(std::slice::from_ref(&path), &options).unwrap();
                assert_eq!(corpus.fingerprint(), plain.fingerprint(), "{name}");
                assert_eq!(corpus.symbols(Split::Val), plain.symbols(Split::Val));
                assert!(all(&corpus) == text, "{name}");
                corpus.check_unchanged().unwrap();
            }
        }
    }
    assert_eq!(place.cached().len(), 4, "{:?}", place.cached());
}

#[test]
fn a_second_start_does_not_unpack_again_and_a_changed_file_does() {
    let place = Place::new();
    let text = long_text();
    let path = place.write("text.gz", gzip(&text));
    let first = place.open(&path).unwrap();
    let [name] = &place.cached()[..] else { panic!("{:?}", place.cached()) };
    let kept = place.cache().join(name);
    let bytes = format!(
        "{:?} ({},{:03},{:03} bytes)",
        kept,
        text.len() / 1_000_000,
        text.len() / 1000 % 1000,
        text.len() % 1000
    );
    assert_eq!(first.notes(), [format!("{path:?}: unpacked to {bytes}")]);
    let before = fs::metadata(&kept).unwrap();
    assert_eq!((before.len(), before.permissions().mode() & 0o777), (text.len() as u64, 0o600));
    assert_eq!(place.open(&path).unwrap().notes(), [format!("{path:?}: unpacked before to {bytes}")]);
    assert_eq!(fs::metadata(&kept).unwrap().ino(), before.ino());
    // Damaged or cut in the cache: made anew.
    for damage in [text[..text.len() - 1].to_vec(), { [&text[1..], b"x"].concat() }] {
        fs::write(&kept, damage).unwrap();
        assert!(all(&place.open(&path).unwrap()) == text);
        assert!(fs::read(&kept).unwrap() == text);
    }
    // Another text of the same length, as old as the first.
    let other: Vec<u8> = text.iter().map(|b| if *b == b'1' { b'2' } else { *b }).collect();
    let age = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, gzip(&other)).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(age).unwrap();
    assert!(all(&place.open(&path).unwrap()) == other);
    assert_eq!(place.cached().len(), 2);
}

#[test]
fn fault_c10_a_compressed_file_that_is_rewritten_is_told() {
    let place = Place::new();
    let path = place.write("text.gz", gzip(b"abcdefgh"));
    let corpus = place.open(&path).unwrap();
    corpus.check_unchanged().unwrap();
    place.write("text.gz", gzip(b"other"));
    let error = corpus.check_unchanged().unwrap_err();
    assert!(matches!(&error, CorpusError::Changed { path: p, .. } if *p == path), "{error}");
    assert!(error.to_string().contains("the text that was unpacked from it is read on"), "{error}");
    assert_eq!(all(&corpus), b"abcdefgh");
}

#[test]
fn cut_or_damaged_compressed_data_is_refused_and_leaves_nothing() {
    let text = "the gate is open. the water turns the mill.\n".repeat(40).into_bytes();
    for (name, whole, format) in [("text.gz", GZIP, "gzip"), ("text.zst", ZSTD, "Zstandard")] {
        let place = Place::new();
        let path = place.write(name, whole);
        assert!(all(&place.open(&path).unwrap()) == text, "{name}");
        fs::remove_dir_all(place.cache()).unwrap();
        for len in 0..whole.len() {
            // Cut, and cut in a second member.
            for packed in [whole[..len].to_vec(), [whole, &whole[..len]].concat()] {
                if packed.len() == whole.len() {
                    continue;
                }
                place.write(name, &packed);
                let error = place.open(&path).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::BadData, "{error}");
                assert!(
                    error.to_string().contains(&format!("{path:?}")) && error.to_string().contains(format),
                    "{error}"
                );
                assert_eq!(place.cached(), [""; 0], "{name} cut to {len}");
            }
        }
        for bit in (0..8 * whole.len()).step_by(5) {
            let mut packed = whole.to_vec();
            packed[bit / 8] ^= 1 << (bit % 8);
            place.write(name, &packed);
            // A bit that says nothing of the text (a time, an operating system) may be any.
            match place.open(&path) {
                Ok(corpus) => assert!(all(&corpus) == text, "{name}, bit {bit}"),
                Err(e) => assert_eq!(e.kind(), ErrorKind::BadData, "{name}, bit {bit}: {e}"),
            }
            assert!(!place.cached().iter().any(|name| name.ends_with(".tmp")), "{:?}", place.cached());
        }
    }
}

#[test]
fn a_name_that_promises_something_else_is_told() {
    let place = Place::new();
    let refused = |path: PathBuf| {
        let error = place.open(&path).unwrap_err();
        assert_eq!((error.kind(), place.cached().len()), (ErrorKind::BadData, 0));
        error.to_string()
    };
    let message = refused(place.write("text.gz", "hello"));
    assert!(message.contains("does not begin like a gzip file: it begins with 68 65 6c 6c"), "{message}");
    let message = refused(place.write("text.zst", GZIP));
    assert!(message.contains("does not begin like a Zstandard file: it begins with 1f 8b 08 00"), "{message}");
    let message = refused(place.write("none.gz", ""));
    assert!(message.contains("it begins with nothing"), "{message}");
    // The other way round: a name that does not say it.
    for (packed, ending) in [(GZIP, ".gz"), (ZSTD, ".zst")] {
        let path = place.write("text", packed);
        let message = refused(path.clone());
        assert!(message.contains(&format!("give it a name that ends in {ending}, and it is unpacked")), "{message}");
        // As bytes it is what it is.
        let options = OpenOptions { vocab: VocabKind::Bytes, ..place.options() };
        assert_eq!(all(&Corpus::open(&[path], &options).unwrap()), packed);
    }
}

#[test]
fn where_nothing_can_be_kept_the_folder_is_told() {
    let place = Place::new();
    fs::write(place.cache(), "in the way").unwrap();
    let error = place.open(&place.write("text.gz", GZIP)).unwrap_err();
    assert!(matches!(&error, CorpusError::Keep { dir, .. } if *dir == place.cache()), "{error}");
    let standard = place.expand(&["-".into()], b"text").unwrap_err();
    assert_eq!((error.kind(), standard.kind()), (ErrorKind::Io, ErrorKind::Io));
    assert!(standard.to_string().contains("\"standard input\" cannot be kept in"), "{standard}");
}

#[test]
fn standard_input_is_kept_under_a_name_made_of_its_content() {
    let place = Place::new();
    let text = long_text();
    for stdin in [text.clone(), gzip(&text), zstd(&text)] {
        let expanded = place.expand(&["-".into()], &stdin).unwrap();
        let [path] = &expanded.paths[..] else { panic!("{expanded:?}") };
        assert!(fs::read(path).unwrap() == text);
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(expanded.notes[0].starts_with(&format!("standard input: kept in {path:?}")), "{:?}", expanded.notes);
        assert!(all(&place.open(path).unwrap()) == text);
    }
    assert_eq!(place.cached().len(), 1, "{:?}", place.cached());
    place.expand(&["-".into()], b"another").unwrap();
    assert_eq!(place.cached().len(), 2);

    // Byte by byte, as a slow pipe has it.
    struct Slow<'a>(&'a [u8]);
    impl Read for Slow<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let len = out.len().min(1);
            self.0.read(&mut out[..len])
        }
    }
    let slow = expand(&["-".into()], &mut Slow(GZIP), Some(place.cache())).unwrap();
    assert_eq!(fs::metadata(&slow.paths[0]).unwrap().len(), 40 * 44);
}

#[test]
fn standard_input_that_is_nothing_cut_failing_or_asked_for_twice_leaves_nothing() {
    let place = Place::new();
    assert!(matches!(place.expand(&["-".into()], b""), Err(CorpusError::Empty { size_bytes: 0 })));
    assert!(matches!(place.expand(&["-".into()], &gzip(b"")), Err(CorpusError::Empty { size_bytes: 0 })));
    let twice = place.expand(&["-".into(), "-".into()], b"text").unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::Usage);
    for packed in [GZIP, ZSTD] {
        let error = place.expand(&["-".into()], &packed[..packed.len() - 1]).unwrap_err();
        assert!(matches!(error, CorpusError::Unpack { .. }), "{error}");
    }
    struct Failing(bool);
    impl Read for Failing {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            if std::mem::replace(&mut self.0, true) {
                return Err(std::io::Error::from_raw_os_error(5));
            }
            out[..GZIP.len() / 2].copy_from_slice(&GZIP[..GZIP.len() / 2]);
            Ok(GZIP.len() / 2)
        }
    }
    let error = expand(&["-".into()], &mut Failing(false), Some(place.cache())).unwrap_err();
    assert!(error.is_io() && error.to_string().starts_with("reading \"standard input\""), "{error}");
    assert_eq!(place.cached(), [""; 0]);
}
