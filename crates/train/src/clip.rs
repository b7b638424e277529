//! The global gradient norm, in fixed blocks, and the factor that clips it.
//!
//! `norm = sqrt(sum of squares of every gradient)`, both biases counted, as torch.nn.utils.clip_grad_norm_; squares are
//! summed in f64, blocks of 4096 in order, so that 1e20 squared is no infinity. A NaN or infinity is found here, before
//! any weight has moved.

use gatemill_crew::Crew;
use gatemill_kernels::{Kernels, NORM_BLOCK};

/// Blocks of one worker's tile.
const TILE: usize = 32;

/// Memory for the norm of a flat gradient.
#[derive(Debug)]
pub(crate) struct Norm {
    squares: Vec<f64>,
    borders: Vec<usize>,
}

impl Norm {
    pub(crate) fn new(len: usize) -> Self {
        let blocks = len.div_ceil(NORM_BLOCK);
        let mut borders: Vec<usize> = (0..blocks).step_by(TILE).collect();
        borders.push(blocks);
        Self { squares: vec![0.0; blocks], borders }
    }
    /// The norm, or the first element that is no finite number.
    pub(crate) fn of(&mut self, crew: &Crew, kernels: &Kernels, grad: &[f32]) -> Result<f64, usize> {
        self.squared(crew, kernels, grad).map(f64::sqrt)
    }
    /// Its square: one part's of the norm over several.
    pub(crate) fn squared(&mut self, crew: &Crew, kernels: &Kernels, grad: &[f32]) -> Result<f64, usize> {
        let borders = &self.borders;
        crew.tiles(&mut self.squares, borders, |i, out| {
            for (j, square) in out.iter_mut().enumerate() {
                let begin = (borders[i] + j) * NORM_BLOCK;
                *square = kernels.sum_squares(&grad[begin..grad.len().min(begin + NORM_BLOCK)]);
            }
        });
        let sum: f64 = self.squares.iter().fold(0.0, |a, b| a + b);
        if sum.is_finite() {
            return Ok(sum);
        }
        Err(grad.iter().position(|g| !g.is_finite()).unwrap_or(0))
    }
}

/// The factor on the gradient: `max_norm / (norm + 1e-6)`, at most 1; 1 where `max_norm` is 0 (no clipping).
pub(crate) fn factor(max_norm: f64, norm: f64) -> f32 {
    if max_norm > 0.0 { (max_norm / (norm + 1e-6)).min(1.0) as f32 } else { 1.0 }
}

#[cfg(test)]
#[allow(non_snake_case, reason = "fault tests carry the ids of the fault catalogue")]
mod tests {
    use super::*;

    #[test]
    fn fault_N02_the_norm_is_exact_and_survives_huge_values() {
        let crew = Crew::new(2).unwrap();
        for kernels in Kernels::available() {
            let mut g = vec![0.0f32; 3 * NORM_BLOCK + 16];
            g[5] = 3e20;
            g[2 * NORM_BLOCK] = 4e20;
            let mut norm = Norm::new(g.len());
            let got = norm.of(&crew, &kernels, &g).unwrap();
            assert!((got / 5e20 - 1.0).abs() < 1e-7, "{got}");
            g[NORM_BLOCK + 7] = f32::NAN;
            assert_eq!(norm.of(&crew, &kernels, &g), Err(NORM_BLOCK + 7));
            g[NORM_BLOCK + 7] = f32::NEG_INFINITY;
            assert_eq!(norm.of(&crew, &kernels, &g), Err(NORM_BLOCK + 7));
        }
    }

    #[test]
    fn fault_N03_the_factor_never_exceeds_one_nor_divides_by_zero() {
        assert_eq!(factor(5.0, 0.0), 1.0);
        assert_eq!(factor(5.0, 4.0), 1.0);
        assert_eq!(factor(0.0, 1e9), 1.0);
        assert!((f64::from(factor(5.0, 50.0)) - 0.1).abs() < 1e-7);
    }
}
