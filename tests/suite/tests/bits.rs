//! The bits promise (design.md section 2, T2, T7): whatever may differ between two runs, every bit is the same.
//!
//! Outputs, states, logits, losses and all gradients are compared by their bits: between AVX-512 and AVX2, over threads
//! and splits, step by step against the whole sequence, chunk by chunk, shards against networks of their lanes alone.
//! The portable tier keeps all of it but the first.

use gatemill_cell::{Chunk, LayerState, Network};
use gatemill_crew::Split;
use gatemill_kernels::{Cell, Isa, Kernels};
use gatemill_suite::{CELLS, Features, Job, Named, Rig, Setting, Shape, crew, first_difference, run, tiers};

const ALL: Features = Features { symbols: true, carried: true, resets: true, dropout: true };

/// Sizes with tails everywhere and several panels of everything.
fn shape(cell: Cell) -> Shape {
    Shape { cell, layers: 2, inputs: 31, hidden: 149, steps: 7, lanes: 13, vocab: Some(83) }
}

/// Jobs that visit every tail: lanes to 2 * tile + 1, units over one to three panels, k over one to several blocks.
fn jobs(cell: Cell) -> Vec<Job> {
    let mut all =
        vec![Job::random(shape(cell), ALL, 1), Job::random(shape(cell), Features { symbols: false, ..ALL }, 2)];
    for (i, lanes) in (1..=17).enumerate() {
        let hidden = [1, 15, 16, 17, 33, 48, 65, 97, 129][i % 9];
        let inputs = [3, 16, 29, 64, 65, 130][i % 6];
        let vocab = [None, Some(5), Some(64), Some(65), Some(130)][i % 5];
        let shape = Shape { cell, layers: 1 + i % 3, inputs, hidden, steps: 1 + i % 4, lanes, vocab };
        let features = Features { symbols: i % 2 == 0, dropout: shape.layers > 1, ..ALL };
        all.push(Job::random(shape, features, 50 + i as u64));
    }
    // k beyond every cache block: 300 inputs, 520 units.
    let shape = Shape { cell, layers: 1, inputs: 300, hidden: 520, steps: 3, lanes: 8, vocab: Some(20) };
    all.push(Job::random(shape, Features { carried: true, ..Features::default() }, 99));
    all
}

fn assert_same(a: &[Named<f32>], b: &[Named<f32>], what: impl std::fmt::Display) {
    if let Some(difference) = first_difference(a, b) {
        panic!("{what}: {difference}");
    }
}

#[test]
fn avx512_and_avx2_agree_bit_for_bit() {
    let fma: Vec<Kernels> = [Isa::Avx512, Isa::Avx2].into_iter().filter_map(Kernels::new).collect();
    let [a, b] = fma[..] else {
        println!("this CPU has {fma:?} alone of the tiers that share their bits: nothing to compare here");
        return;
    };
    let crew = crew(1);
    for cell in CELLS {
        for job in jobs(cell) {
            let (x, y) = (run(&job, Setting::new(a, &crew)), run(&job, Setting::new(b, &crew)));
            assert_same(&x, &y, format_args!("{a:?} {b:?} {:?}", job.shape));
        }
    }
}

#[test]
fn threads_and_splits_leave_no_trace() {
    for kernels in tiers() {
        for cell in CELLS {
            for job in
                [Job::random(shape(cell), ALL, 3), Job::random(shape(cell), Features { symbols: false, ..ALL }, 4)]
            {
                let alone = crew(1);
                let want = run(&job, Setting { split: Some(Split::Lanes), ..Setting::new(kernels, &alone) });
                for threads in [1, 2, 3, 7] {
                    let crew = crew(threads);
                    for split in [Split::Lanes, Split::Units] {
                        let setting = Setting { split: Some(split), ..Setting::new(kernels, &crew) };
                        assert_same(&want, &run(&job, setting), format_args!("{setting:?} {:?}", job.shape));
                    }
                }
            }
        }
    }
}

