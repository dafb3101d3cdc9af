//! Half precision (IEEE 754 binary16): its bits, and the numbers they stand for.

/// The most a half holds; what rounds to more is infinite.
pub const HALF_MAX: f64 = 65_504.0;

/// The bits of the nearest half, ties to even.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn half_bits(value: f64) -> u16 {
    let sign = if value.is_sign_negative() { 0x8000 } else { 0 };
    let size = value.abs();
    if size.is_nan() {
        return sign | 0x7e00;
    }
    // From here on the nearest half is infinite: half a step above the most.
    if size >= 65_520.0 {
        return sign | 0x7c00;
    }
    let exponent = if size < f64::powi(2.0, -14) { -14 } else { power(size) };
    let steps = (size * f64::powi(2.0, 10 - exponent)).round_ties_even() as u16;
    // A number of 1,024 steps or more has an exponent; one that was rounded up to 2,048 carries into it by itself.
    let biased = (exponent + 14) as u16;
    sign | (steps + (biased << 10))
}

/// The number that these bits stand for.
#[must_use]
pub fn half_value(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let size = match exponent {
        0 => fraction * f64::powi(2.0, -24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * f64::powi(2.0, exponent - 25),
    };
    sign * size
}

/// The nearest number that a half holds.
#[must_use]
pub fn to_half(value: f64) -> f64 {
    half_value(half_bits(value))
}

/// The largest power of 2 that is not above a normal number.
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
fn power(size: f64) -> i32 {
    (size.to_bits() >> 52) as i32 - 1023
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_is_the_nearest_to_itself() {
        for bits in 0..=u16::MAX {
            let value = half_value(bits);
            if value.is_nan() {
                assert_eq!(half_bits(value) & 0x7c00, 0x7c00);
            } else {
                assert_eq!(half_bits(value), bits, "{value}");
            }
        }
    }

    #[test]
    fn numbers_between_two_halves_go_to_the_nearer_and_ties_to_the_even_one() {
        for bits in (0..0x7bff).chain(0x8000..0xfbff) {
            let (low, high) = (half_value(bits), half_value(bits + 1));
            let part = |share: f64| low + (high - low) * share;
            assert_eq!(half_bits(part(0.49)), bits, "{low} and {high}");
            assert_eq!(half_bits(part(0.51)), bits + 1, "{low} and {high}");
            assert_eq!(half_bits(part(0.5)), bits + (bits & 1), "{low} and {high}");
        }
    }

    #[test]
    fn what_is_too_large_is_infinite() {
        assert_eq!(to_half(65_519.9), HALF_MAX);
        assert_eq!(to_half(65_520.0), f64::INFINITY);
        assert_eq!(to_half(-1e9), f64::NEG_INFINITY);
        assert_eq!(to_half(2.9e-8), 0.0);
    }
}
