//! Folders: order, links, what cannot be read, and very many files.

use crate::place::{Place, read};
use gatemill_corpus::{Corpus, CorpusError, ErrorKind, Io, OpenOptions, Split, VocabKind, expand};
use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn a_folder_is_its_files_in_the_byte_order_of_their_paths() {
    let place = Place::new();
    for name in ["b/x.txt", "a-b", "a/c/d.txt", "a/c.txt", "B", "z", "\u{e9}", "a/.hidden", ".git/config"] {
        place.write(name, name);
    }
    // Not name by name: `-` comes before `/`.
    let right = ["B", "a-b", "a/c.txt", "a/c/d.txt", "b/x.txt", "z", "\u{e9}"];
    assert_eq!(place.files(), right);
    let texts = place.path("texts");
    let expanded = place.expand(&[place.path("texts/z"), texts.clone()], b"").unwrap();
    assert_eq!((expanded.paths.len(), &expanded.paths[0]), (8, &place.path("texts/z")));
    let note =
        format!("{texts:?}: 7 files, in the byte order of their paths; 2 names passed over that begin with a dot");
    assert_eq!(expanded.notes, [note]);
    // One corpus: the first three quarters of each file, then the rest of each.
    let corpus =
        Corpus::open(&expanded.paths[1..], &OpenOptions { vocab: VocabKind::Bytes, ..place.options() }).unwrap();
    let cut = |name: &str| name.len() * 3 / 4;
    let train: String = right.iter().map(|n| String::from_utf8_lossy(&n.as_bytes()[..cut(n)]).into_owned()).collect();
    assert_eq!(String::from_utf8_lossy(&read(&corpus, Split::Train)), train);
}

#[test]
fn fault_c11_a_folder_without_files() {
    let place = Place::new();
    let empty = |hidden: &str| {
        let error = place.expand(&[place.path("texts")], b"").unwrap_err();
        let message = format!("the folder {:?} has no files{hidden}", place.path("texts"));
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::BadData, message));
    };
    empty("");
    fs::create_dir(place.path("texts/deeper")).unwrap();
    empty("");
    place.write("deeper/.hidden", "x");
    empty(" (1 names that begin with a dot were passed over)");
}

#[test]
fn fault_c11_links_in_a_folder() {
    let place = Place::new();
    place.write("a", "text");
    let elsewhere = place.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("b"), "more").unwrap();
    symlink(elsewhere.join("b"), place.path("texts/link")).unwrap();
    symlink(&elsewhere, place.path("texts/folder")).unwrap();
    symlink("..", place.path("texts/up")).unwrap();
    assert_eq!(place.files(), ["a", "link"]);
    let note = &place.expand(&[place.path("texts")], b"").unwrap().notes[0];
    assert!(note.ends_with("; 2 links to folders not followed"), "{note}");
    // A link to a folder that is given by name is that folder.
    assert_eq!(place.expand(&[place.path("texts/folder")], b"").unwrap().paths, [place.path("texts/folder/b")]);
    for (target, words) in [("nowhere", "No such file"), ("wrong", "symbolic links")] {
        let link = place.path("texts/wrong");
        symlink(target, &link).unwrap();
        let error = place.expand(&[place.path("texts")], b"").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains(&format!("{link:?}")) && error.to_string().contains(words), "{error}");
        fs::remove_file(link).unwrap();
    }
}

#[test]
fn fault_c12_a_pipe_or_socket_in_a_folder() {
    let place = Place::new();
    place.write("a", "text");
    let (pipe, socket) = (place.path("texts/pipe"), place.path("texts/socket"));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let check = |path: &Path, what: &str| {
        let error = place.expand(&[place.path("texts")], b"").unwrap_err();
        assert!(matches!(&error, CorpusError::NotSeekable { path: p, what: w } if p == path && *w == what), "{error}");
        fs::remove_file(path).unwrap();
    };
    check(&pipe, "a pipe");
    let _listener = UnixListener::bind(&socket).unwrap();
    check(&socket, "a socket");
    assert_eq!(place.files(), ["a"]);
}

