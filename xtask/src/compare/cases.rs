//! What is compared: training at the points of the grid, one stream of generation, scoring; all on 65 symbols.

use clap::ValueEnum;
use serde::Serialize;

/// Symbols; the input is one-hot.
pub(crate) const VOCAB: usize = 65;

/// A kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// A whole step: forward, loss, backward, clip by norm 5, Adam.
    Training,
    /// One stream of drawn symbols.
    Generation,
    /// Forward and loss.
    Scoring,
}

/// A recurrent cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Cell {
    Lstm,
    Gru,
    Rnn,
}

impl Cell {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Cell::Lstm => "lstm",
            Cell::Gru => "gru",
            Cell::Rnn => "rnn",
        }
    }

    fn gates(self) -> usize {
        match self {
            Cell::Lstm => 4,
            Cell::Gru => 3,
            Cell::Rnn => 1,
        }
    }
}

/// A point of the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Point {
    C1,
    C2,
    C3,
    C4,
    C5,
}

impl Point {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Point::C1 => "C1",
            Point::C2 => "C2",
            Point::C3 => "C3",
            Point::C4 => "C4",
            Point::C5 => "C5",
        }
    }

    /// Layers, hidden units, T, B.
    fn sizes(self) -> [usize; 4] {
        match self {
            Point::C1 => [1, 128, 50, 50],
            Point::C2 => [2, 256, 64, 32],
            Point::C3 => [2, 512, 100, 64],
            Point::C4 => [3, 512, 100, 100],
            Point::C5 => [1, 1024, 128, 64],
        }
    }
}

/// Layers and hidden units of the models that write one stream.
const GENERATION: [(Cell, usize, usize); 5] =
    [(Cell::Lstm, 2, 128), (Cell::Lstm, 2, 256), (Cell::Lstm, 2, 512), (Cell::Lstm, 3, 512), (Cell::Gru, 2, 512)];

/// One configuration.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Case {
    pub(crate) kind: Kind,
    /// Of the grid.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) point: &'static str,
    pub(crate) cell: Cell,
    pub(crate) layers: usize,
    pub(crate) hidden: usize,
    /// T; 1 where symbols are drawn one by one.
    pub(crate) seq: usize,
    /// B
    pub(crate) batch: usize,
    pub(crate) vocab: usize,
}

impl Case {
    /// Tokens of a step.
    pub(crate) fn tokens(&self) -> usize {
        self.seq * self.batch
    }

    /// Parameters as PyTorch lays them out, two biases per gate.
    pub(crate) fn parameters(&self) -> usize {
        let Case { layers, hidden, vocab, .. } = *self;
        let rows = self.cell.gates() * hidden;
        let inputs = vocab + (layers - 1) * hidden;
        rows * (inputs + layers * hidden) + 2 * layers * rows + hidden * vocab + vocab
    }

    /// Weights that multiply: all but biases and the rows that a one-hot input picks.
    pub(crate) fn multiplying(&self) -> usize {
        let Case { layers, hidden, vocab, .. } = *self;
        self.cell.gates() * hidden * hidden * (2 * layers - 1) + hidden * vocab
    }

    pub(crate) fn title(&self) -> String {
        let cell = self.cell.name().to_uppercase();
        let Case { layers, hidden, seq, batch, .. } = *self;
        match self.kind {
            Kind::Training => format!("training {} {cell} {layers}x{hidden} (T {seq}, B {batch})", self.point),
            Kind::Generation => format!("generation {cell} {layers}x{hidden}"),
            Kind::Scoring => format!("scoring {cell} {layers}x{hidden} (T {seq}, B {batch})"),
        }
    }
}

/// The configurations with these points (of training), cells and kind, in the order in which they are measured.
pub(crate) fn chosen(points: &[Point], cells: &[Cell], only: Option<Kind>) -> Vec<Case> {
    let case = |kind, point, cell, [layers, hidden, seq, batch]: [usize; 4]| Case {
        kind,
        point,
        cell,
        layers,
        hidden,
        seq,
        batch,
        vocab: VOCAB,
    };
    let mut all = Vec::new();
    for point in points {
        all.extend(cells.iter().map(|&cell| case(Kind::Training, point.name(), cell, point.sizes())));
    }
    for (cell, layers, hidden) in GENERATION {
        all.push(case(Kind::Generation, "", cell, [layers, hidden, 1, 1]));
    }
    all.push(case(Kind::Scoring, "", Cell::Lstm, [2, 512, 100, 64]));
    all.retain(|case| cells.contains(&case.cell) && only.is_none_or(|kind| case.kind == kind));
    all
}

#[cfg(test)]
mod tests {
    use super::{Cell, Kind, Point, chosen};

    #[test]
    fn parameters_are_those_of_pytorchs_modules() {
        // nn.LSTM(65, 128) and nn.Linear(128, 65); nn.GRU(65, 128) and the same; nn.LSTM(65, 256, 2).
        let case = |point, cell| chosen(&[point], &[cell], Some(Kind::Training))[0];
        assert_eq!(case(Point::C1, Cell::Lstm).parameters(), 108_225);
        assert_eq!(case(Point::C1, Cell::Gru).parameters(), 83_265);
        assert_eq!(case(Point::C2, Cell::Lstm).parameters(), 873_793);
        assert_eq!(case(Point::C1, Cell::Rnn).multiplying(), 128 * 128 + 128 * 65);
    }

    #[test]
    fn cells_and_kind_narrow_the_list() {
        let all = chosen(&[Point::C1, Point::C2], &[Cell::Lstm, Cell::Gru, Cell::Rnn], None);
        assert_eq!(all.len(), 2 * 3 + 5 + 1);
        assert_eq!(chosen(&[Point::C1], &[Cell::Gru], None).len(), 1 + 1);
        assert_eq!(chosen(&[Point::C1], &[Cell::Rnn], Some(Kind::Generation)).len(), 0);
        let scoring = chosen(&[Point::C1], &[Cell::Lstm], Some(Kind::Scoring));
        assert!(scoring.len() == 1 && scoring[0].tokens() == 6400);
    }
}
