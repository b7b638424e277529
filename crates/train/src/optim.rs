//! The optimiser: moments in the weights' own layout, one flat pass per step.
//!
//! The kernels' rules (`gatemill_kernels::Adam` and its neighbours) with the configuration's numbers. Weight decay acts on
//! every parameter, biases too, as torch.optim has it where all are in one group. `--clip-value` acts on each element of
//! the summed gradient, after the factor of `--clip-norm` and before the decay; the norm that is told is that before both.

use crate::config::{Config, OptimizerKind};
use gatemill_cell::{OutOfMemory, Params};
use gatemill_crew::Crew;
use gatemill_kernels::{Adam, Buffer, Gradient, Kernels, LANES, Momentum, RootSquare};

/// Floats of a worker's piece: 64 KiB of each of the four arrays.
const LEAF: usize = 1 << 14;

/// A rule with its numbers, and its moments.
#[derive(Debug)]
pub(crate) struct Optimizer {
    kind: OptimizerKind,
    beta1: f64,
    beta2: f64,
    eps: f64,
    weight_decay: f64,
    momentum: f64,
    decay_rate: f64,
    /// Infinity: none.
    limit: f32,
    /// Adam's first moment, SGD's momentum; packed, empty where the rule has none.
    pub(crate) m: Buffer,
    /// Adam's second moment, RMSprop's mean square, Adagrad's sum of squares; packed, empty where the rule has none.
    pub(crate) v: Buffer,
}

