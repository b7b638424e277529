//! The names of a page: our keys with what they take, nanoGPT's names for them, and names that belong elsewhere.

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Takes {
    /// A whole number from .. to.
    Whole(u64, u64),
    /// Any finite number; its range is [`Config::validate`](crate::Config::validate)'s.
    Number,
    /// true or false.
    Switch,
    /// A text.
    Text,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// A whole number from 2, or "all".
    Keep,
}

/// The largest whole number of TOML.
const MOST: u64 = i64::MAX as u64;
/// The limits of the flags: beyond them a size is a typing error.
const SIZE: Takes = Takes::Whole(1, 1 << 20);
const COUNT: Takes = Takes::Whole(1, MOST);
const COUNT_OR_NONE: Takes = Takes::Whole(0, MOST);

/// Our keys: the fields of `Config`, `TaskConfig` and `Settings` by their names in files, and `preset`.
pub(super) const KEYS: &[(&str, Takes)] = &[
    ("accumulate", SIZE),
    ("attention", Takes::Choice(&["none", "dot", "general"])),
    ("batch", SIZE),
    ("beta1", Takes::Number),
    ("beta2", Takes::Number),
    ("bidirectional", Takes::Switch),
    ("bridge", Takes::Choice(&["copy", "linear"])),
    ("cell", Takes::Choice(&["rnn", "lstm", "gru"])),
    ("clip-norm", Takes::Number),
    ("clip-value", Takes::Number),
    ("decay-rate", Takes::Number),
    ("document-separator", Takes::Text),
    ("dropout", Takes::Number),
    ("embed", Takes::Whole(0, 1 << 20)),
    ("epochs", COUNT),
    ("eps", Takes::Number),
    ("eval-every", COUNT),
    ("eval-tokens", COUNT),
    ("flow", Takes::Switch),
    ("forget-bias", Takes::Number),
    ("hidden", SIZE),
    ("init", Takes::Choice(&["pytorch", "uniform", "normal", "orthogonal"])),
    ("init-scale", Takes::Number),
    ("keep", Takes::Keep),
    ("layers", Takes::Whole(1, 1024)),
    ("lossy", Takes::Switch),
    ("lr", Takes::Number),
    ("lr-decay", Takes::Number),
    ("lr-decay-after", COUNT),
    ("lr-decay-every", COUNT),
    ("lr-patience", COUNT),
    ("min-lr", Takes::Number),
    ("minutes", Takes::Number),
    ("momentum", Takes::Number),
    ("no-carry", Takes::Switch),
    ("optimizer", Takes::Choice(&["adam", "adamw", "rmsprop", "sgd", "adagrad"])),
    ("output-dropout", Takes::Number),
    ("patience", COUNT),
    ("pool", Takes::Choice(&["last", "mean", "max"])),
    ("preset", Takes::Choice(&["best", "char-rnn", "torch-rnn", "nanogpt", "min-char-rnn"])),
    ("sample-every", COUNT),
    ("save-every", COUNT),
    ("schedule", Takes::Choice(&["constant", "cosine", "exponential", "step", "plateau"])),
    ("seed", COUNT_OR_NONE),
    ("seq", SIZE),
    ("shards", SIZE),
    ("steps", COUNT),
    ("strict-corpus", Takes::Switch),
    ("task", Takes::Choice(&["classify", "tag", "translate", "describe", "map"])),
    ("test-frac", Takes::Number),
    ("tied", Takes::Switch),
    ("val-frac", Takes::Number),
    ("vocab", Takes::Choice(&["chars", "bytes"])),
    ("warmup", COUNT_OR_NONE),
    ("weight-decay", Takes::Number),
];

/// nanoGPT's names: theirs, ours. `decay_lr` and `lr_decay_iters` take more than a name and are read apart.
pub(super) const ALIASES: &[(&str, &str)] = &[
    ("batch-size", "batch"),
    ("block-size", "seq"),
    ("eval-interval", "eval-every"),
    ("grad-clip", "clip-norm"),
    ("gradient-accumulation-steps", "accumulate"),
    ("learning-rate", "lr"),
    ("max-iters", "steps"),
    ("n-embd", "hidden"),
    ("n-layer", "layers"),
    ("warmup-iters", "warmup"),
];

/// Names that have no place on a page, and why.
pub(super) const ELSEWHERE: &[(&str, &str)] = &[
    // nanoGPT's
    ("always-save-checkpoint", "save-every says when a checkpoint is written; the best model is kept beside them"),
    ("backend", "the cores of one machine need none"),
    ("bias", "recurrent layers always have biases"),
    ("compile", "there is nothing to compile"),
    ("dataset", "the text is a FILE on the command line: gatemill train FILE --config PAGE"),
    ("device", "Gatemill runs on the CPU"),
    ("dtype", "weights and sums are f32"),
    ("eval-iters", "an evaluation reads the validation text from its start, at most eval-tokens characters"),
    ("eval-only", "gatemill eval RUN FILE scores a text"),
    ("init-from", "gatemill train --resume RUN goes on with a run"),
    ("log-interval", "every step is logged"),
    ("n-head", "a recurrent network has no attention heads"),
    ("out-dir", "the folder is --out DIR on the command line"),
    ("wandb-log", "events are in RUN/events.jsonl, nothing is sent anywhere"),
    ("wandb-project", "events are in RUN/events.jsonl, nothing is sent anywhere"),
    ("wandb-run-name", "events are in RUN/events.jsonl, nothing is sent anywhere"),
    // char-rnn's and torch-rnn's
    ("max-epochs", "write epochs"),
    ("model", "write cell"),
    ("model-type", "write cell"),
    ("num-layers", "write layers"),
    ("rnn-size", "write hidden"),
    ("seq-length", "write seq"),
    ("wordvec-size", "write embed"),
    // flags of one invocation
    ("config", "a page does not name another"),
    ("io", "it belongs to this machine: give --io on the command line"),
    ("json", "it belongs to one command: give --json on the command line"),
    ("out", "it belongs to one run: give --out on the command line"),
    ("override", "it belongs to one command: give --override on the command line"),
    ("resume", "it belongs to one command: give --resume on the command line"),
    ("strict-resume", "it belongs to one command: give --strict-resume on the command line"),
    ("threads", "it belongs to this machine: give --threads on the command line"),
];

/// The key of a name, by ours or nanoGPT's.
pub(super) fn key(name: &str) -> Option<(&'static str, Takes)> {
    let ours = ALIASES.iter().find(|(theirs, _)| *theirs == name).map_or(name, |(_, ours)| ours);
    KEYS.iter().find(|(key, _)| *key == ours).copied()
}

/// Why a name has no place on a page.
pub(super) fn elsewhere(name: &str) -> Option<&'static str> {
    ELSEWHERE.iter().find(|(known, _)| *known == name).map(|(_, why)| *why)
}

/// The key that a misspelt name comes nearest to, if any is near.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    // As near as the parser of the command line asks for.
    const NEAR: f64 = 0.7;
    let known = KEYS.iter().map(|(key, _)| *key).chain(ALIASES.iter().map(|(theirs, _)| *theirs));
    let scored = known.map(|known| (strsim::jaro_winkler(name, known), known));
    scored.filter(|(score, _)| *score > NEAR).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
}
