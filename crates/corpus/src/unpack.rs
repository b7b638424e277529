//! Compressed text, unpacked in a stream: gzip and Zstandard, of any number of members or frames.
//!
//! A file is taken for compressed where its name says so (`.gz`, `.zst`), and then it must begin like one. What standard
//! input brings has no name: its first bytes decide.
//!
//! Checksums and lengths that the data carry are compared. Memory is a window, however long the text gets.

use crate::error::CorpusError;
use crate::prepared::{COPY_BYTES, Prepared, Shelf, TextDraft, each_part, grouped, key};
use crate::source::{Source, open_ordinary};
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
use sha2::{Digest, Sha256};
use std::cell::{Cell, RefCell};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// How a text is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    Gzip,
    Zstd,
}

impl Packing {
    const ALL: [Packing; 2] = [Packing::Gzip, Packing::Zstd];

    /// Its name for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Packing::Gzip => "gzip",
            Packing::Zstd => "Zstandard",
        }
    }
    /// The ending of its files.
    pub(crate) fn ending(self) -> &'static str {
        match self {
            Packing::Gzip => "gz",
            Packing::Zstd => "zst",
        }
    }
    /// What the file's name says.
    pub(crate) fn of_name(path: &Path) -> Option<Self> {
        let ending = path.extension()?;
        Self::ALL.into_iter().find(|packing| ending.eq_ignore_ascii_case(packing.ending()))
    }
    /// What the first four bytes say.
    pub(crate) fn of_magic(head: &[u8]) -> Option<Self> {
        match head {
            // Method 8, deflate, is the only one there is.
            [0x1F, 0x8B, 8, ..] => Some(Packing::Gzip),
            // A frame, or one of a tool's own that is to be skipped.
            [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => Some(Packing::Zstd),
            _ => None,
        }
    }
}

/// The text of a compressed file, from the cache or unpacked now. `packing` is what its name says. Errors: it is
/// something else, cut or damaged; no cache folder, or no space there.
pub(crate) fn text_of(path: &Path, packing: Packing, shelf: &mut Shelf) -> Result<(Prepared, String), CorpusError> {
    let open = || Ok(open_ordinary(path)?.0);
    let failed = |e| CorpusError::io(path, "reading", e);
    let (mut file, mut hash, mut head) = (open()?, hash(packing), Vec::new());
    each_part(&mut file, |part| {
        head.extend(part.iter().take(4_usize.saturating_sub(head.len())));
        hash.update(part);
    })
    .map_err(failed)?;
    if Packing::of_magic(&head) != Some(packing) {
        let (format, ending) = (packing.name(), packing.ending());
        return Err(CorpusError::NotPacked { path: path.to_owned(), format, ending, found: hex(&head) });
    }
    let found = key(hash);
    if let Some(kept) = shelf.find(&found) {
        let note = format!("{path:?}: unpacked before to {:?} ({} bytes)", kept.path, grouped(kept.size_bytes));
        return Ok((kept, note));
    }
    let mut draft = shelf.draft(path)?;
    // The second reading must be of the same bytes as the first.
    let tap = Tap::new(open()?, self::hash(packing));
    unpack(path, Some(packing), BufReader::with_capacity(COPY_BYTES, &tap), &mut |part| draft.write(part))
        .map_err(|error| tap.failure(path).unwrap_or(error))?;
    if key(tap.hash.into_inner()) != found {
        let what = "it was rewritten while it was unpacked".into();
        return Err(CorpusError::Changed { path: path.to_owned(), what });
    }
    let kept = draft.keep(&found, 0)?;
    let note = format!("{path:?}: unpacked to {:?} ({} bytes)", kept.path, grouped(kept.size_bytes));
    Ok((kept, note))
}

/// Copies what a stream brings into a draft, unpacked where it is compressed; `hash` gets the text. Gives how it was
/// compressed. Errors: reading; damaged data; the disk.
pub(crate) fn copy_stream(
    name: &Path,
    from: &mut dyn Read,
    draft: &mut TextDraft,
    hash: &mut Sha256,
) -> Result<Option<Packing>, CorpusError> {
    let tap = Tap::new(from, Sha256::new());
    let mut input = BufReader::with_capacity(COPY_BYTES, &tap);
    // A pipe may bring its first bytes one by one.
    let mut head = Vec::new();
    let read = input.by_ref().take(4).read_to_end(&mut head);
    read.map_err(|e| CorpusError::io(name, "reading", e))?;
    let packing = Packing::of_magic(&head);
    let mut input = head.as_slice().chain(input);
    let mut sink = |part: &[u8]| {
        hash.update(part);
        draft.write(part)
    };
    let done = unpack(name, packing, &mut input, &mut sink);
    done.map_err(|error| tap.failure(name).unwrap_or(error)).map(|()| packing)
}

