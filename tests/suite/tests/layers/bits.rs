//! The bits promise for complete layers: threads, splits, FMA tiers, neighbours in a batch and batches before it.

use crate::cases::{SIZES, case, every_form};
use gatemill_crew::Split;
use gatemill_kernels::{Dropout, Isa, Kernels};
use gatemill_oracle::Cell;
use gatemill_oracle::complete::case::LayersCase;
use gatemill_oracle::complete::layers::{Direction, LayersShape};
use gatemill_oracle::{narrow, widen};
use gatemill_suite::{LayersRig, Named, Setting, crew, first_difference, layers_run, tiers};

fn assert_same(a: &[Named<f32>], b: &[Named<f32>], what: impl std::fmt::Display) {
    if let Some(difference) = first_difference(a, b) {
        panic!("{what}: {difference}");
    }
}

/// 1, 2 and 3 threads, split by lanes or by units, on every tier; AVX-512 and AVX2 among themselves.
#[test]
fn threads_splits_and_fma_tiers_leave_no_trace() {
    let crews = [crew(1), crew(2), crew(3)];
    for cell in Cell::ALL {
        for case in every_form(cell, 1000) {
            let mut of_fma: Option<Vec<Named<f32>>> = None;
            for kernels in tiers() {
                let lanes = Some(Split::Lanes);
                let want = layers_run(&case, Setting { split: lanes, ..Setting::new(kernels, &crews[0]) });
                for (crew, split) in [(0, Split::Units), (1, Split::Lanes), (2, Split::Lanes), (2, Split::Units)] {
                    let setting = Setting { split: Some(split), ..Setting::new(kernels, &crews[crew]) };
                    let found = layers_run(&case, setting);
                    assert_same(&want, &found, format_args!("{setting:?} {:?}", case.shape));
                }
                if kernels.isa() != Isa::Portable {
                    let first = of_fma.get_or_insert_with(|| want.clone());
                    assert_same(first, &want, format_args!("{kernels:?} {:?}", case.shape));
                }
            }
        }
    }
}

/// Rows `[.., B, width]` of lane `b`.
fn of_lane<T: Copy>(values: &[T], b: usize, lanes: usize, width: usize) -> Vec<T> {
    let rows = values.chunks_exact(width.max(1)).enumerate();
    rows.filter(|(k, _)| k % lanes == b).flat_map(|(_, row)| row.to_vec()).collect()
}

/// The case of one lane, at its own length.
fn alone(case: &LayersCase, b: usize) -> LayersCase {
    let (shape, lanes) = (&case.shape, case.shape.lanes());
    let (n, width, outputs, c) = (shape.lengths[b], shape.width(), shape.layer(0).outputs(), shape.layer(0).c_width());
    let mut one = case.clone();
    one.shape = LayersShape { steps: n, lengths: vec![n], ..shape.clone() };
    one.input.x = of_lane(&case.input.x[..n * lanes * shape.inputs], b, lanes, shape.inputs);
    one.input.h0 = of_lane(&case.input.h0, b, lanes, outputs);
    one.input.c0 = of_lane(&case.input.c0, b, lanes, c);
    one.output_grad.d_y = of_lane(&case.output_grad.d_y[..n * lanes * width], b, lanes, width);
    one.output_grad.d_h_last = of_lane(&case.output_grad.d_h_last, b, lanes, outputs);
    one.output_grad.d_c_last = of_lane(&case.output_grad.d_c_last, b, lanes, c);
    one
}

/// Everything of lane `b` but the weights' gradients, which are the batch's.
fn lane_of(found: &[Named<f32>], shape: &LayersShape, b: usize) -> Vec<Named<f32>> {
    let (lanes, n, layer) = (shape.lanes(), shape.lengths[b], shape.layer(0));
    let states = found.iter().filter(|(name, _)| !name.starts_with("rnn."));
    let part = |(name, t): &Named<f32>| {
        let part = match name.as_str() {
            "y" => of_lane(&t[..n * lanes * shape.width()], b, lanes, shape.width()),
            "d_x" => of_lane(&t[..n * lanes * shape.inputs], b, lanes, shape.inputs),
            "h_n" | "d_h0" => of_lane(t, b, lanes, layer.outputs()),
            _ => of_lane(t, b, lanes, layer.c_width()),
        };
        (name.clone(), part)
    };
    states.map(part).collect()
}

/// A lane alone gives the bits of the lane in a batch of others, shorter and longer ones.
#[test]
fn a_lane_alone_is_the_lane_in_a_batch() {
    let crew = crew(2);
    for kernels in tiers() {
        for cell in Cell::ALL {
            for case in every_form(cell, 2000) {
                let setting = Setting { split: Some(Split::Lanes), ..Setting::new(kernels, &crew) };
                let all = layers_run(&case, setting);
                for b in (0..case.shape.lanes()).filter(|&b| case.shape.lengths[b] > 0) {
                    let one = alone(&case, b);
                    let found = layers_run(&one, setting);
                    let what = format_args!("{kernels:?} lane {b} of {:?}", case.shape);
                    assert_same(&lane_of(&all, &case.shape, b), &lane_of(&found, &one.shape, 0), what);
                }
            }
        }
    }
}

