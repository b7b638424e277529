//! Global gradient norm, clipping by it and by value, weight decay, Adam, RMSprop, Adagrad and SGD, as PyTorch has them.
//!
//! A model is a list of tensors here; both biases of a layer are tensors of their own, each with its moments, each
//! counted in the norm. Sources: `torch.nn.utils.clip_grad_norm_` and `clip_grad_value_`; `torch.optim.Adam`, `AdamW`,
//! `RMSprop`, `Adagrad`, `SGD`; Kingma and Ba, "Adam" (2015), with PyTorch's order of the bias corrections.
//!
//! Weight decay is an operation of its own, before a rule's step: [`add_decay`] for the L2 of `torch.optim`'s
//! `weight_decay`, [`pull_weights`] for AdamW's.

/// `sqrt(sum over all elements of all tensors of g^2)`.
pub fn global_norm(grads: &[&[f64]]) -> f64 {
    let mut sum = 0.0;
    for tensor in grads {
        for &g in *tensor {
            sum += g * g;
        }
    }
    sum.sqrt()
}

/// Scales all gradients by `min(1, max_norm / (norm + 1e-6))` and returns the norm before.
///
/// A NaN norm makes every gradient NaN, as in PyTorch: nothing is hidden.
pub fn clip_by_norm(grads: &mut [&mut [f64]], max_norm: f64) -> f64 {
    let views: Vec<&[f64]> = grads.iter().map(|g| &**g).collect();
    let norm = global_norm(&views);
    let ratio = max_norm / (norm + 1e-6);
    // Not f64::min, which would turn a NaN into 1.
    let coefficient = if ratio > 1.0 { 1.0 } else { ratio };
    for tensor in grads {
        for g in tensor.iter_mut() {
            *g *= coefficient;
        }
    }
    norm
}

/// Every gradient into `-limit..=limit`; NaN stays NaN.
pub fn clip_by_value(grads: &mut [&mut [f64]], limit: f64) {
    for tensor in grads {
        for g in tensor.iter_mut() {
            *g = g.clamp(-limit, limit);
        }
    }
}

/// `g = g + decay*p`: L2 weight decay.
pub fn add_decay(grads: &mut [&mut [f64]], params: &[&[f64]], decay: f64) {
    assert!(params.len() == grads.len(), "{} tensors, {} gradients", params.len(), grads.len());
    for k in 0..params.len() {
        crate::expect_len("weight decay: a gradient", grads[k].len(), params[k].len());
        for e in 0..params[k].len() {
            grads[k][e] += decay * params[k][e];
        }
    }
}

/// `p = p - lr*decay*p`: AdamW's weight decay, before Adam's step.
pub fn pull_weights(params: &mut [&mut [f64]], lr: f64, decay: f64) {
    for tensor in params {
        for p in tensor.iter_mut() {
            *p -= lr * decay * *p;
        }
    }
}

/// Adam without weight decay.
///
/// ```text
/// m = beta1*m + (1-beta1)*g              v = beta2*v + (1-beta2)*g^2
/// p = p - lr/(1-beta1^k) * m / (sqrt(v)/sqrt(1-beta2^k) + eps)        in step k = 1, 2, ...
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Adam {
    /// Learning rate; may be changed between steps.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Steps taken.
    pub step: i32,
    /// First moments, tensor by tensor.
    pub m: Vec<Vec<f64>>,
    /// Second moments, tensor by tensor.
    pub v: Vec<Vec<f64>>,
}

impl Adam {
    /// PyTorch's defaults: beta 0.9 and 0.999, eps 1e-8; moments are made zero by the first step.
    pub fn new(lr: f64) -> Self {
        Adam { lr, beta1: 0.9, beta2: 0.999, eps: 1e-8, step: 0, m: Vec::new(), v: Vec::new() }
    }

    /// One step. `params` and `grads` are the same tensors in the same order in every call.
    pub fn update(&mut self, params: &mut [&mut [f64]], grads: &[&[f64]]) {
        assert!(params.len() == grads.len(), "{} tensors, {} gradients", params.len(), grads.len());
        if self.step == 0 {
            self.m = grads.iter().map(|g| vec![0.0; g.len()]).collect();
            self.v = self.m.clone();
        }
        self.step += 1;
        let correction1 = 1.0 - self.beta1.powi(self.step);
        let correction2 = 1.0 - self.beta2.powi(self.step);
        for k in 0..params.len() {
            crate::expect_len("Adam: a gradient", grads[k].len(), params[k].len());
            for e in 0..params[k].len() {
                let g = grads[k][e];
                let m = self.beta1 * self.m[k][e] + (1.0 - self.beta1) * g;
                let v = self.beta2 * self.v[k][e] + (1.0 - self.beta2) * g * g;
                self.m[k][e] = m;
                self.v[k][e] = v;
                params[k][e] -= self.lr / correction1 * m / (v.sqrt() / correction2.sqrt() + self.eps);
            }
        }
    }
}

