//! The microscope (lecture L7, L9): a model and a text in, findings and a page out.
//!
//! ```text
//! text -> symbols, labels -> bins (a part of the first half) -> counts (all of it) -> scores, control, names
//!                                                            -> gates           -> holds           -> window -> page
//! ```

mod page; // the findings as a page

use crate::gate::{self, LayerUse};
use crate::hold::{self, Ask, Intervention};
use crate::label::{self, Kind, Pattern};
use crate::probe::{self, Bins, Cell, Columns, Probe, Tally};
use crate::text::Text;
use crate::window::{self, Window};
use gatemill_cell::Part;
use gatemill_corpus::CorpusError;
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use gatemill_train::{CharModel, Hold, TracePlan, TrainError};
use serde::Serialize;

/// Characters under which nothing can be told.
pub const LEAST_CHARS: usize = 2000;
/// Characters of the held-out half that holds are scored on.
const SCORED: usize = 1 << 15;
/// A line is no longer, or the page begins in the middle of it.
const LINE: usize = 400;
/// Characters that the page shows.
pub const SHOWN: usize = 12_000;
/// Cells that are held where none was asked for: the best of so many labels.
const HELD: usize = 2;

/// What is looked at, beside what always is.
#[derive(Debug, Clone)]
pub struct Options {
    /// The user's questions.
    pub patterns: Vec<Pattern>,
    /// Units that the page must have: (layer, unit).
    pub units: Vec<(usize, usize)>,
    /// Units to hold.
    pub holds: Vec<Hold>,
    /// The text as one lane, however long it takes.
    pub exact: bool,
    /// Characters that the page shows.
    pub shown: usize,
    /// Of the samples.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { patterns: Vec::new(), units: Vec::new(), holds: Vec::new(), exact: false, shown: SHOWN, seed: 1 }
    }
}

/// Why nothing was found.
#[derive(Debug, thiserror::Error)]
pub enum ScopeError {
    /// The text is no text of the model's.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// The model could not read it, or a hold cannot be.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Too little to halve and compare.
    #[error(
        "the text has {found} characters: give at least {LEAST_CHARS}, so that what one half shows can be checked on the other"
    )]
    TooShort {
        /// How many.
        found: usize,
    },
    /// A unit that the model has not.
    #[error("there is no unit {layer}:{unit}: the model has layers 0 to {last_layer} and units 0 to {last_unit}")]
    NoUnit {
        /// Asked for.
        layer: usize,
        /// Asked for.
        unit: usize,
        /// L - 1.
        last_layer: usize,
        /// H - 1.
        last_unit: usize,
    },
}

/// The findings, as `--json` gives them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Findings {
    /// The cell: rnn, lstm, gru.
    pub cell: &'static str,
    /// L.
    pub layers: usize,
    /// H.
    pub hidden: usize,
    /// SHA-256 of the weights.
    pub weights_sha256: String,
    /// Characters of the text.
    pub chars: usize,
    /// Of them, those that were read: a large model reads even parts of a long text.
    pub read: usize,
    /// Of these, those that the units are compared on.
    pub compared: usize,
    /// Symbols that the model never saw.
    pub unseen: usize,
    /// Spans that were read side by side, each behind a warm-up; 1: the text in one go.
    pub lanes: usize,
    /// What the units tell.
    #[serde(flatten)]
    pub probe: Probe,
    /// How often parts are at the ends of their range.
    pub gates: Vec<LayerUse>,
    /// What happens without a unit.
    pub holds: Vec<Intervention>,
}

/// What the microscope has seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Scope {
    /// In numbers.
    pub findings: Findings,
    /// What the page shows of the text.
    pub window: Window,
}

/// What it is at: for a line of progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// So many of so many symbols are read.
    Reading(usize, usize),
    /// Scores and names.
    Scoring,
    /// Holds, with reading and writing.
    Holding,
    /// The window.
    Showing,
}

