//! What happens without a cell: bits, and what is written.

use super::super::Findings;
use crate::hold::{Bits, Intervention};
use crate::page::{Markup, html, scrolling};

pub(super) fn section(f: &Findings) -> Markup {
    if f.holds.is_empty() {
        return html! { p { "No cell was held: none has a name by which to choose it. Ask for one with " code { "--hold LAYER:UNIT=VALUE" } "." } };
    }
    html! {
        p {
            "The cell is held at one value from the first step on, through the model's weights, and the model reads and writes "
            "as always. Bits are of the next character, on held-out text."
        }
        (scrolling("Cells held at a value", &table(&f.holds)))
        @for hold in &f.holds { (samples(hold)) }
    }
}

fn change(before: f64, after: f64) -> Markup {
    html! { (format!("{after:.3}")) " " span.quiet { "(" (format!("{:+.3}", after - before)) ")" } }
}

fn table(holds: &[Intervention]) -> Markup {
    let cell = |of: fn(&Bits) -> Option<f64>, hold: &Intervention| match (of(&hold.before), of(&hold.after)) {
        (Some(before), Some(after)) => change(before, after),
        _ => html! {},
    };
    html! {
        table {
            thead {
                tr { th.word { "Cell" } th.word { "Held" } th { "at" } th { "Bits" } th { "Inside" } th { "Outside" } th.word { "of" } }
            }
            tbody {
                @for hold in holds {
                    tr {
                        td.word.mono { (hold.part) " " (hold.layer) ":" (hold.unit) }
                        td.word { (hold.why) }
                        td { (hold.value) }
                        td { (cell(|b| Some(b.all), hold)) }
                        td { (cell(|b| b.inside, hold)) }
                        td { (cell(|b| b.outside, hold)) }
                        td.word { (hold.label.as_deref().unwrap_or_default()) }
                    }
                }
            }
        }
    }
}

/// What both write, side by side.
fn samples(hold: &Intervention) -> Markup {
    html! {
        details {
            summary { (hold.part) " " (hold.layer) ":" (hold.unit) " held at " (hold.value) " (" (hold.why) "): what is written" }
            div.pair {
                div { h3 { "Untouched" } pre.text { span.quiet { (hold.prime) } (hold.written_before) } }
                div { h3 { "Held" } pre.text { span.quiet { (hold.prime) } (hold.written_after) } }
            }
        }
    }
}