/// The gradient over the root of its squares.
///
/// ```text
/// v = keep*v + add*g^2                   p = p - lr * g / (sqrt(v) + eps)
/// ```
///
/// RMSprop: keep = alpha, add = 1 - alpha. Adagrad: keep = add = 1.
#[derive(Clone, Debug, PartialEq)]
pub struct RootSquare {
    /// Learning rate; may be changed between steps.
    pub lr: f64,
    /// What is kept of the squares so far.
    pub keep: f64,
    /// What is added of the new square.
    pub add: f64,
    /// Added to the root.
    pub eps: f64,
    /// Squares, tensor by tensor; made zero by the first step.
    pub v: Vec<Vec<f64>>,
}

impl RootSquare {
    /// `torch.optim.RMSprop` without momentum or centring.
    pub fn rmsprop(lr: f64, alpha: f64, eps: f64) -> Self {
        RootSquare { lr, keep: alpha, add: 1.0 - alpha, eps, v: Vec::new() }
    }
    /// `torch.optim.Adagrad` with `lr_decay` 0 and an initial accumulator of 0.
    pub fn adagrad(lr: f64, eps: f64) -> Self {
        RootSquare { lr, keep: 1.0, add: 1.0, eps, v: Vec::new() }
    }

    /// One step. `params` and `grads` are the same tensors in the same order in every call.
    pub fn update(&mut self, params: &mut [&mut [f64]], grads: &[&[f64]]) {
        assert!(params.len() == grads.len(), "{} tensors, {} gradients", params.len(), grads.len());
        if self.v.is_empty() {
            self.v = grads.iter().map(|g| vec![0.0; g.len()]).collect();
        }
        for k in 0..params.len() {
            crate::expect_len("root square: a gradient", grads[k].len(), params[k].len());
            for e in 0..params[k].len() {
                let g = grads[k][e];
                let v = self.keep * self.v[k][e] + self.add * g * g;
                self.v[k][e] = v;
                params[k][e] -= self.lr * g / (v.sqrt() + self.eps);
            }
        }
    }
}

/// Stochastic gradient descent with momentum: `m = g` in the first step, then `m = mu*m + g`; `p = p - lr*m`.
///
/// `torch.optim.SGD` without dampening or Nesterov; `mu = 0` is plain SGD.
#[derive(Clone, Debug, PartialEq)]
pub struct Sgd {
    /// Learning rate; may be changed between steps.
    pub lr: f64,
    /// What is kept of the last movement.
    pub mu: f64,
    /// Movements, tensor by tensor; made by the first step.
    pub m: Vec<Vec<f64>>,
}

impl Sgd {
    /// No step made yet.
    pub fn new(lr: f64, mu: f64) -> Self {
        Sgd { lr, mu, m: Vec::new() }
    }

