//! Which unit tells what: every part of every unit against every label, in one pass over the text.
//!
//! ```text
//! first half A                                  second half B, held out
//! values -> bins -> per bin: count, labels      values -> bins -> per bin: count, labels
//! best threshold and side, or mean per bin  ->  balanced accuracy, or R^2
//! ```
//!
//! **Score.** Binary label: (sensitivity + specificity) / 2 of the threshold that was best on A, on B; 0.5 is chance. Number:
//! R^2 on B of the mean of its bin on A; 0 is chance.
//!
//! **Control.** The labels are turned in a circle within each half, by a fifth of it and more ([`SHIFTS`] of them): their
//! stretches, rhythm and share stay what they were, and only what they have to do with the text is gone. The best score of
//! *all* units under them is what chance finds when it may choose among all units.
//!
//! **Names.** A unit is named by a label where the score of its h or c reaches [`LEVEL_BINARY`] or [`LEVEL_NUMBER`] and
//! is above the best of the control; of several labels by that with the largest share of what lies between chance and 1.
//!
//! Integers are counted and sums taken in the order of units: the findings are the same for any number of threads.

mod bins; // values -> bins, by quantiles

mod tally; // bins -> counts and label sums

mod score; // counts -> scores

mod control; // what chance finds

mod name; // scores -> names

pub use bins::Bins;
pub use name::{Cell, LabelFindings, Probe, findings};
pub use score::{Score, Tell};
pub(crate) use tally::characters;
pub use tally::{GateUse, Tally};

use gatemill_cell::Part;
use gatemill_kernels::LANES;
use gatemill_train::CharModel;

/// Bins of a unit's values.
pub const BINS: usize = 32;
/// Turned copies of the labels.
pub const SHIFTS: usize = 4;
/// A binary label's least score for a name.
pub const LEVEL_BINARY: f64 = 0.85;
/// A number's least score for a name.
pub const LEVEL_NUMBER: f64 = 0.4;
/// Stretches that a label must have in each half, so that a score means something.
pub const LEAST_STRETCHES: usize = 20;
/// Characters that are compared, at most: one in every few of a longer text.
pub const MOST_COMPARED: usize = 1 << 17;

/// A part of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Column {
    /// From 0.
    pub layer: usize,
    /// h, c or a gate.
    pub part: Part,
    /// From 0.
    pub unit: usize,
}

/// The columns of a model, in vectors of 16 units: a tile is one vector of one layer with all of its parts.
#[derive(Debug, Clone, Copy)]
pub struct Columns {
    /// L.
    pub layers: usize,
    /// H.
    pub hidden: usize,
    /// What a unit has.
    pub parts: &'static [Part],
}

impl Columns {
    /// Those of a model.
    pub fn of(model: &CharModel) -> Self {
        Self { layers: model.config.layers, hidden: model.config.hidden, parts: model.parts() }
    }
    fn vectors(&self) -> usize {
        self.hidden.div_ceil(LANES)
    }
    fn tiles(&self) -> usize {
        self.layers * self.vectors()
    }
    /// Layer and vector of a tile.
    fn tile(&self, tile: usize) -> (usize, usize) {
        (tile / self.vectors(), tile % self.vectors())
    }
    /// Columns of all tiles, those beyond the last unit among them.
    fn padded(&self) -> usize {
        self.tiles() * self.parts.len() * LANES
    }
    /// Where a column lies among the padded ones.
    fn place(&self, column: Column) -> usize {
        let part = self.parts.iter().position(|&p| p == column.part).expect("a part of the cell");
        let tile = column.layer * self.vectors() + column.unit / LANES;
        (tile * self.parts.len() + part) * LANES + column.unit % LANES
    }
    /// All columns: by layer, unit, part.
    pub fn each(&self) -> impl Iterator<Item = Column> + '_ {
        let units = (0..self.layers).flat_map(|layer| (0..self.hidden).map(move |unit| (layer, unit)));
        units.flat_map(|(layer, unit)| self.parts.iter().map(move |&part| Column { layer, part, unit }))
    }
}

#[cfg(test)]
mod tests;
