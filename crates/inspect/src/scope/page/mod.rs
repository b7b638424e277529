//! The page of the microscope: the text coloured by a unit, cells with names, labels, gates, holds.
//!
//! The text is drawn on a canvas of the size of its view, whatever its length (`scope.js`): a node for each character would
//! be slow. A value's colour is that of `page/colour.rs`; below zero, or where a gate is closed, there is a line under the
//! character too, so that the sign needs no colour.

mod cells; // names, and the best units of each label
mod gates; // open, closed, between
mod holds; // what happens without a unit

use super::{Findings, Scope};
use crate::page::{Markup, Page, html};
use crate::probe::{LEVEL_BINARY, LEVEL_NUMBER};
use serde::Serialize;

const STYLE: &str = include_str!("scope.css");
const SCRIPT: &str = include_str!("scope.js");

/// A unit's name on the page: by which label, told by which part, how well.
#[derive(Debug, Serialize)]
struct Name<'a> {
    layer: usize,
    unit: usize,
    part: &'static str,
    label: &'a str,
    score: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    border: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    above: Option<bool>,
}

impl Scope {
    /// The page.
    pub fn page(&self) -> Page {
        let f = &self.findings;
        let (cell, size) = (f.cell.to_uppercase(), format!("{} x {}", f.layers, f.hidden));
        let names: Vec<Name<'_>> = f.probe.names.iter().map(name).collect();
        Page::new("What each unit tells")
            .wide()
            .lead(format!(
                "{cell} of {size} units reading {} characters. What the first half shows is checked on the second, and \
                 against labels that have nothing to do with the text.",
                grouped(f.chars)
            ))
            .style(STYLE)
            .part(view(f))
            .section("Cells with a name", cells::named(f))
            .section("What can be asked", cells::labels(f))
            .section("How often gates are open", gates::section(f))
            .section("Without the cell", holds::section(f))
            .section("How this was made", method(f))
            .data("window", &self.window)
            .data("names", &names)
            .script(SCRIPT)
    }
}

fn name(cell: &crate::probe::Cell) -> Name<'_> {
    let crate::probe::Cell { layer, unit, part, score, border, above, .. } = *cell;
    Name { layer, unit, part, label: &cell.label, score, border, above }
}

/// The text and what chooses a unit. `scope.js` fills it.
fn view(f: &Findings) -> Markup {
    html! {
        section.scope aria-label="The text, coloured by a unit" {
            div.controls {
                label { "Layer " select id="layer" {} }
                label { "Unit " select id="unit" {} }
                span.buttons {
                    button type="button" id="before" aria-label="the unit before" { "\u{2190}" }
                    button type="button" id="after" aria-label="the next unit" { "\u{2192}" }
                }
                span.buttons id="parts" role="group" aria-label="Part of the unit" {}
                label { "Mark " select id="mark" { option value="" { "nothing" } } }
                label { "Find " input type="search" id="find" placeholder="in the text" autocomplete="off" spellcheck="false"; }
                output id="found" {}
            }
            div.legend-line {
                strong id="title" aria-live="polite" {}
                span.scale {
                    span id="least" {}
                    canvas id="legend" width="180" height="18" role="img" aria-label="Colour scale" {}
                    span id="most" {}
                    span.quiet id="sign" {}
                    button type="button" id="stretch" aria-pressed="false" title="the colours from the 5th to the 95th percentile of what is shown" { "Stretch" }
                }
            }
            div.stage {
            div.text id="text" tabindex="0" role="group" aria-label="The text: arrows choose the unit and its part" aria-describedby="keys" {
                div.inner id="inner" { canvas id="page" role="img" aria-label="Characters coloured by the unit's value" {} }
            }
            (cells::beside(f))
            }
            p.readout id="readout" aria-live="polite" { "Point at a character to read its value." }
            p.quiet id="keys" {
                kbd { "\u{2190}" } " " kbd { "\u{2192}" } " unit, " kbd { "\u{2191}" } " " kbd { "\u{2193}" } " part, "
                kbd { "Shift" } " with " kbd { "\u{2190}" } " " kbd { "\u{2192}" } " layer, "
                kbd { "Page up" } " " kbd { "Page down" } " the text, " kbd { "/" } " find, " kbd { "M" } " mark, " kbd { "S" } " stretch the colours. "
                "Swipe across the text for the next unit."
            }
            noscript { p { "The text is drawn by a script, which this browser does not run. The tables below need none." } }
            @if f.unseen > 0 {
                p.quiet { (grouped(f.unseen)) " symbols of the text were never seen in training: the model reads nothing there." }
            }
        }
    }
}

/// How the numbers came about.
fn method(f: &Findings) -> Markup {
    let what = match f.read < f.chars {
        true => format!("{} of the text's {} characters were read", grouped(f.read), grouped(f.chars)),
        false => "The text was read".to_owned(),
    };
    let read = match f.lanes {
        1 => "The text was read in one go from its start.".to_owned(),
        lanes => format!(
            "{what} in {lanes} spans side by side, each behind {} symbols that only warm up the state: an \
             approximation of reading it in one go (--exact does that).",
            gatemill_train::TracePlan::WARM_UP
        ),
    };
    html! {
        p { (read) " Units are compared on " (grouped(f.compared)) " of its characters." }
        p {
            "For a label of yes and no the score is the balanced accuracy of one threshold, chosen on the first half and "
            "counted on the second: 0.5 is chance. For a number it is R\u{b2} of the mean of the value's bin: 0 is chance. The "
            "control turns the labels in a circle, " (crate::probe::SHIFTS) " times by another distance; its score is the best "
            "of all units and parts. A unit has a name where its h or c scores at least " (LEVEL_BINARY) " (numbers: "
            (LEVEL_NUMBER) ") and more than the control ever did."
        }
        p.quiet { "Weights " code { (f.weights_sha256) } }
    }
}

/// Digits in groups of three.
fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}
