//! What PyTorch computed for character models (goldens/README.md), computed again: one pass, 200 steps.
//!
//! The oracle is held to PyTorch's f64 at 1e-10 (T6); the kernels to the same numbers at 2e-6 forward and 1e-5 backward,
//! relative to the tensor's largest element; losses of training to 1e-5 over 200 steps.

use gatemill_kernels::{Cell, Kernels};
use gatemill_oracle::compare::worst_by_max;
use gatemill_oracle::{Head, widen};
use gatemill_suite::{
    CELLS, Embedding, Features, Golden, Job, Learner, Model, Setting, Shape, crew, golden_path, reference, run, tiers,
};
use sha2::{Digest, Sha256};

fn usizes(data: &[f64]) -> Vec<usize> {
    data.iter().map(|&x| x as usize).collect()
}

/// A job of this shape with nothing in it yet.
fn empty(shape: Shape, symbols: bool) -> Job {
    Job::random(shape, Features { symbols, ..Features::default() }, 0)
}

/// A golden's given half as a job.
fn job_of(cell: Cell, golden: &Golden) -> Job {
    let layers = golden.tensor("h0").shape[0];
    let hidden = golden.tensor("h0").shape[2];
    let width = golden.tensor("rnn.weight_ih_l0").shape[1];
    let vocab = golden.get("head.bias").map(|b| b.shape[0]);
    let symbols = golden.get("ids").is_some();
    let inputs = vocab.filter(|_| symbols).unwrap_or(width);
    let time = if symbols { golden.tensor("ids") } else { golden.tensor("x") };
    let (steps, lanes) = (time.shape[0], time.shape[1]);
    let mut job = empty(Shape { cell, layers, inputs, hidden, steps, lanes, vocab }, symbols);
    job.embedding = match golden.get("embedding.weight") {
        Some(table) => Embedding::Own(table.data.clone()),
        None if width != inputs => Embedding::Tied,
        None => Embedding::None,
    };
    for (name, tensor) in job.params.tensors_mut() {
        tensor.clone_from(&golden.tensor(&format!("rnn.{name}")).data);
    }
    if vocab.is_some() {
        let head = |name: &str| golden.tensor(name).data.clone();
        job.head = Some(Head { weight: head("head.weight"), bias: head("head.bias") });
        job.targets = usizes(&golden.tensor("targets").data);
        job.scale = 1.0 / (steps * lanes) as f32;
    } else {
        job.d_y.clone_from(&golden.tensor("d_top").data);
        job.d_h_last.clone_from(&golden.tensor("d_h_n").data);
        if cell == Cell::Lstm {
            job.d_c_last.clone_from(&golden.tensor("d_c_n").data);
        }
    }
    if symbols {
        job.ids = usizes(&time.data);
    } else {
        job.x.clone_from(&time.data);
    }
    job.h0.clone_from(&golden.tensor("h0").data);
    if cell == Cell::Lstm {
        job.c0.clone_from(&golden.tensor("c0").data);
    }
    job
}

/// What a run's tensor is called in a golden.
fn golden_name(name: &str) -> String {
    match name {
        "output" => "f64.top".into(),
        "h_n" | "c_n" | "logits" => format!("f64.{name}"),
        _ => format!("f64.grad.{}", name.strip_prefix("d_").unwrap_or(name)),
    }
}

/// Holds named tensors against a golden; the largest error relative to its bound, and the names that were compared.
fn hold(found: &[(String, Vec<f64>)], golden: &Golden, bound: impl Fn(bool) -> f64, place: &str) -> Vec<String> {
    let mut compared = Vec::new();
    let mut worst: (f64, String) = (0.0, String::new());
    for (name, found) in found {
        if name == "nats" {
            let objective = golden.tensor("f64.objective").data[0];
            let mean = found.iter().sum::<f64>() / found.len() as f64;
            assert!((mean - objective).abs() <= bound(true) * objective, "{place}: {mean} nats, not {objective}");
            compared.push("objective".to_string());
            continue;
        }
        if name == "d_logits" {
            continue; // torch gives no gradient to what is no leaf; head.bias and head.weight stand for it
        }
        let key = golden_name(name);
        let want = golden.tensor(&key);
        let w = worst_by_max(found, &want.data);
        let bound = bound(!key.contains("grad"));
        assert!(w.error <= bound, "{place}: {name} {w:?}: more than {bound:e}");
        if w.error / bound > worst.0 {
            worst = (w.error / bound, name.clone());
        }
        compared.push(key["f64.".len()..].to_string());
    }
    println!("{place}: {:.2} of the bound at {}", worst.0, worst.1);
    compared.sort_unstable();
    compared
}

#[test]
fn one_pass_gives_pytorchs_numbers() {
    let crew = crew(2);
    for cell in CELLS {
        for case in ["ids_2x17", "ids_1x8", "embed_2x13", "tied_1x7", "dense_2x9"] {
            let name = format!("{}_{case}.safetensors", cell.name());
            let golden = Golden::read(&name);
            let job = job_of(cell, &golden);
            assert_eq!(job.table().is_some(), case.starts_with("embed") || case.starts_with("tied"));
            let mut want = golden.names("f64.");
            if job.head.is_none() {
                want.retain(|name| *name != "objective"); // a product with gradients, held by the gradients themselves
            }
            let oracle = hold(&reference(&job), &golden, |_| 1e-10, &format!("{name} oracle"));
            assert_eq!(oracle, want, "{name}: not everything in the golden was compared");
            for kernels in tiers() {
                let found: Vec<_> =
                    run(&job, Setting::new(kernels, &crew)).into_iter().map(|(name, t)| (name, widen(&t))).collect();
                let place = format!("{name} {}", kernels.name());
                let bound = |forward: bool| if forward { 2e-6 } else { 1e-5 };
                assert_eq!(hold(&found, &golden, bound, &place), want);
            }
        }
    }
}

