//! Global gradient norm, clipping by it, Adam and SGD, as PyTorch has them.
//!
//! A model is a list of tensors here; both biases of a layer are tensors of their own, each with its moments, each
//! counted in the norm. Sources: `torch.nn.utils.clip_grad_norm_`, `torch.optim.Adam`, `torch.optim.SGD`; Kingma and
//! Ba, "Adam" (2015), with PyTorch's order of the bias corrections.

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

/// Stochastic gradient descent without momentum: `p = p - lr*g`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// Learning rate.
    pub lr: f64,
}

impl Sgd {
    /// One step.
    pub fn update(&self, params: &mut [&mut [f64]], grads: &[&[f64]]) {
        assert!(params.len() == grads.len(), "{} tensors, {} gradients", params.len(), grads.len());
        for k in 0..params.len() {
            crate::expect_len("SGD: a gradient", grads[k].len(), params[k].len());
            for e in 0..params[k].len() {
                params[k][e] -= self.lr * grads[k][e];
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

    #[test]
    fn sgd_steps_against_the_gradient() {
        let mut p = vec![1.0, 2.0];
        Sgd { lr: 0.5 }.update(&mut [&mut p], &[&[4.0, -2.0]]);
        assert_eq!(p, [-1.0, 3.0]);
    }
}
