//! Checkpoints: a snapshot of training as one safetensors file, saved so that a crash costs no announced one.
//!
//! ```text
//! RUN/.lock                                   who runs here                      lock
//! RUN/checkpoints/step-000001000.safetensors  newest two or more                 write, then keep
//! RUN/best.safetensors                        lowest validation loss so far      write
//! ```
//!
//! At start [`RunFolder::open`] makes the folder, takes the lock, removes what a crash left over and tries the disk.
//! [`Saver::save`] writes; the caller announces the checkpoint; only then [`Saver::announced`] removes old ones.
//! [`newest`] and [`load_model`] read and trust nothing that they have not checked.

use std::path::{Path, PathBuf};

pub mod form;
mod form_error;
mod header;
pub(crate) mod holder;
mod keep;
mod lock;
mod read;
mod snapshot;
mod write;

pub use form::Decoded;
pub use form_error::FormError;
pub use keep::{Keep, KeepError};
pub use lock::{RunFolder, StartError};
pub use read::{LoadError, Loaded, ReadError, load_model, newest, read_file};
pub use snapshot::{Elements, Snapshot, Tensor};
pub use write::{MAX_FAILURES, SaveError, SaveOutcome, SaveStep, Saved, Saver, replace_file, replace_snapshot};

/// What someone should be told although the work went on. Printing it gives one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A checkpoint could not be used, and an older one was taken.
    FellBack {
        /// The one that was passed over.
        passed_over: PathBuf,
        /// Why.
        reason: String,
        /// The one taken in its place.
        taken: PathBuf,
    },
    /// The file has no checksums: rot cannot be told from weights.
    NoChecksums {
        /// The file.
        path: PathBuf,
    },
    /// A tensor holds NaN or infinite values, and was loaded because the caller allowed it.
    NonFinite {
        /// The file.
        path: PathBuf,
        /// Tensor name as in the file.
        tensor: String,
        /// How many of its values are NaN or infinite.
        count: u64,
    },
    /// A tensor holds denormal values, which the kernels flush to zero.
    Denormal {
        /// The file.
        path: PathBuf,
        /// Tensor name as in the file.
        tensor: String,
        /// How many of its values are denormal.
        count: u64,
    },
    /// An unfinished file of an earlier process was removed.
    RemovedUnfinished {
        /// The file.
        path: PathBuf,
    },
    /// A file that is no longer needed could not be removed.
    NotRemoved {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
}

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = form_error::escaped;
        match self {
            Notice::FellBack { passed_over, reason, taken } => {
                write!(f, "{} was passed over ({reason}); using {}", passed_over.display(), taken.display())
            }
            Notice::NoChecksums { path } => {
                write!(f, "{} has no checksums: a damaged weight would go unseen", path.display())
            }
            Notice::NonFinite { path, tensor, count } => {
                write!(f, "{}: tensor {} has {count} NaN or infinite values", path.display(), name(tensor))
            }
            Notice::Denormal { path, tensor, count } => {
                let path = path.display();
                write!(f, "{path}: tensor {} has {count} denormal values, which count as zero", name(tensor))
            }
            Notice::RemovedUnfinished { path } => write!(f, "removed {}, left unfinished by a stop", path.display()),
            Notice::NotRemoved { path, reason } => write!(f, "cannot remove {}: {reason}", path.display()),
        }
    }
}

/// `RUN/checkpoints`.
pub fn checkpoints_folder(run: &Path) -> PathBuf {
    run.join("checkpoints")
}

/// `RUN/best.safetensors`.
pub fn best_path(run: &Path) -> PathBuf {
    run.join("best.safetensors")
}

/// `RUN/checkpoints/step-000001000.safetensors`: at least nine digits, more where a step needs them.
pub fn step_path(run: &Path, step: u64) -> PathBuf {
    checkpoints_folder(run).join(step_name(step))
}

fn step_name(step: u64) -> String {
    format!("step-{step:09}.safetensors")
}

/// The step of a checkpoint's file name; `None` for any name that [`step_path`] would not give.
fn step_of(name: &str) -> Option<u64> {
    let step = name.strip_prefix("step-")?.strip_suffix(".safetensors")?.parse().ok()?;
    (step_name(step) == name).then_some(step)
}

/// A sorted list of the steps that have a file in the checkpoints folder, oldest first. Order is by number, not by
/// name or clock.
pub(crate) fn steps_in(names: &[std::ffi::OsString]) -> Vec<u64> {
    let mut steps: Vec<u64> = names.iter().filter_map(|name| step_of(name.to_str()?)).collect();
    steps.sort_unstable();
    steps
}

#[cfg(test)]
#[allow(non_snake_case, reason = "fault tests carry the ids of the fault catalogue")]
mod tests {
    use super::*;

    #[test]
    fn fault_K12_steps_are_ordered_by_number_beyond_32_bits() {
        let steps = [0, 7, 999_999_999, 1_000_000_000, u64::from(u32::MAX) + 1, u64::MAX];
        let mut names: Vec<_> = steps.iter().map(|&step| step_name(step).into()).collect();
        names.reverse();
        assert_eq!(steps_in(&names), steps);
        assert_eq!(step_name(1000), "step-000001000.safetensors");
    }

    #[test]
    fn names_that_no_save_gives_are_no_checkpoints() {
        for name in [
            "step-1.safetensors",
            "step-0000000001.safetensors",
            "step-+00000001.safetensors",
            "step-.safetensors",
            "step-99999999999999999999.safetensors",
            "step-000000001.safetensors.bak",
            ".gatemill-tmp-0-step-000000001.safetensors",
        ] {
            assert_eq!(step_of(name), None, "{name}");
        }
    }
}
