//! Functions of one float without branches, so that loops over them are vectorized; within about 2 units in the last
//! place of the exact value.
//!
//! Source: S. Moshier, Cephes Mathematical Library, single precision.

/// `1.5 * 2^23`: added to a small float it rounds it to a whole number, which is then in its last bits.
const ROUNDING: f32 = 12_582_912.0;

/// `e^x`
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -104.0 { -104.0 } else { x };
    let rounded = x * std::f32::consts::LOG2_E + ROUNDING;
    let n = rounded - ROUNDING;
    let whole = rounded.to_bits().wrapping_sub(ROUNDING.to_bits()).cast_signed();
    let r = x - n * 0.693_359_4;
    let r = r + n * 2.121_944_4e-4;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let p = p * r * r + r + 1.0;
    let half = whole >> 1;
    p * power(half) * power(whole.wrapping_sub(half))
}

/// `2^n` for the exponents of normal floats.
#[inline(always)]
fn power(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127).cast_unsigned()) << 23)
}

/// The natural logarithm.
#[inline(always)]
pub(super) fn log(x: f32) -> f32 {
    let tiny = x < f32::MIN_POSITIVE;
    let scaled = if tiny { x * 8_388_608.0 } else { x };
    let bits = scaled.to_bits().cast_signed();
    // The exponent that leaves a fraction between the square roots of 1/2 and 2.
    let shifted = bits.wrapping_sub(0x3f35_04f3);
    let exponent = shifted >> 23;
    let fraction = f32::from_bits(bits.wrapping_sub(exponent << 23).cast_unsigned()) - 1.0;
    let e = exponent as f32 - if tiny { 23.0 } else { 0.0 };
    let f = fraction;
    let p = 7.037_683_6e-2;
    let p = p * f - 1.151_461e-1;
    let p = p * f + 1.167_699_9e-1;
    let p = p * f - 1.242_014_1e-1;
    let p = p * f + 1.424_932_3e-1;
    let p = p * f - 1.666_805_8e-1;
    let p = p * f + 2.000_071_5e-1;
    let p = p * f - 2.499_999_4e-1;
    let p = p * f + 3.333_333e-1;
    let square = f * f;
    let y = p * f * square - e * 2.121_944_4e-4 - 0.5 * square;
    let value = f + y + e * 0.693_359_4;
    let value = if x == f32::INFINITY { x } else { value };
    let value = if x == 0.0 { f32::NEG_INFINITY } else { value };
    if x < 0.0 || x.is_nan() { f32::NAN } else { value }
}

/// The hyperbolic tangent.
#[inline(always)]
pub(super) fn tanh(x: f32) -> f32 {
    let size = x.abs();
    let far = 1.0 - 2.0 / (exp(2.0 * size) + 1.0);
    let far = far.copysign(x);
    let z = x * x;
    let p = -5.704_988_7e-3;
    let p = p * z + 2.063_909e-2;
    let p = p * z - 5.373_971_6e-2;
    let p = p * z + 1.333_144_3e-1;
    let p = p * z - 3.333_328e-1;
    let near = p * z * x + x;
    if size < 0.625 { near } else { far }
}

/// The largest argument of [`sin`] and [`cos`], beyond which too much of it is lost.
pub(super) const FAR: f32 = 1e6;

/// The sine, in radians, up to [`FAR`].
#[inline(always)]
pub(super) fn sin(x: f32) -> f32 {
    turned(x, 0)
}

/// The cosine, in radians, up to [`FAR`].
#[inline(always)]
pub(super) fn cos(x: f32) -> f32 {
    turned(x, 1)
}

/// The sine of `x` and so many quarters of a turn.
#[inline(always)]
fn turned(x: f32, quarters: u32) -> f32 {
    let wide = f64::from(x);
    let rounding = 6_755_399_441_055_744.0;
    let rounded = wide * std::f64::consts::FRAC_2_PI + rounding;
    let n = rounded - rounding;
    let quadrant = (rounded.to_bits() as u32).wrapping_add(quarters);
    let r = (wide - n * std::f64::consts::FRAC_PI_2) as f32;
    let z = r * r;
    let p = -1.951_529_6e-4;
    let p = p * z + 8.332_161e-3;
    let p = p * z - 1.666_665_5e-1;
    let sine = p * z * r + r;
    let p = 2.443_315_7e-5;
    let p = p * z - 1.388_731_6e-3;
    let p = p * z + 4.166_664_6e-2;
    let cosine = p * z * z - 0.5 * z + 1.0;
    let value = if quadrant & 1 == 0 { sine } else { cosine };
    if quadrant & 2 == 0 { value } else { -value }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest error, in units in the last place, over floats of a range.
    fn worst(range: (f32, f32), of: fn(f32) -> f32, meaning: fn(f64) -> f64) -> f64 {
        let steps = 200_000;
        (0..=steps).fold(0.0, |worst, k| {
            let x = range.0 + (range.1 - range.0) * (k as f32 / steps as f32);
            let (found, exact) = (f64::from(of(x)), meaning(f64::from(x)));
            let unit = f64::from(exact as f32).abs().max(1e-37) * f64::powi(2.0, -23);
            f64::max(worst, (found - exact).abs() / unit)
        })
    }

    #[test]
    fn functions_are_within_a_few_units_of_their_exact_values() {
        assert!(worst((-86.0, 88.0), exp, f64::exp) < 2.0);
        assert!(worst((1e-6, 4.0), log, f64::ln) < 2.0);
        assert!(worst((0.5, 1e6), log, f64::ln) < 2.0);
        assert!(worst((-10.0, 10.0), tanh, f64::tanh) < 2.5);
        let absolute = |range: (f32, f32), of: fn(f32) -> f32, meaning: fn(f64) -> f64| {
            (0..100_000).fold(0.0, |worst, k| {
                let x = range.0 + (range.1 - range.0) * (k as f32 / 1e5);
                f64::max(worst, (f64::from(of(x)) - meaning(f64::from(x))).abs())
            })
        };
        assert!(absolute((-100.0, 100.0), sin, f64::sin) < 1.5e-7);
        assert!(absolute((-1e6, 1e6), cos, f64::cos) < 1.5e-7);
    }

    #[test]
    fn the_ends_of_functions_are_those_of_the_exact_ones() {
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(200.0), f32::INFINITY);
        assert!(exp(f32::NAN).is_nan());
        assert!((exp(-100.0) - 3.8e-44).abs() < 2e-45);
        assert_eq!(log(0.0), f32::NEG_INFINITY);
        assert_eq!(log(f32::INFINITY), f32::INFINITY);
        assert!(log(-1.0).is_nan() && log(f32::NAN).is_nan());
        assert!((log(1e-40) + 92.103_4).abs() < 1e-4);
        assert_eq!((tanh(50.0), tanh(f32::NEG_INFINITY)), (1.0, -1.0));
        assert!(tanh(f32::NAN).is_nan() && sin(f32::INFINITY).is_nan());
    }
}
