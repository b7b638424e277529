//! What a stack is made of, as C says it: numbers, of which 0 is the default.

use crate::fault::Fault;
use crate::memory::Sized0;
use gatemill::{Activation, Cell, Direction, RecurrentOptions, Variant};

/// h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)
pub const GATEMILL_CELL_RNN: u32 = 1;
/// Gates i, f, g, o.
pub const GATEMILL_CELL_LSTM: u32 = 2;
/// Gates r, z, n; the reset acts behind the product with W_hn.
pub const GATEMILL_CELL_GRU: u32 = 3;

/// From the first step to the last.
pub const GATEMILL_DIRECTION_FORWARD: u32 = 0;
/// From the last step to the first.
pub const GATEMILL_DIRECTION_REVERSE: u32 = 1;
/// Both; the reversed layer's h stands behind the other's.
pub const GATEMILL_DIRECTION_CONCAT: u32 = 2;
/// Both; the two h are added.
pub const GATEMILL_DIRECTION_SUM: u32 = 3;

/// No b_ih, b_hh.
pub const GATEMILL_NO_BIAS: u32 = 1;
/// GRU: n = tanh(W_in x + b_in + W_hn (r * h_{t-1}) + b_hn).
pub const GATEMILL_RESET_BEFORE: u32 = 2;
/// LSTM: p_i * c_{t-1}, p_f * c_{t-1} and p_o * c_t enter the gates; tensor weight_peephole_l0 [3, H], rows i, f, o.
pub const GATEMILL_PEEPHOLES: u32 = 4;
/// LSTM: f = 1 - i.
pub const GATEMILL_COUPLED: u32 = 8;
/// What a layer from the second on reads is added to what it gives.
pub const GATEMILL_RESIDUAL: u32 = 16;

/// The cell's own.
pub const GATEMILL_ACTIVATION_DEFAULT: u32 = 0;
/// 1 / (1 + e^-x)
pub const GATEMILL_ACTIVATION_SIGMOID: u32 = 1;
/// tanh(x)
pub const GATEMILL_ACTIVATION_TANH: u32 = 2;
/// max(0, x)
pub const GATEMILL_ACTIVATION_RELU: u32 = 3;
/// alpha x + beta
pub const GATEMILL_ACTIVATION_AFFINE: u32 = 4;
/// x where x > 0, else alpha x
pub const GATEMILL_ACTIVATION_LEAKY_RELU: u32 = 5;
/// x where x > alpha, else 0
pub const GATEMILL_ACTIVATION_THRESHOLDED_RELU: u32 = 6;
/// alpha tanh(beta x)
pub const GATEMILL_ACTIVATION_SCALED_TANH: u32 = 7;
/// min(1, max(0, alpha x + beta))
pub const GATEMILL_ACTIVATION_HARD_SIGMOID: u32 = 8;
/// x where x > 0, else alpha (e^x - 1)
pub const GATEMILL_ACTIVATION_ELU: u32 = 9;
/// x / (1 + |x|)
pub const GATEMILL_ACTIVATION_SOFTSIGN: u32 = 10;
/// ln(1 + e^x)
pub const GATEMILL_ACTIVATION_SOFTPLUS: u32 = 11;

/// A function of one number.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct GatemillActivation {
    /// GATEMILL_ACTIVATION_...
    pub function: u32,
    /// Where the function has it.
    pub alpha: f32,
    /// Where the function has it.
    pub beta: f32,
}

/// A stack of recurrent layers, in PyTorch's terms.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct GatemillRecurrentOptions {
    /// sizeof(GatemillRecurrentOptions).
    pub size: usize,
    /// GATEMILL_CELL_...; there is no default.
    pub cell: u32,
    /// GATEMILL_DIRECTION_...
    pub direction: u32,
    /// I: floats of an input.
    pub inputs: usize,
    /// H.
    pub hidden: usize,
    /// L; 0 is 1.
    pub layers: usize,
    /// LSTM: P columns of a projected h; 0 is none.
    pub projection: usize,
    /// P of the dropout between layers, in [0, 1); passes on a training tape drop.
    pub dropout: f64,
    /// Of the initial weights and of the dropout's masks.
    pub seed: u64,
    /// GATEMILL_NO_BIAS | GATEMILL_RESET_BEFORE | GATEMILL_PEEPHOLES | GATEMILL_COUPLED | GATEMILL_RESIDUAL
    pub forms: u32,
    /// Bounds what goes into the gates' activations; 0 is no bound.
    pub clip: f32,
    /// LSTM: bounds c_t; 0 is no bound.
    pub cell_clip: f32,
    /// In place of sigmoid: an LSTM's i, f, o, a GRU's r, z.
    pub gates: GatemillActivation,
    /// In place of tanh: an LSTM's g, a GRU's n, an RNN's h.
    pub candidate: GatemillActivation,
    /// In place of tanh: what leaves an LSTM's c for h.
    pub output: GatemillActivation,
}

