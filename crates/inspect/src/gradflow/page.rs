//! A report as a page: the curves on a logarithmic axis, what contexts are worth, the recurrence along the text.

use super::compare::{Compared, Comparison};
use super::report::{Report, cell_name, distances};
use super::words::{comparison_rows, context, findings, memory, ratios, seq, size};
use crate::page::{Axis, Chart, Markup, Page, Series, figure, html, scrolling, visible};
use gatemill_train::flow::Spread;

/// A curve by k - 1.
pub(crate) fn line(name: impl Into<String>, curve: &[Spread], of: impl Fn(&Spread) -> f64) -> Series {
    Series::new(name, (1..).zip(curve).map(|(k, s)| (f64::from(k), of(s))))
}

/// The page of one model.
pub fn report(r: &Report, model: &str, text: &str) -> Page {
    let back = || Axis::linear("k, characters back");
    let all = Chart::new("all", "Gradient of the loss to the state, by distance", back(), Axis::log("norm, nats"))
        .line(line("mean", &r.flow.all, |s| s.mean))
        .line(line("median", &r.flow.all, |s| s.median))
        .line(line("lower quartile", &r.flow.all, |s| s.q1))
        .line(line("upper quartile", &r.flow.all, |s| s.q3));
    let mut layers = Chart::new("layers", "The same for h and c of each layer", back(), Axis::log("mean norm, nats"));
    for (l, layer) in r.flow.layers.iter().enumerate() {
        layers = layers.line(line(format!("h of layer {}", l + 1), &layer.h, |s| s.mean));
        if let Some(c) = &layer.c {
            layers = layers.line(line(format!("c of layer {}", l + 1), c, |s| s.mean));
        }
    }
    let at = |of: fn(&gatemill_train::flow::ContextAt) -> f64| {
        (1..).zip(&r.context.by_k).map(move |(k, at)| (f64::from(k), of(at)))
    };
    let worth = Chart::new(
        "context",
        "Loss with the last k characters alone",
        Axis::log("k, characters given"),
        Axis::linear("bits per character"),
    )
    .line(Series::new("the last k characters", at(|at| at.bits)))
    .line(Series::new("all of them", at(|at| at.whole_bits)));
    // Both curves on one axis: what is left at k of what there was at k = 1.
    let of_first = |points: Vec<(f64, f64)>| {
        let first = points.first().map_or(1.0, |p| p.1);
        points.into_iter().map(move |(k, y)| (k, y / first))
    };
    let gradient: Vec<_> = (1..).zip(&r.flow.all).map(|(k, s)| (f64::from(k), s.mean)).collect();
    let both = Chart::new("both", "Two measures of memory", back(), Axis::log("part of that at k = 1").including(0.01))
        .line(Series::new("mean gradient", of_first(gradient)))
        .line(Series::new("missing bits", of_first(at(|at| at.missing_bits).collect())));
    let mut along = Chart::new(
        "along",
        "Spectral radius of a step's Jacobian along the text",
        Axis::linear("character"),
        Axis::linear("spectral radius").including(1.0),
    );
    for (l, layer) in r.radii.layers.iter().enumerate() {
        along = along
            .line(Series::new(format!("layer {}", l + 1), (1..).zip(&layer.along).map(|(i, &x)| (f64::from(i), x))));
    }
    let seq = seq(r.flow.reach.faint, r.flow.distance, r.seq);
    Page::new(format!("Gradients by distance: {}", r.name()))
        .lead(format!("{model} on {text}. {}.{}", capital(&memory(&r.flow)), if seq.is_empty() { String::new() } else { format!(" {}.", capital(&seq)) }))
        .section("How far a loss reaches back", html! {
            p { "At each of " (r.flow.positions) " places of the text the loss of one character is followed back through time: how much would it change "
                "if the state k characters earlier were a little different? The curve is the norm of that gradient." }
            (figure(&all.render(), "A straight line here is a fixed factor per character: vanishing where it falls, exploding where it rises."))
            (figure(&layers.render(), "h is what a layer shows, c what an LSTM keeps. Through c a gradient is multiplied by the forget gate alone."))
        })
        .section("What the model does with it", html! {
            p { (capital(&context(&r.context))) "." }
            (figure(&worth.render(), "The same characters, once with k characters before them and a state of zeros before those, once with the whole context."))
            (figure(&both.render(), "Gradient and behaviour, each as a part of its own value at k = 1. Memory ends where the gradient stays below 0.01."))
        })
        .section("What one step multiplies by", html! {
            p { "The Jacobian of a layer's state by its state one character earlier. Where its spectral radius stays below 1 gradients tend to vanish; above 1 they can grow, along some directions." }
            (figure(&along.render(), "At consecutive characters of the text, below."))
            pre.text { @for c in &r.along { (seen(c)) } }
        })
        .section("In numbers", html! {
            (scrolling("Gradients by distance", &table(r)))
            ul { @for finding in findings(r) { li { (finding) } } }
            p.quiet { (r.parameters) " weights; " (r.symbols) " characters of text; states come from " (r.flow.warmup) " characters before each window; trained with --seq " (r.seq) "." }
        })
        .data("report", r)
}

fn seen(text: &str) -> String {
    text.chars().map(visible).collect()
}

