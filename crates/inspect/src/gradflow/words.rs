//! A report as a text for the terminal: a table by distance, then a line for each finding.

use super::compare::{Compared, Comparison};
use super::report::{Report, cell_name, distances};
use gatemill_train::flow::{Context, Flow, LayerUnits};
use std::fmt::Write;

/// The table and the findings.
pub fn report(r: &Report) -> String {
    let mut text = format!(
        "gradients by distance: {} on {} characters, {} places, {} characters back\n\n",
        r.name(),
        r.symbols,
        r.flow.positions,
        r.flow.distance
    );
    text.push_str(&table(r));
    text.push('\n');
    for line in findings(r) {
        let _ = writeln!(text, "{line}");
    }
    text
}

fn table(r: &Report) -> String {
    let mut header = vec!["k".to_owned(), "mean".to_owned(), "quartiles".to_owned(), String::new(), String::new()];
    for (l, layer) in r.flow.layers.iter().enumerate() {
        header.push(format!("h_{}", l + 1));
        if layer.c.is_some() {
            header.push(format!("c_{}", l + 1));
        }
    }
    header.extend(["bits with k".to_owned(), "missing".to_owned()]);
    let mut rows = vec![header];
    for k in distances(r.flow.distance) {
        let all = &r.flow.all[k - 1];
        let mut row = vec![k.to_string(), size(all.mean), size(all.q1), size(all.median), size(all.q3)];
        for layer in &r.flow.layers {
            row.push(size(layer.h[k - 1].mean));
            row.extend(layer.c.as_ref().map(|c| size(c[k - 1].mean)));
        }
        let context = r.context.by_k.get(k - 1);
        row.push(context.map_or(String::new(), |at| format!("{:.3}", at.bits)));
        row.push(context.map_or(String::new(), |at| format!("{:+.3}", at.missing_bits)));
        rows.push(row);
    }
    let widths: Vec<usize> =
        (0..rows[0].len()).map(|i| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:>width$}")).collect();
        let _ = writeln!(text, "  {}", cells.join("  ").trim_end());
    }
    text.push_str("\n  k: characters between a state and the loss. Mean and quartiles over places of the norm of the loss's gradient to the\n");
    text.push_str("  state, all layers; then the mean for h and c of each layer; bits per character given the last k characters alone.\n");
    text
}

/// A norm in three digits.
pub(crate) fn size(x: f64) -> String {
    if x == 0.0 {
        "0".to_owned()
    } else if (0.001..1000.0).contains(&x) {
        format!("{x:.4}")
    } else {
        format!("{x:.2e}")
    }
}

/// Where memory ends by the gradients, in a sentence.
pub fn memory(flow: &Flow) -> String {
    let end = match flow.reach.faint {
        Some(k) => format!(
            "memory ends at about {k} characters: from there on the mean gradient is below 1 % of that at k = 1"
        ),
        None => format!(
            "memory does not end within {} characters: the mean gradient stays above 1 % of that at k = 1",
            flow.distance
        ),
    };
    format!("{end}; half of all of it lies within {}, 95 % within {}", flow.reach.half, flow.reach.most)
}

/// What contexts are worth, in a sentence.
pub fn context(c: &Context) -> String {
    let (Some(first), Some(last)) = (c.by_k.first(), c.by_k.last()) else { return String::new() };
    let within = |k: Option<usize>| k.map_or(format!("more than {}", c.by_k.len()), |k| k.to_string());
    format!(
        "one character alone lacks {:.3} bits; half of that is there with {}, 95 % with {}, 99 % with {} ({:.3} bits are missing at k = {}, give or take {:.3})",
        first.missing_bits,
        within(c.half),
        within(c.most),
        within(c.enough),
        last.missing_bits,
        c.by_k.len(),
        last.error_bits
    )
}

/// What a run's `--seq` has to do with it.
pub fn seq(end: Option<usize>, within: usize, seq: usize) -> String {
    match end {
        Some(end) if end < seq => format!("--seq {seq} spends {} of its time beyond it", share(seq - end, seq)),
        Some(end) => format!("--seq {seq} ends before it does: a --seq of {end} could use more of it"),
        None if within >= seq => format!("--seq {seq} ends before it does: try a longer one"),
        None => String::new(),
    }
}

