//! Bins to counts and label sums: one row of numbers is added per value, whatever is asked.
//!
//! ```text
//! table of a column   [set][bin][1, labels...]      set: A, B, then A and B under each turned copy of the labels
//! for each character: table[set][bin of the value] += [1, its labels]
//! ```
//!
//! A tile of 16 units with all their parts is one worker's. Of a long text one character in every few is compared, which one
//! of each few by its number: neighbours tell the same anyway. The control takes one in [`CONTROL`] of those: chance gets
//! a little more room, never less.

use super::bins::Bins;
use super::{BINS, Column, Columns, MOST_COMPARED, SHIFTS};
use crate::label::Label;
use crate::text::Text;
use gatemill_cell::Part;
use gatemill_crew::Crew;
use gatemill_kernels::{Kernels, LANES};
use gatemill_train::{CharModel, Trace, TracePlan, TrainError};
use std::ops::Range;

/// Of the characters that are compared, one in so many for the control.
const CONTROL: u64 = 4;
/// Sets of a table: the text's labels and their turned copies, each in both halves.
pub(super) const SETS: usize = 2 * (1 + SHIFTS);
/// A gate is open above this, closed below the other; a tanh saturated.
const OPEN: f32 = 0.9;
const CLOSED: f32 = 0.1;

/// How often one part of a unit was at an end of its range.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct GateUse {
    /// Above 0.9.
    pub open: f64,
    /// Below 0.1; of a tanh, below -0.9.
    pub closed: f64,
}

/// What was counted.
#[derive(Debug)]
pub struct Tally {
    columns: Columns,
    pub(super) labels: usize,
    /// Numbers of a row: 1 and the labels, in whole vectors.
    width: usize,
    /// By tile: tables `[part][unit][set][bin][width]`, then `[part][unit][open, closed]`.
    counts: Vec<u32>,
    /// Sum of squares of each label, by set.
    pub(super) squares: Vec<Vec<u64>>,
    /// Characters compared.
    pub compared: usize,
}

/// A character that is compared.
struct Row {
    moment: gatemill_train::Moment,
    /// 0: A, 1: B.
    half: usize,
    /// Its place among the control's rows.
    control: Option<usize>,
}

