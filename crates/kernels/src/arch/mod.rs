//! One file per tier: the vector, the tile sizes, the k loops and the `#[target_feature]` entry points; and the host's
//! floating-point mode.
//!
//! The only place that names an instruction set.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
#[cfg(all(feature = "bench", target_arch = "x86_64"))]
pub(crate) mod avx512_bf16;
pub(crate) mod host;
#[cfg(test)]
pub(crate) mod model;
pub(crate) mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;
