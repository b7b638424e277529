//! Writes the seeds of the fuzz targets: small files that are right, and one for each way of being wrong that the fault
//! catalogue names. The same files on every run; they are committed.

use gatemill_train::checkpoint::form::encode;
use gatemill_train::checkpoint::{Keep, Snapshot, Tensor};
use gatemill_train::config_page::to_toml;
use gatemill_train::run::{Settings, Source};
use gatemill_train::{Config, Preset};
use serde_json::{Map, json};
use std::fs;
use std::io;
use std::path::Path;

fn main() -> io::Result<()> {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    corpora(&seeds.join("corpus_open"))?;
    checkpoints(&seeds.join("checkpoint_read"))?;
    caches(&seeds.join("token_cache"))?;
    examples(&seeds.join("examples_read"))?;
    pages(&seeds.join("config"))
}

/// Files of examples: each form as TSV and as JSON, and each way of being wrong; the byte before the file chooses the form.
fn examples(folder: &Path) -> io::Result<()> {
    const CLASS: u8 = 0;
    const TAGS: u8 = 1;
    const TEXT: u8 = 2;
    const NAME: u8 = 3;
    const NUMBERS: u8 = 4;
    let korean = "\u{d55c}\u{ad6d}\thangul\r\n\n\u{1f600}\tother";
    fs::create_dir_all(folder)?;
    for (name, form, text) in [
        ("class", CLASS, korean.as_bytes()),
        ("class_json", CLASS, &b"{\"input\": \"a\", \"output\": 1}\n{\"output\": true, \"input\": \"b\"}\n"[..]),
        ("tags", TAGS, b"ab\tqo\n"),
        ("tags_json", TAGS, b"{\"input\": \"ab\", \"tags\": [\"first\", \"\"]}"),
        ("tags_too_few", TAGS, b"ab\tq\n"),
        ("text", TEXT, b"3 May 1999\t1999-05-03\n"),
        ("text_json_cut", TEXT, b"{\"input\": \"a\", \"output\": \"b\"}\n{\"input\": \"a\""),
        ("text_like_json", TEXT, b"{ \"a\": 1\t}\n"),
        ("name", NAME, b"e\temma\nl\tliam\n"),
        ("numbers", NUMBERS, b"0.5 -1e2\tx\n1 2\ty\n"),
        ("numbers_json", NUMBERS, b"{\"input\": [0.5, -100], \"output\": \"x\"}"),
        ("numbers_beyond_f32", NUMBERS, b"1e39\tx\n"),
        ("other_width", NUMBERS, b"1 2\tx\n1\ty\n"),
        ("no_tab", CLASS, b"a b\n"),
        ("two_tabs", CLASS, b"a\tb\tc\n"),
        ("empty_input", CLASS, b"\tb\n"),
        ("invalid_utf8", TEXT, b"a\tb\xe9\n"),
        ("utf8_mark", TEXT, b"\xef\xbb\xbfa\tb"),
        ("utf16", TEXT, b"\xff\xfea\0\t\0b\0"),
        ("only_line_ends", TEXT, b"\r\n\n"),
    ] {
        fs::write(folder.join(name), [&[form][..], text].concat())?;
    }
    Ok(())
}