/// A part of a whole in words.
fn share(part: usize, whole: usize) -> String {
    let fifths = (5.0 * part as f64 / whole.max(1) as f64).round() as usize;
    match fifths {
        0 => "little".to_owned(),
        1 => "a fifth".to_owned(),
        2 => "two fifths".to_owned(),
        3 => "three fifths".to_owned(),
        4 => "four fifths".to_owned(),
        _ => "nearly all".to_owned(),
    }
}

/// What a layer's units do that stops a gradient, in a sentence.
pub fn units(layer: &LayerUnits) -> String {
    let percent = |x: f64| (100.0 * x).round();
    let stuck = |count: usize, how: &str| if count > 0 { format!(", {count} always {how}") } else { String::new() };
    let mut parts: Vec<String> = layer
        .gates
        .iter()
        .map(|gate| {
            let (open, closed) = (stuck(gate.stuck_open, "open"), stuck(gate.stuck_closed, "closed"));
            format!(
                "{} open {} % of the time, closed {} %{open}{closed}",
                gate.gate,
                percent(gate.open),
                percent(gate.closed)
            )
        })
        .collect();
    parts.push(format!(
        "|h| above 0.9 {} % of the time{}",
        percent(layer.saturated),
        stuck(layer.saturated_units, "so")
    ));
    parts.push(format!("{} of {} units dead", layer.dead_units, layer.units));
    parts.join("; ")
}

/// The findings, a line each.
pub fn findings(r: &Report) -> Vec<String> {
    let mut lines = vec![
        format!("reach       {}", memory(&r.flow)),
        format!("seq         {}", seq(r.flow.reach.faint, r.flow.distance, r.seq)),
        format!(
            "decay       each further character multiplies the median gradient by {:.3}, far back",
            r.flow.reach.factor
        ),
        format!("context     {}", context(&r.context)),
    ];
    for (l, layer) in r.radii.layers.iter().enumerate() {
        let singular = layer.singular.map_or(String::new(), |s| {
            format!("; the largest singular value {:.3} ({:.3} to {:.3})", s.median, s.q1, s.q3)
        });
        let (lowest, highest) = layer.along.iter().fold((f64::INFINITY, 0.0_f64), |(a, b), &x| (a.min(x), b.max(x)));
        lines.push(format!(
            "layer {}     a step's Jacobian has spectral radius {:.3} (quartiles {:.3} to {:.3}; {lowest:.3} to {highest:.3} along {} characters){singular}",
            l + 1,
            layer.radius.median,
            layer.radius.q1,
            layer.radius.q3,
            layer.along.len()
        ));
    }
    for (l, layer) in r.units.iter().enumerate() {
        lines.push(format!("units {}     {}", l + 1, units(layer)));
    }
    lines.retain(|line| !line.trim_end().ends_with("seq"));
    lines
}

/// The rows of a comparison: what is compared, and the value of each cell.
pub fn comparison_rows(c: &Comparison) -> Vec<(String, Vec<String>)> {
    let row = |name: &str, of: &dyn Fn(&Compared) -> String| (name.to_owned(), c.cells.iter().map(of).collect());
    let within = |k: Option<usize>, most: usize| k.map_or(format!("over {most}"), |k| k.to_string());
    let radius = |x: &Compared| x.radii.layers.first().map_or(0.0, |layer| layer.radius.median);
    vec![
        row("units", &|x| x.hidden.to_string()),
        row("weights", &|x| x.parameters.to_string()),
        row("training, bits per character", &|x| x.losses.last().map_or(String::new(), |at| format!("{:.3}", at.1))),
        row("validation, bits per character", &|x| x.val_bits.map_or("-".to_owned(), |bits| format!("{bits:.3}"))),
        row("characters per second", &|x| format!("{:.0}", x.characters_per_s)),
        row("gradient below 1 % from k =", &|x| within(x.flow.reach.faint, x.flow.distance)),
        row("half of the gradient within k =", &|x| x.flow.reach.half.to_string()),
        row("95 % of the gradient within k =", &|x| x.flow.reach.most.to_string()),
        row("gradient per character, far back", &|x| format!("x {:.3}", x.flow.reach.factor)),
        row("99 % of the context's worth with k =", &|x| within(x.context.enough, x.context.by_k.len())),
        row("spectral radius of a step", &|x| format!("{:.3}", radius(x))),
        row("memory task: knows the first symbol after", &|x| {
            let more = if x.memory.at_least { "at least " } else { "" };
            format!("{more}{}", x.memory.distance)
        }),
        row("memory task: of each run", &|x| {
            x.memory.distances.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
        }),
        row("memory task: units", &|x| x.memory.hidden.to_string()),
        row("memory task: weights", &|x| x.memory.parameters.to_string()),
    ]
}

