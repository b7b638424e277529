//! A folder for texts and one for the cache, and what is read from them.

use gatemill_corpus::{Corpus, CorpusError, Expanded, Lanes, OpenOptions, Split, expand};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A folder for texts and one for the cache.
pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(place.path("texts")).unwrap();
        place
    }
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    pub(crate) fn cache(&self) -> PathBuf {
        self.path("cache")
    }
    /// Writes `texts/NAME`.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path("texts").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }
    pub(crate) fn options(&self) -> OpenOptions {
        OpenOptions { val_frac: 0.25, cache_dir: Some(self.cache()), ..OpenOptions::default() }
    }
    pub(crate) fn open(&self, path: &Path) -> Result<Corpus, CorpusError> {
        Corpus::open(&[path.to_owned()], &self.options())
    }
    pub(crate) fn expand(&self, paths: &[PathBuf], stdin: &[u8]) -> Result<Expanded, CorpusError> {
        expand(paths, &mut &*stdin, Some(self.cache()))
    }
    /// The files below `texts`, relative to it.
    pub(crate) fn files(&self) -> Vec<String> {
        let texts = self.path("texts");
        let expanded = self.expand(std::slice::from_ref(&texts), b"").unwrap();
        let relative = |path: &PathBuf| path.strip_prefix(&texts).unwrap().to_str().unwrap().to_owned();
        expanded.paths.iter().map(relative).collect()
    }
    /// Names in the cache folder.
    pub(crate) fn cached(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.cache()) else { return Vec::new() };
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// The text of one part, through one lane.
pub(crate) fn read(corpus: &Corpus, split: Split) -> Vec<u8> {
    let mut lanes = Lanes::for_evaluation(corpus, split, 1).unwrap();
    let len = lanes.len() as usize;
    let mut chunk = lanes.chunk(len);
    lanes.fill(0, len, &mut chunk).unwrap();
    chunk.inputs.extend(chunk.targets.last());
    corpus.vocab().decode(&chunk.inputs)
}

pub(crate) fn all(corpus: &Corpus) -> Vec<u8> {
    [read(corpus, Split::Train), read(corpus, Split::Val)].concat()
}

pub(crate) fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(text: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
}

/// A text that compresses, of more than one block of either format.
pub(crate) fn long_text() -> Vec<u8> {
    (0..60_000u32)
        .flat_map(|i| format!("{} mills at the gate\n", i.wrapping_mul(2_654_435_761) >> 12).into_bytes())
        .collect()
}

/// By `gzip -9` and `zstd -19 --check`: forty times one line.
pub(crate) const GZIP: &[u8] = &[
    0x1F, 0x8B, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x2B, 0xC9, 0x48, 0x55, 0x48, 0x4F, 0x2C, 0x49, 0x55,
    0xC8, 0x2C, 0x56, 0xC8, 0x2F, 0x48, 0xCD, 0xD3, 0x53, 0x28, 0x01, 0x8A, 0x94, 0x03, 0x45, 0x8A, 0x14, 0x4A, 0x4A,
    0x8B, 0xF2, 0x8A, 0xC1, 0xFC, 0xDC, 0xCC, 0x9C, 0x1C, 0x3D, 0xAE, 0x92, 0x51, 0xB5, 0xA3, 0x6A, 0x47, 0xD5, 0x8E,
    0xAA, 0x1D, 0x55, 0x3B, 0xAA, 0x76, 0x88, 0xA8, 0x05, 0x00, 0x0C, 0x16, 0x72, 0x38, 0xE0, 0x06, 0x00, 0x00,
];
pub(crate) const ZSTD: &[u8] = &[
    0x28, 0xB5, 0x2F, 0xFD, 0x04, 0x68, 0x8D, 0x01, 0x00, 0xC2, 0xC2, 0x09, 0x10, 0xB0, 0xA9, 0x03, 0x80, 0x42, 0x2C,
    0x0D, 0x19, 0x37, 0xDF, 0x61, 0x94, 0x8E, 0xEC, 0x70, 0x20, 0x20, 0x94, 0x42, 0xCC, 0xBC, 0xBE, 0x8E, 0x62, 0x5D,
    0xB1, 0xA2, 0xCD, 0xEB, 0xE1, 0x30, 0xA1, 0x17, 0x99, 0x15, 0x63, 0x5E, 0x03, 0x01, 0x00, 0x8C, 0xF5, 0xFD, 0xAA,
    0x0C, 0x0B, 0x9C, 0x9D, 0xBC,
];
