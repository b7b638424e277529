//! The flat spaces of a model: where each matrix of each layer, of an embedding and of a readout begins.

use super::{Cell, Input, LANES, LayerShape, MAX_DIMENSION, Panels, round_up};
use crate::tokens::Order;
use std::ops::Range;

/// Where one layer's tensors lie in the flat buffers.
#[derive(Debug, Clone)]
pub struct LayerLayout {
    /// The form.
    pub shape: LayerShape,
    /// W_ih `[panel][k_x][n*16]` among the parameters.
    pub w_ih: Range<usize>,
    /// W_hh `[panel][k_h][n*16]` among the parameters.
    pub w_hh: Range<usize>,
    /// The matrix of the step's second product, where there is one, `[panel][k_inner][n*16]` among the parameters.
    pub inner: Range<usize>,
    /// p_i, p_f, p_o of an LSTM that has them, `[unit panel][3][16]` among the parameters.
    pub peepholes: Range<usize>,
    /// Both biases, where there are any, `[panel][b_ih, b_hh][n*16]` among the parameters.
    pub bias: Range<usize>,
    /// Start rows `[panel][start_rows][slots*16]` among the derived start rows.
    pub start: Range<usize>,
    /// Transposed W_ih `[d_x panel][k over panels][n*16]` among the transposed; empty for one-hot symbols.
    pub t_ih: Range<usize>,
    /// Transposed W_hh `[d_h panel][k over panels][n*16]` among the transposed.
    pub t_hh: Range<usize>,
    /// The second product's, transposed: `[panel of 64 units][k over panels][n*16]` among the transposed.
    pub t_inner: Range<usize>,
    /// In which order it takes the tokens of a lane.
    pub order: Order,
}

impl LayerLayout {
    /// Bytes of matrices above which every step of a layer waits for L3 even with many lanes (`doc/performance.md`).
    const STREAMED_BYTES: usize = 10 << 20;

    /// Whether the matrices that a pass multiplies with, W_hh and for a dense input W_ih, come from beyond a core's caches
    /// at every step.
    pub fn is_streamed(&self) -> bool {
        let dense = matches!(self.shape.input, Input::Dense(_) | Input::Pair(_));
        4 * (self.w_hh.len() + if dense { self.w_ih.len() } else { 0 }) > Self::STREAMED_BYTES
    }
}

/// Where the readout's tensors lie in the flat buffers.
#[derive(Debug, Clone)]
pub struct HeadLayout {
    /// V.
    pub vocab: usize,
    /// Columns of h of the layer below.
    pub hidden: usize,
    /// W `[panel][k_h][n*16]` among the parameters.
    pub w: Range<usize>,
    /// b `[vectors*16]` among the parameters; empty where there is none.
    pub b: Range<usize>,
    /// Transposed W `[d_h panel][k = padded V][n*16]` among the transposed.
    pub t: Range<usize>,
}

impl HeadLayout {
    /// Panels of the symbols' columns.
    pub fn panels(&self) -> Panels {
        Panels::even(self.vocab.div_ceil(LANES))
    }
    /// Rows of the packed W.
    pub fn k_h(&self) -> usize {
        round_up(self.hidden, 4)
    }
    /// Panels of the gradient to h.
    pub fn d_h_panels(&self) -> Panels {
        Panels::even(self.hidden.div_ceil(LANES))
    }
}

/// Where the embedding lies: row s of `[panel][rows][n*16]` is that of symbol s.
#[derive(Debug, Clone)]
pub struct EmbeddingLayout {
    /// V.
    pub vocab: usize,
    /// E.
    pub width: usize,
    /// Rows of a panel: V, or where it is tied the readout's padded symbols.
    pub rows: usize,
    /// Its own matrix, among the parameters. None: it is tied, and its rows are the readout's transposed weights.
    pub own: Option<Range<usize>>,
}

impl EmbeddingLayout {
    /// Panels of its columns, as those of d_x.
    pub fn panels(&self) -> Panels {
        Panels::even(self.width.div_ceil(LANES))
    }
}

/// An embedding as the kernels read it: row s of `data [panel][rows][n*16]` is that of symbol s.
#[derive(Debug, Clone, Copy)]
pub struct Embedding<'a> {
    /// The matrix.
    pub data: &'a [f32],
    /// Rows of a panel, at least V.
    pub rows: usize,
}