/// Permissions do not hold root, so the test runs itself as nobody.
#[test]
fn fault_c11_no_permission_in_a_folder() {
    const PATH: &str = "GATEMILL_TEST_FOLDER";
    if let Some(folder) = std::env::var_os(PATH).map(PathBuf::from) {
        let opened = |name: &str| {
            let expanded = expand(&[folder.join(name)], &mut std::io::empty(), None);
            expanded.and_then(|expanded| Corpus::open(&expanded.paths, &OpenOptions::default())).unwrap_err()
        };
        for (name, path) in [("files", "files/secret"), ("folders", "folders/secret")] {
            let error = opened(name);
            let message = error.to_string();
            assert_eq!(error.kind(), ErrorKind::Io);
            assert!(
                message.contains(&format!("{:?}", folder.join(path))) && message.contains("Permission denied"),
                "{message}"
            );
        }
        return;
    }
    let place = Place::new();
    let secret = place.write("files/secret", "secret");
    place.write("files/a", "text");
    place.write("folders/secret/b", "text");
    for path in [&secret, &place.path("texts/folders/secret")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
    }
    fs::set_permissions(place.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = place.path("test");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut command = Command::new(&program);
    command.args(["--exact", "folders::fault_c11_no_permission_in_a_folder"]).env(PATH, place.path("texts"));
    command.current_dir(place.dir.path());
    if fs::read(&secret).is_ok() {
        command.uid(65_534).gid(65_534);
    }
    let child = command.output().unwrap();
    fs::set_permissions(place.path("texts/folders/secret"), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(child.status.success() && String::from_utf8_lossy(&child.stdout).contains("1 passed"), "{child:?}");
}

#[test]
fn thousands_of_small_files_are_one_corpus_with_few_descriptors() {
    let place = Place::new();
    let text =
        |i: u32, wide: bool| format!("{i} {}{}\n", "x".repeat(i as usize % 50), if wide { "\u{e9}" } else { "" });
    for wide in [false, true] {
        let mut joined = [String::new(), String::new()];
        for i in 0..600 {
            let text = text(i, wide && i % 3 == 0);
            place.write(&format!("{}/{i:05}", i % 7), &text);
        }
        let paths = place.expand(&[place.path("texts")], b"").unwrap().paths;
        for path in &paths {
            let text: Vec<char> = fs::read_to_string(path).unwrap().chars().collect();
            let cut = text.len() * 3 / 4;
            joined[0].extend(&text[..cut]);
            joined[1].extend(&text[cut..]);
        }
        for (io, vocab) in [(Io::Map, VocabKind::Chars), (Io::Read, VocabKind::Chars), (Io::Map, VocabKind::Bytes)] {
            let options = OpenOptions { io, vocab, ..place.options() };
            let corpus = Corpus::open(&paths, &options).unwrap();
            assert!(descriptors_below(place.dir.path()) <= 129, "{}", descriptors_below(place.dir.path()));
            if vocab == VocabKind::Chars || !wide {
                assert_eq!(
                    String::from_utf8(read(&corpus, Split::Train)).unwrap(),
                    joined[0],
                    "{io:?} {vocab:?} {wide}"
                );
                assert_eq!(String::from_utf8(read(&corpus, Split::Val)).unwrap(), joined[1]);
            }
            corpus.check_unchanged().unwrap();
            assert_eq!(corpus.fingerprint().to_string(), print(&paths), "as of files that are all held open");
        }
    }
    // One cache for the wide files and the others, and one for the first round.
    assert_eq!(place.cached().len(), 2, "{:?}", place.cached());
    // What happens to one of them is told of that one.
    let paths = place.expand(&[place.path("texts")], b"").unwrap().paths;
    let corpus = Corpus::open(&paths, &place.options()).unwrap();
    fs::write(&paths[300], "now longer than it was, whatever that was; now longer than it was").unwrap();
    let error = corpus.check_unchanged().unwrap_err();
    assert!(error.to_string().contains(&format!("{:?}", paths[300])), "{error}");
    fs::write(&paths[500], b"abc\xFFdef").unwrap();
    let error = Corpus::open(&paths, &place.options()).unwrap_err();
    assert!(matches!(&error, CorpusError::InvalidUtf8 { path, offset: 3, .. } if *path == paths[500]), "{error}");
}

/// The fingerprint of files of one block each, as its page has it: their length, SHA-256 over length and content of each.
fn print(paths: &[PathBuf]) -> String {
    let (mut hash, mut size_bytes) = (Sha256::new(), 0);
    for path in paths {
        let bytes = fs::read(path).unwrap();
        size_bytes += bytes.len();
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{size_bytes}:{hex}")
}

/// Open files of this process below a folder.
fn descriptors_below(folder: &Path) -> usize {
    let links = fs::read_dir("/proc/self/fd").unwrap().flatten();
    links.filter(|link| fs::read_link(link.path()).is_ok_and(|to| to.starts_with(folder))).count()
}

#[test]
fn many_names_become_a_list_that_opens_as_the_files_do() {
    let place = Place::new();
    let name = "a".repeat(240);
    for i in 0..1150 {
        place.write(&format!("{name}{i:04}"), format!("text {i}"));
    }
    let expanded = place.expand(&[place.path("texts")], b"").unwrap();
    let [list] = &expanded.paths[..] else { panic!("{}", expanded.paths.len()) };
    assert!(list.starts_with(place.cache()) && list.to_str().unwrap().contains("/texts-"), "{list:?}");
    assert!(expanded.notes[1].contains("the list of these 1,150 files is kept in"), "{:?}", expanded.notes);
    let text: String = (0..1150).map(|i| format!("text {i}")).collect();
    let corpus = Corpus::open(&expanded.paths, &OpenOptions { val_frac: 0.0, ..place.options() }).unwrap();
    assert_eq!(String::from_utf8(read(&corpus, Split::Train)).unwrap(), text);
}
