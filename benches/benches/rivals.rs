//! The weight-gradient GEMM beside `matrixmultiply` on the same numbers: dW_hh [H, 4H] = h^T [H, T*B] dA [T*B, 4H].
//!
//! Ours also sums biases and symbol rows in the timed region. Elements are FLOP of the product alone.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gatemill_benches::{Bench, Point};
use gatemill_cell::Cell;
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;

fn weight_gradients(c: &mut Criterion) {
    let kernels = Kernels::from_env().expect("a tier of this machine");
    let crew = Crew::new(1).expect("a thread");
    let (hidden, steps, lanes) = (256, 64, 32);
    let tokens = steps * lanes;
    let point = Point { cell: Cell::Lstm, layers: 1, hidden, steps, lanes, vocab: 16 };
    let mut bench = Bench::verified(point, &crew, &kernels);
    bench.forward(&crew, &kernels);
    bench.backward(&crew, &kernels);
    let spec = bench.params.specs()[1].clone();
    assert_eq!(spec.name, "rnn.weight_hh_l0");
    let ours = bench.params.export(&spec, bench.grads.sum());

    // The same sum over tokens for one unit's input gate, from the rows that backward read: h_{t-1} of every lane.
    let h: Vec<f32> = (0..tokens)
        .flat_map(|n| match n.checked_sub(lanes) {
            Some(before) => bench.network.output(before / lanes, before % lanes).to_vec(),
            None => vec![0.0; hidden],
        })
        .collect();
    let d: Vec<f32> = (0..tokens * 4 * hidden).map(|i| ((i * 7919 % 2003) as f32 - 1001.0) * 1e-4).collect();
    let mut theirs = vec![0.0f32; hidden * 4 * hidden];
    let product = |out: &mut [f32]| {
        let (m, k, n) = (hidden, tokens, 4 * hidden);
        assert!(h.len() == k * m && d.len() == k * n && out.len() == m * n);
        // SAFETY: the three matrices hold m x k (transposed), k x n and m x n floats, just checked.
        unsafe {
            let (a, b, c) = (h.as_ptr(), d.as_ptr(), out.as_mut_ptr());
            matrixmultiply::sgemm(m, k, n, 1.0, a, 1, m as isize, b, n as isize, 1, 0.0, c, n as isize, 1);
        }
    };
    product(&mut theirs);
    let (row, column) = (3, 17);
    let truth: f64 = (0..tokens).map(|t| f64::from(h[t * hidden + row]) * f64::from(d[t * 4 * hidden + column])).sum();
    assert!((f64::from(theirs[row * 4 * hidden + column]) - truth).abs() < 1e-4, "the rival's product is another one");
    assert!(ours.iter().any(|&g| g != 0.0), "a gradient of zeros");

    let mut group = c.benchmark_group(format!("dW_hh {hidden}x{}x{tokens}/1t/{}", 4 * hidden, kernels.name()));
    group.sample_size(20);
    group.throughput(Throughput::Elements(2 * (hidden * 4 * hidden * tokens) as u64));
    group.bench_function("gatemill", |b| b.iter(|| bench.weight_grads(&crew, &kernels)));
    group.bench_function("matrixmultiply", |b| b.iter(|| product(&mut theirs)));
    group.finish();
}

criterion_group!(benches, weight_gradients);
criterion_main!(benches);
