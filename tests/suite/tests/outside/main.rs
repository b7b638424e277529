//! What other systems computed for complete layers, computed again: ONNX's node tests, ONNX Runtime, PyTorch.
//!
//! The oracle is held to them first, the kernels to the oracle's and to their numbers after it.

mod onnx;

mod torch;