    /// One step. `params` and `grads` are the same tensors in the same order in every call.
    pub fn update(&mut self, params: &mut [&mut [f64]], grads: &[&[f64]]) {
        assert!(params.len() == grads.len(), "{} tensors, {} gradients", params.len(), grads.len());
        let first = self.m.is_empty();
        if first {
            self.m = grads.iter().map(|g| g.to_vec()).collect();
        }
        for k in 0..params.len() {
            crate::expect_len("SGD: a gradient", grads[k].len(), params[k].len());
            for e in 0..params[k].len() {
                if !first {
                    self.m[k][e] = self.mu * self.m[k][e] + grads[k][e];
                }
                params[k][e] -= self.lr * self.m[k][e];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_norm_is_over_all_tensors_and_clipping_scales_all() {
        let (mut a, mut b) = (vec![3.0, 0.0], vec![4.0]);
        assert_eq!(global_norm(&[&a, &b]), 5.0);
        assert_eq!(clip_by_norm(&mut [&mut a, &mut b], 10.0), 5.0);
        assert_eq!((a[0], b[0]), (3.0, 4.0));
        assert_eq!(clip_by_norm(&mut [&mut a, &mut b], 1.0), 5.0);
        assert_eq!((a[0], b[0]), (3.0 * (1.0 / 5.000001), 4.0 * (1.0 / 5.000001)));
    }

    #[test]
    fn a_nan_gradient_stays_visible() {
        let (mut a, mut b) = (vec![f64::NAN], vec![4.0]);
        assert!(clip_by_norm(&mut [&mut a, &mut b], 1.0).is_nan());
        assert!(b[0].is_nan());
    }

    /// With a constant gradient, both bias-corrected moments equal g and g^2 in every step: each step moves by
    /// `lr * g / (|g| + eps)`.
    #[test]
    fn adam_with_a_constant_gradient_moves_by_lr() {
        let mut adam = Adam::new(0.01);
        let (mut p, grads) = (vec![1.0, -2.0], [0.5, -3.0]);
        for k in 1..=100 {
            adam.update(&mut [&mut p], &[&grads]);
            for (e, start) in [1.0, -2.0].into_iter().enumerate() {
                let g: f64 = grads[e];
                let want = start - f64::from(k) * 0.01 * g / (g.abs() + 1e-8);
                assert!((p[e] - want).abs() < 1e-13, "step {k}, element {e}: {} {want}", p[e]);
            }
        }
    }

    /// Two steps with different gradients, computed by hand from the definition in moments over all past gradients.
    #[test]
    fn adam_weighs_past_gradients_as_defined() {
        let mut adam = Adam::new(0.1);
        let mut p = vec![0.0];
        adam.update(&mut [&mut p], &[&[1.0]]);
        let first = p[0];
        adam.update(&mut [&mut p], &[&[-2.0]]);
        let m_hat = (0.1 * 0.9 * 1.0 + 0.1 * -2.0) / (1.0 - 0.81);
        let v_hat: f64 = (0.001 * 0.999 * 1.0 + 0.001 * 4.0) / (1.0 - 0.998001);
        assert!((first + 0.1).abs() < 1e-9);
        assert!((p[0] - (first - 0.1 * m_hat / (v_hat.sqrt() + 1e-8))).abs() < 1e-12);
    }

    /// With a constant gradient, RMSprop's mean square after k steps is `g^2 (1 - alpha^k)`, Adagrad's sum `k g^2`.
    #[test]
    fn root_squares_of_a_constant_gradient() {
        let (mut rms, mut ada) = (RootSquare::rmsprop(0.1, 0.9, 1e-8), RootSquare::adagrad(0.1, 1e-8));
        let (mut p, mut q, mut want_p, mut want_q) = (vec![1.0], vec![1.0], 1.0, 1.0);
        for k in 1..=50 {
            rms.update(&mut [&mut p], &[&[-3.0]]);
            ada.update(&mut [&mut q], &[&[-3.0]]);
            want_p += 0.1 * 3.0 / (3.0 * (1.0 - 0.9_f64.powi(k)).sqrt() + 1e-8);
            want_q += 0.1 * 3.0 / (3.0 * f64::from(k).sqrt() + 1e-8);
            assert!((p[0] - want_p).abs() < 1e-12 && (q[0] - want_q).abs() < 1e-12, "step {k}: {p:?} {q:?}");
        }
    }

    /// With a constant gradient, the movement after k steps is `g (1 - mu^k) / (1 - mu)`.
    #[test]
    fn sgd_steps_against_the_gradient_with_momentum() {
        let mut p = vec![1.0, 2.0];
        Sgd::new(0.5, 0.0).update(&mut [&mut p], &[&[4.0, -2.0]]);
        assert_eq!(p, [-1.0, 3.0]);
        let (mut sgd, mut p, mut want) = (Sgd::new(0.25, 0.5), vec![0.0], 0.0);
        for k in 1..=20 {
            sgd.update(&mut [&mut p], &[&[2.0]]);
            want -= 0.25 * 2.0 * (1.0 - 0.5_f64.powi(k)) / 0.5;
            assert!((p[0] - want).abs() < 1e-13, "step {k}: {} {want}", p[0]);
        }
    }

    #[test]
    fn values_are_cut_and_weights_decay_in_both_ways() {
        let mut g = vec![3.0, -0.5, -7.0, f64::NAN];
        clip_by_value(&mut [&mut g], 1.0);
        assert!(g[..3] == [1.0, -0.5, -1.0] && g[3].is_nan());
        let mut p = vec![10.0, -4.0];
        let mut g = vec![1.0, 1.0];
        add_decay(&mut [&mut g], &[&p], 0.25);
        assert_eq!(g, [3.5, 0.0]);
        pull_weights(&mut [&mut p], 0.5, 0.25);
        assert_eq!(p, [8.75, -3.5]);
    }
}
