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
use gatemill_train::{CharModel, Moment, Trace, TracePlan, TrainError};
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
    /// Numbers of a row: 1 and the labels, in whole vectors.
    width: usize,
    /// By tile: tables `[part][unit][set][bin][width]`, then `[part][unit][open, closed]`.
    counts: Vec<u32>,
    /// Sum of squares of each label, by set.
    pub(super) squares: Vec<Vec<u64>>,
    /// Characters compared.
    pub compared: usize,
}

/// Characters whose bins are kept before they are counted: each counting walks all tables once, and those of a large model are
/// more than a cache holds.
const KEPT: usize = 4096;

/// Characters that wait to be counted.
#[derive(Default)]
struct Waiting {
    /// 0: A, 1: B.
    halves: Vec<u8>,
    /// `[character][width]`.
    labels: Vec<u32>,
    /// Which of them the control takes.
    control: Vec<u32>,
    /// `[control][SHIFTS][width]`.
    turned: Vec<u32>,
}

/// Characters that a plan looks at: as many of the text's as it does of the symbols.
pub(crate) fn characters(text: &Text, plan: &TracePlan) -> usize {
    let part = text.len() as u128 * plan.looked_at() as u128 / text.ids.len().max(1) as u128;
    usize::try_from(part).unwrap_or(usize::MAX)
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
            width,
            counts: vec![0; columns.tiles() * per_tile],
            squares: vec![vec![0; labels.len()]; SETS],
            compared: 0,
        };
        let every = characters(text, plan).div_ceil(MOST_COMPARED).max(1) as u64;
        // `[tile][part][unit][character]`: at most a chunk of the trace comes to those that wait.
        let longest = if model.config.no_carry { model.config.seq } else { 0 };
        // A little more: columns must not all lie in the same lines of the cache.
        let room = KEPT + TracePlan::CHUNK.max(longest) + LANES;
        let mut found = vec![0u8; columns.padded() * room];
        let mut waiting = Waiting::default();
        let (mut chosen, mut read) = (Vec::new(), 0);
        model.trace(&text.ids, plan, (crew, kernels), |trace| {
            let first = waiting.halves.len();
            chosen.clear();
            for &moment in trace.moments() {
                let Some(at) = text.char_of(moment.at) else { continue };
                if mixed(at as u64 / every) % every != at as u64 % every {
                    continue;
                }
                chosen.push(moment);
                tally.wait(&mut waiting, labels, halves, at, every);
            }
            let borders: Vec<usize> = (0..=columns.tiles()).map(|i| i * columns.parts.len() * LANES * room).collect();
            crew.tiles(&mut found, &borders, |tile, found| {
                bin(trace, (columns, bins), tile, &chosen, found, (room, first));
            });
            if waiting.halves.len() >= KEPT {
                tally.count(&mut waiting, &found, room, crew);
            }
            tally.compared += chosen.len();
            tally.use_gates(trace, &chosen, crew);
            read += trace.moments().len();
            progress(read);
            Ok::<(), TrainError>(())
        })?;
        tally.count(&mut waiting, &found, room, crew);
        Ok(tally)
    }
    /// Puts a character among those that wait, with its labels and, for the control, those that are turned to it.
    fn wait(&mut self, waiting: &mut Waiting, labels: &[Label], halves: &[Range<usize>; 2], at: usize, every: u64) {
        let half = usize::from(at >= halves[1].start);
        let mut put = |rows: &mut Vec<u32>, at: usize, set: usize| {
            let from = rows.len();
            rows.resize(from + self.width, 0);
            rows[from] = 1;
            for (k, label) in labels.iter().enumerate() {
                let value = u32::from(label.values[at]);
                rows[from + 1 + k] = value;
                self.squares[set][k] += u64::from(value * value);
            }
        };
        put(&mut waiting.labels, at, half);
        if mixed((at as u64 / every) ^ 0x5eed).is_multiple_of(CONTROL) {
            waiting.control.push(waiting.halves.len() as u32);
            for shift in 1..=SHIFTS {
                let Range { start, end } = halves[half].clone();
                let turn = (end - start) * shift / (SHIFTS + 1);
                put(&mut waiting.turned, start + (at - start + turn) % (end - start), 2 * shift + half);
            }
        }
        waiting.halves.push(half as u8);
    }
    /// Adds up all that waits.
    fn count(&mut self, waiting: &mut Waiting, found: &[u8], room: usize, crew: &Crew) {
        let (width, of_tile) = (self.width, self.columns.parts.len() * LANES);
        let per_tile = self.counts.len() / self.columns.tiles();
        let borders: Vec<usize> = (0..=self.columns.tiles()).map(|i| i * per_tile).collect();
        let count = waiting.halves.len();
        crew.tiles(&mut self.counts, &borders, |tile, counts| {
            let found = found[tile * of_tile * room..].chunks_exact(room);
            // A column's table is small enough for the first cache: columns one after the other.
            for (table, found) in counts.chunks_exact_mut(SETS * BINS * width).zip(found).take(of_tile) {
                let mut add = |set: usize, bin: u8, labels: &[u32]| {
                    let to = &mut table[(set * BINS + usize::from(bin)) * width..][..width];
                    let (to, from) = (to.as_chunks_mut::<LANES>().0, labels.as_chunks::<LANES>().0);
                    for (to, from) in to.iter_mut().zip(from) {
                        (0..LANES).for_each(|i| to[i] += from[i]);
                    }
                };
                let labels = waiting.labels.chunks_exact(width);
                for ((&bin, &half), labels) in found[..count].iter().zip(&waiting.halves).zip(labels) {
                    add(usize::from(half), bin, labels);
                }
                for (&at, turned) in waiting.control.iter().zip(waiting.turned.chunks_exact(SHIFTS * width)) {
                    let (bin, half) = (found[at as usize], usize::from(waiting.halves[at as usize]));
                    turned.chunks_exact(width).enumerate().for_each(|(i, labels)| add(2 * (i + 1) + half, bin, labels));
                }
            }
        });
        *waiting = Waiting::default();
    }
    /// How often values are at the ends of their ranges.
    fn use_gates(&mut self, trace: &Trace<'_>, chosen: &[Moment], crew: &Crew) {
        let columns = self.columns;
        let per_tile = self.counts.len() / columns.tiles();
        let borders: Vec<usize> = (0..=columns.tiles()).map(|i| i * per_tile).collect();
        crew.tiles(&mut self.counts, &borders, |tile, counts| {
            let (layer, vector) = columns.tile(tile);
            let from = counts.len() - 2 * columns.parts.len() * LANES;
            for (&part, ends) in columns.parts.iter().zip(counts[from..].chunks_exact_mut(2 * LANES)) {
                let least = if part.opens() { CLOSED } else { -OPEN };
                let (mut open, mut closed) = ([0u32; LANES], [0u32; LANES]);
                for &moment in chosen {
                    let Some(values) = trace.units(layer, part, vector, moment).first_chunk::<LANES>() else {
                        continue;
                    };
                    for u in 0..LANES {
                        open[u] += u32::from(values[u] > OPEN);
                        closed[u] += u32::from(values[u] < least);
                    }
                }
                for u in 0..LANES {
                    ends[2 * u] += open[u];
                    ends[2 * u + 1] += closed[u];
                }
            }
        });
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

/// The bins of one tile's columns in a chunk, behind the `first` that wait already.
fn bin(
    trace: &Trace<'_>,
    (columns, bins): (Columns, &Bins),
    tile: usize,
    chosen: &[Moment],
    found: &mut [u8],
    (room, first): (usize, usize),
) {
    let (layer, vector) = columns.tile(tile);
    for (p, (&part, found)) in columns.parts.iter().zip(found.chunks_exact_mut(LANES * room)).enumerate() {
        for (i, &moment) in chosen.iter().enumerate() {
            let bins = bins.find(tile * columns.parts.len() + p, trace.units(layer, part, vector, moment));
            (0..LANES).for_each(|u| found[u * room + first + i] = bins[u] as u8);
        }
    }
}

/// A number's bits, mixed: which of every few is chosen must not follow the lines of the text.
fn mixed(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
