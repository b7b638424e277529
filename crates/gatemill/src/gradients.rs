//! Gradients to the weights, tensor by tensor in PyTorch's layout.

use crate::recurrent::Tensors;
use crate::{Error, RecurrentOptions};
use gatemill_cell::{Network, WeightGrads};
use gatemill_crew::Crew;
use std::sync::Arc;

/// The gradients of one backward, to be used again from call to call. Made by [`crate::Recurrent::gradients`].
#[derive(Debug)]
pub struct Gradients {
    pub(crate) options: RecurrentOptions,
    pub(crate) tensors: Arc<Tensors>,
    /// With the lanes that they were made for.
    pub(crate) grads: Option<(usize, WeightGrads)>,
    pub(crate) filled: bool,
}

impl Gradients {
    pub(crate) fn new(options: &RecurrentOptions, tensors: &Arc<Tensors>) -> Self {
        Self { options: *options, tensors: tensors.clone(), grads: None, filled: false }
    }
    /// What a backward of this network fills, and the flag that it sets then: until it has, there are none. Errors: no memory.
    pub(crate) fn begin(&mut self, network: &Network, crew: &Crew) -> Result<(&mut WeightGrads, &mut bool), Error> {
        self.filled = false;
        let lanes = network.lanes();
        let grads = match self.grads.take().filter(|(of, _)| *of == lanes) {
            Some(grads) => grads,
            None => (lanes, network.weight_grads(crew, 1)?),
        };
        Ok((&mut self.grads.insert(grads).1, &mut self.filled))
    }
    fn sum(&self) -> Result<&[f32], Error> {
        match &self.grads {
            Some((_, grads)) if self.filled => Ok(grads.sum()),
            _ => Err(Error::NoBackward),
        }
    }
    /// The gradient to a tensor. Errors: no such tensor; no backward yet.
    pub fn tensor(&self, name: &str) -> Result<Vec<f32>, Error> {
        let spec = self.tensors.spec(name)?;
        let (flat, mut out) = (self.sum()?, vec![0.0; spec.len()]);
        spec.export(&self.tensors.layout, flat, &mut out);
        Ok(out)
    }
    /// Gradients to tensors, by name, each written to its place by all workers of a crew. Errors: as
    /// [`Gradients::copy_tensor`]; then those before the one at fault are written.
    pub fn copy_tensors(&self, crew: &Crew, tensors: &mut [(&str, &mut [f32])]) -> Result<(), Error> {
        self.sum()?;
        crew.lead(|| tensors.iter_mut().try_for_each(|(name, out)| self.copy_on(crew, name, out)))
    }
    /// The gradient to a tensor, written to `out`. Errors: as [`Gradients::tensor`]; another number of elements.
    pub fn copy_tensor(&self, name: &str, out: &mut [f32]) -> Result<(), Error> {
        self.copy_on(&Crew::alone(), name, out)
    }
    fn copy_on(&self, crew: &Crew, name: &str, out: &mut [f32]) -> Result<(), Error> {
        let spec = self.tensors.fitting(name, out.len())?;
        spec.export_on(crew, &self.tensors.layout, self.sum()?, out);
        Ok(())
    }
}
