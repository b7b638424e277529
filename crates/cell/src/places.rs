//! Where each element of a tensor lies: PyTorch's row-major `[rows, columns]` on one side, packed panels on the other.
//!
//! A weight's rows are units, and units are a panel's columns: 16 rows that are one vector of a panel are copied together,
//! in squares of 16 columns, so that both sides are walked by whole cache lines: element by element, rows of 1024 columns
//! share one set of L1. Gradients and weights of a layer go this way at every step of a program that keeps them itself.

use crate::tensor::{Place, TensorSpec};
use gatemill_crew::Crew;
use gatemill_kernels::{LANES, Layout, Panels};
use std::ops::Range;

/// Where a row of a weight lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    /// Of its first column.
    at: usize,
    /// Floats from one column to the next.
    stride: usize,
    /// Where its panel begins and ends.
    panel: (usize, usize),
}

fn row_of(layout: &Layout, spec: &TensorSpec, row: usize) -> Option<Row> {
    let layer = |l: usize| &layout.layers()[l];
    let place = |base: usize, panels: Panels, k: usize, column: usize| {
        let panel = column / LANES / panels.per_panel();
        let begin = base + panels.at(k, 0, panel * panels.per_panel() * LANES);
        let stride = panels.width(panel) * LANES;
        Row { at: base + panels.at(k, 0, column), stride, panel: (begin, begin + k * stride) }
    };
    Some(match spec.at {
        Place::WeightIh(l) => {
            let s = layer(l).shape;
            place(layer(l).w_ih.start, s.panels(), s.k_x(), s.column(false, row / s.hidden, row % s.hidden))
        }
        Place::WeightHh(l) => {
            let (layer, s) = (layer(l), layer(l).shape);
            // A GRU that resets before its product has W_hn apart.
            match s.h_column(row / s.hidden, row % s.hidden) {
                (true, column) => place(layer.inner.start, s.inner_panels(), s.k_inner(), column),
                (false, column) => place(layer.w_hh.start, s.h_panels(), s.k_h(), column),
            }
        }
        Place::WeightHr(l) => {
            let s = layer(l).shape;
            place(layer(l).inner.start, s.inner_panels(), s.k_inner(), row)
        }
        Place::HeadWeight => {
            let head = layout.head()?;
            place(head.w.start, head.panels(), head.k_h(), row)
        }
        _ => return None,
    })
}

/// The packed row of column `i` of a weight.
fn k_of(layout: &Layout, spec: &TensorSpec, i: usize) -> usize {
    if let Place::WeightIh(l) = spec.at { layout.layers()[l].shape.k_of(i) } else { i }
}

/// Calls `f(element in PyTorch's layout, element of the flat layout)` for every element of the tensor.
pub(crate) fn each(layout: &Layout, spec: &TensorSpec, mut f: impl FnMut(usize, usize)) {
    let layer = |l: usize| &layout.layers()[l];
    match spec.at {
        Place::WeightIh(_) | Place::WeightHh(_) | Place::WeightHr(_) | Place::HeadWeight => {
            let columns = spec.shape[1];
            for row in 0..spec.shape[0] {
                let Some(Row { at, stride, .. }) = row_of(layout, spec, row) else { return };
                (0..columns).for_each(|i| f(row * columns + i, at + k_of(layout, spec, i) * stride));
            }
        }
        Place::Embedding => {
            let Some((e, own)) = layout.embedding().and_then(|e| Some((e, e.own.as_ref()?))) else { return };
            for s in 0..e.vocab {
                for i in 0..e.width {
                    f(s * e.width + i, own.start + e.panels().at(e.rows, s, i));
                }
            }
        }
        Place::Peepholes(l) => {
            let (base, hidden) = (layer(l).peepholes.start, layer(l).shape.hidden);
            for unit in 0..hidden {
                for row in 0..3 {
                    f(row * hidden + unit, base + (unit / LANES * 3 + row) * LANES + unit % LANES);
                }
            }
        }
        Place::BiasIh(l) | Place::BiasHh(l) => {
            let h = spec.at == Place::BiasHh(l);
            let (layer, s) = (layer(l), layer(l).shape);
            for row in 0..spec.shape[0] {
                let column = s.column(h, row / s.hidden, row % s.hidden);
                // Both biases of a panel lie beside each other: a matrix of two rows.
                f(row, layer.bias.start + s.panels().at(2, usize::from(h), column));
            }
        }
        Place::HeadBias => {
            let Some(head) = layout.head() else { return };
            (0..head.vocab).for_each(|v| f(v, head.b.start + v));
        }
    }
}

