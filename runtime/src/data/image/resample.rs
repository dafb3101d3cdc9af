//! Pictures of another size: linear interpolation, over as many pixels as fall together where a picture shrinks.
//!
//! Along each axis, result `i` is the mean of the pixels around `(i + 1/2) s - 1/2`, where `s` is the old size by the
//! new one, weighted by a triangle of half width `max(s, 1)`. Source: Turkowski 1990, *Filters for common resampling
//! tasks*; the same as PyTorch's `interpolate(mode="bilinear", antialias=True)`.

use super::Image;

/// A part of a picture: from `top` and `left` on, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) top: usize,
    pub(super) left: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

/// The pixels of a part.
pub(super) fn cut(image: &Image, part: Part) -> Image {
    let Part { top, left, height, width } = part;
    let mut values = Vec::with_capacity(image.channels * height * width);
    for channel in 0..image.channels {
        for row in top..top + height {
            let start = (channel * image.height + row) * image.width + left;
            values.extend_from_slice(&image.values[start..start + width]);
        }
    }
    Image { channels: image.channels, height, width, values }
}

/// The picture with `height` rows and `width` columns.
pub(super) fn resample(image: &Image, height: usize, width: usize) -> Image {
    along_rows(&along_columns(image, width), height)
}

/// The pixels that make a result, from `first` on.
struct Weights {
    first: usize,
    weights: Vec<f32>,
}

fn weights(size: usize, result: usize) -> Vec<Weights> {
    let ratio = size as f64 / result as f64;
    let half = ratio.max(1.0);
    let of = |place: usize| {
        let center = (place as f64 + 0.5) * ratio;
        let first = (center - half + 0.5).floor().max(0.0) as usize;
        let end = ((center + half + 0.5).floor() as usize).min(size);
        let triangle = |pixel: usize| (1.0 - ((pixel as f64 + 0.5 - center) / half).abs()).max(0.0);
        let total: f64 = (first..end).map(triangle).sum();
        Weights { first, weights: (first..end).map(|pixel| (triangle(pixel) / total) as f32).collect() }
    };
    (0..result).map(of).collect()
}

fn along_columns(image: &Image, width: usize) -> Image {
    if image.width == width {
        return image.clone();
    }
    let weights = weights(image.width, width);
    let mut values = Vec::with_capacity(image.channels * image.height * width);
    for row in image.values.chunks_exact(image.width) {
        values.extend(weights.iter().map(|one| {
            row[one.first..].iter().zip(&one.weights).map(|(value, weight)| value * weight).sum::<f32>()
        }));
    }
    Image { width, values, ..*image }
}

fn along_rows(image: &Image, height: usize) -> Image {
    if image.height == height {
        return image.clone();
    }
    let weights = weights(image.height, height);
    let width = image.width;
    let mut values = vec![0.0; image.channels * height * width];
    for (plane, out) in
        image.values.chunks_exact(image.height * width).zip(values.chunks_exact_mut(height * width))
    {
        for (one, out) in weights.iter().zip(out.chunks_exact_mut(width)) {
            for (row, weight) in plane.chunks_exact(width).skip(one.first).zip(&one.weights) {
                for (sum, value) in out.iter_mut().zip(row) {
                    *sum += weight * value;
                }
            }
        }
    }
    Image { height, values, ..*image }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(height: usize, width: usize, values: &[f32]) -> Image {
        Image { channels: values.len() / (height * width), height, width, values: values.to_vec() }
    }

    /// `torch.nn.functional.interpolate(mode="bilinear", antialias=True)` of the same numbers.
    #[test]
    fn a_picture_shrinks_and_grows_as_in_pytorch() {
        let values: Vec<f32> = (0..30u32).map(|i| (i * i * 7 % 31) as f32 / 31.0).collect();
        let near = |found: &Image, expected: &[f32]| {
            assert_eq!(found.values.len(), expected.len());
            for (a, b) in found.values.iter().zip(expected) {
                assert!((a - b).abs() < 1e-6, "{:?}", found.values);
            }
        };
        near(&resample(&image(5, 6, &values), 2, 3), &SHRUNK);
        near(&resample(&image(5, 6, &values), 3, 8), &STRETCHED);
    }

    #[test]
    fn a_constant_stays_one_and_the_same_size_is_the_same_picture() {
        let grey = image(7, 5, &[0.25; 70]);
        assert!(resample(&grey, 3, 11).values.iter().all(|value| (value - 0.25).abs() < 1e-6));
        assert_eq!(resample(&grey, 7, 5), grey);
    }

    #[test]
    fn a_part_keeps_its_pixels() {
        let values: Vec<f32> = (0..24u8).map(f32::from).collect();
        let part = cut(&image(3, 4, &values), Part { top: 1, left: 2, height: 2, width: 1 });
        assert_eq!(part, image(2, 1, &[6.0, 10.0, 18.0, 22.0]));
    }

    const SHRUNK: [f32; 6] = [0.221826, 0.429985, 0.496439, 0.274403, 0.470857, 0.468789];
    const STRETCHED: [f32; 24] = [
        0.055299, 0.118663, 0.364055, 0.638824, 0.213709, 0.427995, 0.564516, 0.506912, 0.351254, 0.268369,
        0.254928, 0.356182, 0.600806, 0.641577, 0.519265, 0.315412, 0.105990, 0.224078, 0.374424, 0.518433,
        0.587557, 0.313940, 0.355414, 0.709677,
    ];
}
