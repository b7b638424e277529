//! A source, files or the built-in text, as an open corpus.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use gatemill_corpus::{
    Corpus, Io, OpenOptions, Vocab, VocabKind, builtin, default_cache_dir, expand, is_standard_input,
};
use gatemill_train::run::Source;
use gatemill_train::{Config, VocabChoice};

use crate::exit::{Failure, USAGE};
use crate::progress::Progress;

/// The built-in text of `gatemill train` without a FILE. Its length is a guess: a few minutes for the default model.
pub(crate) const BUILTIN: Source = Source::Builtin { bytes: 2_000_000, seed: 1 };

/// The files that paths stand for: folders with all in them, standard input. Says on stderr how they were understood.
pub(crate) fn expanded(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let (progress, mut stdin) = (Progress::new(), std::io::stdin().lock());
    if paths.iter().any(|path| is_standard_input(path)) && stdin.is_terminal() {
        progress.line("note: the text is read from the terminal, until Ctrl-D on a line of its own");
    }
    let expanded = expand(paths, &mut stdin, default_cache_dir())?;
    for note in &expanded.notes {
        progress.line(&format!("note: {note}"));
    }
    Ok(expanded.paths)
}

/// What was given as a source. It is kept as a list of files by absolute paths, so that a run can be resumed from anywhere
/// and reads the same files then.
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
    Ok(Source::Files { paths: expanded(paths)?.iter().map(absolute).collect::<Result<_, _>>()? })
}

/// Opens a source as the configuration wants it, with the vocabulary of a model where there is one.
pub(crate) fn open(source: &Source, config: &Config, vocab: Option<Vocab>, io: Io) -> Result<Corpus, Failure> {
    let kind = match config.vocab {
        VocabChoice::Chars => VocabKind::Chars,
        VocabChoice::Bytes => VocabKind::Bytes,
    };
    let Config { lossy, val_frac, test_frac, document_separator, .. } = config.clone();
    let options = OpenOptions {
        vocab: kind,
        fixed_vocab: vocab,
        lossy,
        val_frac,
        test_frac,
        document_separator,
        io,
        cache_dir: None,
    };
    Ok(match source {
        Source::Builtin { bytes, seed } => {
            let bytes = usize::try_from(*bytes).unwrap_or(usize::MAX);
            Corpus::from_bytes("builtin", builtin::text(bytes, *seed), &options)?
        }
        Source::Made { .. } => {
            return Err(Failure::new(USAGE, "these are examples of a task, not a text")
                .help("give a text, or --task to learn from examples"));
        }
        Source::Files { paths } => {
            let paths: Vec<PathBuf> = paths.iter().map(|path| Path::new(path).to_owned()).collect();
            Corpus::open(&paths, &options)?
        }
    })
}
