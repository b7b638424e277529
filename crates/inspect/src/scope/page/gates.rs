//! Gates: bars by layer, and a scatter with a mark for each unit, as in the paper of 2015.

use super::super::Findings;
use crate::gate::LayerUse;
use crate::page::{Markup, PreEscaped, figure, html, scrolling};
use std::fmt::Write;

/// Size of a scatter's square.
const SIDE: f64 = 190.0;
const MARGIN: f64 = 34.0;

pub(super) fn section(f: &Findings) -> Markup {
    let gates: Vec<&LayerUse> = f.gates.iter().collect();
    let mut parts: Vec<&str> = Vec::new();
    for part in gates.iter().map(|g| g.part) {
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    let scatters = html! {
        div.scatters {
            @for part in &parts { (scatter(part, &gates.iter().copied().filter(|g| g.part == *part).collect::<Vec<_>>())) }
        }
    };
    html! {
        (scrolling("Gates by layer", &bars(&gates)))
        (figure(&scatters, "A mark for each unit: to the right how much of the time it is open (of a tanh: above 0.9), upwards how much \
                            closed (below 0.1; of a tanh below -0.9). On the diagonal it is never between: a switch. At the lower \
                            left it never saturates. Layer 0 circles, layer 1 crosses, layer 2 triangles, then again."))
    }
}

fn percent(x: f64) -> String {
    format!("{:.0} %", 100.0 * x)
}

fn bars(gates: &[&LayerUse]) -> Markup {
    html! {
        table.gates {
            thead { tr { th.word { "Layer" } th.word { "Part" } th { "Closed" } th { "Between" } th { "Open" } th.word { "" } } }
            tbody {
                @for gate in gates {
                    tr {
                        td.word { (gate.layer) }
                        td.word { (gate.part) @if !gate.opens { span.quiet { " (tanh)" } } }
                        td { (percent(gate.closed)) }
                        td { (percent(gate.between)) }
                        td { (percent(gate.open)) }
                        td.word { (bar(gate)) }
                    }
                }
            }
        }
    }
}

fn bar(gate: &LayerUse) -> Markup {
    let (width, closed, open) = (240.0, 240.0 * gate.closed, 240.0 * gate.open);
    let title =
        format!("closed {}, between {}, open {}", percent(gate.closed), percent(gate.between), percent(gate.open));
    html! {
        svg.bar viewBox="0 0 240 14" width="240" height="14" role="img" aria-label=(title) {
            rect.closed x="0" y="0" width=(format!("{closed:.1}")) height="14" {}
            rect.between x=(format!("{closed:.1}")) y="0" width=(format!("{:.1}", (width - closed - open).max(0.0))) height="14" {}
            rect.open x=(format!("{:.1}", width - open)) y="0" width=(format!("{open:.1}")) height="14" {}
        }
    }
}

fn scatter(part: &str, layers: &[&LayerUse]) -> Markup {
    let size = SIDE + MARGIN + 8.0;
    let at = |closed: f64, open: f64| (MARGIN + open * SIDE, 8.0 + (1.0 - closed) * SIDE);
    let title = format!("{part}: open against closed, a mark for each unit");
    let (left, bottom, right) = (MARGIN, 8.0 + SIDE, MARGIN + SIDE);
    html! {
        svg.scatter viewBox={ "0 0 " (size) " " (size) } role="img" aria-label=(title) {
            path.frame d={ "M" (left) " 8V" (bottom) "H" (right) } {}
            path.diagonal d={ "M" (left) " 8L" (right) " " (bottom) } {}
            @for (value, text) in [(0.0, "0"), (0.5, "50 %"), (1.0, "100 %")] {
                text x=(left + value * SIDE) y=(bottom + 15.0) text-anchor={ @if value > 0.9 { "end" } @else { "middle" } } { (text) }
            }
            text x=(left - 5.0) y="15" text-anchor="end" { "100" }
            text.part x=(right) y="22" text-anchor="end" { (part) }
            text x=(right) y=(bottom + 30.0) text-anchor="end" { "open" }
            text x="10" y=(bottom - SIDE / 2.0) text-anchor="middle" transform={ "rotate(-90 10 " (bottom - SIDE / 2.0) ")" } { "closed" }
            @for layer in layers {
                (PreEscaped(format!("<path class=\"s{} units\" d=\"{}\"/>", layer.layer % 6, marks(layer, at))))
            }
        }
    }
}

/// All units of a layer as one path: many nodes would be slow.
fn marks(layer: &LayerUse, at: impl Fn(f64, f64) -> (f64, f64)) -> String {
    let mut d = String::new();
    for &[closed, open] in &layer.units {
        let (x, y) = at(closed, open);
        // Writing to a string cannot fail.
        let _ = match layer.layer % 3 {
            0 => write!(d, "M{:.1} {y:.1}a2.4 2.4 0 1 0 4.8 0a2.4 2.4 0 1 0 -4.8 0", x - 2.4),
            1 => write!(d, "M{:.1} {:.1}l5 5m0 -5l-5 5", x - 2.5, y - 2.5),
            _ => write!(d, "M{x:.1} {:.1}l3 5h-6z", y - 3.0),
        };
    }
    d
}