/// With a capital at its start.
pub(crate) fn capital(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

fn table(r: &Report) -> Markup {
    html! {
        table {
            thead { tr {
                th scope="col" { "k" } th scope="col" { "mean" } th scope="col" { "quarter" } th scope="col" { "median" } th scope="col" { "three quarters" }
                @for (l, layer) in r.flow.layers.iter().enumerate() {
                    th scope="col" { "h " (l + 1) }
                    @if layer.c.is_some() { th scope="col" { "c " (l + 1) } }
                }
                th scope="col" { "bits with k" } th scope="col" { "missing" }
            } }
            tbody { @for k in distances(r.flow.distance) {
                @let all = &r.flow.all[k - 1];
                tr {
                    th scope="row" { (k) }
                    @for x in [all.mean, all.q1, all.median, all.q3] { td { (size(x)) } }
                    @for layer in &r.flow.layers {
                        td { (size(layer.h[k - 1].mean)) }
                        @if let Some(c) = &layer.c { td { (size(c[k - 1].mean)) } }
                    }
                    @if let Some(at) = r.context.by_k.get(k - 1) { td { (format!("{:.3}", at.bits)) } td { (format!("{:+.3}", at.missing_bits)) } }
                }
            } }
        }
    }
}

/// A line for each cell.
fn of_cells(c: &Comparison, chart: Chart, points: impl Fn(&Compared) -> Vec<(f64, f64)>) -> Markup {
    c.cells.iter().fold(chart, |chart, x| chart.line(Series::new(cell_name(x.cell), points(x)))).render()
}

/// The page of three cells side by side.
pub fn comparison(c: &Comparison, text: &str) -> Page {
    let (o, m) = (&c.options, &c.options.memory);
    let gradients = Chart::new(
        "gradients",
        "Gradient of the loss to the state, by distance",
        Axis::linear("k, characters back"),
        Axis::log("part of that at k = 1"),
    );
    let gradients = of_cells(c, gradients, |x| {
        let first = x.flow.all.first().map_or(1.0, |s| s.mean);
        (1..).zip(&x.flow.all).map(|(k, s)| (f64::from(k), s.mean / first)).collect()
    });
    let by_number = |curve: &[Spread]| (1..).zip(curve).map(|(k, s)| (f64::from(k), s.mean)).collect::<Vec<_>>();
    let mut paths = Chart::new(
        "paths",
        "By which way: h is multiplied, c is added to",
        Axis::linear("k, characters back"),
        Axis::log("mean norm, nats"),
    );
    for x in &c.cells {
        for layer in &x.flow.layers {
            paths = paths.line(Series::new(format!("{}: h", cell_name(x.cell)), by_number(&layer.h)));
            if let Some(cell) = &layer.c {
                paths = paths.line(Series::new(format!("{}: c", cell_name(x.cell)), by_number(cell)));
            }
        }
    }
    let losses = Chart::new("losses", "Loss while learning", Axis::linear("step"), Axis::linear("bits per character"));
    let losses = of_cells(c, losses, |x| x.losses.iter().map(|&(step, bits)| (step as f64, bits)).collect());
    let worth = Chart::new(
        "context",
        "What a context of k characters lacks",
        Axis::log("k, characters given"),
        Axis::linear("bits per character").including(0.0),
    );
    let worth =
        of_cells(c, worth, |x| (1..).zip(&x.context.by_k).map(|(k, at)| (f64::from(k), at.missing_bits)).collect());
    let accuracy = Chart::new(
        "memory",
        "Memory task: right answers",
        Axis::log("k, symbols in between"),
        Axis::linear("share").including(0.0).including(1.0),
    );
    let accuracy = of_cells(c, accuracy, |x| x.memory.accuracy.iter().map(|&(k, share)| (k as f64, share)).collect());
    let times: Vec<String> = ratios(c)
        .into_iter()
        .map(|(name, ratio)| match ratio {
            Some(ratio) => format!("the {name} knows the first symbol {ratio:.1} times as long as the RNN"),
            None => format!("the {name} knows the first symbol, the RNN never does"),
        })
        .collect();
    let page = Page::new("Multiplication against addition")
        .lead(format!("RNN, LSTM and GRU with about {} weights each, after {} steps on {text}. On the memory task {}.", o.parameters, o.steps, times.join("; ")))
        .section("How far a loss reaches back", html! {
            p { "An RNN's gradient passes through W" sub { "hh" } " and the slope of tanh at every character: a product, which vanishes or explodes. "
                "An LSTM adds to its cell state, so that through c a gradient is multiplied by the forget gate alone, which can stay near 1; "
                "a GRU's update gate does the same for its one state." }
            (figure(&gradients, "Mean over places of text that training did not see. A straight line falls by one factor per character."))
            (figure(&paths.render(), "The same for h and for c, not divided by the value at k = 1."))
        })
        .section("What they do with it", html! {
            (figure(&worth, "Bits per character that are missing where only the last k characters are given."))
            (figure(&losses, "Means over stretches of the run."))
        })
        .section("The memory task", html! {
            p { "The first symbol, one of 8, is to be named after k random others. Each k is a training of its own, from nothing, with that answer as its only loss, "
                "so that what is learned comes through k + 1 steps of gradient. " (m.seeds) " runs of at most " (m.steps) " steps of " (m.batch)
                " sequences for each cell, about " (m.parameters) " weights, one recipe." }
            (figure(&accuracy, "Mean of the runs on fresh sequences; by chance 1 in 8 would be right."))
        })
        .section("In numbers", html! {
            (scrolling("RNN, LSTM and GRU side by side", &html! {
                table {
                    thead { tr { th scope="col" { "" } @for x in &c.cells { th scope="col" { (cell_name(x.cell)) } } } }
                    tbody { @for (name, cells) in comparison_rows(c) {
                        tr { th scope="row" { (name) } @for cell in cells { td { (cell) } } }
                    } }
                }
            }))
        })
        .section("What they write", html! {
            @for x in &c.cells {
                h3 { (cell_name(x.cell)) @if let Some(bits) = x.val_bits { ", " (format!("{bits:.3}")) " bits per character" } }
                pre.text { (x.sample.trim_matches('\n')) }
            }
        });
    page.data("comparison", c)
}