impl Tally {
    /// Reads the text and counts. `halves`: characters of A and of B.
    pub fn of(
        model: &CharModel,
        text: &Text,
        (labels, bins): (&[Label], &Bins),
        (plan, halves): (&TracePlan, &[Range<usize>; 2]),
        (crew, kernels): (&Crew, &Kernels),
        mut progress: impl FnMut(usize),
    ) -> Result<Self, TrainError> {
        let columns = Columns::of(model);
        let width = (1 + labels.len()).next_multiple_of(LANES);
        let per_tile = columns.parts.len() * LANES * (SETS * BINS * width + 2);
        let mut tally = Self {
            columns,
            labels: labels.len(),
            width,
            counts: vec![0; columns.tiles() * per_tile],
            squares: vec![vec![0; labels.len()]; SETS],
            compared: 0,
        };
        let borders: Vec<usize> = (0..=columns.tiles()).map(|i| i * per_tile).collect();
        let every = text.len().div_ceil(MOST_COMPARED).max(1) as u64;
        let (mut rows, mut real, mut turned) = (Vec::new(), Vec::new(), Vec::new());
        let mut read = 0;
        model.trace(&text.ids, plan, (crew, kernels), |trace| {
            rows.clear();
            real.clear();
            turned.clear();
            for &moment in trace.moments() {
                let Some(at) = text.char_of(moment.at) else { continue };
                let (few, chosen) = (at as u64 / every, at as u64 % every);
                if mixed(few) % every != chosen {
                    continue;
                }
                let half = usize::from(at >= halves[1].start);
                let mut put = |rows: &mut Vec<u32>, at: usize, set: usize| {
                    let from = rows.len();
                    rows.resize(from + width, 0);
                    rows[from] = 1;
                    for (k, label) in labels.iter().enumerate() {
                        let value = u32::from(label.values[at]);
                        rows[from + 1 + k] = value;
                        tally.squares[set][k] += u64::from(value * value);
                    }
                };
                put(&mut real, at, half);
                let control = (mixed(few ^ 0x5eed) % CONTROL == 0).then_some(turned.len() / width / SHIFTS);
                if control.is_some() {
                    for shift in 0..SHIFTS {
                        let (Range { start, end }, by) = (halves[half].clone(), shift + 1);
                        let turn = (end - start) * by / (SHIFTS + 1);
                        put(&mut turned, start + (at - start + turn) % (end - start), 2 * by + half);
                    }
                }
                rows.push(Row { moment, half, control });
            }
            let (rows, real, turned) = (&rows, &real, &turned);
            crew.tiles(&mut tally.counts, &borders, |tile, counts| {
                count(trace, (columns, bins), tile, width, (rows, real, turned), counts);
            });
            tally.compared += rows.len();
            read += trace.moments().len();
            progress(read);
            Ok::<(), TrainError>(())
        })?;
        Ok(tally)
    }
    /// Rows `[bin][1, labels...]` of a set of a column.
    pub(super) fn table(&self, column: Column, set: usize) -> impl Iterator<Item = &[u32]> {
        let (tile, within) = self.within(column);
        let rows = &tile[(within * SETS + set) * BINS * self.width..][..BINS * self.width];
        rows.chunks_exact(self.width)
    }
    fn within(&self, column: Column) -> (&[u32], usize) {
        let (place, per_tile) = (self.columns.place(column), self.counts.len() / self.columns.tiles());
        let of_tile = self.columns.parts.len() * LANES;
        (&self.counts[place / of_tile * per_tile..][..per_tile], place % of_tile)
    }
    /// How often a part of a unit was at an end of its range; none where it has no such ends.
    pub fn gate_use(&self, column: Column) -> Option<GateUse> {
        if column.part == Part::Cell {
            return None;
        }
        let (tile, within) = self.within(column);
        let ends = &tile[tile.len() - 2 * self.columns.parts.len() * LANES..][2 * within..][..2];
        let of = |count: u32| f64::from(count) / self.compared.max(1) as f64;
        Some(GateUse { open: of(ends[0]), closed: of(ends[1]) })
    }
}

/// One tile's share of a chunk.
fn count(
    trace: &Trace<'_>,
    (columns, bins): (Columns, &Bins),
    tile: usize,
    width: usize,
    (rows, real, turned): (&[Row], &[u32], &[u32]),
    counts: &mut [u32],
) {
    let (layer, vector) = columns.tile(tile);
    let units = LANES.min(columns.hidden - vector * LANES);
    let parts = columns.parts.len();
    let (tables, ends) = counts.split_at_mut(parts * LANES * SETS * BINS * width);
    let per_unit = SETS * BINS * width;
    for (p, &part) in columns.parts.iter().enumerate() {
        let tables = &mut tables[p * LANES * per_unit..][..LANES * per_unit];
        let least = if part.opens() { CLOSED } else { -OPEN };
        let (mut open, mut closed) = ([0u32; LANES], [0u32; LANES]);
        for (row, labels) in rows.iter().zip(real.chunks_exact(width)) {
            let values = trace.units(layer, part, vector, row.moment);
            for (u, &value) in values.iter().enumerate().take(LANES) {
                open[u] += u32::from(value > OPEN);
                closed[u] += u32::from(value < least);
            }
            let found = bins.find(tile * parts + p, values);
            let mut add = |set: usize, labels: &[u32]| {
                for (u, &bin) in found.iter().enumerate().take(units) {
                    let to = &mut tables[u * per_unit + (set * BINS + bin as usize) * width..][..width];
                    to.iter_mut().zip(labels).for_each(|(to, label)| *to += label);
                }
            };
            add(row.half, labels);
            if let Some(control) = row.control {
                let copies = turned[control * SHIFTS * width..][..SHIFTS * width].chunks_exact(width);
                copies.enumerate().for_each(|(shift, labels)| add(2 * (shift + 1) + row.half, labels));
            }
        }
        for u in 0..units {
            ends[(p * LANES + u) * 2] += open[u];
            ends[(p * LANES + u) * 2 + 1] += closed[u];
        }
    }
}

/// A number's bits, mixed: which of every few is chosen must not follow the lines of the text.
fn mixed(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
