//! Gatemill's side: the commands that a user runs, on a text of random symbols.
//!
//! Training: `gatemill train --json`; each step's own rate, which is the clock around the step alone (the line that tells
//! it is written after). Generation and scoring: `gatemill sample` and `gatemill eval` tell no rate, so each is run over a
//! short and a long piece, and the tokens between are divided by the seconds between: the start of the process drops out.

use super::cases::{Case, Kind, VOCAB};
use super::contenders::{Lab, Run};
use super::process::{self, Finished};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// As the workers warm up: see benches/peers/measure.py.
const WARM_UP_S: f64 = 0.5;
const WARM_UP_STEPS: usize = 2;
const LEAST_STEPS: usize = 5;

/// Steps of the run that says how many the others take.
const FIRST_STEPS: usize = 10;

/// Pairs of a short and a long run per round; the seconds of a round are shared among them.
const PAIRS: usize = 3;

/// Symbols of the short text, and of the long one that says how long the others are.
const SHORT: u64 = 200;
const FIRST_LONG: u64 = 4_000;
const LEAST_MORE: u64 = 1_000;

/// Chunks of the short and of the first long evaluation, and the most that the validation text has.
const FEW: u64 = 2;
const FIRST_MANY: u64 = 8;
const MOST: u64 = 140;

/// Characters of the text: the second half is more than `MOST` chunks of 64 x 100.
const TEXT: usize = 2_000_000;

/// How Gatemill runs a configuration.
pub(crate) enum OwnPlan {
    Train { steps: usize },
    Sample { model: Model, long: u64 },
    Eval { few: Model, many: Model, chunks: u64 },
}

/// A run folder whose model knows nothing yet.
pub(crate) struct Model {
    folder: PathBuf,
    parameters: Option<u64>,
}

impl OwnPlan {
    /// Makes the models, and chooses lengths that take the seconds asked for.
    pub(crate) fn new(lab: &Lab<'_>, case: &Case, threads: usize) -> Result<Self> {
        match case.kind {
            Kind::Training => {
                let (rates, _, _) = train(lab, case, threads, FIRST_STEPS)?;
                let rate = rates.iter().copied().fold(0.0, f64::max);
                let steps = (lab.seconds * rate / case.tokens() as f64).ceil() as usize;
                let warm_up = (WARM_UP_S * rate / case.tokens() as f64).ceil() as usize;
                Ok(OwnPlan::Train { steps: steps.max(LEAST_STEPS) + warm_up.max(WARM_UP_STEPS) })
            }
            Kind::Generation => {
                let flags = ["--batch", "2", "--seq", "8", "--val-frac", "0"];
                let model = make_model(lab, case, &format!("writer-{threads}"), &flags)?;
                let (short, long) = (sample(lab, &model, threads, SHORT)?, sample(lab, &model, threads, FIRST_LONG)?);
                let rate = rate(FIRST_LONG - SHORT, &short, &long)?;
                let more = (rate * lab.seconds / PAIRS as f64).ceil() as u64;
                let long = SHORT + more.max(LEAST_MORE);
                Ok(OwnPlan::Sample { model, long })
            }
            Kind::Scoring => {
                let reader = |chunks: u64| {
                    let (batch, seq) = (case.batch.to_string(), case.seq.to_string());
                    let tokens = (chunks * case.tokens() as u64).to_string();
                    let flags = ["--batch", &batch, "--seq", &seq, "--val-frac", "0.5", "--eval-tokens", &tokens];
                    make_model(lab, case, &format!("reader-{chunks}"), &flags)
                };
                let (few, many) = (reader(FEW)?, reader(FIRST_MANY)?);
                let tokens = (FIRST_MANY - FEW) * case.tokens() as u64;
                let rate = rate(tokens, &eval(lab, case, &few, threads)?, &eval(lab, case, &many, threads)?)?;
                let more = rate * lab.seconds / PAIRS as f64 / case.tokens() as f64;
                let chunks = (FEW + more.ceil() as u64).clamp(FIRST_MANY, MOST);
                Ok(OwnPlan::Eval { few, many: reader(chunks)?, chunks })
            }
        }
    }

    pub(crate) fn shown(&self) -> String {
        match self {
            OwnPlan::Train { steps } => format!("train --steps {steps}"),
            OwnPlan::Sample { long, .. } => format!("sample --length {SHORT} and {long}"),
            OwnPlan::Eval { chunks, .. } => format!("eval --split val over {FEW} and {chunks} chunks"),
        }
    }

