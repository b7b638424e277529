//! Measurements as a table for people, and what its columns mean.

use gatemill_train::bench::{Kind, Point, Record, Sizes};

use crate::progress::grouped;
use crate::table::{Column, Table};

/// The table and what it means.
pub(super) fn page(records: &[Record], width: Option<usize>) -> String {
    format!("{}\n{}", table(records).render(width), legend(records))
}

/// `C3`, where these sizes are a point of the grid.
pub(super) fn point(sizes: &Sizes) -> String {
    Point::of(sizes).map_or(String::new(), |point| point.name.to_owned())
}

/// `lstm 2x512`
pub(super) fn model(sizes: &Sizes) -> String {
    format!("{} {}x{}", sizes.cell.name(), sizes.layers, sizes.hidden)
}

/// Nothing for training: what is not said is that.
pub(super) fn work(kind: Kind) -> &'static str {
    match kind {
        Kind::Train => "",
        Kind::Score => "scoring",
        Kind::Generate => "writing",
    }
}

/// A rate in whole tokens.
pub(super) fn rate(tokens_per_s: f64) -> String {
    grouped(tokens_per_s.round() as u64)
}

fn table(records: &[Record]) -> Table {
    let mut columns = vec![
        Column::words("point", 1),
        Column::words("model", 0),
        Column::words("work", 1),
        Column::numbers("T", 5),
        Column::numbers("B", 1),
        Column::numbers("V", 6),
        Column::numbers("threads", 1),
        Column::numbers("tokens/s", 0),
        Column::numbers("(min - max)", 4),
        Column::numbers("GFLOP/s", 1),
        Column::numbers("% of peak", 0),
    ];
    columns.extend(SHORT.map(|name| Column::numbers(name, 3)));
    columns.push(Column::numbers("MB", 2));
    let mut table = Table::new(columns);
    for record in records {
        let Record { kind, sizes, tokens_per_s, .. } = record;
        let mut row = vec![
            point(sizes),
            model(sizes),
            work(*kind).to_owned(),
            sizes.seq.to_string(),
            sizes.batch.to_string(),
            sizes.vocab.to_string(),
            record.threads.to_string(),
            rate(tokens_per_s.median),
            format!("({} - {})", rate(tokens_per_s.min), rate(tokens_per_s.max)),
            format!("{:.1}", record.gflops),
            percent(record.fraction_of_peak),
        ];
        row.extend(shares(record));
        row.push(record.peak_rss_mb.map_or(String::new(), |mb| format!("{mb:.0}")));
        table.row(row);
    }
    table
}

/// The phases in their order.
const SHORT: [&str; 6] = ["fwd", "read", "bwd", "wgrad", "upd", "data"];

/// The phases as parts of the step.
fn shares(record: &Record) -> [String; 6] {
    let Some(phases) = record.phases.map(|phases| phases.named()) else { return Default::default() };
    let step: f64 = phases.iter().map(|phase| phase.1).sum();
    phases.map(|(_, seconds)| percent(seconds / step.max(f64::MIN_POSITIVE)))
}

fn percent(part: f64) -> String {
    format!("{:.1}", 100.0 * part)
}

fn legend(records: &[Record]) -> String {
    let mut text = String::new();
    if records.iter().any(|record| record.phases.is_some()) {
        text.push_str(
            "fwd, read, bwd, wgrad, upd, data: forward, readout and loss, backward, weight gradients, update, the chunk's \
             symbols,\n  in % of a step's time. ",
        );
    }
    text.push_str("tokens/s: the median, and the slowest and fastest. MB: the most memory of its process.\n");
    let peaks = || records.iter().map(|record| record.peak_gflops);
    let (low, high) = (peaks().fold(f64::INFINITY, f64::min), peaks().fold(0.0, f64::max));
    let peak = format!("{low:.1}");
    let peak = if records.len() > 1 { format!("{peak} to {high:.1}") } else { peak };
    let isa = records.first().map_or("", |record| record.isa.as_str());
    text.push_str(&format!(
        "peak: {peak} GFLOP/s, multiply-adds in registers by the same threads with the same kernels ({isa}), \
         just before\n  and just after each measurement; the larger counts. Each was verified before it was timed.\n"
    ));
    text
}
