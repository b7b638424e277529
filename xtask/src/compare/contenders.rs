//! Who runs a configuration, and how: Gatemill by its commands, each peer by a worker that prints one JSON line.

use super::cases::{Case, Cell, Kind};
use super::environment::{self, Built};
use super::own::{self, OwnPlan};
use super::{process, table};
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// glibc's malloc told to keep what it has: PyTorch is then spared its page faults at each step.
const TUNED: &str = "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=17179869184";

/// The loss of a model that knows nothing yet: ln 65; and how far an initialisation may be from it.
const FIRST_LOSS: f64 = 4.174_387_269_895_637;
const FIRST_LOSS_WITHIN: f64 = 0.25;

/// An engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Engine {
    #[value(skip)]
    Gatemill,
    /// PyTorch as `pip install torch` gives it.
    Torch,
    /// The same with glibc's malloc tuned.
    TorchTuned,
    Onnx,
    Candle,
    Burn,
}

impl Engine {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Engine::Gatemill => "gatemill",
            Engine::Torch => "torch",
            Engine::TorchTuned => "torch-tuned",
            Engine::Onnx => "onnx",
            Engine::Candle => "candle",
            Engine::Burn => "burn",
        }
    }

    /// For the head of a table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Engine::Gatemill => "Gatemill",
            Engine::Torch => "PyTorch as installed",
            Engine::TorchTuned => "PyTorch, malloc tuned",
            Engine::Onnx => "ONNX Runtime",
            Engine::Candle => "candle",
            Engine::Burn => "burn",
        }
    }

    pub(crate) fn is_python(self) -> bool {
        matches!(self, Engine::Torch | Engine::TorchTuned | Engine::Onnx)
    }

    /// Whether it takes part: ONNX Runtime does not train, candle and burn have no RNN and take minutes beyond C2.
    fn takes_part(self, case: &Case) -> bool {
        match self {
            Engine::Gatemill | Engine::Torch | Engine::TorchTuned => true,
            Engine::Onnx => case.kind != Kind::Training,
            Engine::Candle | Engine::Burn => {
                case.kind == Kind::Training && case.cell != Cell::Rnn && matches!(case.point, "C1" | "C2")
            }
        }
    }

    /// The worker's script for a kind of work.
    fn script(self, kind: Kind) -> &'static str {
        match (self, kind) {
            (Engine::Onnx, Kind::Scoring) => "onnx_score.py",
            (Engine::Onnx, _) => "onnx_generate.py",
            (_, Kind::Training) => "torch_train.py",
            (_, Kind::Generation) => "torch_generate.py",
            (_, Kind::Scoring) => "torch_score.py",
        }
    }
}

/// Engines and thread counts of a configuration, Gatemill first. A stream of symbols has little to share out, so there
/// one thread is tried as well as all.
pub(crate) fn of(case: &Case, peers: &[Engine], threads: usize) -> Vec<(Engine, usize)> {
    let engines =
        std::iter::once(Engine::Gatemill).chain(peers.iter().copied()).filter(|engine| engine.takes_part(case));
    let counts = if case.kind == Kind::Generation && threads > 1 { vec![1, threads] } else { vec![threads] };
    let mut all = Vec::new();
    for contender in engines.flat_map(|engine| counts.iter().map(move |&count| (engine, count))) {
        // A peer that is named twice runs once.
        if !all.contains(&contender) {
            all.push(contender);
        }
    }
    all
}

/// Where everything lies.
pub(crate) struct Lab<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) built: Built,
    /// Texts and models of Gatemill.
    pub(crate) scratch: PathBuf,
    /// Random symbols.
    pub(crate) text: PathBuf,
    pub(crate) seconds: f64,
    /// Threads that this process may use.
    pub(crate) available: usize,
    pub(crate) versions: BTreeMap<String, String>,
}

