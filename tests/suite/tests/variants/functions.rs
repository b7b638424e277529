//! Each activation as a function of one number: an RNN of one unit, one step, weight 1, a lane for each x. Its output is
//! f(x), and its gradient to x is f'(x).

use crate::FUNCTIONS;
use gatemill_cell::{Chunk, Network, NetworkOptions, Params};
use gatemill_kernels::{Activation, Activations, Cell, Input, Kernels, LayerShape, Layout, Variant};
use gatemill_suite::{crew, first_difference, fma_tiers, tiers};
use std::sync::Arc;

/// f(x) and f'(x) of every x.
fn values_and_slopes(kernels: Kernels, f: Activation, clip: Option<f32>, xs: &[f32]) -> Vec<(f32, f32)> {
    let activations = Activations { cell: f, ..Activations::default() };
    let variant = Variant { bias: false, activations, clip, ..Variant::default() };
    let shape = LayerShape { variant, ..LayerShape::new(Cell::Rnn, Input::Dense(1), 1) };
    let (layout, crew) = (Arc::new(Layout::new(&[shape], None)), crew(1));
    let mut params = Params::zeroed(layout.clone()).unwrap();
    params.set("rnn.weight_ih_l0", &[1.0]).unwrap();
    params.derive(&crew, &kernels);
    let options =
        NetworkOptions { steps: 1, lanes: xs.len(), backward: true, input_grad: true, ..NetworkOptions::default() };
    let mut network = Network::new(&layout, options).unwrap();
    for (lane, &x) in xs.iter().enumerate() {
        network.input_mut(0, lane)[0] = x;
        network.output_grad_mut(0, lane)[0] = 1.0;
    }
    let chunk = Chunk { steps: 1, ..Chunk::default() };
    network.forward(&crew, &kernels, &params, &chunk);
    network.backward(&crew, &kernels, &params, &chunk);
    (0..xs.len()).map(|lane| (network.output(0, lane)[0], network.input_grad(0, lane)[0])).collect()
}

/// f(x) and f'(x) in f64; at a corner the slope of the left side.
#[allow(clippy::disallowed_methods, reason = "a reference needs no equal bits between machines: std's functions do")]
fn truth(f: Activation, x: f64) -> (f64, f64) {
    let w = f64::from;
    match f {
        Activation::Sigmoid => {
            let y = 1.0 / (1.0 + (-x).exp());
            (y, y * (1.0 / (1.0 + x.exp())))
        }
        Activation::Tanh => (x.tanh(), 1.0 / x.cosh().powi(2)),
        Activation::Relu => (x.max(0.0), if x > 0.0 { 1.0 } else { 0.0 }),
        Activation::Affine { alpha, beta } => (w(alpha) * x + w(beta), w(alpha)),
        Activation::LeakyRelu { alpha } => {
            if x > 0.0 {
                (x, 1.0)
            } else {
                (w(alpha) * x, w(alpha))
            }
        }
        Activation::ThresholdedRelu { alpha } => {
            if x > w(alpha) {
                (x, 1.0)
            } else {
                (0.0, 0.0)
            }
        }
        Activation::ScaledTanh { alpha, beta } => {
            (w(alpha) * (w(beta) * x).tanh(), w(alpha) * w(beta) / (w(beta) * x).cosh().powi(2))
        }
        Activation::HardSigmoid { alpha, beta } => {
            let line = w(alpha) * x + w(beta);
            (line.clamp(0.0, 1.0), if line > 0.0 && line < 1.0 { w(alpha) } else { 0.0 })
        }
        Activation::Elu { alpha } => {
            if x > 0.0 {
                (x, 1.0)
            } else {
                (w(alpha) * x.exp_m1(), w(alpha) * x.exp())
            }
        }
        Activation::Softsign => (x / (1.0 + x.abs()), 1.0 / (1.0 + x.abs()).powi(2)),
        Activation::Softplus => {
            let y = if x > 0.0 { x + (-x).exp().ln_1p() } else { x.exp().ln_1p() };
            (y, 1.0 / (1.0 + (-x).exp()))
        }
    }
}

