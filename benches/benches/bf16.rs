//! The gate GEMM's k loop in bf16 beside the same loop in f32, on the same packing: `h [B, H] W_hh^T [H, 4H]`, no epilogue.
//!
//! Panels `[panel][k][gate][16]` as bf16 with pairs of k beside each other, h row-major as the epilogue would write it: the
//! question is whether bf16 will fit without moving anything. Each has its own peak. Verified against f64 loops on the
//! rounded operands. A machine without bf16 products says so and measures nothing.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gatemill_benches::layer::reals;
use gatemill_benches::measure::{config, peak};
use gatemill_benches::product::{Operand, Product, hold};
use gatemill_kernels::bf16::{GateProduct, Pairs, round, widen};
use gatemill_kernels::{Buffer, Cell, Input, Kernels, LANES, LayerShape};
use gatemill_oracle::SplitMix64;

fn bf16(c: &mut Criterion) {
    let Some(gates) = GateProduct::detected() else {
        eprintln!("bf16: this CPU has no bf16 products; nothing is measured");
        return;
    };
    let fma = Kernels::best();
    for (lanes, hidden) in [(32, 128), (32, 512), (64, 512)] {
        let shape = LayerShape::new(Cell::Lstm, Input::Symbols(1), hidden);
        let (panels, k, columns) = (shape.panels(), shape.k_h(), 4 * hidden);
        // Rows as a workspace lays them: one vector more than H. Rounded to bf16 in both precisions.
        let (stride, random) = (hidden + LANES, &mut SplitMix64::new(hidden as u64));
        let mut rounded = |n: usize, bound: f64| reals(random, n, bound).into_iter().map(|x| widen(round(x)));
        let h: Vec<f32> = rounded(lanes * stride, 1.0).collect();
        let mut w = Buffer::zeroed(panels.floats(k)).expect("memory");
        w.iter_mut().zip(rounded(panels.floats(k), 1.0 / (hidden as f64).sqrt())).for_each(|(w, x)| *w = x);
        let pairs = Pairs::pack(panels, k, &w).expect("memory");
        let h_bf16: Vec<u16> = h.iter().map(|&x| round(x)).collect();

        let rows = h.chunks_exact(stride).flat_map(|row| &row[..hidden]).copied().collect();
        let plain = (0..k * columns).map(|i| w[panels.at(k, i / columns, i % columns)]).collect();
        let product = Product::new(Operand::new(rows, lanes, hidden), Operand::new(plain, k, columns));
        let mut pre = Buffer::zeroed(panels.floats(lanes)).expect("memory");
        let in_f32 = |out: &mut [f32]| gates.f32(panels, k, &w, (&h, stride), out);
        let in_bf16 = |out: &mut [f32]| gates.bf16(&pairs, (&h_bf16, stride), out);
        for (name, work) in [("f32", &in_f32 as &dyn Fn(&mut [f32])), ("bf16", &in_bf16)] {
            pre.fill(f32::NAN);
            work(&mut pre);
            let row_major: Vec<f32> =
                (0..lanes * columns).map(|i| pre[panels.at(lanes, i / columns, i % columns)]).collect();
            hold(name, &row_major, product.truth());
            let mut group = c.benchmark_group(format!("gate_loop {}/{name}", product.size()));
            let chains = |repeats| if name == "bf16" { gates.chains(repeats) } else { fma.fma_chains(repeats) };
            peak(&mut group, "before", chains);
            group.throughput(Throughput::Elements(product.flop()));
            group.bench_function("gatemill", |b| b.iter(|| work(&mut pre)));
            peak(&mut group, "after", chains);
            group.finish();
        }
    }
}

criterion_group! { name = benches; config = config(); targets = bf16 }
criterion_main!(benches);
