//! Rows N04 and N05 of the fault catalogue in the kernels' own terms: vanishing numbers, and sizes at the ends.
//!
//! Denormals cost a CPU a hundred cycles each, and vanishing gradients make them by the million. The kernels store zero
//! in their place where h, c, the gates' gradients and the moments are stored (doc/numerics.md), so that none of those is
//! carried from step to step. The f64 oracle tells that there were some to flush. What is used once, the gradient of the
//! weights and that of a state, is flushed by its reader.
#![allow(non_snake_case, reason = "fault tests carry the ids of the fault catalogue")]

use gatemill_crew::Split;
use gatemill_kernels::{Adam, Buffer, Cell, Gradient};
use gatemill_oracle::compare::worst_by_rms;
use gatemill_oracle::widen;
use gatemill_suite::{CELLS, Features, Job, Rig, Setting, Shape, crew, reference, run, tiers};

/// Names what is denormal among these.
fn check<'a>(what: &str, place: &str, values: impl IntoIterator<Item = &'a f32>) {
    for (i, x) in values.into_iter().enumerate() {
        assert!(!x.is_subnormal(), "{what}[{i}] is {x:e}, a denormal: {place}");
    }
}

#[test]
fn fault_N04_no_state_and_no_moment_is_denormal_where_gradients_vanish() {
    let crew = crew(2);
    let mut flushed = 0;
    for cell in CELLS {
        // Weights that make gradients die over time, over layers, at once, and those whose squares are gone.
        for (n, scale) in [0.2, 1e-2, 1e-5, 1e-9, 1e-13, 1e-19, 1e-25, 1e-31, 1e-36].into_iter().enumerate() {
            let shape = Shape { cell, layers: 3, inputs: 11, hidden: 19, steps: 40, lanes: 5, vocab: Some(13) };
            let (dropout, output_dropout) = (n % 3 == 0, n % 4 == 0);
            let features = Features { symbols: n % 2 == 0, carried: true, resets: true, dropout, output_dropout };
            let mut job = Job::random(shape, features, 40 + n as u64);
            let weights = job.params.tensors_mut().into_iter().map(|(_, tensor)| tensor);
            let head = job.head.iter_mut().flat_map(|head| [&mut head.weight, &mut head.bias]);
            for tensor in weights.chain(head).chain([&mut job.h0, &mut job.c0, &mut job.d_h_last, &mut job.d_c_last]) {
                tensor.iter_mut().for_each(|x| *x = f64::from((*x * scale) as f32));
                // What comes in is sound: the weights are the user's, and stay as they are.
                tensor.iter_mut().filter(|x| (**x as f32).is_subnormal()).for_each(|x| *x = 0.0);
            }
            let least = f64::from(f32::MIN_POSITIVE);
            let vanished = |x: &&f64| **x != 0.0 && x.abs() < least;
            flushed += reference(&job).iter().flat_map(|(_, tensor)| tensor).filter(vanished).count();

            for (tier, kernels) in tiers().into_iter().enumerate() {
                let split = [Some(Split::Lanes), Some(Split::Units)][(n + tier) % 2];
                let setting = Setting { split, ..Setting::new(kernels, &crew) };
                let place = format!("{kernels:?}, {cell:?}, weights times {scale:e}");
                let mut rig = Rig::of(&job, setting);
                for (name, tensor) in rig.forward_tensors(&job, setting) {
                    // Logits and losses are sums, which the next line takes in.
                    if ["output", "h_n", "c_n", "d_logits"].contains(&name.as_str()) {
                        check(&name, &place, &tensor);
                    }
                }
                rig.backward(&job, setting);
                rig.network.carry(shape.steps);
                for state in rig.network.state() {
                    check("h", &place, &state.h);
                    check("c", &place, state.c.iter().flatten());
                }
                let grad = rig.grads.sum();
                let mut moments = [0, 1].map(|_| Buffer::zeroed(grad.len()).expect("memory"));
                let [m, v] = &mut moments;
                for _ in 0..3 {
                    let adam = Adam::new(1, 0.002, [0.9, 0.999], 1e-8);
                    kernels.adam(&Gradient::scaled(0.03), &adam, rig.params.masters_mut(), grad, m, v);
                    check("m", &place, m.iter());
                    check("v", &place, v.iter());
                }
                assert!(grad.iter().chain(m.iter()).chain(v.iter()).all(|x| x.is_finite()), "{place}");
            }
        }
    }
    assert!(flushed > 10_000, "only {flushed} numbers vanish: this tests nothing");
}

#[test]
fn fault_N05_sizes_at_the_ends_agree_with_the_oracle() {
    let crew = crew(2);
    let mut worst = 0.0_f64;
    for cell in CELLS {
        for (layers, hidden, steps, lanes, inputs, vocab) in [
            (1, 1, 1, 1, 1, 1),
            (1, 1, 3, 2, 1, 2),
            (2, 1, 1, 1, 5, 3),
            (2, 17, 1, 1, 2, 1),
            (1, 17, 2, 1, 1, 4),
            (1, 4097, 1, 2, 3, 5),
        ] {
            if hidden > 1000 && cell != Cell::Rnn {
                continue; // seconds of the oracle's time, for panels that the smaller sizes have too
            }
            let shape = Shape { cell, layers, inputs, hidden, steps, lanes, vocab: Some(vocab) };
            let features = Features { symbols: true, carried: true, ..Features::default() };
            let mut job = Job::random(shape, features, 7 + hidden as u64);
            // A loss of nothing has no scale to be compared by.
            job.targets.fill(0);
            job.scale = 1.0 / shape.tokens() as f32;
            let want = reference(&job);
            for kernels in tiers() {
                for ((name, want), (other, found)) in want.iter().zip(run(&job, Setting::new(kernels, &crew))) {
                    assert_eq!(*name, other);
                    assert!(found.iter().all(|x| x.is_finite()), "{kernels:?} {shape:?} {name}");
                    let scale = want.iter().fold(0.0, |most: f64, x| most.max(x.abs())).max(1e-3);
                    let error = found.iter().zip(want).map(|(x, y)| (f64::from(*x) - y).abs()).fold(0.0, f64::max);
                    worst = worst.max(error / scale);
                    assert!(error <= 2e-5 * scale, "{kernels:?} {shape:?} {name}: {error:e} of {scale:e}");
                    if want.len() > 1000 {
                        let rms = worst_by_rms(&widen(&found), want);
                        assert!(rms.error < 1e-3, "{kernels:?} {shape:?} {name}: {rms:?}");
                    }
                }
            }
        }
    }
    assert!(worst > 0.0, "exact in every digit: nothing was computed");
    println!("largest error {worst:.2e} of its tensor's largest element");
}
