//! One run: what it was asked, how its losses went, its checkpoints, and what it wrote at which loss.

use std::fmt::Write;

use gatemill_train::events::Sample;
use gatemill_train::history::{History, Point, State};

use super::words;
use crate::progress::grouped;
use crate::table::{Card, Column, Table, plain, side_by_side, sparkline, spread};
use crate::task::tell;

/// Rows of the loss table; more are thinned out.
const MOST_ROWS: usize = 40;
/// Samples shown beside each other; `--samples` shows all.
const MOST_SAMPLES: usize = 8;
/// Bars of a curve.
const MOST_BARS: usize = 60;

/// Everything about a run.
pub(super) fn page(run: &History, width: Option<usize>, screen: usize) -> String {
    let mut text = facts(run);
    if !run.curve.is_empty() {
        let _ = write!(text, "\n{}{}", curves(run), losses(run, width));
    }
    if !run.saved.is_empty() {
        let _ = write!(text, "\n{}", saved(run, width));
    }
    if !run.samples.is_empty() {
        let chosen = spread(run.samples.len(), MOST_SAMPLES);
        let cards: Vec<Card> = chosen.iter().filter_map(|&i| run.samples.get(i)).map(card).collect();
        let all = if cards.len() < run.samples.len() {
            format!(" ({} of {}; --samples shows all)", cards.len(), run.samples.len())
        } else {
            String::new()
        };
        let _ = write!(text, "\nwhat it wrote while it learned{all}\n\n{}", side_by_side(&cards, screen));
    }
    text
}

/// All samples of a run, side by side.
pub(super) fn samples(run: &History, screen: usize) -> String {
    let cards: Vec<Card> = run.samples.iter().map(card).collect();
    let text = if cards.is_empty() { "no samples yet\n".to_owned() } else { side_by_side(&cards, screen) };
    format!("{}\n\n{text}", plain(&run.name))
}

/// A sample under its step and loss.
pub(super) fn card(sample: &Sample) -> Card {
    let Sample { step, train_nats, text } = sample;
    Card { head: vec![format!("step {}", grouped(*step)), sample_loss(*train_nats)], text: text.clone() }
}

/// A sample's loss in both units.
pub(super) fn sample_loss(nats: f64) -> String {
    format!("{nats:.3} nats, {:.3} bits", nats / std::f64::consts::LN_2)
}

fn facts(run: &History) -> String {
    let mut text = String::new();
    let mut line = |name: &str, words: String| {
        let _ = writeln!(text, "{name:<9}{}", plain(&words));
    };
    line("run", run.path.display().to_string());
    line("state", state(run));
    if let Some(start) = &run.start {
        let of = |count: u64| format!("{} examples", grouped(count));
        let words = match &start.task {
            Some(task) => format!(
                "{}: {} to learn from, {} to validate on; {} symbols of inputs, {} of outputs",
                words::corpus(run),
                of(task.train_examples),
                of(task.val_examples),
                start.vocab,
                task.outputs
            ),
            None => format!(
                "{}: {} characters to learn from, {} to validate on, {} distinct",
                words::corpus(run),
                grouped(start.train_symbols),
                grouped(start.val_symbols),
                start.vocab
            ),
        };
        line(if start.task.is_some() { "task" } else { "text" }, words);
    }
    let task = run.start.as_ref().and_then(|start| start.task.as_ref());
    if let Some(config) = &run.config {
        let weights =
            run.start.as_ref().map_or(String::new(), |start| format!(", {} weights", grouped(start.parameters)));
        line("model", format!("{}{weights}", words::model(config)));
        line("asked", format!("gatemill train {}", words::asked(config, run.settings.as_ref(), task)));
    }
    for change in &run.overrides {
        let (flag, from, to) = (&change.flag, words::value(&change.from), words::value(&change.to));
        line("changed", format!("{flag} is {to} from step {} on (was {from})", change.step));
    }
    if let Some(start) = &run.start {
        let (threads, isa, version) = (start.threads, &start.isa, &start.version);
        let s = if threads == 1 { "" } else { "s" };
        line("machine", format!("{threads} thread{s}, {isa} kernels, Gatemill {version}"));
    }
    let mut progress = format!("step {}", words::steps(run));
    if let Some(epochs) = run.epochs() {
        let _ = write!(progress, ", {epochs:.2} epochs");
    }
    if let Some(rate) = run.tokens_per_s {
        let symbols = if task.is_some() { "symbols" } else { "characters" };
        let _ = write!(progress, ", {} at {} {symbols} per second", words::seconds(run.seconds), grouped(rate as u64));
    }
    line("progress", progress);
    let loss = |nats: Option<f64>| match (task, nats) {
        (Some(_), Some(nats)) => format!("{nats:.4} nats"),
        _ => words::loss(nats),
    };
    if run.train_nats.is_some() {
        line("training", loss(run.train_nats));
    }
    if run.val_nats.is_some() {
        line("valid.", loss(run.val_nats));
    }
    if let Some((best, step)) = run.best {
        line("best", format!("{} after step {}", loss(Some(best)), grouped(step)));
    }
    if let (Some(done), Some((best, _)), true) = (&run.done, run.best, task.is_some()) {
        line("measured", tell::measures(best, &done.best));
    }
    if let Some(done) = &run.done {
        line("weights", format!("sha256 {}", done.weights_sha256));
    }
    for notice in &run.notices {
        line("note", format!("step {}: {}", notice.step, notice.text));
    }
    for problem in &run.problems {
        line("note", problem.clone());
    }
    if run.unreadable > 0 {
        let s = if run.unreadable == 1 { " is no event" } else { "s are no events" };
        line("note", format!("{} line{s} of this version and passed over", run.unreadable));
    }
    if run.torn && !matches!(run.state, State::Running { .. }) {
        line("note", "the last line of events.jsonl is torn; resuming cuts it".to_owned());
    }
    text
}

