//! What may be given as a text: folders, compressed files, standard input, text that is not quite UTF-8.

use std::fs::{self, File};
use std::io::Write;
use std::process::Command;

use crate::place::{Ended, Place, SIZES, SMALL, text, with_text};

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).expect("memory");
    encoder.finish().expect("memory")
}

fn zstd(text: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
}

impl Place {
    /// Runs `gatemill LINE` with a file of this place as standard input.
    fn run_on(&self, stdin: &str, line: &str) -> Ended {
        let stdin = File::open(self.path(stdin)).expect("opened");
        self.command().args(line.split_whitespace()).stdin(stdin).output().expect("started").into()
    }
    /// Runs `SCRIPT` with `gatemill` as `$0`.
    fn script(&self, script: &str) -> Ended {
        let gatemill = env!("CARGO_BIN_EXE_gatemill");
        self.shell("sh").args(["-c", script, gatemill]).output().expect("started").into()
    }
    /// Names in the cache folder.
    fn cached(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(".cache/gatemill")) else { return Vec::new() };
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect()
    }
    /// A folder with files in folders.
    fn folder(&self) {
        for (name, bytes) in [("a-b", 1000), ("a/c.txt", 1500), ("b/d", 700), ("a/.hidden", 3)] {
            let path = self.path("texts").join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("created");
            fs::write(path, &text(bytes + 100)[100..]).expect("written");
        }
    }
}

/// A note on stderr, in words of it.
#[track_caller]
fn noted(ended: &Ended, words: &[&str]) {
    let mut notes = ended.err.lines().filter(|line| line.starts_with("note: "));
    assert!(notes.any(|note| words.iter().all(|word| note.contains(word))), "{words:?}: {}", ended.err);
}

#[test]
fn a_folder_trains_as_its_files_do_and_resumes_with_the_same_ones() {
    let place = Place::new();
    place.folder();
    let flags = format!("--json {SIZES} --steps 8 --schedule constant");
    let files = place.run(&format!("train texts/a-b texts/a/c.txt texts/b/d --out files {flags}")).succeeds();
    let folder = place.run(&format!("train texts --out folder {flags}")).succeeds();
    assert_eq!(folder.sha256(), files.sha256());
    noted(&folder, &["texts", "3 files, in the byte order of their paths", "1 name passed over"]);
    assert!(!files.err.contains("byte order"), "{}", files.err);

    // A file that comes into the folder does not come into the run.
    place.run(&format!("train texts --out run {SIZES} --steps 3 --schedule constant")).succeeds();
    place.write("texts/a/new", text(500));
    let resumed = place.run("train --resume run --json --steps 8").succeeds();
    assert_eq!(resumed.sha256(), files.sha256());
    place.run("train --resume run texts --steps 9").fails(3, &["is not the corpus of this run"]);
    fs::remove_file(place.path("texts/a/new")).expect("removed");
    place.run("train --resume run texts --steps 9").succeeds();
    place.run("eval run texts").succeeds();
}

#[test]
fn fault_C11_folders_that_cannot_be_read_whole_are_told() {
    let place = Place::new();
    fs::create_dir_all(place.path("texts/deep")).expect("created");
    place.run("train texts").fails(3, &["the folder", "texts", "has no files"]);
    place.folder();
    std::os::unix::fs::symlink("nowhere", place.path("texts/deep/link")).expect("linked");
    place.run("train texts").fails(4, &["texts/deep/link", "No such file"]);
    fs::remove_file(place.path("texts/deep/link")).expect("removed");
    assert!(Command::new("mkfifo").arg(place.path("texts/deep/pipe")).status().expect("started").success());
    let ended = place.run("train texts");
    ended.fails(3, &["texts/deep/pipe", "is a pipe, not seekable"]);
    assert!(ended.err.contains("help: give - to read standard input"), "{}", ended.err);
    assert_eq!(place.names(), ["texts"]);
}

#[test]
fn many_files_need_few_descriptors_and_train_as_one() {
    let place = Place::new();
    let whole = text(20_000);
    let name = "a-name-that-is-long-".repeat(10);
    fs::create_dir(place.path("texts")).expect("created");
    // 1,500 names of more than 200 bytes: more than a checkpoint's header is given for them.
    for (i, part) in whole.as_bytes().chunks(whole.len().div_ceil(1500)).enumerate() {
        place.write(&format!("texts/{name}{i:05}"), part);
    }
    place.write("whole", &whole);
    let flags = "--layers 2 --hidden 17 --batch 6 --seq 5 --schedule constant --val-frac 0 --json";
    let right = place.run(&format!("train whole --steps 8 {flags}")).succeeds().sha256();
    for limited in ["map", "read"] {
        let line = format!("ulimit -n 192; exec \"$0\" train texts --steps 3 --out {limited} --io {limited} {flags}");
        let ended = place.script(&line).succeeds();
        noted(&ended, &["texts", "files, in the byte order of their paths"]);
        noted(&ended, &["the list of these", "is kept in"]);
        let resumed = place.script(&format!("ulimit -n 192; exec \"$0\" train --resume {limited} --steps 8 --json"));
        assert_eq!(resumed.succeeds().sha256(), right, "{limited}");
    }
    // As bytes, files are read where they are.
    let as_bytes = |what: &str| {
        let line = format!("ulimit -n 192; exec \"$0\" train {what} --vocab bytes --steps 8 {flags}");
        place.script(&line).succeeds().sha256()
    };
    assert_eq!(as_bytes("texts"), as_bytes("whole"));
    // Without the list the folder itself says it.
    fs::remove_dir_all(place.path(".cache")).expect("removed");
    place.run("train --resume map --steps 9").fails(4, &[".files", "No such file"]);
    place.run("train --resume map texts --steps 9").succeeds();
}

