//! Random runs of a stack: parameters, inputs, states, resets, dropout, output gradients, all from one seed.

use crate::random::SplitMix64;
use crate::stack::{
    StackGrads, StackInput, StackOutputGrad, StackParams, StackShape, StackTrace, one_hot, stack_backward,
    stack_forward,
};

/// What a random run contains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaseOptions {
    /// One-hot inputs, some of them unseen (zero rows), in place of dense ones.
    pub symbols: bool,
    /// Random h0, c0, and gradients of the last states; zeros and none otherwise.
    pub carried: bool,
    /// Some lanes start anew, at least one at step 0 and one in mid-chunk.
    pub resets: bool,
    /// Multipliers 0 and 1/(1-p), p = 1/4, between the layers.
    pub dropout: bool,
}

/// One run with its data.
#[derive(Clone, Debug, PartialEq)]
pub struct StackCase {
    /// Sizes.
    pub shape: StackShape,
    /// Weights and biases in -0.6..0.6.
    pub params: StackParams<f64>,
    /// Inputs, states, resets, dropout.
    pub input: StackInput<f64>,
    /// `[T, B]` ids in `0..=I` where the inputs are symbols.
    pub ids: Option<Vec<usize>>,
    /// Gradients that come in from above, and from behind where the state is carried.
    pub output_grad: StackOutputGrad,
}

impl StackCase {
    /// The run of this seed: the same on every machine, every real value exactly an f32.
    pub fn random(shape: StackShape, options: CaseOptions, seed: u64) -> Self {
        let random = &mut SplitMix64::new(seed);
        let params = StackParams::random(&shape, 0.6, random);
        let ids = options.symbols.then(|| {
            // One token in six is unseen, the others random; where there is room, every symbol occurs.
            let mut ids = random.ids(shape.tokens(), shape.inputs);
            for id in &mut ids {
                if random.one_in(6) {
                    *id = shape.inputs;
                }
            }
            if shape.tokens() > shape.inputs {
                for (symbol, id) in ids.iter_mut().take(shape.inputs + 1).enumerate() {
                    *id = symbol;
                }
                random.shuffle(&mut ids);
            }
            ids
        });
        let x = match &ids {
            Some(ids) => one_hot(ids, shape.inputs),
            None => random.symmetric(shape.tokens() * shape.inputs, 1.0),
        };
        let mut input = StackInput::from_zero_state(&shape, x);
        let mut output_grad = StackOutputGrad {
            d_y: random.symmetric(shape.tokens() * shape.hidden, 1.0),
            d_h_last: None,
            d_c_last: None,
        };
        if options.carried {
            input.h0 = random.symmetric(shape.state_len(), 0.9);
            input.c0 = random.symmetric(shape.c_len(), 1.5);
            output_grad.d_h_last = Some(random.symmetric(shape.state_len(), 1.0));
            output_grad.d_c_last = shape.cell.has_c().then(|| random.symmetric(shape.c_len(), 1.0));
        }
        if options.resets {
            let mut resets: Vec<bool> = (0..shape.tokens()).map(|_| random.one_in(7)).collect();
            if shape.tokens() > 0 {
                resets[0] = true;
                resets[(shape.steps / 2) * shape.lanes + shape.lanes - 1] = true;
            }
            input.resets = Some(resets);
        }
        if options.dropout {
            let elements = shape.layers.saturating_sub(1) * shape.tokens() * shape.hidden;
            let keep = 4.0 / 3.0;
            input.dropout = Some((0..elements).map(|_| if random.one_in(4) { 0.0 } else { keep }).collect());
        }
        StackCase { shape, params, input, ids, output_grad }
    }

    /// The forward pass.
    pub fn forward(&self) -> StackTrace<f64> {
        stack_forward(&self.shape, &self.params, &self.input)
    }

    /// The backward pass from `trace`.
    pub fn backward(&self, trace: &StackTrace<f64>) -> StackGrads {
        stack_backward(&self.shape, &self.params, &self.input, trace, &self.output_grad)
    }
}
