//! The bits promise (design.md section 2, T2, T7): whatever may differ between two runs, every bit is the same.
//!
//! Outputs, states, logits, losses and all gradients are compared by their bits: between AVX-512 and AVX2, over threads
//! and splits, step by step against the whole sequence, chunk by chunk, shards against networks of their lanes alone.
//! The portable tier keeps all of it but the first.

use gatemill_cell::{Chunk, LayerState, Network};
use gatemill_crew::Split;
use gatemill_kernels::{Cell, Isa, Kernels};
use gatemill_suite::{
    CELLS, Embedding, Features, Job, Learner, Model, Named, Rig, Setting, Shape, crew, first_difference, fma_tiers,
    run, tiers,
};
use sha2::{Digest, Sha256};

const ALL: Features = Features { symbols: true, carried: true, resets: true, dropout: true, output_dropout: true };

/// Sizes with tails everywhere and several panels of everything.
fn shape(cell: Cell) -> Shape {
    Shape { cell, layers: 2, inputs: 31, hidden: 149, steps: 7, lanes: 13, vocab: Some(83) }
}

/// Every kind of input: one-hot symbols, dense rows, an embedding of its own, the readout's.
fn kinds(cell: Cell, seed: u64) -> [(&'static str, Job); 4] {
    let shape = shape(cell);
    let one_vocab = Shape { inputs: 83, ..shape };
    [
        ("symbols", Job::random(shape, ALL, seed)),
        ("dense", Job::random(shape, Features { symbols: false, ..ALL }, seed)),
        ("embedded", Job::random(shape, ALL, seed).embedded(70, seed)),
        ("tied", Job::random(one_vocab, ALL, seed).tied(seed)),
    ]
}

/// Jobs that visit every tail: lanes to 2 * tile + 1, units over one to three panels, k over one to several blocks.
fn jobs(cell: Cell) -> Vec<Job> {
    let mut all: Vec<Job> = kinds(cell, 1).into_iter().map(|(_, job)| job).collect();
    for (i, lanes) in (1..=17).enumerate() {
        let hidden = [1, 15, 16, 17, 33, 48, 65, 97, 129][i % 9];
        let inputs = [3, 16, 29, 64, 65, 130][i % 6];
        let vocab = [None, Some(5), Some(64), Some(65), Some(130)][i % 5];
        let shape = Shape { cell, layers: 1 + i % 3, inputs, hidden, steps: 1 + i % 4, lanes, vocab };
        let features = Features { symbols: i % 2 == 0, dropout: shape.layers > 1, ..ALL };
        let job = Job::random(shape, features, 50 + i as u64);
        if features.symbols {
            all.push(job.clone().embedded([1, 4, 15, 16, 33, 64, 65, 130, 200][i / 2 % 9], i as u64));
            all.push(Job::random(Shape { vocab: Some(inputs), ..shape }, features, i as u64).tied(i as u64));
        }
        all.push(job);
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
            for (kind, job) in kinds(cell, 3) {
                let alone = crew(1);
                let want = run(&job, Setting { split: Some(Split::Lanes), ..Setting::new(kernels, &alone) });
                for threads in [1, 2, 3, 7] {
                    let crew = crew(threads);
                    for split in [Split::Lanes, Split::Units] {
                        let setting = Setting { split: Some(split), ..Setting::new(kernels, &crew) };
                        assert_same(&want, &run(&job, setting), format_args!("{kind} {setting:?} {:?}", job.shape));
                    }
                }
            }
        }
    }
}