impl Optimizer {
    /// Zero moments. Errors: the memory is not to be had.
    pub(crate) fn new(config: &Config, len: usize) -> Result<Self, OutOfMemory> {
        let (first, second) = match config.optimizer {
            OptimizerKind::Adam | OptimizerKind::Adamw => (true, true),
            OptimizerKind::Rmsprop | OptimizerKind::Adagrad => (false, true),
            OptimizerKind::Sgd => (config.momentum > 0.0, false),
        };
        let moment = |used| Buffer::zeroed(if used { len } else { 0 });
        Ok(Self {
            kind: config.optimizer,
            beta1: config.beta1,
            beta2: config.beta2,
            eps: config.eps,
            weight_decay: config.weight_decay,
            momentum: config.momentum,
            decay_rate: config.decay_rate,
            limit: if config.clip_value > 0.0 { config.clip_value as f32 } else { f32::INFINITY },
            m: moment(first)?,
            v: moment(second)?,
        })
    }
    /// The names of the moments in a checkpoint, with their memory.
    pub(crate) fn moments(&self) -> [(&'static str, &Buffer); 2] {
        [("optim.m", &self.m), ("optim.v", &self.v)]
    }
    /// The same, to be set.
    pub(crate) fn moments_mut(&mut self) -> [(&'static str, &mut Buffer); 2] {
        [("optim.m", &mut self.m), ("optim.v", &mut self.v)]
    }
    /// Bytes of the moments.
    pub(crate) fn size_bytes(&self) -> usize {
        4 * (self.m.len() + self.v.len())
    }
    /// Update number `step` (from 1): weights move, moments with them. `clip`: the norm's factor on the gradient.
    pub(crate) fn update(
        &mut self,
        (crew, kernels): (&Crew, &Kernels),
        params: &mut Params,
        grad: &[f32],
        (step, lr, clip): (u64, f64, f32),
    ) {
        let decay = if self.kind == OptimizerKind::Adamw { 0.0 } else { self.weight_decay };
        let gradient = Gradient { scale: clip, limit: self.limit, decay: decay as f32 };
        let (w, m, v) = (params.masters_mut(), &mut self.m, &mut self.v);
        match self.kind {
            OptimizerKind::Adam | OptimizerKind::Adamw => {
                let pull = if self.kind == OptimizerKind::Adamw { lr * self.weight_decay } else { 0.0 };
                let adam = Adam { pull: pull as f32, ..Adam::new(step, lr, [self.beta1, self.beta2], self.eps) };
                crew.pieces([w, m, v], LANES, LEAF, |first, [w, m, v]| {
                    kernels.adam(&gradient, &adam, w, &grad[first..first + w.len()], m, v);
                });
            }
            OptimizerKind::Rmsprop | OptimizerKind::Adagrad => {
                let rule = match self.kind {
                    OptimizerKind::Rmsprop => RootSquare::rmsprop(lr, self.decay_rate, self.eps),
                    _ => RootSquare::adagrad(lr, self.eps),
                };
                crew.pieces([w, v], LANES, LEAF, |first, [w, v]| {
                    kernels.root_square(&gradient, &rule, w, &grad[first..first + w.len()], v);
                });
            }
            OptimizerKind::Sgd if m.is_empty() => crew.pieces([w], LANES, LEAF, |first, [w]| {
                kernels.sgd(&gradient, lr as f32, w, &grad[first..first + w.len()]);
            }),
            OptimizerKind::Sgd => {
                let rule = Momentum { mu: self.momentum as f32, lr: lr as f32 };
                crew.pieces([w, m], LANES, LEAF, |first, [w, m]| {
                    kernels.momentum(&gradient, &rule, w, &grad[first..first + w.len()], m);
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatemill_kernels::{Cell, Input, LayerShape, Layout};
    use serde_json::Value;
    use std::sync::Arc;

    /// A flat space of at least `len` floats; the update does not ask what they are.
    fn space(len: usize) -> Params {
        let input = Input::Symbols(len.div_ceil(16));
        let shape = LayerShape::new(Cell::Rnn, input, 5);
        Params::zeroed(Arc::new(Layout::new(&[shape], None))).unwrap()
    }

    /// PyTorch's 20 steps of every rule (tests/suite/goldens/README.md), by the configuration's fields.
    #[test]
    fn every_optimizer_follows_pytorch() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/suite/goldens/updates.json");
        let golden: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let numbers = |at: &Value| at.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect::<Vec<_>>();
        let floats = |at: &Value| numbers(at).into_iter().map(|x| x as f32).collect::<Vec<_>>();
        let (start, crew) = (floats(&golden["start"]), Crew::new(2).unwrap());
        let kernels = Kernels::best();
        let mut kinds = Vec::new();
        for case in golden["cases"].as_array().unwrap() {
            let config: Config = serde_json::from_value(case["config"].clone()).unwrap();
            config.validate().unwrap();
            let mut params = space(start.len());
            params.masters_mut()[..start.len()].copy_from_slice(&start);
            let len = params.masters_mut().len();
            let mut optimizer = Optimizer::new(&config, len).unwrap();
            for (step, grad) in (1..).zip(golden["gradients"].as_array().unwrap()) {
                let mut grad = floats(grad);
                grad.resize(len, 0.0);
                optimizer.update((&crew, &kernels), &mut params, &grad, (step, config.lr, 1.0));
                let Some(want) = case["weights"].get(step.to_string()) else { continue };
                let want = numbers(want);
                let largest = want.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
                for (i, (found, want)) in params.masters_mut().iter().zip(want).enumerate() {
                    let error = (f64::from(*found) - want).abs();
                    assert!(error <= 1e-6 * largest, "{}: step {step}, {i}: {found}, not {want}", case["name"]);
                }
            }
            assert!(params.masters_mut()[start.len()..].iter().all(|&w| w == 0.0), "{}: padding moved", case["name"]);
            kinds.push(config.optimizer);
        }
        kinds.dedup();
        use OptimizerKind::{Adagrad, Adam, Adamw, Rmsprop, Sgd};
        assert_eq!(kinds, [Adam, Adamw, Rmsprop, Adagrad, Sgd]);
    }

    #[test]
    fn moments_are_kept_only_where_a_rule_has_them() {
        use OptimizerKind::{Adagrad, Adam, Adamw, Rmsprop, Sgd};
        for (optimizer, momentum, [m, v]) in [
            (Adam, 0.9, [64, 64]),
            (Adamw, 0.9, [64, 64]),
            (Rmsprop, 0.9, [0, 64]),
            (Adagrad, 0.9, [0, 64]),
            (Sgd, 0.9, [64, 0]),
            (Sgd, 0.0, [0, 0]),
        ] {
            let config = Config { optimizer, momentum, ..Config::default() };
            let o = Optimizer::new(&config, 64).unwrap();
            assert_eq!(o.size_bytes(), 4 * (m + v), "{optimizer:?}");
            let named = o.moments().map(|(name, moment)| (name, moment.len()));
            assert_eq!(named, [("optim.m", m), ("optim.v", v)], "{optimizer:?}");
        }
    }
}
