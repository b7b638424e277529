//! Flat kernels: Adam, SGD, sums, elementwise functions; against the oracle, at every length and offset, beside pages
//! that trap (T17), on wrong lengths, on denormals (N04) and at the ends of their ranges (N03, N08).

mod place;

use gatemill_kernels::{Adam, Isa, Kernels};
use gatemill_oracle::SplitMix64;
use gatemill_oracle::compare::worst_by_rms;
use gatemill_oracle::optim;
use place::Guarded;

fn tiers() -> Vec<Kernels> {
    match std::env::var_os("GATEMILL_ISA") {
        None => Kernels::available().collect(),
        Some(_) => vec![Kernels::from_env().unwrap()],
    }
}

fn reals(n: usize, bound: f64, random: &mut SplitMix64) -> Vec<f32> {
    random.symmetric(n, bound).into_iter().map(|x| x as f32).collect()
}

fn adam_step(step: i32, lr: f64, clip: f32) -> Adam {
    let (beta1, beta2, step) = (0.9, 0.999, f64::from(step));
    Adam {
        clip,
        one_minus_beta1: (1.0 - beta1) as f32,
        beta2: beta2 as f32,
        one_minus_beta2: (1.0 - beta2) as f32,
        step_size: (lr / (1.0 - libm::pow(beta1, step))) as f32,
        inv_sqrt_bias2: (1.0 / (1.0 - libm::pow(beta2, step)).sqrt()) as f32,
        eps: 1e-8,
    }
}

#[test]
fn adam_follows_the_oracle_for_twenty_steps() {
    for kernels in tiers() {
        for len in [16, 32, 400] {
            let random = &mut SplitMix64::new(len as u64);
            let mut w = reals(len, 1.0, random);
            let mut want = gatemill_oracle::widen(&w);
            let (mut m, mut v) = (vec![0.0; len], vec![0.0; len]);
            let mut oracle = optim::Adam::new(0.01);
            let mut worst: f64 = 0.0;
            for step in 1..=20 {
                // Sizes from 1e-6 to 1: the epsilon counts for some elements and not for others.
                let scale = libm::pow(10.0, -f64::from(step % 7));
                let g = reals(len, scale, random);
                let clip = if step % 3 == 0 { 0.25 } else { 1.0 };
                let clipped: Vec<f64> = g.iter().map(|&g| f64::from(g) * f64::from(clip)).collect();
                oracle.update(&mut [&mut want], &[&clipped]);
                kernels.adam(&adam_step(step, 0.01, clip), &mut w, &g, &mut m, &mut v);
                // A moment of both signs may cancel: its error is one of the tensor's size.
                let m_worst = worst_by_rms(&gatemill_oracle::widen(&m), &oracle.m[0]);
                assert!(m_worst.error < 1e-6, "{kernels:?} step {step}: {m_worst:?}");
                for i in 0..len {
                    worst = worst.max((f64::from(w[i]) - want[i]).abs());
                    assert!((f64::from(v[i]) - oracle.v[0][i]).abs() < 2e-6 * oracle.v[0][i].abs().max(1e-14));
                }
            }
            println!("{kernels:?}: adam's weights are within {worst:.2e} after 20 steps of up to 0.01 each");
            assert!(worst < 5e-7, "{kernels:?}: {worst}");
            assert!(w.iter().zip(reals(len, 1.0, &mut SplitMix64::new(len as u64))).all(|(a, b)| *a != b));
        }
    }
}

#[test]
fn sgd_follows_the_oracle_for_twenty_steps() {
    for kernels in tiers() {
        let random = &mut SplitMix64::new(3);
        let mut w = reals(160, 1.0, random);
        let mut want = gatemill_oracle::widen(&w);
        for step in 0..20 {
            let g = reals(160, 1.0, random);
            let clip = if step % 2 == 0 { 0.5 } else { 1.0 };
            let clipped: Vec<f64> = g.iter().map(|&g| f64::from(g) * f64::from(clip)).collect();
            optim::Sgd { lr: f64::from(0.1_f32) }.update(&mut [&mut want], &[&clipped]);
            kernels.sgd(clip, 0.1, &mut w, &g);
        }
        for (w, want) in w.iter().zip(want) {
            assert!((f64::from(*w) - want).abs() < 2e-6, "{kernels:?}: {w} {want}");
        }
    }
}