/// A job of one lane on more workers than lanes, panels or tiles.
#[test]
fn more_workers_than_work() {
    let crew = crew(7);
    let alone = crate::crew(1);
    for kernels in tiers() {
        for cell in CELLS {
            let shape = Shape { cell, layers: 1, inputs: 3, hidden: 5, steps: 2, lanes: 1, vocab: Some(2) };
            let job = Job::random(shape, Features { symbols: true, carried: true, ..Features::default() }, 8);
            let want = run(&job, Setting::new(kernels, &alone));
            for split in [Split::Lanes, Split::Units] {
                let setting = Setting { split: Some(split), ..Setting::new(kernels, &crew) };
                assert_same(&want, &run(&job, setting), format_args!("{setting:?} {shape:?}"));
            }
        }
    }
}

/// Puts tensors `[L, B, H]` of two networks into one form.
fn state_of(network: &Network) -> Vec<Named<f32>> {
    let mut out = Vec::new();
    for (l, s) in network.state().into_iter().enumerate() {
        out.push((format!("h {l}"), s.h));
        out.extend(s.c.map(|c| (format!("c {l}"), c)));
    }
    out
}

#[test]
fn steps_and_chunks_give_the_bits_of_the_sequence() {
    let crew = crew(1);
    for kernels in tiers() {
        let setting = Setting::new(kernels, &crew);
        for cell in CELLS {
            for symbols in [true, false] {
                let job = Job::random(shape(cell), Features { symbols, ..ALL }, 6);
                let mut whole = Rig::of(&job, setting);
                let want = whole.forward_tensors(&job, setting);
                whole.network.carry(job.shape.steps);
                for chunk in [1, 2, 3] {
                    let mut found: Vec<Named<f32>> = Vec::new();
                    let mut state: Option<Vec<LayerState>> = None;
                    let mut begin = 0;
                    while begin < job.shape.steps {
                        let end = (begin + chunk).min(job.shape.steps);
                        let part = job.part(begin..end, 0..job.shape.lanes);
                        let mut rig = Rig::of(&part, setting);
                        if let Some(state) = &state {
                            rig.network.set_state(state);
                        }
                        let tensors = rig.forward_tensors(&part, setting);
                        rig.network.carry(end - begin);
                        state = Some(rig.network.state());
                        if end == job.shape.steps {
                            let place = format!("{kernels:?} {cell:?} chunks of {chunk}: last state");
                            assert_same(&state_of(&whole.network), &state_of(&rig.network), place);
                        }
                        match found.is_empty() {
                            true => found = tensors,
                            false => found.iter_mut().zip(tensors).for_each(|(all, (_, t))| all.1.extend(t)),
                        }
                        begin = end;
                    }
                    // States after each chunk are not those of the whole; outputs, logits, losses are.
                    let sequence = |t: &[Named<f32>]| {
                        t.iter().filter(|(n, _)| n != "h_n" && n != "c_n").cloned().collect::<Vec<_>>()
                    };
                    assert_eq!(sequence(&want).len(), 4);
                    assert_same(
                        &sequence(&want),
                        &sequence(&found),
                        format_args!("{kernels:?} {cell:?} chunks of {chunk}"),
                    );
                }
            }
        }
    }
}