impl<'a> Lab<'a> {
    /// Builds and installs what the plan needs, and writes the text.
    pub(crate) fn new(
        workspace: &'a Workspace,
        plan: &[(Case, Vec<(Engine, usize)>)],
        binary: Option<&Path>,
        seconds: f64,
        available: usize,
    ) -> Result<Self> {
        let needs =
            |wanted: fn(Engine) -> bool| plan.iter().flat_map(|(_, all)| all).any(|&(engine, _)| wanted(engine));
        let built = Built {
            gatemill: environment::gatemill(workspace, binary)?,
            is_given: binary.is_some(),
            python: if needs(Engine::is_python) { Some(environment::python(workspace)?) } else { None },
            candle: needs(|e| e == Engine::Candle).then(|| environment::rust_peer(workspace, "candle")).transpose()?,
            burn: needs(|e| e == Engine::Burn).then(|| environment::rust_peer(workspace, "burn")).transpose()?,
        };
        let versions = environment::versions(workspace, &built)?;
        let scratch = environment::folder(workspace).join("scratch");
        crate::system::remove(&scratch)?;
        std::fs::create_dir_all(&scratch).with_context(|| format!("making {}", scratch.display()))?;
        let text = own::write_text(&scratch)?;
        Ok(Lab { workspace, built, scratch, text, seconds, available, versions })
    }

    /// A worker's command for a configuration, without its flags beyond sizes and threads.
    fn worker(&self, case: &Case, engine: Engine, threads: usize) -> Result<Command> {
        let sizes = [case.layers, case.hidden, case.seq, case.batch].map(|size| size.to_string());
        let rust = |path: &Option<PathBuf>| -> Result<Command> {
            let path = path.as_ref().with_context(|| format!("{} was not built", engine.name()))?;
            let mut command = self.workspace.command(path);
            command.arg(case.cell.name()).args(&sizes).arg(self.seconds.to_string());
            Ok(command)
        };
        let mut command = match engine {
            Engine::Gatemill => bail!("Gatemill is measured by its own commands"),
            Engine::Candle => rust(&self.built.candle)?,
            Engine::Burn => rust(&self.built.burn)?,
            Engine::Torch | Engine::TorchTuned | Engine::Onnx => {
                let python = self.built.python.as_ref().context("there is no Python environment")?;
                let mut command = self.workspace.command(python);
                command
                    .arg(Path::new("benches/peers").join(engine.script(case.kind)))
                    .args(["--cell", case.cell.name()]);
                for (flag, size) in ["--layers", "--hidden", "--seq", "--batch"].iter().zip(&sizes) {
                    command.args([*flag, size.as_str()]);
                }
                command.args(["--threads", &threads.to_string(), "--seconds", &self.seconds.to_string()]);
                command
            }
        };
        let count = threads.to_string();
        for name in ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"] {
            command.env(name, &count);
        }
        command.env("PYTHONDONTWRITEBYTECODE", "1").env_remove("LD_PRELOAD").env_remove("GLIBC_TUNABLES");
        if engine == Engine::TorchTuned {
            command.env("GLIBC_TUNABLES", TUNED);
        }
        Ok(command)
    }
}

/// An engine that is ready to run a configuration.
pub(crate) struct Contender {
    pub(crate) engine: Engine,
    pub(crate) threads: usize,
    /// Which of the engine's forms is the fastest here, and what the others do.
    pub(crate) form: Option<String>,
    pub(crate) probed: BTreeMap<String, f64>,
    own: Option<OwnPlan>,
}

/// What a worker prints with `--probe`.
#[derive(Deserialize)]
struct Probed {
    form: String,
    probed: BTreeMap<String, f64>,
}

/// What a process measured.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Run {
    /// Tokens per second of each step, or of each text.
    pub(crate) rates: Vec<f64>,
    #[serde(default)]
    pub(crate) first_loss: Option<f64>,
    #[serde(default)]
    pub(crate) parameters: Option<u64>,
    #[serde(skip)]
    pub(crate) peak_rss_mb: Option<f64>,
}

impl Contender {
    /// Probes the forms of PyTorch; chooses the lengths of Gatemill's runs.
    pub(crate) fn prepare(lab: &Lab<'_>, case: &Case, engine: Engine, threads: usize) -> Result<Self> {
        let mut contender = Contender { engine, threads, form: None, probed: BTreeMap::new(), own: None };
        match engine {
            Engine::Gatemill => contender.own = Some(OwnPlan::new(lab, case, threads)?),
            Engine::Torch | Engine::TorchTuned => {
                let done = process::finish(lab.worker(case, engine, threads)?.arg("--probe"))?;
                let Probed { form, probed } = done.json()?;
                (contender.form, contender.probed) = (Some(form), probed);
            }
            Engine::Onnx | Engine::Candle | Engine::Burn => {}
        }
        Ok(contender)
    }

    /// One process of a worker, or Gatemill's processes for one round.
    pub(crate) fn measure(&self, lab: &Lab<'_>, case: &Case) -> Result<Run> {
        if let Some(plan) = &self.own {
            return plan.measure(lab, case, self.threads);
        }
        let mut command = lab.worker(case, self.engine, self.threads)?;
        if let Some(form) = &self.form {
            command.args(["--form", form]);
        }
        let done = process::finish(&mut command)?;
        Ok(Run { peak_rss_mb: done.peak_rss_mb, ..done.json()? })
    }

