//! A corpus: files or bytes, opened, counted, cut and ready to be read as lanes.

use crate::cache::{self, CacheOptions};
use crate::decomposed;
use crate::documents::Documents;
use crate::error::CorpusError;
use crate::fingerprint::Fingerprint;
use crate::list;
use crate::lossy;
use crate::pool::{HELD, Pool};
use crate::prepared::{Shelf, grouped};
use crate::scan::{BLOCK_BYTES, LineEnds, Scan, Seen, scan};
use crate::source::{How, Io, Source};
use crate::split::{Fractions, Split, Stream};
use crate::tokens::{Reader, Tokens};
use crate::unpack::{self, Packing};
use crate::vocab::{Vocab, VocabKind};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Notes of one kind, each on a file of its own, that are told in full.
const TOLD: usize = 4;

/// How a corpus is opened.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenOptions {
    /// What a symbol is. `fixed_vocab` says so too, and wins.
    pub vocab: VocabKind,
    /// Encode with a model's vocabulary: symbols that it lacks become [`Vocab::unseen`].
    pub fixed_vocab: Option<Vocab>,
    /// Whether `chars` reads what is not UTF-8 as U+FFFD, instead of refusing it.
    pub lossy: bool,
    /// The part of each file, at its end but for the test text, that is validation text: at least 0, below 1.
    pub val_frac: f64,
    /// The last part of each file, test text: at least 0, and below 1 together with `val_frac`.
    pub test_frac: f64,
    /// The text that ends a document. With one, lanes say where documents begin.
    pub document_separator: Option<String>,
    /// How files are read; the bits are the same.
    pub io: Io,
    /// Where the tokens of multi-byte texts, and texts that were unpacked or repaired, are kept. None: [`default_cache_dir`](crate::default_cache_dir).
    pub cache_dir: Option<PathBuf>,
}

impl Default for OpenOptions {
    /// `chars`, UTF-8 only, 5 % validation text, no test text, no documents, mapped.
    fn default() -> Self {
        Self {
            vocab: VocabKind::Chars,
            fixed_vocab: None,
            lossy: false,
            val_frac: 0.05,
            test_frac: 0.0,
            document_separator: None,
            io: Io::Map,
            cache_dir: None,
        }
    }
}

/// An opened corpus. A clone is the same corpus, not a copy.
#[derive(Debug, Clone)]
pub struct Corpus {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    vocab: Vocab,
    /// As they were given. A file of one-byte symbols is read through its own tokens; the others stay for checks.
    sources: Vec<Arc<Source>>,
    files: Vec<Tokens>,
    train: Stream,
    val: Stream,
    test: Stream,
    documents: Option<Documents>,
    fingerprint: Fingerprint,
    notes: Vec<String>,
}