type Sink<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), CorpusError>;

/// Unpacks all of `input` into `sink`; plain text goes through. Errors: damaged data; those of `sink`.
fn unpack(path: &Path, packing: Option<Packing>, mut input: impl BufRead, sink: Sink<'_>) -> Result<(), CorpusError> {
    let mut bytes = 0u64;
    let mut counted = |part: &[u8]| {
        bytes = bytes.saturating_add(part.len() as u64);
        sink(part)
    };
    let done = match packing {
        None => pour(&mut input, &mut counted),
        Some(Packing::Gzip) => pour(&mut flate2::bufread::MultiGzDecoder::new(input), &mut counted),
        Some(Packing::Zstd) => zstd(input, &mut counted),
    };
    done.map_err(|failure| match failure {
        Failure::Sink(error) => error,
        Failure::Data(problem) => CorpusError::Unpack {
            path: path.to_owned(),
            format: packing.map_or("plain", Packing::name),
            problem: problem.to_string(),
            bytes,
        },
    })
}

/// Why unpacking stopped.
enum Failure {
    Sink(CorpusError),
    Data(Box<dyn std::error::Error + Send + Sync>),
}

impl Failure {
    fn data(problem: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Failure::Data(problem.into())
    }
}

/// All that a decoder gives, into a sink.
fn pour(decoder: &mut dyn Read, sink: Sink<'_>) -> Result<(), Failure> {
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        match decoder.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(len) => sink(buffer.get(..len).unwrap_or_default()).map_err(Failure::Sink)?,
            Err(e) => return Err(Failure::data(e)),
        }
    }
}

/// Frame after frame, to the end of the input.
fn zstd(mut input: impl BufRead, sink: Sink<'_>) -> Result<(), Failure> {
    let mut decoder = FrameDecoder::new();
    while !input.fill_buf().map_err(Failure::data)?.is_empty() {
        let mut frame = match StreamingDecoder::new_with_decoder(&mut input, &mut decoder) {
            Ok(frame) => frame,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                let length = u64::from(length);
                let skipped = io::copy(&mut input.by_ref().take(length), &mut io::sink()).map_err(Failure::data)?;
                if skipped < length {
                    return Err(Failure::data("it ends inside a frame"));
                }
                continue;
            }
            Err(e) => return Err(Failure::data(e)),
        };
        let bytes = Cell::new(0u64);
        pour(&mut frame, &mut |part| {
            bytes.set(bytes.get().saturating_add(part.len() as u64));
            sink(part)
        })?;
        let stated = decoder.content_size();
        if stated != 0 && stated != bytes.get() {
            return Err(Failure::data(format!("a frame should have {stated} bytes and has {}", bytes.get())));
        }
        let sum = decoder.get_checksum_from_data();
        if sum.is_some() && sum != decoder.get_calculated_checksum() {
            return Err(Failure::data("the checksum of a frame does not match"));
        }
    }
    Ok(())
}

/// A reader that keeps a hash of what was read and how it failed.
struct Tap<R> {
    from: RefCell<R>,
    hash: RefCell<Sha256>,
    failed: RefCell<Option<io::Error>>,
}

impl<R: Read> Tap<R> {
    fn new(from: R, hash: Sha256) -> Self {
        Self { from: RefCell::new(from), hash: RefCell::new(hash), failed: RefCell::new(None) }
    }
    /// Whether it was the reading that failed, not what was read.
    fn failure(&self, path: &Path) -> Option<CorpusError> {
        self.failed.take().map(|e| CorpusError::io(path, "reading", e))
    }
}

impl<R: Read> Read for &Tap<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.from.borrow_mut().read(out) {
                Ok(len) => {
                    self.hash.borrow_mut().update(out.get(..len).unwrap_or_default());
                    return Ok(len);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    let copy = io::Error::new(e.kind(), e.to_string());
                    *self.failed.borrow_mut() = Some(e);
                    return Err(copy);
                }
            }
        }
    }
}

/// What a key is made of beside the bytes: how they are read.
fn hash(packing: Packing) -> Sha256 {
    Sha256::new_with_prefix(packing.ending())
}

/// Refuses compressed data where text is expected.
pub(crate) fn check_plain(source: &Source, head: &[u8]) -> Result<(), CorpusError> {
    match Packing::of_magic(head) {
        None => Ok(()),
        Some(packing) => Err(CorpusError::Packed {
            path: source.path().to_owned(),
            format: packing.name(),
            ending: packing.ending(),
        }),
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    if digits.is_empty() { "nothing".into() } else { digits.join(" ") }
}
