//! The walk-through as a page: the same numbers coloured by size and sign, training by a slider, inference letter by letter.

use super::tell::{cell_words, equations, names, outcome, quoted};
use super::{Hello, Matrix, Step};
use crate::page::{Axis, Chart, Markup, Page, Scale, Series, figure, html, scrolling, visible};

const STYLE: &str = include_str!("hello.css");
const SCRIPT: &str = include_str!("hello.js");

/// The page.
pub fn page(hello: &Hello) -> Page {
    let shown: String = hello.text.chars().map(visible).collect();
    let s = if hello.hidden == 1 { "" } else { "s" };
    Page::new(format!("“{shown}”, number by number"))
        .lead(format!(
            "{} with {} hidden unit{s} and {} weights learns to continue one word. Every number is the engine's own.",
            capital(cell_words(hello.cell)),
            hello.hidden,
            hello.parameters
        ))
        .style(STYLE)
        .wide()
        .section("1. Vocabulary and one-hot vectors", vocabulary(hello))
        .section("2. The weights", weights(hello))
        .section("3. Forward", forward(hello))
        .section("4. Backward", backward(hello))
        .section("5. The update", update(hello))
        .section("6. Train more", training(hello))
        .section("7. Inference", inference(hello))
        .data("hello", hello)
        .script(SCRIPT)
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

/// A number on the colour of its size and sign; `most` has the full colour.
fn cell(value: f64, most: f64, scale: Scale) -> Markup {
    let part = if most > 0.0 { value / most } else { 0.0 };
    let text = format!("{value:.4}");
    html! { td style=(scale.css(part)) { (if text == "-0.0000" { "0.0000".to_owned() } else { text.replace('-', "−") }) } }
}

fn most(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |most: f64, value| most.max(value.abs()))
}

fn of(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| value.into()).collect()
}

fn vocabulary(hello: &Hello) -> Markup {
    let count = hello.vocabulary.len();
    let letters = |name: &str, letters: &mut dyn Iterator<Item = char>| {
        html! { tr { th scope="row" { (name) } @for c in letters { td.letter { (visible(c)) } } } }
    };
    html! {
        p { "The vocabulary is each character of the text once, sorted: V = " (count) ". A character enters the network as a vector with a single 1." }
        (scrolling("One-hot vectors", &html! {
            table.numbers { tbody {
                @for (hot, &c) in hello.vocabulary.iter().enumerate() {
                    tr { th scope="row" { (quoted(c)) } @for k in 0..count {
                        td style=(Scale::Sequential.css(if k == hot { 0.6 } else { 0.0 })) { (if k == hot { "1" } else { "0" }) }
                    } }
                }
            } }
        }))
        p { "It reads all characters but the last, one a step, and is to predict the one after each." }
        (scrolling("What is read and what follows", &html! {
            table { tbody {
                (letters("reads", &mut hello.steps.iter().map(|step| step.read)))
                (letters("predicts", &mut hello.steps.iter().map(|step| step.target)))
            } }
        }))
    }
}

fn matrix(hello: &Hello, matrix: &Matrix, title: &str) -> Markup {
    let (rows, columns) = names(hello, matrix);
    let most = most(of(&matrix.values).into_iter());
    html! {
        table.numbers {
            caption { (title) " " span.quiet { "[" (matrix.rows) @if matrix.columns > 1 { " × " (matrix.columns) } "]" } }
            @if matrix.columns > 1 { thead { tr { th {} @for name in &columns { th scope="col" { (name) } } } } }
            tbody { @for (row, name) in rows.iter().enumerate() {
                tr { th scope="row" { (name) } @for column in 0..matrix.columns { (cell(matrix.at(row, column), most, Scale::Diverging)) } }
            } }
        }
    }
}

fn weights(hello: &Hello) -> Markup {
    html! {
        p { "Drawn by seed " (hello.seed) ", uniform between −1/√H and 1/√H. The slides have no biases; here they are b_xh, b_hh and b_y." }
        div.matrices tabindex="0" role="region" aria-label="Weights" {
            @for m in &hello.before { (matrix(hello, m, m.name)) }
        }
    }
}

fn vector(name: &str, values: &[f64], scale: Scale) -> Markup {
    html! { tr { th scope="row" { (name) } @for &value in values { (cell(value, 1.0, scale)) } } }
}

fn one_step(hello: &Hello, step: &Step) -> Markup {
    let t = step.t;
    let h_name =
        if hello.cell == gatemill_train::CellKind::Rnn { format!("h_{t} = tanh(a_{t})") } else { format!("h_{t}") };
    let verdict = if step.predicted == step.target { "right" } else { "not yet" };
    html! {
        h3 { "t = " (t) ": reads " (quoted(step.read)) ", " (quoted(step.target)) " follows" }
        (scrolling(&format!("State after step {t}"), &html! {
            table.numbers { tbody {
                @for part in &step.parts { (vector(&part.name, &part.values, Scale::Diverging)) }
                @if let Some(c) = &step.c { (vector(&format!("c_{t}"), &of(c), Scale::Diverging)) }
                (vector(&h_name, &of(&step.h), Scale::Diverging))
            } }
        }))
        (scrolling(&format!("Prediction of step {t}"), &html! {
            table.numbers {
                thead { tr { th {} @for &c in &hello.vocabulary { th scope="col" { (quoted(c)) } } } }
                tbody {
                    (vector(&format!("y_{t}"), &of(&step.logits), Scale::Diverging))
                    (vector(&format!("p_{t}"), &step.p, Scale::Sequential))
                }
            }
        }))
        p { "It would say " (quoted(step.predicted)) " (" (verdict) "). loss_" (t) " = −ln " (format!("{:.4} = {:.4}", step.p.get(step.target_id).copied().unwrap_or(0.0), step.nats)) }
    }
}