    /// One round.
    pub(crate) fn measure(&self, lab: &Lab<'_>, case: &Case, threads: usize) -> Result<Run> {
        if let OwnPlan::Train { steps } = self {
            let (rates, start, done) = train(lab, case, threads, *steps)?;
            let first_loss = start.first_loss;
            let rates = after_warm_up(rates, case.tokens());
            return Ok(Run { rates, first_loss, parameters: start.parameters, peak_rss_mb: done.peak_rss_mb });
        }
        let mut run = Run::default();
        for _ in 0..PAIRS {
            let (tokens, short, long) = match self {
                OwnPlan::Sample { model, long } => {
                    run.parameters = model.parameters;
                    (long - SHORT, sample(lab, model, threads, SHORT)?, sample(lab, model, threads, *long)?)
                }
                OwnPlan::Eval { few, many, chunks } => {
                    run.parameters = many.parameters;
                    let tokens = (chunks - FEW) * case.tokens() as u64;
                    (tokens, eval(lab, case, few, threads)?, eval(lab, case, many, threads)?)
                }
                OwnPlan::Train { .. } => bail!("training is measured above"),
            };
            run.rates.push(rate(tokens, &short, &long)?);
            run.peak_rss_mb = long.peak_rss_mb.into_iter().chain(run.peak_rss_mb).reduce(f64::max);
        }
        Ok(run)
    }
}

/// What the events of a training run say beside rates.
#[derive(Debug, Default, PartialEq)]
struct Told {
    parameters: Option<u64>,
    first_loss: Option<f64>,
}

/// `gatemill train --json`: the rate of each step.
fn train(lab: &Lab<'_>, case: &Case, threads: usize, steps: usize) -> Result<(Vec<f64>, Told, Finished)> {
    let folder = lab.scratch.join("run");
    crate::system::remove(&folder)?;
    let mut command = command(lab, "train");
    let (batch, seq, steps, threads) =
        (case.batch.to_string(), case.seq.to_string(), steps.to_string(), threads.to_string());
    command.arg(&lab.text).args(model_flags(case).iter().map(String::as_str));
    command.args(["--batch", &batch, "--seq", &seq, "--steps", &steps, "--threads", &threads, "--json"]);
    command.args(["--optimizer", "adam", "--lr", "0.002", "--clip-norm", "5", "--schedule", "constant"]);
    command.args(["--val-frac", "0"]).args(QUIET).arg("--out").arg(&folder);
    let done = process::finish(&mut command)?;
    let (rates, told) = rates(&done.stdout)?;
    Ok((rates, told, done))
}

/// No samples and no checkpoints between the steps.
const QUIET: [&str; 4] = ["--sample-every", "1000000000", "--save-every", "1000000000"];

fn model_flags(case: &Case) -> [String; 6] {
    let [layers, hidden] = [case.layers, case.hidden].map(|size| size.to_string());
    ["--cell".into(), case.cell.name().into(), "--layers".into(), layers, "--hidden".into(), hidden]
}

/// The rates of the steps, and what else the events say, from the lines of `train --json`.
fn rates(lines: &str) -> Result<(Vec<f64>, Told)> {
    let (mut rates, mut told) = (Vec::new(), Told::default());
    for line in lines.lines() {
        let event: Value = serde_json::from_str(line).with_context(|| format!("a line of train --json: {line:?}"))?;
        match event["event"].as_str() {
            Some("start") => told.parameters = event["parameters"].as_u64(),
            Some("step") => {
                told.first_loss = told.first_loss.or(event["train_nats"].as_f64());
                rates.push(event["tokens_per_s"].as_f64().context("a step without tokens_per_s")?);
            }
            _ => {}
        }
    }
    Ok((rates, told))
}

/// Leaves out the steps of the first half second, and two at least; what is measured keeps five where there are so many.
fn after_warm_up(mut rates: Vec<f64>, tokens: usize) -> Vec<f64> {
    let (mut steps, mut seconds) = (0, 0.0);
    for rate in &rates {
        if steps >= WARM_UP_STEPS && seconds >= WARM_UP_S {
            break;
        }
        seconds += tokens as f64 / rate;
        steps += 1;
    }
    let most = rates.len().saturating_sub(LEAST_STEPS).max(WARM_UP_STEPS.min(rates.len()));
    rates.drain(..steps.min(most));
    rates
}

/// A run folder with a model of the configuration: one step of training, which leaves its weights near random.
fn make_model(lab: &Lab<'_>, case: &Case, name: &str, flags: &[&str]) -> Result<Model> {
    let folder = lab.scratch.join(format!("{name}-{}-{}x{}", case.cell.name(), case.layers, case.hidden));
    crate::system::remove(&folder)?;
    let mut command = command(lab, "train");
    command.arg(&lab.text).args(model_flags(case).iter().map(String::as_str));
    command.args(["--steps", "1", "--json"]).args(flags).args(QUIET).arg("--out").arg(&folder);
    let (_, told) = rates(&process::finish(&mut command)?.stdout)?;
    Ok(Model { folder, parameters: told.parameters })
}

