//! The samples of runs side by side, as a page.

use gatemill_train::history::Point;

use super::{Stage, Stages};
use crate::page::{Axis, Chart, Markup, Page, Series, figure, html};

const STYLE: &str = include_str!("stages.css");
const SCRIPT: &str = include_str!("stages.js");

/// The page of some runs, in this order.
pub fn page(runs: &[Stages]) -> Page {
    let names: Vec<&str> = runs.iter().map(|run| run.run.as_str()).collect();
    let mut page = Page::new("Train more")
        .lead(format!("What {} wrote while it learned, with the same seed and the same begin at each stage.", names.join(", ")))
        .style(STYLE)
        .wide()
        .script(SCRIPT)
        .part(html! {
            p { "A word is " em { "real" } " if it occurs, in whatever case, in the text that was learned from; words of one letter do not count, nor does a last one that may be cut." }
            div.controls { button #mark type="button" aria-pressed="true" { "Mark words that are none" } }
        });
    for (n, run) in runs.iter().enumerate() {
        page = page.section(heading(run), section(n, run));
    }
    page
}

fn heading(run: &Stages) -> String {
    run.model.as_ref().map_or_else(|| run.run.clone(), |model| format!("{}: {model}", run.run))
}

fn section(n: usize, run: &Stages) -> Markup {
    let has_losses = run.curve.iter().any(|point| point.train_nats.is_some() || point.val_nats.is_some());
    let has_shares = run.stages.iter().filter(|stage| stage.share().is_some()).count() > 1;
    html! {
        p.quiet { "Seed " (run.seed) ", temperature " (run.temperature) ", from a line's begin." }
        @if run.stages.is_empty() { p { "No samples yet." } }
        div.stages { @for stage in &run.stages { (card(stage)) } }
        div.charts {
            @if has_losses { (figure(&losses(n, run), "Loss by steps; the samples were taken along the way.")) }
            @if has_shares { (figure(&shares(n, run), "Share of real words in each sample.")) }
        }
    }
}

/// Digits in groups of three.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(c);
    }
    text
}

fn card(stage: &Stage) -> Markup {
    let bits = stage.train_nats / std::f64::consts::LN_2;
    html! {
        article.card {
            h3 { "step " (grouped(stage.step)) }
            dl {
                div { dt { "loss" } dd { (format!("{:.3} nats, {bits:.3} bits", stage.train_nats)) } }
                // Every card has every line, so that texts begin at one height.
                div { dt { "validation" } dd { @match stage.val_nats { Some(val) => (format!("{val:.3} nats")), None => "–" } } }
                div { dt { "real words" } dd { @match (stage.real, stage.share()) {
                    (Some(real), Some(share)) => (format!("{real} of {}, {:.0} %", stage.words, 100.0 * share)),
                    (Some(_), None) => "no words",
                    (None, _) => "unknown",
                } } }
            }
            pre.text { (marked(stage)) }
        }
    }
}

/// The text with its words marked that are none.
fn marked(stage: &Stage) -> Markup {
    let mut at = 0;
    let mut pieces = Vec::new();
    if stage.real.is_some() {
        for &(from, to, _) in stage.places.iter().filter(|place| !place.2) {
            pieces.push((&stage.text[at..from], Some(&stage.text[from..to])));
            at = to;
        }
    }
    pieces.push((&stage.text[at..], None));
    html! { @for (plain, unreal) in pieces { (plain) @if let Some(word) = unreal { span.unreal { (word) } } } }
}

fn losses(n: usize, run: &Stages) -> Markup {
    let of = |value: fn(&Point) -> Option<f64>| -> Vec<(f64, f64)> {
        run.curve.iter().filter_map(|point| Some((point.step as f64, value(point)?))).collect()
    };
    let (train, val) = (of(|point| point.train_nats), of(|point| point.val_nats));
    let axes = (Axis::linear("steps").including(0.0), Axis::linear("nats per character"));
    let mut chart = Chart::new(format!("losses-{n}"), "Loss by steps", axes.0, axes.1);
    if !train.is_empty() {
        chart = chart.line(Series::new("training", train));
    }
    if !val.is_empty() {
        chart = chart.line(Series::new("validation", val));
    }
    chart.render()
}

fn shares(n: usize, run: &Stages) -> Markup {
    let points = run.stages.iter().filter_map(|stage| Some((stage.step as f64, 100.0 * stage.share()?)));
    let axes = (Axis::log("steps"), Axis::linear("real words, %").including(0.0).including(100.0));
    Chart::new(format!("shares-{n}"), "Share of real words by steps", axes.0, axes.1)
        .line(Series::new("real words", points))
        .render()
}
