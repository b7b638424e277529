//! Readout, softmax, mean cross-entropy in nats, and their gradients.
//!
//! `logits = h W^T + bias`, `p = softmax(logits)`, `loss = -1/N * sum over counted tokens of ln p[target]`. A target
//! equal to V is a symbol never seen: no class, left out of both the sum and N. Where nothing is counted the loss is 0
//! and so is every gradient. Source: lecture L3.

use crate::dot::{Product, Stored, column_sums, matmul, matvec, weight_gradient};
use crate::expect_len;
use crate::lift;
use crate::random::SplitMix64;
use crate::scalar::Scalar;

/// The readout `head.weight`, `head.bias`, or its gradient.
#[derive(Clone, Debug, PartialEq)]
pub struct Head<S> {
    /// `[V, H]`
    pub weight: Vec<S>,
    /// `[V]`
    pub bias: Vec<S>,
}

impl Head<f64> {
    /// Uniform in `-bound..bound`, each value exactly an f32.
    pub fn random(symbols: usize, hidden: usize, bound: f64, random: &mut SplitMix64) -> Self {
        Head { weight: random.symmetric(symbols * hidden, bound), bias: random.symmetric(symbols, bound) }
    }

    /// The same numbers as constants of another scalar.
    pub fn lift<S: Scalar>(&self) -> Head<S> {
        Head { weight: lift(&self.weight), bias: lift(&self.bias) }
    }
}

/// `logits[n] = W h[n] + bias`. Shapes: `h [N, H]`; the result `[N, V]`.
pub fn head_forward<S: Scalar>(head: &Head<S>, h: &[S]) -> Vec<S> {
    let symbols = head.bias.len();
    let hidden = head.weight.len() / symbols;
    expect_len("head.weight [V, H]", head.weight.len(), symbols * hidden);
    let mut logits = Vec::new();
    for h_n in h.chunks_exact(hidden) {
        let product = matvec(&head.weight, h_n, symbols);
        for v in 0..symbols {
            logits.push(product[v] + head.bias[v]);
        }
    }
    logits
}

/// Gradients of [`head_forward`].
#[derive(Clone, Debug, PartialEq)]
pub struct HeadGrads {
    /// `[N, H]` `d_logits W`.
    pub d_h: Vec<f64>,
    /// `weight = d_logits^T h`, `bias` = the column sums of `d_logits`.
    pub head: Head<f64>,
}

/// The way back through the readout. Shapes: `h [N, H]`, `d_logits [N, V]`.
pub fn head_backward(head: &Head<f64>, h: &[f64], d_logits: &[f64]) -> HeadGrads {
    let symbols = head.bias.len();
    let hidden = head.weight.len() / symbols;
    let tokens = h.len() / hidden;
    expect_len("d_logits [N, V]", d_logits.len(), tokens * symbols);
    let back = Product { m: tokens, n: hidden, k: symbols, a: Stored::AsIs, b: Stored::AsIs };
    HeadGrads {
        d_h: matmul(back, d_logits, &head.weight),
        head: Head { weight: weight_gradient(d_logits, h, symbols, hidden), bias: column_sums(d_logits, symbols) },
    }
}

/// `p[v] = e^(logits[v] - max) / sum over v of e^(logits[v] - max)`. Shapes: `logits [V]`; the result `[V]`.
pub fn softmax<S: Scalar>(logits: &[S]) -> Vec<S> {
    let max = max_value(logits);
    let powers: Vec<S> = logits.iter().map(|&a| (a - S::constant(max)).exp()).collect();
    let total = crate::dot::sum(&powers);
    powers.into_iter().map(|p| p / total).collect()
}

/// `ln softmax(logits)[v]`, without the quotient: `logits[v] - max - ln sum over v of e^(logits[v] - max)`.
pub fn log_softmax<S: Scalar>(logits: &[S]) -> Vec<S> {
    let max = S::constant(max_value(logits));
    let mut total = S::constant(0.0);
    for &a in logits {
        total = total + (a - max).exp();
    }
    logits.iter().map(|&a| a - max - total.ln()).collect()
}