impl Corpus {
    /// Opens files; together, in this order, they are the corpus. One whose name ends in `.gz` or `.zst` is unpacked into the
    /// cache folder, or found there. `chars` reads them once, in parallel on the rayon
    /// pool that this is called in; `bytes` reads samples only. No file is held in memory, unless its tokens are of
    /// more than one byte and no cache can be written, and then a note says so.
    ///
    /// Of more than 256 files only some are open at a time, and `chars` puts the tokens of all of them into one cache.
    ///
    /// Errors: a path that is no readable ordinary file; text that is not UTF-8, with the offset; compressed data that is
    /// damaged, or has no place to be unpacked to; nothing in any file.
    pub fn open(paths: &[PathBuf], options: &OpenOptions) -> Result<Self, CorpusError> {
        let mut notes = Vec::new();
        let mut shelf = Shelf::new(options.cache_dir.clone().or_else(cache::default_cache_dir));
        let sources = opened(paths, options.io, &mut shelf, &mut notes)?;
        Self::assemble(sources, options, shelf, notes)
    }
    /// A corpus of bytes that are in memory already; `name` stands for a path in messages. Errors: as `open`.
    pub fn from_bytes(name: &str, bytes: Vec<u8>, options: &OpenOptions) -> Result<Self, CorpusError> {
        Self::assemble(vec![Source::from_bytes(Path::new(name), bytes)], options, Shelf::new(None), Vec::new())
    }
    fn assemble(
        sources: Vec<Source>,
        options: &OpenOptions,
        mut shelf: Shelf,
        mut notes: Vec<String>,
    ) -> Result<Self, CorpusError> {
        let fractions = Fractions { val: options.val_frac, test: options.test_frac };
        fractions.check()?;
        let sources: Vec<Arc<Source>> = sources.into_iter().map(Arc::new).collect();
        let fingerprint = Fingerprint::of(sources.iter().map(|s| &**s))?;
        let empty = CorpusError::Empty { size_bytes: fingerprint.size_bytes() };
        if fingerprint.size_bytes() == 0 {
            return Err(empty);
        }
        let kind = options.fixed_vocab.as_ref().map_or(options.vocab, Vocab::kind);
        let mut marks = Vec::new();
        let starts = sources.iter().map(|s| text_start(s, kind, &mut marks)).collect::<Result<Vec<_>, _>>()?;
        tell(marks, &mut notes);
        let may_be_unseen = options.fixed_vocab.is_some();
        let (vocab, files) = match kind {
            VocabKind::Bytes => {
                let vocab = Vocab::bytes();
                let direct = |s: &Arc<Source>| Tokens::direct(s.clone(), 0, &vocab, false);
                let files: Vec<Tokens> = sources.iter().map(direct).collect();
                (vocab, files)
            }
            VocabKind::Chars => {
                let seen = Seen::new();
                let texts = texts(&sources, &starts, &seen, options, &mut shelf, &mut notes)?;
                let vocab = match &options.fixed_vocab {
                    Some(vocab) => vocab.clone(),
                    None => Vocab::from_symbols(&seen.symbols()).map_err(|_| empty)?,
                };
                notes.extend(line_ends_note(&texts));
                notes.extend(decomposed::note(&vocab));
                // The tokens of many files are joined, so that one file is open while they are read.
                let direct = |scan: &Scan| scan.ascii && sources.len() <= HELD;
                let encoded: Vec<_> =
                    texts.iter().filter(|(_, scan)| !direct(scan)).map(|(text, scan)| (&**text, scan)).collect();
                let dir = shelf.dir().filter(|_| !sources.iter().all(|s| s.in_memory()));
                let cached = CacheOptions { dir, io: options.io, may_be_unseen };
                let mut encoded = cache::tokens(&encoded, &vocab, &cached, &mut notes)?.into_iter();
                let tokens = |(text, scan): &(Arc<Source>, Scan)| match direct(scan) {
                    true => Some(Tokens::direct(text.clone(), scan.start, &vocab, may_be_unseen)),
                    false => encoded.next(),
                };
                let files: Vec<Tokens> = texts.iter().filter_map(tokens).collect();
                (vocab, files)
            }
        };
        if vocab.len() == 1 {
            notes.push("the corpus has one distinct symbol: there is nothing to learn, the loss is 0".into());
        }
        let [train, val, test] =
            [Split::Train, Split::Val, Split::Test].map(|split| Stream::new(&files, split, fractions));
        if train.len() == 0 && val.len() == 0 && test.len() == 0 {
            return Err(CorpusError::Empty { size_bytes: fingerprint.size_bytes() });
        }
        let separator = options.document_separator.as_deref();
        let documents = separator.map(|text| Documents::new(text, &vocab, &mut notes)).transpose()?;
        Ok(Self { inner: Arc::new(Inner { vocab, sources, files, train, val, test, documents, fingerprint, notes }) })
    }
    /// Its symbols, or those it was opened with.
    pub fn vocab(&self) -> &Vocab {
        &self.inner.vocab
    }
    /// Symbols of one part.
    pub fn symbols(&self, split: Split) -> u64 {
        self.stream(split).len()
    }
    /// Bytes of all files.
    pub fn size_bytes(&self) -> u64 {
        self.inner.fingerprint.size_bytes()
    }
    /// What it is known by in a checkpoint.
    pub fn fingerprint(&self) -> Fingerprint {
        self.inner.fingerprint
    }
    /// What a person should know: a byte-order mark, a cache that could not be written. For a person to read.
    pub fn notes(&self) -> &[String] {
        &self.inner.notes
    }
    /// Looks at the files again, as is done at each checkpoint. Errors: `Shrank`, `Changed`, or the reading itself.
    pub fn check_unchanged(&self) -> Result<(), CorpusError> {
        self.inner.sources.iter().try_for_each(|source| source.check_same_file())?;
        let now = Fingerprint::of(self.inner.sources.iter().map(|s| &**s))?;
        if now == self.inner.fingerprint {
            return Ok(());
        }
        let path = self.inner.sources.first().map(|s| s.path().to_owned()).unwrap_or_default();
        Err(CorpusError::Changed { path, what: "its content (or that of a file given with it) was rewritten".into() })
    }
    fn stream(&self, split: Split) -> &Stream {
        match split {
            Split::Train => &self.inner.train,
            Split::Val => &self.inner.val,
            Split::Test => &self.inner.test,
        }
    }
    /// Whether it was opened with a document separator.
    pub fn has_documents(&self) -> bool {
        self.inner.documents.is_some()
    }
    /// How many symbols before one say whether it begins a document.
    pub(crate) fn look_back(&self) -> usize {
        self.inner.documents.as_ref().map_or(0, Documents::look_back)
    }
    /// Calls `found(t)` where symbol `at + t` of one part, t below `steps`, begins a document. `ids` are the `before`
    /// symbols in front of them, `look_back` or all there are, and then theirs.
    pub(crate) fn begins(
        &self,
        split: Split,
        (at, steps): (u64, usize),
        (before, ids): (usize, &[u32]),
        found: impl FnMut(usize),
    ) {
        if let Some(documents) = &self.inner.documents {
            documents.begins(self.stream(split).stretches(at, steps), (before, ids), found);
        }
    }
    /// The ids of symbols `at .. at + ids.len()` of one part; to be trusted once `leave` has found nothing. Panics beyond
    /// its end. Errors: reading.
    pub(crate) fn copy(&self, split: Split, at: u64, ids: &mut [u32], reader: &mut Reader) -> Result<(), CorpusError> {
        self.stream(split).copy(&self.inner.files, at, ids, reader)
    }
    /// Ends the copies of a chunk. Errors: a file was cut meanwhile.
    pub(crate) fn leave(&self, reader: &mut Reader) -> Result<(), CorpusError> {
        Stream::leave(&self.inner.files, reader)
    }
}

