//! What a person points at, as files: folders with all that is in them, `-` for standard input.
//!
//! ```text
//! FILE   itself, through any links
//! DIR    all ordinary files below it, in the byte order of their paths: `a-b` comes before `a/b`
//!        names that begin with a dot are passed over
//!        links to files are followed, links to folders are not, so that there are no loops
//! -      standard input to its end, kept in the cache folder; compressed text is unpacked
//! ```
//!
//! The list is what a run keeps, so that it reads the same files when it is resumed, whatever has come into the folder. A
//! long one becomes a file of its own (`list.rs`).

use crate::error::CorpusError;
use crate::list;
use crate::prepared::{Prepared, Shelf, grouped, key};
use crate::source::check_kind;
use crate::unpack::copy_stream;
use sha2::Sha256;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What stands for standard input.
const STANDARD_INPUT: &str = "-";

/// Files, and what a person should know about how they were found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expanded {
    /// Files, in the order in which they are read.
    pub paths: Vec<PathBuf>,
    /// For a person to read.
    pub notes: Vec<String>,
}

/// The files that `paths` stand for. Standard input, read from `stdin`, is kept in `cache_dir`.
///
/// Whether a file can be read is found out where it is opened. Errors: a folder that cannot be listed, or without files; a
/// link in it that leads nowhere; a pipe, socket or device in it; standard input twice, empty, damaged or not to be kept.
pub fn expand(paths: &[PathBuf], stdin: &mut dyn Read, cache_dir: Option<PathBuf>) -> Result<Expanded, CorpusError> {
    if paths.iter().filter(|path| is_standard_input(path)).count() > 1 {
        return Err(CorpusError::StandardInputTwice);
    }
    let mut expanded = Expanded::default();
    for path in paths {
        if is_standard_input(path) {
            let (kept, note) = standard_input(stdin, Shelf::new(cache_dir.clone()))?;
            expanded.paths.push(kept.path);
            expanded.notes.push(note);
        } else if fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
            let walk = Walk::through(path)?;
            expanded.notes.push(walk.note(path));
            expanded.paths.extend(walk.files);
        } else {
            expanded.paths.push(path.clone());
        }
    }
    if let (true, Some(first)) = (list::is_due(&expanded.paths), paths.first()) {
        let (path, note) = list::write(&expanded.paths, first, cache_dir.as_deref())?;
        expanded.paths = vec![path];
        expanded.notes.push(note);
    }
    Ok(expanded)
}

/// Whether a path stands for standard input.
pub fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == STANDARD_INPUT
}

/// What is below a folder.
#[derive(Debug, Default)]
struct Walk {
    files: Vec<PathBuf>,
    hidden: u64,
    linked_folders: u64,
}

impl Walk {
    fn through(folder: &Path) -> Result<Self, CorpusError> {
        let (mut walk, mut folders) = (Self::default(), vec![folder.to_owned()]);
        while let Some(folder) = folders.pop() {
            let failed = |e| CorpusError::io(&folder, "listing", e);
            for entry in fs::read_dir(&folder).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                if entry.file_name().as_bytes().starts_with(b".") {
                    walk.hidden = walk.hidden.saturating_add(1);
                    continue;
                }
                let path = entry.path();
                let opening = |e| CorpusError::io(&path, "opening", e);
                let kind = entry.file_type().map_err(opening)?;
                if kind.is_dir() {
                    folders.push(path);
                    continue;
                }
                if kind.is_symlink() {
                    let target = fs::metadata(&path).map_err(opening)?.file_type();
                    if target.is_dir() {
                        walk.linked_folders = walk.linked_folders.saturating_add(1);
                        continue;
                    }
                    check_kind(&path, target)?;
                } else {
                    check_kind(&path, kind)?;
                }
                walk.files.push(path);
            }
        }
        // Not the order of `Path`, which compares names.
        walk.files.sort_unstable_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
        match walk.files.is_empty() {
            true => Err(CorpusError::EmptyFolder { path: folder.to_owned(), hidden: walk.hidden }),
            false => Ok(walk),
        }
    }
    fn note(&self, folder: &Path) -> String {
        let several = |n: u64, what: &str| format!("{} {what}{}", grouped(n), if n == 1 { "" } else { "s" });
        let files = several(self.files.len() as u64, "file");
        let mut note = format!("{folder:?}: {files}, in the byte order of their paths");
        if self.hidden > 0 {
            note += &format!("; {} passed over that begin with a dot", several(self.hidden, "name"));
        }
        if self.linked_folders > 0 {
            note += &format!("; {} to folders not followed", several(self.linked_folders, "link"));
        }
        note
    }
}

/// Standard input, in a file of the cache folder that is named after its content.
fn standard_input(stdin: &mut dyn Read, shelf: Shelf) -> Result<(Prepared, String), CorpusError> {
    let name = Path::new("standard input");
    let (mut draft, mut hash) = (shelf.draft(name)?, Sha256::default());
    let packing = copy_stream(name, stdin, &mut draft, &mut hash)?;
    if draft.size_bytes == 0 {
        return Err(CorpusError::Empty { size_bytes: 0 });
    }
    let kept = draft.keep_as(&format!("stdin-{}.txt", key(hash)), 0)?;
    let how = packing.map_or(String::new(), |packing| format!(", unpacked from {}", packing.name()));
    let note = format!("standard input: kept in {:?} ({} bytes{how})", kept.path, grouped(kept.size_bytes));
    Ok((kept, note))
}