/// A network that has worked on other batches, larger and smaller, long and short, gives the bits of a new one.
#[test]
fn batches_before_leave_no_trace() {
    let crew = crew(2);
    let kernels: Kernels = tiers()[0];
    let setting = Setting::new(kernels, &crew);
    for cell in Cell::ALL {
        for (d, direction) in Direction::ALL.into_iter().enumerate() {
            for number in 0..4 {
                let first = case(cell, SIZES[0], number, direction, d % 2 == 0, 3000 + number as u64);
                let mut rig = LayersRig::new(&first, false, setting);
                let with = |lengths: Vec<usize>, seed: u64| {
                    let steps = lengths.iter().copied().max().unwrap_or(0);
                    let shape = LayersShape { steps, lengths, ..first.shape.clone() };
                    LayersCase { params: first.params.clone(), ..LayersCase::random(shape, 0.5, seed) }
                };
                let batches = [
                    with(vec![3; 9], 1),
                    first.clone(),
                    with(vec![1], 2),
                    with(vec![2, 11, 5], 3),
                    with(vec![9; 2], 4),
                ];
                for case in batches.iter().chain(&batches[1..2]) {
                    let found = rig.run(case, None, setting);
                    assert_same(&layers_run(case, setting), &found, format_args!("{:?}", case.shape));
                }
            }
        }
    }
}

/// Dropout keeps the promise too: its masks are of the lane and the step, not of who computes them.
#[test]
fn dropout_leaves_no_trace_of_threads() {
    let crews = [crew(1), crew(3)];
    let dropout = Dropout::new(0.25, 5, 9, 2);
    for kernels in tiers() {
        for cell in Cell::ALL {
            for (d, direction) in Direction::ALL.into_iter().enumerate() {
                let case = case(cell, SIZES[[1, 2][d % 2]], 0, direction, d > 1, 4000);
                let run = |crew: usize, split| {
                    let setting = Setting { split: Some(split), ..Setting::new(kernels, &crews[crew]) };
                    LayersRig::new(&case, true, setting).run(&case, Some(dropout), setting)
                };
                let want = run(0, Split::Lanes);
                for split in [Split::Lanes, Split::Units] {
                    assert_same(&want, &run(1, split), format_args!("{kernels:?} {split:?} {:?}", case.shape));
                }
            }
        }
    }
}

/// A lane of NaN and infinities leaves its neighbours' bits alone, and the next batch of the same network too.
#[test]
fn a_lane_of_no_numbers_stays_alone() {
    let crew = crew(2);
    for kernels in tiers() {
        let setting = Setting::new(kernels, &crew);
        for cell in Cell::ALL {
            for (k, case) in every_form(cell, 5000).into_iter().enumerate().filter(|(k, _)| k % 3 == 0) {
                let (shape, lanes) = (&case.shape, case.shape.lanes());
                let want = layers_run(&case, setting);
                let mut bad = case.clone();
                let lane = (0..lanes).find(|&b| shape.lengths[b] > 0).expect("a lane with a step");
                let poison = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY][k / 3 % 3];
                bad.input.x[lane * shape.inputs..][..shape.inputs].fill(poison);
                bad.output_grad.d_y[lane * shape.width()] = poison;
                let mut rig = LayersRig::new(&case, false, setting);
                let found = rig.run(&bad, None, setting);
                for b in (0..lanes).filter(|&b| b != lane && shape.lengths[b] > 0) {
                    let (a, b_) = (lane_of(&want, shape, b), lane_of(&found, shape, b));
                    assert_same(&a, &b_, format_args!("{kernels:?} lane {b} of {shape:?}"));
                }
                assert_same(
                    &want,
                    &rig.run(&case, None, setting),
                    format_args!("{kernels:?} after {poison}: {shape:?}"),
                );
            }
        }
    }
}

/// One step at a time, the state handed over, gives the bits of the whole: outputs and last states.
#[test]
fn step_by_step_is_the_whole() {
    let crew = crew(1);
    for kernels in tiers() {
        let setting = Setting::new(kernels, &crew);
        for cell in Cell::ALL {
            let forward = every_form(cell, 6000).into_iter().filter(|c| c.shape.direction == Direction::Forward);
            for case in forward {
                let (shape, lanes) = (&case.shape, case.shape.lanes());
                let want = layers_run(&case, setting);
                let mut rig = LayersRig::new(&case, false, setting);
                let mut at = case.clone();
                let mut y = Vec::new();
                for t in 0..shape.steps {
                    let lengths = shape.lengths.iter().map(|&n| usize::from(t < n)).collect();
                    at.shape = LayersShape { steps: 1, lengths, ..shape.clone() };
                    let row = |values: &[f64], width: usize| values[t * lanes * width..][..lanes * width].to_vec();
                    at.input.x = row(&case.input.x, shape.inputs);
                    at.output_grad.d_y = row(&case.output_grad.d_y, shape.width());
                    let found = rig.run(&at, None, setting);
                    y.extend(found[0].1.clone());
                    at.input.h0 = widen(&found[1].1);
                    if cell.has_c() {
                        at.input.c0 = widen(&found[2].1);
                    }
                }
                let mut found = vec![("y".to_string(), y), ("h_n".into(), narrow(&at.input.h0))];
                if cell.has_c() {
                    found.push(("c_n".into(), narrow(&at.input.c0)));
                }
                assert_same(&want[..found.len()], &found, format_args!("{kernels:?} {shape:?}"));
            }
        }
    }
}