/// Files as sources: a long list of them read out, compressed ones unpacked, the descriptors of many shared.
pub(crate) fn opened(
    paths: &[PathBuf],
    io: Io,
    shelf: &mut Shelf,
    notes: &mut Vec<String>,
) -> Result<Vec<Source>, CorpusError> {
    let paths = list::read(paths)?;
    let mut unpacked = Vec::new();
    let pool = (paths.len() > HELD).then(|| Arc::new(Pool::default()));
    let mut sources = Vec::with_capacity(paths.len());
    for (number, path) in paths.iter().enumerate() {
        let mut how = How { io, kept: None, pool: pool.clone().map(|pool| (pool, number)) };
        if let Some(packing) = Packing::of_name(path) {
            let (text, note) = unpack::text_of(path, packing, shelf)?;
            unpacked.push(note);
            how.kept = Some(text.path);
        }
        sources.push(Source::open_how(path, how, notes)?);
    }
    tell(unpacked, notes);
    Ok(sources)
}

/// The texts of `chars` and what a pass over each finds; repaired where that is asked for. Errors: not UTF-8; reading.
fn texts(
    sources: &[Arc<Source>],
    starts: &[u64],
    seen: &Seen,
    options: &OpenOptions,
    shelf: &mut Shelf,
    notes: &mut Vec<String>,
) -> Result<Vec<(Arc<Source>, Scan)>, CorpusError> {
    let scanned = |(source, &start): (&Arc<Source>, &u64)| scan(source, start, BLOCK_BYTES, seen);
    // A file is read in parallel; files are where there are many, which are small or in no hurry.
    let scans: Vec<_> = match sources.len() > HELD {
        true => sources.par_iter().zip(starts).map(scanned).collect(),
        false => sources.iter().zip(starts).map(scanned).collect(),
    };
    let (mut texts, mut repairs) = (Vec::with_capacity(sources.len()), Vec::new());
    for ((source, &start), scanned) in sources.iter().zip(starts).zip(scans) {
        texts.push(match scanned {
            Err(CorpusError::InvalidUtf8 { path, offset, of }) if options.lossy => {
                let (text, replaced) = lossy::repaired(source, shelf, |kept| {
                    let how = How { io: options.io, kept: Some(kept.path.clone()), pool: source.pool() };
                    Source::open_how(&path, how, notes)
                })?;
                let times = if replaced == 1 { "place" } else { "places" };
                repairs.push(format!(
                    "{path:?} is not UTF-8 in {} {times}, the first at byte offset {offset}{of}; U+FFFD is read there",
                    grouped(replaced)
                ));
                let scan = scan(&text, start, BLOCK_BYTES, seen)?;
                (Arc::new(text), scan)
            }
            scanned => (source.clone(), scanned?),
        });
    }
    tell(repairs, notes);
    Ok(texts)
}

