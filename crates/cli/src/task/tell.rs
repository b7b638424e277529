//! A task, its measures and its limits, in words.

use gatemill_train::events::{ClassScore, Metrics, Start, TaskFacts};
use gatemill_train::run::task::task_defaults;
use gatemill_train::task::{Attention, Pool, TaskKind};
use serde_json::Value;

use crate::progress::grouped;
use crate::table::{Column, Table};

/// Classes that a table shows: of more, those that come most often.
const ROWS: usize = 40;

/// Loss and measures in a line.
pub(crate) fn measures(nats: f64, metrics: &Metrics) -> String {
    let mut words = vec![format!("{nats:.4} nats")];
    if let Some(accuracy) = metrics.accuracy {
        let of = if metrics.exact.is_some() { " of symbols" } else { "" };
        words.push(format!("{}{of} right", percent(accuracy)));
    }
    if let Some(exact) = metrics.exact {
        words.push(format!("{} of answers exact", percent(exact)));
    }
    if let Some(distance) = metrics.edit_distance {
        words.push(format!("edit distance {distance:.3}"));
    }
    words.join(", ")
}

/// A share in hundredths.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

/// A row for each class.
pub(crate) fn classes(scores: &[ClassScore]) -> String {
    let mut shown: Vec<&ClassScore> = scores.iter().collect();
    if shown.len() > ROWS {
        shown.sort_by(|a, b| b.support.cmp(&a.support).then_with(|| a.class.cmp(&b.class)));
        shown.truncate(ROWS);
    }
    let mut table = Table::new(vec![
        Column::words("         class", 0),
        Column::numbers("precision", 0),
        Column::numbers("recall", 0),
        Column::numbers("F1", 0),
        Column::numbers("of them", 0),
    ]);
    for ClassScore { class, precision, recall, f1, support } in &shown {
        let share = |x: &f64| format!("{x:.4}");
        table.row([format!("         {class}"), share(precision), share(recall), share(f1), grouped(*support)]);
    }
    let mut text = table.render(None);
    if let Some(more) = scores.len().checked_sub(ROWS).filter(|&more| more > 0) {
        text.push_str(&format!("         and {more} classes that come less often\n"));
    }
    text.trim_end().to_owned()
}

/// How good one can get, where it is known.
pub(crate) fn limits(facts: &TaskFacts) -> Option<String> {
    match (facts.best_accuracy, facts.best_nats) {
        (Some(best), _) => Some(format!("limit    {}: the best rule there is, on the same examples", percent(best))),
        (None, Some(nats)) => Some(format!("limit    {nats:.4} nats: the entropy of what was made, exactly")),
        (None, None) => None,
    }
}

fn pool_words(pool: Pool) -> &'static str {
    match pool {
        Pool::Last => "last state",
        Pool::Mean => "mean of the states",
        Pool::Max => "largest of the states",
    }
}

/// The flags of a task's own that are not its defaults, as they are typed.
pub(crate) fn typed(facts: &TaskFacts) -> Vec<String> {
    let default = task_defaults(facts.kind);
    let mut words = vec![format!("--task {}", facts.kind.name())];
    if facts.bidirectional {
        words.push("--bidirectional".to_owned());
    }
    let name =
        |value: serde_json::Result<Value>| value.ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
    if facts.pool != default.pool {
        words.push(format!("--pool {}", name(serde_json::to_value(facts.pool))));
    }
    if facts.attention != default.attention {
        let attention = name(serde_json::to_value(facts.attention));
        words.push(format!("--attention {}", if attention == "none" { "off" } else { &attention }));
    }
    if facts.bridge != default.bridge {
        words.push(format!("--bridge {}", name(serde_json::to_value(facts.bridge))));
    }
    words
}

/// What a run on examples is, as its first lines.
pub(crate) fn opening(start: &Start, facts: &TaskFacts, cell: &str) -> Vec<String> {
    let config = &start.config;
    let test = match facts.test_examples {
        0 => String::new(),
        count => format!(", {} to test on at the end", grouped(count)),
    };
    let mut flags = String::new();
    if facts.bidirectional {
        flags.push_str(", in both directions");
    }
    match facts.kind {
        TaskKind::Classify => flags.push_str(&format!(", by the {}", pool_words(facts.pool))),
        TaskKind::Translate => flags.push_str(match facts.attention {
            Attention::None => ", without attention",
            Attention::Dot => ", attention by dot products",
            Attention::General => ", attention through a matrix",
        }),
        _ => {}
    }
    vec![
        format!(
            "task     {}: {}; {} examples to learn from, {} to validate on{test}",
            facts.kind.name(),
            start.corpus,
            grouped(facts.train_examples),
            grouped(facts.val_examples),
        ),
        format!("symbols  {} of inputs, {} of outputs", start.vocab, facts.outputs),
        format!(
            "model    {cell}, {} x {} units{flags}, {} parameters; {} MB of memory for all of the training",
            config.layers,
            config.hidden,
            grouped(start.parameters),
            start.memory_bytes.div_ceil(1_000_000)
        ),
    ]
}
