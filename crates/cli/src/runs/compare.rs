//! Runs beside each other: the flags that set them apart, their losses at the same moments, what each wrote last.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use gatemill_train::history::{History, Point};
use gatemill_train::run::resume::changes;
use serde_json::{Map, Value};

use super::{list, one, words};
use crate::progress::grouped;
use crate::table::{Card, Column, Table, plain, side_by_side, spread};

/// Rows of the loss table; more are thinned out.
const MOST_ROWS: usize = 40;

/// The comparison.
pub(super) fn page(runs: &[History], width: Option<usize>, screen: usize) -> String {
    let letters: Vec<String> = (0..runs.len()).map(letter).collect();
    let mut text = list::table(runs, Some(&letters)).render(width);
    let _ = write!(text, "\n{}", differences(runs, &letters, width));
    if let Some(losses) = losses(runs, &letters, width) {
        let _ = write!(text, "\n{losses}");
    }
    let samples = samples(runs, screen);
    if !samples.is_empty() {
        let _ = write!(text, "\nwhat each wrote last\n\n{samples}");
    }
    text
}

/// The last sample of each, side by side.
pub(super) fn samples(runs: &[History], screen: usize) -> String {
    let card = |(i, run): (usize, &History)| {
        let sample = run.samples.last()?;
        let loss = format!("step {}: {}", grouped(sample.step), one::sample_loss(sample.train_nats));
        Some(Card { head: vec![format!("{}  {}", letter(i), plain(&run.name)), loss], text: sample.text.clone() })
    };
    let cards: Vec<Card> = runs.iter().enumerate().filter_map(card).collect();
    if cards.is_empty() { String::new() } else { side_by_side(&cards, screen) }
}

/// A, B, ... Z, then numbers.
fn letter(i: usize) -> String {
    let letter = u8::try_from(i).ok().and_then(|i| b'A'.checked_add(i)).filter(u8::is_ascii_uppercase);
    letter.map_or_else(|| i.saturating_add(1).to_string(), |letter| char::from(letter).to_string())
}

/// The flags that are not the same in all runs, and what else reaches the result: text, kernels, version.
fn differences(runs: &[History], letters: &[String], width: Option<usize>) -> String {
    let configs: Vec<Option<Map<String, Value>>> = runs.iter().map(fields).collect();
    let mut flags = BTreeSet::new();
    if let Some(first) = runs.iter().find_map(|run| run.config.as_ref()) {
        for config in runs.iter().filter_map(|run| run.config.as_ref()) {
            flags.extend(changes(first, config).into_iter().map(|change| change.flag));
        }
    }
    let mut columns = vec![Column::words("differs", 0)];
    columns.extend(letters.iter().map(|letter| Column::words(letter, 0)));
    let mut table = Table::new(columns);
    let mut any = false;
    let mut row = |name: String, cells: Vec<String>, table: &mut Table| {
        any = true;
        table.row(std::iter::once(name).chain(cells));
    };
    for flag in flags {
        let cell = |config: &Option<Map<String, Value>>| {
            config.as_ref().map_or("?".to_owned(), |config| words::value(config.get(&flag).unwrap_or(&Value::Null)))
        };
        row(format!("--{flag}"), configs.iter().map(cell).collect(), &mut table);
    }
    type Fact = fn(&History) -> String;
    let facts: [(&str, Fact); 4] = [
        ("text", |run| {
            let source = run.settings.as_ref().map(|settings| settings.source.to_string());
            source.or_else(|| run.start.as_ref().map(|start| start.corpus.clone())).unwrap_or_default()
        }),
        ("kernels", |run| run.start.as_ref().map_or(String::new(), |start| start.isa.clone())),
        ("threads", |run| run.start.as_ref().map_or(String::new(), |start| start.threads.to_string())),
        ("version", |run| run.start.as_ref().map_or(String::new(), |start| start.version.clone())),
    ];
    for (name, fact) in facts {
        let cells: Vec<String> = runs.iter().map(fact).collect();
        if cells.iter().any(|cell| Some(cell) != cells.first()) {
            row(name.to_owned(), cells, &mut table);
        }
    }
    if any { table.render(width) } else { "the same configuration, text and machine in all\n".to_owned() }
}

fn fields(run: &History) -> Option<Map<String, Value>> {
    match serde_json::to_value(run.config.as_ref()?) {
        Ok(Value::Object(fields)) => Some(fields),
        _ => None,
    }
}

/// Losses at the same steps where epochs have as many steps in all runs, else at the same epochs.
fn losses(runs: &[History], letters: &[String], width: Option<usize>) -> Option<String> {
    let mut per_epoch = runs.iter().map(|run| run.start.as_ref().map(|start| start.steps_per_epoch));
    let first = per_epoch.next()?;
    let by_step = per_epoch.all(|steps| steps == first);
    let key = |point: &Point| if by_step { Some(point.step) } else { point.epoch_end };
    let curves: Vec<BTreeMap<u64, &Point>> =
        runs.iter().map(|run| run.curve.iter().filter_map(|point| Some((key(point)?, point))).collect()).collect();
    let all: BTreeSet<u64> = curves.iter().flat_map(|curve| curve.keys().copied()).collect();
    let shared = |key: &u64| curves.iter().filter(|curve| curve.contains_key(key)).count() > 1;
    let mut rows: Vec<u64> = all.iter().copied().filter(shared).collect();
    if rows.is_empty() {
        rows = all.into_iter().collect();
    }
    let mut columns = vec![Column::numbers(if by_step { "step" } else { "epoch" }, 0)];
    for letter in letters {
        columns.push(Column::numbers(format!("{letter} train"), 1));
        columns.push(Column::numbers(format!("{letter} val"), 0));
    }
    let mut table = Table::new(columns);
    for &row in spread(rows.len(), MOST_ROWS).into_iter().filter_map(|i| rows.get(i)) {
        let cells = curves.iter().flat_map(|curve| {
            let point = curve.get(&row);
            [point.and_then(|point| point.train_nats), point.and_then(|point| point.val_nats)].map(words::nats)
        });
        table.row(std::iter::once(grouped(row)).chain(cells));
    }
    (!rows.is_empty()).then(|| format!("losses in nats\n{}", table.render(width)))
}

#[cfg(test)]
mod tests {
    use super::letter;

    #[test]
    fn runs_have_letters_as_far_as_letters_go() {
        assert_eq!([0, 1, 25, 26, 300].map(letter), ["A", "B", "Z", "27", "301"]);
    }
}
