//! Outputs, states and every gradient in f32 against the oracle in f64, element by element.
//!
//! The bound is the published form (`f32_forward_bound`, `f32_backward_bound`), over layers. The error of an element is `|found - expected| / max(|expected|, root mean square of its tensor)`.

use crate::cases::{SIZES, any, case, every_form};
use gatemill_crew::{Crew, Split};
use gatemill_kernels::{Dropout, Kernels};
use gatemill_oracle::Cell;
use gatemill_oracle::compare::{f32_backward_bound, f32_forward_bound, worst_by_rms};
use gatemill_oracle::complete::case::LayersCase;
use gatemill_oracle::complete::layers::{Direction, LayersShape};
use gatemill_oracle::widen;
use gatemill_suite::{LayersRig, Setting, crew, layers_dropped, layers_reference, layers_run, tiers};

fn bound(kernels: &Kernels, shape: &LayersShape, forward: bool) -> f64 {
    let inputs = shape.inputs.max(shape.width());
    let base = if forward {
        f32_forward_bound(shape.cell, shape.steps, inputs)
    } else {
        f32_backward_bound(shape.cell, shape.steps, inputs, shape.hidden, shape.lanes())
    };
    let rounds = if kernels.name() == "portable" { 2.0 } else { 1.0 };
    base * shape.layers as f64 * rounds
}

/// What was compared, and the largest share of its bound that an error took.
#[derive(Default)]
struct Tally {
    /// Times the bound that an error may take beyond one.
    slack: f64,
    elements: usize,
    zeros: usize,
    worst: (f64, String),
}

impl Tally {
    fn check(&mut self, case: &LayersCase, dropout: Option<Dropout>, setting: Setting<'_>) {
        let want = layers_reference(case);
        let found = LayersRig::new(case, dropout.is_some(), setting).run(case, dropout, setting);
        assert_eq!(found.len(), want.len(), "{:?}", case.shape);
        for ((name, want), (other, found)) in want.iter().zip(&found) {
            assert_eq!((name, want.len()), (other, found.len()), "{:?}", case.shape);
            let worst = worst_by_rms(&widen(found), want);
            let forward = ["y", "h_n", "c_n"].contains(&name.as_str());
            let share = worst.error / bound(&setting.kernels, &case.shape, forward);
            let place = format!("{name} {worst:?} on {:?} with {setting:?}", case.shape);
            assert!(share <= 1.0 + self.slack, "{place}: {share:.2} of its bound");
            self.elements += want.len();
            self.zeros += want.iter().filter(|&&x| x == 0.0).count();
            if share > self.worst.0 {
                self.worst = (share, place);
            }
        }
    }

    /// Live data: few elements are zero but those past the end of a lane and those that no gradient reaches.
    fn report(&self) {
        println!(
            "{} elements, {} zeros; largest error, {:.2} of its bound: {}",
            self.elements, self.zeros, self.worst.0, self.worst.1
        );
        assert!(self.elements > 0 && self.zeros * 2 < self.elements, "{} zeros of {}", self.zeros, self.elements);
        assert!(self.worst.0 > 0.01, "the bound says nothing: {:?}", self.worst);
    }
}

fn setting(k: usize, kernels: Kernels, crews: &[Crew; 3], lanes: usize) -> Setting<'_> {
    let split = [None, Some(Split::Lanes), Some(Split::Units)][k % 3];
    Setting { kernels, crew: &crews[k / 2 % 3], split, shards: (1 + k / 3 % 3).min(lanes) }
}

fn every_form_agrees(cell: Cell) {
    let crews = [crew(1), crew(2), crew(3)];
    let mut tally = Tally::default();
    for (k, case) in every_form(cell, 40).into_iter().enumerate() {
        let lanes = case.shape.lengths.iter().filter(|&&n| n > 0).count();
        for (tier, kernels) in tiers().into_iter().enumerate() {
            tally.check(&case, None, setting(k + tier, kernels, &crews, lanes));
        }
    }
    tally.report();
}

#[test]
fn every_form_of_the_rnn_agrees_with_the_oracle() {
    every_form_agrees(Cell::Rnn);
}

#[test]
fn every_form_of_the_lstm_agrees_with_the_oracle() {
    every_form_agrees(Cell::Lstm);
}

#[test]
fn every_form_of_the_gru_agrees_with_the_oracle() {
    every_form_agrees(Cell::Gru);
}