/// The flat spaces of a whole model.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    embedding: Option<EmbeddingLayout>,
    layers: Vec<LayerLayout>,
    head: Option<HeadLayout>,
    /// 0 in an empty layout.
    directions: usize,
    params: usize,
    start: usize,
    transposed: usize,
}

impl Layout {
    /// The embedding, where there is one.
    pub fn embedding(&self) -> Option<&EmbeddingLayout> {
        self.embedding.as_ref()
    }
    /// The embedding's rows among these flat buffers. Panics where one is shorter than the layout says.
    pub fn embedding_rows<'a>(&self, params: &'a [f32], transposed: &'a [f32]) -> Option<Embedding<'a>> {
        let e = self.embedding.as_ref()?;
        let data = match (&e.own, &self.head) {
            (Some(own), _) => &params[own.clone()],
            (None, Some(head)) => &transposed[head.t.clone()],
            (None, None) => return None,
        };
        Some(Embedding { data, rows: e.rows })
    }
    /// Recurrent layers, bottom first.
    pub fn layers(&self) -> &[LayerLayout] {
        &self.layers
    }
    /// D: layers of a level, one behind the other.
    pub fn directions(&self) -> usize {
        self.directions.max(1)
    }
    /// The readout, where there is one.
    pub fn head(&self) -> Option<&HeadLayout> {
        self.head.as_ref()
    }
    /// Floats of the parameters (and of each gradient and moment).
    pub fn params(&self) -> usize {
        self.params
    }
    /// Floats of the derived start rows.
    pub fn start(&self) -> usize {
        self.start
    }
    /// Floats of the transposed weights.
    pub fn transposed(&self) -> usize {
        self.transposed
    }

    /// The spaces of a character model over `vocab` symbols: `layers` equal layers and a readout.
    ///
    /// `embed` is E of a trained embedding below the first layer, 0 for one-hot symbols; `tied`: embedding and readout
    /// are one matrix. Panics where a size is out of range, no layer is asked for, or `tied` with E other than H (a
    /// broken contract of the caller).
    pub fn character_model(cell: Cell, layers: usize, hidden: usize, vocab: usize, embed: usize, tied: bool) -> Self {
        let input = match embed {
            _ if tied => Input::Tied(vocab),
            0 => Input::Symbols(vocab),
            width => Input::Embedded { vocab, width },
        };
        assert!(!tied || embed == hidden, "a tied embedding has the {hidden} columns of the readout, not {embed}");
        let shape = |l: usize| LayerShape::new(cell, if l == 0 { input } else { Input::Dense(hidden) }, hidden);
        let shapes: Vec<LayerShape> = (0..layers).map(shape).collect();
        Self::new(&shapes, Some(vocab))
    }

    /// The spaces of these layers, bottom first, and of a readout over `vocab` symbols.
    ///
    /// A layer's inputs must be the outputs of the one below, only the first may read symbols, a tied one needs a
    /// readout of its form, and I, H, V and E lie in 1..=2^28; panics otherwise (a broken contract of the caller).
    pub fn new(shapes: &[LayerShape], vocab: Option<usize>) -> Self {
        for (l, pair) in shapes.windows(2).enumerate() {
            let fits = pair[1].input == Input::Dense(pair[0].outputs());
            assert!(fits, "layer {}: {:?} does not fit on the one below", l + 1, pair[1]);
        }
        Self::of(shapes, &[Order::Ascending], vocab)
    }

    /// The spaces of one linear map over dense rows, `y = x W^T + b`: a readout of its own, without a layer below it.
    /// Panics where I or the outputs are not in 1..=2^28 (a broken contract of the caller).
    pub fn linear(inputs: usize, outputs: usize, bias: bool) -> Self {
        let mut all = Layout::default();
        all.add_head(inputs, outputs, bias);
        all
    }

    fn add_head(&mut self, hidden: usize, vocab: usize, bias: bool) {
        let fits = |size| (1..=MAX_DIMENSION).contains(&size);
        assert!(fits(vocab) && fits(hidden), "a readout of {vocab} symbols over {hidden} units");
        let mut head = HeadLayout { vocab, hidden, w: 0..0, b: 0..0, t: 0..0 };
        head.w = take(&mut self.params, head.panels().floats(head.k_h()));
        head.b = take(&mut self.params, if bias { head.panels().floats(1) } else { 0 });
        head.t = take(&mut self.transposed, head.d_h_panels().floats(head.panels().vectors() * LANES));
        self.head = Some(head);
    }

