//! Reading checkpoints and models: the newest that is whole, and in words why not a newer one.
//!
//! Every file is opened once and read once, front to back; what was read is what was checked. Order is by step number.
//! Nothing is ever started afresh because reading failed: that is an error with its own exit code.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::form::{Decoded, decode_from};
use super::{FormError, Notice, Snapshot, best_path, checkpoints_folder, step_path, steps_in};
use crate::storage::{PathKind, Storage};

/// Why one file cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It cannot be opened or read.
    #[error("cannot read {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Its bytes are not what they should be.
    #[error("{}: {source}", .path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What was found.
        source: FormError,
    },
    /// Weights that are NaN or infinite, and no leave to load them.
    #[error(
        "{}: NaN or infinite values in {}; --allow-nonfinite loads them all the same",
        .path.display(),
        .tensors.iter().map(|(name, count)| format!("{} ({count})", super::form_error::escaped(name)))
            .collect::<Vec<_>>().join(", ")
    )]
    NonFinite {
        /// The file.
        path: PathBuf,
        /// Each such tensor with the number of such values.
        tensors: Vec<(String, u64)>,
    },
}

impl ReadError {
    /// The reason without the path.
    fn reason(&self) -> String {
        match self {
            ReadError::Io { source, .. } => source.to_string(),
            ReadError::Form { source, .. } => source.to_string(),
            ReadError::NonFinite { .. } => "NaN or infinite values".to_owned(),
        }
    }

    /// The exit code that this error asks for: 4 where the system failed, 3 where the content is bad.
    pub fn exit_code(&self) -> u8 {
        match self {
            ReadError::Io { .. } | ReadError::Form { source: FormError::Read { .. }, .. } => 4,
            ReadError::Form { source: FormError::NoMemory { .. }, .. } => 6,
            ReadError::Form { .. } | ReadError::NonFinite { .. } => 3,
        }
    }
}

