//! A corpus: files or bytes, opened, counted, cut and ready to be read as lanes.

use crate::cache::{self, CacheOptions};
use crate::documents::Documents;
use crate::error::CorpusError;
use crate::fingerprint::Fingerprint;
use crate::scan::{BLOCK_BYTES, Seen, scan};
use crate::source::{Io, Source};
use crate::split::{Fractions, Split, Stream};
use crate::tokens::{Reader, Tokens};
use crate::vocab::{Vocab, VocabKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How a corpus is opened.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenOptions {
    /// What a symbol is. `fixed_vocab` says so too, and wins.
    pub vocab: VocabKind,
    /// Encode with a model's vocabulary: symbols that it lacks become [`Vocab::unseen`].
    pub fixed_vocab: Option<Vocab>,
    /// The part of each file, at its end but for the test text, that is validation text: at least 0, below 1.
    pub val_frac: f64,
    /// The last part of each file, test text: at least 0, and below 1 together with `val_frac`.
    pub test_frac: f64,
    /// The text that ends a document. With one, lanes say where documents begin.
    pub document_separator: Option<String>,
    /// How files are read; the bits are the same.
    pub io: Io,
    /// Where the tokens of multi-byte texts are kept. None: [`default_cache_dir`](crate::default_cache_dir).
    pub cache_dir: Option<PathBuf>,
}

impl Default for OpenOptions {
    /// `chars`, 5 % validation text, no test text, no documents, mapped.
    fn default() -> Self {
        Self {
            vocab: VocabKind::Chars,
            fixed_vocab: None,
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
    /// Opens files; together, in this order, they are the corpus. `chars` reads them once, in parallel on the rayon
    /// pool that this is called in; `bytes` reads samples only. No file is held in memory, unless its tokens are of
    /// more than one byte and no cache can be written, and then a note says so.
    ///
    /// Errors: a path that is no readable ordinary file; text that is not UTF-8, with the offset; nothing in any file.
    pub fn open(paths: &[PathBuf], options: &OpenOptions) -> Result<Self, CorpusError> {
        let mut notes = Vec::new();
        let sources = paths.iter().map(|path| Source::open(path, options.io, &mut notes)).collect::<Result<_, _>>()?;
        let cache_dir = options.cache_dir.clone().or_else(cache::default_cache_dir);
        Self::assemble(sources, options, cache_dir, notes)
    }
    /// A corpus of bytes that are in memory already; `name` stands for a path in messages. Errors: as `open`.
    pub fn from_bytes(name: &str, bytes: Vec<u8>, options: &OpenOptions) -> Result<Self, CorpusError> {
        Self::assemble(vec![Source::from_bytes(Path::new(name), bytes)], options, None, Vec::new())
    }
    fn assemble(
        sources: Vec<Source>,
        options: &OpenOptions,
        cache_dir: Option<PathBuf>,
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
        let starts = sources.iter().map(|s| text_start(s, kind, &mut notes)).collect::<Result<Vec<_>, _>>()?;
        let may_be_unseen = options.fixed_vocab.is_some();
        let (vocab, files) = match kind {
            VocabKind::Bytes => {
                let vocab = Vocab::bytes();
                let direct = |s: &Arc<Source>| Tokens::direct(s.clone(), 0, &vocab, false);
                let files = sources.iter().map(direct).collect();
                (vocab, files)
            }
            VocabKind::Chars => {
                let seen = Seen::new();
                let place = sources.iter().zip(&starts);
                let scans =
                    place.map(|(s, &start)| scan(s, start, BLOCK_BYTES, &seen)).collect::<Result<Vec<_>, _>>()?;
                let vocab = match &options.fixed_vocab {
                    Some(vocab) => vocab.clone(),
                    None => Vocab::from_symbols(&seen.symbols()).map_err(|_| empty)?,
                };
                let mut files = Vec::with_capacity(sources.len());
                for (source, scan) in sources.iter().zip(&scans) {
                    let dir = cache_dir.clone().filter(|_| !source.in_memory());
                    let cached = CacheOptions { dir, io: options.io, may_be_unseen };
                    files.push(match scan.ascii {
                        true => Tokens::direct(source.clone(), scan.start, &vocab, may_be_unseen),
                        false => cache::tokens(source, scan, &vocab, &cached, &mut notes)?,
                    });
                }
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

/// The encoding whose byte-order mark a file begins with, and the bytes of the mark.
pub(crate) fn byte_order_mark(source: &Source) -> Result<Option<(&'static str, u64)>, CorpusError> {
    let mut head = [0; 4];
    let len = source.size_bytes().min(4) as usize;
    let head = head.get_mut(..len).unwrap_or_default();
    source.copy(0, head)?;
    Ok(match head {
        [0xEF, 0xBB, 0xBF, ..] => Some(("UTF-8", 3)),
        [0xFF, 0xFE, 0, 0] | [0, 0, 0xFE, 0xFF] => Some(("UTF-32", 4)),
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => Some(("UTF-16", 2)),
        _ => None,
    })
}

/// Where the text of a file begins: behind a UTF-8 byte-order mark. Errors: the mark of another encoding.
fn text_start(source: &Source, kind: VocabKind, notes: &mut Vec<String>) -> Result<u64, CorpusError> {
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