/// A mean cross-entropy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss<S> {
    /// Nats per counted token; 0 where none is counted.
    pub mean_nats: S,
    /// N: tokens whose target is a known symbol.
    pub counted: usize,
}

/// Mean cross-entropy over the counted targets. Shapes: `logits [N, V]`, `targets [N]` in `0..=V`.
pub fn cross_entropy<S: Scalar>(logits: &[S], targets: &[usize], symbols: usize) -> Loss<S> {
    let counted = count(targets, symbols, logits.len());
    let mut total = S::constant(0.0);
    for (n, &target) in targets.iter().enumerate() {
        if target < symbols {
            total = total - log_softmax(&logits[n * symbols..(n + 1) * symbols])[target];
        }
    }
    Loss { mean_nats: if counted == 0 { total } else { total / S::constant(counted as f64) }, counted }
}

/// `d_logits[n, v] = (softmax(logits[n])[v] - [v == target]) / N`, zeros where the target is not counted.
///
/// Shapes: `logits [N, V]`, `targets [N]` in `0..=V`; the result `[N, V]`.
pub fn cross_entropy_backward(logits: &[f64], targets: &[usize], symbols: usize) -> Vec<f64> {
    let counted = count(targets, symbols, logits.len());
    let mut d_logits = vec![0.0; logits.len()];
    for (n, &target) in targets.iter().enumerate() {
        if target < symbols {
            let p = softmax(&logits[n * symbols..(n + 1) * symbols]);
            for v in 0..symbols {
                let hit = if v == target { 1.0 } else { 0.0 };
                d_logits[n * symbols + v] = (p[v] - hit) / counted as f64;
            }
        }
    }
    d_logits
}

fn count(targets: &[usize], symbols: usize, logits: usize) -> usize {
    expect_len("logits [N, V]", logits, targets.len() * symbols);
    for (n, &target) in targets.iter().enumerate() {
        assert!(target <= symbols, "target {target} at position {n}: symbols are 0..{symbols}, {symbols} is unseen");
    }
    targets.iter().filter(|&&target| target < symbols).count()
}

fn max_value<S: Scalar>(logits: &[S]) -> f64 {
    logits.iter().map(|a| a.value()).fold(f64::NEG_INFINITY, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::worst_by_max;

    #[test]
    fn equal_logits_cost_ln_v_and_unseen_targets_nothing() {
        let logits = [0.25; 3 * 5];
        let loss = cross_entropy(&logits, &[4, 5, 0], 5);
        assert_eq!(loss.counted, 2);
        assert!((loss.mean_nats - 5f64.ln()).abs() < 1e-15);
        let d_logits = cross_entropy_backward(&logits, &[4, 5, 0], 5);
        assert!(d_logits[5..10].iter().all(|&d| d == 0.0));
        assert!((d_logits[4] - (0.2 - 1.0) / 2.0).abs() < 1e-15);
        assert!((d_logits[0] - 0.2 / 2.0).abs() < 1e-15);
        assert_eq!(cross_entropy(&logits, &[5, 5, 5], 5), Loss { mean_nats: 0.0, counted: 0 });
        assert!(cross_entropy_backward(&logits, &[5, 5, 5], 5).iter().all(|&d| d == 0.0));
    }

    /// Logits of 1000 overflow a softmax without the shift; the loss of the certain symbol is 0, of the others 2000.
    #[test]
    fn large_logits_stay_finite() {
        let logits = [1000.0, -1000.0];
        assert_eq!(softmax(&logits), [1.0, 0.0]);
        assert_eq!(log_softmax(&logits), [0.0, -2000.0]);
    }

    #[test]
    fn log_softmax_is_the_logarithm_of_softmax() {
        let logits = SplitMix64::new(5).symmetric(11, 4.0);
        let logs: Vec<f64> = softmax(&logits).into_iter().map(f64::ln).collect();
        assert!(worst_by_max(&log_softmax(&logits), &logs).error < 1e-14);
        assert!((crate::dot::sum(&softmax(&logits)) - 1.0).abs() < 1e-15);
    }
}
