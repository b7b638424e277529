//! `gatemill eval`: the loss of a text under a model, in nats and bits per character.
//!
//! A file is one lane from zero state. `--split val` cuts the run's own validation text into the run's lanes and reads as
//! much of it as the run did, so the result is the run's `val_nats`, bit for bit; `--split test` reads its test text so.

use gatemill_corpus::{Corpus, Io, Split};
use gatemill_train::run::resume::Origin;
use gatemill_train::{Config, Evaluation};
use serde::Serialize;

use crate::args::EvalArgs;
use crate::exit::{self, BAD_DATA, Failure, USAGE};
use crate::model::Model;
use crate::progress::{Progress, grouped};
use crate::train::machine;
use crate::{corpus, json, model};

mod task; // a task's model on examples

/// What `--json` writes.
#[derive(Serialize)]
struct Score {
    nats: f64,
    bits: f64,
    perplexity: f64,
    symbols: u64,
    unseen: u64,
}

/// Runs the command.
pub(crate) fn run(args: &EvalArgs) -> Result<u8, Failure> {
    let (crew, kernels) = machine(None)?;
    let (model, snapshot) = match model::any(&args.model, &crew, &kernels, &Progress::new())? {
        Model::Text(model, snapshot) => (model, snapshot),
        Model::Task(model, snapshot) => return task::run(args, &model, &snapshot, (&crew, &kernels)),
    };
    let vocab = Some(model.vocab.clone());
    let score: Option<Evaluation> = if let Some(split) = args.split {
        check_part(split, &model.config, "text")?;
        let origin = Origin::of(&snapshot)?;
        let source = if args.files.is_empty() { origin.settings.source.clone() } else { corpus::files(&args.files)? };
        let corpus = corpus::open(&source, &model.config, vocab, Io::Map)?;
        origin.check(&source, &corpus.fingerprint().to_string())?;
        let batch = args.batch.unwrap_or(model.config.batch);
        tell(&corpus);
        let corpus = std::sync::Arc::new(corpus);
        crew.steady(|| model.evaluate_split(&corpus, split, (batch, model.config.eval_tokens), &crew, &kernels))?
    } else {
        let source = corpus::files(&args.files)?;
        let whole = Config { val_frac: 0.0, test_frac: 0.0, ..model.config.clone() };
        let corpus = std::sync::Arc::new(corpus::open(&source, &whole, vocab, Io::Map)?);
        tell(&corpus);
        crew.steady(|| model.evaluate_file(&corpus, &crew, &kernels))?
    };
    let Some(Evaluation { nats, bits, perplexity, tokens, unseen }) = score else {
        return Err(Failure::new(BAD_DATA, "the text is too short to be scored in so many lanes")
            .help("a file needs two characters, a part of the run's text one more than --batch"));
    };
    if args.json {
        json::object(&Score { nats, bits, perplexity, symbols: tokens, unseen })?;
        return Ok(exit::OK);
    }
    let left_out =
        if unseen > 0 { format!("; {} never seen in training, left out", grouped(unseen)) } else { String::new() };
    let text = format!(
        "{bits:.4} bits per character, {nats:.4} nats, perplexity {perplexity:.3}, over {} characters{left_out}\n",
        grouped(tokens)
    );
    json::text(text.as_bytes())?;
    Ok(exit::OK)
}

/// Errors: the run kept no such part of its text.
pub(crate) fn check_part(split: Split, config: &Config, of: &str) -> Result<(), Failure> {
    let (part, flag, fraction) = match split {
        Split::Test => ("test", "--test-frac", config.test_frac),
        _ => ("validation", "--val-frac", config.val_frac),
    };
    if fraction > 0.0 {
        return Ok(());
    }
    Err(Failure::new(USAGE, format!("this run kept no {part} part of its {of} ({flag} {fraction})"))
        .help(format!("train with {flag} 0.05 to have one, choose the other part, or give a FILE to score")))
}

/// Says what a person should know about a text.
fn tell(corpus: &Corpus) {
    let progress = Progress::new();
    corpus.notes().iter().for_each(|note| progress.line(&format!("note: {note}")));
}
