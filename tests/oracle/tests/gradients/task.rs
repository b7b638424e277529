//! Attention and pools: the hand-written way back against exact differentiation; and the exact derivatives of whole tasks
//! against central differences.

use crate::grid::DUAL_BOUND;
use gatemill_oracle::attention::{attend, attend_backward};
use gatemill_oracle::compare::worst_by_max;
use gatemill_oracle::difference::central_differences;
use gatemill_oracle::pool::{Pool, pool, pool_backward};
use gatemill_oracle::task::{Example, Form, Kind, Weights};
use gatemill_oracle::{Cell, Dual, Scalar, SplitMix64, lift};

/// The derivative of `f` by every element of `x`.
fn exact(f: impl Fn(&[Dual]) -> Dual, x: &[f64]) -> Vec<f64> {
    let mut at: Vec<Dual> = lift(x);
    (0..x.len())
        .map(|e| {
            at[e] = Dual::seed(x[e]);
            let slope = f(&at).du;
            at[e] = Dual::constant(x[e]);
            slope
        })
        .collect()
}

fn agrees(name: &str, found: &[f64], want: &[f64]) {
    let worst = worst_by_max(found, want);
    assert!(worst.error < DUAL_BOUND, "{name}: {worst:?}");
    assert!(want.iter().any(|&d| d != 0.0), "{name}: no gradient at all");
}

#[test]
fn attention_has_its_derivatives() {
    let random = &mut SplitMix64::new(3);
    for (steps, rows, hidden, width) in [(3, 5, 4, 6), (1, 2, 3, 7), (4, 1, 2, 3)] {
        let q = random.symmetric(steps * hidden, 1.5);
        let keys = random.symmetric(rows * hidden, 1.5);
        let values = random.symmetric(rows * width, 1.0);
        let d = random.symmetric(steps * width, 1.0);
        let scalar = |q: &[Dual], keys: &[Dual], values: &[Dual]| {
            let context = attend(q, keys, values, rows).context;
            context.iter().zip(&d).fold(Dual::constant(0.0), |sum, (&c, &d)| sum + c * Dual::constant(d))
        };
        let (q_, k_, v_): (Vec<Dual>, Vec<Dual>, Vec<Dual>) = (lift(&q), lift(&keys), lift(&values));
        let grads = attend_backward(&q, &keys, &values, rows, &d);
        agrees("d_values", &grads.d_values, &exact(|v| scalar(&q_, &k_, v), &values));
        if rows > 1 {
            agrees("d_q", &grads.d_q, &exact(|q| scalar(q, &k_, &v_), &q));
            agrees("d_keys", &grads.d_keys, &exact(|k| scalar(&q_, k, &v_), &keys));
        } else {
            // A memory of one row is looked at whatever is asked.
            assert!(grads.d_q.iter().chain(&grads.d_keys).all(|d| d.abs() < 1e-15));
        }
    }
}

#[test]
fn pools_have_their_derivatives() {
    let random = &mut SplitMix64::new(4);
    let (steps, width) = (5, 6);
    let (y, d) = (random.symmetric(steps * width, 1.0), random.symmetric(width, 1.0));
    for how in [Pool::Last { directions: 1 }, Pool::Last { directions: 2 }, Pool::Mean, Pool::Max] {
        let scalar = |y: &[Dual]| {
            let row = pool(how, y, width);
            row.iter().zip(&d).fold(Dual::constant(0.0), |sum, (&x, &d)| sum + x * Dual::constant(d))
        };
        agrees(&format!("{how:?}"), &pool_backward(how, &y, &d), &exact(scalar, &y));
    }
}