/// Rows of a weight that lie beside each other in a vector.
#[derive(Debug, Clone, Copy)]
struct Run {
    first: usize,
    rows: usize,
    /// Where the first of them lies.
    lies: Row,
}

/// Calls `f` for every run among these rows. False: the tensor is no weight.
fn runs(layout: &Layout, spec: &TensorSpec, among: Range<usize>, mut f: impl FnMut(Run)) -> bool {
    let mut first = among.start;
    while first < among.end {
        let Some(lies) = row_of(layout, spec, first) else { return false };
        let beside = |&j: &usize| row_of(layout, spec, first + j) == Some(Row { at: lies.at + j, ..lies });
        let rows = 1 + (1..LANES.min(among.end - first)).take_while(beside).count();
        f(Run { first, rows, lies });
        first += rows;
    }
    true
}

/// Rows and columns of a weight on their way from one side to the other.
type Square = [[f32; LANES]; LANES];

/// Turned about its diagonal.
fn turned(square: &Square) -> Square {
    std::array::from_fn(|i| std::array::from_fn(|j| square[j][i]))
}

/// First and number of the columns of each square.
fn squares(columns: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..columns).step_by(LANES).map(move |first| (first, LANES.min(columns - first)))
}

/// Copies rows into a square or out of it; whole ones without a call.
fn copy<'a>(rows: impl Iterator<Item = (&'a mut [f32], &'a [f32])>) {
    for (to, from) in rows {
        match (<&mut [f32; LANES]>::try_from(&mut *to), <&[f32; LANES]>::try_from(from)) {
            (Ok(to), Ok(from)) => *to = *from,
            _ => to.copy_from_slice(from),
        }
    }
}

/// `out[i] = flat[place of i]`.
pub(crate) fn export(layout: &Layout, spec: &TensorSpec, flat: &[f32], out: &mut [f32]) {
    if !export_rows(layout, spec, flat, 0..spec.shape[0], out) {
        each(layout, spec, |i, at| out[i] = flat[at]);
    }
}

/// Rows that one worker takes at a time: whole vectors.
const PIECE_ROWS: usize = 4 * LANES;

/// The same on all workers of a crew.
pub(crate) fn export_on(crew: &Crew, layout: &Layout, spec: &TensorSpec, flat: &[f32], out: &mut [f32]) {
    let rows = spec.shape[0];
    if rows <= PIECE_ROWS || row_of(layout, spec, 0).is_none() {
        return export(layout, spec, flat, out);
    }
    let columns = out.len() / rows;
    let first_row = |piece: usize| rows.min(piece * PIECE_ROWS);
    let borders: Vec<usize> = (0..=rows.div_ceil(PIECE_ROWS)).map(|piece| first_row(piece) * columns).collect();
    crew.tiles(out, &borders, |piece, out| {
        export_rows(layout, spec, flat, first_row(piece)..first_row(piece + 1), out);
    });
}

/// These rows of a weight, to `out`. False: the tensor is no weight, and nothing was written.
fn export_rows(layout: &Layout, spec: &TensorSpec, flat: &[f32], among: Range<usize>, out: &mut [f32]) -> bool {
    let columns = spec.shape.get(1).copied().unwrap_or(1);
    let mut square = Square::default();
    runs(layout, spec, among.clone(), |Run { first, rows, lies: Row { at, stride, .. } }| {
        let out = &mut out[(first - among.start) * columns..][..rows * columns];
        for (begin, count) in squares(columns) {
            copy(square.iter_mut().zip(begin..begin + count).map(|(to, i)| {
                let from = at + k_of(layout, spec, i) * stride;
                (&mut to[..rows], &flat[from..from + rows])
            }));
            let square = turned(&square);
            copy(
                out.chunks_exact_mut(columns)
                    .zip(&square)
                    .map(|(to, from)| (&mut to[begin..begin + count], &from[..count])),
            );
        }
    })
}

/// `flat[place of i] = data[i]`, on all workers of a crew, each of which takes whole panels.
pub(crate) fn import_on(crew: &Crew, layout: &Layout, spec: &TensorSpec, data: &[f32], flat: &mut [f32]) {
    let mut all = Vec::new();
    if !runs(layout, spec, 0..spec.shape[0], |run| all.push(run)) {
        return each(layout, spec, |i, at| flat[at] = data[i]);
    }
    all.sort_unstable_by_key(|run| run.lies.at);
    let panels: Vec<&[Run]> = all.chunk_by(|a, b| a.lies.panel == b.lies.panel).collect();
    let Some(begin) = all.first().map(|run| run.lies.panel.0) else { return };
    let mut borders: Vec<usize> = panels.iter().map(|runs| runs[0].lies.panel.0 - begin).collect();
    borders.extend(all.last().map(|run| run.lies.panel.1 - begin));
    let end = begin + borders[panels.len()];
    crew.tiles(&mut flat[begin..end], &borders, |i, panel| {
        panels[i].iter().for_each(|run| import_run(layout, spec, data, run, panel));
    });
}

