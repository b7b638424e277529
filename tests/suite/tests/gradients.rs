//! Outputs, losses and every gradient in f32 against the oracle in f64, element by element (reliability.md 6.1c, T4).
//!
//! Jobs go through cells, layers, dense, symbol and embedded inputs, readouts, carried states, resets, dropout and
//! gradients from behind, with pairwise different sizes and tails in each; settings through tiers, splits, threads and shards. The
//! error of an element is `|found - expected| / max(|expected|, root mean square of its tensor)`.

use gatemill_crew::{Crew, Split};
use gatemill_kernels::{Cell, Kernels};
use gatemill_oracle::compare::{f32_backward_bound, f32_forward_bound, worst_by_rms};
use gatemill_oracle::widen;
use gatemill_suite::{CELLS, Features, Job, Setting, Shape, crew, reference, run, tiers};

/// Tensors that the forward pass makes; the others are gradients of parameters, states and inputs.
const FORWARD: [&str; 6] = ["output", "h_n", "c_n", "logits", "nats", "d_logits"];

/// Calibrated on these very jobs: the published form is passed by at most 1.1 where tensors are sums of one or two terms.
const CALIBRATED: f64 = 1.5;

/// The published form, over layers (an error passes through all above it), calibrated.
fn bound(kernels: &Kernels, job: &Job, forward: bool) -> f64 {
    let s = job.shape;
    let cell = s.stack().cell;
    let inputs = job.stack().inputs.max(s.inputs).max(s.hidden);
    let base = if forward {
        f32_forward_bound(cell, s.steps, inputs)
    } else {
        f32_backward_bound(cell, s.steps, inputs, s.hidden, s.lanes)
    };
    // The portable tier rounds twice where the build target has no fused multiply-add.
    let rounds = if kernels.name() == "portable" { 2.0 } else { 1.0 };
    let layers = s.layers + usize::from(job.table().is_some());
    CALIBRATED * base * layers as f64 * rounds
}

/// Fewest elements of a tensor that is compared by itself.
const FEW: usize = 16;

/// Gradients of few elements may all cancel to nearly nothing: those of a job are compared as one tensor, the last.
fn grouped<T: Clone>(tensors: &[(String, Vec<T>)]) -> Vec<(String, Vec<T>)> {
    let few = |(name, t): &(String, Vec<T>)| t.len() < FEW && !FORWARD.contains(&name.as_str());
    let (few, mut all): (Vec<_>, Vec<_>) = tensors.iter().cloned().partition(few);
    if !few.is_empty() {
        let names: Vec<&str> = few.iter().map(|(name, _)| name.as_str()).collect();
        all.push((names.join(" "), few.iter().flat_map(|(_, t)| t.clone()).collect()));
    }
    all
}

/// What was compared, and the largest share of its bound that an error took.
#[derive(Default)]
struct Tally {
    tensors: usize,
    elements: usize,
    zeros: usize,
    worst: (f64, String),
}

impl Tally {
    fn check(&mut self, job: &Job, setting: Setting<'_>, want: &[(String, Vec<f64>)]) {
        let (found, want) = (grouped(&run(job, setting)), grouped(want));
        assert_eq!(found.len(), want.len());
        for ((name, want), (other, found)) in want.iter().zip(&found) {
            assert_eq!((name, want.len()), (other, found.len()));
            let worst = worst_by_rms(&widen(found), want);
            let bound = bound(&setting.kernels, job, FORWARD.contains(&name.as_str()));
            let place = format!("{name} {worst:?} on {:?} with {setting:?}", job.shape);
            assert!(worst.error <= bound, "{place}: more than {bound:.2e}");
            self.tensors += 1;
            self.elements += want.len();
            self.zeros += want.iter().filter(|&&x| x == 0.0).count();
            if worst.error / bound > self.worst.0 {
                self.worst = (worst.error / bound, place);
            }
        }
    }
    /// Live data: most elements are not zero.
    fn report(&self) {
        println!("{} elements of {} tensors, {} zeros", self.elements, self.tensors, self.zeros);
        println!("largest error, {:.2} of its bound: {}", self.worst.0, self.worst.1);
        assert!(self.tensors > 0 && self.zeros * 2 < self.elements, "{} zeros of {}", self.zeros, self.elements);
        assert!(self.worst.0 > 0.001, "the bound says nothing: {:?}", self.worst);
    }
}

/// The settings that job number `i` is run under: each tier, the rest in turn.
fn settings<'a>(i: usize, lanes: usize, crews: &'a [Crew]) -> Vec<Setting<'a>> {
    tiers()
        .into_iter()
        .enumerate()
        .map(|(tier, kernels)| {
            let i = i + tier;
            let split = [None, Some(Split::Lanes), Some(Split::Units)][i % 3];
            Setting { kernels, crew: &crews[i / 2 % crews.len()], split, shards: (1 + i / 3 % 3).min(lanes) }
        })
        .collect()
}

/// Raises sizes until no two are the same, so that no transposition goes unseen. H stays.
fn pairwise_different(hidden: usize, mut sizes: [usize; 4]) -> [usize; 4] {
    for i in 0..4 {
        while sizes[i] == hidden || sizes[..i].contains(&sizes[i]) {
            sizes[i] += 1;
        }
    }
    sizes
}

