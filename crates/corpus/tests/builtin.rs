//! The built-in text from outside: its bits, its labels by another reader, its rate against samples and other models.

use std::collections::HashMap;

use gatemill_corpus::builtin::{Builtin, Labels, entropy_rate, read, stream, text, text_with_labels};
use sha2::{Digest, Sha256};

/// Binds machines and versions to each other: a change of the grammar changes it, and that is a change for users.
#[test]
fn the_first_megabyte_of_seed_1_is_the_same_everywhere() {
    let digest: String = Sha256::digest(text(1_000_000, 1)).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, "e174d5ab5cc05a6dbabdcbc458599bdaa053b960862286fa1d40b19ed4fbd6dd");
}

#[test]
fn the_rate_is_the_same_everywhere() {
    let rate = entropy_rate();
    assert_eq!(rate.bits_per_char.to_bits(), 4_605_163_068_621_576_006, "{rate:?}");
    assert!((rate.nats_per_char - rate.bits_per_char * std::f64::consts::LN_2).abs() < 1e-15);
}

#[test]
fn a_longer_text_starts_with_the_shorter_and_pieces_make_the_whole() {
    let long = text(50_000, 9);
    for bytes in [0, 1, 2, 999, 1000, 49_999] {
        assert!(long.starts_with(&text(bytes, 9)), "{bytes}");
    }
    for step in [1, 7, 640, 4096] {
        let mut stream = Builtin::new(9);
        let mut whole = vec![0; long.len()];
        whole.chunks_mut(step).for_each(|piece| stream.fill(piece));
        assert!(whole == long, "pieces of {step}");
    }
    let mut stream = Builtin::new(9);
    let mut whole = Vec::new();
    while whole.len() < long.len() {
        whole.extend_from_slice(stream.next_episode().0);
    }
    assert!(whole.starts_with(&long));
    assert_ne!(text(1000, 9), text(1000, 10));
}

#[test]
fn the_stream_is_the_text_on_any_number_of_threads_and_ends_where_it_is_told() {
    let long = text(5_000_000, 9);
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        for bytes in [0, 1, 1000, 5_000_000] {
            let mut whole = Vec::new();
            let take = |piece: &[u8]| {
                whole.extend_from_slice(piece);
                Ok::<_, ()>(true)
            };
            pool.install(|| stream(bytes, 9, take)).unwrap();
            assert!(whole == long[..bytes as usize], "{bytes} bytes on {threads} threads");
        }
        let mut pieces = 0;
        let mut until = |end: Result<bool, &'static str>| {
            pool.install(|| {
                stream(u64::MAX, 9, |_| {
                    pieces += 1;
                    if pieces % 20 == 0 { end } else { Ok(true) }
                })
            })
        };
        assert_eq!(until(Ok(false)), Ok(()));
        assert_eq!(until(Err("full")), Err("full"));
        assert_eq!(pieces, 40, "no more was made than was taken");
    }
}

#[test]
fn labels_come_at_any_point_of_a_stream() {
    let (all, labels) = text_with_labels(20_000, 4);
    for head in [0, 1, 333, 5000] {
        let mut stream = Builtin::new(4);
        stream.fill(&mut vec![0; head]);
        let (mut text, mut marks) = (Vec::new(), Vec::new());
        stream.fill_with_labels(all.len() - head, &mut text, &mut marks);
        assert!(text == all[head..] && marks == labels[head..], "after {head}");
    }
}

#[test]
fn characters_are_few_and_printable() {
    let mut seen: Vec<u8> = text(2_000_000, 2);
    seen.sort_unstable();
    seen.dedup();
    assert!(seen.iter().all(|&byte| byte == b'\n' || byte == b' ' || byte.is_ascii_graphic()));
    assert_eq!(seen.len(), 74, "{}", String::from_utf8_lossy(&seen));
}

/// Reads the marks alone, knowing nothing of the grammar.
#[derive(Default)]
struct Scanner {
    quotes: Vec<u8>,
    brackets: Vec<u8>,
    /// For each open brace, whether an `if` or `else` opened it.
    braces: Vec<bool>,
    /// The bracket depth at which the condition of an `if` stands.
    condition: Option<usize>,
    comment: bool,
    code: bool,
    /// The next brace belongs to an `if`.
    body_next: bool,
}

