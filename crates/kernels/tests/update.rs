//! The optimisers on flat stretches: each rule against the oracle with clipping and weight decay, its bits on both FMA
//! tiers, beside pages that trap (T17), on wrong lengths, on denormals (N04) and at the ends of its range (N08).

mod place;

use gatemill_kernels::{Adam, Gradient, Isa, Kernels, Momentum, RootSquare};
use gatemill_oracle::SplitMix64;
use gatemill_oracle::compare::worst_by_rms;
use gatemill_oracle::{optim, widen};
use place::{Guarded, reals, tiers};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Rule {
    Adam,
    Adamw,
    Rmsprop,
    Adagrad,
    Momentum,
    Sgd,
}

const RULES: [Rule; 6] = [Rule::Adam, Rule::Adamw, Rule::Rmsprop, Rule::Adagrad, Rule::Momentum, Rule::Sgd];

const BETAS: [f64; 2] = [0.9, 0.999];
const EPS: f64 = 1e-8;
/// RMSprop's decay rate and SGD's momentum.
const KEEP: f64 = 0.9;
/// AdamW's weight decay.
const PULL: f64 = 0.3;

impl Rule {
    /// Update number `step`; moments that the rule has none of are left alone.
    fn step(
        self,
        kernels: &Kernels,
        gradient: &Gradient,
        (step, lr): (u64, f64),
        w: &mut [f32],
        g: &[f32],
        [m, v]: [&mut [f32]; 2],
    ) {
        let adam = Adam::new(step, lr, BETAS, EPS);
        let adamw = Adam { pull: (lr * PULL) as f32, ..adam };
        match self {
            Rule::Adam => kernels.adam(gradient, &adam, w, g, m, v),
            Rule::Adamw => kernels.adam(gradient, &adamw, w, g, m, v),
            Rule::Rmsprop => kernels.root_square(gradient, &RootSquare::rmsprop(lr, KEEP, EPS), w, g, v),
            Rule::Adagrad => kernels.root_square(gradient, &RootSquare::adagrad(lr, EPS), w, g, v),
            Rule::Momentum => kernels.momentum(gradient, &Momentum { mu: KEEP as f32, lr: lr as f32 }, w, g, m),
            Rule::Sgd => kernels.sgd(gradient, lr as f32, w, g),
        }
    }
}

/// A rule in f64.
struct Oracle {
    rule: Rule,
    lr: f64,
    adam: optim::Adam,
    square: optim::RootSquare,
    sgd: optim::Sgd,
}

impl Oracle {
    fn new(rule: Rule, lr: f64) -> Self {
        let square = match rule {
            Rule::Adagrad => optim::RootSquare::adagrad(lr, EPS),
            _ => optim::RootSquare::rmsprop(lr, KEEP, EPS),
        };
        let mu = if rule == Rule::Momentum { KEEP } else { 0.0 };
        Self { rule, lr, adam: optim::Adam::new(lr), square, sgd: optim::Sgd::new(lr, mu) }
    }
    fn step(&mut self, gradient: &Gradient, w: &mut [f64], g: &[f32]) {
        let mut g: Vec<f64> = g.iter().map(|&g| f64::from(g) * f64::from(gradient.scale)).collect();
        optim::clip_by_value(&mut [&mut g], f64::from(gradient.limit));
        optim::add_decay(&mut [&mut g], &[w], f64::from(gradient.decay));
        match self.rule {
            Rule::Adam => self.adam.update(&mut [w], &[&g]),
            Rule::Adamw => {
                optim::pull_weights(&mut [&mut *w], self.lr, PULL);
                self.adam.update(&mut [w], &[&g]);
            }
            Rule::Rmsprop | Rule::Adagrad => self.square.update(&mut [w], &[&g]),
            Rule::Momentum | Rule::Sgd => self.sgd.update(&mut [w], &[&g]),
        }
    }
    /// First and second moment, where the rule has them.
    fn moments(&self) -> [Option<&Vec<f64>>; 2] {
        match self.rule {
            Rule::Adam | Rule::Adamw => [self.adam.m.first(), self.adam.v.first()],
            Rule::Rmsprop | Rule::Adagrad => [None, self.square.v.first()],
            Rule::Momentum => [self.sgd.m.first(), None],
            Rule::Sgd => [None, None],
        }
    }
}

/// How gradients are prepared: not at all, clipped by norm in some steps, by value, with weight decay, with both.
fn preparations(step: u64) -> [Gradient; 4] {
    let scale = if step.is_multiple_of(3) { 0.25 } else { 1.0 };
    [
        Gradient::scaled(scale),
        Gradient { limit: 0.02, ..Gradient::scaled(1.0) },
        Gradient { decay: 0.01, ..Gradient::scaled(scale) },
        Gradient { scale: 0.5, limit: 0.02, decay: 0.01 },
    ]
}

