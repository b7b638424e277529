//! RNN, LSTM and GRU side by side: one text, as many weights, steps and symbols; then how far each remembers (lecture L10, L11).
//!
//! ```text
//! for each cell:   H so that the weights are as many | train on the text | loss, speed, a sample
//!                  gradients by distance and what contexts are worth, on text that training did not see
//!                  the memory task (memory.rs), with a model of its own
//! ```
//!
//! An RNN hands a gradient back through `W_hh^T diag(1 - h^2)` at every step: a product of matrices. An LSTM adds to its cell
//! state, so through c it passes by the forget gate alone: a product of numbers near 1. A GRU does so with its update gate.

use super::memory::{self, MemoryOptions, MemoryScore, hidden_for};
use super::report::symbols;
use gatemill_corpus::{Corpus, Split};
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use gatemill_train::flow::{Context, Flow, FlowOptions, Norms, Radii};
use gatemill_train::run::sample_options;
use gatemill_train::{CellKind, Config, TrainError, Trainer};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;

/// The cells, in the lecture's order.
pub const CELLS: [CellKind; 3] = [CellKind::Rnn, CellKind::Lstm, CellKind::Gru];
/// Points of a curve of losses.
const POINTS: usize = 40;

/// How they are compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompareOptions {
    /// Weights that each cell's width is chosen for.
    pub parameters: usize,
    /// B.
    pub batch: usize,
    /// T.
    pub seq: usize,
    /// Updates.
    pub steps: u64,
    /// Learning rate of Adam, at its height.
    pub lr: f64,
    /// Of all.
    pub seed: u64,
    /// Places, the largest distance, symbols before each window.
    #[serde(skip)]
    pub flow: FlowOptions,
    /// Windows that contexts are compared in.
    pub contexts: usize,
    /// Places whose Jacobian is looked at.
    pub places: usize,
    /// The memory task.
    pub memory: MemoryOptions,
}

impl Default for CompareOptions {
    /// Found by trials: on the built-in text each cell learns words in some seconds.
    fn default() -> Self {
        Self {
            parameters: 60_000,
            batch: 16,
            seq: 64,
            steps: 2400,
            lr: 0.02,
            seed: 1,
            flow: FlowOptions { positions: 256, distance: 100, warmup: 100 },
            contexts: 512,
            places: 32,
            memory: MemoryOptions::default(),
        }
    }
}

impl CompareOptions {
    /// A look in seconds: everything is there, nothing is learned well.
    pub fn quick() -> Self {
        let memory = MemoryOptions {
            parameters: 2000,
            steps: 150,
            batch: 32,
            most: 8,
            lr: 0.01,
            seeds: 1,
            ..MemoryOptions::default()
        };
        Self {
            parameters: 8000,
            batch: 16,
            seq: 40,
            steps: 60,
            flow: FlowOptions { positions: 32, distance: 40, warmup: 40 },
            contexts: 64,
            places: 8,
            memory,
            ..Self::default()
        }
    }
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// Which.
    pub cell: CellKind,
    /// H.
    pub hidden: usize,
    /// Weights.
    pub parameters: usize,
    /// Step and mean loss of the steps since the one before, bits per character.
    pub losses: Vec<(u64, f64)>,
    /// Loss on text that training did not see, bits per character. None: there is too little of it.
    pub val_bits: Option<f64>,
    /// Characters learned from in a second.
    pub characters_per_s: f64,
    /// Seconds of the steps.
    pub seconds: f64,
    /// What it writes.
    pub sample: String,
    /// Gradients by distance.
    pub flow: Flow,
    /// What contexts are worth to it.
    pub context: Context,
    /// What a step multiplies by.
    pub radii: Radii,
    /// How many symbols later it knows the first one.
    pub memory: MemoryScore,
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Symbols to learn from.
    pub symbols: u64,
    /// V.
    pub vocab: usize,
    /// How.
    pub options: CompareOptions,
    /// RNN, LSTM, GRU.
    pub cells: Vec<Compared>,
}

/// Where a comparison is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stage {
    /// A step on the text: of how many, and its loss in bits.
    Text(CellKind, u64, u64, f64),
    /// Looking at gradients.
    Gradients(CellKind),
    /// The memory task: seed, k that was tried, accuracy.
    Memory(CellKind, u64, usize, f64),
}

impl Comparison {
    /// Trains and measures all three. `corpus` keeps a part for validation.
    ///
    /// Errors: the text is too short for the batch, training diverges, no memory.
    pub fn of(
        corpus: &Arc<Corpus>,
        (crew, kernels): (&Arc<Crew>, Kernels),
        options: &CompareOptions,
        mut told: impl FnMut(Stage) + Send,
    ) -> Result<Self, TrainError> {
        let vocab = corpus.vocab().len();
        let cells = CELLS.map(|cell| {
            let config = Config {
                cell,
                layers: 1,
                hidden: hidden_for(cell, vocab, options.parameters),
                batch: options.batch,
                seq: options.seq,
                steps: Some(options.steps),
                lr: options.lr,
                seed: options.seed,
                ..Config::default()
            };
            compared(&config, corpus, (crew, kernels), options, &mut told)
        });
        let cells = cells.into_iter().collect::<Result<_, _>>()?;
        Ok(Self { symbols: corpus.symbols(Split::Train), vocab, options: options.clone(), cells })
    }