impl Scanner {
    /// The labels once byte `at` is read.
    fn read(&mut self, text: &[u8], at: usize) -> Labels {
        let before = &text[..at];
        if at == 0 || before.ends_with(b"\n\n") {
            assert!(self.quotes.is_empty() && self.brackets.is_empty() && self.braces.is_empty() && !self.comment);
            self.code = text[at] != b' ';
        }
        let byte = text[at];
        match byte {
            b'\n' if self.comment => self.comment = false,
            b'\n' if text.get(at + 1) == Some(&b'\n') => self.code = false,
            b'/' if text.get(at + 1) == Some(&b'/') => self.comment = true,
            b'"' | b'\'' => match self.quotes.last() {
                Some(&mark) if mark == byte => drop(self.quotes.pop()),
                _ => self.quotes.push(byte),
            },
            b'(' | b'[' => {
                if before.ends_with(b"if ") && self.code {
                    self.condition = Some(self.brackets.len());
                }
                self.brackets.push(byte);
            }
            b')' | b']' => {
                let open = self.brackets.pop().expect("a bracket closes that none opened");
                assert_eq!((open, byte == b')'), (if byte == b')' { b'(' } else { b'[' }, open == b'('), "byte {at}");
                if self.condition == Some(self.brackets.len()) {
                    (self.condition, self.body_next) = (None, true);
                }
            }
            b'{' => {
                self.braces.push(self.body_next || before.ends_with(b"else "));
                self.body_next = false;
            }
            b'}' => drop(self.braces.pop().expect("a brace closes that none opened")),
            _ => {}
        }
        Labels {
            quote_depth: self.quotes.len() as u8,
            bracket_depth: self.brackets.len() as u8,
            indent: self.braces.len() as u8,
            if_condition: self.condition.is_some(),
            if_body: self.braces.contains(&true),
            comment: self.comment,
            code: self.code,
        }
    }
}

#[test]
fn labels_agree_with_a_scanner_that_sees_only_marks() {
    let (text, labels) = text_with_labels(3_000_000, 6);
    assert_eq!(text.len(), labels.len());
    let mut scanner = Scanner::default();
    let mut counts: HashMap<String, usize> = HashMap::new();
    for (at, label) in labels.iter().enumerate() {
        let found = scanner.read(&text, at);
        let near = String::from_utf8_lossy(&text[at.saturating_sub(60)..=at]);
        assert_eq!(*label, found, "byte {at}, after {near:?}");
        for (what, on) in [
            (format!("quote depth {}", label.quote_depth), true),
            (format!("bracket depth {}", label.bracket_depth), true),
            (format!("indent {}", label.indent), true),
            ("if condition".into(), label.if_condition),
            ("if body".into(), label.if_body),
            ("comment".into(), label.comment),
            ("code".into(), label.code),
        ] {
            *counts.entry(what).or_default() += usize::from(on);
        }
    }
    for (what, deepest) in [("quote depth", 3), ("bracket depth", 3), ("indent", 4)] {
        for depth in 0..=deepest {
            assert!(counts[&format!("{what} {depth}")] > 1000, "{what} {depth}: {counts:?}");
        }
    }
    for what in ["if condition", "if body", "comment", "code"] {
        assert!(counts[what] > 10_000, "{what}: {counts:?}");
    }
}

/// A line of code is indented by two spaces for each brace that is open before it.
#[test]
fn indentation_follows_the_braces() {
    let (text, labels) = text_with_labels(500_000, 8);
    let mut lines = 0;
    for at in 1..text.len() {
        let starts_line = text[at - 1] == b'\n' && labels[at - 1].code;
        if starts_line && text[at] != b'\n' {
            let spaces = text[at..].iter().take_while(|&&byte| byte == b' ').count();
            let Some(&first) = text.get(at + spaces) else { break };
            let depth = usize::from(labels[at - 1].indent) - usize::from(first == b'}');
            assert_eq!(spaces, 2 * depth, "byte {at}");
            lines += 1;
        }
    }
    assert!(lines > 5000, "{lines}");
}

