//! Model files from strangers: each row of the catalogue gives its own error, and nothing is allocated on their word.

use std::io::{self, Read};

use gatemill_train::checkpoint::form::{MAX_HEADER_BYTES, decode, decode_from};
use gatemill_train::checkpoint::{FormError, Snapshot};

use crate::scenario::{bytes_of, tensor};

/// A file with this header and so many zero bytes of data.
fn file(header: &str, data_bytes: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(vec![0; data_bytes]);
    bytes
}

fn entry(shape: &str, begin: i64, end: i64) -> String {
    format!(r#"{{"dtype":"F32","shape":{shape},"data_offsets":[{begin},{end}]}}"#)
}

fn refuse(header: &str, data_bytes: usize) -> FormError {
    match decode(&file(header, data_bytes)) {
        Ok(decoded) => panic!("{header} was read as {decoded:?}"),
        Err(error) => error,
    }
}

/// The header is refused, with these words.
fn refuse_header(header: &str, words: &str) {
    let error = refuse(header, 8);
    assert!(matches!(error, FormError::Header { .. }), "{header}: {error}");
    assert!(error.to_string().contains(words), "{header}: {error}");
}

/// A file whose record has this body, with the right checksum.
fn with_record(body: &str) -> Vec<u8> {
    let checksum = crc32fast::hash(body.as_bytes());
    let record = format!("{{\"checksum\":\"crc32:{checksum:08x}\",{}", &body[1..]);
    let metadata = serde_json::json!({"format": "pt", "gatemill": record});
    file(&format!(r#"{{"__metadata__":{metadata}}}"#), 0)
}

/// Gives zeros for ever and remembers the largest piece that it was asked for.
struct Zeros {
    first: Vec<u8>,
    largest: usize,
}

impl Read for Zeros {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.largest = self.largest.max(buffer.len());
        buffer.fill(0);
        let given = self.first.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(self.first.drain(..given)) {
            *to = from;
        }
        Ok(buffer.len())
    }
}

#[test]
fn fault_M01_header_length() {
    for length in 0..8 {
        let error = decode(&vec![b'{'; length]).unwrap_err();
        assert!(matches!(error, FormError::TooShort { .. }), "{error}");
    }
    for header_bytes in [9, 1 << 20, (1 << 20) + 1, 1 << 40, u64::MAX - 8, u64::MAX - 7, u64::MAX] {
        let mut bytes = header_bytes.to_le_bytes().to_vec();
        bytes.extend([b' '; 8]);
        let error = decode(&bytes).unwrap_err();
        assert!(matches!(error, FormError::HeaderBeyondFile { size_bytes: 16, .. }), "{header_bytes}: {error}");
    }
    // A file that is long enough for such a header: refused after eight bytes.
    for header_bytes in [MAX_HEADER_BYTES + 1, 1 << 40] {
        let mut zeros = Zeros { first: header_bytes.to_le_bytes().to_vec(), largest: 0 };
        let error = decode_from(&mut zeros, 1 << 50).unwrap_err();
        assert!(matches!(error, FormError::HeaderTooLarge { .. }), "{error}");
        assert_eq!(zeros.largest, 8);
    }
}

#[test]
fn fault_M02_header_text() {
    let mut bytes = file("{\"abc\":{}}", 0);
    bytes[11] = 0xff;
    assert!(matches!(decode(&bytes), Err(FormError::NotUtf8 { offset: 11 })));

    for header in [
        "",
        " ",
        "[]",
        "null",
        "{",
        "{\"a\":",
        "{}{}",
        "{\"a\":1}",
        "{\"__metadata__\":[]}",
        "{\"__metadata__\":{\"a\":1}}",
    ] {
        assert!(matches!(refuse(header, 0), FormError::Header { .. }), "{header}");
    }
    let FormError::Header { offset, .. } = refuse("{\n  \"a\": ?}", 0) else { panic!() };
    assert_eq!(offset, 8 + 9);

    for open in ["[", "{\"a\":"] {
        refuse_header(&open.repeat(100_000), "");
        refuse_header(&format!("{{\"a\":{}", open.repeat(100_000)), "");
        refuse_header(&format!("{{\"__metadata__\":{}", open.repeat(100_000)), "");
        let body = format!("{{\"format_version\":1,\"tensors\":{{}},\"meta\":{{\"a\":{}", open.repeat(100_000));
        assert!(matches!(decode(&with_record(&body)), Err(FormError::Record { .. })));
    }

    let entries = |count: usize| -> String {
        let entries: Vec<String> = (0..count).map(|n| format!("\"t{n}\":{}", entry("[1]", 0, 4))).collect();
        format!("{{{}}}", entries.join(","))
    };
    refuse_header(&entries(5_000), "more than 4096 tensors");
    refuse_header(&entries(100_000), "more than 4096 tensors");
    assert!(matches!(refuse(&entries(300_000), 4), FormError::HeaderTooLarge { .. }));
}

#[test]
fn fault_M03_duplicate_keys() {
    let e = entry("[1]", 0, 4);
    refuse_header(&format!(r#"{{"a":{e},"a":{e}}}"#), r#"key "a" is there twice"#);
    refuse_header(&format!(r#"{{"a":{e},"\u0061":{e}}}"#), r#"key "a" is there twice"#);
    refuse_header(r#"{"__metadata__":{},"__metadata__":{}}"#, "twice");
    refuse_header(r#"{"__metadata__":{},"__metadata\u005f_":{}}"#, "twice");
    refuse_header(r#"{"__metadata__":{"a":"1","\u0061":"2"}}"#, "twice");
    refuse_header(r#"{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, "duplicate field");
    refuse_header(r#"{"a":{"dtype":"F32","shape":[1],"sh\u0061pe":[1],"data_offsets":[0,4]}}"#, "duplicate field");
    refuse_header(r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":1}}"#, "unknown field");
    for body in [
        r#"{"format_version":1,"meta":{},"meta":{},"tensors":{}}"#,
        r#"{"format_version":1,"meta":{"a":[{"b":1,"\u0062":1}]},"tensors":{}}"#,
        r#"{"format_version":1,"meta":{},"tensors":{},"checksum":"crc32:00000000"}"#,
    ] {
        let error = decode(&with_record(body)).unwrap_err();
        assert!(matches!(error, FormError::Record { .. }) && error.to_string().contains("twice"), "{body}: {error}");
    }
}

#[test]
fn fault_M04_offsets() {
    let two = |first: (i64, i64), second: (i64, i64)| {
        let shape = |(begin, end): (i64, i64)| format!("[{}]", ((end - begin) / 4).max(1));
        let (a, b) = (entry(&shape(first), first.0, first.1), entry(&shape(second), second.0, second.1));
        format!(r#"{{"a":{a},"b":{b}}}"#)
    };
    for (what, first, second) in [
        ("overlapping", (0, 8), (4, 12)),
        ("the same", (0, 8), (0, 8)),
        ("unordered", (8, 16), (0, 8)),
        ("a hole between", (0, 4), (8, 12)),
        ("a hole before", (4, 8), (8, 12)),
        ("end before begin", (0, 8), (8, 4)),
    ] {
        let error = refuse(&two(first, second), 16);
        assert!(matches!(error, FormError::Offsets { .. }), "{what}: {error}");
    }
    refuse_header(&two((-4, 4), (4, 8)), "invalid value");
    refuse_header(r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}"#, "");
    refuse_header(r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4.0]}}"#, "");
    // Holes at the end are bytes too many; data beyond the file are bytes too few.
    assert!(
        matches!(refuse(&two((0, 4), (4, 8)), 12), FormError::Length { needed_bytes: n, found_bytes: f } if f == n + 4)
    );
    assert!(
        matches!(refuse(&two((0, 4), (4, 8)), 4), FormError::Length { needed_bytes: n, found_bytes: f } if f + 4 == n)
    );

    // Tensors without elements, also several at one offset.
    for shape in ["[0]", "[3,0]", "[0,18446744073709551615]"] {
        let header = format!(r#"{{"a":{e},"b":{e}}}"#, e = entry(shape, 0, 0));
        assert!(matches!(refuse(&header, 0), FormError::Empty { .. }), "{shape}");
    }
}

#[test]
fn fault_M05_shape() {
    for shape in [
        "[4194305,4194305,211106198978564]",
        "[18446744073709551615]",
        "[4611686018427387904]",
        "[2,9223372036854775807]",
    ] {
        let error = refuse(&format!(r#"{{"a":{}}}"#, entry(shape, 0, 16)), 16);
        assert!(matches!(error, FormError::ShapeOverflow { .. }), "{shape}: {error}");
    }
    for shape in ["[3]", "[5]", "[2,3]", "[]", "[1000000]"] {
        let error = refuse(&format!(r#"{{"a":{}}}"#, entry(shape, 0, 16)), 16);
        assert!(matches!(error, FormError::ShapeBytes { found_bytes: 16, .. }), "{shape}: {error}");
    }
    for shape in ["[-1]", "[18446744073709551616]", "[1.0]", "[\"1\"]", "4"] {
        refuse_header(&format!(r#"{{"a":{}}}"#, entry(shape, 0, 16)), "");
    }
    // A header that is consistent in itself, but not with the file: nothing of its size is allocated.
    let header = format!(r#"{{"a":{}}}"#, entry("[1099511627776]", 0, 1 << 42));
    let bytes = file(&header, 4);
    let mut zeros = Zeros { first: bytes.clone(), largest: 0 };
    assert!(matches!(decode_from(&mut zeros, bytes.len() as u64), Err(FormError::Length { .. })));
    assert_eq!(zeros.largest, header.len());
    let scalar = decode(&file(&format!(r#"{{"a":{}}}"#, entry("[]", 0, 4)), 4)).unwrap();
    assert!(scalar.snapshot.tensors[0].shape.is_empty());
}

#[test]
fn fault_M06_other_number_types() {
    for dtype in ["F16", "BF16", "F64", "I8", "I64", "f32", "F32 ", "", "nonsense"] {
        let header = format!(r#"{{"a":{{"dtype":"{dtype}","shape":[2],"data_offsets":[0,8]}}}}"#);
        let error = refuse(&header, 8);
        assert!(matches!(&error, FormError::Dtype { .. }), "{dtype}: {error}");
        assert!(error.to_string().contains("convert it first"), "{error}");
    }
}

#[test]
fn fault_M07_data_at_any_alignment_is_copied() {
    for padding in 0..8 {
        let header = format!(r#"{{"a":{}}}{}"#, entry("[3]", 0, 12), " ".repeat(padding));
        let mut bytes = file(&header, 0);
        for value in [1.0_f32, -2.5, 3e-3] {
            bytes.extend(value.to_le_bytes());
        }
        assert_eq!(decode(&bytes).unwrap().snapshot.tensors[0].data, [1.0, -2.5, 3e-3]);
    }
}

#[test]
fn fault_M12_a_newer_version_is_refused_by_number() {
    let error = decode(&with_record(r#"{"format_version":2,"something":"new"}"#)).unwrap_err();
    assert!(matches!(error, FormError::NewerVersion { found: 2, known: 1 }), "{error}");
    assert!(error.to_string().contains("version 2"), "{error}");
    for body in [
        r#"{"format_version":0,"meta":{},"tensors":{}}"#,
        r#"{"format_version":"1","meta":{},"tensors":{}}"#,
        r#"{"meta":{},"tensors":{}}"#,
        r#"{"format_version":1,"meta":[],"tensors":{}}"#,
        r#"{"format_version":1,"tensors":{}}"#,
        r#"{"format_version":1,"meta":{}}"#,
        r#"{"format_version":1,"meta":{},"tensors":{},"more":1}"#,
        r#"{"format_version":1,"meta":{},"tensors":{"missing":"00000000"}}"#,
        r#"{"format_version":1,"meta":{"x":1e999},"tensors":{}}"#,
    ] {
        let error = decode(&with_record(body)).unwrap_err();
        assert!(matches!(error, FormError::Record { .. }), "{body}: {error}");
    }
    assert!(decode(&with_record(r#"{"format_version":1,"meta":{},"tensors":{}}"#)).unwrap().snapshot.meta.is_some());
}

#[test]
fn fault_M13_pickles_are_recognised() {
    for start in [
        &b"PK\x03\x04\0\0\x08\x08\0\0\0\0"[..],
        b"PK\x03\x04",
        b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.",
        b"\x80\x02}q",
    ] {
        let error = decode(start).unwrap_err();
        assert!(matches!(error, FormError::Pickle), "{start:?}: {error}");
        assert!(error.to_string().contains("save as safetensors first"));
    }
    // A sound header of 640 bytes begins with the same two bytes as an old pickle.
    let header = format!(r#"{{"a":{}}}"#, entry("[1]", 0, 4));
    let padded = format!("{header}{}", " ".repeat(640 - header.len()));
    let bytes = file(&padded, 4);
    assert!(bytes.starts_with(b"\x80\x02"));
    decode(&bytes).unwrap();
}

#[test]
fn fault_M14_a_file_that_changes_while_it_is_read() {
    let bytes = bytes_of(&Snapshot { tensors: vec![tensor("a", &[100], 1)], meta: None });
    let cut = decode_from(&mut &bytes[..bytes.len() - 1], bytes.len() as u64).unwrap_err();
    assert!(matches!(cut, FormError::Read { .. }), "{cut}");
    let grown = decode_from(&mut &[&bytes[..], b"x"].concat()[..], bytes.len() as u64).unwrap_err();
    assert!(matches!(grown, FormError::Length { .. }), "{grown}");
}

#[test]
fn fault_M15_names_are_never_paths_and_never_reach_the_terminal_raw() {
    let header = |name: &str, dtype: &str| {
        let name = serde_json::Value::from(name);
        format!(r#"{{{name}:{{"dtype":"{dtype}","shape":[1],"data_offsets":[0,4]}}}}"#)
    };
    for name in ["../../etc/passwd", "/absolute", "a\\b", "\u{1b}[31mred", "line\nbreak", "\0", "\u{202e}backwards"] {
        let decoded = decode(&file(&header(name, "F32"), 4)).unwrap();
        assert_eq!(decoded.snapshot.tensors[0].name, name);
        for error in
            [refuse(&header(name, "F16"), 4), refuse(&header("a", "\\u001b[31m"), 4), refuse(&header(name, "F32"), 8)]
        {
            let text = error.to_string();
            assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
        }
    }
    refuse_header(&header(&"x".repeat(513), "F32"), "513 bytes");
    refuse_header(&header(&"x".repeat(1_000_000), "F32"), "1000000 bytes");
    assert!(matches!(refuse(&header("", "F32"), 4), FormError::Name { .. }));
    // What the parser itself quotes is escaped as well.
    let error = refuse("{\"a\":{\"\\u001b[31m\":1}}", 0).to_string();
    assert!(error.contains("unknown field") && !error.contains('\u{1b}'), "{error:?}");
}

#[test]
fn fault_M16_a_record_under_a_damaged_key_is_not_ignored() {
    let whole = with_record(r#"{"format_version":1,"meta":{},"tensors":{}}"#);
    let text = String::from_utf8_lossy(&whole[8..]).replace("\"gatemill\"", "\"gatemilm\"");
    let error = refuse(&text, 0);
    assert!(error.to_string().contains("gatemilm"), "{error}");
    let error = refuse(&String::from_utf8_lossy(&whole[8..]).replace("\"pt\"", "\"qt\""), 0);
    assert!(matches!(error, FormError::Record { .. }), "{error}");
    let error = refuse(&String::from_utf8_lossy(&whole[8..]).replace("\"format\":\"pt\",", ""), 0);
    assert!(matches!(error, FormError::Record { .. }), "{error}");
}
