//! Sampling: the predicted symbol becomes the next input, the state is carried (lecture L4).
//!
//! A text is a function of (weights, prime, temperature, seed): each draw takes its number from (seed, position).

use crate::error::TrainError;
use crate::model::CharModel;
use gatemill_cell::{Chunk, Network, NetworkOptions};
use gatemill_crew::{Crew, Split};
use gatemill_kernels::{Kernels, Purpose, uniform};

/// Which numbers a text takes; texts that share a seed share them.
const STREAM: u32 = 1;

/// What to write.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleOptions {
    /// Read before the first symbol is drawn; symbols that the model never saw are read as nothing. UTF-8 for `chars`.
    pub prime: Vec<u8>,
    /// Symbols to write.
    pub length: u64,
    /// Logits are divided by it; 0 takes the most likely symbol, ties to the lowest id.
    pub temperature: f64,
    /// Of the draws.
    pub seed: u64,
}

impl Default for SampleOptions {
    fn default() -> Self {
        Self { prime: Vec::new(), length: 500, temperature: 0.8, seed: 1 }
    }
}

/// Writes one symbol after the other.
#[derive(Debug)]
pub struct Generator<'a> {
    model: &'a CharModel,
    network: Network,
    crew: &'a Crew,
    kernels: &'a Kernels,
    temperature: f64,
    seed: u64,
    position: u64,
    left: u64,
    unseen: u64,
    weights: Vec<f64>,
}

impl<'a> Generator<'a> {
    /// Reads the prime. An empty one begins as after a line's end. Errors: no memory; a prime that is no UTF-8.
    pub fn new(
        model: &'a CharModel,
        options: &SampleOptions,
        crew: &'a Crew,
        kernels: &'a Kernels,
    ) -> Result<Self, TrainError> {
        // One lane on one worker: a barrier per layer and symbol costs more than it saves at most sizes.
        let one = NetworkOptions {
            steps: 1,
            lanes: 1,
            backward: false,
            dropout: false,
            input_grad: false,
            split: Some(Split::Lanes),
        };
        let network = Network::new(model.params.layout(), one)?;
        let mut generator = Self {
            model,
            network,
            crew,
            kernels,
            temperature: options.temperature,
            seed: options.seed,
            position: 0,
            left: options.length,
            unseen: 0,
            weights: vec![0.0; model.vocab.len()],
        };
        let prime: &[u8] = if options.prime.is_empty() { b"\n" } else { &options.prime };
        for id in model.vocab.encode(prime)? {
            if id as usize >= model.vocab.len() && !options.prime.is_empty() {
                generator.unseen += 1;
            }
            generator.read(id);
        }
        Ok(generator)
    }
    /// Symbols of the prime that the model never saw.
    pub fn unseen(&self) -> u64 {
        self.unseen
    }
    fn read(&mut self, id: u32) {
        let chunk = Chunk { steps: 1, ids: &[id], ..Chunk::default() };
        self.network.forward(self.crew, self.kernels, &self.model.params, &chunk);
        self.network.carry(1);
    }
    fn draw(&mut self) -> u32 {
        let logits = self.network.logits(0, 0);
        let best = logits.iter().enumerate().fold(0, |best, (i, &x)| if x > logits[best] { i } else { best });
        if self.temperature <= 0.0 {
            return best as u32;
        }
        let max = f64::from(logits[best]);
        let mut sum = 0.0;
        for (w, &x) in self.weights.iter_mut().zip(logits) {
            *w = libm::exp((f64::from(x) - max) / self.temperature);
            sum += *w;
        }
        let mut left = uniform(self.seed, Purpose::Sample, STREAM, self.position) * sum;
        for (i, w) in self.weights.iter().enumerate() {
            left -= w;
            if left < 0.0 {
                return i as u32;
            }
        }
        best as u32
    }
}

impl Iterator for Generator<'_> {
    type Item = u32;
    /// The next symbol's id; None after `length`.
    fn next(&mut self) -> Option<u32> {
        self.left = self.left.checked_sub(1)?;
        let id = self.draw();
        self.position += 1;
        self.read(id);
        Some(id)
    }
}

/// A whole text, the prime not included, as bytes (UTF-8 for `chars`).
pub(crate) fn text(
    model: &CharModel,
    options: &SampleOptions,
    crew: &Crew,
    kernels: &Kernels,
) -> Result<Vec<u8>, TrainError> {
    let ids: Vec<u32> = Generator::new(model, options, crew, kernels)?.collect();
    Ok(model.vocab.decode(&ids))
}