fn hex(digest: impl AsRef<[u8]>) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 over the f32 little-endian bytes of each weight, in the order of the files.
fn weights_sha256(learner: &Learner) -> String {
    let mut hash = Sha256::new();
    for (_, tensor) in learner.weights() {
        tensor.iter().for_each(|x| hash.update(x.to_le_bytes()));
    }
    hex(hash.finalize())
}

#[test]
fn two_hundred_steps_follow_pytorchs_losses() {
    let path = golden_path("losses.json");
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let size = |at: &serde_json::Value| usize::try_from(at.as_u64().unwrap()).unwrap();
    let numbers =
        |at: &serde_json::Value| at.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect::<Vec<_>>();
    let text = gatemill_corpus::builtin::text(size(&json["text"]["bytes"]), json["text"]["seed"].as_u64().unwrap());
    assert_eq!(
        hex(Sha256::digest(&text)),
        json["text"]["sha256"].as_str().unwrap(),
        "the built-in text is another one than that of losses.json: run `generate.py losses`"
    );
    let symbols: Vec<char> = std::str::from_utf8(&text).unwrap().chars().collect();
    let mut vocab = symbols.clone();
    vocab.sort_unstable();
    vocab.dedup();
    assert_eq!(vocab.len(), size(&json["text"]["symbols"]));
    let tokens: Vec<u32> = symbols.iter().map(|c| vocab.binary_search(c).unwrap() as u32).collect();
    let (lanes, steps) = (size(&json["batch"]), size(&json["seq"]));
    let stretch = (tokens.len() - 1) / lanes;
    let chunk = |s: usize, shift: usize| -> Vec<u32> {
        (0..steps)
            .flat_map(|t| (0..lanes).map(move |b| b * stretch + s * steps + t + shift))
            .map(|n| tokens[n])
            .collect()
    };
    let crew = crew(1);
    for kernels in tiers() {
        for one in json["runs"].as_array().unwrap() {
            let cell = CELLS.into_iter().find(|c| c.name() == one["cell"].as_str().unwrap()).unwrap();
            let (layers, hidden) = (size(&one["layers"]), size(&one["hidden"]));
            let vocab = vocab.len();
            let (embed, tied) = (0, false);
            let (split, shards, dropout) = (None, 1, 0.0);
            let model = Model { cell, layers, hidden, vocab, embed, tied, steps, lanes, split, shards, dropout };
            let mut learner = Learner::new(model, json["start_bound"].as_f64().unwrap() as f32, &crew, &kernels);
            assert_eq!(weights_sha256(&learner), one["start_weights_sha256"].as_str().unwrap());
            let (want, norms) = (numbers(&one["f64_train_nats"]), numbers(&one["f64_grad_norm"]));
            let (lr, clip) = (json["lr"].as_f64().unwrap(), one["clip_norm"].as_f64().unwrap());
            assert_eq!((want.len(), norms.len()), (size(&json["steps"]), size(&json["steps"])));
            let (mut worst, mut worst_norm) = (0.0_f64, 0.0_f64);
            for (s, (want, want_norm)) in want.iter().zip(&norms).enumerate() {
                let (nats, norm) = learner.step((&crew, &kernels), &chunk(s, 0), &chunk(s, 1), (lr, clip));
                worst = worst.max((nats - want).abs());
                worst_norm = worst_norm.max((norm / want_norm - 1.0).abs());
                let place = format!("{} {} {layers}x{hidden} step {s}", kernels.name(), cell.name());
                assert!((nats - want).abs() < 1e-5, "{place}: {nats} nats, not {want}");
                assert!((norm / want_norm - 1.0).abs() < 1e-4, "{place}: norm {norm}, not {want_norm}");
            }
            println!(
                "{} {} {layers}x{hidden}: losses within {worst:.1e}, norms within {worst_norm:.1e}",
                kernels.name(),
                cell.name()
            );
            assert!(want[199] < want[0] - 0.5, "the golden learns");
        }
    }
}

/// Blocks of `[G*H, ...]` in the order given.
fn reordered(data: &[f64], gates: &[usize]) -> Vec<f64> {
    let block = data.len() / gates.len();
    gates.iter().flat_map(|&g| data[g * block..(g + 1) * block].to_vec()).collect()
}

/// The goldens tell gate orders apart: two gates exchanged are far from PyTorch's numbers.
#[test]
fn exchanged_gates_are_found() {
    let kernels: Kernels = tiers()[0];
    let crew = crew(1);
    let golden = Golden::read("gru_ids_1x8.safetensors");
    let mut job = job_of(Cell::Gru, &golden);
    let layer = &mut job.params.layers[0];
    layer.bias_hh = reordered(&layer.bias_hh, &[1, 0, 2]);
    let found = run(&job, Setting::new(kernels, &crew));
    let worst = worst_by_max(&widen(&found[0].1), &golden.tensor("f64.top").data);
    assert!(worst.error > 1e-3, "{worst:?}");
}
