//! The learning rate of a step: what the schedule has made of `lr` by then, times a linear warm-up.
//!
//! With s steps made of `total`, e epochs completed, c cuts and d = `lr_decay`:
//!
//! | schedule | rate | d, unless given |
//! |---|---|---|
//! | constant | `lr` | |
//! | cosine | `min_lr + (lr - min_lr) (1 + cos(pi p)) / 2`, `p = (s - warmup) / (total - warmup)` | |
//! | exponential | `lr d^max(0, e - lr_decay_after + 1)`: falls first at the end of epoch `lr_decay_after` | 0.97 |
//! | step | `lr d^floor(e / lr_decay_every)` | 0.5 |
//! | plateau | `lr d^c`, c counted by [`Plateau`] | 0.5 |
//!
//! No rate is below `min_lr`. In the first `warmup` steps (not given: 100 with cosine, else none; at most half of the run)
//! the rate is multiplied by `(s + 1) / warmup`, and then alone it may be below. A pure function of [`Standing`]: nothing
//! else to save or lose.

use crate::config::{Config, ScheduleKind};
use serde::{Deserialize, Serialize};

/// Warm-up of the cosine where the configuration names none (design section 6).
const COSINE_WARMUP: u64 = 100;

/// All of a run that its learning rate depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing<'a> {
    /// Steps made.
    pub(crate) step: u64,
    /// Steps of the whole run.
    pub(crate) total: u64,
    /// Epochs completed.
    pub(crate) epochs: u64,
    /// What the evaluations have said.
    pub(crate) plateau: &'a Plateau,
}

/// The learning rate of the step that comes next at this moment.
pub(crate) fn learning_rate(config: &Config, at: &Standing<'_>) -> f64 {
    let default = match config.schedule {
        ScheduleKind::Cosine => COSINE_WARMUP,
        _ => 0,
    };
    let warmup = config.warmup.unwrap_or(default).min(at.total / 2);
    let warm = at.step >= warmup;
    let decayed = |default: f64, times: u64| {
        let decay = config.lr_decay.unwrap_or(default);
        (config.lr * libm::pow(decay, times as f64)).max(config.min_lr)
    };
    let rate = match config.schedule {
        ScheduleKind::Cosine if warm => {
            let progress = (at.step - warmup) as f64 / (at.total - warmup).max(1) as f64;
            let half_cosine = 0.5 * (1.0 + libm::cos(std::f64::consts::PI * progress.min(1.0)));
            config.min_lr + (config.lr - config.min_lr) * half_cosine
        }
        ScheduleKind::Constant | ScheduleKind::Cosine => config.lr,
        ScheduleKind::Exponential => decayed(0.97, (at.epochs + 1).saturating_sub(config.lr_decay_after)),
        ScheduleKind::Step => decayed(0.5, at.epochs / config.lr_decay_every.max(1)),
        ScheduleKind::Plateau => decayed(0.5, at.plateau.cuts),
    };
    if warm { rate } else { rate * (at.step as f64 + 1.0) / warmup as f64 }
}

/// How often validation has stopped improving, for the plateau schedule. Part of a checkpoint.
///
/// An evaluation is better where its nats are below every one before, by however little. After `patience` evaluations in a
/// row that are not, the rate is cut and the count begins again; the best stays, so a cut that does not help is followed
/// by another. torch.optim.lr_scheduler.ReduceLROnPlateau with threshold 0 waits for one evaluation more: it cuts when the
/// count exceeds its patience.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plateau {
    /// The lowest nats so far; none before the first evaluation that is a number.
    pub(crate) best: Option<f64>,
    /// Evaluations since the best one, or since the last cut.
    pub(crate) waited: u64,
    /// Cuts made.
    pub(crate) cuts: u64,
}

