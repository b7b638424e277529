//! The tensors of a model in PyTorch's names, shapes and gate order, and where their elements lie in a flat, packed buffer.

use gatemill_kernels::{LANES, LayerLayout, Layout, Panels};

/// A tensor of the model: PyTorch's name and shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// `embedding.weight`, `rnn.weight_ih_l0`, ..., `head.bias`.
    pub name: String,
    /// `[rows, columns]`, or `[rows]` for a bias.
    pub shape: Vec<usize>,
    at: Place,
}

impl TensorSpec {
    /// Elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }
    /// Whether it has no element; none has.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The tensors of a layout, in the order of `weights_sha256` (design section 5).
    pub fn all(layout: &Layout) -> Vec<Self> {
        specs(layout)
    }
    /// Takes the tensor out of a flat buffer of its layout, into PyTorch's. Panics where a length is wrong.
    pub fn export(&self, layout: &Layout, flat: &[f32], out: &mut [f32]) {
        assert_eq!(out.len(), self.len(), "`{}` has another number of elements", self.name);
        self.runs(layout, |i, run| run.get(flat, &mut out[i..i + run.count]));
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Embedding,
    WeightIh(usize),
    WeightHh(usize),
    BiasIh(usize),
    BiasHh(usize),
    WeightHr(usize),
    Peepholes(usize),
    HeadWeight,
    HeadBias,
}

/// Elements of a flat buffer at equal distances: neighbours in a row of a PyTorch tensor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    first: usize,
    step: usize,
    pub(crate) count: usize,
}

impl Run {
    /// `count` elements of the k rows of a packed matrix from `from` on, in one column.
    fn down(base: usize, panels: Panels, k: usize, (from, count): (usize, usize), column: usize) -> Self {
        let step = panels.width(column / LANES / panels.per_panel()) * LANES;
        Self { first: base + panels.at(k, from, column), step, count }
    }
    fn one(first: usize) -> Self {
        Self { first, step: 1, count: 1 }
    }
    pub(crate) fn holds(&self, at: usize) -> bool {
        let far = at.wrapping_sub(self.first);
        at >= self.first && far.is_multiple_of(self.step) && far / self.step < self.count
    }
    fn get(&self, flat: &[f32], out: &mut [f32]) {
        for (out, x) in out.iter_mut().zip(flat[self.first..].iter().step_by(self.step)) {
            *out = *x;
        }
    }
    pub(crate) fn put(&self, data: &[f32], flat: &mut [f32]) {
        for (x, data) in flat[self.first..].iter_mut().step_by(self.step).zip(data) {
            *x = *data;
        }
    }
}

