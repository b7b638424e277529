//! The three GEMMs of an embedding against plain chains of fused steps, at every kind of tail; what they leave alone; what
//! they refuse.

mod place;

use gatemill_kernels::{Cell, Embedding, Input, Isa, Kernels, LANES, LayerShape, Layout};
use gatemill_oracle::SplitMix64;
use place::{Guarded, reals, tiers};

const CANARY: f32 = 4321.0;

/// One order for every sum, fused: one accumulator from its start, k ascending. The portable tier is as close as its
/// blocks and its rounding allow.
fn close(kernels: &Kernels, found: f32, want: f32) -> bool {
    if kernels.isa() == Isa::Portable { (found - want).abs() < 2e-4 } else { found.to_bits() == want.to_bits() }
}

/// A layer with an embedding, random numbers everywhere but in the padding, and random symbol rows D.
struct Field {
    shape: LayerShape,
    layout: Layout,
    params: Vec<f32>,
    /// `[V, E]`, to be read by (symbol, column).
    vocab: usize,
    width: usize,
    t_ih: Vec<f32>,
    sums: Vec<f32>,
}

impl Field {
    fn new(cell: Cell, hidden: usize, vocab: usize, width: usize, kernels: &Kernels) -> Self {
        let shape = LayerShape::new(cell, Input::Embedded { vocab, width }, hidden);
        let layout = Layout::new(&[shape], None);
        let random = &mut SplitMix64::new((hidden * vocab + width) as u64);
        let mut params = reals(layout.params(), 1.0, random);
        let (e, l) = (layout.embedding().unwrap(), &layout.layers()[0]);
        let own = e.own.clone().unwrap();
        let (panels, columns, k) = (shape.panels(), shape.d_x_panels(), shape.k_x());
        for s in 0..vocab {
            for c in width..columns.vectors() * LANES {
                params[own.start + columns.at(vocab, s, c)] = 0.0;
            }
        }
        for row in width..k {
            for c in 0..panels.vectors() * LANES {
                params[l.w_ih.start + panels.at(k, row, c)] = 0.0;
            }
        }
        let all_k = panels.vectors() * LANES;
        let mut t_ih = vec![0.0; columns.floats(all_k)];
        for q in 0..columns.count() {
            let part = columns.offset(q, all_k)..columns.offset(q, all_k) + columns.width(q) * LANES * all_k;
            kernels.transpose(&params[l.w_ih.clone()], panels, k, (columns, q), 0, &mut t_ih[part]);
        }
        let sums = reals(panels.floats(vocab), 1.0, random);
        Self { shape, params, vocab, width, t_ih, sums, layout }
    }
    fn embedding(&self) -> Embedding<'_> {
        self.layout.embedding_rows(&self.params, &[]).unwrap()
    }
    fn e(&self, s: usize, c: usize) -> f32 {
        self.embedding().data[self.shape.d_x_panels().at(self.vocab, s, c)]
    }
    fn w(&self, row: usize, column: usize) -> f32 {
        let (l, k) = (&self.layout.layers()[0], self.shape.k_x());
        self.params[l.w_ih.start + self.shape.panels().at(k, row, column)]
    }
    fn d(&self, s: usize, column: usize) -> f32 {
        self.sums[self.shape.panels().at(self.vocab, s, column)]
    }
    /// b_ih + b_hh of a packed column of an x row; of a GRU's n b_ih alone.
    fn bias(&self, column: usize) -> f32 {
        let (l, panels) = (&self.layout.layers()[0], self.shape.panels());
        let at = |h: usize, column: usize| self.params[l.bias.start + panels.at(2, h, column)];
        match (self.shape.cell, column / LANES % 3) {
            (Cell::Gru, 0) => at(0, column),
            (Cell::Gru, _) => at(0, column) + at(1, column - LANES),
            _ => at(0, column) + at(1, column),
        }
    }
}

