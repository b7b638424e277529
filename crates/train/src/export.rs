//! The tensors of a model or trainer as they are taken out of its memory, one at a time, when they are written.

use crate::checkpoint::{Elements, Tensor};
use gatemill_cell::{Params, TensorSpec};
use gatemill_kernels::Layout;

/// The elements of one tensor: weights and moments lie packed, a carried state is a copy.
#[derive(Debug, Clone)]
pub enum Export<'a> {
    /// Packed, in a buffer that all tensors share.
    Packed {
        /// Which of them.
        spec: &'a TensorSpec,
        /// Where it lies.
        layout: &'a Layout,
        /// `[layout.params()]`
        flat: &'a [f32],
    },
    /// In PyTorch's order.
    Rows(Vec<f32>),
}

impl Elements for Export<'_> {
    fn count(&self) -> usize {
        match self {
            Export::Packed { spec, .. } => spec.len(),
            Export::Rows(rows) => rows.len(),
        }
    }
    fn fetch<'a>(&'a self, room: &'a mut Vec<f32>) -> &'a [f32] {
        match self {
            Export::Packed { spec, layout, flat } => {
                room.clear();
                // No more than this: the largest tensor is all that a save may cost.
                room.reserve_exact(spec.len());
                room.resize(spec.len(), 0.0);
                spec.export(layout, flat, room);
                room
            }
            Export::Rows(rows) => rows,
        }
    }
}

/// The tensors of `flat`, masters or a moment, each name after `prefix`.
pub(crate) fn tensors<'a>(
    params: &'a Params,
    flat: &'a [f32],
    prefix: &str,
) -> impl Iterator<Item = Tensor<Export<'a>>> {
    params.specs().iter().map(move |spec| Tensor {
        name: format!("{prefix}{}", spec.name),
        shape: spec.shape.clone(),
        data: Export::Packed { spec, layout: params.layout(), flat },
    })
}