    /// The spaces of levels of layers that take a lane's tokens in these orders: the layers of a level are beside each
    /// other. Panics as [`Layout::new`], but for what a layer reads of the one below.
    pub(crate) fn of(shapes: &[LayerShape], orders: &'static [Order], vocab: Option<usize>) -> Self {
        let mut all = Layout { directions: orders.len(), ..Layout::default() };
        for (l, shape) in shapes.iter().enumerate() {
            let (inputs, vocab) = (shape.inputs(), shape.symbols().unwrap_or(1));
            assert!(shape.hidden > 0 && inputs > 0 && vocab > 0, "layer {l}: {shape:?} has an empty dimension");
            if let Err(amiss) = shape.variant.validate(shape.cell) {
                panic!("layer {l}: {amiss}");
            }
            let largest = shape.hidden.max(inputs).max(vocab);
            assert!(largest <= MAX_DIMENSION, "layer {l}: {shape:?} has a dimension over {MAX_DIMENSION}");
        }
        if let Some(LayerShape { input: Input::Embedded { vocab, width }, .. }) = shapes.first().copied() {
            let mut embedding = EmbeddingLayout { vocab, width, rows: vocab, own: None };
            embedding.own = Some(take(&mut all.params, embedding.panels().floats(vocab)));
            all.embedding = Some(embedding);
        }
        for (&shape, &order) in shapes.iter().zip(orders.iter().cycle()) {
            let p = shape.panels();
            let all_k = p.vectors() * LANES;
            let one_hot = matches!(shape.input, Input::Symbols(_));
            let w_ih = take(&mut all.params, p.floats(shape.k_x()));
            let w_hh = take(&mut all.params, shape.h_panels().floats(shape.k_h()));
            let second = |floats: usize| if shape.has_inner() { floats } else { 0 };
            let inner = take(&mut all.params, second(shape.inner_panels().floats(shape.k_inner())));
            let peepholes = if shape.variant.peepholes { 3 * shape.unit_vectors().floats(1) } else { 0 };
            let peepholes = take(&mut all.params, peepholes);
            let bias = take(&mut all.params, if shape.variant.bias { 2 * all_k } else { 0 });
            let start = take(&mut all.start, shape.slots().floats(shape.start_rows()));
            let t_ih = take(&mut all.transposed, if one_hot { 0 } else { shape.d_x_panels().floats(all_k) });
            let t_hh = take(&mut all.transposed, shape.d_h_panels().floats(shape.h_panels().vectors() * LANES));
            let inner_k = shape.inner_panels().vectors() * LANES;
            let t_inner = take(&mut all.transposed, second(shape.unit_panels().floats(inner_k)));
            let layer = LayerLayout { shape, w_ih, w_hh, inner, peepholes, bias, start, t_ih, t_hh, t_inner, order };
            all.layers.push(layer);
        }
        let hidden = shapes.last().map_or(0, LayerShape::outputs);
        if let Some(vocab) = vocab {
            all.add_head(hidden, vocab, true);
        }
        if let Some(first @ LayerShape { input: Input::Tied(symbols), .. }) = shapes.first() {
            let fits = vocab == Some(*symbols) && first.outputs() == hidden;
            assert!(fits, "layer 0: {first:?} is tied to a readout of {vocab:?} symbols over {hidden} units");
            let rows = round_up(*symbols, LANES);
            all.embedding = Some(EmbeddingLayout { vocab: *symbols, width: hidden, rows, own: None });
        }
        all
    }
}

/// The next `len` floats of a space.
fn take(at: &mut usize, len: usize) -> Range<usize> {
    let begin = *at;
    *at = begin.checked_add(len).expect("a model of so many layers overflows");
    begin..*at
}

/// A model's weights as the kernels read them.
#[derive(Clone, Copy)]
pub struct Weights<'a> {
    /// Where everything lies.
    pub(crate) layout: &'a Layout,
    /// Masters, packed.
    pub(crate) params: &'a [f32],
    /// Start rows, derived.
    pub(crate) start: &'a [f32],
    /// Transposed weights, derived.
    pub(crate) transposed: &'a [f32],
}