/// How many times the RNN's distance the others' are; None where the RNN remembers nothing.
pub fn ratios(c: &Comparison) -> Vec<(String, Option<f64>)> {
    let of = |x: &Compared| x.memory.distance as f64;
    let rnn = c.cells.iter().find(|x| x.cell == gatemill_train::CellKind::Rnn).map_or(0.0, of);
    let others = c.cells.iter().filter(|x| x.cell != gatemill_train::CellKind::Rnn);
    others.map(|x| (cell_name(x.cell).to_owned(), (rnn > 0.0).then(|| of(x) / rnn))).collect()
}

/// A comparison as a table, with a sample of each.
pub fn comparison(c: &Comparison) -> String {
    let names: Vec<&str> = c.cells.iter().map(|x| cell_name(x.cell)).collect();
    let (o, m) = (&c.options, &c.options.memory);
    let mut text = format!(
        "{} on the same {} characters: {} steps of {} x {}, one layer, about {} weights each\n\n",
        names.join(", "),
        c.symbols,
        o.steps,
        o.batch,
        o.seq,
        o.parameters
    );
    let rows = comparison_rows(c);
    let first = rows.iter().map(|row| row.0.len()).max().unwrap_or(0);
    let width = rows.iter().flat_map(|row| &row.1).map(String::len).max().unwrap_or(0).max(6);
    let line = |name: &str, cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:>width$}")).collect();
        format!("  {name:<first$}  {}", cells.join("  "))
    };
    let header: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let _ = writeln!(text, "{}", line("", &header).trim_end());
    for (name, cells) in &rows {
        let _ = writeln!(text, "{}", line(name, cells));
    }
    let _ = writeln!(text, "\n  mean gradient of the loss to the state k characters back, over that at k = 1");
    for k in distances(c.options.flow.distance) {
        let of = |x: &Compared| {
            x.flow.all.get(k - 1).map_or(f64::NAN, |s| s.mean) / x.flow.all.first().map_or(1.0, |s| s.mean)
        };
        let cells: Vec<String> = c.cells.iter().map(|x| size(of(x))).collect();
        let _ = writeln!(text, "{}", line(&format!("k = {k}"), &cells));
    }
    for (name, ratio) in ratios(c) {
        match ratio {
            Some(ratio) => {
                let _ = writeln!(text, "\n  {name}: {ratio:.1} times the RNN's distance on the memory task");
            }
            None => {
                let _ = writeln!(text, "\n  {name}: the RNN remembers nothing at all");
            }
        }
    }
    let _ = writeln!(
        text,
        "  (the first symbol, one of 8, after k random ones, each k learned from nothing; 90 % right; median of {} runs of at most {} steps of {})",
        m.seeds, m.steps, m.batch
    );
    for x in &c.cells {
        let _ = writeln!(text, "\n--- what the {} writes ---\n{}", cell_name(x.cell), x.sample.trim_matches('\n'));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seq_is_judged_by_where_memory_ends() {
        assert_eq!(seq(Some(38), 400, 200), "--seq 200 spends four fifths of its time beyond it");
        assert_eq!(seq(Some(50), 400, 100), "--seq 100 spends three fifths of its time beyond it");
        assert!(seq(Some(100), 400, 100).contains("could use more"));
        assert!(seq(None, 200, 200).contains("longer") && seq(None, 50, 100).is_empty());
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!([0.0, 0.25, 1.0, 3e-9, 12_345.0].map(size), ["0", "0.2500", "1.0000", "3.00e-9", "1.23e4"]);
    }
}
