//! `--diff A B`: what B makes of A's figures, configuration by configuration.
//!
//! A measurement is the same in both where work, sizes, precision and threads are.

use std::fmt::Write;
use std::path::Path;

use gatemill_train::bench::{Kind, Record, Sizes};
use serde::Serialize;

use super::saved::Document;
use super::tell::{model, point, rate, work};
use crate::exit::{self, Failure};
use crate::json;
use crate::table::{Column, Table, plain};

/// What `--json` writes of a configuration; null where a file lacks it.
#[derive(Debug, Serialize)]
struct Pair<'a> {
    kind: Kind,
    #[serde(flatten)]
    sizes: Sizes,
    precision: &'a str,
    threads: usize,
    a_tokens_per_s: Option<f64>,
    b_tokens_per_s: Option<f64>,
    /// B by A.
    ratio: Option<f64>,
    a_fraction_of_peak: Option<f64>,
    b_fraction_of_peak: Option<f64>,
    a_peak_rss_mb: Option<f64>,
    b_peak_rss_mb: Option<f64>,
}

/// Runs the command.
pub(super) fn run(a: &Path, b: &Path, as_json: bool) -> Result<u8, Failure> {
    let (of_a, of_b) = (Document::read(a)?, Document::read(b)?);
    let pairs = pairs(&of_a.records, &of_b.records);
    if as_json {
        for pair in &pairs {
            if !json::object(pair)? {
                break;
            }
        }
        return Ok(exit::OK);
    }
    let mut text = String::new();
    for (letter, path, document) in [("A", a, &of_a), ("B", b, &of_b)] {
        let _ = writeln!(text, "{letter}  {}: {}", plain(&path.display().to_string()), document.in_words());
    }
    let differs = of_a.machine.differences(&of_b.machine);
    if !differs.is_empty() {
        let _ = writeln!(text, "the machines differ: {}", differs.join(", "));
    }
    let _ = write!(text, "\n{}", page(&pairs, crate::runs::width()));
    json::text(text.as_bytes())?;
    Ok(exit::OK)
}

/// All configurations, A's in its order, then those that B alone has.
fn pairs<'a>(of_a: &'a [Record], of_b: &'a [Record]) -> Vec<Pair<'a>> {
    let same = |a: &Record, b: &Record| {
        (a.kind, a.sizes, a.threads) == (b.kind, b.sizes, b.threads) && a.precision == b.precision
    };
    let pair = |key: &'a Record, a: Option<&Record>, b: Option<&Record>| {
        let median = |record: Option<&Record>| record.map(|record| record.tokens_per_s.median);
        Pair {
            kind: key.kind,
            sizes: key.sizes,
            precision: &key.precision,
            threads: key.threads,
            a_tokens_per_s: median(a),
            b_tokens_per_s: median(b),
            ratio: median(a).zip(median(b)).map(|(a, b)| b / a),
            a_fraction_of_peak: a.map(|a| a.fraction_of_peak),
            b_fraction_of_peak: b.map(|b| b.fraction_of_peak),
            a_peak_rss_mb: a.and_then(|a| a.peak_rss_mb),
            b_peak_rss_mb: b.and_then(|b| b.peak_rss_mb),
        }
    };
    let of_both = of_a.iter().map(|a| pair(a, Some(a), of_b.iter().find(|b| same(a, b))));
    let of_b_alone = of_b.iter().filter(|b| !of_a.iter().any(|a| same(a, b)));
    of_both.chain(of_b_alone.map(|b| pair(b, None, Some(b)))).collect()
}

fn page(pairs: &[Pair<'_>], width: Option<usize>) -> String {
    let mut table = Table::new(vec![
        Column::words("point", 1),
        Column::words("model", 0),
        Column::words("work", 1),
        Column::numbers("T", 4),
        Column::numbers("B", 1),
        Column::numbers("V", 5),
        Column::words("precision", 6),
        Column::numbers("threads", 1),
        Column::numbers("A tokens/s", 0),
        Column::numbers("B tokens/s", 0),
        Column::numbers("B/A", 0),
        Column::numbers("A % of peak", 2),
        Column::numbers("B % of peak", 2),
        Column::numbers("A MB", 3),
        Column::numbers("B MB", 3),
    ]);
    for pair in pairs {
        let tokens = |tokens_per_s: Option<f64>| tokens_per_s.map_or("-".to_owned(), rate);
        let part = |part: Option<f64>| part.map_or(String::new(), |part| format!("{:.1}", 100.0 * part));
        let mb = |mb: Option<f64>| mb.map_or(String::new(), |mb| format!("{mb:.0}"));
        let ratio = match (pair.ratio, pair.a_tokens_per_s) {
            (Some(ratio), _) => format!("{ratio:.3}"),
            (None, Some(_)) => "only A".to_owned(),
            (None, None) => "only B".to_owned(),
        };
        table.row([
            point(&pair.sizes),
            model(&pair.sizes),
            work(pair.kind).to_owned(),
            pair.sizes.seq.to_string(),
            pair.sizes.batch.to_string(),
            pair.sizes.vocab.to_string(),
            pair.precision.to_owned(),
            pair.threads.to_string(),
            tokens(pair.a_tokens_per_s),
            tokens(pair.b_tokens_per_s),
            ratio,
            part(pair.a_fraction_of_peak),
            part(pair.b_fraction_of_peak),
            mb(pair.a_peak_rss_mb),
            mb(pair.b_peak_rss_mb),
        ]);
    }
    table.render(width)
}
