//! A page into a file: whole or not there, in the place of an older one.

use std::io::Write;
use std::path::Path;

use gatemill_inspect::page::Page;

use crate::exit::{Failure, IO};
use crate::progress::{Progress, printable};

/// Writes the page and says where it is. Errors: the file cannot be written.
pub(crate) fn write(path: &Path, page: &Page, notes: &Progress) -> Result<(), Failure> {
    let text = page.render();
    let shown = printable(&path.display().to_string());
    let failed = |error: std::io::Error| {
        Failure::new(IO, format!("cannot write {shown}: {error}"))
            .help("-o FILE names a file in a folder that is there")
    };
    put(path, text.as_bytes()).map_err(failed)?;
    notes.line(&format!("wrote {shown} ({:.1} kB): open it in a browser", text.len() as f64 / 1e3));
    Ok(())
}

/// Into a file beside it first, unless it is something else than a file, such as /dev/stdout.
fn put(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let special = std::fs::metadata(path).is_ok_and(|kind| !kind.is_file());
    if special {
        return std::fs::OpenOptions::new().write(true).open(path)?.write_all(text);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let draft = path.with_file_name(name);
    let written = std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    written
}
