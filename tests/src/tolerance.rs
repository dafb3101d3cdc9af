//! How near is near enough, for every comparison with numbers from elsewhere.

/// `nnc grad` against a golden in f64: the loss, and each gradient by [`distance`].
pub const GRADIENT: f64 = 1e-4;

/// The loss of every training step against a golden in f64, relative to the golden's.
pub const LOSS_CURVE: f64 = 1e-3;

/// Weights and states after a run of training, by [`distance`]. Adam divides by the root of a gradient's square, so
/// that a weight whose gradient is nearly nothing follows its rounding: single precision alone is off by 1.5e-4 there.
pub const AFTER_TRAINING: f64 = 2e-3;

/// The meaning of a layer, in f64, against a golden that was rounded to f32, by [`distance`].
pub const LAYER_MEANING: f64 = 1e-6;

/// A layer on the device against a golden, by [`distance`].
pub const LAYER_ON_DEVICE: f64 = 1e-5;

/// A network with weights trained elsewhere against that framework's outputs in f32, by [`distance`].
pub const ELSEWHERE: f64 = 1e-4;

/// The largest difference of any element, relative to the largest magnitude in `golden`. Where all of `golden` is 0,
/// the largest magnitude in `found`.
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn distance(found: &[f64], golden: &[f64]) -> f64 {
    assert_eq!(found.len(), golden.len(), "tensors of different sizes");
    let largest = |values: &mut dyn Iterator<Item = f64>| {
        values.fold(0.0, |most: f64, v| if v.is_nan() { f64::INFINITY } else { most.max(v.abs()) })
    };
    let difference = largest(&mut found.iter().zip(golden).map(|(f, g)| f - g));
    let scale = largest(&mut golden.iter().copied());
    if scale == 0.0 { difference } else { difference / scale }
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn it_is_relative_to_the_largest_magnitude_of_the_golden() {
        assert_eq!(distance(&[1.0, -3.5], &[1.0, -4.0]), 0.125);
        assert_eq!(distance(&[0.0, 0.25], &[0.0, 0.0]), 0.25);
    }

    #[test]
    fn nan_is_never_near() {
        assert_eq!(distance(&[f64::NAN], &[1.0]), f64::INFINITY);
    }
}