#[test]
fn every_rule_follows_the_oracle_for_twenty_steps() {
    for kernels in tiers() {
        for rule in RULES {
            let mut worst: f64 = 0.0;
            for (len, which) in [(16, 0), (400, 0), (32, 1), (400, 2), (48, 3), (400, 3)] {
                let random = &mut SplitMix64::new(len as u64);
                let start = reals(len, 1.0, random);
                let (mut w, mut want) = (start.clone(), widen(&start));
                let (mut m, mut v) = (vec![0.0; len], vec![0.0; len]);
                let mut oracle = Oracle::new(rule, 0.01);
                let mut cut = 0;
                for step in 1..=20 {
                    // Sizes from 1e-6 to 1: the epsilon counts for some elements and not for others.
                    let g = reals(len, libm::pow(10.0, -((step % 7) as f64)), random);
                    let gradient = preparations(step)[which];
                    cut += g.iter().filter(|g| (**g * gradient.scale).abs() > gradient.limit).count();
                    oracle.step(&gradient, &mut want, &g);
                    rule.step(&kernels, &gradient, (step, 0.01), &mut w, &g, [&mut m, &mut v]);
                    let [want_m, want_v] = oracle.moments();
                    let place = format!("{kernels:?} {rule:?} {gradient:?} step {step}");
                    match want_m {
                        // A moment of both signs may cancel: its error is one of the tensor's size.
                        Some(want) => assert!(worst_by_rms(&widen(&m), want).error < 1e-6, "{place}"),
                        None => assert!(m.iter().all(|&m| m == 0.0), "{place}"),
                    }
                    for i in 0..len {
                        worst = worst.max((f64::from(w[i]) - want[i]).abs());
                        let want = want_v.map_or(0.0, |v| v[i]);
                        let error = (f64::from(v[i]) - want).abs();
                        assert!(error <= 2e-6 * want.max(1e-14), "{place}: v[{i}] is {}, not {want}", v[i]);
                    }
                }
                assert_eq!(cut > len, which % 2 == 1, "{cut} elements were cut by value");
                assert!(w.iter().zip(&start).all(|(a, b)| a != b), "{kernels:?} {rule:?}: a weight did not move");
            }
            println!("{kernels:?} {rule:?}: weights are within {worst:.2e} of the oracle's after 20 steps");
            let bound = if matches!(rule, Rule::Adam | Rule::Adamw) { 5e-7 } else { 1e-6 };
            assert!(worst < bound, "{kernels:?} {rule:?}: {worst}");
        }
    }
}

/// Adam with no more than a factor on its gradient, one float at a time: the bits that committed hashes rest on.
#[test]
fn adam_without_limit_and_decay_is_its_formula_bit_for_bit() {
    let flush = |x: f32| (x + f32::from_bits(25 << 23)) - f32::from_bits(25 << 23);
    for kernels in tiers().into_iter().filter(|k| k.isa() != Isa::Portable) {
        let random = &mut SplitMix64::new(23);
        let mut w = reals(512, 1.0, random);
        w[3] = -0.0;
        let (mut m, mut v) = (vec![0.0; 512], vec![0.0; 512]);
        let mut want: Vec<[f32; 3]> = w.iter().map(|&w| [w, 0.0, 0.0]).collect();
        for step in 1..=10 {
            let mut g = reals(512, libm::pow(10.0, -((step * 4 % 23) as f64)), random);
            g[3] = -0.0;
            let (clip, a) = (if step % 2 == 0 { 0.3 } else { 1.0 }, Adam::new(step, 0.01, BETAS, EPS));
            kernels.adam(&Gradient::scaled(clip), &a, &mut w, &g, &mut m, &mut v);
            for ([w, m, v], g) in want.iter_mut().zip(g) {
                let g = flush(g * clip);
                *m = flush(a.one_minus_beta1.mul_add(g - *m, *m));
                *v = flush((a.one_minus_beta2 * g).mul_add(g, *v * a.beta2));
                *w = (-a.step_size).mul_add(*m / v.sqrt().mul_add(a.inv_sqrt_bias2, a.eps), *w);
            }
            for (i, want) in want.iter().enumerate() {
                assert_eq!([w[i], m[i], v[i]].map(f32::to_bits), want.map(f32::to_bits), "{kernels:?} {step}: {i}");
            }
        }
    }
}

