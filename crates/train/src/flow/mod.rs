//! Gradients by distance: `|| dL_t / ds_{t-k} ||` by k, how far a model really remembers, and what its recurrence multiplies by.
//!
//! L_t is the loss of one symbol, in nats: that of predicting symbol t+1. s_{t-k} is the state after symbol t-k: h, and c of
//! an LSTM, of every layer. For k >= 1 the loss depends on that state through the recurrence alone. `doc/gradients.md` has
//! definitions, derivation and how to read the figures; lecture L8, L10.
//!
//! ```text
//! windows    P places of the text, a lane each: W symbols to come into a state, then K more
//! back.rs    forward through K, states kept; then one step at a time back: states, forward, d s_t, backward, d s_{t-1}
//! context.rs the same K symbols from a state of zeros: what a context of k symbols is worth
//! radius.rs  one step's Jacobian: its spectral radius by power iteration, its largest singular value
//! units.rs   gates that are stuck, units that stand still
//! brief.rs   the first of these, between two steps of a run
//! ```
//!
//! Everything here reads the model and nothing else. It has buffers of its own, and its results depend neither on threads
//! nor on how many places are taken at a time.

mod back; // gradients, a step at a time
pub(crate) mod brief; // a look between two steps of a run
mod context; // the loss from k symbols alone
mod radius; // one step's Jacobian
mod spread; // a mean, a median, quartiles
mod units; // what a gradient does not get through
mod windows; // which places of a text

pub use back::{Flow, Gradients, LayerFlow, Norms, Reach};
pub use context::{Context, ContextAt};
pub use radius::{LayerRadii, Radii};
pub use spread::{Spread, below};
pub use units::{GateUnits, LayerUnits, units};

use crate::begins::Begins;
use crate::error::TrainError;
use crate::model::CharModel;
use gatemill_cell::{Chunk, LayerState, Network, NetworkOptions};
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use windows::Windows;

/// The workers, and the kernels' tier.
pub type Machine<'a> = (&'a Crew, &'a Kernels);

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowOptions {
    /// P: places of the text, evenly spread, whose losses are followed back.
    pub positions: usize,
    /// K: the largest distance, symbols.
    pub distance: usize,
    /// W: symbols read from a state of zeros before each window, so that its state is one that the model has in a text.
    pub warmup: usize,
}

impl Default for FlowOptions {
    fn default() -> Self {
        Self { positions: 256, distance: 200, warmup: 200 }
    }
}

/// Steps of a chunk where nothing but the last state is asked for.
const READ_STEPS: usize = 32;
/// Bytes of states that are kept at a time.
const STATE_BYTES: usize = 96 << 20;
/// Most places at a time: more gain nothing.
const MOST_LANES: usize = 256;

/// Places that are taken at a time, so that what is kept of `steps` steps of each stays in bounds.
fn lanes_at_once(model: &CharModel, steps: usize, places: usize) -> usize {
    let layer = 4 * model.config.hidden * model.params.layout().layers().len() * 2;
    let fit = STATE_BYTES / (layer * steps.max(1)).max(1);
    // Groups of one size: one network serves them all.
    let most = fit.clamp(8, MOST_LANES).min(places.max(1));
    places.max(1).div_ceil(places.max(1).div_ceil(most))
}

/// Symbols and targets of a chunk, as many as the network has room for.
#[derive(Debug, Default)]
struct Feed {
    ids: Vec<u32>,
    targets: Vec<u32>,
}

impl Feed {
    fn new(network: &Network) -> Self {
        let size = network.steps() * network.lanes();
        Self { ids: vec![0; size], targets: vec![0; size] }
    }
    /// The symbols from `at` on, and those after them, `steps` of each lane, which begins at `starts[b]`.
    fn fill(&mut self, text: &[u32], starts: &[usize], at: isize, steps: usize) {
        let lanes = starts.len();
        for t in 0..steps {
            for (b, &start) in starts.iter().enumerate() {
                let from = start.wrapping_add_signed(at + t as isize);
                self.ids[t * lanes + b] = text[from];
                // The last symbol of a text has no next one; nobody asks for its loss.
                self.targets[t * lanes + b] = text.get(from + 1).copied().unwrap_or(u32::MAX);
            }
        }
    }
    fn chunk(&self, steps: usize) -> Chunk<'_> {
        Chunk { steps, ids: &self.ids, targets: &self.targets, scale: 0.0, ..Chunk::default() }
    }
}

/// Reads places of a text, a lane each.
struct Walker<'a> {
    model: &'a CharModel,
    machine: Machine<'a>,
    text: &'a [u32],
    network: Network,
    begins: Begins,
    feed: Feed,
}