/// From -30 to 30, denser near 0, without corners and what rounds to one.
fn many() -> Vec<f32> {
    (-1500..1500).map(|i| (i as f32 + 0.37) / 50.0).chain((-1000..1000).map(|i| (i as f32 + 0.41) * 1.3e-3)).collect()
}

#[test]
fn functions_and_their_slopes_have_their_values() {
    for kernels in tiers() {
        for f in FUNCTIONS {
            let xs = many();
            for (&x, (y, d)) in xs.iter().zip(values_and_slopes(kernels, f, None, &xs)) {
                let (want, slope) = truth(f, f64::from(x));
                // A value to 2 units in the last place of itself; Affine and HardSigmoid of the larger of its terms.
                let scale = match f {
                    Activation::Affine { .. } | Activation::HardSigmoid { .. } => 1f64.max(f64::from(x).abs()),
                    _ => want.abs(),
                };
                let error = (f64::from(y) - want).abs();
                assert!(
                    error <= 2.0 * f64::from(f32::EPSILON) * scale + 1e-30,
                    "{kernels:?} {f:?}({x}) = {y}, not {want}"
                );
                // A slope is taken from the value, whose last place weighs most where the function is flat.
                let error = (f64::from(d) - slope).abs();
                assert!(error <= 4e-7, "{kernels:?} {f:?}'({x}) = {d}, not {slope}");
            }
        }
    }
}

#[test]
fn functions_have_the_same_bits_on_both_fma_tiers() {
    let xs = many();
    let all = |kernels: Kernels| -> Vec<(String, Vec<f32>)> {
        let of = |f| values_and_slopes(kernels, f, Some(7.0), &xs).into_iter().flat_map(|(y, d)| [y, d]).collect();
        FUNCTIONS.iter().map(|&f| (format!("{f:?}"), of(f))).collect()
    };
    for pair in fma_tiers().windows(2) {
        assert_eq!(first_difference(&all(pair[0]), &all(pair[1])), None, "{pair:?}");
    }
}

/// NaN stays NaN, bounded or not; infinities have the limits; a bounded x is no infinity.
#[test]
fn functions_at_the_ends_of_their_range() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    for kernels in tiers() {
        for f in FUNCTIONS {
            for clip in [None, Some(0.5)] {
                let found = values_and_slopes(kernels, f, clip, &[nan])[0].0;
                assert!(found.is_nan(), "{kernels:?} {f:?}(NaN) = {found}, bound {clip:?}");
            }
            let limits = |x: f32| truth(f, f64::from(x) * 1e20).0.clamp(-1e30, 1e30);
            for x in [-1.0, 1.0f32] {
                let found = values_and_slopes(kernels, f, None, &[x * inf])[0].0;
                let found = f64::from(found).clamp(-1e30, 1e30);
                let want = if limits(x).abs() > 1e18 { limits(x).signum() * 1e30 } else { limits(x) };
                assert!((found - want).abs() <= 1e-6 * want.abs().max(1e-20), "{f:?}({x} inf) = {found}, not {want}");
                let found = values_and_slopes(kernels, f, Some(0.5), &[x * inf])[0].0;
                let want = truth(f, f64::from(x) * 0.5).0;
                assert!((f64::from(found) - want).abs() < 1e-6, "{f:?}({x} 0.5) = {found}, not {want}");
            }
        }
    }
}

/// Where x was bounded nothing flows back, at the bound itself neither; just inside it does.
#[test]
fn nothing_flows_back_through_a_bound() {
    let clip = 0.75f32;
    let xs = [-9.0, -0.75, -0.5, 0.5, 0.75, 9.0];
    for kernels in tiers() {
        for f in FUNCTIONS {
            let free = values_and_slopes(kernels, f, None, &xs);
            for ((&x, (y, d)), (_, slope)) in xs.iter().zip(values_and_slopes(kernels, f, Some(clip), &xs)).zip(free) {
                let want = truth(f, f64::from(x.clamp(-clip, clip))).0;
                assert!((f64::from(y) - want).abs() < 1e-6, "{f:?}({x}) bounded = {y}, not {want}");
                let want = if x.abs() < clip { slope } else { 0.0 };
                assert_eq!(d, want, "{kernels:?} {f:?}'({x}) bounded by {clip}");
            }
        }
    }
}
