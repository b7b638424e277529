//! About how long a comparison takes, from rough rates: it is told before the first process starts.

use super::cases::{Case, Kind};
use super::contenders::Engine;

/// FLOP/s per thread that a big step is taken to reach. Guesses, on the slow side: an estimate is to be kept.
const FLOPS: f64 = 40e9;
const FLOPS_OF_RUST_PEERS: f64 = 4e9;

/// Warm-up and the least of steps, as in benches/peers/measure.py.
const WARM_UP_S: f64 = 0.5;
const WARM_UP_STEPS: f64 = 2.0;
const LEAST_STEPS: f64 = 5.0;

/// Of PyTorch's three forms per probe: seconds and steps with warm-up.
const FORMS: f64 = 3.0;
const PROBE_S: f64 = 0.6;
const PROBE_STEPS: f64 = 5.0;

/// Seconds in all.
pub(crate) fn seconds(plan: &[(Case, Vec<(Engine, usize)>)], rounds: u32, seconds: f64) -> f64 {
    let contenders =
        plan.iter().flat_map(|(case, all)| all.iter().map(move |&(engine, threads)| (case, engine, threads)));
    contenders
        .map(|(case, engine, threads)| {
            let step = step(case, engine, threads);
            let (start, prepared) = match engine {
                // A few short runs; in scoring, runs that make the models.
                Engine::Gatemill => (0.5, 3.0 + PROBE_STEPS * step),
                Engine::Torch | Engine::TorchTuned => (3.0, 3.0 + FORMS * (PROBE_STEPS * step).max(PROBE_S)),
                Engine::Onnx => (1.0, 0.0),
                Engine::Candle | Engine::Burn => (0.1, 0.0),
            };
            let round = start + (WARM_UP_STEPS * step).max(WARM_UP_S) + (LEAST_STEPS * step).max(seconds);
            prepared + f64::from(rounds) * round
        })
        .sum()
}

/// Seconds of one step.
fn step(case: &Case, engine: Engine, threads: usize) -> f64 {
    // A piece of text, in the slower of PyTorch's forms.
    if case.kind == Kind::Generation {
        return if engine == Engine::Gatemill { 0.0 } else { 0.3 };
    }
    let passes = if case.kind == Kind::Training { 6.0 } else { 2.0 };
    let rate = if matches!(engine, Engine::Candle | Engine::Burn) { FLOPS_OF_RUST_PEERS } else { FLOPS };
    passes * (case.tokens() * case.multiplying()) as f64 / (rate * threads as f64)
}

#[cfg(test)]
mod tests {
    use super::seconds;
    use crate::compare::cases::{Cell, Kind, Point, chosen};
    use crate::compare::contenders::{Engine, of};

    #[test]
    fn more_work_takes_longer() {
        let of_point = |point, rounds| {
            let case = chosen(&[point], &[Cell::Lstm], Some(Kind::Training))[0];
            seconds(&[(case, of(&case, &[Engine::Torch], 2))], rounds, 3.0)
        };
        // Two contenders of three seconds each, at least.
        assert!(of_point(Point::C1, 1) > 6.0);
        assert!(of_point(Point::C1, 3) > of_point(Point::C1, 1) + 12.0);
        assert!(of_point(Point::C4, 3) > of_point(Point::C1, 3));
    }
}
