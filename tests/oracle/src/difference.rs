//! Central differences: `(f(x + s) - f(x - s)) / 2s`, one element after the other.

/// The slope of `f` by every element of `x`. The error is about `s^2 * f'''/6` plus rounding of `f` over `s`; for
/// functions of the size of 1, `s = 1e-5` leaves about 1e-10.
pub fn central_differences(mut f: impl FnMut(&[f64]) -> f64, x: &[f64], step: f64) -> Vec<f64> {
    let mut at = x.to_vec();
    let mut slopes = Vec::with_capacity(x.len());
    for e in 0..x.len() {
        let (high, low) = (x[e] + step, x[e] - step);
        at[e] = high;
        let f_high = f(&at);
        at[e] = low;
        let f_low = f(&at);
        at[e] = x[e];
        // The step as it was rounded, not as it was asked for.
        slopes.push((f_high - f_low) / (high - low));
    }
    slopes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_of_a_quadratic_are_exact_up_to_rounding() {
        let f = |p: &[f64]| 3.0 * p[0] * p[0] + p[0] * p[1] - 7.0 * p[1];
        let slopes = central_differences(f, &[2.0, -1.0], 1e-3);
        assert!((slopes[0] - 11.0).abs() < 1e-11 && (slopes[1] + 5.0).abs() < 1e-11, "{slopes:?}");
    }
}