impl<'a> Walker<'a> {
    /// Of `text`, in chunks of `steps` steps. Errors: no memory.
    fn new(
        model: &'a CharModel,
        machine: Machine<'a>,
        text: &'a [u32],
        (steps, lanes): (usize, usize),
    ) -> Result<Self, TrainError> {
        let network =
            Network::new(model.params.layout(), NetworkOptions { steps, lanes, ..NetworkOptions::default() })?;
        Ok(Self { model, machine, text, begins: Begins::of(model, text)?, feed: Feed::new(&network), network })
    }
    /// Reads `steps` symbols of each lane from `at` behind its start, from the state at hand; `told(i, nats [B])` is given the
    /// losses of each step i.
    fn read(&mut self, starts: &[usize], at: isize, steps: usize, mut told: impl FnMut(usize, &[f32])) {
        let ((crew, kernels), lanes, most) = (self.machine, self.network.lanes(), self.network.steps());
        let mut done = 0;
        while done < steps {
            let now = most.min(steps - done);
            let first = at + done as isize;
            self.feed.fill(self.text, starts, first, now);
            self.begins.reset(&mut self.network, now, |b| starts[b].wrapping_add_signed(first));
            self.network.forward(crew, kernels, &self.model.params, &self.feed.chunk(now));
            for (i, nats) in self.network.nats(now).chunks_exact(lanes).enumerate() {
                told(done + i, nats);
            }
            self.network.carry(now);
            done += now;
        }
    }
    /// The state of each lane before the symbol at its start, `warmup` symbols after a state of zeros.
    fn states_before(&mut self, starts: &[usize], warmup: usize) -> Vec<LayerState> {
        self.network.clear_state();
        self.read(starts, -(warmup as isize), warmup, |_, _| {});
        self.network.state()
    }
}

/// One step, forward and back, of places side by side.
struct OneStep<'a> {
    model: &'a CharModel,
    machine: Machine<'a>,
    text: &'a [u32],
    begins: Begins,
    network: Network,
    /// `[B]` each; targets of V and more are none.
    ids: Vec<u32>,
    targets: Vec<u32>,
}

impl<'a> OneStep<'a> {
    /// Of `text`. Errors: no memory.
    fn new(model: &'a CharModel, machine: Machine<'a>, text: &'a [u32], lanes: usize) -> Result<Self, TrainError> {
        let options = NetworkOptions { steps: 1, lanes, backward: true, ..NetworkOptions::default() };
        let network = Network::new(model.params.layout(), options)?;
        let begins = Begins::of(model, text)?;
        Ok(Self { model, machine, text, begins, network, ids: vec![0; lanes], targets: vec![u32::MAX; lanes] })
    }
    fn lanes(&self) -> usize {
        self.ids.len()
    }
    /// The symbols of step `i` of the windows that begin at `starts`.
    fn read(&mut self, starts: &[usize], i: usize) {
        self.ids.iter_mut().zip(starts).for_each(|(id, start)| *id = self.text[start + i]);
        self.begins.reset(&mut self.network, 1, |b| starts[b] + i);
    }
    /// From the state at hand, over `ids`; the loss is that of `targets`, each counted as one.
    fn forward(&mut self) {
        let ((crew, kernels), params) = (self.machine, &self.model.params);
        self.network.forward(crew, kernels, params, &one_step(&self.ids, &self.targets));
    }
    /// Back over the last forward: the network's `set_final_grad` before, its `initial_grad` after.
    fn backward(&mut self) {
        let ((crew, kernels), params) = (self.machine, &self.model.params);
        self.network.backward(crew, kernels, params, &one_step(&self.ids, &self.targets));
    }
    /// Nobody's loss counts.
    fn without_loss(&mut self) {
        self.targets.fill(u32::MAX);
    }
}

/// A step in which each target counts as one.
fn one_step<'a>(ids: &'a [u32], targets: &'a [u32]) -> Chunk<'a> {
    Chunk { steps: 1, ids, targets, scale: 1.0, ..Chunk::default() }
}

/// Sum of squares in f64.
fn squares(row: &[f32]) -> f64 {
    row.iter().fold(0.0, |sum, &x| sum + f64::from(x) * f64::from(x))
}

/// Places of a text as windows. Errors: it has no two symbols.
fn windows(model: &CharModel, text: &[u32], options: &FlowOptions) -> Result<Windows, TrainError> {
    Windows::of(text, model.vocab.len(), options).ok_or_else(|| {
        let what =
            format!("{} symbols: gradients by distance need a text of at least three that the model knows", text.len());
        TrainError::Symbols(what)
    })
}

#[cfg(test)]
mod tests; // against the oracle