/// Says that line ends differ, where they do.
fn line_ends_note(texts: &[(Arc<Source>, Scan)]) -> Option<String> {
    let mut all = LineEnds::default();
    texts.iter().for_each(|(_, scan)| all.add(scan.line_ends));
    let kinds = [("CRLF", all.crlf), ("LF", all.lf.saturating_sub(all.crlf)), ("CR", all.cr)];
    let used: Vec<String> =
        kinds.iter().filter(|(_, n)| *n > 0).map(|(name, n)| format!("{} {name}", grouped(*n))).collect();
    (used.len() > 1).then(|| format!("the line ends are mixed ({}); all of them are kept as they are", used.join(", ")))
}

/// Tells notes of one kind: a few, then how many more there are.
fn tell(mut those: Vec<String>, notes: &mut Vec<String>) {
    let more = those.len().saturating_sub(TOLD);
    those.truncate(TOLD);
    notes.extend(those);
    if more > 0 {
        notes.push(format!("the same for {} more", grouped(more as u64)));
    }
}

/// The encoding whose byte-order mark a file begins with, and the bytes of the mark.
pub(crate) fn byte_order_mark(source: &Source) -> Result<Option<(&'static str, u64)>, CorpusError> {
    let mut head = [0; 4];
    Ok(match head_of(source, &mut head)? {
        [0xEF, 0xBB, 0xBF, ..] => Some(("UTF-8", 3)),
        [0xFF, 0xFE, 0, 0] | [0, 0, 0xFE, 0xFF] => Some(("UTF-32", 4)),
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => Some(("UTF-16", 2)),
        _ => None,
    })
}

/// The first bytes of a file.
fn head_of<'a>(source: &Source, head: &'a mut [u8; 4]) -> Result<&'a [u8], CorpusError> {
    let len = source.size_bytes().min(4) as usize;
    let head = head.get_mut(..len).unwrap_or_default();
    source.copy(0, head)?;
    Ok(head)
}

/// Where the text of a file begins: behind a UTF-8 byte-order mark. Errors: the mark of another encoding.
fn text_start(source: &Source, kind: VocabKind, notes: &mut Vec<String>) -> Result<u64, CorpusError> {
    if kind == VocabKind::Chars {
        unpack::check_plain(source, head_of(source, &mut [0; 4])?)?;
    }
    let Some((encoding, len)) = byte_order_mark(source)? else { return Ok(0) };
    let path = source.path();
    match (kind, encoding) {
        (VocabKind::Bytes, _) => {
            notes.push(format!("{path:?} begins with a {encoding} byte-order mark; its {len} bytes are read as data"));
            Ok(0)
        }
        (VocabKind::Chars, "UTF-8") => {
            notes.push(format!("{path:?} begins with a UTF-8 byte-order mark, which is skipped"));
            Ok(len)
        }
        (VocabKind::Chars, encoding) => Err(CorpusError::Utf16 { path: path.to_owned(), encoding }),
    }
}