fn sample(lab: &Lab<'_>, model: &Model, threads: usize, length: u64) -> Result<Finished> {
    let (length, threads) = (length.to_string(), threads.to_string());
    let mut command = command(lab, "sample");
    command.arg(&model.folder).args(["--length", &length, "--temperature", "1", "--threads", &threads, "--json"]);
    process::finish(&mut command)
}

/// `gatemill eval` takes the threads that its process may use; taskset gives it fewer.
fn eval(lab: &Lab<'_>, case: &Case, model: &Model, threads: usize) -> Result<Finished> {
    let mut command = if threads < lab.available {
        let mut command = lab.workspace.command("taskset");
        command.args(["--cpu-list", &first_cpus(threads)?]).arg(&lab.built.gatemill).arg("eval");
        command
    } else {
        command(lab, "eval")
    };
    process::finish(command.arg(&model.folder).args(["--split", "val", "--batch", &case.batch.to_string(), "--json"]))
}

fn command(lab: &Lab<'_>, name: &str) -> Command {
    let mut command = lab.workspace.command(&lab.built.gatemill);
    command.arg(name);
    command
}

/// The first so many of the CPUs that this process may use, as taskset reads them.
fn first_cpus(count: usize) -> Result<String> {
    let status = std::fs::read_to_string("/proc/self/status").context("which CPUs this process may use")?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let cpus = cpus(list.context("/proc/self/status has no Cpus_allowed_list")?.trim())?;
    Ok(cpus.iter().take(count).map(usize::to_string).collect::<Vec<_>>().join(","))
}

/// `0-2,5` is 0, 1, 2, 5.
fn cpus(list: &str) -> Result<Vec<usize>> {
    let mut all = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.parse::<usize>().with_context(|| format!("a list of CPUs: {list:?}"));
        all.extend(number(first)?..=number(last)?);
    }
    Ok(all)
}

/// Tokens per second between a short and a long run.
fn rate(tokens: u64, short: &Finished, long: &Finished) -> Result<f64> {
    let seconds = long.seconds - short.seconds;
    if seconds <= 0.0 {
        bail!("{tokens} more tokens took no more time: the machine is too busy to measure");
    }
    Ok(tokens as f64 / seconds)
}

/// Writes the text: random symbols, each of the 65 at least once.
pub(crate) fn write_text(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("random.txt");
    let symbol = |at: usize| b'0' + at as u8;
    let mut state = 1_u64;
    let random = std::iter::repeat_with(|| {
        // Knuth's multiplier; the upper bits are the random ones.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        symbol((state >> 33) as usize % VOCAB)
    });
    let text: Vec<u8> = (0..VOCAB).map(symbol).chain(random).take(TEXT).collect();
    std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::{Told, after_warm_up, cpus, rates};

    #[test]
    fn rates_parameters_and_the_first_loss_come_from_the_events() {
        let lines = concat!(
            "{\"event\":\"start\",\"parameters\":108225}\n",
            "{\"event\":\"step\",\"train_nats\":4.2,\"tokens_per_s\":100.0}\n",
            "{\"event\":\"checkpoint\",\"step\":1}\n",
            "{\"event\":\"step\",\"train_nats\":4.1,\"tokens_per_s\":200.0}\n",
        );
        let told = Told { parameters: Some(108_225), first_loss: Some(4.2) };
        assert_eq!(rates(lines).unwrap(), (vec![100.0, 200.0], told));
        assert!(rates("{\"event\":\"step\"}").is_err());
    }

    #[test]
    fn warm_up_is_half_a_second_and_two_steps() {
        // Ten tokens a step at 100 tokens/s: a tenth of a second each.
        assert_eq!(after_warm_up(vec![100.0; 20], 10).len(), 15);
        // Slow steps: two are left out.
        assert_eq!(after_warm_up(vec![1.0; 7], 10).len(), 5);
        // Five are kept where there are so many.
        assert_eq!(after_warm_up(vec![100.0; 8], 10).len(), 5);
    }

    #[test]
    fn lists_of_cpus() {
        assert_eq!(cpus("0-2,5").unwrap(), [0, 1, 2, 5]);
        assert_eq!(cpus("1").unwrap(), [1]);
        assert!(cpus("").is_err());
    }
}
