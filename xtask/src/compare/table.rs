//! The tables of a record, as Markdown: rates in thousand tokens per second, Gatemill's ratio to each peer, memory.

use super::cases::{Case, Kind};
use super::contenders::Engine;
use super::record::{Configuration, Measured, Record, Spread};
use std::fmt::Write;

/// Columns, in this order, where somebody has an entry.
const ENGINES: [Engine; 6] =
    [Engine::Gatemill, Engine::Torch, Engine::TorchTuned, Engine::Onnx, Engine::Candle, Engine::Burn];

const KINDS: [(Kind, &str); 3] =
    [(Kind::Training, "Training"), (Kind::Generation, "Generation, one stream"), (Kind::Scoring, "Scoring")];

/// The whole page.
pub(crate) fn markdown(record: &Record) -> String {
    let Record { date, command, machine, rounds, threads, versions, .. } = record;
    let versions: Vec<_> = versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let mut page = format!(
        "`{command}`, {date}; {}, {}, {} MB, {}; {}, {}.\n{}.\n\nThousand tokens per \
         second: the median (least - most of any step); in bold Gatemill's ratio to the peer (least - most of the rounds).\n",
        machine.cpu,
        counted(machine.cores, "core"),
        machine.memory_mb,
        machine.kernel,
        counted(*threads, "thread"),
        counted(*rounds as usize, "round"),
        versions.join(", "),
    );
    for (kind, title) in KINDS {
        let rows: Vec<_> = record.configurations.iter().filter(|row| row.case.kind == kind).collect();
        if rows.is_empty() {
            continue;
        }
        part(&mut page, title, &rows, |row, engine| Some(rate(row, row.best(engine)?)));
        part(&mut page, &format!("{title}: peak resident memory, MB"), &rows, |row, engine| {
            Some(format!("{:.0}", row.best(engine)?.peak_rss_mb?))
        });
    }
    for failure in &record.failed {
        // Standard error may have several lines; a list item has one.
        page += &format!("\n- failed: {}", failure.lines().next().unwrap_or_default());
    }
    page
}

/// A heading and a table with one row per configuration.
fn part(
    page: &mut String,
    title: &str,
    rows: &[&Configuration],
    entry: impl Fn(&Configuration, Engine) -> Option<String>,
) {
    let engines: Vec<_> =
        ENGINES.into_iter().filter(|&engine| rows.iter().any(|row| row.best(engine).is_some())).collect();
    *page += &format!("\n**{title}**\n\n| |");
    engines.iter().for_each(|engine| *page += &format!(" {} |", engine.title()));
    *page += &format!("\n|---|{}\n", "---|".repeat(engines.len()));
    for row in rows {
        *page += &format!("| {} |", name(&row.case));
        for &engine in &engines {
            *page += &format!(" {} |", entry(row, engine).unwrap_or_else(|| "-".into()));
        }
        *page += "\n";
    }
}

fn name(case: &Case) -> String {
    let (cell, Case { layers, hidden, .. }) = (case.cell.name().to_uppercase(), case);
    let space = if case.point.is_empty() { "" } else { " " };
    format!("{}{space}{cell} {layers}x{hidden}", case.point)
}

/// `343 (283 - 380)`; for a peer the ratio as well; where threads differ their number.
fn rate(row: &Configuration, measured: &Measured) -> String {
    let Spread { median, min, max } = measured.tokens_per_s;
    let mut text = format!("{} ({} - {})", thousands(median), thousands(min), thousands(max));
    if row.engines.iter().any(|other| other.threads != measured.threads) {
        // Writing to a string can't fail.
        let _ = write!(text, " {}", counted(measured.threads, "thread"));
    }
    if let Some(ratio) = row.ratios.iter().find(|ratio| ratio.to == measured.engine) {
        let Spread { median, min, max } = ratio.spread;
        let _ = write!(text, " **x{median:.2}** ({min:.2} - {max:.2})");
    }
    text
}

/// `1 thread`, `2 threads`.
pub(crate) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Three digits that mean something: 343, 38.1, 7.60, 0.931.
fn thousands(rate: f64) -> String {
    let thousands = rate / 1e3;
    let digits = match thousands {
        t if t >= 99.95 => 0,
        t if t >= 9.995 => 1,
        t if t >= 0.9995 => 2,
        _ => 3,
    };
    format!("{thousands:.digits$}")
}

/// For the screen, when a configuration is done.
pub(crate) fn one_line(row: &Configuration) -> String {
    let rates = ENGINES.into_iter().filter_map(|engine| row.best(engine));
    let entries: Vec<_> = rates.map(|best| format!("{} {}", best.engine.name(), rate(row, best))).collect();
    format!("{}: {}", row.case.title(), entries.join("; "))
}

#[cfg(test)]
mod tests {
    use super::{markdown, thousands};
    use crate::compare::record::tests::small_record;

    #[test]
    fn a_table_is_made_from_a_record() {
        let page = markdown(&small_record());
        let has = |line: &str| assert!(page.lines().any(|l| l == line), "{line}\n{page}");
        has("| | Gatemill | PyTorch as installed | PyTorch, malloc tuned |");
        has("| C1 LSTM 1x128 | 330 (270 - 396) | 165 (135 - 220) **x2.00** (1.50 - 2.40) | \
             180 (148 - 198) **x1.83** (1.67 - 2.00) |");
        has("| LSTM 2x128 | 21.0 (18.0 - 24.2) 1 thread | 10.0 (9.00 - 11.0) 2 threads **x2.10** (2.00 - 2.20) |");
        has("| C1 LSTM 1x128 | 20 | 700 | 700 |");
        assert!(page.starts_with("`cargo xtask compare`, 2026-11-26; X, 2 cores"), "{page}");
    }

    #[test]
    fn a_failure_stands_under_the_tables() {
        let mut record = small_record();
        record.failed.push("training, burn: exit status: 1\nlong text".into());
        assert!(markdown(&record).ends_with("- failed: training, burn: exit status: 1"));
    }

    #[test]
    fn three_digits() {
        assert_eq!([342_729.0, 38_053.0, 7_604.0, 931.0].map(thousands), ["343", "38.1", "7.60", "0.931"]);
    }
}
