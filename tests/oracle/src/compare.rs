//! The worst element of a tensor against its reference, and what f32 may differ by.
//!
//! Comparisons are element by element; a norm over a tensor hides a wrong corner. NaN agrees with NaN only, an infinity
//! with the same infinity only.

use crate::cell::Cell;

/// The element that differs most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Worst {
    /// Its index; 0 where nothing differs.
    pub index: usize,
    /// What was computed.
    pub found: f64,
    /// The reference.
    pub expected: f64,
    /// The difference over the scale of the comparison; infinite where one side is NaN or infinite and the other is
    /// not the same, or where the scale is 0 and there is a difference.
    pub error: f64,
}

/// The worst `|found - expected| / max over the tensor of |expected|`. Shapes: equal lengths.
pub fn worst_by_max(found: &[f64], expected: &[f64]) -> Worst {
    let max = expected.iter().filter(|x| x.is_finite()).fold(0.0, |max: f64, x| max.max(x.abs()));
    worst(found, expected, |_| max)
}

/// The worst `|found - expected| / max(|expected|, root mean square of the tensor's expected)`. Shapes: equal lengths.
pub fn worst_by_rms(found: &[f64], expected: &[f64]) -> Worst {
    let finite: Vec<f64> = expected.iter().copied().filter(|x| x.is_finite()).collect();
    let mean_square = finite.iter().map(|x| x * x).sum::<f64>() / finite.len().max(1) as f64;
    worst(found, expected, |x| x.abs().max(mean_square.sqrt()))
}

fn worst(found: &[f64], expected: &[f64], scale: impl Fn(f64) -> f64) -> Worst {
    crate::expect_len("compare: found", found.len(), expected.len());
    let mut worst = Worst { index: 0, found: 0.0, expected: 0.0, error: 0.0 };
    for (index, (&a, &b)) in found.iter().zip(expected).enumerate() {
        let error = if a == b || (a.is_nan() && b.is_nan()) {
            0.0
        } else if a.is_finite() && b.is_finite() {
            (a - b).abs() / scale(b)
        } else {
            f64::INFINITY
        };
        if error > worst.error {
            worst = Worst { index, found: a, expected: b, error };
        }
    }
    worst
}

/// The largest error by [`worst_by_rms`] that an f32 forward pass may show against f64:
/// `4 * ceil(log2(acc * T)) * 2^-23`, `acc = 2G+1` (GRU: times I).
///
/// The form is the one that published RNN benchmarks check by; the 4 is a first guess, to be calibrated on data.
pub fn f32_forward_bound(cell: Cell, steps: usize, inputs: usize) -> f64 {
    4.0 * log_terms(forward_terms(cell, inputs) * steps) * f64::from(f32::EPSILON)
}

/// The same for gradients: `8 * ceil(log2(acc * max(G*H, B) * T)) * 2^-23`.
pub fn f32_backward_bound(cell: Cell, steps: usize, inputs: usize, hidden: usize, lanes: usize) -> f64 {
    let terms = forward_terms(cell, inputs) * (cell.gates() * hidden).max(lanes);
    8.0 * log_terms(terms * steps) * f64::from(f32::EPSILON)
}

fn forward_terms(cell: Cell, inputs: usize) -> usize {
    let gates = 2 * cell.gates() + 1;
    if cell == Cell::Gru { gates * inputs } else { gates }
}

fn log_terms(terms: usize) -> f64 {
    (terms.max(2) as f64).log2().ceil()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_element_is_found_and_scaled() {
        let worst = worst_by_max(&[1.0, 2.5, -8.0], &[1.0, 2.0, -8.0]);
        assert_eq!(worst, Worst { index: 1, found: 2.5, expected: 2.0, error: 0.5 / 8.0 });
        assert_eq!(worst_by_rms(&[0.0, 5.0], &[0.0, 4.0]).error, 0.25);
        assert_eq!(worst_by_rms(&[1.0, 4.0], &[0.0, 4.0]).error, 1.0 / 8f64.sqrt());
    }

    #[test]
    fn no_nan_infinity_or_zero_slips_through() {
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        assert_eq!(worst_by_max(&[nan, inf, 0.0], &[nan, inf, 0.0]).error, 0.0);
        for (found, expected) in [(nan, 1.0), (1.0, nan), (inf, 1.0), (inf, -inf), (1.0, inf), (1e-300, 0.0)] {
            assert_eq!(worst_by_max(&[found], &[expected]).error, inf, "{found} {expected}");
            assert_eq!(worst_by_rms(&[found], &[expected]).error, inf, "{found} {expected}");
        }
    }

    #[test]
    fn bounds_by_hand() {
        let eps = f64::from(f32::EPSILON);
        assert_eq!(f32_forward_bound(Cell::Rnn, 256, 9), 4.0 * 10.0 * eps); // log2(3 * 256) = 9.58
        assert_eq!(f32_forward_bound(Cell::Gru, 4, 8), 4.0 * 8.0 * eps); // log2(7 * 8 * 4) = 7.81
        assert_eq!(f32_backward_bound(Cell::Lstm, 2, 9, 4, 3), 8.0 * 9.0 * eps); // log2(9 * 16 * 2) = 8.17
    }
}