fn every_kind_of_job(cell: Cell) {
    let crews = [crew(1), crew(2), crew(3)];
    let mut tally = Tally::default();
    let mut i = 0;
    for hidden in [1, 17, 37, 70] {
        for mask in 0..32 {
            let bit = |b: usize| mask >> b & 1 == 1;
            let sizes = [
                [1, 2, 5, 13][i % 4],
                [1, 2, 4, 9][i / 3 % 4],
                [3, 11, 20, 41, 67][i % 5],
                [130, 3, 65, 16, 29][i / 2 % 5],
            ];
            let [lanes, steps, inputs, vocab] = pairwise_different(hidden, sizes);
            let layers = 1 + i % 3;
            let vocab = bit(4).then_some(vocab);
            let (dropout, output_dropout) = (bit(3) && layers > 1, bit(3) && vocab.is_some());
            let features = Features { symbols: bit(0), carried: bit(1), resets: bit(2), dropout, output_dropout };
            let job =
                Job::random(Shape { cell, layers, inputs, hidden, steps, lanes, vocab }, features, 100 + i as u64);
            let want = reference(&job);
            for setting in settings(i, lanes, &crews) {
                tally.check(&job, setting, &want);
            }
            i += 1;
        }
    }
    tally.report();
}

/// E to 130 and V to 300, below and above T * B, shards 1 to 3; all of it pairwise different.
fn every_kind_of_embedding(cell: Cell) {
    let crews = [crew(1), crew(2), crew(3)];
    let mut tally = Tally::default();
    // L, H, T, B, V, E, V of the readout.
    let sizes = [
        (1, 17, 5, 3, 41, 4, None),
        (2, 37, 2, 5, 300, 21, Some(29)),
        (3, 70, 9, 13, 11, 67, Some(130)),
        (1, 1, 4, 9, 3, 130, Some(65)),
        (2, 33, 7, 4, 130, 64, Some(16)),
        (1, 150, 6, 7, 20, 97, None),
    ];
    for (i, (layers, hidden, steps, lanes, inputs, width, vocab)) in sizes.into_iter().enumerate() {
        for mask in 0..4 {
            let (j, bit) = (4 * i + mask, |b: usize| (mask >> b) & 1 == 1);
            let (dropout, output_dropout) = (layers > 1, false);
            let features = Features { symbols: true, carried: bit(0), resets: bit(1), dropout, output_dropout };
            let shape = Shape { cell, layers, inputs, hidden, steps, lanes, vocab };
            let own = Job::random(shape, features, 300 + j as u64).embedded(width, j as u64);
            let one_vocab = Shape { vocab: Some(inputs), ..shape };
            let tied = Job::random(one_vocab, features, 400 + j as u64).tied(j as u64);
            for job in [own, tied] {
                let want = reference(&job);
                for shards in [1, 3] {
                    for setting in settings(j, lanes, &crews) {
                        tally.check(&job, Setting { shards, ..setting }, &want);
                    }
                }
            }
        }
    }
    tally.report();
}

#[test]
fn rnn_of_every_embedding() {
    every_kind_of_embedding(Cell::Rnn);
}

#[test]
fn lstm_of_every_embedding() {
    every_kind_of_embedding(Cell::Lstm);
}

#[test]
fn gru_of_every_embedding() {
    every_kind_of_embedding(Cell::Gru);
}

#[test]
fn rnn_of_every_kind() {
    every_kind_of_job(Cell::Rnn);
}

#[test]
fn lstm_of_every_kind() {
    every_kind_of_job(Cell::Lstm);
}

#[test]
fn gru_of_every_kind() {
    every_kind_of_job(Cell::Gru);
}

/// T to 256, L to 4, more than one panel everywhere, more symbols than one panel of the readout.
#[test]
fn long_and_deep() {
    let crews = [crew(2)];
    let mut tally = Tally::default();
    let shapes =
        [(4, 41, 256, 3, 23, 29), (2, 131, 40, 9, 70, 83), (1, 257, 23, 17, 300, 259), (3, 64, 128, 5, 65, 66)];
    for (i, (layers, hidden, steps, lanes, inputs, vocab)) in shapes.into_iter().enumerate() {
        for cell in CELLS {
            let shape = Shape { cell, layers, inputs, hidden, steps, lanes, vocab: Some(vocab) };
            let (dropout, output_dropout) = (layers > 1, false);
            let features = Features { symbols: i % 2 == 0, carried: true, resets: i > 0, dropout, output_dropout };
            let job = Job::random(shape, features, 7 + i as u64);
            let want = reference(&job);
            for setting in settings(i, lanes, &crews) {
                tally.check(&job, setting, &want);
            }
        }
    }
    tally.report();
}

/// The comparison itself: one wrong element of one tensor is found.
#[test]
fn a_flipped_sign_is_found() {
    let shape = Shape { cell: Cell::Gru, layers: 2, inputs: 5, hidden: 17, steps: 4, lanes: 3, vocab: Some(7) };
    let job = Job::random(shape, Features { symbols: true, carried: true, ..Features::default() }, 3).embedded(6, 1);
    let kernels = tiers()[0];
    let crew = crew(1);
    let want = reference(&job);
    for ((name, want), (_, mut found)) in want.iter().zip(run(&job, Setting::new(kernels, &crew))) {
        let median = {
            let mut sizes: Vec<f32> = found.iter().map(|x| x.abs()).filter(|&x| x > 0.0).collect();
            sizes.sort_by(f32::total_cmp);
            sizes[sizes.len() / 2]
        };
        let at = found.iter().position(|x| x.abs() == median).unwrap();
        found[at] = -found[at];
        let worst = worst_by_rms(&widen(&found), want);
        let bound = bound(&kernels, &job, FORWARD.contains(&name.as_str()));
        assert!(worst.error > bound && worst.index == at, "{name}: {worst:?}");
    }
}
