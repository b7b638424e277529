//! The tensors of a model by PyTorch's names and shapes.

use crate::places::{export, export_on};
use gatemill_crew::Crew;
use gatemill_kernels::Layout;

/// A tensor of the model: PyTorch's name and shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// `embedding.weight`, `rnn.weight_ih_l0`, ..., `head.bias`.
    pub name: String,
    /// `[rows, columns]`, or `[rows]` for a bias.
    pub shape: Vec<usize>,
    pub(crate) at: Place,
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
        export(layout, self, flat, out);
    }
    /// [`TensorSpec::export`] on all workers of a crew.
    pub fn export_on(&self, crew: &Crew, layout: &Layout, flat: &[f32], out: &mut [f32]) {
        assert_eq!(out.len(), self.len(), "`{}` has another number of elements", self.name);
        export_on(crew, layout, self, flat, out);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
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
        if !head.b.is_empty() {
            add("head.bias".into(), vec![head.vocab], Place::HeadBias);
        }
    }
    out
}
