//! The flags of `gatemill bench`.
//!
//! Without a size it is the standard grid; with any of them one configuration, whose other sizes are `train`'s defaults.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use gatemill_crew::Crew;
use gatemill_train::bench::{Kind, Point, Sizes, Task, VOCAB};
use gatemill_train::{CellKind, Config};

use super::train::{LARGEST_DEPTH, LARGEST_THREADS};
use super::{between, named, size};

const WHAT: &str = "What";
const HOW: &str = "How";
const FIGURES: &str = "Figures";
/// The flags that make it one configuration.
const SIZES: [&str; 5] = ["layers", "hidden", "seq", "batch", "vocab"];
/// Texts side by side where `--batch` says nothing.
const TEXTS: [usize; 3] = [1, 8, 64];
/// Seconds of a measurement where `--seconds` says nothing.
const SECONDS: f64 = 2.0;
/// An hour for each is more than anybody waits for.
const MOST_SECONDS: f64 = 3600.0;

/// `gatemill bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// The points C1 to C5 [default where no size is given]
    #[arg(long, value_name = "NAME", value_parser = ["standard"], conflicts_with_all = SIZES, help_heading = WHAT)]
    pub(crate) grid: Option<String>,
    /// Only these points of the grid: C1,C3
    #[arg(long, value_name = "POINTS", value_delimiter = ',', ignore_case = true, value_parser = points(), conflicts_with_all = SIZES, help_heading = WHAT)]
    pub(crate) points: Vec<Point>,
    /// Only these cells: lstm,gru,rnn [default: all three of the grid; lstm of one configuration]
    #[arg(long, value_name = "CELLS", value_delimiter = ',', value_parser = named::<CellKind>(&["rnn", "lstm", "gru"]), help_heading = WHAT)]
    pub(crate) cell: Vec<CellKind>,
    /// Recurrent layers: one configuration in place of the grid, as are the next four [default: 2]
    #[arg(long, value_name = "L", value_parser = between::<usize>(1, LARGEST_DEPTH), help_heading = WHAT)]
    pub(crate) layers: Option<usize>,
    /// Hidden units of each layer [default: 256]
    #[arg(long, value_name = "H", value_parser = size(), help_heading = WHAT)]
    pub(crate) hidden: Option<usize>,
    /// Characters through which gradients flow back [default: 100]
    #[arg(long, value_name = "T", value_parser = size(), help_heading = WHAT)]
    pub(crate) seq: Option<usize>,
    /// Parts of the text read side by side; with --generate texts written side by side [default: 64; 1, 8 and 64]
    #[arg(long, value_name = "B", value_parser = size(), help_heading = WHAT)]
    pub(crate) batch: Option<usize>,
    /// Distinct symbols [default: 65]
    #[arg(long, value_name = "V", value_parser = size(), help_heading = WHAT)]
    pub(crate) vocab: Option<usize>,
    /// Measure writing in place of training: characters of one text, and of 8 and 64 side by side
    #[arg(long, help_heading = WHAT)]
    pub(crate) generate: bool,
    /// Measure scoring a text in place of training: forward and loss
    #[arg(long, help_heading = WHAT)]
    pub(crate) score: bool,

    /// Numbers of worker threads, each measured: 1,2 [default: all that may run]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = between::<usize>(1, LARGEST_THREADS), help_heading = HOW)]
    pub(crate) threads: Vec<usize>,
    /// The numbers that it computes in: f32
    #[arg(long, value_name = "KIND", default_value = "f32", value_parser = precision, help_heading = HOW)]
    pub(crate) precision: String,
    /// Seconds of each measurement, and at least five steps; verification and warm-up not counted [default: 2]
    #[arg(long, value_name = "S", value_parser = seconds, allow_negative_numbers = true, help_heading = HOW)]
    pub(crate) seconds: Option<f64>,

    /// Write one JSON object per measurement and line to stdout
    #[arg(long, help_heading = FIGURES)]
    pub(crate) json: bool,
    /// Keep the figures in a file, with machine, version and date
    #[arg(long, value_name = "FILE", help_heading = FIGURES)]
    pub(crate) save: Option<PathBuf>,
    /// Compare two such files; nothing is measured
    #[arg(long, value_names = ["A", "B"], num_args = 2, conflicts_with_all = SIZES, conflicts_with_all = ["grid", "points", "cell", "generate", "score", "threads", "seconds", "save"], help_heading = FIGURES)]
    pub(crate) diff: Option<Vec<PathBuf>>,

    /// One measurement, in this process: what the command starts itself with
    #[arg(long, hide = true, value_name = "TASK", conflicts_with_all = ["save", "diff"])]
    pub(crate) one: Option<String>,
}

impl BenchArgs {
    /// The measurements to make, each with its threads, in the order of the table.
    pub(crate) fn plan(&self) -> Vec<(Task, usize)> {
        let threads = if self.threads.is_empty() { vec![Crew::available()] } else { self.threads.clone() };
        let seconds = self.seconds.unwrap_or(SECONDS);
        let mut plan = Vec::new();
        for sizes in self.sizes() {
            for (kind, sizes) in self.work(&sizes) {
                plan.extend(threads.iter().map(|&threads| (Task { kind, sizes, seconds }, threads)));
            }
        }
        plan
    }