fn forward(hello: &Hello) -> Markup {
    let symbols = hello.vocabulary.len();
    html! {
        p { "Each step mixes what is read with the state before it, and guesses the next character." }
        div.equation {
            @for equation in equations(hello.cell) { (equation) br; }
            "y_t = W_hy h_t + b_y" br;
            "p_t = softmax(y_t)" br;
            "loss_t = −ln p_t[the character that follows]"
        }
        @for step in &hello.steps { (one_step(hello, step)) }
        p { strong { "Loss: " (format!("{:.4}", hello.nats)) " nats" } ", the mean over the steps. Guessing among " (symbols) " costs ln " (symbols) " = " (format!("{:.4}", libm::log(symbols as f64))) "." }
    }
}

fn backward(hello: &Hello) -> Markup {
    let most = most(hello.steps.iter().flat_map(|step| step.d_logits.iter().copied()));
    html! {
        p { "The loss pulls each p_t towards the character that follows: dL/dy_t = (p_t − one-hot of what follows) / " (hello.steps.len()) ". From there the pull goes back through the readout, the activations and, step by step, through time; each weight's gradient is the sum over all steps." }
        (scrolling("Gradient of the logits", &html! {
            table.numbers {
                thead { tr { th {} @for &c in &hello.vocabulary { th scope="col" { (quoted(c)) } } } }
                tbody { @for step in &hello.steps {
                    tr { th scope="row" { "dL/dy_" (step.t) } @for &d in &step.d_logits { (cell(d, most, Scale::Diverging)) } }
                } }
            }
        }))
    }
}

fn update(hello: &Hello) -> Markup {
    html! {
        p { "Each weight moves against its gradient: w ← w − " (hello.lr) " · dL/dw. From the second update on with momentum: m ← " (hello.momentum) " m + dL/dw, w ← w − " (hello.lr) " m." }
        @for before in &hello.before {
            @if let (Some(gradient), Some(after)) = (Hello::matrix(&hello.gradient, before.name), Hello::matrix(&hello.after, before.name)) {
                div.matrices tabindex="0" role="region" aria-label={ "Update of " (before.name) } {
                    (matrix(hello, before, &format!("{} before", before.name)))
                    (matrix(hello, gradient, "gradient"))
                    (matrix(hello, after, "after"))
                }
            }
        }
        @if let Some(stage) = hello.training.get(1) {
            p { "The same text costs " strong { (format!("{:.4}", stage.nats)) } " nats now, " (format!("{:.4}", hello.nats)) " before." }
        }
    }
}

fn training(hello: &Hello) -> Markup {
    let losses = hello.losses.iter().enumerate().map(|(updates, &nats)| (updates as f64, nats));
    let chart = Chart::new(
        "loss",
        "Loss of the text by updates",
        Axis::linear("updates"),
        Axis::linear("nats per character").including(0.0),
    )
    .line(Series::new("loss", losses));
    let last = hello.training.len().saturating_sub(1);
    html! {
        (figure(&chart.render(), "The mean loss before each update, and at the end."))
        @if let Some(sentence) = outcome(hello) { p { (sentence) } }
        p { "What it says after each character, and how sure it is, by the number of updates:" }
        div.controls {
            label for="stage" { "after" }
            input #stage type="range" min="0" max=(last) value=(last) step="1" aria-describedby="stage-words";
            output #stage-words for="stage" {}
        }
        (scrolling("Probabilities at this stage", &html! { table.numbers #stage-table {
            thead { tr { th scope="col" { "reads" } @for &c in &hello.vocabulary { th scope="col" { (quoted(c)) } } th scope="col" { "says" } } }
            tbody { @for (t, step) in hello.steps.iter().enumerate() {
                @let stage = hello.training.get(last);
                tr {
                    th scope="row" { (quoted(step.read)) }
                    @for k in 0..hello.vocabulary.len() {
                        @let p = stage.and_then(|stage| stage.p.get(t)?.get(k)).copied().unwrap_or(f64::NAN);
                        td.follows[k == step.target_id] style=(Scale::Sequential.css(p)) { (format!("{p:.3}")) }
                    }
                    td { @if let Some(&c) = stage.and_then(|stage| stage.predicted.get(t)) { (quoted(c)) } }
                }
            } }
        } }))
        p.quiet { "Underlined: the character that follows." }
    }
}

fn inference(hello: &Hello) -> Markup {
    let written: String = hello.written().chars().map(visible).collect();
    html! {
        p { "The trained network gets the first character. From then on each that it says is what it reads next." }
        div.controls {
            button #next type="button" { "Next letter" }
            button #all type="button" { "To the end" }
            button #again type="button" { "Start over" }
        }
        div #written.written aria-live="polite" { (written) }
        (scrolling("Each letter fed back", &html! { table #fed {
            thead { tr { th.word scope="col" { "reads" } th.word scope="col" { "says" } th scope="col" { "probability" } } }
            tbody { @for fed in &hello.inference {
                tr { td.word { (quoted(fed.reads)) } td.word { (quoted(fed.says)) } td { (format!("{:.3}", fed.probability)) } }
            } }
        } }))
    }
}
