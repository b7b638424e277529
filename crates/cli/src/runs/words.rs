//! A run's facts as short words: model, corpus, counts, losses, the flags that it was started with.

use gatemill_train::Config;
use gatemill_train::events::TaskFacts;
use gatemill_train::history::History;
use gatemill_train::run::resume::{Change, changes};
use gatemill_train::run::task::task_defaults;
use gatemill_train::run::{Settings, Source};
use serde_json::Value;

use crate::progress::{duration, grouped};
use crate::task::tell;
use crate::train::quoted;

/// `lstm 2x256`.
pub(super) fn model(config: &Config) -> String {
    format!("{} {}x{}", config.cell.name(), config.layers, config.hidden)
}

/// `1.2M`.
pub(super) fn short(count: u64) -> String {
    let part = |unit: f64| count as f64 / unit;
    match count {
        0..=9_999 => grouped(count),
        10_000..=999_499 => format!("{:.0}k", part(1e3)),
        999_500..=99_949_999 => format!("{:.1}M", part(1e6)),
        99_950_000..=999_499_999 => format!("{:.0}M", part(1e6)),
        _ => format!("{:.1}G", part(1e9)),
    }
}

/// The corpus by the names of its files.
pub(super) fn corpus(run: &History) -> String {
    match (run.settings.as_ref().map(|settings| &settings.source), &run.start) {
        (Some(Source::Builtin { .. }), _) => "built-in".to_owned(),
        (Some(Source::Made { task, .. }), _) => format!("made for {}", task.name()),
        (Some(Source::Files { paths }), _) => {
            let name = |path: &String| path.rsplit(['/', '\\']).next().unwrap_or(path).to_owned();
            let more = paths.len().saturating_sub(1);
            let first = paths.first().map(name).unwrap_or_default();
            if more > 0 { format!("{first} +{more}") } else { first }
        }
        (None, Some(start)) => start.corpus.clone(),
        (None, None) => String::new(),
    }
}

/// `1,240/2,000`.
pub(super) fn steps(run: &History) -> String {
    match &run.start {
        Some(start) if run.step != start.steps => format!("{}/{}", grouped(run.step), grouped(start.steps)),
        _ => grouped(run.step),
    }
}

/// Nats.
pub(super) fn nats(nats: Option<f64>) -> String {
    nats.map_or(String::new(), |nats| format!("{nats:.4}"))
}

/// The same loss in bits.
pub(super) fn bits(nats: Option<f64>) -> String {
    nats.map_or(String::new(), |nats| format!("{:.3}", nats / std::f64::consts::LN_2))
}

/// Both.
pub(super) fn loss(nats: Option<f64>) -> String {
    nats.map_or("unknown".to_owned(), crate::progress::losses)
}

/// Seconds, where there were any.
pub(super) fn seconds(seconds: f64) -> String {
    if seconds > 0.0 { duration(seconds) } else { String::new() }
}

/// A value of a flag.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::String(text) => text.escape_debug().to_string(),
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        other => other.to_string(),
    }
}

/// The flags in which a run differs from the defaults, as they would be typed.
pub(super) fn asked(config: &Config, settings: Option<&Settings>, task: Option<&TaskFacts>) -> String {
    let mut words = task.map(tell::typed).unwrap_or_default();
    if let Some(settings) = settings {
        if let Source::Files { paths } = &settings.source {
            words.extend(paths.iter().map(|path| quoted(path)));
        }
        if let Some(Source::Files { paths }) = &settings.val {
            words.extend(paths.iter().map(|path| format!("--val {}", quoted(path))));
        }
        let every = [
            ("eval-every", settings.eval_every),
            ("save-every", settings.save_every),
            ("sample-every", settings.sample_every),
        ];
        words.extend(every.iter().filter_map(|(flag, steps)| steps.map(|steps| format!("--{flag} {steps}"))));
        let keep = settings.keep.to_string();
        if keep != gatemill_train::checkpoint::Keep::default().to_string() {
            words.push(format!("--keep {keep}"));
        }
        if !settings.flow {
            words.push("--flow off".to_owned());
        }
    }
    let default = task.map_or_else(Config::default, |task| task_defaults(task.kind).base);
    for Change { flag, to, .. } in changes(&default, config) {
        words.push(match to {
            Value::Bool(_) => format!("--{flag}"),
            // Not given, where something else took its place.
            Value::Null => continue,
            Value::String(text) => format!("--{flag} {}", quoted(&text)),
            other => format!("--{flag} {other}"),
        });
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_short() {
        let counts = [0, 9_999, 10_499, 999_499, 999_500, 1_234_567, 99_949_999, 99_950_000, 2_500_000_000].map(short);
        assert_eq!(counts, ["0", "9,999", "10k", "999k", "1.0M", "1.2M", "99.9M", "100M", "2.5G"]);
    }

    #[test]
    fn what_was_asked_can_be_typed_again() {
        let config =
            Config { hidden: 17, tied: true, embed: 17, document_separator: Some("\n".into()), ..Config::default() };
        let mut settings = Settings::new(Source::Files { paths: vec!["/a b/c.txt".to_owned()] });
        (settings.eval_every, settings.flow) = (Some(3), false);
        let typed = asked(&config, Some(&settings), None);
        assert_eq!(
            typed,
            "'/a b/c.txt' --eval-every 3 --flow off --document-separator '\n' --embed 17 --hidden 17 --tied"
        );
        assert_eq!(asked(&Config::default(), None, None), "");
    }
}