impl<'a> Weights<'a> {
    /// Checked once: panics where a slice is shorter than the layout says.
    pub fn new(layout: &'a Layout, params: &'a [f32], start: &'a [f32], transposed: &'a [f32]) -> Self {
        assert!(
            params.len() >= layout.params && start.len() >= layout.start && transposed.len() >= layout.transposed,
            "weights of {}, {}, {} floats do not fill a layout of {}, {}, {}",
            params.len(),
            start.len(),
            transposed.len(),
            layout.params,
            layout.start,
            layout.transposed
        );
        Self { layout, params, start, transposed }
    }
    /// The embedding's rows, where there is one.
    pub fn embedding(&self) -> Option<Embedding<'a>> {
        self.layout.embedding_rows(self.params, self.transposed)
    }
    /// Where everything lies.
    pub fn layout(&self) -> &'a Layout {
        self.layout
    }
    /// Transposed W_ih of layer `l`; empty for one-hot symbols. Panics where there is no such layer.
    pub fn transposed_ih(&self, l: usize) -> &'a [f32] {
        &self.transposed[self.layout.layers[l].t_ih.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_are_even_and_cover() {
        for vectors in 1..40 {
            let p = Panels::even(vectors);
            let total: usize = (0..p.count()).map(|i| p.width(i)).sum();
            assert_eq!(total, vectors);
            assert!((0..p.count()).all(|i| (1..=4).contains(&p.width(i))));
        }
        assert_eq!((Panels::even(5).width(0), Panels::even(5).width(1)), (3, 2));
    }

    #[test]
    fn every_element_has_its_own_place() {
        for cell in [Cell::Rnn, Cell::Lstm, Cell::Gru] {
            let s = LayerShape::new(cell, Input::Dense(7), 37);
            for h in [false, true] {
                let k = if h { s.k_h() } else { s.k_x() };
                let mut seen = std::collections::HashSet::new();
                for gate in 0..cell.gates() {
                    for unit in 0..s.hidden {
                        for row in 0..k {
                            let at = s.panels().at(k, row, s.column(h, gate, unit));
                            assert!(at < s.panels().floats(k) && seen.insert(at));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_layer_of_more_than_ten_megabytes_is_streamed() {
        let streamed =
            |cell, input, hidden| Layout::new(&[LayerShape::new(cell, input, hidden)], None).layers()[0].is_streamed();
        // 16 MB of W_hh; 8 MB with W_ih; 12 and 10.02.
        assert!(streamed(Cell::Lstm, Input::Symbols(65), 1024));
        assert!(!streamed(Cell::Lstm, Input::Dense(512), 512));
        assert!(streamed(Cell::Gru, Input::Symbols(65), 1024));
        assert!(streamed(Cell::Lstm, Input::Dense(770), 512));
        // 10 MB is not more than that, and a product with symbols reads no W_ih.
        assert!(!streamed(Cell::Lstm, Input::Dense(768), 512));
        assert!(!streamed(Cell::Lstm, Input::Symbols(5000), 512));
    }

    /// Without an embedding everything lies where it lay before there were any; with one it comes first, and moves
    /// the rest alike; a tied one takes nothing.
    #[test]
    fn an_embedding_moves_the_rest_and_a_tied_one_nothing() {
        for cell in [Cell::Rnn, Cell::Lstm, Cell::Gru] {
            let (hidden, vocab) = (37, 21);
            let of = |embed, tied| Layout::character_model(cell, 2, hidden, vocab, embed, tied);
            let (one_hot, embedded, tied) = (of(0, false), of(hidden, false), of(hidden, true));
            assert_eq!(one_hot.layers()[0].w_ih.start, 0);
            assert!(one_hot.embedding().is_none());
            let own = embedded.embedding().unwrap().own.clone().unwrap();
            assert_eq!(own, 0..48 * vocab);
            assert_eq!(tied.params() + own.len(), embedded.params());
            assert_eq!(tied.layers()[0].w_ih.len(), one_hot.layers()[0].w_ih.len() / vocab * 40);
            assert!(tied.embedding().unwrap().own.is_none());
            for (a, b) in tied.layers().iter().zip(embedded.layers()) {
                assert_eq!((a.w_ih.start + own.len(), a.bias.end + own.len()), (b.w_ih.start, b.bias.end));
                assert_eq!((&a.start, &a.t_ih, &a.t_hh), (&b.start, &b.t_ih, &b.t_hh));
            }
            // The readout's transposed weights have the form of an embedding of its padded symbols.
            let (head, rows) = (tied.head().unwrap(), tied.embedding().unwrap());
            assert_eq!((head.t.len(), head.d_h_panels()), (rows.panels().floats(rows.rows), rows.panels()));
        }
    }
}