/// Looks at a model while it reads a text. Errors: the text, a unit that is none, no memory.
pub fn scope(
    model: &CharModel,
    bytes: &[u8],
    options: &Options,
    (crew, kernels): (&Crew, &Kernels),
    mut tell: impl FnMut(Stage),
) -> Result<Scope, ScopeError> {
    let text = Text::of(&model.vocab, bytes)?;
    let columns = Columns::of(model);
    check(&text, columns, options)?;
    // Holds that cannot be are refused before the long reading.
    for hold in &options.holds {
        model.held(&[*hold], crew, kernels)?;
    }
    let labels = label::labels(&text.chars, &options.patterns);
    let half = text.len() / 2;
    let halves = [0..half, half..text.len()];
    let all = text.ids.len();
    let plan = if options.exact { TracePlan::exact(all) } else { TracePlan::bounded(model, all) };
    let bins = Bins::of(model, &text, half, (crew, kernels))?;
    let looked_at = plan.looked_at();
    let tally = Tally::of(model, &text, (&labels, &bins), (&plan, &halves), (crew, kernels), |read| {
        tell(Stage::Reading(read, looked_at));
    })?;
    tell(Stage::Scoring);
    let probe = probe::findings(&tally, &bins, &labels, &halves, columns);
    let gates = gate::layers(&tally, columns);
    tell(Stage::Holding);
    let asks = asks(&probe, options);
    let stretch = half..(half + SCORED).min(text.len());
    let holds = hold::interventions(model, &text, &labels, (&asks, stretch), options.seed, (crew, kernels))?;
    tell(Stage::Showing);
    let from = line_begin(&text.chars, half);
    let shown = from..(from + options.shown.max(1)).min(text.len());
    let held = options.holds.iter().map(|hold| (hold.layer, hold.unit));
    let asked: Vec<_> = options.units.iter().copied().chain(held).collect();
    let units = window::choose(&probe, columns, &asked, shown.len());
    let window = window::window(model, &text, &labels, (&units, shown), (crew, kernels))?;
    let findings = Findings {
        cell: model.config.cell.name(),
        layers: columns.layers,
        hidden: columns.hidden,
        weights_sha256: model.weights_sha256(),
        chars: text.len(),
        read: probe::characters(&text, &plan),
        compared: tally.compared,
        unseen: text.ids.iter().filter(|&&id| id == model.vocab.unseen()).count(),
        lanes: plan.ranges().len(),
        probe,
        gates,
        holds,
    };
    Ok(Scope { findings, window })
}

/// The next line's begin, if it is near.
fn line_begin(chars: &[char], from: usize) -> usize {
    let line = chars[from..].iter().take(LINE).position(|c| *c == '\n');
    line.map_or(from, |end| (from + end + 1).min(chars.len().saturating_sub(1)))
}

fn check(text: &Text, columns: Columns, options: &Options) -> Result<(), ScopeError> {
    if text.len() < LEAST_CHARS {
        return Err(ScopeError::TooShort { found: text.len() });
    }
    match options.units.iter().find(|&&(layer, unit)| layer >= columns.layers || unit >= columns.hidden) {
        Some(&(layer, unit)) => {
            let (last_layer, last_unit) = (columns.layers - 1, columns.hidden - 1);
            Err(ScopeError::NoUnit { layer, unit, last_layer, last_unit })
        }
        None => Ok(()),
    }
}

/// The holds that were asked for; where there are none, the best named cells of some labels: at zero, and at what they
/// are inside and outside.
fn asks(probe: &Probe, options: &Options) -> Vec<Ask> {
    let named = |layer: usize, unit: usize| probe.names.iter().find(|c| (c.layer, c.unit) == (layer, unit));
    let label_of = |cell: &Cell| probe.labels.iter().position(|l| l.label == cell.label && l.kind == Kind::Binary);
    if !options.holds.is_empty() {
        let ask = |&hold: &Hold| {
            let label = named(hold.layer, hold.unit).and_then(label_of);
            Ask { hold, why: "as asked", label }
        };
        return options.holds.iter().map(ask).collect();
    }
    let mut asks = Vec::new();
    let firsts = probe.labels.iter().filter(|l| l.kind == Kind::Binary);
    let firsts = firsts.filter_map(|l| {
        let of_label = probe.names.iter().filter(|c| c.label == l.label);
        of_label.max_by(|a, b| a.score.total_cmp(&b.score))
    });
    // Cells of a long reach first, in the labels' order: quotes, brackets, `if`.
    for cell in firsts.filter(|c| c.label != "inside braces" && c.label != "inside brackets").take(HELD) {
        let part = if cell.part == "c" { Part::Cell } else { Part::Hidden };
        let [inside, outside] = cell.means.unwrap_or_default();
        for (value, why) in [(0.0, "zero"), (inside, "as inside"), (outside, "as outside")] {
            // Three decimals are what is told, and what is held.
            let value = (value * 1e3).round() / 1e3;
            let hold = Hold { layer: cell.layer, unit: cell.unit, part, value };
            asks.push(Ask { hold, why, label: label_of(cell) });
        }
    }
    asks
}
