//! "Train more": the samples of runs side by side with their losses and their share of real words; in the terminal, as a
//! page, as JSON.

use gatemill_corpus::Io;
use gatemill_inspect::stages::{self, Stage, Stages};
use gatemill_train::history::History;

use crate::args::RunsArgs;
use crate::exit::Failure;
use crate::progress::{Progress, grouped};
use crate::table::{Card, plain, side_by_side};
use crate::{corpus, json, page, place};

/// Tells the stages of some runs.
pub(super) fn tell(runs: &[History], args: &RunsArgs, screen: usize) -> Result<(), Failure> {
    let notes = Progress::new();
    if let Some(path) = &args.out {
        place::check("-o", path, [])?;
    }
    let all: Vec<Stages> = runs.iter().map(|run| looked_up(run, &notes)).collect();
    if let Some(path) = &args.out {
        page::write(path, &stages::page(&all), &notes)?;
    }
    if args.json {
        for stages in &all {
            json::object(stages)?;
        }
    } else if args.out.is_none() {
        let texts: Vec<String> = all.iter().map(|stages| text(stages, screen)).collect();
        json::text(texts.join("\n").as_bytes())?;
    }
    Ok(())
}

/// The run's stages, its words looked up in its text where that is still to be had.
fn looked_up(run: &History, notes: &Progress) -> Stages {
    let mut stages = Stages::of(run);
    let (Some(settings), Some(config)) = (&run.settings, &run.config) else { return stages };
    // A task's samples are answers to examples, no prose.
    let is_task = run.start.as_ref().is_some_and(|start| start.task.is_some());
    if stages.stages.is_empty() || is_task {
        return stages;
    }
    let opened = corpus::open(&settings.source, config, None, Io::Map);
    let looked = opened.and_then(|corpus| stages.look_up(&corpus).map_err(Failure::from));
    if let Err(failure) = looked {
        notes.line(&format!("note: {}: which words are real is not told: {}", plain(&run.name), failure.message));
    }
    stages
}

fn text(stages: &Stages, screen: usize) -> String {
    let model = stages.model.as_ref().map_or(String::new(), |model| format!(": {model}"));
    let (name, seed, temperature) = (plain(&stages.run), stages.seed, stages.temperature);
    let head =
        format!("{name}{model}; each sample with seed {seed}, temperature {temperature}, from a line's begin\n\n");
    if stages.stages.is_empty() {
        return head + "no samples yet\n";
    }
    let cards: Vec<Card> = stages.stages.iter().map(card).collect();
    let what = "\nreal words: those that the training text has; words of one letter and a cut last one do not count\n";
    head + &side_by_side(&cards, screen) + what
}

fn card(stage: &Stage) -> Card {
    let mut head = vec![format!("step {}", grouped(stage.step)), super::one::sample_loss(stage.train_nats)];
    if let Some(val) = stage.val_nats {
        head.push(format!("validation {val:.3} nats"));
    }
    head.push(match (stage.real, stage.share()) {
        (Some(real), Some(share)) => format!("{real} of {} words real, {:.0} %", stage.words, 100.0 * share),
        (Some(_), None) => "no words".to_owned(),
        (None, _) => String::new(),
    });
    head.retain(|line| !line.is_empty());
    Card { head, text: stage.text.clone() }
}