    fn sizes(&self) -> Vec<Sizes> {
        let cells = |all: &[CellKind]| if self.cell.is_empty() { all.to_vec() } else { self.cell.clone() };
        let Self { layers, hidden, seq, batch, vocab, .. } = *self;
        if [layers, hidden, seq, batch, vocab].iter().any(Option::is_some) {
            let default = Config::default();
            let sizes = |cell| Sizes {
                cell,
                layers: layers.unwrap_or(default.layers),
                hidden: hidden.unwrap_or(default.hidden),
                seq: seq.unwrap_or(default.seq),
                batch: batch.unwrap_or(default.batch),
                vocab: vocab.unwrap_or(VOCAB),
            };
            return cells(&[default.cell]).into_iter().map(sizes).collect();
        }
        let points = if self.points.is_empty() { Point::GRID.to_vec() } else { self.points.clone() };
        let cells = cells(&Point::CELLS);
        points.iter().flat_map(|point| cells.iter().map(|&cell| point.sizes(cell))).collect()
    }

    /// What is timed of these sizes.
    fn work(&self, sizes: &Sizes) -> Vec<(Kind, Sizes)> {
        let mut work = Vec::new();
        if self.score {
            work.push((Kind::Score, *sizes));
        }
        if self.generate {
            let texts = self.batch.map_or(TEXTS.to_vec(), |batch| vec![batch]);
            work.extend(texts.into_iter().map(|batch| (Kind::Generate, Sizes { seq: 1, batch, ..*sizes })));
        }
        if work.is_empty() { vec![(Kind::Train, *sizes)] } else { work }
    }
}

fn points() -> impl TypedValueParser<Value = Point> {
    PossibleValuesParser::new(Point::GRID.map(|point| point.name)).try_map(|name| {
        let mut points = Point::GRID.into_iter();
        points.find(|point| point.name.eq_ignore_ascii_case(&name)).ok_or("no point of the grid")
    })
}

fn precision(name: &str) -> Result<String, String> {
    match name {
        "f32" => Ok(name.to_owned()),
        "bf16" => Err("bf16 is not there yet: Gatemill computes in f32".to_owned()),
        _ => Err("it is f32".to_owned()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds > 0.0 && *seconds <= MOST_SECONDS);
    seconds.ok_or_else(|| format!("it must be a number above 0 and at most {MOST_SECONDS}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;

    fn args(line: &str) -> Result<BenchArgs, String> {
        let words = format!("gatemill bench {line}");
        match Cli::try_parse_from(words.split_whitespace()).map_err(|error| error.to_string())?.command {
            Some(Command::Bench(args)) => Ok(*args),
            other => Err(format!("{other:?}")),
        }
    }
    /// `train lstm 1x128, T=50, B=50, V=65 on 2`
    fn plan(line: &str) -> Vec<String> {
        let plan = args(line).unwrap().plan();
        plan.iter().map(|(task, threads)| format!("{:?} {} on {threads}", task.kind, task.sizes)).collect()
    }

    #[test]
    fn without_a_size_it_is_the_grid() {
        let all = plan("--threads 2");
        assert_eq!(all.len(), 15);
        assert_eq!(all[0], "Train lstm 1x128, T=50, B=50, V=65 on 2");
        assert_eq!(all[10], "Train gru 3x512, T=100, B=100, V=65 on 2");
        assert_eq!(all, plan("--grid standard --threads 2"));
        let part = plan("--points c5,C2 --cell rnn,gru --threads 1,3");
        assert_eq!(part.len(), 8);
        assert_eq!(part[..2], ["Train rnn 1x1024, T=128, B=64, V=65 on 1", "Train rnn 1x1024, T=128, B=64, V=65 on 3"]);
        assert_eq!(part[7], "Train gru 2x256, T=64, B=32, V=65 on 3");
    }

    #[test]
    fn any_size_makes_it_one_configuration() {
        assert_eq!(plan("--hidden 512 --threads 1"), ["Train lstm 2x512, T=100, B=64, V=65 on 1"]);
        let both = plan("--vocab 256 --cell gru,rnn --threads 1");
        assert_eq!(both, ["Train gru 2x256, T=100, B=64, V=256 on 1", "Train rnn 2x256, T=100, B=64, V=256 on 1"]);
        let written = plan("--layers 3 --generate --threads 1");
        let texts = |b| format!("Generate lstm 3x256, T=1, B={b}, V=65 on 1");
        assert_eq!(written, [1, 8, 64].map(texts));
        assert_eq!(plan("--layers 3 --generate --batch 5 --threads 1"), [texts(5)]);
        let scored = plan("--layers 3 --score --generate --batch 5 --threads 1");
        assert_eq!(scored, ["Score lstm 3x256, T=100, B=5, V=65 on 1".to_owned(), texts(5)]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (line, word) in [
            ("--grid large", "standard"),
            ("--grid standard --hidden 3", "--hidden"),
            ("--points C6", "C5"),
            ("--points C1 --seq 3", "--seq"),
            ("--cell lstm,transformer", "transformer"),
            ("--threads 0", "1..="),
            ("--threads 1,,2", "--threads"),
            ("--precision bf16", "not there yet"),
            ("--precision f64", "f32"),
            ("--seconds 0", "above 0"),
            ("--seconds nan", "above 0"),
            ("--seconds -1", "above 0"),
            ("--diff a", "2"),
            ("--diff a b --hidden 5", "--hidden"),
            ("--diff a b --save c", "--save"),
            ("a", "unexpected"),
        ] {
            let error = args(line).unwrap_err();
            assert!(error.contains(word), "{line}: {word:?} is not in {error}");
        }
        assert_eq!(args("--diff a b --json").unwrap().diff.unwrap().len(), 2);
    }
}