/// Without targets a team shares the readout's panels out, with them its lanes: the logits are the same.
#[test]
fn logits_without_targets_are_those_of_one_worker() {
    let alone = crew(1);
    for kernels in tiers() {
        for cell in CELLS {
            for lanes in [1, 2, 5] {
                // Two panels and the begin of a third.
                let shape = Shape { cell, layers: 2, inputs: 3, hidden: 21, steps: 3, lanes, vocab: Some(130) };
                let job = Job::random(shape, Features { carried: true, ..Features::default() }, 8);
                let logits = |setting: Setting<'_>| {
                    let mut rig = Rig::of(&job, setting);
                    rig.forward(&job, setting, false);
                    vec![("logits".to_owned(), rig.per_token(Network::logits))]
                };
                let want = logits(Setting::new(kernels, &alone));
                for threads in [2, 3, 7] {
                    let crew = crew(threads);
                    for split in [Split::Lanes, Split::Units] {
                        let setting = Setting { split: Some(split), ..Setting::new(kernels, &crew) };
                        assert_same(&want, &logits(setting), format_args!("{setting:?} {shape:?}"));
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
            for (kind, job) in kinds(cell, 6) {
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
                            let place = format!("{kernels:?} {cell:?} {kind} chunks of {chunk}: last state");
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
                        format_args!("{kernels:?} {cell:?} {kind} chunks of {chunk}"),
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
            for (kind, job) in kinds(cell, 11) {
                for shards in [1, 2, 3, 4] {
                    let setting = Setting { shards, ..Setting::new(kernels, &crews[0]) };
                    let want = run(&job, setting);
                    for split in [Split::Lanes, Split::Units] {
                        let setting = Setting { shards, split: Some(split), ..Setting::new(kernels, &crews[1]) };
                        assert_same(&want, &run(&job, setting), format_args!("{kind} {setting:?} {cell:?}"));
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
                    assert_same(&weights, &parts[0], format_args!("{kernels:?} {cell:?} {kind} {shards} shards"));
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
            for (kind, job) in kinds(cell, 12) {
                let mut fresh = Rig::of(&job, setting);
                fresh.forward(&job, setting, true);
                fresh.backward_truncated(&job, setting);
                let want = fresh.weight_grads();
                let mut used = Rig::of(&job, setting);
                used.forward(&job, setting, true);
                used.backward(&job, setting);
                let changed = first_difference(&want, &used.weight_grads()).is_some();
                assert!(changed, "the gradients from behind do nothing");
                used.forward(&job, setting, true);
                used.backward_truncated(&job, setting);
                assert_same(&want, &used.weight_grads(), format_args!("{kernels:?} {cell:?} {kind}: second pass"));
            }
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
            for (kind, job) in kinds(cell, 13) {
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
                let Job { scale, dropout, output_dropout, .. } = job;
                let chunk = Chunk { steps, ids: &ids, targets: &targets, scale, dropout, output_dropout };
                long.network.forward(&crew, &kernels, &long.params, &chunk);
                long.network.backward(&crew, &kernels, &long.params, &chunk);
                assert_eq!(short.network.nats(steps), long.network.nats(steps));
                assert_eq!(short.network.final_state(steps), long.network.final_state(steps));
                long.grads.compute(&crew, &kernels, &long.params, &long.network, &ids);
                let what = format!("{kernels:?} {cell:?} {kind}: gradients of a short chunk");
                assert_same(&short.weight_grads(), &long.weight_grads(), what);
                assert_eq!(short.network.initial_grad(), long.network.initial_grad());
            }
        }
    }
}

/// With E the unit matrix each start row is `b + 1 * W + 0 * ...`, and `dW_ih = E^T D` is D: not a bit is different
/// from one-hot symbols.
#[test]
fn the_unit_matrix_as_embedding_is_one_hot() {
    let crew = crew(2);
    for kernels in tiers() {
        let setting = Setting { shards: 3, ..Setting::new(kernels, &crew) };
        for cell in CELLS {
            let one_hot = Job::random(shape(cell), ALL, 14);
            let v = one_hot.shape.inputs;
            let mut embedded = one_hot.clone();
            embedded.embedding = Embedding::Own((0..v * v).map(|i| f64::from(i % (v + 1) == 0)).collect());
            let (want, mut found) = (run(&one_hot, setting), run(&embedded, setting));
            let at = found.iter().position(|(name, _)| name == "embedding.weight").unwrap();
            let (_, d_table) = found.remove(at);
            assert_same(&want, &found, format_args!("{kernels:?} {cell:?}"));
            // dE[s][i] is what symbol s in place of i would have done: a sum of d_W_ih of s over W_ih of i.
            assert!(d_table.iter().filter(|&&d| d != 0.0).count() > v * v / 2);
        }
    }
}

/// The first 8 bytes of SHA-256 over the weights after eight steps from the start that `goldens/README.md` defines, by cell and kind of embedding: they bind
/// machines and FMA tiers to each other. A change of them is a change of bits, which the changelog must name.
const EMBEDDED: [(&str, bool, &str); 6] = [
    ("rnn", false, "1c41b31b2fc65eba"),
    ("rnn", true, "3628142c365f4aa5"),
    ("lstm", false, "824845d22cc216ad"),
    ("lstm", true, "4e6139baff86f328"),
    ("gru", false, "b3df471e6cdc2c52"),
    ("gru", true, "b977e61a71a62650"),
];

#[test]
fn learning_with_an_embedding_has_the_committed_hash() {
    for threads in [1, 2, 3, 7] {
        let crew = crew(threads);
        for kernels in fma_tiers() {
            let hash = |cell: Cell, tied: bool| {
                let (layers, hidden, vocab, steps, lanes, split) = (2, 70, 83, 7, 9, None);
                let (embed, shards, dropout) = (if tied { hidden } else { 21 }, 2, 0.25);
                let model = Model { cell, layers, hidden, vocab, embed, tied, steps, lanes, split, shards, dropout };
                let mut learner = Learner::new(model, 0.125, &crew, &kernels);
                let id = |n: usize| (n * n * 7 + n * 3) as u32 % 61;
                let chunk = |s: usize, shift: usize| (0..63).map(|n| id(n + shift + 63 * s)).collect::<Vec<u32>>();
                for s in 0..8 {
                    learner.step((&crew, &kernels), &chunk(s, 0), &chunk(s, 1), (0.01, 1.0));
                }
                let mut sha256 = Sha256::new();
                learner.weights().iter().flat_map(|(_, t)| t).for_each(|x| sha256.update(x.to_le_bytes()));
                sha256.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>()
            };
            let found = EMBEDDED.map(|(name, tied, _)| {
                let cell = CELLS.into_iter().find(|cell| cell.name() == name).unwrap();
                (name, tied, hash(cell, tied))
            });
            let committed = EMBEDDED.map(|(name, tied, hash)| (name, tied, hash.to_string()));
            assert_eq!(found, committed, "{kernels:?}, {threads} threads: {found:#?}");
        }
    }
}
