//! A list of many files as a file of its own: `gatemill files 1`, a line's end, then paths, each ended by a NUL.
//!
//! A run keeps its files by name, in each checkpoint, whose header is bounded. Where the names take more than a part of
//! that, the run keeps one name, of a list in the cache folder; opening the list opens its files. Paths in it are absolute.

use crate::draft::{Draft, remove_stale};
use crate::error::CorpusError;
use crate::prepared::{grouped, key};
use crate::source::open_ordinary;
use sha2::{Digest, Sha256};
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The first line.
const MAGIC: &[u8] = b"gatemill files 1\n";
/// The ending of its name, without the dot.
const ENDING: &str = "files";
/// Names of more bytes than this go into a list: a quarter of the longest header of a checkpoint.
const LONGEST: usize = 1 << 18;

/// Whether so many names are better kept in a list.
pub(crate) fn is_due(paths: &[PathBuf]) -> bool {
    paths.iter().fold(0, |sum: usize, path| sum.saturating_add(path.as_os_str().len())) > LONGEST
}

/// Writes a list, named after `first`, what was given, and its content. Gives it with a note. Errors: no cache folder, or
/// none that can be written.
pub(crate) fn write(paths: &[PathBuf], first: &Path, dir: Option<&Path>) -> Result<(PathBuf, String), CorpusError> {
    let dir = dir.ok_or_else(|| CorpusError::NoCache { of: first.to_owned() })?;
    let failed = |source| CorpusError::Keep { of: first.to_owned(), dir: dir.to_owned(), source };
    let mut list = MAGIC.to_vec();
    for path in paths {
        let path = std::path::absolute(path).map_err(|e| CorpusError::io(path, "completing the path", e))?;
        list.extend_from_slice(path.as_os_str().as_bytes());
        list.push(0);
    }
    let name = std::path::absolute(first).unwrap_or_default().file_name().unwrap_or(OsStr::new("list")).to_owned();
    let mut file_name = name;
    file_name.push(format!("-{}.{ENDING}", key(Sha256::new_with_prefix(&list))));
    remove_stale(dir);
    let mut draft = Draft::create(dir, "new.files").map_err(failed)?;
    draft.file.write_all(&list).map_err(failed)?;
    let path = draft.keep(&file_name).map_err(failed)?;
    let note = format!(
        "the list of these {} files is kept in {path:?}; where it is gone, name the folder again to resume",
        grouped(paths.len() as u64)
    );
    Ok((path, note))
}

/// Paths with each list replaced by the files in it. Errors: a list that cannot be read, or is cut.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Vec<PathBuf>, CorpusError> {
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        match path.extension().is_some_and(|ending| ending == ENDING) {
            true => match listed(path)? {
                Some(listed) => files.extend(listed),
                None => files.push(path.clone()),
            },
            false => files.push(path.clone()),
        }
    }
    Ok(files)
}

/// The files of a list; None for a file that is none.
fn listed(path: &Path) -> Result<Option<Vec<PathBuf>>, CorpusError> {
    let failed = |e| CorpusError::io(path, "reading", e);
    let (mut file, _) = open_ordinary(path)?;
    let mut head = Vec::new();
    Read::by_ref(&mut file).take(MAGIC.len() as u64).read_to_end(&mut head).map_err(failed)?;
    if head != MAGIC {
        return Ok(None);
    }
    let mut list = Vec::new();
    file.read_to_end(&mut list).map_err(failed)?;
    let Some(list) = list.strip_suffix(&[0]) else {
        return Err(CorpusError::CutList { path: path.to_owned() });
    };
    Ok(Some(list.split(|&byte| byte == 0).map(|path| PathBuf::from(OsStr::from_bytes(path))).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_list_comes_back_whatever_the_names_and_a_cut_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let names: Vec<PathBuf> =
            [&b"/a\nb"[..], b"/\xff.txt", b"/c d"].iter().map(|name| PathBuf::from(OsStr::from_bytes(name))).collect();
        let (path, _) = write(&names, Path::new("some/folder"), Some(dir.path())).unwrap();
        assert!(path.file_name().unwrap().to_str().unwrap().starts_with("folder-"));
        // Not a list, though its name ends like one.
        let other = dir.path().join("my.files");
        fs::write(&other, "gatemill").unwrap();
        let all = read(&[other.clone(), path.clone(), "x".into()]).unwrap();
        assert_eq!(all[0], other);
        assert_eq!(all[1..4], names);
        assert_eq!(all[4], Path::new("x"));
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(matches!(read(std::slice::from_ref(&path)), Err(CorpusError::CutList { .. })));
        assert!(matches!(write(&names, Path::new("x"), None), Err(CorpusError::NoCache { .. })));
    }

    #[test]
    fn a_list_is_due_where_the_names_are_long() {
        let names = |count: usize| vec![PathBuf::from("/a/folder/of/32/characters/file.t"); count];
        assert!(!is_due(&names(1000)) && is_due(&names(10_000)));
    }
}
