//! `doc/lecture.md` holds: every command in it runs, what it shows is what comes, every place that it names is there.
//!
//! A block of `sh` has commands; the comment `<!-- quick: ... -->` behind it has the same commands with smaller numbers,
//! one a line, and a test runs those. Without such a comment the block is quick as it is, and then each line of the block of
//! `text` behind it comes in its output, in this order; a line of three dots stands for what is left out.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// A block of commands.
#[derive(Debug, Default)]
struct Block {
    /// Its first line in the page.
    line: usize,
    commands: Vec<String>,
    quick: Option<Vec<String>>,
    shown: Option<Vec<String>>,
}

fn page() -> String {
    std::fs::read_to_string(Path::new(ROOT).join("doc/lecture.md")).expect("doc/lecture.md")
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = page.lines().zip(1..);
    let until = |lines: &mut dyn Iterator<Item = (&str, usize)>, end: &str| -> Vec<String> {
        lines.map(|(line, _)| line.to_owned()).take_while(|line| line != end).collect()
    };
    // Whether only blank lines came since the last block of commands.
    let mut behind = false;
    while let Some((line, number)) = lines.next() {
        match line {
            "```sh" => {
                let commands = until(&mut lines, "```");
                blocks.push(Block { line: number, commands, ..Block::default() });
                behind = true;
            }
            "<!-- quick:" => {
                let block = blocks.last_mut().expect("a quick form stands behind commands");
                assert!(behind && block.quick.is_none(), "line {number}: the quick form of which block?");
                block.quick = Some(until(&mut lines, "-->"));
            }
            "```text" => {
                let shown = until(&mut lines, "```");
                if behind && let Some(block) = blocks.last_mut() {
                    block.shown = Some(shown);
                }
                behind = false;
            }
            "" => {}
            line => {
                assert!(!line.starts_with("```") && !line.contains("quick:"), "line {number}: {line}");
                behind = false;
            }
        }
    }
    blocks
}

/// Subcommand and flags of a command, without their values.
fn form(command: &str) -> Vec<String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let mut form: Vec<String> = words.iter().take(2).map(|word| (*word).to_owned()).collect();
    form.extend(words.iter().filter(|word| word.starts_with('-')).map(|word| (*word).to_owned()));
    form
}

#[test]
fn every_command_of_the_lecture_runs_and_shows_what_the_page_shows() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let program = Path::new(env!("CARGO_BIN_EXE_gatemill"));
    let mut path = std::ffi::OsString::from(program.parent().expect("a folder"));
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut ran = 0;
    for block in blocks(&page()) {
        let Block { line, commands, quick, shown } = &block;
        if let Some(quick) = quick {
            // Whatever is quick about it, it is the same command: each flag of the full form is given too.
            assert_eq!(quick.len(), commands.len(), "line {line}: a quick form for each command");
            for (command, quick) in commands.iter().zip(quick) {
                let (full, quick_form) = (form(command), form(quick));
                let missing: Vec<_> = full.iter().filter(|part| !quick_form.contains(part)).collect();
                assert!(missing.is_empty(), "line {line}: `{quick}` lacks {missing:?} of `{command}`");
            }
        }
        let mut out = String::new();
        for command in quick.as_ref().unwrap_or(commands) {
            assert!(command.starts_with("gatemill "), "line {line}: {command}");
            let mut shell = Command::new("sh");
            shell.args(["-e", "-c", command]).current_dir(folder.path()).stdin(Stdio::null());
            shell.env("PATH", &path).env("COLUMNS", "100").env("XDG_CACHE_HOME", folder.path().join(".cache"));
            let ended = shell.output().expect("started");
            let err = String::from_utf8_lossy(&ended.stderr);
            assert!(ended.status.success(), "line {line}: {command}: {}\n{err}", ended.status);
            out.push_str(&String::from_utf8_lossy(&ended.stdout));
            ran += 1;
        }
        if let (None, Some(shown)) = (quick, shown) {
            let mut rest = out.lines();
            for want in shown.iter().filter(|line| !line.trim().is_empty() && line.trim() != "...") {
                let want = want.trim_end();
                assert!(
                    rest.any(|line| line.trim_end() == want),
                    "line {line}: no (further) line is\n{want}\nin\n{out}"
                );
            }
        }
    }
    assert!(ran >= 10, "{ran} commands");
}

#[test]
fn every_row_of_the_lecture_has_a_command_and_every_place_is_there() {
    let page = page();
    let rows: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## L")).collect();
    let numbers: Vec<usize> =
        rows.iter().map(|row| row.split(['.', ' ', ':']).next().unwrap().parse().expect("a number")).collect();
    assert_eq!(numbers, (1..=11).collect::<Vec<_>>());
    for section in page.split("\n## ").skip(1).filter(|section| section.starts_with('L')) {
        let title = section.lines().next().unwrap();
        assert!(section.contains("```sh\ngatemill"), "{title} has no command");
        assert!(section.contains("](../"), "{title} does not say where its code is");
    }
    let mut places = 0;
    for link in page.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
        if link.starts_with("http") || link.starts_with('#') {
            continue;
        }
        let path: PathBuf = Path::new(ROOT).join("doc").join(link.split('#').next().unwrap());
        assert!(path.exists(), "{link} is not there");
        places += 1;
    }
    assert!(places > 20, "{places} places");
}
