//! SIMD kernels of recurrent networks: numbers in slices, numbers out.