    /// The cell.
    pub fn cell(&self, kind: CellKind) -> Option<&Compared> {
        self.cells.iter().find(|compared| compared.cell == kind)
    }
}

fn compared(
    config: &Config,
    corpus: &Arc<Corpus>,
    (crew, kernels): (&Arc<Crew>, Kernels),
    options: &CompareOptions,
    told: &mut (dyn FnMut(Stage) + Send),
) -> Result<Compared, TrainError> {
    let cell = config.cell;
    let mut trainer = Trainer::new(config, Arc::clone(corpus), Arc::clone(crew), kernels)?;
    let every = (options.steps as usize).div_ceil(POINTS).max(1);
    let (mut losses, mut sum, mut seconds) = (Vec::new(), (0.0, 0), 0.0);
    let trained = crew.steady(|| -> Result<(), TrainError> {
        for step in 1..=options.steps {
            let begun = Instant::now();
            let bits = trainer.step()?.train_nats / std::f64::consts::LN_2;
            seconds += begun.elapsed().as_secs_f64();
            sum = (sum.0 + bits, sum.1 + 1);
            if (step as usize).is_multiple_of(every) || step == options.steps {
                losses.push((step, sum.0 / f64::from(sum.1)));
                sum = (0.0, 0);
            }
            told(Stage::Text(cell, step, options.steps, bits));
        }
        Ok(())
    });
    trained?;
    told(Stage::Gradients(cell));
    let val_bits = crew.steady(|| trainer.evaluate())?.map(|score| score.bits);
    let sample = trainer.sample(&sample_options(&trainer.model().config))?;
    let sample = String::from_utf8_lossy(&sample).into_owned();
    let unseen = symbols(corpus, if val_bits.is_some() { Split::Val } else { Split::Train })?;
    let (model, machine) = (trainer.model(), (&**crew, &kernels));
    let flow = Norms::of(model, machine, &unseen, &options.flow)?.flow();
    let context = Context::of(model, machine, &unseen, &FlowOptions { positions: options.contexts, ..options.flow })?;
    let radii = Radii::of(model, machine, &unseen, (options.places, options.flow.warmup))?;
    let memory =
        memory::score(cell, &options.memory, machine, |seed, k, right| told(Stage::Memory(cell, seed, k, right)))?;
    let characters = config.tokens_per_step() as f64 * options.steps as f64;
    Ok(Compared {
        cell,
        hidden: config.hidden,
        parameters: trainer.model().parameters(),
        losses,
        val_bits,
        characters_per_s: characters / seconds.max(f64::MIN_POSITIVE),
        seconds,
        sample,
        flow,
        context,
        radii,
        memory,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatemill_corpus::{OpenOptions, builtin};

    #[test]
    fn cells_have_as_many_weights_and_the_comparison_repeats() {
        for vocab in [17, 65, 96] {
            let counts = CELLS.map(|cell| {
                let config = Config { cell, layers: 1, hidden: hidden_for(cell, vocab, 50_000), ..Config::default() };
                let symbols: Vec<u32> = (0..vocab as u32).map(|i| 0x4e00 + i).collect();
                let vocab = gatemill_corpus::Vocab::from_symbols(&symbols).unwrap();
                gatemill_train::CharModel::new(&config, &vocab, &Crew::alone(), &Kernels::best()).unwrap().parameters()
            });
            assert!(counts.iter().all(|count| count.abs_diff(50_000) < 500), "{counts:?} at {vocab}");
        }
        let corpus =
            Corpus::from_bytes("t", builtin::text(60_000, 1), &OpenOptions { val_frac: 0.1, ..OpenOptions::default() })
                .unwrap();
        let corpus = Arc::new(corpus);
        let options = CompareOptions {
            steps: 12,
            memory: MemoryOptions { steps: 6, most: 4, ..CompareOptions::quick().memory },
            ..CompareOptions::quick()
        };
        let run = |threads: usize| {
            let crew = Arc::new(Crew::new(threads).unwrap());
            let mut stages = 0;
            let mut all = Comparison::of(&corpus, (&crew, Kernels::best()), &options, |_| stages += 1).unwrap();
            assert!(stages > 3 * (12 + 1), "each training of the task is told");
            for cell in &mut all.cells {
                assert!(cell.characters_per_s > 0.0 && cell.val_bits.is_some() && !cell.sample.is_empty());
                (cell.characters_per_s, cell.seconds, cell.memory.seconds) = (0.0, 0.0, 0.0);
            }
            all
        };
        let one = run(1);
        assert_eq!(one, run(2), "neither threads nor the clock are in it");
        assert_eq!(one.cells.iter().map(|c| c.cell).collect::<Vec<_>>(), CELLS);
    }
}