impl Plateau {
    /// Takes a score of the validation part in, for a schedule that goes by it. True: it cuts the rate.
    pub(crate) fn score(&mut self, config: &Config, nats: f64) -> bool {
        let cuts = self.cuts;
        if config.schedule == ScheduleKind::Plateau {
            self.observe(config.lr_patience, nats);
        }
        self.cuts > cuts
    }
    /// Takes note of an evaluation. NaN and infinity are not better than anything.
    fn observe(&mut self, patience: u64, nats: f64) {
        if nats < self.best.unwrap_or(f64::INFINITY) {
            self.best = Some(nats);
            self.waited = 0;
            return;
        }
        self.waited += 1;
        if self.waited >= patience {
            self.cuts += 1;
            self.waited = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAT: Plateau = Plateau { best: None, waited: 0, cuts: 0 };

    fn at_step(config: &Config, step: u64, total: u64) -> f64 {
        learning_rate(config, &Standing { step, total, epochs: 0, plateau: &FLAT })
    }

    fn after_epochs(config: &Config, epochs: u64) -> f64 {
        learning_rate(config, &Standing { step: 10 * epochs, total: 1000, epochs, plateau: &FLAT })
    }

    fn near(a: f64, b: f64) -> bool {
        (a / b - 1.0).abs() < 1e-14
    }

    #[test]
    fn cosine_warms_up_and_ends_at_the_floor() {
        let c = Config { lr: 0.01, min_lr: 0.001, ..Config::default() };
        assert_eq!(at_step(&c, 0, 1000), 0.01 / 100.0);
        assert_eq!(at_step(&c, 99, 1000), 0.01);
        assert!((at_step(&c, 100, 1000) - 0.01).abs() < 1e-15);
        assert!((at_step(&c, 550, 1000) - 0.0055).abs() < 1e-12);
        assert!((at_step(&c, 1000, 1000) - 0.001).abs() < 1e-15);
    }

    #[test]
    fn constant_has_no_warm_up_of_its_own() {
        let c = Config { schedule: ScheduleKind::Constant, ..Config::default() };
        assert_eq!(at_step(&c, 0, 10), c.lr);
        let c = Config { warmup: Some(4), ..c };
        assert_eq!(at_step(&c, 0, 10), c.lr / 4.0);
        assert_eq!(at_step(&c, 4, 10), c.lr);
    }

    #[test]
    fn a_short_run_warms_up_for_half_of_it_at_most() {
        let c = Config::default();
        assert_eq!(at_step(&c, 4, 10), c.lr);
    }

    /// char-rnn's schedule: 0.97 at the end of epoch 10 and of each one after it.
    #[test]
    fn exponential_falls_first_at_the_end_of_the_epoch_named() {
        let c = Config { schedule: ScheduleKind::Exponential, lr_decay_after: 10, ..Config::default() };
        for epochs in 0..10 {
            assert_eq!(after_epochs(&c, epochs), c.lr);
        }
        assert!(near(after_epochs(&c, 10), c.lr * 0.97));
        assert!(near(after_epochs(&c, 12), c.lr * 0.97 * 0.97 * 0.97));
        let c = Config { lr_decay_after: 1, lr_decay: Some(0.5), ..c };
        assert_eq!([0, 1, 2].map(|e| after_epochs(&c, e) / c.lr), [1.0, 0.5, 0.25]);
    }

    #[test]
    fn step_falls_after_every_so_many_epochs() {
        let c = Config { schedule: ScheduleKind::Step, lr_decay_every: 3, ..Config::default() };
        let factors = [0, 2, 3, 5, 6, 11].map(|e| after_epochs(&c, e) / c.lr);
        assert_eq!(factors, [1.0, 1.0, 0.5, 0.5, 0.25, 0.125]);
        let c = Config { lr_decay: Some(0.1), ..c };
        assert!(near(after_epochs(&c, 3), c.lr * 0.1));
    }

    #[test]
    fn plateau_falls_with_each_cut() {
        let c = Config { schedule: ScheduleKind::Plateau, ..Config::default() };
        let rate = |cuts| {
            learning_rate(&c, &Standing { step: 9, total: 10, epochs: 3, plateau: &Plateau { cuts, ..FLAT } }) / c.lr
        };
        assert_eq!([0, 1, 2].map(rate), [1.0, 0.5, 0.25]);
    }

    #[test]
    fn no_schedule_goes_below_the_floor() {
        for schedule in [ScheduleKind::Exponential, ScheduleKind::Step, ScheduleKind::Plateau, ScheduleKind::Cosine] {
            let c = Config { schedule, min_lr: 0.0015, ..Config::default() };
            let plateau = Plateau { cuts: 5000, ..FLAT };
            let late = Standing { step: 1_000_000, total: 1_000_000, epochs: 100_000, plateau: &plateau };
            assert_eq!(learning_rate(&c, &late), 0.0015, "{schedule:?}");
            let c = Config { min_lr: 0.0, ..c };
            assert!(learning_rate(&c, &late) < 1e-20, "{schedule:?}");
        }
    }

    /// Short epochs may end within the warm-up: it rises towards the rate that they leave.
    #[test]
    fn the_warm_up_multiplies_every_schedule() {
        let c = Config { schedule: ScheduleKind::Step, lr_decay_every: 1, warmup: Some(8), ..Config::default() };
        let rate = |step, epochs| learning_rate(&c, &Standing { step, total: 100, epochs, plateau: &FLAT }) / c.lr;
        assert!(near(rate(0, 0), 1.0 / 8.0) && near(rate(4, 1), 0.5 * 5.0 / 8.0) && near(rate(8, 2), 0.25));
    }

    #[test]
    fn an_evaluation_is_better_or_waited_for() {
        let mut p = Plateau::default();
        let mut see = |nats| {
            p.observe(2, nats);
            p.clone()
        };
        assert_eq!(see(2.0), Plateau { best: Some(2.0), waited: 0, cuts: 0 });
        assert_eq!(see(2.0), Plateau { best: Some(2.0), waited: 1, cuts: 0 });
        assert_eq!(see(1.5), Plateau { best: Some(1.5), waited: 0, cuts: 0 });
        assert_eq!(see(f64::NAN), Plateau { best: Some(1.5), waited: 1, cuts: 0 });
        // The second in a row that is no better reaches the patience.
        assert_eq!(see(1.6), Plateau { best: Some(1.5), waited: 0, cuts: 1 });
        // The best stays: being better than the last alone is not being better.
        assert_eq!(see(1.55), Plateau { best: Some(1.5), waited: 1, cuts: 1 });
        assert_eq!(see(f64::INFINITY), Plateau { best: Some(1.5), waited: 0, cuts: 2 });
    }

    #[test]
    fn scores_that_are_no_numbers_are_waited_for_from_the_start() {
        let mut p = Plateau::default();
        p.observe(3, f64::NAN);
        p.observe(3, f64::INFINITY);
        assert_eq!(p, Plateau { best: None, waited: 2, cuts: 0 });
        p.observe(3, f64::NAN);
        assert_eq!(p, Plateau { best: None, waited: 0, cuts: 1 });
        p.observe(1, 3.0);
        let json = serde_json::to_string(&p).unwrap();
        assert_eq!(serde_json::from_str::<Plateau>(&json).unwrap(), p);
        assert!(serde_json::from_str::<Plateau>(r#"{"best":null,"waited":0,"cuts":0,"more":1}"#).is_err());
    }
}
