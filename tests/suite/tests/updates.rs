//! What torch.optim makes of given weights and gradients in 20 steps (goldens/README.md), made again: Adam, AdamW,
//! RMSprop, Adagrad, SGD with and without momentum; each plain, with weight decay, clipped by value, and both.
//!
//! The oracle is held to PyTorch's f64 at 1e-10, the kernels at 1e-6, relative to the largest weight.

use gatemill_kernels::{Adam, Gradient, Kernels, LANES, Momentum, RootSquare};
use gatemill_oracle::compare::worst_by_max;
use gatemill_oracle::{narrow, optim, widen};
use gatemill_suite::{golden_path, tiers};
use serde_json::Value;

fn numbers(at: &Value) -> Vec<f64> {
    at.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// A case's hyperparameters; those that it leaves out are the configuration's defaults.
struct Case<'a> {
    name: &'a str,
    optimizer: &'a str,
    lr: f64,
    decay: f64,
    limit: f64,
    momentum: f64,
    decay_rate: f64,
    weights: &'a Value,
}

const BETAS: [f64; 2] = [0.9, 0.999];
const EPS: f64 = 1e-8;

impl<'a> Case<'a> {
    fn of(case: &'a Value) -> Self {
        let config = &case["config"];
        let number = |name: &str| config[name].as_f64();
        Self {
            name: case["name"].as_str().unwrap(),
            optimizer: config["optimizer"].as_str().unwrap(),
            lr: number("lr").unwrap(),
            decay: number("weight-decay").unwrap(),
            limit: number("clip-value").filter(|&limit| limit > 0.0).unwrap_or(f64::INFINITY),
            momentum: number("momentum").unwrap_or(0.0),
            decay_rate: number("decay-rate").unwrap_or(0.0),
            weights: &case["weights"],
        }
    }
    /// Weight decay on the gradient and on the weights: the one or the other.
    fn decays(&self) -> [f64; 2] {
        if self.optimizer == "adamw" { [0.0, self.decay] } else { [self.decay, 0.0] }
    }
    /// Holds the weights after `step`, where the golden has them.
    fn hold(&self, step: u64, found: &[f64], bound: f64, place: &str) -> Option<f64> {
        let want = numbers(self.weights.get(step.to_string())?);
        let worst = worst_by_max(found, &want);
        assert!(worst.error <= bound, "{} {place}: after step {step} {worst:?}", self.name);
        Some(worst.error)
    }

    fn oracle(&self, start: &[f64], gradients: &[Vec<f64>]) -> usize {
        let mut w = start.to_vec();
        let mut adam = optim::Adam::new(self.lr);
        let mut square = match self.optimizer {
            "adagrad" => optim::RootSquare::adagrad(self.lr, EPS),
            _ => optim::RootSquare::rmsprop(self.lr, self.decay_rate, EPS),
        };
        let mut sgd = optim::Sgd::new(self.lr, self.momentum);
        let [decay, pull] = self.decays();
        let mut held = 0;
        for (step, g) in (1..).zip(gradients) {
            let mut g = g.clone();
            optim::clip_by_value(&mut [&mut g], self.limit);
            optim::add_decay(&mut [&mut g], &[&w], decay);
            optim::pull_weights(&mut [&mut w], self.lr, pull);
            match self.optimizer {
                "adam" | "adamw" => adam.update(&mut [&mut w], &[&g]),
                "rmsprop" | "adagrad" => square.update(&mut [&mut w], &[&g]),
                _ => sgd.update(&mut [&mut w], &[&g]),
            }
            held += usize::from(self.hold(step, &w, 1e-10, "oracle").is_some());
        }
        held
    }

    /// The worst error.
    fn kernels(&self, kernels: &Kernels, start: &[f64], gradients: &[Vec<f64>]) -> f64 {
        let padded = |data: &[f64]| {
            let mut data = narrow(data);
            data.resize(data.len().next_multiple_of(LANES), 0.0);
            data
        };
        let mut w = padded(start);
        let (mut m, mut v) = (vec![0.0; w.len()], vec![0.0; w.len()]);
        let [decay, pull] = self.decays();
        let gradient = Gradient { scale: 1.0, limit: self.limit as f32, decay: decay as f32 };
        let mut worst = 0.0_f64;
        for (step, g) in (1..).zip(gradients) {
            let g = padded(g);
            match self.optimizer {
                "adam" | "adamw" => {
                    let adam = Adam { pull: (self.lr * pull) as f32, ..Adam::new(step, self.lr, BETAS, EPS) };
                    kernels.adam(&gradient, &adam, &mut w, &g, &mut m, &mut v);
                }
                "rmsprop" => {
                    let rule = RootSquare::rmsprop(self.lr, self.decay_rate, EPS);
                    kernels.root_square(&gradient, &rule, &mut w, &g, &mut v);
                }
                "adagrad" => kernels.root_square(&gradient, &RootSquare::adagrad(self.lr, EPS), &mut w, &g, &mut v),
                "sgd" if self.momentum > 0.0 => {
                    let rule = Momentum { mu: self.momentum as f32, lr: self.lr as f32 };
                    kernels.momentum(&gradient, &rule, &mut w, &g, &mut m);
                }
                "sgd" => kernels.sgd(&gradient, self.lr as f32, &mut w, &g),
                other => panic!("{}: no rule `{other}`", self.name),
            }
            let found = widen(&w[..start.len()]);
            worst = worst.max(self.hold(step, &found, 1e-6, kernels.name()).unwrap_or(0.0));
        }
        assert!(w[start.len()..].iter().all(|&w| w == 0.0), "{}: padding moved", self.name);
        worst
    }
}

#[test]
fn twenty_steps_give_pytorchs_weights() {
    let golden: Value = serde_json::from_slice(&std::fs::read(golden_path("updates.json")).unwrap()).unwrap();
    let start = numbers(&golden["start"]);
    let gradients: Vec<Vec<f64>> = golden["gradients"].as_array().unwrap().iter().map(numbers).collect();
    assert_eq!((gradients.len(), start.len() % LANES), (20, 8), "twenty steps, and a tail");
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 24);
    for case in cases.iter().map(Case::of) {
        assert_eq!(case.oracle(&start, &gradients), 4, "{}: steps compared", case.name);
        for kernels in tiers() {
            let worst = case.kernels(&kernels, &start, &gradients);
            println!("{} {}: within {worst:.1e}", case.name, kernels.name());
        }
    }
    // Decay, limit and rule all show: no two cases are the same, but for AdamW and Adam without decay.
    let last = |case: &Value| numbers(&case["weights"]["20"]);
    for (i, a) in cases.iter().enumerate() {
        for b in &cases[..i] {
            let difference = worst_by_max(&last(a), &last(b)).error;
            let alike = a["config"]["weight-decay"] == 0.0 && a["name"].as_str().unwrap().starts_with("adamw");
            let alike = alike && a["name"] == b["name"].as_str().unwrap().replacen("adam", "adamw", 1);
            let place = format!("{} and {} differ by {difference:e}", a["name"], b["name"]);
            assert!(if alike { difference == 0.0 } else { difference > 1e-5 }, "{place}");
        }
    }
}
