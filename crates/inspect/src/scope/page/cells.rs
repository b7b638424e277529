//! Cells with a name, and what the best units tell of each label.

use super::super::Findings;
use super::grouped;
use crate::label::Kind;
use crate::page::{Markup, html, scrolling};
use crate::probe::{Cell, LabelFindings};

/// Names that the table has before it folds.
const FOLDED: usize = 16;

/// A button that shows a unit, and marks a label.
fn show(layer: usize, unit: usize, part: &str, label: &str) -> Markup {
    html! {
        button.show type="button" data-unit={ (layer) ":" (unit) } data-part=(part) data-mark=(label) {
            (part) " " (layer) ":" (unit)
        }
    }
}

/// The best of the control, of all units and turned copies.
fn chance(label: &LabelFindings) -> f64 {
    label.control.iter().copied().fold(0.0, f64::max)
}

/// Units of each label beside the text.
const BESIDE: usize = 4;
/// Units of each label in its table.
const BEST: usize = 4;

/// The cells with a name by label, to press, beside the text.
pub(super) fn beside(f: &Findings) -> Markup {
    let of = |label: &LabelFindings| {
        f.probe.names.iter().filter(|c| c.label == label.label).take(BESIDE).collect::<Vec<_>>()
    };
    html! {
        aside.cells aria-label="Cells with a name" {
            @for (label, cells) in f.probe.labels.iter().map(|l| (l, of(l))).filter(|(_, cells)| !cells.is_empty()) {
                h3 { (label.label) " " span.quiet { (format!("{:.3}", cells[0].score)) @if label.kind == Kind::Number { " R\u{b2}" } } }
                div { @for cell in cells { (show(cell.layer, cell.unit, cell.part, &cell.label)) " " } }
            }
            @if f.probe.names.is_empty() { p.quiet { "No unit has earned a name on this text." } }
        }
    }
}

/// The table of names.
pub(super) fn named(f: &Findings) -> Markup {
    let names = &f.probe.names;
    let control: usize = f.probe.labels.iter().map(|l| l.control_names).sum();
    html! {
        @if names.is_empty() {
            p { "No unit has earned a name on this text. More training, or more text, may change that." }
        } @else {
            p { "Each is told from its state alone: h, or c of an LSTM. Beside the text a press shows it, with its label marked." }
            (scrolling("Cells with a name", &table(f, &names[..names.len().min(FOLDED)])))
            @if names.len() > FOLDED {
                details { summary { (names.len() - FOLDED) " more" } (scrolling("More cells", &table(f, &names[FOLDED..]))) }
            }
        }
        p.quiet {
            "Control: labels turned around the text would have given "
            @if control == 0 { "no name" } @else if control == 1 { "1 name" } @else { (control) " names" } "."
        }
    }
}

fn table(f: &Findings, names: &[Cell]) -> Markup {
    html! {
        table {
            thead { tr { th.word { "Cell" } th.word { "Name" } th { "Score" } th { "Control" } th { "Inside" } th { "Outside" } } }
            tbody {
                @for cell in names {
                    @let label = f.probe.labels.iter().find(|l| l.label == cell.label);
                    tr {
                        td.word.mono { (cell.part) " " (cell.layer) ":" (cell.unit) }
                        td.word { (cell.label) }
                        td { (format!("{:.3}", cell.score)) }
                        td { @if let Some(label) = label { (format!("{:.3}", chance(label))) } }
                        @match (cell.means, cell.correlation) {
                            (Some([inside, outside]), _) => {
                                td { (format!("{inside:+.2}")) }
                                td { (format!("{outside:+.2}")) }
                            }
                            (None, Some(correlation)) => { td colspan="2" { "correlation " (format!("{correlation:+.2}")) } }
                            (None, None) => { td {} td {} }
                        }
                    }
                }
            }
        }
    }
}

/// Every label with its best units, gates among them.
pub(super) fn labels(f: &Findings) -> Markup {
    let rows = html! {
        table {
            thead {
                tr {
                    th.word { "Label" } th { "Of the text" } th { "Best" } th { "Control" } th.word { "Units, the best first" }
                }
            }
            tbody {
                @for label in &f.probe.labels {
                    tr {
                        th scope="row" { (label.label) }
                        td { (format!("{:.1} %", 100.0 * label.share)) }
                        td {
                            @if let Some(best) = label.best.first() {
                                (format!("{:.3}", best.score)) @if label.kind == Kind::Number { " R\u{b2}" }
                            }
                        }
                        td { (format!("{:.3}", chance(label))) }
                        td.word.units {
                            @if label.asked {
                                @for cell in label.best.iter().take(BEST) { (show(cell.layer, cell.unit, cell.part, &label.label)) " " }
                            } @else {
                                span.quiet { "too seldom to be asked: " (grouped(label.stretches[0])) " and " (grouped(label.stretches[1])) " stretches" }
                            }
                        }
                    }
                }
            }
        }
    };
    html! {
        p { "Any part of a unit may tell best here, gates too. A press shows it in the text above. A label that looks ahead asks what the model expects." }
        (scrolling("Labels", &rows))
    }
}
