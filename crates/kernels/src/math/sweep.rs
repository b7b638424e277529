//! The bounds of `doc/numerics.md`, held on every tier: a short sweep always, all 2^32 inputs on demand.
//!
//! Each value is compared with f64, in units in the last place of the f32 result; the tiers with FMA also with each
//! other and with the arbiter `Model`, bit for bit. Results below 2^-126 may be 0. All functions map NaN to NaN.
//! `cargo test --release -p gatemill-kernels sweep -- --ignored --nocapture` prints the worst inputs.

use super::{A1, A2};
use crate::arch::model::Model;
use crate::isa::Isa;
use crate::table::Kernels;
use crate::vector::Vector;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// A function under test and what is promised of it.
#[derive(Clone, Copy)]
struct Function {
    name: &'static str,
    run: fn(&Kernels, &[f32], &mut [f32]),
    model: fn(Model) -> Model,
    exact: fn(f64) -> f64,
    /// Largest error in ULP on the tiers with FMA.
    fma: f64,
    /// Largest error in ULP on the portable tier, built without FMA.
    portable: f64,
    /// Least and largest value.
    range: (f32, f32),
    /// Where the method changes: inputs around these are swept densely.
    borders: &'static [f32],
}

#[allow(clippy::disallowed_methods, reason = "the reference: f64, far finer than the f32 result")]
const TANH: Function = Function {
    name: "tanh",
    run: Kernels::tanh,
    model: super::tanh,
    exact: f64::tanh,
    fma: 1.4,
    portable: 1.4,
    range: (-1.0, 1.0),
    borders: &[0.75, 0.866_433_9, 9.010_913, 9.25],
};
#[allow(clippy::disallowed_methods, reason = "the reference: f64, far finer than the f32 result")]
const SIGMOID: Function = Function {
    name: "sigmoid",
    run: Kernels::sigmoid,
    model: super::sigmoid,
    exact: |x| 1.0 / (1.0 + (-x).exp()),
    fma: 1.5,
    portable: 2.0,
    range: (0.0, 1.0),
    borders: &[-88.0, -87.715, -87.336_54, -17.328_68, -16.635_53, -1.074_72, -0.381_57, 0.311_57, 16.635_53, 30.0],
};
#[allow(clippy::disallowed_methods, reason = "the reference: f64, far finer than the f32 result")]
const EXP: Function = Function {
    name: "exp",
    run: Kernels::exp,
    model: super::exp,
    exact: f64::exp,
    fma: 1.3,
    portable: 1.3,
    range: (0.0, f32::INFINITY),
    borders: &[-87.683, -87.336_54, -86.99, -0.346_57, 0.346_57, 88.376, 88.722_83],
};

/// Error of `got` in units in the last place of the f32 next to `exact`; None where `got` breaks a promise outright.
fn ulps(got: f32, exact: f64) -> Option<f64> {
    const TINY: f64 = f32::MIN_POSITIVE as f64;
    if exact.is_nan() || got.is_nan() {
        return (exact.is_nan() && got.is_nan()).then_some(0.0);
    }
    let rounded = exact as f32;
    if rounded.is_infinite() || got.is_infinite() {
        return (rounded == got).then_some(0.0);
    }
    if exact.abs() < TINY {
        return (f64::from(got.abs()) <= TINY && got.is_sign_negative() == exact.is_sign_negative()).then_some(0.0);
    }
    // 2^exponent of `exact`, by its bits, times 2^-23.
    let ulp = f64::from_bits(exact.to_bits() & (0x7ff << 52)) / f64::from(1 << 23);
    Some((f64::from(got) - exact).abs() / ulp)
}

/// The worst error of a tier, where it is, and how often the function fell from one float to the next.
#[derive(Clone, Copy, Debug, Default)]
struct Worst {
    ulps: f64,
    x: f32,
    falls: u64,
}

impl Worst {
    fn merge(&mut self, other: Self) {
        if other.ulps > self.ulps {
            (self.ulps, self.x) = (other.ulps, other.x);
        }
        self.falls += other.falls;
    }
}

