//! `gatemill train --task`: flags -> configuration -> examples -> run; and how a run on examples ends.

use std::sync::Arc;

use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use gatemill_train::Config;
use gatemill_train::events::{Done, Start};
use gatemill_train::run::resume::{Found, Resumed};
use gatemill_train::run::{Means, Outcome, Place, Run, Settings, TaskCourse, TaskData, TaskSetup};
use gatemill_train::task::{Alphabet, TaskConfig, TaskKind, TaskModel};

use crate::args::TrainArgs;
use crate::exit::{self, Failure};
use crate::train::{Listener, RUNS, me, quoted, storage, why_ended};
use crate::{asked, memory};

pub(crate) mod tell; // measures in words

type Machine = (Arc<Crew>, Kernels);

/// A new run on examples, from its first step to its end.
pub(crate) fn start(args: &TrainArgs, machine: Machine, listener: Listener) -> Result<u8, Failure> {
    let (config, settings) = asked::of_a_new_task(args, args.task.unwrap_or(TaskKind::Classify))?;
    let setup = setup(config, settings, None, machine)?;
    let place = args.out.as_ref().map_or_else(|| Place::Under(RUNS.into()), |out| Place::Folder(out.clone()));
    follow(Run::start_task(setup, &place)?, listener)
}

/// A run on examples that goes on, to its end.
pub(crate) fn resume(args: &TrainArgs, found: Found, machine: Machine, listener: Listener) -> Result<u8, Failure> {
    let resumed = Resumed::<TaskConfig>::of(found)?;
    let (config, settings) = asked::of_a_resumed_task(args, &resumed.config, &resumed.origin.settings)?;
    // Before the examples are read: a flag that cannot be changed would divide them in another way.
    resumed.changes(&config, &settings, machine.1.name(), args.allow_override)?;
    let alphabet = TaskModel::load(resumed.snapshot(), &machine.0, &machine.1)?.alphabet;
    let setup = setup(config, settings, Some(&alphabet), machine)?;
    follow(Run::resume_task(resumed, setup, args.allow_override)?, listener)
}

fn setup(
    config: TaskConfig,
    settings: Settings,
    alphabet: Option<&Alphabet>,
    (crew, kernels): Machine,
) -> Result<TaskSetup, Failure> {
    let data = TaskData::open(&config, &settings, alphabet)?;
    // Weights alone: how much a batch takes depends on its longest example.
    memory::check(&Config { batch: 1, seq: 1, ..config.base.clone() }, data.alphabet.input.len())?;
    Ok(TaskSetup { config, data, means: Means { settings, crew, kernels, storage: storage() } })
}

fn follow(mut run: Run<TaskCourse>, mut listener: Listener) -> Result<u8, Failure> {
    match listener.follow(&mut run)? {
        Outcome::Done(done) => {
            listener.progress.line(&ending(&run.facts(), &done));
            Ok(exit::OK)
        }
        Outcome::Stopped(stop) => Ok(listener.stopped(&run, stop)),
    }
}

/// What a run came to, in some lines.
fn ending(start: &Start, done: &Done) -> String {
    let mut lines = vec![format!("done     {} steps in {:.1} s{}", done.steps, done.seconds, why_ended(done.ended))];
    if let (Some(nats), Some(step)) = (done.best_nats, done.best_step) {
        lines.push(format!("best     after step {step}: {}", tell::measures(nats, &done.best)));
        lines.extend(done.best.classes.as_ref().map(|classes| tell::classes(classes)));
    }
    if let (Some(nats), Some(test)) = (done.test_nats, &done.test) {
        lines.push(format!("test     {}, with the best model", tell::measures(nats, test)));
        lines.extend(test.classes.as_ref().map(|classes| tell::classes(classes)));
    }
    lines.extend(start.task.as_ref().and_then(tell::limits));
    let (me, folder) = (me(), quoted(&start.run));
    lines.push(format!("weights  sha256 {}", done.weights_sha256));
    lines.push(format!("ask      {me} predict {folder} INPUT"));
    if done.val_nats.is_some() {
        lines.push(format!("score    {me} eval {folder} --split val"));
    }
    lines.push(format!("look     {me} runs {folder}"));
    lines.join("\n")
}
