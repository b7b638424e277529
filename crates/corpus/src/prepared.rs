//! Text that is made from another and kept in the cache folder: unpacked, repaired, or copied from standard input.
//!
//! ```text
//! KEY-BYTES-REPLACED-CRC.text      KEY       24 hexadecimal digits of a SHA-256 over what it was made from, and how
//!                                  BYTES     its length
//!                                  REPLACED  places at which U+FFFD stands for what was not UTF-8
//!                                  CRC       CRC-32 of it, 8 hexadecimal digits
//! ```
//!
//! The file is the plain text, so that it is mapped and read as any other; what proves it whole is in its name. A source that
//! changes has another key and finds nothing; a text that is damaged or cut is found out by its CRC and made anew. It is
//! written as `draft.rs` says: whole or not there. Memory is constant; the disk alone bounds what is unpacked.

use crate::draft::{Draft, remove_stale};
use crate::error::CorpusError;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Bytes that are copied at once. A guess: enough to amortise a system call.
pub(crate) const COPY_BYTES: usize = 1 << 18;
/// Hexadecimal digits of a key.
const KEY_DIGITS: usize = 24;

/// A kept text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prepared {
    pub(crate) path: PathBuf,
    pub(crate) size_bytes: u64,
    /// Places at which U+FFFD stands for what was not UTF-8.
    pub(crate) replaced: u64,
}

/// The cache folder as it was when it was first looked into.
#[derive(Debug)]
pub(crate) struct Shelf {
    dir: Option<PathBuf>,
    /// Texts by key, with the CRC of each.
    texts: Option<BTreeMap<String, (Prepared, u32)>>,
}

impl Shelf {
    /// Of this folder. Without one, nothing can be kept.
    pub(crate) fn new(dir: Option<PathBuf>) -> Self {
        Self { dir, texts: None }
    }
    pub(crate) fn dir(&self) -> Option<PathBuf> {
        self.dir.clone()
    }
    /// The text of this key, if it is there and whole: all of it is read.
    pub(crate) fn find(&mut self, key: &str) -> Option<Prepared> {
        let dir = self.dir.clone()?;
        let texts = self.texts.get_or_insert_with(|| {
            remove_stale(&dir);
            let names = fs::read_dir(&dir).into_iter().flatten().flatten();
            names.filter_map(|entry| parse(&dir, entry.file_name().to_str()?)).collect()
        });
        let (text, crc) = texts.get(key)?;
        let whole = crc_of(&text.path).is_ok_and(|(size_bytes, found)| (size_bytes, found) == (text.size_bytes, *crc));
        whole.then(|| text.clone())
    }
    /// A text that is to be kept. `of` is what it is made from. Errors: no folder, or none that can be written.
    pub(crate) fn draft(&self, of: &Path) -> Result<TextDraft, CorpusError> {
        let dir = self.dir.as_ref().ok_or_else(|| CorpusError::NoCache { of: of.to_owned() })?;
        let failed = |source| CorpusError::Keep { of: of.to_owned(), dir: dir.clone(), source };
        if self.texts.is_none() {
            remove_stale(dir);
        }
        let draft = Draft::create(dir, "new.text").map_err(failed)?;
        let (of, dir) = (of.to_owned(), dir.clone());
        Ok(TextDraft { draft, of, dir, size_bytes: 0, crc: crc32fast::Hasher::new() })
    }
}

/// A text that is being made.
#[derive(Debug)]
pub(crate) struct TextDraft {
    draft: Draft,
    of: PathBuf,
    dir: PathBuf,
    pub(crate) size_bytes: u64,
    crc: crc32fast::Hasher,
}

