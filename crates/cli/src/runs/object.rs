//! A run as one JSON object.

use gatemill_train::Config;
use gatemill_train::events::{Notice, Sample};
use gatemill_train::history::{History, Point, SavedFile, State};
use serde::Serialize;
use serde_json::Value;

/// What `--json` writes of a run.
#[derive(Serialize)]
pub(super) struct Page<'a> {
    run: &'a str,
    path: String,
    state: &'static str,
    pid: Option<u32>,
    signal: Option<&'a str>,
    version: Option<&'a str>,
    isa: Option<&'a str>,
    threads: Option<usize>,
    corpus: Option<String>,
    train_symbols: Option<u64>,
    val_symbols: Option<u64>,
    vocab: Option<usize>,
    parameters: Option<u64>,
    step: u64,
    steps: Option<u64>,
    epochs: Option<f64>,
    tokens: u64,
    seconds: f64,
    tokens_per_s: Option<f64>,
    train_nats: Option<f64>,
    val_nats: Option<f64>,
    best_val_nats: Option<f64>,
    best_step: Option<u64>,
    weights_sha256: Option<&'a str>,
    config: Option<&'a Config>,
    curve: Vec<Value>,
    samples: &'a [Sample],
    checkpoints: Vec<Value>,
    notices: &'a [Notice],
    unreadable_lines: u64,
}

/// What `--json --samples` writes of a run.
#[derive(Serialize)]
pub(super) struct Samples<'a> {
    run: &'a str,
    samples: &'a [Sample],
}

impl<'a> Samples<'a> {
    pub(super) fn of(run: &'a History) -> Self {
        Self { run: &run.name, samples: &run.samples }
    }
}

impl<'a> Page<'a> {
    pub(super) fn of(run: &'a History) -> Self {
        let start = run.start.as_ref();
        let source = run.settings.as_ref().map(|settings| settings.source.to_string());
        let point = |point: &Point| {
            let Point { step, epoch_end, train_nats, val_nats, lr, seconds } = point;
            let epochs = run.epochs_at(*step);
            serde_json::json!({
                "step": step, "epochs": epochs, "epoch_end": epoch_end, "train_nats": train_nats, "val_nats": val_nats,
                "lr": lr, "seconds": seconds
            })
        };
        let file = |file: &SavedFile| {
            let SavedFile { step, path, size_bytes, best } = file;
            let path = path.display().to_string();
            serde_json::json!({ "step": step, "path": path, "size_bytes": size_bytes, "best": best })
        };
        Self {
            run: &run.name,
            path: run.path.display().to_string(),
            state: run.state.name(),
            pid: if let State::Running { pid } = run.state { pid } else { None },
            signal: if let State::Stopped { signal } = &run.state { Some(signal) } else { None },
            version: start.map(|start| start.version.as_str()),
            isa: start.map(|start| start.isa.as_str()),
            threads: start.map(|start| start.threads),
            corpus: source.or_else(|| start.map(|start| start.corpus.clone())),
            train_symbols: start.map(|start| start.train_symbols),
            val_symbols: start.map(|start| start.val_symbols),
            vocab: start.map(|start| start.vocab),
            parameters: start.map(|start| start.parameters),
            step: run.step,
            steps: start.map(|start| start.steps),
            epochs: run.epochs(),
            tokens: run.tokens,
            seconds: run.seconds,
            tokens_per_s: run.tokens_per_s,
            train_nats: run.train_nats,
            val_nats: run.val_nats,
            best_val_nats: run.best.map(|best| best.0),
            best_step: run.best.map(|best| best.1),
            weights_sha256: run.done.as_ref().map(|done| done.weights_sha256.as_str()),
            config: run.config.as_ref(),
            curve: run.curve.iter().map(point).collect(),
            samples: &run.samples,
            checkpoints: run.saved.iter().map(file).collect(),
            notices: &run.notices,
            unreadable_lines: run.unreadable,
        }
    }
}