/// Zero gradients leave padding at zero, and a huge step count or gradient leaves no NaN.
#[test]
fn fault_n08_adam_at_its_ends() {
    for kernels in tiers() {
        let (mut w, mut m, mut v) = (vec![0.0; 16], vec![0.0; 16], vec![0.0; 16]);
        for step in [1, 2, 1_000_000_000] {
            kernels.adam(&adam_step(step, 0.1, 1.0), &mut w, &[0.0; 16], &mut m, &mut v);
            assert!(w.iter().chain(&m).chain(&v).all(|&x| x.to_bits() == 0), "{kernels:?}: padding moved");
        }
        let huge = [1e18_f32; 16];
        kernels.adam(&adam_step(1_000_000_000, 0.1, 1.0), &mut w, &huge, &mut m, &mut v);
        assert!(w.iter().chain(&m).chain(&v).all(|x| x.is_finite()), "{kernels:?}: {w:?}");
        // Gradients whose square underflows: the moment is zero and epsilon alone divides.
        let (mut w, mut m, mut v) = (vec![1.0; 16], vec![0.0; 16], vec![0.0; 16]);
        kernels.adam(&adam_step(1, 0.1, 1.0), &mut w, &[1e-25; 16], &mut m, &mut v);
        assert!(v.iter().all(|&v| v == 0.0) && w.iter().all(|&w| w == 1.0), "{kernels:?}: {w:?} {v:?}");
    }
}

/// The square of 1e20 is infinite in f32 and not in the sum; NaN and infinity come through.
#[test]
fn fault_n02_sum_squares_in_f64() {
    for kernels in tiers() {
        for len in 0..200 {
            let x = reals(len, 3.0, &mut SplitMix64::new(len as u64));
            let want: f64 = x.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
            let found = kernels.sum_squares(&Guarded::ending(len.max(1)).with(x.iter().copied())[..len]);
            assert!((found - want).abs() <= 1e-13 * want, "{kernels:?} {len}: {found} {want}");
            assert_eq!(found.to_bits(), Kernels::new(Isa::Portable).unwrap().sum_squares(&x).to_bits());
        }
        let mut x = vec![1e20_f32; 64];
        assert!((kernels.sum_squares(&x) / 64e40 - 1.0).abs() < 1e-6);
        x[40] = f32::NAN;
        assert!(kernels.sum_squares(&x).is_nan());
        x[40] = f32::NEG_INFINITY;
        assert_eq!(kernels.sum_squares(&x), f64::INFINITY);
    }
}

/// T17: every length to 70 with every offset inside two vectors, between two pages that trap.
#[test]
fn flat_kernels_stay_inside_their_slices() {
    const CANARY: f32 = 4321.0;
    for kernels in tiers() {
        for len in 0..=70_usize {
            let offsets = if len % 16 == 0 { 0..32 } else { 0..3 };
            for offset in offsets {
                for slice in [Guarded::starting(len.max(1), offset), Guarded::ending(len.max(1))] {
                    let x = reals(len, 2.0, &mut SplitMix64::new((len * 64 + offset) as u64));
                    let source = slice.with(x.iter().copied());
                    for which in 0..3 {
                        let mut out = Guarded::ending(len + 1);
                        out.fill(CANARY);
                        let (canary, out) = out.split_first_mut().unwrap();
                        match which {
                            0 => kernels.tanh(&source[..len], out),
                            1 => kernels.sigmoid(&source[..len], out),
                            _ => kernels.exp(&source[..len], out),
                        }
                        assert_eq!(*canary, CANARY);
                        assert!(out.iter().all(|&y| y != CANARY), "{kernels:?} {which} {len}: an element was left out");
                    }
                    let mut sum = Guarded::ending(len + 1);
                    sum.fill(CANARY);
                    let (canary, out) = sum.split_first_mut().unwrap();
                    kernels.add(out, &source[..len]);
                    assert_eq!(*canary, CANARY);
                    assert!(out.iter().zip(&x).all(|(y, x)| *y == CANARY + x), "{kernels:?} add {len}");
                    if len.is_multiple_of(16) && len > 0 {
                        let (mut w, mut m, mut v) = (Guarded::ending(len), Guarded::ending(len), Guarded::ending(len));
                        kernels.adam(&adam_step(1, 0.1, 1.0), &mut w, &source[..len], &mut m, &mut v);
                        kernels.sgd(1.0, 0.1, &mut w, &source[..len]);
                        assert!(w.iter().zip(&x).all(|(w, x)| (*w != 0.0) == (*x != 0.0)));
                    }
                }
            }
        }
    }
}