/// Panels of E of every width, whole and in part; symbols of one tile, of several, of several blocks.
fn fields(kernels: &Kernels) -> Vec<Field> {
    [
        (Cell::Rnn, 1, 1, 1),
        (Cell::Rnn, 77, 9, 16),
        (Cell::Rnn, 150, 31, 21),
        (Cell::Lstm, 16, 3, 64),
        (Cell::Lstm, 37, 131, 5),
        (Cell::Lstm, 5, 23, 130),
        (Cell::Gru, 5, 14, 4),
        (Cell::Gru, 37, 300, 70),
        (Cell::Gru, 33, 8, 97),
    ]
    .map(|(cell, hidden, vocab, width)| Field::new(cell, hidden, vocab, width, kernels))
    .into()
}

#[test]
fn start_rows_begin_with_the_biases_and_run_over_the_columns_of_e() {
    for kernels in tiers() {
        for f in fields(&kernels) {
            let (l, slots, panels) = (&f.layout.layers()[0], f.shape.slots(), f.shape.panels());
            for p in 0..slots.count() {
                let width = slots.width(p) * LANES;
                for (first, rows) in [(0, f.vocab + 1), (f.vocab / 2, 1), (f.vocab / 3, f.vocab + 1 - f.vocab / 3)] {
                    let mut out = Guarded::ending(rows * width).with(std::iter::repeat(CANARY));
                    kernels.start_rows(l, &f.params, Some(f.embedding()), (p, first), &mut out);
                    for row in 0..rows {
                        let s = first + row;
                        for c in 0..panels.width(p) * LANES {
                            let column = panels.first(p) * LANES + c;
                            let columns = 0..if s < f.vocab { f.width } else { 0 };
                            let want = columns.fold(f.bias(column), |acc, k| f.e(s, k).mul_add(f.w(k, column), acc));
                            let found = out[row * width + c];
                            assert!(
                                close(&kernels, found, want),
                                "{kernels:?} {:?} [{s}][{c}]: {found} {want}",
                                f.shape
                            );
                        }
                        if f.shape.cell == Cell::Gru {
                            for c in 0..LANES {
                                let n_h =
                                    f.params[l.bias.start + panels.at(2, 1, panels.first(p) * LANES + 2 * LANES + c)];
                                assert_eq!(out[row * width + 3 * LANES + c], n_h, "b_hn stands alone");
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn gradients_are_chains_over_packed_columns_and_over_symbols() {
    for kernels in tiers() {
        for f in fields(&kernels) {
            let (panels, columns) = (f.shape.panels(), f.shape.d_x_panels());
            for q in 0..columns.count() {
                let width = columns.width(q) * LANES;
                for (first, rows) in [(0, f.vocab), (f.vocab / 2, f.vocab.div_ceil(3))] {
                    let mut out = Guarded::ending(rows * width).with(std::iter::repeat(CANARY));
                    kernels.embedding_grad(&f.shape, &f.t_ih, &f.sums, (q, first), &mut out);
                    for (i, &found) in out.iter().enumerate() {
                        let (s, c) = (first + i / width, columns.first(q) * LANES + i % width);
                        let w = |k: usize| if c < f.width { f.w(c, k) } else { 0.0 };
                        let want = (0..panels.vectors() * LANES).fold(0.0f32, |acc, k| f.d(s, k).mul_add(w(k), acc));
                        assert!(close(&kernels, found, want), "{kernels:?} {:?} dE[{s}][{c}]: {found} {want}", f.shape);
                    }
                }
            }
            for p in 0..panels.count() {
                let width = panels.width(p) * LANES;
                for q in 0..columns.count() {
                    let begin = columns.first(q) * LANES;
                    let all = (columns.width(q) * LANES).min(f.shape.k_x() - begin);
                    for (column, rows) in [(begin, all), (begin + all / 2, all - all / 2)] {
                        let mut out = Guarded::ending(rows * width).with(std::iter::repeat(CANARY));
                        kernels.embedded_weight_grad(&f.shape, f.embedding(), &f.sums, (p, column), &mut out);
                        for (i, &found) in out.iter().enumerate() {
                            let (row, c) = (column + i / width, panels.first(p) * LANES + i % width);
                            let want = (0..f.vocab).fold(0.0f32, |acc, s| f.e(s, row).mul_add(f.d(s, c), acc));
                            assert!(
                                close(&kernels, found, want),
                                "{kernels:?} {:?} dW_ih[{row}][{c}]: {found} {want}",
                                f.shape
                            );
                        }
                    }
                }
            }
        }
    }
}

const V: usize = 7;
const E: usize = 21;

fn field() -> Field {
    Field::new(Cell::Lstm, 20, V, E, &Kernels::best())
}

macro_rules! refused {
    ($($name:ident: $message:literal, |$k:ident, $f:ident| $call:expr;)+) => {$(
        #[test]
        #[should_panic(expected = $message)]
        fn $name() {
            let ($k, $f) = (Kernels::best(), field());
            $call
        }
    )+};
}

refused! {
    start_rows_without_their_embedding: "start rows: an embedding, or a layer of one",
        |k, f| k.start_rows(&f.layout.layers()[0], &f.params, None, (0, 0), &mut [0.0; 64]);
    start_rows_of_too_few_symbols: "do not hold 7 symbols of 21", |k, f| {
        let e = Embedding { rows: V - 1, ..f.embedding() };
        k.start_rows(&f.layout.layers()[0], &f.params, Some(e), (0, 0), &mut [0.0; 64])
    };
    start_rows_of_too_few_columns: "do not hold 7 symbols of 21", |k, f| {
        let e = Embedding { data: &f.embedding().data[..V * 16], rows: V };
        k.start_rows(&f.layout.layers()[0], &f.params, Some(e), (0, 0), &mut [0.0; 64])
    };
    embedding_grad_of_one_hot_symbols: "embedding: 896 sums for 0", |k, f| {
        let one_hot = LayerShape { input: Input::Symbols(V), ..f.shape };
        k.embedding_grad(&one_hot, &f.t_ih, &f.sums, (0, 0), &mut [0.0; 32])
    };
    embedding_grad_of_too_few_sums: "embedding: 895 sums for 896",
        |k, f| k.embedding_grad(&f.shape, &f.t_ih, &f.sums[1..], (0, 0), &mut [0.0; 32]);
    embedding_grad_of_too_few_weights: "embedding: 4095 transposed weights",
        |k, f| k.embedding_grad(&f.shape, &f.t_ih[1..], &f.sums, (0, 0), &mut [0.0; 32]);
    embedding_grad_of_a_panel_too_many: "embedding: panel 1 of 1",
        |k, f| k.embedding_grad(&f.shape, &f.t_ih, &f.sums, (1, 0), &mut [0.0; 32]);
    embedding_grad_of_symbols_too_many: "embedding: rows 6..8 of 7",
        |k, f| k.embedding_grad(&f.shape, &f.t_ih, &f.sums, (0, 6), &mut [0.0; 64]);
    embedding_grad_that_wraps_around: "of 7",
        |k, f| k.embedding_grad(&f.shape, &f.t_ih, &f.sums, (0, usize::MAX), &mut [0.0; 64]);
    embedding_grad_of_half_a_row: "embedding: rows 0..0",
        |k, f| k.embedding_grad(&f.shape, &f.t_ih, &f.sums, (0, 0), &mut [0.0; 31]);
    embedded_weight_grad_of_a_panel_too_many: "embedding: panel 2, 0..",
        |k, f| k.embedded_weight_grad(&f.shape, f.embedding(), &f.sums, (2, 0), &mut [0.0; 64]);
    embedded_weight_grad_of_a_column_too_many: "embedding: panel 0, 32..",
        |k, f| k.embedded_weight_grad(&f.shape, f.embedding(), &f.sums, (0, 32), &mut [0.0; 64]);
    embedded_weight_grad_beyond_its_panel: "of a panel that ends at 32",
        |k, f| k.embedded_weight_grad(&f.shape, f.embedding(), &f.sums, (0, 31), &mut [0.0; 128]);
    embedded_weight_grad_of_half_a_row: "embedding: 63 floats",
        |k, f| k.embedded_weight_grad(&f.shape, f.embedding(), &f.sums, (0, 0), &mut [0.0; 63]);
    embedded_weight_grad_of_too_few_symbols: "do not hold 7 symbols",
        |k, f| k.embedded_weight_grad(
            &f.shape, Embedding { rows: 3, ..f.embedding() }, &f.sums, (0, 0), &mut [0.0; 64],
        );
}
