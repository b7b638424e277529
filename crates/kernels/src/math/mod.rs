//! exp, sigmoid, tanh over sixteen lanes: method, constants, error bound. Written once over `Vector`.
//!
//! | function | worst error on the FMA tiers | mul, fma, compare | add, min, max, bits | divisions |
//! |---|---|---|---|---|
//! | exp | 1.3 ULP | 9 | 10 | 1 |
//! | sigmoid | 1.5 ULP | 10 | 9 | 1 |
//! | tanh | 1.4 ULP | 11 | 12 | 1 |
//!
//! One approximation serves all three. With r in about +-ln2/2 and the even function A(r) = r coth(r/2),
//!
//! ```text
//! e^r = (A + r) / (A - r) = 1 + 2 r / (A - r),      A(r) = 2 + A1 r^2 + A2 r^4
//! ```
//!
//! The quotient needs two coefficients where a polynomial for e^r needs six, and its division merges with the one that
//! sigmoid and tanh have anyway. The error of A hardly reaches a result: the bounds are rounding.
//! Worst inputs per tier over all 2^32 floats: `doc/numerics.md`.

mod exp;
mod sigmoid;
mod tanh;

pub(crate) use exp::exp;
pub(crate) use sigmoid::sigmoid;
pub(crate) use tanh::tanh;

#[cfg(test)]
mod sweep;

/// A1 and A2 of `r coth(r/2) = 2 + A1 r^2 + A2 r^4`.
///
/// Made by a weighted minimax fit (Lawson's reweighted least squares in f64, values by 40-digit arithmetic) of degree 2
/// in r^2 with the constant held at 2, on |r| <= ln2/2 + 0.035, the weight being the relative error of e^r. Then rounded
/// to f32, and among 81 neighbours, 2 and 600 units in the last place apart, the pair taken with the least worst error of
/// `sigmoid` in f32 over every 7th float. The error of e^r is 1.0e-9 as fitted and 2.6e-9 (0.04 ULP) as chosen.
const A1: f32 = 0.166_666_06;
const A2: f32 = -0.002_763_774;

/// ln 2 in two parts. The first has 11 bits, so `n * LN2_HI` is exact for every n used here, and so is `x - n * LN2_HI`.
const LN2_HI: f32 = 0.693_359_4;
const LN2_LO: f32 = -2.121_944_4e-4;

/// `1.5 * 2^23`: added to a small number it leaves the nearest integer in the low bits, and subtracted again, as a float.
const MAGIC: f32 = 12_582_912.0;
/// The same with the exponent bias, so that the low bits shifted to the exponent's place are 2^n.
const MAGIC_BIASED: f32 = MAGIC + 127.0;

/// Added to every square, so that none is denormal: near 1e-20 that made tanh three times slower (Zen 4). No result
/// changes.
const TINY: f32 = f32::from_bits((127 - 100) << 23);
