//! A source, files or the built-in text, as an open corpus.

use std::path::{Path, PathBuf};

use gatemill_corpus::{Corpus, Io, OpenOptions, Vocab, VocabKind, builtin};
use gatemill_train::run::Source;
use gatemill_train::{Config, VocabChoice};

use crate::exit::{Failure, USAGE};

/// The built-in text of `gatemill train` without a FILE. Its length is a guess: a few minutes for the default model.
pub(crate) const BUILTIN: Source = Source::Builtin { bytes: 2_000_000, seed: 1 };

/// Files as a source, by absolute paths, so that a run can be resumed from anywhere.
pub(crate) fn files(paths: &[PathBuf]) -> Result<Source, Failure> {
    let absolute = |path: &PathBuf| {
        let path =
            std::path::absolute(path).map_err(|error| Failure::new(USAGE, format!("{path:?} is no path: {error}")))?;
        match path.to_str() {
            Some(text) => Ok(text.to_owned()),
            None => Err(Failure::new(USAGE, format!("the path {path:?} is not UTF-8"))
                .help("rename the file: its path is kept in the checkpoints, which are UTF-8")),
        }
    };
    Ok(Source::Files { paths: paths.iter().map(absolute).collect::<Result<_, _>>()? })
}

/// Opens a source as the configuration wants it, with the vocabulary of a model where there is one.
pub(crate) fn open(source: &Source, config: &Config, vocab: Option<Vocab>, io: Io) -> Result<Corpus, Failure> {
    let kind = match config.vocab {
        VocabChoice::Chars => VocabKind::Chars,
        VocabChoice::Bytes => VocabKind::Bytes,
    };
    let Config { val_frac, test_frac, document_separator, .. } = config.clone();
    let options =
        OpenOptions { vocab: kind, fixed_vocab: vocab, val_frac, test_frac, document_separator, io, cache_dir: None };
    Ok(match source {
        Source::Builtin { bytes, seed } => {
            let bytes = usize::try_from(*bytes).unwrap_or(usize::MAX);
            Corpus::from_bytes("builtin", builtin::text(bytes, *seed), &options)?
        }
        Source::Files { paths } => {
            let paths: Vec<PathBuf> = paths.iter().map(|path| Path::new(path).to_owned()).collect();
            Corpus::open(&paths, &options)?
        }
    })
}
