//! What `gatemill gradflow MODEL TEXT` finds: gradients by distance, what contexts are worth, what a step multiplies by.

use gatemill_corpus::{Corpus, CorpusError, Lanes, Split};
use gatemill_train::flow::{Context, Flow, FlowOptions, LayerUnits, Machine, Norms, Radii, units};
use gatemill_train::{CellKind, CharModel, TrainError};
use serde::{Deserialize, Serialize};

/// Most symbols of a text that places are taken from: beyond it nothing is gained.
const MOST_SYMBOLS: u64 = 1 << 22;

/// The first symbols of a part of a text, as far as they are of use: up to 4 million. Errors: reading.
pub fn symbols(corpus: &Corpus, split: Split) -> Result<Vec<u32>, CorpusError> {
    let all = corpus.symbols(split).min(MOST_SYMBOLS) as usize;
    let Some(steps) = all.checked_sub(1).filter(|&steps| steps > 0) else { return Ok(Vec::new()) };
    let mut lanes = Lanes::for_evaluation(corpus, split, 1)?;
    let mut chunk = lanes.chunk(steps);
    lanes.fill(0, steps, &mut chunk)?;
    let last = chunk.targets[steps - 1];
    chunk.inputs.truncate(steps);
    chunk.inputs.push(last);
    Ok(chunk.inputs)
}

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportOptions {
    /// Places, the largest distance, symbols before each window.
    pub flow: FlowOptions,
    /// Windows that contexts are compared in: forward alone, so more of them.
    pub contexts: usize,
    /// Places whose Jacobian is looked at: so many spread, so many in a row.
    pub places: usize,
}

impl Default for ReportOptions {
    fn default() -> Self {
        Self { flow: FlowOptions::default(), contexts: 1024, places: 64 }
    }
}

impl ReportOptions {
    /// Less of all: a look, not a measurement.
    pub fn quick() -> Self {
        Self { flow: FlowOptions { positions: 32, distance: 60, warmup: 60 }, contexts: 64, places: 12 }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The cell.
    pub cell: CellKind,
    /// L.
    pub layers: usize,
    /// H.
    pub hidden: usize,
    /// T of its training: gradients of more than so many steps back never reached a weight.
    pub seq: usize,
    /// Weights.
    pub parameters: usize,
    /// Symbols of the text.
    pub symbols: usize,
    /// Gradients by distance.
    pub flow: Flow,
    /// What k symbols alone are worth.
    pub context: Context,
    /// What a step multiplies by.
    pub radii: Radii,
    /// Gates that are stuck, units that stand still, by layer.
    pub units: Vec<LayerUnits>,
    /// The characters that the steps in a row read, one for each of `radii.layers[..].along`.
    pub along: Vec<String>,
}

impl Report {
    /// Measures a model on a text of its symbols; V and more are symbols never seen.
    ///
    /// Errors: the text is too short; no memory.
    pub fn of(
        model: &CharModel,
        machine: Machine<'_>,
        text: &[u32],
        options: &ReportOptions,
    ) -> Result<Self, TrainError> {
        let flow = Norms::of(model, machine, text, &options.flow)?.flow();
        let contexts = FlowOptions { positions: options.contexts, ..options.flow };
        let context = Context::of(model, machine, text, &contexts)?;
        let radii = Radii::of(model, machine, text, (options.places, options.flow.warmup))?;
        let read = radii.layers.first().map_or(0, |layer| layer.along.len());
        let along = text[radii.start..radii.start + read]
            .iter()
            .map(|&id| String::from_utf8_lossy(&model.vocab.decode(&[id])).into_owned());
        let config = &model.config;
        Ok(Self {
            cell: config.cell,
            layers: config.layers,
            hidden: config.hidden,
            seq: config.seq,
            parameters: model.parameters(),
            symbols: text.len(),
            along: along.collect(),
            units: units(model, machine, text)?,
            flow,
            context,
            radii,
        })
    }

    /// `LSTM 2x256`.
    pub fn name(&self) -> String {
        format!("{} {}x{}", cell_name(self.cell), self.layers, self.hidden)
    }
}

/// As people write it.
pub fn cell_name(cell: CellKind) -> &'static str {
    match cell {
        CellKind::Rnn => "RNN",
        CellKind::Lstm => "LSTM",
        CellKind::Gru => "GRU",
    }
}

/// Distances that a table shows: 1, 2, 3, 5, 8, 12, .. and the last.
pub fn distances(most: usize) -> Vec<usize> {
    let mut all: Vec<usize> = [1, 2, 3, 5, 8, 12, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1000]
        .into_iter()
        .filter(|&k| k < most)
        .collect();
    all.push(most);
    all
}
