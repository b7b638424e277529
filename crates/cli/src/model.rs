//! A path, a file or a run folder, as a model.

use std::path::Path;

use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use gatemill_train::CharModel;
use gatemill_train::checkpoint::{Snapshot, load_model};
use gatemill_train::storage::RealStorage;

use crate::exit::Failure;
use crate::progress::Progress;

/// Loads the model; what should be known about it is said on stderr.
pub(crate) fn load(
    path: &Path,
    crew: &Crew,
    kernels: &Kernels,
    notes: &Progress,
) -> Result<(CharModel, Snapshot), Failure> {
    let loaded = load_model(&RealStorage, path, false)?;
    for notice in &loaded.notices {
        notes.line(&format!("note: {notice}"));
    }
    let model = CharModel::load(&loaded.snapshot, crew, kernels).map_err(|error| {
        let failure = Failure::from(error);
        Failure { message: format!("{}: {}", loaded.path.display(), failure.message), ..failure }
    })?;
    Ok((model, loaded.snapshot))
}