/// A run's rows, to their panel.
fn import_run(layout: &Layout, spec: &TensorSpec, data: &[f32], run: &Run, panel: &mut [f32]) {
    let &Run { first, rows, lies } = run;
    let columns = spec.shape.get(1).copied().unwrap_or(1);
    let data = &data[first * columns..(first + rows) * columns];
    let mut square = Square::default();
    for (begin, count) in squares(columns) {
        copy(
            square
                .iter_mut()
                .zip(data.chunks_exact(columns))
                .map(|(to, from)| (&mut to[..count], &from[begin..begin + count])),
        );
        let square = turned(&square);
        for (from, i) in square.iter().zip(begin..begin + count) {
            let to = lies.at - lies.panel.0 + k_of(layout, spec, i) * lies.stride;
            copy(std::iter::once((&mut panel[to..to + rows], &from[..rows])));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatemill_kernels::{Cell, Direction, StackShape, Variant};

    /// Layouts with every kind of tensor, tails and gaps among them.
    fn layouts() -> Vec<Layout> {
        let stack = |cell, variant, direction| {
            let shape = StackShape { direction, variant, ..StackShape::new(cell, 5, 37, 2) };
            Layout::stack(&shape)
        };
        let symbols = |cell, embed| {
            let direction = Direction::Concat;
            Layout::stack(&StackShape { direction, ..StackShape::of_symbols(cell, 19, embed, 37, 2) })
        };
        let bare = Variant::default();
        vec![
            stack(Cell::Rnn, bare, Direction::Forward),
            stack(Cell::Gru, bare, Direction::Concat),
            stack(Cell::Gru, Variant { reset_before: true, ..bare }, Direction::Concat),
            stack(Cell::Lstm, Variant { peepholes: true, projection: Some(21), ..bare }, Direction::Concat),
            Layout::character_model(Cell::Lstm, 2, 37, 19, 0, false),
            Layout::character_model(Cell::Gru, 1, 21, 67, 9, false),
            Layout::linear(21, 67, true),
            Layout::linear(37, 5, false),
            symbols(Cell::Gru, 0),
            symbols(Cell::Lstm, 9),
        ]
    }

    #[test]
    fn runs_of_rows_are_copied_to_where_each_element_belongs() {
        let crew = Crew::new(2).expect("threads");
        for layout in layouts() {
            let flat: Vec<f32> = (0..layout.params()).map(|i| i as f32).collect();
            let mut seen = vec![0; layout.params()];
            for spec in TensorSpec::all(&layout) {
                let mut places = vec![usize::MAX; spec.len()];
                each(&layout, &spec, |i, at| {
                    assert_eq!(places[i], usize::MAX, "{spec:?}: element {i} has two places");
                    places[i] = at;
                    seen[at] += 1;
                });
                let mut out = vec![-1.0; spec.len()];
                export(&layout, &spec, &flat, &mut out);
                assert!(out.iter().zip(&places).all(|(&x, &at)| x == at as f32), "{spec:?}");
                let mut shared = vec![-1.0; spec.len()];
                export_on(&crew, &layout, &spec, &flat, &mut shared);
                assert_eq!(shared, out, "{spec:?}: by two workers");
                let mut back = vec![-1.0; layout.params()];
                import_on(&Crew::alone(), &layout, &spec, &out, &mut back);
                let mut shared = vec![-1.0; layout.params()];
                import_on(&crew, &layout, &spec, &out, &mut shared);
                assert_eq!(shared, back, "{spec:?}: by two workers");
                let moved = back.iter().enumerate().filter(|(_, x)| **x != -1.0);
                let moved: Vec<usize> = moved.map(|(at, &x)| if x == at as f32 { at } else { usize::MAX }).collect();
                places.sort_unstable();
                assert_eq!(moved, places, "{spec:?}");
            }
            assert!(seen.iter().all(|&times| times <= 1), "two elements have one place");
        }
    }

    #[test]
    fn whole_vectors_are_copied_at_once() {
        let layout = Layout::stack(&StackShape::new(Cell::Lstm, 5, 64, 1));
        let weights = TensorSpec::all(&layout).into_iter().filter(|spec| spec.shape.len() == 2);
        for spec in weights {
            assert!(runs(&layout, &spec, 0..spec.shape[0], |run| assert_eq!(run.rows, LANES)));
        }
    }
}
