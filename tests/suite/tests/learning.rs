//! "hello": each cell learns to spell it, on every tier, from forward, backward, gradients and Adam alone.
//!
//! The text is "hello" over and over; after "l" come "l" and "o", so the state is needed. Then the network, having
//! read the word once, goes on spelling it, one symbol at a time, from its own answers.

use gatemill_cell::{Chunk, Network, NetworkOptions};
use gatemill_kernels::Cell;
use gatemill_suite::{CELLS, Learner, Model, crew, tiers};

const SYMBOLS: [char; 4] = ['e', 'h', 'l', 'o'];
const LANES: usize = 3;
const STEPS: usize = 10;

fn id(c: char) -> u32 {
    SYMBOLS.iter().position(|&s| s == c).unwrap() as u32
}

fn model(cell: Cell, layers: usize) -> Model {
    let (hidden, vocab, steps, lanes) = (19, SYMBOLS.len(), STEPS, LANES);
    Model { cell, layers, hidden, vocab, embed: 0, tied: false, steps, lanes, split: None, shards: 1, dropout: 0.0 }
}

/// Inputs and targets of chunk `s`: lane b begins at letter 2 b, so that lanes differ.
fn chunk(s: usize) -> (Vec<u32>, Vec<u32>) {
    let text: Vec<u32> = "hello".chars().map(id).collect();
    let letter = |t: usize, b: usize| text[(s * STEPS + t + 2 * b) % text.len()];
    let all = |shift: usize| (0..STEPS).flat_map(|t| (0..LANES).map(move |b| letter(t + shift, b))).collect();
    (all(0), all(1))
}

#[test]
fn every_cell_learns_hello() {
    let crew = crew(1);
    for kernels in tiers() {
        for cell in CELLS {
            for layers in [1, 2] {
                let mut learner = Learner::new(model(cell, layers), 0.2, &crew, &kernels);
                let place = format!("{} {} {layers} layers", kernels.name(), cell.name());
                let losses: Vec<f64> = (0..300)
                    .map(|s| {
                        let (ids, targets) = chunk(s);
                        learner.step((&crew, &kernels), &ids, &targets, (0.01, 5.0)).0
                    })
                    .collect();
                let (first, last) = (losses[0], losses[299]);
                println!("{place}: {first:.3} nats at first, {last:.1e} after 300 steps");
                assert!(
                    (first - libm::log(SYMBOLS.len() as f64)).abs() < 0.2,
                    "{place}: a fresh model knows nothing: {first}"
                );
                assert!(last < 0.01, "{place}: {last} nats after 300 steps");

                // One lane, one step at a time. It reads the word first: training saw a zero state in one chunk alone.
                let options = NetworkOptions { steps: 1, lanes: 1, ..NetworkOptions::default() };
                let mut network = Network::new(learner.params.layout(), options).unwrap();
                let mut next = |symbol: u32| {
                    let chunk = Chunk { steps: 1, ids: &[symbol], ..Chunk::default() };
                    network.forward(&crew, &kernels, &learner.params, &chunk);
                    network.carry(1);
                    let logits = network.logits(0, 0);
                    (0..SYMBOLS.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap() as u32
                };
                let mut symbol = "hello".chars().map(|c| next(id(c))).last().unwrap();
                let mut spelled = String::new();
                for _ in 0..15 {
                    spelled.push(SYMBOLS[symbol as usize]);
                    symbol = next(symbol);
                }
                assert_eq!(spelled, "hellohellohello", "{place}");
            }
        }
    }
}
