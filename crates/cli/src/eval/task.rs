//! `gatemill eval` of a task's model: loss and measures on the examples of a file, or on a part of its run's own.

use std::path::PathBuf;

use gatemill_corpus::Split;
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use gatemill_train::checkpoint::Snapshot;
use gatemill_train::events::Metrics;
use gatemill_train::run::resume::Origin;
use gatemill_train::run::task::{Unseen, measure};
use gatemill_train::run::{Scored, TaskData};
use gatemill_train::task::{Example, TaskModel};
use serde::Serialize;

use super::check_part;
use crate::args::EvalArgs;
use crate::exit::{self, BAD_DATA, Failure, USAGE};
use crate::progress::{Progress, grouped};
use crate::task::tell;
use crate::{corpus, json};

/// What `--json` writes.
#[derive(Serialize)]
struct Score {
    task: &'static str,
    examples: usize,
    nats: f64,
    bits: f64,
    perplexity: f64,
    targets: u64,
    unseen: u64,
    #[serde(flatten)]
    metrics: Metrics,
}

/// Scores the model.
pub(super) fn run(
    args: &EvalArgs,
    model: &TaskModel,
    snapshot: &Snapshot,
    machine: (&Crew, &Kernels),
) -> Result<u8, Failure> {
    if args.batch.is_some() {
        return Err(Failure::new(USAGE, "--batch means nothing for a task: no example depends on those beside it")
            .help("leave --batch out"));
    }
    let (examples, notes) = examples(args, model, snapshot)?;
    let progress = Progress::new();
    notes.iter().for_each(|note| progress.line(&format!("note: {note}")));
    if examples.is_empty() {
        return Err(Failure::new(BAD_DATA, "there are no examples in this part").help("give a FILE with examples"));
    }
    let score = model.evaluate(&examples, machine.0, machine.1)?;
    let Scored { evaluation, metrics } = measure(model, score, &examples, usize::MAX, machine)?;
    if args.json {
        json::object(&Score {
            task: model.config.kind.name(),
            examples: examples.len(),
            nats: evaluation.nats,
            bits: evaluation.bits,
            perplexity: evaluation.perplexity,
            targets: evaluation.tokens,
            unseen: evaluation.unseen,
            metrics,
        })?;
        return Ok(exit::OK);
    }
    let measures = tell::measures(evaluation.nats, &metrics);
    let mut text = format!("{measures}, over {} examples\n", grouped(examples.len() as u64));
    if let Some(classes) = &metrics.classes {
        text.push_str(&format!("{}\n", tell::classes(classes)));
    }
    json::text(text.as_bytes())?;
    Ok(exit::OK)
}

/// The examples to score, and what should be known about them.
fn examples(args: &EvalArgs, model: &TaskModel, snapshot: &Snapshot) -> Result<(Vec<Example>, Vec<String>), Failure> {
    let Some(split) = args.split else {
        let paths: Vec<PathBuf> = corpus::expanded(&args.files)?;
        let (examples, unseen): (_, Unseen) = TaskData::of_files(&model.config, &model.alphabet, &paths)?;
        return Ok((examples, unseen.note(model.config.kind, "scored").into_iter().collect()));
    };
    let origin = Origin::of(snapshot)?;
    let mut settings = origin.settings.clone();
    if settings.val.is_none() || split == Split::Test {
        check_part(split, &model.config.base, "examples")?;
    }
    if !args.files.is_empty() {
        settings.source = corpus::files(&args.files)?;
    }
    let data = TaskData::open(&model.config, &settings, Some(&model.alphabet))?;
    origin.check(&settings.source, &data.fingerprint)?;
    let part = if split == Split::Test { data.test } else { data.val };
    Ok((part, data.notes))
}
