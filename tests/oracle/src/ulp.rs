//! The distance of an f32 from its f64 reference, in units in the last place.

/// The spacing of f32 numbers at `|x|`: `2^(e-23)` for `2^e <= |x| < 2^(e+1)`, and 2^-149 below 2^-126.
///
/// Infinite for NaN and infinities.
pub fn ulp_f32(x: f64) -> f64 {
    if !x.is_finite() {
        return f64::INFINITY;
    }
    // An f64 below its own normal range has exponent field 0 and lands in the lowest binade, as it should.
    let exponent = ((x.to_bits() >> 52) & 0x7ff) as i32 - 1023;
    let exponent = exponent.max(-126);
    f64::from_bits(((exponent - 23 + 1023) as u64) << 52)
}

/// `|found - expected|` over the spacing of f32 at `expected`.
///
/// 0 where both are NaN; infinite where only one is. A reference beyond the f32 range is met by the infinity of its
/// sign, or by the largest f32 where the reference would round to that.
pub fn ulps(found: f32, expected: f64) -> f64 {
    if found.is_nan() || expected.is_nan() {
        return if found.is_nan() && expected.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if found == expected as f32 && found.is_infinite() {
        return 0.0;
    }
    if found.is_infinite() || expected.is_infinite() {
        return f64::INFINITY;
    }
    (f64::from(found) - expected).abs() / ulp_f32(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spacing_is_that_of_f32() {
        for x in [1.0_f32, 1.5, 1.9999999, 2.0, 3.0e38, 1.0e-38, 1.0e-40, f32::MIN_POSITIVE] {
            let next = f32::from_bits(x.to_bits() + 1);
            let spacing = f64::from(next) - f64::from(x);
            assert_eq!(ulp_f32(f64::from(x)), spacing, "{x}");
            assert_eq!(ulps(next, f64::from(x)), 1.0, "{x}");
            assert_eq!(ulps(x, f64::from(x)), 0.0, "{x}");
            assert_eq!(ulps(-x, f64::from(-x) - spacing / 4.0), 0.25, "{x}");
        }
        assert_eq!(ulp_f32(0.0), 2f64.powi(-149));
        assert_eq!(ulp_f32(1e-320), 2f64.powi(-149));
    }

    #[test]
    fn nan_and_infinity() {
        assert_eq!(ulps(f32::NAN, f64::NAN), 0.0);
        assert_eq!(ulps(f32::NAN, 1.0), f64::INFINITY);
        assert_eq!(ulps(1.0, f64::NAN), f64::INFINITY);
        assert_eq!(ulps(f32::INFINITY, 1e39), 0.0);
        assert_eq!(ulps(f32::INFINITY, f64::INFINITY), 0.0);
        assert_eq!(ulps(f32::NEG_INFINITY, f64::INFINITY), f64::INFINITY);
        assert_eq!(ulps(f32::INFINITY, 1.0), f64::INFINITY);
        assert_eq!(ulps(f32::MAX, f64::INFINITY), f64::INFINITY);
    }
}