fn state(run: &History) -> String {
    let resume = format!("go on with: gatemill train --resume {}", run.path.display());
    match &run.state {
        State::Running { pid: Some(pid) } => format!("running, process {pid}"),
        State::Running { pid: None } => "running".to_owned(),
        State::Done => "done".to_owned(),
        State::Stopped { signal } => format!("stopped by {signal}; {resume}"),
        State::Diverged => format!("diverged; {resume} --lr SMALLER --override"),
        State::Interrupted => format!("interrupted: killed, or ended by an error; {resume}"),
    }
}

fn curves(run: &History) -> String {
    let mut text = String::new();
    let mut curve = |name: &str, values: Vec<f64>| {
        if let (Some(first), Some(last)) = (values.first(), values.last())
            && values.len() > 1
        {
            let _ = writeln!(text, "{name:<9}{}  {first:.4} -> {last:.4} nats", sparkline(&values, MOST_BARS));
        }
    };
    curve("training", run.curve.iter().filter_map(|point| point.train_nats).collect());
    curve("valid.", run.curve.iter().filter_map(|point| point.val_nats).collect());
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

fn losses(run: &History, width: Option<usize>) -> String {
    let mut table = Table::new(vec![
        Column::numbers("step", 0),
        Column::numbers("epoch", 0),
        Column::numbers("train nats", 0),
        Column::numbers("bits", 3),
        Column::numbers("val nats", 0),
        Column::numbers("bits", 3),
        Column::words("", 1),
        Column::numbers("lr", 2),
        Column::numbers("seconds", 1),
    ]);
    let best = run.best.map(|best| best.1);
    let mut chosen = spread(run.curve.len(), MOST_ROWS);
    chosen.extend(run.curve.iter().position(|point| Some(point.step) == best));
    chosen.sort_unstable();
    chosen.dedup();
    for point in chosen.iter().filter_map(|&i| run.curve.get(i)) {
        let Point { step, epoch_end: _, train_nats, val_nats, lr, seconds } = point;
        table.row([
            grouped(*step),
            run.epochs_at(*step).map_or(String::new(), |epochs| format!("{epochs:.2}")),
            words::nats(*train_nats),
            words::bits(*train_nats),
            words::nats(*val_nats),
            words::bits(*val_nats),
            if val_nats.is_some() && best == Some(*step) { "best".to_owned() } else { String::new() },
            lr.map_or(String::new(), |lr| format!("{lr:.3e}")),
            format!("{seconds:.1}"),
        ]);
    }
    table.render(width)
}

fn saved(run: &History, width: Option<usize>) -> String {
    let mut table = Table::new(vec![
        Column::words("saved", 0),
        Column::numbers("step", 0),
        Column::numbers("MB", 0),
        Column::words("what", 1),
    ]);
    for file in &run.saved {
        let path = file.path.strip_prefix(&run.path).unwrap_or(&file.path);
        table.row([
            path.display().to_string(),
            file.step.map_or(String::new(), grouped),
            format!("{:.1}", file.size_bytes as f64 / 1e6),
            if file.best { "the best model".to_owned() } else { "checkpoint: to go on from".to_owned() },
        ]);
    }
    table.render(width)
}
