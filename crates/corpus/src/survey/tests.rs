//! The survey against a reading of the whole text at once, in any blocks.

use super::pass::{Sizes, over};
use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

/// Blocks so small that everything lies across their borders, and maps that are emptied all the time.
fn tiny(block_bytes: u64) -> Sizes {
    Sizes { block_bytes, group: 3, worker_pairs: 2, most_pairs: 1 << 20 }
}

fn surveyed(files: &[Vec<u8>], vocab: VocabKind, sizes: Sizes) -> Survey {
    let sources: Vec<Source> = files.iter().map(|bytes| Source::from_bytes(Path::new("x"), bytes.clone())).collect();
    over(&sources, vocab, sizes, &|_, _| {}).unwrap()
}

fn naive_file(bytes: &[u8], vocab: VocabKind) -> FileSurvey {
    let marked = bytes.starts_with(b"\xef\xbb\xbf");
    let start = if marked && vocab == VocabKind::Chars { 3 } else { 0 };
    let text = String::from_utf8_lossy(&bytes[start..]);
    let (mut fault_offsets, mut at) = (Vec::new(), start);
    let mut nfc = true;
    for chunk in bytes[start..].utf8_chunks() {
        nfc &= unicode_normalization::is_nfc(chunk.valid());
        at += chunk.valid().len();
        if !chunk.invalid().is_empty() {
            fault_offsets.push(at as u64);
        }
        at += chunk.invalid().len();
    }
    let crlf = text.matches("\r\n").count() as u64;
    let count = |c: char| text.chars().filter(|&x| x == c).count() as u64;
    // Where each line begins, in bytes of the file.
    let (mut lines, mut line, mut at) = (Vec::new(), (0, start as u64), start as u64);
    let mut chunks = bytes[start..].utf8_chunks().flat_map(|chunk| {
        let wrong = (!chunk.invalid().is_empty()).then_some(('\u{fffd}', chunk.invalid().len()));
        chunk.valid().chars().map(|c| (c, c.len_utf8())).chain(wrong)
    });
    for (c, len) in &mut chunks {
        at += len as u64;
        if c == '\n' || c == '\r' {
            lines.push(line);
            line = (0, at);
        } else {
            line.0 += 1;
        }
    }
    lines.push(line);
    let longest = lines.iter().map(|line| line.0).max().unwrap();
    let longest_at = lines.iter().find(|line| line.0 == longest && longest > 0).map_or(0, |line| line.1);
    FileSurvey {
        path: "x".into(),
        size_bytes: bytes.len() as u64,
        byte_order_mark: marked.then_some("UTF-8"),
        characters: text.chars().count() as u64,
        nuls: count('\0'),
        faults: fault_offsets.len() as u64,
        fault_offsets: fault_offsets.into_iter().take(10).collect(),
        nfc,
        lines: Lines { lf: count('\n') - crlf, crlf, cr: count('\r') - crlf, longest, longest_at },
    }
}

fn naive_symbols(files: &[Vec<u8>], vocab: VocabKind) -> Vec<u32> {
    let of = |bytes: &Vec<u8>| -> Vec<u32> {
        match vocab {
            VocabKind::Bytes => bytes.iter().map(|&byte| byte.into()).collect(),
            VocabKind::Chars => {
                let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
                String::from_utf8_lossy(text).chars().map(u32::from).collect()
            }
        }
    };
    files.iter().flat_map(of).collect()
}

/// By the definition, symbol after symbol.
fn naive_bigram(symbols: &[u32], vocab_len: u64) -> Option<Bigram> {
    let cut = symbols.len() * 9 / 10;
    if cut == 0 {
        return None;
    }
    let (head, tail) = symbols.split_at(cut);
    let (mut pairs, mut before) = (HashMap::new(), HashMap::new());
    for pair in head.windows(2) {
        *pairs.entry((pair[0], pair[1])).or_insert(0u32) += 1;
        *before.entry(pair[0]).or_insert(0u32) += 1;
    }
    let mut nats = 0.0;
    for pair in symbols[cut - 1..].windows(2) {
        let seen = pairs.get(&(pair[0], pair[1])).map_or(0.0, |&n| f64::from(n));
        let total = before.get(&pair[0]).map_or(0.0, |&n| f64::from(n));
        nats -= libm::log((seen + 0.05) / (total + 0.05 * vocab_len as f64));
    }
    let mut new: Vec<u32> = tail.iter().copied().filter(|symbol| !head.contains(symbol)).collect();
    let unseen = new.len() as u64;
    new.sort_unstable();
    new.dedup();
    Some(Bigram { nats: nats / tail.len() as f64, symbols: tail.len() as u64, unseen, unseen_kinds: new.len() as u64 })
}