impl TextDraft {
    /// Appends. Errors: the disk.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), CorpusError> {
        self.draft.file.write_all(bytes).map_err(|source| self.failed(source))?;
        self.crc.update(bytes);
        self.size_bytes = self.size_bytes.saturating_add(bytes.len() as u64);
        Ok(())
    }
    /// Keeps it under a key. Errors: the disk; nothing of it is left.
    pub(crate) fn keep(self, key: &str, replaced: u64) -> Result<Prepared, CorpusError> {
        let crc = self.crc.clone().finalize();
        let name = format!("{key}-{}-{replaced}-{crc:08x}.text", self.size_bytes);
        self.keep_as(&name, replaced)
    }
    /// Keeps it under a name of its own.
    pub(crate) fn keep_as(self, name: &str, replaced: u64) -> Result<Prepared, CorpusError> {
        let Self { draft, of, dir, size_bytes, .. } = self;
        let path = draft.keep(name).map_err(|source| CorpusError::Keep { of, dir, source })?;
        Ok(Prepared { path, size_bytes, replaced })
    }
    fn failed(&self, source: io::Error) -> CorpusError {
        CorpusError::Keep { of: self.of.clone(), dir: self.dir.clone(), source }
    }
}

/// The key of a SHA-256.
pub(crate) fn key(hash: Sha256) -> String {
    hash.finalize().iter().take(KEY_DIGITS / 2).map(|byte| format!("{byte:02x}")).collect()
}

/// What a name in the folder says, if it is one of ours.
fn parse(dir: &Path, name: &str) -> Option<(String, (Prepared, u32))> {
    let mut parts = name.strip_suffix(".text")?.split('-');
    let (key, size_bytes, replaced, crc) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || key.len() != KEY_DIGITS {
        return None;
    }
    let (size_bytes, replaced) = (size_bytes.parse().ok()?, replaced.parse().ok()?);
    let crc = u32::from_str_radix(crc, 16).ok()?;
    Some((key.to_owned(), (Prepared { path: dir.join(name), size_bytes, replaced }, crc)))
}

/// Length and CRC-32 of a file.
fn crc_of(path: &Path) -> io::Result<(u64, u32)> {
    let (mut file, mut crc, mut size_bytes) = (File::open(path)?, crc32fast::Hasher::new(), 0u64);
    each_part(&mut file, |part| {
        crc.update(part);
        size_bytes = size_bytes.saturating_add(part.len() as u64);
    })?;
    Ok((size_bytes, crc.finalize()))
}

/// Hands all that is to be read to `sink`, in parts.
pub(crate) fn each_part(from: &mut impl Read, mut sink: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(len) => sink(buffer.get(..len).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// A number with commas, as a person reads it.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let (mut text, len) = (String::new(), digits.len());
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && len.saturating_sub(at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three() {
        let texts = [0, 12, 999, 1000, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "12", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_name_says_what_was_kept_and_others_are_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::new(Some(dir.path().to_owned()));
        let mut draft = shelf.draft(Path::new("x")).unwrap();
        draft.write(b"123456").unwrap();
        draft.write(b"789").unwrap();
        let key = key(Sha256::new_with_prefix("x"));
        let kept = draft.keep(&key, 7).unwrap();
        // The check value of CRC-32, and the start of the SHA-256 of `x`.
        let name = "2d711642b726b04401627ca9-9-7-cbf43926.text";
        assert_eq!(kept.path, dir.path().join(name));
        for other in ["a.text", "2d711642b726b04401627ca9-9-7.text", "2d71-9-7-cbf43926.text", &name[1..]] {
            fs::write(dir.path().join(other), "123456789").unwrap();
        }
        assert_eq!(shelf.find(&key), Some(kept.clone()));
        // Damaged, cut, gone.
        fs::write(&kept.path, "123456780").unwrap();
        assert_eq!(shelf.find(&key), None);
        fs::write(&kept.path, "12345678").unwrap();
        assert_eq!(shelf.find(&key), None);
        fs::remove_file(&kept.path).unwrap();
        assert_eq!(shelf.find(&key), None);
    }

    #[test]
    fn a_draft_that_is_given_up_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(Some(dir.path().join("deep/er")));
        let mut draft = shelf.draft(Path::new("x")).unwrap();
        draft.write(b"half").unwrap();
        assert_eq!(fs::read_dir(dir.path().join("deep/er")).unwrap().count(), 1);
        drop(draft);
        assert_eq!(fs::read_dir(dir.path().join("deep/er")).unwrap().count(), 0);
        assert!(matches!(Shelf::new(None).draft(Path::new("x")), Err(CorpusError::NoCache { .. })));
    }
}
