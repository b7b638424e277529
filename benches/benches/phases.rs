//! Forward and the whole step of each cell at C1 and C2, on one worker and on all.
//!
//! Elements are FLOP (design section 8): criterion's "Gelem/s" is GFLOP/s.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gatemill_benches::measure::config;
use gatemill_benches::{Bench, Point};
use gatemill_cell::Cell;
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;

fn phases(c: &mut Criterion) {
    let kernels = Kernels::from_env().expect("a tier of this machine");
    for (name, layers, hidden, steps, lanes) in [("C1", 1, 128, 50, 50), ("C2", 2, 256, 64, 32)] {
        for cell in [Cell::Lstm, Cell::Gru, Cell::Rnn] {
            for threads in [1, Crew::available()] {
                let crew = Crew::new(threads).expect("threads");
                let point = Point { cell, layers, hidden, steps, lanes, vocab: 65 };
                let mut bench = Bench::verified(point, &crew, &kernels);
                let mut group = c.benchmark_group(format!("{name}/{}/{threads}t/{}", cell.name(), kernels.name()));
                group.sample_size(10);
                group.throughput(Throughput::Elements((point.flop() / 3.0) as u64));
                group.bench_function("forward", |b| b.iter(|| bench.forward(&crew, &kernels)));
                group.throughput(Throughput::Elements(point.flop() as u64));
                group.bench_function("forward+backward+weights", |b| {
                    b.iter(|| {
                        bench.forward(&crew, &kernels);
                        bench.backward(&crew, &kernels);
                    });
                });
                group.finish();
            }
        }
    }
}

criterion_group! { name = benches; config = config(); targets = phases }
criterion_main!(benches);