fn check(files: &[Vec<u8>], vocab: VocabKind, sizes: Sizes) {
    let survey = surveyed(files, vocab, sizes);
    let naive: Vec<FileSurvey> = files.iter().map(|bytes| naive_file(bytes, vocab)).collect();
    assert_eq!(survey.files, naive);
    let symbols = naive_symbols(files, vocab);
    assert_eq!(survey.symbols, symbols.len() as u64);
    let mut counts = HashMap::new();
    symbols.iter().for_each(|&symbol| *counts.entry(symbol).or_insert(0) += 1);
    let mut counts: Vec<(u32, u64)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    assert_eq!(survey.counts, counts);
    assert_eq!(survey.vocab_len, if vocab == VocabKind::Bytes { 256 } else { counts.len() as u64 });

    let n = symbols.len() as f64;
    let entropy: f64 = counts.iter().map(|&(_, count)| -(count as f64 / n) * libm::log(count as f64 / n)).sum();
    assert!((survey.yardsticks.unigram_nats - entropy).abs() < 1e-12);
    match (survey.yardsticks.bigram, naive_bigram(&symbols, survey.vocab_len)) {
        (None, None) => {}
        (Some(found), Some(naive)) => {
            assert!((found.nats - naive.nats).abs() < 1e-12 * naive.nats.max(1.0), "{found:?} {naive:?}");
            assert_eq!(Bigram { nats: 0.0, ..found }, Bigram { nats: 0.0, ..naive });
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn fault_c05_every_fault_is_counted_and_told_in_any_blocks() {
    let text = b"a\xc3\xa9\xff\xe1\x84x\x80\x80\x80\x80\x80\xf0\x9f\x98\xf0\x9f\x98\x80\xed\xa0\x80\xc3";
    for block_bytes in 3..=text.len() as u64 + 1 {
        for from in 0..text.len() {
            check(&[text[from..].to_vec()], VocabKind::Chars, tiny(block_bytes));
        }
    }
    let survey = survey_bytes("x", [b"text ".as_slice(), &[0xFF; 25]].concat(), VocabKind::Chars).unwrap();
    assert_eq!((survey.faults(), survey.files[0].fault_offsets.clone()), (25, (5..15).collect()));
    assert_eq!(survey.counts[0], (0xFFFD, 25));
}

#[test]
fn fault_c07_line_ends_are_told_apart_across_blocks() {
    let text = b"\r\n\r\r\nab\n\ncde\rf\r\n\r";
    for block_bytes in 3..=text.len() as u64 + 1 {
        check(&[text.to_vec(), b"\n".to_vec(), Vec::new(), b"\r".to_vec()], VocabKind::Chars, tiny(block_bytes));
    }
    let lines = survey_bytes("x", text.to_vec(), VocabKind::Bytes).unwrap().files[0].lines;
    assert_eq!(lines, Lines { lf: 2, crlf: 3, cr: 3, longest: 3, longest_at: 9 });
}

#[test]
fn a_text_is_in_nfc_or_not_however_it_is_cut() {
    let texts = [
        ("e\u{301}", false), // a composition of it exists
        ("\u{e9}", true),
        ("q\u{301}\u{323}", false), // marks out of order
        ("q\u{323}\u{301}", true),
        ("\u{1100}\u{1161}\u{11a8}", false), // a syllable in its parts
        ("\u{ac01}", true),
        ("\u{2126}", false), // the ohm sign is an omega
        ("\u{344}", false),
    ];
    for (text, nfc) in texts {
        for before in ["", "a", "abc", "\u{ac00}\u{ac00}"] {
            let bytes = format!("{before}{text}z").into_bytes();
            for block_bytes in 3..=bytes.len() as u64 + 1 {
                let survey = surveyed(std::slice::from_ref(&bytes), VocabKind::Chars, tiny(block_bytes));
                assert_eq!(survey.files[0].nfc, nfc, "{before:?} {text:?} in blocks of {block_bytes}");
            }
        }
    }
    // Marks behind a fault that ends a block.
    let bytes = b"ab\xff\xcc\x81\xcc\xa3z".to_vec();
    for block_bytes in 3..9 {
        assert!(
            !surveyed(std::slice::from_ref(&bytes), VocabKind::Chars, tiny(block_bytes)).files[0].nfc,
            "{block_bytes}"
        );
    }
}

#[test]
fn more_pairs_than_can_be_kept_are_said_and_nothing_else_is_lost() {
    let text: String = (0..400u32).filter_map(|i| char::from_u32(0x4E00 + i * 7 % 400)).collect();
    let sizes = Sizes { most_pairs: 300, ..tiny(50) };
    let survey = surveyed(&[text.clone().into()], VocabKind::Chars, sizes);
    assert_eq!(survey.yardsticks.bigram, None);
    assert_eq!((survey.symbols, survey.vocab_len), (400, 400));
    assert!(surveyed(&[text.into()], VocabKind::Chars, tiny(50)).yardsticks.bigram.is_some());
}

#[test]
fn fault_c02_one_symbol_costs_nothing() {
    for n in 1..30 {
        let survey = survey_bytes("x", vec![b'x'; n], VocabKind::Chars).unwrap();
        let Yardsticks { ln_v, unigram_nats, bigram } = survey.yardsticks;
        assert_eq!((ln_v, unigram_nats.to_bits()), (0.0, 0), "{n}");
        assert_eq!(bigram.map(|bigram| bigram.nats), (n > 1).then_some(0.0), "{n}");
    }
}

#[test]
fn fault_c01_nothing_is_an_error() {
    let empty = |bytes: &[u8], vocab| survey_bytes("x", bytes.to_vec(), vocab).unwrap_err();
    assert!(matches!(empty(b"", VocabKind::Bytes), CorpusError::Empty { size_bytes: 0 }));
    assert!(matches!(empty(b"\xef\xbb\xbf", VocabKind::Chars), CorpusError::Empty { size_bytes: 3 }));
    assert!(matches!(survey(&[], &SurveyOptions::default(), &|_, _| {}), Err(CorpusError::Empty { .. })));
}

#[test]
fn progress_rises_to_the_whole() {
    let told = std::sync::Mutex::new(Vec::new());
    let source = Source::from_bytes(Path::new("x"), b"abc".repeat(500));
    over(&[source], VocabKind::Chars, tiny(100), &|done, all| told.lock().unwrap().push((done, all))).unwrap();
    let told = told.into_inner().unwrap();
    assert!(told.len() > 15 && told.iter().all(|&(done, all)| done <= all && all == 1500), "{told:?}");
    assert_eq!(told.last(), Some(&(1500, 1500)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]
    #[test]
    fn any_text_in_any_blocks(
        files in prop::collection::vec("[ab\r\n\u{e9}\u{301}\u{323}\u{1100}\u{1161}\u{ac00}\u{10348}]{0,60}|[a-e\n]{0,90}", 1..4),
        block_bytes in 3u64..70,
    ) {
        prop_assume!(!files.concat().is_empty());
        let files: Vec<Vec<u8>> = files.into_iter().map(String::into_bytes).collect();
        check(&files, VocabKind::Chars, tiny(block_bytes));
        check(&files, VocabKind::Bytes, tiny(block_bytes));
    }
    #[test]
    fn any_bytes_in_any_blocks(
        bytes in prop::collection::vec(
            prop::sample::select(&[b'a', b'\n', b'\r', 0, 0x80, 0x81, 0xA3, 0xBF, 0xC3, 0xCC, 0xE3, 0xED, 0xEF, 0xBB, 0xF1, 0xFF][..]),
            1..60,
        ),
        block_bytes in 3u64..20,
    ) {
        prop_assume!(bytes != b"\xef\xbb\xbf" && !bytes.starts_with(b"\xff\xfe") && !bytes.starts_with(b"\xfe\xff"));
        check(std::slice::from_ref(&bytes), VocabKind::Chars, tiny(block_bytes));
        check(&[bytes], VocabKind::Bytes, tiny(block_bytes));
    }
}
