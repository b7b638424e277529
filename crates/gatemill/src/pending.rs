//! Words of the engine that `gatemill-kernels` and `gatemill-cell` are about to say themselves: variants, directions, batches.

/// How a layer runs through time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Direction {
    /// From the first step to the last.
    #[default]
    Forward,
    /// From the last step to the first.
    Reverse,
    /// Both; their outputs stand beside each other.
    Concat,
    /// Both; their outputs are added.
    Sum,
}

/// What a cell has beyond the plain one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Variant {
    /// `b_ih` and `b_hh` are there.
    pub bias: bool,
    /// GRU: `n = tanh(W_in x + b_in + W_hn (r*h) + b_hn)`.
    pub reset_before: bool,
    /// LSTM: `p_i*c_{t-1}`, `p_f*c_{t-1}`, `p_o*c_t` enter the gates.
    pub peepholes: bool,
    /// LSTM: `i = 1 - f`.
    pub coupled: bool,
    /// Bounds what goes into the gates' activations.
    pub clip: Option<f32>,
    /// Bounds `c_t`.
    pub cell_clip: Option<f32>,
    /// LSTM: `h = W_hr (o * tanh c)` with so many columns.
    pub projection: Option<usize>,
}

impl Default for Variant {
    fn default() -> Self {
        Self {
            bias: true,
            reset_before: false,
            peepholes: false,
            coupled: false,
            clip: None,
            cell_clip: None,
            projection: None,
        }
    }
}

/// Which tokens a pass works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch<'a> {
    /// T steps of B lanes.
    Even {
        /// T.
        steps: usize,
        /// B.
        lanes: usize,
    },
    /// Sequences of different lengths, longest first: so many lanes have a step t. PyTorch's PackedSequence.
    Packed {
        /// `[T]`, falling.
        batch_sizes: &'a [usize],
    },
}