/// S shards are S networks of their lanes, added by the tree (0+1)+(2+3); each S is bit-stable over threads and splits.
#[test]
fn shards_are_networks_of_their_lanes() {
    let crews = [crew(1), crew(3)];
    for kernels in tiers() {
        for cell in CELLS {
            for symbols in [true, false] {
                let job = Job::random(shape(cell), Features { symbols, ..ALL }, 11);
                for shards in [1, 2, 3, 4] {
                    let setting = Setting { shards, ..Setting::new(kernels, &crews[0]) };
                    let want = run(&job, setting);
                    for split in [Split::Lanes, Split::Units] {
                        let setting = Setting { shards, split: Some(split), ..Setting::new(kernels, &crews[1]) };
                        assert_same(&want, &run(&job, setting), format_args!("{setting:?} {cell:?}"));
                    }
                    // The portable GEMM adds up stretches of tokens, and a network of fewer lanes has other stretches.
                    if kernels.name() == "portable" {
                        continue;
                    }
                    let b = job.shape.lanes;
                    let mut parts: Vec<Vec<Named<f32>>> = (0..shards)
                        .map(|s| {
                            let part = job.part(0..job.shape.steps, s * b / shards..(s + 1) * b / shards);
                            let mut rig = Rig::of(&part, Setting::new(kernels, &crews[0]));
                            rig.forward(&part, setting, true);
                            rig.backward(&part, Setting::new(kernels, &crews[0]));
                            rig.weight_grads()
                        })
                        .collect();
                    let mut stride = 1;
                    while stride < shards {
                        for s in (0..shards - stride).step_by(2 * stride) {
                            let (low, high) = parts.split_at_mut(s + stride);
                            for ((_, a), (_, b)) in low[s].iter_mut().zip(&high[0]) {
                                a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
                            }
                        }
                        stride *= 2;
                    }
                    let weights: Vec<_> =
                        want.iter().filter(|(n, _)| n.contains("weight") || n.contains("bias")).cloned().collect();
                    assert_eq!(weights.len(), parts[0].len());
                    assert_same(&weights, &parts[0], format_args!("{kernels:?} {cell:?} {shards} shards"));
                }
            }
        }
    }
}

/// A network keeps nothing of an earlier pass: not gates, not gradients from behind, not a loss.
#[test]
fn a_used_network_equals_a_fresh_one() {
    let crew = crew(1);
    for kernels in tiers() {
        let setting = Setting::new(kernels, &crew);
        for cell in CELLS {
            let job = Job::random(shape(cell), ALL, 12);
            let mut fresh = Rig::of(&job, setting);
            fresh.forward(&job, setting, true);
            fresh.backward_truncated(&job, setting);
            let want = fresh.weight_grads();
            let mut used = Rig::of(&job, setting);
            used.forward(&job, setting, true);
            used.backward(&job, setting);
            assert!(first_difference(&want, &used.weight_grads()).is_some(), "the gradients from behind do nothing");
            used.forward(&job, setting, true);
            used.backward_truncated(&job, setting);
            assert_same(&want, &used.weight_grads(), format_args!("{kernels:?} {cell:?}: second pass"));
        }
    }
}

/// A chunk shorter than T: outputs, losses and gradients are those of a network of that many steps.
#[test]
fn a_short_chunk_equals_a_short_network() {
    let crew = crew(2);
    for kernels in tiers() {
        let setting = Setting::new(kernels, &crew);
        for cell in CELLS {
            for symbols in [true, false] {
                let job = Job::random(shape(cell), Features { symbols, ..ALL }, 13);
                let steps = 4;
                let part = job.part(0..steps, 0..job.shape.lanes);
                let mut short = Rig::of(&part, setting);
                short.forward(&part, setting, true);
                short.backward_truncated(&part, setting);
                let mut long = Rig::of(&job, setting);
                // Leave something behind in the later steps first.
                long.forward(&job, setting, true);
                long.backward_truncated(&job, setting);
                let (ids, targets) = (long.ids.clone(), long.targets.clone());
                let chunk = Chunk { steps, ids: &ids, targets: &targets, scale: job.scale, dropout: job.dropout };
                long.network.forward(&crew, &kernels, &long.params, &chunk);
                long.network.backward(&crew, &kernels, &long.params, &chunk);
                assert_eq!(short.network.nats(steps), long.network.nats(steps));
                assert_eq!(short.network.final_state(steps), long.network.final_state(steps));
                long.grads.compute(&crew, &kernels, &long.network, &ids);
                let what = format!("{kernels:?} {cell:?} symbols {symbols}: gradients of a short chunk");
                assert_same(&short.weight_grads(), &long.weight_grads(), what);
                assert_eq!(short.network.initial_grad(), long.network.initial_grad());
            }
        }
    }
}
