//! One step of each optimiser on the flat parameters: bytes read and written, beside reading as many.
//!
//! C1's fit the caches; C3's 3.3 million weights, with gradient and moments, come from memory.

use criterion::{Criterion, criterion_group, criterion_main};
use gatemill_benches::layer::{VOCAB, reals};
use gatemill_benches::measure::{Ours, config, kernels, over_memory};
use gatemill_benches::product::hold;
use gatemill_kernels::{Adam, Buffer, Cell, Gradient, Kernels, Layout, Momentum, RootSquare};
use gatemill_oracle::{SplitMix64, optim, widen};

const LR: f64 = 0.002;

/// What an update reads and writes.
struct Flat {
    kernels: Kernels,
    w: Buffer,
    g: Buffer,
    m: Buffer,
    v: Buffer,
}

impl Flat {
    fn new(kernels: Kernels, n: usize) -> Self {
        let random = &mut SplitMix64::new(n as u64);
        let mut filled = |bound: f64| {
            let mut buffer = Buffer::zeroed(n).expect("memory");
            buffer.copy_from_slice(&reals(random, n, bound));
            buffer
        };
        let (w, g) = (filled(0.1), filled(0.01));
        Self { kernels, w, g, m: filled(0.0), v: filled(0.0) }
    }
    fn adam(&mut self) {
        let Self { kernels, w, g, m, v } = self;
        kernels.adam(&Gradient::scaled(1.0), &Adam::new(1, LR, [0.9, 0.999], 1e-8), w, g, m, v);
    }
    fn rmsprop(&mut self) {
        let Self { kernels, w, g, v, .. } = self;
        kernels.root_square(&Gradient::scaled(1.0), &RootSquare::rmsprop(LR, 0.95, 1e-8), w, g, v);
    }
    fn momentum(&mut self) {
        let Self { kernels, w, g, m, .. } = self;
        kernels.momentum(&Gradient::scaled(1.0), &Momentum { mu: 0.9, lr: LR as f32 }, w, g, m);
    }
    fn sgd(&mut self) {
        let Self { kernels, w, g, .. } = self;
        kernels.sgd(&Gradient::scaled(1.0), LR as f32, w, g);
    }
}

/// The oracle's first step.
type Truth = fn(&mut [f64], &[f64]);

/// Each rule with the floats it reads and writes per parameter, and its truth.
const RULES: [(Ours<'_, Flat>, usize, Truth); 4] = [
    (("adam", Flat::adam), 4 + 3, |w, g| optim::Adam::new(LR).update(&mut [w], &[g])),
    (("rmsprop", Flat::rmsprop), 3 + 2, |w, g| optim::RootSquare::rmsprop(LR, 0.95, 1e-8).update(&mut [w], &[g])),
    (("momentum", Flat::momentum), 3 + 2, |w, g| optim::Sgd::new(LR, 0.9).update(&mut [w], &[g])),
    (("sgd", Flat::sgd), 2 + 1, |w, g| optim::Sgd::new(LR, 0.0).update(&mut [w], &[g])),
];

fn update(c: &mut Criterion) {
    let kernels = kernels();
    for (point, layers, hidden) in [("C1", 1, 128), ("C3", 2, 512)] {
        let n = Layout::character_model(Cell::Lstm, layers, hidden, VOCAB, 0, false).params();
        for (ours, floats, truth) in RULES {
            let mut flat = Flat::new(kernels, n);
            let (before, g) = (flat.w.to_vec(), widen(&flat.g));
            let mut expected = widen(&before);
            truth(&mut expected, &g);
            ours.1(&mut flat);
            // What the step moved is held, not the weights that hide it: to what f32 keeps of a weight.
            let worst = flat.w.iter().zip(&expected).map(|(&w, e)| (f64::from(w) - e).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-8, "{}: {worst}", ours.0);
            assert!(flat.w.iter().zip(&before).filter(|(a, b)| a != b).count() > n / 2, "{}: nothing moved", ours.0);
            hold(ours.0, &flat.w, &expected);
            over_memory(
                c,
                &format!("update {} {point}", ours.0),
                kernels,
                4 * floats * n,
                &mut flat,
                &[("gatemill", ours.1)],
            );
        }
    }
}

criterion_group! { name = benches; config = config(); targets = update }
criterion_main!(benches);
