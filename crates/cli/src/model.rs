//! A path, a file or a run folder, as a model.

use std::path::Path;

use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use gatemill_train::checkpoint::{Loaded, Snapshot, load_model};
use gatemill_train::run::resume::is_of;
use gatemill_train::storage::RealStorage;
use gatemill_train::task::{TaskConfig, TaskModel};
use gatemill_train::{CharModel, TrainError};

use crate::exit::{BAD_DATA, Failure};
use crate::progress::Progress;
use crate::train::{me, quoted};

/// A model of either sort.
pub(crate) enum Model {
    /// Of characters, with its file's content.
    Text(Box<CharModel>, Snapshot),
    /// Of a task.
    Task(Box<TaskModel>, Snapshot),
}

/// Loads a model of either sort.
pub(crate) fn any(path: &Path, crew: &Crew, kernels: &Kernels, notes: &Progress) -> Result<Model, Failure> {
    let loaded = load_model(&RealStorage, path, false)?;
    if !is_of::<TaskConfig>(&loaded.snapshot) {
        let (model, snapshot) = of_text(path, loaded, crew, kernels, notes)?;
        return Ok(Model::Text(Box::new(model), snapshot));
    }
    say(&loaded, notes);
    let model = TaskModel::load(&loaded.snapshot, crew, kernels).map_err(|error| in_file(&loaded, error))?;
    Ok(Model::Task(Box::new(model), loaded.snapshot))
}

/// Loads a task's model. Errors: a character model is none.
pub(crate) fn of_a_task(path: &Path, crew: &Crew, kernels: &Kernels, notes: &Progress) -> Result<TaskModel, Failure> {
    match any(path, crew, kernels, notes)? {
        Model::Task(model, _) => Ok(*model),
        Model::Text(..) => {
            let message = format!("{} is a character model: it writes, and answers nothing", path.display());
            let (me, path) = (me(), quoted(&path.display().to_string()));
            Err(Failure::new(BAD_DATA, message).help(format!(
                "`{me} sample {path} --prime TEXT` goes on from a text; `{me} train --task` makes models that answer"
            )))
        }
    }
}

/// Loads the character model; what should be known about it is said on stderr.
pub(crate) fn load(
    path: &Path,
    crew: &Crew,
    kernels: &Kernels,
    notes: &Progress,
) -> Result<(CharModel, Snapshot), Failure> {
    of_text(path, load_model(&RealStorage, path, false)?, crew, kernels, notes)
}

fn of_text(
    path: &Path,
    loaded: Loaded,
    crew: &Crew,
    kernels: &Kernels,
    notes: &Progress,
) -> Result<(CharModel, Snapshot), Failure> {
    if is_of::<TaskConfig>(&loaded.snapshot) {
        let message = format!("{} is the model of a task: it answers, and knows no text to go on with", path.display());
        let (me, path) = (me(), quoted(&path.display().to_string()));
        return Err(Failure::new(BAD_DATA, message)
            .help(format!("`{me} predict {path} INPUT` asks it; `{me} eval {path} FILE` scores it on examples")));
    }
    say(&loaded, notes);
    let model = CharModel::load(&loaded.snapshot, crew, kernels).map_err(|error| in_file(&loaded, error))?;
    Ok((model, loaded.snapshot))
}

fn say(loaded: &Loaded, notes: &Progress) {
    for notice in &loaded.notices {
        notes.line(&format!("note: {notice}"));
    }
}

fn in_file(loaded: &Loaded, error: TrainError) -> Failure {
    let failure = Failure::from(error);
    Failure { message: format!("{}: {}", loaded.path.display(), failure.message), ..failure }
}