    pub(crate) fn title(&self) -> String {
        format!("{}, {}", self.engine.name(), table::counted(self.threads, "thread"))
    }

    /// What was settled before the rounds.
    pub(crate) fn setting(&self) -> String {
        match (&self.own, &self.form) {
            (Some(plan), _) => plan.shown(),
            (None, Some(form)) => {
                let others: Vec<_> = self.probed.iter().map(|(form, rate)| format!("{form} {rate:.0}")).collect();
                format!("{form}  ({})", others.join(", "))
            }
            (None, None) => String::new(),
        }
    }
}

impl Run {
    /// Errors: there is no rate, or the model was not the one that was asked for.
    pub(crate) fn checked(self, case: &Case) -> Result<Self> {
        if self.rates.is_empty() || !self.rates.iter().all(|rate| rate.is_finite() && *rate > 0.0) {
            bail!("a rate is missing or no number above 0: {:?}", self.rates);
        }
        if let Some(parameters) = self.parameters
            && parameters != case.parameters() as u64
        {
            bail!("another model: {parameters} parameters instead of {}", case.parameters());
        }
        if let Some(loss) = self.first_loss
            && !(FIRST_LOSS - FIRST_LOSS_WITHIN..=FIRST_LOSS + FIRST_LOSS_WITHIN).contains(&loss)
        {
            bail!("the first loss is {loss} nats; of a model that knows nothing it is near ln 65 = {FIRST_LOSS:.3}");
        }
        Ok(self)
    }

    pub(crate) fn shown(&self) -> String {
        let spread = super::record::Spread::of(self.rates.iter().copied());
        let mut text = format!(
            "{:>9.0} tokens/s ({:.0} to {:.0}, {} times)",
            spread.median,
            spread.min,
            spread.max,
            self.rates.len()
        );
        if let Some(loss) = self.first_loss {
            text += &format!(", first loss {loss:.4}");
        }
        if let Some(parameters) = self.parameters {
            text += &format!(", {parameters} parameters");
        }
        if let Some(mb) = self.peak_rss_mb {
            text += &format!(", {mb:.0} MB");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{Engine, Run, of};
    use crate::compare::cases::{Cell, Kind, Point, chosen};

    const PEERS: [Engine; 5] = [Engine::Torch, Engine::TorchTuned, Engine::Onnx, Engine::Candle, Engine::Burn];

    #[test]
    fn who_takes_part() {
        let names = |point, cell, kind| -> Vec<_> {
            let case = chosen(&[point], &[cell], Some(kind))[0];
            of(&case, &PEERS, 2).into_iter().map(|(engine, threads)| format!("{}{threads}", engine.name())).collect()
        };
        let training = ["gatemill2", "torch2", "torch-tuned2", "candle2", "burn2"];
        assert_eq!(names(Point::C2, Cell::Gru, Kind::Training), training);
        assert_eq!(names(Point::C2, Cell::Rnn, Kind::Training), training[..3]);
        assert_eq!(names(Point::C3, Cell::Lstm, Kind::Training), training[..3]);
        let scoring = ["gatemill2", "torch2", "torch-tuned2", "onnx2"];
        assert_eq!(names(Point::C1, Cell::Lstm, Kind::Scoring), scoring);
        assert_eq!(names(Point::C1, Cell::Lstm, Kind::Generation).len(), 2 * scoring.len());
    }

    #[test]
    fn a_run_of_another_model_is_no_comparison() {
        let case = chosen(&[Point::C1], &[Cell::Lstm], Some(Kind::Training))[0];
        let run = Run { rates: vec![1e5], first_loss: Some(4.17), parameters: Some(108_225), peak_rss_mb: None };
        assert!(run.clone().checked(&case).is_ok());
        let text = |run: Run| run.checked(&case).unwrap_err().to_string();
        assert!(text(Run { parameters: Some(107_713), ..run.clone() }).contains("107713"));
        assert!(text(Run { first_loss: Some(3.0), ..run.clone() }).contains("ln 65"));
        assert!(text(Run { first_loss: Some(f64::NAN), ..run.clone() }).contains("NaN"));
        assert!(text(Run { rates: Vec::new(), ..run.clone() }).contains("missing"));
    }
}
