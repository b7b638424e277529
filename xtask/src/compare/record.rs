//! The record of a comparison: every round of every contender, and the ratios.

use super::cases::Case;
use super::contenders::{Contender, Engine, Run};
use super::machine::Machine;
use super::table;
use anyhow::{Context, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What stands in `benches/record/`.
#[derive(Serialize)]
pub(crate) struct Record {
    pub(crate) what: &'static str,
    pub(crate) date: String,
    pub(crate) command: String,
    pub(crate) machine: Machine,
    pub(crate) versions: BTreeMap<String, String>,
    pub(crate) rounds: u32,
    pub(crate) seconds: f64,
    pub(crate) threads: usize,
    pub(crate) configurations: Vec<Configuration>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) failed: Vec<String>,
}

/// One configuration, all contenders.
#[derive(Serialize)]
pub(crate) struct Configuration {
    #[serde(flatten)]
    pub(crate) case: Case,
    pub(crate) engines: Vec<Measured>,
    /// To each peer, both at the number of threads that is the faster for them.
    pub(crate) ratios: Vec<Ratio>,
}

/// One contender.
#[derive(Serialize)]
pub(crate) struct Measured {
    pub(crate) engine: Engine,
    pub(crate) threads: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) form: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) probed: BTreeMap<String, f64>,
    /// The median of the rounds' medians; the least and the most of any step.
    pub(crate) tokens_per_s: Spread,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parameters: Option<u64>,
    /// Nats of the first step: near ln 65 = 4.174.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first_loss: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) peak_rss_mb: Option<f64>,
    pub(crate) rounds: Vec<Round>,
}

/// One process.
#[derive(Serialize)]
pub(crate) struct Round {
    #[serde(flatten)]
    pub(crate) tokens_per_s: Spread,
    /// Steps, or pieces of text.
    pub(crate) times: usize,
}

/// Median, least and most.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

/// Gatemill's rate over a peer's: of the medians, and the least and the most of the rounds.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Ratio {
    pub(crate) to: Engine,
    #[serde(flatten)]
    pub(crate) spread: Spread,
}

impl Spread {
    /// Of any number of values; none: NaN.
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.collect();
        sorted.sort_by(f64::total_cmp);
        let (Some(&min), Some(&max)) = (sorted.first(), sorted.last()) else {
            return Spread { median: f64::NAN, min: f64::NAN, max: f64::NAN };
        };
        let (below, above) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        Spread { median: (below + above) / 2.0, min, max }
    }

    /// To a multiple of 1 / `parts`: digits that mean something.
    fn rounded(self, parts: f64) -> Self {
        let round = |x: f64| (x * parts).round() / parts;
        Spread { median: round(self.median), min: round(self.min), max: round(self.max) }
    }
}

impl Configuration {
    /// From all rounds of all contenders.
    pub(crate) fn new(case: Case, measured: Vec<(Contender, Vec<Run>)>) -> Self {
        let engines: Vec<Measured> =
            measured.into_iter().map(|(contender, runs)| Measured::new(contender, runs)).collect();
        let ratios = ratios(&engines);
        Configuration { case, engines, ratios }
    }

    /// The contender of an engine at its faster number of threads.
    pub(crate) fn best(&self, engine: Engine) -> Option<&Measured> {
        best(&self.engines, engine)
    }
}

impl Measured {
    fn new(contender: Contender, runs: Vec<Run>) -> Self {
        let rounds: Vec<Round> = runs
            .iter()
            .map(|run| Round {
                tokens_per_s: Spread::of(run.rates.iter().copied()).rounded(10.0),
                times: run.rates.len(),
            })
            .collect();
        let first = runs.first();
        Measured {
            engine: contender.engine,
            threads: contender.threads,
            form: contender.form,
            probed: contender.probed,
            tokens_per_s: over(&rounds),
            parameters: first.and_then(|run| run.parameters),
            first_loss: first.and_then(|run| run.first_loss),
            peak_rss_mb: runs.iter().filter_map(|run| run.peak_rss_mb).reduce(f64::max),
            rounds,
        }
    }
}

/// The median of medians, with the least and the most of all.
fn over(rounds: &[Round]) -> Spread {
    let median = Spread::of(rounds.iter().map(|round| round.tokens_per_s.median)).median;
    let min = Spread::of(rounds.iter().map(|round| round.tokens_per_s.min)).min;
    let max = Spread::of(rounds.iter().map(|round| round.tokens_per_s.max)).max;
    Spread { median, min, max }
}

fn best(engines: &[Measured], engine: Engine) -> Option<&Measured> {
    let of_engine = engines.iter().filter(|measured| measured.engine == engine);
    of_engine.max_by(|a, b| a.tokens_per_s.median.total_cmp(&b.tokens_per_s.median))
}

/// Gatemill over each peer.
fn ratios(engines: &[Measured]) -> Vec<Ratio> {
    let Some(own) = best(engines, Engine::Gatemill) else { return Vec::new() };
    let mut peers: Vec<Engine> = engines.iter().map(|measured| measured.engine).collect();
    peers.dedup();
    let peers = peers.into_iter().filter(|&engine| engine != Engine::Gatemill);
    peers
        .filter_map(|to| {
            let peer = best(engines, to)?;
            let rounds = own.rounds.iter().zip(&peer.rounds);
            let per_round = Spread::of(rounds.map(|(a, b)| a.tokens_per_s.median / b.tokens_per_s.median));
            let median = own.tokens_per_s.median / peer.tokens_per_s.median;
            Some(Ratio { to, spread: Spread { median, ..per_round }.rounded(1000.0) })
        })
        .collect()
}

