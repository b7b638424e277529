//! The tensors of a model or trainer as they are taken out of its memory, one at a time, when they are written.

use crate::checkpoint::{Elements, Snapshot, Tensor, form};
use crate::error::TrainError;
use gatemill_cell::{Params, TensorSpec};
use gatemill_kernels::Layout;
use sha2::{Digest, Sha256};

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

/// The tensors of `flat`, masters or a moment, each by the name in a file that `named` gives it.
pub(crate) fn tensors<'a>(
    params: &'a Params,
    flat: &'a [f32],
    named: impl Fn(&str) -> String + 'a,
) -> impl Iterator<Item = Tensor<Export<'a>>> {
    params.specs().iter().map(move |spec| Tensor {
        name: named(&spec.name),
        shape: spec.shape.clone(),
        data: Export::Packed { spec, layout: params.layout(), flat },
    })
}

/// SHA-256 over the f32 little-endian bytes of each tensor in turn, in hexadecimal.
pub(crate) fn sha256<'a>(tensors: impl Iterator<Item = Tensor<Export<'a>>>) -> String {
    let (mut hash, mut room) = (Sha256::new(), Vec::new());
    for tensor in tensors {
        hash.update(form::value_bytes(tensor.data.fetch(&mut room)));
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// Errors: tensors of a file that are missing, of another shape than `wanted`, or neither among those nor `beside` them (by
/// the start of their name): all in one.
pub(crate) fn check(file: &Snapshot, wanted: &[(String, Vec<usize>)], beside: &[&str]) -> Result<(), TrainError> {
    let mut wrong = Vec::new();
    for (name, shape) in wanted {
        match file.tensor(name) {
            None => wrong.push(format!("`{name}` is missing")),
            Some(t) if t.shape != *shape => wrong.push(format!("`{name}` is {:?} instead of {shape:?}", t.shape)),
            Some(_) => {}
        }
    }
    for t in &file.tensors {
        let known =
            beside.iter().any(|start| t.name.starts_with(start)) || wanted.iter().any(|(name, _)| *name == t.name);
        if !known {
            wrong.push(format!("`{}` is not part of this model", t.name));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(TrainError::Model(wrong.join("; "))) }
}