/// Why nothing was loaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The folder cannot be looked into.
    #[error("cannot look into {}: {source}", .path.display())]
    Io {
        /// The folder or path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// There is no checkpoint.
    #[error("no checkpoint in {}: nothing to go on from", .run.display())]
    None {
        /// The run folder.
        run: PathBuf,
    },
    /// There are checkpoints, and none can be used.
    #[error("no usable checkpoint in {}: {}", .run.display(), reasons(.failures))]
    AllUnusable {
        /// The run folder.
        run: PathBuf,
        /// Each file with its reason, newest first.
        failures: Vec<ReadError>,
    },
    /// The newest cannot be used, and an older one was not wanted.
    #[error("the newest checkpoint cannot be used, and --strict-resume forbids an older one: {source}")]
    NewestUnusable {
        /// Why.
        source: ReadError,
    },
    /// The file that was named cannot be used.
    #[error(transparent)]
    File(#[from] ReadError),
}

impl LoadError {
    /// The exit code that this error asks for: 4 where the system failed, 3 where the content is bad or missing.
    pub fn exit_code(&self) -> u8 {
        match self {
            LoadError::Io { .. } => 4,
            LoadError::None { .. } | LoadError::AllUnusable { .. } | LoadError::NewestUnusable { .. } => 3,
            LoadError::File(error) => error.exit_code(),
        }
    }
}

fn reasons(failures: &[ReadError]) -> String {
    failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// A snapshot that was read and verified.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The content.
    pub snapshot: Snapshot,
    /// The file it came from.
    pub path: PathBuf,
    /// Its step by its file name; `None` for a file that is no checkpoint of a run folder.
    pub step: Option<u64>,
    /// What should be told.
    pub notices: Vec<Notice>,
}

/// Reads and verifies one file: form, and checksums where it has them.
pub fn read_file(storage: &dyn Storage, path: &Path) -> Result<Decoded, ReadError> {
    let mut file = storage.open(path).map_err(|source| ReadError::Io { path: path.to_owned(), source })?;
    decode_from(&mut file.content, file.size_bytes).map_err(|source| ReadError::Form { path: path.to_owned(), source })
}

/// Like [`read_file`], for a file that must have a record.
pub(super) fn read_checkpoint(storage: &dyn Storage, path: &Path) -> Result<Decoded, ReadError> {
    let decoded = read_file(storage, path)?;
    match decoded.snapshot.meta {
        Some(_) => Ok(decoded),
        None => Err(ReadError::Form { path: path.to_owned(), source: FormError::NoRecord }),
    }
}

/// The newest checkpoint of the run folder `run` that is whole.
///
/// A newer one that is not is passed over and said in the notices; with `strict` it is an error.
/// NaN and infinite values in weights and moments are said, not refused: the next step will find them.
/// Errors: [`LoadError::None`] and [`LoadError::AllUnusable`] where nothing is left; never a fresh start.
pub fn newest(storage: &dyn Storage, run: &Path, strict: bool) -> Result<Loaded, LoadError> {
    let mut failures: Vec<ReadError> = Vec::new();
    for step in checkpoint_steps(storage, run)?.into_iter().rev() {
        let path = step_path(run, step);
        match read_checkpoint(storage, &path) {
            Ok(decoded) => {
                let mut notices = passed_over(&failures, &path);
                notices.extend(odd_value_notices(&decoded, &path, |tensor| !tensor.starts_with("state.")));
                return Ok(Loaded { snapshot: decoded.snapshot, path, step: Some(step), notices });
            }
            Err(source) if strict => return Err(LoadError::NewestUnusable { source }),
            Err(error) => failures.push(error),
        }
    }
    let run = run.to_owned();
    Err(if failures.is_empty() { LoadError::None { run } } else { LoadError::AllUnusable { run, failures } })
}

/// The model at `path`: a file, or a run folder, of which the best is taken, else the newest checkpoint.
///
/// A best that is damaged is passed over and said. Weights that are NaN or infinite are refused unless
/// `allow_nonfinite`; only weights count, not `optim.*` and `state.*`.
pub fn load_model(storage: &dyn Storage, path: &Path, allow_nonfinite: bool) -> Result<Loaded, LoadError> {
    let kind = storage.kind(path).map_err(|source| LoadError::File(ReadError::Io { path: path.to_owned(), source }))?;
    if kind != PathKind::Folder {
        return Ok(load_file(storage, path, allow_nonfinite)?);
    }
    let best = best_path(path);
    let mut passed = Vec::new();
    match storage.kind(&best) {
        Ok(_) => match load_file(storage, &best, allow_nonfinite) {
            Ok(loaded) => return Ok(loaded),
            // Not damage, but something the reader must decide about.
            Err(error @ ReadError::NonFinite { .. }) => return Err(error.into()),
            Err(error) => passed.push(error),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => passed.push(ReadError::Io { path: best, source }),
    }
    match newest(storage, path, false) {
        Ok(mut loaded) => {
            let nonfinite: Vec<(String, u64)> = loaded.notices.iter().filter_map(nonfinite_weight).collect();
            if !allow_nonfinite && !nonfinite.is_empty() {
                return Err(ReadError::NonFinite { path: loaded.path, tensors: nonfinite }.into());
            }
            let mut notices = passed_over(&passed, &loaded.path);
            notices.append(&mut loaded.notices);
            Ok(Loaded { notices, ..loaded })
        }
        // What is wrong with the best belongs to the answer.
        Err(LoadError::None { run }) if !passed.is_empty() => Err(LoadError::AllUnusable { run, failures: passed }),
        Err(LoadError::AllUnusable { run, mut failures }) => {
            passed.append(&mut failures);
            Err(LoadError::AllUnusable { run, failures: passed })
        }
        Err(error) => Err(error),
    }
}

fn load_file(storage: &dyn Storage, path: &Path, allow_nonfinite: bool) -> Result<Loaded, ReadError> {
    let decoded = read_file(storage, path)?;
    let mut notices: Vec<Notice> = odd_value_notices(&decoded, path, is_weight).collect();
    let nonfinite: Vec<(String, u64)> = notices.iter().filter_map(nonfinite_weight).collect();
    if !allow_nonfinite && !nonfinite.is_empty() {
        return Err(ReadError::NonFinite { path: path.to_owned(), tensors: nonfinite });
    }
    if decoded.snapshot.meta.is_none() {
        notices.push(Notice::NoChecksums { path: path.to_owned() });
    }
    let step = path.file_name().and_then(|name| super::step_of(name.to_str()?));
    Ok(Loaded { snapshot: decoded.snapshot, path: path.to_owned(), step, notices })
}

/// The steps that have a file, oldest first. A run folder without a checkpoints folder has none.
fn checkpoint_steps(storage: &dyn Storage, run: &Path) -> Result<Vec<u64>, LoadError> {
    let folder = checkpoints_folder(run);
    match storage.list(&folder) {
        Ok(names) => Ok(steps_in(&names)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match storage.kind(run) {
            Ok(_) => Err(LoadError::None { run: run.to_owned() }),
            Err(source) => Err(LoadError::Io { path: run.to_owned(), source }),
        },
        Err(source) => Err(LoadError::Io { path: folder, source }),
    }
}

fn passed_over(failures: &[ReadError], taken: &Path) -> Vec<Notice> {
    let notice = |error: &ReadError| {
        let (ReadError::Io { path, .. } | ReadError::Form { path, .. } | ReadError::NonFinite { path, .. }) = error;
        Notice::FellBack { passed_over: path.clone(), reason: error.reason(), taken: taken.to_owned() }
    };
    failures.iter().map(notice).collect()
}

/// Weights are all tensors that the trainer did not add for itself.
fn is_weight(tensor: &str) -> bool {
    !tensor.starts_with("optim.") && !tensor.starts_with("state.")
}

fn nonfinite_weight(notice: &Notice) -> Option<(String, u64)> {
    match notice {
        Notice::NonFinite { tensor, count, .. } if is_weight(tensor) => Some((tensor.clone(), *count)),
        _ => None,
    }
}

fn odd_value_notices(decoded: &Decoded, path: &Path, wanted: fn(&str) -> bool) -> impl Iterator<Item = Notice> {
    let odd = decoded.odd_values.iter().filter(move |odd| wanted(&odd.tensor));
    odd.flat_map(move |odd| {
        let (path, tensor) = (path.to_owned(), odd.tensor.clone());
        let nonfinite = Notice::NonFinite { path: path.clone(), tensor: tensor.clone(), count: odd.nonfinite };
        let denormal = Notice::Denormal { path, tensor, count: odd.denormal };
        [(odd.nonfinite, nonfinite), (odd.denormal, denormal)]
    })
    .filter_map(|(count, notice)| (count > 0).then_some(notice))
}