#[test]
fn compressed_texts_and_standard_input_give_the_weights_of_the_plain_text() {
    let place = with_text();
    let plain = fs::read(place.path("text.txt")).expect("read");
    let right = place.train("plain", SMALL).succeeds().sha256();
    place.write("text.txt.gz", gzip(&plain));
    place.write("text.txt.zst", [zstd(&plain[..1000]), zstd(&plain[1000..])].concat());
    for packed in ["text.txt.gz", "text.txt.zst"] {
        let flags = format!("train {packed} --json {SMALL}");
        let first = place.run(&flags).succeeds();
        assert_eq!(first.sha256(), right, "{packed}");
        let size = format!("({},{:03} bytes)", plain.len() / 1000, plain.len() % 1000);
        noted(&first, &[packed, "unpacked to", ".cache/gatemill/", ".text", &size]);
        let second = place.run(&flags).succeeds();
        assert_eq!(second.sha256(), right);
        noted(&second, &[packed, "unpacked before to"]);
    }
    let unpacked = place.cached();
    assert_eq!(unpacked.len(), 2, "{unpacked:?}");
    for (stdin, how) in [("text.txt", "bytes)"), ("text.txt.gz", "from gzip"), ("text.txt.zst", "from Zstandard")] {
        let ended = place.run_on(stdin, &format!("train - --json {SMALL}")).succeeds();
        assert_eq!(ended.sha256(), right, "{stdin}");
        noted(&ended, &["standard input: kept in", ".cache/gatemill/stdin-", how]);
        assert!(!ended.err.contains("terminal"), "{}", ended.err);
    }
    assert_eq!(place.cached().len(), 3);
    // With other files, and in a folder.
    place.run_on("text.txt", &format!("train text.txt - text.txt.gz {SMALL}")).succeeds();
    place.run_on("text.txt", "train - - --hidden 9").fails(2, &["standard input (-)", "more than once"]);
    place.run("train -").fails(3, &["corpus is empty (0 bytes)"]);
    let score = |what: &str| place.run_on("text.txt", &format!("eval plain {what} --json")).succeeds().out;
    assert_eq!(score("text.txt"), score("text.txt.gz"));
    assert_eq!(score("text.txt"), score("-"));
}

#[test]
fn runs_on_compressed_text_and_standard_input_can_be_resumed() {
    let place = with_text();
    place.write("text.txt.gz", gzip(&fs::read(place.path("text.txt")).expect("read")));
    let flags = format!("--json {SIZES} --schedule constant");
    let right = place.run(&format!("train text.txt --steps 8 {flags}")).succeeds().sha256();
    let resume = |run: &str| place.run(&format!("train --resume {run} --json --steps 8"));
    place.run(&format!("train text.txt.gz --out packed --steps 3 {flags}")).succeeds();
    place.run(&format!("train text.txt.gz --out again --steps 3 {flags}")).succeeds();
    place.run_on("text.txt.gz", &format!("train - --out stdin --steps 3 {flags}")).succeeds();
    place.run_on("text.txt.gz", &format!("train - --out gone --steps 3 {flags}")).succeeds();
    let found = resume("packed").succeeds();
    assert_eq!(found.sha256(), right);
    noted(&found, &["text.txt.gz", "unpacked before"]);
    assert_eq!(resume("stdin").succeeds().sha256(), right);

    // Without the cache: the file is unpacked again; what came by standard input has to come again.
    fs::remove_dir_all(place.path(".cache")).expect("removed");
    let again = resume("again").succeeds();
    assert_eq!(again.sha256(), right);
    noted(&again, &["text.txt.gz", "unpacked to"]);
    resume("gone").fails(4, &["stdin-", "No such file"]);
    let given = place.run_on("text.txt", "train --resume gone - --json --steps 8").succeeds();
    assert_eq!(given.sha256(), right);
}