impl Record {
    /// Writes the record and its table; each whole, or as it was.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let json = serde_json::to_string_pretty(self).context("the record as JSON")? + "\n";
        write_both(path, &json, &table::markdown(self))
    }
}

/// A record, and its page beside it as .md; each whole, or as it was.
pub(crate) fn write_both(path: &Path, json: &str, page: &str) -> Result<()> {
    for (path, text) in [(path.to_path_buf(), json), (path.with_extension("md"), page)] {
        let draft = path.with_extension("tmp");
        std::fs::write(&draft, text)
            .and_then(|()| std::fs::rename(&draft, &path))
            .with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{Configuration, Measured, Record, Round, Spread, over, ratios};
    use crate::compare::cases::{Cell, Kind, Point, chosen};
    use crate::compare::contenders::Engine;
    use crate::compare::machine::Machine;
    use std::collections::BTreeMap;

    /// A contender whose rounds have these medians, with steps 10 % around them.
    fn measured(engine: Engine, threads: usize, medians: &[f64]) -> Measured {
        let round =
            |&median: &f64| Round { tokens_per_s: Spread { median, min: 0.9 * median, max: 1.1 * median }, times: 9 };
        let rounds: Vec<Round> = medians.iter().map(round).collect();
        Measured {
            engine,
            threads,
            form: None,
            probed: BTreeMap::new(),
            tokens_per_s: over(&rounds),
            parameters: Some(108_225),
            first_loss: Some(4.17),
            peak_rss_mb: Some(if engine == Engine::Gatemill { 20.0 } else { 700.0 }),
            rounds,
        }
    }

    /// One point of training and one of generation.
    pub(crate) fn small_record() -> Record {
        let configuration = |kind, engines: Vec<Measured>| {
            let case = chosen(&[Point::C1], &[Cell::Lstm], Some(kind))[0];
            let ratios = ratios(&engines);
            Configuration { case, engines, ratios }
        };
        let training = vec![
            measured(Engine::Gatemill, 2, &[300e3, 360e3, 330e3]),
            measured(Engine::Torch, 2, &[200e3, 150e3, 165e3]),
            measured(Engine::TorchTuned, 2, &[180e3, 180e3, 165e3]),
        ];
        let generation = vec![
            measured(Engine::Gatemill, 1, &[20e3, 22e3, 21e3]),
            measured(Engine::Gatemill, 2, &[19e3, 19e3, 19e3]),
            measured(Engine::Onnx, 1, &[8e3, 8e3, 8e3]),
            measured(Engine::Onnx, 2, &[10e3, 10e3, 10e3]),
        ];
        Record {
            what: "a test",
            date: "2026-11-26".into(),
            command: "cargo xtask compare".into(),
            machine: Machine { cpu: "X".into(), cores: 2, ..Machine::default() },
            versions: BTreeMap::from([("torch".into(), "2.15.0".into())]),
            rounds: 3,
            seconds: 3.0,
            threads: 2,
            configurations: vec![configuration(Kind::Training, training), configuration(Kind::Generation, generation)],
            failed: Vec::new(),
        }
    }

    #[test]
    fn ratios_are_of_medians_and_their_spread_of_rounds() {
        let record = small_record();
        let [torch, tuned] = record.configurations[0].ratios.as_slice() else { panic!("two peers") };
        // 330 / 165; the rounds are 300 / 200, 360 / 150, 330 / 165.
        assert_eq!((torch.to, torch.spread), (Engine::Torch, Spread { median: 2.0, min: 1.5, max: 2.4 }));
        assert_eq!((tuned.to, tuned.spread.median), (Engine::TorchTuned, 1.833));
    }

    #[test]
    fn both_sides_take_the_faster_number_of_threads() {
        let record = small_record();
        let generation = &record.configurations[1];
        assert_eq!(generation.ratios.len(), 1);
        assert_eq!(generation.ratios[0].spread, Spread { median: 2.1, min: 2.0, max: 2.2 });
        assert_eq!(generation.best(Engine::Gatemill).map(|best| best.threads), Some(1));
        assert_eq!(generation.best(Engine::Onnx).map(|best| best.threads), Some(2));
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0].into_iter()), Spread { median: 2.5, min: 1.0, max: 4.0 });
        assert!(Spread::of(std::iter::empty()).median.is_nan());
    }

    #[test]
    fn a_record_and_its_table_are_written_side_by_side() {
        let folder = std::env::temp_dir().join(format!("gatemill-compare-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("r.json");
        small_record().write(&path).unwrap();
        let read: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let first = &read["configurations"][0];
        assert_eq!((first["point"].as_str(), first["cell"].as_str()), (Some("C1"), Some("lstm")));
        assert_eq!(first["ratios"][1]["to"], "torch-tuned");
        assert_eq!(first["engines"][1]["rounds"][0]["median"], 200e3);
        assert!(std::fs::read_to_string(path.with_extension("md")).unwrap().contains("1x128"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