impl TensorSpec {
    /// Calls `f(first element in PyTorch's layout, its run in the flat layout)` until every element had its turn.
    pub(crate) fn runs(&self, layout: &Layout, mut f: impl FnMut(usize, Run)) {
        let layer = |l: usize| -> &LayerLayout { &layout.layers()[l] };
        match self.at {
            Place::Embedding => {
                let Some((e, own)) = layout.embedding().and_then(|e| Some((e, e.own.as_ref()?))) else { return };
                for s in 0..e.vocab {
                    for i in (0..e.width).step_by(LANES) {
                        let first = own.start + e.panels().at(e.rows, s, i);
                        f(s * e.width + i, Run { first, step: 1, count: LANES.min(e.width - i) });
                    }
                }
            }
            Place::WeightIh(l) => {
                let (base, s, columns) = (layer(l).w_ih.start, layer(l).shape, self.shape[1]);
                for row in 0..self.shape[0] {
                    let column = s.column(false, row / s.hidden, row % s.hidden);
                    let mut i = 0;
                    // Two directions side by side lie in two stretches.
                    while i < columns {
                        let mut count = 1;
                        while i + count < columns && s.k_of(i + count) == s.k_of(i) + count {
                            count += 1;
                        }
                        f(row * columns + i, Run::down(base, s.panels(), s.k_x(), (s.k_of(i), count), column));
                        i += count;
                    }
                }
            }
            Place::WeightHh(l) => {
                let (layer, s, columns) = (layer(l), layer(l).shape, self.shape[1]);
                for row in 0..self.shape[0] {
                    // A GRU that resets before its product has W_hn apart.
                    let (inner, column) = s.h_column(row / s.hidden, row % s.hidden);
                    let (base, panels, k) = if inner {
                        (layer.inner.start, s.inner_panels(), s.k_inner())
                    } else {
                        (layer.w_hh.start, s.h_panels(), s.k_h())
                    };
                    f(row * columns, Run::down(base, panels, k, (0, columns), column));
                }
            }
            Place::WeightHr(l) => {
                let (base, s) = (layer(l).inner.start, layer(l).shape);
                for row in 0..self.shape[0] {
                    f(row * s.hidden, Run::down(base, s.inner_panels(), s.k_inner(), (0, s.hidden), row));
                }
            }
            Place::Peepholes(l) => {
                let (base, hidden) = (layer(l).peepholes.start, layer(l).shape.hidden);
                for unit in 0..hidden {
                    for row in 0..3 {
                        let first = base + (unit / LANES * 3 + row) * LANES + unit % LANES;
                        f(row * hidden + unit, Run::one(first));
                    }
                }
            }
            Place::BiasIh(l) | Place::BiasHh(l) => {
                let h = self.at == Place::BiasHh(l);
                let (layer, s) = (layer(l), layer(l).shape);
                for row in 0..self.shape[0] {
                    let column = s.column(h, row / s.hidden, row % s.hidden);
                    // Both biases of a panel lie beside each other: a matrix of two rows.
                    f(row, Run::one(layer.bias.start + s.panels().at(2, usize::from(h), column)));
                }
            }
            Place::HeadWeight => {
                let Some(head) = layout.head() else { return };
                for v in 0..head.vocab {
                    f(v * head.hidden, Run::down(head.w.start, head.panels(), head.k_h(), (0, head.hidden), v));
                }
            }
            Place::HeadBias => {
                let Some(head) = layout.head() else { return };
                f(0, Run { first: head.b.start, step: 1, count: head.vocab });
            }
        }
    }
}

fn specs(layout: &Layout) -> Vec<TensorSpec> {
    let mut out = Vec::new();
    let mut add = |name: String, shape: Vec<usize>, at| out.push(TensorSpec { name, shape, at });
    // A tied embedding is no tensor of its own: `head.weight` is both.
    if let Some(e) = layout.embedding().filter(|e| e.own.is_some()) {
        add("embedding.weight".into(), vec![e.vocab, e.width], Place::Embedding);
    }
    for (l, layer) in layout.layers().iter().enumerate() {
        // PyTorch's names: the second layer of a level is the reversed one.
        let (level, reversed) = (l / layout.directions(), l % layout.directions() == 1);
        let suffix = format!("l{level}{}", if reversed { "_reverse" } else { "" });
        let s = layer.shape;
        let rows = s.cell.gates() * s.hidden;
        add(format!("rnn.weight_ih_{suffix}"), vec![rows, s.inputs()], Place::WeightIh(l));
        add(format!("rnn.weight_hh_{suffix}"), vec![rows, s.outputs()], Place::WeightHh(l));
        if s.variant.bias {
            add(format!("rnn.bias_ih_{suffix}"), vec![rows], Place::BiasIh(l));
            add(format!("rnn.bias_hh_{suffix}"), vec![rows], Place::BiasHh(l));
        }
        if let Some(p) = s.variant.projection {
            add(format!("rnn.weight_hr_{suffix}"), vec![p, s.hidden], Place::WeightHr(l));
        }
        // No other system's file has them under one name: rows i, f, o.
        if s.variant.peepholes {
            add(format!("rnn.weight_peephole_{suffix}"), vec![3, s.hidden], Place::Peepholes(l));
        }
    }
    if let Some(head) = layout.head() {
        add("head.weight".into(), vec![head.vocab, head.hidden], Place::HeadWeight);
        add("head.bias".into(), vec![head.vocab], Place::HeadBias);
    }
    out
}
