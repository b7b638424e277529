//! What one file holds: named f32 tensors and a JSON object.
//!
//! A tensor that is to be written need not lie in memory as it will lie in the file: [`Elements`] says how many elements it
//! has, and fetches them when they are asked for. A file is written with one tensor fetched at a time; what is read from a
//! file holds its own.

use serde_json::{Map, Value};

/// The elements of a tensor in row-major order: held so, or fetched.
pub trait Elements {
    /// How many there are.
    fn count(&self) -> usize;
    /// All of them, the same at every call. `room` is for elements that are not held in this order; what is in it is lost.
    fn fetch<'a>(&'a self, room: &'a mut Vec<f32>) -> &'a [f32];
}

impl Elements for Vec<f32> {
    fn count(&self) -> usize {
        self.len()
    }
    fn fetch<'a>(&'a self, _room: &'a mut Vec<f32>) -> &'a [f32] {
        self
    }
}

/// A named array of f32.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor<E = Vec<f32>> {
    /// Its key in the file, such as `rnn.weight_ih_l0`: unique, at most 512 bytes, no control characters.
    pub name: String,
    /// Sizes of its dimensions; their product is the number of elements, at least 1.
    pub shape: Vec<usize>,
    /// The elements.
    pub data: E,
}

/// What one file holds. The order of the tensors is kept.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snapshot<E = Vec<f32>> {
    /// Weights, and for a checkpoint `optim.*` and `state.*`.
    pub tensors: Vec<Tensor<E>>,
    /// All that is no tensor. `None` writes and means a file without record and checksums, which is no checkpoint.
    pub meta: Option<Map<String, Value>>,
}

impl<E: Elements> Snapshot<E> {
    /// The tensor of this name.
    pub fn tensor(&self, name: &str) -> Option<&Tensor<E>> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }
    /// The same with every tensor held, as if it were read from its file.
    pub fn held(&self) -> Snapshot {
        let held = |tensor: &Tensor<E>| Tensor {
            name: tensor.name.clone(),
            shape: tensor.shape.clone(),
            data: tensor.data.fetch(&mut Vec::new()).to_vec(),
        };
        Snapshot { tensors: self.tensors.iter().map(held).collect(), meta: self.meta.clone() }
    }
}