/// Configuration pages: a whole run's, one by hand, one with nanoGPT's names, and some that are wrong.
fn pages(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let settings =
        Settings { eval_every: Some(5), keep: Keep::All, ..Settings::new(Source::Builtin { bytes: 9, seed: 1 }) };
    let config = Config {
        steps: Some(7),
        document_separator: Some("\n\n\u{d55c}\"".to_owned()),
        init_scale: Some(0.08),
        ..Preset::TorchRnn.config()
    };
    let run = to_toml(&config, &settings).map_err(io::Error::other)?;
    for (name, text) in [
        ("run", run.as_str()),
        ("by_hand", "# a page\npreset = \"char-rnn\"\nhidden = 0x200 # 512\nlr_decay = 0.95\nkeep = 3\n"),
        (
            "nanogpt",
            "n_layer = 6\nn_embd = 384\nblock_size = 256\nbatch_size = 64\nlearning_rate = 1e-3\nmax_iters = 5_000\n\
             lr_decay_iters = 5000\nmin_lr = 1e-4\nbeta2 = 0.99\nwarmup_iters = 100\ngrad_clip = 1.0\ndecay_lr = true\n\
             eval_interval = 250\ngradient_accumulation_steps = 2\ndropout = 0.2\nweight_decay = 1e-1\n",
        ),
        ("files", "lossy = true\n[corpus]\nkind = \"files\"\npaths = [\"/a\", '/b']\n"),
        ("unknown_key", "hidn = 5\n"),
        ("twice", "clip-norm = 1\nclip_norm = 2\n"),
        ("both", "epochs = 1\nsteps = 1\n"),
        ("no_numbers", "lr = nan\neps = -inf\nbeta1 = 1e999\n"),
        ("python", "decay_lr = True\n"),
    ] {
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}

/// Corpora C01 to C08; the byte before the text chooses the batch.
fn corpora(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let all_bytes: Vec<u8> = (0..=255).collect();
    let korean = "\u{d55c}\u{ad6d}\u{c5b4} a\u{308} \u{1f600}";
    for (name, batch, text) in [
        ("c01_empty", 1, &b""[..]),
        ("c02_one_symbol", 1, b"x"),
        ("c02_one_distinct_symbol", 2, b"xxxxxxx"),
        ("c03_shorter_than_a_lane", 7, b"abcde"),
        ("c04_tail", 3, b"to be or not to be"),
        ("c05_invalid_utf8", 1, b"a t\xe9 b"),
        ("c05_cut_at_the_end", 1, b"cut\xc3"),
        ("c05_surrogate", 1, b"\xed\xa0\x80"),
        ("c06_utf8_mark", 2, b"\xef\xbb\xbfabcabc"),
        ("c06_mark_alone", 1, b"\xef\xbb\xbf"),
        ("c06_utf16", 1, b"\xff\xfea\0b\0"),
        ("c07_line_ends", 2, b"a\r\nb\rc\n"),
        ("c08_all_bytes", 5, &all_bytes),
        ("multi_byte", 2, korean.as_bytes()),
    ] {
        // The target takes the byte modulo 7, plus 1.
        fs::write(folder.join(name), [&[batch - 1_u8][..], text].concat())?;
    }
    Ok(())
}

/// Model files: two that are right, then faults M01 to M06 and M13.
fn checkpoints(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes);

    let tensor = |name: &str, shape: &[usize]| Tensor {
        name: name.to_owned(),
        shape: shape.to_vec(),
        data: (0..shape.iter().product::<usize>()).map(|at| at as f32 - 1.5).collect::<Vec<f32>>(),
    };
    let tensors = vec![tensor("rnn.weight_ih_l0", &[4, 3]), tensor("rnn.bias_ih_l0", &[4]), tensor("head.bias", &[3])];
    let mut meta = Map::new();
    meta.insert("vocabulary".into(), json!(["a", "\u{0}", "\u{d55c}"]));
    meta.insert("cursor".into(), json!({"epoch": 1, "position": 9_007_199_254_740_993_u64, "lr": 2e-3}));
    let plain = encode(&Snapshot { tensors: tensors.clone(), meta: None }).map_err(io::Error::other)?;
    let checked = encode(&Snapshot { tensors, meta: Some(meta) }).map_err(io::Error::other)?;
    write("plain", &plain)?;
    write("checked", &checked)?;

    write("m01_seven_bytes", &plain[..7])?;
    write("m01_cut", &plain[..plain.len() - 3])?;
    write("m01_header_beyond_file", &[&1_000_000_u64.to_le_bytes()[..], b"{}"].concat())?;
    write("m01_header_of_2_64", &[&[0xff; 8][..], b"{}"].concat())?;
    write("m02_not_utf8", &file(b"{\"\xff\":1}  ", &[]))?;
    write("m02_deep", &file("[".repeat(400).as_bytes(), &[]))?;
    for (name, header, data_bytes) in [
        (
            "m03_twice",
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\u0061":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
            8,
        ),
        (
            "m04_overlap",
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#,
            12,
        ),
        ("m04_backwards", r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}}"#, 8),
        ("m04_empty", r#"{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#, 0),
        ("m04_trailing", r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 9),
        (
            "m05_overflow",
            r#"{"a":{"dtype":"F32","shape":[4194305,4194305,211106198978564],"data_offsets":[0,16]}}"#,
            16,
        ),
        ("m05_a_million_in_four_bytes", r#"{"a":{"dtype":"F32","shape":[1000000],"data_offsets":[0,4]}}"#, 4),
        ("m06_f16", r#"{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}"#, 4),
    ] {
        write(name, &file(header.as_bytes(), &vec![0x3f; data_bytes]))?;
    }
    write("m13_pickle", b"PK\x03\x04\0\0\0\0\0\0archive/data.pkl")
}

/// Faults C09 and C16 of a token cache. The first byte chooses the text (bit 0), changes of its cache in place of a whole
/// file (bit 1), and which checksums are made right (bits 2 and 3); a change is place, value, kind.
fn caches(folder: &Path) -> io::Result<()> {
    const CUT: u8 = 0;
    const INSERT: u8 = 1;
    const FLIP: u8 = 2;
    const SET: u8 = 3;
    let header =
        [&b"GMTOKENS"[..], &1_u32.to_le_bytes(), &1_u32.to_le_bytes(), &u64::MAX.to_le_bytes(), &[0; 72]].concat();
    fs::create_dir_all(folder)?;
    for (name, how, rest) in [
        ("c16_empty", 0, &[][..]),
        ("c16_another_program_s", 1, b"PK\x03\x04"),
        ("c16_count_of_2_64", 0, &header),
        ("sound", 2, &[]),
        ("sound_wide", 3, &[]),
        ("c16_flipped_id", 2, &[100, 0, 1, FLIP]),
        ("c16_flipped_header", 3, &[70, 0, 1, FLIP]),
        ("c16_forged_id_beyond_v", 14, &[100, 0, 200, SET]),
        ("c16_forged_wide_id_beyond_v", 15, &[101, 0, 0xff, SET]),
        ("c16_forged_count", 14, &[23, 0, 0x7f, SET]),
        ("c16_forged_width", 14, &[12, 0, 4, SET]),
        ("c16_forged_version", 14, &[8, 0, 2, SET]),
        ("c16_half_an_id", 15, &[0xff, 0, 0, CUT]),
        ("c09_cut_in_the_header", 2, &[50, 0, 0, CUT]),
        ("one_byte_more", 14, &[200, 0, 1, INSERT]),
    ] {
        fs::write(folder.join(name), [&[how], rest].concat())?;
    }
    Ok(())
}

/// A file of this header, padded to 8 bytes, and this data.
fn file(header: &[u8], data: &[u8]) -> Vec<u8> {
    let mut header = header.to_vec();
    header.resize(header.len().next_multiple_of(8), b' ');
    [&(header.len() as u64).to_le_bytes()[..], &header, data].concat()
}