/// Zero gradients leave padding at zero, a huge step count or gradient leaves no NaN, and no epsilon divides by zero.
#[test]
fn fault_n08_rules_at_their_ends() {
    for kernels in tiers() {
        for rule in RULES {
            let place = format!("{kernels:?} {rule:?}");
            for gradient in preparations(1) {
                let (mut w, mut m, mut v) = (vec![0.0; 16], vec![0.0; 16], vec![0.0; 16]);
                for step in [1, 2, 1_000_000_000] {
                    rule.step(&kernels, &gradient, (step, 0.1), &mut w, &[0.0; 16], [&mut m, &mut v]);
                    assert!(w.iter().chain(&m).chain(&v).all(|&x| x.to_bits() == 0), "{place}: padding moved");
                }
                let at = (1_000_000_000, 0.1);
                rule.step(&kernels, &gradient, at, &mut w, &[1e18; 16], [&mut m, &mut v]);
                assert!(w.iter().chain(&m).chain(&v).all(|x| x.is_finite()), "{place}: {w:?}");
            }
            // A square beyond f32: the weight stays or moves, but is a number.
            let (mut w, mut m, mut v) = (vec![1.0; 16], vec![0.0; 16], vec![0.0; 16]);
            rule.step(&kernels, &Gradient::scaled(1.0), (1, 0.1), &mut w, &[1e30; 16], [&mut m, &mut v]);
            assert!(w.iter().all(|w| w.is_finite()), "{place}: {w:?}");
            // Gradients whose square underflows: it is zero and epsilon alone divides.
            let (mut w, mut m, mut v) = (vec![1.0; 16], vec![0.0; 16], vec![0.0; 16]);
            rule.step(&kernels, &Gradient::scaled(1.0), (1, 0.1), &mut w, &[1e-25; 16], [&mut m, &mut v]);
            let want = if rule == Rule::Adamw { 1.0 - 0.1 * PULL as f32 } else { 1.0 };
            assert!(v.iter().all(|&v| v == 0.0) && w.iter().all(|&w| w == want), "{place}: {w:?} {v:?}");
        }
        for eps in [0.0, 1e-300] {
            let (mut w, mut m, mut v) = (vec![0.0; 16], vec![0.0; 16], vec![0.0; 16]);
            let plain = Gradient::scaled(1.0);
            kernels.adam(&plain, &Adam::new(1, 0.1, BETAS, eps), &mut w, &[0.0; 16], &mut m, &mut v);
            kernels.root_square(&plain, &RootSquare::rmsprop(0.1, KEEP, eps), &mut w, &[0.0; 16], &mut v);
            kernels.root_square(&plain, &RootSquare::adagrad(0.1, eps), &mut w, &[0.0; 16], &mut v);
            assert!(w.iter().all(|&w| w == 0.0), "{kernels:?}: eps {eps:e} moves padding: {w:?}");
        }
    }
}

/// What the norm did not find is not hidden by the limit.
#[test]
fn a_nan_gradient_is_not_cut_to_the_limit() {
    for kernels in tiers() {
        for rule in RULES {
            let (mut w, mut m, mut v) = (vec![1.0; 16], vec![0.0; 16], vec![0.0; 16]);
            let g: Vec<f32> = (0..16).map(|i| if i == 5 { f32::NAN } else { 1.0 }).collect();
            rule.step(&kernels, &preparations(1)[3], (1, 0.1), &mut w, &g, [&mut m, &mut v]);
            assert!((0..16).all(|i| w[i].is_nan() == (i == 5)), "{kernels:?} {rule:?}: {w:?}");
        }
    }
}

/// T17: with every offset inside two vectors, between two pages that trap; nothing but the slices is written.
#[test]
fn rules_stay_inside_their_slices() {
    for kernels in tiers() {
        for rule in RULES {
            for len in [16, 32, 48, 64] {
                let x = reals(len, 2.0, &mut SplitMix64::new(len as u64));
                for offset in 0..32 {
                    for source in [Guarded::starting(len, offset), Guarded::ending(len)] {
                        let g = source.with(x.iter().copied());
                        let [mut w, mut m, mut v] = [0, 1, 2].map(|_| Guarded::ending(len));
                        rule.step(&kernels, &preparations(1)[0], (1, 0.1), &mut w, &g, [&mut m, &mut v]);
                        assert!(w.iter().zip(&x).all(|(w, x)| (*w != 0.0) == (*x != 0.0)), "{kernels:?} {rule:?}");
                    }
                }
            }
        }
    }
}