// SAFETY: repr(C), begins with its size, plain numbers.
unsafe impl Sized0 for GatemillRecurrentOptions {
    const NAME: &'static str = "GatemillRecurrentOptions";
}

fn unknown(name: &str, found: u32) -> Fault {
    Fault::usage(format!("`{name}` is {found}, which stands for nothing: take one of the header's"))
}

pub(crate) fn cell(found: u32) -> Result<Cell, Fault> {
    match found {
        GATEMILL_CELL_RNN => Ok(Cell::Rnn),
        GATEMILL_CELL_LSTM => Ok(Cell::Lstm),
        GATEMILL_CELL_GRU => Ok(Cell::Gru),
        _ => Err(unknown("cell", found)),
    }
}

impl GatemillActivation {
    /// Into its place, where it is not the cell's own.
    fn put(self, name: &str, place: &mut Activation) -> Result<(), Fault> {
        let Self { function, alpha, beta } = self;
        *place = match function {
            GATEMILL_ACTIVATION_DEFAULT => return Ok(()),
            GATEMILL_ACTIVATION_SIGMOID => Activation::Sigmoid,
            GATEMILL_ACTIVATION_TANH => Activation::Tanh,
            GATEMILL_ACTIVATION_RELU => Activation::Relu,
            GATEMILL_ACTIVATION_AFFINE => Activation::Affine { alpha, beta },
            GATEMILL_ACTIVATION_LEAKY_RELU => Activation::LeakyRelu { alpha },
            GATEMILL_ACTIVATION_THRESHOLDED_RELU => Activation::ThresholdedRelu { alpha },
            GATEMILL_ACTIVATION_SCALED_TANH => Activation::ScaledTanh { alpha, beta },
            GATEMILL_ACTIVATION_HARD_SIGMOID => Activation::HardSigmoid { alpha, beta },
            GATEMILL_ACTIVATION_ELU => Activation::Elu { alpha },
            GATEMILL_ACTIVATION_SOFTSIGN => Activation::Softsign,
            GATEMILL_ACTIVATION_SOFTPLUS => Activation::Softplus,
            found => return Err(unknown(&format!("{name}.function"), found)),
        };
        Ok(())
    }
}

impl GatemillRecurrentOptions {
    /// In Rust's words. Errors: a number that stands for nothing.
    pub(crate) fn read(&self) -> Result<RecurrentOptions, Fault> {
        let theirs = self;
        const ALL: u32 =
            GATEMILL_NO_BIAS | GATEMILL_RESET_BEFORE | GATEMILL_PEEPHOLES | GATEMILL_COUPLED | GATEMILL_RESIDUAL;
        if theirs.forms & !ALL != 0 {
            return Err(unknown("forms", theirs.forms));
        }
        let has = |form: u32| theirs.forms & form != 0;
        // A bound that is no number is not 0: it is told.
        let bound = |clip: f32| (clip != 0.0).then_some(clip);
        let mut variant = Variant {
            bias: !has(GATEMILL_NO_BIAS),
            reset_before: has(GATEMILL_RESET_BEFORE),
            peepholes: has(GATEMILL_PEEPHOLES),
            coupled: has(GATEMILL_COUPLED),
            clip: bound(theirs.clip),
            cell_clip: bound(theirs.cell_clip),
            projection: (theirs.projection > 0).then_some(theirs.projection),
            ..Variant::default()
        };
        theirs.gates.put("gates", &mut variant.activations.gates)?;
        theirs.candidate.put("candidate", &mut variant.activations.cell)?;
        theirs.output.put("output", &mut variant.activations.hidden)?;
        Ok(RecurrentOptions {
            variant,
            layers: theirs.layers.max(1),
            direction: match theirs.direction {
                GATEMILL_DIRECTION_FORWARD => Direction::Forward,
                GATEMILL_DIRECTION_REVERSE => Direction::Reverse,
                GATEMILL_DIRECTION_CONCAT => Direction::Concat,
                GATEMILL_DIRECTION_SUM => Direction::Sum,
                found => return Err(unknown("direction", found)),
            },
            residual: has(GATEMILL_RESIDUAL),
            dropout: theirs.dropout,
            seed: theirs.seed,
            ..RecurrentOptions::new(cell(theirs.cell)?, theirs.inputs, theirs.hidden)
        })
    }
}
