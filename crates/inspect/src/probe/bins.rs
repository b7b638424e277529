//! Values to bins: the borders are quantiles of each column's own values, so that no range need be known.
//!
//! The quantiles are those of some two thousand characters, read at many places of the first half; they lie closer
//! towards the ends, where a unit that fires seldom has its border.

use super::{BINS, Column, Columns};
use crate::text::Text;
use gatemill_crew::Crew;
use gatemill_kernels::{Kernels, LANES};
use gatemill_train::{CharModel, TracePlan, TrainError};

/// Places of the text, and characters at each.
const PLACES: usize = 128;
const AT_EACH: usize = 16;
/// A border need not be exact, nor what came long before it.
const WARM_UP: usize = 128;

/// Ranks of the borders below the median, of the values' number; those above mirror them.
const RANKS: [f64; 15] = [0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.14, 0.19, 0.25, 0.31, 0.37, 0.42, 0.46];

/// The borders of every column.
#[derive(Debug)]
pub struct Bins {
    columns: Columns,
    /// `[tile][part][BINS - 1][16]`, ascending: a value above k of them is in bin k.
    borders: Vec<f32>,
    /// `[tile][part][BINS][16]`: the mean of a bin's values.
    centres: Vec<f32>,
    /// Least and largest value, by place.
    range: Vec<(f32, f32)>,
}

impl Bins {
    /// Reads a part of the first `half` characters and takes the quantiles.
    pub fn of(
        model: &CharModel,
        text: &Text,
        half: usize,
        (crew, kernels): (&Crew, &Kernels),
    ) -> Result<Self, TrainError> {
        let columns = Columns::of(model);
        let places = PLACES.min(half.max(1));
        let spans = (0..places).map(|i| half * i / places..(half * i / places + AT_EACH).min(half * (i + 1) / places));
        let spans: Vec<_> = spans.map(|s| text.symbols(s.start, s.end)).collect();
        let most: usize = spans.iter().map(ExactSizeIterator::len).sum();
        let per_tile = columns.parts.len() * LANES * most;
        let mut values = vec![0.0f32; columns.tiles() * per_tile];
        let borders: Vec<usize> = (0..=columns.tiles()).map(|i| i * per_tile).collect();
        let mut count = 0;
        model.trace(&text.ids, &TracePlan::spans(spans).warmed_up(WARM_UP), (crew, kernels), |trace| {
            crew.tiles(&mut values, &borders, |tile, out| {
                let (layer, vector) = columns.tile(tile);
                for (part, out) in columns.parts.iter().zip(out.chunks_exact_mut(LANES * most)) {
                    for (i, &moment) in trace.moments().iter().enumerate() {
                        let units = trace.units(layer, *part, vector, moment);
                        (0..LANES).for_each(|u| out[u * most + count + i] = units[u]);
                    }
                }
            });
            count += trace.moments().len();
            Ok::<(), TrainError>(())
        })?;
        let mut bins = Self {
            columns,
            borders: vec![0.0; columns.padded() * (BINS - 1)],
            centres: vec![0.0; columns.padded() * BINS],
            range: vec![(0.0, 0.0); columns.padded()],
        };
        for (place, values) in values.chunks_exact_mut(most.max(1)).enumerate() {
            bins.cut(place, &mut values[..count]);
        }
        Ok(bins)
    }
    /// Borders and centres of the column at `place` from its values.
    fn cut(&mut self, place: usize, values: &mut [f32]) {
        // Padding may hold anything; a damaged model's values may be no numbers.
        values.iter_mut().filter(|v| !v.is_finite()).for_each(|v| *v = 0.0);
        values.sort_unstable_by(f32::total_cmp);
        let (Some(&least), Some(&most)) = (values.first(), values.last()) else { return };
        self.range[place] = (least, most);
        let ranks = RANKS.iter().copied().chain([0.5]).chain(RANKS.iter().rev().map(|r| 1.0 - r));
        let (group, u) = (place / LANES, place % LANES);
        let mut from = 0;
        for (k, rank) in ranks.enumerate() {
            let border = values[((rank * values.len() as f64) as usize).min(values.len() - 1)];
            self.borders[(group * (BINS - 1) + k) * LANES + u] = border;
            let to = from + values[from..].partition_point(|&v| v <= border);
            self.centres[(group * BINS + k) * LANES + u] = mean(&values[from..to]).unwrap_or(border);
            from = to;
        }
        self.centres[(group * BINS + BINS - 1) * LANES + u] = mean(&values[from..]).unwrap_or(most);
    }
    /// The bins of 16 units' values. Group: (tile, part) in order.
    #[inline]
    pub(super) fn find(&self, group: usize, values: &[f32]) -> [u32; LANES] {
        let mut bins = [0; LANES];
        let Some(values) = values.first_chunk::<LANES>() else { return bins };
        for borders in self.borders[group * (BINS - 1) * LANES..][..(BINS - 1) * LANES].chunks_exact(LANES) {
            for u in 0..LANES {
                bins[u] += u32::from(values[u] > borders[u]);
            }
        }
        bins
    }
    /// The border above bin `bin`.
    pub(super) fn border(&self, column: Column, bin: usize) -> f64 {
        let place = self.columns.place(column);
        f64::from(self.borders[(place / LANES * (BINS - 1) + bin) * LANES + place % LANES])
    }
    /// The mean of a bin's values.
    pub(super) fn centre(&self, column: Column, bin: usize) -> f64 {
        let place = self.columns.place(column);
        f64::from(self.centres[(place / LANES * BINS + bin) * LANES + place % LANES])
    }
    /// Least and largest value that were seen.
    pub fn range(&self, column: Column) -> (f32, f32) {
        self.range[self.columns.place(column)]
    }
}

fn mean(values: &[f32]) -> Option<f32> {
    let sum = values.iter().fold(0.0, |sum, &v| sum + f64::from(v));
    (!values.is_empty()).then(|| (sum / values.len() as f64) as f32)
}
