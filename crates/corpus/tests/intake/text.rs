//! What is in a text: marks, line ends, combining characters, and what is not UTF-8.

use crate::place::{Place, all, gzip, read};
use gatemill_corpus::{Corpus, CorpusError, OpenOptions, Split, VocabKind};

#[test]
fn fault_c06_marks_are_found_in_folders_and_in_unpacked_text() {
    let place = Place::new();
    place.write("a.gz", gzip(b"\xEF\xBB\xBFone "));
    place.write("b", b"\xEF\xBB\xBFtwo ");
    place.write("c", b"three");
    let paths = place.expand(&[place.path("texts")], b"").unwrap().paths;
    let corpus = Corpus::open(&paths, &OpenOptions { val_frac: 0.0, ..place.options() }).unwrap();
    assert_eq!(read(&corpus, Split::Train), b"one two three");
    let marks = corpus.notes().iter().filter(|note| note.contains("UTF-8 byte-order mark, which is skipped")).count();
    assert_eq!(marks, 2, "{:?}", corpus.notes());
    let wide = place.write("d.gz", gzip(b"\xFF\xFEa\0b\0"));
    let error = place.open(&wide).unwrap_err();
    assert!(matches!(&error, CorpusError::Utf16 { path, .. } if *path == wide), "{error}");
}

#[test]
fn fault_c05_offsets_in_unpacked_text_are_called_so() {
    let place = Place::new();
    let path = place.write("text.gz", gzip(b"abc\xE9def"));
    let message = place.open(&path).unwrap_err().to_string();
    assert!(
        message.contains(&format!("{path:?} is not valid UTF-8 at byte offset 3 of its unpacked text")),
        "{message}"
    );
}

#[test]
fn fault_c05_lossy_reads_what_the_standard_library_reads() {
    let place = Place::new();
    let mut bytes = Vec::new();
    for i in 0..60_000u32 {
        bytes.extend_from_slice("a\u{e9}\u{ac00}\u{10348}".as_bytes());
        // Around 80 places, some in a row; one in the last bytes of a block of 2^18.
        if i.is_multiple_of(777) {
            bytes.extend_from_slice(&[0xFF, 0xE2, 0x98, b'x', 0x80][..1 + i as usize % 5]);
        }
    }
    bytes[(1 << 18) - 1] = 0xF1;
    bytes.extend_from_slice(&[0xF0, 0x90]);
    let right = String::from_utf8_lossy(&bytes).into_owned();
    let count = bytes.utf8_chunks().filter(|chunk| !chunk.invalid().is_empty()).count();
    let first = std::str::from_utf8(&bytes).unwrap_err().valid_up_to();
    let path = place.write("text", &bytes);
    let strict = place.open(&path).unwrap_err();
    assert!(matches!(strict, CorpusError::InvalidUtf8 { offset, .. } if offset == first as u64), "{strict}");
    assert_eq!(place.cached(), [""; 0]);
    let lossy = OpenOptions { lossy: true, val_frac: 0.0, ..place.options() };
    let note =
        format!("{path:?} is not UTF-8 in {count} places, the first at byte offset {first}; U+FFFD is read there");
    // The second time from the cache, in memory, and packed.
    let packed = place.write("text.gz", gzip(&bytes));
    for (path, note) in [(&path, note.clone()), (&path, note.clone()), (&packed, String::new())] {
        let corpus = Corpus::open(std::slice::from_ref(path), &lossy).unwrap();
        assert!(String::from_utf8(read(&corpus, Split::Train)).unwrap() == right);
        assert_eq!(corpus.size_bytes(), bytes.len() as u64);
        let mut symbols: Vec<u32> = right.chars().map(u32::from).collect();
        symbols.sort_unstable();
        symbols.dedup();
        assert_eq!(corpus.vocab().symbols(), symbols);
        assert!(note.is_empty() || corpus.notes().contains(&note), "{:?}", corpus.notes());
        corpus.check_unchanged().unwrap();
    }
    let memory = Corpus::from_bytes("memory", bytes.clone(), &lossy).unwrap();
    assert!(String::from_utf8(read(&memory, Split::Train)).unwrap() == right);
    // As bytes nothing is replaced; text that is UTF-8 stays as it is and makes no copy.
    let data = OpenOptions { vocab: VocabKind::Bytes, ..lossy.clone() };
    assert!(read(&Corpus::open(&[path], &data).unwrap(), Split::Train) == bytes);
    let before = place.cached();
    let plain = place.write("plain", "plain text");
    assert!(Corpus::open(&[plain], &lossy).unwrap().notes().is_empty());
    assert_eq!(place.cached(), before);
}

#[test]
fn fault_c07_mixed_line_ends_are_told_and_kept() {
    let place = Place::new();
    let notes = |text: &str| {
        let options = OpenOptions { val_frac: 0.0, ..place.options() };
        let corpus = Corpus::open(&[place.write("text", text)], &options).unwrap();
        assert_eq!(String::from_utf8(read(&corpus, Split::Train)).unwrap(), text);
        corpus.notes().to_vec()
    };
    for pure in ["a\nb\nc\n", "a\r\nb\r\nc", "a\rb\rc\r", "abcd"] {
        assert_eq!(notes(pure), [""; 0], "{pure:?}");
    }
    let mixed = |counts: &str| [format!("the line ends are mixed ({counts}); all of them are kept as they are")];
    assert_eq!(notes("a\r\nb\nc\r\r\n"), mixed("2 CRLF, 1 LF, 1 CR"));
    assert_eq!(notes("a\nb\r"), mixed("1 LF, 1 CR"));
    // Across files too; bytes are data.
    let files = [place.write("unix", "a\nb\n"), place.write("dos", "a\r\n")];
    assert_eq!(Corpus::open(&files, &place.options()).unwrap().notes(), mixed("1 CRLF, 2 LF"));
    let data = OpenOptions { vocab: VocabKind::Bytes, ..place.options() };
    assert!(Corpus::open(&files, &data).unwrap().notes().is_empty());
}

#[test]
fn combining_characters_are_told_and_kept() {
    let place = Place::new();
    let corpus = place.open(&place.write("text", "cafe\u{301} caf\u{e9}")).unwrap();
    let [note] = corpus.notes() else { panic!("{:?}", corpus.notes()) };
    assert!(note.contains("U+0301") && note.contains("uconv -x any-nfc"), "{note}");
    assert_eq!(all(&corpus), "cafe\u{301} caf\u{e9}".as_bytes());
}