#[test]
fn compressed_text_that_is_cut_is_refused_and_leaves_nothing() {
    let place = Place::new();
    for (name, packed) in [("cut.gz", gzip(&text(100_000).into_bytes())), ("cut.zst", zstd(text(100_000).as_bytes()))] {
        place.write(name, &packed[..packed.len() / 2]);
        let ended = place.run(&format!("train {name}"));
        ended.fails(3, &[name, "cut or damaged"]);
        assert!(ended.err.contains("help: fetch or pack the file again"), "{}", ended.err);
        place.run_on(name, "train -").fails(3, &["standard input", "cut or damaged"]);
    }
    place.write("plain.gz", text(1000));
    place.run("train plain.gz").fails(3, &["plain.gz", "does not begin like a gzip file"]);
    place.write("packed", gzip(b"text"));
    place.run("train packed").fails(3, &["packed", "ends in .gz"]);
    assert_eq!(place.cached(), [""; 0]);
    assert!(!place.path("runs").exists());
}

#[test]
fn a_cache_folder_without_space_is_told_and_nothing_stays_in_it() {
    let place = Place::new();
    let whole = text(300_000);
    place.write("big.gz", gzip(whole.as_bytes()));
    place.write("big", &whole);
    let told = |ended: &Ended, words: &[&str]| {
        ended.fails(4, words);
        let help = "help: free some space there, or choose another folder: XDG_CACHE_HOME=DIR";
        assert!(ended.err.contains(help), "{}", ended.err);
    };
    // A limit of the process: 64 blocks of 512 bytes.
    for line in ["train big.gz", "train - < big", "train - < big.gz"] {
        told(
            &place.script(&format!("ulimit -f 64; exec \"$0\" {line}")),
            &["big", "File too large"][usize::from(line.contains('-'))..],
        );
        assert_eq!(place.cached(), [""; 0], "{line}");
    }
    // A disk that is full, where a test may mount one.
    let mount = "mkdir -p .cache && mount -t tmpfs -o size=64k none .cache";
    let may_mount = place.shell("unshare").args(["-rm", "sh", "-c", mount]).output();
    if !may_mount.is_ok_and(|output| output.status.success()) {
        eprintln!("no disk of 64 KiB can be mounted here: only the limit was tried");
        return;
    }
    let gatemill = env!("CARGO_BIN_EXE_gatemill");
    let script = format!("{mount} || exit 99; \"$0\" train big.gz; code=$?; ls .cache/gatemill; exit $code");
    let ended: Ended =
        place.shell("unshare").args(["-rm", "sh", "-c", &script, gatemill]).output().expect("started").into();
    told(&ended, &["big.gz", ".cache/gatemill", "No space left on device"]);
    assert_eq!(ended.out, b"", "nothing is left");
}

#[test]
fn fault_C05_lossy_trains_on_text_that_is_not_utf8() {
    let place = Place::new();
    let mut bytes = text(3000).into_bytes();
    (bytes[1234], bytes[2000]) = (0xe9, 0xff);
    place.write("text.txt", &bytes);
    place.write("right.txt", String::from_utf8_lossy(&bytes).as_bytes());
    let refused = place.run(&format!("train text.txt {SMALL}"));
    refused.fails(3, &["text.txt", "1234"]);
    assert!(refused.err.contains("help: --lossy reads what is not UTF-8 as U+FFFD"), "{}", refused.err);
    let lossy = place.train("run", &format!("{SMALL} --lossy")).succeeds();
    noted(&lossy, &["text.txt", "is not UTF-8 in 2 places, the first at byte offset 1234"]);
    let right = place.run(&format!("train right.txt --json {SMALL}")).succeeds();
    assert_eq!(lossy.sha256(), right.sha256());
    // The run remembers it.
    assert_eq!(place.run("train --resume run --json").succeeds().sha256(), right.sha256());
    place.run("eval run --split val").succeeds();
    let plain = place.train("bytes", &format!("{SMALL} --vocab bytes")).succeeds();
    assert_eq!(place.train("same", &format!("{SMALL} --vocab bytes --lossy")).succeeds().sha256(), plain.sha256());
}

#[test]
fn fault_C06_and_C07_marks_and_mixed_line_ends_are_told() {
    let place = Place::new();
    let unix = text(2000);
    fs::create_dir(place.path("texts")).expect("created");
    place.write("texts/a", format!("\u{feff}{unix}"));
    place.write("texts/b.gz", gzip(format!("\u{feff}{}", unix.replace('\n', "\r\n")).as_bytes()));
    let ended = place.run(&format!("train texts {SMALL}")).succeeds();
    noted(&ended, &["texts/a", "UTF-8 byte-order mark, which is skipped"]);
    noted(&ended, &["texts/b.gz", "UTF-8 byte-order mark, which is skipped"]);
    let lines = unix.matches('\n').count();
    noted(&ended, &[&format!("the line ends are mixed ({lines} CRLF, {lines} LF)")]);
}

#[test]
fn fault_C12_a_pipe_given_by_its_path_is_refused_with_the_way_to_give_it() {
    let place = Place::new();
    let ended = place.script("echo text | \"$0\" train /dev/stdin");
    ended.fails(3, &["/dev/stdin", "is a pipe, not seekable"]);
    assert!(ended.err.contains("gatemill train -"), "{}", ended.err);
}