/// A small model of each kind: exact derivatives by dual numbers are those that differences find.
#[test]
fn tasks_have_the_derivatives_of_differences() {
    let (general, dot) = (Some(true), Some(false));
    for (seed, (kind, directions, embed)) in [
        (Kind::Classify(Pool::Max), 2, 0),
        (Kind::Tag, 2, 3),
        (Kind::Translate { attention: general, linear: true }, 2, 0),
        (Kind::Translate { attention: dot, linear: false }, 1, 2),
        (Kind::Describe, 1, 0),
        (Kind::Map, 1, 0),
    ]
    .into_iter()
    .enumerate()
    {
        let random = &mut SplitMix64::new(seed as u64);
        let cell = Cell::ALL[seed % 3];
        let form = Form { kind, cell, layers: 1, hidden: 4, directions, embed, inputs: 5, outputs: 3 };
        let (mut weights, states) = (Weights::new(), if cell.has_c() { 8 } else { 4 });
        let mut add = |name: &str, n: usize| weights.insert(name.to_string(), random.symmetric(n, 0.7));
        let stack = |add: &mut dyn FnMut(&str, usize) -> Option<Vec<f64>>, name: &str, directions, inputs| {
            for suffix in ["l0", "l0_reverse"].iter().take(directions) {
                let rows = cell.gates() * 4;
                add(&format!("{name}.weight_ih_{suffix}"), rows * inputs);
                add(&format!("{name}.weight_hh_{suffix}"), rows * 4);
                add(&format!("{name}.bias_ih_{suffix}"), rows);
                add(&format!("{name}.bias_hh_{suffix}"), rows);
            }
        };
        let of = |symbols| if embed > 0 { embed } else { symbols };
        let (width, classes) =
            (4 * directions, if matches!(kind, Kind::Translate { .. } | Kind::Describe) { 4 } else { 3 });
        match kind {
            Kind::Map => stack(&mut add, "rnn", 1, 5),
            Kind::Classify(_) | Kind::Tag => {
                stack(&mut add, "rnn", directions, of(5));
                add("embedding.weight", 5 * embed);
            }
            Kind::Translate { attention, linear } => {
                stack(&mut add, "encoder", directions, of(5));
                stack(&mut add, "decoder", 1, of(4));
                add("encoder_embedding.weight", 5 * embed);
                add("decoder_embedding.weight", 4 * embed);
                if linear {
                    add("bridge.weight", directions * states * states);
                    add("bridge.bias", states);
                }
                if attention == general {
                    add("attention.weight", 4 * width);
                }
                if attention.is_some() {
                    add("combine.weight", 4 * (width + 4));
                }
            }
            Kind::Describe => {
                stack(&mut add, "decoder", 1, of(4));
                add("bridge.weight", states * 5);
                add("bridge.bias", states);
            }
        }
        let below = if matches!(kind, Kind::Translate { .. } | Kind::Describe) { 4 } else { width };
        add("head.weight", classes * below);
        add("head.bias", classes);
        let random = &mut SplitMix64::new(90 + seed as u64);
        let mut example = |n: usize| {
            let symbols = random.ids(n, 6);
            let output = match kind {
                Kind::Tag => random.ids(n, 4),
                Kind::Classify(_) | Kind::Map => random.ids(1, 3),
                _ => random.ids(n + 1, 4),
            };
            let numbers = if kind == Kind::Map { random.symmetric(5, 1.0) } else { Vec::new() };
            Example { symbols, numbers, output }
        };
        let examples = [example(3), example(1)];
        for name in weights.keys().cloned().collect::<Vec<_>>() {
            let at = weights[&name].clone();
            if at.is_empty() {
                continue;
            }
            let lifted: Weights<Dual> = weights.iter().map(|(name, w)| (name.clone(), lift(w))).collect();
            let dual = |w: &[Dual]| {
                let mut weights = lifted.clone();
                weights.insert(name.clone(), w.to_vec());
                form.loss(&weights, &examples)
            };
            let plain = |w: &[f64]| {
                let mut weights = weights.clone();
                weights.insert(name.clone(), w.to_vec());
                form.loss(&weights, &examples)
            };
            let (want, found) = (exact(dual, &at), central_differences(plain, &at, 1e-5));
            let worst = worst_by_max(&found, &want);
            // A memory of one row, as of the second example, leaves attention's own gradients small.
            assert!(worst.error < 1e-6, "{kind:?}: {name}: {worst:?}");
        }
    }
}