/// N04: moments never become denormal, whatever comes in, and the FMA tiers flush alike.
#[test]
fn fault_n04_no_moment_is_denormal() {
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
        for step in 1..=5 {
            kernels.adam(&adam_step(step, 0.1, 0.5), &mut w, &g, &mut m, &mut v);
            assert!(!m.iter().chain(&v).any(|x| x.is_subnormal()), "{kernels:?}: a denormal moment");
        }
        assert!(m.iter().any(|&m| m != 0.0) && v.iter().any(|&v| v != 0.0));
        if kernels.isa() != Isa::Portable {
            let bits: Vec<u32> = w.iter().chain(&m).chain(&v).map(|x| x.to_bits()).collect();
            assert!(*first.get_or_insert_with(|| bits.clone()) == bits, "{kernels:?} flushes in another way");
        }
    }
}

/// The flat kernels of both FMA tiers give the same bits.
#[test]
fn fma_tiers_agree() {
    let all: Vec<Kernels> = [Isa::Avx512, Isa::Avx2].into_iter().filter_map(Kernels::new).collect();
    let [a, b] = all[..] else {
        println!("this CPU has {all:?} alone of the tiers that share their bits: nothing to compare here");
        return;
    };
    let random = &mut SplitMix64::new(5);
    let (x, g) = (reals(4000, 90.0, random), reals(4000, 1.0, random));
    let results = [a, b].map(|kernels| {
        let mut out = [x.clone(), x.clone(), x.clone(), x.clone(), x.clone()];
        let [tanh, sigmoid, exp, sum, sgd] = &mut out;
        kernels.tanh(&x, tanh);
        kernels.sigmoid(&x, sigmoid);
        kernels.exp(&x, exp);
        kernels.add(sum, &g);
        kernels.sgd(0.3, 0.7, sgd, &g);
        out.map(|v| v.into_iter().map(f32::to_bits).collect::<Vec<_>>())
    });
    assert!(results[0] == results[1]);
}

macro_rules! refused {
    ($($name:ident: $message:literal, |$k:ident| $call:expr;)+) => {$(
        #[test]
        #[should_panic(expected = $message)]
        fn $name() {
            let $k = Kernels::best();
            $call
        }
    )+};
}

refused! {
    tanh_of_other_lengths: "tanh: lengths differ", |k| k.tanh(&[0.0; 3], &mut [0.0; 4]);
    sigmoid_of_other_lengths: "sigmoid: lengths differ", |k| k.sigmoid(&[0.0; 3], &mut [0.0; 2]);
    exp_of_other_lengths: "exp: lengths differ", |k| k.exp(&[0.0; 3], &mut []);
    add_of_other_lengths: "add: lengths differ", |k| k.add(&mut [0.0; 3], &[0.0; 4]);
    sgd_of_other_lengths: "sgd: lengths 16 and 32", |k| k.sgd(1.0, 1.0, &mut [0.0; 16], &[0.0; 32]);
    sgd_of_half_a_vector: "sgd: lengths 8 and 8", |k| k.sgd(1.0, 1.0, &mut [0.0; 8], &[0.0; 8]);
    adam_of_half_a_vector: "adam: 8 is no whole number of vectors",
        |k| k.adam(&adam_step(1, 0.1, 1.0), &mut [0.0; 8], &[0.0; 8], &mut [0.0; 8], &mut [0.0; 8]);
    adam_of_a_short_gradient: "adam: lengths differ",
        |k| k.adam(&adam_step(1, 0.1, 1.0), &mut [0.0; 32], &[0.0; 16], &mut [0.0; 32], &mut [0.0; 32]);
    adam_of_a_short_moment: "adam: lengths differ",
        |k| k.adam(&adam_step(1, 0.1, 1.0), &mut [0.0; 32], &[0.0; 32], &mut [0.0; 16], &mut [0.0; 32]);
    adam_of_another_short_moment: "adam: lengths differ",
        |k| k.adam(&adam_step(1, 0.1, 1.0), &mut [0.0; 32], &[0.0; 32], &mut [0.0; 32], &mut [0.0; 16]);
}