/// Holds every tier to its promises on `x`, which has whole vectors; adds what it saw to `worst`.
fn check(f: &Function, tiers: &[Kernels], x: &[f32], arbiter: bool, worst: &mut [Worst]) {
    let exact: Vec<f64> = x.iter().map(|&x| (f.exact)(f64::from(x))).collect();
    let mut out = vec![0.0; x.len()];
    let mut first: Option<Vec<f32>> = None;
    if arbiter {
        first = Some(x.chunks_exact(16).flat_map(|x| arbiter_of(f, x)).collect());
    }
    for (kernels, worst) in tiers.iter().zip(worst) {
        (f.run)(kernels, x, &mut out);
        let bound = if kernels.isa() == Isa::Portable { f.portable } else { f.fma };
        let name = kernels.name();
        let mut before = (f32::NAN, f32::NAN);
        for ((&x, &got), &exact) in x.iter().zip(&out).zip(&exact) {
            let Some(error) = ulps(got, exact) else {
                panic!("{name}: {}({x:e}) = {got:e}, f64 {exact:e}; bits of x {:#010x}", f.name, x.to_bits());
            };
            assert!(
                error <= bound,
                "{name}: {}({x:e}) = {got:e} is off by {error:.3} ULP, bound {bound}; bits of x {:#010x}",
                f.name,
                x.to_bits()
            );
            assert!(got.is_nan() || (f.range.0 <= got && got <= f.range.1), "{name}: {}({x:e}) = {got:e}", f.name);
            worst.merge(Worst {
                ulps: error,
                x,
                falls: u64::from((x > before.0) == (got < before.1) && got != before.1),
            });
            before = if x.is_nan() { (f32::NAN, f32::NAN) } else { (x, got) };
        }
        if kernels.isa() != Isa::Portable {
            match &first {
                None => first = Some(out.clone()),
                Some(first) => same_bits(f, name, x, &out, first),
            }
        }
    }
}

/// Fails at the first input where two FMA implementations differ.
fn same_bits(f: &Function, name: &str, x: &[f32], got: &[f32], first: &[f32]) {
    for ((x, got), first) in x.iter().zip(got).zip(first) {
        let same = got.to_bits() == first.to_bits() || (got.is_nan() && first.is_nan());
        assert!(same, "{}({x:e}) is {got:e} on {name} and {first:e} before it", f.name);
    }
}

/// Sixteen values by the arbiter of bits.
fn arbiter_of(f: &Function, x: &[f32]) -> [f32; 16] {
    // SAFETY: `Model` needs no instructions; the slice is checked to hold 16 floats.
    let lanes = unsafe { Model::load(x[..16].as_ptr()) };
    (f.model)(lanes).to_array()
}

/// Every 4,099th float, 32 on each side of each power of two, 4,096 on each side of each border, of both signs.
fn short_inputs(f: &Function) -> Vec<f32> {
    let mut x: Vec<f32> = (0..=u32::MAX).step_by(4099).map(f32::from_bits).collect();
    for exponent in 0..512u32 {
        let bits = exponent << 23;
        x.extend((0..64).map(|i| f32::from_bits(bits.wrapping_sub(32).wrapping_add(i))));
    }
    for border in f.borders.iter().flat_map(|&b| [b, -b]) {
        let bits = border.to_bits() - 4096;
        x.extend((0..8192).map(|i| f32::from_bits(bits + i)));
    }
    x.resize(x.len().next_multiple_of(16), 0.0);
    x
}

fn short(f: Function) {
    let tiers: Vec<Kernels> = Kernels::available().collect();
    let mut worst = vec![Worst::default(); tiers.len()];
    check(&f, &tiers, &short_inputs(&f), true, &mut worst);
    for (kernels, worst) in tiers.iter().zip(worst) {
        assert!(
            worst.ulps > 0.4,
            "{}: {} of a rounding function cannot be this exact: {worst:?}",
            kernels.name(),
            f.name
        );
    }
}

/// All 2^32 floats, 2^16 at a time, by as many threads as there are CPUs; prints the worst of each tier.
fn full(f: Function) {
    const BLOCK: u64 = 1 << 16;
    let tiers: Vec<Kernels> = Kernels::available().collect();
    let next = AtomicU64::new(0);
    let total = Mutex::new(vec![Worst::default(); tiers.len()]);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut worst = vec![Worst::default(); tiers.len()];
                loop {
                    let begin = next.fetch_add(BLOCK, Ordering::Relaxed);
                    if begin >> 32 != 0 {
                        break;
                    }
                    let x: Vec<f32> = (begin..begin + BLOCK).map(|bits| f32::from_bits(bits as u32)).collect();
                    // The arbiter is slow without FMA instructions; one block in 64 is enough beside the short sweep.
                    check(&f, &tiers, &x, (begin / BLOCK).is_multiple_of(64), &mut worst);
                }
                let mut total = total.lock().expect("no thread panics with the lock");
                for (total, worst) in total.iter_mut().zip(worst) {
                    total.merge(worst);
                }
            });
        }
    });
    for (kernels, Worst { ulps, x, falls }) in tiers.iter().zip(total.into_inner().expect("the threads have ended")) {
        println!("{:8} {:8} {ulps:.4} ULP at {x:e} ({:#010x}), {falls} falls", f.name, kernels.name(), x.to_bits());
    }
}

