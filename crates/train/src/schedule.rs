//! The learning rate of a step: linear warm-up, then constant, or half a cosine down to `min_lr`.
//!
//! `lr(s) = lr * (s + 1) / warmup` for s < warmup; then, with p = (s - warmup) / (total - warmup),
//! `lr(s) = min_lr + (lr - min_lr) * (1 + cos(pi p)) / 2`. A pure function of s: nothing to save or lose.

use crate::config::{Config, ScheduleKind};

/// Warm-up of the cosine where the configuration names none (design section 6).
const COSINE_WARMUP: u64 = 100;

/// The learning rate of step `step` (from 0) of a run of `total` steps.
pub(crate) fn learning_rate(config: &Config, step: u64, total: u64) -> f64 {
    let default = match config.schedule {
        ScheduleKind::Cosine => COSINE_WARMUP,
        _ => 0,
    };
    let warmup = config.warmup.unwrap_or(default).min(total / 2);
    if step < warmup {
        return config.lr * (step as f64 + 1.0) / warmup as f64;
    }
    match config.schedule {
        ScheduleKind::Constant => config.lr,
        ScheduleKind::Cosine => {
            let progress = (step - warmup) as f64 / (total - warmup).max(1) as f64;
            let half_cosine = 0.5 * (1.0 + libm::cos(std::f64::consts::PI * progress.min(1.0)));
            config.min_lr + (config.lr - config.min_lr) * half_cosine
        }
        _ => todo!(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_warms_up_and_ends_at_the_floor() {
        let c = Config { lr: 0.01, min_lr: 0.001, ..Config::default() };
        assert_eq!(learning_rate(&c, 0, 1000), 0.01 / 100.0);
        assert_eq!(learning_rate(&c, 99, 1000), 0.01);
        assert!((learning_rate(&c, 100, 1000) - 0.01).abs() < 1e-15);
        assert!((learning_rate(&c, 550, 1000) - 0.0055).abs() < 1e-12);
        assert!((learning_rate(&c, 1000, 1000) - 0.001).abs() < 1e-15);
    }

    #[test]
    fn constant_has_no_warm_up_of_its_own() {
        let c = Config { schedule: ScheduleKind::Constant, ..Config::default() };
        assert_eq!(learning_rate(&c, 0, 10), c.lr);
        let c = Config { warmup: Some(4), ..c };
        assert_eq!(learning_rate(&c, 0, 10), c.lr / 4.0);
        assert_eq!(learning_rate(&c, 4, 10), c.lr);
    }

    #[test]
    fn a_short_run_warms_up_for_half_of_it_at_most() {
        let c = Config::default();
        assert_eq!(learning_rate(&c, 4, 10), c.lr);
    }
}
