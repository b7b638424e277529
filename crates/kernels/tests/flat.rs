//! Flat kernels: sums, elementwise functions; at every length and offset, beside pages that trap (T17), on wrong
//! lengths, at the ends of their ranges (N02). The optimisers: `update.rs`.

mod place;

use gatemill_kernels::{Isa, Kernels};
use gatemill_oracle::SplitMix64;
use place::{Guarded, reals, tiers};

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
                }
            }
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
        let mut out = [x.clone(), x.clone(), x.clone(), x.clone()];
        let [tanh, sigmoid, exp, sum] = &mut out;
        kernels.tanh(&x, tanh);
        kernels.sigmoid(&x, sigmoid);
        kernels.exp(&x, exp);
        kernels.add(sum, &g);
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
}
