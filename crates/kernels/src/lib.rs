//! SIMD kernels of recurrent networks: numbers in slices, numbers out.

mod arch;
mod math;
mod vector;
