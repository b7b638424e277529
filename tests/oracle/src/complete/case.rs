//! Random runs of complete layers: weights, inputs, states, dropout, output gradients, all from one seed.

use super::CellParams;
use super::layers::{
    LayersGrads, LayersInput, LayersOutputGrad, LayersParams, LayersShape, LayersTrace, layers_backward, layers_forward,
};
use crate::random::SplitMix64;

/// One run with its data. Every real value is exactly an f32.
#[derive(Clone, Debug, PartialEq)]
pub struct LayersCase {
    /// Sizes and form.
    pub shape: LayersShape,
    /// Weights and biases.
    pub params: LayersParams<f64>,
    /// Inputs, states, dropout.
    pub input: LayersInput<f64>,
    /// Gradients from above and from behind.
    pub output_grad: LayersOutputGrad,
}

impl LayersCase {
    /// The run of this seed: the same on every machine. Past a lane's length, x and the gradient of y are random too,
    /// so that whoever reads them is found out. Weights are in `-bound..bound`.
    pub fn random(shape: LayersShape, bound: f64, seed: u64) -> Self {
        let random = &mut SplitMix64::new(seed);
        let runs = shape.layers * shape.dirs();
        let params = (0..runs).map(|k| CellParams::random(&shape.layer(k / shape.dirs()), bound, random)).collect();
        let input = LayersInput {
            x: random.symmetric(shape.tokens() * shape.inputs, 1.0),
            h0: random.symmetric(shape.h_len(), 0.9),
            c0: random.symmetric(shape.c_len(), 1.5),
            dropout: None,
        };
        let output_grad = LayersOutputGrad {
            d_y: random.symmetric(shape.tokens() * shape.width(), 1.0),
            d_h_last: random.symmetric(shape.h_len(), 1.0),
            d_c_last: random.symmetric(shape.c_len(), 1.0),
        };
        LayersCase { shape, params, input, output_grad }
    }

    /// The same run with multipliers 0 and 4/3 between the layers.
    pub fn dropped(mut self, seed: u64) -> Self {
        let random = &mut SplitMix64::new(seed);
        let elements = (self.shape.layers - 1) * self.shape.tokens() * self.shape.width();
        self.input.dropout = Some((0..elements).map(|_| if random.one_in(4) { 0.0 } else { 4.0 / 3.0 }).collect());
        self
    }

    /// The forward pass.
    pub fn forward(&self) -> LayersTrace<f64> {
        layers_forward(&self.shape, &self.params, &self.input)
    }

    /// The backward pass from `trace`.
    pub fn backward(&self, trace: &LayersTrace<f64>) -> LayersGrads {
        layers_backward(&self.shape, &self.params, &self.input, trace, &self.output_grad)
    }
}