/// Dropout between layers in every direction, with and without residuals: the kernels' own masks, in both.
#[test]
fn dropout_between_layers_agrees_with_the_oracle() {
    let crews = [crew(1), crew(2), crew(3)];
    let mut tally = Tally::default();
    for cell in Cell::ALL {
        for (d, direction) in Direction::ALL.into_iter().enumerate() {
            for residual in [false, true] {
                let k = 2 * d + usize::from(residual);
                let dropout = Dropout::new(0.25, 77 + k as u64, 11, 3);
                // A projection in half of the LSTMs: masks are of its columns.
                let number = if cell == Cell::Lstm && residual { 6 } else { 0 };
                let case = case(cell, SIZES[[0, 1, 2, 4][k % 4]], number, direction, residual, 300 + k as u64);
                let case = layers_dropped(case, dropout);
                for (tier, kernels) in tiers().into_iter().enumerate() {
                    tally.check(&case, Some(dropout), setting(k + tier, kernels, &crews, 3));
                }
            }
        }
    }
    tally.report();
}

/// Sixty steps, and lanes of 1 to 60 in one batch.
#[test]
fn long_lanes_agree_with_the_oracle() {
    let crew = crew(2);
    let mut tally = Tally::default();
    for (k, cell) in Cell::ALL.into_iter().enumerate() {
        let direction = [Direction::Concat, Direction::Sum, Direction::Reverse][k];
        let mut case = case(cell, SIZES[2], 0, direction, false, 600 + k as u64);
        case.shape.lengths = vec![60, 1, 17, 43, 59, 60, 2];
        case.shape.steps = 60;
        let case = LayersCase::random(case.shape, 0.2, 600 + k as u64);
        for kernels in tiers() {
            tally.check(&case, None, Setting::new(kernels, &crew));
        }
    }
    tally.report();
}

/// Four hundred forms and sizes by chance, each on every tier. Twice the bound: padding makes a tensor's root mean square
/// small.
#[test]
#[ignore = "long form: cargo xtask torture"]
fn any_form_agrees_with_the_oracle() {
    let crews = [crew(1), crew(2), crew(3)];
    let mut tally = Tally { slack: 1.0, ..Tally::default() };
    for seed in 0..400 {
        let case = any(seed);
        let lanes = case.shape.lengths.iter().filter(|&&n| n > 0).count();
        for (tier, kernels) in tiers().into_iter().enumerate() {
            tally.check(&case, None, setting(seed as usize + tier, kernels, &crews, lanes));
        }
    }
    tally.report();
}

type Change = fn(&mut LayersCase);

const CHANGES: [(&str, Change); 8] = [
    ("directions exchanged", |case| case.params.swap(0, 1)),
    ("layers exchanged", |case| case.params.swap(2, 4)),
    ("a lane one step shorter", |case| case.shape.lengths[2] -= 1),
    ("two lanes exchanged", |case| case.shape.lengths.swap(1, 3)),
    ("no residual", |case| case.shape.residual = false),
    ("gradients of the last states too large", |case| case.output_grad.d_h_last.iter_mut().for_each(|d| *d += 1.0)),
    ("initial states too large", |case| case.input.h0.iter_mut().for_each(|h| *h += 0.5)),
    ("another bound", |case| case.shape.variant.clip = Some(0.7)),
];

/// The comparison has teeth: one thing wrong is far outside the bound.
#[test]
fn one_thing_wrong_is_found() {
    let crew = crew(1);
    let setting = Setting::new(tiers()[0], &crew);
    for cell in Cell::ALL {
        let right = case(cell, SIZES[1], 2, Direction::Sum, true, 50);
        assert!(right.shape.variant.clip == Some(0.5) && right.shape.layers == 3);
        let found = layers_run(&right, setting);
        for (name, change) in CHANGES {
            let mut wrong = right.clone();
            change(&mut wrong);
            let want = layers_reference(&wrong);
            let shares = want.iter().zip(&found).map(|((tensor, want), (_, found))| {
                let forward = ["y", "h_n", "c_n"].contains(&tensor.as_str());
                worst_by_rms(&widen(found), want).error / bound(&setting.kernels, &right.shape, forward)
            });
            let worst = shares.fold(0.0, f64::max);
            assert!(worst > 100.0, "{cell:?}: {name} gets by with {worst:.1} of the bound");
        }
    }
}