/// Over 20 MB the choices' -log2 p and the lengths meet the exact means within five standard errors.
#[test]
fn the_exact_rate_is_that_of_the_choices_made() {
    let rate = entropy_rate();
    let (mut bytes, mut bits, mut episodes) = (0.0, 0.0, 0.0);
    // Sums of squares of what should have mean 0: bits - rate * length, and each mean's own deviation.
    let (mut excess, mut bits_off, mut bytes_off) = ([0.0; 2], [0.0; 2], [0.0; 2]);
    let mut stream = Builtin::new(12);
    while bytes < 20e6 {
        let (text, its_bits) = stream.next_episode();
        let length = text.len() as f64;
        (bytes, bits, episodes) = (bytes + length, bits + its_bits, episodes + 1.0);
        for (sums, off) in [
            (&mut excess, its_bits - rate.bits_per_char * length),
            (&mut bits_off, its_bits - rate.bits_per_episode),
            (&mut bytes_off, length - rate.chars_per_episode),
        ] {
            sums[0] += off;
            sums[1] += off * off;
        }
    }
    for (what, [sum, squares]) in [("rate", excess), ("bits", bits_off), ("characters", bytes_off)] {
        assert!(f64::abs(sum) < 5.0 * squares.sqrt(), "{what}: {sum} of {squares}; {bits} bits in {bytes} bytes");
    }
    // A wrong rate would be seen: the standard error is below a thousandth of it.
    assert!(excess[1].sqrt() < 1e-3 * bits, "{excess:?}");
}

#[test]
fn reading_gives_the_bits_that_writing_counted() {
    let (mut text, mut bits) = (Vec::new(), 0.0);
    let mut stream = Builtin::new(21);
    for _ in 0..3000 {
        let (episode, its_bits) = stream.next_episode();
        text.extend_from_slice(episode);
        bits += its_bits;
    }
    let reading = read(&text).unwrap();
    assert_eq!((reading.episodes, reading.bytes), (3000, text.len()));
    assert!((reading.bits - bits).abs() < 1e-9 * bits, "{reading:?} {bits}");
}

/// `doc/builtin.md` shows text that the grammar writes, and the rate that it has.
#[test]
fn the_page_tells_the_truth() {
    let page = include_str!("../../../doc/builtin.md");
    let (_, rest) = page.split_once("```text\n").unwrap();
    let (excerpt, _) = rest.split_once("```").unwrap();
    assert_eq!(read(excerpt.as_bytes()).unwrap().episodes, 2);
    let rate = entropy_rate();
    let means =
        format!("{:.4} / {:.4} = {:.6} bits", rate.bits_per_episode, rate.chars_per_episode, rate.bits_per_char);
    assert!(page.contains(&means), "{means}");
    assert!(page.contains(&format!("= {:.6} nats", rate.nats_per_char)));
}

/// An adaptive model that mixes the contexts of 0 to 6 characters (Witten and Bell, 1991) codes the text in more bits.
///
/// A code that saves k bits against the true -log2 p of a text exists for a share of at most 2^-k of all texts; so if
/// `read` overstated the bits, a good enough model would show it.
#[test]
fn no_model_of_short_contexts_codes_the_text_in_fewer_bits() {
    const ORDER: usize = 6;
    let text = text(500_000, 31);
    let reading = read(&text).unwrap();
    let text = &text[..reading.bytes];
    let mut contexts: HashMap<u64, Vec<(u8, u32)>> = HashMap::new();
    let mut coded = 0.0;
    for at in 0..text.len() {
        let mut p = 1.0 / 256.0;
        for order in 0..=ORDER.min(at) {
            // The order and its bytes, packed: at most 6 bytes below one.
            let key = text[at - order..at].iter().fold(order as u64, |key, &byte| key << 8 | u64::from(byte));
            let seen = contexts.entry(key).or_default();
            let total = f64::from(seen.iter().map(|&(_, n)| n).sum::<u32>());
            let kinds = seen.len() as f64;
            let found = seen.iter_mut().find(|(byte, _)| *byte == text[at]);
            if kinds > 0.0 {
                let times = found.as_ref().map_or(0.0, |(_, n)| f64::from(*n));
                p = (times + kinds * p) / (total + kinds);
            }
            match found {
                Some((_, n)) => *n += 1,
                None => seen.push((text[at], 1)),
            }
        }
        coded -= libm::log2(p);
    }
    assert!(coded > reading.bits, "{coded} bits against {}", reading.bits);
    // The model is a fair rival: it takes less than two and a half times the bits.
    assert!(coded < 2.5 * reading.bits, "{coded} bits against {}", reading.bits);
}
