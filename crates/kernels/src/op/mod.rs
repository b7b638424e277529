//! The operations, in the order of the data flow; forward and backward beside each other.

pub(crate) mod input; // x_t W_ih of many steps, ahead of their gates

pub(crate) mod gates; // forward: pre-activations in registers, then gates, c_t, h_t

pub(crate) mod level; // y_t of two directions, of residuals

pub(crate) mod readout; // logits, softmax, cross-entropy; the gradient to h

pub(crate) mod attend; // queries over the rows of a memory; the way back

pub(crate) mod gate_grad; // backward: gates become their gradients, in place

pub(crate) mod variant; // cells beside the plain ones

pub(crate) mod input_grad; // [dx_t | dh_{t-1}]

pub(crate) mod weight_grad; // one tile over all tokens; symbol rows; biases

pub(crate) mod embedding; // the gradient of an embedding, from symbol rows

pub(crate) mod sum; // fixed-order sums: norms, shards

pub(crate) mod update; // the optimisers

pub(crate) mod derive; // start rows, transposed weights

pub(crate) mod peak; // what the machine gives at most