#[test]
fn tanh_short_sweep() {
    short(TANH);
}
#[test]
fn sigmoid_short_sweep() {
    short(SIGMOID);
}
#[test]
fn exp_short_sweep() {
    short(EXP);
}
#[test]
#[ignore = "long form: cargo xtask torture"]
fn tanh_full_sweep() {
    full(TANH);
}
#[test]
#[ignore = "long form: cargo xtask torture"]
fn sigmoid_full_sweep() {
    full(SIGMOID);
}
#[test]
#[ignore = "long form: cargo xtask torture"]
fn exp_full_sweep() {
    full(EXP);
}

/// The bits of f on every tier for a few inputs.
fn special(f: Function, cases: &[(f32, f32)]) {
    for kernels in Kernels::available() {
        for &(x, expected) in cases {
            let mut out = [f32::NAN];
            (f.run)(&kernels, &[x], &mut out);
            let name = kernels.name();
            assert_eq!(out[0].to_bits(), expected.to_bits(), "{name}: {}({x:e}) = {:e}", f.name, out[0]);
        }
    }
}

#[test]
fn special_values() {
    let (inf, tiny) = (f32::INFINITY, f32::from_bits(1));
    special(
        TANH,
        &[
            (0.0, 0.0),
            (-0.0, -0.0),
            (inf, 1.0),
            (-inf, -1.0),
            (f32::MAX, 1.0),
            (tiny, tiny),
            (-tiny, -tiny),
            (9.1, 1.0),
        ],
    );
    special(
        SIGMOID,
        &[
            (0.0, 0.5),
            (-0.0, 0.5),
            (inf, 1.0),
            (-inf, 0.0),
            (f32::MAX, 1.0),
            (f32::MIN, 0.0),
            (tiny, 0.5),
            (-87.8, 0.0),
        ],
    );
    special(
        EXP,
        &[
            (0.0, 1.0),
            (-0.0, 1.0),
            (inf, inf),
            (-inf, 0.0),
            (f32::MAX, inf),
            (f32::MIN, 0.0),
            (tiny, 1.0),
            (88.73, inf),
        ],
    );
}

#[test]
fn nan_stays_nan_whatever_its_payload() {
    let payloads = [1, 0x7f, 0x80, 0xff, 0x40_0000, 0x40_007f, 0x40_0081, 0x40_00ff, 0x7f_ffff];
    let x: Vec<f32> = payloads.iter().flat_map(|&p| [0x7f80_0000 | p, 0xff80_0000 | p]).map(f32::from_bits).collect();
    let mut out = vec![0.0; x.len()];
    for kernels in Kernels::available() {
        for f in [TANH, SIGMOID, EXP] {
            (f.run)(&kernels, &x, &mut out);
            assert!(out.iter().all(|y| y.is_nan()), "{}: {} of NaNs is {out:?}", kernels.name(), f.name);
        }
    }
}

#[test]
fn tanh_is_odd_bit_for_bit() {
    let x: Vec<f32> = (0..0x7f80_0000u32).step_by(40_009).map(f32::from_bits).collect();
    let negated: Vec<f32> = x.iter().map(|x| -x).collect();
    let (mut plus, mut minus) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    for kernels in Kernels::available() {
        kernels.tanh(&x, &mut plus);
        kernels.tanh(&negated, &mut minus);
        assert!(plus.iter().zip(&minus).all(|(p, m)| (-p).to_bits() == m.to_bits()), "{}", kernels.name());
    }
}

/// The two coefficients against the function they stand for: a slip of a digit would hide under no rounding here.
#[test]
#[allow(clippy::disallowed_methods, reason = "the reference: f64")]
fn coefficients_of_a() {
    for i in 1..=1000 {
        let r = f64::from(i) * (0.3816 / 1000.0);
        let exact = r / (r / 2.0).tanh();
        let fitted = 2.0 + f64::from(A1) * r * r + f64::from(A2) * r.powi(4);
        // Relative error of e^r.
        let error = 2.0 * r * (fitted - exact).abs() / (exact * exact - r * r);
        assert!(error < 3.0e-9, "{error:e} at r = {r}");
    }
}
