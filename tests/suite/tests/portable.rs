//! The portable tier stands on `wide` and `matrixmultiply`: this fails when either is taken out of it.
//!
//! By name: the kernels depend on both, and the tier's file uses both where the work is. By behaviour: a readout of more
//! than 256 units shows the block sums of `matrixmultiply`, which no single chain of additions gives; and the tier
//! agrees with the oracle within its own bound.

use gatemill_kernels::{Cell, Isa, Kernels};
use gatemill_oracle::compare::worst_by_rms;
use gatemill_oracle::{Head, SplitMix64, narrow, widen};
use gatemill_suite::{CELLS, Features, Job, Setting, Shape, crew, reference, run};
use std::path::{Path, PathBuf};

fn kernels_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/kernels")
}

fn read(path: &str) -> String {
    let path = kernels_folder().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The text without comments and tests.
fn code_of(source: &str) -> String {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_tier_is_made_of_wide_and_matrixmultiply() {
    let manifest = read("Cargo.toml");
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap().to_string();
    for package in ["wide", "matrixmultiply"] {
        let named = dependencies.lines().any(|line| line.split(['.', ' ', '=']).next() == Some(package));
        assert!(named, "gatemill-kernels does not depend on {package}:{dependencies}");
    }
    let code = code_of(&read("src/arch/portable.rs"));
    assert!(code.contains("use wide::") && code.contains("struct Portable(f32x16)"), "the vector is wide's");
    for body in ["unsafe fn strided_rows", "unsafe fn tokens"] {
        let body = code.split(body).nth(1).unwrap_or_else(|| panic!("the portable tier has no {body}"));
        let body = body.split("unsafe fn").next().unwrap();
        assert!(body.contains("matrixmultiply::sgemm("), "no matrixmultiply in:{body}");
    }
    for arithmetic in ["self.0 + o.0", "self.0 * o.0", "self.0 / o.0", "self.0.mul_add(", "self.0.sqrt()"] {
        assert!(code.contains(arithmetic), "the vector's arithmetic is not wide's: no `{arithmetic}`");
    }
}

/// Where the tier's GEMM cuts k: block sums are added up, so that k > 256 differs from one chain.
const BLOCK: usize = 256;

/// A logit over `h [K]` and `w [K]` from zero: a chain of fused steps per block of k, the blocks added up in order.
fn logit(h: &[f32], w: &[f32], block: usize) -> f32 {
    let chain = |h: &[f32], w: &[f32]| h.iter().zip(w).fold(0.0_f32, |acc, (&h, &w)| h.mul_add(w, acc));
    h.chunks(block).zip(w.chunks(block)).fold(0.0, |sum, (h, w)| sum + chain(h, w))
}

/// A readout over 700 units: the FMA tiers give the bits of one chain, the portable tier those of blocks of 256.
#[test]
fn the_readout_shows_the_blocks_of_its_gemm() {
    // The avx2 tier is there exactly where AVX2 and FMA are; matrixmultiply looks for the same.
    if !Isa::Avx2.is_available() {
        println!("this CPU has no FMA: matrixmultiply rounds twice here, and its blocks can't be told apart this way");
        return;
    }
    let crew = crew(1);
    let (hidden, vocab) = (700, 40);
    let shape = Shape { cell: Cell::Rnn, layers: 1, inputs: 3, hidden, steps: 1, lanes: 3, vocab: Some(vocab) };
    let mut job = Job::random(shape, Features { symbols: true, ..Features::default() }, 21);
    let random = &mut SplitMix64::new(4);
    job.head = Some(Head { weight: random.symmetric(vocab * hidden, 1.0), bias: vec![0.0; vocab] });
    let weight = narrow(&job.head.as_ref().unwrap().weight);
    for kernels in Kernels::available() {
        let found = run(&job, Setting::new(kernels, &crew));
        let tensor = |name: &str| &found.iter().find(|(n, _)| n == name).unwrap().1;
        let (h, logits) = (tensor("output"), tensor("logits"));
        let agree = |block: usize| {
            (0..logits.len())
                .filter(|&i| {
                    let (lane, v) = (i / vocab, i % vocab);
                    let (h, w) = (&h[lane * hidden..(lane + 1) * hidden], &weight[v * hidden..(v + 1) * hidden]);
                    logits[i].to_bits() == logit(h, w, block).to_bits()
                })
                .count()
        };
        let (chain, blocks) = (agree(hidden), agree(BLOCK));
        println!("{kernels:?}: of {} logits {chain} are one chain, {blocks} are sums of blocks", logits.len());
        if kernels.isa() == Isa::Portable {
            assert!(blocks == logits.len() && chain < blocks, "the portable readout is not matrixmultiply's");
        } else {
            assert!(chain == logits.len() && blocks < chain, "{kernels:?}: the readout is not one chain");
        }
    }
}

/// The tier's own bound against the oracle: 1e-5 of the tensor's size for sizes at which one chain of f32 has 3e-6.
#[test]
fn the_tier_agrees_with_the_oracle() {
    let kernels = Kernels::new(Isa::Portable).unwrap();
    let crew = crew(2);
    let mut worst = (0.0, String::new());
    for cell in CELLS {
        for (hidden, symbols) in [(5, true), (300, false), (64, true)] {
            let shape = Shape { cell, layers: 2, inputs: 33, hidden, steps: 6, lanes: 7, vocab: Some(29) };
            let features = Features { symbols, carried: true, resets: true, dropout: true, output_dropout: true };
            let mut jobs = vec![Job::random(shape, features, hidden as u64)];
            if symbols {
                jobs.push(Job::random(shape, features, hidden as u64).embedded(21, 1));
                jobs.push(Job::random(Shape { vocab: Some(33), ..shape }, features, hidden as u64).tied(1));
            }
            for job in jobs {
                for ((name, want), (_, found)) in reference(&job).iter().zip(run(&job, Setting::new(kernels, &crew))) {
                    let w = worst_by_rms(&widen(&found), want);
                    assert!(w.error < 3e-5, "{cell:?} H {hidden} {name}: {w:?}");
                    if w.error > worst.0 {
                        worst = (w.error, format!("{cell:?} H {hidden} {name}"));
                    }
                }
            }
        }
    }
    println!("portable: largest error {:.1e} at {}", worst.0, worst.1);
    assert!(worst.0 > 1e-8);
}
