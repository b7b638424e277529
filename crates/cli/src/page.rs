//! A page into a file: whole or not there, in the place of an older one.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use gatemill_inspect::page::Page;
use gatemill_train::checkpoint::replace_file;

use crate::exit::{Failure, IO};
use crate::progress::{Progress, printable};
use crate::train::storage;

/// Writes the page and says where it is. Errors: the file cannot be written.
pub(crate) fn write(path: &Path, page: &Page, notes: &Progress) -> Result<(), Failure> {
    let text = page.render();
    let shown = printable(&path.display().to_string());
    put(path, text.as_bytes())
        .map_err(|error| Failure::new(IO, error).help("-o FILE names a file in a folder that is there"))?;
    notes.line(&format!("wrote {shown} ({:.1} kB): open it in a browser", text.len() as f64 / 1e3));
    Ok(())
}

/// Whole or not at all, unless it is something else than a file, such as /dev/stdout.
fn put(path: &Path, text: &[u8]) -> Result<(), String> {
    if std::fs::metadata(path).is_ok_and(|kind| !kind.is_file()) {
        let written = OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(text));
        return written.map_err(|error| format!("cannot write {}: {error}", printable(&path.display().to_string())));
    }
    replace_file(storage().as_ref(), path, text).map_err(|error| error.to_string())
}