/// N04: moments never become denormal, whatever comes in, and the FMA tiers flush alike.
#[test]
fn fault_n04_no_moment_is_denormal() {
    for rule in RULES {
        for which in 0..4 {
            let mut first: Option<Vec<u32>> = None;
            for kernels in tiers() {
                let random = &mut SplitMix64::new(17);
                let len = 4096;
                let tiny = |random: &mut SplitMix64| {
                    f32::from_bits((random.next_u64() as u32 & 0x80ff_ffff) + (random.next_u64() as u32 & 0x1800_0000))
                };
                let g: Vec<f32> = (0..len).map(|_| tiny(random)).collect();
                let mut w: Vec<f32> = (0..len).map(|_| tiny(random)).collect();
                let (mut m, mut v) = (w.clone(), w.iter().map(|x| x.abs()).collect::<Vec<_>>());
                assert!(g.iter().filter(|x| x.is_subnormal()).count() > len / 20);
                let (had_m, had_v) = (m.clone(), v.clone());
                for step in 1..=5 {
                    let gradient = Gradient { scale: 0.5, ..preparations(1)[which] };
                    rule.step(&kernels, &gradient, (step, 0.1), &mut w, &g, [&mut m, &mut v]);
                    for (had, now) in [(&had_m, &m), (&had_v, &v)] {
                        let untouched = had == now;
                        assert!(untouched || !now.iter().any(|x| x.is_subnormal()), "{kernels:?} {rule:?}: denormal");
                    }
                }
                assert!(m.iter().any(|&m| m != 0.0) && v.iter().any(|&v| v != 0.0));
                if kernels.isa() != Isa::Portable {
                    let bits: Vec<u32> = w.iter().chain(&m).chain(&v).map(|x| x.to_bits()).collect();
                    assert!(*first.get_or_insert_with(|| bits.clone()) == bits, "{kernels:?} {rule:?}: other bits");
                }
            }
        }
    }
}

/// Both FMA tiers give the same bits, for every rule and preparation.
#[test]
fn fma_tiers_agree_on_every_rule() {
    let all: Vec<Kernels> = [Isa::Avx512, Isa::Avx2].into_iter().filter_map(Kernels::new).collect();
    let [a, b] = all[..] else {
        println!("this CPU has {all:?} alone of the tiers that share their bits: nothing to compare here");
        return;
    };
    for rule in RULES {
        for which in 0..4 {
            let results = [a, b].map(|kernels| {
                let random = &mut SplitMix64::new(5);
                let (mut w, mut m, mut v) = (reals(4000, 1.0, random), vec![0.0; 4000], vec![0.0; 4000]);
                for step in 1..=8 {
                    let g = reals(4000, libm::pow(10.0, -((step % 7) as f64)), random);
                    rule.step(&kernels, &preparations(step)[which], (step, 0.03), &mut w, &g, [&mut m, &mut v]);
                }
                [w, m, v].map(|x| x.into_iter().map(f32::to_bits).collect::<Vec<_>>())
            });
            assert!(results[0] == results[1], "{rule:?}, preparation {which}");
        }
    }
}

/// A step of `rule` on slices of these lengths: w, g, m, v.
fn refused(rule: Rule, [w, g, m, v]: [usize; 4]) {
    let [mut w, g, mut m, mut v] = [w, g, m, v].map(|len| vec![0.0; len]);
    rule.step(&Kernels::best(), &Gradient::scaled(1.0), (1, 0.1), &mut w, &g, [&mut m, &mut v]);
}

macro_rules! refused {
    ($($name:ident: $message:literal, $rule:ident $lengths:expr;)+) => {$(
        #[test]
        #[should_panic(expected = $message)]
        fn $name() {
            refused(Rule::$rule, $lengths);
        }
    )+};
}

refused! {
    sgd_of_other_lengths: "sgd: lengths differ: 16 and [32]", Sgd [16, 32, 0, 0];
    sgd_of_half_a_vector: "sgd: 8 is no whole number of vectors", Sgd [8, 8, 0, 0];
    momentum_of_half_a_vector: "momentum: 40 is no whole number of vectors", Momentum [40, 40, 40, 0];
    momentum_of_a_short_gradient: "momentum: lengths differ", Momentum [32, 16, 32, 0];
    momentum_of_a_short_moment: "momentum: lengths differ", Momentum [32, 32, 16, 0];
    rmsprop_of_half_a_vector: "root square: 8 is no whole number of vectors", Rmsprop [8, 8, 0, 8];
    rmsprop_of_a_short_gradient: "root square: lengths differ", Rmsprop [32, 16, 0, 32];
    adagrad_of_a_short_moment: "root square: lengths differ", Adagrad [32, 32, 0, 16];
    adam_of_half_a_vector: "adam: 8 is no whole number of vectors", Adam [8, 8, 8, 8];
    adam_of_a_short_gradient: "adam: lengths differ", Adam [32, 16, 32, 32];
    adam_of_a_short_moment: "adam: lengths differ", Adam [32, 32, 16, 32];
    adamw_of_another_short_moment: "adam: lengths differ", Adamw [32, 32, 32, 16];
}
