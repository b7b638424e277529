//! Where a result goes: looked at before the work that it takes, so that minutes are not lost at their end.

use std::path::{Path, PathBuf};

use crate::exit::{Failure, IO, USAGE};
use crate::progress::printable;

/// Errors: no file can be there, or it would replace what the command reads. `flag` is where it was given.
pub(crate) fn check<'a>(flag: &str, path: &Path, read: impl IntoIterator<Item = &'a PathBuf>) -> Result<(), Failure> {
    let shown = printable(&path.display().to_string());
    let place = path.canonicalize().ok();
    if place.is_some() && read.into_iter().any(|read| read.canonicalize().ok() == place) {
        return Err(Failure::new(USAGE, format!("{flag} {shown}: this is read here, and would be replaced"))
            .help("give the name of another file"));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let what = if path.is_dir() {
        "it is a folder".to_owned()
    } else if folder.is_dir() {
        return Ok(());
    } else {
        format!("there is no folder {}", printable(&folder.display().to_string()))
    };
    Err(Failure::new(IO, format!("cannot write {shown}: {what}"))
        .help(format!("give {flag} a file in a folder that exists")))
}
